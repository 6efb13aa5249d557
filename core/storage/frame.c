/*
 * frame.c - framing of log and manifest records. The hash comes first so that one call covers the
 * other fields and the payload, which lie behind it in one piece.
 */
#include "storage/frame.h"

#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "storage/mutation.h"

enum {
    AT_MAGIC = 8,
    AT_LENGTH = 12,
    AT_FILE = 16,
    AT_FLAGS = 20,
    AT_ZERO = 22,
    AT_SEQUENCE = 24,
    AT_COUNT = 32,
    AT_ZERO2 = 36,
    AT_DURABLE = 40,
    AT_PREVIOUS = 48
};

#define FRAME_MAGIC 0x3146584eu /* "NXF1" */

uint64_t frame_seed(const uint8_t uuid[16], uint64_t file, uint32_t kind)
{
    uint8_t bytes[28];

    memcpy(bytes, uuid, 16);
    put_u64le(bytes + 16, file);
    put_u32le(bytes + 24, kind);
    return XXH3_64bits(bytes, sizeof bytes);
}

static uint64_t hash_of(const uint8_t *buffer, uint32_t length, uint64_t seed)
{
    return XXH3_64bits_withSeed(buffer + AT_MAGIC, FRAME_HEADER_BYTES - AT_MAGIC + (size_t)length,
                                seed);
}

void frame_seal(uint8_t *buffer, struct frame *frame, uint64_t seed)
{
    size_t end = FRAME_HEADER_BYTES + (size_t)frame->length;

    put_u32le(buffer + AT_MAGIC, FRAME_MAGIC);
    put_u32le(buffer + AT_LENGTH, frame->length);
    put_u32le(buffer + AT_FILE, frame->file);
    put_u16le(buffer + AT_FLAGS, frame->flags);
    put_u16le(buffer + AT_ZERO, 0);
    put_u64le(buffer + AT_SEQUENCE, frame->sequence);
    put_u32le(buffer + AT_COUNT, frame->count);
    put_u32le(buffer + AT_ZERO2, 0);
    put_u64le(buffer + AT_DURABLE, frame->durable);
    put_u64le(buffer + AT_PREVIOUS, frame->previous);
    memset(buffer + end, 0, (size_t)frame_bytes(frame->length) - end);
    frame->hash = hash_of(buffer, frame->length, seed);
    put_u64le(buffer, frame->hash);
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

enum frame_state frame_parse(const uint8_t header[FRAME_HEADER_BYTES], struct frame *out)
{
    if (is_zero(header, FRAME_HEADER_BYTES))
        return FRAME_END;
    if (get_u32le(header + AT_MAGIC) != FRAME_MAGIC ||
        get_u32le(header + AT_LENGTH) > FRAME_PAYLOAD_MAX)
        return FRAME_BAD;
    *out = (struct frame){
        .hash = get_u64le(header),
        .length = get_u32le(header + AT_LENGTH),
        .file = get_u32le(header + AT_FILE),
        .flags = get_u16le(header + AT_FLAGS),
        .sequence = get_u64le(header + AT_SEQUENCE),
        .count = get_u32le(header + AT_COUNT),
        .durable = get_u64le(header + AT_DURABLE),
        .previous = get_u64le(header + AT_PREVIOUS),
    };
    return FRAME_OK;
}

size_t frame_find(const uint8_t *bytes, size_t len)
{
    size_t at = 0;

    while (at + FRAME_HEADER_BYTES <= len && get_u32le(bytes + at + AT_MAGIC) != FRAME_MAGIC)
        at += 8;
    return at + FRAME_HEADER_BYTES <= len ? at : len;
}

bool frame_is_whole(const uint8_t *buffer, const struct frame *frame, uint64_t seed)
{
    return hash_of(buffer, frame->length, seed) == frame->hash || engine_mutated(SKIP_FRAME_HASH);
}

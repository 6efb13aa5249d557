/*
 * frame.h - one checksummed, chained record of a log file: the log's groups and the manifest's
 * edits.
 *
 * Format: FORMAT.md, "Frame".
 */
#ifndef STORAGE_FRAME_H
#define STORAGE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nexadb/buf.h>

#define FRAME_HEADER_BYTES 56u
#define FRAME_PAYLOAD_MAX (1u << 30)

enum frame_flags {
    FRAME_CLOSE = 1, /* the file was closed in order here; nothing follows */
};

struct frame {
    uint64_t hash;   /* of all the rest, seeded with the file's own seed */
    uint32_t length; /* of the payload */
    uint32_t file;   /* low bits of the file's number */
    uint16_t flags;
    uint64_t sequence; /* of the first change */
    uint32_t count;    /* changes */
    uint64_t
        durable; /* every byte of the log before this position was on disk when it was written */
    uint64_t previous; /* the hash of the frame before it */
};

enum frame_state {
    FRAME_OK,
    FRAME_END, /* zeros: nothing was written here */
    FRAME_BAD,
};

/* A seed that no other file of any other database has. */
uint64_t frame_seed(const uint8_t uuid[16], uint64_t file, uint32_t kind);
/* Bytes in the file, padding included. */
static inline uint64_t frame_bytes(uint32_t length)
{
    return (FRAME_HEADER_BYTES + (uint64_t)length + 7) & ~UINT64_C(7);
}
/* Fill in the header in front of `length` payload bytes and the hash in `frame`. `buffer` has
 * frame_bytes(length) bytes, the padding is zeroed. */
void frame_seal(uint8_t *buffer, struct frame *frame, uint64_t seed);
/* The header alone: fields that cannot be right are FRAME_BAD. */
enum frame_state frame_parse(const uint8_t header[FRAME_HEADER_BYTES], struct frame *out);
/* The first place in `bytes`, in steps of 8, where a frame's header may stand; `len` when none can
 * begin in them. Most of a preallocated file is zeros: this is how a search passes over them. */
size_t frame_find(const uint8_t *bytes, size_t len);
/* Header and payload together: is the hash right? */
bool frame_is_whole(const uint8_t *buffer, const struct frame *frame, uint64_t seed);

#endif

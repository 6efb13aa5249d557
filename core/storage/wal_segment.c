/* wal_segment.c - names and headers of log segments. */
#include "storage/wal_segment.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"

#define SEGMENT_MAGIC UINT64_C(0x314c41572d58584e) /* "NXX-WAL1" */
#define SEGMENT_VERSION 1u

enum {
    AT_MAGIC = 8,
    AT_VERSION = 16,
    AT_UUID = 24,
    AT_NUMBER = 40,
    AT_BASE = 48,
    AT_SEQUENCE = 56,
    AT_PREVIOUS_NUMBER = 64,
    AT_PREVIOUS_END = 72,
    AT_PREVIOUS_HASH = 80,
    COPY_BYTES = 88
};

void wal_name(uint64_t number, char out[WAL_NAME_BYTES])
{
    snprintf(out, WAL_NAME_BYTES, "%06llu.wal", (unsigned long long)number);
}

bool wal_name_parse(const char *name, uint64_t *number)
{
    char again[WAL_NAME_BYTES];
    unsigned long long n;

    if (sscanf(name, "%19llu.wal", &n) != 1)
        return false;
    wal_name(n, again);
    *number = n;
    return strcmp(again, name) == 0;
}

enum nx_code storage_path(struct nx_buf *out, const char *dir, const char *name, struct nx_err *err)
{
    nx_buf_clear(out);
    if (nx_buf_printf(out, "%s/%s", dir, name) != NX_OK || nx_buf_append_byte(out, 0) != NX_OK)
        return nx_fail_nomem(err);
    return NX_OK;
}

static uint64_t hash_of(const uint8_t *copy)
{
    return XXH3_64bits(copy + AT_MAGIC, COPY_BYTES - AT_MAGIC);
}

void wal_header_encode(uint8_t block[WAL_HEADER_BYTES], const struct wal_header *header,
                       const uint8_t uuid[16])
{
    memset(block, 0, WAL_HEADER_BYTES);
    put_u64le(block + AT_MAGIC, SEGMENT_MAGIC);
    put_u32le(block + AT_VERSION, SEGMENT_VERSION);
    memcpy(block + AT_UUID, uuid, 16);
    put_u64le(block + AT_NUMBER, header->number);
    put_u64le(block + AT_BASE, header->base);
    put_u64le(block + AT_SEQUENCE, header->sequence);
    put_u64le(block + AT_PREVIOUS_NUMBER, header->previous_number);
    put_u64le(block + AT_PREVIOUS_END, header->previous_end);
    put_u64le(block + AT_PREVIOUS_HASH, header->previous_hash);
    put_u64le(block, hash_of(block));
    memcpy(block + WAL_HEADER_COPY, block, COPY_BYTES);
}

static bool decode_copy(const uint8_t *copy, const uint8_t uuid[16], struct wal_header *out,
                        uint32_t *version)
{
    if (get_u64le(copy + AT_MAGIC) != SEGMENT_MAGIC || get_u64le(copy) != hash_of(copy))
        return false;
    if (get_u32le(copy + AT_VERSION) != SEGMENT_VERSION) {
        *version = get_u32le(copy + AT_VERSION);
        return false;
    }
    *out = (struct wal_header){
        .number = get_u64le(copy + AT_NUMBER),
        .base = get_u64le(copy + AT_BASE),
        .sequence = get_u64le(copy + AT_SEQUENCE),
        .previous_number = get_u64le(copy + AT_PREVIOUS_NUMBER),
        .previous_end = get_u64le(copy + AT_PREVIOUS_END),
        .previous_hash = get_u64le(copy + AT_PREVIOUS_HASH),
    };
    return memcmp(copy + AT_UUID, uuid, 16) == 0;
}

bool wal_header_decode(const uint8_t block[WAL_HEADER_BYTES], const uint8_t uuid[16],
                       struct wal_header *out, uint32_t *version)
{
    *version = 0;
    return decode_copy(block, uuid, out, version) ||
           decode_copy(block + WAL_HEADER_COPY, uuid, out, version);
}

bool wal_header_uuid(const uint8_t block[WAL_HEADER_BYTES], uint8_t uuid[16])
{
    for (size_t at = 0; at <= WAL_HEADER_COPY; at += WAL_HEADER_COPY)
        if (get_u64le(block + at + AT_MAGIC) == SEGMENT_MAGIC &&
            get_u64le(block + at) == hash_of(block + at)) {
            memcpy(uuid, block + at + AT_UUID, 16);
            return true;
        }
    return false;
}

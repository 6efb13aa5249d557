/*
 * filter.c - building and asking the filter.
 *
 * The upper half of a key's hash chooses a 64-byte line, nine bits for each probe a bit in it; the
 * probes' bits come from a multiple of the hash, so that they do not repeat the line's number.
 */
#include "storage/filter.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "storage/mutation.h"

#define PROBES_MAX 7 /* 9 bits each out of 64 */
#define HEADER_BYTES 8
#define LINES_MAX (UINT32_C(1) << 26)

static size_t line_of(uint64_t hash, uint32_t line_count)
{
    return (size_t)(((hash >> 32) * line_count) >> 32);
}

static uint64_t probe_bits(uint64_t hash)
{
    return (hash ^ hash >> 29) * UINT64_C(0x9e3779b97f4a7c15);
}

/* 0.69 bits a key is best for a plain filter; one of lines wants a little fewer. */
static uint32_t probes_for(uint32_t bits_per_key)
{
    uint32_t probes = (bits_per_key * 6 + 5) / 10;

    return probes < 1 ? 1 : probes > PROBES_MAX ? PROBES_MAX : probes;
}

enum nx_code filter_build(const uint64_t *hashes, size_t count, uint32_t bits_per_key,
                          struct nx_buf *out)
{
    uint64_t line_count = ((uint64_t)count * bits_per_key + 511) / 512;
    uint32_t probes = probes_for(bits_per_key);
    uint8_t *header, *lines;
    enum nx_code rc;

    if (line_count == 0)
        return NX_OK;
    line_count = line_count > LINES_MAX ? LINES_MAX : line_count;
    rc = nx_buf_resize(out, out->len + HEADER_BYTES + (size_t)line_count * FILTER_LINE_BYTES);
    if (rc != NX_OK)
        return rc;
    lines = out->data + out->len - (size_t)line_count * FILTER_LINE_BYTES;
    header = lines - HEADER_BYTES;
    put_u32le(header, (uint32_t)line_count);
    put_u32le(header + 4, probes);
    for (size_t i = 0; i < count; i++) {
        uint8_t *line = lines + line_of(hashes[i], (uint32_t)line_count) * FILTER_LINE_BYTES;
        uint64_t bits = probe_bits(hashes[i] + engine_mutated(WRONG_FILTER));

        for (uint32_t p = 0; p < probes; p++, bits <<= 9)
            line[bits >> 58] |= (uint8_t)(1u << (bits >> 55 & 7));
    }
    return NX_OK;
}

bool filter_open(struct nx_slice bytes, struct filter *out, bool *nomem)
{
    uint32_t line_count, probes;

    *out = (struct filter){0};
    *nomem = false;
    if (bytes.len < HEADER_BYTES)
        return false;
    line_count = get_u32le(bytes.data);
    probes = get_u32le(bytes.data + 4);
    if (line_count == 0 || line_count > LINES_MAX || probes == 0 || probes > PROBES_MAX ||
        bytes.len - HEADER_BYTES != (size_t)line_count * FILTER_LINE_BYTES)
        return false;
    out->lines = aligned_alloc(FILTER_LINE_BYTES, (size_t)line_count * FILTER_LINE_BYTES);
    *nomem = out->lines == NULL;
    if (*nomem)
        return false;
    memcpy(out->lines, bytes.data + HEADER_BYTES, (size_t)line_count * FILTER_LINE_BYTES);
    out->line_count = line_count;
    out->probes = probes;
    return true;
}

void filter_fini(struct filter *filter)
{
    free(filter->lines);
    *filter = (struct filter){0};
}

bool filter_may_hold(const struct filter *filter, uint64_t hash)
{
    const uint8_t *line;
    uint64_t bits = probe_bits(hash);

    if (!filter->lines)
        return true;
    line = filter->lines + line_of(hash, filter->line_count) * FILTER_LINE_BYTES;
    for (uint32_t p = 0; p < filter->probes; p++, bits <<= 9)
        if (!(line[bits >> 58] & 1u << (bits >> 55 & 7)))
            return false;
    return true;
}

/*
 * filter.h - a blocked Bloom filter: one cache line a question.
 *
 * Format: FORMAT.md, "Filter".
 */
#ifndef STORAGE_FILTER_H
#define STORAGE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nexadb/buf.h>

#define FILTER_LINE_BYTES 64

struct filter {
    uint8_t *lines; /* owned, aligned to a line; NULL: answers true to all */
    uint32_t line_count;
    uint32_t probes;
};

/* Append the filter of `count` hashes to `out`; nothing for no keys or no bits. */
enum nx_code filter_build(const uint64_t *hashes, size_t count, uint32_t bits_per_key,
                          struct nx_buf *out);
/* Read one. False for bytes that are not a filter, or out of memory (*nomem). */
bool filter_open(struct nx_slice bytes, struct filter *out, bool *nomem);
void filter_fini(struct filter *filter);

bool filter_may_hold(const struct filter *filter, uint64_t hash);

#endif

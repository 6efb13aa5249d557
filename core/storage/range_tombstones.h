/*
 * range_tombstones.h - a set of deleted ranges cut into fragments that do not overlap.
 *
 * Fragments are sorted by key; each has the sequences of all ranges over it, newest first, so one
 * binary search answers "which is the newest deletion over this key as of that sequence".
 *
 * Threads:   one while it is being built; any number read it after range_tombstones_seal.
 * Ownership: keys are copied.
 */
#ifndef STORAGE_RANGE_TOMBSTONES_H
#define STORAGE_RANGE_TOMBSTONES_H

#include <stdbool.h>
#include <stddef.h>

#include "storage/entry.h"

struct range_fragment {
    struct nx_slice begin;
    struct nx_slice end;
    const uint64_t *sequences; /* descending */
    size_t count;
};

struct range_tombstones;

struct range_tombstones *range_tombstones_new(void); /* NULL: out of memory */
void range_tombstones_free(struct range_tombstones *set);
/* Any order, before the seal. An empty or inverted range is passed over. */
enum nx_code range_tombstones_add(struct range_tombstones *set, const struct range_tombstone *range,
                                  struct nx_err *err);
/* Add every range of `other`, cut to [lower, upper) (empty: unbounded), up to `sequence`. */
enum nx_code range_tombstones_add_all(struct range_tombstones *set,
                                      const struct range_tombstones *other, struct nx_slice lower,
                                      struct nx_slice upper, uint64_t sequence, struct nx_err *err);
/* Sort and cut. Afterwards it is immutable. */
enum nx_code range_tombstones_seal(struct range_tombstones *set, struct nx_err *err);

size_t range_tombstones_count(const struct range_tombstones *set); /* fragments; NULL has none */
size_t range_tombstones_raw_count(const struct range_tombstones *set); /* ranges added */
const struct range_fragment *range_tombstones_at(const struct range_tombstones *set, size_t i);
/* Index of the first fragment whose end lies after `key`; the count when none. */
size_t range_tombstones_find(const struct range_tombstones *set, struct nx_slice key);
/* Newest sequence <= `sequence` over `key`; 0 when there is none. */
uint64_t range_tombstones_cover(const struct range_tombstones *set, struct nx_slice key,
                                uint64_t sequence);
/* Newest sequence <= `sequence` of a fragment; 0 when there is none. */
uint64_t range_fragment_newest(const struct range_fragment *fragment, uint64_t sequence);

#endif

/*
 * memtable.h - the newest changes, sorted in memory: a B+tree of version chains.
 *
 * Threads:   one thread at a time applies changes (the caller's commit lock says which); any number
 *            read meanwhile and never take a lock. A reader sees every change whose application
 *            happened before it learned the sequence it reads at.
 * Ownership: counted. Keys and values are copied in; what a lookup lends lives as long as the
 *            memtable.
 */
#ifndef STORAGE_MEMTABLE_H
#define STORAGE_MEMTABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "storage/entry.h"
#include "storage/source.h"

struct memtable;
struct range_tombstones;

/* `expected_bytes` chooses the size of the pieces its memory is taken in. NULL: out of memory. */
struct memtable *memtable_new(uint64_t expected_bytes);
struct memtable *memtable_ref(struct memtable *memtable);
void memtable_unref(struct memtable *memtable); /* NULL is fine; the last one frees */

/* Apply one put or delete. Sequences of one key must grow. NX_ENOMEM, then nothing has changed. */
enum nx_code memtable_apply(struct memtable *memtable, const struct entry *change,
                            struct nx_err *err);
/* Hide [begin, end) as of `sequence`. An empty or inverted range changes nothing. */
enum nx_code memtable_delete_range(struct memtable *memtable, const struct range_tombstone *range,
                                   struct nx_err *err);

/* Newest version of `key` with a sequence <= `sequence`; false when there is none. */
bool memtable_get(const struct memtable *memtable, struct nx_slice key, uint64_t sequence,
                  struct entry *out);
/* Sequence of the newest range tombstone <= `sequence` over `key`; 0 when there is none. */
uint64_t memtable_cover(const struct memtable *memtable, struct nx_slice key, uint64_t sequence);

/* The source borrows the memtable. See source.h for `sequence`. */
enum nx_code memtable_source(struct memtable *memtable, uint64_t sequence, struct source **out,
                             struct nx_err *err);
/* All its range tombstones up to `sequence`, appended to `out`. */
enum nx_code memtable_range_tombstones(const struct memtable *memtable, uint64_t sequence,
                                       struct range_tombstones *out, struct nx_err *err);

size_t memtable_bytes(const struct memtable *memtable); /* memory in use */
size_t memtable_count(const struct memtable *memtable); /* versions, deletions and ranges */
bool memtable_is_empty(const struct memtable *memtable);
uint64_t memtable_min_sequence(const struct memtable *memtable); /* 0 while empty */
uint64_t memtable_max_sequence(const struct memtable *memtable);

#endif

/* memtable_inner.h - the inside of a memtable, for memtable.c and its source. */
#ifndef STORAGE_MEMTABLE_INNER_H
#define STORAGE_MEMTABLE_INNER_H

#include <stdatomic.h>

#include "storage/btree.h"
#include "storage/hugearena.h"
#include "storage/memtable.h"

#define RANGE_SETS_MAX 48

/* Sealed sets of range tombstones, larger ones first. Immutable. */
struct range_sets {
    size_t count;
    struct range_tombstones *set[RANGE_SETS_MAX];
};

struct memtable {
    _Atomic uint32_t refs;
    struct btree tree;
    struct huge_arena arena; /* the writer's */
    _Atomic(struct range_sets *) sets;
    struct set_list *all_sets; /* owned; the writer's */
    size_t set_bytes;          /* the writer's */
    _Atomic size_t bytes, count;
    _Atomic uint64_t min_sequence, max_sequence;
};

/* The first of a chain with a sequence <= `sequence`, or NULL. */
const struct record *record_at(const struct record *record, uint64_t sequence);
struct entry record_entry(const struct record *record);

#endif

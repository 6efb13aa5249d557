/*
 * levels.h - the shape of the tree: which tables are in which level, and finding them by key.
 *
 * Level 0 holds flushed memtables, which may overlap, newest (largest max_sequence) first. Every
 * other level is sorted by smallest key and its tables are disjoint. For any key, an entry or
 * range tombstone in a lower-numbered level (or, in level 0, an earlier table) is newer than all in
 * the following ones.
 */
#ifndef STORAGE_LEVELS_H
#define STORAGE_LEVELS_H

#include <stddef.h>

#include <nexadb/engine.h>

#include "storage/table.h"

struct level {
    struct table **tables; /* owned array; the references belong to whoever holds the levels */
    size_t count;
    uint64_t bytes; /* of the files */
};

struct levels {
    struct level level[NX_LEVELS];
};

/* Index of the first table of a sorted level whose largest key is >= `key`; count when none. */
size_t level_find(const struct level *level, struct nx_slice key);
/* Is every key and range of the table before `key`? */
bool table_ends_before(const struct table *table, struct nx_slice key);
/* Does a table reach into [begin, end]? Empty slices are infinite; `end` inclusive. */
bool table_overlaps(const struct table *table, struct nx_slice begin, struct nx_slice end);
/* All tables of a sorted level (1 and up) as one source. Borrows the level. */
enum nx_code level_source(const struct level *level, uint64_t sequence, enum cache_use use,
                          struct source **out, struct nx_err *err);

#endif

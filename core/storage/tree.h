/*
 * tree.h - what reads go to at one moment: the memtables, newest first, and the version below them.
 *
 * Immutable and counted, like a version. Only the engine's current tree is replaced, under the
 * state lock: by a memtable rotation, a flush or a compaction.
 */
#ifndef STORAGE_TREE_H
#define STORAGE_TREE_H

#include <stdatomic.h>

#include "storage/memtable.h"
#include "storage/version.h"

/* A memtable and what is needed to let go of the log once it is in tables. */
struct tree_memtable {
    uint64_t
        log_position;  /* the log up to here is in this memtable or older ones; 0 while active */
    uint64_t sequence; /* the newest change in it or older ones; likewise */
};

struct tree {
    atomic_uint refs;
    struct version *version;
    size_t count;                /* at least 1: the first is the active one */
    struct tree_memtable *marks; /* owned, one a memtable */
    struct memtable *memtables[];
};

struct tree *tree_ref(struct tree *tree);
void tree_unref(struct tree *tree); /* NULL is fine */

/* The same with `memtable` (it gets a reference of its own) in front; `mark` closes the one before.
 */
struct tree *tree_with_memtable(const struct tree *old, struct memtable *memtable,
                                const struct tree_memtable *mark);
/* The same without the `flushed` oldest memtables, over `version`. */
struct tree *tree_with_version(const struct tree *old, struct version *version, size_t flushed);

#endif

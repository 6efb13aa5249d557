/*
 * view.h - what one read sees: memtables and tables, pinned, and the sequence it reads at.
 *
 * A view never changes while it is held, and holding one blocks nobody: flushed memtables and
 * replaced tables live on until its release.
 *
 * Threads: any; one view belongs to one thread at a time.
 */
#ifndef STORAGE_VIEW_H
#define STORAGE_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "storage/levels.h"
#include "storage/memtable.h"

struct nx_engine;
struct nx_snapshot;
struct tree;
struct pin_slot;
struct cache;

struct read_view {
    struct nx_engine *engine;
    struct tree *tree;                 /* held by the slot, or counted */
    struct pin_slot *slot;             /* NULL: counted */
    struct memtable *const *memtables; /* newest first */
    size_t memtable_count;
    const struct levels *levels;
    uint64_t sequence;
};

/* At `snapshot`, or at the newest state when NULL. Cannot fail. For one lookup: there are few
 * slots. */
void read_view_acquire(struct nx_engine *engine, const struct nx_snapshot *snapshot,
                       struct read_view *out);
/* Likewise, to be kept. */
void read_view_acquire_long(struct nx_engine *engine, const struct nx_snapshot *snapshot,
                            struct read_view *out);
void read_view_release(struct read_view *view);

#endif

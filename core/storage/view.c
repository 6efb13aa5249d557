/*
 * view.c - pinning what a read sees, and snapshots.
 *
 * The tree is pinned before the sequence is read (I2): everything a compaction dropped from this
 * tree's tables had been replaced by then, by a version that this sequence can see.
 */
#include "storage/view.h"

#include <stdlib.h>

#include "storage/engine.h"

struct tree *engine_tree(struct nx_engine *engine)
{
    struct tree *tree;

    nx_mutex_lock(&engine->state_mu);
    tree = tree_ref(atomic_load(&engine->tree));
    nx_mutex_unlock(&engine->state_mu);
    return tree;
}

static void fill_in(struct nx_engine *engine, const struct nx_snapshot *snapshot, struct tree *tree,
                    struct pin_slot *slot, struct read_view *out)
{
    *out = (struct read_view){
        .engine = engine,
        .tree = tree,
        .slot = slot,
        .memtables = tree->memtables,
        .memtable_count = tree->count,
        .levels = &tree->version->levels,
        /* Acquire: all changes up to it are in the memtables (I1). */
        .sequence = snapshot ? snapshot->sequence
                             : atomic_load_explicit(&engine->visible, memory_order_acquire),
    };
}

void read_view_acquire(struct nx_engine *engine, const struct nx_snapshot *snapshot,
                       struct read_view *out)
{
    struct pin_slot *slot = NULL;
    struct tree *tree = pin_current(&engine->pins, &engine->tree, &slot);

    if (!tree)
        tree = engine_tree(engine);
    fill_in(engine, snapshot, tree, slot, out);
}

void read_view_acquire_long(struct nx_engine *engine, const struct nx_snapshot *snapshot,
                            struct read_view *out)
{
    struct pin_slot *slot;

    read_view_acquire(engine, snapshot, out);
    slot = out->slot;
    if (!slot)
        return;
    tree_ref(out->tree);
    out->slot = NULL;
    unpin(slot, out->tree);
}

void read_view_release(struct read_view *view)
{
    if (view->slot)
        unpin(view->slot, view->tree);
    else
        tree_unref(view->tree);
    view->tree = NULL;
}

void engine_pin_sequence(struct nx_engine *engine, struct nx_snapshot *snapshot, uint64_t sequence)
{
    struct nx_snapshot *older = engine->newest_snapshot;

    while (older && older->sequence > sequence)
        older = older->older;
    snapshot->engine = engine;
    snapshot->sequence = sequence;
    snapshot->older = older;
    snapshot->newer = older ? older->newer : engine->oldest_snapshot;
    if (snapshot->newer)
        snapshot->newer->older = snapshot;
    else
        engine->newest_snapshot = snapshot;
    if (older)
        older->newer = snapshot;
    else
        engine->oldest_snapshot = snapshot;
    engine->snapshot_count++;
}

struct nx_snapshot *nx_snapshot_take(struct nx_engine *engine)
{
    struct nx_snapshot *snapshot = calloc(1, sizeof *snapshot);

    if (!snapshot)
        return NULL;
    nx_mutex_lock(&engine->state_mu);
    /* Under the lock, so that a flush or compaction that reads the list later sees us in it, and
     * one that read it before kept every version this sequence can see (I3). */
    engine_pin_sequence(engine, snapshot,
                        atomic_load_explicit(&engine->visible, memory_order_acquire));
    nx_mutex_unlock(&engine->state_mu);
    return snapshot;
}

void nx_snapshot_release(struct nx_snapshot *snapshot)
{
    struct nx_engine *engine;

    if (!snapshot)
        return;
    engine = snapshot->engine;
    nx_mutex_lock(&engine->state_mu);
    if (snapshot->older)
        snapshot->older->newer = snapshot->newer;
    else
        engine->oldest_snapshot = snapshot->newer;
    if (snapshot->newer)
        snapshot->newer->older = snapshot->older;
    else
        engine->newest_snapshot = snapshot->older;
    engine->snapshot_count--;
    if (engine->compaction_is_stuck) { /* what it had to keep may be what there was no room for */
        engine->table_changes++;
        nx_cond_signal(&engine->compact_wake);
    }
    nx_mutex_unlock(&engine->state_mu);
    free(snapshot);
}

uint64_t nx_snapshot_sequence(const struct nx_snapshot *snapshot)
{
    return snapshot->sequence;
}

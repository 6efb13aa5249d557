/*
 * compact.h - rewriting tables: flushing memtables, choosing a compaction, running it.
 *
 * What may be dropped: a version, when a newer one of its key is visible to the same snapshots; a
 * deletion or range tombstone, when nothing older of its keys can be left in a lower level.
 *
 * `snapshots` must hold every sequence that a reader may later read at through the new tables: the
 * live snapshots, collected while no memtable of the job was still being written. Readers that hold
 * the old tables need not be in it.
 *
 * Threads: one flush and one compaction may run at a time, on any threads.
 * Errors:  a failed or stopped job has removed what files of its own it could; those left are not
 *          in any manifest and go at the next open. What `pause` failed with.
 */
#ifndef STORAGE_COMPACT_H
#define STORAGE_COMPACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nexadb/io.h>

#include "storage/levels.h"
#include "storage/memtable.h"

struct compact_env {
    struct nx_io *io;
    const char *dir;
    struct cache *cache;
    struct table_options table;
    enum nx_compression bottom_compression; /* instead of the table's, in the last level */
    bool is_requested;                      /* somebody waits for it: what is to stay is dense */
    uint64_t table_bytes;
    uint32_t fanout;
    uint64_t (*new_number)(void *arg);                    /* a file number never used before */
    enum nx_code (*pause)(void *arg, struct nx_err *err); /* called now and then amid a merge: may
                                                             do what is more urgent; when it fails,
                                                             so does the job. May be NULL */
    void *arg;
    const uint64_t *snapshots; /* ascending */
    size_t snapshot_count;
};

struct compact_result {
    struct table *
        *outputs; /* owned array of references, in key order; files and directory synced */
    size_t count;
    uint64_t read_bytes, written_bytes;
};
void compact_result_fini(struct compact_result *result);

/* Write memtables, newest first, as one table for level 0; no output when they are empty. */
enum nx_code flush_run(const struct compact_env *env, struct memtable *const *memtables,
                       size_t count, struct compact_result *out, struct nx_err *err);

struct compaction {
    struct table **inputs; /* owned array, borrowed tables: by level, from `from` down to `to` */
    size_t count;
    size_t counts[NX_LEVELS]; /* of them, of each level */
    unsigned from, to;        /* equal when a level is rewritten in place */
    bool is_move;             /* nothing to merge: the inputs may just change their level */
    bool is_drain;            /* it makes room in the tiers */
    bool is_purge;            /* one table, rewritten without what the levels above hide */
};
void compaction_fini(struct compaction *job);

/* What the tree needs most. False when it needs nothing. `cursor` remembers per level where the
 * last one ended (the caller's, NX_LEVELS empty buffers at first). */
bool compact_pick(const struct levels *levels, uint64_t table_bytes, uint32_t fanout,
                  struct nx_buf *cursor, struct compaction *out);
/* What level 0 needs amid a compaction of level `above` (1 or more) and those below it: only to
 * levels that it does not touch. */
bool compact_pick_amid(const struct levels *levels, uint64_t table_bytes, uint32_t fanout,
                       unsigned above, struct compaction *out);
/* What brings deletions down to what they delete, one table at a time: space comes back. False when
 * only the last level has any. */
bool compact_pick_deletions(const struct levels *levels, struct compaction *out);
/* The tables below level 0, and a job for the i-th, those of the lowest level first: to be
 * rewritten in its place without what the levels above hide. Unlike a merge it needs no more room
 * than what stays of one table, so it is what a full disk has room for. False when nothing is above
 * it. */
size_t compact_purge_count(const struct levels *levels);
bool compact_pick_purge(const struct levels *levels, size_t i, struct compaction *out);
/* One step of bringing all of [begin, end] (empty: infinite) to the bottom; false when it is there.
 */
bool compact_pick_range(const struct levels *levels, struct nx_slice begin, struct nx_slice end,
                        struct compaction *out);
/* --- space to give back; compact_reclaim.c ------------------------------------------------------
 */

struct compact_reclaim {
    const uint64_t *snapshots; /* ascending: all, as in compact_env */
    size_t snapshot_count;
    /* Snapshots with sequences in [least, greatest] were dropped when tables from `before` on were
     * not yet there; 0: none were. */
    uint64_t dropped_least, dropped_greatest, dropped_before;
};
/* Tables that a range tombstone in another table hides from everybody: out->inputs may just go. */
enum nx_code compact_find_dead(const struct levels *levels, const struct compact_reclaim *reclaim,
                               struct compaction *out, struct nx_err *err);
/* A table that holds what was kept for snapshots that are gone, to be rewritten in its place. */
bool compact_pick_reclaim(const struct levels *levels, const struct compact_reclaim *reclaim,
                          struct compaction *out);

/* Merge the inputs into new tables for level job->to. `levels` is what the job was picked from. */
enum nx_code compact_run(const struct compact_env *env, const struct levels *levels,
                         const struct compaction *job, struct compact_result *out,
                         struct nx_err *err);

/* How much of the table of a purge would go, in thousandths of its keys and values. Writes nothing.
 */
enum nx_code compact_gain(const struct compact_env *env, const struct levels *levels,
                          const struct compaction *job, unsigned *out, struct nx_err *err);

#endif

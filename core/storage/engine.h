/*
 * engine.h - the inside of struct nx_engine, for the files that implement it.
 *
 *     commit.c      batches -> log -> memtable -> visible            (commit lock)
 *     sync.c        log -> disk, and the acknowledgements            (who waits, sync thread)
 *     flush.c       memtables -> tables of level 0                   (flush thread)
 *     compaction.c  tables -> tables                                 (compaction thread)
 *     view.c get.c  what a read sees                                 (any thread)
 *     named.c       snapshots that last                              (any thread)
 *     ingest.c      sorted runs -> tables                            (any thread)
 *     recover.c     directory -> all of the above, before any thread runs
 *
 * The numbered invariants are in README.md.
 */
#ifndef STORAGE_ENGINE_H
#define STORAGE_ENGINE_H

#include <stdatomic.h>

#include <nexadb/engine.h>

#include "base/lock.h"
#include "storage/batch.h"
#include "storage/compact.h"
#include "storage/latency.h"
#include "storage/manifest.h"
#include "storage/pace.h"
#include "storage/pins.h"
#include "storage/reserve.h"
#include "storage/tree.h"
#include "storage/wal.h"

enum {
    IMMUTABLE_MAX = 2,      /* full memtables that wait for their flush before commits wait too */
    LEVEL0_STOP_TABLES = 64 /* commits wait while level 0 has more; pace.c slows them long before */
};

struct nx_snapshot {
    struct nx_engine *engine;
    uint64_t sequence;
    struct nx_snapshot *older, *newer; /* guarded by engine->state_mu */
    bool is_named;                     /* the pin of one that has a name */
};

/* A snapshot with a name, and what keeps it readable. */
struct named_snapshot {
    struct nx_snapshot_info info;
    struct nx_snapshot *pin; /* owned */
};

struct commit_request;

/* Someone to be told, of the disk or of room. */
struct waiter {
    struct waiter *next;
    nx_commit_fn done;
    void *arg;
};

struct engine_counters {
    _Atomic uint64_t commits, commit_bytes, syncs, flushes, compactions;
    _Atomic uint64_t flush_bytes, compaction_read_bytes, compaction_written_bytes;
    _Atomic uint64_t stalls, stall_ns;
    _Atomic uint64_t runs, run_bytes;
};

struct nx_engine {
    struct nx_io *io; /* outlives us */
    char *dir;        /* owned */
    /* Those that can change are stored under commit_mu, sync_mu and state_mu, and compact_mu when
     * compaction reads them: each suffices to read. */
    struct nx_engine_options options;
    uint64_t most_memtable_bytes; /* what the reserve was made for */
    struct nx_dirlock *lock;
    struct cache *cache;
    struct wal *wal;         /* NULL when read-only */
    struct reserve *reserve; /* NULL when read-only */
    struct engine_counters counters;
    struct latency latency[NX_LATENCY_KINDS];

    _Atomic(struct commit_request *) queue; /* release: a request is complete before it is here */
    struct nx_mutex commit_mu;              /* order of commits; log writes under it */
    uint64_t sequence;                      /* guarded by commit_mu; the last given out */
    struct memtable *active;                /* guarded by commit_mu; the tree's first */
    struct nx_slice *parts;                 /* guarded by commit_mu; owned, of one group */
    size_t parts_cap;                       /* guarded by commit_mu */
    _Atomic uint64_t visible; /* release: every change up to here is in the memtables */

    struct nx_mutex sync_mu;
    struct nx_cond sync_wake;
    struct nx_cond round_over[2];             /* by the number waited for: odd and even ones */
    uint64_t round_begun, round_ended;        /* guarded by sync_mu; numbers of syncs of the log */
    bool round_runs;                          /* guarded by sync_mu */
    struct nx_err round_error;                /* guarded by sync_mu; of the last that ended */
    struct waiter *sync_waiters, **sync_last; /* guarded by sync_mu; oldest first */
    bool sync_is_due;                         /* guarded by sync_mu */
    bool sync_stop;                           /* guarded by sync_mu */
    struct nx_thread *sync_thread;

    struct nx_mutex state_mu;     /* no I/O under it */
    struct nx_cond flush_wake;    /* there is something to flush, or to end */
    struct nx_cond compact_wake;  /* likewise to compact */
    struct nx_cond state_changed; /* a flush or compaction ended, or failed */
    _Atomic(struct tree *) tree;  /* replaced under state_mu; then pins_retire the old one */
    struct pins pins;             /* of reads that hold it */
    struct nx_snapshot *newest_snapshot, *oldest_snapshot; /* guarded by state_mu */
    uint64_t snapshot_count;                               /* guarded by state_mu */
    struct named_snapshot *named;   /* guarded by state_mu; owned, by number */
    size_t named_count;             /* guarded by state_mu */
    struct compact_reclaim dropped; /* guarded by state_mu; its dropped_* only */
    uint32_t last_named;            /* guarded by state_mu; the number given last */
    uint64_t flushed_sequence;      /* guarded by state_mu; in durable tables */
    uint64_t table_changes;         /* guarded by state_mu; how often compaction got new work */
    uint64_t flush_failures;        /* guarded by state_mu */
    struct pace pace;               /* guarded by state_mu, but for its atomics */
    bool compaction_is_stuck;       /* guarded by state_mu; the disk has no room for it */
    struct nx_err background;       /* guarded by state_mu; code NX_OK: none */
    bool background_is_final;       /* guarded by state_mu; only a reopen helps */
    struct waiter *room_waiters;    /* guarded by state_mu */
    _Atomic bool has_background_error;
    _Atomic bool flush_wants_room; /* on a full disk: a compaction makes way */
    _Atomic bool is_reclaiming;    /* likewise, until no table above the last level has any */
    _Atomic bool has_reclaimed;    /* on a full disk: deletions wait to be merged */
    atomic_uint runs_waiting;      /* for the memtables to be flushed: commits wait meanwhile */
    _Atomic bool is_closing;

    struct nx_mutex manifest_mu;
    struct manifest *manifest;               /* guarded by manifest_mu; NULL when read-only */
    struct version *version;                 /* guarded by manifest_mu; the tree's */
    _Atomic uint64_t next_table;             /* number of the next table file */
    struct nx_mutex compact_mu;              /* one compaction at a time */
    struct nx_buf compact_cursor[NX_LEVELS]; /* guarded by compact_mu */
    size_t purge_turn;                       /* guarded by compact_mu; the table to look at next */
    unsigned purges;                         /* guarded by compact_mu; since a merge was tried */
    unsigned compact_from;                   /* guarded by compact_mu; level of the job that runs,
                                                0: level 0 has to wait for its end */
    _Atomic unsigned compact_requests;       /* calls of nx_engine_compact under way */
    struct nx_thread *flush_thread, *compact_thread;
};

/* --- commit.c --------------------------------------------------------------------------------- */

/* Log and apply `batch`; *position is behind it in the log. NX_EBUSY only when `nowait`. */
enum nx_code engine_commit(struct nx_engine *engine, const struct nx_batch *batch, bool nowait,
                           uint64_t *position, struct nx_err *err);
/* Close the active memtable, if it holds anything, whatever waits already. The log up to
 * `position` is in it and the older ones. */
enum nx_code engine_rotate(struct nx_engine *engine, uint64_t position, struct nx_err *err)
    NX_REQUIRES(engine->commit_mu);
/* The same also when it holds nothing. */
enum nx_code engine_replace_active(struct nx_engine *engine, uint64_t position, struct nx_err *err)
    NX_REQUIRES(engine->commit_mu);
/* Memtables or tables were added or have gone: how fast may commits come? */
void engine_adjust_pace(struct nx_engine *engine) NX_REQUIRES(engine->state_mu);
/* The disk counts as full (reserve.h) and still is. */
bool engine_disk_is_full(struct nx_engine *engine);
/* Everyone who waits for room looks again. */
void engine_wake_room(struct nx_engine *engine);

/* --- sync.c ----------------------------------------------------------------------------------- */

void engine_sync_thread(void *arg);
/* Have it do a round, and prepare the log's next segment, now rather than later. */
void engine_wake_sync(struct nx_engine *engine);

/* --- flush.c ---------------------------------------------------------------------------------- */

void engine_flush_thread(void *arg);
/* Close the active memtable and wait until it and the older ones are in tables. */
enum nx_code engine_flush_all(struct nx_engine *engine, struct nx_err *err);
/* The sequences of all snapshots, ascending, as bytes of uint64_t (I3). */
enum nx_code engine_snapshots(struct nx_engine *engine, struct nx_buf *out, struct nx_err *err);
/* What a flush or compaction works with. *env borrows `snapshots`. */
enum nx_code engine_compact_env(struct nx_engine *engine, struct nx_buf *snapshots,
                                struct compact_env *env, struct nx_err *err);

/* --- compaction.c ----------------------------------------------------------------------------- */

void engine_compact_thread(void *arg);
/* Have it look at the tables. */
void engine_wake_compaction(struct nx_engine *engine);

/* --- install.c -------------------------------------------------------------------------------- */

/* Make a change of the tables durable, then current; `flushed` memtables leave with it. */
enum nx_code engine_install(struct nx_engine *engine, const struct version_change *change,
                            size_t flushed, struct nx_err *err);
/* The same for tables of a run; with everything up to `flushed_sequence` (0: unchanged) in tables.
 */
enum nx_code engine_install_run(struct nx_engine *engine, const struct version_change *change,
                                uint64_t flushed_sequence, struct nx_err *err)
    NX_REQUIRES(engine->manifest_mu);
/* What the log has before `position` is in tables: start it as late as can be. */
enum nx_code engine_install_log(struct nx_engine *engine, uint64_t position, struct nx_err *err);

/* --- engine.c --------------------------------------------------------------------------------- */

/* The name of `dir` on disk. */
enum nx_code engine_sync_parent(struct nx_engine *engine, const char *dir, struct nx_err *err);
/* Commits fail with `why` until it is cleared; for good when `is_final`. */
void engine_set_background(struct nx_engine *engine, const struct nx_err *why, bool is_final);
void engine_clear_background(struct nx_engine *engine);
enum nx_code engine_background(struct nx_engine *engine, struct nx_err *err);

/* --- options.c ----------------------------------------------------------------------------------
 */

enum nx_code engine_check_options(const struct nx_engine_options *options, struct nx_err *err);

/* --- view.c ----------------------------------------------------------------------------------- */

/* A counted reference to the current tree. */
struct tree *engine_tree(struct nx_engine *engine);
/* A snapshot at a sequence that one in the list has; `snapshot` has its memory. */
void engine_pin_sequence(struct nx_engine *engine, struct nx_snapshot *snapshot, uint64_t sequence)
    NX_REQUIRES(engine->state_mu);

/* --- named.c ---------------------------------------------------------------------------------- */

/* Pin what the manifest names: before anything is flushed. */
enum nx_code engine_load_named(struct nx_engine *engine, const struct manifest_state *state,
                               struct nx_err *err);
void engine_free_named(struct nx_engine *engine);

/* --- recover.c -------------------------------------------------------------------------------- */

/* Read what the directory holds, or make it; leaves tree, log and manifest in place. */
enum nx_code engine_recover(struct nx_engine *engine, struct nx_err *err);

#endif

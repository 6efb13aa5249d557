/*
 * flush.c - writing full memtables to level 0.
 *
 * A failed flush loses nothing: the memtables stay readable and the log keeps their changes.
 * Commits then fail with its error, and the thread tries again, ever less often, until the disk has
 * recovered. On a full disk it has the reserve, which is as large as one memtable's log.
 */
#include <stdlib.h>

#include "storage/engine.h"
#include "storage/mutation.h"

enum { RETRY_MS = 250, RETRY_DOUBLINGS = 3 };

static uint64_t new_number(void *arg)
{
    struct nx_engine *engine = arg;

    return atomic_fetch_add(&engine->next_table, 1);
}

enum nx_code engine_snapshots(struct nx_engine *engine, struct nx_buf *out, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    if (engine_mutated(FORGET_SNAPSHOTS))
        return NX_OK;
    nx_mutex_lock(&engine->state_mu);
    for (struct nx_snapshot *s = engine->oldest_snapshot; s && rc == NX_OK; s = s->newer)
        if (!s->is_named || !engine_mutated(FORGET_NAMED))
            rc = nx_buf_append(out, &s->sequence, sizeof s->sequence);
    nx_mutex_unlock(&engine->state_mu);
    return rc == NX_OK ? NX_OK : nx_fail_nomem(err);
}

enum nx_code engine_compact_env(struct nx_engine *engine, struct nx_buf *snapshots,
                                struct compact_env *env, struct nx_err *err)
{
    enum nx_code rc = engine_snapshots(engine, snapshots, err); /* I3 */
    struct nx_engine_options options;

    nx_mutex_lock(&engine->state_mu);
    options = engine->options;
    nx_mutex_unlock(&engine->state_mu);

    *env = (struct compact_env){
        .io = engine->io,
        .dir = engine->dir,
        .cache = engine->cache,
        .table = {.block_bytes = options.block_bytes,
                  .bloom_bits_per_key = options.bloom_bits_per_key,
                  .compression = options.compression},
        .bottom_compression = options.bottom_compression,
        .table_bytes = options.table_bytes,
        .fanout = options.level_fanout,
        .new_number = new_number,
        .arg = engine,
        .snapshots = (const uint64_t *)(const void *)snapshots->data,
        .snapshot_count = snapshots->len / sizeof(uint64_t),
    };
    return rc;
}

/* --- one flush -------------------------------------------------------------------------------- */

static void note_pace(struct nx_engine *engine, uint64_t bytes, uint64_t table_bytes, uint64_t ns)
{
    nx_mutex_lock(&engine->state_mu);
    pace_flushed(&engine->pace, bytes, table_bytes, ns);
    engine_adjust_pace(engine);
    nx_mutex_unlock(&engine->state_mu);
}

/* The first table of all only changes its level when a compaction was asked for: it should be as
 * dense as one that was rewritten for it. */
static bool is_first_on_request(struct nx_engine *engine, const struct tree *tree)
{
    bool is_first = atomic_load(&engine->compact_requests) > 0;

    for (unsigned l = 0; l < NX_LEVELS; l++)
        is_first = is_first && tree->version->levels.level[l].count == 0;
    return is_first;
}

/* One at a time: the next commit that needs room waits for one, not for two. */
static enum nx_code flush_oldest(struct nx_engine *engine, const struct tree *tree,
                                 struct nx_err *err)
{
    struct nx_buf snapshots NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct memtable *const *oldest = &tree->memtables[tree->count - 1];
    uint64_t begin = engine->io->ops->monotonic_ns(engine->io);
    struct compact_result result = {0};
    struct compact_env env;
    enum nx_code rc = engine_compact_env(engine, &snapshots, &env, err);

    env.table.dense = is_first_on_request(engine, tree);
    if (rc == NX_OK)
        rc = flush_run(&env, oldest, 1, &result, err);
    if (rc == NX_OK) {
        struct version_change change = {
            .added = result.outputs, .added_count = result.count, .level = 0};

        rc = engine_install(engine, &change, 1, err);
    }
    if (rc == NX_OK) {
        note_pace(engine, memtable_bytes(*oldest), result.written_bytes,
                  engine->io->ops->monotonic_ns(engine->io) - begin);
        atomic_fetch_add_explicit(&engine->counters.flushes, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&engine->counters.flush_bytes, result.written_bytes,
                                  memory_order_relaxed);
    }
    compact_result_fini(&result);
    return rc;
}

/* With the reserve, and without a compaction beside it that would take the space. */
static enum nx_code flush_in_reserve(struct nx_engine *engine, const struct tree *tree,
                                     struct nx_err *err)
{
    enum nx_code rc;

    atomic_store(&engine->flush_wants_room, true);
    nx_mutex_lock(&engine->compact_mu);
    atomic_store(&engine->flush_wants_room, false);
    reserve_release(engine->reserve, RESERVE_FLUSH, UINT64_MAX);
    rc = flush_oldest(engine, tree, err);
    nx_mutex_unlock(&engine->compact_mu);
    return rc;
}

static enum nx_code flush_once(struct nx_engine *engine, struct nx_err *err)
{
    struct tree *tree = engine_tree(engine);
    enum nx_code rc = NX_OK;

    if (tree->count > 1) {
        uint64_t begin = engine->io->ops->monotonic_ns(engine->io);

        rc = flush_oldest(engine, tree, err); /* the first is still being written */
        if (rc == NX_ENOSPC)
            rc = flush_in_reserve(engine, tree, err);
        latency_end(&engine->latency[NX_LATENCY_FLUSH], engine->io, begin);
    }
    tree_unref(tree);
    return rc;
}

static void report(struct nx_engine *engine, enum nx_code rc, const struct nx_err *err)
{
    if (rc == NX_OK)
        engine_clear_background(engine);
    else
        engine_set_background(engine, err, rc == NX_ECORRUPT);
    nx_mutex_lock(&engine->state_mu);
    if (rc != NX_OK)
        engine->flush_failures++;
    nx_cond_signal(&engine->compact_wake);
    nx_mutex_unlock(&engine->state_mu);
    if (rc == NX_OK)
        engine_disk_is_full(engine); /* the log has become shorter: fill the reserve again */
    engine_wake_room(engine);
}

/* Wait for work, a while after failures in a row; false when it is time to end. */
static bool next_flush(struct nx_engine *engine, unsigned failures)
{
    bool go_on;

    nx_mutex_lock(&engine->state_mu);
    if (failures && !atomic_load(&engine->is_closing))
        nx_cond_wait_ms(&engine->flush_wake, &engine->state_mu,
                        RETRY_MS << (failures < RETRY_DOUBLINGS ? failures - 1 : RETRY_DOUBLINGS));
    while (atomic_load(&engine->tree)->count == 1 && !atomic_load(&engine->is_closing))
        nx_cond_wait(&engine->flush_wake, &engine->state_mu);
    go_on = !atomic_load(&engine->is_closing);
    nx_mutex_unlock(&engine->state_mu);
    return go_on;
}

void engine_flush_thread(void *arg)
{
    struct nx_engine *engine = arg;
    unsigned failures = 0;

    while (next_flush(engine, failures)) {
        struct nx_err err = NX_ERR_INIT;
        enum nx_code rc = flush_once(engine, &err);

        failures = rc == NX_OK ? 0 : failures + 1;
        report(engine, rc, &err);
    }
}

/* --- waiting for one -------------------------------------------------------------------------- */

/* Until everything up to `sequence` is in tables, or a flush that began after now has failed. */
static enum nx_code await_flush(struct nx_engine *engine, uint64_t sequence, struct nx_err *err)
{
    enum nx_code rc = NX_OK;
    uint64_t failures;

    nx_mutex_lock(&engine->state_mu);
    failures = engine->flush_failures;
    while (engine->flushed_sequence < sequence && rc == NX_OK) {
        if (engine->flush_failures != failures || engine->background_is_final) {
            rc = engine->background.code != NX_OK ? engine->background.code : NX_EIO;
            if (err)
                *err = engine->background;
        } else {
            nx_cond_wait(&engine->state_changed, &engine->state_mu);
        }
    }
    nx_mutex_unlock(&engine->state_mu);
    return rc;
}

/* The newest change that is in closed memtables or tables. */
static uint64_t last_closed(struct nx_engine *engine)
{
    const struct tree *tree;
    uint64_t sequence;

    nx_mutex_lock(&engine->state_mu);
    tree = atomic_load(&engine->tree);
    sequence = tree->count > 1 ? tree->marks[1].sequence : engine->flushed_sequence;
    nx_mutex_unlock(&engine->state_mu);
    return sequence;
}

enum nx_code engine_flush_all(struct nx_engine *engine, struct nx_err *err)
{
    uint64_t sequence, position;
    enum nx_code rc;

    nx_mutex_lock(&engine->commit_mu);
    rc = wal_leave_used(engine->wal, err);
    position = wal_end(engine->wal);
    sequence = engine->sequence;
    /* Also when the memtable is empty and only the log has the last sequence, of a run: the log is
     * about to go. */
    if (rc == NX_OK && last_closed(engine) < sequence)
        rc = engine_replace_active(engine, position, err);
    nx_mutex_unlock(&engine->commit_mu);
    if (rc == NX_OK)
        rc = await_flush(engine, sequence, err);
    /* All is in tables; but a segment must go even when there was nothing to flush. When a lost one
     * cannot, the next sync flushes again. */
    if (rc == NX_OK && wal_starts_before(engine->wal, position))
        engine_install_log(engine, position, NULL);
    return rc;
}

enum nx_code nx_engine_flush(struct nx_engine *engine, struct nx_err *err)
{
    if (engine->options.read_only)
        return nx_fail(err, NX_EROFS, "'%s' is open for reading only", engine->dir);
    return engine_flush_all(engine, err);
}

/*
 * compaction.c - the thread that keeps the levels in shape, and compaction on request.
 */
#include <stdlib.h>

#include "storage/engine.h"
#include "storage/mutation.h"
#include "storage/view.h"

enum {
    RETRY_MS = 250,
    RETRY_DOUBLINGS = 3,
    PURGES_A_TRY = 8,      /* on a full disk, between two tries of what it had no room for */
    PURGE_CANDIDATES = 16, /* tables that are looked at for one to purge */
    PURGE_WORTH = 125,     /* thousandths of a table: with less to win it is left alone */
    PURGE_ENOUGH = 900     /* with so much nobody looks for a better one */
};

static enum nx_code pause_merge(void *arg, struct nx_err *err);

static void remove_tables(struct nx_engine *engine, const struct compaction *job)
{
    for (size_t i = 0; i < job->count; i++) {
        uint64_t number = table_props(job->inputs[i])->number;
        struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        char name[TABLE_NAME_BYTES];

        table_name(number, name);
        if (nx_buf_printf(&path, "%s/%s", engine->dir, name) == NX_OK &&
            nx_buf_append_byte(&path, 0) == NX_OK)
            engine->io->ops->remove(engine->io, (const char *)path.data, NULL);
    }
}

static void count_job(struct nx_engine *engine, const struct compact_result *result)
{
    struct engine_counters *counters = &engine->counters;

    atomic_fetch_add_explicit(&counters->compactions, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counters->compaction_read_bytes, result->read_bytes,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&counters->compaction_written_bytes, result->written_bytes,
                              memory_order_relaxed);
}

static enum nx_code move_tables(struct nx_engine *engine, const struct compaction *job,
                                struct nx_err *err)
{
    struct version_change change = {.removed = job->inputs,
                                    .removed_count = job->count,
                                    .added = job->inputs,
                                    .added_count = job->count,
                                    .level = job->to};

    return engine_install(engine, &change, 0, err);
}

static enum nx_code merge_tables(struct nx_engine *engine, const struct levels *levels,
                                 const struct compaction *job, struct nx_err *err)
{
    struct nx_buf snapshots NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct compact_result result = {0};
    struct compact_env env;
    enum nx_code rc = engine_compact_env(engine, &snapshots, &env, err);

    env.pause = pause_merge;
    env.is_requested = atomic_load(&engine->compact_requests) > 0;
    if (rc == NX_OK)
        rc = compact_run(&env, levels, job, &result, err);
    if (rc == NX_OK) {
        struct version_change change = {.removed = job->inputs,
                                        .removed_count = job->count,
                                        .added = result.outputs,
                                        .added_count = result.count,
                                        .level = job->to};

        if (engine_mutated(REMOVE_TABLES_FIRST))
            remove_tables(engine, job);
        rc = engine_install(engine, &change, 0, err);
    }
    if (rc == NX_OK) {
        remove_tables(engine, job); /* durably replaced (I8); readers have them open */
        count_job(engine, &result);
    }
    compact_result_fini(&result);
    return rc;
}

static void note_pace(struct nx_engine *engine, const struct compaction *job, uint64_t ns)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < job->count - job->counts[job->to]; i++)
        bytes += table_props(job->inputs[i])->file_bytes;
    nx_mutex_lock(&engine->state_mu);
    if (job->is_drain)
        pace_drained(&engine->pace, bytes, ns);
    else
        pace_compacted(&engine->pace, bytes, ns);
    engine_adjust_pace(engine);
    nx_mutex_unlock(&engine->state_mu);
}

/* What comes to the last level is rewritten when that is compressed in another way. */
static bool may_move(const struct nx_engine *engine, const struct compaction *job)
{
    const struct nx_engine_options *o = &engine->options;

    return job->is_move && (job->to < NX_LEVELS - 1 || o->compression == o->bottom_compression);
}

static enum nx_code run_job(struct nx_engine *engine, const struct levels *levels,
                            const struct compaction *job, struct nx_err *err)
    NX_REQUIRES(engine->compact_mu)
{
    uint64_t begin = engine->io->ops->monotonic_ns(engine->io);
    bool move = may_move(engine, job);
    enum nx_code rc;

    engine->compact_from = job->is_purge ? 0 : job->from; /* a purge is for want of room */
    rc = move ? move_tables(engine, job, err) : merge_tables(engine, levels, job, err);
    latency_end(&engine->latency[NX_LATENCY_COMPACTION], engine->io, begin);
    if (rc == NX_OK && (job->from == 0 || job->is_drain) && !move)
        note_pace(engine, job, engine->io->ops->monotonic_ns(engine->io) - begin);
    engine_wake_room(engine);
    return rc;
}

/* --- amid a merge ----------------------------------------------------------------------------- */

/* A merge of the levels below may take half a minute: level 0 does not wait for it. */
static enum nx_code run_level0_amid(struct nx_engine *engine, struct nx_err *err)
    NX_REQUIRES(engine->compact_mu)
{
    unsigned from = engine->compact_from;
    enum nx_code rc = NX_OK;
    struct compaction job;
    struct read_view view;

    read_view_acquire_long(engine, NULL, &view);
    if (compact_pick_amid(view.levels, engine->options.table_bytes, engine->options.level_fanout,
                          from, &job)) {
        rc = run_job(engine, view.levels, &job, err);
        compaction_fini(&job);
    }
    read_view_release(&view);
    engine->compact_from = from;
    if (rc != NX_ENOSPC)
        return rc;
    engine->compact_from = 0; /* but the job around it may have room, and make some */
    return NX_OK;
}

/* Called by the thread that runs the job, so with compact_mu held. */
static enum nx_code pause_merge(void *arg, struct nx_err *err) NX_NO_THREAD_SAFETY
{
    struct nx_engine *engine = arg;

    if (atomic_load_explicit(&engine->is_closing, memory_order_relaxed) ||
        atomic_load_explicit(&engine->flush_wants_room, memory_order_relaxed))
        return nx_fail(err, NX_ECANCELED, "the compaction was stopped");
    return engine->compact_from > 1 ? run_level0_amid(engine, err) : NX_OK;
}

/* --- giving space back ------------------------------------------------------------------------ */

static enum nx_code reclaim_state(struct nx_engine *engine, struct nx_buf *snapshots,
                                  struct compact_reclaim *out, struct nx_err *err)
{
    enum nx_code rc = engine_snapshots(engine, snapshots, err);

    nx_mutex_lock(&engine->state_mu);
    *out = engine->dropped;
    nx_mutex_unlock(&engine->state_mu);
    out->snapshots = (const uint64_t *)(const void *)snapshots->data;
    out->snapshot_count = snapshots->len / sizeof(uint64_t);
    return rc;
}

/* Tables that are hidden as a whole go without being read. */
static enum nx_code drop_dead(struct nx_engine *engine, const struct levels *levels,
                              const struct compact_reclaim *reclaim, struct nx_err *err)
{
    struct compaction dead;
    enum nx_code rc = compact_find_dead(levels, reclaim, &dead, err);

    if (rc == NX_OK && dead.count > 0) {
        struct version_change change = {.removed = dead.inputs, .removed_count = dead.count};

        rc = engine_install(engine, &change, 0, err);
        if (rc == NX_OK)
            remove_tables(engine, &dead);
    }
    compaction_fini(&dead);
    return rc;
}

/* What was removed from a full disk frees nothing before it meets its deletion. */
static bool pick_deletions(struct nx_engine *engine, const struct levels *levels,
                           struct compaction *out)
{
    if (!atomic_load(&engine->is_reclaiming))
        return false;
    if (compact_pick_deletions(levels, out))
        return true;
    atomic_store(&engine->is_reclaiming, atomic_load(&engine->has_reclaimed));
    return false;
}

static enum nx_code pause_count(void *arg, struct nx_err *err)
{
    struct nx_engine *engine = arg;

    return atomic_load_explicit(&engine->is_closing, memory_order_relaxed)
               ? nx_fail(err, NX_ECANCELED, "the compaction was stopped")
               : NX_OK;
}

/* Of the next tables in turn the one of which most is hidden; what cannot be read is passed over.
 */
static unsigned find_purge(struct nx_engine *engine, const struct levels *levels,
                           struct compact_env *env, struct compaction *best)
    NX_REQUIRES(engine->compact_mu)
{
    size_t count = compact_purge_count(levels);
    unsigned most = PURGE_WORTH;

    env->pause = pause_count;
    for (size_t n = 0; n < count && n < PURGE_CANDIDATES && most < PURGE_ENOUGH; n++) {
        struct compaction job;
        unsigned gain;

        engine->purge_turn = (engine->purge_turn + 1) % count;
        if (!compact_pick_purge(levels, engine->purge_turn, &job))
            continue;
        if (compact_gain(env, levels, &job, &gain, NULL) == NX_OK && gain > most) {
            compaction_fini(best);
            *best = job;
            most = gain;
        } else {
            compaction_fini(&job);
        }
    }
    return most;
}

/* With no room for a merge, tables lose one by one what is hidden above. */
static bool pick_purge(struct nx_engine *engine, const struct levels *levels,
                       struct compaction *out) NX_REQUIRES(engine->compact_mu)
{
    struct nx_buf snapshots NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct compact_env env;

    *out = (struct compaction){0};
    if (engine->purges == PURGES_A_TRY) {
        engine->purges = 0;
        return false;
    }
    if (engine_compact_env(engine, &snapshots, &env, NULL) != NX_OK ||
        find_purge(engine, levels, &env, out) == PURGE_WORTH)
        return false;
    engine->purges++;
    return true;
}

/* False when there is nothing to do. */
static bool pick_work(struct nx_engine *engine, const struct levels *levels,
                      const struct compact_reclaim *reclaim, struct compaction *out)
    NX_REQUIRES(engine->compact_mu)
{
    return compact_pick(levels, engine->options.table_bytes, engine->options.level_fanout,
                        engine->compact_cursor, out) ||
           compact_pick_reclaim(levels, reclaim, out) || pick_deletions(engine, levels, out);
}

/* --- the thread ------------------------------------------------------------------------------- */

static bool is_stuck(struct nx_engine *engine)
{
    bool stuck;

    nx_mutex_lock(&engine->state_mu);
    stuck = engine->compaction_is_stuck;
    nx_mutex_unlock(&engine->state_mu);
    return stuck;
}

static void set_stuck(struct nx_engine *engine, bool stuck)
{
    nx_mutex_lock(&engine->state_mu);
    engine->compaction_is_stuck = stuck;
    nx_mutex_unlock(&engine->state_mu);
}

/* One step; *idle when the tree needs nothing. */
static enum nx_code compact_once(struct nx_engine *engine, bool *idle, struct nx_err *err)
{
    bool stuck = is_stuck(engine), purges;
    struct nx_buf snapshots NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct compact_reclaim reclaim;
    struct compaction job;
    struct read_view view;
    enum nx_code rc;

    nx_mutex_lock(&engine->compact_mu);
    read_view_acquire_long(engine, NULL, &view);
    rc = reclaim_state(engine, &snapshots, &reclaim, err);
    if (rc == NX_OK)
        rc = drop_dead(engine, view.levels, &reclaim, err);
    read_view_release(&view);
    read_view_acquire_long(engine, NULL, &view);
    purges = rc == NX_OK && stuck && pick_purge(engine, view.levels, &job);
    *idle = rc != NX_OK || !(purges || pick_work(engine, view.levels, &reclaim, &job));
    if (!*idle) {
        if (stuck)
            reserve_release(engine->reserve, RESERVE_COMPACTION, UINT64_MAX);
        rc = run_job(engine, view.levels, &job, err);
        compaction_fini(&job);
    }
    read_view_release(&view);
    nx_mutex_unlock(&engine->compact_mu);
    if (!purges) /* one that was stopped made way for a flush that had no room */
        set_stuck(engine, rc == NX_ENOSPC || rc == NX_ECANCELED);
    return rc;
}

/* Wait until the tables have changed since `*seen`, after a failure for a while at most; false when
 * it is time to end. */
static bool next_round(struct nx_engine *engine, bool idle, unsigned failures, uint64_t *seen)
{
    bool go_on;

    nx_mutex_lock(&engine->state_mu);
    if (failures && *seen == engine->table_changes && !atomic_load(&engine->is_closing))
        nx_cond_wait_ms(&engine->compact_wake, &engine->state_mu,
                        RETRY_MS << (failures < RETRY_DOUBLINGS ? failures - 1 : RETRY_DOUBLINGS));
    while (idle && *seen == engine->table_changes && !atomic_load(&engine->is_closing))
        nx_cond_wait(&engine->compact_wake, &engine->state_mu);
    *seen = engine->table_changes;
    go_on = !atomic_load(&engine->is_closing);
    nx_mutex_unlock(&engine->state_mu);
    return go_on;
}

/* A full disk may get room again, so only damage stops commits for good. */
static void report(struct nx_engine *engine, enum nx_code rc, const struct nx_err *err)
{
    if (rc == NX_ECORRUPT)
        engine_set_background(engine, err, true);
    nx_mutex_lock(&engine->state_mu);
    if (rc == NX_OK && engine->background.code == NX_ENOSPC)
        nx_cond_signal(&engine->flush_wake); /* tables may be gone: there may be room for it */
    nx_mutex_unlock(&engine->state_mu);
    engine_disk_is_full(engine); /* and to fill the reserve again */
    engine_wake_room(engine);
}

void engine_compact_thread(void *arg)
{
    struct nx_engine *engine = arg;
    unsigned failures = 0;
    uint64_t seen = 0;
    bool idle = false;

    engine->io->ops->thread_yields(engine->io);
    while (next_round(engine, idle, failures, &seen)) {
        struct nx_err err = NX_ERR_INIT;
        enum nx_code rc = compact_once(engine, &idle, &err);

        failures = rc == NX_OK ? 0 : failures + 1;
        report(engine, rc, &err);
    }
}

void engine_wake_compaction(struct nx_engine *engine)
{
    nx_mutex_lock(&engine->state_mu);
    nx_cond_signal(&engine->compact_wake);
    nx_mutex_unlock(&engine->state_mu);
}

/* --- on request ------------------------------------------------------------------------------- */

static enum nx_code compact_range_once(struct nx_engine *engine, struct nx_slice begin,
                                       struct nx_slice end, bool *done, struct nx_err *err)
{
    struct compaction job;
    struct read_view view;
    enum nx_code rc = NX_OK;

    nx_mutex_lock(&engine->compact_mu);
    read_view_acquire_long(engine, NULL, &view);
    *done = !compact_pick_range(view.levels, begin, end, &job);
    if (!*done) {
        rc = run_job(engine, view.levels, &job, err);
        compaction_fini(&job);
    }
    read_view_release(&view);
    nx_mutex_unlock(&engine->compact_mu);
    return rc;
}

/* Does a table lie in [begin, end) as a whole? */
static bool holds_tables(struct nx_engine *engine, struct nx_slice begin, struct nx_slice end)
{
    struct tree *tree = engine_tree(engine);
    bool found = false;

    for (unsigned l = 0; l < NX_LEVELS && !found; l++) {
        const struct level *level = &tree->version->levels.level[l];

        for (size_t i = 0; i < level->count && !found; i++)
            found = nx_slice_compare(table_props(level->tables[i])->smallest, begin) >= 0 &&
                    table_ends_before(level->tables[i], end);
    }
    tree_unref(tree);
    return found;
}

enum nx_code nx_engine_reclaim(struct nx_engine *engine, struct nx_slice begin, struct nx_slice end,
                               struct nx_err *err)
{
    return holds_tables(engine, begin, end) ? nx_engine_flush(engine, err) : NX_OK;
}

enum nx_code nx_engine_compact(struct nx_engine *engine, struct nx_slice begin, struct nx_slice end,
                               struct nx_err *err)
{
    bool done = false;
    enum nx_code rc;

    atomic_fetch_add(&engine->compact_requests, 1);
    rc = nx_engine_flush(engine, err);
    while (rc == NX_OK && !done)
        do
            rc = compact_range_once(engine, begin, end, &done, err);
        while (rc == NX_ECANCELED && !atomic_load(&engine->is_closing)); /* it made way */
    atomic_fetch_sub(&engine->compact_requests, 1);
    return rc;
}

/*
 * ingest.c - sorted runs: entries that go straight to tables, and into the tree all at once.
 *
 *     nx_run_put -> tables, synced, that nothing names       (nx_run_ingest)
 *         -> one sequence for all of them, an empty change in the log
 *         -> the log is on disk, then one edit of the manifest
 *         -> the tree, then visible
 *
 * A run's entries are newer than everything committed before, and older than what comes after. The
 * order of the tree (R1) then wants them above everything of their keys; so they go to the lowest
 * level that has nothing of them and nothing of them above it, and what the memtables have of them
 * is flushed first. A long run that would have to go to level 0 has the tables there merged down
 * before.
 *
 * The tables were written before their sequence was known, with 0 in every entry: the manifest says
 * which it is (I13).
 */
#include <stdlib.h>

#include "storage/compact_output.h"
#include "storage/engine.h"
#include "storage/mutation.h"

enum { LEVEL0_TABLES = 4 /* of one run; with more it has to go deeper */ };
enum { COMPACTIONS_MAX = 2 /* that a run waits for: others may go on filling level 0 */ };

enum run_state {
    RUN_FILLING,
    RUN_WRITTEN,      /* its tables are whole and synced */
    RUN_MAY_BE_NAMED, /* by an edit that failed: the files must stay */
    RUN_INGESTED
};

struct nx_run {
    struct nx_engine *engine; /* outlives us */
    struct compact_env env;
    struct compact_output output;
    struct compact_result tables;
    struct nx_buf last_key;
    enum run_state state;
    struct nx_err failed; /* code NX_OK: it has not */
};

/* --- writing ---------------------------------------------------------------------------------- */

enum nx_code nx_run_new(struct nx_engine *engine, struct nx_run **out, struct nx_err *err)
{
    struct nx_buf snapshots NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_run *run;
    enum nx_code rc;

    *out = NULL;
    if (engine->options.read_only)
        return nx_fail(err, NX_EROFS, "'%s' is open for reading only", engine->dir);
    run = calloc(1, sizeof *run);
    if (!run)
        return nx_fail_nomem(err);
    run->engine = engine;
    run->failed = NX_ERR_INIT;
    rc = engine_compact_env(engine, &snapshots, &run->env, err);
    if (rc != NX_OK) {
        free(run);
        return rc;
    }
    run->env.snapshots = NULL; /* nothing is left out */
    run->env.snapshot_count = 0;
    /* as a table of the last level, where a bulk load belongs and mostly goes */
    compact_output_init(&run->output, &run->env, NULL, NX_LEVELS - 1, run->env.table_bytes);
    *out = run;
    return NX_OK;
}

void nx_run_free(struct nx_run *run)
{
    if (!run)
        return;
    if (run->state == RUN_WRITTEN)
        compact_output_take_back(&run->output, &run->tables);
    compact_result_fini(&run->tables);
    compact_output_fini(&run->output);
    nx_buf_fini(&run->last_key);
    free(run);
}

/* Whatever the first failure was: the tables are not whole. */
static enum nx_code has_failed(struct nx_run *run, struct nx_err *err)
{
    if (err)
        *err = run->failed;
    return run->failed.code;
}

static enum nx_code check_entry(const struct nx_run *run, struct nx_slice key,
                                struct nx_slice value, struct nx_err *err)
{
    if (key.len == 0 || key.len > KEY_MAX_BYTES)
        return nx_fail(err, NX_EINVAL, "a key of %zu bytes, allowed are 1 to %u", key.len,
                       KEY_MAX_BYTES);
    if (value.len > VALUE_MAX_BYTES)
        return nx_fail(err, NX_ETOOBIG, "a value of %zu bytes, at most %u", value.len,
                       VALUE_MAX_BYTES);
    if (nx_slice_compare(nx_buf_slice(&run->last_key), key) >= 0)
        return nx_fail(err, NX_EINVAL, "a run's key is not after the one before");
    if (run->state != RUN_FILLING)
        return nx_fail(err, NX_EINVAL, "a run that was to be ingested takes no more entries");
    return NX_OK;
}

static enum nx_code write_entry(struct nx_run *run, struct nx_slice key, struct nx_slice value,
                                struct nx_err *err)
{
    const struct entry entry = {.key = key, .value = value, .kind = ENTRY_PUT};
    enum nx_code rc = NX_OK;

    if (compact_output_is_full(&run->output))
        rc = compact_output_cut(&run->output, key, err);
    return rc == NX_OK ? compact_output_put(&run->output, &entry, err) : rc;
}

enum nx_code nx_run_put(struct nx_run *run, struct nx_slice key, struct nx_slice value,
                        struct nx_err *err)
{
    enum nx_code rc;

    if (run->failed.code != NX_OK)
        return has_failed(run, err);
    rc = check_entry(run, key, value, err);
    if (rc != NX_OK)
        return rc; /* the run is as it was */
    rc = write_entry(run, key, value, &run->failed);
    nx_buf_clear(&run->last_key);
    if (rc == NX_OK && nx_buf_append(&run->last_key, key.data, key.len) != NX_OK)
        rc = nx_fail_nomem(&run->failed);
    return rc == NX_OK ? NX_OK : has_failed(run, err);
}

/* A sync that failed is not tried again. */
static enum nx_code finish(struct nx_run *run, struct nx_err *err)
{
    if (run->failed.code == NX_OK && run->state == RUN_FILLING &&
        compact_output_finish(&run->output, &run->tables, &run->failed) == NX_OK)
        run->state = RUN_WRITTEN;
    return run->failed.code == NX_OK ? NX_OK : has_failed(run, err);
}

/* --- where it can go -------------------------------------------------------------------------- */

static bool ranges_reach(const struct range_tombstones *ranges, const struct table_props *p)
{
    size_t i = range_tombstones_find(ranges, p->smallest);

    return i < range_tombstones_count(ranges) &&
           nx_slice_compare(range_tombstones_at(ranges, i)->begin, p->largest) <= 0;
}

/* Does the memtable know anything of the keys of a table of the run? */
static enum nx_code look_in_memtable(const struct nx_run *run, struct memtable *memtable,
                                     bool *found, struct nx_err *err)
{
    struct range_tombstones *ranges = range_tombstones_new();
    struct source *source = NULL;
    enum nx_code rc = ranges ? NX_OK : nx_fail_nomem(err);

    if (rc == NX_OK)
        rc = memtable_range_tombstones(memtable, SEQUENCE_MAX, ranges, err);
    if (rc == NX_OK)
        rc = range_tombstones_seal(ranges, err);
    if (rc == NX_OK)
        rc = memtable_source(memtable, SEQUENCE_ALL, &source, err);
    for (size_t i = 0; i < run->tables.count && rc == NX_OK && !*found; i++) {
        const struct table_props *p = table_props(run->tables.outputs[i]);

        source->ops->seek(source, p->smallest);
        rc = source->failed;
        *found = ranges_reach(ranges, p) ||
                 (source->valid && nx_slice_compare(source->entry.key, p->largest) <= 0);
    }
    source_close(source);
    range_tombstones_free(ranges);
    return rc;
}

static enum nx_code look_in_memtables(const struct nx_run *run, const struct tree *tree,
                                      bool *found, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    *found = false;
    for (size_t i = 0; i < tree->count && rc == NX_OK && !*found; i++)
        if (!memtable_is_empty(tree->memtables[i]))
            rc = look_in_memtable(run, tree->memtables[i], found, err);
    if (engine_mutated(INGEST_UNDER_OLDER))
        *found = false;
    return rc;
}

static bool level_reaches(const struct level *level, bool is_sorted, const struct table *table)
{
    const struct table_props *p = table_props(table);
    size_t i = is_sorted ? level_find(level, p->smallest) : 0;

    for (; i < level->count; i++) {
        if (table_overlaps(level->tables[i], p->smallest, p->largest))
            return true;
        if (is_sorted)
            return false;
    }
    return false;
}

/* The lowest level with nothing of the run in it and above it; level 0 takes anything. */
static unsigned lowest_free(const struct nx_run *run, const struct levels *levels)
{
    unsigned l = 0;

    for (; l < NX_LEVELS; l++)
        for (size_t i = 0; i < run->tables.count; i++)
            if (level_reaches(&levels->level[l], l > 0, run->tables.outputs[i]))
                return l > 0 ? l - 1 : 0;
    return NX_LEVELS - 1;
}

/* --- into the tree ---------------------------------------------------------------------------- */

static bool memtables_are_empty(const struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        if (!memtable_is_empty(tree->memtables[i]))
            return false;
    return true;
}

/* The log says that the sequence was given, by an empty range: so what a log holds is without gaps,
 * and one that is too short shows at the next open. */
static enum nx_code take_sequence(struct nx_engine *engine, struct nx_err *err)
    NX_REQUIRES(engine->commit_mu)
{
    static const uint8_t nothing[] = {CHANGE_DELETE_RANGE, 0, 0};
    const struct nx_slice part = {nothing, sizeof nothing};
    enum nx_code rc;

    if (engine->sequence == SEQUENCE_MAX)
        return nx_fail(err, NX_ETOOBIG, "no sequence is left");
    rc = wal_append(engine->wal, engine->sequence + 1, 1, &part, 1, RESERVE_NOBODY, err);
    if (rc != NX_OK)
        return rc;
    engine->sequence++;
    if (engine_mutated(INGEST_BEFORE_SYNC))
        return NX_OK;
    rc = wal_sync(engine->wal, err);
    if (rc == NX_OK && wal_durable(engine->wal) < wal_end(engine->wal)) /* I5 */
        rc = nx_fail(err, NX_EIO, "the log of '%s' has a segment that could not be synced",
                     engine->dir);
    return rc;
}

static enum nx_code assign(struct nx_run *run, uint64_t sequence, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    if (engine_mutated(FORGET_RUN_SEQUENCE))
        return NX_OK;
    for (size_t i = 0; i < run->tables.count && rc == NX_OK; i++)
        rc = table_assign_sequence(run->tables.outputs[i], sequence, err);
    return rc;
}

/*
 * What is committed next goes to a new memtable, made after the run is in the tree: a reader that
 * still holds a tree without the run must not find anything newer in it.
 */
static enum nx_code install(struct nx_engine *engine, struct nx_run *run, const struct tree *tree,
                            unsigned level, struct nx_err *err) NX_REQUIRES(engine->manifest_mu)
    NX_REQUIRES(engine->commit_mu)
{
    struct version_change change = {
        .added = run->tables.outputs, .added_count = run->tables.count, .level = level};
    uint64_t sequence = engine->sequence;
    enum nx_code rc = assign(run, sequence, err);

    if (rc != NX_OK)
        return rc;
    run->state = RUN_MAY_BE_NAMED;
    rc = engine_install_run(engine, &change, memtables_are_empty(tree) ? sequence : 0, err);
    if (rc != NX_OK)
        return rc;
    run->state = RUN_INGESTED;
    rc = engine_replace_active(engine, wal_end(engine->wal), err);
    if (rc != NX_OK)
        engine_set_background(engine, err, true);
    return rc;
}

enum obstacle { NO_OBSTACLE, IN_MEMTABLES, IN_LEVEL0 };

static enum nx_code admit(struct nx_engine *engine, struct nx_err *err)
{
    enum nx_code rc = engine_background(engine, err);

    if (rc == NX_OK && engine_disk_is_full(engine))
        rc = nx_fail(err, NX_ENOSPC, "the disk of '%s' is full: a run has no room", engine->dir);
    return rc;
}

/* With no commit, flush or compaction beside it. */
static enum nx_code ingest(struct nx_engine *engine, struct nx_run *run, bool may_wait,
                           enum obstacle *obstacle, struct nx_err *err)
    NX_REQUIRES(engine->manifest_mu) NX_REQUIRES(engine->commit_mu)
{
    struct tree *tree = engine_tree(engine);
    unsigned level = lowest_free(run, &tree->version->levels);
    bool found;
    enum nx_code rc = look_in_memtables(run, tree, &found, err);

    if (rc == NX_OK && found)
        *obstacle = IN_MEMTABLES;
    else if (rc == NX_OK && level == 0 && run->tables.count > LEVEL0_TABLES && may_wait)
        *obstacle = IN_LEVEL0;
    else if (rc == NX_OK)
        rc = admit(engine, err);
    if (rc == NX_OK && *obstacle == NO_OBSTACLE) {
        rc = take_sequence(engine, err);
        if (rc == NX_OK)
            rc = install(engine, run, tree, level, err);
        /* Release: who reads at this sequence finds the run in the tree. */
        atomic_store_explicit(&engine->visible, engine->sequence, memory_order_release);
    }
    tree_unref(tree);
    return rc;
}

static enum nx_code attempt(struct nx_run *run, bool may_wait, enum obstacle *obstacle,
                            struct nx_err *err)
{
    struct nx_engine *engine = run->engine;
    enum nx_code rc;

    *obstacle = NO_OBSTACLE;
    nx_mutex_lock(&engine->compact_mu); /* else one under way could put its tables over ours */
    nx_mutex_lock(&engine->manifest_mu);
    nx_mutex_lock(&engine->commit_mu);
    rc = ingest(engine, run, may_wait, obstacle, err);
    nx_mutex_unlock(&engine->commit_mu);
    nx_mutex_unlock(&engine->manifest_mu);
    nx_mutex_unlock(&engine->compact_mu);
    return rc;
}

static enum nx_code merge_down(struct nx_run *run, struct nx_err *err)
{
    const struct compact_result *tables = &run->tables;

    return nx_engine_compact(run->engine, table_props(tables->outputs[0])->smallest,
                             table_props(tables->outputs[tables->count - 1])->largest, err);
}

static enum nx_code ingest_tables(struct nx_run *run, struct nx_err *err)
{
    struct nx_engine *engine = run->engine;
    unsigned compactions = 0;
    bool holds_commits = false;
    enum obstacle obstacle;
    enum nx_code rc;

    do {
        rc = nx_engine_sync(engine, err); /* most of the log: commits wait for the rest only */
        if (rc == NX_OK)
            rc = attempt(run, compactions < COMPACTIONS_MAX, &obstacle, err);
        if (rc != NX_OK || obstacle == NO_OBSTACLE)
            break;
        if (obstacle == IN_LEVEL0) {
            compactions++;
            rc = merge_down(run, err);
            continue;
        }
        /* From now on nothing gets into the memtables: the next attempt finds them empty. */
        if (!holds_commits)
            atomic_fetch_add(&engine->runs_waiting, 1);
        holds_commits = true;
        rc = engine_flush_all(engine, err);
    } while (rc == NX_OK);
    if (holds_commits)
        atomic_fetch_sub(&engine->runs_waiting, 1);
    return rc;
}

enum nx_code nx_run_ingest(struct nx_run *run, struct nx_err *err)
{
    struct nx_engine *engine = run->engine;
    struct nx_err why = NX_ERR_INIT;
    enum nx_code rc;

    if (run->state == RUN_INGESTED)
        return nx_fail(err, NX_EINVAL, "the run has been ingested already");
    rc = finish(run, err);
    if (rc != NX_OK || run->tables.count == 0)
        return rc;
    rc = ingest_tables(run, &why);
    if (rc != NX_OK && err)
        *err = why;
    if (rc == NX_OK) {
        atomic_fetch_add_explicit(&engine->counters.runs, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&engine->counters.run_bytes, run->tables.written_bytes,
                                  memory_order_relaxed);
    }
    engine_wake_room(engine);
    engine_wake_compaction(engine);
    return rc;
}

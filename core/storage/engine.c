/*
 * engine.c - opening, closing, background errors and figures.
 */
#include "storage/engine.h"

#include <stdlib.h>
#include <string.h>

#include "storage/wal_segment.h"

enum {
    DISK_PIECES = 32,
    PIECE_MIN_BYTES = 64 << 10,
    /* After a crash nothing of the log can go before all of it has been flushed (I10); and a
     * quarter of the reserve is not for flushes. */
    RESERVED_MEMTABLES = (IMMUTABLE_MAX + 1) * 4 / 3
};

/* --- options ---------------------------------------------------------------------------------- */

void nx_engine_options_init(struct nx_engine_options *options)
{
    *options = (struct nx_engine_options){
        .create = true,
        .memtable_bytes = 64 << 20,
        .cache_bytes = 64 << 20,
        .wal_segment_bytes = 64 << 20,
        .wal_ring_bytes = 1 << 20,
        .block_bytes = 6 << 10,
        .table_bytes = 32 << 20,
        .bloom_bits_per_key = 10,
        .level_fanout = 10,
        .sync_interval_ms = 1000,
        .compression = NX_COMPRESS_LZ4,
        .bottom_compression = NX_COMPRESS_LZ4,
    };
}

/* --- background errors ------------------------------------------------------------------------ */

void engine_set_background(struct nx_engine *engine, const struct nx_err *why, bool is_final)
{
    nx_mutex_lock(&engine->state_mu);
    if (!engine->background_is_final) {
        engine->background = *why;
        engine->background_is_final = is_final;
        atomic_store(&engine->has_background_error, true);
    }
    nx_cond_broadcast(&engine->state_changed);
    nx_mutex_unlock(&engine->state_mu);
}

void engine_clear_background(struct nx_engine *engine)
{
    nx_mutex_lock(&engine->state_mu);
    if (!engine->background_is_final) {
        engine->background = NX_ERR_INIT;
        atomic_store(&engine->has_background_error, false);
    }
    nx_mutex_unlock(&engine->state_mu);
}

enum nx_code engine_background(struct nx_engine *engine, struct nx_err *err)
{
    enum nx_code rc;

    if (!atomic_load(&engine->has_background_error))
        return NX_OK;
    nx_mutex_lock(&engine->state_mu);
    rc = engine->background.code;
    if (err && rc != NX_OK)
        *err = engine->background;
    nx_mutex_unlock(&engine->state_mu);
    return rc;
}

/* --- opening ---------------------------------------------------------------------------------- */

enum nx_code engine_sync_parent(struct nx_engine *engine, const char *dir, struct nx_err *err)
{
    struct nx_buf parent NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    const char *slash = strrchr(dir, '/');
    enum nx_code rc;

    if (!slash)
        rc = nx_buf_append(&parent, ".", 2);
    else if (slash == dir)
        rc = nx_buf_append(&parent, "/", 2);
    else
        rc = nx_buf_printf(&parent, "%.*s%c", (int)(slash - dir), dir, 0);
    if (rc != NX_OK)
        return nx_fail_nomem(err);
    return engine->io->ops->sync_dir(engine->io, (const char *)parent.data, err);
}

/* A new directory's name must be as durable as what will be acknowledged in it. */
static enum nx_code make_directory(struct nx_engine *engine, struct nx_err *err)
{
    enum nx_code rc = engine->io->ops->mkdir(engine->io, engine->dir, err);

    if (rc == NX_EEXISTS)
        return NX_OK;
    return rc == NX_OK ? engine_sync_parent(engine, engine->dir, err) : rc;
}

static enum nx_code lock_directory(struct nx_engine *engine, struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_io *io = engine->io;
    enum nx_code rc;

    if (engine->options.create && !engine->options.read_only) {
        rc = make_directory(engine, err);
        if (rc != NX_OK)
            return rc;
    }
    rc = storage_path(&path, engine->dir, "LOCK", err);
    if (rc != NX_OK)
        return rc;
    rc = io->ops->lock(io, (const char *)path.data, &engine->lock, err);
    if (rc == NX_ENOTFOUND)
        return nx_fail(err, NX_ENOTFOUND, "no database in '%s'", engine->dir);
    return rc;
}

static enum nx_code start_threads(struct nx_engine *engine, struct nx_err *err)
{
    const struct {
        const char *name;
        nx_thread_fn fn;
        struct nx_thread **out;
    } threads[] = {
        {"nx-flush", engine_flush_thread, &engine->flush_thread},
        {"nx-compact", engine_compact_thread, &engine->compact_thread},
        {"nx-sync", engine_sync_thread, &engine->sync_thread}, /* it waits for flushes */
    };
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < sizeof threads / sizeof threads[0] && rc == NX_OK; i++)
        rc = engine->io->ops->thread_start(engine->io, threads[i].name, threads[i].fn, engine,
                                           threads[i].out, err);
    return rc;
}

static void init(struct nx_engine *engine, const struct nx_engine_options *options)
{
    engine->options = *options;
    engine->most_memtable_bytes = options->memtable_bytes;
    engine->io = options->io ? options->io : nx_io_posix();
    engine->background = NX_ERR_INIT;
    engine->round_error = NX_ERR_INIT;
    engine->sync_last = &engine->sync_waiters;
    nx_mutex_init(&engine->commit_mu, NX_RANK_ENGINE_COMMIT);
    nx_mutex_init(&engine->sync_mu, NX_RANK_ENGINE_SYNC);
    nx_mutex_init(&engine->state_mu, NX_RANK_ENGINE_STATE);
    nx_mutex_init(&engine->manifest_mu, NX_RANK_ENGINE_MANIFEST);
    nx_mutex_init(&engine->compact_mu, NX_RANK_ENGINE_COMPACT);
    nx_cond_init(&engine->sync_wake);
    nx_cond_init(&engine->round_over[0]);
    nx_cond_init(&engine->round_over[1]);
    nx_cond_init(&engine->flush_wake);
    nx_cond_init(&engine->compact_wake);
    nx_cond_init(&engine->state_changed);
}

/* What is in memory must fit on the disk beside what is there already, several times over: in the
 * log, in the reserve and in tables. So a small disk gets small pieces. */
static enum nx_code fit_disk(struct nx_engine *engine, struct nx_err *err)
{
    struct nx_engine_options *o = &engine->options;
    struct nx_space space;
    uint64_t piece;
    enum nx_code rc = engine->io->ops->space(engine->io, engine->dir, &space, err);

    if (rc != NX_OK)
        return rc;
    piece = space.total_bytes / DISK_PIECES;
    if (piece < PIECE_MIN_BYTES)
        piece = PIECE_MIN_BYTES;
    o->memtable_bytes = o->memtable_bytes < piece ? o->memtable_bytes : piece;
    o->wal_segment_bytes = o->wal_segment_bytes < piece ? o->wal_segment_bytes : piece;
    o->table_bytes = o->table_bytes < piece ? o->table_bytes : piece;
    if (o->wal_ring_bytes > piece / 4)
        o->wal_ring_bytes = piece / 4;
    engine->most_memtable_bytes = o->memtable_bytes;
    return reserve_open(engine->io, engine->dir,
                        RESERVED_MEMTABLES * o->memtable_bytes + o->wal_segment_bytes / 8,
                        &engine->reserve, err);
}

static void explain_full(struct nx_engine *engine, struct nx_err *err)
{
    struct nx_space space;
    struct nx_err why;

    if (!err || engine->io->ops->space(engine->io, engine->dir, &space, NULL) != NX_OK)
        return;
    why = *err;
    nx_fail(err, NX_ENOSPC, "'%s' cannot be opened, its disk has %llu of %llu KiB free: %s",
            engine->dir, (unsigned long long)(space.available_bytes >> 10),
            (unsigned long long)(space.total_bytes >> 10), why.message);
}

static enum nx_code open_in(struct nx_engine *engine, const char *dir, struct nx_err *err)
{
    enum nx_code rc;

    engine->dir = strdup(dir);
    engine->cache = cache_new(engine->options.cache_bytes);
    if (!engine->dir || !engine->cache)
        return nx_fail_nomem(err);
    rc = lock_directory(engine, err);
    if (rc == NX_OK && !engine->options.read_only)
        rc = fit_disk(engine, err);
    if (rc == NX_OK)
        rc = engine_recover(engine, err);
    if (rc == NX_ENOSPC)
        explain_full(engine, err);
    if (rc == NX_OK && !engine->options.read_only)
        rc = start_threads(engine, err);
    return rc;
}

/* --- closing ---------------------------------------------------------------------------------- */

static void stop_sync_thread(struct nx_engine *engine)
{
    nx_mutex_lock(&engine->sync_mu);
    engine->sync_stop = true;
    nx_cond_signal(&engine->sync_wake);
    nx_mutex_unlock(&engine->sync_mu);
    engine->io->ops->thread_join(engine->io, engine->sync_thread);
    engine->sync_thread = NULL;
}

static void stop_threads(struct nx_engine *engine)
{
    stop_sync_thread(engine); /* it may still need a flush */
    nx_mutex_lock(&engine->state_mu);
    atomic_store(&engine->is_closing, true);
    nx_cond_broadcast(&engine->flush_wake);
    nx_cond_broadcast(&engine->compact_wake);
    nx_mutex_unlock(&engine->state_mu);
    engine->io->ops->thread_join(engine->io, engine->flush_thread);
    engine->io->ops->thread_join(engine->io, engine->compact_thread);
}

static void dismiss_room_waiters(struct nx_engine *engine)
{
    struct waiter *waiters = engine->room_waiters;
    struct nx_err err = NX_ERR_INIT;

    nx_fail(&err, NX_ECLOSED, "'%s' was closed", engine->dir);
    while (waiters) {
        struct waiter *next = waiters->next;

        waiters->done(waiters->arg, &err);
        free(waiters);
        waiters = next;
    }
}

static void engine_free(struct nx_engine *engine)
{
    dismiss_room_waiters(engine);
    for (size_t i = 0; i < NX_LEVELS; i++)
        nx_buf_fini(&engine->compact_cursor[i]);
    tree_unref(engine->tree);
    version_unref(engine->version);
    manifest_close(engine->manifest);
    reserve_close(engine->reserve);
    cache_free(engine->cache);
    engine_free_named(engine);
    engine->io->ops->unlock(engine->io, engine->lock);
    nx_cond_fini(&engine->state_changed);
    nx_cond_fini(&engine->compact_wake);
    nx_cond_fini(&engine->flush_wake);
    nx_cond_fini(&engine->round_over[1]);
    nx_cond_fini(&engine->round_over[0]);
    nx_cond_fini(&engine->sync_wake);
    nx_mutex_fini(&engine->compact_mu);
    nx_mutex_fini(&engine->manifest_mu);
    nx_mutex_fini(&engine->state_mu);
    nx_mutex_fini(&engine->sync_mu);
    nx_mutex_fini(&engine->commit_mu);
    free(engine->parts);
    free(engine->dir);
    free(engine);
}

enum nx_code nx_engine_open(const char *dir, const struct nx_engine_options *options,
                            struct nx_engine **out, struct nx_err *err)
{
    struct nx_engine *engine;
    enum nx_code rc = engine_check_options(options, err);

    *out = NULL;
    if (rc != NX_OK)
        return rc;
    engine = calloc(1, sizeof *engine);
    if (!engine)
        return nx_fail_nomem(err);
    init(engine, options);
    rc = open_in(engine, dir, err);
    if (rc != NX_OK) {
        stop_threads(engine);
        wal_abandon(engine->wal);
        engine_free(engine);
        return rc;
    }
    *out = engine;
    return NX_OK;
}

enum nx_code nx_engine_close(struct nx_engine *engine, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    if (!engine)
        return NX_OK;
    if (!engine->options.read_only)
        rc = nx_engine_sync(engine, err);
    stop_threads(engine);
    if (rc == NX_OK) {
        rc = wal_close(engine->wal, err);
    } else {
        wal_abandon(engine->wal);
    }
    engine_free(engine);
    return rc;
}

/* --- figures ---------------------------------------------------------------------------------- */

static void count_tree(const struct tree *tree, struct nx_engine_stats *out)
{
    for (size_t i = 0; i < tree->count; i++) {
        out->memtable_bytes += memtable_bytes(tree->memtables[i]);
        out->memtable_keys += memtable_count(tree->memtables[i]);
    }
    for (unsigned i = 0; i < NX_LEVELS; i++) {
        const struct level *level = &tree->version->levels.level[i];

        out->level_tables[i] = level->count;
        out->level_bytes[i] = level->bytes;
        out->table_count += level->count;
        out->disk_bytes += level->bytes;
        for (size_t t = 0; t < level->count; t++)
            out->table_entries += table_props(level->tables[t])->entries;
    }
}

static void copy_counters(struct nx_engine *engine, struct nx_engine_stats *out)
{
    struct engine_counters *counters = &engine->counters;

    out->commits = atomic_load(&counters->commits);
    out->commit_bytes = atomic_load(&counters->commit_bytes);
    out->syncs = atomic_load(&counters->syncs);
    out->flushes = atomic_load(&counters->flushes);
    out->compactions = atomic_load(&counters->compactions);
    out->flush_bytes = atomic_load(&counters->flush_bytes);
    out->compaction_read_bytes = atomic_load(&counters->compaction_read_bytes);
    out->compaction_written_bytes = atomic_load(&counters->compaction_written_bytes);
    out->runs = atomic_load(&counters->runs);
    out->run_bytes = atomic_load(&counters->run_bytes);
    out->stalls = atomic_load(&counters->stalls);
    out->stall_ns = atomic_load(&counters->stall_ns);
}

static void copy_cache_stats(struct nx_engine *engine, struct nx_engine_stats *out)
{
    struct cache_stats cache;

    cache_get_stats(engine->cache, &cache);
    out->cache_hits = cache.hits;
    out->cache_misses = cache.misses;
    out->cache_bytes = cache.bytes;
    out->filter_checks = cache.filter_checks;
    out->filter_useful = cache.filter_useful;
}

static void count_files(struct nx_engine *engine, struct nx_engine_stats *out)
{
    if (engine->options.read_only)
        return;
    out->wal_bytes = wal_bytes(engine->wal);
    out->reserve_bytes = reserve_bytes(engine->reserve);
    nx_mutex_lock(&engine->manifest_mu);
    out->disk_bytes += out->wal_bytes + out->reserve_bytes + manifest_bytes(engine->manifest);
    nx_mutex_unlock(&engine->manifest_mu);
}

static void amplify(struct nx_engine_stats *out, uint64_t places)
{
    uint64_t tables = 0, lowest = 0;
    uint64_t given = out->commit_bytes + out->run_bytes;
    uint64_t written = given + out->flush_bytes + out->compaction_written_bytes; /* log, tables */

    for (unsigned i = 0; i < NX_LEVELS; i++) {
        tables += out->level_bytes[i];
        if (out->level_bytes[i])
            lowest = out->level_bytes[i];
        places += i == 0 ? out->level_tables[0] : out->level_tables[i] > 0;
    }
    out->write_amplification = given ? written * 1000 / given : 0;
    out->space_amplification = lowest ? tables * 1000 / lowest : 0;
    out->read_amplification = places * 1000;
}

void nx_engine_get_stats(struct nx_engine *engine, struct nx_engine_stats *out)
{
    struct tree *tree;
    size_t memtables;

    *out = (struct nx_engine_stats){0};
    tree = engine_tree(engine);
    nx_mutex_lock(&engine->state_mu);
    out->snapshots = engine->snapshot_count;
    out->named_snapshots = engine->named_count;
    out->background_error = engine->background.code;
    nx_mutex_unlock(&engine->state_mu);
    out->sequence = atomic_load_explicit(&engine->visible, memory_order_acquire);
    memtables = tree->count;
    count_tree(tree, out);
    tree_unref(tree);
    copy_counters(engine, out);
    amplify(out, memtables);
    for (int i = 0; i < NX_LATENCY_KINDS; i++)
        latency_summarize(&engine->latency[i], &out->latency[i]);
    copy_cache_stats(engine, out);
    count_files(engine, out);
}

/*
 * checkpoint.c - a copy of the database at one moment that shares its tables: hard links and a
 * manifest of its own.
 *
 * Everything is flushed first, so there is no log to copy. With compact_mu held no table is
 * removed, so the state of the manifest stays linkable. The new directory's marker is made last and
 * after the tables' names are on disk: before that it is no database, and a failure takes it away
 * again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/engine.h"
#include "storage/wal_segment.h"

static void *copy_rows(const void *rows, size_t count, size_t size)
{
    void *copy = calloc(count + 1, size);

    if (copy && count)
        memcpy(copy, rows, count * size);
    return copy;
}

/* What the tables hold, without the log; snapshots that see more are left out. */
static enum nx_code copy_state(struct nx_engine *engine, struct manifest_state *out,
                               struct nx_err *err)
{
    const struct manifest_state *state;
    size_t kept = 0;

    nx_mutex_lock(&engine->manifest_mu);
    state = manifest_state(engine->manifest);
    *out = *state;
    out->next_number = atomic_load(&engine->next_table);
    out->log_start = 0;
    out->tables = copy_rows(state->tables, state->count, sizeof *out->tables);
    out->snapshots = copy_rows(state->snapshots, state->snapshot_count, sizeof *out->snapshots);
    nx_mutex_unlock(&engine->manifest_mu);
    if (!out->tables || !out->snapshots) {
        manifest_state_fini(out);
        return nx_fail_nomem(err);
    }
    engine->io->ops->random(engine->io, out->uuid, sizeof out->uuid);
    for (size_t i = 0; i < out->snapshot_count; i++)
        if (out->snapshots[i].sequence <= out->flushed_sequence)
            out->snapshots[kept++] = out->snapshots[i];
    out->snapshot_count = kept;
    return NX_OK;
}

static enum nx_code table_path(struct nx_buf *out, const char *dir, uint64_t number,
                               struct nx_err *err)
{
    char name[TABLE_NAME_BYTES];

    table_name(number, name);
    return storage_path(out, dir, name, err);
}

static enum nx_code link_tables(struct nx_engine *engine, const struct manifest_state *state,
                                const char *dir, size_t *linked, struct nx_err *err)
{
    struct nx_buf from NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf to NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = NX_OK;

    for (*linked = 0; *linked < state->count && rc == NX_OK; *linked += rc == NX_OK) {
        uint64_t number = state->tables[*linked].number;

        rc = table_path(&from, engine->dir, number, err);
        if (rc == NX_OK)
            rc = table_path(&to, dir, number, err);
        if (rc == NX_OK)
            rc = engine->io->ops->link(engine->io, (const char *)from.data, (const char *)to.data,
                                       err);
    }
    return rc == NX_OK ? engine->io->ops->sync_dir(engine->io, dir, err) : rc;
}

static void take_away(struct nx_engine *engine, const struct manifest_state *state, size_t linked,
                      const char *dir)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    for (size_t i = 0; i < linked; i++)
        if (table_path(&path, dir, state->tables[i].number, NULL) == NX_OK)
            engine->io->ops->remove(engine->io, (const char *)path.data, NULL);
    engine->io->ops->rmdir(engine->io, dir, NULL); /* not when the manifest was begun */
}

/* The state is taken over by the manifest, so what has to be undone is kept beside it. */
static enum nx_code fill(struct nx_engine *engine, const char *dir, struct nx_err *err)
{
    struct manifest *manifest = NULL;
    struct manifest_state state, again = {0};
    size_t linked = 0;
    enum nx_code rc = copy_state(engine, &state, err);

    if (rc != NX_OK) {
        take_away(engine, &again, 0, dir);
        return rc;
    }
    again.tables = copy_rows(state.tables, state.count, sizeof *state.tables);
    again.count = again.tables ? state.count : 0;
    rc = again.tables ? link_tables(engine, &state, dir, &linked, err) : nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = manifest_open(engine->io, dir, &state, &manifest, err);
    manifest_close(manifest);
    if (rc != NX_OK)
        take_away(engine, &again, linked, dir);
    manifest_state_fini(&state);
    manifest_state_fini(&again);
    return rc;
}

/* Is a run in tables, and a commit from before it not? */
static bool is_ahead_of_flush(struct nx_engine *engine) NX_REQUIRES(engine->compact_mu)
{
    struct tree *tree = engine_tree(engine);
    bool is_ahead = false;
    uint64_t flushed;

    nx_mutex_lock(&engine->state_mu);
    flushed = engine->flushed_sequence;
    nx_mutex_unlock(&engine->state_mu);
    for (unsigned l = 0; l < NX_LEVELS && !is_ahead; l++)
        for (size_t i = 0; i < tree->version->levels.level[l].count && !is_ahead; i++)
            is_ahead =
                table_props(tree->version->levels.level[l].tables[i])->max_sequence > flushed;
    tree_unref(tree);
    return is_ahead;
}

static enum nx_code make(struct nx_engine *engine, const char *dir, struct nx_err *err)
    NX_REQUIRES(engine->compact_mu)
{
    enum nx_code rc = engine->io->ops->mkdir(engine->io, dir, err);

    if (rc == NX_OK)
        rc = fill(engine, dir, err);
    return rc == NX_OK ? engine_sync_parent(engine, dir, err) : rc;
}

enum nx_code nx_engine_checkpoint(struct nx_engine *engine, const char *dir, struct nx_err *err)
{
    bool is_done = false;
    enum nx_code rc = NX_OK;

    while (rc == NX_OK && !is_done) {
        rc = nx_engine_flush(engine, err);
        if (rc != NX_OK)
            return rc;
        nx_mutex_lock(&engine->compact_mu); /* no table goes, and no run comes */
        is_done = !is_ahead_of_flush(engine);
        if (is_done)
            rc = make(engine, dir, err);
        nx_mutex_unlock(&engine->compact_mu);
    }
    return rc;
}

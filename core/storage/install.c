/*
 * install.c - changing which tables there are: durable first, then current (I8).
 */
#include <stdlib.h>

#include "storage/engine.h"
#include "storage/mutation.h"

/* The oldest memtables' mark tells what is in tables once they are. */
static struct tree_memtable flushed_mark(struct nx_engine *engine, size_t flushed)
{
    struct tree_memtable mark = {0};
    const struct tree *tree;

    nx_mutex_lock(&engine->state_mu);
    tree = atomic_load(&engine->tree);
    if (flushed)
        mark = tree->marks[tree->count - flushed];
    nx_mutex_unlock(&engine->state_mu);
    return mark;
}

static enum nx_code apply_edit(struct nx_engine *engine, const struct version_change *change,
                               const struct tree_memtable *mark, uint64_t log_start,
                               struct nx_err *err) NX_REQUIRES(engine->manifest_mu)
{
    struct manifest_table *added = calloc(change->added_count + 1, sizeof *added);
    uint64_t *removed = calloc(change->removed_count + 1, sizeof *removed);
    /* else a run that came while the memtables were empty has told it */
    bool is_further = mark->sequence > manifest_state(engine->manifest)->flushed_sequence;
    struct manifest_edit edit = {.next_number = atomic_load(&engine->next_table),
                                 .flushed_sequence = is_further ? mark->sequence : 0,
                                 .log_start = log_start,
                                 .added = added,
                                 .added_count = change->added_count,
                                 .removed = removed,
                                 .removed_count = change->removed_count};
    enum nx_code rc = added && removed ? NX_OK : nx_fail_nomem(err);

    for (size_t i = 0; rc == NX_OK && i < change->added_count; i++) {
        const struct table_props *props = table_props(change->added[i]);

        added[i] = (struct manifest_table){props->number, props->file_bytes, change->level,
                                           table_assigned_sequence(change->added[i])};
    }
    for (size_t i = 0; rc == NX_OK && i < change->removed_count; i++)
        removed[i] = table_props(change->removed[i])->number;
    if (rc == NX_OK)
        rc = manifest_apply(engine->manifest, &edit, err);
    free(added);
    free(removed);
    return rc;
}

static enum nx_code swap_tree(struct nx_engine *engine, struct version *version, size_t flushed,
                              const struct tree_memtable *mark, struct nx_err *err)
{
    struct tree *tree, *old;

    nx_mutex_lock(&engine->state_mu);
    old = atomic_load(&engine->tree);
    tree = tree_with_version(old, version, flushed);
    if (tree) {
        atomic_store(&engine->tree, tree);
        engine->table_changes++;
        engine_adjust_pace(engine);
        if (mark->sequence > engine->flushed_sequence)
            engine->flushed_sequence = mark->sequence;
    }
    nx_mutex_unlock(&engine->state_mu);
    if (!tree)
        return nx_fail_nomem(err);
    pins_retire(&engine->pins, old);
    return NX_OK;
}

static enum nx_code install(struct nx_engine *engine, const struct version_change *change,
                            size_t flushed, const struct tree_memtable *mark, uint64_t log_start,
                            struct nx_err *err) NX_REQUIRES(engine->manifest_mu)
{
    struct version *version;
    enum nx_code rc;

    /* Only holders of manifest_mu replace the version: it can be read without the state lock. */
    rc = version_derive(engine->version, change, &version, err);
    if (log_start <= manifest_state(engine->manifest)->log_start)
        log_start = 0; /* another thread has brought it further meanwhile */
    if (rc == NX_OK)
        rc = apply_edit(engine, change, mark, log_start, err);
    if (rc == NX_OK) {
        rc = swap_tree(engine, version, flushed, mark, err);
        if (rc != NX_OK) /* the manifest is ahead of us */
            engine_set_background(engine, err, true);
    }
    if (rc != NX_OK) {
        version_unref(version);
        return rc;
    }
    version_unref(engine->version);
    engine->version = version;
    return NX_OK;
}

enum nx_code engine_install(struct nx_engine *engine, const struct version_change *change,
                            size_t flushed, struct nx_err *err)
{
    struct tree_memtable mark = flushed_mark(engine, flushed);
    uint64_t log_start = 0;
    struct nx_err own = NX_ERR_INIT;
    enum nx_code rc;

    /* What can be removed is more when the newest segments have been synced; see wal.h. */
    if (flushed) {
        wal_sync(engine->wal, NULL);
        log_start = wal_first_needed(engine->wal, mark.log_position);
    }
    if (log_start && engine_mutated(REMOVE_LOG_FIRST))
        wal_remove_before(engine->wal, log_start);
    nx_mutex_lock(&engine->manifest_mu);
    rc = install(engine, change, flushed, &mark, log_start, &own);
    nx_mutex_unlock(&engine->manifest_mu);
    if (rc != NX_OK) {
        if (err)
            *err = own;
        return rc;
    }
    if (log_start)
        wal_remove_before(engine->wal, log_start);
    return NX_OK;
}

enum nx_code engine_install_run(struct nx_engine *engine, const struct version_change *change,
                                uint64_t flushed_sequence, struct nx_err *err)
{
    const struct tree_memtable mark = {.sequence = flushed_sequence};
    struct nx_err own = NX_ERR_INIT;
    enum nx_code rc = install(engine, change, 0, &mark, 0, &own);

    if (rc != NX_OK && err)
        *err = own;
    return rc;
}

enum nx_code engine_install_log(struct nx_engine *engine, uint64_t position, struct nx_err *err)
{
    struct manifest_edit edit = {0};
    enum nx_code rc = wal_sync(engine->wal, err);

    if (rc != NX_OK)
        return rc;
    edit.log_start = wal_first_needed(engine->wal, position);
    nx_mutex_lock(&engine->manifest_mu);
    if (edit.log_start > manifest_state(engine->manifest)->log_start)
        rc = manifest_apply(engine->manifest, &edit, err);
    nx_mutex_unlock(&engine->manifest_mu);
    if (rc == NX_OK)
        wal_remove_before(engine->wal, edit.log_start);
    return rc;
}

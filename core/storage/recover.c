/*
 * recover.c - from what a directory holds to a tree that can be read and a log that can be written.
 *
 *     manifest -> tables of the version
 *     log      -> memtables: every frame behind what is in tables already
 *     a new log segment, chained to where the old ones end; a new manifest
 *     files that nothing names are removed
 *
 * What was replayed is served at once but, unless the log was closed in order, not taken for
 * durable (I6): it may be a page cache's memory of a failed sync. It is flushed to tables in the
 * background, and no sync commit is acknowledged before that.
 *
 * A new database is made in an order in which every crash leaves either nothing or all of it: the
 * manifest with its marker, then the log, then the edit that says that there is a log.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/engine.h"
#include "storage/wal_segment.h"

/* --- tables ----------------------------------------------------------------------------------- */

static enum nx_code open_file(struct nx_engine *engine, const struct manifest_table *row,
                              struct nx_file **out, struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    char name[TABLE_NAME_BYTES];
    uint64_t bytes;
    enum nx_code rc;

    table_name(row->number, name);
    rc = storage_path(&path, engine->dir, name, err);
    if (rc != NX_OK)
        return rc;
    rc = engine->io->ops->open(engine->io, (const char *)path.data, NX_OPEN_READ, out, err);
    if (rc == NX_ENOTFOUND)
        return nx_fail(err, NX_ECORRUPT, "table '%s' is missing", (const char *)path.data);
    if (rc != NX_OK)
        return rc;
    rc = (*out)->ops->size(*out, &bytes, err);
    if (rc == NX_OK && bytes != row->bytes)
        rc = nx_fail(err, NX_ECORRUPT, "table '%s' has %llu bytes instead of %llu",
                     (const char *)path.data, (unsigned long long)bytes,
                     (unsigned long long)row->bytes);
    if (rc != NX_OK)
        (*out)->ops->close(*out);
    return rc;
}

static enum nx_code open_table(struct nx_engine *engine, const struct manifest_table *row,
                               struct table **out, struct nx_err *err)
{
    struct nx_file *file;
    enum nx_code rc = open_file(engine, row, &file, err);

    if (rc != NX_OK)
        return rc;
    rc = table_open(file, row->number, engine->cache, out, err);
    if (rc != NX_OK) {
        file->ops->close(file);
        return rc;
    }
    if (row->sequence)
        rc = table_assign_sequence(*out, row->sequence, err);
    if (rc != NX_OK)
        table_unref(*out);
    return rc;
}

/* The tables of one level as one change of the version. */
static enum nx_code load_level(struct nx_engine *engine, const struct manifest_state *state,
                               unsigned level, struct version **version, struct nx_err *err)
{
    struct table **tables = calloc(state->count + 1, sizeof(struct table *));
    struct version_change change = {.added = tables, .level = level};
    struct version *next;
    enum nx_code rc = tables ? NX_OK : nx_fail_nomem(err);

    for (size_t i = 0; i < state->count && rc == NX_OK; i++)
        if (state->tables[i].level == level) {
            rc = open_table(engine, &state->tables[i], &tables[change.added_count], err);
            change.added_count += rc == NX_OK;
        }
    if (rc == NX_OK)
        rc = version_derive(*version, &change, &next, err);
    for (size_t i = 0; i < change.added_count; i++)
        table_unref(tables[i]);
    free(tables);
    if (rc != NX_OK)
        return rc;
    version_unref(*version);
    *version = next;
    return NX_OK;
}

static enum nx_code load_tables(struct nx_engine *engine, const struct manifest_state *state,
                                struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    engine->version = version_new();
    if (!engine->version)
        return nx_fail_nomem(err);
    for (unsigned level = 0; level < NX_LEVELS && rc == NX_OK; level++)
        rc = load_level(engine, state, level, &engine->version, err);
    return rc;
}

/* --- memtables -------------------------------------------------------------------------------- */

static enum nx_code first_tree(struct nx_engine *engine, struct nx_err *err)
{
    const struct tree nothing = {.version = engine->version};
    struct memtable *memtable = memtable_new(engine->options.memtable_bytes);

    if (!memtable)
        return nx_fail_nomem(err);
    engine->tree = tree_with_memtable(&nothing, memtable, NULL);
    engine->active = memtable;
    memtable_unref(memtable); /* the tree has it */
    return engine->tree ? NX_OK : nx_fail_nomem(err);
}

struct replay_target {
    struct nx_engine *engine;
    uint64_t flushed;
    const struct wal_tail *tail; /* how far the replay is */
};

static enum nx_code replay_frame(void *arg, const struct frame *frame, struct nx_slice payload,
                                 struct nx_err *err)
{
    struct replay_target *target = arg;
    struct nx_engine *engine = target->engine;
    uint64_t last = frame->sequence + frame->count - 1;
    enum nx_code rc;

    if (last <= target->flushed)
        return NX_OK;
    if (frame->sequence <= engine->sequence || last > SEQUENCE_MAX)
        return nx_fail(err, NX_ECORRUPT, "sequence %llu after %llu",
                       (unsigned long long)frame->sequence, (unsigned long long)engine->sequence);
    nx_mutex_lock(&engine->commit_mu);
    rc = memtable_bytes(engine->active) < engine->options.memtable_bytes
             ? NX_OK
             : engine_rotate(engine, target->tail->position, err);
    if (rc == NX_OK)
        rc = batch_apply(payload, frame->count, frame->sequence, engine->active, err);
    if (rc == NX_OK)
        engine->sequence = last;
    nx_mutex_unlock(&engine->commit_mu);
    return rc;
}

static enum nx_code replay_log(struct nx_engine *engine, const struct manifest_state *state,
                               struct wal_tail *tail, struct nx_err *err)
{
    struct replay_target target = {engine, state->flushed_sequence, tail};
    enum nx_code rc = NX_OK;

    *tail = WAL_TAIL_INIT;
    tail->closed = true; /* nothing is: nothing was lost */
    if (state->log_start)
        rc = wal_replay(engine->io, engine->dir, state->uuid, state->log_start, replay_frame,
                        &target, tail, err);
    if (rc == NX_OK && tail->sequence < engine->sequence)
        tail->sequence = engine->sequence;
    return rc;
}

/* --- files ------------------------------------------------------------------------------------ */

struct listing {
    struct nx_engine *engine;
    const struct manifest_state *state;
    uint64_t next_table;
    size_t tables, segments;
    struct nx_buf orphans; /* names, each with its NUL */
    enum nx_code rc;
};

static bool is_named(const struct manifest_state *state, uint64_t number)
{
    for (size_t i = 0; i < state->count; i++)
        if (state->tables[i].number == number)
            return true;
    return false;
}

static void note_file(void *arg, const char *name)
{
    struct listing *listing = arg;
    bool is_orphan = false;
    uint64_t number;

    if (table_name_parse(name, &number)) {
        listing->tables++;
        if (number >= listing->next_table)
            listing->next_table = number + 1;
        is_orphan = !is_named(listing->state, number);
    } else if (wal_name_parse(name, &number)) {
        listing->segments++;
    }
    if (is_orphan && listing->rc == NX_OK)
        listing->rc = nx_buf_append(&listing->orphans, name, strlen(name) + 1);
}

static enum nx_code list_files(struct nx_engine *engine, const struct manifest_state *state,
                               struct listing *out, struct nx_err *err)
{
    enum nx_code rc;

    *out = (struct listing){.engine = engine, .state = state, .next_table = state->next_number};
    rc = engine->io->ops->list(engine->io, engine->dir, note_file, out, err);
    if (rc == NX_OK && out->rc != NX_OK)
        rc = nx_fail_nomem(err);
    return rc;
}

static void remove_orphans(struct nx_engine *engine, const struct nx_buf *names)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    for (size_t at = 0; at < names->len; at += strlen((const char *)names->data + at) + 1)
        if (storage_path(&path, engine->dir, (const char *)names->data + at, NULL) == NX_OK)
            engine->io->ops->remove(engine->io, (const char *)path.data, NULL);
}

struct stale_segments {
    struct nx_engine *engine;
    const struct wal_tail *tail;
    uint64_t newest;
    struct nx_buf names;
};

static bool is_replayed(const struct wal_tail *tail, uint64_t number)
{
    for (size_t i = 0; i < tail->count; i++)
        if (tail->segments[i].number == number)
            return true;
    return false;
}

static void note_stale(void *arg, const char *name)
{
    struct stale_segments *stale = arg;
    uint64_t number;

    if (wal_name_parse(name, &number) && number <= stale->newest &&
        !is_replayed(stale->tail, number))
        nx_buf_append(&stale->names, name, strlen(name) + 1); /* or at the next open */
}

/* Segments from before the log's start, and those begun in vain behind a torn tail. */
static void remove_stale_segments(struct nx_engine *engine, const struct wal_tail *tail)
{
    struct stale_segments stale = {.engine = engine, .tail = tail, .newest = tail->last_number};

    if (engine->io->ops->list(engine->io, engine->dir, note_stale, &stale, NULL) == NX_OK)
        remove_orphans(engine, &stale.names);
    nx_buf_fini(&stale.names);
}

/* --- writing again ---------------------------------------------------------------------------- */

/* The segment's header must be on disk before an edit makes it the start of the log. */
static enum nx_code start_log(struct nx_engine *engine, const struct manifest_state *state,
                              const struct wal_tail *tail, struct nx_err *err)
{
    const struct wal_options options = {.segment_bytes = engine->options.wal_segment_bytes,
                                        .ring_bytes = engine->options.wal_ring_bytes,
                                        .reserve = engine->reserve};
    uint64_t number;
    struct manifest_edit edit = {0};
    enum nx_code rc =
        wal_open(engine->io, engine->dir, state->uuid, &options, tail, &engine->wal, err);

    if (rc != NX_OK || state->log_start)
        return rc;
    rc = wal_sync(engine->wal, err);
    if (rc != NX_OK)
        return rc;
    number = wal_first_number(engine->wal);
    edit.log_start = number;
    nx_mutex_lock(&engine->manifest_mu);
    rc = manifest_apply(engine->manifest, &edit, err);
    nx_mutex_unlock(&engine->manifest_mu);
    return rc;
}

static enum nx_code resume_writing(struct nx_engine *engine, struct manifest_state *state,
                                   const struct wal_tail *tail, const struct listing *listing,
                                   struct nx_err *err)
{
    struct manifest *manifest;
    enum nx_code rc;

    atomic_store(&engine->next_table, listing->next_table ? listing->next_table : 1);
    state->next_number = atomic_load(&engine->next_table);
    rc = manifest_open(engine->io, engine->dir, state, &manifest, err);
    if (rc != NX_OK)
        return rc;
    engine->manifest = manifest;
    rc = start_log(engine, manifest_state(manifest), tail, err);
    if (rc != NX_OK)
        return rc;
    remove_orphans(engine, &listing->orphans);
    remove_stale_segments(engine, tail);
    return NX_OK;
}

static enum nx_code find_state(struct nx_engine *engine, struct manifest_state *state,
                               struct nx_err *err)
{
    struct listing listing;
    enum nx_code rc = manifest_read(engine->io, engine->dir, state, err);

    if (rc != NX_ENOTFOUND)
        return rc;
    rc = list_files(engine, state, &listing, err);
    nx_buf_fini(&listing.orphans);
    if (rc != NX_OK)
        return rc;
    if (listing.tables || listing.segments) /* made after the marker: it was removed */
        return nx_fail(err, NX_ECORRUPT,
                       "'%s' has %zu tables and %zu log segments but no "
                       "CURRENT marker",
                       engine->dir, listing.tables, listing.segments);
    if (!engine->options.create || engine->options.read_only)
        return nx_fail(err, NX_ENOTFOUND, "no database in '%s'", engine->dir);
    engine->io->ops->random(engine->io, state->uuid, sizeof state->uuid);
    return NX_OK;
}

/* Only a run is newer than what the manifest calls flushed, and the log was on disk up to it (I13).
 */
static enum nx_code check_tables(struct nx_engine *engine, struct nx_err *err)
{
    for (unsigned l = 0; l < NX_LEVELS; l++) {
        const struct level *level = &engine->version->levels.level[l];

        for (size_t i = 0; i < level->count; i++) {
            const struct table_props *p = table_props(level->tables[i]);

            if (p->max_sequence > engine->sequence)
                return nx_fail(err, NX_ECORRUPT,
                               "'%s': the log ends at change %llu, before change %llu of table "
                               "%06llu",
                               engine->dir, (unsigned long long)engine->sequence,
                               (unsigned long long)p->max_sequence, (unsigned long long)p->number);
        }
    }
    return NX_OK;
}

static enum nx_code load(struct nx_engine *engine, struct manifest_state *state,
                         struct wal_tail *tail, struct nx_err *err)
{
    enum nx_code rc = load_tables(engine, state, err);

    engine->sequence = state->flushed_sequence;
    engine->flushed_sequence = state->flushed_sequence;
    if (rc == NX_OK)
        rc = first_tree(engine, err);
    if (rc == NX_OK)
        rc = replay_log(engine, state, tail, err);
    if (rc == NX_OK)
        rc = check_tables(engine, err);
    if (rc == NX_OK)
        rc = engine_load_named(engine, state, err);
    atomic_store_explicit(&engine->visible, engine->sequence, memory_order_release);
    return rc;
}

enum nx_code engine_recover(struct nx_engine *engine, struct nx_err *err)
{
    struct wal_tail tail = WAL_TAIL_INIT;
    struct listing listing = {0};
    struct manifest_state state;
    enum nx_code rc = find_state(engine, &state, err);

    if (rc != NX_OK)
        return rc;
    rc = load(engine, &state, &tail, err);
    if (rc == NX_OK && !engine->options.read_only) {
        rc = list_files(engine, &state, &listing, err);
        if (rc == NX_OK)
            rc = resume_writing(engine, &state, &tail, &listing, err);
    }
    nx_buf_fini(&listing.orphans);
    wal_tail_fini(&tail);
    manifest_state_fini(&state);
    return rc;
}

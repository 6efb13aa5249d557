/*
 * check.c - every byte of a closed database's files, and what they say of each other.
 *
 *   manifest  checksums and chain; every table it names is there, has its size and a number that
 *             was given; nothing in a table is newer than what is flushed or in the log
 *   tables    table_verify: checksums, order, index, filter, counts; levels 1 and up do not overlap
 *   log       the chain from its start to its end, and each change in it; sequences grow; no named
 *             snapshot sees more than there is
 *   files     those that nothing names are leftovers, which the next open removes: no fault
 *
 * It goes on behind a fault where it can, so that one run tells them all.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "storage/batch.h"
#include "storage/manifest.h"
#include "storage/show.h"
#include "storage/version.h"
#include "storage/wal_segment.h"

struct check {
    struct nx_io *io;
    const char *dir;
    struct show show;
    struct nx_check_counts counts;
    struct manifest_state state;
    bool has_state;
    struct cache *cache;
    struct version *version; /* of the tables that are sound */
    struct wal_tail tail;
    uint64_t last_sequence; /* of the log, or of what is flushed */
    uint64_t newest_in_tables, newest_table;
};

#define FAULT(check, ...) ((check)->counts.faults++, show_line(&(check)->show, __VA_ARGS__))

/* --- tables -------------------------------------------------------------------------------------
 */

static enum nx_code open_file(struct check *c, uint64_t number, struct nx_file **out,
                              uint64_t *bytes, struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    char name[TABLE_NAME_BYTES];
    enum nx_code rc;

    table_name(number, name);
    rc = storage_path(&path, c->dir, name, err);
    if (rc == NX_OK)
        rc = c->io->ops->open(c->io, (const char *)path.data, NX_OPEN_READ, out, err);
    if (rc == NX_OK)
        rc = (*out)->ops->size(*out, bytes, err);
    return rc;
}

static void check_facts(struct check *c, const struct table *table,
                        const struct manifest_table *row)
{
    const struct table_props *props = table_props(table);

    c->counts.tables++;
    c->counts.entries += props->entries;
    c->counts.file_bytes += props->file_bytes;
    if (props->file_bytes != row->bytes)
        FAULT(c, "'%s/%06" PRIu64 ".table' has %" PRIu64 " bytes; the manifest says %" PRIu64,
              c->dir, row->number, props->file_bytes, row->bytes);
    if (props->max_sequence > c->newest_in_tables) {
        c->newest_in_tables = props->max_sequence;
        c->newest_table = row->number;
    }
    if (row->number >= c->state.next_number)
        FAULT(c, "'%s/%06" PRIu64 ".table': the manifest gives numbers from %" PRIu64 " on next",
              c->dir, row->number, c->state.next_number);
}

static void add_to_level(struct check *c, struct table *table, unsigned level)
{
    struct version_change change = {.added = &table, .added_count = 1, .level = level};
    struct nx_err err = NX_ERR_INIT;
    struct version *next;

    if (version_derive(c->version, &change, &next, &err) != NX_OK) {
        FAULT(c, "'%s': level %u: %s", c->dir, level, err.message);
        return;
    }
    version_unref(c->version);
    c->version = next;
}

static enum nx_code check_table(struct check *c, const struct manifest_table *row,
                                struct nx_err *err)
{
    struct nx_err why = NX_ERR_INIT;
    struct nx_file *file = NULL;
    struct table *table = NULL;
    uint64_t bytes;
    enum nx_code rc = open_file(c, row->number, &file, &bytes, &why);

    if (rc == NX_OK)
        rc = table_open(file, row->number, c->cache, &table, &why);
    if (rc != NX_OK && file)
        file->ops->close(file);
    if (rc == NX_OK) {
        if (row->sequence)
            rc = table_assign_sequence(table, row->sequence, &why);
    }
    if (rc == NX_OK) {
        check_facts(c, table, row);
        add_to_level(c, table, row->level);
        rc = table_verify(table, &why);
    }
    table_unref(table);
    if (rc == NX_ENOMEM)
        return nx_fail_nomem(err);
    if (rc == NX_ENOTFOUND)
        FAULT(c, "table '%s/%06" PRIu64 ".table' is missing", c->dir, row->number);
    else if (rc != NX_OK)
        FAULT(c, "'%s/%s'", c->dir, why.message);
    return NX_OK;
}

static enum nx_code check_tables(struct check *c, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    c->cache = cache_new(0);
    c->version = version_new();
    if (!c->cache || !c->version)
        return nx_fail_nomem(err);
    for (size_t i = 0; i < c->state.count && rc == NX_OK; i++)
        rc = check_table(c, &c->state.tables[i], err);
    return rc;
}

/* --- the log ------------------------------------------------------------------------------------
 */

static enum nx_code check_frame(void *arg, const struct frame *frame, struct nx_slice payload,
                                struct nx_err *err)
{
    struct check *c = arg;
    uint64_t last = frame->sequence + frame->count - 1;
    struct change change;

    c->counts.frames++;
    c->counts.file_bytes += frame_bytes(frame->length);
    if (frame->sequence <= c->last_sequence || last > SEQUENCE_MAX)
        return nx_fail(err, NX_ECORRUPT, "sequence %" PRIu64 " after %" PRIu64, frame->sequence,
                       c->last_sequence);
    c->last_sequence = last;
    for (uint32_t i = 0; i < frame->count; i++)
        if (!change_take(&payload, &change))
            return nx_fail(err, NX_ECORRUPT, "change %u of %u cannot be read", i, frame->count);
    return payload.len == 0
               ? NX_OK
               : nx_fail(err, NX_ECORRUPT, "%zu bytes behind the last change", payload.len);
}

/* A flush says how far it came; a run is there only when the log was on disk up to it. */
static void check_newest(struct check *c)
{
    uint64_t last =
        c->last_sequence > c->state.flushed_sequence ? c->last_sequence : c->state.flushed_sequence;

    if (c->newest_in_tables > last)
        FAULT(c,
              "'%s/%06" PRIu64 ".table' has sequence %" PRIu64
              "; manifest and log say that %" PRIu64 " is the last",
              c->dir, c->newest_table, c->newest_in_tables, last);
}

static enum nx_code check_log(struct check *c, struct nx_err *err)
{
    struct nx_err why = NX_ERR_INIT;
    enum nx_code rc;

    if (!c->state.log_start) {
        check_newest(c);
        return NX_OK;
    }
    rc = wal_replay(c->io, c->dir, c->state.uuid, c->state.log_start, check_frame, c, &c->tail,
                    &why);
    if (rc == NX_ENOMEM)
        return nx_fail_nomem(err);
    if (rc != NX_OK)
        FAULT(c, "%s", why.message);
    else
        check_newest(c);
    c->counts.segments = c->tail.count;
    for (size_t i = 0; rc == NX_OK && i < c->state.snapshot_count; i++)
        if (c->state.snapshots[i].sequence > c->last_sequence &&
            c->state.snapshots[i].sequence > c->state.flushed_sequence)
            FAULT(c, "snapshot '%s' sees sequence %" PRIu64 ", the log ends at %" PRIu64,
                  c->state.snapshots[i].name, c->state.snapshots[i].sequence, c->last_sequence);
    return NX_OK;
}

/* --- files --------------------------------------------------------------------------------------
 */

static bool is_of_the_tree(const struct check *c, uint64_t number)
{
    for (size_t i = 0; i < c->state.count; i++)
        if (c->state.tables[i].number == number)
            return true;
    return false;
}

static bool is_of_the_log(const struct check *c, uint64_t number)
{
    for (size_t i = 0; i < c->tail.count; i++)
        if (c->tail.segments[i].number == number)
            return true;
    return false;
}

static void note_file(void *arg, const char *name)
{
    struct check *c = arg;
    uint64_t number;

    if (table_name_parse(name, &number))
        c->counts.leftovers += !is_of_the_tree(c, number);
    else if (wal_name_parse(name, &number))
        c->counts.leftovers += !is_of_the_log(c, number);
}

static enum nx_code run(struct check *c, struct nx_err *err)
{
    struct nx_err why = NX_ERR_INIT;
    enum nx_code rc = manifest_read(c->io, c->dir, &c->state, &why);

    if (rc == NX_ECORRUPT) {
        FAULT(c, "%s", why.message); /* without it nothing says what belongs to the tree */
        return NX_OK;
    }
    if (rc != NX_OK)
        return nx_fail(err, rc, "%s", why.message);
    rc = check_tables(c, err);
    if (rc == NX_OK)
        rc = check_log(c, err);
    return rc == NX_OK ? c->io->ops->list(c->io, c->dir, note_file, c, err) : rc;
}

enum nx_code nx_engine_check(const char *dir, struct nx_io *io, nx_line_fn fault, void *arg,
                             struct nx_check_counts *out, struct nx_err *err)
{
    struct check c = {.io = io ? io : nx_io_posix(), .dir = dir, .show = {fault, arg}};
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_dirlock *lock = NULL;
    enum nx_code rc = storage_path(&path, dir, "LOCK", err);

    *out = (struct nx_check_counts){0};
    if (rc == NX_OK)
        rc = c.io->ops->lock(c.io, (const char *)path.data, &lock, err);
    if (rc == NX_OK)
        rc = run(&c, err);
    *out = c.counts;
    if (lock)
        c.io->ops->unlock(c.io, lock);
    version_unref(c.version);
    cache_free(c.cache);
    wal_tail_fini(&c.tail);
    manifest_state_fini(&c.state);
    return rc;
}

/*
 * named.c - snapshots with a name: a row of the manifest, and a pin that keeps what it sees.
 *
 * A snapshot is pinned first, so that no flush or compaction takes anything from it; then the log
 * is synced up to its sequence, then the manifest names it. After any crash the name is there only
 * when all it sees is (I11). A failed edit may be found by the next open all the same: that is
 * sound, because whatever lost a version since then came into use by a later edit, and the later
 * edit starts a manifest without the name.
 *
 * The rows are changed with manifest_mu held, which orders the edits, and under state_mu, so that
 * looking one up waits for no disk.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/engine.h"
#include "storage/mutation.h"

/* --- rows; state_mu is held --------------------------------------------------------------------
 */

static struct named_snapshot *named(struct nx_engine *engine, const char *name, size_t len)
    NX_REQUIRES(engine->state_mu)
{
    for (size_t i = 0; i < engine->named_count; i++) {
        const struct nx_snapshot_info *info = &engine->named[i].info;

        if (info->name_len == len && memcmp(info->name, name, len) == 0)
            return &engine->named[i];
    }
    return NULL;
}

/* The first whose number is not lower; the count when there is none. */
static size_t numbered(struct nx_engine *engine, uint32_t number) NX_REQUIRES(engine->state_mu)
{
    size_t at = 0;

    while (at < engine->named_count && engine->named[at].info.number < number)
        at++;
    return at;
}

static bool is_taken(struct nx_engine *engine, uint32_t number) NX_REQUIRES(engine->state_mu)
{
    size_t at = numbered(engine, number);

    return at < engine->named_count && engine->named[at].info.number == number;
}

/* Going round, so that a number comes back as late as can be. There is a free one. */
static uint32_t next_number(struct nx_engine *engine) NX_REQUIRES(engine->state_mu)
{
    uint32_t number = engine->last_named;

    do
        number = number % NX_SNAPSHOTS_MAX + 1;
    while (is_taken(engine, number));
    return number;
}

static enum nx_code insert(struct nx_engine *engine, const struct nx_snapshot_info *info,
                           struct nx_snapshot *pin, struct nx_err *err)
    NX_REQUIRES(engine->state_mu)
{
    size_t at = numbered(engine, info->number);
    struct named_snapshot *rows = realloc(engine->named, (engine->named_count + 1) * sizeof *rows);

    if (!rows)
        return nx_fail_nomem(err);
    engine->named = rows;
    memmove(rows + at + 1, rows + at, (engine->named_count - at) * sizeof *rows);
    rows[at] = (struct named_snapshot){*info, pin};
    pin->is_named = true;
    engine->named_count++;
    engine->last_named = info->number;
    return NX_OK;
}

static struct nx_snapshot *take_out(struct nx_engine *engine, uint32_t number)
    NX_REQUIRES(engine->state_mu)
{
    size_t at = numbered(engine, number);
    struct nx_snapshot *pin = engine->named[at].pin;

    engine->named_count--;
    memmove(engine->named + at, engine->named + at + 1,
            (engine->named_count - at) * sizeof *engine->named);
    return pin;
}

/* --- checks ------------------------------------------------------------------------------------
 */

static enum nx_code check_name(const char *name, size_t len, struct nx_err *err)
{
    (void)name;
    if (len == 0)
        return nx_fail(err, NX_ENAME, "a snapshot's name is empty");
    if (len > NX_SNAPSHOT_NAME_MAX)
        return nx_fail(err, NX_ENAMETOOLONG, "a snapshot's name has %zu bytes, at most %d", len,
                       NX_SNAPSHOT_NAME_MAX);
    return NX_OK;
}

static enum nx_code not_there(const char *name, size_t len, struct nx_err *err)
{
    return nx_fail(err, NX_ENOTFOUND, "there is no snapshot '%.*s'", (int)len, name);
}

static enum nx_code is_there(const char *name, size_t len, struct nx_err *err)
{
    return nx_fail(err, NX_EEXISTS, "there is a snapshot '%.*s'", (int)len, name);
}

static enum nx_code check_writable(struct nx_engine *engine, struct nx_err *err)
{
    if (engine->options.read_only)
        return nx_fail(err, NX_EROFS, "'%s' is open for reading only", engine->dir);
    return NX_OK;
}

/* --- making ------------------------------------------------------------------------------------
 */

/* What the new row will be. */
static enum nx_code plan(struct nx_engine *engine, const char *name, size_t len,
                         const struct nx_snapshot *pin, struct nx_snapshot_info *out,
                         struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    *out = (struct nx_snapshot_info){.sequence = pin->sequence, .name_len = len};
    out->time_ns = (int64_t)engine->io->ops->realtime_ns(engine->io);
    memcpy(out->name, name, len);
    nx_mutex_lock(&engine->state_mu);
    if (named(engine, name, len))
        rc = is_there(name, len, err);
    else if (engine->named_count == NX_SNAPSHOTS_MAX)
        rc = nx_fail(err, NX_EBUSY, "there are %d snapshots already", NX_SNAPSHOTS_MAX);
    else
        out->number = next_number(engine);
    nx_mutex_unlock(&engine->state_mu);
    return rc;
}

/* The row comes first, so that nothing can fail behind the edit. */
static enum nx_code record(struct nx_engine *engine, const struct nx_snapshot_info *info,
                           struct nx_snapshot *pin, struct nx_err *err)
    NX_REQUIRES(engine->manifest_mu)
{
    struct manifest_edit edit = {.snapshots = info, .snapshot_count = 1};
    enum nx_code rc;

    nx_mutex_lock(&engine->state_mu);
    rc = insert(engine, info, pin, err);
    nx_mutex_unlock(&engine->state_mu);
    if (rc != NX_OK)
        return rc;
    rc = manifest_apply(engine->manifest, &edit, err);
    if (rc == NX_OK)
        return NX_OK;
    nx_mutex_lock(&engine->state_mu);
    take_out(engine, info->number);
    pin->is_named = false;
    nx_mutex_unlock(&engine->state_mu);
    return rc;
}

static enum nx_code make(struct nx_engine *engine, const char *name, size_t len,
                         struct nx_snapshot *pin, struct nx_snapshot_info *out, struct nx_err *err)
{
    enum nx_code rc = engine_mutated(NAME_BEFORE_SYNC) ? NX_OK : nx_engine_sync(engine, err);

    if (rc != NX_OK)
        return rc;
    nx_mutex_lock(&engine->manifest_mu);
    rc = plan(engine, name, len, pin, out, err);
    if (rc == NX_OK)
        rc = record(engine, out, pin, err);
    nx_mutex_unlock(&engine->manifest_mu);
    return rc;
}

enum nx_code nx_engine_snapshot_make(struct nx_engine *engine, const char *name, size_t name_len,
                                     struct nx_snapshot_info *out, struct nx_err *err)
{
    struct nx_snapshot *pin;
    enum nx_code rc = check_name(name, name_len, err);

    if (rc == NX_OK)
        rc = check_writable(engine, err);
    if (rc != NX_OK)
        return rc;
    pin = nx_snapshot_take(engine);
    if (!pin)
        return nx_fail_nomem(err);
    rc = make(engine, name, name_len, pin, out, err);
    if (rc != NX_OK)
        nx_snapshot_release(pin);
    return rc;
}

/* --- dropping, renaming ------------------------------------------------------------------------
 */

/* Have the compaction thread look through the tables of before now. */
static void want_reclaim(struct nx_engine *engine, uint64_t sequence)
{
    struct compact_reclaim *dropped = &engine->dropped;

    nx_mutex_lock(&engine->state_mu);
    if (dropped->dropped_before == 0 || sequence < dropped->dropped_least)
        dropped->dropped_least = sequence;
    if (sequence > dropped->dropped_greatest)
        dropped->dropped_greatest = sequence;
    dropped->dropped_before = atomic_load(&engine->next_table);
    engine->table_changes++;
    nx_cond_signal(&engine->compact_wake);
    nx_mutex_unlock(&engine->state_mu);
}

enum nx_code nx_engine_snapshot_drop(struct nx_engine *engine, const char *name, size_t name_len,
                                     struct nx_err *err)
{
    struct nx_snapshot_info info;
    struct nx_snapshot *pin = NULL;
    struct manifest_edit edit = {0};
    enum nx_code rc = check_writable(engine, err);

    if (rc != NX_OK)
        return rc;
    nx_mutex_lock(&engine->manifest_mu);
    rc = nx_engine_snapshot_find(engine, name, name_len, &info, err);
    if (rc == NX_OK) {
        edit.dropped_snapshot = info.number;
        rc = manifest_apply(engine->manifest, &edit, err);
    }
    if (rc == NX_OK) {
        nx_mutex_lock(&engine->state_mu);
        pin = take_out(engine, info.number);
        nx_mutex_unlock(&engine->state_mu);
    }
    nx_mutex_unlock(&engine->manifest_mu);
    if (rc != NX_OK)
        return rc;
    nx_snapshot_release(pin);
    want_reclaim(engine, info.sequence);
    return NX_OK;
}

static enum nx_code rename_row(struct nx_engine *engine, const struct nx_snapshot_info *from,
                               const char *to, size_t to_len, struct nx_err *err)
    NX_REQUIRES(engine->manifest_mu)
{
    struct nx_snapshot_info renamed = *from;
    struct manifest_edit edit = {
        .dropped_snapshot = from->number, .snapshots = &renamed, .snapshot_count = 1};
    enum nx_code rc;

    renamed.name_len = to_len;
    memset(renamed.name, 0, sizeof renamed.name);
    memcpy(renamed.name, to, to_len);
    rc = manifest_apply(engine->manifest, &edit, err);
    if (rc != NX_OK)
        return rc;
    nx_mutex_lock(&engine->state_mu);
    engine->named[numbered(engine, from->number)].info = renamed;
    nx_mutex_unlock(&engine->state_mu);
    return NX_OK;
}

enum nx_code nx_engine_snapshot_rename(struct nx_engine *engine, const char *from, size_t from_len,
                                       const char *to, size_t to_len, struct nx_err *err)
{
    struct nx_snapshot_info info, other;
    enum nx_code rc = check_name(to, to_len, err);

    if (rc == NX_OK)
        rc = check_writable(engine, err);
    if (rc != NX_OK)
        return rc;
    nx_mutex_lock(&engine->manifest_mu);
    rc = nx_engine_snapshot_find(engine, from, from_len, &info, err);
    if (rc == NX_OK && nx_engine_snapshot_find(engine, to, to_len, &other, NULL) == NX_OK)
        rc = is_there(to, to_len, err);
    if (rc == NX_OK)
        rc = rename_row(engine, &info, to, to_len, err);
    nx_mutex_unlock(&engine->manifest_mu);
    return rc;
}

/* --- finding -----------------------------------------------------------------------------------
 */

enum nx_code nx_engine_snapshot_find(struct nx_engine *engine, const char *name, size_t name_len,
                                     struct nx_snapshot_info *out, struct nx_err *err)
{
    const struct named_snapshot *row;

    nx_mutex_lock(&engine->state_mu);
    row = named(engine, name, name_len);
    if (row)
        *out = row->info;
    nx_mutex_unlock(&engine->state_mu);
    return row ? NX_OK : not_there(name, name_len, err);
}

enum nx_code nx_engine_snapshot_next(struct nx_engine *engine, uint32_t after,
                                     struct nx_snapshot_info *out)
{
    size_t at;
    bool found;

    nx_mutex_lock(&engine->state_mu);
    at = numbered(engine, after + 1);
    found = at < engine->named_count;
    if (found)
        *out = engine->named[at].info;
    nx_mutex_unlock(&engine->state_mu);
    return found ? NX_OK : NX_DONE;
}

enum nx_code nx_engine_snapshot_open(struct nx_engine *engine, uint32_t number,
                                     struct nx_snapshot_info *info, struct nx_snapshot **out,
                                     struct nx_err *err)
{
    struct nx_snapshot *snapshot = calloc(1, sizeof *snapshot);
    bool found;

    *out = NULL;
    if (!snapshot)
        return nx_fail_nomem(err);
    nx_mutex_lock(&engine->state_mu);
    found = is_taken(engine, number);
    if (found) {
        const struct named_snapshot *row = &engine->named[numbered(engine, number)];

        engine_pin_sequence(engine, snapshot, row->info.sequence);
        if (info)
            *info = row->info;
    }
    nx_mutex_unlock(&engine->state_mu);
    if (!found) {
        free(snapshot);
        return nx_fail(err, NX_ENOTFOUND, "there is no snapshot %u", number);
    }
    *out = snapshot;
    return NX_OK;
}

/* --- opening and closing the engine ------------------------------------------------------------
 */

static enum nx_code load_one(struct nx_engine *engine, const struct nx_snapshot_info *info,
                             struct nx_err *err)
{
    struct nx_snapshot *pin;
    enum nx_code rc;

    if (info->sequence > engine->sequence) /* the log was on disk up to there (I11) */
        return nx_fail(err, NX_ECORRUPT,
                       "'%s': the log ends at change %llu, before change %llu of snapshot '%s'",
                       engine->dir, (unsigned long long)engine->sequence,
                       (unsigned long long)info->sequence, info->name);
    pin = calloc(1, sizeof *pin);
    if (!pin)
        return nx_fail_nomem(err);
    nx_mutex_lock(&engine->state_mu);
    rc = insert(engine, info, pin, err);
    if (rc == NX_OK)
        engine_pin_sequence(engine, pin, info->sequence);
    nx_mutex_unlock(&engine->state_mu);
    if (rc != NX_OK)
        free(pin);
    return rc;
}

enum nx_code engine_load_named(struct nx_engine *engine, const struct manifest_state *state,
                               struct nx_err *err)
{
    const struct nx_snapshot_info *newest = NULL;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < state->snapshot_count && rc == NX_OK; i++) {
        rc = load_one(engine, &state->snapshots[i], err);
        if (!newest || state->snapshots[i].sequence >= newest->sequence)
            newest = &state->snapshots[i];
    }
    if (newest)
        engine->last_named = newest->number;
    return rc;
}

void engine_free_named(struct nx_engine *engine)
{
    for (size_t i = 0; i < engine->named_count; i++)
        nx_snapshot_release(engine->named[i].pin);
    free(engine->named);
}

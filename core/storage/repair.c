/*
 * repair.c - whatever can be read of a database, merged into a new one.
 *
 *     manifest -> which tables count; where it is damaged or lost: every table of the directory
 *     tables   -> sources of the entries in sound blocks, and their range tombstones
 *     log      -> memtables of the changes in whole frames
 *     all of them merged: of each key the newest version, unless a newer deletion hides it
 *
 * Nothing is guessed and nothing is silent. What a repair cannot know: whether an older version
 * that it finds had been replaced or deleted by something that is lost. So the loss of a block, a
 * table or a part of the log is told with its keys or sequences; in that range older values may
 * stand where newer ones stood, and deleted keys may be back. Without a manifest that holds for
 * everything that a table which compaction had already replaced can still bring in.
 *
 * The old directory is only read, but for its LOCK, which keeps a running database away.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nexadb/salvage.h>

#include "storage/batch.h"
#include "storage/frame_walk.h"
#include "storage/manifest_edit.h"
#include "storage/merge.h"
#include "storage/shade.h"
#include "storage/show.h"
#include "storage/table_salvage.h"
#include "storage/wal_ring.h"
#include "storage/wal_segment.h"

enum { BATCH_BYTES = 1 << 20, MEMTABLE_BYTES = 64 << 20 };

struct numbers {
    uint64_t *rows; /* owned, ascending */
    size_t count, cap;
};

struct repair {
    struct nx_io *io;
    const char *dir;
    nx_line_fn fn;
    void *arg;
    struct nx_repair_counts counts;

    struct numbers tables, segments, manifests; /* files that are there */
    enum nx_code list_rc;
    struct manifest_state state; /* as far as it could be read */
    bool has_state;              /* all of it */
    bool has_uuid;

    bool lost_entries;
    struct table_salvage **salvaged; /* owned */
    size_t salvaged_count;
    struct memtable **memtables; /* owned */
    struct range_tombstones **memtable_ranges;
    size_t memtable_count;
    uint64_t last_sequence; /* of the log */
    struct nx_buf ring;     /* its image */
    uint64_t skip_up_to;    /* changes that are in tables */
};

static void tell(struct repair *r, const char *format, ...) NX_PRINTF(2, 3);
static void tell(struct repair *r, const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    r->counts.losses++;
    r->fn(r->arg, line);
}

static enum nx_code path_of(struct repair *r, struct nx_buf *out, const char *name,
                            struct nx_err *err)
{
    return storage_path(out, r->dir, name, err);
}

/* --- what is there ------------------------------------------------------------------------------
 */

static enum nx_code add_number(struct numbers *list, uint64_t number)
{
    size_t at = list->count;

    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 64;
        uint64_t *rows = realloc(list->rows, cap * sizeof *rows);

        if (!rows)
            return NX_ENOMEM;
        list->rows = rows;
        list->cap = cap;
    }
    for (; at > 0 && list->rows[at - 1] > number; at--)
        list->rows[at] = list->rows[at - 1];
    list->rows[at] = number;
    list->count++;
    return NX_OK;
}

static bool has_number(const struct numbers *list, uint64_t number)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->rows[i] == number)
            return true;
    return false;
}

static void note_file(void *arg, const char *name)
{
    struct repair *r = arg;
    uint64_t number;
    bool is_marker;
    enum nx_code rc = NX_OK;

    if (table_name_parse(name, &number))
        rc = add_number(&r->tables, number);
    else if (wal_name_parse(name, &number))
        rc = add_number(&r->segments, number);
    else if (manifest_name_parse(name, &number, &is_marker) && !is_marker)
        rc = add_number(&r->manifests, number);
    if (rc != NX_OK)
        r->list_rc = rc;
}

/* --- the manifest -------------------------------------------------------------------------------
 */

static enum nx_code apply_edit(void *arg, const struct frame_step *step, struct nx_err *err)
{
    struct repair *r = arg;

    if (!step->frame)
        return NX_DONE; /* what comes behind builds on what is lost */
    return manifest_edit_apply(&r->state, step->payload, err);
}

/* The beginning of a damaged one: the uuid, and how far the log was in tables at the least. */
static enum nx_code read_beginning(struct repair *r, uint64_t number, struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    char name[64];
    enum nx_code rc;

    snprintf(name, sizeof name, "MANIFEST-%06" PRIu64, number);
    rc = path_of(r, &path, name, err);
    if (rc == NX_OK)
        rc = file_load(r->io, (const char *)path.data, &bytes, err);
    if (rc != NX_OK)
        return rc;
    if (manifest_header_get(name, nx_buf_slice(&bytes), number, r->state.uuid, NULL) != NX_OK)
        return NX_OK;
    r->has_uuid = true;
    rc = frame_walk(nx_buf_slice(&bytes), MANIFEST_FIRST_FRAME, number,
                    frame_seed(r->state.uuid, number, MANIFEST_SEED_KIND), apply_edit, r, NULL);
    return rc == NX_ENOMEM ? nx_fail_nomem(err) : NX_OK;
}

static enum nx_code read_manifest(struct repair *r, struct nx_err *err)
{
    struct nx_err why = NX_ERR_INIT;
    enum nx_code rc = manifest_read(r->io, r->dir, &r->state, &why);

    if (rc == NX_OK) {
        r->has_state = r->has_uuid = true;
        return NX_OK;
    }
    if (rc != NX_ECORRUPT && rc != NX_ENOTFOUND && rc != NX_EIO)
        return nx_fail(err, rc, "%s", why.message);
    if (rc == NX_ENOTFOUND && r->tables.count == 0 && r->segments.count == 0 &&
        r->manifests.count == 0)
        return nx_fail(err, NX_ENOTFOUND, "no database in '%s'", r->dir);
    tell(r,
         "%s: all %zu tables of '%s' are merged instead, the newest sequence of a key wins; keys "
         "that were deleted may be back, from tables that were already replaced",
         rc == NX_ENOTFOUND ? "there is no CURRENT marker" : why.message, r->tables.count, r->dir);
    r->lost_entries = true;
    if (r->manifests.count)
        return read_beginning(r, r->manifests.rows[r->manifests.count - 1], err);
    return NX_OK;
}

/* --- tables -------------------------------------------------------------------------------------
 */

static void note_table_loss(void *arg, const struct table_loss *loss)
{
    struct repair *r = arg;
    char after[SHOW_BYTES], up_to[SHOW_BYTES];

    if (!loss->is_block) {
        tell(r, "'%s/%s' (%" PRIu64 " bytes at %" PRIu64 ")", r->dir, loss->what, loss->bytes,
             loss->offset);
        return;
    }
    r->lost_entries = true;
    r->counts.lost_blocks++;
    tell(r, "'%s/%s' (%" PRIu64 " bytes): lost are its keys after %s up to %s", r->dir, loss->what,
         loss->bytes, loss->after.len ? show_key(loss->after, after) : "the beginning",
         loss->up_to.len ? show_key(loss->up_to, up_to) : "the next that was found");
}

/* `sequence` is that of a run; 0: the table has its own. */
static enum nx_code open_table(struct repair *r, uint64_t number, uint64_t sequence,
                               struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err why = NX_ERR_INIT;
    struct table_salvage *salvage;
    struct nx_file *file;
    char name[TABLE_NAME_BYTES];
    enum nx_code rc;

    table_name(number, name);
    rc = path_of(r, &path, name, err);
    if (rc != NX_OK)
        return rc;
    rc = r->io->ops->open(r->io, (const char *)path.data, NX_OPEN_READ, &file, &why);
    if (rc == NX_OK) {
        rc = table_salvage_open(file, number, note_table_loss, r, &salvage, &why);
        if (rc != NX_OK)
            file->ops->close(file);
    }
    if (rc == NX_ENOMEM)
        return nx_fail_nomem(err);
    if (rc != NX_OK) {
        r->lost_entries = true;
        tell(r, "table '%s' is lost as a whole: %s", (const char *)path.data, why.message);
        return NX_OK;
    }
    table_salvage_assign(salvage, sequence);
    r->salvaged[r->salvaged_count++] = salvage;
    r->counts.tables += table_salvage_blocks(salvage) > 0;
    return NX_OK;
}

static enum nx_code open_tables(struct repair *r, struct nx_err *err)
{
    size_t count = r->has_state ? r->state.count : r->tables.count;
    enum nx_code rc = NX_OK;

    r->salvaged = calloc(count + 1, sizeof *r->salvaged);
    if (!r->salvaged)
        return nx_fail_nomem(err);
    for (size_t i = 0; i < count && rc == NX_OK; i++)
        rc = r->has_state
                 ? open_table(r, r->state.tables[i].number, r->state.tables[i].sequence, err)
                 : open_table(r, r->tables.rows[i], 0, err);
    return rc;
}

/* --- the log ------------------------------------------------------------------------------------
 */

struct segment {
    struct repair *repair;
    const char *path;
    uint64_t end;            /* where the next segment says that this one was left */
    uint64_t hash;           /* of the frame before; 0: not known */
    uint64_t claim;          /* highest position that a frame calls durable */
    uint64_t base;           /* position of the segment's first byte */
    uint64_t gap, gap_bytes; /* the last one; gap 0: none since the last whole frame */
    uint64_t next;           /* offset behind the last whole frame */
};

static struct memtable *active_memtable(struct repair *r)
{
    struct memtable *last = r->memtable_count ? r->memtables[r->memtable_count - 1] : NULL;
    struct memtable **rows;

    if (last && memtable_bytes(last) < MEMTABLE_BYTES)
        return last;
    rows = realloc(r->memtables, (r->memtable_count + 1) * sizeof(struct memtable *));
    if (!rows)
        return NULL;
    r->memtables = rows;
    rows[r->memtable_count] = memtable_new(MEMTABLE_BYTES);
    return rows[r->memtable_count] ? rows[r->memtable_count++] : NULL;
}

static enum nx_code apply_frame(struct segment *segment, const struct frame_step *step,
                                struct nx_err *err)
{
    struct repair *r = segment->repair;
    const struct frame *frame = step->frame;
    uint64_t last = frame->sequence + frame->count - 1;
    struct nx_err why = NX_ERR_INIT;
    struct memtable *memtable;
    enum nx_code rc;

    if (frame->count == 0 || last <= r->skip_up_to)
        return NX_OK;
    if (frame->sequence <= r->last_sequence || last > SEQUENCE_MAX) {
        tell(r,
             "log '%s' at offset %" PRIu64 ": its %u changes from sequence %" PRIu64
             " on come out of order and are left out",
             segment->path, step->offset, frame->count, frame->sequence);
        return NX_OK;
    }
    memtable = active_memtable(r);
    if (!memtable)
        return nx_fail_nomem(err);
    rc = batch_apply(step->payload, frame->count, frame->sequence, memtable, &why);
    if (rc == NX_ENOMEM)
        return nx_fail_nomem(err);
    if (rc != NX_OK)
        tell(r, "log '%s' at offset %" PRIu64 ": %s", segment->path, step->offset, why.message);
    r->last_sequence = last;
    r->counts.frames++;
    return NX_OK;
}

/* Between two whole frames that are not neighbours something is lost. */
static void tell_gap(struct segment *segment, const struct frame_step *step)
{
    struct repair *r = segment->repair;
    uint64_t offset = segment->gap ? segment->gap : step->offset;

    r->lost_entries = true;
    tell(r,
         "log '%s' at offset %" PRIu64 ": %" PRIu64
         " bytes are damaged or missing; lost are changes "
         "from sequence %" PRIu64 " up to %" PRIu64,
         segment->path, offset, segment->gap_bytes, r->last_sequence + 1,
         step->frame->sequence ? step->frame->sequence - 1 : 0);
}

static enum nx_code take_step(void *arg, const struct frame_step *step, struct nx_err *err)
{
    struct segment *segment = arg;

    if (step->offset >= segment->end)
        return NX_DONE;
    if (!step->frame) {
        segment->gap = step->offset;
        segment->gap_bytes = step->bytes;
        return NX_OK;
    }
    if (step->frame->durable > segment->claim)
        segment->claim = step->frame->durable;
    if (segment->gap || (segment->hash && step->frame->previous != segment->hash))
        if (step->frame->count && step->frame->sequence > segment->repair->skip_up_to)
            tell_gap(segment, step);
    segment->gap = 0;
    segment->gap_bytes = 0;
    segment->hash = step->frame->hash;
    segment->next = step->offset + frame_bytes(step->frame->length);
    return apply_frame(segment, step, err);
}

static enum nx_code load_segment(struct repair *r, uint64_t number, struct nx_buf *path,
                                 struct nx_buf *bytes, struct nx_err *err)
{
    struct nx_err why = NX_ERR_INIT;
    char name[WAL_NAME_BYTES];
    enum nx_code rc;

    wal_name(number, name);
    rc = path_of(r, path, name, err);
    if (rc != NX_OK)
        return rc;
    rc = file_load(r->io, (const char *)path->data, bytes, &why);
    if (rc == NX_ENOMEM)
        return nx_fail_nomem(err);
    if (rc != NX_OK) {
        r->lost_entries = true;
        tell(r, "log '%s' cannot be read: %s", (const char *)path->data, why.message);
        nx_buf_clear(bytes);
    }
    return NX_OK;
}

/* Headers of all segments: each says where the one before it was left. */
static enum nx_code read_headers(struct repair *r, struct wal_header *headers, struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < r->segments.count && rc == NX_OK; i++) {
        uint32_t version;

        headers[i] = (struct wal_header){0};
        rc = load_segment(r, r->segments.rows[i], &path, &bytes, err);
        if (rc != NX_OK || bytes.len < WAL_HEADER_BYTES)
            continue;
        if (!r->has_uuid)
            r->has_uuid = wal_header_uuid(bytes.data, r->state.uuid);
        if (!wal_header_decode(bytes.data, r->state.uuid, &headers[i], &version))
            headers[i] = (struct wal_header){0};
    }
    return rc;
}

/* Frames from there on were never part of the log, or are from before it was cut. */
static uint64_t left_at(const struct repair *r, const struct wal_header *headers, size_t i)
{
    for (size_t next = r->segments.count; next > i + 1; next--)
        if (headers[next - 1].number && headers[next - 1].previous_number == r->segments.rows[i])
            return headers[next - 1].previous_end;
    return UINT64_MAX;
}

/* Was this segment begun, and then given up for another one in the same place? */
static bool is_in_vain(const struct repair *r, const struct wal_header *headers, size_t i)
{
    for (size_t other = i + 1; other < r->segments.count; other++)
        if (headers[i].number && headers[other].number &&
            headers[other].previous_number == headers[i].previous_number &&
            headers[other].base == headers[i].base)
            return true;
    return false;
}

/* The newest frames of a log that was not closed may only be in the ring. */
static enum nx_code read_ring(struct segment *segment, uint64_t number, uint64_t seed,
                              struct nx_err *err)
{
    struct nx_buf room NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    const uint8_t *bytes;
    struct frame frame;
    enum nx_code rc = NX_OK;

    while (rc == NX_OK) {
        struct frame_step step = {.offset = segment->next, .frame = &frame};

        rc = ring_find(
            &segment->repair->ring,
            &(struct ring_place){segment->base + segment->next, number, seed, segment->hash},
            &frame, &room, &bytes, err);
        if (rc != NX_OK || !bytes)
            break;
        if (segment->gap == segment->next)
            segment->gap = 0; /* written in part: here is all of it */
        step.bytes = frame_bytes(frame.length);
        step.payload = nx_slice(bytes + FRAME_HEADER_BYTES, frame.length);
        rc = take_step(segment, &step, err);
    }
    return rc == NX_DONE ? NX_OK : rc;
}

static enum nx_code read_segment(struct repair *r, const struct wal_header *headers, size_t i,
                                 uint64_t *hash, struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct segment segment = {.repair = r,
                              .end = left_at(r, headers, i),
                              .hash = *hash,
                              .base = headers[i].base,
                              .next = WAL_HEADER_BYTES};
    uint64_t number = r->segments.rows[i];
    uint64_t seed = frame_seed(r->state.uuid, number, WAL_SEED_KIND);
    enum nx_code rc = load_segment(r, number, &path, &bytes, err);

    if (rc != NX_OK)
        return rc;
    if (headers[i].number && segment.hash == 0)
        segment.hash = headers[i].previous_hash;
    segment.path = (const char *)path.data;
    if (!headers[i].number && bytes.len > WAL_HEADER_BYTES)
        tell(r, "log '%s' at offset 0: both copies of its header are damaged", segment.path);
    rc = frame_walk(nx_buf_slice(&bytes), WAL_HEADER_BYTES, number, seed, take_step, &segment, err);
    rc = rc == NX_DONE ? NX_OK : rc;
    if (rc == NX_OK && headers[i].number)
        rc = read_ring(&segment, number, seed, err);
    if (rc == NX_OK && segment.gap && headers[i].number && segment.end != UINT64_MAX)
        tell(r, "log '%s' at offset %" PRIu64 ": %" PRIu64 " bytes up to its end are damaged",
             segment.path, segment.gap, segment.gap_bytes);
    else if (rc == NX_OK && segment.gap && segment.claim > segment.base + segment.gap)
        tell(r, "log '%s' at offset %" PRIu64 ": its end is damaged", segment.path, segment.gap);
    *hash = segment.hash;
    return rc;
}

static enum nx_code read_log(struct repair *r, struct nx_err *err)
{
    struct wal_header *headers = calloc(r->segments.count + 1, sizeof *headers);
    uint64_t hash = 0;
    enum nx_code rc = headers ? read_headers(r, headers, err) : nx_fail_nomem(err);

    if (rc == NX_OK && ring_read(r->io, r->dir, &r->ring, NULL) != NX_OK)
        tell(r, "'%s/%s' cannot be read: changes that were not synced may be lost", r->dir,
             RING_NAME);
    r->skip_up_to = r->has_state && !r->lost_entries ? r->state.flushed_sequence : 0;
    if (rc == NX_OK && r->segments.count && !r->has_uuid)
        tell(r, "the log of '%s' is lost: nothing that is whole names the database's uuid", r->dir);
    for (size_t i = 0; i < r->segments.count && rc == NX_OK && r->has_uuid; i++) {
        bool is_old = r->has_state && r->segments.rows[i] < r->state.log_start;

        if (!is_old && !is_in_vain(r, headers, i))
            rc = read_segment(r, headers, i, &hash, err);
    }
    if (rc == NX_OK && r->has_state && r->state.log_start &&
        !has_number(&r->segments, r->state.log_start)) {
        r->lost_entries = true;
        tell(r, "log '%s/%06" PRIu64 ".wal' is missing", r->dir, r->state.log_start);
    }
    free(headers);
    return rc;
}

/* --- writing the new one ------------------------------------------------------------------------
 */

struct output {
    struct nx_engine *engine;
    struct nx_batch *batch;
    struct shade shade;
    struct nx_buf last; /* the key that was decided last */
    bool has_last;
};

static enum nx_code add_shades(struct repair *r, struct shade *shade, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < r->salvaged_count && rc == NX_OK; i++)
        if (table_salvage_ranges(r->salvaged[i]))
            rc = shade_add(shade, table_salvage_ranges(r->salvaged[i]), err);
    r->memtable_ranges = calloc(r->memtable_count + 1, sizeof(struct range_tombstones *));
    if (!r->memtable_ranges)
        return nx_fail_nomem(err);
    for (size_t i = 0; i < r->memtable_count && rc == NX_OK; i++) {
        struct range_tombstones *set = range_tombstones_new();

        r->memtable_ranges[i] = set;
        if (!set)
            return nx_fail_nomem(err);
        rc = memtable_range_tombstones(r->memtables[i], SEQUENCE_MAX, set, err);
        if (rc == NX_OK)
            rc = range_tombstones_seal(set, err);
        if (rc == NX_OK)
            rc = shade_add(shade, set, err);
    }
    return rc;
}

static enum nx_code open_sources(struct repair *r, struct source **out, struct nx_err *err)
{
    struct source **sources =
        calloc(r->salvaged_count + r->memtable_count + 1, sizeof(struct source *));
    size_t count = 0;
    enum nx_code rc = sources ? NX_OK : nx_fail_nomem(err);

    for (size_t i = 0; i < r->salvaged_count && rc == NX_OK; i++) {
        rc = table_salvage_source(r->salvaged[i], &sources[count], err);
        count += rc == NX_OK;
    }
    for (size_t i = 0; i < r->memtable_count && rc == NX_OK; i++) {
        rc = memtable_source(r->memtables[i], SEQUENCE_ALL, &sources[count], err);
        count += rc == NX_OK;
    }
    if (rc == NX_OK)
        rc = merge_open(sources, count, out, err);
    else
        while (count > 0)
            source_close(sources[--count]);
    free(sources);
    return rc;
}

static enum nx_code flush_batch(struct output *out, struct nx_err *err)
{
    enum nx_code rc = nx_batch_count(out->batch)
                          ? nx_engine_commit(out->engine, out->batch, NX_NONE, err)
                          : NX_OK;

    nx_batch_clear(out->batch);
    return rc;
}

/* The first version of a key that comes is its newest. */
static enum nx_code take_entry(struct repair *r, struct output *out, const struct entry *entry,
                               struct nx_err *err)
{
    if (out->has_last && nx_slice_equal(nx_buf_slice(&out->last), entry->key))
        return NX_OK;
    nx_buf_clear(&out->last);
    out->has_last = true;
    if (nx_buf_append(&out->last, entry->key.data, entry->key.len) != NX_OK)
        return nx_fail_nomem(err);
    if (entry->kind != ENTRY_PUT || shade_hides(&out->shade, entry))
        return NX_OK;
    r->counts.entries++;
    if (nx_batch_put(out->batch, entry->key, entry->value) != NX_OK)
        return nx_fail_nomem(err);
    return nx_batch_bytes(out->batch) < BATCH_BYTES ? NX_OK : flush_batch(out, err);
}

static enum nx_code copy_all(struct repair *r, struct output *out, struct nx_err *err)
{
    struct source *source = NULL;
    enum nx_code rc = add_shades(r, &out->shade, err);

    if (rc == NX_OK)
        rc = open_sources(r, &source, err);
    if (rc != NX_OK)
        return rc;
    for (source->ops->first(source); source->valid && rc == NX_OK; source->ops->next(source))
        rc = take_entry(r, out, &source->entry, err);
    if (rc == NX_OK)
        rc = source->failed; /* its text is in `err` */
    source_close(source);
    return rc == NX_OK ? flush_batch(out, err) : rc;
}

static enum nx_code write_new(struct repair *r, const char *new_dir,
                              const struct nx_engine_options *options, struct nx_err *err)
{
    struct nx_engine_options own = *options;
    struct output out = {0};
    enum nx_code rc, closed;

    own.create = true;
    own.read_only = false;
    rc = nx_engine_open(new_dir, &own, &out.engine, err);
    if (rc != NX_OK)
        return rc;
    shade_init(&out.shade, SEQUENCE_MAX);
    rc = nx_batch_new(&out.batch) == NX_OK ? copy_all(r, &out, err) : nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = nx_engine_flush(out.engine, err);
    closed = nx_engine_close(out.engine, rc == NX_OK ? err : NULL);
    nx_batch_free(out.batch);
    shade_fini(&out.shade);
    nx_buf_fini(&out.last);
    return rc == NX_OK ? closed : rc;
}

/* --- all ----------------------------------------------------------------------------------------
 */

struct emptiness {
    bool has_file;
};

static void note_any(void *arg, const char *name)
{
    struct emptiness *e = arg;

    e->has_file = e->has_file || (strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
}

static enum nx_code check_new(struct nx_io *io, const char *new_dir, struct nx_err *err)
{
    struct emptiness e = {false};
    enum nx_code rc = io->ops->list(io, new_dir, note_any, &e, err);

    if (rc == NX_ENOTFOUND)
        return NX_OK;
    if (rc == NX_OK && e.has_file)
        return nx_fail(err, NX_ENOTEMPTY, "'%s' is not empty: a repair writes a new directory",
                       new_dir);
    return rc;
}

static void repair_fini(struct repair *r)
{
    for (size_t i = 0; i < r->salvaged_count; i++)
        table_salvage_close(r->salvaged[i]);
    for (size_t i = 0; i < r->memtable_count; i++)
        memtable_unref(r->memtables[i]);
    for (size_t i = 0; r->memtable_ranges && i < r->memtable_count; i++)
        range_tombstones_free(r->memtable_ranges[i]);
    nx_buf_fini(&r->ring);
    free(r->salvaged);
    free(r->memtables);
    free(r->memtable_ranges);
    free(r->tables.rows);
    free(r->segments.rows);
    free(r->manifests.rows);
    manifest_state_fini(&r->state);
}

static enum nx_code run(struct repair *r, const char *new_dir,
                        const struct nx_engine_options *options, struct nx_err *err)
{
    enum nx_code rc = r->io->ops->list(r->io, r->dir, note_file, r, err);

    if (rc == NX_OK && r->list_rc != NX_OK)
        rc = nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = read_manifest(r, err);
    if (rc == NX_OK)
        rc = open_tables(r, err);
    if (rc == NX_OK)
        rc = read_log(r, err);
    for (size_t i = 0; rc == NX_OK && i < r->state.snapshot_count; i++)
        tell(r, "snapshot '%s' is not carried over", r->state.snapshots[i].name);
    return rc == NX_OK ? write_new(r, new_dir, options, err) : rc;
}

enum nx_code nx_engine_repair(const char *dir, const char *new_dir,
                              const struct nx_engine_options *options, nx_line_fn loss, void *arg,
                              struct nx_repair_counts *out, struct nx_err *err)
{
    struct repair r = {
        .io = options->io ? options->io : nx_io_posix(), .dir = dir, .fn = loss, .arg = arg};
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_dirlock *lock = NULL;
    enum nx_code rc = check_new(r.io, new_dir, err);

    *out = (struct nx_repair_counts){0};
    if (rc == NX_OK)
        rc = path_of(&r, &path, "LOCK", err);
    if (rc != NX_OK)
        return rc;
    /* a medium that cannot be written has no writer either */
    if (r.io->ops->lock(r.io, (const char *)path.data, &lock, err) == NX_ELOCKED)
        return NX_ELOCKED;
    if (err)
        *err = NX_ERR_INIT;
    rc = run(&r, new_dir, options, err);
    *out = r.counts;
    if (lock)
        r.io->ops->unlock(r.io, lock);
    repair_fini(&r);
    return rc;
}

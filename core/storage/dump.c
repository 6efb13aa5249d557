/*
 * dump.c - one file of a database as text, by the decoders that the engine itself uses.
 *
 * A file's kind and number come from its name. What fails a check is said with its offset and
 * counted, and the dump goes on behind it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/batch.h"
#include "storage/frame_walk.h"
#include "storage/manifest_edit.h"
#include "storage/range_tombstones.h"
#include "storage/show.h"
#include "storage/table_inner.h"
#include "storage/wal_ring.h"
#include "storage/wal_segment.h"

struct dump {
    struct nx_io *io;
    const char *path;
    struct show show;
    uint64_t faults;
};

#define SAY(dump, ...) show_line(&(dump)->show, __VA_ARGS__)
#define FAULT(dump, ...) ((dump)->faults++, show_line(&(dump)->show, __VA_ARGS__))

static void say_uuid(struct dump *d, const uint8_t uuid[16])
{
    char text[33];

    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", uuid[i]);
    SAY(d, "uuid %s", text);
}

static void say_gap(struct dump *d, const struct frame_step *step)
{
    FAULT(d, "offset %" PRIu64 ": %" PRIu64 " bytes that are no whole frame", step->offset,
          step->bytes);
}

/* --- log segment --------------------------------------------------------------------------------
 */

static enum nx_code say_changes(struct dump *d, const struct frame *frame, struct nx_slice payload)
{
    static const char *const kinds[CHANGE_KINDS] = {"delete", "put", "delete range"};
    char key[SHOW_BYTES], end[SHOW_BYTES];

    for (uint32_t i = 0; i < frame->count; i++) {
        struct change change;

        if (!change_take(&payload, &change)) {
            FAULT(d, "  change %u cannot be read", i);
            return NX_OK;
        }
        if (change.kind == CHANGE_DELETE_RANGE)
            SAY(d, "  %" PRIu64 " %s %s to %s", frame->sequence + i, kinds[change.kind],
                show_key(change.key, key), show_key(change.value, end));
        else
            SAY(d, "  %" PRIu64 " %s %s (%zu bytes)", frame->sequence + i, kinds[change.kind],
                show_key(change.key, key), change.value.len);
    }
    if (payload.len)
        FAULT(d, "  %zu bytes behind the last change", payload.len);
    return NX_OK;
}

static enum nx_code say_log_frame(void *arg, const struct frame_step *step, struct nx_err *err)
{
    const struct frame *frame = step->frame;

    (void)err;
    if (!frame) {
        say_gap(arg, step);
        return NX_OK;
    }
    SAY((struct dump *)arg,
        "frame at %" PRIu64 ": %u changes from sequence %" PRIu64
        ", %u bytes, durable up to %" PRIu64 ", hash %016" PRIx64 " after %016" PRIx64 "%s",
        step->offset, frame->count, frame->sequence, frame->length, frame->durable, frame->hash,
        frame->previous, frame->flags & FRAME_CLOSE ? ", closed" : "");
    return say_changes(arg, frame, step->payload);
}

static enum nx_code dump_segment(struct dump *d, uint64_t number, struct nx_slice bytes,
                                 struct nx_err *err)
{
    uint8_t uuid[16] = {0};
    struct wal_header h;
    uint32_t version;

    SAY(d, "log segment %" PRIu64 ", %zu bytes", number, bytes.len);
    if (bytes.len < WAL_HEADER_BYTES || !wal_header_uuid(bytes.data, uuid)) {
        FAULT(d, "offset 0: no copy of the header is whole; its frames cannot be told without");
        return NX_OK;
    }
    say_uuid(d, uuid);
    if (!wal_header_decode(bytes.data, uuid, &h, &version)) {
        FAULT(d, "offset 0: the header has format version %u", version);
        return NX_OK;
    }
    SAY(d,
        "segment %" PRIu64 " from position %" PRIu64 ", behind sequence %" PRIu64
        "; goes on from segment %" PRIu64 " at offset %" PRIu64 ", hash %016" PRIx64,
        h.number, h.base, h.sequence, h.previous_number, h.previous_end, h.previous_hash);
    if (h.number != number)
        FAULT(d, "offset 0: the header is of segment %" PRIu64, h.number);
    return frame_walk(bytes, WAL_HEADER_BYTES, h.number, frame_seed(uuid, h.number, WAL_SEED_KIND),
                      say_log_frame, d, err);
}

/* --- manifest -----------------------------------------------------------------------------------
 */

static enum nx_code say_edit(void *arg, const struct frame_step *step, struct nx_err *err)
{
    struct nx_buf line NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_slice payload = step->payload;
    struct nx_err why = NX_ERR_INIT;
    struct dump *d = arg;
    enum nx_code rc = NX_OK;

    if (!step->frame) {
        say_gap(d, step);
        return NX_OK;
    }
    SAY(d, "edit at %" PRIu64 ": %u bytes, hash %016" PRIx64 " after %016" PRIx64, step->offset,
        step->frame->length, step->frame->hash, step->frame->previous);
    while (payload.len && rc == NX_OK) {
        rc = manifest_edit_print(&payload, &line, &why);
        if (rc == NX_OK)
            SAY(d, "  %.*s", (int)line.len, (const char *)line.data);
    }
    if (rc == NX_ENOMEM)
        return nx_fail_nomem(err);
    if (rc != NX_OK)
        FAULT(d, "  %s", why.message);
    return NX_OK;
}

static enum nx_code dump_manifest(struct dump *d, uint64_t number, struct nx_slice bytes,
                                  struct nx_err *err)
{
    struct nx_err why = NX_ERR_INIT;
    uint8_t uuid[16];

    SAY(d, "manifest %" PRIu64 ", %zu bytes", number, bytes.len);
    if (manifest_header_get(d->path, bytes, number, uuid, &why) != NX_OK) {
        FAULT(d, "%s; its edits cannot be told without", why.message);
        return NX_OK;
    }
    say_uuid(d, uuid);
    return frame_walk(bytes, MANIFEST_FIRST_FRAME, number,
                      frame_seed(uuid, number, MANIFEST_SEED_KIND), say_edit, d, err);
}

/* --- table --------------------------------------------------------------------------------------
 */

static const char *const part_names[PART_COUNT] = {
    [PART_RANGES] = "ranges",
    [PART_FILTER] = "filter",
    [PART_INDEX] = "index",
    [PART_PROPERTIES] = "properties",
};

static void say_entries(struct dump *d, const struct block *block)
{
    uint8_t bytes[KEY_MAX_BYTES];
    char text[SHOW_BYTES];

    for (uint32_t i = 0; i < block->count; i++) {
        struct block_entry e;

        block_get(block, i, &e);
        SAY(d, "  %s %" PRIu64 " %s (%zu bytes)",
            show_key(nx_slice(bytes, block_key(block, i, bytes)), text), e.sequence,
            e.kind == ENTRY_PUT ? "put" : "delete", e.value.len);
    }
}

static enum nx_code say_blocks(struct dump *d, struct table *table, struct nx_err *err)
{
    uint8_t bytes[KEY_MAX_BYTES];
    char text[SHOW_BYTES];

    for (uint32_t i = 0; i < table->block_count; i++) {
        uint64_t offset = table->offsets[i], len = table->offsets[i + 1] - offset;
        struct nx_err why = NX_ERR_INIT;
        struct block *block;
        enum nx_code rc = table_read_block(table, offset, len, &block, &why);

        if (rc == NX_ENOMEM)
            return nx_fail_nomem(err);
        SAY(d, "block %u at %" PRIu64 ": %" PRIu64 " bytes, up to %s", i, offset, len,
            show_key(nx_slice(bytes, block_key(table->index, i, bytes)), text));
        if (rc != NX_OK) {
            FAULT(d, "  %s", why.message);
            continue;
        }
        SAY(d, "  %u entries in %zu bytes, %u hash slots, prefix of %u", block->count, block->len,
            block->hash_slots, block->prefix_len);
        say_entries(d, block);
        block_unref(block);
    }
    return NX_OK;
}

static void say_ranges(struct dump *d, const struct range_tombstones *ranges)
{
    char begin[SHOW_BYTES], end[SHOW_BYTES];

    for (size_t i = 0; i < range_tombstones_count(ranges); i++) {
        const struct range_fragment *f = range_tombstones_at(ranges, i);

        for (size_t s = 0; s < f->count; s++)
            SAY(d, "  deleted %s to %s at %" PRIu64, show_key(f->begin, begin),
                show_key(f->end, end), f->sequences[s]);
    }
}

static void say_properties(struct dump *d, const struct table *table)
{
    const struct table_props *p = &table->facts.props;
    char smallest[SHOW_BYTES], largest[SHOW_BYTES];

    SAY(d,
        "  %" PRIu64 " entries (%" PRIu64 " deletions) of %" PRIu64 " keys in %" PRIu64
        " blocks, %" PRIu64 " ranges, %" PRIu64 " bytes raw, sequences %" PRIu64 " to %" PRIu64,
        p->entries, p->deletes, table->facts.keys, table->facts.blocks, p->ranges, p->raw_bytes,
        p->min_sequence, p->max_sequence);
    SAY(d, "  from %s to %s%s", show_key(p->smallest, smallest), show_key(p->largest, largest),
        p->largest_is_open ? " (not in it)" : "");
}

static void say_part(struct dump *d, const struct table *table, enum table_part part)
{
    if (part == PART_RANGES)
        say_ranges(d, table->ranges);
    else if (part == PART_FILTER)
        SAY(d, "  of all keys: %s", table->filter.lines ? "yes" : "none");
    else if (part == PART_INDEX)
        SAY(d, "  %u blocks", table->block_count);
    else
        say_properties(d, table);
}

static enum nx_code say_parts(struct dump *d, struct table *table,
                              const struct table_footer *footer, struct nx_err *err)
{
    uint64_t at = footer->data_bytes;

    for (int part = 0; part < PART_COUNT; part++) {
        uint64_t len = footer->part_bytes[part];
        struct nx_err why = NX_ERR_INIT;
        enum nx_code rc =
            table_open_part(table, (enum table_part)part, at, len, footer->data_bytes, &why);

        if (rc == NX_ENOMEM)
            return nx_fail_nomem(err);
        SAY(d, "%s at %" PRIu64 ": %" PRIu64 " bytes", part_names[part], at, len);
        if (rc != NX_OK)
            FAULT(d, "  %s", why.message);
        else if (len)
            say_part(d, table, (enum table_part)part);
        if (rc != NX_OK && part == PART_INDEX)
            table->block_count = 0; /* half an index leads nowhere */
        at += len;
    }
    return say_blocks(d, table, err);
}

static enum nx_code dump_table(struct dump *d, uint64_t number, struct nx_err *err)
{
    struct nx_err why = NX_ERR_INIT;
    struct table_footer footer;
    struct nx_file *file;
    struct table *table;
    enum nx_code rc = d->io->ops->open(d->io, d->path, NX_OPEN_READ, &file, err);

    if (rc != NX_OK)
        return rc;
    table = table_new(file, number, NULL);
    if (!table) {
        file->ops->close(file);
        return nx_fail_nomem(err);
    }
    rc = table_read_footer(table, &footer, &why);
    SAY(d, "table %" PRIu64 ", %" PRIu64 " bytes", number, table->facts.props.file_bytes);
    if (rc == NX_OK) {
        SAY(d, "data of %" PRIu64 " bytes", footer.data_bytes);
        rc = say_parts(d, table, &footer, err);
    } else if (rc == NX_ECORRUPT || rc == NX_EVERSION) {
        FAULT(d, "%s; nothing says where its parts are: a repair can search for its blocks",
              why.message);
        rc = NX_OK;
    } else {
        rc = nx_fail(err, rc, "%s", why.message);
    }
    table_unref(table);
    return rc;
}

/* --- ring ---------------------------------------------------------------------------------------
 */

/* Its frames belong to segments, whose numbers and uuid their checksums need: only headers are
 * told. */
static enum nx_code dump_ring(struct dump *d, struct nx_err *err)
{
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = file_load(d->io, d->path, &bytes, err);

    if (rc != NX_OK)
        return rc;
    SAY(d, "ring of %zu bytes; of its frames, old ones included, the headers:", bytes.len);
    for (size_t at = 0; at + FRAME_HEADER_BYTES <= bytes.len; at += 8) {
        struct frame frame;

        at += frame_find(bytes.data + at, bytes.len - at);
        if (at + FRAME_HEADER_BYTES <= bytes.len &&
            frame_parse(bytes.data + at, &frame) == FRAME_OK)
            SAY(d, "frame at %zu: segment %u, %u changes from sequence %" PRIu64 ", %u bytes", at,
                frame.file, frame.count, frame.sequence, frame.length);
    }
    return NX_OK;
}

/* --- all ----------------------------------------------------------------------------------------
 */

static enum nx_code dump_framed(struct dump *d, uint64_t number, bool is_manifest,
                                struct nx_err *err)
{
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = file_load(d->io, d->path, &bytes, err);

    if (rc != NX_OK)
        return rc;
    return is_manifest ? dump_manifest(d, number, nx_buf_slice(&bytes), err)
                       : dump_segment(d, number, nx_buf_slice(&bytes), err);
}

enum nx_code nx_dump_file(const char *path, struct nx_io *io, nx_line_fn fn, void *arg,
                          uint64_t *faults, struct nx_err *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    struct dump d = {.io = io ? io : nx_io_posix(), .path = path, .show = {fn, arg}};
    uint64_t number;
    bool is_marker;
    bool is_manifest = manifest_name_parse(name, &number, &is_marker);
    enum nx_code rc = NX_OK;

    if (strcmp(name, RING_NAME) == 0)
        rc = dump_ring(&d, err);
    else if (is_manifest && is_marker)
        SAY(&d, "marker: MANIFEST-%06" PRIu64 " is the manifest in use", number);
    else if (is_manifest)
        rc = dump_framed(&d, number, true, err);
    else if (table_name_parse(name, &number))
        rc = dump_table(&d, number, err);
    else if (wal_name_parse(name, &number))
        rc = dump_framed(&d, number, false, err);
    else
        rc = nx_fail(err, NX_EINVAL,
                     "'%s' has no name of a database's file: NNNNNN.table, NNNNNN.wal, "
                     "RING, MANIFEST-NNNNNN or CURRENT-NNNNNN",
                     path);
    *faults = d.faults;
    return rc;
}

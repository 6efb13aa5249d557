/*
 * export.c - a collection as NDJSON, one JSON array, or CSV.
 *
 * JSON is one pass. CSV is two over the same documents: the first collects the columns, so that the
 * header is complete before the first row; neither holds more than one document.
 */
#include <stdlib.h>
#include <string.h>

#include <nexadb/json.h>
#include <nexadb/transfer.h>

#include "transfer/csv.h"

#define MAX_COLUMNS 10000u

/* A whole collection as the source. */
struct collection {
    struct nx_db *db;
    struct nx_snapshot
        *own_snapshot; /* owned, when none was given: both scans of CSV see the same */
    const struct nx_snapshot *snapshot;
    nx_ino ino;
    bool (*visible)(void *arg, const struct nx_attr *attr);
    void *arg;
    struct nx_scan *scan; /* owned */
};

struct nx_export {
    struct nx_export_source source;
    struct collection collection; /* zeroed when the documents come from elsewhere */
    enum nx_export_format format;
    bool started, ended;
    struct nx_buf names;   /* owned: column names, each NUL-terminated */
    struct nx_buf offsets; /* owned: size_t each, into names */
    struct nx_buf scratch; /* owned */
};

void nx_export_close(struct nx_export *export)
{
    if (!export)
        return;
    nx_scan_close(export->collection.scan);
    nx_snapshot_release(export->collection.own_snapshot);
    nx_buf_fini(&export->names);
    nx_buf_fini(&export->offsets);
    nx_buf_fini(&export->scratch);
    free(export);
}

static enum nx_code rewind_scan(void *arg, struct nx_err *err)
{
    static const struct nx_scan_range all;
    struct collection *from = arg;

    nx_scan_close(from->scan);
    from->scan = NULL;
    return nx_scan_open(from->db, from->snapshot, from->ino, &all, &from->scan, err);
}

static enum nx_code next_visible(void *arg, struct nx_slice *doc, struct nx_err *err)
{
    struct collection *from = arg;
    struct nx_document document;
    enum nx_code rc;

    do
        rc = nx_scan_next(from->scan, &document, err);
    while (rc == NX_OK && from->visible && !from->visible(from->arg, &document.attr));
    if (rc == NX_OK)
        *doc = document.bson;
    return rc;
}

static enum nx_code next_document(struct nx_export *export, struct nx_slice *doc,
                                  struct nx_err *err)
{
    return export->source.next(export->source.arg, doc, err);
}

static size_t column_count(const struct nx_export *export)
{
    return export->offsets.len / sizeof(size_t);
}

static const char *column_name(const struct nx_export *export, size_t i)
{
    size_t offset;

    memcpy(&offset, export->offsets.data + i * sizeof offset, sizeof offset);
    return (const char *)export->names.data + offset;
}

/* `hint`: where the column most likely is, as documents of one kind have their fields in one order.
 */
static bool has_column(const struct nx_export *export, const char *name, size_t hint)
{
    size_t count = column_count(export);

    if (hint < count && strcmp(column_name(export, hint), name) == 0)
        return true;
    for (size_t i = 0; i < count; i++)
        if (strcmp(column_name(export, i), name) == 0)
            return true;
    return false;
}

static enum nx_code add_columns(struct nx_export *export, struct nx_slice doc, struct nx_err *err)
{
    struct nx_doc_iter iter;
    size_t i = 0;

    nx_doc_iter_init(&iter, doc);
    for (; nx_doc_iter_next(&iter); i++) {
        size_t offset = export->names.len;

        if (has_column(export, iter.key, i))
            continue;
        if (column_count(export) == MAX_COLUMNS)
            return nx_fail(err, NX_EBUDGET, "CSV of more than %u columns", MAX_COLUMNS);
        if (nx_buf_append(&export->names, iter.key, iter.key_len + 1) != NX_OK ||
            nx_buf_append(&export->offsets, &offset, sizeof offset) != NX_OK)
            return nx_fail_nomem(err);
    }
    return NX_OK;
}

static enum nx_code write_header(struct nx_export *export, struct nx_buf *out, struct nx_err *err)
{
    struct nx_slice doc;
    enum nx_code rc;

    while ((rc = next_document(export, &doc, err)) == NX_OK)
        if ((rc = add_columns(export, doc, err)) != NX_OK)
            return rc;
    if (rc != NX_DONE)
        return rc;
    rc = NX_OK;
    for (size_t i = 0; rc == NX_OK && i < column_count(export); i++) {
        if (i > 0)
            rc = nx_buf_append_byte(out, ',');
        if (rc == NX_OK)
            rc = csv_write_cell(out, nx_slice_str(column_name(export, i)), false);
    }
    if (rc == NX_OK && column_count(export) > 0)
        rc = nx_buf_append_byte(out, '\n');
    return rc == NX_OK ? export->source.rewind(export->source.arg, err) : nx_fail_nomem(err);
}

/* Would a bare cell of this text be read as something else than a string? */
static bool must_quote(struct nx_slice text)
{
    struct nx_buf scratch NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    return text.len == 0 || nx_json_parse_value((const char *)text.data, text.len, NX_JSON_DOCUMENT,
                                                &scratch, NULL) == NX_OK;
}

static enum nx_code write_cell(struct nx_export *export, const struct nx_value *value,
                               struct nx_buf *out)
{
    enum nx_code rc;

    if (value->type == NX_TYPE_MISSING)
        return NX_OK;
    if (value->type == NX_TYPE_STRING)
        return csv_write_cell(out, nx_value_slice(value), must_quote(nx_value_slice(value)));
    nx_buf_clear(&export->scratch);
    rc = nx_json_write_value(value, NX_JSON_RELAXED, &export->scratch);
    return rc == NX_OK ? csv_write_cell(out, nx_buf_slice(&export->scratch), false) : rc;
}

static enum nx_code write_row(struct nx_export *export, struct nx_slice doc, struct nx_buf *out)
{
    enum nx_code rc = NX_OK;

    for (size_t i = 0; rc == NX_OK && i < column_count(export); i++) {
        struct nx_value value = nx_doc_get_z(doc, column_name(export, i));

        if (i > 0)
            rc = nx_buf_append_byte(out, ',');
        if (rc == NX_OK)
            rc = write_cell(export, &value, out);
    }
    return rc == NX_OK ? nx_buf_append_byte(out, '\n') : rc;
}

static enum nx_code write_document(struct nx_export *export, struct nx_slice doc,
                                   struct nx_buf *out)
{
    enum nx_code rc = NX_OK;

    if (export->format == NX_EXPORT_CSV)
        return write_row(export, doc, out);
    if (export->format == NX_EXPORT_JSON)
        rc = nx_buf_append_str(out, export->started ? ",\n" : "[\n");
    if (rc == NX_OK)
        rc = nx_json_write(doc, false, NX_JSON_EXACT, 0, NULL, out);
    if (rc == NX_OK && export->format == NX_EXPORT_NDJSON)
        rc = nx_buf_append_byte(out, '\n');
    return rc;
}

static enum nx_code write_end(struct nx_export *export, struct nx_buf *out)
{
    export->ended = true;
    if (export->format != NX_EXPORT_JSON)
        return NX_OK;
    return nx_buf_append_str(out, export->started ? "\n]\n" : "[]\n");
}

static enum nx_code finish_open(struct nx_export *export, struct nx_export **out,
                                struct nx_err *err)
{
    enum nx_code rc = export->source.rewind(export->source.arg, err);

    if (rc == NX_OK)
        *out = export;
    else
        nx_export_close(export);
    return rc;
}

enum nx_code nx_export_from(const struct nx_export_source *source, enum nx_export_format format,
                            struct nx_export **out, struct nx_err *err)
{
    struct nx_export *export = calloc(1, sizeof *export);

    *out = NULL;
    if (!export)
        return nx_fail_nomem(err);
    export->source = *source;
    export->format = format;
    return finish_open(export, out, err);
}

enum nx_code nx_export_open(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino collection,
                            enum nx_export_format format,
                            bool (*visible)(void *arg, const struct nx_attr *attr), void *arg,
                            struct nx_export **out, struct nx_err *err)
{
    struct nx_export *export = calloc(1, sizeof *export);
    struct collection *from;

    *out = NULL;
    if (!export)
        return nx_fail_nomem(err);
    from = &export->collection;
    *from = (struct collection){
        .db = db, .snapshot = snapshot, .ino = collection, .visible = visible, .arg = arg};
    export->source = (struct nx_export_source){rewind_scan, next_visible, from};
    export->format = format;
    if (!snapshot)
        from->snapshot = from->own_snapshot = nx_snapshot_take(nx_db_engine(db));
    if (from->snapshot)
        return finish_open(export, out, err);
    nx_export_close(export);
    return nx_fail_nomem(err);
}

enum nx_code nx_export_next(struct nx_export *export, size_t want, struct nx_buf *out,
                            struct nx_err *err)
{
    size_t begin = out->len;
    struct nx_slice doc;
    enum nx_code rc = NX_OK;

    if (export->ended)
        return NX_DONE;
    if (export->format == NX_EXPORT_CSV && !export->started) {
        rc = write_header(export, out, err);
        export->started = true;
    }
    while (rc == NX_OK && out->len - begin < want) {
        rc = next_document(export, &doc, err);
        if (rc != NX_OK)
            break;
        if (write_document(export, doc, out) != NX_OK)
            return nx_fail_nomem(err);
        export->started = true;
    }
    if (rc != NX_DONE)
        return rc;
    if (write_end(export, out) != NX_OK)
        return nx_fail_nomem(err);
    return out->len > begin ? NX_OK : NX_DONE;
}

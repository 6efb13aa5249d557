/*
 * routes_bulk.c - many documents at a time: bulk insert, import and export.
 *
 * Bulk holds its whole body, because it is all or nothing. Import and export stream: an import
 * commits in batches as the body comes and syncs once behind them; an export reads one snapshot.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <nexadb/transfer.h>

#include "daemon/document.h"
#include "daemon/json_split.h"
#include "daemon/routes.h"
#include "daemon/service.h"

static bool is_type(const struct request *req, const char *type)
{
    const char *given = req->header[HEADER_CONTENT_TYPE];

    return given && !strncasecmp(given, type, strlen(type));
}

/* --- bulk ------------------------------------------------------------------------------------- */

struct bulk {
    struct request *req;
    nx_ino collection;
    bool atomic;
    struct nx_write *write;
    struct nx_buf bson;
    struct nx_buf ids, errors; /* JSON, without their brackets */
    struct json_out ids_out, errors_out;
    int64_t index;
    uint64_t inserted;
};

static void list_error(struct json_out *out, const char *place, uint64_t number,
                       const struct nx_err *err)
{
    struct nx_err where = *err;

    json_open(out, NULL, '{');
    json_uint(out, place, number);
    where.index = -1;
    if (!strcmp(place, "line"))
        where.line = 0;
    json_error(out, &where);
    json_close(out, '}');
}

/* In its own commit, so that a failure is only its own. */
static enum nx_code commit_one(struct bulk *bulk, const struct nx_put *put, struct nx_id *id,
                               struct nx_err *err)
{
    struct nx_change step = request_step(bulk->req);
    struct nx_write_result result;
    enum nx_code rc;

    nx_write_clear(bulk->write);
    rc = nx_write_put(bulk->write, put, id, err);
    return rc == NX_OK ? nx_write_commit(bulk->write, &step, &result, err) : rc;
}

static enum nx_code add_document(struct bulk *bulk, const struct json_piece *piece,
                                 struct nx_err *err)
{
    struct nx_put put = {.collection = bulk->collection, .mode = NX_PUT_INSERT};
    struct nx_id id;
    enum nx_code rc;

    nx_buf_clear(&bulk->bson);
    rc = document_parse(piece->value, NX_JSON_DOCUMENT, &bulk->bson, err);
    if (rc != NX_OK)
        json_piece_place(piece, err);
    put.bson = nx_buf_slice(&bulk->bson);
    if (rc == NX_OK)
        rc = bulk->atomic ? nx_write_put(bulk->write, &put, &id, err)
                          : commit_one(bulk, &put, &id, err);
    if (rc == NX_OK) {
        document_put_id(&bulk->ids_out, NULL, &id);
        bulk->inserted++;
    } else if (bulk->atomic) {
        err->index = bulk->index;
        return rc;
    } else {
        err->code = rc;
        list_error(&bulk->errors_out, "index", (uint64_t)bulk->index, err);
    }
    bulk->index++;
    return NX_OK;
}

static enum nx_code add_array(struct bulk *bulk, struct nx_slice text, uint32_t line,
                              struct nx_err *err)
{
    struct json_split split;
    struct json_piece piece;
    enum nx_code rc = json_split_begin(&split, text, err);

    if (rc == NX_OK && split.is_object)
        return nx_fail(err, NX_EINVAL, "\"documents\" must be an array");
    while (rc == NX_OK && (rc = json_split_next(&split, &piece, err)) == NX_OK) {
        struct nx_err why = NX_ERR_INIT;

        piece.line += line - 1;
        rc = add_document(bulk, &piece, &why);
        if (rc != NX_OK)
            *err = why;
    }
    return rc == NX_DONE ? NX_OK : rc;
}

static bool is_blank(struct nx_slice line)
{
    size_t at = 0;

    while (at < line.len && strchr(" \t\r", line.data[at]))
        at++;
    return at == line.len;
}

static enum nx_code add_lines(struct bulk *bulk, struct nx_slice text, struct nx_err *err)
{
    const uint8_t *at = text.data, *end = at + text.len;
    struct json_piece piece = {.line = 0, .column = 1};
    enum nx_code rc = NX_OK;

    while (at < end && rc == NX_OK) {
        const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
        struct nx_err why = NX_ERR_INIT;

        stop = stop ? stop : end;
        piece.line++;
        piece.value = nx_slice(at, (size_t)(stop - at));
        if (!is_blank(piece.value))
            rc = add_document(bulk, &piece, &why);
        if (rc != NX_OK)
            *err = why;
        at = stop + 1;
    }
    return rc;
}

static bool is_key(const struct json_piece *piece, const char *name)
{
    return piece->key.len == strlen(name) && !memcmp(piece->key.data, name, piece->key.len);
}

static enum nx_code set_atomic(struct bulk *bulk, struct nx_slice text, struct nx_err *err)
{
    bool is_true = text.len == 4 && !memcmp(text.data, "true", 4);

    if (!is_true && (text.len != 5 || memcmp(text.data, "false", 5) != 0))
        return nx_fail(err, NX_EINVAL, "\"atomic\" must be true or false");
    bulk->atomic = is_true;
    return NX_OK;
}

/* Members may come in any order: the documents are taken last. */
static enum nx_code read_members(struct bulk *bulk, struct json_piece *documents,
                                 struct nx_err *err)
{
    struct json_split split;
    struct json_piece piece;
    enum nx_code rc = json_split_begin(&split, nx_buf_slice(&bulk->req->body), err);

    if (rc == NX_OK && !split.is_object) {
        documents->value = split.text;
        documents->line = 1;
        return NX_OK;
    }
    while (rc == NX_OK && (rc = json_split_next(&split, &piece, err)) == NX_OK) {
        if (is_key(&piece, "documents") && !documents->value.data)
            *documents = piece;
        else if (is_key(&piece, "atomic"))
            rc = set_atomic(bulk, piece.value, err);
        else
            rc =
                nx_fail(err, NX_EINVAL, "unknown member \"%.*s\"; this takes: documents, atomic",
                        piece.key.len > 64 ? 64 : (int)piece.key.len, (const char *)piece.key.data);
    }
    if (rc == NX_DONE && !documents->value.data)
        return nx_fail(err, NX_EINVAL, "\"documents\" is missing: an array");
    return rc == NX_DONE ? NX_OK : rc;
}

static enum nx_code read_bulk(struct bulk *bulk, struct nx_err *err)
{
    struct json_piece documents = {0};
    const struct url_text *atomic = url_param(&bulk->req->url, "atomic");
    enum nx_code rc = NX_OK;

    if (atomic)
        rc = set_atomic(bulk, nx_slice(atomic->text, atomic->len), err);
    if (rc == NX_OK && is_type(bulk->req, "application/x-ndjson"))
        return add_lines(bulk, nx_buf_slice(&bulk->req->body), err);
    if (rc == NX_OK)
        rc = read_members(bulk, &documents, err);
    return rc == NX_OK ? add_array(bulk, documents.value, documents.line, err) : rc;
}

static enum nx_code commit_bulk(struct bulk *bulk, struct nx_err *err)
{
    struct nx_write_result result;
    struct nx_change change;

    if (!bulk->atomic) {
        request_sync(bulk->req);
        return NX_OK;
    }
    if (!nx_write_count(bulk->write))
        return NX_OK;
    change = request_change(bulk->req);
    return request_changed(bulk->req, nx_write_commit(bulk->write, &change, &result, err));
}

static void put_list(struct json_out *out, const char *key, struct nx_buf *items,
                     const struct json_out *list)
{
    json_open(out, key, '[');
    if (list->failed != NX_OK || (items->len && nx_buf_append(out->buf, items->data, items->len)))
        out->failed = NX_ENOMEM;
    json_close(out, ']');
}

static enum nx_code answer_bulk(struct bulk *bulk, struct nx_err *err)
{
    struct nx_slice name = request_collection(bulk->req);
    struct json_out out;
    char message[64];

    snprintf(message, sizeof message, "Inserted %llu documents",
             (unsigned long long)bulk->inserted);
    request_answer(bulk->req, &out);
    json_text(&out, "collection", (const char *)name.data, name.len);
    put_list(&out, "document_ids", &bulk->ids, &bulk->ids_out);
    json_uint(&out, "count", bulk->inserted);
    json_text_z(&out, "message", message);
    if (!bulk->atomic)
        put_list(&out, "errors", &bulk->errors, &bulk->errors_out);
    return request_answered(bulk->req, &out, 201, err);
}

enum nx_code route_bulk(struct request *req, struct nx_err *err)
{
    struct bulk bulk = {.req = req, .atomic = true};
    enum nx_code rc;

    json_init(&bulk.ids_out, &bulk.ids);
    json_init(&bulk.errors_out, &bulk.errors);
    rc = request_make_collection(req, request_collection(req), &bulk.collection, err);
    if (rc == NX_OK)
        rc = nx_write_new(req->service->db, &bulk.write, err);
    if (rc == NX_OK)
        rc = read_bulk(&bulk, err);
    if (rc == NX_OK)
        rc = commit_bulk(&bulk, err);
    else if (bulk.inserted && !bulk.atomic)
        request_sync(req);
    if (rc == NX_OK)
        rc = answer_bulk(&bulk, err);
    nx_write_free(bulk.write);
    nx_buf_fini(&bulk.bson);
    nx_buf_fini(&bulk.ids);
    nx_buf_fini(&bulk.errors);
    return rc;
}

/* --- import ----------------------------------------------------------------------------------- */

static void close_import(void *state)
{
    nx_import_close(state);
}

/* At the first piece of the body. */
static enum nx_code open_import(struct request *req, struct nx_err *err)
{
    struct nx_change step = request_step(req);
    struct nx_import_options options = {
        .format = is_type(req, "text/csv") ? NX_IMPORT_CSV : NX_IMPORT_JSON,
        .skip_bad = true,
    };
    struct nx_import *import;
    enum nx_code rc;

    if (req->feed_state)
        return NX_OK;
    rc = request_make_collection(req, request_collection(req), &options.collection, err);
    if (rc == NX_OK)
        rc = nx_import_open(req->service->db, &options, &step, &import, err);
    if (rc != NX_OK)
        return rc;
    req->feed_state = import;
    req->feed_close = close_import;
    return NX_OK;
}

/* What was read before a failure stays, and is as durable as the rest: the message tells how much.
 */
static enum nx_code fail_import(struct request *req, enum nx_code rc, struct nx_err *err)
{
    size_t len = strlen(err->message);
    struct nx_import_result result;

    nx_import_get_result(req->feed_state, &result);
    if (result.inserted + result.replaced)
        request_sync(req);
    snprintf(err->message + len, sizeof err->message - len, " (%llu documents before it are in)",
             (unsigned long long)(result.inserted + result.replaced));
    return rc;
}

enum nx_code route_import_feed(struct request *req, struct nx_err *err)
{
    enum nx_code rc = open_import(req, err);

    if (rc != NX_OK)
        return rc;
    rc = nx_import_feed(req->feed_state, req->body.data, req->body.len, err);
    return rc == NX_OK ? rc : fail_import(req, rc, err);
}

static void put_import_errors(struct json_out *out, const struct nx_import_result *result)
{
    json_open(out, "errors", '[');
    for (size_t i = 0; i < result->error_count; i++)
        list_error(out, "line", result->errors[i].line, &result->errors[i]);
    json_close(out, ']');
}

enum nx_code route_import(struct request *req, struct nx_err *err)
{
    struct nx_import_result result;
    struct json_out out;
    enum nx_code rc = route_import_feed(req, err);

    if (rc != NX_OK)
        return rc;
    rc = nx_import_finish(req->feed_state, err);
    if (rc != NX_OK)
        return fail_import(req, rc, err);
    request_sync(req);
    nx_import_get_result(req->feed_state, &result);
    request_answer(req, &out);
    json_uint(&out, "inserted", result.inserted);
    json_uint(&out, "replaced", result.replaced);
    json_uint(&out, "rejected", result.rejected);
    put_import_errors(&out, &result);
    return request_answered(req, &out, 200, err);
}

/* --- export ----------------------------------------------------------------------------------- */

static const struct {
    const char *name, *type;
    enum nx_export_format format;
} export_formats[] = {
    {"ndjson", "application/x-ndjson", NX_EXPORT_NDJSON},
    {"json", "application/json", NX_EXPORT_JSON},
    {"csv", "text/csv; charset=utf-8", NX_EXPORT_CSV},
};

struct export
{
    struct nx_snapshot *snapshot;
    struct nx_export *reader;
};

static void close_export(void *state)
{
    struct export *export = state;

    nx_export_close(export->reader);
    nx_snapshot_release(export->snapshot);
    free(export);
}

static enum nx_code fill_export(void *state, struct nx_buf *out, struct nx_err *err)
{
    struct export *export = state;

    return nx_export_next(export->reader, STREAM_PIECE_BYTES, out, err);
}

static enum nx_code find_format(const struct request *req, size_t *out, struct nx_err *err)
{
    const struct url_text *asked = url_param(&req->url, "format");

    for (*out = 0; *out < sizeof export_formats / sizeof export_formats[0]; (*out)++)
        if (!asked || !strcmp(asked->text, export_formats[*out].name))
            return NX_OK;
    return nx_fail(err, NX_EINVAL, "parameter format: ndjson, json or csv");
}

enum nx_code route_export(struct request *req, struct nx_err *err)
{
    struct export *export;
    size_t format;
    enum nx_code rc;
    nx_ino ino;

    rc = find_format(req, &format, err);
    if (rc == NX_OK)
        rc = request_find_collection(req, request_collection(req), true, &ino, err);
    if (rc != NX_OK)
        return rc;
    export = calloc(1, sizeof *export);
    if (!export)
        return nx_fail_nomem(err);
    export->snapshot = nx_snapshot_take(nx_db_engine(req->service->db));
    rc = export->snapshot
             ? nx_export_open(req->service->db, export->snapshot, ino,
                              export_formats[format].format, NULL, NULL, &export->reader, err)
             : nx_fail_nomem(err);
    if (rc != NX_OK) {
        close_export(export);
        return rc;
    }
    req->response.stream =
        (struct stream){.fill = fill_export, .close = close_export, .state = export};
    req->response.type = export_formats[format].type;
    req->response.status = 200;
    return NX_OK;
}

/*
 * routes_change.c - changes by filter, and batches over several collections.
 *
 * An update or delete by filter may be many commits: they are applied on the worker, and the answer
 * waits for one sync behind them all.
 */
#include <stdio.h>

#include "daemon/document.h"
#include "daemon/routes.h"
#include "daemon/service.h"

const struct field update_fields[UPDATE_FIELDS] = {
    {"filter", FIELD_OBJECT, "what to update: everything when not given"},
    {"update", FIELD_OBJECT | FIELD_ARRAY | FIELD_REQUIRED,
     "operators, a replacement document or a pipeline"},
    {"multi", FIELD_BOOL, "every match, not only the first"},
    {"upsert", FIELD_BOOL, "insert when nothing matches"},
    {"arrayFilters", FIELD_ARRAY, "which elements $[name] means"},
    {"maxTimeMS", FIELD_COUNT, "give up after so long"},
};
enum { U_FILTER, U_UPDATE, U_MULTI, U_UPSERT, U_ARRAY_FILTERS, U_TIME };

const struct field delete_fields[DELETE_FIELDS] = {
    {"filter", FIELD_OBJECT | FIELD_REQUIRED, "what to delete; {} is everything"},
    {"multi", FIELD_BOOL, "every match, not only the first"},
    {"maxTimeMS", FIELD_COUNT, "give up after so long"},
};
enum { X_FILTER, X_MULTI, X_TIME };

const struct field batch_fields[BATCH_FIELDS] = {
    {"operations", FIELD_ARRAY | FIELD_REQUIRED,
     "[{\"insert\" or \"replace\" or \"update\" or \"delete\": {\"collection\", ...}}]"},
};

static enum nx_code find_or_make(struct request *req, bool make, nx_ino *ino, struct nx_err *err)
{
    struct nx_slice path = request_collection(req);
    enum nx_code rc = request_find_collection(req, path, false, ino, err);

    if (rc == NX_OK && !*ino && make)
        rc = request_make_collection(req, path, ino, err);
    return rc;
}

static enum nx_code answer_update(struct request *req, const struct nx_update_result *result,
                                  struct nx_err *err)
{
    struct json_out out;

    request_answer(req, &out);
    json_uint(&out, "matched", result->matched);
    json_uint(&out, "modified", result->modified);
    json_uint(&out, "upserted", result->upserted);
    if (result->upserted)
        document_put_id(&out, "upserted_id", &result->upserted_id);
    return request_answered(req, &out, 200, err);
}

enum nx_code route_update(struct request *req, struct nx_err *err)
{
    struct nx_update_result result = {0};
    struct nx_change step = request_step(req);
    struct nx_update update;
    enum nx_code rc;
    nx_ino ino;

    rc = request_read_fields(req, err);
    if (rc != NX_OK)
        return rc;
    update = (struct nx_update){
        .filter = request_doc(req, U_FILTER),
        .update = request_doc(req, U_UPDATE),
        .is_pipeline = req->field[U_UPDATE].type == NX_TYPE_ARRAY,
        .multi = request_bool(req, U_MULTI),
        .upsert = request_bool(req, U_UPSERT),
        .array_filters = request_doc(req, U_ARRAY_FILTERS),
    };
    rc = find_or_make(req, update.upsert, &ino, err);
    if (rc == NX_OK)
        rc = nx_query_update(req->service->db, ino, &update, &step,
                             request_limits(req, request_number(req, U_TIME, 0)), &result, err);
    if (result.modified || result.upserted)
        request_sync(req);
    return rc == NX_OK ? answer_update(req, &result, err) : rc;
}

enum nx_code route_delete(struct request *req, struct nx_err *err)
{
    struct nx_change step = request_step(req);
    struct json_out out;
    uint64_t deleted = 0;
    enum nx_code rc;
    nx_ino ino;

    rc = request_read_fields(req, err);
    if (rc == NX_OK)
        rc = find_or_make(req, false, &ino, err);
    if (rc == NX_OK)
        rc = nx_query_delete(req->service->db, ino, request_doc(req, X_FILTER),
                             request_bool(req, X_MULTI), &step,
                             request_limits(req, request_number(req, X_TIME, 0)), &deleted, err);
    if (deleted)
        request_sync(req);
    if (rc != NX_OK)
        return rc;
    request_answer(req, &out);
    json_uint(&out, "deleted", deleted);
    return request_answered(req, &out, 200, err);
}

/* --- batch ------------------------------------------------------------------------------------ */

struct batch {
    struct request *req;
    struct nx_write *write;
    nx_ino collection;
    struct nx_slice body; /* of the operation at hand */
};

static enum nx_code body_id(const struct batch *batch, struct nx_id *id, struct nx_err *err)
{
    struct nx_value value = nx_doc_get_z(batch->body, "id");

    if (value.type == NX_TYPE_MISSING)
        return nx_fail(err, NX_EINVAL, "\"id\" is missing: the _id of the document");
    return nx_id_from_value(&value, id, err);
}

static enum nx_code body_document(const struct batch *batch, const char *name, struct nx_slice *out,
                                  struct nx_err *err)
{
    struct nx_value value = nx_doc_get_z(batch->body, name);

    if (value.type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EINVAL, "\"%s\" must be given, an object", name);
    *out = nx_value_slice(&value);
    return NX_OK;
}

static enum nx_code batch_insert(struct batch *batch, struct nx_err *err)
{
    struct nx_put put = {.collection = batch->collection, .mode = NX_PUT_INSERT};
    enum nx_code rc = body_document(batch, "document", &put.bson, err);

    return rc == NX_OK ? nx_write_put(batch->write, &put, NULL, err) : rc;
}

static enum nx_code batch_replace(struct batch *batch, struct nx_err *err)
{
    struct nx_put put = {.collection = batch->collection, .mode = NX_PUT_UPSERT};
    enum nx_code rc = body_document(batch, "document", &put.bson, err);
    struct nx_id id;

    if (rc == NX_OK)
        rc = body_id(batch, &id, err);
    put.id = &id;
    return rc == NX_OK ? nx_write_put(batch->write, &put, NULL, err) : rc;
}

static enum nx_code batch_update(struct batch *batch, struct nx_err *err)
{
    struct nx_buf old NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf made NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_put put = {.collection = batch->collection, .mode = NX_PUT_REPLACE};
    struct nx_document doc;
    struct nx_slice update;
    struct nx_id id;
    enum nx_code rc = body_document(batch, "update", &update, err);

    if (rc == NX_OK)
        rc = body_id(batch, &id, err);
    if (rc == NX_OK)
        rc =
            nx_document_get(batch->req->service->db, NULL, batch->collection, &id, &old, &doc, err);
    if (rc == NX_OK)
        rc = nx_query_update_document(doc.bson, update, false, &made, err);
    if (rc != NX_OK)
        return rc;
    put.id = &id;
    put.bson = nx_buf_slice(&made);
    put.if_revision = doc.attr.revision;
    return nx_write_put(batch->write, &put, NULL, err);
}

static enum nx_code batch_delete(struct batch *batch, struct nx_err *err)
{
    struct nx_id id;
    enum nx_code rc = body_id(batch, &id, err);

    if (rc == NX_OK)
        rc = nx_write_delete(batch->write, batch->collection, &id, 0, false, err);
    return rc;
}

static const struct {
    const char *name;
    enum nx_code (*add)(struct batch *batch, struct nx_err *err);
    const char *members[4];
} operations[] = {
    {"insert", batch_insert, {"collection", "document"}},
    {"replace", batch_replace, {"collection", "id", "document"}},
    {"update", batch_update, {"collection", "id", "update"}},
    {"delete", batch_delete, {"collection", "id"}},
};

static enum nx_code check_members(struct nx_slice body, const char *const members[4],
                                  struct nx_err *err)
{
    struct nx_doc_iter iter;

    nx_doc_iter_init(&iter, body);
    while (nx_doc_iter_next(&iter)) {
        size_t i = 0;

        while (i < 4 && members[i] && strcmp(members[i], iter.key) != 0)
            i++;
        if (i == 4 || !members[i])
            return nx_fail(err, NX_EINVAL, "unknown member \"%.64s\" of an operation", iter.key);
    }
    return NX_OK;
}

static enum nx_code open_collection(struct batch *batch, struct nx_err *err)
{
    struct nx_value name = nx_doc_get_z(batch->body, "collection");
    struct nx_slice path = nx_value_slice(&name);
    enum nx_code rc;

    if (name.type != NX_TYPE_STRING)
        return nx_fail(err, NX_EINVAL, "\"collection\" must be given, a string");
    rc = request_may(batch->req, ROLE_WRITE, path, err);
    if (rc == NX_OK)
        rc = request_make_collection(batch->req, path, &batch->collection, err);
    return rc;
}

static enum nx_code add_operation(struct batch *batch, const struct nx_value *operation,
                                  struct nx_err *err)
{
    struct nx_doc_iter iter;
    enum nx_code rc;

    if (operation->type != NX_TYPE_DOCUMENT || nx_doc_count(nx_value_slice(operation)) != 1)
        return nx_fail(err, NX_EINVAL, "an operation is an object of one member");
    nx_doc_iter_init(&iter, nx_value_slice(operation));
    nx_doc_iter_next(&iter);
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        if (strcmp(operations[i].name, iter.key) != 0 || iter.value.type != NX_TYPE_DOCUMENT)
            continue;
        batch->body = nx_value_slice(&iter.value);
        rc = check_members(batch->body, operations[i].members, err);
        if (rc == NX_OK)
            rc = open_collection(batch, err);
        return rc == NX_OK ? operations[i].add(batch, err) : rc;
    }
    return nx_fail(err, NX_EINVAL,
                   "\"%.64s\" is no operation: {\"insert\" or \"replace\" or \"update\" or "
                   "\"delete\": {...}}",
                   iter.key);
}

static enum nx_code add_operations(struct batch *batch, struct nx_err *err)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;
    int64_t index = 0;

    nx_doc_iter_init(&iter, nx_value_slice(&batch->req->field[0]));
    for (; rc == NX_OK && nx_doc_iter_next(&iter); index++) {
        rc = add_operation(batch, &iter.value, err);
        if (rc != NX_OK)
            err->index = index;
    }
    return rc;
}

static enum nx_code answer_batch(struct request *req, const struct nx_write_result *result,
                                 struct nx_err *err)
{
    struct json_out out;

    request_answer(req, &out);
    json_uint(&out, "inserted", result->inserted);
    json_uint(&out, "replaced", result->replaced);
    json_uint(&out, "deleted", result->deleted);
    return request_answered(req, &out, 200, err);
}

enum nx_code route_batch(struct request *req, struct nx_err *err)
{
    struct batch batch = {.req = req};
    struct nx_write_result result = {0};
    struct nx_change change;
    enum nx_code rc = request_read_fields(req, err);

    if (rc == NX_OK)
        rc = nx_write_new(req->service->db, &batch.write, err);
    if (rc != NX_OK)
        return rc;
    rc = add_operations(&batch, err);
    if (rc == NX_OK && nx_write_count(batch.write)) {
        change = request_change(req);
        rc = request_changed(req, nx_write_commit(batch.write, &change, &result, err));
    }
    nx_write_free(batch.write);
    return rc == NX_OK ? answer_batch(req, &result, err) : rc;
}

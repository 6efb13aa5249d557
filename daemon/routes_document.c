/*
 * routes_document.c - one document: read, insert, merge, replace, patch, delete.
 *
 * A change that depends on the old content is made in memory and committed under the condition that
 * the revision is still the one read; when another writer was quicker, it is done again on the new
 * content.
 */
#include <strings.h>

#include "daemon/document.h"
#include "daemon/json_patch.h"
#include "daemon/merge.h"
#include "daemon/routes.h"
#include "daemon/service.h"

enum { MAX_TRIES = 100 };

static const struct url_text *id_text(const struct request *req)
{
    return &req->match.param[1];
}

enum nx_code route_document_get(struct request *req, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    const char *none = req->header[HEADER_IF_NONE_MATCH];
    struct nx_document doc;
    struct json_out out;
    struct nx_id id;
    enum nx_code rc;
    nx_ino ino;

    rc = request_find_collection(req, request_collection(req), true, &ino, err);
    if (rc == NX_OK)
        rc = document_find(req, ino, id_text(req), &id, &buf, &doc, err);
    if (rc != NX_OK)
        return rc;
    document_put_etag(req, doc.attr.revision);
    if (none && document_has_etag(none, doc.attr.revision)) {
        req->response.status = 304;
        return NX_OK;
    }
    request_answer(req, &out);
    json_doc(&out, "document", doc.bson, NX_JSON_EXACT);
    return request_answered(req, &out, 200, err);
}

static enum nx_code answer_change(struct request *req, const struct nx_id *id, const char *message,
                                  unsigned status, struct nx_err *err)
{
    struct nx_slice name = request_collection(req);
    struct json_out out;

    request_answer(req, &out);
    json_text(&out, "collection", (const char *)name.data, name.len);
    document_put_id(&out, "document_id", id);
    json_text_z(&out, "message", message);
    return request_answered(req, &out, status, err);
}

enum nx_code route_document_insert(struct request *req, struct nx_err *err)
{
    struct nx_buf bson NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_put put = {.mode = NX_PUT_INSERT};
    struct nx_write_result result;
    struct nx_id id;
    enum nx_code rc;

    rc = document_parse(nx_buf_slice(&req->body), NX_JSON_DOCUMENT, &bson, err);
    if (rc == NX_OK)
        rc = request_make_collection(req, request_collection(req), &put.collection, err);
    if (rc != NX_OK)
        return rc;
    put.bson = nx_buf_slice(&bson);
    rc = document_commit(req, &put, &id, &result, err);
    if (rc != NX_OK)
        return rc;
    document_put_etag(req, result.attr.revision);
    return answer_change(req, &id, "Document inserted", 201, err);
}

/* --- changing one that may exist -------------------------------------------------------------- */

/* Makes the new content from the old; `old` is empty when there is none. */
typedef enum nx_code (*make_fn)(struct nx_slice old, struct nx_slice body, struct nx_buf *out,
                                struct nx_err *err);
struct edit {
    make_fn make;
    struct nx_slice body; /* BSON; an array of a JSON Patch */
    bool may_create;
};

static enum nx_code check_body_id(struct nx_slice body, const struct nx_id *id, struct nx_err *err)
{
    struct nx_value value = nx_doc_get_z(body, "_id");
    struct nx_id given;
    enum nx_code rc;

    if (value.type == NX_TYPE_MISSING)
        return NX_OK;
    rc = nx_id_from_value(&value, &given, err);
    if (rc == NX_OK && (given.len != id->len || memcmp(given.key, id->key, id->len) != 0))
        return nx_fail(err, NX_EID, "the body's _id is not the one in the path");
    return rc;
}

static enum nx_code try_edit(struct request *req, nx_ino collection, const struct edit *edit,
                             struct nx_id *id, bool *created, struct nx_write_result *result,
                             struct nx_err *err)
{
    struct nx_buf old NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf made NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_document doc = {0};
    struct nx_put put = {.collection = collection, .id = id};
    enum nx_code rc = document_find(req, collection, id_text(req), id, &old, &doc, err);

    *created = rc == NX_ENOTFOUND && edit->may_create;
    if (rc != NX_OK && !*created)
        return rc;
    rc = document_check_match(req, *created ? NULL : &doc, err);
    if (rc == NX_OK)
        rc = edit->make(doc.bson, edit->body, &made, err);
    if (rc == NX_OK)
        rc = check_body_id(nx_buf_slice(&made), id, err);
    if (rc != NX_OK)
        return rc;
    put.mode = *created ? NX_PUT_INSERT : NX_PUT_REPLACE;
    put.if_revision = *created ? 0 : doc.attr.revision;
    put.bson = nx_buf_slice(&made);
    rc = document_commit(req, &put, NULL, result, err);
    /* these three say that another writer came between: not what the request asked */
    if (rc == NX_EEXISTS || rc == NX_ENOTFOUND)
        rc = NX_ECONFLICT;
    return rc;
}

static enum nx_code edit_document(struct request *req, const struct edit *edit, struct nx_err *err)
{
    struct nx_slice path = request_collection(req);
    struct nx_write_result result;
    struct nx_id id;
    bool created = false;
    enum nx_code rc;
    nx_ino ino;

    rc = edit->may_create ? request_make_collection(req, path, &ino, err)
                          : request_find_collection(req, path, true, &ino, err);
    if (rc != NX_OK)
        return rc;
    for (int i = 0; i < MAX_TRIES; i++) {
        rc = try_edit(req, ino, edit, &id, &created, &result, err);
        if (rc != NX_ECONFLICT)
            break;
    }
    if (rc != NX_OK)
        return rc;
    document_put_etag(req, result.attr.revision);
    return answer_change(req, &id, created ? "Document inserted" : "Document updated",
                         created ? 201 : 200, err);
}

static enum nx_code make_replacement(struct nx_slice old, struct nx_slice body, struct nx_buf *out,
                                     struct nx_err *err)
{
    (void)old;
    return nx_buf_append(out, body.data, body.len) == NX_OK ? NX_OK : nx_fail_nomem(err);
}

static enum nx_code make_update(struct nx_slice old, struct nx_slice body, struct nx_buf *out,
                                struct nx_err *err)
{
    return nx_query_update_document(old, body, false, out, err);
}

enum nx_code route_document_put(struct request *req, struct nx_err *err)
{
    struct nx_buf bson NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    bool replace = request_param_is_set(req, "replace");
    struct edit edit = {replace ? make_replacement : merge_fields, NX_SLICE_NULL, replace};
    enum nx_code rc = document_parse(nx_buf_slice(&req->body), NX_JSON_DOCUMENT, &bson, err);

    if (rc != NX_OK)
        return rc;
    edit.body = nx_buf_slice(&bson);
    return edit_document(req, &edit, err);
}

/* --- PATCH ------------------------------------------------------------------------------------ */

enum patch_kind { PATCH_MERGE, PATCH_OPERATORS, PATCH_MIXED };

static enum patch_kind kind_of_patch(struct nx_slice doc)
{
    struct nx_doc_iter iter;
    size_t operators = 0, fields = 0;

    nx_doc_iter_init(&iter, doc);
    while (nx_doc_iter_next(&iter)) {
        operators += iter.key[0] == '$';
        fields += iter.key[0] != '$';
    }
    if (operators && fields)
        return PATCH_MIXED;
    return operators ? PATCH_OPERATORS : PATCH_MERGE;
}

static bool has_type(const struct request *req, const char *type)
{
    const char *given = req->header[HEADER_CONTENT_TYPE];

    return given && !strncasecmp(given, type, strlen(type));
}

/* RFC 6902 */
static enum nx_code patch_by_operations(struct request *req, struct nx_err *err)
{
    struct nx_buf bson NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_slice text = nx_buf_slice(&req->body);
    struct edit edit = {json_patch, NX_SLICE_NULL, false};
    bool is_array = false;
    enum nx_code rc;

    rc = nx_json_parse(text.data ? (const char *)text.data : "", text.len, NX_JSON_DOCUMENT, 0,
                       &bson, &is_array, err);
    if (rc == NX_OK && !is_array)
        return nx_fail(err, NX_EUPDATE, "a JSON Patch is an array of operations");
    if (rc != NX_OK)
        return rc;
    edit.body = nx_buf_slice(&bson);
    return edit_document(req, &edit, err);
}

enum nx_code route_document_patch(struct request *req, struct nx_err *err)
{
    struct nx_buf bson NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_slice text = nx_buf_slice(&req->body);
    struct edit edit = {merge_patch, NX_SLICE_NULL, false};
    enum patch_kind kind = PATCH_MERGE;
    enum nx_code rc = NX_OK;

    if (has_type(req, "application/json-patch+json"))
        return patch_by_operations(req, err);
    if (!has_type(req, "application/merge-patch+json")) {
        rc = document_parse(text, NX_JSON_QUERY, &bson, err);
        kind = rc == NX_OK ? kind_of_patch(nx_buf_slice(&bson)) : PATCH_MERGE;
    }
    if (kind == PATCH_MIXED)
        return nx_fail(err, NX_EUPDATE,
                       "a patch is either update operators ($set, ...) or fields, not both");
    if (rc == NX_OK && kind == PATCH_MERGE) {
        nx_buf_clear(&bson);
        rc = document_parse(text, NX_JSON_DOCUMENT, &bson, err);
    }
    if (rc != NX_OK)
        return rc;
    if (kind == PATCH_OPERATORS)
        edit.make = make_update;
    edit.body = nx_buf_slice(&bson);
    return edit_document(req, &edit, err);
}

enum nx_code route_document_delete(struct request *req, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_document doc;
    struct nx_id id;
    enum nx_code rc;
    nx_ino ino;

    rc = request_find_collection(req, request_collection(req), true, &ino, err);
    for (int i = 0; i < MAX_TRIES && rc == NX_OK; i++) {
        rc = document_find(req, ino, id_text(req), &id, &buf, &doc, err);
        if (rc == NX_OK)
            rc = document_check_match(req, &doc, err);
        if (rc != NX_OK)
            return rc;
        rc = document_remove(req, ino, &id, req->header[HEADER_IF_MATCH] ? doc.attr.revision : 0,
                             err);
        if (rc == NX_OK)
            return answer_change(req, &id, "Document deleted", 200, err);
        if (rc == NX_ECONFLICT)
            rc = NX_OK; /* changed meanwhile: look again */
    }
    return rc == NX_OK ? nx_fail(err, NX_ECONFLICT, "the document keeps changing") : rc;
}

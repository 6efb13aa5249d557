/* document.c - what the routes of single documents, bulk and batch have in common. */
#include "daemon/document.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/service.h"

/* --- ids -------------------------------------------------------------------------------------- */

/* The canonical decimal form of an int64 and nothing else: "42", "-7", not "042" or "+1". */
static bool spells_integer(const struct url_text *text, int64_t *out)
{
    char again[24];

    if (!text->len || text->len >= sizeof again)
        return false;
    *out = strtoll(text->text, NULL, 10);
    snprintf(again, sizeof again, "%lld", (long long)*out);
    return !strcmp(again, text->text);
}

static bool spells_objectid(const struct url_text *text, uint8_t out[12])
{
    if (text->len != 24)
        return false;
    for (size_t i = 0; i < 12; i++) {
        char pair[3] = {text->text[2 * i], text->text[2 * i + 1], 0};

        if (!isxdigit((unsigned char)pair[0]) || !isxdigit((unsigned char)pair[1]))
            return false;
        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

static enum nx_code get_by(struct request *req, nx_ino collection, const struct nx_value *value,
                           struct nx_id *id, struct nx_buf *buf, struct nx_document *out,
                           struct nx_err *err)
{
    enum nx_code rc = nx_id_from_value(value, id, err);

    nx_buf_clear(buf);
    if (rc == NX_OK)
        rc = nx_document_get(req->service->db, NULL, collection, id, buf, out, err);
    return rc;
}

static void id_for_new(const struct url_text *text, struct nx_id *id)
{
    struct nx_buf name NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value string = nx_string(text->text, text->len);

    if (nx_buf_append(&name, text->text, text->len) == NX_OK &&
        nx_buf_append_str(&name, ".json") == NX_OK &&
        nx_id_from_name((char *)name.data, name.len, id, NULL, NULL) == NX_OK)
        return;
    nx_id_from_value(&string, id, NULL); /* no file name as it stands: the text is the id */
}

enum nx_code document_find(struct request *req, nx_ino collection, const struct url_text *text,
                           struct nx_id *id, struct nx_buf *buf, struct nx_document *out,
                           struct nx_err *err)
{
    struct nx_value value = nx_string(text->text, text->len);
    uint8_t oid[12];
    int64_t integer;
    enum nx_code rc = NX_ENOTFOUND;

    if (collection)
        rc = get_by(req, collection, &value, id, buf, out, err);
    if (rc == NX_ENOTFOUND && collection && spells_integer(text, &integer)) {
        value = nx_int(integer);
        rc = get_by(req, collection, &value, id, buf, out, err);
    }
    if (rc == NX_ENOTFOUND && collection && spells_objectid(text, oid)) {
        value = (struct nx_value){.type = NX_TYPE_OBJECTID, .len = 12, .data = oid};
        rc = get_by(req, collection, &value, id, buf, out, err);
    }
    if (rc != NX_ENOTFOUND)
        return rc;
    id_for_new(text, id);
    return nx_fail(err, NX_ENOTFOUND, "there is no document '%.255s' in '%.160s'", text->text,
                   (const char *)request_collection(req).data);
}

void document_put_id(struct json_out *out, const char *key, const struct nx_id *id)
{
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value value;

    if (nx_id_to_document(id, &doc) != NX_OK) {
        out->failed = NX_ENOMEM;
        return;
    }
    value = nx_doc_get_z(nx_buf_slice(&doc), "_id");
    if (key) {
        json_value(out, key, &value, NX_JSON_EXACT);
        return;
    }
    if (out->comma)
        json_raw(out, ",");
    out->comma = true;
    if (nx_json_write_value(&value, NX_JSON_EXACT, out->buf) != NX_OK)
        out->failed = NX_ENOMEM;
}

/* --- versions --------------------------------------------------------------------------------- */

/* `"1", W/"2", *`: a list of quoted tags. */
bool document_has_etag(const char *header, uint64_t revision)
{
    char tag[32];
    size_t len;

    if (header[strspn(header, " \t")] == '*')
        return true;
    len = (size_t)snprintf(tag, sizeof tag, "\"%llu\"", (unsigned long long)revision);
    for (const char *at = strchr(header, '"'); at; at = strchr(at, '"')) {
        const char *end = strchr(at + 1, '"');

        if (!end)
            return false;
        if ((size_t)(end + 1 - at) == len && !memcmp(at, tag, len))
            return true;
        at = end + 1;
    }
    return false;
}

enum nx_code document_check_match(const struct request *req, const struct nx_document *doc,
                                  struct nx_err *err)
{
    const char *match = req->header[HEADER_IF_MATCH];
    const char *none = req->header[HEADER_IF_NONE_MATCH];

    if (match && (!doc || !document_has_etag(match, doc->attr.revision)))
        return nx_fail(err, NX_EPRECONDITION, "If-Match: the document %s",
                       doc ? "has another version; read it again" : "does not exist");
    if (none && doc && document_has_etag(none, doc->attr.revision))
        return nx_fail(err, NX_EPRECONDITION, "If-None-Match: the document exists%s",
                       strchr(none, '*') ? "" : " in this version");
    return NX_OK;
}

void document_put_etag(struct request *req, uint64_t revision)
{
    char tag[32];

    snprintf(tag, sizeof tag, "\"%llu\"", (unsigned long long)revision);
    response_add_header(&req->response, "ETag", tag);
}

/* --- text and changes ------------------------------------------------------------------------- */

enum nx_code document_parse(struct nx_slice text, enum nx_json_mode mode, struct nx_buf *out,
                            struct nx_err *err)
{
    bool is_array = false;
    enum nx_code rc;

    rc = nx_json_parse(text.data ? (const char *)text.data : "", text.len, mode, 0, out, &is_array,
                       err);
    if (rc == NX_OK && is_array)
        return nx_fail(err, NX_EDOC, "a document is an object, not an array");
    return rc;
}

enum nx_code document_commit(struct request *req, const struct nx_put *put, struct nx_id *id,
                             struct nx_write_result *result, struct nx_err *err)
{
    struct nx_write *write;
    struct nx_change change;
    enum nx_code rc = nx_write_new(req->service->db, &write, err);

    if (rc != NX_OK)
        return rc;
    rc = nx_write_put(write, put, id, err);
    if (rc == NX_OK) {
        change = request_change(req);
        rc = request_changed(req, nx_write_commit(write, &change, result, err));
    }
    if (rc != NX_OK && err)
        err->index = -1; /* there is only one */
    nx_write_free(write);
    return rc;
}

enum nx_code document_remove(struct request *req, nx_ino collection, const struct nx_id *id,
                             uint64_t if_revision, struct nx_err *err)
{
    struct nx_write_result result;
    struct nx_write *write;
    struct nx_change change;
    enum nx_code rc = nx_write_new(req->service->db, &write, err);

    if (rc != NX_OK)
        return rc;
    rc = nx_write_delete(write, collection, id, if_revision, false, err);
    if (rc == NX_OK) {
        change = request_change(req);
        rc = request_changed(req, nx_write_commit(write, &change, &result, err));
    }
    if (rc != NX_OK && err)
        err->index = -1;
    nx_write_free(write);
    return rc;
}

/* body.c - taking _id out of a document and putting it back; choosing how its text is kept.
 *
 * The name carries the id. A text that begins with that very _id is laid out again from the id and
 * the BSON; one with another _id, or with it elsewhere, is kept as it is. */
#include "store/body.h"

#include <nexadb/json.h>

#include "base/bytes.h"
#include "doc/layout.h"

void body_work_fini(struct body_work *work)
{
    nx_buf_fini(&work->parsed);
    nx_buf_fini(&work->stripped);
    nx_buf_fini(&work->whole);
    nx_buf_fini(&work->text);
}

/* Where the _id field is: its bytes from the type byte to its end. */
struct id_field {
    struct nx_value value; /* MISSING when there is none */
    size_t begin, end;
    bool is_first;
};

static void find_id(struct nx_slice doc, struct id_field *out)
{
    struct nx_doc_iter iter;
    bool found = false;

    *out = (struct id_field){.value = NX_MISSING};
    nx_doc_iter_init(&iter, doc);
    for (size_t i = 0; nx_doc_iter_next(&iter); i++) {
        size_t begin = (size_t)((const uint8_t *)iter.key - 1 - doc.data);

        if (found) {
            out->end = begin;
            return;
        }
        if (iter.key_len != 3 || memcmp(iter.key, "_id", 3) != 0)
            continue;
        found = true;
        out->value = iter.value;
        out->begin = begin;
        out->end = doc.len - 1;
        out->is_first = i == 0;
    }
}

/* The document without [begin, end), in `out`. */
static enum nx_code cut(struct nx_slice doc, const struct id_field *field, struct nx_buf *out)
{
    size_t len = doc.len - (field->end - field->begin);

    nx_buf_clear(out);
    if (nx_buf_reserve(out, len) != NX_OK)
        return NX_ENOMEM;
    nx_buf_append(out, doc.data, field->begin);
    nx_buf_append(out, doc.data + field->end, doc.len - field->end);
    put_u32le(out->data, (uint32_t)len);
    return NX_OK;
}

static enum nx_code check_size(const char *what, uint64_t bytes, struct nx_err *err)
{
    if (bytes > NX_DOC_MAX_BYTES)
        return nx_fail(err, NX_ETOOBIG, "the document's %s has %llu bytes; the limit is %u", what,
                       (unsigned long long)bytes, NX_DOC_MAX_BYTES);
    return NX_OK;
}

/* The size with _id; only a document near the limit is worth measuring. */
static enum nx_code check_bson_size(const struct nx_id *id, struct nx_slice bson,
                                    struct nx_buf *scratch, struct nx_err *err)
{
    if (bson.len + BODY_ID_ROOM <= NX_DOC_MAX_BYTES)
        return NX_OK;
    nx_buf_clear(scratch);
    if (nx_id_to_document(id, scratch) != NX_OK)
        return nx_fail_nomem(err);
    return check_size("BSON", bson.len + scratch->len - 5, err);
}

/* Take _id out, settle the id, leave the rest in out->bson. */
static enum nx_code split(struct nx_io *io, struct nx_slice doc, const struct nx_id *want,
                          struct body_work *work, struct id_field *field, struct nx_id *id,
                          struct body *out, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    find_id(doc, field);
    out->bson = doc;
    if (field->value.type != NX_TYPE_MISSING) {
        if (cut(doc, field, &work->stripped) != NX_OK)
            return nx_fail_nomem(err);
        out->bson = nx_buf_slice(&work->stripped);
    }
    if (want)
        *id = *want;
    else if (field->value.type != NX_TYPE_MISSING)
        rc = nx_id_from_value(&field->value, id, err);
    else
        nx_id_generate(io, id);
    return rc == NX_OK ? check_bson_size(id, out->bson, &work->whole, err) : rc;
}

static bool is_same_id(const struct nx_value *value, const struct nx_id *id)
{
    struct nx_id other;

    return nx_id_from_value(value, &other, NULL) == NX_OK && other.len == id->len &&
           memcmp(other.key, id->key, id->len) == 0;
}

static enum nx_code choose_layout(struct nx_slice text, const struct id_field *field,
                                  const struct nx_id *id, struct body_work *work, struct body *out,
                                  struct nx_err *err)
{
    struct nx_slice doc = out->bson;

    out->layout = LAYOUT_SOURCE;
    if (field->value.type != NX_TYPE_MISSING) {
        enum nx_code rc;

        if (!field->is_first || !is_same_id(&field->value, id))
            return NX_OK;
        nx_buf_clear(&work->whole);
        rc = body_append_bson(nx_slice(id->key, id->len), out->bson, &work->whole, err);
        if (rc != NX_OK)
            return rc;
        doc = nx_buf_slice(&work->whole);
        out->flags = DOC_ID_IN_TEXT;
    }
    out->layout = layout_detect(doc, (const char *)text.data, text.len);
    if (out->layout == LAYOUT_SOURCE)
        out->flags = 0;
    return NX_OK;
}

enum nx_code body_of_text(struct nx_io *io, struct nx_slice text, const struct nx_id *want,
                          struct body_work *work, struct nx_id *id, struct body *out,
                          struct nx_err *err)
{
    struct id_field field;
    bool is_array = false;
    enum nx_code rc = check_size("text", text.len, err);

    *out = (struct body){.text_bytes = (uint32_t)text.len};
    nx_buf_clear(&work->parsed);
    if (rc == NX_OK)
        rc = nx_json_parse((const char *)text.data, text.len, NX_JSON_DOCUMENT, 0, &work->parsed,
                           &is_array, err);
    if (rc == NX_OK && is_array)
        rc = nx_fail(err, NX_EDOC, "a document is a JSON object, not an array");
    if (rc == NX_OK)
        rc = split(io, nx_buf_slice(&work->parsed), want, work, &field, id, out, err);
    if (rc == NX_OK)
        rc = choose_layout(text, &field, id, work, out, err);
    if (rc == NX_OK && out->layout == LAYOUT_SOURCE)
        out->source = text;
    return rc;
}

enum nx_code body_of_bson(struct nx_io *io, struct nx_slice bson, const struct nx_id *want,
                          struct body_work *work, struct nx_id *id, struct body *out,
                          struct nx_err *err)
{
    struct id_field field;
    enum nx_code rc;

    *out = (struct body){.layout = LAYOUT_DEFAULT};
    if (bson.len < 5 || get_u32le(bson.data) != bson.len)
        return nx_fail(err, NX_EDOC, "the document's length field does not fit its %zu bytes",
                       bson.len);
    rc = split(io, bson, want, work, &field, id, out, err);
    if (rc != NX_OK)
        return rc;
    nx_buf_clear(&work->text);
    if (layout_render(LAYOUT_DEFAULT, out->bson, &work->text) != NX_OK)
        return nx_fail_nomem(err);
    out->text_bytes = (uint32_t)work->text.len;
    return check_size("text", work->text.len, err);
}

enum nx_code body_append_bson(struct nx_slice id_key, struct nx_slice bson, struct nx_buf *out,
                              struct nx_err *err)
{
    size_t at = out->len;
    struct nx_id id;

    if (bson.len < 5 || nx_id_from_key(id_key, &id) != NX_OK)
        return nx_fail(err, NX_ECORRUPT, "a stored document cannot be read");
    if (nx_buf_reserve(out, bson.len + BODY_ID_ROOM) != NX_OK ||
        nx_id_to_document(&id, out) != NX_OK)
        return nx_fail_nomem(err);
    out->len--; /* the end of {_id}; the document's own follows */
    if (nx_buf_append(out, bson.data + 4, bson.len - 4) != NX_OK)
        return nx_fail_nomem(err);
    put_u32le(out->data + at, (uint32_t)(out->len - at));
    return NX_OK;
}

static enum nx_code render(uint8_t layout, struct nx_slice doc, struct nx_buf *out,
                           struct nx_err *err)
{
    enum nx_code rc = layout_render(layout, doc, out);

    if (rc == NX_ENOMEM)
        return nx_fail_nomem(err);
    if (rc != NX_OK)
        return nx_fail(err, rc, "a stored document has the unknown layout %u", layout);
    return NX_OK;
}

enum nx_code body_append_text(const struct doc_header *header, struct nx_slice id,
                              struct nx_slice body, struct nx_buf *out, struct nx_err *err)
{
    struct nx_buf whole NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_slice bson = nx_slice(body.data, header->bson_bytes);
    size_t before = out->len;
    enum nx_code rc;

    if (header->flags & DOC_DRAFT)
        return NX_OK;
    if (header->layout == LAYOUT_SOURCE) {
        rc = nx_buf_append(out, body.data + header->bson_bytes, header->text_bytes);
        return rc == NX_OK ? NX_OK : nx_fail_nomem(err);
    }
    if (header->flags & DOC_ID_IN_TEXT) {
        rc = body_append_bson(id, bson, &whole, err);
        if (rc != NX_OK)
            return rc;
        bson = nx_buf_slice(&whole);
    }
    rc = render(header->layout, bson, out, err);
    if (rc == NX_OK && out->len - before != header->text_bytes)
        rc = nx_fail(err, NX_ECORRUPT, "a stored document gives %zu bytes of text, not %u",
                     out->len - before, header->text_bytes);
    return rc;
}

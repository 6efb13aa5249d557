/*
 * position.c - base64url of {"i": _id, "k": [keys], "s": sort}.
 */
#include "query/position.h"

#include "doc/base64.h"

static const char plain_alphabet[] = "+/", url_alphabet[] = "-_";

static void translate(char *text, size_t len, const char *from, const char *to)
{
    for (size_t i = 0; i < len; i++)
        for (unsigned c = 0; c < 2; c++)
            if (text[i] == from[c])
                text[i] = to[c];
}

static enum nx_code append_text(struct nx_slice bson, struct nx_buf *out)
{
    size_t len = BASE64_BYTES(bson.len);
    char *text;

    if (nx_buf_reserve(out, len) != NX_OK)
        return NX_ENOMEM;
    text = (char *)out->data + out->len;
    base64_encode(bson.data, bson.len, text);
    translate(text, len, plain_alphabet, url_alphabet);
    while (len && text[len - 1] == '=')
        len--;
    out->len += len;
    return NX_OK;
}

enum nx_code position_write(const struct nx_value *id, struct nx_slice sort,
                            const struct nx_value *keys, unsigned count, struct nx_buf *out)
{
    struct nx_buf bson = NX_BUF_INIT;
    struct nx_builder builder;
    enum nx_code rc;

    nx_builder_init(&builder, &bson);
    nx_builder_put(&builder, "i", 1, id);
    nx_builder_begin_array(&builder, "k", 1);
    for (unsigned i = 0; i < count; i++)
        nx_builder_push(&builder, &keys[i]);
    nx_builder_close(&builder);
    nx_builder_put_z(&builder, "s", nx_doc_value(sort.len ? sort : nx_doc_empty));
    rc = nx_builder_end(&builder, NULL);
    if (rc == NX_OK)
        rc = append_text(nx_buf_slice(&bson), out);
    nx_buf_fini(&bson);
    return rc;
}

static enum nx_code decode(struct nx_slice text, struct nx_buf *out, struct nx_err *err)
{
    size_t len = (text.len + 3) / 4 * 4, decoded = 0;
    enum nx_code rc = nx_buf_append(out, text.data, text.len);

    while (rc == NX_OK && out->len < len)
        rc = nx_buf_append_byte(out, '=');
    if (rc != NX_OK)
        return nx_fail_nomem(err);
    translate((char *)out->data, out->len, url_alphabet, plain_alphabet);
    if (!base64_decode((const char *)out->data, out->len, out->data, &decoded))
        return nx_fail(err, NX_EQUERY, "the cursor is not one that this database gave");
    out->len = decoded;
    if (nx_doc_check(nx_buf_slice(out), NULL) != NX_OK)
        return nx_fail(err, NX_EQUERY, "the cursor is not one that this database gave");
    return NX_OK;
}

static enum nx_code read_members(struct position *out, struct nx_slice sort, unsigned count,
                                 struct nx_err *err)
{
    struct nx_slice bson = nx_buf_slice(&out->bson);
    struct nx_value id = nx_doc_get_z(bson, "i"), keys = nx_doc_get_z(bson, "k");
    struct nx_value of_sort = nx_doc_get_z(bson, "s");
    struct nx_doc_iter iter;

    if (keys.type != NX_TYPE_ARRAY || of_sort.type != NX_TYPE_DOCUMENT ||
        nx_id_from_value(&id, &out->id, NULL) != NX_OK)
        return nx_fail(err, NX_EQUERY, "the cursor is not one that this database gave");
    if (!nx_slice_equal(nx_value_slice(&of_sort), sort.len ? sort : nx_doc_empty) ||
        nx_doc_count(nx_value_slice(&keys)) != count)
        return nx_fail(err, NX_EQUERY, "the cursor belongs to a query with another sort");
    nx_doc_iter_init(&iter, nx_value_slice(&keys));
    for (unsigned i = 0; nx_doc_iter_next(&iter); i++)
        out->keys[i] = iter.value;
    return NX_OK;
}

enum nx_code position_read(struct nx_slice text, struct nx_slice sort, unsigned count,
                           struct position *out, struct nx_err *err)
{
    enum nx_code rc;

    out->bson = NX_BUF_INIT;
    rc = decode(text, &out->bson, err);
    if (rc == NX_OK)
        rc = read_members(out, sort, count, err);
    if (rc != NX_OK)
        position_fini(out);
    return rc;
}

void position_fini(struct position *position)
{
    nx_buf_fini(&position->bson);
}

/*
 * check.c - is this BSON, all of it?
 *
 * The gate for bytes from outside: one walk that looks at every byte before anything else does.
 * Stricter than the format where the format lets two readers disagree: arrays must be numbered
 * 0, 1, 2, ..., and an object may not name a field twice.
 */
#include <nexadb/value.h>

#include "base/bytes.h"
#include "doc/bson.h"
#include "doc/keyset.h"
#include "doc/number.h"
#include "doc/utf8.h"

struct checker {
    const uint8_t *base;
    struct keyset keys;
    struct nx_err *err;
    unsigned depth;
};

static enum nx_code check_document(struct checker *c, struct nx_slice doc, bool is_array);

static enum nx_code bad(const struct checker *c, const uint8_t *at, const char *what)
{
    return nx_fail(c->err, NX_EDOC, "BSON: %s at byte %zu", what, (size_t)(at - c->base));
}

static enum nx_code check_utf8(const struct checker *c, const uint8_t *p, size_t len)
{
    size_t good = utf8_valid_prefix(p, len);

    return good == len ? NX_OK : bad(c, p + good, "text is not UTF-8");
}

/* Pattern and options; the options are letters in order, each once, as the format demands. */
static enum nx_code check_regex(const struct checker *c, const struct nx_value *value)
{
    const uint8_t *options = memchr(value->data, 0, value->len);

    for (options++; *options; options++) {
        if (*options >= 0x80)
            return bad(c, options, "regex options are not ASCII");
        if (options[1] && options[1] <= *options)
            return bad(c, options, "regex options are not in order");
    }
    return check_utf8(c, value->data, value->len);
}

static enum nx_code check_codewscope(struct checker *c, const struct nx_value *value)
{
    struct nx_slice code, scope;
    enum nx_code rc;

    bson_codewscope_parts(value, &code, &scope);
    rc = check_utf8(c, code.data, code.len);
    return rc == NX_OK ? check_document(c, scope, false) : rc;
}

static enum nx_code check_dbpointer(const struct checker *c, const struct nx_value *value)
{
    struct nx_slice ns;
    const uint8_t *oid;

    bson_dbpointer_parts(value, &ns, &oid);
    return check_utf8(c, ns.data, ns.len);
}

static enum nx_code check_value(struct checker *c, const struct nx_value *value)
{
    switch (value->type) {
    case NX_TYPE_STRING:
    case NX_TYPE_SYMBOL:
    case NX_TYPE_CODE:
        return check_utf8(c, value->data, value->len);
    case NX_TYPE_DOCUMENT:
    case NX_TYPE_ARRAY:
        return check_document(c, nx_value_slice(value), value->type == NX_TYPE_ARRAY);
    case NX_TYPE_REGEX:
        return check_regex(c, value);
    case NX_TYPE_CODEWSCOPE:
        return check_codewscope(c, value);
    case NX_TYPE_DBPOINTER:
        return check_dbpointer(c, value);
    default:
        return NX_OK;
    }
}

static enum nx_code check_index(const struct checker *c, const uint8_t *key, size_t len, int64_t n)
{
    char digits[NUMBER_TEXT_BYTES];
    size_t digits_len = number_write_int64(n, digits);

    if (len == digits_len && memcmp(key, digits, len) == 0)
        return NX_OK;
    return bad(c, key, "an array is not numbered in order");
}

static enum nx_code check_name(struct checker *c, uint32_t mark, const uint8_t *key, uint32_t len)
{
    uint32_t at = (uint32_t)(key - c->base);
    enum nx_code rc = check_utf8(c, key, len);

    if (rc != NX_OK)
        return rc;
    switch (keyset_add(&c->keys, mark, c->base, at, len, at)) {
    case KEYSET_NEW:
        return NX_OK;
    case KEYSET_DUPLICATE:
        return bad(c, key, "a key stands twice in one object");
    default:
        return nx_fail_nomem(c->err);
    }
}

static enum nx_code check_elements(struct checker *c, struct nx_slice doc, bool is_array,
                                   uint32_t mark)
{
    const uint8_t *at = doc.data + 4, *end = doc.data + doc.len - 1;

    for (int64_t n = 0; at < end; n++) {
        const uint8_t *key = at + 1;
        const uint8_t *key_end = memchr(key, 0, (size_t)(end - key));
        struct nx_value value;
        enum nx_code rc;
        size_t size;

        if (!key_end)
            return bad(c, key, "a key has no end");
        rc = is_array ? check_index(c, key, (size_t)(key_end - key), n)
                      : check_name(c, mark, key, (uint32_t)(key_end - key));
        if (rc != NX_OK)
            return rc;
        if (!bson_type_known(*at))
            return bad(c, at, "unknown type");
        size = bson_value_view(*at, key_end + 1, (size_t)(end - key_end) - 1, &value);
        if (size == BSON_BAD)
            return bad(c, at, "a value does not fit or contradicts itself");
        rc = check_value(c, &value);
        if (rc != NX_OK)
            return rc;
        at = key_end + 1 + size;
    }
    return NX_OK;
}

static enum nx_code check_document(struct checker *c, struct nx_slice doc, bool is_array)
{
    uint32_t mark = keyset_begin(&c->keys), where;
    enum nx_code rc;

    if (doc.len < BSON_MIN_BYTES || get_u32le(doc.data) != doc.len || doc.data[doc.len - 1] != 0)
        return bad(c, doc.data, "a document's length is wrong or it has no end");
    if (c->depth == NX_DOC_MAX_DEPTH)
        return bad(c, doc.data, "nesting deeper than 100 levels");
    c->depth++;
    rc = check_elements(c, doc, is_array, mark);
    c->depth--;
    if (rc == NX_OK && keyset_end(&c->keys, mark, c->base, &where) == KEYSET_DUPLICATE)
        return bad(c, c->base + where, "a key stands twice in one object");
    return rc;
}

enum nx_code nx_doc_check(struct nx_slice doc, struct nx_err *err)
{
    struct checker c = {.base = doc.data, .err = err};
    enum nx_code rc;

    if (doc.len > INT32_MAX)
        return nx_fail(err, NX_EDOC, "BSON: %zu bytes pass the format's limit", doc.len);
    keyset_init(&c.keys);
    rc = check_document(&c, doc, false);
    keyset_fini(&c.keys);
    return rc;
}

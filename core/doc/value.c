/*
 * value.c - walking a document, finding a field, naming a type.
 *
 * An iterator moves over the bytes without allocating. It trusts them (they passed nx_doc_check or
 * came from our own builder), yet never leaves them: an element that does not fit ends the walk.
 */
#include <math.h>

#include <nexadb/value.h>

#include "base/bytes.h"
#include "doc/bson.h"
#include "doc/decimal.h"

static const uint8_t empty_bytes[BSON_MIN_BYTES] = {BSON_MIN_BYTES};
const struct nx_slice nx_doc_empty = {empty_bytes, sizeof empty_bytes};

void nx_doc_iter_init(struct nx_doc_iter *iter, struct nx_slice doc)
{
    size_t len = doc.len >= BSON_MIN_BYTES ? get_u32le(doc.data) : 0;

    *iter = (struct nx_doc_iter){0};
    if (len < BSON_MIN_BYTES || len > doc.len)
        return;
    iter->at = doc.data + 4;
    iter->end = doc.data + len - 1; /* its NUL */
}

/* The first NUL of [p, end), or NULL: eight bytes at a time, as most keys are short. */
static const uint8_t *find_nul(const uint8_t *p, const uint8_t *end)
{
    for (; end - p >= 8; p += 8) {
        uint64_t word = get_u64le(p);
        uint64_t nuls =
            (word - UINT64_C(0x0101010101010101)) & ~word & UINT64_C(0x8080808080808080);

        if (nuls)
            return p + __builtin_ctzll(nuls) / 8;
    }
    for (; p < end; p++)
        if (*p == 0)
            return p;
    return NULL;
}

bool nx_doc_iter_next(struct nx_doc_iter *iter)
{
    const uint8_t *at = iter->at, *key_end;
    size_t n;

    if (iter->end - at < 2)
        return false;
    key_end = find_nul(at + 1, iter->end);
    if (!key_end)
        return false;
    n = bson_value_view(*at, key_end + 1, (size_t)(iter->end - key_end) - 1, &iter->value);
    if (n == BSON_BAD)
        return false;
    iter->key = (const char *)at + 1;
    iter->key_len = (uint32_t)(key_end - at) - 1;
    iter->at = key_end + 1 + n;
    return true;
}

struct nx_value nx_doc_get(struct nx_slice doc, const char *key, size_t key_len)
{
    struct nx_doc_iter iter;
    struct nx_value value;

    nx_doc_iter_init(&iter, doc);
    while (iter.end - iter.at >= 2) {
        const uint8_t *name = iter.at + 1, *name_end = find_nul(name, iter.end);
        size_t avail, n;

        if (!name_end)
            break;
        avail = (size_t)(iter.end - name_end) - 1;
        if ((size_t)(name_end - name) == key_len && memcmp(name, key, key_len) == 0)
            return bson_value_view(*iter.at, name_end + 1, avail, &value) == BSON_BAD ? NX_MISSING
                                                                                      : value;
        n = bson_value_skip(*iter.at, name_end + 1, avail);
        if (n == BSON_BAD)
            break;
        iter.at = name_end + 1 + n;
    }
    return NX_MISSING;
}

struct nx_value nx_doc_get_z(struct nx_slice doc, const char *key)
{
    return nx_doc_get(doc, key, strlen(key));
}

bool nx_doc_is_empty(struct nx_slice doc)
{
    return doc.len <= BSON_MIN_BYTES;
}

size_t nx_doc_count(struct nx_slice doc)
{
    struct nx_doc_iter iter;
    size_t n = 0;

    nx_doc_iter_init(&iter, doc);
    while (nx_doc_iter_next(&iter))
        n++;
    return n;
}

double nx_value_to_double(const struct nx_value *value)
{
    struct decimal decimal;

    switch (value->type) {
    case NX_TYPE_DOUBLE:
        return value->f64;
    case NX_TYPE_INT32:
        return value->i32;
    case NX_TYPE_INT64:
        return (double)value->i64;
    case NX_TYPE_DECIMAL128:
        decimal_read(value->data, &decimal);
        return decimal_to_double(&decimal);
    default:
        return 0;
    }
}

static bool double_to_int64(double d, int64_t *out)
{
    if (!(d >= -0x1p63 && d < 0x1p63) || d != trunc(d))
        return false;
    *out = (int64_t)d;
    return true;
}

bool nx_value_to_int64(const struct nx_value *value, int64_t *out)
{
    struct decimal decimal;

    *out = 0;
    switch (value->type) {
    case NX_TYPE_DOUBLE:
        return double_to_int64(value->f64, out);
    case NX_TYPE_INT32:
        *out = value->i32;
        return true;
    case NX_TYPE_INT64:
        *out = value->i64;
        return true;
    case NX_TYPE_DECIMAL128:
        decimal_read(value->data, &decimal);
        return decimal_to_int64(&decimal, out);
    default:
        return false;
    }
}

static const char *const type_names[256] = {
    [NX_TYPE_MISSING] = "missing",     [NX_TYPE_DOUBLE] = "double",
    [NX_TYPE_STRING] = "string",       [NX_TYPE_DOCUMENT] = "object",
    [NX_TYPE_ARRAY] = "array",         [NX_TYPE_BINARY] = "binData",
    [NX_TYPE_UNDEFINED] = "undefined", [NX_TYPE_OBJECTID] = "objectId",
    [NX_TYPE_BOOL] = "bool",           [NX_TYPE_DATE] = "date",
    [NX_TYPE_NULL] = "null",           [NX_TYPE_REGEX] = "regex",
    [NX_TYPE_DBPOINTER] = "dbPointer", [NX_TYPE_CODE] = "javascript",
    [NX_TYPE_SYMBOL] = "symbol",       [NX_TYPE_CODEWSCOPE] = "javascriptWithScope",
    [NX_TYPE_INT32] = "int",           [NX_TYPE_TIMESTAMP] = "timestamp",
    [NX_TYPE_INT64] = "long",          [NX_TYPE_DECIMAL128] = "decimal",
    [NX_TYPE_MAXKEY] = "maxKey",       [NX_TYPE_MINKEY] = "minKey",
};

const char *nx_type_name(uint8_t type)
{
    return type_names[type] ? type_names[type] : "unknown";
}

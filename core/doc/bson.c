/*
 * bson.c - where a BSON value ends and what it holds.
 *
 * One row a type: a fixed size, or a function that measures. Every length is compared with what is
 * left of the enclosing document before it is used, so a walk over damaged bytes ends instead of
 * leaving them.
 */
#include "doc/bson.h"

#include <string.h>

#include "base/bytes.h"

#define SUBTYPE_OLD_BINARY 2 /* repeats its length inside the payload */

typedef size_t (*measure_fn)(const uint8_t *p, size_t avail, struct nx_value *out);

static bool read_length(const uint8_t *p, size_t avail, uint32_t *out)
{
    if (avail < 4)
        return false;
    *out = get_u32le(p);
    return *out <= INT32_MAX;
}

static size_t view_text(const uint8_t *p, size_t avail, struct nx_value *out)
{
    uint32_t len;

    if (!read_length(p, avail, &len) || len == 0 || len > avail - 4 || p[4 + len - 1] != 0)
        return BSON_BAD;
    out->data = p + 4;
    out->len = len - 1;
    return 4 + (size_t)len;
}

static size_t view_document(const uint8_t *p, size_t avail, struct nx_value *out)
{
    uint32_t len;

    if (!read_length(p, avail, &len) || len < BSON_MIN_BYTES || len > avail || p[len - 1] != 0)
        return BSON_BAD;
    out->data = p;
    out->len = len;
    return len;
}

static size_t view_binary(const uint8_t *p, size_t avail, struct nx_value *out)
{
    uint32_t len, inner;

    if (!read_length(p, avail, &len) || avail < 5 || len > avail - 5)
        return BSON_BAD;
    out->subtype = p[4];
    out->data = p + 5;
    out->len = len;
    if (out->subtype == SUBTYPE_OLD_BINARY) {
        if (!read_length(p + 5, len, &inner) || inner != len - 4)
            return BSON_BAD;
        out->data += 4;
        out->len = inner;
    }
    return 5 + (size_t)len;
}

static size_t view_regex(const uint8_t *p, size_t avail, struct nx_value *out)
{
    const uint8_t *pattern_end = avail ? memchr(p, 0, avail) : NULL;
    const uint8_t *options_end;

    if (!pattern_end)
        return BSON_BAD;
    options_end = memchr(pattern_end + 1, 0, avail - (size_t)(pattern_end + 1 - p));
    if (!options_end)
        return BSON_BAD;
    out->data = p;
    out->len = (uint32_t)(options_end + 1 - p);
    return out->len;
}

static size_t view_dbpointer(const uint8_t *p, size_t avail, struct nx_value *out)
{
    struct nx_value text;
    size_t n = view_text(p, avail, &text);

    if (n == BSON_BAD || avail - n < 12)
        return BSON_BAD;
    out->data = p;
    out->len = (uint32_t)(n + 12);
    return n + 12;
}

static size_t view_codewscope(const uint8_t *p, size_t avail, struct nx_value *out)
{
    struct nx_value part;
    uint32_t len;
    size_t code;

    if (!read_length(p, avail, &len) || len < 4 || len > avail)
        return BSON_BAD;
    code = view_text(p + 4, len - 4, &part);
    if (code == BSON_BAD || view_document(p + 4 + code, len - 4 - code, &part) != len - 4 - code)
        return BSON_BAD;
    out->data = p;
    out->len = len;
    return len;
}

static size_t view_double(const uint8_t *p, size_t avail, struct nx_value *out)
{
    if (avail < 8)
        return BSON_BAD;
    memcpy(&out->f64, p, 8);
    return 8;
}

static size_t view_64(const uint8_t *p, size_t avail, struct nx_value *out)
{
    if (avail < 8)
        return BSON_BAD;
    out->i64 = (int64_t)get_u64le(p);
    return 8;
}

static size_t view_int32(const uint8_t *p, size_t avail, struct nx_value *out)
{
    if (avail < 4)
        return BSON_BAD;
    out->i32 = (int32_t)get_u32le(p);
    return 4;
}

static size_t view_bool(const uint8_t *p, size_t avail, struct nx_value *out)
{
    if (avail < 1 || p[0] > 1)
        return BSON_BAD;
    out->boolean = p[0];
    return 1;
}

static size_t view_nothing(const uint8_t *p, size_t avail, struct nx_value *out)
{
    (void)p;
    (void)avail;
    (void)out;
    return 0;
}

static size_t view_bytes(const uint8_t *p, size_t avail, size_t len, struct nx_value *out)
{
    if (avail < len)
        return BSON_BAD;
    out->data = p;
    out->len = (uint32_t)len;
    return len;
}

static size_t view_oid(const uint8_t *p, size_t avail, struct nx_value *out)
{
    return view_bytes(p, avail, 12, out);
}

static size_t view_decimal(const uint8_t *p, size_t avail, struct nx_value *out)
{
    return view_bytes(p, avail, 16, out);
}

static const measure_fn measures[256] = {
    [NX_TYPE_DOUBLE] = view_double,
    [NX_TYPE_STRING] = view_text,
    [NX_TYPE_DOCUMENT] = view_document,
    [NX_TYPE_ARRAY] = view_document,
    [NX_TYPE_BINARY] = view_binary,
    [NX_TYPE_UNDEFINED] = view_nothing,
    [NX_TYPE_OBJECTID] = view_oid,
    [NX_TYPE_BOOL] = view_bool,
    [NX_TYPE_DATE] = view_64,
    [NX_TYPE_NULL] = view_nothing,
    [NX_TYPE_REGEX] = view_regex,
    [NX_TYPE_DBPOINTER] = view_dbpointer,
    [NX_TYPE_CODE] = view_text,
    [NX_TYPE_SYMBOL] = view_text,
    [NX_TYPE_CODEWSCOPE] = view_codewscope,
    [NX_TYPE_INT32] = view_int32,
    [NX_TYPE_TIMESTAMP] = view_64,
    [NX_TYPE_INT64] = view_64,
    [NX_TYPE_DECIMAL128] = view_decimal,
    [NX_TYPE_MAXKEY] = view_nothing,
    [NX_TYPE_MINKEY] = view_nothing,
};

bool bson_type_known(uint8_t type)
{
    return measures[type] != NULL;
}

size_t bson_value_view(uint8_t type, const uint8_t *p, size_t avail, struct nx_value *out)
{
    measure_fn measure = measures[type];

    if (!measure)
        return BSON_BAD;
    *out = (struct nx_value){.type = type};
    return measure(p, avail, out);
}

/* How many bytes a value takes: a number of its own, or more than its length says. */
static const struct extent {
    uint8_t bytes;
    bool has_length; /* `bytes` more than the length in front */
} extents[256] = {
    [NX_TYPE_DOUBLE] = {8, false},      [NX_TYPE_STRING] = {4, true},
    [NX_TYPE_DOCUMENT] = {0, true},     [NX_TYPE_ARRAY] = {0, true},
    [NX_TYPE_BINARY] = {5, true},       [NX_TYPE_OBJECTID] = {12, false},
    [NX_TYPE_BOOL] = {1, false},        [NX_TYPE_DATE] = {8, false},
    [NX_TYPE_CODE] = {4, true},         [NX_TYPE_SYMBOL] = {4, true},
    [NX_TYPE_CODEWSCOPE] = {0, true},   [NX_TYPE_INT32] = {4, false},
    [NX_TYPE_TIMESTAMP] = {8, false},   [NX_TYPE_INT64] = {8, false},
    [NX_TYPE_DECIMAL128] = {16, false},
};

size_t bson_value_skip(uint8_t type, const uint8_t *p, size_t avail)
{
    const struct extent *extent = &extents[type];
    size_t len = extent->bytes;
    struct nx_value value;

    if (extent->has_length) {
        if (avail < 4)
            return BSON_BAD;
        len += get_u32le(p);
    } else if (len == 0) { /* nothing, or two texts */
        return bson_value_view(type, p, avail, &value);
    }
    return len <= avail ? len : BSON_BAD;
}

void bson_codewscope_parts(const struct nx_value *value, struct nx_slice *code,
                           struct nx_slice *scope)
{
    uint32_t code_len = get_u32le(value->data + 4);

    *code = nx_slice(value->data + 8, code_len - 1);
    *scope = nx_slice(value->data + 8 + code_len, value->len - 8 - code_len);
}

void bson_dbpointer_parts(const struct nx_value *value, struct nx_slice *ns, const uint8_t **oid)
{
    uint32_t len = get_u32le(value->data);

    *ns = nx_slice(value->data + 4, len - 1);
    *oid = value->data + 4 + len;
}

/*
 * convert.c - conversions between types, one function per target.
 */
#include "query/convert.h"

#include <bson/bson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <nexadb/io.h>

#include "base/bytes.h"
#include "doc/number.h"
#include "query/civil.h"
#include "query/date_text.h"
#include "query/numeric.h"
#include "query/values.h"

static enum nx_code refuse(const struct nx_value *value, uint8_t to, const char *why,
                           struct nx_err *err)
{
    int shown = value->type == NX_TYPE_STRING ? (int)(value->len < 60 ? value->len : 60) : 0;

    return nx_fail(err, NX_EEXPR, "cannot convert %s%s%.*s%s to %s%s%s", nx_type_name(value->type),
                   shown ? " '" : "", shown, shown ? (const char *)value->data : "",
                   shown ? "'" : "", nx_type_name(to), why ? ": " : "", why ? why : "");
}

/* --- to numbers ------------------------------------------------------------------------------- */

/* [+-]digits[.digits][e[+-]digits] and nothing else */
static bool is_decimal_text(const struct nx_value *text, bool whole)
{
    const uint8_t *at = text->data, *end = at + text->len, *start;
    size_t digits = 0;

    if (at < end && (*at == '+' || *at == '-'))
        at++;
    for (; at < end && *at >= '0' && *at <= '9'; at++)
        digits++;
    if (!whole && at < end && *at == '.')
        for (at++; at < end && *at >= '0' && *at <= '9'; at++)
            digits++;
    if (digits == 0)
        return false;
    if (!whole && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        for (start = at; at < end && *at >= '0' && *at <= '9'; at++)
            ;
        if (at == start)
            return false;
    }
    return at == end;
}

static bool special_double(const struct nx_value *text, double *out)
{
    static const struct {
        const char *text;
        double value;
    } names[] = {{"NaN", NAN},
                 {"Infinity", INFINITY},
                 {"-Infinity", -INFINITY},
                 {"+Infinity", INFINITY},
                 {"Inf", INFINITY},
                 {"-Inf", -INFINITY}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].text) == text->len &&
            strncasecmp(names[i].text, (const char *)text->data, text->len) == 0) {
            *out = names[i].value;
            return true;
        }
    return false;
}

static enum nx_code text_to_int64(const struct nx_value *text, uint8_t to, int64_t *out,
                                  struct nx_err *err)
{
    bool negative = text->len && text->data[0] == '-';
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX, n = 0;

    if (!is_decimal_text(text, true))
        return refuse(text, to, "it is not a whole number", err);
    for (size_t i = 0; i < text->len; i++) {
        unsigned digit = (unsigned)(text->data[i] - '0');

        if (digit > 9)
            continue; /* the sign */
        if (n > (limit - digit) / 10)
            return refuse(text, to, "it does not fit", err);
        n = n * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - n) : (int64_t)n;
    return NX_OK;
}

/* Towards zero. */
static enum nx_code number_to_int64(const struct nx_value *value, uint8_t to, int64_t *out,
                                    struct nx_err *err)
{
    struct decimal decimal;
    double v;

    if (nx_value_to_int64(value, out))
        return NX_OK;
    if (value->type == NX_TYPE_DECIMAL128) {
        decimal_read(value->data, &decimal);
        v = decimal.kind == DECIMAL_FINITE ? 0 : NAN;
        if (decimal.kind == DECIMAL_FINITE) {
            nx_u128 unit;
            int cut = decimal.exp < 0 ? -decimal.exp : 0;

            unit = cut <= DECIMAL_DIGITS ? decimal_pow10((unsigned)cut) : 0;
            decimal.coef = unit ? decimal.coef / unit : 0;
            decimal.exp = cut ? 0 : decimal.exp;
            if (!decimal_to_int64(&decimal, out))
                v = NAN;
        }
        return isnan(v) ? refuse(value, to, "it does not fit", err) : NX_OK;
    }
    v = trunc(nx_value_to_double(value));
    if (!(v >= -0x1p63 && v < 0x1p63))
        return refuse(value, to, "it does not fit", err);
    *out = (int64_t)v;
    return NX_OK;
}

static enum nx_code to_int64(const struct nx_value *value, uint8_t to, int64_t *out,
                             struct nx_err *err)
{
    switch (value->type) {
    case NX_TYPE_BOOL:
        *out = value->boolean;
        return NX_OK;
    case NX_TYPE_STRING:
        return text_to_int64(value, to, out, err);
    case NX_TYPE_DATE:
        if (to != NX_TYPE_INT64)
            return refuse(value, to, NULL, err);
        *out = value->i64;
        return NX_OK;
    default:
        if (!nx_is_number(value))
            return refuse(value, to, NULL, err);
        return number_to_int64(value, to, out, err);
    }
}

static enum nx_code to_int(struct arena *arena, const struct nx_value *value, struct nx_value *out,
                           struct nx_err *err)
{
    int64_t n;
    enum nx_code rc = to_int64(value, NX_TYPE_INT32, &n, err);

    (void)arena;
    if (rc == NX_OK && (n < INT32_MIN || n > INT32_MAX))
        return refuse(value, NX_TYPE_INT32, "it does not fit", err);
    if (rc == NX_OK)
        *out = nx_int32((int32_t)n);
    return rc;
}

static enum nx_code to_long(struct arena *arena, const struct nx_value *value, struct nx_value *out,
                            struct nx_err *err)
{
    int64_t n;
    enum nx_code rc = to_int64(value, NX_TYPE_INT64, &n, err);

    (void)arena;
    if (rc == NX_OK)
        *out = nx_int64(n);
    return rc;
}

static enum nx_code to_double(struct arena *arena, const struct nx_value *value,
                              struct nx_value *out, struct nx_err *err)
{
    double v;

    (void)arena;
    if (nx_is_number(value))
        v = nx_value_to_double(value);
    else if (value->type == NX_TYPE_BOOL)
        v = value->boolean;
    else if (value->type == NX_TYPE_DATE)
        v = (double)value->i64;
    else if (value->type != NX_TYPE_STRING)
        return refuse(value, NX_TYPE_DOUBLE, NULL, err);
    else if (is_decimal_text(value, false))
        v = number_parse_double((const char *)value->data + (value->data[0] == '+'),
                                value->len - (value->data[0] == '+'));
    else if (!special_double(value, &v))
        return refuse(value, NX_TYPE_DOUBLE, "it is not a number", err);
    *out = nx_double(v);
    return NX_OK;
}

static enum nx_code text_to_decimal(struct arena *arena, const struct nx_value *value,
                                    struct nx_value *out, struct nx_err *err)
{
    bson_decimal128_t parsed;
    uint8_t *bytes = arena_alloc(arena, 16);

    if (!bytes)
        return nx_fail_nomem(err);
    if (!bson_decimal128_from_string_w_len((const char *)value->data, (int)value->len, &parsed))
        return refuse(value, NX_TYPE_DECIMAL128, "it is not a number", err);
    put_u64le(bytes, parsed.low);
    put_u64le(bytes + 8, parsed.high);
    *out = (struct nx_value){.type = NX_TYPE_DECIMAL128, .len = 16, .data = bytes};
    return NX_OK;
}

static enum nx_code to_decimal(struct arena *arena, const struct nx_value *value,
                               struct nx_value *out, struct nx_err *err)
{
    struct decimal decimal;

    if (value->type == NX_TYPE_STRING)
        return text_to_decimal(arena, value, out, err);
    if (nx_is_number(value))
        decimal = numeric_decimal(value);
    else if (value->type == NX_TYPE_BOOL)
        decimal = decimal_from_int64(value->boolean);
    else if (value->type == NX_TYPE_DATE)
        decimal = decimal_from_int64(value->i64);
    else
        return refuse(value, NX_TYPE_DECIMAL128, NULL, err);
    return numeric_from_decimal(arena, &decimal, out, err);
}

/* --- to other types --------------------------------------------------------------------------- */

static enum nx_code to_bool(struct arena *arena, const struct nx_value *value, struct nx_value *out,
                            struct nx_err *err)
{
    (void)arena;
    switch (value->type) {
    case NX_TYPE_BOOL:
        *out = *value;
        return NX_OK;
    case NX_TYPE_STRING:
    case NX_TYPE_OBJECTID:
    case NX_TYPE_DATE:
    case NX_TYPE_TIMESTAMP:
    case NX_TYPE_BINARY:
    case NX_TYPE_DOCUMENT:
    case NX_TYPE_ARRAY:
    case NX_TYPE_REGEX:
        *out = nx_bool(true);
        return NX_OK;
    default:
        if (!nx_is_number(value))
            return refuse(value, NX_TYPE_BOOL, NULL, err);
        *out = nx_bool(!numeric_is_zero(value));
        return NX_OK;
    }
}

static enum nx_code to_date(struct arena *arena, const struct nx_value *value, struct nx_value *out,
                            struct nx_err *err)
{
    int64_t ms;
    enum nx_code rc = NX_OK;

    switch (value->type) {
    case NX_TYPE_DATE:
        ms = value->i64;
        break;
    case NX_TYPE_TIMESTAMP:
        ms = (int64_t)((uint64_t)value->i64 >> 32) * MS_PER_SECOND;
        break;
    case NX_TYPE_OBJECTID:
        ms = (int64_t)get_u32be(value->data) * MS_PER_SECOND;
        break;
    case NX_TYPE_STRING:
        rc = date_parse(nx_io_posix(), (const char *)value->data, value->len, NULL, 0, NULL, arena,
                        &ms, err);
        break;
    default:
        if (!nx_is_number(value))
            return refuse(value, NX_TYPE_DATE, NULL, err);
        rc = number_to_int64(value, NX_TYPE_DATE, &ms, err);
    }
    if (rc == NX_OK)
        *out = nx_date(ms);
    return rc;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum nx_code to_object_id(struct arena *arena, const struct nx_value *value,
                                 struct nx_value *out, struct nx_err *err)
{
    uint8_t *bytes;

    *out = *value;
    if (value->type == NX_TYPE_OBJECTID)
        return NX_OK;
    if (value->type != NX_TYPE_STRING || value->len != 24)
        return refuse(value, NX_TYPE_OBJECTID, "24 hexadecimal digits are wanted", err);
    bytes = arena_alloc(arena, 12);
    if (!bytes)
        return nx_fail_nomem(err);
    for (unsigned i = 0; i < 12; i++) {
        int high = hex_digit(value->data[2 * i]), low = hex_digit(value->data[2 * i + 1]);

        if (high < 0 || low < 0)
            return refuse(value, NX_TYPE_OBJECTID, "24 hexadecimal digits are wanted", err);
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    *out = (struct nx_value){.type = NX_TYPE_OBJECTID, .len = 12, .data = bytes};
    return NX_OK;
}

/* 1 rather than 1.0: as arithmetic results read elsewhere */
static size_t write_double(double v, char *text)
{
    size_t len;

    if (!isfinite(v))
        return (size_t)snprintf(text, 16, "%s",
                                isnan(v) ? "NaN"
                                : v < 0  ? "-Infinity"
                                         : "Infinity");
    len = number_write_double(v, text);
    return len > 2 && memcmp(text + len - 2, ".0", 2) == 0 ? len - 2 : len;
}

static size_t write_object_id(const uint8_t *bytes, char *text)
{
    static const char digits[] = "0123456789abcdef";

    for (unsigned i = 0; i < 12; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return 24;
}

enum nx_code convert_to_string(struct arena *arena, const struct nx_value *value,
                               struct nx_value *out, struct nx_err *err)
{
    char text[64];
    size_t len;

    *out = *value;
    switch (value->type) {
    case NX_TYPE_STRING:
        return NX_OK;
    case NX_TYPE_BOOL:
        *out = nx_string_z(value->boolean ? "true" : "false");
        return NX_OK;
    case NX_TYPE_INT32:
        len = number_write_int64(value->i32, text);
        break;
    case NX_TYPE_INT64:
        len = number_write_int64(value->i64, text);
        break;
    case NX_TYPE_DOUBLE:
        len = write_double(value->f64, text);
        break;
    case NX_TYPE_DECIMAL128: {
        bson_decimal128_t decimal = {.low = get_u64le(value->data),
                                     .high = get_u64le(value->data + 8)};
        bson_decimal128_to_string(&decimal, text);
        len = strlen(text);
        break;
    }
    case NX_TYPE_DATE:
        len = date_write_iso(value->i64, text);
        break;
    case NX_TYPE_OBJECTID:
        len = write_object_id(value->data, text);
        break;
    default:
        return refuse(value, NX_TYPE_STRING, NULL, err);
    }
    return value_text(arena, text, len, out, err);
}

static const struct {
    uint8_t type;
    enum nx_code (*convert)(struct arena *arena, const struct nx_value *value, struct nx_value *out,
                            struct nx_err *err);
} targets[] = {
    {NX_TYPE_DOUBLE, to_double},      {NX_TYPE_STRING, convert_to_string},
    {NX_TYPE_OBJECTID, to_object_id}, {NX_TYPE_BOOL, to_bool},
    {NX_TYPE_DATE, to_date},          {NX_TYPE_INT32, to_int},
    {NX_TYPE_INT64, to_long},         {NX_TYPE_DECIMAL128, to_decimal},
};

bool convert_target(const struct nx_value *spec, uint8_t *type)
{
    int64_t number;

    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        const char *name = nx_type_name(targets[i].type);
        bool named = spec->type == NX_TYPE_STRING && spec->len == strlen(name) &&
                     memcmp(spec->data, name, spec->len) == 0;

        if (named || (nx_value_to_int64(spec, &number) && number == targets[i].type)) {
            *type = targets[i].type;
            return true;
        }
    }
    return false;
}

enum nx_code convert_value(struct arena *arena, const struct nx_value *value, uint8_t to,
                           struct nx_value *out, struct nx_err *err)
{
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        if (targets[i].type == to)
            return targets[i].convert(arena, value, out, err);
    return refuse(value, to, NULL, err);
}

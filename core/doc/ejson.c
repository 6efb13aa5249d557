/*
 * ejson.c - MongoDB Extended JSON v2, canonical and relaxed, and the older forms that tools still
 * write, as a table: one row a form.
 *
 * The reader has already made BSON of the object; a converter reads its fields and writes the value
 * over it. Every value is shorter than the object that spells it, and each converter writes only
 * behind what it still has to read.
 */
#include "doc/ejson.h"

#include <bson/bson.h>
#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "doc/base64.h"
#include "doc/iso_date.h"
#include "doc/number.h"

/* `main` and `other` (MISSING without a second key) borrow from the object at `out`. Returns the
 * payload's length, or -1 with the row's reason. */
typedef int64_t (*convert_fn)(const struct nx_value *main, const struct nx_value *other,
                              uint8_t *out);

struct form {
    const char *key;
    const char *other; /* NULL: the key stands alone */
    uint8_t type;
    convert_fn convert;
    const char *reason;
};

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const uint8_t *text, size_t bytes, uint8_t *out)
{
    for (size_t i = 0; i < bytes; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_text(const struct nx_value *v)
{
    return v->type == NX_TYPE_STRING;
}

static bool is_one(const struct nx_value *v)
{
    return v->type == NX_TYPE_INT32 && v->i32 == 1;
}

static int64_t put_i64(uint8_t *out, int64_t v)
{
    put_u64le(out, (uint64_t)v);
    return 8;
}

/* --- numbers ---------------------------------------------------------------------------------- */

static bool read_int(const struct nx_value *v, int64_t *out)
{
    const uint8_t *p = v->data, *end = v->data + v->len;
    bool negative;
    uint64_t n = 0;

    if (!is_text(v) || v->len == 0)
        return false;
    negative = *p == '-';
    p += negative || *p == '+';
    if (p == end || end - p > 19)
        return false;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9')
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    if (n > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

static int64_t convert_int(const struct nx_value *main, const struct nx_value *other, uint8_t *out)
{
    int64_t v;

    (void)other;
    if (!read_int(main, &v) || v < INT32_MIN || v > INT32_MAX)
        return -1;
    put_u32le(out, (uint32_t)v);
    return 4;
}

static int64_t convert_long(const struct nx_value *main, const struct nx_value *other, uint8_t *out)
{
    int64_t v;

    (void)other;
    return read_int(main, &v) ? put_i64(out, v) : -1;
}

static const uint8_t *skip_digits(const uint8_t *p)
{
    while (*p >= '0' && *p <= '9')
        p++;
    return p;
}

/* [+-]digits[.digits][e[+-]digits]; the text ends with a NUL. */
static bool is_double_text(const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len, *digits;

    p += *p == '-' || *p == '+';
    digits = p;
    p = skip_digits(p);
    if (p == digits)
        return false;
    if (*p == '.')
        p = skip_digits(p + 1);
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '-' || *p == '+';
        digits = p;
        p = skip_digits(p);
        if (p == digits)
            return false;
    }
    return p == end;
}

static bool text_is(const struct nx_value *v, const char *text)
{
    return v->len == strlen(text) && memcmp(v->data, text, v->len) == 0;
}

static int64_t convert_double(const struct nx_value *main, const struct nx_value *other,
                              uint8_t *out)
{
    double v;

    (void)other;
    if (!is_text(main))
        return -1;
    if (text_is(main, "NaN"))
        v = (double)NAN;
    else if (text_is(main, "Infinity"))
        v = (double)INFINITY;
    else if (text_is(main, "-Infinity"))
        v = -(double)INFINITY;
    else if (is_double_text(main->data, main->len))
        v = number_parse_double((const char *)main->data, main->len);
    else
        return -1;
    memcpy(out, &v, 8);
    return 8;
}

static int64_t convert_decimal(const struct nx_value *main, const struct nx_value *other,
                               uint8_t *out)
{
    bson_decimal128_t v;

    (void)other;
    if (!is_text(main) || memchr(main->data, 0, main->len) ||
        !bson_decimal128_from_string_w_len((const char *)main->data, (int)main->len, &v))
        return -1;
    put_u64le(out, v.low);
    put_u64le(out + 8, v.high);
    return 16;
}

/* --- times ------------------------------------------------------------------------------------ */

static int64_t convert_date(const struct nx_value *main, const struct nx_value *other, uint8_t *out)
{
    int64_t ms;

    (void)other;
    if (is_text(main))
        return iso_date_parse((const char *)main->data, main->len, &ms) ? put_i64(out, ms) : -1;
    if (main->type != NX_TYPE_INT64 && main->type != NX_TYPE_INT32)
        return -1;
    return put_i64(out, main->type == NX_TYPE_INT64 ? main->i64 : main->i32);
}

static bool read_u32(struct nx_slice doc, const char *key, uint64_t *out)
{
    struct nx_value v = nx_doc_get_z(doc, key);
    int64_t n;

    if ((v.type != NX_TYPE_INT32 && v.type != NX_TYPE_INT64) || !nx_value_to_int64(&v, &n) ||
        n < 0 || n > UINT32_MAX)
        return false;
    *out = (uint64_t)n;
    return true;
}

static int64_t convert_timestamp(const struct nx_value *main, const struct nx_value *other,
                                 uint8_t *out)
{
    struct nx_slice doc;
    uint64_t t, i;

    (void)other;
    if (main->type != NX_TYPE_DOCUMENT)
        return -1;
    doc = nx_value_slice(main);
    if (nx_doc_count(doc) != 2 || !read_u32(doc, "t", &t) || !read_u32(doc, "i", &i))
        return -1;
    return put_i64(out, (int64_t)(t << 32 | i));
}

/* --- bytes ------------------------------------------------------------------------------------ */

static int64_t convert_oid(const struct nx_value *main, const struct nx_value *other, uint8_t *out)
{
    (void)other;
    return is_text(main) && main->len == 24 && read_hex(main->data, 12, out) ? 12 : -1;
}

/* Length, subtype and the bytes of `text`. */
static int64_t put_binary(const struct nx_value *text, uint8_t subtype, uint8_t *out)
{
    size_t repeat = subtype == 2 ? 4 : 0; /* the old form repeats its length */
    size_t len;

    if (!base64_decode((const char *)text->data, text->len, out + 5 + repeat, &len))
        return -1;
    put_u32le(out, (uint32_t)(len + repeat));
    out[4] = subtype;
    if (repeat)
        put_u32le(out + 5, (uint32_t)len);
    return (int64_t)(5 + repeat + len);
}

static bool read_subtype(const struct nx_value *v, uint8_t *out)
{
    int high, low;

    if (!is_text(v) || v->len < 1 || v->len > 2)
        return false;
    high = v->len == 2 ? hex_digit(v->data[0]) : 0;
    low = hex_digit(v->data[v->len - 1]);
    if (high < 0 || low < 0)
        return false;
    *out = (uint8_t)(high << 4 | low);
    return true;
}

static int64_t convert_binary(const struct nx_value *main, const struct nx_value *other,
                              uint8_t *out)
{
    struct nx_value text, subtype_text;
    uint8_t subtype;

    (void)other;
    if (main->type != NX_TYPE_DOCUMENT || nx_doc_count(nx_value_slice(main)) != 2)
        return -1;
    text = nx_doc_get_z(nx_value_slice(main), "base64");
    subtype_text = nx_doc_get_z(nx_value_slice(main), "subType");
    if (!is_text(&text) || !read_subtype(&subtype_text, &subtype))
        return -1;
    return put_binary(&text, subtype, out);
}

static int64_t convert_old_binary(const struct nx_value *main, const struct nx_value *other,
                                  uint8_t *out)
{
    uint8_t subtype;

    return is_text(main) && read_subtype(other, &subtype) ? put_binary(main, subtype, out) : -1;
}

/* 8-4-4-4-12 hexadecimal digits */
static int64_t convert_uuid(const struct nx_value *main, const struct nx_value *other, uint8_t *out)
{
    uint8_t digits[32];
    size_t n = 0;

    (void)other;
    if (!is_text(main) || main->len != 36)
        return -1;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash != (main->data[i] == '-'))
            return -1;
        if (!dash)
            digits[n++] = main->data[i];
    }
    if (!read_hex(digits, 16, out + 5))
        return -1;
    put_u32le(out, 16);
    out[4] = 4;
    return 21;
}

/* --- texts ------------------------------------------------------------------------------------ */

static int64_t convert_text(const struct nx_value *main, const struct nx_value *other, uint8_t *out)
{
    uint32_t len = main->len;

    (void)other;
    if (!is_text(main))
        return -1;
    memmove(out + 4, main->data, len + 1);
    put_u32le(out, len + 1);
    return (int64_t)len + 5;
}

/* Text, then scope, whatever their order in the object: the scope is set aside first. */
static int64_t convert_codewscope(const struct nx_value *main, const struct nx_value *other,
                                  uint8_t *out)
{
    struct nx_buf scope NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    int64_t text_len;
    size_t len;

    if (!is_text(main) || other->type != NX_TYPE_DOCUMENT ||
        nx_buf_append(&scope, other->data, other->len) != NX_OK)
        return -1;
    text_len = convert_text(main, NULL, out + 4);
    memcpy(out + 4 + text_len, scope.data, scope.len);
    len = 4 + (size_t)text_len + scope.len;
    put_u32le(out, (uint32_t)len);
    return (int64_t)len;
}

/* Options sorted, as the format wants them; each once. */
static bool sort_options(uint8_t *options, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && options[j - 1] >= options[j]; j--) {
            uint8_t swap = options[j];

            if (options[j - 1] == options[j])
                return false;
            options[j] = options[j - 1];
            options[j - 1] = swap;
        }
    return true;
}

static int64_t put_regex(const struct nx_value *pattern, const struct nx_value *options,
                         uint8_t *out)
{
    uint8_t sorted[8];
    uint32_t pattern_len = pattern->len, n = options->len;

    if (!is_text(pattern) || !is_text(options) || n > sizeof sorted ||
        memchr(pattern->data, 0, pattern_len))
        return -1;
    for (uint32_t i = 0; i < n; i++) {
        sorted[i] = options->data[i];
        if (sorted[i] < 'a' || sorted[i] > 'z')
            return -1;
    }
    if (!sort_options(sorted, n))
        return -1;
    memmove(out, pattern->data, pattern_len);
    out[pattern_len] = 0;
    memcpy(out + pattern_len + 1, sorted, n);
    out[pattern_len + 1 + n] = 0;
    return (int64_t)pattern_len + n + 2;
}

static int64_t convert_regex(const struct nx_value *main, const struct nx_value *other,
                             uint8_t *out)
{
    struct nx_value pattern, options;

    (void)other;
    if (main->type != NX_TYPE_DOCUMENT || nx_doc_count(nx_value_slice(main)) != 2)
        return -1;
    pattern = nx_doc_get_z(nx_value_slice(main), "pattern");
    options = nx_doc_get_z(nx_value_slice(main), "options");
    return put_regex(&pattern, &options, out);
}

static int64_t convert_dbpointer(const struct nx_value *main, const struct nx_value *other,
                                 uint8_t *out)
{
    struct nx_value ns, id;
    uint8_t oid[12];
    int64_t n;

    (void)other;
    if (main->type != NX_TYPE_DOCUMENT || nx_doc_count(nx_value_slice(main)) != 2)
        return -1;
    ns = nx_doc_get_z(nx_value_slice(main), "$ref");
    id = nx_doc_get_z(nx_value_slice(main), "$id");
    if (!is_text(&ns) || id.type != NX_TYPE_OBJECTID)
        return -1;
    memcpy(oid, id.data, sizeof oid);
    n = convert_text(&ns, NULL, out);
    memcpy(out + n, oid, sizeof oid);
    return n + 12;
}

/* --- markers ---------------------------------------------------------------------------------- */

static int64_t convert_key(const struct nx_value *main, const struct nx_value *other, uint8_t *out)
{
    (void)other;
    (void)out;
    return is_one(main) ? 0 : -1;
}

static int64_t convert_undefined(const struct nx_value *main, const struct nx_value *other,
                                 uint8_t *out)
{
    (void)other;
    (void)out;
    return main->type == NX_TYPE_BOOL && main->boolean ? 0 : -1;
}

/* Sorted by key; a key's row with a second key comes first. */
static const struct form forms[] = {
    {"$binary", "$type", NX_TYPE_BINARY, convert_old_binary,
     "needs base64 text and a \"$type\" of one or two hexadecimal digits"},
    {"$binary", NULL, NX_TYPE_BINARY, convert_binary,
     "needs {\"base64\": text, \"subType\": one or two hexadecimal digits}"},
    {"$code", "$scope", NX_TYPE_CODEWSCOPE, convert_codewscope,
     "needs a string, and a \"$scope\" that is an object"},
    {"$code", NULL, NX_TYPE_CODE, convert_text, "needs a string"},
    {"$date", NULL, NX_TYPE_DATE, convert_date,
     "needs ISO 8601 text such as \"2020-01-31T12:00:00.000Z\", or milliseconds since 1970"},
    {"$dbPointer", NULL, NX_TYPE_DBPOINTER, convert_dbpointer,
     "needs {\"$ref\": text, \"$id\": {\"$oid\": ...}}"},
    {"$maxKey", NULL, NX_TYPE_MAXKEY, convert_key, "needs the number 1"},
    {"$minKey", NULL, NX_TYPE_MINKEY, convert_key, "needs the number 1"},
    {"$numberDecimal", NULL, NX_TYPE_DECIMAL128, convert_decimal,
     "needs a string with a decimal number of up to 34 digits"},
    {"$numberDouble", NULL, NX_TYPE_DOUBLE, convert_double,
     "needs a string with a number, \"NaN\", \"Infinity\" or \"-Infinity\""},
    {"$numberInt", NULL, NX_TYPE_INT32, convert_int,
     "needs a string with an integer within 32 bits"},
    {"$numberLong", NULL, NX_TYPE_INT64, convert_long,
     "needs a string with an integer within 64 bits"},
    {"$oid", NULL, NX_TYPE_OBJECTID, convert_oid, "needs a string of 24 hexadecimal digits"},
    {"$regularExpression", NULL, NX_TYPE_REGEX, convert_regex,
     "needs {\"pattern\": text without NUL, \"options\": different lower-case letters}"},
    {"$symbol", NULL, NX_TYPE_SYMBOL, convert_text, "needs a string"},
    {"$timestamp", NULL, NX_TYPE_TIMESTAMP, convert_timestamp,
     "needs {\"t\": seconds, \"i\": increment}, both within 32 bits"},
    {"$undefined", NULL, NX_TYPE_UNDEFINED, convert_undefined, "needs true"},
    {"$uuid", NULL, NX_TYPE_BINARY, convert_uuid,
     "needs a string of 8-4-4-4-12 hexadecimal digits"},
};
#define FORM_COUNT (sizeof forms / sizeof *forms)

static bool key_is(const struct nx_doc_iter *field, const char *key)
{
    return strcmp(field->key, key) == 0;
}

static enum ejson_outcome apply(const struct form *form, const struct nx_value *main,
                                const struct nx_value *other, uint8_t *doc,
                                struct ejson_result *out)
{
    int64_t len = form->convert(main, other, doc);

    out->type = form->type;
    out->key = form->key;
    out->reason = form->reason;
    if (len < 0)
        return EJSON_BAD;
    out->len = (uint32_t)len;
    return EJSON_VALUE;
}

static enum ejson_outcome convert_single(const struct nx_doc_iter *field, uint8_t *doc,
                                         struct ejson_result *out)
{
    for (size_t i = 0; i < FORM_COUNT; i++)
        if (!forms[i].other && key_is(field, forms[i].key))
            return apply(&forms[i], &field->value, &NX_MISSING, doc, out);
    return EJSON_PLAIN;
}

/* {"$regex": text, "$options": text}: the older spelling of a regex, and an operator in queries. */
static enum ejson_outcome convert_old_regex(const struct nx_value *pattern,
                                            const struct nx_value *options, uint8_t *doc,
                                            struct ejson_result *out)
{
    static const struct form form = {
        "$regex", "$options", NX_TYPE_REGEX, NULL,
        "needs a pattern without NUL, and \"$options\" of different lower-case letters"};
    int64_t len;

    if (!is_text(pattern) || !is_text(options))
        return EJSON_PLAIN;
    len = put_regex(pattern, options, doc);
    *out = (struct ejson_result){form.type, (uint32_t)len, form.key, form.reason};
    return len < 0 ? EJSON_BAD : EJSON_VALUE;
}

static enum ejson_outcome convert_pair(const struct nx_doc_iter *x, const struct nx_doc_iter *y,
                                       enum nx_json_mode mode, uint8_t *doc,
                                       struct ejson_result *out)
{
    for (size_t i = 0; i < FORM_COUNT; i++) {
        const struct form *form = &forms[i];

        if (!form->other)
            continue;
        if (key_is(x, form->key) && key_is(y, form->other))
            return apply(form, &x->value, &y->value, doc, out);
        if (key_is(y, form->key) && key_is(x, form->other))
            return apply(form, &y->value, &x->value, doc, out);
    }
    if (mode == NX_JSON_QUERY)
        return EJSON_PLAIN;
    if (key_is(x, "$regex") && key_is(y, "$options"))
        return convert_old_regex(&x->value, &y->value, doc, out);
    if (key_is(y, "$regex") && key_is(x, "$options"))
        return convert_old_regex(&y->value, &x->value, doc, out);
    return EJSON_PLAIN;
}

/* A form's key beside keys that do not belong to it. */
static enum ejson_outcome refuse_company(const struct nx_doc_iter *first, struct ejson_result *out)
{
    for (size_t i = 0; i < FORM_COUNT; i++)
        if (key_is(first, forms[i].key)) {
            out->key = forms[i].key;
            out->reason = "stands beside other fields";
            return EJSON_BAD;
        }
    return EJSON_PLAIN;
}

enum ejson_outcome ejson_convert(uint8_t *doc, size_t len, enum nx_json_mode mode,
                                 struct ejson_result *out)
{
    struct nx_doc_iter x, y;
    enum ejson_outcome outcome;

    *out = (struct ejson_result){0};
    nx_doc_iter_init(&x, nx_slice(doc, len));
    if (!nx_doc_iter_next(&x))
        return EJSON_PLAIN;
    y = x;
    if (!nx_doc_iter_next(&y))
        return convert_single(&x, doc, out);
    if (y.at == y.end) {
        outcome = convert_pair(&x, &y, mode, doc, out);
        if (outcome != EJSON_PLAIN)
            return outcome;
    }
    return refuse_company(&x, out);
}

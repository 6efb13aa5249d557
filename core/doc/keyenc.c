/*
 * keyenc.c - the order-preserving encoding of values.
 *
 * A tag byte gives the class, so that classes sort among each other; the payload sorts within it.
 * In an object the tag comes before the name, as the comparison order asks. A number is the largest
 * double that is not above it, as 8 sortable bytes, then a 0 when it is exactly that double, else a
 * 1 and all of its decimal digits: any two numbers differ there at the latest.
 */
#include "doc/keyenc.h"

#include <math.h>

#include "base/bytes.h"
#include "doc/bson.h"
#include "doc/decimal.h"
#include "doc/utf8.h"

enum tag {
    TAG_END = 0x00, /* of an object or array: below every tag */
    TAG_MINKEY = 0x02,
    TAG_MISSING = 0x04,
    TAG_NULL = 0x06,
    TAG_NUMBER = 0x10,
    TAG_STRING = 0x18,
    TAG_OBJECT = 0x20,
    TAG_ARRAY = 0x28,
    TAG_BINARY = 0x30,
    TAG_OBJECTID = 0x38,
    TAG_BOOL = 0x40,
    TAG_DATE = 0x48,
    TAG_TIMESTAMP = 0x50,
    TAG_REGEX = 0x58,
    TAG_DBPOINTER = 0x60,
    TAG_CODE = 0x68,
    TAG_CODEWSCOPE = 0x70,
    TAG_MAXKEY = 0x78,
};

#define EXACT 0
#define WITH_DIGITS 1
#define DIGITS_BYTES 17 /* exponent and 34 digits */
#define DIGITS_BIAS 8192
#define SIGN_BIT (1ULL << 63)
#define ESCAPED_NUL 0xff /* behind a 0 byte of a text */
#define TEXT_END 0x01

typedef enum nx_code (*append_fn)(struct nx_buf *out, const struct nx_value *value);
struct decoder;
typedef bool (*decode_fn)(struct decoder *d, const char *name, size_t len);

static enum nx_code append_value(struct nx_buf *out, const struct nx_value *value);

/* --- encoding --------------------------------------------------------------------------------- */

static enum nx_code append_u64(struct nx_buf *out, uint64_t v)
{
    uint8_t bytes[8];

    put_u64be(bytes, v);
    return nx_buf_append(out, bytes, sizeof bytes);
}

/* Doubles as integers of the same order; NaN below -Infinity. */
static uint64_t sortable(double v)
{
    uint64_t bits;

    if (isnan(v))
        return 0;
    if (v == 0)
        v = 0; /* -0 too */
    memcpy(&bits, &v, sizeof bits);
    return bits & SIGN_BIT ? ~bits : bits | SIGN_BIT;
}

static enum nx_code append_exact(struct nx_buf *out, double v)
{
    enum nx_code rc = append_u64(out, sortable(v));

    return rc == NX_OK ? nx_buf_append_byte(out, EXACT) : rc;
}

/* Digits of a finite decimal that no double equals, scaled to 34, so that exponents decide first.
 */
static enum nx_code append_digits(struct nx_buf *out, const struct decimal *decimal, double floor)
{
    uint8_t bytes[8 + 1 + DIGITS_BYTES];
    unsigned missing = DECIMAL_DIGITS - decimal_digits(decimal->coef);
    nx_u128 coef = decimal->coef * decimal_pow10(missing);
    uint32_t exponent = (uint32_t)(decimal->exp - (int32_t)missing + DIGITS_BIAS);

    put_u64be(bytes, sortable(floor));
    bytes[8] = WITH_DIGITS;
    bytes[9] = (uint8_t)(exponent >> 8);
    bytes[10] = (uint8_t)exponent;
    for (int i = 0; i < 15; i++)
        bytes[11 + i] = (uint8_t)(coef >> (8 * (14 - i)));
    if (decimal->negative)
        keyenc_flip(bytes + 9, DIGITS_BYTES);
    return nx_buf_append(out, bytes, sizeof bytes);
}

static enum nx_code append_decimal(struct nx_buf *out, const struct decimal *decimal)
{
    double floor = decimal_floor_double(decimal);

    if (decimal_compare_double(decimal, floor) == 0)
        return append_exact(out, floor);
    return append_digits(out, decimal, floor);
}

static enum nx_code append_int(struct nx_buf *out, int64_t v)
{
    struct decimal decimal;

    if (v >= -(1LL << 53) && v <= 1LL << 53)
        return append_exact(out, (double)v);
    decimal = decimal_from_int64(v);
    return append_decimal(out, &decimal);
}

static enum nx_code append_number(struct nx_buf *out, const struct nx_value *value)
{
    struct decimal decimal;

    switch (value->type) {
    case NX_TYPE_INT32:
        return append_int(out, value->i32);
    case NX_TYPE_INT64:
        return append_int(out, value->i64);
    case NX_TYPE_DOUBLE:
        return append_exact(out, value->f64);
    default:
        decimal_read(value->data, &decimal);
        return append_decimal(out, &decimal);
    }
}

static enum nx_code append_escaped(struct nx_buf *out, const uint8_t *p, size_t len)
{
    static const uint8_t nul[] = {0, ESCAPED_NUL}, end[] = {0, TEXT_END};
    enum nx_code rc = NX_OK;

    while (rc == NX_OK && len > 0) {
        const uint8_t *zero = memchr(p, 0, len);
        size_t n = zero ? (size_t)(zero - p) : len;

        rc = nx_buf_append(out, p, n);
        if (rc == NX_OK && zero)
            rc = nx_buf_append(out, nul, sizeof nul);
        n += zero != NULL;
        p += n;
        len -= n;
    }
    return rc == NX_OK ? nx_buf_append(out, end, sizeof end) : rc;
}

static enum nx_code append_text(struct nx_buf *out, const struct nx_value *value)
{
    return append_escaped(out, value->data, value->len);
}

static enum nx_code append_fields(struct nx_buf *out, struct nx_slice doc, bool with_names);

static enum nx_code append_object(struct nx_buf *out, const struct nx_value *value)
{
    return append_fields(out, nx_value_slice(value), true);
}

static enum nx_code append_array(struct nx_buf *out, const struct nx_value *value)
{
    return append_fields(out, nx_value_slice(value), false);
}

static enum nx_code append_counted(struct nx_buf *out, const struct nx_value *value)
{
    uint8_t head[5];
    enum nx_code rc;

    put_u32be(head, value->len);
    head[4] = value->subtype;
    rc = nx_buf_append(out, head, value->type == NX_TYPE_BINARY ? 5 : 4);
    return rc == NX_OK ? nx_buf_append(out, value->data, value->len) : rc;
}

static enum nx_code append_raw(struct nx_buf *out, const struct nx_value *value)
{
    return nx_buf_append(out, value->data, value->len);
}

static enum nx_code append_bool(struct nx_buf *out, const struct nx_value *value)
{
    return nx_buf_append_byte(out, value->boolean);
}

static enum nx_code append_date(struct nx_buf *out, const struct nx_value *value)
{
    return append_u64(out, (uint64_t)value->i64 ^ SIGN_BIT);
}

static enum nx_code append_timestamp(struct nx_buf *out, const struct nx_value *value)
{
    return append_u64(out, (uint64_t)value->i64);
}

static enum nx_code append_codewscope(struct nx_buf *out, const struct nx_value *value)
{
    struct nx_slice code, scope;
    enum nx_code rc;

    bson_codewscope_parts(value, &code, &scope);
    rc = append_escaped(out, code.data, code.len);
    return rc == NX_OK ? append_fields(out, scope, true) : rc;
}

static enum nx_code append_nothing(struct nx_buf *out, const struct nx_value *value)
{
    (void)out;
    (void)value;
    return NX_OK;
}

static const struct {
    uint8_t tag;
    append_fn append;
} encodings[256] = {
    [NX_TYPE_MISSING] = {TAG_MISSING, append_nothing},
    [NX_TYPE_DOUBLE] = {TAG_NUMBER, append_number},
    [NX_TYPE_STRING] = {TAG_STRING, append_text},
    [NX_TYPE_DOCUMENT] = {TAG_OBJECT, append_object},
    [NX_TYPE_ARRAY] = {TAG_ARRAY, append_array},
    [NX_TYPE_BINARY] = {TAG_BINARY, append_counted},
    [NX_TYPE_UNDEFINED] = {TAG_MISSING, append_nothing},
    [NX_TYPE_OBJECTID] = {TAG_OBJECTID, append_raw},
    [NX_TYPE_BOOL] = {TAG_BOOL, append_bool},
    [NX_TYPE_DATE] = {TAG_DATE, append_date},
    [NX_TYPE_NULL] = {TAG_NULL, append_nothing},
    [NX_TYPE_REGEX] = {TAG_REGEX, append_raw},
    [NX_TYPE_DBPOINTER] = {TAG_DBPOINTER, append_counted},
    [NX_TYPE_CODE] = {TAG_CODE, append_text},
    [NX_TYPE_SYMBOL] = {TAG_STRING, append_text},
    [NX_TYPE_CODEWSCOPE] = {TAG_CODEWSCOPE, append_codewscope},
    [NX_TYPE_INT32] = {TAG_NUMBER, append_number},
    [NX_TYPE_TIMESTAMP] = {TAG_TIMESTAMP, append_timestamp},
    [NX_TYPE_INT64] = {TAG_NUMBER, append_number},
    [NX_TYPE_DECIMAL128] = {TAG_NUMBER, append_number},
    [NX_TYPE_MAXKEY] = {TAG_MAXKEY, append_nothing},
    [NX_TYPE_MINKEY] = {TAG_MINKEY, append_nothing},
};

static enum nx_code append_fields(struct nx_buf *out, struct nx_slice doc, bool with_names)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    nx_doc_iter_init(&iter, doc);
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        rc = nx_buf_append_byte(out, encodings[iter.value.type].tag);
        if (rc == NX_OK && with_names)
            rc = append_escaped(out, (const uint8_t *)iter.key, iter.key_len);
        if (rc == NX_OK)
            rc = encodings[iter.value.type].append(out, &iter.value);
    }
    return rc == NX_OK ? nx_buf_append_byte(out, TAG_END) : rc;
}

static enum nx_code append_value(struct nx_buf *out, const struct nx_value *value)
{
    enum nx_code rc;

    if (!encodings[value->type].append)
        return NX_EDOC;
    rc = nx_buf_append_byte(out, encodings[value->type].tag);
    return rc == NX_OK ? encodings[value->type].append(out, value) : rc;
}

enum nx_code keyenc_append(struct nx_buf *out, const struct nx_value *value)
{
    size_t before = out->len;
    enum nx_code rc = append_value(out, value);

    if (rc != NX_OK)
        out->len = before;
    return rc;
}

enum nx_code keyenc_append_descending(struct nx_buf *out, const struct nx_value *value)
{
    size_t before = out->len;
    enum nx_code rc = keyenc_append(out, value);

    if (rc == NX_OK)
        keyenc_flip(out->data + before, out->len - before);
    return rc;
}

void keyenc_flip(uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)~bytes[i];
}

/* --- decoding --------------------------------------------------------------------------------- */

struct decoder {
    const uint8_t *at, *end;
    struct nx_builder *b; /* NULL: only walk */
    struct nx_buf text;   /* an unescaped text, owned */
    unsigned depth;
    bool nomem;
};

static bool decode_fields(struct decoder *d, bool with_names);

static const uint8_t *take(struct decoder *d, size_t n)
{
    const uint8_t *p = d->at;

    if ((size_t)(d->end - d->at) < n)
        return NULL;
    d->at += n;
    return p;
}

static bool put(struct decoder *d, const char *name, size_t len, struct nx_value value)
{
    if (d->b)
        nx_builder_put(d->b, name, len, &value);
    return true;
}

static bool keep(struct decoder *d, struct nx_buf *into, const uint8_t *p, size_t len)
{
    if (d->b && nx_buf_append(into, p, len) != NX_OK)
        d->nomem = true;
    return !d->nomem;
}

/* Unescape the text here into `into` and step behind its end. */
static bool take_text(struct decoder *d, struct nx_buf *into)
{
    nx_buf_clear(into);
    for (;;) {
        const uint8_t *zero = memchr(d->at, 0, (size_t)(d->end - d->at));

        if (!zero || d->end - zero < 2 || (zero[1] != TEXT_END && zero[1] != ESCAPED_NUL))
            return false;
        if (!keep(d, into, d->at, (size_t)(zero - d->at) + (zero[1] == ESCAPED_NUL)))
            return false;
        d->at = zero + 2;
        if (zero[1] == TEXT_END)
            return utf8_valid_prefix(into->data, into->len) == into->len;
    }
}

static bool decode_simple(struct decoder *d, const char *name, size_t len, uint8_t type)
{
    return put(d, name, len, (struct nx_value){.type = type});
}

static bool decode_minkey(struct decoder *d, const char *name, size_t len)
{
    return decode_simple(d, name, len, NX_TYPE_MINKEY);
}

static bool decode_maxkey(struct decoder *d, const char *name, size_t len)
{
    return decode_simple(d, name, len, NX_TYPE_MAXKEY);
}

static bool decode_missing(struct decoder *d, const char *name, size_t len)
{
    return decode_simple(d, name, len, NX_TYPE_UNDEFINED);
}

static bool decode_null(struct decoder *d, const char *name, size_t len)
{
    return decode_simple(d, name, len, NX_TYPE_NULL);
}

static double from_sortable(uint64_t bits)
{
    double v;

    if (bits == 0)
        return (double)NAN;
    bits = bits & SIGN_BIT ? bits & ~SIGN_BIT : ~bits;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static bool decode_exact(struct decoder *d, const char *name, size_t len, double v, uint64_t bits)
{
    struct nx_value value = nx_double(v);
    int64_t whole;

    if (sortable(v) != bits)
        return false;
    return put(d, name, len, nx_value_to_int64(&value, &whole) ? nx_int(whole) : value);
}

static bool decode_digits(struct decoder *d, const char *name, size_t len, double floor)
{
    const uint8_t *p = take(d, DIGITS_BYTES);
    struct decimal decimal = {.negative = floor < 0};
    uint8_t bytes[DIGITS_BYTES];
    int64_t whole;

    if (!p || isnan(floor))
        return false;
    memcpy(bytes, p, sizeof bytes);
    if (decimal.negative)
        keyenc_flip(bytes, sizeof bytes);
    for (int i = 2; i < DIGITS_BYTES; i++)
        decimal.coef = decimal.coef << 8 | bytes[i];
    decimal.exp = (bytes[0] << 8 | bytes[1]) - DIGITS_BIAS;
    if (decimal_digits(decimal.coef) != DECIMAL_DIGITS || decimal.exp > DECIMAL_EXP_MAX)
        return false;
    decimal_normalize(&decimal);
    if (decimal.exp < DECIMAL_EXP_MIN || decimal_compare_double(&decimal, floor) <= 0 ||
        decimal_floor_double(&decimal) != floor)
        return false;
    if (decimal_to_int64(&decimal, &whole))
        return put(d, name, len, nx_int(whole));
    decimal_write(&decimal, bytes);
    return put(d, name, len,
               (struct nx_value){.type = NX_TYPE_DECIMAL128, .len = 16, .data = bytes});
}

static bool decode_number(struct decoder *d, const char *name, size_t len)
{
    const uint8_t *p = take(d, 9);
    uint64_t bits;
    double v;

    if (!p || p[8] > WITH_DIGITS)
        return false;
    bits = get_u64be(p);
    v = from_sortable(bits);
    if (p[8] == EXACT)
        return decode_exact(d, name, len, v, bits);
    return sortable(v) == bits && decode_digits(d, name, len, v);
}

static bool decode_text(struct decoder *d, const char *name, size_t len, uint8_t type)
{
    struct nx_value value;

    if (!take_text(d, &d->text))
        return false;
    value = nx_string(d->text.data, d->text.len);
    value.type = type;
    return put(d, name, len, value);
}

static bool decode_string(struct decoder *d, const char *name, size_t len)
{
    return decode_text(d, name, len, NX_TYPE_STRING);
}

static bool decode_code(struct decoder *d, const char *name, size_t len)
{
    return decode_text(d, name, len, NX_TYPE_CODE);
}

static bool decode_object(struct decoder *d, const char *name, size_t len)
{
    if (d->b)
        nx_builder_begin_document(d->b, name, len);
    return decode_fields(d, true);
}

static bool decode_array(struct decoder *d, const char *name, size_t len)
{
    if (d->b)
        nx_builder_begin_array(d->b, name, len);
    return decode_fields(d, false);
}

static bool decode_bytes(struct decoder *d, const char *name, size_t len, size_t n, uint8_t type)
{
    const uint8_t *p = take(d, n);

    return p && put(d, name, len, (struct nx_value){.type = type, .len = (uint32_t)n, .data = p});
}

static bool decode_binary(struct decoder *d, const char *name, size_t len)
{
    const uint8_t *head = take(d, 5), *p;
    struct nx_value value = {.type = NX_TYPE_BINARY};

    if (!head)
        return false;
    value.len = get_u32be(head);
    value.subtype = head[4];
    p = take(d, value.len);
    value.data = p;
    return p && put(d, name, len, value);
}

static bool decode_dbpointer(struct decoder *d, const char *name, size_t len)
{
    const uint8_t *head = take(d, 4), *p;
    struct nx_value value;
    uint32_t n;

    if (!head)
        return false;
    n = get_u32be(head);
    p = take(d, n);
    return p && bson_value_view(NX_TYPE_DBPOINTER, p, n, &value) == n && put(d, name, len, value);
}

static bool decode_oid(struct decoder *d, const char *name, size_t len)
{
    return decode_bytes(d, name, len, 12, NX_TYPE_OBJECTID);
}

static bool decode_bool(struct decoder *d, const char *name, size_t len)
{
    const uint8_t *p = take(d, 1);

    return p && *p <= 1 && put(d, name, len, nx_bool(*p));
}

static bool decode_date(struct decoder *d, const char *name, size_t len)
{
    const uint8_t *p = take(d, 8);

    return p && put(d, name, len, nx_date((int64_t)(get_u64be(p) ^ SIGN_BIT)));
}

static bool decode_timestamp(struct decoder *d, const char *name, size_t len)
{
    const uint8_t *p = take(d, 8);

    return p && put(d, name, len,
                    (struct nx_value){.type = NX_TYPE_TIMESTAMP, .i64 = (int64_t)get_u64be(p)});
}

static bool decode_regex(struct decoder *d, const char *name, size_t len)
{
    struct nx_value value;
    size_t n = bson_value_view(NX_TYPE_REGEX, d->at, (size_t)(d->end - d->at), &value);

    if (n == BSON_BAD)
        return false;
    d->at += n;
    return put(d, name, len, value);
}

/* The scope is built apart: a builder cannot open a document inside this payload. */
static bool decode_scope(struct decoder *d, struct nx_buf *payload)
{
    struct nx_builder *outer = d->b, inner;
    bool ok;

    if (!outer)
        return decode_fields(d, true);
    nx_builder_init(&inner, payload);
    d->b = &inner;
    /* decode_fields closes the document that it was given: here the outermost one */
    ok = decode_fields(d, true);
    d->b = outer;
    if (ok && inner.failed != NX_OK)
        outer->failed = inner.failed;
    return ok;
}

static bool decode_codewscope(struct decoder *d, const char *name, size_t len)
{
    struct nx_buf payload NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    uint8_t head[8] = {0};

    if (!take_text(d, &d->text))
        return false;
    put_u32le(head + 4, (uint32_t)d->text.len + 1);
    if (!keep(d, &payload, head, sizeof head) || !keep(d, &payload, d->text.data, d->text.len) ||
        !keep(d, &payload, head, 1))
        return false;
    if (!decode_scope(d, &payload))
        return false;
    if (!d->b)
        return true;
    put_u32le(payload.data, (uint32_t)payload.len);
    return put(d, name, len,
               (struct nx_value){
                   .type = NX_TYPE_CODEWSCOPE, .len = (uint32_t)payload.len, .data = payload.data});
}

static const decode_fn decoders[256] = {
    [TAG_MINKEY] = decode_minkey, [TAG_MISSING] = decode_missing,
    [TAG_NULL] = decode_null,     [TAG_NUMBER] = decode_number,
    [TAG_STRING] = decode_string, [TAG_OBJECT] = decode_object,
    [TAG_ARRAY] = decode_array,   [TAG_BINARY] = decode_binary,
    [TAG_OBJECTID] = decode_oid,  [TAG_BOOL] = decode_bool,
    [TAG_DATE] = decode_date,     [TAG_TIMESTAMP] = decode_timestamp,
    [TAG_REGEX] = decode_regex,   [TAG_DBPOINTER] = decode_dbpointer,
    [TAG_CODE] = decode_code,     [TAG_CODEWSCOPE] = decode_codewscope,
    [TAG_MAXKEY] = decode_maxkey,
};

static bool decode_field(struct decoder *d, decode_fn decode, bool with_names)
{
    struct nx_buf name NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    if (!with_names)
        return decode(d, NULL, 0);
    if (!take_text(d, &name) || (name.len && memchr(name.data, 0, name.len)))
        return false;
    return decode(d, (const char *)name.data, name.len);
}

/* Fields up to the end tag; then closes the builder's innermost document. */
static bool decode_fields(struct decoder *d, bool with_names)
{
    if (++d->depth > NX_DOC_MAX_DEPTH)
        return false;
    for (;;) {
        const uint8_t *tag = take(d, 1);

        if (!tag || (*tag != TAG_END && !decoders[*tag]))
            return false;
        if (*tag == TAG_END)
            break;
        if (!decode_field(d, decoders[*tag], with_names))
            return false;
    }
    d->depth--;
    if (d->b)
        nx_builder_close(d->b);
    return true;
}

static bool decode_value(struct decoder *d, const char *name, size_t len)
{
    const uint8_t *tag = take(d, 1);

    return tag && decoders[*tag] && decoders[*tag](d, name, len);
}

size_t keyenc_length(struct nx_slice key)
{
    struct decoder d = {.at = key.data, .end = key.data + key.len};

    return decode_value(&d, NULL, 0) ? (size_t)(d.at - key.data) : 0;
}

enum nx_code keyenc_decode(struct nx_slice key, struct nx_builder *b, const char *name,
                           size_t name_len, size_t *used)
{
    struct decoder d = {.at = key.data, .end = key.data + key.len, .b = b};
    bool ok = decode_value(&d, name, name_len);

    nx_buf_fini(&d.text);
    *used = ok ? (size_t)(d.at - key.data) : 0;
    if (d.nomem)
        return NX_ENOMEM;
    return ok ? NX_OK : NX_ECORRUPT;
}

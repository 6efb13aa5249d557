/*
 * json_write.c - BSON to JSON text, as a table: one row a type.
 *
 * The text reads back as the same value. What plain JSON cannot say is written as its Extended JSON
 * v2 form, laid out like any other object. Flavors differ in the numbers and dates only.
 */
#include <bson/bson.h>
#include <math.h>

#include <nexadb/json.h>

#include "base/bytes.h"
#include "doc/base64.h"
#include "doc/bson.h"
#include "doc/iso_date.h"
#include "doc/json_chars.h"
#include "doc/json_style.h"
#include "doc/number.h"
#include "doc/utf8.h"

struct writer {
    struct nx_buf *out;
    const struct json_style *style;
    enum nx_json_flavor flavor;
    unsigned depth;
    enum nx_code failed; /* NX_ENOMEM, once */
};

typedef void (*write_fn)(struct writer *w, const struct nx_value *value);
static void write_value(struct writer *w, const struct nx_value *value);

/* --- bytes ------------------------------------------------------------------------------------ */

/* Room for `len` bytes; NULL after a failure. */
static inline uint8_t *reserve(struct writer *w, size_t len)
{
    struct nx_buf *out = w->out;

    if (w->failed == NX_OK && out->cap - out->len < len)
        w->failed = nx_buf_reserve(out, len);
    return w->failed == NX_OK ? out->data + out->len : NULL;
}

static inline void put(struct writer *w, const void *data, size_t len)
{
    uint8_t *p = reserve(w, len);

    if (!p)
        return;
    memcpy(p, data, len);
    w->out->len += len;
}

static void put_z(struct writer *w, const char *text)
{
    put(w, text, strlen(text));
}

static inline void put_byte(struct writer *w, char c)
{
    uint8_t *p = reserve(w, 1);

    if (!p)
        return;
    *p = (uint8_t)c;
    w->out->len++;
}

/* --- strings ---------------------------------------------------------------------------------- */

static const char short_escapes[128] = {
    ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
    ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
};

static void put_escape(struct writer *w, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', short_escapes[c]};

    if (text[1]) {
        put(w, text, 2);
        return;
    }
    memcpy(text + 1, "u00", 3);
    text[4] = hex[c >> 4];
    text[5] = hex[c & 15];
    put(w, text, 6);
}

/* Returns how many of the bytes from a lead byte were taken. */
static size_t put_multibyte(struct writer *w, const uint8_t *p, size_t avail)
{
    size_t n = utf8_char_len(p, avail);

    if (n == 0)
        put_z(w, "\xef\xbf\xbd"); /* U+FFFD */
    else
        put(w, p, n);
    return n ? n : 1;
}

static void put_string(struct writer *w, const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len;

    put_byte(w, '"');
    while (p < end) {
        size_t avail = (size_t)(end - p), n;
        uint8_t *to = reserve(w, avail + JSON_STEP);

        if (!to)
            return;
        n = json_copy_plain(p, avail, to, avail);
        w->out->len += n;
        p += n;
        if (p == end)
            break;
        if (*p >= 0x80)
            p += put_multibyte(w, p, (size_t)(end - p));
        else
            put_escape(w, *p++);
    }
    put_byte(w, '"');
}

/* --- structure -------------------------------------------------------------------------------- */

static void put_newline(struct writer *w)
{
    const struct json_style *style = w->style;

    if (!style->indent)
        return;
    put_byte(w, '\n');
    for (unsigned i = 0; i < w->depth; i++)
        put(w, style->indent, style->indent_len);
}

static void open_level(struct writer *w, char bracket)
{
    put_byte(w, bracket);
    w->depth++;
}

static void close_level(struct writer *w, char bracket, bool empty)
{
    w->depth--;
    if (!empty)
        put_newline(w);
    put_byte(w, bracket);
}

static void put_separator(struct writer *w, bool first)
{
    if (!first)
        put(w, ", ", w->style->spaced && !w->style->indent ? 2 : 1);
    put_newline(w);
}

static void put_key(struct writer *w, const char *key, size_t len, bool first)
{
    put_separator(w, first);
    put_string(w, (const uint8_t *)key, len);
    put(w, ": ", w->style->spaced || w->style->indent ? 2 : 1);
}

static void write_fields(struct writer *w, struct nx_slice doc, bool is_array, const char *skip_key)
{
    struct nx_doc_iter iter;
    bool first = true;

    open_level(w, is_array ? '[' : '{');
    nx_doc_iter_init(&iter, doc);
    while (w->failed == NX_OK && nx_doc_iter_next(&iter)) {
        if (skip_key && strcmp(iter.key, skip_key) == 0)
            continue;
        if (is_array)
            put_separator(w, first);
        else
            put_key(w, iter.key, iter.key_len, first);
        write_value(w, &iter.value);
        first = false;
    }
    close_level(w, is_array ? ']' : '}', first);
}

static void write_document(struct writer *w, const struct nx_value *value)
{
    write_fields(w, nx_value_slice(value), value->type == NX_TYPE_ARRAY, NULL);
}

/* --- forms ------------------------------------------------------------------------------------ */

static void begin_form(struct writer *w, const char *key)
{
    open_level(w, '{');
    put_key(w, key, strlen(key), true);
}

static void end_form(struct writer *w)
{
    close_level(w, '}', false);
}

static void write_text_form(struct writer *w, const char *key, const void *text, size_t len)
{
    begin_form(w, key);
    put_string(w, text, len);
    end_form(w);
}

static void put_int(struct writer *w, int64_t v)
{
    char text[NUMBER_TEXT_BYTES];
    size_t len = number_write_int64(v, text);

    put(w, text, len);
}

static void write_int_form(struct writer *w, const char *key, int64_t v)
{
    char text[NUMBER_TEXT_BYTES];

    write_text_form(w, key, text, number_write_int64(v, text));
}

static void write_int32(struct writer *w, const struct nx_value *value)
{
    if (w->flavor == NX_JSON_CANONICAL)
        write_int_form(w, "$numberInt", value->i32);
    else
        put_int(w, value->i32);
}

static void write_int64(struct writer *w, const struct nx_value *value)
{
    bool fits_int32 = value->i64 >= INT32_MIN && value->i64 <= INT32_MAX;

    if (w->flavor == NX_JSON_CANONICAL || (w->flavor == NX_JSON_EXACT && fits_int32))
        write_int_form(w, "$numberLong", value->i64);
    else
        put_int(w, value->i64);
}

static void write_double(struct writer *w, const struct nx_value *value)
{
    char text[NUMBER_TEXT_BYTES];
    double v = value->f64;
    size_t n;

    if (isnan(v)) {
        write_text_form(w, "$numberDouble", "NaN", 3);
        return;
    }
    if (isinf(v)) {
        write_text_form(w, "$numberDouble", v < 0 ? "-Infinity" : "Infinity", v < 0 ? 9 : 8);
        return;
    }
    n = number_write_double(v, text);
    if (w->flavor == NX_JSON_CANONICAL)
        write_text_form(w, "$numberDouble", text, n);
    else
        put(w, text, n);
}

static void write_decimal(struct writer *w, const struct nx_value *value)
{
    bson_decimal128_t v = {.low = get_u64le(value->data), .high = get_u64le(value->data + 8)};
    char text[BSON_DECIMAL128_STRING];

    bson_decimal128_to_string(&v, text);
    write_text_form(w, "$numberDecimal", text, strlen(text));
}

static void write_date(struct writer *w, const struct nx_value *value)
{
    char text[ISO_DATE_BYTES];

    begin_form(w, "$date");
    if (w->flavor != NX_JSON_CANONICAL && value->i64 >= 0 && value->i64 <= ISO_DATE_MAX_MS) {
        iso_date_write(value->i64, text);
        put_string(w, (const uint8_t *)text, sizeof text);
    } else {
        write_int_form(w, "$numberLong", value->i64);
    }
    end_form(w);
}

static void write_timestamp(struct writer *w, const struct nx_value *value)
{
    begin_form(w, "$timestamp");
    begin_form(w, "t");
    put_int(w, (int64_t)((uint64_t)value->i64 >> 32));
    put_key(w, "i", 1, false);
    put_int(w, value->i64 & UINT32_MAX);
    end_form(w);
    end_form(w);
}

static void write_oid(struct writer *w, const struct nx_value *value)
{
    static const char hex[] = "0123456789abcdef";
    char text[24];

    for (size_t i = 0; i < 12; i++) {
        text[2 * i] = hex[value->data[i] >> 4];
        text[2 * i + 1] = hex[value->data[i] & 15];
    }
    write_text_form(w, "$oid", text, sizeof text);
}

static void write_binary(struct writer *w, const struct nx_value *value)
{
    char subtype[3];
    uint8_t *p;

    begin_form(w, "$binary");
    begin_form(w, "base64");
    put_byte(w, '"');
    p = reserve(w, BASE64_BYTES((size_t)value->len));
    if (p) {
        base64_encode(value->data, value->len, (char *)p);
        w->out->len += BASE64_BYTES((size_t)value->len);
    }
    put_byte(w, '"');
    put_key(w, "subType", 7, false);
    snprintf(subtype, sizeof subtype, "%02x", value->subtype);
    put_string(w, (const uint8_t *)subtype, 2);
    end_form(w);
    end_form(w);
}

static void write_regex(struct writer *w, const struct nx_value *value)
{
    size_t pattern_len = strnlen((const char *)value->data, value->len);
    const uint8_t *options = value->data + pattern_len + 1;

    begin_form(w, "$regularExpression");
    begin_form(w, "pattern");
    put_string(w, value->data, pattern_len);
    put_key(w, "options", 7, false);
    put_string(w, options, value->len - pattern_len - 2);
    end_form(w);
    end_form(w);
}

static void write_code(struct writer *w, const struct nx_value *value)
{
    write_text_form(w, "$code", value->data, value->len);
}

static void write_symbol(struct writer *w, const struct nx_value *value)
{
    write_text_form(w, "$symbol", value->data, value->len);
}

static void write_codewscope(struct writer *w, const struct nx_value *value)
{
    struct nx_slice code, scope;

    bson_codewscope_parts(value, &code, &scope);
    begin_form(w, "$code");
    put_string(w, code.data, code.len);
    put_key(w, "$scope", 6, false);
    write_fields(w, scope, false, NULL);
    end_form(w);
}

static void write_dbpointer(struct writer *w, const struct nx_value *value)
{
    struct nx_value oid = {.type = NX_TYPE_OBJECTID, .len = 12};
    struct nx_slice ns;

    bson_dbpointer_parts(value, &ns, &oid.data);
    begin_form(w, "$dbPointer");
    begin_form(w, "$ref");
    put_string(w, ns.data, ns.len);
    put_key(w, "$id", 3, false);
    write_oid(w, &oid);
    end_form(w);
    end_form(w);
}

static void write_string(struct writer *w, const struct nx_value *value)
{
    put_string(w, value->data, value->len);
}

static void write_bool(struct writer *w, const struct nx_value *value)
{
    put(w, value->boolean ? "true" : "false", value->boolean ? 4 : 5);
}

static void write_null(struct writer *w, const struct nx_value *value)
{
    (void)value;
    put(w, "null", 4);
}

static void write_marker(struct writer *w, const struct nx_value *value)
{
    begin_form(w, value->type == NX_TYPE_MINKEY ? "$minKey" : "$maxKey");
    put_int(w, 1);
    end_form(w);
}

static void write_undefined(struct writer *w, const struct nx_value *value)
{
    (void)value;
    begin_form(w, "$undefined");
    put(w, "true", 4);
    end_form(w);
}

static const write_fn writers[256] = {
    [NX_TYPE_MISSING] = write_null,        [NX_TYPE_DOUBLE] = write_double,
    [NX_TYPE_STRING] = write_string,       [NX_TYPE_DOCUMENT] = write_document,
    [NX_TYPE_ARRAY] = write_document,      [NX_TYPE_BINARY] = write_binary,
    [NX_TYPE_UNDEFINED] = write_undefined, [NX_TYPE_OBJECTID] = write_oid,
    [NX_TYPE_BOOL] = write_bool,           [NX_TYPE_DATE] = write_date,
    [NX_TYPE_NULL] = write_null,           [NX_TYPE_REGEX] = write_regex,
    [NX_TYPE_DBPOINTER] = write_dbpointer, [NX_TYPE_CODE] = write_code,
    [NX_TYPE_SYMBOL] = write_symbol,       [NX_TYPE_CODEWSCOPE] = write_codewscope,
    [NX_TYPE_INT32] = write_int32,         [NX_TYPE_TIMESTAMP] = write_timestamp,
    [NX_TYPE_INT64] = write_int64,         [NX_TYPE_DECIMAL128] = write_decimal,
    [NX_TYPE_MAXKEY] = write_marker,       [NX_TYPE_MINKEY] = write_marker,
};

static void write_value(struct writer *w, const struct nx_value *value)
{
    write_fn write = writers[value->type];

    if (write)
        write(w, value);
    else
        w->failed = NX_EDOC;
}

/* --- entry points ----------------------------------------------------------------------------- */

static const struct json_style compact = {0};

enum nx_code json_render(struct nx_slice doc, bool is_array, enum nx_json_flavor flavor,
                         const struct json_style *style, const char *skip_key, struct nx_buf *out)
{
    struct writer w = {.out = out, .style = style, .flavor = flavor};
    size_t before = out->len;

    write_fields(&w, doc, is_array, skip_key);
    if (w.failed != NX_OK)
        out->len = before;
    return w.failed;
}

enum nx_code nx_json_write(struct nx_slice doc, bool is_array, enum nx_json_flavor flavor,
                           unsigned indent, const char *skip_key, struct nx_buf *out)
{
    static const char spaces[] = "                ";
    struct json_style style = compact;

    if (indent > 0) {
        style.indent = spaces;
        style.indent_len = indent < sizeof spaces ? (uint8_t)indent : sizeof spaces - 1;
    }
    return json_render(doc, is_array, flavor, &style, skip_key, out);
}

enum nx_code nx_json_write_value(const struct nx_value *value, enum nx_json_flavor flavor,
                                 struct nx_buf *out)
{
    struct writer w = {.out = out, .style = &compact, .flavor = flavor};
    size_t before = out->len;

    write_value(&w, value);
    if (w.failed != NX_OK)
        out->len = before;
    return w.failed;
}

enum nx_code nx_json_write_string(const char *text, size_t len, struct nx_buf *out)
{
    struct writer w = {.out = out, .style = &compact};
    size_t before = out->len;

    put_string(&w, (const uint8_t *)text, len);
    if (w.failed != NX_OK)
        out->len = before;
    return w.failed;
}

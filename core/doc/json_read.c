/*
 * json_read.c - JSON text to BSON in one pass, without a tree.
 *
 * The reader goes down the text once and writes BSON as it goes: an element's type byte is left
 * open until its value is known, a document's length until its end. Strings are checked and copied
 * in one step of 16 bytes. An object whose first key begins with '$' is looked at when it closes
 * and, when it is an Extended JSON form, replaced in place by its value (ejson.c): so forms may
 * nest.
 *
 * Nesting: a form adds up to FORM_LEVELS levels of text that vanish again, so the text may go that
 * much deeper than NX_DOC_MAX_DEPTH; what is still an object then is refused.
 */
#include <nexadb/json.h>

#include "base/bytes.h"
#include "doc/bson.h"
#include "doc/ejson.h"
#include "doc/json_chars.h"
#include "doc/keyset.h"
#include "doc/number.h"
#include "doc/utf8.h"

#define FORM_LEVELS 3 /* {"$dbPointer":{"$id":{"$oid":...}}} */
#define ROOM 64       /* reserved before each element: all of a small value, and a copy's slack */
#define INDEX_BYTES 11

struct reader {
    const uint8_t *text, *at, *end;
    uint8_t *w, *w_end; /* where the next byte goes; the end of what is allocated */
    struct nx_buf *out; /* its len is that before the parse until the end */
    size_t start;       /* of our BSON in out */
    size_t max_bytes;
    enum nx_json_mode mode;
    unsigned depth;
    unsigned deepest;    /* of a plain object or array past NX_DOC_MAX_DEPTH, else 0 */
    uint32_t deepest_at; /* its place in the text */
    enum nx_code failed;
    struct nx_err *err;
    struct keyset keys;
};

static bool read_value(struct reader *r, size_t type_at);

/* --- failing ---------------------------------------------------------------------------------- */

static void find_place(const uint8_t *text, const uint8_t *at, uint32_t *line, uint32_t *column)
{
    const uint8_t *line_start = text, *newline;

    *line = 1;
    while ((newline = memchr(line_start, '\n', (size_t)(at - line_start)))) {
        line_start = newline + 1;
        (*line)++;
    }
    *column = (uint32_t)(at - line_start) + 1;
}

static bool fail_key(struct reader *r, const uint8_t *at, enum nx_code code, const char *key,
                     const char *reason)
{
    uint32_t line, column;

    r->failed = code;
    if (!r->err)
        return false;
    find_place(r->text, at, &line, &column);
    nx_fail(r->err, code, "%s%s%s at line %u, column %u", key, *key ? " " : "", reason, line,
            column);
    r->err->line = line;
    r->err->column = column;
    return false;
}

static bool fail(struct reader *r, const uint8_t *at, const char *reason)
{
    return fail_key(r, at, NX_EJSON, "", reason);
}

static bool fail_nomem(struct reader *r)
{
    r->failed = nx_fail_nomem(r->err);
    return false;
}

static bool fail_big(struct reader *r)
{
    r->failed = nx_fail(r->err, NX_ETOOBIG, "a document larger than %zu bytes", r->max_bytes);
    return false;
}

/* --- output ----------------------------------------------------------------------------------- */

static size_t offset(const struct reader *r)
{
    return (size_t)(r->w - r->out->data);
}

static uint8_t *byte_at(const struct reader *r, size_t at)
{
    return r->out->data + at;
}

static bool grow(struct reader *r, size_t room)
{
    size_t used = offset(r);

    if (used - r->start > r->max_bytes)
        return fail_big(r);
    if (nx_buf_reserve(r->out, used - r->out->len + room) != NX_OK)
        return fail_nomem(r);
    r->w = r->out->data + used;
    r->w_end = r->out->data + r->out->cap;
    return true;
}

static inline bool ensure(struct reader *r, size_t room)
{
    return (size_t)(r->w_end - r->w) >= room || grow(r, room);
}

static size_t begin_document(struct reader *r)
{
    size_t at = offset(r);

    r->w += 4;
    return at;
}

static void end_document(struct reader *r, size_t at)
{
    *r->w++ = 0;
    put_u32le(byte_at(r, at), (uint32_t)(offset(r) - at));
}

/* --- white space and strings ------------------------------------------------------------------ */

static inline void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
        r->at++;
}

static inline bool is_next(const struct reader *r, char c)
{
    return r->at < r->end && *r->at == (uint8_t)c;
}

static bool read_hex4(struct reader *r, uint32_t *out)
{
    uint32_t v = 0;

    if (r->end - r->at < 4)
        return fail(r, r->end, "the text ends inside a \\u escape");
    for (int i = 0; i < 4; i++) {
        uint8_t c = *r->at, low = c | 0x20;

        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f')
            v = v << 4 | (uint32_t)(low - 'a' + 10);
        else
            return fail(r, r->at, "a \\u escape needs four hexadecimal digits");
        r->at++;
    }
    *out = v;
    return true;
}

/* Behind "\u"; the escape begins at `from`. */
static bool read_unicode(struct reader *r, const uint8_t *from)
{
    uint32_t code, low = 0;

    if (!read_hex4(r, &code))
        return false;
    if (code >= 0xdc00 && code < 0xe000)
        return fail(r, from, "a low surrogate escape without a high one before it");
    if (code >= 0xd800 && code < 0xdc00) {
        if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u')
            return fail(r, from, "a high surrogate escape without a low one behind it");
        r->at += 2;
        if (!read_hex4(r, &low))
            return false;
        if (low < 0xdc00 || low >= 0xe000)
            return fail(r, from, "a high surrogate escape without a low one behind it");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    r->w += utf8_write(code, r->w);
    return true;
}

static const uint8_t escapes[256] = {
    ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
    ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};

static bool read_escape(struct reader *r)
{
    const uint8_t *from = r->at++;
    uint8_t c;

    if (r->at == r->end)
        return fail(r, r->at, "the text ends inside a string");
    c = *r->at++;
    if (c == 'u')
        return read_unicode(r, from);
    if (!escapes[c])
        return fail(r, from, "an unknown escape in a string");
    *r->w++ = escapes[c];
    return true;
}

static bool copy_multibyte(struct reader *r)
{
    while (r->at < r->end && *r->at >= 0x80) {
        size_t n = utf8_char_len(r->at, (size_t)(r->end - r->at));

        if (n == 0)
            return fail(r, r->at, "the text is not UTF-8");
        if (!ensure(r, ROOM))
            return false;
        for (size_t i = 0; i < n; i++)
            *r->w++ = *r->at++;
    }
    return true;
}

/* What a run of plain bytes stopped at. Sets *done behind the closing quote. */
static bool read_special(struct reader *r, bool *done)
{
    uint8_t c;

    if (r->at == r->end)
        return fail(r, r->at, "the text ends inside a string");
    c = *r->at;
    if (c == '"') {
        r->at++;
        *done = true;
        return true;
    }
    if (c == '\\')
        return read_escape(r);
    if (c >= 0x80)
        return copy_multibyte(r);
    if (c < 0x20)
        return fail(r, r->at, "a control character in a string");
    return true; /* a plain byte: the room ran out, not the run */
}

/* Copy a string's content; `at` is behind its opening quote, and then behind its closing one. */
static bool copy_string(struct reader *r)
{
    bool done = false;

    while (!done) {
        size_t n;

        if (!ensure(r, ROOM))
            return false;
        n = json_copy_plain(r->at, (size_t)(r->end - r->at), r->w,
                            (size_t)(r->w_end - r->w) - JSON_STEP);
        r->at += n;
        r->w += n;
        if (!ensure(r, ROOM) || !read_special(r, &done))
            return false;
    }
    return true;
}

static bool read_string(struct reader *r, size_t type_at)
{
    size_t from = offset(r);

    *byte_at(r, type_at) = NX_TYPE_STRING;
    r->at++;
    r->w += 4;
    if (!copy_string(r) || !ensure(r, ROOM))
        return false;
    *r->w++ = 0;
    put_u32le(byte_at(r, from), (uint32_t)(offset(r) - from - 4));
    return true;
}

/* --- numbers and literals --------------------------------------------------------------------- */

struct digits {
    uint64_t mantissa; /* of the first 19 significant digits */
    int count;         /* significant digits in all */
    int exp10;
};

static inline bool is_digit(const struct reader *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

/* Read digits; each one behind the point takes `step` off the exponent. */
static void read_digits(struct reader *r, struct digits *d, int step)
{
    for (; is_digit(r); r->at++) {
        if (d->count < 19) {
            d->mantissa = d->mantissa * 10 + (uint64_t)(*r->at - '0');
            d->count += d->mantissa != 0;
            d->exp10 -= step;
        } else {
            d->count += d->count < 1000; /* only "more than 19" matters */
        }
    }
}

static bool read_exponent(struct reader *r, struct digits *d)
{
    bool negative;
    int e = 0;

    r->at++;
    negative = is_next(r, '-');
    if (negative || is_next(r, '+'))
        r->at++;
    if (!is_digit(r))
        return fail(r, r->at, "a number's exponent has no digits");
    for (; is_digit(r); r->at++)
        if (e < 100000)
            e = e * 10 + (*r->at - '0');
    d->exp10 += negative ? -e : e;
    return true;
}

static void put_int(struct reader *r, size_t type_at, int64_t v)
{
    if (v >= INT32_MIN && v <= INT32_MAX) {
        *byte_at(r, type_at) = NX_TYPE_INT32;
        put_u32le(r->w, (uint32_t)v);
        r->w += 4;
    } else {
        *byte_at(r, type_at) = NX_TYPE_INT64;
        put_u64le(r->w, (uint64_t)v);
        r->w += 8;
    }
}

static void put_double(struct reader *r, size_t type_at, const struct digits *d,
                       const uint8_t *from)
{
    const char *spelling = (const char *)from;
    size_t len = (size_t)(r->at - from);
    double v = d->count <= 19 ? number_make_double(d->mantissa, d->exp10, spelling, len)
                              : number_parse_double(spelling, len);

    *byte_at(r, type_at) = NX_TYPE_DOUBLE;
    memcpy(r->w, &v, 8);
    r->w += 8;
}

static bool read_number(struct reader *r, size_t type_at)
{
    const uint8_t *from = r->at;
    struct digits d = {0};
    bool negative = *from == '-', whole = true;

    r->at += negative;
    if (!is_digit(r))
        return fail(r, r->at, "a minus without a number");
    if (*r->at == '0') {
        r->at++;
        if (is_digit(r))
            return fail(r, r->at, "a number begins with a superfluous 0");
    } else {
        read_digits(r, &d, 0);
    }
    if (is_next(r, '.')) {
        whole = false;
        r->at++;
        if (!is_digit(r))
            return fail(r, r->at, "a number has no digits behind its point");
        read_digits(r, &d, 1);
    }
    if (is_next(r, 'e') || is_next(r, 'E')) {
        whole = false;
        if (!read_exponent(r, &d))
            return false;
    }
    if (whole && d.count <= 19 && d.mantissa <= (uint64_t)INT64_MAX + negative)
        put_int(r, type_at, negative ? (int64_t)(0 - d.mantissa) : (int64_t)d.mantissa);
    else
        put_double(r, type_at, &d, from);
    return true;
}

static bool read_literal(struct reader *r, size_t type_at, const char *word, uint8_t type)
{
    size_t len = strlen(word), avail = (size_t)(r->end - r->at);

    if (avail < len && memcmp(r->at, word, avail) == 0)
        return fail(r, r->end, "the text ends inside a word");
    if (avail < len || memcmp(r->at, word, len) != 0)
        return fail(r, r->at, "not true, false, null, a number, a string, an object or an array");
    *byte_at(r, type_at) = type;
    if (type == NX_TYPE_BOOL)
        *r->w++ = word[0] == 't';
    r->at += len;
    return true;
}

/* --- arrays and objects ----------------------------------------------------------------------- */

/* Open a level; `at` is its bracket. */
static bool enter(struct reader *r)
{
    if (++r->depth > NX_DOC_MAX_DEPTH + FORM_LEVELS)
        return fail_key(r, r->at, NX_EDOC, "", "nesting deeper than 100 levels");
    r->at++;
    skip_space(r);
    return true;
}

/* Close a level that stays what it looks like. */
static void leave(struct reader *r, const uint8_t *from)
{
    if (r->depth > NX_DOC_MAX_DEPTH && r->depth > r->deepest) {
        r->deepest = r->depth;
        r->deepest_at = (uint32_t)(from - r->text);
    }
    r->depth--;
}

/* A form of `type` took the place of the level: what was inside is gone, but for a scope. */
static void leave_form(struct reader *r, uint8_t type)
{
    if (type == NX_TYPE_CODEWSCOPE && r->deepest > NX_DOC_MAX_DEPTH + 1)
        r->deepest--;
    else
        r->deepest = 0;
    r->depth--;
}

/* Behind a value: ',' goes on, `close` ends. */
static bool read_separator(struct reader *r, char close, bool *more)
{
    skip_space(r);
    if (is_next(r, ',')) {
        r->at++;
        skip_space(r);
        *more = true;
        return true;
    }
    *more = false;
    if (r->at == r->end)
        return fail(r, r->at,
                    close == ']' ? "the text ends inside an array"
                                 : "the text ends inside an object");
    if (!is_next(r, close))
        return fail(r, r->at,
                    close == ']' ? "',' or ']' expected in an array"
                                 : "',' or '}' expected in an object");
    r->at++;
    return true;
}

struct index {
    char digits[INDEX_BYTES];
    unsigned len;
};

static void count_up(struct index *index)
{
    unsigned i = index->len;

    while (i > 0 && index->digits[i - 1] == '9')
        index->digits[--i] = '0';
    if (i > 0) {
        index->digits[i - 1]++;
        return;
    }
    index->digits[0] = '1';
    index->digits[index->len++] = '0';
}

static bool read_array(struct reader *r)
{
    const uint8_t *from = r->at;
    struct index index = {"0", 1};
    size_t document = begin_document(r);
    bool more = true;

    if (!enter(r))
        return false;
    if (is_next(r, ']')) {
        r->at++;
        more = false;
    }
    while (more) {
        size_t type_at;

        if (!ensure(r, ROOM))
            return false;
        type_at = offset(r);
        memcpy(r->w + 1, index.digits, INDEX_BYTES);
        r->w += 1 + index.len;
        *r->w++ = 0;
        if (!read_value(r, type_at) || !read_separator(r, ']', &more))
            return false;
        count_up(&index);
    }
    if (!ensure(r, ROOM))
        return false;
    end_document(r, document);
    leave(r, from);
    return true;
}

/* A key and its colon, then the value. */
static bool read_member(struct reader *r, uint32_t mark)
{
    const uint8_t *from = r->at;
    size_t type_at = offset(r), key_at = type_at + 1;
    size_t len;

    if (!is_next(r, '"'))
        return fail(r, from,
                    r->at == r->end ? "the text ends inside an object"
                                    : "a key in double quotes expected");
    r->at++;
    r->w++;
    if (!copy_string(r) || !ensure(r, ROOM))
        return false;
    len = offset(r) - key_at;
    if (memchr(byte_at(r, key_at), 0, len))
        return fail_key(r, from, NX_EDOC, "", "a key holds a NUL character");
    *r->w++ = 0;
    switch (keyset_add(&r->keys, mark, byte_at(r, r->start), (uint32_t)(key_at - r->start),
                       (uint32_t)len, (uint32_t)(from - r->text))) {
    case KEYSET_NEW:
        break;
    case KEYSET_DUPLICATE:
        return fail_key(r, from, NX_EDOC, "", "a key stands twice in one object");
    default:
        return fail_nomem(r);
    }
    skip_space(r);
    if (!is_next(r, ':'))
        return fail(r, r->at,
                    r->at == r->end ? "the text ends behind a key" : "':' expected behind a key");
    r->at++;
    skip_space(r);
    return read_value(r, type_at);
}

/* The members up to the closing brace. */
static bool read_members(struct reader *r, size_t document)
{
    uint32_t mark = keyset_begin(&r->keys), where;
    bool more = true;

    if (is_next(r, '}')) {
        r->at++;
        more = false;
    }
    while (more)
        if (!ensure(r, ROOM) || !read_member(r, mark) || !read_separator(r, '}', &more))
            return false;
    if (keyset_end(&r->keys, mark, byte_at(r, r->start), &where) == KEYSET_DUPLICATE)
        return fail_key(r, r->text + where, NX_EDOC, "", "a key stands twice in one object");
    if (!ensure(r, ROOM))
        return false;
    end_document(r, document);
    return true;
}

/* Replace the object at `document` when it is a form. */
static bool convert_form(struct reader *r, size_t document, size_t type_at, const uint8_t *from)
{
    struct ejson_result result;
    uint8_t *bytes = byte_at(r, document);

    switch (ejson_convert(bytes, (size_t)(r->w - bytes), r->mode, &result)) {
    case EJSON_PLAIN:
        leave(r, from);
        return true;
    case EJSON_VALUE:
        *byte_at(r, type_at) = result.type;
        r->w = bytes + result.len;
        leave_form(r, result.type);
        return true;
    default:
        return fail_key(r, from, NX_EDOC, result.key, result.reason);
    }
}

static bool read_object(struct reader *r, size_t type_at)
{
    const uint8_t *from = r->at;
    size_t document = begin_document(r);

    *byte_at(r, type_at) = NX_TYPE_DOCUMENT;
    if (!enter(r) || !read_members(r, document))
        return false;
    if (byte_at(r, document)[4] != 0 && byte_at(r, document)[5] == '$')
        return convert_form(r, document, type_at, from);
    leave(r, from);
    return true;
}

/* Behind a key: `type_at` is where its type byte goes, and there is ROOM for a small value. */
static bool read_value(struct reader *r, size_t type_at)
{
    if (r->at == r->end)
        return fail(r, r->at, "the text ends where a value is expected");
    if (!ensure(r, ROOM))
        return false;
    switch (*r->at) {
    case '"':
        return read_string(r, type_at);
    case '{':
        return read_object(r, type_at);
    case '[':
        *byte_at(r, type_at) = NX_TYPE_ARRAY;
        return read_array(r);
    case 't':
        return read_literal(r, type_at, "true", NX_TYPE_BOOL);
    case 'f':
        return read_literal(r, type_at, "false", NX_TYPE_BOOL);
    case 'n':
        return read_literal(r, type_at, "null", NX_TYPE_NULL);
    default:
        if (*r->at == '-' || is_digit(r))
            return read_number(r, type_at);
        return fail(r, r->at, "a value is expected");
    }
}

/* --- the whole text --------------------------------------------------------------------------- */

static bool begin(struct reader *r, size_t len)
{
    if (len > UINT32_MAX)
        return fail_big(r);
    return ensure(r, (len < r->max_bytes ? len : r->max_bytes) + ROOM); /* rarely grows again */
}

static bool check_end(struct reader *r)
{
    skip_space(r);
    if (r->at != r->end)
        return fail(r, r->at, "more text behind the end of the value");
    if (r->deepest)
        return fail_key(r, r->text + r->deepest_at, NX_EDOC, "", "nesting deeper than 100 levels");
    if (offset(r) - r->start > r->max_bytes)
        return fail_big(r);
    return true;
}

/* A top-level object may not be a form: a document has fields. Queries judge their own keys. */
static bool refuse_form(struct reader *r)
{
    struct ejson_result result;
    uint8_t *bytes = byte_at(r, r->start);

    if (r->mode == NX_JSON_QUERY || bytes[4] == 0 || bytes[5] != '$')
        return true;
    switch (ejson_convert(bytes, (size_t)(r->w - bytes), r->mode, &result)) {
    case EJSON_PLAIN:
        return true;
    case EJSON_VALUE:
        return fail_key(r, r->text, NX_EDOC, result.key, "is a value, not a document");
    default:
        return fail_key(r, r->text, NX_EDOC, result.key, result.reason);
    }
}

static bool read_top(struct reader *r, bool *is_array)
{
    size_t document;

    skip_space(r);
    if (r->at == r->end)
        return fail(r, r->at, "the text is empty");
    if (is_next(r, '[') && is_array) {
        *is_array = true;
        return read_array(r) && check_end(r);
    }
    if (!is_next(r, '{'))
        return fail_key(r, r->at, is_next(r, '[') ? NX_EDOC : NX_EJSON, "",
                        "a JSON object is expected");
    document = begin_document(r);
    if (!enter(r) || !read_members(r, document))
        return false;
    leave(r, r->text);
    return refuse_form(r) && check_end(r);
}

static bool read_any(struct reader *r)
{
    size_t document = begin_document(r), type_at = offset(r);

    r->w++;
    *r->w++ = 0; /* the empty key */
    skip_space(r);
    if (r->at == r->end)
        return fail(r, r->at, "the text is empty");
    if (!read_value(r, type_at) || !ensure(r, ROOM))
        return false;
    end_document(r, document);
    return check_end(r);
}

static struct reader reader_of(const char *text, size_t len, enum nx_json_mode mode,
                               size_t max_bytes, struct nx_buf *out, struct nx_err *err)
{
    const uint8_t *p = (const uint8_t *)(text ? text : "");

    if (max_bytes == 0)
        max_bytes = NX_DOC_MAX_BYTES;
    if (max_bytes > INT32_MAX)
        max_bytes = INT32_MAX;
    return (struct reader){
        .text = p,
        .at = p,
        .end = p + len,
        .w = out->data ? out->data + out->len : NULL,
        .w_end = out->data ? out->data + out->cap : NULL,
        .out = out,
        .start = out->len,
        .max_bytes = max_bytes,
        .mode = mode,
        .err = err,
    };
}

enum nx_code nx_json_parse(const char *text, size_t len, enum nx_json_mode mode, size_t max_bytes,
                           struct nx_buf *out, bool *is_array, struct nx_err *err)
{
    struct reader r = reader_of(text, len, mode, max_bytes, out, err);

    if (is_array)
        *is_array = false;
    keyset_init(&r.keys);
    if (begin(&r, len) && read_top(&r, is_array))
        out->len = offset(&r);
    keyset_fini(&r.keys);
    return r.failed;
}

enum nx_code nx_json_parse_value(const char *text, size_t len, enum nx_json_mode mode,
                                 struct nx_buf *out, struct nx_err *err)
{
    struct reader r = reader_of(text, len, mode, 0, out, err);

    keyset_init(&r.keys);
    if (begin(&r, len) && read_any(&r))
        out->len = offset(&r);
    keyset_fini(&r.keys);
    return r.failed;
}

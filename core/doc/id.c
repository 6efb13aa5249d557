/*
 * id.c - ids as keys, and the bijection between ids and file names.
 *
 * A name is judged by making it again: guess the id that it could mean, write that id's name, and
 * compare. So there is one definition of a name, the writer, and a name that is nearly right can be
 * answered with the right one.
 */
#include <stdatomic.h>
#include <stdio.h>

#include <nexadb/id.h>
#include <nexadb/io.h>
#include <nexadb/json.h>

#include "doc/keyenc.h"
#include "doc/number.h"
#include "doc/utf8.h"

#define SUFFIX ".json"
#define SUFFIX_LEN 5
#define PLAIN_ID_BYTES 80 /* a string of up to this many bytes always has a short enough name */

/* --- values to names -------------------------------------------------------------------------- */

static enum nx_code append_escape(struct nx_buf *out, uint8_t c)
{
    static const char hex[] = "0123456789ABCDEF";
    char text[3] = {'%', hex[c >> 4], hex[c & 15]};

    return nx_buf_append(out, text, sizeof text);
}

static bool is_unreserved(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

/* 0|-?[1-9][0-9]* within int64 */
static bool is_integer(const uint8_t *p, size_t len, int64_t *out)
{
    bool negative = len > 0 && p[0] == '-';
    uint64_t v = 0;

    *out = 0;
    if (len == 1 && p[0] == '0')
        return true;
    if (len <= (size_t)negative || len > 20 || p[negative] == '0')
        return false;
    for (size_t i = negative; i < len; i++) {
        if (p[i] < '0' || p[i] > '9' || v > UINT64_MAX / 10 - 1)
            return false;
        v = v * 10 + (uint64_t)(p[i] - '0');
    }
    if (v > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static bool must_escape(uint8_t c)
{
    return c < 0x20 || c == 0x7f || c == '/' || c == '%';
}

static enum nx_code append_string(struct nx_buf *out, const uint8_t *p, size_t len)
{
    enum nx_code rc = NX_OK;
    int64_t ignored;
    bool first = p[0] == '.' || is_integer(p, len, &ignored);

    for (size_t i = 0; rc == NX_OK && i < len; i++)
        rc = must_escape(p[i]) || (i == 0 && first) ? append_escape(out, p[i])
                                                    : nx_buf_append_byte(out, p[i]);
    return rc;
}

static enum nx_code append_json(struct nx_buf *out, const struct nx_value *value)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = nx_json_write_value(value, NX_JSON_CANONICAL, &text);

    if (rc == NX_OK)
        rc = nx_buf_append(out, "%j", 2);
    for (size_t i = 0; rc == NX_OK && i < text.len; i++)
        rc = is_unreserved(text.data[i]) ? nx_buf_append_byte(out, text.data[i])
                                         : append_escape(out, text.data[i]);
    return rc;
}

static enum nx_code append_oid(struct nx_buf *out, const uint8_t *oid)
{
    enum nx_code rc = nx_buf_append(out, "%o", 2);

    for (size_t i = 0; rc == NX_OK && i < 12; i++)
        rc = nx_buf_printf(out, "%02x", oid[i]);
    return rc;
}

static enum nx_code append_stem(struct nx_buf *out, const struct nx_value *value)
{
    char digits[NUMBER_TEXT_BYTES];
    int64_t n;

    if (value->type == NX_TYPE_STRING && value->len > 0)
        return append_string(out, value->data, value->len);
    if (value->type == NX_TYPE_OBJECTID)
        return append_oid(out, value->data);
    if (value->type == NX_TYPE_INT32 || value->type == NX_TYPE_INT64) {
        nx_value_to_int64(value, &n);
        return nx_buf_append(out, digits, number_write_int64(n, digits));
    }
    return append_json(out, value);
}

enum nx_code nx_id_to_name(const struct nx_id *id, struct nx_buf *out)
{
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    size_t before = out->len;
    struct nx_value value;
    enum nx_code rc = nx_id_to_document(id, &doc);

    if (rc != NX_OK)
        return rc;
    value = nx_doc_get(nx_buf_slice(&doc), "_id", 3);
    rc = append_stem(out, &value);
    if (rc == NX_OK)
        rc = nx_buf_append(out, SUFFIX, SUFFIX_LEN + 1);
    out->len = rc == NX_OK ? out->len - 1 : before; /* the NUL stands behind the length */
    return rc;
}

/* --- values to ids ---------------------------------------------------------------------------- */

static enum nx_code check_type(const struct nx_value *value, struct nx_err *err)
{
    switch (value->type) {
    case NX_TYPE_ARRAY:
    case NX_TYPE_REGEX:
    case NX_TYPE_UNDEFINED:
    case NX_TYPE_MISSING:
        return nx_fail(err, NX_EID, "an _id cannot be of type %s", nx_type_name(value->type));
    default:
        return NX_OK;
    }
}

static bool is_surely_short(const struct nx_value *value)
{
    return value->type == NX_TYPE_OBJECTID || value->type == NX_TYPE_INT32 ||
           value->type == NX_TYPE_INT64 ||
           (value->type == NX_TYPE_STRING && value->len <= PLAIN_ID_BYTES);
}

/* A name is only worth making when it could come out at NX_NAME_MAX: text grows in escaping. */
static enum nx_code check_name_length(const struct nx_id *id, struct nx_err *err)
{
    struct nx_buf name NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = nx_id_to_name(id, &name);

    if (rc != NX_OK)
        return nx_fail(err, rc, "the _id's file name cannot be made");
    if (name.len > NX_NAME_MAX)
        return nx_fail(err, NX_EID, "the _id's file name would have %zu bytes; the limit is %d",
                       name.len, NX_NAME_MAX);
    return NX_OK;
}

enum nx_code nx_id_from_value(const struct nx_value *value, struct nx_id *out, struct nx_err *err)
{
    struct nx_buf key NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = check_type(value, err);

    out->len = 0;
    if (rc != NX_OK)
        return rc;
    if (keyenc_append(&key, value) != NX_OK)
        return nx_fail_nomem(err);
    if (key.len > NX_ID_MAX_BYTES)
        return nx_fail(err, NX_EID, "the _id has %zu bytes; the limit is %d", key.len,
                       NX_ID_MAX_BYTES);
    memcpy(out->key, key.data, key.len);
    out->len = (uint16_t)key.len;
    if (is_surely_short(value))
        return NX_OK;
    rc = check_name_length(out, err);
    if (rc != NX_OK)
        out->len = 0;
    return rc;
}

enum nx_code nx_id_to_document(const struct nx_id *id, struct nx_buf *out)
{
    size_t before = out->len, used;
    struct nx_builder b;
    enum nx_code rc, end;

    nx_builder_init(&b, out);
    rc = keyenc_decode(nx_slice(id->key, id->len), &b, "_id", 3, &used);
    if (rc == NX_OK && used != id->len)
        rc = NX_ECORRUPT;
    end = rc == NX_OK ? nx_builder_end(&b, NULL) : rc;
    if (end != NX_OK)
        out->len = before;
    return end;
}

enum nx_code nx_id_from_key(struct nx_slice key, struct nx_id *out)
{
    out->len = 0;
    if (key.len == 0 || key.len > NX_ID_MAX_BYTES || keyenc_length(key) != key.len)
        return NX_ECORRUPT;
    memcpy(out->key, key.data, key.len);
    out->len = (uint16_t)key.len;
    return NX_OK;
}

/* --- names to ids ----------------------------------------------------------------------------- */

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode the escapes that are well formed and keep the rest. */
static enum nx_code unescape(const char *p, size_t len, struct nx_buf *out)
{
    enum nx_code rc = NX_OK;

    for (size_t i = 0; rc == NX_OK && i < len; i++) {
        int high = p[i] == '%' && i + 2 < len ? hex_value((uint8_t)p[i + 1]) : -1;
        int low = high >= 0 ? hex_value((uint8_t)p[i + 2]) : -1;

        if (low >= 0) {
            rc = nx_buf_append_byte(out, (uint8_t)(high << 4 | low));
            i += 2;
        } else {
            rc = nx_buf_append_byte(out, (uint8_t)p[i]);
        }
    }
    return rc;
}

static bool guess_oid(const char *stem, size_t len, uint8_t *oid)
{
    if (len != 26 || memcmp(stem, "%o", 2) != 0)
        return false;
    for (size_t i = 0; i < 12; i++) {
        int high = hex_value((uint8_t)stem[2 + 2 * i]), low = hex_value((uint8_t)stem[3 + 2 * i]);

        if (high < 0 || low < 0)
            return false;
        oid[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool guess_json(const char *stem, size_t len, struct nx_buf *doc, struct nx_id *out)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value value;

    if (len < 2 || memcmp(stem, "%j", 2) != 0 || unescape(stem + 2, len - 2, &text) != NX_OK)
        return false;
    if (nx_json_parse_value((const char *)text.data, text.len, NX_JSON_DOCUMENT, doc, NULL) !=
        NX_OK)
        return false;
    value = nx_doc_get(nx_buf_slice(doc), "", 0);
    return nx_id_from_value(&value, out, NULL) == NX_OK;
}

static bool guess_string(const char *stem, size_t len, struct nx_id *out)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value value;

    if (unescape(stem, len, &text) != NX_OK || utf8_valid_prefix(text.data, text.len) != text.len)
        return false;
    value = nx_string(text.data, text.len);
    return nx_id_from_value(&value, out, NULL) == NX_OK;
}

/* The id that the stem of a name most likely means. */
static bool guess(const char *stem, size_t len, struct nx_id *out)
{
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    uint8_t oid[12];
    struct nx_value value;
    int64_t n;

    if (guess_oid(stem, len, oid)) {
        value = (struct nx_value){.type = NX_TYPE_OBJECTID, .len = 12, .data = oid};
        return nx_id_from_value(&value, out, NULL) == NX_OK;
    }
    if (is_integer((const uint8_t *)stem, len, &n)) {
        value = nx_int(n);
        return nx_id_from_value(&value, out, NULL) == NX_OK;
    }
    return guess_json(stem, len, &doc, out) || guess_string(stem, len, out);
}

bool nx_name_is_document(const char *name, size_t len)
{
    return len > SUFFIX_LEN && name[0] != '.' &&
           memcmp(name + len - SUFFIX_LEN, SUFFIX, SUFFIX_LEN) == 0;
}

static enum nx_code compare_names(const char *name, size_t len, struct nx_id *id,
                                  struct nx_buf *canonical, struct nx_err *err)
{
    struct nx_buf right NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    if (nx_id_to_name(id, &right) != NX_OK)
        return nx_fail_nomem(err);
    if (right.len == len && memcmp(right.data, name, len) == 0)
        return NX_OK;
    id->len = 0;
    if (canonical) {
        nx_buf_clear(canonical);
        if (nx_buf_append(canonical, right.data, right.len + 1) != NX_OK)
            return nx_fail_nomem(err);
        canonical->len--;
    }
    return nx_fail(err, NX_ENAME, "'%.*s' is not how a document is named; its name is '%s'",
                   (int)len, name, (const char *)right.data);
}

enum nx_code nx_id_from_name(const char *name, size_t len, struct nx_id *out,
                             struct nx_buf *canonical, struct nx_err *err)
{
    out->len = 0;
    if (canonical)
        nx_buf_clear(canonical);
    if (len > NX_NAME_MAX)
        return nx_fail(err, NX_ENAMETOOLONG, "a name of %zu bytes; the limit is %d", len,
                       NX_NAME_MAX);
    if (!nx_name_is_document(name, len))
        return nx_fail(err, NX_ENAME,
                       "'%.*s' is not a document's name: it must end in '%s' and "
                       "not begin with a dot",
                       (int)len, name, SUFFIX);
    if (utf8_valid_prefix((const uint8_t *)name, len) != len)
        return nx_fail(err, NX_ENAME, "a document's name is not UTF-8");
    if (!guess(name, len - SUFFIX_LEN, out)) {
        out->len = 0;
        return nx_fail(err, NX_ENAME, "'%.*s' is not the name of any id", (int)len, name);
    }
    return compare_names(name, len, out, canonical, err);
}

/* --- new ids ---------------------------------------------------------------------------------- */

/* 40 random bits of this process, and where its counter begins: 0 until the first id. Threads race
 * to set it and all use the winner's; it guards nothing else, so relaxed order is enough. */
static _Atomic uint64_t process_seed;
static _Atomic uint32_t made;

static uint64_t seed_of(struct nx_io *io)
{
    uint64_t seed = atomic_load_explicit(&process_seed, memory_order_relaxed), fresh;

    if (seed)
        return seed;
    io->ops->random(io, &fresh, sizeof fresh);
    fresh |= 1;
    if (atomic_compare_exchange_strong_explicit(&process_seed, &seed, fresh, memory_order_relaxed,
                                                memory_order_relaxed))
        return fresh;
    return seed;
}

/* An ObjectId: seconds, the process, a counter: later ids sort behind earlier ones. */
void nx_id_generate(struct nx_io *io, struct nx_id *out)
{
    uint64_t seed = seed_of(io);
    uint32_t seconds = (uint32_t)(io->ops->realtime_ns(io) / 1000000000u);
    uint32_t count = (uint32_t)seed + atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
    char text[25];
    struct nx_value value;

    snprintf(text, sizeof text, "%08x%010llx%06x", seconds, (unsigned long long)(seed >> 24),
             count & 0xffffff);
    value = nx_string(text, 24);
    out->key[0] = 0;
    nx_id_from_value(&value, out, NULL);
}

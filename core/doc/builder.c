/*
 * builder.c - appending BSON to a buffer.
 *
 * Each open document remembers where its length goes; the length is filled in when it is closed.
 * A failure sticks: later calls do nothing, so a caller checks once, at the end.
 */
#include <nexadb/value.h>

#include "base/bytes.h"
#include "doc/bson.h"
#include "doc/number.h"

#define MAX_BYTES (64u << 20)
#define MAX_OPEN (sizeof((struct nx_builder *)NULL)->start / sizeof(size_t))

static void fail(struct nx_builder *b, enum nx_code code)
{
    if (b->failed == NX_OK)
        b->failed = code;
}

/* `len` bytes at the end of the buffer, to be filled; NULL after a failure. */
static uint8_t *extend(struct nx_builder *b, size_t len)
{
    uint8_t *p;

    if (b->failed != NX_OK)
        return NULL;
    if (len > MAX_BYTES || b->buf->len - b->start[0] > MAX_BYTES - len) {
        fail(b, NX_ETOOBIG);
        return NULL;
    }
    if (nx_buf_reserve(b->buf, len) != NX_OK) {
        fail(b, NX_ENOMEM);
        return NULL;
    }
    p = b->buf->data + b->buf->len;
    b->buf->len += len;
    return p;
}

static void open_document(struct nx_builder *b, bool is_array)
{
    uint8_t *p;

    if (b->failed == NX_OK && b->depth == MAX_OPEN)
        fail(b, NX_ETOOBIG);
    if (b->failed != NX_OK)
        return;
    b->start[b->depth] = b->buf->len;
    p = extend(b, 4);
    if (!p)
        return;
    b->index[b->depth] = 0;
    b->is_array[b->depth] = is_array;
    b->depth++;
}

static void init(struct nx_builder *b, struct nx_buf *buf, bool is_array)
{
    b->buf = buf;
    b->depth = 0;
    b->failed = NX_OK;
    b->start[0] = buf->len;
    open_document(b, is_array);
}

void nx_builder_init(struct nx_builder *b, struct nx_buf *buf)
{
    init(b, buf, false);
}

void nx_builder_init_array(struct nx_builder *b, struct nx_buf *buf)
{
    init(b, buf, true);
}

/* Type byte and key; returns room for `payload` bytes behind them. */
static uint8_t *begin_element(struct nx_builder *b, uint8_t type, const char *key, size_t key_len,
                              size_t payload)
{
    char digits[NUMBER_TEXT_BYTES];
    uint8_t *p;

    if (b->failed != NX_OK)
        return NULL;
    if (b->depth == 0) {
        fail(b, NX_EINTERNAL);
        return NULL;
    }
    if (b->is_array[b->depth - 1]) {
        key = digits;
        key_len = number_write_int64(b->index[b->depth - 1]++, digits);
    }
    if (key_len > MAX_BYTES || payload > MAX_BYTES) {
        fail(b, NX_ETOOBIG);
        return NULL;
    }
    p = extend(b, 1 + key_len + 1 + payload);
    if (!p)
        return NULL;
    *p++ = type;
    if (key_len)
        memcpy(p, key, key_len);
    p += key_len;
    *p++ = 0;
    return p;
}

static void put_bytes(struct nx_builder *b, const char *key, size_t key_len,
                      const struct nx_value *value)
{
    uint8_t *p = begin_element(b, value->type, key, key_len, value->len);

    if (p)
        memcpy(p, value->data, value->len);
}

static void put_text(struct nx_builder *b, const char *key, size_t key_len,
                     const struct nx_value *value)
{
    uint8_t *p = begin_element(b, value->type, key, key_len, 4 + (size_t)value->len + 1);

    if (!p)
        return;
    put_u32le(p, value->len + 1);
    if (value->len)
        memcpy(p + 4, value->data, value->len);
    p[4 + value->len] = 0;
}

static void put_binary(struct nx_builder *b, const char *key, size_t key_len,
                       const struct nx_value *value)
{
    size_t repeat = value->subtype == 2 ? 4 : 0; /* the old form repeats its length */
    uint8_t *p = begin_element(b, value->type, key, key_len, 5 + repeat + value->len);

    if (!p)
        return;
    put_u32le(p, value->len + (uint32_t)repeat);
    p[4] = value->subtype;
    if (repeat)
        put_u32le(p + 5, value->len);
    if (value->len)
        memcpy(p + 5 + repeat, value->data, value->len);
}

static void put_64(struct nx_builder *b, const char *key, size_t key_len,
                   const struct nx_value *value)
{
    uint8_t *p = begin_element(b, value->type, key, key_len, 8);

    if (p)
        put_u64le(p, (uint64_t)value->i64); /* a double's bits too: they share the union */
}

static void put_int32(struct nx_builder *b, const char *key, size_t key_len,
                      const struct nx_value *value)
{
    uint8_t *p = begin_element(b, value->type, key, key_len, 4);

    if (p)
        put_u32le(p, (uint32_t)value->i32);
}

static void put_bool(struct nx_builder *b, const char *key, size_t key_len,
                     const struct nx_value *value)
{
    uint8_t *p = begin_element(b, value->type, key, key_len, 1);

    if (p)
        *p = value->boolean;
}

static void put_nothing(struct nx_builder *b, const char *key, size_t key_len,
                        const struct nx_value *value)
{
    begin_element(b, value->type, key, key_len, 0);
}

static void put_missing(struct nx_builder *b, const char *key, size_t key_len,
                        const struct nx_value *value)
{
    (void)value;
    if (b->depth && b->is_array[b->depth - 1])
        begin_element(b, NX_TYPE_NULL, key, key_len, 0);
}

typedef void (*put_fn)(struct nx_builder *b, const char *key, size_t key_len,
                       const struct nx_value *value);

static const put_fn puts_by_type[256] = {
    [NX_TYPE_MISSING] = put_missing,   [NX_TYPE_DOUBLE] = put_64,
    [NX_TYPE_STRING] = put_text,       [NX_TYPE_DOCUMENT] = put_bytes,
    [NX_TYPE_ARRAY] = put_bytes,       [NX_TYPE_BINARY] = put_binary,
    [NX_TYPE_UNDEFINED] = put_nothing, [NX_TYPE_OBJECTID] = put_bytes,
    [NX_TYPE_BOOL] = put_bool,         [NX_TYPE_DATE] = put_64,
    [NX_TYPE_NULL] = put_nothing,      [NX_TYPE_REGEX] = put_bytes,
    [NX_TYPE_DBPOINTER] = put_bytes,   [NX_TYPE_CODE] = put_text,
    [NX_TYPE_SYMBOL] = put_text,       [NX_TYPE_CODEWSCOPE] = put_bytes,
    [NX_TYPE_INT32] = put_int32,       [NX_TYPE_TIMESTAMP] = put_64,
    [NX_TYPE_INT64] = put_64,          [NX_TYPE_DECIMAL128] = put_bytes,
    [NX_TYPE_MAXKEY] = put_nothing,    [NX_TYPE_MINKEY] = put_nothing,
};

void nx_builder_put(struct nx_builder *b, const char *key, size_t key_len,
                    const struct nx_value *value)
{
    put_fn put = puts_by_type[value->type];

    if (put)
        put(b, key, key_len, value);
    else
        fail(b, NX_EDOC);
}

void nx_builder_put_z(struct nx_builder *b, const char *key, struct nx_value value)
{
    nx_builder_put(b, key, strlen(key), &value);
}

void nx_builder_push(struct nx_builder *b, const struct nx_value *value)
{
    nx_builder_put(b, NULL, 0, value);
}

void nx_builder_begin_document(struct nx_builder *b, const char *key, size_t key_len)
{
    if (begin_element(b, NX_TYPE_DOCUMENT, key, key_len, 0))
        open_document(b, false);
}

void nx_builder_begin_array(struct nx_builder *b, const char *key, size_t key_len)
{
    if (begin_element(b, NX_TYPE_ARRAY, key, key_len, 0))
        open_document(b, true);
}

void nx_builder_close(struct nx_builder *b)
{
    uint8_t *p = extend(b, 1);
    size_t start;

    if (!p)
        return;
    if (b->depth == 0) {
        fail(b, NX_EINTERNAL);
        return;
    }
    *p = 0;
    start = b->start[--b->depth];
    put_u32le(b->buf->data + start, (uint32_t)(b->buf->len - start));
}

enum nx_code nx_builder_end(struct nx_builder *b, struct nx_err *err)
{
    nx_builder_close(b);
    if (b->failed == NX_OK && b->depth != 0)
        fail(b, NX_EINTERNAL);
    switch (b->failed) {
    case NX_OK:
        return NX_OK;
    case NX_ENOMEM:
        return nx_fail_nomem(err);
    case NX_ETOOBIG:
        return nx_fail(err, NX_ETOOBIG,
                       "a document passes %u bytes or %zu levels while it is built", MAX_BYTES,
                       MAX_OPEN);
    case NX_EDOC:
        return nx_fail(err, NX_EDOC, "a value of unknown type cannot be stored");
    default:
        return nx_fail(err, b->failed, "documents were opened and closed out of order");
    }
}

/* buf.c - slices and the growing buffer. Growth doubles, so appending is linear. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <nexadb/buf.h>

int nx_slice_compare(struct nx_slice a, struct nx_slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.data, b.data, n) : 0;

    if (order)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

enum nx_code nx_buf_reserve(struct nx_buf *buf, size_t extra)
{
    size_t need, cap;
    uint8_t *data;

    if (extra <= buf->cap - buf->len)
        return NX_OK;
    if (__builtin_add_overflow(buf->len, extra, &need) || need > SIZE_MAX / 2)
        return NX_ENOMEM;
    cap = buf->cap < 64 ? 64 : buf->cap;
    while (cap < need)
        cap *= 2;
    data = realloc(buf->data, cap);
    if (!data)
        return NX_ENOMEM;
    buf->data = data;
    buf->cap = cap;
    return NX_OK;
}

enum nx_code nx_buf_append(struct nx_buf *buf, const void *data, size_t len)
{
    enum nx_code rc = nx_buf_reserve(buf, len);

    if (rc != NX_OK || len == 0)
        return rc;
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    return NX_OK;
}

enum nx_code nx_buf_append_byte(struct nx_buf *buf, uint8_t byte)
{
    return nx_buf_append(buf, &byte, 1);
}

enum nx_code nx_buf_append_str(struct nx_buf *buf, const char *text)
{
    return nx_buf_append(buf, text, strlen(text));
}

enum nx_code nx_buf_printf(struct nx_buf *buf, const char *format, ...)
{
    va_list args;
    enum nx_code rc;
    int n;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        return NX_EINVAL;
    rc = nx_buf_reserve(buf, (size_t)n + 1); /* vsnprintf writes its NUL behind the text */
    if (rc != NX_OK)
        return rc;
    va_start(args, format);
    vsnprintf((char *)buf->data + buf->len, (size_t)n + 1, format, args);
    va_end(args);
    buf->len += (size_t)n;
    return NX_OK;
}

enum nx_code nx_buf_resize(struct nx_buf *buf, size_t len)
{
    if (len > buf->len) {
        enum nx_code rc = nx_buf_reserve(buf, len - buf->len);

        if (rc != NX_OK)
            return rc;
        memset(buf->data + buf->len, 0, len - buf->len);
    }
    buf->len = len;
    return NX_OK;
}

void nx_buf_fini(struct nx_buf *buf)
{
    free(buf->data);
    *buf = NX_BUF_INIT;
}

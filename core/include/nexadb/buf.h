/*
 * buf.h - a byte slice (borrowed) and a growing byte buffer (owned).
 *
 * Threads: a buffer belongs to one thread at a time.
 * Errors:  growing can fail with NX_ENOMEM; the content is then unchanged.
 */
#ifndef NEXADB_BUF_H
#define NEXADB_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <nexadb/attributes.h>
#include <nexadb/error.h>

struct nx_slice {
    const uint8_t *data; /* borrowed */
    size_t len;
};

struct nx_buf {
    uint8_t *data; /* owned; NULL while cap is 0 */
    size_t len;
    size_t cap;
};

#define NX_BUF_INIT ((struct nx_buf){0})
#define NX_SLICE_NULL ((struct nx_slice){0})

static inline struct nx_slice nx_slice(const void *data, size_t len)
{
    return (struct nx_slice){data, len};
}
static inline struct nx_slice nx_slice_str(const char *text)
{
    return (struct nx_slice){(const uint8_t *)text, strlen(text)};
}
static inline struct nx_slice nx_buf_slice(const struct nx_buf *buf)
{
    return (struct nx_slice){buf->data, buf->len};
}
/* memcmp order, a prefix before what it begins. */
NX_API int nx_slice_compare(struct nx_slice a, struct nx_slice b);
static inline bool nx_slice_equal(struct nx_slice a, struct nx_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Make room for `extra` more bytes beyond len. */
NX_API enum nx_code nx_buf_reserve(struct nx_buf *buf, size_t extra);
NX_API enum nx_code nx_buf_append(struct nx_buf *buf, const void *data, size_t len);
NX_API enum nx_code nx_buf_append_byte(struct nx_buf *buf, uint8_t byte);
NX_API enum nx_code nx_buf_append_str(struct nx_buf *buf, const char *text);
NX_API enum nx_code nx_buf_printf(struct nx_buf *buf, const char *format, ...) NX_PRINTF(2, 3);
/* Set the length; new bytes are zero. */
NX_API enum nx_code nx_buf_resize(struct nx_buf *buf, size_t len);
static inline void nx_buf_clear(struct nx_buf *buf)
{
    buf->len = 0;
}
NX_API void nx_buf_fini(struct nx_buf *buf); /* frees; the buffer is empty and usable again */

#endif

/*
 * utf8_text.h - walking checked UTF-8 by code points.
 */
#ifndef QUERY_UTF8_TEXT_H
#define QUERY_UTF8_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool utf8_is_start(uint8_t byte)
{
    return (byte & 0xc0) != 0x80;
}
/* Bytes of the code point at `at`, never past `end`. */
static inline size_t utf8_step(const uint8_t *at, const uint8_t *end)
{
    size_t n = 1;

    while (at + n < end && !utf8_is_start(at[n]))
        n++;
    return n;
}
static inline size_t utf8_count(const uint8_t *at, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += utf8_is_start(at[i]);
    return n;
}
/* The offset of code point `index`, or `len` past the end. */
static inline size_t utf8_offset(const uint8_t *at, size_t len, size_t index)
{
    size_t offset = 0;

    while (index-- && offset < len)
        offset += utf8_step(at + offset, at + len);
    return offset;
}

#endif

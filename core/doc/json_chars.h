/*
 * json_chars.h - the bytes of a JSON string that need no attention, sixteen at a time.
 *
 * Plain bytes are printable ASCII but '"' and '\'. SSE2 is part of every x86-64; elsewhere eight
 * bytes are looked at in a machine word. Threads: pure functions.
 */
#ifndef DOC_JSON_CHARS_H
#define DOC_JSON_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool json_is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

#ifdef __SSE2__
#define JSON_STEP 16
/* One bit for each of the next JSON_STEP bytes that is not plain; copies them all when `to`. */
static inline uint32_t json_special_mask(const uint8_t *from, uint8_t *to)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)from);
    __m128i special = _mm_cmplt_epi8(v, _mm_set1_epi8(0x20)); /* signed: also 0x80 and above */

    if (to)
        _mm_storeu_si128((__m128i *)(void *)to, v);
    special = _mm_or_si128(special, _mm_cmpeq_epi8(v, _mm_set1_epi8('"')));
    special = _mm_or_si128(special, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
    return (uint32_t)_mm_movemask_epi8(special);
}
#define JSON_SPECIAL_AT(mask) ((size_t)__builtin_ctz(mask))
typedef uint32_t json_mask;
#else
#define JSON_STEP 8
static inline uint64_t json_special_mask(const uint8_t *from, uint8_t *to)
{
    const uint64_t ones = 0x0101010101010101ULL, tops = 0x8080808080808080ULL;
    uint64_t v, quote, back;

    memcpy(&v, from, sizeof v);
    if (to)
        memcpy(to, &v, sizeof v);
    quote = v ^ (ones * '"');
    back = v ^ (ones * '\\');
    return ((v - ones * 0x20) | v | ((quote - ones) & ~quote) | ((back - ones) & ~back)) & tops;
}
/* The lowest marked byte is exact; a borrow can only mark bytes above it. */
#define JSON_SPECIAL_AT(mask) ((size_t)__builtin_ctzll(mask) / 8)
typedef uint64_t json_mask;
#endif

/* How many plain bytes begin at `p`. */
static inline size_t json_plain_run(const uint8_t *p, size_t avail)
{
    size_t n = 0;

    while (avail - n >= JSON_STEP) {
        json_mask mask = json_special_mask(p + n, NULL);

        if (mask)
            return n + JSON_SPECIAL_AT(mask);
        n += JSON_STEP;
    }
    while (n < avail && json_is_plain(p[n]))
        n++;
    return n;
}

/*
 * Copy plain bytes to `to`, which has `room`, until one that is not; returns their number. Up to
 * JSON_STEP - 1 bytes of room behind them may be written.
 */
static inline size_t json_copy_plain(const uint8_t *from, size_t avail, uint8_t *to, size_t room)
{
    size_t limit = avail < room ? avail : room, n = 0;

    while (limit - n >= JSON_STEP) {
        json_mask mask = json_special_mask(from + n, to + n);

        if (mask)
            return n + JSON_SPECIAL_AT(mask);
        n += JSON_STEP;
    }
    for (; n < limit && json_is_plain(from[n]); n++)
        to[n] = from[n];
    return n;
}

#endif

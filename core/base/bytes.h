/* bytes.h - little- and big-endian integers and varints in byte strings; never a struct laid over
 * bytes. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t get_u16le(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t get_u32le(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint64_t get_u64le(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void put_u16le(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void put_u32le(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}
static inline void put_u64le(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, sizeof v);
}
static inline uint64_t get_u64be(const uint8_t *p)
{
    return __builtin_bswap64(get_u64le(p));
}
static inline void put_u64be(uint8_t *p, uint64_t v)
{
    put_u64le(p, __builtin_bswap64(v));
}
static inline uint32_t get_u32be(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}
static inline void put_u32be(uint8_t *p, uint32_t v)
{
    put_u32le(p, __builtin_bswap32(v));
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a big-endian host needs swaps here");

#define VARINT_MAX_BYTES 10

/* LEB128; returns the number of bytes written, 1 to VARINT_MAX_BYTES. */
static inline size_t put_varint(uint8_t *p, uint64_t v)
{
    size_t n = 0;

    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}

/* Returns the byte after the number, or NULL when it is cut off at `end` or too long. */
static inline const uint8_t *get_varint(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
        uint8_t byte = *p++;

        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            if (shift == 63 && byte > 1)
                return NULL;
            *out = v;
            return p;
        }
    }
    return NULL;
}

#endif

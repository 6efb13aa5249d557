/* utf8.c - strict UTF-8, with ASCII checked eight bytes at a time. */
#include "doc/utf8.h"

#include <string.h>

static int is_tail(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t utf8_char_len(const uint8_t *p, size_t avail)
{
    uint8_t c = p[0];

    if (c < 0x80)
        return 1;
    if (c < 0xc2)
        return 0;
    if (c < 0xe0)
        return avail >= 2 && is_tail(p[1]) ? 2 : 0;
    if (c < 0xf0) {
        if (avail < 3 || !is_tail(p[1]) || !is_tail(p[2]))
            return 0;
        if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] >= 0xa0))
            return 0;
        return 3;
    }
    if (c > 0xf4 || avail < 4 || !is_tail(p[1]) || !is_tail(p[2]) || !is_tail(p[3]))
        return 0;
    if ((c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] >= 0x90))
        return 0;
    return 4;
}

size_t utf8_valid_prefix(const uint8_t *p, size_t len)
{
    size_t at = 0;

    while (at < len) {
        uint64_t word;
        size_t n;

        if (len - at >= sizeof word) {
            memcpy(&word, p + at, sizeof word);
            if (!(word & 0x8080808080808080ULL)) {
                at += sizeof word;
                continue;
            }
        }
        n = utf8_char_len(p + at, len - at);
        if (n == 0)
            break;
        at += n;
    }
    return at;
}

size_t utf8_write(uint32_t code, uint8_t *out)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

/* base64.c - four characters for three bytes; unused bits of the last character must be zero. */
#include "doc/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

bool base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len)
{
    size_t pad = 0, n = 0;

    *out_len = 0;
    if (len % 4 != 0)
        return false;
    if (len > 0 && text[len - 1] == '=')
        pad = text[len - 2] == '=' ? 2 : 1;
    for (size_t i = 0; i < len; i += 4) {
        size_t have = i + 4 == len ? 4 - pad : 4;
        uint32_t bits = 0;

        for (size_t j = 0; j < 4; j++) {
            int v = j < have ? value_of(text[i + j]) : 0;

            if (v < 0)
                return false;
            bits = bits << 6 | (uint32_t)v;
        }
        if ((have == 2 && (bits & 0xffff)) || (have == 3 && (bits & 0xff)))
            return false;
        for (size_t j = 0; j + 1 < have; j++)
            out[n++] = (uint8_t)(bits >> (16 - 8 * j));
    }
    *out_len = n;
    return true;
}

void base64_encode(const uint8_t *data, size_t len, char *out)
{
    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)data[i] << 16;

        if (i + 1 < len)
            bits |= (uint32_t)data[i + 1] << 8;
        if (i + 2 < len)
            bits |= data[i + 2];
        *out++ = alphabet[bits >> 18];
        *out++ = alphabet[bits >> 12 & 63];
        *out++ = i + 1 < len ? alphabet[bits >> 6 & 63] : '=';
        *out++ = i + 2 < len ? alphabet[bits & 63] : '=';
    }
}

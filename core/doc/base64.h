/* base64.h - RFC 4648 base64 with padding, strict: one text for each byte string. */
#ifndef DOC_BASE64_H
#define DOC_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BASE64_BYTES(len) (((len) + 2) / 3 * 4) /* of text for `len` bytes */

/* Decode into `out`, which may overlap the text as long as it begins at or before it. */
bool base64_decode(const char *text, size_t len, uint8_t *out, size_t *out_len);
/* Writes BASE64_BYTES(len) characters. */
void base64_encode(const uint8_t *data, size_t len, char *out);

#endif

/* utf8.h - strict UTF-8: no overlong forms, no surrogates, nothing past U+10FFFF. Threads: any. */
#ifndef DOC_UTF8_H
#define DOC_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length (1 to 4) of the character at `p`, which has `avail` > 0 bytes; 0 when it is not one. */
size_t utf8_char_len(const uint8_t *p, size_t avail);
/* Offset of the first byte that begins no character; `len` when all is well. */
size_t utf8_valid_prefix(const uint8_t *p, size_t len);
/* Write `code`, a scalar value; returns 1 to 4. */
size_t utf8_write(uint32_t code, uint8_t *out);

#endif

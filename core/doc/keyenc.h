/*
 * keyenc.h - values as byte strings whose memcmp order is the order of nx_value_compare.
 *
 * Equal values have one encoding: an integer within int64, else a double, else a decimal. Every
 * encoding ends by itself, so encodings may follow each other in one key, and none is a proper
 * prefix of another. Format: FORMAT.md, "Value keys".
 *
 * Threads: pure functions.
 */
#ifndef DOC_KEYENC_H
#define DOC_KEYENC_H

#include <nexadb/buf.h>
#include <nexadb/value.h>

#define KEYENC_VERSION 1 /* recorded by whoever stores keys */

/* Append the encoding of a checked value. Fails with NX_ENOMEM. */
enum nx_code keyenc_append(struct nx_buf *out, const struct nx_value *value);
/* The same with all bits flipped: the order reversed. Undo with keyenc_flip. */
enum nx_code keyenc_append_descending(struct nx_buf *out, const struct nx_value *value);
void keyenc_flip(uint8_t *bytes, size_t len);

/* Length of the encoding at the front of `key`; 0 when it is cut off or not one. Checks structure.
 */
size_t keyenc_length(struct nx_slice key);
/*
 * Put the value at the front of `key` under `name` and tell its length. NX_ECORRUPT for bytes that
 * keyenc_append never makes, NX_ENOMEM. (Missing and undefined decode as undefined.)
 */
enum nx_code keyenc_decode(struct nx_slice key, struct nx_builder *b, const char *name,
                           size_t name_len, size_t *used);

#endif

/*
 * bson.h - the byte form of one BSON value: its extent, and its view.
 *
 * Threads: pure functions. Format: bsonspec.org/spec.html, version 1.1.
 */
#ifndef DOC_BSON_H
#define DOC_BSON_H

#include <stdbool.h>
#include <stddef.h>

#include <nexadb/value.h>

#define BSON_MIN_BYTES 5u /* {}: a length and a NUL */
#define BSON_BAD ((size_t)-1)

/* True for a byte that names a type which may stand in a document. */
bool bson_type_known(uint8_t type);

/*
 * View the value of `type` whose payload begins at `p`, with `avail` bytes before the end of its
 * document. Returns the payload's length, or BSON_BAD when it does not fit or its inner lengths
 * contradict each other. Looks at lengths only: not at UTF-8, not inside documents.
 */
size_t bson_value_view(uint8_t type, const uint8_t *p, size_t avail, struct nx_value *out);

/* The same length, for walking past a value: only that it ends within `avail` is looked at. */
size_t bson_value_skip(uint8_t type, const uint8_t *p, size_t avail);

/* The parts of a CODEWSCOPE payload that bson_value_view accepted. */
void bson_codewscope_parts(const struct nx_value *value, struct nx_slice *code,
                           struct nx_slice *scope);
/* The parts of a DBPOINTER payload: its namespace text and the 12 bytes of its ObjectId. */
void bson_dbpointer_parts(const struct nx_value *value, struct nx_slice *ns, const uint8_t **oid);

#endif

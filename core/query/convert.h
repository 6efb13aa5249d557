/*
 * convert.h - one value as another type: $convert and the shorthands, and the text of any scalar.
 *
 * NX_EEXPR with the value and the reason when there is no such conversion.
 */
#ifndef QUERY_CONVERT_H
#define QUERY_CONVERT_H

#include <nexadb/value.h>

#include "base/arena.h"

/* `to`: a BSON type. null, missing and undefined are the caller's. */
enum nx_code convert_value(struct arena *arena, const struct nx_value *value, uint8_t to,
                           struct nx_value *out, struct nx_err *err);
enum nx_code convert_to_string(struct arena *arena, const struct nx_value *value,
                               struct nx_value *out, struct nx_err *err);
/* "int", 16: the types that can be converted to. */
bool convert_target(const struct nx_value *spec, uint8_t *type);

#endif

/*
 * type_set.h - sets of BSON types by name or number: $type, bsonType and JSON schema's type.
 */
#ifndef QUERY_TYPE_SET_H
#define QUERY_TYPE_SET_H

#include <nexadb/value.h>

enum type_set_form {
    TYPE_SET_BSON,  /* "int", "number", 16, -1, ... */
    TYPE_SET_NAMES, /* the same without numbers */
    TYPE_SET_JSON,  /* "number", "string", "object", "array", "boolean", "null" */
};

static inline bool type_set_has(const uint64_t set[4], uint8_t type)
{
    return (set[type / 64] >> (type % 64)) & 1;
}

/* One name or number, or a non-empty array of them. `what` names the operator in messages. */
enum nx_code type_set_parse(const char *what, const struct nx_value *spec, enum type_set_form form,
                            uint64_t set[4], struct nx_err *err);

#endif

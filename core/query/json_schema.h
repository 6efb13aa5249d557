/*
 * json_schema.h - $jsonSchema: JSON schema draft 4 as MongoDB has it, with bsonType.
 *
 * Threads: immutable after parsing.
 */
#ifndef QUERY_JSON_SCHEMA_H
#define QUERY_JSON_SCHEMA_H

#include <nexadb/value.h>

struct json_schema;

/* Borrows from `spec`, which outlives it. NX_EQUERY names the keyword and what it wanted. */
enum nx_code json_schema_parse(struct nx_slice spec, struct json_schema **out, struct nx_err *err);
void json_schema_free(struct json_schema *schema);
/* NX_EQUERY only when a pattern gives up. */
enum nx_code json_schema_check(const struct json_schema *schema, const struct nx_value *value,
                               bool *valid, struct nx_err *err);

#endif

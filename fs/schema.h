/*
 * schema.h - the fields of a collection, as its documents have them.
 *
 * Memory: bounded, SCHEMA_MAX_PATHS paths; what is beyond is counted as "truncated".
 */
#ifndef FS_SCHEMA_H
#define FS_SCHEMA_H

#include <nexadb/query.h>

#define SCHEMA_MAX_PATHS 2000
#define SCHEMA_MAX_DEPTH 8

/* JSON: {"documents":N,"fields":{"path":{"count","share","types":{"string":N}}}}; elements of
 * arrays are under "path[]". Reads the whole collection. */
enum nx_code schema_infer(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino collection,
                          const struct nx_limits *limits, struct nx_buf *out, struct nx_err *err);

#endif

/*
 * magic_text.h - the texts that .query, .aggregate, .vsearch and .update take, as calls of the
 * query layer.
 *
 * Threads: any; nothing is kept.
 */
#ifndef FS_MAGIC_TEXT_H
#define FS_MAGIC_TEXT_H

#include <nexadb/json.h>
#include <nexadb/query.h>

#include "fs/magic.h"

#define MAGIC_TEXT_MAX_BYTES (16u << 20)

/* How far the text has come: whether it is one request, one value (.query: two). */
enum nx_scan_state magic_text_state(enum magic_kind kind, struct nx_slice text, struct nx_err *err);
/* Open what a complete text asks for (not .update). NX_EJSON, NX_EQUERY and the query layer's own.
 */
enum nx_code magic_text_open(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino dir,
                             enum magic_kind kind, struct nx_slice text,
                             const struct nx_limits *limits, struct nx_cursor **out,
                             struct nx_err *err);
/* What can be wrong with a complete text, of .update too. Reads no document, but for .vsearch,
 * which is run: how many dimensions there are is in the documents. */
enum nx_code magic_text_check(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino dir,
                              enum magic_kind kind, struct nx_slice text,
                              const struct nx_limits *limits, struct nx_err *err);
/* True when the text is a pipeline that ends in $out or $merge. */
bool magic_text_writes(struct nx_slice text);
/* Check the text of .update without running it; run it. */
enum nx_code magic_text_check_update(struct nx_slice text, struct nx_err *err);
enum nx_code magic_text_update(struct nx_db *db, nx_ino dir, struct nx_slice text,
                               const struct nx_change *change, const struct nx_limits *limits,
                               struct nx_update_result *out, struct nx_err *err);

#endif

/* merge.h - laying one document over another: PUT and the JSON merge patch (RFC 7396). */
#ifndef DAEMON_MERGE_H
#define DAEMON_MERGE_H

#include <nexadb/buf.h>
#include <nexadb/error.h>

/* Fields of `patch` in place of those of `base`, new ones at the end. Appends BSON to `out`. */
enum nx_code merge_fields(struct nx_slice base, struct nx_slice patch, struct nx_buf *out,
                          struct nx_err *err);
/* The same at every depth, where null takes a field away. */
enum nx_code merge_patch(struct nx_slice base, struct nx_slice patch, struct nx_buf *out,
                         struct nx_err *err);

#endif

/* json_patch.h - RFC 6902: a list of operations that makes a new document from an old one. */
#ifndef DAEMON_JSON_PATCH_H
#define DAEMON_JSON_PATCH_H

#include <nexadb/buf.h>
#include <nexadb/error.h>

/*
 * Apply the operations of `patch`, a BSON array, to `base`, and append the result to `out`. All or
 * nothing: an operation that cannot be applied fails with NX_EUPDATE (NX_EPRECONDITION for a `test`
 * that does not hold) and its place in err->index.
 */
enum nx_code json_patch(struct nx_slice base, struct nx_slice patch, struct nx_buf *out,
                        struct nx_err *err);

#endif

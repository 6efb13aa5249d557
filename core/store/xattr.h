/*
 * xattr.h - the extended attributes of a node: one record, which lives and dies with it.
 *
 * Changes: under the node's lock (change_node).
 * Format:  FORMAT.md, "Extended attributes".
 */
#ifndef STORE_XATTR_H
#define STORE_XATTR_H

#include "store/tx.h"

/* Whether any node may have some: `db->xattrs`. */
enum nx_code xattr_start(struct nx_db *db, struct nx_err *err);
/* True when a record can be read: names in order, none twice, within the limits. */
bool xattr_is_valid(struct nx_slice record);
/* `to` gets what `from` has, in place of its own. With `from` twice: they stay, though the change
 * deletes the node and makes it again. */
enum nx_code xattr_copy(struct tx *tx, nx_ino from, nx_ino to, struct nx_err *err);
enum nx_code xattr_swap(struct tx *tx, nx_ino a, nx_ino b, struct nx_err *err);

#endif

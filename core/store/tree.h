/*
 * tree.h - walking what is below a directory, inside a change that holds the names lock.
 */
#ifndef STORE_TREE_H
#define STORE_TREE_H

#include "store/tx.h"

/* Called for each plain entry; set *descend to see what is in a directory. */
typedef enum nx_code (*tree_fn)(void *arg, struct tx *tx, nx_ino dir, struct nx_slice name,
                                const struct entry *entry, bool *descend, struct nx_err *err);
/* `directories_only` passes over directories that have no subdirectory, without reading them. */
enum nx_code tree_walk(struct tx *tx, nx_ino top, bool directories_only, tree_fn fn, void *arg,
                       struct nx_err *err);

/* True when `ino` is `top` or below it. */
enum nx_code tree_is_below(struct nx_db *db, nx_ino ino, nx_ino top, bool *out, struct nx_err *err);

/*
 * A directory moves from among collections to below a dot, or back: give everything below it the
 * kind it has there. NX_EXDEV when a document would have to become a file, or a file a document;
 * its own node and entry are the caller's. Every stripe is held.
 */
enum nx_code tree_change_kind(struct tx *tx, nx_ino top, enum nx_kind kind, struct nx_err *err);

#endif

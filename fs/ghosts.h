/*
 * ghosts.h - nodes that lost their last name a moment ago, for those who still have them open: what
 * fstat(2) says of them. Plain files with an open handle are not among them; the store keeps those.
 *
 * Memory:  of a fixed size; a node that is removed may take the place of one removed before.
 * Threads: any.
 */
#ifndef FS_GHOSTS_H
#define FS_GHOSTS_H

#include <nexadb/db.h>

struct ghosts;

struct ghosts *ghosts_new(void); /* NULL without memory */
void ghosts_free(struct ghosts *ghosts);
/* `attr` as it was with its last name; changed `now_ns`. */
void ghosts_add(struct ghosts *ghosts, const struct nx_attr *attr, int64_t now_ns);
bool ghosts_find(struct ghosts *ghosts, nx_ino ino, struct nx_attr *out);

#endif

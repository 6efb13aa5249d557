/*
 * writers.h - which documents have a writing handle, and the times that were set on them before
 * their commit; and which version of a small document the kernel's page cache holds.
 *
 * Threads: any.
 */
#ifndef FS_WRITERS_H
#define FS_WRITERS_H

#include <nexadb/db.h>

struct writers;

struct writers *writers_new(void); /* NULL without memory */
void writers_free(struct writers *writers);
bool writers_enter(struct writers *writers, nx_ino ino); /* false without memory */
void writers_leave(struct writers *writers, nx_ino ino);
bool writers_has(struct writers *writers, nx_ino ino);
/* Times given to utimens while somebody writes: they win over "now" at the commit. A write after it
 * forgets them. `mask` is NX_SET_ATIME, NX_SET_MTIME. */
void writers_set_times(struct writers *writers, nx_ino ino, unsigned mask,
                       const struct nx_attr *times);
unsigned writers_times(struct writers *writers, nx_ino ino, struct nx_attr *times);
void writers_forget_times(struct writers *writers, nx_ino ino);

struct versions;

struct versions *versions_new(void);
void versions_free(struct versions *versions);
/* True when the version opened last of this document was the same: the cached pages are its. */
bool versions_keep(struct versions *versions, nx_ino ino, uint64_t revision);

#endif

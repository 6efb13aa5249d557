/*
 * readers.h - which documents are read through the page cache just now, and in which version.
 *
 * The page cache belongs to the node: while a handle reads one version through it, no handle of
 * another version may, and the kernel must not believe the node's size for long.
 *
 * Threads: any.
 */
#ifndef FS_READERS_H
#define FS_READERS_H

#include <nexadb/db.h>

struct readers;

struct readers *readers_new(void); /* NULL without memory */
void readers_free(struct readers *readers);
/* False when another version is being read so, or without memory: then the page cache is not for
 * this handle, and there is nothing to leave. */
bool readers_enter(struct readers *readers, nx_ino ino, uint64_t revision);
void readers_leave(struct readers *readers, nx_ino ino);
/* True when a version of this document other than `revision` is being read through the page cache.
 */
bool readers_have_other(struct readers *readers, nx_ino ino, uint64_t revision);

#endif

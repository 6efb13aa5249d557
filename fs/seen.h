/*
 * seen.h - which names and nodes the kernel may know: a filter that forgets nothing, so that what
 * it was never told of need not be taken back from it.
 *
 * Threads: any. The order that matters: an answer is marked here before it asks whether the
 * generation is still the one it was prepared with; a change moves the generation before it asks
 * here. So one of the two sees the other.
 */
#ifndef FS_SEEN_H
#define FS_SEEN_H

#include <stdbool.h>

#include <nexadb/db.h>

struct seen;

struct seen *seen_new(void); /* NULL without memory */
void seen_free(struct seen *seen);

void seen_mark_node(struct seen *seen, nx_ino ino);
void seen_mark_name(struct seen *seen, nx_ino dir, const char *name);
/* False: the kernel certainly does not know it. */
bool seen_node(struct seen *seen, nx_ino ino);
bool seen_name(struct seen *seen, nx_ino dir, const char *name);

#endif

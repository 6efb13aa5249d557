/*
 * settle.h - going on once the kernel has heard of a change, without waiting for it for ever.
 *
 * What changes a collection through one of its result directories leaves the kernel with names of
 * the collection that it must be told of first. The kernel tells itself by taking the lock of the
 * collection's directory, which somebody may hold who waits for the result directory that our
 * caller has locked (a rename between the two, which is then refused). So the wait has an end.
 *
 * Threads: any.
 */
#ifndef FS_SETTLE_H
#define FS_SETTLE_H

#include "fs/mount.h"

#define SETTLE_MS 50

/* Call `then` on a query thread, once the notifier has sent all that it had or SETTLE_MS later. */
void settle(struct fs *fs, void (*then)(void *arg), void *arg);

#endif

/*
 * notify.h - takes back what the kernel remembers of changes that came through another door.
 *
 * One thread sends the invalidations: the kernel may hold locks of a directory while a request on
 * it is answered, so a request's own thread must never send one. The queue is bounded: a directory
 * with too many pending names is taken back as a whole.
 *
 * Threads: any. The subscriber's calls only enqueue.
 */
#ifndef FS_NOTIFY_H
#define FS_NOTIFY_H

#include <nexadb/db.h>

struct fs;
struct notifier;

enum nx_code notifier_new(struct fs *fs, struct notifier **out, struct nx_err *err);
/* From the first request on, when there is a kernel to tell. Subscribes to the store. */
enum nx_code notifier_start(struct notifier *notifier, struct nx_err *err);
/* Ends the subscription, answers every drain, joins the thread. */
void notifier_free(struct notifier *notifier);
/* A name whose node the kernel has wrong after our own rename, counted in fs->misnamed: it looks it
 * up again, and is counted no more. */
void notifier_forget_renamed(struct notifier *notifier, nx_ino parent, const char *name);
/* A node whose content or attributes changed by our own hand, without a request that tells the
 * kernel. */
void notifier_forget_node(struct notifier *notifier, nx_ino ino);
/* Call `done` when all that was handed over so far has reached the kernel. */
void notifier_drain(struct notifier *notifier, nx_commit_fn done, void *arg);

#endif

/*
 * workers.h - the threads that take requests from the kernel.
 *
 * Ours, not libfuse's loop: they can be ended from outside while they wait in the device.
 */
#ifndef FS_WORKERS_H
#define FS_WORKERS_H

#include "fs/mount.h"

struct workers;

/* `gone` is called on a thread of its own, once, when the kernel has ended the session. */
enum nx_code workers_start(struct fs *fs, unsigned count, void (*gone)(struct fs *fs),
                           struct workers **out, struct nx_err *err);
/* True when the session ended by itself within `ms`. */
bool workers_wait(struct workers *workers, unsigned ms);
/* End them and wait for the requests they are on. */
void workers_free(struct workers *workers);

#endif

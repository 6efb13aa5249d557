/*
 * loop.h - the threads that take requests from the kernel.
 *
 * Ours, not libfuse's loop: they can be ended from outside while they wait in the device.
 */
#ifndef FS_LOOP_H
#define FS_LOOP_H

#include "fs/mount.h"

struct loop;

/* `gone` is called on a thread of its own, once, when the kernel has ended the session. */
enum nx_code loop_start(struct fs *fs, unsigned count, void (*gone)(struct fs *fs),
                        struct loop **out, struct nx_err *err);
/* True when the session ended by itself within `ms`. */
bool loop_wait(struct loop *loop, unsigned ms);
/* End them and wait for the requests they are on. */
void loop_free(struct loop *loop);

#endif

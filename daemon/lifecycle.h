/*
 * lifecycle.h - the process: going to the background, signals, and where a mount's daemon is.
 *
 * Threads: main only, but for lifecycle_end.
 */
#ifndef DAEMON_LIFECYCLE_H
#define DAEMON_LIFECYCLE_H

#include <stdbool.h>
#include <sys/types.h>

#include <nexadb/error.h>

/*
 * Fork before any thread runs. In the child it returns, true in *child, and lifecycle_ready must
 * follow; in the parent it returns once the child is ready or has failed, with the exit status in
 * *status.
 */
enum nx_code lifecycle_detach(bool *child, int *status, struct nx_err *err);
/* Tell the waiting parent, if there is one: it prints the text to stdout and ends with 0, or to
 * stderr and 1 when `failed`. */
void lifecycle_ready(const char *text, bool failed);

/* Before any thread: SIGTERM, SIGINT and SIGHUP wait for lifecycle_wait; SIGPIPE is ignored. */
void lifecycle_block_signals(void);
/* Until a signal or lifecycle_end; returns its name. A second signal ends the process at once. */
const char *lifecycle_wait(void);
/* Make lifecycle_wait return; from any thread. */
void lifecycle_end(void);

/* --- which daemon serves a mount point -------------------------------------------------------- */

struct mount_record {
    char *datadir; /* owned */
    pid_t pid;
};
enum nx_code mount_record_write(const char *mountpoint, const char *datadir, struct nx_err *err);
/* NX_ENOTFOUND when no living daemon is known there. */
enum nx_code mount_record_read(const char *mountpoint, struct mount_record *out,
                               struct nx_err *err);
void mount_record_remove(const char *mountpoint);
void mount_record_fini(struct mount_record *record);
/* Wait until a process is gone; false after `timeout_ms`. */
bool process_wait(pid_t pid, int timeout_ms);
/* Killed, but a thread of it is still inside the kernel, with all of its files open. */
bool process_is_dying(pid_t pid);

#endif

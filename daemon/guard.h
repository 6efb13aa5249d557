/*
 * guard.h - a process beside the daemon that outlives its kill -9 and sets the mount free.
 *
 * A daemon that is killed while a thread of it waits in the kernel for a lock that a program holds,
 * which waits for the daemon, never ends: that thread keeps the mount's connection open and the
 * data directory locked (docs/decisions/0070). The guard is told when the daemon's main thread is
 * gone and aborts the connection.
 *
 * Threads: main only; what starts the guard must be the thread that lives as long as the daemon.
 */
#ifndef DAEMON_GUARD_H
#define DAEMON_GUARD_H

#include <sys/types.h>

#include <nexadb/error.h>

struct guard {
    pid_t pid; /* 0: none */
    int fd;    /* to it; -1: none */
};
#define GUARD_NONE                                                                                 \
    {                                                                                              \
        0, -1                                                                                      \
    }

/* Fork it, before any thread runs and before any file is open that it should not keep. */
enum nx_code guard_start(struct guard *guard, struct nx_err *err);
/* Give it the mount to watch over. When that fails it has ended, and the next mount of the same
 * mount point is what aborts a connection that a killed daemon holds. */
enum nx_code guard_watch(struct guard *guard, const char *mountpoint, struct nx_err *err);
/* End it; the mount is left alone. */
void guard_stop(struct guard *guard);

/* Abort the connection of a mount whose daemon cannot end. */
void guard_abort(const char *mountpoint);

#endif

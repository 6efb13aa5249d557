/*
 * caller.h - who sent a request, as /proc knows it.
 *
 * Threads: any. The kernel gives thread ids; 0 stands for what /proc does not show.
 */
#ifndef FS_CALLER_H
#define FS_CALLER_H

#include <stdbool.h>
#include <sys/types.h>

#include <nexadb/db.h>

pid_t caller_process(pid_t thread); /* the process that a thread belongs to */
pid_t caller_session(pid_t thread); /* its session id */
/* True when the two threads are of one process. */
bool caller_is_same_process(pid_t a, pid_t b);
/* Whether permission bits allow `mask` (R_OK | W_OK). Group membership beyond gid is the kernel's
 * to check (default_permissions); this is for the mount of a single user. */
bool caller_may(uid_t uid, gid_t gid, const struct nx_attr *attr, int mask);

#endif

/*
 * echo.h - inotify events for changes that came through another door.
 *
 * The kernel tells watchers of what is done through the mount, and of nothing else. So a thread of
 * the daemon does it once more through the mount, after the fact: it creates, writes to, removes
 * and renames what REST has created, written, removed and renamed. Its requests are known by their
 * thread and answered without touching the store: the kernel sees the call succeed and notifies.
 *
 * Threads: echo_event only enqueues; the requests come on the workers.
 */
#ifndef FS_ECHO_H
#define FS_ECHO_H

#include "fs/mount.h"

struct echo;

/* NULL in *out when the mount does without. */
enum nx_code echo_new(struct fs *fs, struct echo **out, struct nx_err *err);
/* Once the mount answers. */
enum nx_code echo_start(struct echo *echo, struct nx_err *err);
/* Join the thread, while the workers still answer. Accepts NULL, as the next. */
void echo_stop(struct echo *echo);
void echo_free(struct echo *echo);
/* A change of another door: on its thread, perhaps under the store's locks. */
void echo_event(struct echo *echo, const struct nx_event *event);

/* Requests: those of the echo are answered here, all others go on to names.c and files.c. */
void echo_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void echo_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);
void echo_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                 struct fuse_file_info *file);
void echo_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void echo_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void echo_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void echo_rename(fuse_req_t req, fuse_ino_t from_parent, const char *from, fuse_ino_t to_parent,
                 const char *to, unsigned flags);

#endif

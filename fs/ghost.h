/*
 * ghost.h - inotify events for changes that came through another door.
 *
 * The kernel tells watchers of what is done through the mount, and of nothing else. So a thread of
 * the daemon does it once more through the mount, after the fact: it creates, writes to, removes
 * and renames what REST has created, written, removed and renamed. Its requests are known by their
 * thread and answered without touching the store: the kernel sees the call succeed and notifies.
 *
 * Threads: ghost_event only enqueues; the requests come on the workers.
 */
#ifndef FS_GHOST_H
#define FS_GHOST_H

#include "fs/mount.h"

struct ghost;

/* NULL in *out when the mount does without. */
enum nx_code ghost_new(struct fs *fs, struct ghost **out, struct nx_err *err);
/* Once the mount answers. */
enum nx_code ghost_start(struct ghost *ghost, struct nx_err *err);
/* Join the thread, while the workers still answer. Accepts NULL, as the next. */
void ghost_stop(struct ghost *ghost);
void ghost_free(struct ghost *ghost);
/* A change of another door: on its thread, perhaps under the store's locks. */
void ghost_event(struct ghost *ghost, const struct nx_event *event);

/* Requests: those of the ghost are answered here, all others go on to names.c and files.c. */
void ghost_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void ghost_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);
void ghost_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                  struct fuse_file_info *file);
void ghost_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void ghost_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void ghost_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void ghost_rename(fuse_req_t req, fuse_ino_t from_parent, const char *from, fuse_ino_t to_parent,
                  const char *to, unsigned flags);

#endif

/* snapshots.h - the folder .snapshots: its names, and what mkdir, rmdir and mv do there. */
#ifndef FS_SNAPSHOTS_H
#define FS_SNAPSHOTS_H

#include "fs/mount.h"

/* Is this the folder's number? */
bool snapshots_is_folder(fuse_ino_t ino);
void snapshots_lookup(fuse_req_t req, const char *name);
/* The next in order of numbers after `*number`, which becomes its own. NX_DONE. */
enum nx_code snapshots_next(struct fs *fs, uint32_t *number, char name[NX_SNAPSHOT_NAME_MAX + 1],
                            struct nx_attr *out);

/* Each answers the request from a query thread: the disk is waited for. */
void snapshots_mkdir(fuse_req_t req, const char *name);
void snapshots_rmdir(fuse_req_t req, const char *name);
void snapshots_rename(fuse_req_t req, const char *from, const char *to);

#endif

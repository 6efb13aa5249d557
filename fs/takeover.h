/* takeover.h - what is at a mount point before we mount, and taking a mount away. */
#ifndef FS_TAKEOVER_H
#define FS_TAKEOVER_H

#include <nexadb/error.h>

/*
 * Make `mountpoint` ready: a directory without a live mount of ours. A mount that a dead daemon
 * left is removed. NX_ENOTFOUND, NX_ENOTDIR, NX_EACCES, NX_EBUSY, NX_EUNSUPPORTED (no /dev/fuse).
 */
enum nx_code takeover_prepare(const char *mountpoint, struct nx_err *err);
/* Take the mount out of the tree, now; who has files open keeps them until the session ends. */
void takeover_detach(const char *mountpoint);

#endif

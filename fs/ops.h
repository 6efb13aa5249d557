/* ops.h - the table of requests. */
#ifndef FS_OPS_H
#define FS_OPS_H

#include "fs/mount.h"

extern const struct fuse_lowlevel_ops fs_ops;

#endif

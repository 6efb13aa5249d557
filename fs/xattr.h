/*
 * xattr.h - requests about extended attributes.
 *
 * Without `-o xattr` they are answered ENOSYS, after which the kernel asks no more: it would before
 * every first write, and `ls -l` for every file.
 */
#ifndef FS_XATTR_H
#define FS_XATTR_H

#include "fs/mount.h"

void xattr_get(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void xattr_set(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
               int flags);
void xattr_list(fuse_req_t req, fuse_ino_t ino, size_t size);
void xattr_remove(fuse_req_t req, fuse_ino_t ino, const char *name);

#endif

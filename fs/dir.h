/* dir.h - requests on open directories. */
#ifndef FS_DIR_H
#define FS_DIR_H

#include "fs/mount.h"

void dir_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);
void dir_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
              struct fuse_file_info *file);
void dir_read_plus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                   struct fuse_file_info *file);
void dir_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);
void dir_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *file);

#endif

/* files.h - requests on open files and on attributes. */
#ifndef FS_FILES_H
#define FS_FILES_H

#include "fs/mount.h"
#include "fs/place.h"

void files_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);
void files_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                struct fuse_file_info *file);
void files_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t len, off_t offset,
                 struct fuse_file_info *file);
void files_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);
void files_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *file);
void files_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);
void files_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);
void files_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *values, int mask,
                   struct fuse_file_info *file);
void files_statfs(fuse_req_t req, fuse_ino_t ino);
void files_allocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t len,
                    struct fuse_file_info *file);
void files_seek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
                struct fuse_file_info *file);

/* The handle of an open or a create goes to file->fh, with how the kernel is to read it. Its flags
 * are file->flags. NX_ENOMEM, NX_EUNSUPPORTED for what is not opened here. */
enum nx_code files_open_handle(fuse_req_t req, const struct nx_attr *attr,
                               struct fuse_file_info *file, struct nx_err *err);

/* The classes. */
struct handle *document_open_reader(fuse_req_t req, const struct nx_attr *attr,
                                    struct fuse_file_info *file);
/* The same in a snapshot: `place` is left without it on success. The number is the store's. */
struct handle *document_open_past(fuse_req_t req, struct fs_place *place,
                                  struct fuse_file_info *file);
struct handle *plain_open_past(fuse_req_t req, struct fs_place *place, struct fuse_file_info *file);
struct handle *document_open_writer(fuse_req_t req, const struct nx_attr *attr,
                                    struct fuse_file_info *file);
struct handle *plain_open(fuse_req_t req, const struct nx_attr *attr, struct fuse_file_info *file);
/* A document's size set by its path. Answers the request. */
void document_truncate(fuse_req_t req, nx_ino ino, off_t size);

#endif

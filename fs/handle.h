/*
 * handle.h - an open file: a class of functions and what they need.
 *
 * Ownership: made by an open, ended by the kernel's RELEASE, or at the unmount for what is left.
 * Threads:   requests on one handle may overlap; each class says how it orders them.
 */
#ifndef FS_HANDLE_H
#define FS_HANDLE_H

#include <fcntl.h>

#include "fs/mount.h"

struct handle_class {
    void (*read)(struct handle *handle, fuse_req_t req, size_t size, off_t offset);
    void (*write)(struct handle *handle, fuse_req_t req, const char *data, size_t len,
                  off_t offset);
    void (*flush)(struct handle *handle, fuse_req_t req);
    void (*fsync)(struct handle *handle, fuse_req_t req);
    /* NULL, or true when the open version has other attributes than its node (`removed`: that is
     * gone): they are put into `attr`. */
    bool (*attr)(struct handle *handle, bool removed, struct nx_attr *attr);
    void (*resize)(struct handle *handle, fuse_req_t req, off_t size); /* ftruncate */
    /* Of plain files; `mode` as in fallocate(2), `whence` SEEK_DATA or SEEK_HOLE. NULL: none. */
    void (*allocate)(struct handle *handle, fuse_req_t req, int mode, off_t offset, off_t len);
    void (*seek)(struct handle *handle, fuse_req_t req, off_t offset, int whence);
    /* `req` is NULL at the unmount. Answers it and frees the handle. */
    void (*release)(struct handle *handle, fuse_req_t req);
};

struct handle {
    const struct handle_class *class;
    struct fs *fs;
    nx_ino ino;
    int flags;                  /* of open(2) */
    struct handle *prev, *next; /* the mount's list */
};

/* Zeroed memory of `size` bytes that begins with a handle, in the mount's list; NULL without
 * memory. */
void *handle_new(struct fs *fs, size_t size, const struct handle_class *class, nx_ino ino,
                 int flags);
void handle_free(struct handle *handle);
/* Answer an open with the handle in file->fh; released when the caller is gone. */
void handle_reply_open(fuse_req_t req, struct fuse_file_info *file);
/* End a handle: once. It leaves the list at once, though its class may free it later, on another
 * thread. */
void handle_release(struct handle *handle, fuse_req_t req);
/* Release what never reached the kernel. */
void handle_discard(const struct fuse_file_info *file);
/* Release all that is left: at the unmount, when no request runs any more. */
void handle_release_all(struct fs *fs);

static inline struct handle *handle_of(const struct fuse_file_info *file)
{
    return (struct handle *)(uintptr_t)file->fh;
}
/* Everything done to handles so far is seen by the request that follows the answer. */
static inline void handle_publish(struct fs *fs)
{
    atomic_fetch_add_explicit(&fs->order, 1, memory_order_release);
}
static inline struct handle *handle_enter(fuse_req_t req, const struct fuse_file_info *file)
{
    atomic_load_explicit(&fs_of(req)->order, memory_order_acquire);
    return handle_of(file);
}
static inline bool handle_is_writer(const struct handle *handle)
{
    return (handle->flags & O_ACCMODE) != O_RDONLY;
}

/* For classes that have nothing to do there. */
void handle_no_write(struct handle *handle, fuse_req_t req, const char *data, size_t len,
                     off_t offset);
void handle_no_read(struct handle *handle, fuse_req_t req, size_t size, off_t offset);
void handle_no_resize(struct handle *handle, fuse_req_t req, off_t size);
void handle_ok(struct handle *handle, fuse_req_t req); /* flush, fsync */

#endif

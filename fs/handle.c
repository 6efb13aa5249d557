/* handle.c - the list of open files, and what the classes share. */
#include "fs/handle.h"

#include <errno.h>
#include <stdlib.h>

void *handle_new(struct fs *fs, size_t size, const struct handle_class *class, nx_ino ino,
                 int flags)
{
    struct handle *handle = calloc(1, size);

    if (!handle)
        return NULL;
    handle->class = class;
    handle->fs = fs;
    handle->ino = ino;
    handle->flags = flags;
    pthread_mutex_lock(&fs->handles_mu);
    handle->next = fs->handles;
    if (fs->handles)
        fs->handles->prev = handle;
    fs->handles = handle;
    pthread_mutex_unlock(&fs->handles_mu);
    return handle;
}

/* The list's lock is held. */
static void unlist(struct handle *handle)
{
    struct fs *fs = handle->fs;

    if (handle->next)
        handle->next->prev = handle->prev;
    if (handle->prev)
        handle->prev->next = handle->next;
    else if (fs->handles == handle)
        fs->handles = handle->next;
    handle->next = handle->prev = NULL;
}

void handle_free(struct handle *handle)
{
    struct fs *fs = handle->fs;

    pthread_mutex_lock(&fs->handles_mu);
    unlist(handle);
    pthread_mutex_unlock(&fs->handles_mu);
    free(handle);
}

void handle_release(struct handle *handle, fuse_req_t req)
{
    struct fs *fs = handle->fs;

    pthread_mutex_lock(&fs->handles_mu);
    unlist(handle);
    pthread_mutex_unlock(&fs->handles_mu);
    handle->class->release(handle, req);
}

void handle_reply_open(fuse_req_t req, struct fuse_file_info *file)
{
    handle_publish(fs_of(req));
    if (fuse_reply_open(req, file) == -ENOENT)
        handle_discard(file);
}

void handle_discard(const struct fuse_file_info *file)
{
    struct handle *handle = handle_of(file);

    if (handle)
        handle_release(handle, NULL);
}

static struct handle *take_first(struct fs *fs)
{
    struct handle *handle;

    pthread_mutex_lock(&fs->handles_mu);
    handle = fs->handles;
    if (handle)
        unlist(handle);
    pthread_mutex_unlock(&fs->handles_mu);
    return handle;
}

void handle_release_all(struct fs *fs)
{
    struct handle *handle;

    while ((handle = take_first(fs)))
        handle->class->release(handle, NULL);
}

void handle_no_write(struct handle *handle, fuse_req_t req, const char *data, size_t len,
                     off_t offset)
{
    (void)handle, (void)data, (void)len, (void)offset;
    fuse_reply_err(req, EBADF);
}

void handle_no_read(struct handle *handle, fuse_req_t req, size_t size, off_t offset)
{
    (void)handle, (void)size, (void)offset;
    fuse_reply_buf(req, NULL, 0);
}

void handle_no_resize(struct handle *handle, fuse_req_t req, off_t size)
{
    (void)handle, (void)size;
    fuse_reply_err(req, EINVAL);
}

void handle_ok(struct handle *handle, fuse_req_t req)
{
    (void)handle;
    fuse_reply_err(req, 0);
}

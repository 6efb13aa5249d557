/*
 * ops.c - which request goes where, and what the mount agrees on with the kernel.
 *
 * What has no handler is answered ENOSYS by the library, once: COPY_FILE_RANGE (tools fall back to
 * read and write), locks (the kernel keeps them).
 */
#include "fs/ops.h"

#include "fs/dir.h"
#include "fs/echo.h"
#include "fs/files.h"
#include "fs/names.h"
#include "fs/xattr.h"

static void init(void *arg, struct fuse_conn_info *connection)
{
    (void)arg;
    connection->want |= FUSE_CAP_READDIRPLUS & connection->capable;
    /* READDIRPLUS always: attributes come from the scan. Invalidation is the notifier's. The kernel
     * clears setuid itself. Small replies from memory gain nothing from splice. */
    connection->want &= ~(unsigned)(FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_AUTO_INVAL_DATA |
                                    FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_SPLICE_READ |
                                    FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
    connection->max_background = 64;
    connection->congestion_threshold = 48;
}

/* Numbers are the store's: there is nothing to forget. */
static void forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
    (void)ino, (void)lookups;
    fuse_reply_none(req);
}

static void forget_many(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    (void)count, (void)forgets;
    fuse_reply_none(req);
}

const struct fuse_lowlevel_ops fs_ops = {
    .init = init,
    .lookup = echo_lookup,
    .forget = forget,
    .forget_multi = forget_many,
    .getattr = files_getattr,
    .setattr = files_setattr,
    .readlink = names_readlink,
    .mknod = names_mknod,
    .mkdir = echo_mkdir,
    .unlink = echo_unlink,
    .rmdir = echo_rmdir,
    .symlink = names_symlink,
    .rename = echo_rename,
    .link = names_link,
    .open = echo_open,
    .read = files_read,
    .write = files_write,
    .flush = files_flush,
    .release = files_release,
    .fsync = files_fsync,
    .opendir = dir_open,
    .readdir = dir_read,
    .readdirplus = dir_read_plus,
    .releasedir = dir_release,
    .fsyncdir = dir_fsync,
    .statfs = files_statfs,
    .setxattr = xattr_set,
    .getxattr = xattr_get,
    .listxattr = xattr_list,
    .removexattr = xattr_remove,
    .fallocate = files_allocate,
    .lseek = files_seek,
    .create = echo_create,
};

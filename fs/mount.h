/*
 * mount.h - one mount: what its parts share.
 *
 * Threads: set up by session.c before the first request, then constant but for what says otherwise.
 */
#ifndef FS_MOUNT_H
#define FS_MOUNT_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>

#include "fs/fs.h"

struct aways;
struct errors;
struct finds;
struct ghosts;
struct echo;
struct notifier;
struct pool;
struct readers;
struct seen;
struct slots;
struct versions;
struct writers;
struct handle;
struct journals;

/* How long the kernel may keep what it was told: the notifier takes it back when it changes. */
#define FS_LONG_S 86400.0

/* Changes of directories hashed onto this many counters. */
#define FS_CHANGE_SLOTS 4096

struct fs {
    struct nx_db *db; /* outlives the mount */
    struct nx_engine *engine;
    struct fs_options options;
    char *mountpoint;  /* owned */
    uint32_t uid, gid; /* the daemon's */
    uint32_t origin;   /* what our own changes carry */
    fs_ended_fn ended;
    fs_log_fn log;
    void *arg;

    struct fuse_session *session; /* owned, as the rest */
    struct aways *aways;
    struct errors *errors;
    struct finds *finds;
    struct ghosts *ghosts;
    struct echo *echo; /* NULL: no events for what others change */
    struct journals *journals;
    struct notifier *notifier;
    struct pool *pool;
    struct readers *readers;
    struct seen *seen;
    struct slots *slots;
    struct versions *versions;
    struct writers *writers;

    /* Changes seen so far, of anything and of each directory. A reply that was prepared before a
     * change is sent with timeout 0. Adds after the change is visible, loads before a read and
     * before the answer; sequentially consistent, for seen.h. */
    _Atomic uint64_t generation;
    _Atomic uint32_t dir_changes[FS_CHANGE_SLOTS];

    /* Names that our own renames gave another number than the kernel thinks, until it has been
     * told: as long as there are any, it looks documents up by second numbers (decision 0075). */
    _Atomic unsigned misnamed;

    /* What a handle's requests leave each other goes through the kernel, whose order the memory
     * model does not know: handle_publish before an answer, handle_enter after a request. */
    _Atomic uint64_t order;

    pthread_mutex_t handles_mu;
    struct handle *handles; /* guarded by handles_mu: all that are open */

    struct loop *loop; /* owned */
};

static inline _Atomic uint32_t *fs_dir_changes(struct fs *fs, nx_ino dir)
{
    return &fs->dir_changes[(dir * 0x9e3779b97f4a7c15u) >> 52];
}

/* The mount of a request. */
static inline struct fs *fs_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

void fs_log(struct fs *fs, const char *format, ...) NX_PRINTF(2, 3);

#endif

/*
 * magic_handle.h - what the open magic files share: a strand of jobs, a caller, a stream of
 * results.
 *
 * Every request on such a handle becomes a job of its strand, on the query threads; so its fields
 * need no lock.
 */
#ifndef FS_MAGIC_HANDLE_H
#define FS_MAGIC_HANDLE_H

#include <nexadb/query.h>

#include "fs/handle.h"
#include "fs/magic.h"
#include "fs/pool.h"
#include "fs/slot.h"
#include "fs/stream.h"

struct magic_handle;

/* One parked request. */
struct magic_job {
    struct job job;
    struct magic_handle *handle;
    fuse_req_t req; /* NULL: a release at the unmount */
    uint64_t offset;
    size_t size;  /* to read, or of `data` */
    pid_t thread; /* the caller's */
    char data[];
};

/* What a class does with its jobs. Each answers job->req, but for `end`. NULL: success, or no
 * bytes. */
struct magic_ops {
    void (*read)(struct magic_handle *handle, struct magic_job *job);
    void (*write)(struct magic_handle *handle, struct magic_job *job);
    void (*flush)(struct magic_handle *handle, struct magic_job *job);
    void (*end)(struct magic_handle *handle); /* frees what the class added */
};

struct magic_handle {
    struct handle base;
    const struct magic *magic;
    const struct magic_ops *ops;
    nx_ino dir;            /* the store's number */
    fuse_ino_t place;      /* the kernel's, of the same directory */
    struct find_dir *find; /* a reference; NULL: not in a result directory */
    uint32_t uid, gid;
    pid_t opener; /* a thread id */
    struct slot_key slot;
    struct strand strand;
    struct stream stream;
    struct nx_snapshot
        *snapshot;           /* owned; NULL: the newest state. In a named one: from the start */
    struct nx_limits limits; /* canceled by an interrupt */
};

/* `size` bytes that begin with a magic_handle. NULL: `err` says why. */
void *magic_handle_new(struct fs *fs, size_t size, const struct magic *magic,
                       const struct magic_ops *ops, const struct stream_source *source,
                       fuse_ino_t place, fuse_req_t req, int flags, struct nx_err *err);
/* Read the picture of now from here on, unless it is a named one's. */
void magic_handle_pin(struct magic_handle *handle);
void magic_handle_unpin(struct magic_handle *handle);
/* Answer a read from the stream at `offset` (of the result, not of the file). */
void magic_handle_read(struct magic_handle *handle, struct magic_job *job, uint64_t offset);
/* Answer with the errno, after a line in .errors. `text`: what was refused. */
void magic_handle_fail(struct magic_handle *handle, struct magic_job *job, const struct nx_err *err,
                       struct nx_slice text);
/* Answer once the kernel has heard of what this handle changed: 0, or `written` bytes when not 0.
 */
void magic_handle_settle(struct magic_handle *handle, struct magic_job *job, size_t written);

#endif

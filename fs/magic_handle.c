/*
 * magic_handle.c - requests on magic files become jobs, so that no worker of the mount waits for a
 * query.
 */
#include "fs/magic_handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/caller.h"
#include "fs/errno.h"
#include "fs/errors.h"
#include "fs/find.h"
#include "fs/notify.h"
#include "fs/reply.h"

static struct magic_handle *magic_of_handle(struct handle *handle)
{
    return (struct magic_handle *)handle;
}

/* `data` NULL: none. NULL without memory: the request has been answered. */
static struct magic_job *job_new(struct handle *handle, fuse_req_t req,
                                 void (*run)(struct job *job), const char *data, size_t size,
                                 off_t offset)
{
    struct magic_job *job = calloc(1, sizeof *job + (data ? size : 0));

    if (!job) {
        if (req)
            fuse_reply_err(req, ENOMEM);
        return NULL;
    }
    job->job.run = run;
    job->handle = magic_of_handle(handle);
    job->req = req;
    job->offset = (uint64_t)offset;
    job->size = size;
    job->thread = req ? fuse_req_ctx(req)->pid : 0;
    if (data)
        memcpy(job->data, data, size);
    return job;
}

static void submit(struct handle *handle, struct magic_job *job)
{
    if (job)
        pool_submit(handle->fs->pool, &magic_of_handle(handle)->strand, &job->job);
}

/* --- reads ------------------------------------------------------------------------------------ */

static void on_interrupt(fuse_req_t req, void *arg)
{
    struct magic_handle *handle = arg;

    (void)req;
    atomic_store_explicit(&handle->stream.canceled, true, memory_order_relaxed);
}

static void run_read(struct job *job)
{
    struct magic_job *parked = (struct magic_job *)job;
    struct magic_handle *handle = parked->handle;

    atomic_store_explicit(&handle->stream.canceled, false, memory_order_relaxed);
    fuse_req_interrupt_func(parked->req, on_interrupt, handle);
    handle->ops->read(handle, parked);
    free(parked);
}

void magic_handle_read(struct magic_handle *handle, struct magic_job *job, uint64_t offset)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_slice out;

    if (stream_read(&handle->stream, offset, job->size, &out, &err) == NX_OK)
        fuse_reply_buf(job->req, (const char *)out.data, out.len);
    else if (err.code == NX_ECANCELED)
        fuse_reply_err(job->req, EINTR);
    else
        magic_handle_fail(handle, job, &err, NX_SLICE_NULL);
}

static void submit_read(struct handle *handle, fuse_req_t req, size_t size, off_t offset)
{
    submit(handle, job_new(handle, req, run_read, NULL, size, offset));
}

/* --- writes, flushes -------------------------------------------------------------------------- */

/* A read that was interrupted is over: what comes next is not. */
static void forget_interrupt(struct magic_handle *handle)
{
    atomic_store_explicit(&handle->stream.canceled, false, memory_order_relaxed);
}

static void run_write(struct job *job)
{
    struct magic_job *parked = (struct magic_job *)job;

    forget_interrupt(parked->handle);
    parked->handle->ops->write(parked->handle, parked);
    free(parked);
}

static void submit_write(struct handle *handle, fuse_req_t req, const char *data, size_t len,
                         off_t offset)
{
    if (magic_of_handle(handle)->ops->write)
        submit(handle, job_new(handle, req, run_write, data, len, offset));
    else
        fuse_reply_write(req, len); /* .errors: what clears it is the truncation */
}

static void run_flush(struct job *job)
{
    struct magic_job *parked = (struct magic_job *)job;

    forget_interrupt(parked->handle);
    parked->handle->ops->flush(parked->handle, parked);
    free(parked);
}

static void submit_flush(struct handle *handle, fuse_req_t req)
{
    if (magic_of_handle(handle)->ops->flush)
        submit(handle, job_new(handle, req, run_flush, NULL, 0, 0));
    else
        fuse_reply_err(req, 0);
}

static void sync_all(struct handle *handle, fuse_req_t req)
{
    (void)handle;
    reply_when_synced(req, "fsync");
}

static void ignore_resize(struct handle *handle, fuse_req_t req, off_t size)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr;

    (void)size;
    if (magic_stat(handle->fs, handle->ino, &attr, &err) == NX_OK)
        reply_attr(req, &attr, 0);
    else
        reply_fail(req, "ftruncate", &err);
}

void magic_handle_fail(struct magic_handle *handle, struct magic_job *job, const struct nx_err *err,
                       struct nx_slice text)
{
    struct fs *fs = handle->base.fs;

    if (err->code != NX_ENODATA)
        errors_add(fs->errors, handle->place, handle->magic->name, err, text);
    if (fs_errno_is_internal(err->code))
        fs_log(fs, "%s of directory %ju: %s", handle->magic->name, (uintmax_t)handle->dir,
               err->message);
    fuse_reply_err(job->req, fs_errno(err->code));
}

struct settling {
    fuse_req_t req;
    size_t written;
};

static void settled(void *arg, const struct nx_err *error)
{
    struct settling *settling = arg;

    (void)error;
    if (settling->written > 0)
        fuse_reply_write(settling->req, settling->written);
    else
        fuse_reply_err(settling->req, 0);
    free(settling);
}

void magic_handle_settle(struct magic_handle *handle, struct magic_job *job, size_t written)
{
    struct settling *settling = malloc(sizeof *settling);

    if (!settling) {
        fuse_reply_err(job->req, ENOMEM);
        return;
    }
    *settling = (struct settling){job->req, written};
    notifier_drain(handle->base.fs->notifier, settled, settling);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void handle_end(struct magic_handle *handle)
{
    stream_fini(&handle->stream); /* stops the source, which the class still has */
    if (handle->ops->end)
        handle->ops->end(handle);
    if (handle->snapshot)
        nx_snapshot_release(handle->snapshot);
    find_put(handle->find);
    handle_free(&handle->base);
}

static void run_release(struct job *job)
{
    struct magic_job *parked = (struct magic_job *)job;

    handle_end(parked->handle);
    if (parked->req)
        fuse_reply_err(parked->req, 0);
    free(parked);
}

static void submit_release(struct handle *handle, fuse_req_t req)
{
    struct magic_job *job = job_new(handle, req, run_release, NULL, 0, 0);

    if (!job)
        return; /* without memory the handle stays until the unmount */
    job->job.ends_strand = true;
    submit(handle, job);
}

static const struct handle_class magic_handle_class = {
    .read = submit_read,
    .write = submit_write,
    .flush = submit_flush,
    .fsync = sync_all,
    .resize = ignore_resize,
    .release = submit_release,
};

static bool caller_may_read(void *arg, const struct nx_attr *attr)
{
    const struct magic_handle *handle = arg;

    return caller_may(handle->uid, handle->gid, attr, 4);
}

void magic_handle_pin(struct magic_handle *handle)
{
    if (!handle->snapshot)
        handle->snapshot = nx_snapshot_take(handle->base.fs->engine);
}

void magic_handle_unpin(struct magic_handle *handle)
{
    if (place_snapshot(handle->place))
        return;
    nx_snapshot_release(handle->snapshot);
    handle->snapshot = NULL;
}

void *magic_handle_new(struct fs *fs, size_t size, const struct magic *magic,
                       const struct magic_ops *ops, const struct stream_source *source,
                       fuse_ino_t place, fuse_req_t req, int flags, struct nx_err *err)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    fuse_ino_t ino = magic_ino(magic_kind_of(magic), place);
    struct find_dir *find = place_is_find(place) ? find_get(fs, place) : NULL;
    struct magic_handle *handle;
    struct fs_place at;

    if (find)
        place = find->base;
    if (place_open(fs, place, &at, err) != NX_OK) {
        find_put(find);
        return NULL;
    }
    handle = handle_new(fs, size, &magic_handle_class, ino, flags);
    if (!handle) {
        place_close(&at);
        find_put(find);
        nx_fail_nomem(err);
        return NULL;
    }
    handle->find = find;
    handle->magic = magic;
    handle->ops = ops;
    handle->dir = at.ino;
    handle->place = place;
    handle->snapshot = place_take(&at);
    handle->uid = caller->uid;
    handle->gid = caller->gid;
    handle->opener = caller->pid;
    handle->slot = (struct slot_key){.dir = place,
                                     .file = magic_kind_of(magic),
                                     .uid = caller->uid,
                                     .session = caller_session(caller->pid)};
    stream_init(&handle->stream, source, handle, nx_db_io(fs->db));
    handle->limits.memory_bytes = fs->options.query_memory_bytes;
    handle->limits.time_ms = fs->options.query_time_ms;
    handle->limits.idle_ns = &handle->stream.idle_ns; /* a pager may keep a result open for long */
    handle->limits.canceled = &handle->stream.canceled;
    handle->limits.read_only = fs->options.read_only || handle->snapshot;
    if (fs->options.allow_other && caller->uid != 0) {
        handle->limits.visible = caller_may_read;
        handle->limits.arg = handle;
    }
    return handle;
}

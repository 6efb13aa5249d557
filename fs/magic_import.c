/*
 * magic_import.c - .import: any amount of documents in, by the batches of the transfer layer.
 *
 * A bad line fails the write that holds it; what stood before it is in, nothing after it. The
 * counts of the last import are in the caller's slot, as the result of a query.
 */
#include <stdio.h>

#include <nexadb/transfer.h>

#include "fs/caller.h"
#include "fs/magic_handle.h"

struct import {
    struct magic_handle base;
    struct nx_import *import; /* owned; NULL until the first write, and after the last */
    struct nx_buf answer;     /* owned; the counts */
};

static struct import *import_of(struct magic_handle *handle)
{
    return (struct import *)handle;
}

/* --- what a read gives ------------------------------------------------------------------------ */

static enum nx_code start_answer(void *arg, struct nx_err *err)
{
    struct import *import = arg;

    if (import->answer.len > 0)
        return NX_OK;
    return nx_fail(err, NX_ENODATA, "nothing has been imported in this session");
}

static enum nx_code next_answer(void *arg, size_t want, struct nx_buf *out, struct nx_err *err)
{
    struct import *import = arg;

    (void)want;
    if (nx_buf_append(out, import->answer.data, import->answer.len) != NX_OK)
        return nx_fail_nomem(err);
    return NX_DONE;
}

static void stop_answer(void *arg)
{
    (void)arg;
}

static const struct stream_source answer = {start_answer, next_answer, stop_answer};

/* --- jobs ------------------------------------------------------------------------------------- */

static void take_counts(struct import *import)
{
    struct nx_import_result result;

    nx_import_get_result(import->import, &result);
    nx_buf_clear(&import->answer);
    nx_buf_printf(&import->answer, "{\"inserted\":%ju,\"replaced\":%ju,\"rejected\":%ju}\n",
                  (uintmax_t)result.inserted, (uintmax_t)result.replaced,
                  (uintmax_t)result.rejected);
    slots_set(import->base.base.fs->slots, &import->base.slot, nx_buf_slice(&import->answer), NULL);
    nx_import_close(import->import);
    import->import = NULL;
}

static enum nx_code begin(struct import *import, struct nx_err *err)
{
    struct magic_handle *handle = &import->base;
    struct fs *fs = handle->base.fs;
    struct nx_import_options options = {.collection = handle->dir, .format = NX_IMPORT_JSON};
    struct nx_change change = {.durability = fs->options.sync ? NX_SYNC : NX_BUFFERED,
                               .uid = handle->uid,
                               .gid = handle->gid};

    stream_reset(&handle->stream);
    return nx_import_open(fs->db, &options, &change, &import->import, err);
}

static void write_import(struct magic_handle *handle, struct magic_job *job)
{
    struct import *import = import_of(handle);
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc = import->import ? NX_OK : begin(import, &err);

    if (rc == NX_OK)
        rc = nx_import_feed(import->import, job->data, job->size, &err);
    if (rc == NX_OK) {
        fuse_reply_write(job->req, job->size);
        return;
    }
    if (import->import)
        take_counts(import);
    magic_handle_fail(handle, job, &err, NX_SLICE_NULL);
}

/* The end of the text for the process that opened it; a child's close is not. */
static void flush_import(struct magic_handle *handle, struct magic_job *job)
{
    struct import *import = import_of(handle);
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc;

    if (!import->import || !caller_is_same_process(job->thread, handle->opener)) {
        fuse_reply_err(job->req, 0);
        return;
    }
    rc = nx_import_finish(import->import, &err);
    take_counts(import);
    if (rc == NX_OK)
        magic_handle_settle(handle, job, 0);
    else
        magic_handle_fail(handle, job, &err, NX_SLICE_NULL);
}

static void read_import(struct magic_handle *handle, struct magic_job *job)
{
    magic_handle_read(handle, job, job->offset);
}

/* Closed by another process than its opener: the rest is taken now, with nobody to tell. */
static void end_import(struct magic_handle *handle)
{
    struct import *import = import_of(handle);
    struct nx_err err = NX_ERR_INIT;

    if (import->import) {
        if (nx_import_finish(import->import, &err) != NX_OK)
            fs_log(handle->base.fs, ".import of directory %ju: %s", (uintmax_t)handle->dir,
                   err.message);
        take_counts(import);
    }
    nx_buf_fini(&import->answer);
}

static const struct magic_ops import_ops = {read_import, write_import, flush_import, end_import};

struct handle *magic_import_open(struct fs *fs, const struct magic *magic, nx_ino dir,
                                 fuse_req_t req, int flags, struct nx_err *err)
{
    struct import *import =
        magic_handle_new(fs, sizeof *import, magic, &import_ops, &answer, dir, req, flags, err);

    if (!import)
        return NULL;
    slots_get(fs->slots, &import->base.slot, &import->answer, NULL, NULL);
    return &import->base.base;
}

/*
 * magic_changes.c - .changes: the change feed as a file that grows, for cat and tail -f.
 *
 * The one magic file with a size: who follows a file asks for it. It is counted on a query thread,
 * and never kept by the kernel.
 */
#include <errno.h>
#include <stdlib.h>

#include "fs/journal.h"
#include "fs/magic_handle.h"
#include "fs/reply.h"

struct changes {
    struct magic_handle base;
    struct journal_reader reader;
};

static nx_ino collection_of(nx_ino dir)
{
    return dir == NX_ROOT_INO ? 0 : dir;
}

/* --- size ------------------------------------------------------------------------------------- */

struct measuring {
    struct job job;
    struct strand strand;
    fuse_req_t req;
    struct nx_attr attr;
};

static enum nx_code measure(struct fs *fs, struct nx_attr *attr, struct nx_err *err)
{
    struct journal *journal;
    enum nx_code rc = journal_get(fs->journals, collection_of(magic_dir(attr->ino)), &journal, err);

    if (rc != NX_OK)
        return rc;
    rc = journal_size(journal, &attr->size, err);
    journal_put(journal);
    return rc;
}

static void run_measuring(struct job *job)
{
    struct measuring *measuring = (struct measuring *)job;
    struct nx_err err = NX_ERR_INIT;

    if (measure(fs_of(measuring->req), &measuring->attr, &err) == NX_OK)
        reply_attr(measuring->req, &measuring->attr,
                   atomic_load(&fs_of(measuring->req)->generation) - 1);
    else
        reply_fail(measuring->req, "getattr", &err);
    free(measuring);
}

void magic_changes_getattr(fuse_req_t req, const struct nx_attr *attr)
{
    struct measuring *measuring = calloc(1, sizeof *measuring);

    if (!measuring) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    measuring->job = (struct job){.run = run_measuring, .ends_strand = true};
    measuring->req = req;
    measuring->attr = *attr;
    pool_submit(fs_of(req)->pool, &measuring->strand, &measuring->job);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void read_changes(struct magic_handle *handle, struct magic_job *job)
{
    struct changes *changes = (struct changes *)handle;
    struct nx_err err = NX_ERR_INIT;
    uint64_t size;
    struct nx_slice out;
    enum nx_code rc = NX_OK;

    if (!changes->reader.feed) /* its marks lead to where it reads */
        rc = journal_size(changes->reader.journal, &size, &err);
    if (rc == NX_OK)
        rc = journal_read(&changes->reader, job->offset, job->size, &out, &err);
    if (rc == NX_OK)
        fuse_reply_buf(job->req, (const char *)out.data, out.len);
    else
        magic_handle_fail(handle, job, &err, NX_SLICE_NULL);
}

static void end_changes(struct magic_handle *handle)
{
    struct changes *changes = (struct changes *)handle;

    journal_reader_fini(&changes->reader);
    journal_put(changes->reader.journal);
}

static const struct magic_ops changes_ops = {.read = read_changes, .end = end_changes};

struct handle *magic_changes_open(struct fs *fs, const struct magic *magic, nx_ino dir,
                                  fuse_req_t req, int flags, struct nx_err *err)
{
    struct changes *changes =
        magic_handle_new(fs, sizeof *changes, magic, &changes_ops, NULL, dir, req, flags, err);

    if (!changes)
        return NULL;
    if (journal_get(fs->journals, collection_of(changes->base.dir), &changes->reader.journal,
                    err) != NX_OK) {
        handle_release(&changes->base.base, NULL);
        return NULL;
    }
    return &changes->base.base;
}

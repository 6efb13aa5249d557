/*
 * document_write.c - writing handles of documents: staged until complete, then one atomic commit.
 *
 *   open/create -> [stage] --write--> [stage] --FLUSH, FSYNC: complete--> committed
 *                     |                  |--FLUSH by the opener, FSYNC: incomplete--> EINVAL, kept
 *                     |                  '--write: impossible--> EINVAL, kept in .rejected/
 *                     '--RELEASE: the last try; what is no document goes to .rejected/
 *
 * FLUSH is not the end of a document: the shell sends one before its first write, and a child
 * process one in the middle. So an incomplete text is an error only to the process that opened the
 * file. Readers and queries see the committed version all the while.
 */
#include <errno.h>
#include <stdlib.h>

#include "fs/away.h"
#include "fs/caller.h"
#include "fs/errno.h"
#include "fs/errors.h"
#include "fs/files.h"
#include "fs/handle.h"
#include "fs/notify.h"
#include "fs/pool.h"
#include "fs/rejected.h"
#include "fs/reply.h"
#include "fs/stage.h"
#include "fs/writers.h"

struct place {
    nx_ino collection;
    struct nx_id id;
};

struct writer {
    struct handle base;
    pthread_mutex_t mu;
    struct stage stage;     /* guarded by mu, as the rest */
    struct nx_write *write; /* owned; what `prepared` is true for, else reusable */
    bool prepared;          /* `write` holds the stage as of `prepared_at`, for `place` */
    uint64_t prepared_at;
    struct place place;
    uint64_t base_revision; /* of the version that was there at the open */
    bool had_document;      /* at the open */
    bool must_be_new;       /* conflict=fail: the base is that there is no document */
    nx_ino rejected_ino;    /* the file in .rejected/ of this handle, 0: none */
    uint64_t rejected_at;   /* the stage's changes that it holds */
    pid_t opener;
    uint32_t uid, gid;
    struct strand strand;
};

static struct writer *writer_of(struct handle *handle)
{
    return (struct writer *)handle;
}

static void writer_free(struct writer *writer)
{
    writers_leave(writer->base.fs->writers, writer->base.ino);
    nx_write_free(writer->write);
    stage_fini(&writer->stage);
    pthread_mutex_destroy(&writer->mu);
    handle_free(&writer->base);
}

/* --- refusing --------------------------------------------------------------------------------- */

struct refusal {
    struct job job;
    struct writer *writer;
    fuse_req_t req; /* NULL: the handle ends with it */
    struct nx_err err;
};

static void answer_refusal(void *arg, const struct nx_err *error)
{
    struct refusal *refusal = arg;

    (void)error;
    fuse_reply_err(refusal->req, fs_errno(refusal->err.code));
    free(refusal);
}

static void document_name(const struct place *place, struct nx_buf *out)
{
    if (nx_id_to_name(&place->id, out) != NX_OK || nx_buf_append_byte(out, 0) != NX_OK)
        nx_buf_clear(out);
}

/* Explain in .errors and keep the bytes, once for each state of the stage. The lock is held. */
static void keep_refused(struct writer *writer, const struct nx_err *why)
{
    struct nx_buf name NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct fs *fs = writer->base.fs;
    struct nx_slice text = nx_buf_slice(&writer->stage.text);
    struct nx_err err = NX_ERR_INIT;
    struct place place;

    if (writer->rejected_at == writer->stage.changes ||
        nx_document_locate(fs->db, NULL, writer->base.ino, &place.collection, &place.id, NULL) !=
            NX_OK)
        return;
    writer->rejected_at = writer->stage.changes;
    document_name(&place, &name);
    if (name.len == 0)
        return;
    errors_add(fs->errors, place.collection, (char *)name.data, why, text);
    if (text.len > 0 && rejected_save(fs, place.collection, (char *)name.data, text, writer->uid,
                                      writer->gid, &writer->rejected_ino, &err) != NX_OK)
        fs_log(fs, "%s: refused text could not be kept: %s", (char *)name.data, err.message);
}

static void run_refusal(struct job *job)
{
    struct refusal *refusal = (struct refusal *)job;
    struct writer *writer = refusal->writer;
    struct fs *fs = writer->base.fs;

    bool known;

    pthread_mutex_lock(&writer->mu);
    known = writer->rejected_at == writer->stage.changes;
    keep_refused(writer, &refusal->err);
    pthread_mutex_unlock(&writer->mu);
    if (refusal->req) {
        notifier_drain(fs->notifier, answer_refusal, refusal); /* .rejected/ can be read */
        return;
    }
    if (!known) /* nobody was told */
        fs_log(fs, "document node %ju: not stored at its last close: %s",
               (uintmax_t)writer->base.ino, refusal->err.message);
    free(refusal);
    writer_free(writer);
}

/* Answer `req` with the error once the bytes are safe. `req` NULL: free the writer then. */
static void refuse(struct writer *writer, fuse_req_t req, const struct nx_err *err)
{
    struct refusal *refusal = calloc(1, sizeof *refusal);

    if (!refusal) {
        if (req)
            fuse_reply_err(req, fs_errno(err->code));
        else
            writer_free(writer);
        return;
    }
    refusal->job.run = run_refusal;
    refusal->job.ends_strand = req == NULL;
    refusal->writer = writer;
    refusal->req = req;
    refusal->err = *err;
    pool_submit(writer->base.fs->pool, &writer->strand, &refusal->job);
}

/* --- preparing and committing; the lock is held ----------------------------------------------- */

static enum nx_code prepare(struct writer *writer, const struct place *place, struct nx_err *err)
{
    struct fs *fs = writer->base.fs;
    struct nx_attr times = {0};
    struct nx_put put = {
        .collection = place->collection,
        .mode = writer->must_be_new ? NX_PUT_INSERT : NX_PUT_UPSERT,
        .id = &place->id,
        .text = nx_buf_slice(&writer->stage.text),
    };
    enum nx_code rc = NX_OK;

    writer->prepared = false;
    if (fs->options.conflict_fail && !writer->must_be_new)
        put.if_revision = writer->base_revision;
    put.attr_mask = writers_times(fs->writers, writer->base.ino, &times);
    if (put.attr_mask)
        put.attr = &times;
    if (!writer->write)
        rc = nx_write_new(fs->db, &writer->write, err);
    if (rc != NX_OK)
        return rc;
    nx_write_clear(writer->write);
    rc = nx_write_put(writer->write, &put, NULL, err);
    if (rc != NX_OK)
        return rc;
    writer->prepared = put.attr_mask == 0;
    writer->prepared_at = writer->stage.changes;
    writer->place = *place;
    return NX_OK;
}

static enum nx_code locate(struct writer *writer, struct place *place, struct nx_err *err)
{
    return nx_document_locate(writer->base.fs->db, NULL, writer->base.ino, &place->collection,
                              &place->id, err);
}

static bool is_prepared_for(struct writer *writer, const struct place *place)
{
    struct nx_attr times;

    return writer->prepared && writer->prepared_at == writer->stage.changes &&
           writer->place.collection == place->collection && writer->place.id.len == place->id.len &&
           memcmp(writer->place.id.key, place->id.key, place->id.len) == 0 &&
           writers_times(writer->base.fs->writers, writer->base.ino, &times) == 0;
}

/* A document that was removed while it was open takes no more bytes, as any file. */
static enum nx_code commit(struct writer *writer, struct nx_change *change, bool *submitted,
                           struct nx_err *err)
{
    struct nx_write_result result;
    struct place place;
    enum nx_code rc = locate(writer, &place, err);

    *submitted = false;
    if (rc == NX_ENOTFOUND) {
        writer->stage.dirty = false;
        return NX_OK;
    }
    if (rc == NX_OK && !is_prepared_for(writer, &place))
        rc = prepare(writer, &place, err);
    if (rc == NX_OK)
        rc = nx_write_commit(writer->write, change, &result, err);
    writer->prepared = false;
    if (rc == NX_EEXISTS && writer->must_be_new)
        rc = nx_fail(err, NX_ECONFLICT, "another writer has made this document meanwhile");
    if (rc != NX_OK)
        return rc;
    *submitted = true;
    writer->stage.dirty = writer->must_be_new = false;
    writer->base_revision = result.attr.revision;
    writer->had_document = true;
    return NX_OK;
}

static bool is_about_text(enum nx_code rc)
{
    return rc == NX_EJSON || rc == NX_EDOC || rc == NX_EID || rc == NX_ETOOBIG ||
           rc == NX_ECONFLICT;
}

/* Answers the request in every case. `durability`: at least the mount's. */
static void commit_and_answer(struct writer *writer, fuse_req_t req, const char *what,
                              enum nx_durability durability)
{
    struct parked *parked = parked_new(req, what, PARKED_STATUS);
    struct nx_err err = NX_ERR_INIT;
    struct nx_change change;
    bool submitted;
    enum nx_code rc;

    if (!parked)
        return;
    change = parked_change(parked);
    if (durability == NX_SYNC)
        change.durability = NX_SYNC;
    rc = commit(writer, &change, &submitted, &err);
    if (is_about_text(rc)) {
        free(parked);
        refuse(writer, req, &err);
    } else if (rc == NX_OK && !submitted) {
        parked_finish_done(parked, NX_OK, NULL, 0);
    } else {
        parked_finish(parked, rc, &err);
    }
}

/* --- requests --------------------------------------------------------------------------------- */

static enum nx_code load(struct writer *writer, struct nx_err *err)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_attr attr;
    enum nx_code rc;

    if (writer->stage.loaded)
        return NX_OK;
    rc = nx_document_text(writer->base.fs->db, NULL, writer->base.ino, &text, &attr, err);
    if (rc != NX_OK && rc != NX_ENOTFOUND)
        return rc;
    return stage_load(&writer->stage, nx_buf_slice(&text), writer->base.flags & O_APPEND, err);
}

static void read_stage(struct handle *handle, fuse_req_t req, size_t size, off_t offset)
{
    struct writer *writer = writer_of(handle);
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc;

    pthread_mutex_lock(&writer->mu);
    rc = load(writer, &err);
    if (rc != NX_OK) {
        reply_fail(req, "read", &err);
    } else if ((uint64_t)offset >= writer->stage.text.len) {
        fuse_reply_buf(req, NULL, 0);
    } else {
        size_t rest = writer->stage.text.len - (size_t)offset;

        fuse_reply_buf(req, (char *)writer->stage.text.data + offset, size < rest ? size : rest);
    }
    pthread_mutex_unlock(&writer->mu);
}

/* The text has just become complete: what its types and keys make impossible shows here too. */
static enum nx_code check_complete(struct writer *writer, struct nx_err *err)
{
    struct place place;
    enum nx_code rc;

    if (!writer->stage.in_order || writer->stage.scanner.result != NX_SCAN_COMPLETE)
        return NX_OK;
    rc = locate(writer, &place, err);
    if (rc == NX_ENOTFOUND)
        return NX_OK;
    return rc == NX_OK ? prepare(writer, &place, err) : rc;
}

static void write_stage(struct handle *handle, fuse_req_t req, const char *data, size_t len,
                        off_t offset)
{
    struct writer *writer = writer_of(handle);
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc;

    pthread_mutex_lock(&writer->mu);
    rc = load(writer, &err);
    if (rc == NX_OK) {
        if (handle->flags & O_APPEND)
            offset = (off_t)writer->stage.text.len; /* the kernel's idea is the committed size */
        writers_forget_times(handle->fs->writers, handle->ino);
        rc = stage_write(&writer->stage, data, len, (uint64_t)offset, &err);
    }
    if (rc == NX_OK)
        rc = check_complete(writer, &err);
    pthread_mutex_unlock(&writer->mu);
    if (rc == NX_OK)
        fuse_reply_write(req, len);
    else if (is_about_text(rc))
        refuse(writer, req, &err);
    else
        reply_fail(req, "write", &err);
}

static void resize_stage(struct handle *handle, fuse_req_t req, off_t size)
{
    struct writer *writer = writer_of(handle);
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr;
    enum nx_code rc;

    pthread_mutex_lock(&writer->mu);
    rc = size == 0 ? NX_OK : load(writer, &err);
    if (rc == NX_OK)
        rc = stage_resize(&writer->stage, (uint64_t)size, &err);
    pthread_mutex_unlock(&writer->mu);
    if (rc == NX_OK)
        rc = nx_db_stat(handle->fs->db, NULL, handle->ino, &attr, &err);
    if (rc == NX_OK)
        reply_attr(req, &attr, 0);
    else
        reply_fail(req, "ftruncate", &err);
}

static enum nx_durability durability_of(const struct handle *handle)
{
    return handle->flags & (O_SYNC | O_DSYNC) ? NX_SYNC : NX_BUFFERED;
}

static void flush_stage(struct handle *handle, fuse_req_t req)
{
    struct writer *writer = writer_of(handle);
    struct nx_err err = NX_ERR_INIT;
    enum stage_state state;

    pthread_mutex_lock(&writer->mu);
    state = writer->stage.dirty ? stage_judge(&writer->stage, &err) : STAGE_EMPTY;
    if (state == STAGE_COMPLETE)
        commit_and_answer(writer, req, "close", durability_of(handle));
    else if (state == STAGE_EMPTY ||
             !caller_is_same_process(fuse_req_ctx(req)->pid, writer->opener))
        fuse_reply_err(req, 0);
    else
        refuse(writer, req, &err);
    pthread_mutex_unlock(&writer->mu);
}

static void fsync_stage(struct handle *handle, fuse_req_t req)
{
    struct writer *writer = writer_of(handle);
    struct nx_err err = NX_ERR_INIT;
    enum stage_state state;

    pthread_mutex_lock(&writer->mu);
    state = writer->stage.dirty ? stage_judge(&writer->stage, &err) : STAGE_EMPTY;
    if (state == STAGE_COMPLETE)
        commit_and_answer(writer, req, "fsync", NX_SYNC);
    else if (state == STAGE_EMPTY)
        reply_when_synced(req, "fsync");
    else
        fuse_reply_err(req, fs_errno(err.code)); /* the stage stays */
    pthread_mutex_unlock(&writer->mu);
}

static void explain_empty(struct writer *writer)
{
    struct nx_buf name NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    struct place place;

    if (!writer->had_document || locate(writer, &place, NULL) != NX_OK)
        return;
    nx_fail(&err, NX_EDOC, "a document is not emptied: it stays as it was; rm deletes it");
    document_name(&place, &name);
    if (name.len > 0)
        errors_add(writer->base.fs->errors, place.collection, (char *)name.data, &err,
                   NX_SLICE_NULL);
}

static void release_done(void *arg, const struct nx_err *error)
{
    if (error)
        fs_log(arg, "document: lost after its last close: %s", error->message);
}

/* Nobody waits for this: what fails is logged. */
static void release_stage(struct handle *handle, fuse_req_t req)
{
    struct writer *writer = writer_of(handle);
    struct fs *fs = handle->fs;
    struct nx_change change = {
        .durability = fs->options.sync ? NX_SYNC : durability_of(handle),
        .uid = writer->uid,
        .gid = writer->gid,
        .origin = fs->origin,
    };
    struct nx_err err = NX_ERR_INIT;
    enum stage_state state = STAGE_EMPTY;
    enum nx_code rc = NX_OK;
    bool submitted;

    if (req)
        fuse_reply_err(req, 0);
    change.done = release_done;
    change.arg = fs;
    pthread_mutex_lock(&writer->mu);
    if (writer->stage.dirty) {
        state = stage_judge(&writer->stage, &err);
        if (state == STAGE_COMPLETE)
            rc = commit(writer, &change, &submitted, &err);
        else if (state == STAGE_EMPTY)
            explain_empty(writer);
    }
    pthread_mutex_unlock(&writer->mu);
    if (rc != NX_OK || state == STAGE_INCOMPLETE || state == STAGE_IMPOSSIBLE)
        refuse(writer, NULL, &err);
    else
        writer_free(writer);
}

static const struct handle_class writer_class = {
    .read = read_stage,
    .write = write_stage,
    .flush = flush_stage,
    .fsync = fsync_stage,
    .resize = resize_stage,
    .release = release_stage,
};

/* No document was there, or one that was renamed away: a backup. */
static bool is_base_absence(struct writer *writer)
{
    struct fs *fs = writer->base.fs;
    struct place place;

    if (!fs->options.conflict_fail || locate(writer, &place, NULL) != NX_OK)
        return false;
    return aways_take(fs->aways, place.collection, &place.id) || !writer->had_document;
}

struct handle *document_open_writer(fuse_req_t req, const struct nx_attr *attr,
                                    struct fuse_file_info *file)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    struct fs *fs = fs_of(req);
    struct writer *writer;

    if (!writers_enter(fs->writers, attr->ino))
        return NULL;
    writer = handle_new(fs, sizeof *writer, &writer_class, attr->ino, file->flags);
    if (!writer) {
        writers_leave(fs->writers, attr->ino);
        return NULL;
    }
    pthread_mutex_init(&writer->mu, NULL);
    stage_init(&writer->stage);
    writer->had_document = attr->kind == NX_KIND_DOCUMENT;
    writer->base_revision = attr->revision;
    writer->must_be_new = is_base_absence(writer);
    writer->opener = caller->pid;
    writer->uid = caller->uid;
    writer->gid = caller->gid;
    if (!writer->had_document || (file->flags & O_TRUNC)) {
        stage_clear(&writer->stage);
        writer->stage.dirty = (file->flags & O_TRUNC) && writer->had_document;
    }
    writer->rejected_at = writer->stage.changes;
    file->direct_io = 1;
    return &writer->base;
}

/* --- truncate(2) ------------------------------------------------------------------------------ */

/* The committed text, cut or extended, must be a document itself. */
static enum nx_code truncate_text(struct fs *fs, nx_ino ino, off_t size, struct nx_buf *text,
                                  struct nx_err *err)
{
    struct nx_attr attr;
    enum nx_code rc = nx_document_text(fs->db, NULL, ino, text, &attr, err);

    if (rc == NX_ENOTFOUND && size == 0)
        return NX_OK; /* a draft is empty already */
    if (rc != NX_OK)
        return rc;
    if (size == 0)
        return nx_fail(err, NX_EDOC, "a document is not emptied; rm deletes it");
    if ((uint64_t)size > NX_DOC_MAX_BYTES)
        return nx_fail(err, NX_ETOOBIG, "a document of %jd bytes: the limit is %u", (intmax_t)size,
                       NX_DOC_MAX_BYTES);
    return nx_buf_resize(text, (size_t)size) == NX_OK ? NX_OK : nx_fail_nomem(err);
}

static enum nx_code put_text(struct parked *parked, const struct place *place, struct nx_slice text,
                             struct nx_err *err)
{
    struct nx_put put = {
        .collection = place->collection, .mode = NX_PUT_REPLACE, .id = &place->id, .text = text};
    struct nx_change change = parked_change(parked);
    struct nx_write_result result;
    struct nx_write *write;
    enum nx_code rc = nx_write_new(parked->fs->db, &write, err);

    if (rc == NX_OK)
        rc = nx_write_put(write, &put, NULL, err);
    if (rc == NX_OK)
        rc = nx_write_commit(write, &change, &result, err);
    if (rc == NX_OK)
        parked->attr = result.attr;
    nx_write_free(write);
    return rc;
}

void document_truncate(fuse_req_t req, nx_ino ino, off_t size)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf name NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct fs *fs = fs_of(req);
    struct nx_err err = NX_ERR_INIT;
    struct parked *parked = parked_new(req, "truncate", PARKED_ATTR);
    struct place place;
    enum nx_code rc;

    if (!parked)
        return;
    rc = nx_document_locate(fs->db, NULL, ino, &place.collection, &place.id, &err);
    if (rc == NX_OK)
        rc = truncate_text(fs, ino, size, &text, &err);
    if (rc == NX_OK && text.len == 0) { /* a draft */
        rc = nx_db_stat(fs->db, NULL, ino, &parked->attr, &err);
        parked_finish_done(parked, rc, &err, 0);
        return;
    }
    if (rc == NX_OK)
        rc = put_text(parked, &place, nx_buf_slice(&text), &err);
    if (is_about_text(rc)) {
        document_name(&place, &name);
        if (name.len > 0)
            errors_add(fs->errors, place.collection, (char *)name.data, &err, nx_buf_slice(&text));
    }
    parked_finish(parked, rc, &err);
}

/*
 * find_list.c - listing a result directory: one query, in its order, an entry for each document.
 *
 * Reads are jobs on the query threads, because finding the next entry may mean reading a million
 * documents. Offsets count entries, so that a seek is a query that skips. The order is that of the
 * picture at the first read; attributes are of now, as the kernel keeps them with the document.
 * Memory: one name, and what the sort of the query may take.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/caller.h"
#include "fs/errno.h"
#include "fs/errors.h"
#include "fs/find.h"
#include "fs/handle.h"
#include "fs/pool.h"
#include "fs/reply.h"
#include "fs/seen.h"

#define DOTS 2
#define PATIENCE_NS 50000000u /* a reader gets what there is after this long */

struct list {
    struct handle base;
    struct find_dir *dir;        /* a reference */
    struct strand strand;        /* orders the jobs, so that what follows needs no lock */
    struct fs_place place;       /* of the collection */
    struct nx_snapshot *picture; /* owned; of a live collection, from the first read on */
    struct nx_cursor *cursor;    /* owned; NULL: none is open */
    uint64_t at;                 /* entries before the cursor, the dots included */
    char name[NX_NAME_MAX + 1];  /* of the entry at the cursor that did not fit; "": none */
    bool ended;
    struct nx_limits limits;
    uint32_t uid, gid;
    atomic_bool canceled; /* relaxed: a hint to stop soon */
    uint64_t idle_ns, left_at;
};

struct list_job {
    struct job job;
    struct list *list;
    fuse_req_t req; /* NULL: a release at the unmount */
    size_t size;
    uint64_t offset;
    bool plus;
};

struct output {
    fuse_req_t req;
    char *data;
    size_t size, used;
    bool plus;
};

/* --- entries ---------------------------------------------------------------------------------- */

static bool add(struct output *out, const char *name, struct fuse_entry_param *entry,
                uint64_t offset)
{
    char *at = out->data + out->used;
    size_t room = out->size - out->used;
    size_t need = out->plus
                      ? fuse_add_direntry_plus(out->req, at, room, name, entry, (off_t)offset)
                      : fuse_add_direntry(out->req, at, room, name, &entry->attr, (off_t)offset);

    if (need > room)
        return false;
    out->used += need;
    return true;
}

static bool add_dot(struct list *list, struct output *out)
{
    struct fuse_entry_param entry = {0}; /* no number: takes no reference */

    entry.attr.st_mode = S_IFDIR;
    entry.attr.st_ino = list->at == 0 ? list->dir->ino : list->dir->parent;
    return add(out, list->at == 0 ? "." : "..", &entry, list->at + 1);
}

/* NX_ENOTFOUND: it is gone since the picture. */
static enum nx_code fill_entry(struct list *list, const char *name, struct fuse_entry_param *entry,
                               struct nx_err *err)
{
    struct fs *fs = list->base.fs;
    uint64_t generation = atomic_load_explicit(&fs->generation, memory_order_acquire);
    struct nx_attr attr;
    enum nx_code rc =
        nx_db_lookup(fs->db, list->place.snapshot, list->place.ino, name, strlen(name), &attr, err);

    if (rc != NX_OK)
        return rc;
    if (find_is_projection(list->dir)) {
        rc = find_file_attr(fs, list->dir, &list->place, &attr, err);
        *entry = (struct fuse_entry_param){.ino = attr.ino, .generation = list->dir->generation};
        if (rc == NX_OK)
            reply_stat(&attr, &entry->attr);
        return rc;
    }
    place_attr(list->place.number, &attr);
    reply_fill_entry(fs, &attr, generation, entry);
    entry->entry_timeout = 0;
    return NX_OK;
}

/* --- the query -------------------------------------------------------------------------------- */

static void close_cursor(struct list *list)
{
    nx_cursor_close(list->cursor);
    list->cursor = NULL;
    list->name[0] = 0;
    list->ended = false;
    list->idle_ns = list->left_at = 0;
}

/* A new picture: of what is listed from its start. */
static void forget_picture(struct list *list)
{
    close_cursor(list);
    nx_snapshot_release(list->picture);
    list->picture = NULL;
}

static enum nx_code open_cursor(struct list *list, uint64_t results, struct nx_err *err)
{
    static const uint8_t only_id[] = {14, 0, 0, 0, NX_TYPE_INT32, '_', 'i', 'd', 0, 1, 0, 0, 0, 0};
    struct fs *fs = list->base.fs;
    struct nx_find find = find_query_of(list->dir);

    if (!list->place.snapshot && !list->picture)
        list->picture = nx_snapshot_take(fs->engine);
    if (!list->place.snapshot && !list->picture)
        return nx_fail_nomem(err);
    find.projection = nx_slice(only_id, sizeof only_id);
    find.skip += results;
    list->ended = find.limit > 0 && results >= find.limit;
    find.limit = find.limit > results ? find.limit - results : 0;
    if (list->ended)
        return NX_OK;
    return nx_query_find(fs->db, list->place.snapshot ? list->place.snapshot : list->picture,
                         list->place.ino, &find, &list->limits, &list->cursor, err);
}

static enum nx_code stand_after(struct list *list, uint64_t offset, struct nx_err *err)
{
    enum nx_code rc;

    if (offset == 0)
        forget_picture(list);
    if (offset < DOTS || (list->at == offset && (list->cursor || list->ended))) {
        list->at = offset;
        return NX_OK;
    }
    close_cursor(list);
    rc = open_cursor(list, offset - DOTS, err);
    if (rc == NX_OK)
        list->at = offset;
    return rc;
}

static enum nx_code name_of(struct nx_slice document, char out[NX_NAME_MAX + 1], struct nx_err *err)
{
    struct nx_buf name NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value value = nx_doc_get_z(document, "_id");
    struct nx_id id;
    enum nx_code rc = nx_id_from_value(&value, &id, err);

    if (rc != NX_OK)
        return rc;
    if (nx_id_to_name(&id, &name) != NX_OK)
        return nx_fail_nomem(err);
    memcpy(out, name.data, name.len);
    out[name.len] = 0;
    return NX_OK;
}

static enum nx_code next_name(struct list *list, struct nx_err *err)
{
    struct nx_slice document;
    enum nx_code rc;

    if (list->name[0])
        return NX_OK;
    if (list->ended)
        return NX_DONE;
    rc = nx_cursor_next(list->cursor, &document, err);
    return rc == NX_OK ? name_of(document, list->name, err) : rc;
}

/* Where the mount shows magic files, `.find` itself is empty: find and rm -r have met all that it
 * would list. */
static bool is_blank(const struct list *list)
{
    return list->base.fs->options.magic == FS_MAGIC_VISIBLE && !list->dir->name[0];
}

static enum nx_code add_results(struct list *list, struct output *out, struct nx_err *err)
{
    struct nx_io *io = nx_db_io(list->base.fs->db);
    uint64_t began = io->ops->monotonic_ns(io);
    enum nx_code rc = NX_OK;

    if (list->left_at)
        list->idle_ns += began - list->left_at;
    while (rc == NX_OK && (out->used == 0 || io->ops->monotonic_ns(io) - began < PATIENCE_NS)) {
        struct fuse_entry_param entry;

        rc = next_name(list, err);
        if (rc != NX_OK)
            break;
        rc = fill_entry(list, list->name, &entry, err);
        if (rc == NX_OK && !add(out, list->name, &entry, list->at + 1))
            break;
        if (rc == NX_OK || rc == NX_ENOTFOUND) { /* the other door has removed it */
            list->at++;
            list->name[0] = 0;
            rc = NX_OK;
        }
    }
    list->left_at = io->ops->monotonic_ns(io);
    list->ended = list->ended || rc == NX_DONE;
    return rc == NX_DONE ? NX_OK : rc;
}

static enum nx_code fill(struct list *list, struct output *out, uint64_t offset, struct nx_err *err)
{
    enum nx_code rc = stand_after(list, offset, err);

    for (; rc == NX_OK && list->at < DOTS; list->at++)
        if (!add_dot(list, out))
            return NX_OK;
    if (rc != NX_OK || is_blank(list))
        return rc;
    if (!list->cursor && !list->ended)
        rc = open_cursor(list, list->at - DOTS, err);
    return rc == NX_OK ? add_results(list, out, err) : rc;
}

/* --- jobs ------------------------------------------------------------------------------------- */

static void on_interrupt(fuse_req_t req, void *arg)
{
    struct list *list = arg;

    (void)req;
    atomic_store_explicit(&list->canceled, true, memory_order_relaxed);
}

static void answer_failure(struct list *list, fuse_req_t req, struct nx_err *err)
{
    if (err->code == NX_ECANCELED) {
        close_cursor(list); /* the next read may try again */
    } else {
        errors_add(list->base.fs->errors, list->dir->base, ".find", err, NX_SLICE_NULL);
        list->ended = false; /* an error is no end: it comes again */
    }
    reply_fail(req, "readdir", err);
}

static void run_read(struct job *job)
{
    struct list_job *read = (struct list_job *)job;
    struct list *list = read->list;
    struct output out = {read->req, reply_scratch(read->size), read->size, 0, read->plus};
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc;

    atomic_store_explicit(&list->canceled, false, memory_order_relaxed);
    fuse_req_interrupt_func(read->req, on_interrupt, list);
    rc = out.data ? fill(list, &out, read->offset, &err) : nx_fail_nomem(&err);
    if (rc == NX_OK || out.used > 0) /* what is good first: the error comes again */
        fuse_reply_buf(read->req, out.data, out.used);
    else if (rc == NX_ENOTFOUND)
        fuse_reply_buf(read->req, NULL, 0); /* the collection was removed while this was open */
    else
        answer_failure(list, read->req, &err);
    free(read);
}

static void list_end(struct list *list)
{
    forget_picture(list);
    place_close(&list->place);
    find_put(list->dir);
    handle_free(&list->base);
}

static void run_release(struct job *job)
{
    struct list_job *release = (struct list_job *)job;

    list_end(release->list);
    if (release->req)
        fuse_reply_err(release->req, 0);
    free(release);
}

/* NULL without memory: the request has been answered. */
static struct list_job *job_new(struct list *list, fuse_req_t req, void (*run)(struct job *job))
{
    struct list_job *job = calloc(1, sizeof *job);

    if (job)
        *job = (struct list_job){.job.run = run, .list = list, .req = req};
    else if (req)
        fuse_reply_err(req, ENOMEM);
    return job;
}

static void release_list(struct handle *handle, fuse_req_t req)
{
    struct list *list = (struct list *)handle;
    struct list_job *job = job_new(list, req, run_release);

    if (!job)
        return; /* without memory the handle stays until the unmount */
    job->job.ends_strand = true;
    pool_submit(handle->fs->pool, &list->strand, &job->job);
}

void find_list_read(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *file,
                    bool plus)
{
    struct list *list = (struct list *)handle_enter(req, file);
    struct list_job *job = job_new(list, req, run_read);

    if (!job)
        return;
    job->size = size;
    job->offset = (uint64_t)offset;
    job->plus = plus;
    pool_submit(fs_of(req)->pool, &list->strand, &job->job);
}

/* --- opening ---------------------------------------------------------------------------------- */

static bool caller_may_read(void *arg, const struct nx_attr *attr)
{
    const struct list *list = arg;

    return caller_may(list->uid, list->gid, attr, 4);
}

static const struct handle_class list_class = {.release = release_list};

static void set_limits(struct list *list, const struct fuse_ctx *caller)
{
    const struct fs_options *options = &list->base.fs->options;

    list->limits = (struct nx_limits){.memory_bytes = options->query_memory_bytes,
                                      .time_ms = options->query_time_ms,
                                      .idle_ns = &list->idle_ns,
                                      .canceled = &list->canceled,
                                      .read_only = true};
    list->uid = caller->uid;
    list->gid = caller->gid;
    if (options->allow_other && caller->uid != 0) {
        list->limits.visible = caller_may_read;
        list->limits.arg = list;
    }
}

void find_list_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    struct fs *fs = fs_of(req);
    struct find_dir *dir = find_get(fs, ino);
    struct nx_err err = NX_ERR_INIT;
    struct fs_place place = {0};
    struct list *list;

    if (!dir || place_open(fs, dir->base, &place, &err) != NX_OK) {
        find_put(dir);
        fuse_reply_err(req, ESTALE);
        return;
    }
    list = handle_new(fs, sizeof *list, &list_class, ino, file->flags);
    if (!list) {
        place_close(&place);
        find_put(dir);
        fuse_reply_err(req, ENOMEM);
        return;
    }
    list->dir = dir;
    list->place = place;
    atomic_init(&list->canceled, false);
    set_limits(list, fuse_req_ctx(req));
    file->fh = (uintptr_t)list;
    handle_reply_open(req, file);
}

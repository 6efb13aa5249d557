/*
 * find_file.c - documents cut to the fields of @fields=: files of their own, for reading only.
 *
 * Their number is not the document's, whose pages the kernel caches. A handle holds the text of its
 * open and is read with direct I/O, so nothing of it is ever stale.
 */
#include <errno.h>
#include <unistd.h>

#include <nexadb/json.h>

#include "fs/caller.h"
#include "fs/find.h"
#include "fs/handle.h"
#include "fs/reply.h"

/* {"_id": {"$eq": id}}: an id may be an object that looks like a condition. */
static enum nx_code filter_of(const struct nx_id *id, struct nx_buf *out, struct nx_err *err)
{
    struct nx_buf document NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_builder builder;

    if (nx_id_to_document(id, &document) != NX_OK)
        return nx_fail_nomem(err);
    nx_builder_init(&builder, out);
    nx_builder_begin_document(&builder, "_id", 3);
    nx_builder_put_z(&builder, "$eq", nx_doc_get_z(nx_buf_slice(&document), "_id"));
    nx_builder_close(&builder);
    return nx_builder_end(&builder, err);
}

/* Written as every document is that came without a text: without _id, which is the name. */
static enum nx_code render(struct nx_cursor *cursor, struct nx_buf *out, struct nx_err *err)
{
    struct nx_slice document;
    enum nx_code rc = nx_cursor_next(cursor, &document, err);

    if (rc == NX_DONE)
        return nx_fail(err, NX_ENOTFOUND, "the document is gone");
    if (rc != NX_OK)
        return rc;
    if (nx_json_write(document, false, NX_JSON_EXACT, 2, "_id", out) != NX_OK ||
        nx_buf_append_byte(out, '\n') != NX_OK)
        return nx_fail_nomem(err);
    return NX_OK;
}

static enum nx_code read_text(struct fs *fs, const struct find_dir *dir,
                              const struct fs_place *place, nx_ino ino, struct nx_buf *out,
                              struct nx_err *err)
{
    struct nx_buf filter NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_find find = {.projection = nx_buf_slice(&dir->query.projection)};
    struct nx_cursor *cursor = NULL;
    struct nx_id id;
    nx_ino collection;
    enum nx_code rc = nx_document_locate(fs->db, place->snapshot, ino, &collection, &id, err);

    if (rc == NX_OK)
        rc = filter_of(&id, &filter, err);
    find.filter = nx_buf_slice(&filter);
    if (rc == NX_OK)
        rc = nx_query_find(fs->db, place->snapshot, collection, &find, NULL, &cursor, err);
    if (rc == NX_OK)
        rc = render(cursor, out, err);
    nx_cursor_close(cursor);
    return rc;
}

enum nx_code find_file_attr(struct fs *fs, const struct find_dir *dir, const struct fs_place *place,
                            struct nx_attr *attr, struct nx_err *err)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = read_text(fs, dir, place, attr->ino, &text, err);

    if (rc != NX_OK)
        return rc;
    attr->ino = dir->ino | attr->ino;
    attr->parent = dir->ino;
    attr->mode &= 0444;
    attr->size = text.len;
    return NX_OK;
}

/* --- reading one ------------------------------------------------------------------------------ */

struct projection {
    struct handle base;
    pthread_mutex_t
        mu; /* held while `text` is sent: the RELEASE that frees it may follow at once */
    struct nx_buf text; /* constant after the open */
};

static void read_projection(struct handle *handle, fuse_req_t req, size_t size, off_t offset)
{
    struct projection *projection = (struct projection *)handle;
    const struct nx_buf *text = &projection->text;
    uint64_t from = (uint64_t)offset;

    pthread_mutex_lock(&projection->mu);
    if (from >= text->len)
        fuse_reply_buf(req, NULL, 0);
    else
        fuse_reply_buf(req, (const char *)text->data + from,
                       size < text->len - from ? size : text->len - (size_t)from);
    pthread_mutex_unlock(&projection->mu);
}

static void release_projection(struct handle *handle, fuse_req_t req)
{
    struct projection *projection = (struct projection *)handle;

    pthread_mutex_lock(&projection->mu); /* the last read is through with it */
    pthread_mutex_unlock(&projection->mu);
    pthread_mutex_destroy(&projection->mu);
    nx_buf_fini(&projection->text);
    handle_free(handle);
    if (req)
        fuse_reply_err(req, 0);
}

static const struct handle_class projection_class = {
    .read = read_projection,
    .write = handle_no_write,
    .flush = handle_ok,
    .fsync = handle_ok,
    .resize = handle_no_resize,
    .release = release_projection,
};

static enum nx_code check_open(fuse_req_t req, const struct nx_attr *attr, int flags,
                               struct nx_err *err)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);

    if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC))
        return nx_fail(err, NX_EROFS, "below @fields= documents are for reading");
    if (!fs_of(req)->options.default_permissions &&
        !caller_may(caller->uid, caller->gid, attr, R_OK))
        return nx_fail(err, NX_EACCES, "mode %o does not allow it", attr->mode);
    return NX_OK;
}

static enum nx_code load(fuse_req_t req, struct find_dir *dir, nx_ino ino, int flags,
                         struct nx_buf *text, struct nx_err *err)
{
    struct fs *fs = fs_of(req);
    struct fs_place place;
    struct nx_attr attr;
    enum nx_code rc = place_open(fs, dir->base, &place, err);

    if (rc != NX_OK)
        return rc;
    rc = nx_db_stat(fs->db, place.snapshot, ino, &attr, err);
    if (rc == NX_OK)
        rc = check_open(req, &attr, flags, err);
    if (rc == NX_OK)
        rc = read_text(fs, dir, &place, ino, text, err);
    place_close(&place);
    return rc;
}

void find_file_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    struct fs *fs = fs_of(req);
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct find_dir *dir = find_get(fs, ino);
    struct nx_err err = NX_ERR_INIT;
    struct projection *projection = NULL;
    enum nx_code rc =
        dir ? load(req, dir, ino & PLACE_NUMBER_MASK, file->flags, &text, &err) : NX_ENOTFOUND;

    find_put(dir);
    if (rc == NX_ENOTFOUND) {
        fuse_reply_err(req, ESTALE); /* the kernel looks the path up again */
        return;
    }
    if (rc == NX_OK)
        projection = handle_new(fs, sizeof *projection, &projection_class, ino, file->flags);
    if (rc == NX_OK && !projection)
        nx_fail_nomem(&err);
    if (!projection) {
        reply_fail(req, "open", &err);
        return;
    }
    pthread_mutex_init(&projection->mu, NULL);
    projection->text = text;
    text = NX_BUF_INIT;
    file->fh = (uintptr_t)projection;
    file->direct_io = 1;
    file->noflush = 1;
    handle_reply_open(req, file);
}

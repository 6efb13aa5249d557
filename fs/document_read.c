/*
 * document_read.c - reading handles of documents.
 *
 * Every handle reads the version of its open: a snapshot until the first read, which turns it into
 * text. The page cache belongs to the node, not to the handle, and the kernel takes size and bytes
 * by two requests: a document that changes between them would be cut. So only documents up to a
 * page that are at rest (no writer, no change for a second) are cached, and only one version of a
 * document at a time (readers.h): while it is not the newest, others read with direct I/O, and its
 * own readers are told its size when they ask for the end of the file. All others are read with
 * direct I/O.
 */
#include "fs/files.h"
#include "fs/handle.h"
#include "fs/readers.h"
#include "fs/reply.h"
#include "fs/writers.h"

#define PAGE_BYTES 4096
#define REST_NS 1000000000

struct reader {
    struct handle base;
    pthread_mutex_t mu;
    struct nx_snapshot *snapshot; /* owned; guarded by mu; NULL: loaded */
    struct nx_buf text;           /* guarded by mu until loaded */
    struct nx_attr attr;          /* constant; of the version when `cached` */
    bool cached;                  /* constant */
    bool loaded;                  /* guarded by mu */
};

static void reply_part(fuse_req_t req, struct nx_slice text, size_t size, off_t offset)
{
    uint64_t from = (uint64_t)offset;

    if (from >= text.len) {
        fuse_reply_buf(req, NULL, 0);
        return;
    }
    size = size < text.len - from ? size : text.len - (size_t)from;
    fuse_reply_buf(req, (const char *)text.data + from, size);
}

static enum nx_code read_text(struct fs *fs, const struct nx_snapshot *snapshot, nx_ino ino,
                              struct nx_buf *text, struct nx_err *err)
{
    struct nx_attr attr;
    enum nx_code rc = nx_document_text(fs->db, snapshot, ino, text, &attr, err);

    return rc == NX_ENOTFOUND ? NX_OK : rc; /* a draft, or removed while it was open: no bytes */
}

static void read_document(struct handle *handle, fuse_req_t req, size_t size, off_t offset)
{
    struct reader *reader = (struct reader *)handle;
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc = NX_OK;

    pthread_mutex_lock(&reader->mu);
    if (!reader->loaded) {
        rc = read_text(reader->base.fs, reader->snapshot, reader->base.ino, &reader->text, &err);
        if (rc == NX_OK) {
            reader->loaded = true;
            nx_snapshot_release(reader->snapshot);
            reader->snapshot = NULL;
        }
    }
    if (rc ==
        NX_OK) /* under the lock: the RELEASE that frees the text may follow the answer at once */
        reply_part(req, nx_buf_slice(&reader->text), size, offset);
    else
        reply_fail(req, "read", &err);
    pthread_mutex_unlock(&reader->mu);
}

/* The kernel asks through the handle before it believes that a read is past the end. */
static bool attr_of_version(struct handle *handle, bool removed, struct nx_attr *attr)
{
    const struct reader *reader = (struct reader *)handle;

    if (!reader->cached || (!removed && attr->revision == reader->attr.revision))
        return false;
    if (removed) {
        *attr = reader->attr;
        attr->nlink = 0;
    }
    attr->size = reader->attr.size;
    return true;
}

static void fsync_reader(struct handle *handle, fuse_req_t req)
{
    (void)handle;
    reply_when_synced(req, "fsync");
}

static void release_reader(struct handle *handle, fuse_req_t req)
{
    struct reader *reader = (struct reader *)handle;

    pthread_mutex_lock(&reader->mu); /* the last read is through with it */
    pthread_mutex_unlock(&reader->mu);
    if (reader->snapshot)
        nx_snapshot_release(reader->snapshot);
    if (reader->cached)
        readers_leave(handle->fs->readers, handle->ino);
    nx_buf_fini(&reader->text);
    pthread_mutex_destroy(&reader->mu);
    handle_free(handle);
    if (req)
        fuse_reply_err(req, 0);
}

static const struct handle_class reader_class = {
    .read = read_document,
    .write = handle_no_write,
    .flush = handle_ok,
    .fsync = fsync_reader,
    .attr = attr_of_version,
    .resize = handle_no_resize,
    .release = release_reader,
};

static bool is_at_rest(struct fs *fs, const struct nx_attr *attr)
{
    struct nx_io *io = nx_db_io(fs->db);
    int64_t age = (int64_t)io->ops->realtime_ns(io) - attr->ctime_ns;

    return age > REST_NS && !writers_has(fs->writers, attr->ino);
}

/* Not when it was replaced since its attributes were read. */
static bool has_version(const struct reader *reader)
{
    struct nx_attr attr;

    return nx_db_stat(reader->base.fs->db, reader->snapshot, reader->base.ino, &attr, NULL) ==
               NX_OK &&
           attr.revision == reader->attr.revision;
}

/* The version never changes, so any size goes through the page cache and stays there. */
struct handle *document_open_past(fuse_req_t req, struct fs_place *place,
                                  struct fuse_file_info *file)
{
    struct reader *reader =
        handle_new(fs_of(req), sizeof *reader, &reader_class, place->ino, file->flags);

    if (!reader)
        return NULL;
    pthread_mutex_init(&reader->mu, NULL);
    reader->snapshot = place_take(place);
    file->keep_cache = 1;
    return &reader->base;
}

struct handle *document_open_reader(fuse_req_t req, const struct nx_attr *attr,
                                    struct fuse_file_info *file)
{
    struct fs *fs = fs_of(req);
    struct reader *reader = handle_new(fs, sizeof *reader, &reader_class, attr->ino, file->flags);

    if (!reader)
        return NULL;
    pthread_mutex_init(&reader->mu, NULL);
    reader->attr = *attr;
    reader->cached = attr->size <= PAGE_BYTES && is_at_rest(fs, attr) &&
                     readers_enter(fs->readers, attr->ino, attr->revision);
    reader->snapshot = nx_snapshot_take(fs->engine); /* after entering: see readers.c */
    if (!reader->snapshot) {
        release_reader(&reader->base, NULL);
        return NULL;
    }
    if (reader->cached && !has_version(reader)) {
        readers_leave(fs->readers, attr->ino);
        reader->cached = false;
    }
    if (reader->cached)
        file->keep_cache = versions_keep(fs->versions, attr->ino, attr->revision);
    else
        file->direct_io = 1;
    return &reader->base;
}

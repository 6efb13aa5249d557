/*
 * plain.c - open plain files: the kernel's page cache in front, the engine behind.
 *
 * Nothing is staged: each WRITE is a commit of its own, parked until it is acknowledged. The node
 * is held while it is open, so that an unlinked file stays readable. Locks and mmap are the
 * kernel's.
 */
#include <errno.h>
#include <unistd.h>

#include "fs/files.h"
#include "fs/handle.h"
#include "fs/reply.h"

struct plain {
    struct handle base;
    struct nx_snapshot *snapshot; /* owned; NULL: live, and the node is held */
    atomic_bool moves_atime;      /* the first read does; relaxed: it says nothing of other data */
};

#define ATIME_MAX_AGE_NS (INT64_C(24) * 3600 * 1000000000)

static int64_t now_ns(struct fs *fs)
{
    struct nx_io *io = nx_db_io(fs->db);

    return (int64_t)io->ops->realtime_ns(io);
}

/* As relatime does: so that it shows whether the file was read since it changed, and about when. */
static bool is_atime_due(struct fs *fs, const struct nx_attr *attr, int flags)
{
    if (fs->options.read_only || flags & O_NOATIME)
        return false;
    return attr->atime_ns <= attr->mtime_ns || attr->atime_ns <= attr->ctime_ns ||
           now_ns(fs) - attr->atime_ns >= ATIME_MAX_AGE_NS;
}

static void ignore_end(void *arg, const struct nx_err *error)
{
    (void)arg, (void)error;
}

/* What comes of it is no matter to the read. */
static void move_atime(struct fs *fs, nx_ino ino)
{
    struct nx_attr attr = {.atime_ns = now_ns(fs)};
    struct nx_change change = {.durability = NX_BUFFERED, .origin = fs->origin, .done = ignore_end};

    nx_db_set_attr(fs->db, ino, NX_SET_ATIME | NX_KEEP_CTIME, &attr, &change, NULL, NULL);
}

static void read_plain(struct handle *handle, fuse_req_t req, size_t size, off_t offset)
{
    struct plain *plain = (struct plain *)handle;
    struct nx_err err = NX_ERR_INIT;
    void *data = reply_scratch(size);
    size_t got = 0;

    if (atomic_load_explicit(&plain->moves_atime, memory_order_relaxed) &&
        atomic_exchange_explicit(&plain->moves_atime, false, memory_order_relaxed))
        move_atime(handle->fs, handle->ino);
    if (!data)
        fuse_reply_err(req, ENOMEM);
    else if (nx_db_read(handle->fs->db, plain->snapshot, handle->ino, (uint64_t)offset, data, size,
                        &got, &err) == NX_OK)
        fuse_reply_buf(req, data, got);
    else
        reply_fail(req, "read", &err);
}

static void write_plain(struct handle *handle, fuse_req_t req, const char *data, size_t len,
                        off_t offset)
{
    struct parked *parked = parked_new(req, "write", PARKED_WRITE);
    struct nx_err err = NX_ERR_INIT;
    struct nx_change change;

    if (!parked)
        return;
    parked->written = len;
    change = parked_change(parked);
    parked_finish(parked,
                  nx_db_write(handle->fs->db, handle->ino, (uint64_t)offset, data, len, &change,
                              &parked->attr, &err),
                  &err);
}

/* Room is not set aside, but what cannot fit is refused. */
static enum nx_code check_room(struct fs *fs, off_t len, struct nx_err *err)
{
    struct nx_io *io = nx_db_io(fs->db);
    struct nx_space space;
    enum nx_code rc = io->ops->space(io, nx_db_spill_dir(fs->db), &space, err);

    if (rc == NX_OK && (uint64_t)len > space.available_bytes)
        return nx_fail(err, NX_ENOSPC, "%jd bytes do not fit in %ju", (intmax_t)len,
                       (uintmax_t)space.available_bytes);
    return rc;
}

static void allocate_plain(struct handle *handle, fuse_req_t req, int mode, off_t offset, off_t len)
{
    const int holes = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
    unsigned flags = (mode & FALLOC_FL_KEEP_SIZE ? NX_ALLOCATE_KEEP_SIZE : 0u) |
                     (mode & holes ? NX_ALLOCATE_HOLE : 0u);
    struct nx_err err = NX_ERR_INIT;
    struct nx_change change;
    struct parked *parked;
    enum nx_code rc = NX_OK;

    if (mode & ~(FALLOC_FL_KEEP_SIZE | holes)) {
        fuse_reply_err(req, EOPNOTSUPP);
        return;
    }
    parked = parked_new(req, "fallocate", PARKED_STATUS);
    if (!parked)
        return;
    change = parked_change(parked);
    if (!(mode & holes))
        rc = check_room(handle->fs, len, &err);
    if (rc == NX_OK)
        rc = nx_db_allocate(handle->fs->db, handle->ino, flags, (uint64_t)offset, (uint64_t)len,
                            &change, &parked->attr, &err);
    parked_finish(parked, rc, &err);
}

static void seek_plain(struct handle *handle, fuse_req_t req, off_t offset, int whence)
{
    struct nx_err err = NX_ERR_INIT;
    uint64_t at = (uint64_t)offset;
    enum nx_code rc = nx_db_seek(handle->fs->db, ((struct plain *)handle)->snapshot, handle->ino,
                                 whence == SEEK_HOLE, &at, &err);

    if (rc == NX_OK)
        fuse_reply_lseek(req, (off_t)at);
    else if (rc == NX_DONE)
        fuse_reply_err(req, ENXIO);
    else
        reply_fail(req, "lseek", &err);
}

static void fsync_plain(struct handle *handle, fuse_req_t req)
{
    (void)handle;
    reply_when_synced(req, "fsync");
}

static void release_plain(struct handle *handle, fuse_req_t req)
{
    struct nx_snapshot *snapshot = ((struct plain *)handle)->snapshot;

    if (!snapshot)
        nx_db_unpin(handle->fs->db, handle->ino);
    nx_snapshot_release(snapshot);
    handle_free(handle);
    if (req)
        fuse_reply_err(req, 0);
}

static const struct handle_class plain_class = {
    .read = read_plain,
    .write = write_plain,
    .flush = handle_ok,
    .fsync = fsync_plain,
    .resize = NULL, /* by the node: files_setattr */
    .allocate = allocate_plain,
    .seek = seek_plain,
    .release = release_plain,
};

struct handle *plain_open(fuse_req_t req, const struct nx_attr *attr, struct fuse_file_info *file)
{
    struct fs *fs = fs_of(req);
    struct plain *plain = handle_new(fs, sizeof *plain, &plain_class, attr->ino, file->flags);

    if (!plain)
        return NULL;
    nx_db_pin(fs->db, attr->ino);
    atomic_store_explicit(&plain->moves_atime, is_atime_due(fs, attr, file->flags),
                          memory_order_relaxed);
    file->keep_cache = 1; /* what changes behind the kernel is taken back by the notifier */
    return &plain->base;
}

struct handle *plain_open_past(fuse_req_t req, struct fs_place *place, struct fuse_file_info *file)
{
    struct plain *plain =
        handle_new(fs_of(req), sizeof *plain, &plain_class, place->ino, file->flags);

    if (!plain)
        return NULL;
    plain->snapshot = place_take(place);
    file->keep_cache = 1;
    return &plain->base;
}

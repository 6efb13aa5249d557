/*
 * files.c - open files and attributes: each request goes to its handle's class or to the store.
 */
#include "fs/files.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <nexadb/id.h>

#include "fs/caller.h"
#include "fs/find.h"
#include "fs/ghosts.h"
#include "fs/handle.h"
#include "fs/magic.h"
#include "fs/reply.h"
#include "fs/writers.h"

/* --- opening ---------------------------------------------------------------------------------- */

enum nx_code files_open_handle(fuse_req_t req, const struct nx_attr *attr,
                               struct fuse_file_info *file, struct nx_err *err)
{
    bool writes = (file->flags & O_ACCMODE) != O_RDONLY;
    struct handle *handle;

    if (attr->kind == NX_KIND_FILE)
        handle = plain_open(req, attr, file);
    else if (attr->kind != NX_KIND_DOCUMENT && attr->kind != NX_KIND_DRAFT)
        return nx_fail(err, NX_EUNSUPPORTED, "open: node %ju is no file", (uintmax_t)attr->ino);
    else if (writes)
        handle = document_open_writer(req, attr, file);
    else
        handle = document_open_reader(req, attr, file);
    if (!handle)
        return nx_fail_nomem(err);
    file->fh = (uintptr_t)handle;
    file->noflush = !writes || attr->kind == NX_KIND_FILE; /* a plain file's bytes are in */
    return NX_OK;
}

static int needed_access(int flags)
{
    int mode = flags & O_ACCMODE;

    return (mode != O_WRONLY ? R_OK : 0) | (mode != O_RDONLY ? W_OK : 0);
}

/* A plain file is truncated by its open, which moves its times even when it is empty; a document
 * only by what is then written. */
static bool truncates(const struct nx_attr *attr, int flags)
{
    return attr->kind == NX_KIND_FILE && (flags & O_TRUNC);
}

static bool caller_has_group(fuse_req_t req, gid_t group)
{
    gid_t groups[256];
    int count = fuse_req_getgroups(req, 256, groups);

    if (fuse_req_ctx(req)->gid == group)
        return true;
    for (int i = 0; i < count && i < 256; i++)
        if (groups[i] == group)
            return true;
    return false;
}

/* Set-id bits vouch for content and owner: they fall when somebody else than root changes those.
 * For writes the kernel sees to it; of a set-group-ID bit without group execution, and of an open
 * that truncates, it leaves that to the file system. */
static uint32_t mode_without_setid(fuse_req_t req, const struct nx_attr *attr)
{
    uint32_t mode = attr->mode & ~(uint32_t)S_ISUID;

    if (fuse_req_ctx(req)->uid == 0)
        return attr->mode;
    if (mode & S_IXGRP || !caller_has_group(req, attr->gid))
        mode &= ~(uint32_t)S_ISGID;
    return mode;
}

static void open_truncating(fuse_req_t req, const struct nx_attr *attr,
                            const struct fuse_file_info *file)
{
    struct nx_attr empty = {.size = 0, .mode = mode_without_setid(req, attr)};
    unsigned set = NX_SET_SIZE | (empty.mode != attr->mode ? NX_SET_MODE : 0);
    struct parked *parked = parked_new(req, "open", PARKED_OPEN);
    struct nx_err err = NX_ERR_INIT;
    struct nx_change change;

    if (!parked) {
        handle_discard(file);
        return;
    }
    parked->file = *file;
    change = parked_change(parked);
    parked_finish(
        parked,
        nx_db_set_attr(parked->fs->db, attr->ino, set, &empty, &change, &parked->attr, &err), &err);
}

static enum nx_code open_past(fuse_req_t req, struct fs_place *place, const struct nx_attr *attr,
                              struct fuse_file_info *file, struct nx_err *err)
{
    bool is_document = attr->kind == NX_KIND_DOCUMENT || attr->kind == NX_KIND_DRAFT;
    struct handle *handle;

    if ((needed_access(file->flags) & W_OK) || (file->flags & O_TRUNC))
        return nx_fail(err, NX_EROFS, "a snapshot is read-only");
    if (!is_document && attr->kind != NX_KIND_FILE)
        return nx_fail(err, NX_EUNSUPPORTED, "open: node %ju is no file", (uintmax_t)place->ino);
    handle = is_document ? document_open_past(req, place, file) : plain_open_past(req, place, file);
    if (!handle)
        return nx_fail_nomem(err);
    file->fh = (uintptr_t)handle;
    file->noflush = 1;
    return NX_OK;
}

void files_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    struct fs *fs = fs_of(req);
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr;
    struct fs_place place;
    enum nx_code rc;

    if (place_is_find(ino) && (ino & PLACE_NUMBER_MASK) < PLACE_FIND_MAGIC) {
        find_file_open(req, ino, file);
        return;
    }
    if (magic_is(ino)) {
        magic_open_file(req, ino, file);
        return;
    }
    rc = place_open(fs, ino, &place, &err);
    if (rc == NX_OK)
        rc = nx_db_stat(fs->db, place.snapshot, place.ino, &attr, &err);
    if (rc == NX_OK && fs->options.read_only && (needed_access(file->flags) & W_OK))
        rc = nx_fail(&err, NX_EROFS, "the mount is read-only");
    if (rc == NX_OK && !fs->options.default_permissions &&
        !caller_may(caller->uid, caller->gid, &attr, needed_access(file->flags)))
        rc = nx_fail(&err, NX_EACCES, "mode %o does not allow it", attr.mode);
    if (rc == NX_OK)
        rc = place.number ? open_past(req, &place, &attr, file, &err)
                          : files_open_handle(req, &attr, file, &err);
    place_close(&place);
    if (rc == NX_OK && truncates(&attr, file->flags))
        open_truncating(req, &attr, file);
    else if (rc == NX_OK)
        handle_reply_open(req, file);
    else if (rc == NX_ENOTFOUND)
        fuse_reply_err(req, ESTALE); /* the kernel looks the name up again */
    else
        reply_fail(req, "open", &err);
}

/* --- to the handle ---------------------------------------------------------------------------- */

void files_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                struct fuse_file_info *file)
{
    struct handle *handle = handle_enter(req, file);

    (void)ino;
    handle->class->read(handle, req, size, offset);
}

void files_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t len, off_t offset,
                 struct fuse_file_info *file)
{
    struct handle *handle = handle_enter(req, file);

    (void)ino;
    handle->class->write(handle, req, data, len, offset);
}

void files_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    struct handle *handle = handle_enter(req, file);

    (void)ino;
    handle->class->flush(handle, req);
}

void files_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *file)
{
    struct handle *handle = handle_enter(req, file);

    (void)ino, (void)datasync;
    handle->class->fsync(handle, req);
}

void files_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    struct handle *handle = handle_enter(req, file);

    (void)ino;
    handle_release(handle, req);
}

static enum nx_code stat_node(struct fs *fs, fuse_ino_t ino, struct nx_attr *out,
                              struct nx_err *err)
{
    struct fs_place place;
    enum nx_code rc = place_open(fs, ino, &place, err);

    if (rc != NX_OK)
        return rc;
    rc = place_stat(fs, &place, out, err);
    place_close(&place);
    return rc;
}

/* A document keeps its size, so there is nothing to do for a promise of room; other kinds of
 * allocation would change its text. */
void files_allocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t len,
                    struct fuse_file_info *file)
{
    struct handle *handle = handle_enter(req, file);

    (void)ino;
    if (handle->class->allocate)
        handle->class->allocate(handle, req, mode, offset, len);
    else
        fuse_reply_err(req, mode == FALLOC_FL_KEEP_SIZE ? 0 : EOPNOTSUPP);
}

/* Without holes it is all data. */
static void seek_in_data(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence)
{
    struct nx_attr attr = {.size = 0};
    struct nx_err err = NX_ERR_INIT;

    if (!magic_is(ino) && stat_node(fs_of(req), ino, &attr, &err) != NX_OK)
        reply_fail(req, "lseek", &err);
    else if ((uint64_t)offset >= attr.size)
        fuse_reply_err(req, ENXIO);
    else
        fuse_reply_lseek(req, whence == SEEK_HOLE ? (off_t)attr.size : offset);
}

void files_seek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
                struct fuse_file_info *file)
{
    struct handle *handle = handle_enter(req, file);

    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        fuse_reply_err(req, EINVAL);
    else if (handle->class->seek)
        handle->class->seek(handle, req, offset, whence);
    else
        seek_in_data(req, ino, offset, whence);
}

/* --- attributes ------------------------------------------------------------------------------- */

void files_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    struct fs *fs = fs_of(req);
    struct nx_err err = NX_ERR_INIT;
    uint64_t generation = atomic_load_explicit(&fs->generation, memory_order_acquire);
    struct handle *handle = file ? handle_enter(req, file) : NULL;
    struct nx_attr attr;
    enum nx_code rc;

    if (magic_is(ino)) {
        rc = magic_stat(fs, ino, &attr, &err);
        if (rc == NX_OK && ino == magic_ino(MAGIC_FEED, magic_dir(ino))) {
            magic_changes_getattr(req, &attr);
            return;
        }
        generation--; /* follows its directory's: never kept */
    } else {
        rc = stat_node(fs, ino, &attr, &err);
    }
    if (handle && handle->class->attr && (rc == NX_OK || rc == NX_ENOTFOUND) &&
        handle->class->attr(handle, rc == NX_ENOTFOUND, &attr)) {
        rc = NX_OK;
        generation--; /* of this handle: never kept */
    }
    if (rc == NX_OK)
        reply_attr(req, &attr, generation);
    else if (rc == NX_ENOTFOUND && ghosts_find(fs->ghosts, ino, &attr))
        reply_attr(req, &attr, generation - 1);
    else if (rc == NX_ENOTFOUND)
        fuse_reply_err(req, ESTALE);
    else
        reply_fail(req, "getattr", &err);
}

/* Times end in 1677 and 2262: what lies beyond becomes the end. */
static int64_t to_ns(struct timespec t)
{
    int64_t ns;

    if (__builtin_mul_overflow((int64_t)t.tv_sec, INT64_C(1000000000), &ns) ||
        __builtin_add_overflow(ns, (int64_t)t.tv_nsec, &ns))
        return t.tv_sec < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

static unsigned wanted_changes(struct fs *fs, const struct stat *values, int mask,
                               struct nx_attr *out)
{
    struct nx_io *io = nx_db_io(fs->db);
    int64_t now = (int64_t)io->ops->realtime_ns(io);
    unsigned set = 0;

    *out = (struct nx_attr){.mode = values->st_mode & 07777,
                            .uid = values->st_uid,
                            .gid = values->st_gid,
                            .size = (uint64_t)values->st_size,
                            .atime_ns = to_ns(values->st_atim),
                            .mtime_ns = to_ns(values->st_mtim),
                            .ctime_ns = to_ns(values->st_ctim)};
    set |= mask & FUSE_SET_ATTR_MODE ? NX_SET_MODE : 0;
    set |= mask & FUSE_SET_ATTR_UID ? NX_SET_UID : 0;
    set |= mask & FUSE_SET_ATTR_GID ? NX_SET_GID : 0;
    set |= mask & FUSE_SET_ATTR_SIZE ? NX_SET_SIZE : 0;
    set |= mask & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW) ? NX_SET_ATIME : 0;
    set |= mask & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW) ? NX_SET_MTIME : 0;
    set |= mask & FUSE_SET_ATTR_CTIME ? NX_SET_CTIME : 0;
    if (mask & FUSE_SET_ATTR_ATIME_NOW)
        out->atime_ns = now;
    if (mask & FUSE_SET_ATTR_MTIME_NOW)
        out->mtime_ns = now;
    return set;
}

/* The owner's rights, where the kernel does not check them: a mount of a single user. */
static enum nx_code check_owner(fuse_req_t req, unsigned set, const struct nx_attr *values,
                                const struct nx_attr *attr, bool by_handle, struct nx_err *err)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);

    if (fs_of(req)->options.default_permissions || caller->uid == 0)
        return NX_OK;
    if ((set & NX_SET_UID) && (values->uid != attr->uid || caller->uid != attr->uid))
        return nx_fail(err, NX_EPERM, "only root gives files away");
    if ((set & (NX_SET_MODE | NX_SET_GID)) && caller->uid != attr->uid)
        return nx_fail(err, NX_EPERM, "only the owner may change this");
    if ((set & NX_SET_SIZE) && !by_handle && !caller_may(caller->uid, caller->gid, attr, W_OK))
        return nx_fail(err, NX_EACCES, "mode %o does not allow it", attr->mode);
    return NX_OK;
}

/* A new owner or group: see mode_without_setid. What falls in most cases is in the request. */
static void drop_setgid(fuse_req_t req, const struct nx_attr *attr, unsigned *set,
                        struct nx_attr *values)
{
    uint32_t mode = mode_without_setid(req, attr);

    if (!(*set & (NX_SET_UID | NX_SET_GID)) || *set & NX_SET_MODE || mode == attr->mode ||
        attr->kind == NX_KIND_COLLECTION || attr->kind == NX_KIND_DIRECTORY)
        return;
    values->mode = mode;
    *set |= NX_SET_MODE;
}

/* Everything but the size of a document, which has its own ways. */
static void set_in_store(fuse_req_t req, const struct nx_attr *attr, unsigned set,
                         const struct nx_attr *values)
{
    struct parked *parked = parked_new(req, "setattr", PARKED_ATTR);
    struct nx_err err = NX_ERR_INIT;
    struct nx_change change;
    enum nx_code rc;

    if (!parked)
        return;
    if (attr->kind <= NX_KIND_DRAFT && (set & (NX_SET_ATIME | NX_SET_MTIME)))
        writers_set_times(parked->fs->writers, attr->ino, set & (NX_SET_ATIME | NX_SET_MTIME),
                          values);
    change = parked_change(parked);
    rc = nx_db_set_attr(parked->fs->db, attr->ino, set, values, &change, &parked->attr, &err);
    parked_finish(parked, rc, &err);
}

/* touch, and the truncation of an open for writing, are welcome on magic files and change nothing.
 */
static void set_magic(fuse_req_t req, fuse_ino_t ino, int mask)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr;

    if (mask & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
        fuse_reply_err(req, EPERM);
    else if (place_is_find(ino) && (mask & FUSE_SET_ATTR_SIZE))
        fuse_reply_err(req, EROFS); /* a projection */
    else if (magic_stat(fs_of(req), ino, &attr, &err) == NX_OK)
        reply_attr(req, &attr, 0);
    else
        reply_fail(req, "setattr", &err);
}

void files_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *values, int mask,
                   struct fuse_file_info *file)
{
    struct fs *fs = fs_of(req);
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr, wanted;
    unsigned set;
    enum nx_code rc;

    if (file && (mask & FUSE_SET_ATTR_SIZE) && handle_enter(req, file)->class->resize) {
        handle_of(file)->class->resize(handle_of(file), req, values->st_size);
        return;
    }
    if (magic_is(ino)) {
        set_magic(req, ino, mask);
        return;
    }
    if (fs->options.read_only || place_snapshot(ino)) {
        fuse_reply_err(req, EROFS);
        return;
    }
    set = wanted_changes(fs, values, mask, &wanted);
    rc = nx_db_stat(fs->db, NULL, ino, &attr, &err);
    if (rc == NX_OK)
        rc = check_owner(req, set, &wanted, &attr, file != NULL, &err);
    if (rc == NX_ENOTFOUND) {
        fuse_reply_err(req, ESTALE);
    } else if (rc != NX_OK) {
        reply_fail(req, "setattr", &err);
    } else if ((set & NX_SET_SIZE) && attr.kind <= NX_KIND_DRAFT) {
        document_truncate(req, ino, values->st_size);
    } else {
        drop_setgid(req, &attr, &set, &wanted);
        set_in_store(req, &attr, set, &wanted);
    }
}

void files_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct fs *fs = fs_of(req);
    struct nx_io *io = nx_db_io(fs->db);
    struct nx_err err = NX_ERR_INIT;
    struct nx_space space;
    struct statvfs out = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = NX_NAME_MAX};

    (void)ino;
    if (io->ops->space(io, nx_db_spill_dir(fs->db), &space, &err) != NX_OK) {
        reply_fail(req, "statfs", &err);
        return;
    }
    out.f_blocks = space.total_bytes / 4096;
    out.f_bfree = space.free_bytes / 4096;
    out.f_bavail = space.available_bytes / 4096;
    out.f_files = out.f_ffree = UINT32_MAX;
    out.f_favail = UINT32_MAX;
    fuse_reply_statfs(req, &out);
}

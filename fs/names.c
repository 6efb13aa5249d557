/*
 * names.c - requests that make, find, move and remove names.
 *
 * The store decides what a name means; here its answers are mapped, and what a shell cannot see
 * ("Invalid argument") is explained in `.errors`. A rename between documents and plain files
 * changes node numbers that the kernel has attached to its names: such names are forgotten right
 * after the answer.
 */
#include "fs/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <nexadb/id.h>

#include "fs/away.h"
#include "fs/errors.h"
#include "fs/files.h"
#include "fs/find.h"
#include "fs/ghosts.h"
#include "fs/handle.h"
#include "fs/magic.h"
#include "fs/notify.h"
#include "fs/place.h"
#include "fs/refused.h"
#include "fs/reply.h"
#include "fs/seen.h"
#include "fs/snapshots.h"

#define REJECTED ".rejected"

static uint64_t generation_now(struct fs *fs)
{
    return atomic_load_explicit(&fs->generation, memory_order_acquire);
}

/* True when the request has been refused: the mount is read-only, or the name belongs to a magic
 * file or lies in the folder that is not there yet. A result directory becomes its collection. */
static bool refuse_change(fuse_req_t req, fuse_ino_t *dir_ino, const char *name)
{
    struct fs *fs = fs_of(req);
    struct nx_attr dir;
    int error = place_is_find(*dir_ino) ? find_resolve(fs, dir_ino, name) : 0;
    fuse_ino_t parent = *dir_ino;

    if (error)
        ; /* so it is */
    else if (fs->options.read_only || place_snapshot(parent))
        error = EROFS;
    else if (strlen(name) > NX_NAME_MAX)
        error = ENAMETOOLONG;
    else if (magic_is(parent))
        error = EPERM;
    else if (magic_is_name(name) && nx_db_stat(fs->db, NULL, parent, &dir, NULL) == NX_OK &&
             magic_find(fs, dir.kind, true, name))
        error = EPERM;
    if (error)
        fuse_reply_err(req, error);
    else
        seen_mark_name(fs->seen, parent, name);
    return error != 0;
}

/* Begin a change of `name` in `*dir`; NULL: the request has been answered. */
static struct parked *begin(fuse_req_t req, const char *what, enum parked_answer answer,
                            fuse_ino_t *dir, const char *name)
{
    bool other_door = place_is_find(*dir);
    struct parked *parked = refuse_change(req, dir, name) ? NULL : parked_new(req, what, answer);

    if (parked)
        parked->other_door = other_door;
    return parked;
}

/* Failures about a document are explained where their user looks. */
static void explain(struct fs *fs, nx_ino dir, const char *name, enum nx_code rc,
                    const struct nx_err *err, struct nx_slice text)
{
    if (rc == NX_EINVAL || rc == NX_ENAME || rc == NX_EJSON || rc == NX_EDOC || rc == NX_EID ||
        rc == NX_ETOOBIG || rc == NX_ECONFLICT)
        errors_add(fs->errors, dir, name, err, text);
}

/* --- lookup ----------------------------------------------------------------------------------- */

static bool lookup_magic(fuse_req_t req, const struct fs_place *parent, const char *name)
{
    struct fs *fs = fs_of(req);
    const struct magic *magic;
    struct nx_attr dir, attr;

    if (!magic_is_name(name) || place_stat(fs, parent, &dir, NULL) != NX_OK)
        return false;
    magic = magic_find(fs, dir.kind, !parent->number, name);
    if (!magic)
        return false;
    if (magic_kind_of(magic) == MAGIC_FIND) {
        find_lookup_root(req, &dir);
        return true;
    }
    magic_attr(magic, &dir, &attr);
    /* a generation of the past: attributes follow their directory's, and the folder may become real
     */
    reply_entry(req, &attr, generation_now(fs) - 1);
    return true;
}

/* While the kernel has some node under a name that is another's now, it might take this document
 * for the same file as that name, and a rename of one to the other for nothing to do. */
static void reply_found(fuse_req_t req, const struct nx_attr *attr, uint64_t generation)
{
    struct fs *fs = fs_of(req);
    struct fuse_entry_param entry;

    reply_fill_entry(fs, attr, generation, &entry);
    if (attr->kind <= NX_KIND_DRAFT && !place_snapshot(attr->ino) &&
        atomic_load(&fs->misnamed) > 0) {
        entry.ino |= PLACE_SECOND;
        entry.entry_timeout = entry.attr_timeout = 0;
    }
    fuse_reply_entry(req, &entry);
}

static void lookup(fuse_req_t req, const struct fs_place *parent, const char *name)
{
    struct fs *fs = fs_of(req);
    struct nx_err err = NX_ERR_INIT;
    uint64_t generation = generation_now(fs);
    struct nx_attr attr;
    enum nx_code rc =
        nx_db_lookup(fs->db, parent->snapshot, parent->ino, name, strlen(name), &attr, &err);

    if (rc == NX_OK) {
        place_attr(parent->number, &attr);
        reply_found(req, &attr, generation);
    } else if (rc != NX_ENOTFOUND && rc != NX_ENAME) {
        reply_fail(req, "lookup", &err);
    } else if (!lookup_magic(req, parent, name)) {
        reply_missing(req, generation);
    }
}

void names_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fs *fs = fs_of(req);
    struct nx_err err = NX_ERR_INIT;
    struct fs_place place;

    if (place_is_find(parent)) {
        find_lookup(req, parent, name);
    } else if (strlen(name) > NX_NAME_MAX) {
        fuse_reply_err(req, ENAMETOOLONG);
    } else if (snapshots_is_folder(parent)) {
        snapshots_lookup(req, name);
    } else if (magic_is(parent)) {
        fuse_reply_err(req, ENOENT);
    } else if (place_open(fs, parent, &place, &err) != NX_OK) {
        fuse_reply_err(req, ESTALE); /* the snapshot is gone */
    } else {
        seen_mark_name(fs->seen, parent, name);
        lookup(req, &place, name);
        place_close(&place);
    }
}

void names_readlink(fuse_req_t req, fuse_ino_t ino)
{
    struct nx_buf target NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    struct fs_place place;
    enum nx_code rc = place_open(fs_of(req), ino, &place, &err);

    if (rc == NX_OK)
        rc = nx_db_readlink(fs_of(req)->db, place.snapshot, place.ino, &target, &err);
    place_close(&place);
    if (rc == NX_OK)
        rc = nx_buf_append_byte(&target, 0);
    if (rc == NX_OK) {
        fuse_reply_readlink(req, (char *)target.data);
        return;
    }
    err.code = rc;
    reply_fail(req, "readlink", &err);
}

/* --- making ----------------------------------------------------------------------------------- */

/* A name that is there already, for an open that may find one. */
static void open_existing(struct parked *parked, nx_ino parent, const char *name)
{
    struct nx_change change = {.origin = parked->fs->origin};
    struct nx_err err = NX_ERR_INIT;
    uint64_t generation = generation_now(parked->fs);
    enum nx_code rc =
        nx_db_lookup(parked->fs->db, NULL, parent, name, strlen(name), &parked->attr, &err);

    if (rc == NX_OK && parked->attr.kind == NX_KIND_FILE && (parked->file.flags & O_TRUNC))
        rc = nx_db_set_attr(parked->fs->db, parked->attr.ino, NX_SET_SIZE,
                            &(struct nx_attr){.size = 0}, &change, &parked->attr, &err);
    if (rc == NX_OK)
        rc = files_open_handle(parked->req, &parked->attr, &parked->file, &err);
    parked_finish_done(parked, rc, &err, generation);
}

void names_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                  struct fuse_file_info *file)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_change change;
    struct parked *parked;
    enum nx_code rc;

    parked = begin(req, "create", PARKED_CREATE, &parent, name);
    if (!parked)
        return;
    change = parked_change(parked);
    parked->file = *file;
    parked->file.fh = 0;
    parked->attr = (struct nx_attr){
        .kind = NX_KIND_FILE, .mode = mode & 07777, .uid = change.uid, .gid = change.gid};
    rc = nx_db_create(parked->fs->db, parent, name, strlen(name), NX_SLICE_NULL, &change,
                      &parked->attr, &err);
    if (rc == NX_EEXISTS && !(file->flags & O_EXCL)) {
        open_existing(parked, parent, name);
        return;
    }
    if (rc == NX_OK)
        parked->refused = files_open_handle(req, &parked->attr, &parked->file, &err);
    else
        explain(parked->fs, parent, name, rc, &err, NX_SLICE_NULL);
    parked_finish(parked, rc, &err);
}

static void make_node(fuse_req_t req, const char *what, fuse_ino_t parent, const char *name,
                      struct nx_attr attr, struct nx_slice target)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_change change;
    struct parked *parked;
    enum nx_code rc;

    parked = begin(req, what, PARKED_ENTRY, &parent, name);
    if (!parked)
        return;
    change = parked_change(parked);
    parked->attr = attr;
    parked->attr.uid = change.uid;
    parked->attr.gid = change.gid;
    rc = nx_db_create(parked->fs->db, parent, name, strlen(name), target, &change, &parked->attr,
                      &err);
    if (rc != NX_OK)
        explain(parked->fs, parent, name, rc, &err, NX_SLICE_NULL);
    parked_finish(parked, rc, &err);
}

void names_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    enum nx_kind kind = S_ISFIFO(mode)   ? NX_KIND_FIFO
                        : S_ISSOCK(mode) ? NX_KIND_SOCKET
                        : S_ISCHR(mode)  ? NX_KIND_CHARDEV
                        : S_ISBLK(mode)  ? NX_KIND_BLOCKDEV
                                         : NX_KIND_FILE;

    make_node(req, "mknod", parent, name,
              (struct nx_attr){.kind = kind, .mode = mode & 07777, .rdev = rdev}, NX_SLICE_NULL);
}

void names_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    if (snapshots_is_folder(parent) && !fs_of(req)->options.read_only) {
        snapshots_mkdir(req, name);
        return;
    }
    if (place_is_find(parent)) { /* the kernel lets a directory be in one place only */
        fuse_reply_err(req, fs_of(req)->options.read_only ? EROFS : EPERM);
        return;
    }
    make_node(req, "mkdir", parent, name,
              (struct nx_attr){.kind = NX_KIND_DIRECTORY, .mode = mode & 07777}, NX_SLICE_NULL);
}

void names_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    make_node(req, "symlink", parent, name, (struct nx_attr){.kind = NX_KIND_SYMLINK, .mode = 0777},
              nx_slice_str(target));
}

void names_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_change change;
    struct parked *parked;
    enum nx_code rc;

    if (place_snapshot(ino)) {
        fuse_reply_err(req, EXDEV);
        return;
    }
    if (magic_is(ino)) {
        fuse_reply_err(req, EPERM);
        return;
    }
    parked = begin(req, "link", PARKED_ENTRY, &parent, name);
    if (!parked)
        return;
    change = parked_change(parked);
    rc = nx_db_link(parked->fs->db, ino, parent, name, strlen(name), &change, &parked->attr, &err);
    parked_finish(parked, rc, &err);
}

/* --- removing --------------------------------------------------------------------------------- */

/* It may be open still. */
static void remember_removed(struct fs *fs, const struct nx_attr *attr)
{
    struct nx_io *io = nx_db_io(fs->db);
    bool is_directory = attr->kind == NX_KIND_COLLECTION || attr->kind == NX_KIND_DIRECTORY;

    if (attr->nlink == 1 || is_directory)
        ghosts_add(fs->ghosts, attr, (int64_t)io->ops->realtime_ns(io));
}

void names_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fs *fs = fs_of(req);
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr dir, removed;
    struct nx_change change;
    struct parked *parked;
    enum nx_code rc;

    if (!fs->options.read_only && !place_snapshot(parent) && magic_is_name(name) &&
        nx_db_stat(fs->db, NULL, parent, &dir, NULL) == NX_OK &&
        magic_find(fs, dir.kind, true, name)) {
        fuse_reply_err(req, 0); /* so that rm -r works where they are listed */
        return;
    }
    parked = begin(req, "unlink", PARKED_STATUS, &parent, name);
    if (!parked)
        return;
    change = parked_change(parked);
    rc = nx_db_unlink(fs->db, parent, name, strlen(name), &change, &removed, &err);
    if (rc == NX_OK)
        remember_removed(fs, &removed);
    parked_finish(parked, rc, &err);
}

/* The number of the rejected folder when a directory holds nothing else; 0 otherwise. */
static nx_ino only_rejected(struct fs *fs, nx_ino dir)
{
    struct nx_dirent entry;
    struct nx_dir *list;
    nx_ino found = 0;

    if (nx_dir_open(fs->db, NULL, dir, false, &list, NULL) != NX_OK)
        return 0;
    if (nx_dir_next(list, &entry, NULL) == NX_OK && strcmp(entry.name, REJECTED) == 0) {
        found = entry.attr.ino;
        if (nx_dir_next(list, &entry, NULL) != NX_DONE)
            found = 0;
    }
    nx_dir_close(list);
    return found;
}

/* Reserved entries go with their collection. */
static bool drop_rejected(struct fs *fs, nx_ino parent, const char *name, struct nx_change change)
{
    struct nx_attr dir;
    nx_ino rejected;

    if (nx_db_lookup(fs->db, NULL, parent, name, strlen(name), &dir, NULL) != NX_OK ||
        dir.kind != NX_KIND_COLLECTION)
        return false;
    rejected = only_rejected(fs, dir.ino);
    change.done = NULL;
    change.durability = NX_BUFFERED;
    return rejected != 0 && nx_db_drop(fs->db, rejected, &change, NULL) == NX_OK;
}

/* A folder that is nowhere but in what its lookup said. */
static bool is_only_looked_up(struct fs *fs, fuse_ino_t parent, const char *name)
{
    struct nx_attr attr;

    if (place_is_find(parent))
        return true;
    return (strcmp(name, REJECTED) == 0 || strcmp(name, ".find") == 0) &&
           nx_db_lookup(fs->db, NULL, parent, name, strlen(name), &attr, NULL) != NX_OK;
}

void names_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fs *fs = fs_of(req);
    struct nx_err err = NX_ERR_INIT;
    struct nx_change change;
    struct parked *parked;
    struct nx_attr dir;
    bool is_there;
    enum nx_code rc;

    if (fs->options.read_only || place_snapshot(parent)) {
        fuse_reply_err(req, EROFS);
        return;
    }
    if (snapshots_is_folder(parent)) {
        snapshots_rmdir(req, name);
        return;
    }
    if (is_only_looked_up(fs, parent, name)) {
        find_forget(fs, parent, strcmp(name, ".find") == 0 ? "" : name);
        fuse_reply_err(req, 0); /* so that rm -r works */
        return;
    }
    parked = parked_new(req, "rmdir", PARKED_STATUS);
    if (!parked)
        return;
    change = parked_change(parked);
    is_there = nx_db_lookup(fs->db, NULL, parent, name, strlen(name), &dir, NULL) == NX_OK;
    rc = nx_db_rmdir(fs->db, parent, name, strlen(name), &change, &err);
    if (rc == NX_ENOTEMPTY && drop_rejected(fs, parent, name, change))
        rc = nx_db_rmdir(fs->db, parent, name, strlen(name), &change, &err);
    if (rc == NX_OK && is_there)
        remember_removed(fs, &dir);
    parked_finish(parked, rc, &err);
}

/* --- moving ----------------------------------------------------------------------------------- */

/* For conflict=fail: who writes a document of this name next knows only the one that went. */
static void note_away(struct fs *fs, nx_ino from_dir, const char *from, const char *to)
{
    struct nx_id id;

    if (fs->options.conflict_fail && !nx_name_is_document(to, strlen(to)) &&
        nx_id_from_name(from, strlen(from), &id, NULL, NULL) == NX_OK)
        aways_add(fs->aways, from_dir, &id);
}

/* What changes sides between documents and plain files gets another number than the kernel thinks,
 * which moves its own entry: how many names are wrong then. */
static unsigned count_misnamed(const char *from, const char *to, unsigned flags)
{
    if (nx_name_is_document(from, strlen(from)) == nx_name_is_document(to, strlen(to)))
        return 0;
    return flags & NX_RENAME_EXCHANGE ? 2 : 1;
}

/* After the answer: the notifier waits for the directory anyway. */
static void forget_renamed(struct fs *fs, unsigned misnamed, nx_ino from_dir, const char *from,
                           nx_ino dir, const char *name)
{
    if (misnamed > 0)
        notifier_forget_renamed(fs->notifier, dir, name);
    if (misnamed > 1)
        notifier_forget_renamed(fs->notifier, from_dir, from);
}

/* What a rename takes the name from. */
static bool find_replaced(struct fs *fs, nx_ino dir, const char *name, unsigned flags,
                          struct nx_attr *out)
{
    return flags == 0 && nx_db_lookup(fs->db, NULL, dir, name, strlen(name), out, NULL) == NX_OK;
}

/* A result directory shows no directories, and takes none. */
static bool refuse_directory(fuse_req_t req, nx_ino dir, const char *name)
{
    struct nx_attr attr;

    if (nx_db_lookup(fs_of(req)->db, NULL, dir, name, strlen(name), &attr, NULL) != NX_OK ||
        (attr.kind != NX_KIND_DIRECTORY && attr.kind != NX_KIND_COLLECTION))
        return false;
    fuse_reply_err(req, EPERM);
    return true;
}

/* Between a result directory and its collection a move is within one directory, which the kernel
 * does not know: names of it would be wrong until after the answer, because our caller holds it. mv
 * copies and removes then. */
static bool refuse_by_find(fuse_req_t req, fuse_ino_t from, fuse_ino_t to, fuse_ino_t from_base,
                           fuse_ino_t to_base)
{
    if (from == to || from_base != to_base || (from != from_base && to != to_base))
        return false;
    fuse_reply_err(req, EXDEV);
    return true;
}

void names_rename(fuse_req_t req, fuse_ino_t from_parent, const char *from, fuse_ino_t to_parent,
                  const char *to, unsigned flags)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_change change;
    struct nx_attr replaced;
    struct parked *parked;
    bool replaces;
    struct fs *fs;
    enum nx_code rc;
    unsigned misnamed;
    bool by_find = place_is_find(from_parent) || place_is_find(to_parent);
    fuse_ino_t from_dir = from_parent, to_dir = to_parent;

    if (flags & ~(unsigned)(NX_RENAME_NOREPLACE | NX_RENAME_EXCHANGE)) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    if (snapshots_is_folder(from_parent) && snapshots_is_folder(to_parent) && flags == 0 &&
        !fs_of(req)->options.read_only) {
        snapshots_rename(req, from, to);
        return;
    }
    if (refuse_change(req, &from_parent, from))
        return;
    parked = begin(req, "rename", PARKED_STATUS, &to_parent, to);
    if (!parked)
        return;
    if (refuse_by_find(req, from_dir, to_dir, from_parent, to_parent) ||
        (by_find && refuse_directory(req, from_parent, from)) ||
        (by_find && (flags & NX_RENAME_EXCHANGE) && refuse_directory(req, to_parent, to))) {
        free(parked);
        return;
    }
    parked->other_door = by_find;
    fs = parked->fs;
    change = parked_change(parked);
    misnamed = count_misnamed(from, to, flags);
    replaces = find_replaced(fs, to_parent, to, flags, &replaced);
    if (fs->options.conflict_fail && !(flags & NX_RENAME_EXCHANGE))
        flags |= NX_RENAME_IF_OLDER;
    rc = nx_db_rename(fs->db, from_parent, from, strlen(from), to_parent, to, strlen(to), flags,
                      &change, &err);
    if (refused_is_about_text(rc)) {
        refused_rename(parked, from_parent, from, to_parent, to, &err);
        return;
    }
    if (rc != NX_OK)
        explain(fs, to_parent, to, rc, &err, NX_SLICE_NULL);
    else
        note_away(fs, from_parent, from, to);
    if (rc == NX_OK && replaces)
        remember_removed(fs, &replaced);
    if (rc == NX_OK)
        atomic_fetch_add(&fs->misnamed, misnamed); /* before the answer, after which it matters */
    parked_finish(parked, rc, &err);
    if (rc == NX_OK)
        forget_renamed(fs, misnamed, from_parent, from, to_parent, to);
}

/*
 * dir.c - listing: one ordered scan, full attributes, offsets that are the store's cookies.
 *
 * A batch is read from a picture not older than the last change of the directory: the attributes go
 * to the kernel with long timeouts, so they must be of now. Cookies survive deletions, so a new
 * picture continues where the old one stood. Memory: one entry, whatever the directory holds.
 */
#include "fs/dir.h"

#include <errno.h>
#include <string.h>

#include "fs/find.h"
#include "fs/ghosts.h"
#include "fs/handle.h"
#include "fs/magic.h"
#include "fs/rejected.h"
#include "fs/reply.h"
#include "fs/seen.h"
#include "fs/snapshots.h"

/* Offsets of what is not the store's: from the top, where no cookie comes. */
#define SPECIAL_FIRST (INT64_MAX - 255)
#define SPECIAL_DOTS 2

struct listing {
    struct handle base;
    pthread_mutex_t mu;
    struct nx_attr attr;   /* of the directory, at the open; numbers are the kernel's */
    struct fs_place place; /* what is listed, and in which snapshot */
    struct nx_dir *dir;    /* owned; guarded by mu, as the rest; NULL: none is open */
    uint32_t changes;      /* of the directory, when `dir` was opened */
    uint64_t at;           /* the cookie after which `dir` stands, 0: its start */
    struct nx_dirent next; /* borrowed from `dir` when has_next: read and not yet given */
    bool has_next;
    bool is_over; /* its end was told at offset `end`; the picture is gone until somebody rewinds */
    uint64_t end;
};

struct output {
    fuse_req_t req;
    nx_ino dir;
    char *data;
    size_t size, used;
    uint64_t generation;
    bool plus;
    bool is_short; /* the entries are looked up again each time */
};

/* False when it does not fit. */
static bool add(struct output *out, const char *name, const struct nx_attr *attr, bool looked_up,
                uint64_t next_offset)
{
    struct fuse_entry_param entry;
    char *at = out->data + out->used;
    size_t room = out->size - out->used, need;

    if (out->plus && looked_up)
        seen_mark_name(fs_of(out->req)->seen, out->dir, name);
    reply_fill_entry(fs_of(out->req), attr, out->generation, &entry);
    if (out->is_short)
        entry.entry_timeout = entry.attr_timeout = 0;
    if (!looked_up)
        entry.ino = 0; /* "." and ".." take no reference */
    if (out->plus)
        need = fuse_add_direntry_plus(out->req, at, room, name, &entry, (off_t)next_offset);
    else
        need = fuse_add_direntry(out->req, at, room, name, &entry.attr, (off_t)next_offset);
    if (need > room)
        return false;
    out->used += need;
    return true;
}

/* ".", "..", and the magic files where they are listed. `index`: the first to add. True when all
 * fit. */
static bool add_special(struct listing *listing, struct output *out, unsigned index)
{
    struct fs *fs = listing->base.fs;
    bool visible = fs->options.magic == FS_MAGIC_VISIBLE;
    const struct magic *magic;
    struct nx_attr attr = listing->attr;

    for (; index < SPECIAL_DOTS; index++) {
        if (index == 1 && listing->attr.parent != 0)
            attr.ino = listing->attr.parent;
        if (!add(out, index == 0 ? "." : "..", &attr, false, SPECIAL_FIRST + index + 1u))
            return false;
    }
    for (; visible && (magic = magic_row(index - SPECIAL_DOTS)); index++) {
        if (magic_find(fs, listing->attr.kind, !listing->place.number, magic->name) != magic)
            continue;
        magic_attr(magic, &listing->attr, &attr);
        if (magic_kind_of(magic) == MAGIC_FIND) { /* numbered by its lookup */
            if (!add(out, magic->name, &attr, false, SPECIAL_FIRST + index + 1u))
                return false;
            continue;
        }
        if (!add(out, magic->name, &attr, true, SPECIAL_FIRST + index + 1u))
            return false;
    }
    return true;
}

/* The folder of refused texts is a reserved entry: found by lookup, not listed. */
static bool is_hidden(struct listing *listing, const struct nx_dirent *entry)
{
    return listing->attr.kind == NX_KIND_COLLECTION && entry->attr.kind == NX_KIND_DIRECTORY &&
           strcmp(entry->name, REJECTED_DIR) == 0;
}

static enum nx_code open_after(struct listing *listing, uint64_t cookie, struct nx_err *err)
{
    enum nx_code rc = nx_dir_open(listing->base.fs->db, listing->place.snapshot, listing->place.ino,
                                  false, &listing->dir, err);

    return rc == NX_OK && cookie != 0 ? nx_dir_seek(listing->dir, cookie, err) : rc;
}

/* Stand after `cookie`, in a picture that is not older than the last change. The next picture is
 * made by way of the old one, which has the cookie's document though it may have gone since. */
static enum nx_code stand_after(struct listing *listing, uint64_t cookie, struct nx_err *err)
{
    struct fs *fs = listing->base.fs;
    uint32_t changes =
        atomic_load_explicit(fs_dir_changes(fs, listing->attr.ino), memory_order_acquire);
    bool stale = listing->changes != changes && !listing->place.number;
    enum nx_code rc;

    if (listing->dir && !stale && listing->at == cookie)
        return NX_OK;
    listing->has_next = false;
    listing->at = cookie;
    if (!listing->dir)
        rc = open_after(listing, cookie, err);
    else if (stale)
        rc = nx_dir_refresh(listing->dir, cookie, err);
    else
        rc = nx_dir_seek(listing->dir, cookie, err);
    listing->changes = changes;
    if (rc != NX_OK) {
        nx_dir_close(listing->dir);
        listing->dir = NULL;
    }
    return rc;
}

static enum nx_code add_entries(struct listing *listing, struct output *out, struct nx_err *err)
{
    for (;;) {
        enum nx_code rc = NX_OK;

        if (!listing->has_next)
            rc = nx_dir_next(listing->dir, &listing->next, err);
        if (rc != NX_OK)
            return rc == NX_DONE ? NX_OK : rc;
        if (!listing->has_next)
            place_attr(listing->place.number, &listing->next.attr);
        listing->has_next = !is_hidden(listing, &listing->next);
        if (listing->has_next &&
            !add(out, listing->next.name, &listing->next.attr, true, listing->next.cookie))
            return NX_OK;
        listing->at = listing->next.cookie;
        listing->has_next = false;
    }
}

/* Offsets are their numbers. */
static void add_snapshots(struct listing *listing, struct output *out, uint32_t number)
{
    char name[NX_SNAPSHOT_NAME_MAX + 1];
    struct nx_attr attr;

    out->is_short = true;
    while (snapshots_next(listing->base.fs, &number, name, &attr) == NX_OK)
        if (!add(out, name, &attr, true, number))
            return;
}

/* A picture holds space that was given back since; and programs that remove what they listed, as rm
 * -r does, keep their directory open meanwhile. */
static void end_listing(struct listing *listing, uint64_t offset)
{
    nx_dir_close(listing->dir);
    listing->dir = NULL;
    listing->is_over = true;
    listing->end = offset;
}

static enum nx_code fill(struct listing *listing, struct output *out, uint64_t offset,
                         struct nx_err *err)
{
    bool special = offset == 0 || offset > SPECIAL_FIRST;
    enum nx_code rc;

    if (offset == 0 && listing->dir) { /* rewinddir: a new picture */
        nx_dir_close(listing->dir);
        listing->dir = NULL;
    }
    if (listing->is_over && offset == listing->end)
        return NX_OK;
    listing->is_over = false;
    if (special && !add_special(listing, out, offset == 0 ? 0 : (unsigned)(offset - SPECIAL_FIRST)))
        return NX_OK;
    if (snapshots_is_folder(listing->base.ino)) {
        add_snapshots(listing, out, special ? 0 : (uint32_t)offset);
        return NX_OK;
    }
    if (magic_is(listing->base.ino))
        return NX_OK; /* the folder that is not there yet: empty */
    rc = stand_after(listing, special ? 0 : offset, err);
    if (rc == NX_OK)
        rc = add_entries(listing, out, err);
    if (rc == NX_OK && offset != 0 && out->used == 0 && !listing->has_next)
        end_listing(listing, offset);
    return rc;
}

static void answer_read(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *file,
                        bool plus)
{
    struct listing *listing = (struct listing *)handle_enter(req, file);
    struct fs *fs = fs_of(req);
    struct output out = {
        .req = req,
        .dir = listing->base.ino,
        .data = reply_scratch(size),
        .size = size,
        .plus = plus,
        .generation = atomic_load_explicit(&fs->generation, memory_order_acquire),
    };
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc;

    if (!out.data) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    pthread_mutex_lock(&listing->mu);
    rc = fill(listing, &out, (uint64_t)offset, &err);
    pthread_mutex_unlock(&listing->mu);
    if (rc == NX_OK || out.used > 0) /* what is good first: the error comes again */
        fuse_reply_buf(req, out.data, out.used);
    else if (rc == NX_ENOTFOUND)
        fuse_reply_buf(req, NULL, 0); /* removed while it was open */
    else
        reply_fail(req, "readdir", &err);
}

void dir_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
              struct fuse_file_info *file)
{
    if (place_is_find(ino))
        find_list_read(req, size, offset, file, false);
    else
        answer_read(req, size, offset, file, false);
}

void dir_read_plus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                   struct fuse_file_info *file)
{
    if (place_is_find(ino))
        find_list_read(req, size, offset, file, true);
    else
        answer_read(req, size, offset, file, true);
}

static void release_listing(struct handle *handle, fuse_req_t req)
{
    struct listing *listing = (struct listing *)handle;

    pthread_mutex_lock(&listing->mu); /* the last read is through with it */
    pthread_mutex_unlock(&listing->mu);
    nx_dir_close(listing->dir);
    place_close(&listing->place);
    pthread_mutex_destroy(&listing->mu);
    handle_free(handle);
    if (req)
        fuse_reply_err(req, 0);
}

static const struct handle_class listing_class = {.release = release_listing};

void dir_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    struct fs *fs = fs_of(req);
    struct nx_err err = NX_ERR_INIT;
    struct listing *listing;
    struct nx_attr attr;
    struct fs_place place;
    enum nx_code rc;

    if (place_is_find(ino)) {
        find_list_open(req, ino, file);
        return;
    }
    rc = place_open(fs, ino, &place, &err);
    if (rc == NX_OK)
        rc = magic_is(ino) ? magic_stat(fs, ino, &attr, &err) : place_stat(fs, &place, &attr, &err);
    if (rc == NX_ENOTFOUND && ghosts_find(fs->ghosts, ino, &attr))
        rc = NX_OK; /* somebody's working directory: empty */
    if (rc != NX_OK) {
        place_close(&place);
        if (rc == NX_ENOTFOUND)
            fuse_reply_err(req, ESTALE);
        else
            reply_fail(req, "opendir", &err);
        return;
    }
    listing = handle_new(fs, sizeof *listing, &listing_class, ino, file->flags);
    if (!listing) {
        place_close(&place);
        fuse_reply_err(req, ENOMEM);
        return;
    }
    pthread_mutex_init(&listing->mu, NULL);
    listing->attr = attr;
    listing->place = place;
    file->fh = (uintptr_t)listing;
    handle_reply_open(req, file);
}

void dir_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    (void)ino;
    handle_release(handle_enter(req, file), req);
}

/* A directory's names are commits of their own. */
void dir_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *file)
{
    (void)ino, (void)datasync, (void)file;
    reply_when_synced(req, "fsync");
}

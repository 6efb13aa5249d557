/*
 * find_names.c - names below `.find/`: which are there, and what a change of one really changes.
 *
 * A document is there when it matches, or when it was made through this directory: an editor finds
 * what it has just written. Files that are no documents are found by name, so that editors and
 * rsync have their temporary and swap files; nothing lists them. Directories of the collection are
 * not: the kernel lets a directory be in one place only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/caller.h"
#include "fs/errors.h"
#include "fs/find.h"
#include "fs/magic.h"
#include "fs/reply.h"

/* --- attributes ------------------------------------------------------------------------------- */

static void attr_of(const struct find_dir *dir, const struct nx_attr *collection,
                    struct nx_attr *out)
{
    *out = *collection;
    out->ino = dir->ino;
    out->parent = dir->parent;
    out->kind = NX_KIND_DIRECTORY;
    out->nlink = 2;
    out->size = 0;
    if (find_is_projection(dir))
        out->mode &= ~0222u; /* what is written there would replace whole documents */
}

enum nx_code find_attr(struct fs *fs, const struct find_dir *dir, struct nx_attr *out,
                       struct nx_err *err)
{
    struct nx_attr collection;
    struct fs_place place;
    enum nx_code rc = place_open(fs, dir->base, &place, err);

    if (rc != NX_OK)
        return rc;
    rc = place_stat(fs, &place, &collection, err);
    place_close(&place);
    if (rc == NX_OK)
        attr_of(dir, &collection, out);
    return rc;
}

static enum nx_code stat_file(struct fs *fs, const struct find_dir *dir, nx_ino ino,
                              struct nx_attr *out, struct nx_err *err)
{
    struct fs_place place;
    enum nx_code rc = place_open(fs, dir->base, &place, err);

    if (rc != NX_OK)
        return rc;
    rc = nx_db_stat(fs->db, place.snapshot, ino, out, err);
    if (rc == NX_OK)
        rc = find_file_attr(fs, dir, &place, out, err);
    place_close(&place);
    return rc;
}

enum nx_code find_stat(struct fs *fs, fuse_ino_t ino, struct nx_attr *out, struct nx_err *err)
{
    struct find_dir *dir = find_get(fs, ino);
    nx_ino number = ino & PLACE_NUMBER_MASK;
    const struct magic *magic = NULL;
    struct nx_attr attr;
    enum nx_code rc;

    if (!dir)
        return nx_fail(err, NX_ENOTFOUND, "the query is not kept any more");
    if (number != 0 && number < PLACE_FIND_MAGIC) {
        rc = stat_file(fs, dir, number, out, err);
    } else {
        rc = number ? magic_of(ino, &magic, err) : NX_OK;
        if (rc == NX_OK)
            rc = find_attr(fs, dir, &attr, err);
        if (rc == NX_OK && magic)
            magic_attr(magic, &attr, out);
        else if (rc == NX_OK)
            *out = attr;
    }
    find_put(dir);
    return rc;
}

/* --- lookup ----------------------------------------------------------------------------------- */

static void reply_unkept(fuse_req_t req, const struct find_dir *dir, const struct nx_attr *attr)
{
    struct fuse_entry_param entry = {.ino = attr->ino, .generation = dir->generation};

    reply_stat(attr, &entry.attr);
    fuse_reply_entry(req, &entry);
}

static void reply_none(fuse_req_t req)
{
    fuse_reply_err(req, ENOENT);
}

void find_lookup_root(fuse_req_t req, const struct nx_attr *collection)
{
    struct nx_err err = NX_ERR_INIT;
    struct find_dir *dir;
    struct nx_attr attr;

    if (find_root(fs_of(req), collection->ino, &dir, &err) != NX_OK) {
        reply_fail(req, "lookup", &err);
        return;
    }
    attr_of(dir, collection, &attr);
    reply_unkept(req, dir, &attr);
    find_put(dir);
}

static void lookup_query(fuse_req_t req, struct find_dir *dir, const char *name)
{
    struct fs *fs = fs_of(req);
    char place[FIND_COMPONENT_MAX + sizeof ".find/"];
    struct nx_err err = NX_ERR_INIT;
    struct find_dir *child;
    struct nx_attr attr;
    enum nx_code rc = find_enter(fs, dir, name, &child, &err);

    if (rc == NX_OK)
        rc = find_attr(fs, child, &attr, &err);
    if (rc == NX_OK)
        reply_unkept(req, child, &attr);
    find_put(child);
    if (rc == NX_OK)
        return;
    snprintf(place, sizeof place, ".find/%s", name);
    errors_add(fs->errors, dir->base, place, &err, NX_SLICE_NULL);
    reply_fail(req, "lookup", &err);
}

static bool is_allowed(fuse_req_t req, const struct nx_attr *attr)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);

    return !fs_of(req)->options.allow_other || caller_may(caller->uid, caller->gid, attr, 4);
}

static enum nx_code matches(struct fs *fs, const struct find_dir *dir, const struct fs_place *place,
                            nx_ino ino, bool *out, struct nx_err *err)
{
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_document document;
    enum nx_code rc;

    *out = dir->filter.len == 0;
    if (*out)
        return NX_OK;
    rc = nx_document_by_ino(fs->db, place->snapshot, ino, &bytes, &document, err);
    if (rc == NX_ENOTFOUND)
        return NX_OK;
    return rc == NX_OK ? nx_query_matches(nx_buf_slice(&dir->filter), document.bson, out, err) : rc;
}

/* The document `name`, or NX_ENOTFOUND. */
static enum nx_code get_document(fuse_req_t req, struct find_dir *dir, const struct fs_place *place,
                                 const char *name, struct nx_attr *out, struct nx_err *err)
{
    struct fs *fs = fs_of(req);
    bool shows = false;
    enum nx_code rc =
        nx_db_lookup(fs->db, place->snapshot, place->ino, name, strlen(name), out, err);

    if (rc != NX_OK)
        return rc == NX_ENAME ? NX_ENOTFOUND : rc;
    if (find_is_touched(fs, dir, name) && !find_is_projection(dir))
        shows = true;
    else if (out->kind == NX_KIND_DOCUMENT && is_allowed(req, out))
        rc = matches(fs, dir, place, out->ino, &shows, err);
    if (rc == NX_OK && !shows)
        return NX_ENOTFOUND;
    if (rc == NX_OK && find_is_projection(dir))
        return find_file_attr(fs, dir, place, out, err);
    if (rc == NX_OK)
        place_attr(place->number, out);
    return rc;
}

static enum nx_code get_name(fuse_req_t req, struct find_dir *dir, const struct fs_place *place,
                             const char *name, struct nx_attr *out, struct nx_err *err)
{
    enum nx_code rc;

    if (find_is_projection(dir) || magic_is_name(name))
        return NX_ENOTFOUND;
    rc = nx_db_lookup(fs_of(req)->db, place->snapshot, place->ino, name, strlen(name), out, err);
    if (rc == NX_OK && (out->kind == NX_KIND_DIRECTORY || out->kind == NX_KIND_COLLECTION))
        rc = NX_ENOTFOUND;
    if (rc == NX_OK)
        place_attr(place->number, out);
    return rc;
}

static void reply_node(fuse_req_t req, const struct find_dir *dir, const struct nx_attr *attr,
                       uint64_t generation)
{
    struct fuse_entry_param entry;

    if (place_is_find(attr->ino)) {
        reply_unkept(req, dir, attr);
        return;
    }
    reply_fill_entry(fs_of(req), attr, generation, &entry);
    entry.entry_timeout = 0; /* it may match no more, or be gone */
    fuse_reply_entry(req, &entry);
}

static void lookup_node(fuse_req_t req, struct find_dir *dir, const char *name, bool is_document)
{
    struct fs *fs = fs_of(req);
    uint64_t generation = atomic_load_explicit(&fs->generation, memory_order_acquire);
    struct nx_err err = NX_ERR_INIT;
    struct fs_place place;
    struct nx_attr attr;
    enum nx_code rc = place_open(fs, dir->base, &place, &err);

    if (rc == NX_OK && is_document)
        rc = get_document(req, dir, &place, name, &attr, &err);
    else if (rc == NX_OK)
        rc = get_name(req, dir, &place, name, &attr, &err);
    place_close(&place);
    if (rc == NX_OK)
        reply_node(req, dir, &attr, generation);
    else if (rc == NX_ENOTFOUND)
        reply_none(req);
    else
        reply_fail(req, "lookup", &err);
}

static void lookup_magic(fuse_req_t req, struct find_dir *dir, const struct magic *magic)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr, own;

    if (find_attr(fs_of(req), dir, &attr, &err) != NX_OK) {
        reply_none(req);
        return;
    }
    magic_attr(magic, &attr, &own);
    reply_unkept(req, dir, &own);
}

void find_lookup(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    struct fs *fs = fs_of(req);
    struct find_dir *dir = find_get(fs, ino);
    enum find_component kind = find_text_kind(name);
    const struct magic *magic = magic_find(fs, NX_KIND_COLLECTION, true, name);

    if (!dir)
        fuse_reply_err(req, ESTALE); /* the kernel looks the path up again */
    else if (strlen(name) > (kind == FIND_IS_QUERY ? FIND_COMPONENT_MAX : NX_NAME_MAX))
        fuse_reply_err(req, ENAMETOOLONG);
    else if (kind == FIND_IS_QUERY)
        lookup_query(req, dir, name);
    else if (magic && (magic->flags & MAGIC_IN_FIND))
        lookup_magic(req, dir, magic);
    else
        lookup_node(req, dir, name, kind == FIND_IS_DOCUMENT);
    find_put(dir);
}

/* --- changes ---------------------------------------------------------------------------------- */

int find_resolve(struct fs *fs, fuse_ino_t *ino, const char *name)
{
    struct find_dir *dir = find_get(fs, *ino);
    int error = 0;

    if (!dir)
        return ESTALE;
    if (find_is_projection(dir))
        error = EROFS;
    else if (find_text_kind(name) == FIND_IS_QUERY)
        error = EPERM;
    else
        find_touch(fs, dir, name);
    *ino = dir->base;
    find_put(dir);
    return error;
}

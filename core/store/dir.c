/* dir.c - listing a directory: plain entries in the order they were made, then documents in _id
 * order.
 *
 * Cookies: of a plain entry its listing number, of a document its node number with COOKIE_DOCUMENT.
 * A seek is one or two point reads in the listing's picture, where nothing is ever deleted, so that
 * no table of cookies is kept. */
#include <stdlib.h>

#include "store/store.h"

#define COOKIE_DOCUMENT NUMBER_LIMIT

enum dir_part { PART_PLAIN, PART_DOCUMENTS, PART_END };

struct nx_dir {
    struct nx_db *db;
    const struct nx_snapshot *snapshot;
    struct nx_snapshot *own; /* owned; NULL when the caller gave one */
    nx_ino ino;
    bool documents_only;
    enum dir_part part;
    struct nx_iter *iter; /* owned; of `part`; NULL until the part is entered */
    bool standing;        /* iter stands on the next entry, by a seek */
    struct nx_buf name;
    struct nx_buf node; /* bytes of the last plain entry's node */
};

void nx_dir_close(struct nx_dir *dir)
{
    if (!dir)
        return;
    nx_iter_close(dir->iter);
    if (dir->own)
        nx_snapshot_release(dir->own);
    nx_buf_fini(&dir->name);
    nx_buf_fini(&dir->node);
    free(dir);
}

static void enter_part(struct nx_dir *dir, enum dir_part part)
{
    nx_iter_close(dir->iter);
    dir->iter = NULL;
    dir->standing = false;
    dir->part = part;
}

static enum dir_part first_part(const struct nx_dir *dir)
{
    return dir->documents_only ? PART_DOCUMENTS : PART_PLAIN;
}

static enum nx_code check_directory(struct nx_dir *dir, struct nx_err *err)
{
    struct node node;

    return store_directory(dir->db, dir->snapshot, dir->ino, &dir->node, &node, err);
}

enum nx_code nx_dir_open(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                         bool documents_only, struct nx_dir **out, struct nx_err *err)
{
    struct nx_dir *dir;
    enum nx_code rc;

    *out = NULL;
    dir = calloc(1, sizeof *dir);
    if (!dir)
        return nx_fail_nomem(err);
    dir->db = db;
    dir->ino = ino;
    dir->documents_only = documents_only;
    dir->part = first_part(dir);
    if (!snapshot)
        snapshot = dir->own = nx_snapshot_take(db->engine);
    dir->snapshot = snapshot;
    rc = snapshot ? check_directory(dir, err) : nx_fail_nomem(err);
    if (rc == NX_OK)
        *out = dir;
    else
        nx_dir_close(dir);
    return rc;
}

static enum nx_code open_iter(struct nx_dir *dir, struct nx_err *err)
{
    enum key_kind kind = dir->part == PART_PLAIN ? KEY_LISTING : KEY_DOCUMENT;
    struct nx_range range = {.snapshot = dir->snapshot, .keep_cache = true};
    struct key lower, upper;

    key_of(&lower, kind, dir->ino);
    key_of(&upper, kind, dir->ino + 1);
    range.lower = key_slice(&lower);
    range.upper = key_slice(&upper);
    return nx_iter_open(dir->db->engine, &range, &dir->iter, err);
}

/* --- next ------------------------------------------------------------------------------------- */

static enum nx_code finish_name(struct nx_dir *dir, enum nx_code rc, struct nx_dirent *out,
                                struct nx_err *err)
{
    size_t len = dir->name.len;

    if (rc == NX_OK)
        rc = nx_buf_append_byte(&dir->name, 0);
    if (rc != NX_OK)
        return nx_fail(err, rc, "a name in directory %llu cannot be read",
                       (unsigned long long)dir->ino);
    out->name = (const char *)dir->name.data;
    out->name_len = len;
    return NX_OK;
}

static enum nx_code read_plain(struct nx_dir *dir, struct nx_dirent *out, struct nx_err *err)
{
    struct nx_slice key = nx_iter_key(dir->iter), tail, name;
    struct entry entry;
    struct node node;
    nx_ino ino;
    enum nx_code rc;

    if (!key_split(key, &ino, &tail) || tail.len != 8 ||
        !listing_decode(nx_iter_value(dir->iter), &entry, &name))
        return nx_fail(err, NX_ECORRUPT, "an entry of directory %llu cannot be read",
                       (unsigned long long)dir->ino);
    nx_buf_clear(&dir->name);
    rc = finish_name(dir, nx_buf_append(&dir->name, name.data, name.len), out, err);
    if (rc == NX_OK)
        rc = store_node(dir->db, dir->snapshot, entry.ino, &dir->node, &node, err);
    if (rc == NX_ENOTFOUND)
        return nx_fail(err, NX_ECORRUPT, "'%s' in directory %llu has no node", out->name,
                       (unsigned long long)dir->ino);
    if (rc == NX_OK)
        rc = store_attr(dir->db, dir->snapshot, entry.ino, &node, &out->attr, err);
    out->cookie = key_number(tail);
    return rc;
}

static enum nx_code read_document(struct nx_dir *dir, struct nx_dirent *out, struct nx_err *err)
{
    struct nx_slice key = nx_iter_key(dir->iter), id_key, body;
    struct doc_header header;
    struct nx_id id;
    nx_ino collection;
    enum nx_code rc;

    if (!key_split(key, &collection, &id_key) ||
        !doc_header_decode(nx_iter_value(dir->iter), &header, &body))
        return nx_fail(err, NX_ECORRUPT, "a document of collection %llu cannot be read",
                       (unsigned long long)dir->ino);
    nx_buf_clear(&dir->name);
    rc = nx_id_from_key(id_key, &id);
    if (rc == NX_OK)
        rc = nx_id_to_name(&id, &dir->name);
    doc_header_attr(&header, collection, &out->attr);
    out->cookie = COOKIE_DOCUMENT | header.ino;
    return finish_name(dir, rc, out, err);
}

/* NX_DONE at the end of the part. */
static enum nx_code next_in_part(struct nx_dir *dir, struct nx_dirent *out, struct nx_err *err)
{
    bool first = !dir->iter, ok;
    enum nx_code rc = first ? open_iter(dir, err) : NX_OK;

    if (rc != NX_OK)
        return rc;
    if (dir->standing)
        ok = nx_iter_valid(dir->iter);
    else
        ok = first ? nx_iter_first(dir->iter) : nx_iter_next(dir->iter);
    dir->standing = false;
    if (!ok) {
        rc = nx_iter_status(dir->iter, err);
        return rc == NX_OK ? NX_DONE : rc;
    }
    return dir->part == PART_PLAIN ? read_plain(dir, out, err) : read_document(dir, out, err);
}

enum nx_code nx_dir_next(struct nx_dir *dir, struct nx_dirent *out, struct nx_err *err)
{
    while (dir->part != PART_END) {
        enum nx_code rc = next_in_part(dir, out, err);

        if (rc != NX_DONE)
            return rc;
        enter_part(dir, dir->part + 1);
    }
    return NX_DONE;
}

/* --- seek ------------------------------------------------------------------------------------- */

static enum nx_code begin_again(struct nx_dir *dir, struct nx_err *err)
{
    struct nx_snapshot *now = NULL;

    if (dir->own && !(now = nx_snapshot_take(dir->db->engine)))
        return nx_fail_nomem(err);
    enter_part(dir, first_part(dir));
    if (now) {
        nx_snapshot_release(dir->own);
        dir->snapshot = dir->own = now;
    }
    return NX_OK;
}

/* The document's key in the picture; where the documents begin when it is not there. */
static enum nx_code find_document(struct nx_dir *dir, nx_ino ino, struct key *out,
                                  struct nx_err *err)
{
    struct node node;
    enum nx_code rc = store_node(dir->db, dir->snapshot, ino, &dir->node, &node, err);

    key_of(out, KEY_DOCUMENT, dir->ino);
    if (rc == NX_OK && node.kind == NX_KIND_DOCUMENT && node.parent == dir->ino)
        key_of_tail(out, KEY_DOCUMENT, dir->ino, node.label);
    return rc == NX_ENOTFOUND ? NX_OK : rc;
}

/* Which part a cookie is of, and its key in the picture. */
static enum nx_code resolve(struct nx_dir *dir, uint64_t cookie, enum dir_part *part,
                            struct key *key, struct nx_err *err)
{
    if (cookie >= 2 * COOKIE_DOCUMENT)
        return nx_fail(err, NX_EINVAL, "%llu is no place in a directory",
                       (unsigned long long)cookie);
    *part = cookie & COOKIE_DOCUMENT ? PART_DOCUMENTS : PART_PLAIN;
    if (*part == PART_DOCUMENTS)
        return find_document(dir, cookie & ~COOKIE_DOCUMENT, key, err);
    key_of_pair(key, KEY_LISTING, dir->ino, cookie);
    return NX_OK;
}

/* On the first entry of the part behind the key, which need not be there. */
static enum nx_code stand_behind(struct nx_dir *dir, enum dir_part part, const struct key *key,
                                 struct nx_err *err)
{
    enum nx_code rc;

    enter_part(dir, part);
    rc = open_iter(dir, err);
    if (rc != NX_OK)
        return rc;
    if (nx_iter_seek(dir->iter, key_slice(key)) &&
        nx_slice_equal(nx_iter_key(dir->iter), key_slice(key)))
        nx_iter_next(dir->iter);
    dir->standing = true;
    return nx_iter_status(dir->iter, err);
}

enum nx_code nx_dir_seek(struct nx_dir *dir, uint64_t cookie, struct nx_err *err)
{
    enum dir_part part;
    struct key key;
    enum nx_code rc;

    if (cookie == 0)
        return begin_again(dir, err);
    rc = resolve(dir, cookie, &part, &key, err);
    return rc == NX_OK ? stand_behind(dir, part, &key, err) : rc;
}

enum nx_code nx_dir_refresh(struct nx_dir *dir, uint64_t cookie, struct nx_err *err)
{
    enum dir_part part;
    struct key key;
    enum nx_code rc = NX_OK;

    if (cookie != 0)
        rc = resolve(dir, cookie, &part, &key, err);
    if (rc == NX_OK)
        rc = begin_again(dir, err);
    if (rc == NX_OK)
        rc = check_directory(dir, err);
    return rc == NX_OK && cookie != 0 ? stand_behind(dir, part, &key, err) : rc;
}

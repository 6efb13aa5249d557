/* node.c - finding nodes: by number, by name, by path, and the tree of collections. */
#include <inttypes.h>
#include <stdlib.h>

#include "store/store.h"
#include "store/tx.h"

/* --- one node --------------------------------------------------------------------------------- */

static enum nx_code stat_document(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                                  const struct node *node, struct nx_attr *out, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct doc_header header;
    enum nx_code rc = store_header(db, snapshot, node->parent, node->label, &buf, &header, err);

    if (rc == NX_OK && header.ino != ino)
        rc = nx_fail(err, NX_ENOTFOUND, "there is no node %" PRIu64, ino);
    if (rc == NX_OK)
        rc = store_check_alive(db, snapshot, node->parent, err);
    if (rc == NX_OK)
        doc_header_attr(&header, node->parent, out);
    return rc;
}

static enum nx_code stat_once(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                              bool *is_document, struct nx_attr *out, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct node node;
    enum nx_code rc = store_node(db, snapshot, ino, &buf, &node, err);

    *is_document = false;
    if (rc != NX_OK)
        return rc;
    *is_document = node.kind == NX_KIND_DOCUMENT;
    if (*is_document)
        return stat_document(db, snapshot, ino, &node, out, err);
    return store_attr(db, snapshot, ino, &node, out, err);
}

enum nx_code nx_db_stat(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                        struct nx_attr *out, struct nx_err *err)
{
    bool is_document;
    enum nx_code rc = stat_once(db, snapshot, ino, &is_document, out, err);
    struct nx_snapshot *own;

    if (rc != NX_ENOTFOUND || !is_document || snapshot)
        return rc;
    own = nx_snapshot_take(db->engine); /* it may have moved between the two reads */
    if (!own)
        return nx_fail_nomem(err);
    rc = stat_once(db, own, ino, &is_document, out, err);
    nx_snapshot_release(own);
    return rc;
}

static enum nx_code lookup_document(struct nx_db *db, const struct nx_snapshot *snapshot,
                                    nx_ino parent, struct nx_slice name, struct nx_attr *out,
                                    struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct doc_header header;
    struct nx_id id;
    enum nx_code rc = name_to_id(name, &id, err);

    if (rc == NX_ENAME) /* not a name that can exist */
        return nx_fail(err, NX_ENOTFOUND, "there is no '%.*s'", NAME_ARG(name));
    if (rc == NX_OK)
        rc = store_header(db, snapshot, parent, id_slice(&id), &buf, &header, err);
    if (rc == NX_OK)
        doc_header_attr(&header, parent, out);
    return rc;
}

static enum nx_code lookup_entry(struct nx_db *db, const struct nx_snapshot *snapshot,
                                 nx_ino parent, struct nx_slice name, struct nx_attr *out,
                                 struct nx_err *err)
{
    struct entry entry;
    enum nx_code rc = store_entry(db, snapshot, parent, name, &entry, err);

    return rc == NX_OK ? nx_db_stat(db, snapshot, entry.ino, out, err) : rc;
}

enum nx_code nx_db_lookup(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino parent,
                          const char *name, size_t name_len, struct nx_attr *out,
                          struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_slice slice = nx_slice(name, name_len);
    struct node dir;
    enum nx_code rc = name_check(slice, err);

    if (rc == NX_OK)
        rc = store_directory(db, snapshot, parent, &buf, &dir, err);
    if (rc != NX_OK)
        return rc;
    if (is_document_slot(dir.kind, slice))
        return lookup_document(db, snapshot, parent, slice, out, err);
    return lookup_entry(db, snapshot, parent, slice, out, err);
}

/* --- collections by path ---------------------------------------------------------------------- */

/* The next name of a path; false after the last. An empty path has one empty name, which is none.
 */
static bool next_name(struct nx_slice *path, bool *more, struct nx_slice *name)
{
    const uint8_t *slash;

    if (!*more)
        return false;
    slash = path->len ? memchr(path->data, '/', path->len) : NULL;
    *more = slash != NULL;
    name->data = path->data;
    name->len = slash ? (size_t)(slash - path->data) : path->len;
    if (slash) {
        path->len -= name->len + 1;
        path->data = slash + 1;
    }
    return true;
}

static enum nx_code collection_entry(struct nx_db *db, const struct nx_snapshot *snapshot,
                                     nx_ino parent, struct nx_slice name, nx_ino *out,
                                     struct nx_err *err)
{
    struct entry entry;
    enum nx_code rc = store_entry(db, snapshot, parent, name, &entry, err);

    if (rc == NX_OK && entry.kind != NX_KIND_COLLECTION)
        rc = nx_fail(err, NX_ENOTDIR, "'%.*s' is not a collection", NAME_ARG(name));
    if (rc == NX_OK)
        *out = entry.ino;
    return rc;
}

enum nx_code nx_db_collection(struct nx_db *db, const struct nx_snapshot *snapshot,
                              const char *path, size_t path_len, struct nx_attr *out,
                              struct nx_err *err)
{
    struct nx_slice left = nx_slice(path, path_len), name;
    bool more = true;
    nx_ino at = NX_ROOT_INO;

    while (next_name(&left, &more, &name)) {
        enum nx_code rc = NX_ENOTFOUND;

        if (name_check_collection(name, NULL) == NX_OK)
            rc = collection_entry(db, snapshot, at, name, &at, err);
        if (rc == NX_ENOTFOUND)
            return nx_fail(err, rc, "there is no collection '%.*s'", (int)path_len, path);
        if (rc != NX_OK)
            return rc;
    }
    return nx_db_stat(db, snapshot, at, out, err);
}

static enum nx_code check_path(struct nx_slice path, struct nx_err *err)
{
    struct nx_slice name;
    bool more = true;
    enum nx_code rc = NX_OK;

    while (rc == NX_OK && next_name(&path, &more, &name))
        rc = name_check_collection(name, err);
    return rc;
}

/* Make one step of the path; somebody else may make or drop it at the same time. */
static enum nx_code make_step(struct nx_db *db, nx_ino parent, struct nx_slice name,
                              const struct nx_change *change, nx_ino *out, struct nx_err *err)
{
    struct nx_change made;
    struct nx_attr attr = {.kind = NX_KIND_DIRECTORY, .mode = 0755};
    enum nx_code rc = collection_entry(db, NULL, parent, name, out, err);

    if (rc != NX_ENOTFOUND)
        return rc;
    made = change ? *change
                  : (struct nx_change){
                        .durability = NX_BUFFERED, .uid = db->owner_uid, .gid = db->owner_gid};
    made.done = NULL; /* the steps above are covered by the order of commits */
    made.arg = NULL;
    attr.uid = made.uid;
    attr.gid = made.gid;
    rc = nx_db_create(db, parent, (const char *)name.data, name.len, NX_SLICE_NULL, &made, &attr,
                      err);
    if (rc == NX_EEXISTS)
        return collection_entry(db, NULL, parent, name, out, err);
    if (rc == NX_OK)
        *out = attr.ino;
    return rc;
}

enum nx_code nx_db_collection_make(struct nx_db *db, const char *path, size_t path_len,
                                   const struct nx_change *change, struct nx_attr *out,
                                   struct nx_err *err)
{
    struct nx_slice left = nx_slice(path, path_len), name;
    bool more = true;
    nx_ino at = NX_ROOT_INO;
    enum nx_code rc = check_path(left, err);

    while (rc == NX_OK && next_name(&left, &more, &name))
        rc = make_step(db, at, name, change, &at, err);
    if (rc == NX_OK)
        rc = nx_db_stat(db, NULL, at, out, err);
    if (rc == NX_OK && change && change->done)
        change->done(change->arg, NULL);
    return rc;
}

/* --- path of a directory ---------------------------------------------------------------------- */

/* Names from the innermost outwards, each put in front: depth is bounded by what was created. */
enum nx_code nx_db_path(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                        struct nx_buf *out, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf reversed NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct node node;
    enum nx_code rc;

    while (ino != NX_ROOT_INO) {
        rc = store_directory(db, snapshot, ino, &buf, &node, err);
        if (rc == NX_OK && reversed.len > 0)
            rc = nx_buf_append_byte(&reversed, '/');
        for (size_t i = node.label.len; rc == NX_OK && i > 0; i--)
            rc = nx_buf_append_byte(&reversed, node.label.data[i - 1]);
        if (rc == NX_OK && reversed.len > (16u << 20))
            rc = nx_fail(err, NX_ECORRUPT, "directory %" PRIu64 " has no end of ancestors", ino);
        if (rc != NX_OK)
            return rc == NX_ENOMEM ? nx_fail_nomem(err) : rc;
        ino = node.parent;
    }
    if (nx_buf_reserve(out, reversed.len) != NX_OK)
        return nx_fail_nomem(err);
    for (size_t i = reversed.len; i > 0; i--)
        nx_buf_append_byte(out, reversed.data[i - 1]);
    return NX_OK;
}

/* --- every collection ------------------------------------------------------------------------- */

/* A walk without recursion: the path, and for each level the directory and where its name begins.
 */
struct walk {
    struct nx_db *db;
    const struct nx_snapshot *snapshot;
    struct nx_buf path;
    struct walk_level {
        nx_ino dir;
        size_t name_at; /* in path: of the child visited last */
    } * levels;         /* owned */
    size_t depth, cap;
};

static enum nx_code descend(struct walk *walk, nx_ino dir, struct nx_err *err)
{
    if (walk->depth == walk->cap) {
        size_t cap = walk->cap ? walk->cap * 2 : 16;
        struct walk_level *levels = realloc(walk->levels, cap * sizeof *levels);

        if (!levels)
            return nx_fail_nomem(err);
        walk->levels = levels;
        walk->cap = cap;
    }
    walk->levels[walk->depth++] = (struct walk_level){.dir = dir, .name_at = walk->path.len};
    return NX_OK;
}

/* The name of the child that the walk came from last; empty before the first. */
static struct nx_slice last_child(const struct walk *walk, const struct walk_level *level)
{
    size_t at = level->name_at;

    if (at == walk->path.len)
        return NX_SLICE_NULL;
    if (walk->path.data[at] == '/') /* between the parent's path and the name */
        at++;
    return nx_slice(walk->path.data + at, walk->path.len - at);
}

static enum nx_code replace_child(struct walk *walk, const struct walk_level *level,
                                  struct nx_slice name, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    walk->path.len = level->name_at;
    if (level->name_at > 0)
        rc = nx_buf_append_byte(&walk->path, '/');
    if (rc == NX_OK)
        rc = nx_buf_append(&walk->path, name.data, name.len);
    return rc == NX_OK ? NX_OK : nx_fail_nomem(err);
}

/* From the iterator's first entry to one that is a collection. NX_DONE. */
static enum nx_code find_collection(struct nx_iter *iter, struct entry *out, struct nx_slice *name,
                                    struct nx_err *err)
{
    enum nx_code rc;

    for (bool ok = nx_iter_first(iter); ok; ok = nx_iter_next(iter)) {
        nx_ino dir;

        if (!key_split(nx_iter_key(iter), &dir, name) || !entry_decode(nx_iter_value(iter), out))
            return nx_fail(err, NX_ECORRUPT, "an entry of a directory cannot be read");
        if (out->kind == NX_KIND_COLLECTION)
            return NX_OK;
    }
    rc = nx_iter_status(iter, err);
    return rc == NX_OK ? NX_DONE : rc;
}

/* The next collection in a level; the path's last name becomes its name. NX_DONE. */
static enum nx_code next_child(struct walk *walk, const struct walk_level *level, nx_ino *out,
                               struct nx_err *err)
{
    struct nx_slice last = last_child(walk, level), name;
    struct key lower, upper;
    struct nx_range range = {.snapshot = walk->snapshot, .keep_cache = true};
    struct nx_iter *iter;
    struct entry entry;
    enum nx_code rc;

    key_of_tail(&lower, KEY_ENTRY, level->dir, last);
    if (last.len > 0)
        lower.data[lower.len++] = 0; /* right behind it */
    key_of(&upper, KEY_ENTRY, level->dir + 1);
    range.lower = key_slice(&lower);
    range.upper = key_slice(&upper);
    rc = nx_iter_open(walk->db->engine, &range, &iter, err);
    if (rc != NX_OK)
        return rc;
    rc = find_collection(iter, &entry, &name, err);
    if (rc == NX_OK)
        rc = replace_child(walk, level, name, err);
    if (rc == NX_OK)
        *out = entry.ino;
    nx_iter_close(iter);
    return rc;
}

/* NX_DONE when `fn` has had enough. */
static enum nx_code visit(struct walk *walk, nx_ino ino, nx_collection_fn fn, void *arg,
                          struct nx_err *err)
{
    struct counters counters;
    struct nx_attr attr;
    size_t len = walk->path.len;
    enum nx_code rc = nx_db_stat(walk->db, walk->snapshot, ino, &attr, err);

    if (rc == NX_OK)
        rc = store_counters(walk->db, walk->snapshot, ino, &counters, err);
    if (rc == NX_OK && nx_buf_append_byte(&walk->path, 0) != NX_OK)
        rc = nx_fail_nomem(err);
    if (rc != NX_OK)
        return rc;
    walk->path.len = len;
    if (!fn(arg, (const char *)walk->path.data, &attr, counters.documents))
        return NX_DONE;
    return counters.subdirectories > 0 ? descend(walk, ino, err) : NX_OK;
}

static enum nx_code walk_collections(struct walk *walk, nx_collection_fn fn, void *arg,
                                     struct nx_err *err)
{
    enum nx_code rc = descend(walk, NX_ROOT_INO, err);

    while (rc == NX_OK && walk->depth > 0) {
        struct walk_level *level = &walk->levels[walk->depth - 1];
        nx_ino child;

        rc = next_child(walk, level, &child, err);
        if (rc == NX_OK) {
            rc = visit(walk, child, fn, arg, err);
        } else if (rc == NX_DONE) {
            walk->path.len = level->name_at; /* the parent's own path, its last name visited */
            walk->depth--;
            rc = NX_OK;
            continue;
        }
    }
    return rc == NX_DONE ? NX_OK : rc;
}

enum nx_code nx_db_each_collection(struct nx_db *db, const struct nx_snapshot *snapshot,
                                   nx_collection_fn fn, void *arg, struct nx_err *err)
{
    struct nx_snapshot *own = snapshot ? NULL : nx_snapshot_take(db->engine);
    struct walk walk = {.db = db, .snapshot = snapshot ? snapshot : own};
    enum nx_code rc;

    if (!walk.snapshot)
        return nx_fail_nomem(err);
    rc = walk_collections(&walk, fn, arg, err);
    free(walk.levels);
    nx_buf_fini(&walk.path);
    if (own)
        nx_snapshot_release(own);
    return rc;
}

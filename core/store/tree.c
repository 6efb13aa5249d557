/* tree.c - walks over nested directories with a list of those still to see, not with the stack. */
#include "store/tree.h"

/* --- walking ---------------------------------------------------------------------------------- */

static enum nx_code walk_entry(struct tx *tx, nx_ino dir, struct nx_iter *iter, tree_fn fn,
                               void *arg, struct nx_buf *todo, struct nx_err *err)
{
    struct nx_slice name;
    struct entry entry;
    bool descend = false;
    struct nx_slice key = nx_iter_key(iter);
    enum nx_code rc;

    if (key.len != 17 || !listing_decode(nx_iter_value(iter), &entry, &name))
        return nx_fail(err, NX_ECORRUPT, "an entry of directory %llu cannot be read",
                       (unsigned long long)dir);
    entry.number = key_number(nx_slice(key.data + 9, 8));
    rc = fn(arg, tx, dir, name, &entry, &descend, err);
    if (rc == NX_OK && descend && nx_buf_append(todo, &entry.ino, sizeof entry.ino) != NX_OK)
        return nx_fail_nomem(err);
    return rc;
}

static enum nx_code walk_directory(struct tx *tx, nx_ino dir, bool directories_only, tree_fn fn,
                                   void *arg, struct nx_buf *todo, struct nx_err *err)
{
    struct nx_range range = {.keep_cache = true};
    struct counters counters;
    struct key lower, upper;
    struct nx_iter *iter;
    enum nx_code rc = store_counters(tx->db, NULL, dir, &counters, err);

    if (rc != NX_OK || counters.entries == 0 || (directories_only && counters.subdirectories == 0))
        return rc;
    key_of(&lower, KEY_LISTING, dir);
    key_of(&upper, KEY_LISTING, dir + 1);
    range.lower = key_slice(&lower);
    range.upper = key_slice(&upper);
    rc = nx_iter_open(tx->db->engine, &range, &iter, err);
    if (rc != NX_OK)
        return rc;
    for (bool ok = nx_iter_first(iter); ok && rc == NX_OK; ok = nx_iter_next(iter))
        rc = walk_entry(tx, dir, iter, fn, arg, todo, err);
    if (rc == NX_OK)
        rc = nx_iter_status(iter, err);
    nx_iter_close(iter);
    return rc;
}

enum nx_code tree_walk(struct tx *tx, nx_ino top, bool directories_only, tree_fn fn, void *arg,
                       struct nx_err *err)
{
    struct nx_buf todo NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    nx_ino dir = top;
    enum nx_code rc;

    for (;;) {
        rc = walk_directory(tx, dir, directories_only, fn, arg, &todo, err);
        if (rc != NX_OK || todo.len == 0)
            return rc;
        todo.len -= sizeof dir;
        memcpy(&dir, todo.data + todo.len, sizeof dir);
    }
}

enum nx_code tree_is_below(struct nx_db *db, nx_ino ino, nx_ino top, bool *out, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct node node;

    while (ino != top && ino != NX_ROOT_INO) {
        enum nx_code rc = store_directory(db, NULL, ino, &buf, &node, err);

        if (rc != NX_OK)
            return rc;
        ino = node.parent;
    }
    *out = ino == top;
    return NX_OK;
}

/* --- crossing the border between collections and plain directories ---------------------------- */

static enum nx_code cross(struct nx_slice name, const char *what, struct nx_err *err)
{
    return nx_fail(err, NX_EXDEV, "'%.*s' %s there: copy it and remove the original",
                   NAME_ARG(name), what);
}

static enum nx_code check_no_documents(struct tx *tx, nx_ino dir, struct nx_slice name,
                                       struct nx_err *err)
{
    struct counters counters;
    enum nx_code rc = store_counters(tx->db, NULL, dir, &counters, err);

    if (rc == NX_OK && counters.documents + counters.drafts > 0)
        rc = cross(name, "has documents, which would be plain files", err);
    return rc;
}

static enum nx_code set_kind(struct tx *tx, nx_ino dir, struct nx_slice name,
                             const struct entry *entry, enum nx_kind kind, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct entry changed = *entry;
    struct node node;
    enum nx_code rc = store_node(tx->db, NULL, entry->ino, &buf, &node, err);

    if (rc != NX_OK)
        return rc;
    node.kind = changed.kind = kind;
    tx_put_node(tx, entry->ino, &node);
    tx_put_entry(tx, dir, name, &changed);
    return NX_OK;
}

static enum nx_code make_plain(void *arg, struct tx *tx, nx_ino dir, struct nx_slice name,
                               const struct entry *entry, bool *descend, struct nx_err *err)
{
    enum nx_code rc;

    (void)arg;
    if (entry->kind != NX_KIND_COLLECTION)
        return NX_OK;
    *descend = true;
    rc = check_no_documents(tx, entry->ino, name, err);
    return rc == NX_OK ? set_kind(tx, dir, name, entry, NX_KIND_DIRECTORY, err) : rc;
}

static enum nx_code make_collection(void *arg, struct tx *tx, nx_ino dir, struct nx_slice name,
                                    const struct entry *entry, bool *descend, struct nx_err *err)
{
    (void)arg;
    if (is_document_slot(NX_KIND_COLLECTION, name))
        return cross(name, "would have to become a document", err);
    if (entry->kind != NX_KIND_DIRECTORY || name.data[0] == '.')
        return NX_OK;
    if (name_check_collection(name, NULL) != NX_OK)
        return cross(name, "cannot be a collection", err);
    *descend = true;
    return set_kind(tx, dir, name, entry, NX_KIND_COLLECTION, err);
}

enum nx_code tree_change_kind(struct tx *tx, nx_ino top, enum nx_kind kind, struct nx_err *err)
{
    enum nx_code rc;

    if (kind == NX_KIND_COLLECTION)
        return tree_walk(tx, top, false, make_collection, NULL, err);
    rc = check_no_documents(tx, top, nx_slice_str("the directory"), err);
    return rc == NX_OK ? tree_walk(tx, top, true, make_plain, NULL, err) : rc;
}

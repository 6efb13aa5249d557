/* names.c - making and removing names, and changing attributes. A document's name needs its
 * collection's lock only; plain names and directories take the names lock too. */
#include <inttypes.h>

#include "store/place.h"

static bool is_document_name(struct nx_db *db, nx_ino parent, struct nx_slice name)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct node node;

    return store_node(db, NULL, parent, &buf, &node, NULL) == NX_OK &&
           is_document_slot(node.kind, name);
}

/* --- create ----------------------------------------------------------------------------------- */

/* In a set-group-ID directory everything belongs to its group, and directories pass that on. */
static void inherit_group(const struct place *place, struct nx_attr *attr)
{
    if (!(place->dir_mode & 02000))
        return;
    attr->gid = place->dir_gid;
    if (attr->kind == NX_KIND_DIRECTORY)
        attr->mode |= 02000;
}

static enum nx_code create_draft(struct tx *tx, struct place *place, struct nx_attr *attr,
                                 struct nx_err *err)
{
    struct doc_header header = {.flags = DOC_DRAFT,
                                .mode = attr->mode & 07777,
                                .uid = attr->uid,
                                .gid = attr->gid,
                                .mtime_ns = tx->now_ns,
                                .atime_ns = tx->now_ns,
                                .ctime_ns = tx->now_ns};
    uint64_t number;
    enum nx_code rc;

    if (attr->kind == NX_KIND_DIRECTORY)
        return name_check_collection(place->name, err); /* NX_ENAME: it ends in .json */
    if (attr->kind != NX_KIND_FILE)
        return nx_fail(err, NX_EPERM, "'%.*s' is a document's name: it can only be a file",
                       NAME_ARG(place->name));
    rc = numbers_take(&tx->db->numbers, 2, &number, err);
    if (rc != NX_OK)
        return rc;
    header.revision = number + 1;
    header.ino = tx_reborn_draft(tx, place->dir, id_slice(&place->id));
    if (!header.ino)
        header.ino = number;
    rc = place_put_document(tx, place, &header, NX_SLICE_NULL, NX_SLICE_NULL, err);
    doc_header_attr(&header, place->dir, attr);
    return rc;
}

static enum nx_code check_create(const struct place *place, struct nx_slice target,
                                 const struct nx_attr *attr, enum nx_kind *kind, struct nx_err *err)
{
    *kind = attr->kind;
    switch (attr->kind) {
    case NX_KIND_DIRECTORY:
    case NX_KIND_COLLECTION:
        return name_directory_kind(place->dir_kind, place->name, kind, err);
    case NX_KIND_SYMLINK:
        if (target.len == 0 || target.len >= 4096)
            return nx_fail(err, target.len ? NX_ENAMETOOLONG : NX_EINVAL,
                           "a symbolic link to %zu bytes", target.len);
        return NX_OK;
    case NX_KIND_FILE:
    case NX_KIND_FIFO:
    case NX_KIND_SOCKET:
    case NX_KIND_CHARDEV:
    case NX_KIND_BLOCKDEV:
        return NX_OK;
    default:
        return nx_fail(err, NX_EINVAL, "a node of kind %d cannot be made by name", attr->kind);
    }
}

static enum nx_code create_plain(struct tx *tx, const struct place *place, struct nx_slice target,
                                 enum nx_kind kind, nx_ino ino, struct nx_attr *attr,
                                 struct nx_err *err)
{
    bool is_device = kind == NX_KIND_CHARDEV || kind == NX_KIND_BLOCKDEV;
    struct node node = {.kind = kind,
                        .mode = attr->mode & 07777,
                        .uid = attr->uid,
                        .gid = attr->gid,
                        .nlink = 1,
                        .rdev = is_device ? attr->rdev : 0,
                        .mtime_ns = tx->now_ns,
                        .atime_ns = tx->now_ns,
                        .ctime_ns = tx->now_ns};
    enum nx_code rc = place_put_plain(tx, place, ino, kind, err);

    if (kind == NX_KIND_SYMLINK) {
        node.label = target;
        node.size = target.len;
    }
    if (rc == NX_OK)
        tx_put_node(tx, ino, &node);
    return rc == NX_OK ? store_attr(tx->db, NULL, ino, &node, attr, err) : rc;
}

static enum nx_code create_directory(struct tx *tx, const struct place *place, enum nx_kind kind,
                                     nx_ino ino, struct nx_attr *attr, struct nx_err *err)
{
    struct node node = {.kind = kind,
                        .mode = attr->mode & 07777,
                        .uid = attr->uid,
                        .gid = attr->gid,
                        .atime_ns = tx->now_ns,
                        .mtime_ns = tx->now_ns,
                        .ctime_ns = tx->now_ns,
                        .parent = place->dir,
                        .label = place->name};
    struct counters counters = {.mtime_ns = tx->now_ns, .ctime_ns = tx->now_ns};
    enum nx_code rc = place_put_plain(tx, place, ino, kind, err);

    if (rc != NX_OK)
        return rc;
    tx_put_node(tx, ino, &node);
    tx_put_counters(tx, ino, &counters);
    tx_change_directory(tx, kind, ino, NULL);
    *attr = (struct nx_attr){.ino = ino,
                             .parent = place->dir,
                             .kind = kind,
                             .mode = node.mode,
                             .uid = node.uid,
                             .gid = node.gid,
                             .nlink = 2,
                             .atime_ns = tx->now_ns,
                             .mtime_ns = tx->now_ns,
                             .ctime_ns = tx->now_ns};
    return NX_OK;
}

static enum nx_code create_locked(struct tx *tx, struct place *place, struct nx_slice target,
                                  struct nx_attr *attr, struct nx_err *err)
{
    enum nx_kind kind;
    nx_ino ino;
    enum nx_code rc = place_load(tx, place, err);

    if (rc == NX_OK && place->exists)
        return nx_fail(err, NX_EEXISTS, "'%.*s' exists already", NAME_ARG(place->name));
    if (rc != NX_OK)
        return rc;
    inherit_group(place, attr);
    if (place->is_document)
        return create_draft(tx, place, attr, err);
    rc = check_create(place, target, attr, &kind, err);
    if (rc == NX_OK)
        rc = numbers_take(&tx->db->numbers, 1, &ino, err);
    if (rc != NX_OK)
        return rc;
    if (kind == NX_KIND_COLLECTION || kind == NX_KIND_DIRECTORY)
        return create_directory(tx, place, kind, ino, attr, err);
    return create_plain(tx, place, target, kind, ino, attr, err);
}

enum nx_code nx_db_create(struct nx_db *db, nx_ino parent, const char *name, size_t name_len,
                          struct nx_slice symlink_target, const struct nx_change *change,
                          struct nx_attr *attr, struct nx_err *err)
{
    struct place place NX_CLEANUP(place_fini) = PLACE_INIT;
    struct nx_slice slice = nx_slice(name, name_len);
    struct tx *tx;
    enum nx_code rc = tx_begin(db, change, !is_document_name(db, parent, slice), &tx, err);

    if (rc != NX_OK)
        return rc;
    rc = place_find(db, parent, slice, &place, err);
    if (rc == NX_OK) {
        tx_lock(tx, place_stripes(&place));
        rc = create_locked(tx, &place, symlink_target, attr, err);
    }
    if (rc == NX_OK)
        tx_event(tx, NX_EVENT_CREATE, attr->kind, attr->ino, parent, slice);
    return tx_finish(tx, rc, err);
}

/* --- link ------------------------------------------------------------------------------------- */

#define LINK_MAX_COUNT 65000u

static enum nx_code check_link(nx_ino ino, const struct node *node, const struct place *place,
                               struct nx_err *err)
{
    if (node->kind == NX_KIND_DOCUMENT)
        return nx_fail(err, NX_EPERM, "a document has one name: it cannot be linked");
    if (node_is_directory(node))
        return nx_fail(err, NX_EPERM, "a directory cannot be linked");
    if (place->is_document)
        return nx_fail(err, NX_EPERM, "'%.*s' is a document's name: a link cannot have it",
                       NAME_ARG(place->name));
    if (node->nlink == 0)
        return nx_fail(err, NX_ENOTFOUND, "node %" PRIu64 " has lost its last name", ino);
    if (node->nlink >= LINK_MAX_COUNT)
        return nx_fail(err, NX_ELOOP, "node %" PRIu64 " has %u names", ino, node->nlink);
    if (place->exists)
        return nx_fail(err, NX_EEXISTS, "'%.*s' exists already", NAME_ARG(place->name));
    return NX_OK;
}

static enum nx_code link_locked(struct tx *tx, nx_ino ino, struct place *place, struct nx_attr *out,
                                struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct node node;
    enum nx_code rc = place_load(tx, place, err);

    if (rc == NX_OK)
        rc = store_node(tx->db, NULL, ino, &buf, &node, err);
    if (rc == NX_OK)
        rc = check_link(ino, &node, place, err);
    if (rc == NX_OK)
        rc = place_put_plain(tx, place, ino, node.kind, err);
    if (rc != NX_OK)
        return rc;
    node.nlink++;
    node.ctime_ns = tx->now_ns;
    tx_put_node(tx, ino, &node);
    tx_event(tx, NX_EVENT_CREATE, node.kind, ino, place->dir, place->name);
    return out ? store_attr(tx->db, NULL, ino, &node, out, err) : NX_OK;
}

enum nx_code nx_db_link(struct nx_db *db, nx_ino ino, nx_ino parent, const char *name,
                        size_t name_len, const struct nx_change *change, struct nx_attr *out,
                        struct nx_err *err)
{
    struct place place NX_CLEANUP(place_fini) = PLACE_INIT;
    struct tx *tx;
    enum nx_code rc = tx_begin(db, change, true, &tx, err);

    if (rc != NX_OK)
        return rc;
    rc = place_find(db, parent, nx_slice(name, name_len), &place, err);
    if (rc == NX_OK) {
        tx_lock(tx, place_stripes(&place) | stripe_of(ino));
        rc = link_locked(tx, ino, &place, out, err);
    }
    return tx_finish(tx, rc, err);
}

/* --- unlink and rmdir ------------------------------------------------------------------------- */

static enum nx_code remove_locked(struct tx *tx, struct place *place, bool directory,
                                  struct nx_attr *removed, struct nx_err *err)
{
    enum nx_code rc = place_load(tx, place, err);

    if (rc == NX_OK && !place->exists)
        return place_absent(place, err);
    if (rc == NX_OK && place_is_directory(place) != directory)
        return nx_fail(err, directory ? NX_ENOTDIR : NX_EISDIR, "'%.*s' is %s directory",
                       NAME_ARG(place->name), directory ? "not a" : "a");
    if (rc == NX_OK && directory)
        rc = place_check_empty(tx, place, err);
    if (rc != NX_OK)
        return rc;
    tx_event(tx, NX_EVENT_DELETE, place_kind(place), place_ino(place), place->dir, place->name);
    if (removed && place->is_document)
        doc_header_attr(&place->header, place->dir, removed);
    else if (removed)
        rc = store_attr(tx->db, NULL, place->entry.ino, &place->node, removed, err);
    return rc == NX_OK ? place_remove(tx, place, err) : rc;
}

static enum nx_code remove_name(struct nx_db *db, nx_ino parent, struct nx_slice name,
                                bool directory, const struct nx_change *change,
                                struct nx_attr *removed, struct nx_err *err)
{
    struct place place NX_CLEANUP(place_fini) = PLACE_INIT;
    struct tx *tx;
    enum nx_code rc = tx_begin(db, change, !is_document_name(db, parent, name), &tx, err);

    if (rc != NX_OK)
        return rc;
    rc = place_find(db, parent, name, &place, err);
    if (rc == NX_ENAME && place.is_document)
        rc = place_absent(&place, err);
    nx_batch_mark_reclaiming(tx->batch);
    if (rc == NX_OK) {
        tx_lock(tx, place_stripes(&place));
        rc = remove_locked(tx, &place, directory, removed, err);
    }
    return tx_finish(tx, rc, err);
}

enum nx_code nx_db_unlink(struct nx_db *db, nx_ino parent, const char *name, size_t name_len,
                          const struct nx_change *change, struct nx_attr *removed,
                          struct nx_err *err)
{
    return remove_name(db, parent, nx_slice(name, name_len), false, change, removed, err);
}

enum nx_code nx_db_rmdir(struct nx_db *db, nx_ino parent, const char *name, size_t name_len,
                         const struct nx_change *change, struct nx_err *err)
{
    return remove_name(db, parent, nx_slice(name, name_len), true, change, NULL, err);
}

/* --- attributes ------------------------------------------------------------------------------- */

static void set_common(unsigned mask, const struct nx_attr *values, uint32_t *mode, uint32_t *uid,
                       uint32_t *gid)
{
    if (mask & NX_SET_MODE)
        *mode = values->mode & 07777;
    if (mask & NX_SET_UID)
        *uid = values->uid;
    if (mask & NX_SET_GID)
        *gid = values->gid;
}

static void set_times(const struct tx *tx, unsigned mask, const struct nx_attr *values,
                      int64_t *atime, int64_t *mtime, int64_t *ctime)
{
    if (mask & NX_SET_ATIME)
        *atime = values->atime_ns;
    if (mask & NX_SET_MTIME)
        *mtime = values->mtime_ns;
    if (mask & NX_SET_CTIME)
        *ctime = values->ctime_ns;
    else if (!(mask & NX_KEEP_CTIME))
        *ctime = tx->now_ns;
}

static enum nx_code set_document(struct tx *tx, const struct node *node, unsigned mask,
                                 const struct nx_attr *values, struct nx_attr *out,
                                 struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct doc_header header;
    struct nx_slice body;
    struct tx_dir *dir;
    enum nx_code rc = tx_dir(tx, node->parent, &dir, err); /* not in the trash */

    if (rc == NX_OK && mask & NX_SET_SIZE)
        return nx_fail(err, NX_EINVAL, "the size of a document is that of its text");
    if (rc == NX_OK)
        rc = store_header(tx->db, NULL, node->parent, node->label, &buf, &header, err);
    if (rc != NX_OK)
        return rc;
    body.len = header.flags & DOC_LARGE ? 0 : (size_t)doc_body_bytes(&header);
    body.data = buf.data + buf.len - body.len;
    set_common(mask, values, &header.mode, &header.uid, &header.gid);
    set_times(tx, mask, values, &header.atime_ns, &header.mtime_ns, &header.ctime_ns);
    tx_put_header(tx, node->parent, node->label, &header, body);
    tx_event_document(tx, NX_EVENT_UPDATE, &header, node->parent, node->label);
    doc_header_attr(&header, node->parent, out);
    return NX_OK;
}

static enum nx_code set_directory(struct tx *tx, nx_ino ino, struct node *node, unsigned mask,
                                  const struct nx_attr *values, struct nx_attr *out,
                                  struct nx_err *err)
{
    struct tx_dir *dir;
    enum nx_code rc;

    if (mask & NX_SET_SIZE)
        return nx_fail(err, NX_EISDIR, "node %" PRIu64 " is a directory", ino);
    rc = tx_dir(tx, ino, &dir, err);
    if (rc == NX_OK)
        rc = store_attr(tx->db, NULL, ino, node, out, err);
    if (rc != NX_OK)
        return rc;
    set_common(mask, values, &node->mode, &node->uid, &node->gid);
    set_times(tx, mask, values, &node->atime_ns, &dir->counters.mtime_ns, &dir->counters.ctime_ns);
    dir->changed = true;
    tx_put_node(tx, ino, node);
    tx_event(tx, NX_EVENT_UPDATE, node->kind, ino, node->parent, node->label);
    out->mode = node->mode;
    out->uid = node->uid;
    out->gid = node->gid;
    out->atime_ns = node->atime_ns;
    out->mtime_ns = dir->counters.mtime_ns;
    out->ctime_ns = dir->counters.ctime_ns;
    return NX_OK;
}

static enum nx_code set_plain(struct tx *tx, nx_ino ino, struct node *node, unsigned mask,
                              const struct nx_attr *values, struct nx_attr *out, struct nx_err *err)
{
    uint8_t tail[TAIL_MAX_BYTES];
    enum nx_code rc = NX_OK;

    if (mask & NX_SET_SIZE && node->kind != NX_KIND_FILE)
        return nx_fail(err, NX_EINVAL, "node %" PRIu64 " has no size to set", ino);
    if (mask & NX_SET_SIZE) {
        rc = file_truncate(tx, ino, node, values->size, tail, err);
        node->mtime_ns = tx->now_ns;
    }
    if (rc != NX_OK)
        return rc;
    set_common(mask, values, &node->mode, &node->uid, &node->gid);
    set_times(tx, mask, values, &node->atime_ns, &node->mtime_ns, &node->ctime_ns);
    tx_put_node(tx, ino, node);
    tx_event(tx, NX_EVENT_UPDATE, node->kind, ino, 0, NX_SLICE_NULL);
    return store_attr(tx->db, NULL, ino, node, out, err);
}

/* A document's lock is its collection's: where it was when the lock was chosen. */
static uint64_t lock_of(nx_ino ino, const struct node *node)
{
    return stripe_of(node->kind == NX_KIND_DOCUMENT ? node->parent : ino);
}

enum nx_code change_attributes(struct tx *tx, nx_ino ino, struct node *node, unsigned mask,
                               const struct nx_attr *values, struct nx_attr *out,
                               struct nx_err *err)
{
    struct nx_attr unused;

    if (!out)
        out = &unused;
    if (node->kind == NX_KIND_DOCUMENT)
        return set_document(tx, node, mask, values, out, err);
    if (node_is_directory(node))
        return set_directory(tx, ino, node, mask, values, out, err);
    return set_plain(tx, ino, node, mask, values, out, err);
}

static enum nx_code change_locked(struct tx *tx, nx_ino ino, change_node_fn fn, void *arg,
                                  bool *moved, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct node node;
    enum nx_code rc = store_node(tx->db, NULL, ino, &buf, &node, err);

    *moved = rc == NX_OK && lock_of(ino, &node) != tx->stripes;
    return rc == NX_OK && !*moved ? fn(tx, ino, &node, arg, err) : rc;
}

enum nx_code change_node(struct nx_db *db, nx_ino ino, const struct nx_change *change,
                         bool reclaims, change_node_fn fn, void *arg, struct nx_err *err)
{
    bool moved = true;
    enum nx_code rc = NX_OK;

    while (moved && rc == NX_OK) {
        struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct node node;
        struct tx *tx;

        rc = store_node(db, NULL, ino, &buf, &node, err);
        if (rc == NX_OK)
            rc = tx_begin(db, change, false, &tx, err);
        if (rc != NX_OK)
            return rc;
        if (reclaims)
            nx_batch_mark_reclaiming(tx->batch);
        tx_lock(tx, lock_of(ino, &node));
        rc = change_locked(tx, ino, fn, arg, &moved, err);
        if (moved)
            tx_cancel(tx);
        else
            rc = tx_finish(tx, rc, err);
    }
    return rc;
}

struct attr_change {
    unsigned mask;
    const struct nx_attr *values;
    struct nx_attr *out;
};

static enum nx_code set_locked(struct tx *tx, nx_ino ino, struct node *node, void *arg,
                               struct nx_err *err)
{
    const struct attr_change *wanted = arg;

    return change_attributes(tx, ino, node, wanted->mask, wanted->values, wanted->out, err);
}

enum nx_code nx_db_set_attr(struct nx_db *db, nx_ino ino, unsigned mask,
                            const struct nx_attr *values, const struct nx_change *change,
                            struct nx_attr *out, struct nx_err *err)
{
    struct attr_change wanted = {.mask = mask, .values = values, .out = out};

    return change_node(db, ino, change, mask & NX_SET_SIZE, set_locked, &wanted, err);
}

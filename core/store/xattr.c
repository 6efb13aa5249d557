/*
 * xattr.c - getting and setting extended attributes. A node's are one record, read and written
 * whole: they are few and small, and a node without any costs nothing but, in a store that has
 * some, a deletion that finds nothing.
 */
#include "store/xattr.h"

#include <inttypes.h>

#include "base/bytes.h"

/* --- the record ---------------------------------------------------------------------------------
 */

struct attribute {
    struct nx_slice name, value;
};

/* A length and as many bytes, from the front of `rest`. */
static bool take_bytes(struct nx_slice *rest, struct nx_slice *out)
{
    const uint8_t *end, *at;
    uint64_t len;

    if (rest->len == 0)
        return false;
    end = rest->data + rest->len;
    at = get_varint(rest->data, end, &len);
    if (!at || len > (uint64_t)(end - at))
        return false;
    *out = nx_slice(at, (size_t)len);
    *rest = nx_slice(at + len, (size_t)(end - at) - (size_t)len);
    return true;
}

static bool take_attribute(struct nx_slice *rest, struct attribute *out)
{
    return take_bytes(rest, &out->name) && take_bytes(rest, &out->value);
}

static enum nx_code put_bytes(struct nx_buf *out, struct nx_slice bytes)
{
    uint8_t len[10];
    enum nx_code rc = nx_buf_append(out, len, put_varint(len, bytes.len));

    return rc == NX_OK ? nx_buf_append(out, bytes.data, bytes.len) : rc;
}

static enum nx_code put_attribute(struct nx_buf *out, const struct attribute *attribute)
{
    enum nx_code rc = put_bytes(out, attribute->name);

    return rc == NX_OK ? put_bytes(out, attribute->value) : rc;
}

bool xattr_is_valid(struct nx_slice record)
{
    struct nx_slice last = NX_SLICE_NULL;
    struct attribute attribute;

    if (record.len == 0)
        return false;
    while (record.len > 0) {
        if (!take_attribute(&record, &attribute) || attribute.name.len == 0 ||
            attribute.name.len > NX_XATTR_NAME_MAX || attribute.value.len > NX_XATTR_VALUE_MAX ||
            (last.len > 0 && nx_slice_compare(last, attribute.name) >= 0))
            return false;
        last = attribute.name;
    }
    return true;
}

/* An empty record when there is none. */
static enum nx_code read_record(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                                struct nx_buf *out, struct nx_err *err)
{
    struct key key;
    enum nx_code rc;

    nx_buf_clear(out);
    if (!snapshot && !atomic_load_explicit(&db->xattrs, memory_order_acquire))
        return NX_OK;
    key_of(&key, KEY_XATTR, ino);
    rc = store_get(db, snapshot, &key, out, err);
    if (rc == NX_OK && !xattr_is_valid(nx_buf_slice(out)))
        return store_corrupt(err, &key, "extended attributes");
    if (rc != NX_ENOTFOUND)
        return rc;
    nx_buf_clear(out);
    return NX_OK;
}

static bool find(struct nx_slice record, struct nx_slice name, struct attribute *out)
{
    while (take_attribute(&record, out))
        if (nx_slice_equal(out->name, name))
            return true;
    return false;
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum nx_code no_attribute(struct nx_slice name, struct nx_err *err)
{
    return nx_fail(err, NX_ENODATA, "there is no extended attribute '%.*s'", NAME_ARG(name));
}

/* The node must be there: its record may be a leftover in a picture that has no node. */
static enum nx_code read_of_node(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                                 struct nx_buf *out, struct nx_err *err)
{
    struct node node;
    enum nx_code rc = store_node(db, snapshot, ino, out, &node, err);

    return rc == NX_OK ? read_record(db, snapshot, ino, out, err) : rc;
}

enum nx_code nx_db_xattr_get(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                             struct nx_slice name, struct nx_buf *out, struct nx_err *err)
{
    struct nx_buf record NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct attribute attribute;
    enum nx_code rc = read_of_node(db, snapshot, ino, &record, err);

    if (rc != NX_OK)
        return rc;
    if (!find(nx_buf_slice(&record), name, &attribute))
        return no_attribute(name, err);
    rc = nx_buf_append(out, attribute.value.data, attribute.value.len);
    return rc == NX_OK ? NX_OK : nx_fail_nomem(err);
}

enum nx_code nx_db_xattr_list(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                              struct nx_buf *out, struct nx_err *err)
{
    struct nx_buf record NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct attribute attribute;
    struct nx_slice rest;
    enum nx_code rc = read_of_node(db, snapshot, ino, &record, err);

    if (rc != NX_OK)
        return rc;
    rest = nx_buf_slice(&record);
    while (rc == NX_OK && take_attribute(&rest, &attribute)) {
        rc = nx_buf_append(out, attribute.name.data, attribute.name.len);
        if (rc == NX_OK)
            rc = nx_buf_append_byte(out, 0);
    }
    return rc == NX_OK ? NX_OK : nx_fail_nomem(err);
}

/* --- changing --------------------------------------------------------------------------------- */

struct xattr_change {
    struct nx_slice name, value;
    unsigned flags;
    bool remove;
};

static enum nx_code check_change(const struct xattr_change *change, bool there, struct nx_err *err)
{
    if (!there && (change->remove || change->flags & NX_XATTR_REPLACE))
        return no_attribute(change->name, err);
    if (there && change->flags & NX_XATTR_CREATE)
        return nx_fail(err, NX_EEXISTS, "the extended attribute '%.*s' exists already",
                       NAME_ARG(change->name));
    return NX_OK;
}

/* The attributes of `record` with the change, in order. */
static enum nx_code rewrite(struct nx_slice record, const struct xattr_change *change,
                            struct nx_buf *out, struct nx_err *err)
{
    const struct attribute added = {change->name, change->value};
    struct attribute attribute;
    bool done = change->remove;
    size_t names = 0;
    enum nx_code rc = NX_OK;

    while (rc == NX_OK && take_attribute(&record, &attribute)) {
        int order = nx_slice_compare(attribute.name, change->name);

        if (!done && order >= 0) {
            rc = put_attribute(out, &added);
            done = true;
        }
        if (rc == NX_OK && order != 0)
            rc = put_attribute(out, &attribute);
        names += attribute.name.len + 1;
    }
    if (rc == NX_OK && !done)
        rc = put_attribute(out, &added);
    if (rc != NX_OK)
        return nx_fail_nomem(err);
    if (!change->remove &&
        (out->len > NX_XATTR_TOTAL_MAX || names + change->name.len + 1 > NX_XATTR_NAMES_MAX))
        return nx_fail(err, NX_ETOOBIG, "the extended attributes would take %zu bytes", out->len);
    return NX_OK;
}

static void put_record(struct tx *tx, nx_ino ino, struct nx_slice record)
{
    if (record.len == 0) {
        if (atomic_load_explicit(&tx->db->xattrs, memory_order_acquire))
            tx_delete(tx, KEY_XATTR, ino);
        return;
    }
    /* seen by whoever has the node's lock after us, and so deletes the record with the node */
    atomic_store_explicit(&tx->db->xattrs, true, memory_order_release);
    tx_put_value(tx, KEY_XATTR, ino, record);
}

/* Attributes are part of the metadata: their change is one of it. */
static enum nx_code change_locked(struct tx *tx, nx_ino ino, struct node *node, void *arg,
                                  struct nx_err *err)
{
    static const struct nx_attr nothing = {.ino = 0};
    const struct xattr_change *change = arg;
    struct nx_buf record NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf changed NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct attribute attribute;
    enum nx_code rc = read_record(tx->db, NULL, ino, &record, err);

    if (rc == NX_OK)
        rc = check_change(change, find(nx_buf_slice(&record), change->name, &attribute), err);
    if (rc == NX_OK)
        rc = rewrite(nx_buf_slice(&record), change, &changed, err);
    if (rc != NX_OK)
        return rc;
    put_record(tx, ino, nx_buf_slice(&changed));
    return change_attributes(tx, ino, node, 0, &nothing, NULL, err);
}

enum nx_code nx_db_xattr_set(struct nx_db *db, nx_ino ino, struct nx_slice name,
                             struct nx_slice value, unsigned flags, const struct nx_change *change,
                             struct nx_err *err)
{
    struct xattr_change wanted = {.name = name, .value = value, .flags = flags};

    if (name.len == 0 || memchr(name.data, 0, name.len))
        return nx_fail(err, NX_EINVAL, "an extended attribute without a name");
    if (name.len > NX_XATTR_NAME_MAX)
        return nx_fail(err, NX_ENAMETOOLONG, "the name of an extended attribute has %zu bytes",
                       name.len);
    if (value.len > NX_XATTR_VALUE_MAX)
        return nx_fail(err, NX_ETOOBIG, "an extended attribute of %zu bytes", value.len);
    return change_node(db, ino, change, false, change_locked, &wanted, err);
}

enum nx_code nx_db_xattr_remove(struct nx_db *db, nx_ino ino, struct nx_slice name,
                                const struct nx_change *change, struct nx_err *err)
{
    struct xattr_change wanted = {.name = name, .remove = true};

    return change_node(db, ino, change, true, change_locked, &wanted, err);
}

/* --- with the node ---------------------------------------------------------------------------- */

enum nx_code xattr_copy(struct tx *tx, nx_ino from, nx_ino to, struct nx_err *err)
{
    struct nx_buf record NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = read_record(tx->db, NULL, from, &record, err);

    if (rc == NX_OK && (record.len > 0 || from != to))
        put_record(tx, to, nx_buf_slice(&record));
    return rc;
}

enum nx_code xattr_swap(struct tx *tx, nx_ino a, nx_ino b, struct nx_err *err)
{
    enum nx_code rc = xattr_copy(tx, a, b, err);

    return rc == NX_OK ? xattr_copy(tx, b, a, err) : rc; /* reads what was before the change */
}

enum nx_code xattr_start(struct nx_db *db, struct nx_err *err)
{
    struct nx_range range = {.keep_cache = true};
    struct key lower, upper;
    struct nx_iter *iter;
    enum nx_code rc;

    key_of_kind(&lower, KEY_XATTR);
    key_of_kind(&upper, KEY_XATTR + 1u);
    range.lower = key_slice(&lower);
    range.upper = key_slice(&upper);
    rc = nx_iter_open(db->engine, &range, &iter, err);
    if (rc != NX_OK)
        return rc;
    atomic_store_explicit(&db->xattrs, nx_iter_first(iter), memory_order_release);
    rc = nx_iter_status(iter, err);
    nx_iter_close(iter);
    return rc;
}

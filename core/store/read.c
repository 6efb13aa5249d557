/* read.c - single records from the engine, checked and decoded. A read that needs two records which
 * change together takes a snapshot when the caller gave none. */
#include <inttypes.h>
#include <stdio.h>

#include "store/store.h"

enum nx_code store_corrupt(struct nx_err *err, const struct key *key, const char *what)
{
    char hex[2 * 24 + 1];
    size_t len = key->len < 24 ? key->len : 24;

    for (size_t i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02x", key->data[i]);
    hex[2 * len] = 0;
    return nx_fail(err, NX_ECORRUPT, "%s: the record of key %s%s cannot be read", what, hex,
                   key->len > len ? "..." : "");
}

enum nx_code store_get(struct nx_db *db, const struct nx_snapshot *snapshot, const struct key *key,
                       struct nx_buf *buf, struct nx_err *err)
{
    return nx_engine_get(db->engine, snapshot, key_slice(key), buf, err);
}

enum nx_code store_node(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                        struct nx_buf *buf, struct node *out, struct nx_err *err)
{
    struct key key;
    enum nx_code rc;

    key_of(&key, KEY_NODE, ino);
    rc = store_get(db, snapshot, &key, buf, err);
    if (rc != NX_OK && rc != NX_ENOTFOUND)
        return rc;
    if (rc == NX_OK && !node_decode(nx_buf_slice(buf), out))
        return store_corrupt(err, &key, "node");
    if (rc == NX_ENOTFOUND || out->flags & NODE_DROPPED)
        return nx_fail(err, NX_ENOTFOUND, "there is no node %" PRIu64, ino);
    return NX_OK;
}

enum nx_code store_directory(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                             struct nx_buf *buf, struct node *out, struct nx_err *err)
{
    enum nx_code rc = store_node(db, snapshot, ino, buf, out, err);

    if (rc == NX_OK && !node_is_directory(out))
        return nx_fail(err, NX_ENOTDIR, "node %" PRIu64 " is not a directory", ino);
    return rc;
}

enum nx_code store_counters(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                            struct counters *out, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct key key;
    enum nx_code rc;

    key_of(&key, KEY_COUNTERS, ino);
    rc = store_get(db, snapshot, &key, &buf, err);
    if (rc == NX_ENOTFOUND)
        return nx_fail(err, rc, "there is no directory %" PRIu64, ino);
    if (rc == NX_OK && !counters_decode(nx_buf_slice(&buf), out))
        return store_corrupt(err, &key, "counters");
    return rc;
}

enum nx_code store_entry(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino dir,
                         struct nx_slice name, struct entry *out, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct key key;
    enum nx_code rc;

    key_of_tail(&key, KEY_ENTRY, dir, name);
    rc = store_get(db, snapshot, &key, &buf, err);
    if (rc == NX_ENOTFOUND)
        return nx_fail(err, rc, "there is no '%.*s'", NAME_ARG(name));
    if (rc == NX_OK && !entry_decode(nx_buf_slice(&buf), out))
        return store_corrupt(err, &key, "entry");
    return rc;
}

static enum nx_code no_document(struct nx_slice id_key, struct nx_err *err)
{
    struct nx_buf name NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_id id;

    if (nx_id_from_key(id_key, &id) != NX_OK || nx_id_to_name(&id, &name) != NX_OK)
        return nx_fail(err, NX_ENOTFOUND, "there is no such document");
    return nx_fail(err, NX_ENOTFOUND, "there is no '%.*s'", NAME_ARG(nx_buf_slice(&name)));
}

enum nx_code store_header(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino collection,
                          struct nx_slice id, struct nx_buf *buf, struct doc_header *out,
                          struct nx_err *err)
{
    struct key key;
    struct nx_slice body;
    enum nx_code rc;

    key_of_tail(&key, KEY_DOCUMENT, collection, id);
    rc = store_get(db, snapshot, &key, buf, err);
    if (rc == NX_ENOTFOUND)
        return err ? no_document(id, err) : rc;
    if (rc == NX_OK && !doc_header_decode(nx_buf_slice(buf), out, &body))
        return store_corrupt(err, &key, "document");
    return rc;
}

static enum nx_code large_body(struct nx_db *db, const struct nx_snapshot *snapshot,
                               nx_ino collection, struct nx_slice id, struct nx_buf *buf,
                               const struct doc_header *header, struct nx_err *err)
{
    struct key key;
    enum nx_code rc;

    key_of_tail(&key, KEY_BODY, collection, id);
    rc = store_get(db, snapshot, &key, buf, err);
    if (rc == NX_ENOTFOUND || (rc == NX_OK && buf->len != doc_body_bytes(header)))
        return store_corrupt(err, &key, "document body");
    return rc;
}

enum nx_code store_document(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino collection,
                            struct nx_slice id, struct nx_buf *buf, struct doc_header *out,
                            size_t *body_at, struct nx_err *err)
{
    struct nx_snapshot *own;
    enum nx_code rc = store_header(db, snapshot, collection, id, buf, out, err);

    if (rc != NX_OK)
        return rc;
    if (!(out->flags & DOC_LARGE)) {
        *body_at = buf->len - (size_t)doc_body_bytes(out);
        return NX_OK;
    }
    *body_at = 0;
    if (snapshot)
        return large_body(db, snapshot, collection, id, buf, out, err);
    own = nx_snapshot_take(db->engine);
    if (!own)
        return nx_fail_nomem(err);
    rc = store_document(db, own, collection, id, buf, out, body_at, err);
    nx_snapshot_release(own);
    return rc;
}

enum nx_code store_check_alive(struct nx_db *db, const struct nx_snapshot *snapshot,
                               nx_ino collection, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct node node;

    if (!atomic_load_explicit(&db->trash.ever, memory_order_acquire))
        return NX_OK;
    return store_node(db, snapshot, collection, &buf, &node, err);
}

/* A chunk counts in full, but for the last one. */
static uint64_t stored_bytes(const struct node *node)
{
    uint64_t bytes = node->pieces * CHUNK_BYTES + node->tail.len;

    return node->kind == NX_KIND_FILE && bytes < node->size ? bytes : node->size;
}

enum nx_code store_attr(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                        const struct node *node, struct nx_attr *out, struct nx_err *err)
{
    struct counters counters;
    enum nx_code rc;

    *out = (struct nx_attr){
        .ino = ino,
        .kind = node->kind,
        .mode = node->mode,
        .uid = node->uid,
        .gid = node->gid,
        .nlink = node->nlink,
        .rdev = node->rdev,
        .size = node->size,
        .stored = stored_bytes(node),
        .atime_ns = node->atime_ns,
        .mtime_ns = node->mtime_ns,
        .ctime_ns = node->ctime_ns,
    };
    if (!node_is_directory(node))
        return NX_OK;
    rc = store_counters(db, snapshot, ino, &counters, err);
    if (rc != NX_OK)
        return rc;
    out->parent = node->parent;
    out->nlink = (uint32_t)(2 + counters.subdirectories);
    out->size = out->stored = counters.documents + counters.drafts + counters.entries;
    out->mtime_ns = counters.mtime_ns;
    out->ctime_ns = counters.ctime_ns;
    return NX_OK;
}

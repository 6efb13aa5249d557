/* document.c - reading one document: by its id, by its number, as BSON, as text. */
#include <inttypes.h>

#include "store/body.h"
#include "store/store.h"

/* Read it and build the BSON with _id behind the stored bytes, in the same buffer. */
static enum nx_code get(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino collection,
                        struct nx_slice id, struct nx_buf *buf, struct nx_document *out,
                        struct nx_err *err)
{
    struct doc_header header;
    size_t body_at, at;
    enum nx_code rc = store_document(db, snapshot, collection, id, buf, &header, &body_at, err);

    if (rc == NX_OK && header.flags & DOC_DRAFT)
        rc = nx_fail(err, NX_ENOTFOUND, "an empty file, not a document yet");
    if (rc != NX_OK)
        return rc;
    if (nx_buf_reserve(buf, header.bson_bytes + BODY_ID_ROOM) != NX_OK)
        return nx_fail_nomem(err);
    at = buf->len;
    rc = body_append_bson(id, nx_slice(buf->data + body_at, header.bson_bytes), buf, err);
    if (rc != NX_OK)
        return rc;
    out->bson = nx_slice(buf->data + at, buf->len - at);
    doc_header_attr(&header, collection, &out->attr);
    return NX_OK;
}

enum nx_code nx_document_get(struct nx_db *db, const struct nx_snapshot *snapshot,
                             nx_ino collection, const struct nx_id *id, struct nx_buf *buf,
                             struct nx_document *out, struct nx_err *err)
{
    enum nx_code rc = store_check_alive(db, snapshot, collection, err);

    return rc == NX_OK ? get(db, snapshot, collection, id_slice(id), buf, out, err) : rc;
}

/* What is done with the document that a number stands for. */
typedef enum nx_code (*found_fn)(void *arg, struct nx_db *db, const struct nx_snapshot *snapshot,
                                 nx_ino collection, struct nx_slice id, struct nx_err *err);

static enum nx_code find_in(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                            found_fn fn, void *arg, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct node node;
    enum nx_code rc = store_node(db, snapshot, ino, &buf, &node, err);

    if (rc == NX_OK && node.kind != NX_KIND_DOCUMENT)
        rc = nx_fail(err, NX_ENOTFOUND, "node %" PRIu64 " is not a document", ino);
    if (rc == NX_OK)
        rc = store_check_alive(db, snapshot, node.parent, err);
    return rc == NX_OK ? fn(arg, db, snapshot, node.parent, node.label, err) : rc;
}

/* The node and the document are two reads; when they do not agree, both are done in one picture. */
static enum nx_code find(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                         found_fn fn, void *arg, struct nx_err *err)
{
    enum nx_code rc = find_in(db, snapshot, ino, fn, arg, err);
    struct nx_snapshot *own;

    if (rc != NX_ENOTFOUND || snapshot)
        return rc;
    own = nx_snapshot_take(db->engine);
    if (!own)
        return nx_fail_nomem(err);
    rc = find_in(db, own, ino, fn, arg, err);
    nx_snapshot_release(own);
    return rc;
}

struct by_ino {
    nx_ino ino;
    struct nx_buf *buf;
    struct nx_document *out;
};

static enum nx_code get_found(void *arg, struct nx_db *db, const struct nx_snapshot *snapshot,
                              nx_ino collection, struct nx_slice id, struct nx_err *err)
{
    const struct by_ino *want = arg;
    enum nx_code rc = get(db, snapshot, collection, id, want->buf, want->out, err);

    if (rc == NX_OK && want->out->attr.ino != want->ino)
        return nx_fail(err, NX_ENOTFOUND, "there is no node %" PRIu64, want->ino);
    return rc;
}

enum nx_code nx_document_by_ino(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                                struct nx_buf *buf, struct nx_document *out, struct nx_err *err)
{
    struct by_ino want = {.ino = ino, .buf = buf, .out = out};

    return find(db, snapshot, ino, get_found, &want, err);
}

struct place_of {
    nx_ino *collection;
    struct nx_id *id;
};

static enum nx_code place_found(void *arg, struct nx_db *db, const struct nx_snapshot *snapshot,
                                nx_ino collection, struct nx_slice id, struct nx_err *err)
{
    const struct place_of *want = arg;

    (void)db, (void)snapshot;
    *want->collection = collection;
    return nx_id_from_key(id, want->id) == NX_OK
               ? NX_OK
               : nx_fail(err, NX_ECORRUPT, "a document of node %" PRIu64 " has no valid id",
                         collection);
}

enum nx_code nx_document_locate(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                                nx_ino *collection, struct nx_id *id, struct nx_err *err)
{
    struct place_of want = {.collection = collection, .id = id};

    return find(db, snapshot, ino, place_found, &want, err);
}

struct text_of {
    nx_ino ino;
    struct nx_buf *text;
    struct nx_attr *attr;
};

static enum nx_code text_found(void *arg, struct nx_db *db, const struct nx_snapshot *snapshot,
                               nx_ino collection, struct nx_slice id, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    const struct text_of *want = arg;
    struct doc_header header;
    size_t body_at;
    enum nx_code rc = store_document(db, snapshot, collection, id, &buf, &header, &body_at, err);

    if (rc == NX_OK && header.ino != want->ino)
        rc = nx_fail(err, NX_ENOTFOUND, "there is no node %" PRIu64, want->ino);
    if (rc != NX_OK)
        return rc;
    doc_header_attr(&header, collection, want->attr);
    return body_append_text(&header, id, nx_slice(buf.data + body_at, buf.len - body_at),
                            want->text, err);
}

enum nx_code nx_document_text(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                              struct nx_buf *text, struct nx_attr *attr, struct nx_err *err)
{
    struct nx_attr unused = {0};
    struct text_of want = {.ino = ino, .text = text, .attr = attr ? attr : &unused};

    return find(db, snapshot, ino, text_found, &want, err);
}

enum nx_code nx_document_count(struct nx_db *db, const struct nx_snapshot *snapshot,
                               nx_ino collection, uint64_t *out, struct nx_err *err)
{
    struct counters counters;
    enum nx_code rc = store_check_alive(db, snapshot, collection, err);

    if (rc == NX_OK)
        rc = store_counters(db, snapshot, collection, &counters, err);
    if (rc == NX_OK)
        *out = counters.documents;
    return rc;
}

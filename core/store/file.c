/* file.c - reading the data of plain files, finding their holes, and their last name. */
#include "store/file.h"

#include <inttypes.h>

enum nx_code file_node(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                       struct nx_buf *buf, struct node *out, struct nx_err *err)
{
    enum nx_code rc = store_node(db, snapshot, ino, buf, out, err);

    if (rc == NX_OK && node_is_directory(out))
        return nx_fail(err, NX_EISDIR, "node %" PRIu64 " is a directory", ino);
    if (rc == NX_OK && out->kind != NX_KIND_FILE)
        return nx_fail(err, NX_EINVAL, "node %" PRIu64 " is not a plain file", ino);
    return rc;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* What a read shows of a file, filled from its start on. */
struct view {
    uint64_t offset; /* of out[0] in the file */
    uint8_t *out;
    size_t len, filled;
};

/* Zeros up to `at`: a hole. */
static void skip_to(struct view *view, size_t at)
{
    if (at > view->filled) {
        memset(view->out + view->filled, 0, at - view->filled);
        view->filled = at;
    }
}

/* A piece of the file that begins at `begin`, behind those before. */
static void show(struct view *view, struct nx_slice piece, uint64_t begin)
{
    uint64_t skip = begin < view->offset ? view->offset - begin : 0;
    uint64_t at = begin + skip - view->offset;

    if (skip >= piece.len || at >= view->len || at < view->filled)
        return;
    if (piece.len - skip > view->len - at)
        piece.len = skip + (view->len - at);
    skip_to(view, at);
    memcpy(view->out + at, piece.data + skip, piece.len - skip);
    view->filled += piece.len - skip;
}

/* Of one chunk: a get is cheaper than an iterator. */
static enum nx_code show_chunk(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                               uint64_t number, struct view *view, struct nx_err *err)
{
    struct nx_buf chunk NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct key key;
    enum nx_code rc;

    key_of_pair(&key, KEY_CHUNK, ino, number);
    rc = store_get(db, snapshot, &key, &chunk, err);
    if (rc != NX_OK)
        return rc == NX_ENOTFOUND ? NX_OK : rc;
    if (chunk.len > CHUNK_BYTES)
        return store_corrupt(err, &key, "piece of a file");
    show(view, nx_buf_slice(&chunk), number * CHUNK_BYTES);
    return NX_OK;
}

/* What is read once more comes from the kernel's page cache: blocks of documents stay in ours. */
static enum nx_code open_chunks(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                                uint64_t from, uint64_t to, struct nx_iter **out,
                                struct nx_err *err)
{
    struct nx_range range = {.snapshot = snapshot, .keep_cache = false};
    struct key lower, upper;

    key_of_pair(&lower, KEY_CHUNK, ino, from);
    key_of_pair(&upper, KEY_CHUNK, ino, to);
    range.lower = key_slice(&lower);
    range.upper = key_slice(&upper);
    return nx_iter_open(db->engine, &range, out, err);
}

/* The iterator's next chunk, or its first. NX_DONE. */
static enum nx_code next_chunk(struct nx_iter *iter, nx_ino ino, bool first, uint64_t *number,
                               struct nx_err *err)
{
    bool ok = first ? nx_iter_first(iter) : nx_iter_next(iter);
    struct nx_slice tail;
    uint64_t of;
    enum nx_code rc;

    if (!ok) {
        rc = nx_iter_status(iter, err);
        return rc == NX_OK ? NX_DONE : rc;
    }
    if (!key_split(nx_iter_key(iter), &of, &tail) || tail.len != 8 ||
        nx_iter_value(iter).len > CHUNK_BYTES)
        return nx_fail(err, NX_ECORRUPT, "a piece of file %" PRIu64 " cannot be read", ino);
    *number = key_number(tail);
    return NX_OK;
}

static enum nx_code show_chunks(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                                uint64_t from, uint64_t to, struct view *view, struct nx_err *err)
{
    struct nx_iter *iter;
    uint64_t number;
    enum nx_code rc = open_chunks(db, snapshot, ino, from, to, &iter, err);

    for (bool first = true; rc == NX_OK; first = false) {
        rc = next_chunk(iter, ino, first, &number, err);
        if (rc == NX_OK)
            show(view, nx_iter_value(iter), number * CHUNK_BYTES);
    }
    nx_iter_close(iter);
    return rc == NX_DONE ? NX_OK : rc;
}

enum nx_code file_read(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                       const struct node *node, uint64_t offset, uint8_t *out, size_t len,
                       size_t *got, struct nx_err *err)
{
    uint64_t chunked = node_chunked(node), from = offset / CHUNK_BYTES, to;
    struct view view = {.offset = offset, .out = out, .len = len};
    enum nx_code rc = NX_OK;

    *got = 0;
    if (offset >= node->size || len == 0)
        return NX_OK;
    if (len > node->size - offset)
        view.len = (size_t)(node->size - offset);
    to = chunk_count(offset + view.len < chunked ? offset + view.len : chunked);
    if (node->pieces > 0 && to == from + 1)
        rc = show_chunk(db, snapshot, ino, from, &view, err);
    else if (node->pieces > 0 && to > from)
        rc = show_chunks(db, snapshot, ino, from, to, &view, err);
    if (rc != NX_OK)
        return rc;
    show(&view, node->tail, chunked);
    skip_to(&view, view.len);
    *got = view.len;
    return NX_OK;
}

enum nx_code file_read_all(struct nx_db *db, nx_ino ino, const struct node *node,
                           uint64_t max_bytes, struct nx_buf *out, struct nx_err *err)
{
    size_t at = out->len, got;

    if (node->size > max_bytes)
        return nx_fail(err, NX_ETOOBIG, "the file has %" PRIu64 " bytes; the limit is %" PRIu64,
                       node->size, max_bytes);
    if (nx_buf_resize(out, at + (size_t)node->size) != NX_OK)
        return nx_fail_nomem(err);
    return file_read(db, NULL, ino, node, 0, out->data + at, (size_t)node->size, &got, err);
}

/* A node and what its chunks hold, of one moment. */
static enum nx_code read_in(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                            uint64_t offset, void *out, size_t len, size_t *got, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct node node;
    enum nx_code rc = file_node(db, snapshot, ino, &buf, &node, err);

    return rc == NX_OK ? file_read(db, snapshot, ino, &node, offset, out, len, got, err) : rc;
}

enum nx_code nx_db_read(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                        uint64_t offset, void *out, size_t len, size_t *got, struct nx_err *err)
{
    struct nx_snapshot *own = snapshot ? NULL : nx_snapshot_take(db->engine);
    enum nx_code rc;

    *got = 0;
    if (!snapshot && !own)
        return nx_fail_nomem(err);
    rc = read_in(db, own ? own : snapshot, ino, offset, out, len, got, err);
    nx_snapshot_release(own);
    return rc;
}

enum nx_code nx_db_readlink(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                            struct nx_buf *out, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct node node;
    enum nx_code rc = store_node(db, snapshot, ino, &buf, &node, err);

    if (rc == NX_OK && node.kind != NX_KIND_SYMLINK)
        rc = nx_fail(err, NX_EINVAL, "node %" PRIu64 " is not a symbolic link", ino);
    if (rc != NX_OK)
        return rc;
    rc = nx_buf_append(out, node.label.data, node.label.len);
    return rc == NX_OK ? NX_OK : nx_fail_nomem(err);
}

/* --- holes ------------------------------------------------------------------------------------ */

enum nx_code file_count_chunks(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                               uint64_t from, uint64_t to, uint64_t *out, struct nx_err *err)
{
    struct nx_iter *iter;
    uint64_t number;
    enum nx_code rc;

    *out = 0;
    if (from >= to)
        return NX_OK;
    rc = open_chunks(db, snapshot, ino, from, to, &iter, err);
    while (rc == NX_OK) {
        rc = next_chunk(iter, ino, *out == 0, &number, err);
        *out += rc == NX_OK;
    }
    nx_iter_close(iter);
    return rc == NX_DONE ? NX_OK : rc;
}

/* The chunks from `offset` on, up to the first that is what is looked for. */
static enum nx_code walk_holes(struct nx_iter *iter, nx_ino ino, bool hole, uint64_t chunked,
                               uint64_t *at, struct nx_err *err)
{
    enum nx_code rc = NX_OK;
    uint64_t number = 0;

    for (bool first = true; *at < chunked; first = false) {
        rc = next_chunk(iter, ino, first, &number, err);
        if (rc != NX_OK)
            break;
        if (number * CHUNK_BYTES > *at && hole)
            return NX_OK;
        if (number * CHUNK_BYTES > *at)
            *at = number * CHUNK_BYTES;
        if (!hole)
            return NX_OK;
        *at = (number + 1) * CHUNK_BYTES;
    }
    if (*at > chunked || (rc == NX_DONE && !hole))
        *at = chunked; /* the tail is data */
    return rc == NX_DONE ? NX_OK : rc;
}

static enum nx_code seek_in(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                            bool hole, uint64_t *at, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_iter *iter;
    struct node node;
    uint64_t chunked, start = *at;
    enum nx_code rc = file_node(db, snapshot, ino, &buf, &node, err);

    if (rc != NX_OK)
        return rc;
    if (start >= node.size)
        return NX_DONE;
    chunked = node_chunked(&node);
    if (node.pieces < chunk_count(chunked) && start < chunked) {
        rc = open_chunks(db, snapshot, ino, start / CHUNK_BYTES, chunk_count(chunked), &iter, err);
        if (rc == NX_OK)
            rc = walk_holes(iter, ino, hole, chunked, at, err);
        nx_iter_close(iter);
        if (rc != NX_OK || (hole && *at < chunked))
            return rc;
    }
    if (!hole)
        return *at < node.size ? NX_OK : NX_DONE;
    *at = node.size; /* every file ends in one */
    return NX_OK;
}

enum nx_code nx_db_seek(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino, bool hole,
                        uint64_t *offset, struct nx_err *err)
{
    struct nx_snapshot *own = snapshot ? NULL : nx_snapshot_take(db->engine);
    enum nx_code rc;

    if (!snapshot && !own)
        return nx_fail_nomem(err);
    rc = seek_in(db, own ? own : snapshot, ino, hole, offset, err);
    nx_snapshot_release(own);
    return rc;
}

/* --- the last name ---------------------------------------------------------------------------- */

void file_remove(struct tx *tx, nx_ino ino, const struct node *node)
{
    tx_delete_node(tx, ino);
    if (node->kind == NX_KIND_FILE)
        file_delete_data(tx, ino, node);
}

void file_unlink(struct tx *tx, nx_ino ino, struct node *node)
{
    node->ctime_ns = tx->now_ns;
    if (node->nlink > 1) {
        node->nlink--;
        tx_put_node(tx, ino, node);
    } else if (pins_leave(&tx->db->pins, ino)) {
        node->nlink = 0;
        tx_put_node(tx, ino, node);
        tx_put_mark(tx, KEY_ORPHAN, ino);
    } else {
        file_remove(tx, ino, node);
    }
}

void nx_db_pin(struct nx_db *db, nx_ino ino)
{
    pins_take(&db->pins, ino);
}

void nx_db_unpin(struct nx_db *db, nx_ino ino)
{
    if (pins_drop(&db->pins, ino) && !db->read_only)
        trash_orphan(db, ino, NULL); /* when it fails, the next open removes it */
}

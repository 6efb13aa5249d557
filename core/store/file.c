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

/* Copy a piece of the file that begins at `begin` to where it belongs in `out`, which shows
 * [offset, offset + len). */
static void overlay(struct nx_slice piece, uint64_t begin, uint64_t offset, uint8_t *out,
                    size_t len)
{
    uint64_t skip = begin < offset ? offset - begin : 0;
    uint64_t at = begin + skip - offset;

    if (skip >= piece.len || at >= len)
        return;
    if (piece.len - skip > len - at)
        piece.len = skip + (len - at);
    memcpy(out + at, piece.data + skip, piece.len - skip);
}

/* One after the other: gets are cheaper than an iterator for the few that a read spans. `out` is
 * zeroed. */
static enum nx_code copy_chunks(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                                uint64_t offset, uint8_t *out, size_t len, struct nx_err *err)
{
    struct nx_buf chunk NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    uint64_t end = chunk_count(offset + len);

    for (uint64_t n = offset / CHUNK_BYTES; n < end; n++) {
        struct key key;
        enum nx_code rc;

        key_of_pair(&key, KEY_CHUNK, ino, n);
        rc = store_get(db, snapshot, &key, &chunk, err);
        if (rc == NX_ENOTFOUND)
            continue;
        if (rc != NX_OK)
            return rc;
        if (chunk.len > CHUNK_BYTES)
            return store_corrupt(err, &key, "piece of a file");
        overlay(nx_buf_slice(&chunk), n * CHUNK_BYTES, offset, out, len);
    }
    return NX_OK;
}

/* Many chunks, or a file that is mostly holes. */
static enum nx_code scan_chunks(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                                uint64_t offset, uint8_t *out, size_t len, struct nx_err *err)
{
    struct nx_range range = {.snapshot = snapshot, .keep_cache = true};
    struct key lower, upper;
    struct nx_iter *iter;
    enum nx_code rc;

    key_of_pair(&lower, KEY_CHUNK, ino, offset / CHUNK_BYTES);
    key_of_pair(&upper, KEY_CHUNK, ino, chunk_count(offset + len));
    range.lower = key_slice(&lower);
    range.upper = key_slice(&upper);
    rc = nx_iter_open(db->engine, &range, &iter, err);
    if (rc != NX_OK)
        return rc;
    for (bool ok = nx_iter_first(iter); ok && rc == NX_OK; ok = nx_iter_next(iter)) {
        struct nx_slice value = nx_iter_value(iter), tail;
        uint64_t number;

        if (!key_split(nx_iter_key(iter), &number, &tail) || tail.len != 8 ||
            value.len > CHUNK_BYTES)
            rc = nx_fail(err, NX_ECORRUPT, "a piece of file %" PRIu64 " cannot be read", ino);
        else
            overlay(value, key_number(tail) * CHUNK_BYTES, offset, out, len);
    }
    if (rc == NX_OK)
        rc = nx_iter_status(iter, err);
    nx_iter_close(iter);
    return rc;
}

/* Reads of the kernel span up to 33. */
#define GET_CHUNKS_MAX 40u

static enum nx_code read_data(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                              const struct node *node, uint64_t offset, uint8_t *out, size_t len,
                              struct nx_err *err)
{
    uint64_t chunked = node_chunked(node);
    size_t part = offset >= chunked ? 0 : len;
    enum nx_code rc = NX_OK;

    if (part > 0 && part > chunked - offset)
        part = (size_t)(chunked - offset);
    if (node->pieces > 0 && part > 0)
        rc = part / CHUNK_BYTES < GET_CHUNKS_MAX
                 ? copy_chunks(db, snapshot, ino, offset, out, part, err)
                 : scan_chunks(db, snapshot, ino, offset, out, part, err);
    overlay(node->tail, chunked, offset, out, len);
    return rc;
}

enum nx_code file_read(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                       const struct node *node, uint64_t offset, uint8_t *out, size_t len,
                       size_t *got, struct nx_err *err)
{
    enum nx_code rc;

    *got = 0;
    if (offset >= node->size || len == 0)
        return NX_OK;
    if (len > node->size - offset)
        len = (size_t)(node->size - offset);
    memset(out, 0, len);
    rc = read_data(db, snapshot, ino, node, offset, out, len, err);
    if (rc == NX_OK)
        *got = len;
    return rc;
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

/* The first chunk at or after `from`, below `to`. NX_DONE. */
static enum nx_code next_chunk(struct nx_iter *iter, nx_ino ino, bool first, uint64_t *out,
                               struct nx_err *err)
{
    bool ok = first ? nx_iter_first(iter) : nx_iter_next(iter);
    struct nx_slice tail;
    uint64_t number;
    enum nx_code rc;

    if (!ok) {
        rc = nx_iter_status(iter, err);
        return rc == NX_OK ? NX_DONE : rc;
    }
    if (!key_split(nx_iter_key(iter), &number, &tail) || tail.len != 8)
        return nx_fail(err, NX_ECORRUPT, "a piece of file %" PRIu64 " cannot be read", ino);
    *out = key_number(tail);
    return NX_OK;
}

static enum nx_code open_chunks(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                                uint64_t from, uint64_t to, struct nx_iter **out,
                                struct nx_err *err)
{
    struct nx_range range = {.snapshot = snapshot};
    struct key lower, upper;

    key_of_pair(&lower, KEY_CHUNK, ino, from);
    key_of_pair(&upper, KEY_CHUNK, ino, to);
    range.lower = key_slice(&lower);
    range.upper = key_slice(&upper);
    return nx_iter_open(db->engine, &range, out, err);
}

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

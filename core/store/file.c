/* file.c - reading and writing the chunks of plain files, their end, and their last name. */
#include "store/file.h"

#include <inttypes.h>

/* --- reading ---------------------------------------------------------------------------------- */

static uint64_t chunk_count(uint64_t size)
{
    return size / CHUNK_BYTES + (size % CHUNK_BYTES != 0);
}

/* Copy what entries of the iterator there are into a zeroed `out`, which shows [offset,
 * offset+len). */
static enum nx_code copy_chunks(struct nx_iter *iter, uint64_t offset, uint8_t *out, size_t len,
                                struct nx_err *err)
{
    for (bool ok = nx_iter_first(iter); ok; ok = nx_iter_next(iter)) {
        struct nx_slice value = nx_iter_value(iter), tail;
        uint64_t ino, begin, skip, at;

        if (!key_split(nx_iter_key(iter), &ino, &tail) || tail.len != 8 ||
            value.len > CHUNK_BYTES || key_number(tail) > FILE_MAX_BYTES / CHUNK_BYTES)
            return nx_fail(err, NX_ECORRUPT, "a piece of a file cannot be read");
        begin = key_number(tail) * CHUNK_BYTES;
        skip = begin < offset ? offset - begin : 0;
        at = begin + skip - offset;
        if (skip >= value.len || at >= len)
            continue;
        if (value.len - skip > len - at)
            value.len = skip + (len - at);
        memcpy(out + at, value.data + skip, value.len - skip);
    }
    return nx_iter_status(iter, err);
}

/* Within one chunk: a get is cheaper than an iterator. `out` is zeroed. */
static enum nx_code copy_chunk(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                               uint64_t offset, uint8_t *out, size_t len, struct nx_err *err)
{
    struct nx_buf chunk NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    size_t at = (size_t)(offset % CHUNK_BYTES);
    struct key key;
    enum nx_code rc;

    key_of_pair(&key, KEY_CHUNK, ino, offset / CHUNK_BYTES);
    rc = store_get(db, snapshot, &key, &chunk, err);
    if (rc != NX_OK)
        return rc == NX_ENOTFOUND ? NX_OK : rc;
    if (chunk.len > CHUNK_BYTES)
        return store_corrupt(err, &key, "piece of a file");
    if (chunk.len > at)
        memcpy(out, chunk.data + at, chunk.len - at < len ? chunk.len - at : len);
    return NX_OK;
}

/* Several chunks, of one moment. */
static enum nx_code copy_range(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
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
    rc = copy_chunks(iter, offset, out, len, err);
    nx_iter_close(iter);
    return rc;
}

enum nx_code file_read(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                       uint64_t size, uint64_t offset, uint8_t *out, size_t len, size_t *got,
                       struct nx_err *err)
{
    enum nx_code rc;

    *got = 0;
    if (offset >= size || len == 0)
        return NX_OK;
    if (len > size - offset)
        len = (size_t)(size - offset);
    memset(out, 0, len);
    if (offset / CHUNK_BYTES == (offset + len - 1) / CHUNK_BYTES)
        rc = copy_chunk(db, snapshot, ino, offset, out, len, err);
    else
        rc = copy_range(db, snapshot, ino, offset, out, len, err);
    if (rc == NX_OK)
        *got = len;
    return rc;
}

enum nx_code file_read_all(struct nx_db *db, nx_ino ino, uint64_t size, uint64_t max_bytes,
                           struct nx_buf *out, struct nx_err *err)
{
    size_t at = out->len, got;
    enum nx_code rc;

    if (size > max_bytes)
        return nx_fail(err, NX_ETOOBIG, "the file has %" PRIu64 " bytes; the limit is %" PRIu64,
                       size, max_bytes);
    if (nx_buf_resize(out, at + (size_t)size) != NX_OK)
        return nx_fail_nomem(err);
    rc = file_read(db, NULL, ino, size, 0, out->data + at, (size_t)size, &got, err);
    return rc;
}

static enum nx_code plain_file(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                               struct nx_buf *buf, struct node *node, struct nx_err *err)
{
    enum nx_code rc = store_node(db, snapshot, ino, buf, node, err);

    if (rc == NX_OK && node_is_directory(node))
        return nx_fail(err, NX_EISDIR, "node %" PRIu64 " is a directory", ino);
    if (rc == NX_OK && node->kind != NX_KIND_FILE)
        return nx_fail(err, NX_EINVAL, "node %" PRIu64 " is not a plain file", ino);
    return rc;
}

enum nx_code nx_db_read(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                        uint64_t offset, void *out, size_t len, size_t *got, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct node node;
    enum nx_code rc = plain_file(db, snapshot, ino, &buf, &node, err);

    *got = 0;
    return rc == NX_OK ? file_read(db, snapshot, ino, node.size, offset, out, len, got, err) : rc;
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

/* --- writing ---------------------------------------------------------------------------------- */

void file_put_all(struct tx *tx, nx_ino ino, struct nx_slice data)
{
    for (uint64_t number = 0; data.len > 0; number++) {
        size_t len = data.len < CHUNK_BYTES ? data.len : CHUNK_BYTES;

        tx_put_chunk(tx, ino, number, nx_slice(data.data, len));
        data.data += len;
        data.len -= len;
    }
}

/* The chunk as it is, empty for a hole, in `out`. */
static enum nx_code read_chunk(struct tx *tx, nx_ino ino, uint64_t number, struct nx_buf *out,
                               struct nx_err *err)
{
    struct key key;
    enum nx_code rc;

    key_of_pair(&key, KEY_CHUNK, ino, number);
    rc = store_get(tx->db, NULL, &key, out, err);
    if (rc == NX_OK && out->len > CHUNK_BYTES)
        return store_corrupt(err, &key, "piece of a file");
    if (rc != NX_ENOTFOUND)
        return rc;
    nx_buf_clear(out);
    return NX_OK;
}

/* Put `data` at `at` in one chunk, keeping what is around it. */
static enum nx_code write_chunk(struct tx *tx, nx_ino ino, uint64_t number, size_t at,
                                struct nx_slice data, struct nx_buf *chunk, struct nx_err *err)
{
    enum nx_code rc;

    if (data.len == CHUNK_BYTES) {
        tx_put_chunk(tx, ino, number, data);
        return NX_OK;
    }
    rc = read_chunk(tx, ino, number, chunk, err);
    if (rc != NX_OK)
        return rc;
    if (chunk->len < at + data.len && nx_buf_resize(chunk, at + data.len) != NX_OK)
        return nx_fail_nomem(err);
    memcpy(chunk->data + at, data.data, data.len);
    tx_put_chunk(tx, ino, number, nx_buf_slice(chunk));
    return NX_OK;
}

static enum nx_code write_data(struct tx *tx, nx_ino ino, uint64_t offset, struct nx_slice data,
                               struct nx_err *err)
{
    struct nx_buf chunk NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    while (data.len > 0) {
        size_t at = (size_t)(offset % CHUNK_BYTES);
        size_t len = data.len < CHUNK_BYTES - at ? data.len : CHUNK_BYTES - at;
        enum nx_code rc =
            write_chunk(tx, ino, offset / CHUNK_BYTES, at, nx_slice(data.data, len), &chunk, err);

        if (rc != NX_OK)
            return rc;
        offset += len;
        data.data += len;
        data.len -= len;
    }
    return NX_OK;
}

/* One batch a call; the engine's limit on a batch is far above. */
#define WRITE_MAX_BYTES (16u << 20)

static enum nx_code write_locked(struct tx *tx, nx_ino ino, uint64_t offset, struct nx_slice data,
                                 struct nx_attr *out, struct nx_err *err)
{
    struct node node;
    enum nx_code rc = plain_file(tx->db, NULL, ino, &tx->read, &node, err);

    if (rc == NX_OK)
        rc = write_data(tx, ino, offset, data, err);
    if (rc != NX_OK)
        return rc;
    if (offset + data.len > node.size)
        node.size = offset + data.len;
    node.mtime_ns = node.ctime_ns = tx->now_ns;
    tx_put_node(tx, ino, &node);
    tx_event(tx, NX_EVENT_UPDATE, NX_KIND_FILE, ino, 0, NX_SLICE_NULL);
    return out ? store_attr(tx->db, NULL, ino, &node, out, err) : NX_OK;
}

enum nx_code nx_db_write(struct nx_db *db, nx_ino ino, uint64_t offset, const void *data,
                         size_t len, const struct nx_change *change, struct nx_attr *out,
                         struct nx_err *err)
{
    struct tx *tx;
    enum nx_code rc;

    if (len > WRITE_MAX_BYTES || offset > FILE_MAX_BYTES - len)
        return nx_fail(err, NX_ETOOBIG, "a write of %zu bytes at %" PRIu64, len, offset);
    rc = tx_begin(db, change, false, &tx, err);
    if (rc != NX_OK)
        return rc;
    tx_lock(tx, stripe_of(ino));
    rc = write_locked(tx, ino, offset, nx_slice(data, len), out, err);
    return tx_finish(tx, rc, err);
}

/* One by one up to this many: a range costs every later read of the store until it is compacted. */
#define DELETE_SINGLY_MAX 64u

static void delete_chunks(struct tx *tx, nx_ino ino, uint64_t from, uint64_t to)
{
    struct key begin, end;

    if (to - from > DELETE_SINGLY_MAX) {
        key_of_pair(&begin, KEY_CHUNK, ino, from);
        key_of(&end, KEY_CHUNK, ino + 1);
        tx_delete_keys(tx, &begin, &end);
        return;
    }
    for (; from < to; from++)
        tx_delete_chunk(tx, ino, from);
}

void file_delete_data(struct tx *tx, nx_ino ino, uint64_t size)
{
    delete_chunks(tx, ino, 0, chunk_count(size));
}

enum nx_code file_truncate(struct tx *tx, nx_ino ino, struct node *node, uint64_t size,
                           struct nx_err *err)
{
    struct nx_buf chunk NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    size_t keep = (size_t)(size % CHUNK_BYTES);
    uint64_t old = node->size;
    enum nx_code rc;

    if (size > FILE_MAX_BYTES)
        return nx_fail(err, NX_ETOOBIG, "a file of %" PRIu64 " bytes", size);
    node->size = size;
    if (size >= old)
        return NX_OK;
    delete_chunks(tx, ino, chunk_count(size), chunk_count(old));
    if (keep == 0)
        return NX_OK;
    rc = read_chunk(tx, ino, size / CHUNK_BYTES, &chunk, err);
    if (rc == NX_OK && chunk.len > keep)
        tx_put_chunk(tx, ino, size / CHUNK_BYTES, nx_slice(chunk.data, keep));
    return rc;
}

/* --- the last name ---------------------------------------------------------------------------- */

void file_remove(struct tx *tx, nx_ino ino, const struct node *node)
{
    tx_delete(tx, KEY_NODE, ino);
    if (node->kind == NX_KIND_FILE)
        file_delete_data(tx, ino, node->size);
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

/*
 * file_write.c - changing the data of plain files.
 *
 * All of a change's chunks go through one struct chunks, in ascending order: each is read at most
 * once, whatever parts of the change it gets, and put or deleted when the next one comes.
 */
#include <inttypes.h>

#include "store/file.h"

/* --- chunks, one after the other ---------------------------------------------------------------
 */

struct chunks {
    struct tx *tx;
    nx_ino ino;
    struct node *node; /* its count of pieces follows */
    uint64_t end;      /* no chunk stood from here on */
    bool dense;        /* every one before was there */
    bool is_open;      /* the one of `number` is in `data` */
    bool was;          /* it is stored */
    bool dirty;
    uint64_t number;
    struct nx_buf data;
};

static struct chunks chunks_of(struct tx *tx, nx_ino ino, struct node *node)
{
    uint64_t end = chunk_count(node_chunked(node));

    return (struct chunks){
        .tx = tx, .ino = ino, .node = node, .end = end, .dense = node->pieces == end};
}

static void chunks_fini(struct chunks *chunks)
{
    nx_buf_fini(&chunks->data);
}

/* An empty one is a hole. */
static void put_open(struct chunks *chunks)
{
    struct tx *tx = chunks->tx;

    if (!chunks->is_open || !chunks->dirty)
        return;
    chunks->dirty = false;
    if (chunks->data.len > 0)
        tx_put_chunk(tx, chunks->ino, chunks->number, nx_buf_slice(&chunks->data));
    else if (chunks->was)
        tx_delete_chunk(tx, chunks->ino, chunks->number);
    chunks->node->pieces += chunks->data.len > 0;
    chunks->node->pieces -= chunks->was;
}

static enum nx_code read_open(struct chunks *chunks, struct nx_err *err)
{
    struct key key;
    enum nx_code rc;

    key_of_pair(&key, KEY_CHUNK, chunks->ino, chunks->number);
    rc = store_get(chunks->tx->db, NULL, &key, &chunks->data, err);
    chunks->was = rc == NX_OK;
    if (rc == NX_OK && chunks->data.len > CHUNK_BYTES)
        return store_corrupt(err, &key, "piece of a file");
    if (rc != NX_ENOTFOUND)
        return rc;
    nx_buf_clear(&chunks->data);
    return NX_OK;
}

/* `whole`: its content does not matter. */
static enum nx_code open_chunk(struct chunks *chunks, uint64_t number, bool whole,
                               struct nx_err *err)
{
    if (chunks->is_open && chunks->number == number)
        return NX_OK;
    put_open(chunks);
    chunks->is_open = true;
    chunks->number = number;
    chunks->was = number < chunks->end;
    if (chunks->was && !(whole && chunks->dense))
        return read_open(chunks, err);
    nx_buf_clear(&chunks->data);
    return NX_OK;
}

static enum nx_code write_chunk(struct chunks *chunks, uint64_t number, size_t at,
                                struct nx_slice data, struct nx_err *err)
{
    struct nx_buf *chunk = &chunks->data;
    enum nx_code rc = open_chunk(chunks, number, data.len == CHUNK_BYTES, err);

    if (rc != NX_OK)
        return rc;
    if (chunk->len < at + data.len && nx_buf_resize(chunk, at + data.len) != NX_OK)
        return nx_fail_nomem(err);
    memcpy(chunk->data + at, data.data, data.len);
    chunks->dirty = true;
    return NX_OK;
}

static enum nx_code write_data(struct chunks *chunks, uint64_t offset, struct nx_slice data,
                               struct nx_err *err)
{
    while (data.len > 0) {
        size_t at = (size_t)(offset % CHUNK_BYTES);
        size_t len = data.len < CHUNK_BYTES - at ? data.len : CHUNK_BYTES - at;
        enum nx_code rc =
            write_chunk(chunks, offset / CHUNK_BYTES, at, nx_slice(data.data, len), err);

        if (rc != NX_OK)
            return rc;
        offset += len;
        data.data += len;
        data.len -= len;
    }
    return NX_OK;
}

/* Zeros within one chunk: up to its end they are none. */
static enum nx_code clear_chunk(struct chunks *chunks, uint64_t number, size_t at, size_t len,
                                struct nx_err *err)
{
    struct nx_buf *chunk = &chunks->data;
    enum nx_code rc = open_chunk(chunks, number, len == CHUNK_BYTES, err);

    if (rc != NX_OK || chunk->len <= at)
        return rc;
    chunks->dirty = true;
    if (at + len >= chunk->len)
        chunk->len = at;
    else
        memset(chunk->data + at, 0, len);
    return NX_OK;
}

/* --- deleting --------------------------------------------------------------------------------- */

/* One by one up to this many: a range costs every later read of the store until it is compacted. */
#define DELETE_SINGLY_MAX 64u

static void delete_chunks(struct tx *tx, nx_ino ino, uint64_t from, uint64_t to)
{
    struct key begin, end;

    if (to - from > DELETE_SINGLY_MAX) {
        key_of_pair(&begin, KEY_CHUNK, ino, from);
        key_of_pair(&end, KEY_CHUNK, ino, to);
        tx_delete_keys(tx, &begin, &end);
        return;
    }
    for (; from < to; from++)
        tx_delete_chunk(tx, ino, from);
}

/* Those that are stored of [from, to), and count them off. */
static enum nx_code drop_chunks(struct chunks *chunks, uint64_t from, uint64_t to,
                                struct nx_err *err)
{
    uint64_t count;
    enum nx_code rc = NX_OK;

    if (to > chunks->end)
        to = chunks->end;
    if (from >= to || chunks->node->pieces == 0)
        return NX_OK;
    if (chunks->dense)
        count = to - from;
    else if (from == 0 && to == chunks->end)
        count = chunks->node->pieces;
    else
        rc = file_count_chunks(chunks->tx->db, NULL, chunks->ino, from, to, &count, err);
    if (rc != NX_OK || count == 0)
        return rc;
    delete_chunks(chunks->tx, chunks->ino, from, to);
    chunks->node->pieces -= count;
    return NX_OK;
}

void file_delete_data(struct tx *tx, nx_ino ino, const struct node *node)
{
    if (node->pieces > 0)
        delete_chunks(tx, ino, 0, chunk_count(node_chunked(node)));
}

/* --- the tail --------------------------------------------------------------------------------- */

/* The tail and `data`, which begins in it or behind it, when both fit: in `room`. */
static bool write_tail(struct node *node, uint64_t offset, struct nx_slice data,
                       uint8_t room[TAIL_MAX_BYTES])
{
    uint64_t chunked = node_chunked(node);
    size_t at, len;

    if (offset < chunked || offset - chunked > TAIL_MAX_BYTES ||
        data.len > TAIL_MAX_BYTES - (offset - chunked))
        return false;
    at = (size_t)(offset - chunked);
    len = at + data.len > node->tail.len ? at + data.len : node->tail.len;
    memset(room, 0, len);
    if (node->tail.len)
        memcpy(room, node->tail.data, node->tail.len);
    if (data.len)
        memcpy(room + at, data.data, data.len);
    node->tail = nx_slice(room, len);
    node->size = chunked + len;
    return true;
}

/* Put the part of the tail that lies in [from, to) into chunks. */
static enum nx_code settle_part(struct chunks *chunks, uint64_t chunked, struct nx_slice tail,
                                uint64_t from, uint64_t to, struct nx_err *err)
{
    from = from > chunked ? from : chunked;
    to = to < chunked + tail.len ? to : chunked + tail.len;
    if (from >= to)
        return NX_OK;
    return write_data(chunks, from, nx_slice(tail.data + (from - chunked), (size_t)(to - from)),
                      err);
}

/* Put the data and the tail around it into chunks. */
static enum nx_code write_settling(struct tx *tx, nx_ino ino, struct node *node, uint64_t offset,
                                   struct nx_slice data, struct nx_err *err)
{
    struct chunks chunks NX_CLEANUP(chunks_fini) = chunks_of(tx, ino, node);
    struct nx_slice tail = node->tail;
    uint64_t chunked = node_chunked(node);
    enum nx_code rc = settle_part(&chunks, chunked, tail, 0, offset, err);

    if (rc == NX_OK)
        rc = write_data(&chunks, offset, data, err);
    if (rc == NX_OK)
        rc = settle_part(&chunks, chunked, tail, offset + data.len, UINT64_MAX, err);
    put_open(&chunks);
    node->tail = NX_SLICE_NULL;
    if (offset + data.len > node->size)
        node->size = offset + data.len;
    return rc;
}

/* --- writing ---------------------------------------------------------------------------------- */

void file_put_all(struct tx *tx, nx_ino ino, struct node *node, struct nx_slice data)
{
    node->size = data.len;
    node->pieces = 0;
    node->tail = NX_SLICE_NULL;
    if (data.len <= TAIL_MAX_BYTES) {
        node->tail = data;
        return;
    }
    for (; data.len > 0; node->pieces++) {
        size_t len = data.len < CHUNK_BYTES ? data.len : CHUNK_BYTES;

        tx_put_chunk(tx, ino, node->pieces, nx_slice(data.data, len));
        data.data += len;
        data.len -= len;
    }
}

static enum nx_code finish_change(struct tx *tx, nx_ino ino, struct node *node, struct nx_attr *out,
                                  struct nx_err *err)
{
    node->mtime_ns = node->ctime_ns = tx->now_ns;
    tx_put_node(tx, ino, node);
    tx_event(tx, NX_EVENT_UPDATE, NX_KIND_FILE, ino, 0, NX_SLICE_NULL);
    return out ? store_attr(tx->db, NULL, ino, node, out, err) : NX_OK;
}

static enum nx_code write_locked(struct tx *tx, nx_ino ino, uint64_t offset, struct nx_slice data,
                                 struct nx_attr *out, struct nx_err *err)
{
    uint8_t room[TAIL_MAX_BYTES];
    struct node node;
    enum nx_code rc = file_node(tx->db, NULL, ino, &tx->read, &node, err);

    if (rc == NX_OK && data.len > 0 && !write_tail(&node, offset, data, room))
        rc = write_settling(tx, ino, &node, offset, data, err);
    return rc == NX_OK ? finish_change(tx, ino, &node, out, err) : rc;
}

/* One batch a call; the engine's limit on a batch is far above. */
#define WRITE_MAX_BYTES (16u << 20)

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

/* --- the size --------------------------------------------------------------------------------- */

/* `room` holds the tail that may have been made longer. */
static enum nx_code extend(struct chunks *chunks, struct node *node, uint64_t size,
                           uint8_t room[TAIL_MAX_BYTES], struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    if (node->tail.len > 0 && !write_tail(node, size, NX_SLICE_NULL, room)) {
        rc = settle_part(chunks, node_chunked(node), node->tail, 0, UINT64_MAX, err);
        node->tail = NX_SLICE_NULL;
    }
    node->size = size;
    return rc;
}

static enum nx_code shorten(struct chunks *chunks, struct node *node, uint64_t size,
                            struct nx_err *err)
{
    uint64_t chunked = node_chunked(node);
    size_t keep = (size_t)(size % CHUNK_BYTES);
    enum nx_code rc;

    node->tail.len = size > chunked ? (size_t)(size - chunked) : 0;
    node->size = size;
    if (size >= chunked)
        return NX_OK;
    rc = drop_chunks(chunks, chunk_count(size), chunks->end, err);
    if (rc == NX_OK && keep > 0)
        rc = clear_chunk(chunks, size / CHUNK_BYTES, keep, CHUNK_BYTES - keep, err);
    return rc;
}

enum nx_code file_truncate(struct tx *tx, nx_ino ino, struct node *node, uint64_t size,
                           uint8_t room[TAIL_MAX_BYTES], struct nx_err *err)
{
    struct chunks chunks NX_CLEANUP(chunks_fini) = chunks_of(tx, ino, node);
    enum nx_code rc = NX_OK;

    if (size > FILE_MAX_BYTES)
        return nx_fail(err, NX_ETOOBIG, "a file of %" PRIu64 " bytes", size);
    if (size < node->size)
        rc = shorten(&chunks, node, size, err);
    else if (size > node->size)
        rc = extend(&chunks, node, size, room, err);
    put_open(&chunks);
    return rc;
}

/* --- holes ------------------------------------------------------------------------------------ */

/* Make [offset, end), which lies before the tail, a hole. The chunk where it ends stays open, for
 * the tail may follow. */
static enum nx_code punch_chunks(struct chunks *chunks, uint64_t offset, uint64_t end,
                                 struct nx_err *err)
{
    uint64_t first = offset / CHUNK_BYTES, last = end / CHUNK_BYTES;
    size_t at = (size_t)(offset % CHUNK_BYTES);
    enum nx_code rc = NX_OK;

    if (at > 0 && first == last)
        return clear_chunk(chunks, first, at, (size_t)(end - offset), err);
    if (at > 0)
        rc = clear_chunk(chunks, first++, at, CHUNK_BYTES - at, err);
    if (rc == NX_OK)
        rc = drop_chunks(chunks, first, last, err);
    if (rc == NX_OK && end % CHUNK_BYTES)
        rc = clear_chunk(chunks, last, 0, (size_t)(end % CHUNK_BYTES), err);
    return rc;
}

/* `room` holds the tail when some of it became zeros. */
static enum nx_code punch(struct chunks *chunks, struct node *node, uint64_t offset, uint64_t end,
                          uint8_t room[TAIL_MAX_BYTES], struct nx_err *err)
{
    uint64_t chunked = node_chunked(node);

    if (end > node->size)
        end = node->size;
    if (end > chunked && offset < end) {
        size_t from = offset > chunked ? (size_t)(offset - chunked) : 0;

        memcpy(room, node->tail.data, node->tail.len);
        memset(room + from, 0, (size_t)(end - chunked) - from);
        node->tail.data = room;
        end = chunked;
    }
    return offset < end ? punch_chunks(chunks, offset, end, err) : NX_OK;
}

struct allocation {
    unsigned flags;
    uint64_t offset, end;
    struct nx_attr *out;
};

static enum nx_code allocate(struct tx *tx, nx_ino ino, struct node *node, void *arg,
                             struct nx_err *err)
{
    const struct allocation *want = arg;
    struct chunks chunks NX_CLEANUP(chunks_fini) = chunks_of(tx, ino, node);
    uint8_t room[TAIL_MAX_BYTES], longer[TAIL_MAX_BYTES];
    enum nx_code rc = NX_OK;

    if (node->kind != NX_KIND_FILE)
        return nx_fail(err, NX_EINVAL, "node %" PRIu64 " is not a plain file", ino);
    if (want->flags & NX_ALLOCATE_HOLE)
        rc = punch(&chunks, node, want->offset, want->end, room, err);
    if (rc == NX_OK && !(want->flags & NX_ALLOCATE_KEEP_SIZE) && want->end > node->size)
        rc = extend(&chunks, node, want->end, longer, err);
    put_open(&chunks);
    return rc == NX_OK ? finish_change(tx, ino, node, want->out, err) : rc;
}

enum nx_code nx_db_allocate(struct nx_db *db, nx_ino ino, unsigned flags, uint64_t offset,
                            uint64_t len, const struct nx_change *change, struct nx_attr *out,
                            struct nx_err *err)
{
    struct allocation want = {.flags = flags, .offset = offset, .end = offset + len, .out = out};

    if (len == 0)
        return nx_fail(err, NX_EINVAL, "an allocation of no bytes");
    if (len > FILE_MAX_BYTES || offset > FILE_MAX_BYTES - len)
        return nx_fail(err, NX_ETOOBIG, "an allocation of %" PRIu64 " bytes at %" PRIu64, len,
                       offset);
    return change_node(db, ino, change, flags & NX_ALLOCATE_HOLE, allocate, &want, err);
}

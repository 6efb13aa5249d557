/* tx_feed.c - what a change leaves in the feed: rows beside its records, in the same batch.
 *
 * Changes are encoded as they are made. Their position is taken only before the batch is submitted,
 * with what depends on it: the rows' keys, and the names that directories had up to it. */
#include "base/bytes.h"
#include "store/tx.h"

static void fail(struct tx *tx, enum nx_code rc)
{
    if (tx->failed == NX_OK)
        tx->failed = rc;
}

/* --- recording -------------------------------------------------------------------------------- */

static size_t row_begin(const struct tx *tx)
{
    size_t at = 0;

    if (tx->rows.len > 0)
        memcpy(&at, tx->rows.data + tx->rows.len - sizeof at, sizeof at);
    return at;
}

static void begin_row(struct tx *tx)
{
    size_t at = tx->changes.len;

    fail(tx, nx_buf_append(&tx->rows, &at, sizeof at));
    fail(tx, nx_buf_resize(&tx->changes, at + FEED_HEAD_BYTES));
    tx->changed_dir = 0;
}

static void change(struct tx *tx, enum nx_feed_op op, nx_ino collection, struct nx_slice id)
{
    uint8_t head[1 + 2 * VARINT_MAX_BYTES];
    size_t len = 1;

    if (tx->rows.len == 0 || tx->changes.len - row_begin(tx) >= FEED_ROW_BYTES)
        begin_row(tx);
    head[0] = (uint8_t)op;
    if (collection == tx->changed_dir)
        head[0] |= FEED_SAME_DIR;
    else
        len += put_varint(head + len, collection);
    if (op <= NX_FEED_DELETE)
        len += put_varint(head + len, id.len);
    tx->changed_dir = collection;
    fail(tx, nx_buf_append(&tx->changes, head, len));
    fail(tx, nx_buf_append(&tx->changes, id.data, id.len));
}

/* In `labels`: directory, length, and the record that will be written. */
static void label(struct tx *tx, nx_ino dir, const struct node *before)
{
    uint8_t parent[VARINT_MAX_BYTES];
    size_t parent_len = put_varint(parent, before->parent);
    uint64_t head[2] = {dir, parent_len + before->label.len};

    fail(tx, nx_buf_append(&tx->labels, head, sizeof head));
    fail(tx, nx_buf_append(&tx->labels, parent, parent_len));
    fail(tx, nx_buf_append(&tx->labels, before->label.data, before->label.len));
}

void tx_change_document(struct tx *tx, bool was, bool is, nx_ino collection, struct nx_slice id)
{
    if (was || is)
        change(tx, !is ? NX_FEED_DELETE : was ? NX_FEED_UPDATE : NX_FEED_INSERT, collection, id);
}

void tx_change_directory(struct tx *tx, enum nx_kind kind, nx_ino dir, const struct node *before)
{
    bool was = before && before->kind == NX_KIND_COLLECTION, is = kind == NX_KIND_COLLECTION;

    if (was)
        label(tx, dir, before);
    if (was || is)
        change(tx, !is ? NX_FEED_DROP : was ? NX_FEED_RENAME : NX_FEED_CREATE, dir, NX_SLICE_NULL);
}

/* --- documents that come back ----------------------------------------------------------------- */

static uint64_t clock_ns(const struct tx *tx)
{
    return tx->db->io->ops->monotonic_ns(tx->db->io);
}

nx_ino tx_reborn(struct tx *tx, nx_ino collection, struct nx_slice id, bool *updated)
{
    struct recent *recent = &tx->db->recent;
    uint64_t held;

    if (!recent_any(recent))
        return 0;
    held = feed_claim(tx->db, &tx->flight, collection, id);
    if (held) {
        tx_delete(tx, KEY_CHANGES, held);
        *updated = true;
    }
    return recent_take(recent, collection, id, clock_ns(tx));
}

nx_ino tx_reborn_draft(struct tx *tx, nx_ino collection, struct nx_slice id)
{
    return recent_take_number(&tx->db->recent, collection, id, clock_ns(tx));
}

void tx_hold(struct tx *tx, nx_ino collection, const struct nx_id *id, nx_ino ino)
{
    recent_add(&tx->db->recent, collection, id, ino, clock_ns(tx));
    tx->renamed_away = ino;
}

/* --- submitting ------------------------------------------------------------------------------- */

static size_t row_end(const struct tx *tx, size_t row)
{
    size_t at;

    if ((row + 1) * sizeof at >= tx->rows.len)
        return tx->changes.len;
    memcpy(&at, tx->rows.data + (row + 1) * sizeof at, sizeof at);
    return at;
}

static void put_rows(struct tx *tx, uint64_t position)
{
    size_t begin = 0;

    for (size_t row = 0; row < tx->rows.len / sizeof begin; row++) {
        size_t end = row_end(tx, row);
        struct nx_slice value = nx_slice(tx->changes.data + begin, end - begin);
        struct key key;

        put_u64le(tx->changes.data + begin, (uint64_t)tx->now_ns / 1000000);
        key_of(&key, KEY_CHANGES, position);
        fail(tx, nx_batch_put(tx->batch, key_slice(&key), value));
        position += FEED_KEY_BYTES + value.len;
        begin = end;
    }
}

static void put_labels(struct tx *tx, uint64_t position)
{
    for (size_t at = 0; at < tx->labels.len;) {
        uint64_t head[2];
        struct key key;

        memcpy(head, tx->labels.data + at, sizeof head);
        at += sizeof head;
        key_of_pair(&key, KEY_LABEL, head[0], position);
        fail(tx, nx_batch_put(tx->batch, key_slice(&key), nx_slice(tx->labels.data + at, head[1])));
        at += head[1];
    }
}

void tx_feed_begin(struct tx *tx)
{
    uint64_t position;

    if (tx->failed != NX_OK || tx->rows.len == 0)
        return;
    position = feed_take(&tx->db->feed, &tx->flight,
                         tx->changes.len + tx->rows.len / sizeof(size_t) * FEED_KEY_BYTES);
    put_rows(tx, position);
    put_labels(tx, position);
    if (tx->renamed_away)
        recent_hold(&tx->db->recent, tx->renamed_away, position);
}

void tx_feed_end(struct tx *tx)
{
    feed_leave(&tx->db->feed, &tx->flight);
}

/*
 * table_source.c - a cursor over one table.
 *
 * It holds the block it stands in, and rebuilds whole keys in a buffer: the block's prefix once a
 * block, the rest once an entry. Most tables have one version a key, none newer than the cursor's
 * sequence: then every entry is shown and no version has to be looked at (`shows_all`).
 *
 * A block that the cache does not have and will not have is unpacked into memory of the cursor's
 * own, which stays in the processor's caches. Blocks are read from the file several at once, the
 * more the longer the cursor goes on forwards.
 */
#include <stdlib.h>

#include "storage/table_inner.h"

#define AHEAD_MAX_BYTES (64u << 10)
#define PREFETCH_ENTRIES 4

/* Framed blocks, as they are in the file at [from, to). */
struct read_ahead {
    uint8_t *bytes; /* owned */
    size_t cap;
    uint64_t from, to;
    uint32_t blocks; /* as many were read at once */
};

struct table_source {
    struct source base;
    struct table *table; /* outlives us */
    uint64_t sequence;   /* or SEQUENCE_ALL */
    enum cache_use use;
    bool shows_all;
    struct block *block; /* counted, or `own`; NULL: nowhere */
    struct block *own;   /* counted; NULL: none yet */
    size_t own_cap;
    struct read_ahead ahead;
    uint32_t block_at; /* its number in the table */
    uint32_t at;       /* the entry in it */
    struct block_entry entry;
    uint8_t key[KEY_MAX_BYTES]; /* of `entry` */
};

/* --- blocks ----------------------------------------------------------------------------------- */

static enum nx_code make_room(struct read_ahead *ahead, size_t len, struct nx_err *err)
{
    uint8_t *bytes;

    if (len <= ahead->cap)
        return NX_OK;
    bytes = realloc(ahead->bytes, len);
    if (!bytes)
        return nx_fail_nomem(err);
    ahead->bytes = bytes;
    ahead->cap = len;
    return NX_OK;
}

static enum nx_code read_blocks(struct table_source *s, uint32_t i, uint32_t end,
                                struct nx_err *err)
{
    uint64_t from = s->table->offsets[i];
    size_t len = (size_t)(s->table->offsets[end] - from);
    enum nx_code rc = make_room(&s->ahead, len, err);

    if (rc == NX_OK)
        rc = table_read_bytes(s->table, from, s->ahead.bytes, len, err);
    s->ahead.from = from;
    s->ahead.to = rc == NX_OK ? from + len : from;
    return rc;
}

/* Read block i and some that follow. What is wrong with those is told when they are wanted. */
static enum nx_code read_on(struct table_source *s, uint32_t i)
{
    const uint64_t *offsets = s->table->offsets;
    bool goes_on = i > 0 && s->ahead.to == offsets[i];
    uint32_t end = i + 1, most;

    s->ahead.blocks = goes_on ? s->ahead.blocks * 2 : 1;
    most =
        s->table->block_count - i < s->ahead.blocks ? s->table->block_count : i + s->ahead.blocks;
    while (end < most && offsets[end + 1] - offsets[i] <= AHEAD_MAX_BYTES)
        end++;
    s->ahead.blocks = end - i;
    if (end > i + 1 && read_blocks(s, i, end, NULL) == NX_OK)
        return NX_OK;
    return read_blocks(s, i, i + 1, s->base.err);
}

/* The cursor's own block, with room for `len` bytes. NULL: out of memory. */
static struct block *own_block(struct table_source *s, size_t len)
{
    if (!s->own || len > s->own_cap) {
        block_unref(s->own);
        s->own = block_new(len);
        s->own_cap = len;
    }
    if (s->own)
        s->own->len = len;
    return s->own;
}

static void leave_block(struct table_source *s)
{
    if (s->block != s->own)
        block_unref(s->block);
    s->block = NULL;
}

/* Stand in block i, which the cache does not have. */
static enum nx_code load_block(struct table_source *s, uint32_t i)
{
    struct table *table = s->table;
    bool admitted = cache_admits(table->cache, &table->slots[i], s->use);
    uint64_t offset = table->offsets[i], end = table->offsets[i + 1];
    enum nx_code rc = NX_OK;
    struct table_frame frame;
    struct nx_slice framed;

    if (offset < s->ahead.from || end > s->ahead.to)
        rc = read_on(s, i);
    framed = nx_slice(s->ahead.bytes + (offset - s->ahead.from), (size_t)(end - offset));
    if (rc == NX_OK)
        rc = table_check_frame(table, offset, framed, &frame, s->base.err);
    if (rc != NX_OK)
        return rc;
    s->block = admitted ? block_new(frame.raw_len) : own_block(s, frame.raw_len);
    if (!s->block)
        return nx_fail_nomem(s->base.err);
    rc = table_unpack(table, offset, &frame, s->block, s->base.err);
    if (rc == NX_OK && admitted)
        cache_insert(table->cache, &table->slots[i], s->block);
    return rc;
}

static void stand_nowhere(struct table_source *s)
{
    leave_block(s);
    s->base.valid = false;
}

/* Stand in block i, on no entry yet. False at either end and on an error. */
static bool enter_block(struct table_source *s, uint32_t i)
{
    if (s->base.failed != NX_OK || i >= s->table->block_count) {
        stand_nowhere(s);
        return false;
    }
    if (s->block && s->block_at == i)
        return true;
    stand_nowhere(s);
    s->block = cache_find(s->table->cache, &s->table->slots[i], s->use);
    if (!s->block)
        s->base.failed = load_block(s, i);
    if (s->base.failed != NX_OK) {
        stand_nowhere(s);
        return false;
    }
    s->block_at = i;
    if (i + 1 < s->table->block_count)
        cache_prefetch(&s->table->slots[i + 1]);
    memcpy(s->key, s->block->prefix, s->block->prefix_len);
    return true;
}

static void stand_on(struct table_source *s, uint32_t at)
{
    const struct block *block = s->block;

    s->at = at;
    block_prefetch(block, at + PREFETCH_ENTRIES);
    block_get(block, at, &s->entry);
    memcpy(s->key + block->prefix_len, s->entry.suffix.data, s->entry.suffix.len);
    s->base.entry = (struct entry){
        .key = nx_slice(s->key, block->prefix_len + s->entry.suffix.len),
        .value = s->entry.value,
        .sequence = s->entry.sequence,
        .kind = s->entry.kind,
    };
    s->base.valid = true;
}

/* --- single steps, over every version --------------------------------------------------------- */

/* Is the key at entry `at` of the current block the one in `key`? */
static bool has_key(const struct table_source *s, uint32_t at, struct nx_slice key)
{
    uint8_t other[KEY_MAX_BYTES];

    return nx_slice_equal(nx_slice(other, block_key(s->block, at, other)), key);
}

/* To the next entry; true when it is of the same key. A block's first entry does not tell. */
static bool step(struct table_source *s)
{
    uint8_t before[KEY_MAX_BYTES];
    size_t len = s->base.entry.key.len;
    bool may_go_on;

    if (s->at + 1 < s->block->count) {
        stand_on(s, s->at + 1);
        return s->entry.is_older;
    }
    may_go_on = !s->shows_all && table_ends_with(s->table, s->block_at, s->base.entry.key);
    if (may_go_on)
        memcpy(before, s->key, len);
    if (!enter_block(s, s->block_at + 1))
        return false;
    stand_on(s, 0);
    return may_go_on && nx_slice_equal(s->base.entry.key, nx_slice(before, len));
}

/* To the entry before; true when it is of the same key. */
static bool step_back(struct table_source *s)
{
    uint8_t after[KEY_MAX_BYTES];
    size_t len = s->base.entry.key.len;
    bool was_older = s->entry.is_older;

    if (s->at > 0) {
        stand_on(s, s->at - 1);
        return was_older;
    }
    if (!s->shows_all)
        memcpy(after, s->key, len);
    if (s->block_at == 0) {
        stand_nowhere(s);
        return false;
    }
    if (!enter_block(s, s->block_at - 1))
        return false;
    stand_on(s, s->block->count - 1);
    return !s->shows_all && nx_slice_equal(s->base.entry.key, nx_slice(after, len));
}

/* --- settling on a visible version ------------------------------------------------------------ */

/* From the newest version of a key: to it or the first after it that may be seen. */
static void settle(struct table_source *s)
{
    while (!s->shows_all && s->base.valid && s->entry.sequence > s->sequence)
        step(s);
}

/* From the oldest version of a key: to the newest of that key that may be seen, else the same of
 * the key before. */
static void settle_back(struct table_source *s)
{
    if (s->shows_all)
        return;
    while (s->base.valid && s->entry.sequence > s->sequence)
        step_back(s); /* newer versions cannot be seen either; then comes another key's oldest */
    while (s->base.valid) {
        bool same = step_back(s);

        if (same && s->entry.sequence <= s->sequence)
            continue;
        if (s->base.valid)
            step(s);
        else if (s->base.failed == NX_OK && enter_block(s, 0))
            stand_on(s, 0);
        return;
    }
}

/* --- the interface ---------------------------------------------------------------------------- */

static void source_first(struct source *source)
{
    struct table_source *s = (struct table_source *)source;

    if (!enter_block(s, 0))
        return;
    stand_on(s, 0);
    settle(s);
}

static void source_last(struct source *source)
{
    struct table_source *s = (struct table_source *)source;

    if (s->table->block_count == 0 || !enter_block(s, s->table->block_count - 1))
        return;
    stand_on(s, s->block->count - 1);
    settle_back(s);
}

static void source_seek(struct source *source, struct nx_slice key)
{
    struct table_source *s = (struct table_source *)source;
    uint32_t at;

    if (!enter_block(s, table_find_block(s->table, key)))
        return;
    at = block_bound(s->block, key, false);
    if (at == s->block->count) { /* between this block's last key and its separator */
        if (!enter_block(s, s->block_at + 1))
            return;
        at = 0;
    }
    stand_on(s, at);
    settle(s);
}

static void source_seek_for_prev(struct source *source, struct nx_slice key)
{
    struct table_source *s = (struct table_source *)source;
    uint32_t i = table_find_block(s->table, key), at = 0;

    if (i == s->table->block_count) {
        source_last(source);
        return;
    }
    if (!enter_block(s, i))
        return;
    at = block_bound(s->block, key, true);
    while (at == s->block->count && i + 1 < s->table->block_count &&
           table_ends_with(s->table, i, key)) { /* older versions in the next block */
        if (!enter_block(s, ++i))
            return;
        at = has_key(s, 0, key) ? block_bound(s->block, key, true) : 0;
    }
    if (at == 0) {
        if (i == 0 || !enter_block(s, i - 1)) {
            stand_nowhere(s);
            return;
        }
        at = s->block->count;
    }
    stand_on(s, at - 1);
    settle_back(s);
}

static void source_next(struct source *source)
{
    struct table_source *s = (struct table_source *)source;

    if (s->shows_all) {
        step(s);
        return;
    }
    while (step(s)) {
    }
    settle(s);
}

static void source_prev(struct source *source)
{
    struct table_source *s = (struct table_source *)source;

    if (s->shows_all) {
        step_back(s);
        return;
    }
    while (step_back(s)) {
    }
    settle_back(s);
}

static void source_free(struct source *source)
{
    struct table_source *s = (struct table_source *)source;

    leave_block(s);
    block_unref(s->own);
    free(s->ahead.bytes);
    free(s);
}

static const struct source_ops table_ops = {
    .close = source_free,
    .first = source_first,
    .last = source_last,
    .seek = source_seek,
    .seek_for_prev = source_seek_for_prev,
    .next = source_next,
    .prev = source_prev,
};

enum nx_code table_source(struct table *table, uint64_t sequence, enum cache_use use,
                          struct source **out, struct nx_err *err)
{
    struct table_source *s = malloc(sizeof *s);

    *out = NULL;
    if (!s)
        return nx_fail_nomem(err);
    s->base = (struct source){.ops = &table_ops, .err = err};
    s->table = table;
    s->sequence = sequence;
    s->use = use;
    s->shows_all = sequence == SEQUENCE_ALL || (table->facts.keys == table->facts.props.entries &&
                                                table->facts.props.max_sequence <= sequence);
    s->block = s->own = NULL;
    s->ahead = (struct read_ahead){0};
    *out = &s->base;
    return NX_OK;
}

/*
 * block.c - reading a block.
 *
 * block_parse walks the whole block once, when it is read from its file: afterwards no lookup has
 * to check a length again.
 */
#include "storage/block.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/bytes.h"
#include "storage/block_format.h"

uint64_t key_hash(struct nx_slice key)
{
    return XXH3_64bits(key.data, key.len);
}

struct block *block_new(size_t len)
{
    struct block *block = malloc(sizeof *block + len);

    if (!block)
        return NULL;
    memset(block, 0, sizeof *block);
    atomic_init(&block->refs, 1);
    block->bytes = (uint8_t *)(block + 1);
    block->len = len;
    return block;
}

void block_add_refs(struct block *block, int32_t n)
{
    /* acq_rel: every other thread's reads come before the free */
    uint32_t before = atomic_fetch_add_explicit(&block->refs, (uint32_t)n, memory_order_acq_rel);

    if (before + (uint32_t)n == 0)
        free(block);
}

void block_unref(struct block *block)
{
    if (block)
        block_add_refs(block, -1);
}

static uint32_t entry_offset(const struct block *block, uint32_t i)
{
    return block->offset_bytes == 2 ? get_u16le(block->offsets + 2 * (size_t)i)
                                    : get_u32le(block->offsets + 4 * (size_t)i);
}

/* --- checking --------------------------------------------------------------------------------- */

static const char *parse_header(struct block *block)
{
    size_t fixed, room;

    if (block->len < BLOCK_HEADER_BYTES)
        return "shorter than its header";
    block->count = get_u32le(block->bytes);
    block->prefix_len = get_u16le(block->bytes + 4);
    block->hash_slots = get_u16le(block->bytes + 6);
    block->base_sequence = get_u64le(block->bytes + 8);
    if (block->count == 0)
        return "no entries";
    if (block->base_sequence > SEQUENCE_MAX)
        return "a base sequence out of range";
    fixed = BLOCK_HEADER_BYTES + (size_t)block->prefix_len + block->hash_slots;
    if (fixed > block->len)
        return "prefix and hash index pass its end";
    room = block->len - fixed;
    block->offset_bytes = block->len <= UINT16_MAX ? 2 : 4;
    if (room / (block->offset_bytes + 3u) < block->count)
        return "more entries than it has room for";
    block->hash = block->bytes + BLOCK_HEADER_BYTES;
    block->offsets = block->hash + block->hash_slots;
    block->prefix = block->offsets + (size_t)block->offset_bytes * block->count;
    return NULL;
}

/* Parse one entry inside [at, end); NULL when it does not fit. */
static const uint8_t *parse_entry(const struct block *block, const uint8_t *at, const uint8_t *end,
                                  struct block_entry *out)
{
    uint64_t tag, key_len, value_len;

    at = get_varint(at, end, &tag);
    at = at ? get_varint(at, end, &key_len) : NULL;
    at = at ? get_varint(at, end, &value_len) : NULL;
    if (!at || key_len > (size_t)(end - at) || value_len > (size_t)(end - at) - key_len)
        return NULL;
    out->suffix = nx_slice(at, key_len);
    out->value = nx_slice(at + key_len, value_len);
    out->sequence = block->base_sequence + (tag >> TAG_SEQUENCE_SHIFT);
    out->kind = (enum entry_kind)(tag & TAG_KIND);
    out->is_older = (tag & TAG_OLDER) != 0;
    return at + key_len + value_len;
}

static const char *check_entry(const struct block *block, uint32_t i, const struct block_entry *e,
                               const struct block_entry *before)
{
    size_t key_len = block->prefix_len + e->suffix.len;

    if (key_len > KEY_MAX_BYTES)
        return "a key of a length out of range";
    if (e->sequence > SEQUENCE_MAX)
        return "a sequence out of range";
    if (e->kind == ENTRY_DELETE && e->value.len)
        return "a deletion with a value";
    if (e->is_older &&
        (i == 0 || !nx_slice_equal(e->suffix, before->suffix) || e->sequence >= before->sequence))
        return "a version out of order";
    return NULL;
}

static const char *parse_entries(const struct block *block)
{
    const uint8_t *at = block->prefix + block->prefix_len, *end = block->bytes + block->len;
    struct block_entry entry, before = {0};

    for (uint32_t i = 0; i < block->count; i++) {
        const char *wrong;

        if (entry_offset(block, i) != (size_t)(at - block->bytes))
            return "an entry is not where its offset says";
        at = parse_entry(block, at, end, &entry);
        if (!at)
            return "an entry passes the end";
        wrong = check_entry(block, i, &entry, &before);
        if (wrong)
            return wrong;
        before = entry;
    }
    return at == end ? NULL : "bytes after the last entry";
}

/* Every slot names an entry, and one is empty, so that every probing ends. */
static const char *parse_hash(const struct block *block)
{
    bool has_end = block->hash_slots == 0;

    for (uint32_t i = 0; i < block->hash_slots; i++) {
        if (block->hash[i] == HASH_EMPTY)
            has_end = true;
        else if (block->hash[i] >= block->count)
            return "the hash index names no entry";
    }
    return has_end ? NULL : "the hash index has no empty slot";
}

const char *block_parse(struct block *block)
{
    const char *wrong = parse_header(block);

    if (!wrong)
        wrong = parse_entries(block);
    if (!wrong)
        wrong = parse_hash(block);
    return wrong;
}

/* --- looking up ------------------------------------------------------------------------------- */

/* A varint of a parsed block. */
static inline const uint8_t *take_varint(const uint8_t *at, uint64_t *out)
{
    uint64_t v = *at & 0x7f;

    for (unsigned shift = 7; *at++ & 0x80; shift += 7)
        v |= (uint64_t)(*at & 0x7f) << shift;
    *out = v;
    return at;
}

void block_get(const struct block *block, uint32_t i, struct block_entry *out)
{
    const uint8_t *at = block->bytes + entry_offset(block, i);
    uint64_t tag, key_len, value_len;

    at = take_varint(at, &tag);
    at = take_varint(at, &key_len);
    at = take_varint(at, &value_len);
    out->suffix = nx_slice(at, key_len);
    out->value = nx_slice(at + key_len, value_len);
    out->sequence = block->base_sequence + (tag >> TAG_SEQUENCE_SHIFT);
    out->kind = (enum entry_kind)(tag & TAG_KIND);
    out->is_older = (tag & TAG_OLDER) != 0;
}

void block_prefetch(const struct block *block, uint32_t i)
{
    if (i < block->count)
        __builtin_prefetch(block->bytes + entry_offset(block, i));
}

size_t block_key(const struct block *block, uint32_t i, uint8_t *out)
{
    struct block_entry entry;

    block_get(block, i, &entry);
    memcpy(out, block->prefix, block->prefix_len);
    memcpy(out + block->prefix_len, entry.suffix.data, entry.suffix.len);
    return block->prefix_len + entry.suffix.len;
}

static struct nx_slice suffix_of(const struct block *block, uint32_t i)
{
    const uint8_t *at = block->bytes + entry_offset(block, i);
    uint64_t tag, key_len, value_len;

    at = take_varint(at, &tag);
    at = take_varint(at, &key_len);
    at = take_varint(at, &value_len);
    return nx_slice(at, key_len);
}

/* Order of `key` against the prefix of all: 0 when it begins with it, then *rest is what follows.
 */
static int compare_prefix(const struct block *block, struct nx_slice key, struct nx_slice *rest)
{
    size_t n = key.len < block->prefix_len ? key.len : block->prefix_len;
    int order = n ? memcmp(key.data, block->prefix, n) : 0;

    if (order == 0 && key.len < block->prefix_len)
        order = -1;
    *rest = nx_slice(key.data + n, key.len - n);
    return order;
}

uint32_t block_bound(const struct block *block, struct nx_slice key, bool after)
{
    uint32_t low = 0, high = block->count;
    struct nx_slice rest;
    int order = compare_prefix(block, key, &rest);

    if (order != 0)
        return order < 0 ? 0 : high;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        order = nx_slice_compare(suffix_of(block, middle), rest);
        if (order < 0 || (after && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t find_by_search(const struct block *block, struct nx_slice key)
{
    uint32_t i = block_bound(block, key, false);
    struct nx_slice rest;

    if (i < block->count && compare_prefix(block, key, &rest) == 0 &&
        nx_slice_equal(suffix_of(block, i), rest))
        return i;
    return block->count;
}

uint32_t block_find(const struct block *block, struct nx_slice key, uint64_t hash)
{
    struct nx_slice rest;
    uint32_t at;

    if (!block->hash_slots)
        return find_by_search(block, key);
    if (compare_prefix(block, key, &rest) != 0)
        return block->count;
    at = hash_slot(hash, block->hash_slots);
    for (; block->hash[at] != HASH_EMPTY; at = at + 1 == block->hash_slots ? 0 : at + 1)
        if (nx_slice_equal(suffix_of(block, block->hash[at]), rest))
            return block->hash[at];
    return block->count;
}

/* --- a block of which only the front is there ------------------------------------------------- */

/* Entry i, wherever it says it is. */
static bool peek_entry(const struct block *block, uint32_t i, block_reach_fn reach, void *arg,
                       struct block_entry *out)
{
    size_t first = (size_t)(block->prefix - block->bytes) + block->prefix_len, from, to;

    if (i >= block->count)
        return false;
    from = entry_offset(block, i);
    to = i + 1 < block->count ? entry_offset(block, i + 1) : block->len;
    return from >= first && to > from && to <= block->len && reach(arg, to) &&
           parse_entry(block, block->bytes + from, block->bytes + to, out) != NULL;
}

enum block_answer block_peek(struct block *block, struct nx_slice key, uint64_t hash,
                             block_reach_fn reach, void *arg, struct block_entry *out)
{
    struct nx_slice rest;
    uint32_t at;

    if (block->len < BLOCK_HEADER_BYTES || !reach(arg, BLOCK_HEADER_BYTES) || parse_header(block) ||
        block->hash_slots == 0 ||
        !reach(arg, (size_t)(block->prefix - block->bytes) + block->prefix_len))
        return BLOCK_UNSURE;
    if (compare_prefix(block, key, &rest) != 0)
        return BLOCK_LACKS;
    at = hash_slot(hash, block->hash_slots);
    for (uint32_t tries = 0; tries < block->hash_slots; tries++) {
        if (block->hash[at] == HASH_EMPTY)
            return BLOCK_LACKS;
        if (!peek_entry(block, block->hash[at], reach, arg, out))
            return BLOCK_UNSURE;
        if (nx_slice_equal(out->suffix, rest))
            return BLOCK_HAS;
        at = at + 1 == block->hash_slots ? 0 : at + 1;
    }
    return BLOCK_UNSURE;
}

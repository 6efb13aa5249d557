/*
 * block.h - a run of entries as bytes: building one, checking one, looking into one.
 *
 * All keys of a block share a prefix that is stored once; every entry is reached directly by its
 * number, and a small hash index gives a key's number without a search.
 *
 * Threads:   a builder belongs to one; a block that was parsed is constant, any number read it.
 * Ownership: blocks are counted.
 * Format:    FORMAT.md, "Block".
 */
#ifndef STORAGE_BLOCK_H
#define STORAGE_BLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/entry.h"

/* Above any block that a writer makes: one entry of the largest size, with room to spare. */
#define BLOCK_MAX_BYTES (VALUE_MAX_BYTES + (4u << 20))

/* --- building --------------------------------------------------------------------------------- */

struct pending_entry {
    size_t key_at, value_at; /* in `bytes` */
    uint32_t key_len, value_len;
    uint64_t sequence;
    enum entry_kind kind;
};

struct block_builder {
    struct nx_buf bytes;
    struct pending_entry *entries; /* owned */
    size_t count, cap;
    bool with_hash; /* for point lookups; an index of blocks needs none */
};

#define BLOCK_BUILDER_INIT ((struct block_builder){.with_hash = true})

void block_builder_fini(struct block_builder *builder);
void block_builder_clear(struct block_builder *builder);
/* In entry order. Bytes are copied. */
enum nx_code block_builder_add(struct block_builder *builder, const struct entry *entry);
size_t block_builder_bytes(const struct block_builder *builder); /* about what it will take */
struct nx_slice block_builder_last_key(const struct block_builder *builder);
/* Append the finished block to `out`. */
enum nx_code block_builder_finish(const struct block_builder *builder, struct nx_buf *out);

/* --- reading ---------------------------------------------------------------------------------- */

struct cache_slot;

struct block {
    _Atomic uint32_t refs;
    uint32_t count;
    uint16_t prefix_len;
    uint16_t hash_slots;
    uint8_t offset_bytes;   /* 2 or 4 */
    _Atomic uint8_t rounds; /* cache.c: of the clock, that it may stay; relaxed */
    uint64_t base_sequence;
    const uint8_t *prefix;
    const uint8_t *offsets;
    const uint8_t *hash;
    size_t len;
    uint8_t *bytes;          /* behind the struct; borrowed where a block is only looked into */
    struct cache_slot *slot; /* guarded by the cache, as the ring */
    struct block *next, *prev;
};

/* What entry i is, its key without the block's prefix. */
struct block_entry {
    struct nx_slice suffix;
    struct nx_slice value;
    uint64_t sequence;
    enum entry_kind kind;
    bool is_older; /* a further version of the entry before it */
};

/* Room for `len` bytes, to be filled and parsed. NULL: out of memory. */
struct block *block_new(size_t len);
void block_unref(struct block *block); /* NULL is fine */
/* `n` references come or go at once; the last one frees. */
void block_add_refs(struct block *block, int32_t n);
/* Check everything that the functions below rely on. NULL when it is sound, else what is wrong. */
const char *block_parse(struct block *block);

void block_get(const struct block *block, uint32_t i, struct block_entry *out); /* i < count */
/* A walk comes to entry i soon; any i. */
void block_prefetch(const struct block *block, uint32_t i);
/* Whole key of an entry into `out`, which has room for KEY_MAX_BYTES; returns its length. */
size_t block_key(const struct block *block, uint32_t i, uint8_t *out);
/* First entry whose key is >= `key` (`after`: > it); the count when there is none. */
uint32_t block_bound(const struct block *block, struct nx_slice key, bool after);
/* Newest entry of `key`, whose hash is given; the count when it is not here. */
uint32_t block_find(const struct block *block, struct nx_slice key, uint64_t hash);
uint64_t key_hash(struct nx_slice key);

/* --- looking into a block of which only the front is there ------------------------------------ */

/* Make the first `len` bytes of the block be there; false when that is impossible. */
typedef bool (*block_reach_fn)(void *arg, size_t len);

enum block_answer {
    BLOCK_HAS,    /* the newest entry of the key in this block is `*out` */
    BLOCK_LACKS,  /* it has none */
    BLOCK_UNSURE, /* it has no hash index, or is not sound: only the whole block can tell */
};
/* `block` has `bytes` and `len`; the rest is filled in. */
enum block_answer block_peek(struct block *block, struct nx_slice key, uint64_t hash,
                             block_reach_fn reach, void *arg, struct block_entry *out);

#endif

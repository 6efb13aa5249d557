/*
 * cache.h - decompressed blocks of all tables, each in a slot beside its table's index.
 *
 * A hit takes no lock and searches nothing: it is one atomic addition to the slot. What cache_find
 * lends is counted and stays valid until block_unref, evicted or not.
 *
 * Once the cache is full, not every block that was missed comes in: of those of point reads and
 * short scans one in ADMIT_ONE_IN, of those of long scans none. What is read often comes in soon;
 * what is read once costs nobody a place, and its reader no more than it needs of it.
 *
 * Threads: any.
 */
#ifndef STORAGE_CACHE_H
#define STORAGE_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block;
struct cache;

/* The place of one block; zero: empty. See cache.c. */
struct cache_slot {
    _Atomic uint64_t word;
};

enum cache_use {
    CACHE_KEEP, /* a point read or a short scan */
    CACHE_PASS, /* a long scan: look, but do not displace */
    CACHE_SKIP, /* compaction: do not insert */
};

struct cache_stats {
    uint64_t hits, misses, bytes;
    uint64_t filter_checks, filter_useful; /* counted here by the tables that share the cache */
};

/* `bytes` 0: every lookup misses. NULL: out of memory. */
struct cache *cache_new(uint64_t bytes);
/* As if it had been made with `bytes`; what is too much goes at once. */
void cache_set_limit(struct cache *cache, uint64_t bytes);
void cache_free(struct cache *cache); /* NULL is fine; after every table is closed */

/* A counted block, or NULL. */
struct block *cache_find(struct cache *cache, struct cache_slot *slot, enum cache_use use);
/* A walk comes to this one soon. */
void cache_prefetch(const struct cache_slot *slot);
/* Shall the block that was missed there be read for the cache? */
bool cache_admits(struct cache *cache, struct cache_slot *slot, enum cache_use use);
/* Keep `block` there; takes its own reference. If another thread was first, the block that is
 * already there stays. */
void cache_insert(struct cache *cache, struct cache_slot *slot, struct block *block);
/* Empty `count` slots that nobody reads any more. */
void cache_drop(struct cache *cache, struct cache_slot *slots, size_t count);
void cache_count_filter(struct cache *cache, bool useful);
void cache_get_stats(struct cache *cache, struct cache_stats *out);

#endif

/*
 * cache.h - decompressed blocks of all tables, by file number and offset.
 *
 * Blocks are counted: what cache_find lends stays valid until block_unref, evicted or not. A long
 * scan's blocks go to a small probation ring and cannot push out what point reads and repeated
 * scans keep.
 *
 * Threads: any.
 */
#ifndef STORAGE_CACHE_H
#define STORAGE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

struct block;
struct cache;

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
void cache_free(struct cache *cache); /* NULL is fine; after every table is closed */

/* A counted block, or NULL. */
struct block *cache_find(struct cache *cache, uint64_t file, uint64_t offset, enum cache_use use);
/* Keep `block` under the name; takes its own reference. If another thread was first, the block
 * that is already there stays. Failing to keep it is not an error. */
void cache_insert(struct cache *cache, uint64_t file, uint64_t offset, struct block *block,
                  enum cache_use use);
/* Forget every block of a file that is being removed. */
void cache_drop_file(struct cache *cache, uint64_t file);
void cache_count_filter(struct cache *cache, bool useful);
void cache_get_stats(struct cache *cache, struct cache_stats *out);

#endif

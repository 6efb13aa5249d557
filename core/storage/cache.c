/*
 * cache.c - sixteen shards, each a hash table and two rings under a lock.
 *
 * The main ring is swept as a clock: a hit gives a block up to three more rounds. A long scan's
 * blocks come into the probation ring, first in first out: they may fill what is free, and once
 * nothing is, an eighth of the shard; one that a point read finds there moves to the main ring.
 */
#include "storage/cache.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/lock.h"
#include "storage/block.h"

#define SHARDS 16
#define ROUNDS_MAX 3
#define PROBATION_PART 8
#define BUCKETS_MIN 64

struct cell {
    struct cell *chain;       /* of its bucket */
    struct cell *next, *prev; /* of its ring */
    uint64_t file, offset;
    struct block *block; /* counted */
    uint8_t rounds;
    bool on_probation;
};

struct ring {
    struct cell *hand; /* the oldest, or where the clock stands; NULL: empty */
    uint64_t bytes;
};

struct shard {
    struct nx_mutex mu;
    struct cell **buckets; /* owned; all below guarded by mu */
    size_t bucket_count, cells;
    struct ring keep, probation;
    uint64_t limit_bytes;
    uint64_t hits, misses;
};

struct cache {
    struct shard shards[SHARDS];
    _Atomic uint64_t filter_checks, filter_useful; /* relaxed: only counted */
};

static uint64_t mix(uint64_t file, uint64_t offset)
{
    uint64_t h = (file * UINT64_C(0x9e3779b97f4a7c15)) ^ (offset * UINT64_C(0xc2b2ae3d27d4eb4f));

    return (h ^ h >> 32) * UINT64_C(0x9e3779b97f4a7c15);
}

static struct shard *shard_of(struct cache *cache, uint64_t hash)
{
    return &cache->shards[hash >> 60];
}

_Static_assert(SHARDS == 16, "shard_of takes four bits");

struct cache *cache_new(uint64_t bytes)
{
    struct cache *cache = calloc(1, sizeof *cache);
    bool made = cache != NULL;

    for (int i = 0; made && i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];

        nx_mutex_init(&shard->mu, NX_RANK_ENGINE_CACHE);
        shard->limit_bytes = bytes / SHARDS;
        shard->bucket_count = BUCKETS_MIN;
        shard->buckets = calloc(BUCKETS_MIN, sizeof *shard->buckets);
        made = shard->buckets != NULL;
    }
    if (made)
        return cache;
    cache_free(cache);
    return NULL;
}

/* --- rings ------------------------------------------------------------------------------------ */

static uint64_t cell_bytes(const struct cell *cell)
{
    return sizeof *cell + sizeof *cell->block + cell->block->len;
}

/* Behind all others: the hand reaches it last. */
static void ring_add(struct ring *ring, struct cell *cell)
{
    if (!ring->hand) {
        cell->next = cell->prev = cell;
        ring->hand = cell;
    } else {
        cell->next = ring->hand;
        cell->prev = ring->hand->prev;
        cell->prev->next = cell;
        cell->next->prev = cell;
    }
    ring->bytes += cell_bytes(cell);
}

static void ring_remove(struct ring *ring, struct cell *cell)
{
    if (ring->hand == cell)
        ring->hand = cell->next == cell ? NULL : cell->next;
    cell->prev->next = cell->next;
    cell->next->prev = cell->prev;
    ring->bytes -= cell_bytes(cell);
}

static struct ring *ring_of(struct shard *shard, const struct cell *cell)
{
    return cell->on_probation ? &shard->probation : &shard->keep;
}

/* --- the table -------------------------------------------------------------------------------- */

static struct cell **find_link(struct shard *shard, uint64_t hash, uint64_t file, uint64_t offset)
{
    struct cell **link = &shard->buckets[hash & (shard->bucket_count - 1)];

    while (*link && ((*link)->file != file || (*link)->offset != offset))
        link = &(*link)->chain;
    return link;
}

/* Double the buckets; without memory the chains just get longer. */
static void widen(struct shard *shard)
{
    size_t count = shard->bucket_count * 2;
    struct cell **buckets = calloc(count, sizeof *buckets);

    if (!buckets)
        return;
    for (size_t i = 0; i < shard->bucket_count; i++)
        while (shard->buckets[i]) {
            struct cell *cell = shard->buckets[i];
            size_t at = mix(cell->file, cell->offset) & (count - 1);

            shard->buckets[i] = cell->chain;
            cell->chain = buckets[at];
            buckets[at] = cell;
        }
    free(shard->buckets);
    shard->buckets = buckets;
    shard->bucket_count = count;
}

static void evict(struct shard *shard, struct cell *cell)
{
    struct cell **link = find_link(shard, mix(cell->file, cell->offset), cell->file, cell->offset);

    *link = cell->chain;
    ring_remove(ring_of(shard, cell), cell);
    shard->cells--;
    block_unref(cell->block);
    free(cell);
}

static void make_room(struct shard *shard)
{
    while (shard->keep.bytes + shard->probation.bytes > shard->limit_bytes &&
           shard->probation.bytes > shard->limit_bytes / PROBATION_PART)
        evict(shard, shard->probation.hand);
    while (shard->keep.bytes + shard->probation.bytes > shard->limit_bytes && shard->keep.hand) {
        struct cell *cell = shard->keep.hand;

        shard->keep.hand = cell->next;
        if (cell->rounds > 0)
            cell->rounds--;
        else
            evict(shard, cell);
    }
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    for (int i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];

        while (shard->keep.hand)
            evict(shard, shard->keep.hand);
        while (shard->probation.hand)
            evict(shard, shard->probation.hand);
        if (shard->bucket_count)
            nx_mutex_fini(&shard->mu);
        free(shard->buckets);
    }
    free(cache);
}

static void touch(struct shard *shard, struct cell *cell, enum cache_use use)
{
    if (use != CACHE_KEEP)
        return;
    if (cell->on_probation) {
        ring_remove(&shard->probation, cell);
        cell->on_probation = false;
        ring_add(&shard->keep, cell);
    } else if (cell->rounds < ROUNDS_MAX) {
        cell->rounds++;
    }
}

struct block *cache_find(struct cache *cache, uint64_t file, uint64_t offset, enum cache_use use)
{
    uint64_t hash = mix(file, offset);
    struct shard *shard = shard_of(cache, hash);
    struct block *block = NULL;
    struct cell *cell;

    nx_mutex_lock(&shard->mu);
    cell = *find_link(shard, hash, file, offset);
    if (cell) {
        block = block_ref(cell->block);
        touch(shard, cell, use);
        shard->hits++;
    } else {
        shard->misses++;
    }
    nx_mutex_unlock(&shard->mu);
    return block;
}

void cache_insert(struct cache *cache, uint64_t file, uint64_t offset, struct block *block,
                  enum cache_use use)
{
    uint64_t hash = mix(file, offset);
    struct shard *shard = shard_of(cache, hash);
    struct cell *cell, **link;

    if (use == CACHE_SKIP || block->len > shard->limit_bytes / 2)
        return;
    cell = malloc(sizeof *cell);
    if (!cell)
        return;
    *cell = (struct cell){.file = file,
                          .offset = offset,
                          .block = block_ref(block),
                          .on_probation = use == CACHE_PASS};
    nx_mutex_lock(&shard->mu);
    link = find_link(shard, hash, file, offset);
    if (*link) {
        block_unref(cell->block);
        free(cell);
    } else {
        *link = cell;
        ring_add(ring_of(shard, cell), cell);
        if (++shard->cells > shard->bucket_count)
            widen(shard);
        make_room(shard);
    }
    nx_mutex_unlock(&shard->mu);
}

static void drop_from_ring(struct shard *shard, struct ring *ring, uint64_t file)
{
    struct cell *cell = ring->hand, *last = cell ? cell->prev : NULL;
    bool more = cell != NULL;

    while (more) {
        struct cell *next = cell->next;

        more = cell != last;
        if (cell->file == file)
            evict(shard, cell);
        cell = next;
    }
}

void cache_drop_file(struct cache *cache, uint64_t file)
{
    for (int i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];

        nx_mutex_lock(&shard->mu);
        drop_from_ring(shard, &shard->keep, file);
        drop_from_ring(shard, &shard->probation, file);
        nx_mutex_unlock(&shard->mu);
    }
}

void cache_count_filter(struct cache *cache, bool useful)
{
    atomic_fetch_add_explicit(&cache->filter_checks, 1, memory_order_relaxed);
    if (useful)
        atomic_fetch_add_explicit(&cache->filter_useful, 1, memory_order_relaxed);
}

void cache_get_stats(struct cache *cache, struct cache_stats *out)
{
    *out = (struct cache_stats){
        .filter_checks = atomic_load_explicit(&cache->filter_checks, memory_order_relaxed),
        .filter_useful = atomic_load_explicit(&cache->filter_useful, memory_order_relaxed),
    };
    for (int i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];

        nx_mutex_lock(&shard->mu);
        out->hits += shard->hits;
        out->misses += shard->misses;
        out->bytes += shard->keep.bytes + shard->probation.bytes;
        nx_mutex_unlock(&shard->mu);
    }
}

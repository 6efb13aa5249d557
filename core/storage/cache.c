/*
 * cache.c - slots that lend counted blocks, and sixteen clocks that decide which leave.
 *
 * A slot's word holds a block's address and, in the sixteen bits above it, how often it was lent
 * from here. So one addition both finds and counts: there is no moment between the two in which
 * the block could go. Who lets go of a block subtracts from the block's own count, which starts
 * SLOT_REFS too high while it is in a slot and cannot end. Emptying the slot settles this: the
 * times it was lent are added, SLOT_REFS taken off, and what is left are those who hold it.
 *
 * Blocks that are in slots form rings, each under a lock, which only those take who bring a block
 * in or out. A ring is swept as a clock: a hit gives a block up to three more rounds.
 */
#include "storage/cache.h"

#include <stdlib.h>

#include "base/lock.h"
#include "storage/block.h"
#include "storage/per_thread.h"

#define SHARDS 16
#define ROUNDS_MAX 3
#define ADMIT_ONE_IN 8

#define ADDRESS_BITS 48
#define LENT_ONE (UINT64_C(1) << ADDRESS_BITS)
#define LENT_MANY 0x8000u /* then it is settled, long before it overflows */
#define SLOT_REFS (1 << 30)

enum { HITS, MISSES, FILTER_USELESS, FILTER_USEFUL };

struct shard {
    struct nx_mutex mu;
    struct block *hand;           /* guarded by mu; the clock's, NULL: empty */
    _Atomic uint64_t bytes;       /* stored under mu; relaxed: others want only a recent value */
    _Atomic uint64_t limit_bytes; /* stored under mu; relaxed likewise */
};

struct cache {
    struct shard shards[SHARDS];
    struct stripe counters[STRIPES];
};

static struct block *block_of(uint64_t word)
{
    return (struct block *)(uintptr_t)(word &
                                       (LENT_ONE - 1)); /* NOLINT(performance-no-int-to-ptr) */
}

static unsigned lent_of(uint64_t word)
{
    return (unsigned)(word >> ADDRESS_BITS);
}

static struct shard *shard_of(struct cache *cache, const struct cache_slot *slot)
{
    return &cache->shards[((uintptr_t)slot * UINT64_C(0x9e3779b97f4a7c15)) >> 60];
}

_Static_assert(SHARDS == 16, "shard_of takes four bits");

struct cache *cache_new(uint64_t bytes)
{
    struct cache *cache = calloc(1, sizeof *cache);

    for (int i = 0; cache && i < SHARDS; i++) {
        nx_mutex_init(&cache->shards[i].mu, NX_RANK_ENGINE_CACHE);
        atomic_init(&cache->shards[i].limit_bytes, bytes / SHARDS);
    }
    return cache;
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    for (int i = 0; i < SHARDS; i++)
        nx_mutex_fini(&cache->shards[i].mu);
    free(cache);
}

/* --- the clock -------------------------------------------------------------------------------- */

static uint64_t bytes_of(const struct block *block)
{
    return sizeof *block + block->len;
}

static uint64_t limit_of(const struct shard *shard)
{
    return atomic_load_explicit(&shard->limit_bytes, memory_order_relaxed);
}

static uint64_t bytes_in(const struct shard *shard)
{
    return atomic_load_explicit(&shard->bytes, memory_order_relaxed);
}

/* Behind all others: the hand reaches it last. */
static void ring_add(struct shard *shard, struct block *block)
{
    if (!shard->hand) {
        block->next = block->prev = block;
        shard->hand = block;
    } else {
        block->next = shard->hand;
        block->prev = shard->hand->prev;
        block->prev->next = block;
        block->next->prev = block;
    }
    atomic_store_explicit(&shard->bytes, bytes_in(shard) + bytes_of(block), memory_order_relaxed);
}

static void ring_remove(struct shard *shard, struct block *block)
{
    if (shard->hand == block)
        shard->hand = block->next == block ? NULL : block->next;
    block->prev->next = block->next;
    block->next->prev = block->prev;
    atomic_store_explicit(&shard->bytes, bytes_in(shard) - bytes_of(block), memory_order_relaxed);
}

static void evict(struct shard *shard, struct block *block)
{
    /* acquire: the settled counts; release: nothing of ours comes after it */
    uint64_t word = atomic_exchange_explicit(&block->slot->word, 0, memory_order_acq_rel);

    ring_remove(shard, block);
    block_add_refs(block, (int32_t)lent_of(word) - SLOT_REFS - 1);
}

static void make_room(struct shard *shard)
{
    while (bytes_in(shard) > limit_of(shard)) {
        struct block *block = shard->hand;
        uint8_t rounds = atomic_load_explicit(&block->rounds, memory_order_relaxed);

        shard->hand = block->next;
        if (rounds > 0)
            atomic_store_explicit(&block->rounds, rounds - 1, memory_order_relaxed);
        else
            evict(shard, block);
    }
}

void cache_set_limit(struct cache *cache, uint64_t bytes)
{
    for (int i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];

        nx_mutex_lock(&shard->mu);
        atomic_store_explicit(&shard->limit_bytes, bytes / SHARDS, memory_order_relaxed);
        make_room(shard);
        nx_mutex_unlock(&shard->mu);
    }
}

/* --- lending ---------------------------------------------------------------------------------- */

/* Move what the slot counted into the block's own count. The caller holds the block. First the one
 * and then the other, so that the count is never too low in between. */
static void settle(struct cache_slot *slot, struct block *block)
{
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);

    while (block_of(word) == block && lent_of(word) >= LENT_MANY) {
        int32_t lent = (int32_t)lent_of(word);

        block_add_refs(block, lent);
        /* Release: whoever empties the slot finds the count added. */
        if (atomic_compare_exchange_weak_explicit(&slot->word, &word, word & (LENT_ONE - 1),
                                                  memory_order_acq_rel, memory_order_relaxed))
            return;
        block_add_refs(block, -lent);
    }
}

static void touch(struct block *block)
{
    uint8_t rounds = atomic_load_explicit(&block->rounds, memory_order_relaxed);

    if (rounds < ROUNDS_MAX)
        atomic_store_explicit(&block->rounds, rounds + 1, memory_order_relaxed);
}

struct block *cache_find(struct cache *cache, struct cache_slot *slot, enum cache_use use)
{
    uint64_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
    struct block *block = block_of(word);

    if (block) {
        cache_prefetch(slot);
        /* Acquire: the block is complete. Should it have gone since, the one more in an empty slot
         * means nothing: cache_insert stores over it. */
        word = atomic_fetch_add_explicit(&slot->word, LENT_ONE, memory_order_acquire);
        block = block_of(word);
    }
    stripe_count(cache->counters, block ? HITS : MISSES);
    if (!block)
        return NULL;
    if (lent_of(word) >= LENT_MANY)
        settle(slot, block);
    if (use == CACHE_KEEP)
        touch(block);
    return block;
}

void cache_prefetch(const struct cache_slot *slot)
{
    const char *block = (char *)block_of(atomic_load_explicit(&slot->word, memory_order_relaxed));

    if (!block)
        return;
    __builtin_prefetch(block); /* it may be gone by now: a prefetch may be of anything */
    __builtin_prefetch(block + 64);
    __builtin_prefetch(block + 128);
}

/* --- coming and going ------------------------------------------------------------------------- */

bool cache_admits(struct cache *cache, struct cache_slot *slot, enum cache_use use)
{
    const struct shard *shard = shard_of(cache, slot);

    if (use == CACHE_SKIP || limit_of(shard) == 0)
        return false;
    if (bytes_in(shard) < limit_of(shard) / 16 * 15)
        return true;
    return use == CACHE_KEEP && one_in(ADMIT_ONE_IN);
}

void cache_insert(struct cache *cache, struct cache_slot *slot, struct block *block)
{
    struct shard *shard = shard_of(cache, slot);

    if (block->len > limit_of(shard) / 2 || (uint64_t)(uintptr_t)block >= LENT_ONE)
        return;
    nx_mutex_lock(&shard->mu);
    if (!block_of(atomic_load_explicit(&slot->word, memory_order_relaxed))) {
        block->slot = slot;
        block_add_refs(block, SLOT_REFS + 1);
        /* Release: the block is complete. */
        atomic_store_explicit(&slot->word, (uint64_t)(uintptr_t)block, memory_order_release);
        ring_add(shard, block);
        make_room(shard);
    }
    nx_mutex_unlock(&shard->mu);
}

void cache_drop(struct cache *cache, struct cache_slot *slots, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct shard *shard = shard_of(cache, &slots[i]);
        struct block *block;

        nx_mutex_lock(&shard->mu);
        block = block_of(atomic_load_explicit(&slots[i].word, memory_order_relaxed));
        if (block)
            evict(shard, block);
        nx_mutex_unlock(&shard->mu);
    }
}

/* --- counting --------------------------------------------------------------------------------- */

void cache_count_filter(struct cache *cache, bool useful)
{
    stripe_count(cache->counters, useful ? FILTER_USEFUL : FILTER_USELESS);
}

void cache_get_stats(struct cache *cache, struct cache_stats *out)
{
    *out = (struct cache_stats){
        .hits = stripe_sum(cache->counters, HITS),
        .misses = stripe_sum(cache->counters, MISSES),
        .filter_useful = stripe_sum(cache->counters, FILTER_USEFUL),
    };
    out->filter_checks = out->filter_useful + stripe_sum(cache->counters, FILTER_USELESS);
    for (int i = 0; i < SHARDS; i++)
        out->bytes += bytes_in(&cache->shards[i]);
}

/*
 * cache_test.c - lending, counting, the clock and who is let in.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "storage/block.h"
#include "storage/cache.h"
#include "tests/support/unit.h"

enum { SLOTS = 512, BLOCK_BYTES = 1000, CACHE_BYTES = 256 << 10 };

/* A block that is recognized by its bytes. */
static struct block *marked_block(uint8_t mark)
{
    struct block *block = block_new(BLOCK_BYTES);

    assert_non_null(block);
    memset(block->bytes, mark, BLOCK_BYTES);
    return block;
}

static void insert(struct cache *cache, struct cache_slot *slot, uint8_t mark)
{
    struct block *block = marked_block(mark);

    cache_insert(cache, slot, block);
    block_unref(block);
}

static bool holds(struct cache *cache, struct cache_slot *slot, uint8_t mark)
{
    struct block *block = cache_find(cache, slot, CACHE_PASS);
    bool right = block && block->bytes[0] == mark && block->bytes[BLOCK_BYTES - 1] == mark;

    block_unref(block);
    return right;
}

static void a_lent_block_outlives_its_place(void **state)
{
    struct cache *cache = cache_new(CACHE_BYTES);
    struct cache_slot slot = {0};
    struct block *lent;

    (void)state;
    insert(cache, &slot, 7);
    lent = cache_find(cache, &slot, CACHE_KEEP);
    cache_drop(cache, &slot, 1);
    assert_null(cache_find(cache, &slot, CACHE_KEEP));
    assert_int_equal(lent->bytes[BLOCK_BYTES - 1], 7);
    block_unref(lent);
    cache_free(cache);
}

/* The slot counts in sixteen bits how often it lent its block. Under ASan a count that is off is a
 * leak or a use after free. */
static void a_block_may_be_lent_any_number_of_times(void **state)
{
    struct cache *cache = cache_new(CACHE_BYTES);
    struct cache_slot slot = {0};
    struct block *held[3];

    (void)state;
    insert(cache, &slot, 9);
    for (unsigned i = 0; i < 200000; i++)
        assert_true(holds(cache, &slot, 9));
    for (unsigned i = 0; i < 3; i++)
        held[i] = cache_find(cache, &slot, CACHE_PASS);
    cache_drop(cache, &slot, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(held[i]->bytes[0], 9);
        assert_int_equal(atomic_load(&held[i]->refs), 3 - i);
        block_unref(held[i]);
    }
    cache_free(cache);
}

static void the_block_that_is_there_stays(void **state)
{
    struct cache *cache = cache_new(CACHE_BYTES);
    struct cache_slot slot = {0};

    (void)state;
    insert(cache, &slot, 1);
    insert(cache, &slot, 2);
    assert_true(holds(cache, &slot, 1));
    cache_drop(cache, &slot, 1);
    insert(cache, &slot, 2);
    assert_true(holds(cache, &slot, 2));
    cache_drop(cache, &slot, 1);
    cache_free(cache);
}

static size_t count_held(struct cache *cache, struct cache_slot *slots)
{
    size_t held = 0;

    for (unsigned i = 0; i < SLOTS; i++)
        held += holds(cache, &slots[i], (uint8_t)i);
    return held;
}

static void it_keeps_to_its_bytes_and_what_is_read_often_stays(void **state)
{
    struct cache *cache = cache_new(CACHE_BYTES);
    struct cache_slot slots[SLOTS] = {{0}};
    struct cache_stats stats;

    (void)state;
    insert(cache, &slots[0], 0);
    for (unsigned i = 1; i < SLOTS; i++) {
        insert(cache, &slots[i], (uint8_t)i);
        block_unref(cache_find(cache, &slots[0], CACHE_KEEP));
    }
    assert_true(holds(cache, &slots[0], 0));
    assert_in_range(count_held(cache, slots), 150, 256);
    cache_get_stats(cache, &stats);
    assert_in_range(stats.bytes, 150 * BLOCK_BYTES, CACHE_BYTES);
    cache_drop(cache, slots, SLOTS);
    cache_get_stats(cache, &stats);
    assert_int_equal(stats.bytes, 0);
    assert_int_equal(count_held(cache, slots), 0);
    cache_free(cache);
}

static unsigned admitted_of(struct cache *cache, struct cache_slot *slots, unsigned count,
                            enum cache_use use)
{
    unsigned admitted = 0;

    for (unsigned i = 0; i < count; i++)
        admitted += cache_admits(cache, &slots[i % SLOTS], use);
    return admitted;
}

static void a_full_cache_lets_few_in_and_no_long_scan(void **state)
{
    struct cache *cache = cache_new(CACHE_BYTES), *none = cache_new(0);
    struct cache_slot slots[SLOTS] = {{0}};

    (void)state;
    assert_int_equal(admitted_of(cache, slots, 1000, CACHE_PASS), 1000);
    assert_int_equal(admitted_of(cache, slots, 1000, CACHE_KEEP), 1000);
    assert_int_equal(admitted_of(cache, slots, 1000, CACHE_SKIP), 0);
    assert_int_equal(admitted_of(none, slots, 1000, CACHE_KEEP), 0);
    for (unsigned i = 0; i < SLOTS; i++)
        insert(cache, &slots[i], 0);
    assert_int_equal(admitted_of(cache, slots, 1000, CACHE_PASS), 0);
    assert_in_range(admitted_of(cache, slots, 8000, CACHE_KEEP), 700, 1300);
    cache_drop(cache, slots, SLOTS);
    cache_free(cache);
    cache_free(none);
}

/* --- many threads ----------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 20000, SHARED = 24 };

struct crowd {
    struct cache *cache;
    struct cache_slot slots[SHARED];
    atomic_int wrong;
};

static void *come_and_go(void *arg)
{
    struct crowd *crowd = arg;
    uint32_t random = (uint32_t)(uintptr_t)&arg | 1;

    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned at = (random = random * 1664525 + 1013904223) >> 16;
        struct cache_slot *slot = &crowd->slots[at % SHARED];
        struct block *block = cache_find(crowd->cache, slot, CACHE_KEEP);

        if (!block) {
            block = block_new(BLOCK_BYTES);
            if (!block)
                break;
            memset(block->bytes, (int)(at % SHARED), BLOCK_BYTES);
            cache_insert(crowd->cache, slot, block);
        }
        if (block->bytes[0] != at % SHARED || block->bytes[BLOCK_BYTES - 1] != at % SHARED)
            atomic_fetch_add(&crowd->wrong, 1);
        block_unref(block);
        if (random % 64 == 0)
            cache_drop(crowd->cache, &crowd->slots[random % SHARED], 1);
    }
    return NULL;
}

/* The cache has room for half of what they ask for, one block or so a shard. */
static void readers_never_get_anothers_block_nor_one_that_is_gone(void **state)
{
    struct crowd crowd = {.cache = cache_new(SHARED / 2 * 2500)};
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &crowd), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&crowd.wrong), 0);
    cache_drop(crowd.cache, crowd.slots, SHARED);
    cache_free(crowd.cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lent_block_outlives_its_place),
        cmocka_unit_test(a_block_may_be_lent_any_number_of_times),
        cmocka_unit_test(the_block_that_is_there_stays),
        cmocka_unit_test(it_keeps_to_its_bytes_and_what_is_read_often_stays),
        cmocka_unit_test(a_full_cache_lets_few_in_and_no_long_scan),
        cmocka_unit_test(readers_never_get_anothers_block_nor_one_that_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* arena_test.c - allocation, alignment and reuse. */
#include <string.h>

#include "base/arena.h"
#include "tests/support/unit.h"

static void allocations_are_aligned_and_apart(void **state)
{
    struct arena arena = ARENA_INIT;
    uint8_t *seen[500];

    (void)state;
    for (size_t i = 0; i < 500; i++) {
        seen[i] = arena_alloc(&arena, i % 67);
        assert_non_null(seen[i]);
        assert_int_equal((uintptr_t)seen[i] % 8, 0);
        memset(seen[i], (int)i, i % 67);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t b = 0; b < i % 67; b++)
            assert_int_equal(seen[i][b], (uint8_t)i);
    arena_fini(&arena);
}

static void a_request_larger_than_a_block_is_met(void **state)
{
    struct arena arena = ARENA_INIT;
    uint8_t *small = arena_alloc(&arena, 10);
    uint8_t *large = arena_alloc(&arena, 5 << 20);

    (void)state;
    assert_non_null(small);
    assert_non_null(large);
    memset(large, 1, 5 << 20);
    assert_null(arena_alloc(&arena, SIZE_MAX - 3));
    arena_fini(&arena);
}

static void reset_keeps_the_largest_block(void **state)
{
    struct arena arena = ARENA_INIT;
    size_t held;

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_non_null(arena_alloc(&arena, 100));
    arena_reset(&arena);
    assert_int_equal(arena.used_bytes, 0);
    held = arena.held_bytes;
    assert_true(held > 0);
    assert_non_null(arena_alloc(&arena, held / 2));
    assert_int_equal(arena.held_bytes, held);
    arena_fini(&arena);
    assert_int_equal(arena.held_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(a_request_larger_than_a_block_is_met),
        cmocka_unit_test(reset_keeps_the_largest_block),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

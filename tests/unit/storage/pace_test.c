/* pace_test.c - when commits are slowed down, and by how much. */
#include "storage/pace.h"
#include "tests/support/unit.h"

enum { SECOND = 1000000000, MB = 1000000 };

/* Memtables of 64 MB become tables of 32 MB at 128 MB/s; compaction takes 32 MB/s of them. */
static struct pace known(void)
{
    struct pace pace = {0};

    pace_flushed(&pace, 64 * MB, 32 * MB, SECOND / 2);
    pace_compacted(&pace, 32 * MB, 2 * (uint64_t)SECOND);
    return pace;
}

static uint64_t rate_at(size_t memtables, size_t tables)
{
    struct pace pace = known();

    pace_adjust(&pace, memtables, tables, false);
    return pace.rate / MB;
}

static void nothing_that_waits_means_no_limit(void **state)
{
    (void)state;
    assert_int_equal(rate_at(0, 0), 0);
    assert_int_equal(rate_at(1, 16), 0);
}

static void the_last_memtable_fills_no_faster_than_one_is_flushed(void **state)
{
    (void)state;
    assert_int_equal(rate_at(2, 0), 96);
}

static void level_0_stops_growing_where_compaction_keeps_up(void **state)
{
    (void)state;
    assert_in_range(rate_at(0, 24), 30, 32);
    assert_true(rate_at(0, 17) > 55);
    for (size_t tables = 17; tables < 48; tables++)
        assert_true(rate_at(0, tables + 1) <= rate_at(0, tables));
    assert_in_range(rate_at(0, 60), 7, 8); /* and never to nothing */
    assert_in_range(rate_at(2, 60), 7, 8);
}

static void what_was_charged_is_waited_for_in_pieces(void **state)
{
    struct pace pace = known();
    uint64_t now = SECOND, waited = 0;

    (void)state;
    assert_int_equal(pace_charge(&pace, MB, now), 0);
    pace_adjust(&pace, 2, 0, false);
    for (int i = 0; i < 96000; i++) {
        uint64_t wait = pace_charge(&pace, 1000, now);

        assert_true(wait == 0 || (wait >= 1000000 && wait <= 50000000));
        waited += wait;
        now += wait;
    }
    assert_in_range(waited, SECOND - SECOND / 100, SECOND); /* 96 MB at 96 MB/s */
}

static void a_large_batch_delays_the_next_ones(void **state)
{
    struct pace pace = known();

    (void)state;
    pace_adjust(&pace, 2, 0, false);
    assert_int_equal(pace_charge(&pace, 48 * MB, SECOND), 50000000);
    assert_int_equal(pace_charge(&pace, 1, SECOND + 50000000), 50000000);
    assert_int_equal(pace_charge(&pace, 1, 2 * (uint64_t)SECOND), 0);
}

static void an_unknown_speed_is_no_division_by_zero(void **state)
{
    struct pace pace = {0};

    (void)state;
    pace_adjust(&pace, 2, 40, false);
    assert_int_equal(pace.rate, 0);
    pace_compacted(&pace, MB, 0);
    pace_flushed(&pace, MB, MB, 0);
    pace_adjust(&pace, 2, 40, false);
    assert_true(pace.rate > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_waits_means_no_limit),
        cmocka_unit_test(the_last_memtable_fills_no_faster_than_one_is_flushed),
        cmocka_unit_test(level_0_stops_growing_where_compaction_keeps_up),
        cmocka_unit_test(what_was_charged_is_waited_for_in_pieces),
        cmocka_unit_test(a_large_batch_delays_the_next_ones),
        cmocka_unit_test(an_unknown_speed_is_no_division_by_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

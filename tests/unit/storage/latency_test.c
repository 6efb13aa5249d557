/* latency_test.c - what a histogram tells of known values, and that the engine fills them. */
#include <stdlib.h>

#include "storage/latency.h"
#include "tests/unit/storage/engine_fixture.h"

static struct nx_latency summary(const uint64_t *ns, size_t count)
{
    struct latency *latency = calloc(1, sizeof *latency);
    struct nx_latency out;

    assert_non_null(latency);
    for (size_t i = 0; i < count; i++)
        latency_add(latency, ns[i]);
    latency_summarize(latency, &out);
    free(latency);
    return out;
}

static void nothing_is_all_zeros(void **state)
{
    struct nx_latency out = summary(NULL, 0);

    (void)state;
    assert_int_equal(out.count, 0);
    assert_int_equal(out.p50_ns, 0);
    assert_int_equal(out.max_ns, 0);
}

static void quantiles_are_at_most_an_eighth_too_high(void **state)
{
    uint64_t values[1000];
    struct nx_latency out;

    (void)state;
    for (unsigned scale = 0; scale < 28; scale++) {
        for (uint64_t i = 0; i < 1000; i++)
            values[i] = (i + 1) << scale;
        out = summary(values, 1000);
        assert_int_equal(out.count, 1000);
        assert_true(out.p50_ns >= values[499] && out.p50_ns <= values[499] * 9 / 8 + 1);
        assert_true(out.p99_ns >= values[989] && out.p99_ns <= values[989] * 9 / 8 + 1);
        assert_true(out.p999_ns >= values[998] && out.p999_ns <= values[999]);
        assert_int_equal(out.max_ns, values[999]);
    }
}

static void extremes_have_a_bucket(void **state)
{
    const uint64_t values[] = {0, 1, 7, 8, UINT64_MAX};
    struct nx_latency out = summary(values, 5);

    (void)state;
    assert_int_equal(out.count, 5);
    assert_true(out.p50_ns >= 7 && out.p50_ns <= 8);
    assert_true(out.max_ns == UINT64_MAX);
}

static void the_engine_times_its_operations(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_engine_stats stats;

    engine_open(f);
    for (int i = 0; i < 20 * LATENCY_SAMPLE; i++) {
        engine_put(f, "a", "1");
        assert_value(f, NULL, "a", "1");
    }
    assert_int_equal(engine_put_code(f, "a", "2", NX_SYNC, NULL), NX_OK);
    engine_flush(f);
    nx_engine_get_stats(f->engine, &stats);
    assert_true(stats.latency[NX_LATENCY_GET].count >= 1);
    assert_true(stats.latency[NX_LATENCY_COMMIT].count >= 1);
    assert_int_equal(stats.latency[NX_LATENCY_SYNC].count, 1);
    assert_int_equal(stats.latency[NX_LATENCY_FLUSH].count, 1);
    assert_true(stats.write_amplification > 1000);
    assert_true(stats.space_amplification >= 1000);
    assert_true(stats.read_amplification >= 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_all_zeros),
        cmocka_unit_test(quantiles_are_at_most_an_eighth_too_high),
        cmocka_unit_test(extremes_have_a_bucket),
        ON_ALL(the_engine_times_its_operations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* options_test.c - options that change while the engine is open. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/storage/engine_fixture.h"

static void set(struct engine_fixture *f, const char *name, uint64_t value)
{
    struct nx_err err = NX_ERR_INIT;

    if (nx_engine_set_option(f->engine, name, value, &err) != NX_OK)
        fail_msg("%s: %s", name, err.message);
}

static enum nx_code set_code(struct engine_fixture *f, const char *name, uint64_t value,
                             struct nx_err *err)
{
    return nx_engine_set_option(f->engine, name, value, err);
}

static uint64_t get(struct engine_fixture *f, const char *name)
{
    uint64_t value;

    assert_int_equal(nx_engine_get_option(f->engine, name, &value, NULL), NX_OK);
    return value;
}

static struct nx_engine_stats stats_of(struct engine_fixture *f)
{
    struct nx_engine_stats stats;

    nx_engine_get_stats(f->engine, &stats);
    return stats;
}

/* "k000" and so on, with values that compress well. */
static void put_many(struct engine_fixture *f, int count)
{
    char key[16], value[1001];

    memset(value, 'x', 1000);
    value[1000] = '\0';
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "k%03d", i);
        engine_put(f, key, value);
    }
}

static void read_many(struct engine_fixture *f, int count)
{
    char key[16];

    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "k%03d", i);
        assert_int_equal(nx_engine_get(f->engine, NULL, nx_slice_str(key), &f->value, NULL), NX_OK);
    }
}

static void every_option_has_a_name_and_a_value(void **state)
{
    struct engine_fixture *f = *state;
    size_t count = 0;

    engine_open(f);
    for (; nx_engine_option_name(count); count++)
        get(f, nx_engine_option_name(count));
    assert_int_equal(count, 11);
    assert_int_equal(get(f, "memtable_bytes"), f->options.memtable_bytes);
    assert_int_equal(get(f, "sync_interval_ms"), f->options.sync_interval_ms);
    assert_int_equal(get(f, "compression"), NX_COMPRESS_LZ4);
}

static void what_is_refused_is_named_and_changes_nothing(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    uint64_t value;

    engine_open(f);
    assert_int_equal(set_code(f, "speed", 1, &err), NX_ENOTFOUND);
    assert_non_null(strstr(err.message, "'speed'"));
    assert_int_equal(nx_engine_get_option(f->engine, "speed", &value, &err), NX_ENOTFOUND);
    assert_int_equal(set_code(f, "level_fanout", 21, &err), NX_EINVAL);
    assert_non_null(strstr(err.message, "2 to 20"));
    assert_int_equal(set_code(f, "wal_segment_bytes", 1 << 20, &err), NX_EUNSUPPORTED);
    assert_int_equal(set_code(f, "wal_ring_bytes", 0, &err), NX_EUNSUPPORTED);
    assert_int_equal(set_code(f, "memtable_bytes", 128 << 10, &err), NX_EINVAL);
    assert_int_equal(get(f, "level_fanout"), f->options.level_fanout);
    assert_int_equal(get(f, "memtable_bytes"), f->options.memtable_bytes);
}

static void a_smaller_cache_gives_its_memory_back_at_once(void **state)
{
    struct engine_fixture *f = *state;
    uint64_t misses;

    engine_open(f);
    put_many(f, 100);
    engine_flush(f);
    read_many(f, 100);
    assert_in_range(stats_of(f).cache_bytes, 64 << 10, 256 << 10);
    set(f, "cache_bytes", 0);
    assert_int_equal(stats_of(f).cache_bytes, 0);
    misses = stats_of(f).cache_misses;
    read_many(f, 100);
    read_many(f, 100);
    assert_int_equal(stats_of(f).cache_misses, misses + 200);
    set(f, "cache_bytes", 256 << 10);
    read_many(f, 100);
    misses = stats_of(f).cache_misses;
    read_many(f, 100);
    assert_int_equal(stats_of(f).cache_misses, misses);
}

static void a_smaller_memtable_is_full_sooner(void **state)
{
    struct engine_fixture *f = *state;

    f->options.memtable_bytes = 4 << 20;
    engine_open(f);
    put_many(f, 200);
    assert_int_equal(stats_of(f).flushes, 0);
    set(f, "memtable_bytes", 64 << 10);
    put_many(f, 100);
    engine_flush(f);
    assert_true(stats_of(f).flushes >= 2);
    set(f, "memtable_bytes", 4 << 20); /* up to what it was */
}

static void new_tables_are_compressed_as_it_says(void **state)
{
    struct engine_fixture *f = *state;
    uint64_t packed;

    engine_open(f);
    put_many(f, 40);
    engine_flush(f);
    packed = stats_of(f).flush_bytes;
    assert_in_range(packed, 1, 20000);
    set(f, "compression", NX_COMPRESS_NONE);
    put_many(f, 40);
    engine_flush(f);
    assert_in_range(stats_of(f).flush_bytes - packed, 40000, 60000);
    read_many(f, 40);
    set(f, "block_bytes", 16 << 10);
    set(f, "bloom_bits_per_key", 0);
    set(f, "table_bytes", 128 << 10);
    assert_int_equal(nx_engine_compact(f->engine, NX_SLICE_NULL, NX_SLICE_NULL, NULL), NX_OK);
    read_many(f, 40);
}

/* The sync thread sleeps for a minute when the interval changes. */
static void a_shorter_interval_begins_at_once(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_snapshot *snapshot;

    engine_open(f);
    set(f, "sync_interval_ms", 1);
    engine_put(f, "a", "1");
    while (stats_of(f).syncs == 0) {
        snapshot = nx_snapshot_take(f->engine); /* something that takes the locks */
        nx_snapshot_release(snapshot);
    }
    engine_power_loss(f, 1);
    engine_open(f);
    assert_keys(f, NULL, "a ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SIM(every_option_has_a_name_and_a_value),
        ON_SIM(what_is_refused_is_named_and_changes_nothing),
        ON_SIM(a_smaller_cache_gives_its_memory_back_at_once),
        ON_SIM(a_smaller_memtable_is_full_sooner),
        ON_SIM(new_tables_are_compressed_as_it_says),
        ON_SIM(a_shorter_interval_begins_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

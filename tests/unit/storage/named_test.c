/*
 * named_test.c - snapshots with a name, and the space that deletions and dropped snapshots give
 * back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/unit/storage/engine_fixture.h"

static struct nx_snapshot_info make(struct engine_fixture *f, const char *name)
{
    struct nx_snapshot_info info;

    assert_int_equal(nx_engine_snapshot_make(f->engine, name, strlen(name), &info, NULL), NX_OK);
    return info;
}

static void drop(struct engine_fixture *f, const char *name)
{
    assert_int_equal(nx_engine_snapshot_drop(f->engine, name, strlen(name), NULL), NX_OK);
}

static struct nx_snapshot *open_named(struct engine_fixture *f, const char *name)
{
    struct nx_snapshot_info info;
    struct nx_snapshot *snapshot;

    assert_int_equal(nx_engine_snapshot_find(f->engine, name, strlen(name), &info, NULL), NX_OK);
    assert_int_equal(nx_engine_snapshot_open(f->engine, info.number, NULL, &snapshot, NULL), NX_OK);
    return snapshot;
}

/* "name" of each, in the order of numbers. */
static const char *names(struct engine_fixture *f)
{
    static char text[2 * NX_SNAPSHOT_NAME_MAX];
    struct nx_snapshot_info info = {0};

    text[0] = 0;
    while (nx_engine_snapshot_next(f->engine, info.number, &info) == NX_OK)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%.20s ", info.name);
    return text;
}

static void compact_all(struct engine_fixture *f)
{
    assert_int_equal(nx_engine_compact(f->engine, NX_SLICE_NULL, NX_SLICE_NULL, NULL), NX_OK);
}

/* --- what they show ----------------------------------------------------------------------------
 */

static void assert_shows_the_past(struct engine_fixture *f)
{
    struct nx_snapshot *snapshot = open_named(f, "before");

    assert_value(f, snapshot, "a", "1");
    assert_value(f, snapshot, "b", "1");
    assert_keys(f, snapshot, "a b ");
    nx_snapshot_release(snapshot);
    assert_value(f, NULL, "a", "2");
    assert_keys(f, NULL, "a c ");
}

static void a_named_snapshot_outlives_restarts_crashes_and_compactions(void **state)
{
    struct engine_fixture *f = *state;

    engine_open(f);
    engine_put(f, "a", "1");
    engine_put(f, "b", "1");
    make(f, "before");
    engine_delete_range(f, "a", "z");
    engine_put(f, "a", "2");
    engine_put(f, "c", "2");
    assert_shows_the_past(f);
    engine_flush(f);
    compact_all(f);
    assert_shows_the_past(f);
    engine_reopen(f);
    assert_shows_the_past(f);
    compact_all(f);
    engine_reopen(f);
    assert_shows_the_past(f);
}

static void it_is_on_disk_when_it_is_made(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_snapshot *snapshot;

    for (uint64_t seed = 1; seed < 20; seed++) {
        engine_open(f);
        engine_put(f, "a", "1");
        make(f, "kept");
        engine_put(f, "a", "2");
        engine_power_loss(f, seed);
        engine_open(f);
        snapshot = open_named(f, "kept");
        assert_value(f, snapshot, "a", "1");
        nx_snapshot_release(snapshot);
        drop(f, "kept");
        engine_power_loss(f, seed);
        engine_open(f);
        assert_string_equal(names(f), "");
        engine_close(f);
    }
}

static void names_are_unique_numbers_go_round_and_rename_keeps_them(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_snapshot_info first, info;
    char name[300] = "";

    engine_open(f);
    first = make(f, "one");
    assert_true(first.time_ns > 0);
    assert_int_equal(nx_engine_snapshot_make(f->engine, "one", 3, &info, NULL), NX_EEXISTS);
    assert_int_equal(nx_engine_snapshot_make(f->engine, "", 0, &info, NULL), NX_ENAME);
    memset(name, 'n', 256);
    assert_int_equal(nx_engine_snapshot_make(f->engine, name, 256, &info, NULL), NX_ENAMETOOLONG);
    assert_int_equal(nx_engine_snapshot_drop(f->engine, "two", 3, NULL), NX_ENOTFOUND);
    assert_int_not_equal(make(f, "two").number, first.number);
    drop(f, "two");
    assert_true(make(f, "three").number > first.number + 1); /* not that of "two" */
    assert_int_equal(nx_engine_snapshot_rename(f->engine, "one", 3, "three", 5, NULL), NX_EEXISTS);
    assert_int_equal(nx_engine_snapshot_rename(f->engine, "one", 3, "uno", 3, NULL), NX_OK);
    engine_reopen(f);
    assert_string_equal(names(f), "uno three ");
    assert_int_equal(nx_engine_snapshot_find(f->engine, "uno", 3, &info, NULL), NX_OK);
    assert_int_equal(info.number, first.number);
    assert_int_equal(info.sequence, first.sequence);
    assert_int_equal(info.time_ns, first.time_ns);
}

static void there_are_as_many_as_there_are_numbers(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_snapshot_info info;
    char name[16];

    engine_open(f);
    for (unsigned i = 1; i <= NX_SNAPSHOTS_MAX; i++) {
        snprintf(name, sizeof name, "s%u", i);
        assert_int_equal(make(f, name).number, i);
    }
    assert_int_equal(nx_engine_snapshot_make(f->engine, "more", 4, &info, NULL), NX_EBUSY);
    drop(f, "s500");
    assert_int_equal(make(f, "more").number, 500);
}

static void an_open_one_outlives_its_name(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_snapshot *snapshot;

    engine_open(f);
    engine_put(f, "a", "1");
    make(f, "s");
    snapshot = open_named(f, "s");
    engine_put(f, "a", "2");
    drop(f, "s");
    compact_all(f);
    assert_value(f, snapshot, "a", "1");
    nx_snapshot_release(snapshot);
}

static void a_read_only_engine_shows_them_and_makes_none(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_snapshot_info info;
    struct nx_snapshot *snapshot;

    engine_open(f);
    engine_put(f, "a", "1");
    make(f, "s");
    engine_put(f, "a", "2");
    engine_close(f);
    f->options.read_only = true;
    engine_open(f);
    snapshot = open_named(f, "s");
    assert_value(f, snapshot, "a", "1");
    nx_snapshot_release(snapshot);
    assert_int_equal(nx_engine_snapshot_make(f->engine, "t", 1, &info, NULL), NX_EROFS);
    assert_int_equal(nx_engine_snapshot_drop(f->engine, "s", 1, NULL), NX_EROFS);
    assert_int_equal(nx_engine_snapshot_rename(f->engine, "s", 1, "t", 1, NULL), NX_EROFS);
}

/* --- space --------------------------------------------------------------------------------------
 */

static uint64_t table_bytes(struct engine_fixture *f)
{
    struct nx_engine_stats stats;
    uint64_t bytes = 0;

    nx_engine_get_stats(f->engine, &stats);
    for (int i = 0; i < NX_LEVELS; i++)
        bytes += stats.level_bytes[i];
    return bytes;
}

/* Until the compaction thread has brought the tables below `limit`: it has nothing else to do. */
static void await_less(struct engine_fixture *f, uint64_t limit)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    for (int i = 0; table_bytes(f) >= limit; i++) {
        if (i == 20000)
            fail_msg("%llu bytes stay, to come below %llu", (unsigned long long)table_bytes(f),
                     (unsigned long long)limit);
        nanosleep(&pause, NULL);
    }
}

/* Random bytes do not compress; `round` makes others of them. */
static void fill(struct engine_fixture *f, const char *prefix, int count, int round)
{
    uint64_t random = (uint64_t)round + 7;
    char key[32], value[1001];

    value[1000] = 0;
    for (int i = 0; i < count; i++) {
        for (int b = 0; b < 1000; b++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            value[b] = (char)('!' + (random >> 40) % 90);
        }
        snprintf(key, sizeof key, "%s%05d", prefix, i);
        engine_put(f, key, value);
    }
}

static void dropping_one_gives_its_space_back(void **state)
{
    struct engine_fixture *f = *state;
    uint64_t alone;

    f->options.table_bytes = 64 << 10;
    engine_open(f);
    fill(f, "k", 500, 0);
    compact_all(f);
    alone = table_bytes(f);
    make(f, "older"); /* stays, and shares nearly everything with what is dropped */
    fill(f, "k", 500, 1);
    make(f, "dropped");
    fill(f, "k", 500, 2);
    compact_all(f);
    assert_true(table_bytes(f) > alone * 5 / 2);
    drop(f, "dropped");
    await_less(f, alone * 9 / 4);
    engine_reopen(f);
    drop(f, "older");
    await_less(f, alone * 5 / 4);
}

static void what_a_snapshot_left_goes_after_a_restart_too(void **state)
{
    struct engine_fixture *f = *state;
    uint64_t alone;

    f->options.table_bytes = 64 << 10;
    engine_open(f);
    fill(f, "k", 300, 0);
    compact_all(f);
    alone = table_bytes(f);
    make(f, "s");
    fill(f, "k", 300, 1);
    compact_all(f);
    engine_close(f);
    engine_open(f);
    drop(f, "s");
    engine_kill(f);
    engine_open(f);
    await_less(f, alone * 5 / 4);
}

static void tables_under_a_deleted_range_go_unread(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_engine_stats before, after;
    uint64_t all;

    f->options.table_bytes = 64 << 10;
    engine_open(f);
    fill(f, "a", 400, 0);
    fill(f, "b", 400, 1);
    compact_all(f);
    all = table_bytes(f);
    nx_engine_get_stats(f->engine, &before);
    engine_delete_range(f, "a", "b");
    assert_int_equal(nx_engine_reclaim(f->engine, nx_slice_str("a"), nx_slice_str("b"), NULL),
                     NX_OK);
    await_less(f, all * 7 / 10); /* with the table at the border */
    nx_engine_get_stats(f->engine, &after);
    assert_true(after.compaction_read_bytes - before.compaction_read_bytes < all / 8);
    assert_value(f, NULL, "a00001", NULL);
    engine_reopen(f);
    assert_value(f, NULL, "a00001", NULL);
}

static void a_snapshot_keeps_the_tables_of_a_deleted_range(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_snapshot *snapshot;
    uint64_t all;

    f->options.table_bytes = 64 << 10;
    engine_open(f);
    fill(f, "a", 200, 0);
    compact_all(f);
    all = table_bytes(f);
    make(f, "s");
    engine_delete_range(f, "a", "b");
    assert_int_equal(nx_engine_reclaim(f->engine, nx_slice_str("a"), nx_slice_str("b"), NULL),
                     NX_OK);
    compact_all(f);
    assert_true(table_bytes(f) >= all);
    snapshot = open_named(f, "s");
    assert_int_equal(nx_engine_get(f->engine, snapshot, nx_slice_str("a00199"), &f->value, NULL),
                     NX_OK);
    nx_snapshot_release(snapshot);
    drop(f, "s");
    await_less(f, all / 10);
}

static void a_range_with_nothing_in_it_flushes_nothing(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_engine_stats stats;

    engine_open(f);
    engine_put(f, "a", "1");
    engine_delete_range(f, "a", "b");
    assert_int_equal(nx_engine_reclaim(f->engine, nx_slice_str("a"), nx_slice_str("b"), NULL),
                     NX_OK);
    nx_engine_get_stats(f->engine, &stats);
    assert_int_equal(stats.flushes, 0);
}

/* --- checkpoints --------------------------------------------------------------------------------
 */

/* Go on in another directory. */
static void move_to(struct engine_fixture *f, const char *dir)
{
    engine_close(f);
    snprintf(f->dir, sizeof f->dir, "%s", dir);
    engine_open(f);
}

static void a_checkpoint_is_a_database_of_its_own(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_snapshot *snapshot;
    char copy[60], original[64];

    f->options.table_bytes = 64 << 10;
    engine_open(f);
    snprintf(original, sizeof original, "%s", f->dir);
    snprintf(copy, sizeof copy, "%.40s-copy", f->dir);
    fill(f, "k", 200, 0);
    make(f, "s");
    compact_all(f);
    engine_put(f, "k00000", "in the log"); /* not in a table yet */
    assert_int_equal(nx_engine_checkpoint(f->engine, copy, NULL), NX_OK);
    assert_int_equal(nx_engine_checkpoint(f->engine, copy, NULL), NX_EEXISTS);
    engine_put(f, "k00000", "later");
    engine_delete_range(f, "k", "l");
    compact_all(f);
    move_to(f, copy);
    assert_value(f, NULL, "k00000", "in the log");
    assert_int_equal(nx_engine_get(f->engine, NULL, nx_slice_str("k00199"), &f->value, NULL),
                     NX_OK);
    snapshot = open_named(f, "s");
    assert_int_equal(nx_engine_get(f->engine, snapshot, nx_slice_str("k00000"), &f->value, NULL),
                     NX_OK);
    assert_int_equal(f->value.len, 1000);
    nx_snapshot_release(snapshot);
    engine_put(f, "of the copy", "1");
    engine_reopen(f);
    assert_value(f, NULL, "of the copy", "1");
    move_to(f, original);
    assert_value(f, NULL, "of the copy", NULL);
    assert_value(f, NULL, "k00199", NULL);
}

static void a_checkpoint_survives_power_loss(void **state)
{
    struct engine_fixture *f = *state;
    char copy[60];

    engine_open(f);
    snprintf(copy, sizeof copy, "%.40s-copy", f->dir);
    engine_put(f, "a", "1");
    assert_int_equal(nx_engine_checkpoint(f->engine, copy, NULL), NX_OK);
    engine_power_loss(f, 3);
    snprintf(f->dir, sizeof f->dir, "%s", copy);
    engine_open(f);
    assert_value(f, NULL, "a", "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(a_named_snapshot_outlives_restarts_crashes_and_compactions),
        ON_SIM(it_is_on_disk_when_it_is_made),
        ON_ALL(names_are_unique_numbers_go_round_and_rename_keeps_them),
        ON_SIM(there_are_as_many_as_there_are_numbers),
        ON_ALL(an_open_one_outlives_its_name),
        ON_ALL(a_read_only_engine_shows_them_and_makes_none),
        ON_SIM(dropping_one_gives_its_space_back),
        ON_SIM(what_a_snapshot_left_goes_after_a_restart_too),
        ON_ALL(tables_under_a_deleted_range_go_unread),
        ON_SIM(a_snapshot_keeps_the_tables_of_a_deleted_range),
        ON_SIM(a_range_with_nothing_in_it_flushes_nothing),
        ON_SIM(a_checkpoint_is_a_database_of_its_own),
        ON_SIM(a_checkpoint_survives_power_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

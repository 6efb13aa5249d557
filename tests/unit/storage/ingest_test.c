/* ingest_test.c - sorted runs: what readers see of them, where they go, and what is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nexadb/salvage.h>

#include "tests/unit/storage/engine_fixture.h"

enum { BOTTOM = NX_LEVELS - 1 };

static struct nx_run *begin(struct engine_fixture *f)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_run *run;

    if (nx_run_new(f->engine, &run, &err) != NX_OK)
        fail_msg("run: %s", err.message);
    return run;
}

static void add(struct nx_run *run, const char *key, const char *value)
{
    struct nx_err err = NX_ERR_INIT;

    if (nx_run_put(run, nx_slice_str(key), nx_slice_str(value), &err) != NX_OK)
        fail_msg("put '%s': %s", key, err.message);
}

static void ingest(struct nx_run *run)
{
    struct nx_err err = NX_ERR_INIT;

    if (nx_run_ingest(run, &err) != NX_OK)
        fail_msg("ingest: %s", err.message);
    nx_run_free(run);
}

/* Letters are keys, all with one value. */
static void ingest_keys(struct engine_fixture *f, const char *letters, const char *value)
{
    struct nx_run *run = begin(f);

    for (; *letters; letters++)
        add(run, (char[]){*letters, 0}, value);
    ingest(run);
}

/* "k0000" and so on, 500 bytes each that do not compress: 64 KiB a table. */
static void add_many(struct nx_run *run, int from, int to)
{
    uint64_t x = 1;

    for (int i = from; i < to; i++) {
        char key[16], value[501];

        snprintf(key, sizeof key, "k%04d", i);
        for (int at = 0; at < 500; at++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            value[at] = (char)(33 + (x >> 33) % 94);
        }
        value[500] = '\0';
        add(run, key, value);
    }
}

static struct nx_engine_stats stats_of(struct engine_fixture *f)
{
    struct nx_engine_stats stats;

    nx_engine_get_stats(f->engine, &stats);
    return stats;
}

static void compact(struct engine_fixture *f)
{
    assert_int_equal(nx_engine_compact(f->engine, NX_SLICE_NULL, NX_SLICE_NULL, NULL), NX_OK);
}

/* --- what readers see ------------------------------------------------------------------------- */

static void a_run_is_seen_once_it_is_ingested_and_not_before(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_run *run;

    engine_open(f);
    engine_put(f, "b", "old");
    run = begin(f);
    add(run, "a", "1");
    add(run, "c", "2");
    assert_keys(f, NULL, "b ");
    ingest(run);
    assert_keys(f, NULL, "a b c ");
    assert_value(f, NULL, "c", "2");
    engine_reopen(f);
    assert_keys(f, NULL, "a b c ");
    assert_value(f, NULL, "a", "1");
}

static void an_older_snapshot_does_not_see_it(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_snapshot_info info;
    struct nx_snapshot *before, *named, *after;

    f->options.cache_bytes = 0; /* lookups then see no whole block either */
    engine_open(f);
    engine_put(f, "b", "old");
    before = nx_snapshot_take(f->engine);
    assert_int_equal(nx_engine_snapshot_make(f->engine, "n", 1, &info, NULL), NX_OK);
    ingest_keys(f, "abc", "run");
    after = nx_snapshot_take(f->engine);
    engine_put(f, "a", "new");
    for (int round = 0; round < 2; round++) {
        assert_int_equal(nx_engine_snapshot_open(f->engine, info.number, NULL, &named, NULL),
                         NX_OK);
        assert_keys(f, before, "b ");
        assert_value(f, before, "b", "old");
        assert_keys(f, named, "b ");
        assert_value(f, after, "a", "run");
        assert_value(f, after, "b", "run");
        assert_value(f, NULL, "a", "new");
        nx_snapshot_release(named);
        compact(f); /* keeps what they see */
    }
    nx_snapshot_release(before);
    nx_snapshot_release(after);
    engine_reopen(f);
    assert_int_equal(nx_engine_snapshot_open(f->engine, 1, NULL, &named, NULL), NX_OK);
    assert_keys(f, named, "b ");
    nx_snapshot_release(named);
}

static void it_replaces_what_was_committed_before_wherever_that_is(void **state)
{
    struct engine_fixture *f = *state;

    engine_open(f);
    engine_put(f, "a", "bottom");
    compact(f);
    engine_put(f, "b", "level 0");
    engine_flush(f);
    engine_put(f, "c", "memory");
    ingest_keys(f, "abc", "run");
    for (int round = 0; round < 3; round++) {
        assert_value(f, NULL, "a", "run");
        assert_value(f, NULL, "b", "run");
        assert_value(f, NULL, "c", "run");
        if (round == 0)
            engine_reopen(f);
        else
            compact(f);
    }
}

static void later_commits_replace_it(void **state)
{
    struct engine_fixture *f = *state;

    engine_open(f);
    ingest_keys(f, "abc", "run");
    engine_put(f, "a", "later");
    engine_delete(f, "b");
    ingest_keys(f, "c", "second run");
    for (int round = 0; round < 3; round++) {
        assert_keys(f, NULL, "a c ");
        assert_value(f, NULL, "a", "later");
        assert_value(f, NULL, "c", "second run");
        if (round == 0)
            engine_flush(f);
        else
            compact(f);
    }
}

static void an_older_deleted_range_does_not_hide_it_and_a_newer_one_does(void **state)
{
    struct engine_fixture *f = *state;

    engine_open(f);
    engine_delete_range(f, "a", "z");
    ingest_keys(f, "bcd", "run");
    assert_keys(f, NULL, "b c d ");
    engine_delete_range(f, "c", "d");
    assert_keys(f, NULL, "b d ");
    compact(f);
    assert_keys(f, NULL, "b d ");
}

/* The commits wait for the log alone: nothing of theirs has to be flushed for it. */
static void what_it_does_not_touch_stays_in_memory(void **state)
{
    struct engine_fixture *f = *state;

    engine_open(f);
    engine_put(f, "a", "1");
    engine_put(f, "z", "1");
    ingest_keys(f, "mn", "run");
    assert_int_equal(stats_of(f).level_tables[BOTTOM], 1);
    engine_kill(f);
    engine_open(f);
    assert_keys(f, NULL, "a m n z ");
    engine_put(f, "m", "later");
    engine_reopen(f);
    assert_value(f, NULL, "m", "later");
}

/* --- where it goes ---------------------------------------------------------------------------- */

/* Small against what lies below, so that compaction leaves them where they are. */
static void it_goes_to_the_lowest_level_that_has_nothing_of_it(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_engine_stats stats;
    struct nx_run *run;
    uint64_t below;

    engine_open(f);
    run = begin(f);
    add_many(run, 0, 1000);
    ingest(run);
    below = stats_of(f).level_tables[BOTTOM];
    assert_in_range(below, 6, 20);
    ingest_keys(f, "ab", "beside");
    stats = stats_of(f);
    assert_int_equal(stats.level_tables[BOTTOM], below + 1);
    assert_int_equal(stats.runs, 2);
    assert_in_range(stats.run_bytes, 400000, 800000);
    ingest_keys(f, "ak", "above"); /* from the one into the other: "k" is in front of "k0000" */
    ingest_keys(f, "a", "on top");
    stats = stats_of(f);
    assert_int_equal(stats.level_tables[BOTTOM], below + 1);
    assert_int_equal(stats.level_tables[BOTTOM - 1], 1);
    assert_int_equal(stats.level_tables[BOTTOM - 2], 1);
    assert_value(f, NULL, "a", "on top");
    assert_value(f, NULL, "b", "beside");
    assert_value(f, NULL, "k", "above");
}

static void a_long_run_has_level_0_merged_down_first(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_run *run;
    struct nx_engine_stats stats;

    engine_open(f);
    engine_put(f, "k0007", "old");
    engine_flush(f);
    run = begin(f);
    add_many(run, 0, 1000);
    ingest(run);
    stats = stats_of(f);
    assert_int_equal(stats.level_tables[0], 0);
    assert_in_range(stats.table_count, 6, 20);
    assert_int_equal(nx_engine_get(f->engine, NULL, nx_slice_str("k0007"), &f->value, NULL), NX_OK);
    assert_int_equal(f->value.len, 500);
}

static void a_checkpoint_has_it(void **state)
{
    struct engine_fixture *f = *state;

    engine_open(f);
    engine_put(f, "z", "in memory");
    ingest_keys(f, "abc", "run");
    assert_int_equal(nx_engine_checkpoint(f->engine, "/copy", NULL), NX_OK);
    engine_close(f);
    strcpy(f->dir, "/copy");
    engine_open(f);
    assert_keys(f, NULL, "a b c z ");
    assert_value(f, NULL, "b", "run");
}

/* --- tools ------------------------------------------------------------------------------------ */

static void note_line(void *arg, const char *line)
{
    (void)arg;
    print_error("%s\n", line);
}

static void check_and_repair_know_its_sequence(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_check_counts counts;
    struct nx_repair_counts repaired;
    struct nx_err err = NX_ERR_INIT;

    engine_open(f);
    engine_put(f, "b", "older");
    compact(f);
    engine_put(f, "z", "in the log");
    ingest_keys(f, "abc", "run");
    engine_close(f);
    assert_int_equal(nx_engine_check(f->dir, f->io, note_line, NULL, &counts, &err), NX_OK);
    assert_int_equal(counts.faults, 0);
    assert_int_equal(
        nx_engine_repair(f->dir, "/mended", &f->options, note_line, NULL, &repaired, &err), NX_OK);
    assert_int_equal(repaired.losses, 0);
    strcpy(f->dir, "/mended");
    engine_open(f);
    assert_keys(f, NULL, "a b c z ");
    assert_value(f, NULL, "b", "run");
}

/* --- what is refused -------------------------------------------------------------------------- */

static enum nx_code put_code(struct nx_run *run, const char *key)
{
    return nx_run_put(run, nx_slice_str(key), nx_slice_str("v"), NULL);
}

static void keys_must_ascend_and_be_keys(void **state)
{
    struct engine_fixture *f = *state;
    char *huge = malloc(5000);
    struct nx_run *run;

    assert_non_null(huge);
    memset(huge, 'x', 5000);
    engine_open(f);
    run = begin(f);
    assert_int_equal(put_code(run, ""), NX_EINVAL);
    assert_int_equal(put_code(run, "b"), NX_OK);
    assert_int_equal(put_code(run, "b"), NX_EINVAL);
    assert_int_equal(put_code(run, "a"), NX_EINVAL);
    assert_int_equal(nx_run_put(run, nx_slice(huge, 5000), nx_slice_str("v"), NULL), NX_EINVAL);
    assert_int_equal(nx_run_put(run, nx_slice_str("c"), nx_slice(huge, (64u << 20) + 1), NULL),
                     NX_ETOOBIG);
    assert_int_equal(put_code(run, "d"), NX_OK);
    assert_int_equal(nx_run_ingest(run, NULL), NX_OK);
    assert_int_equal(put_code(run, "e"), NX_EINVAL);
    assert_int_equal(nx_run_ingest(run, NULL), NX_EINVAL);
    nx_run_free(run);
    assert_keys(f, NULL, "b d ");
    free(huge);
}

static void count_tables(void *arg, const char *name)
{
    *(int *)arg += strstr(name, ".table") != NULL;
}

static int tables_in(struct engine_fixture *f)
{
    int count = 0;

    assert_int_equal(f->io->ops->list(f->io, f->dir, count_tables, &count, NULL), NX_OK);
    return count;
}

static void a_run_that_is_not_ingested_leaves_nothing(void **state)
{
    struct engine_fixture *f = *state;
    struct io_sim *killed;
    struct nx_run *run;

    engine_open(f);
    nx_run_free(NULL);
    nx_run_free(begin(f));
    ingest(begin(f)); /* empty: nothing to do */
    assert_int_equal(stats_of(f).sequence, 0);
    run = begin(f);
    add_many(run, 0, 300);
    assert_true(tables_in(f) >= 2);
    nx_run_free(run);
    assert_int_equal(tables_in(f), 0);
    run = begin(f);
    add(run, "a", "1");
    killed = io_sim_kill(f->sim);
    nx_run_free(run);
    engine_adopt(f, killed);
    assert_int_equal(tables_in(f), 1);
    engine_open(f);
    assert_int_equal(tables_in(f), 0);
    assert_keys(f, NULL, "");
}

static void an_engine_for_reading_takes_none(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_run *run;

    engine_open(f);
    engine_close(f);
    f->options.read_only = true;
    engine_open(f);
    assert_int_equal(nx_run_new(f->engine, &run, NULL), NX_EROFS);
    assert_null(run);
}

/* --- failures --------------------------------------------------------------------------------- */

/* Every call of the file layer from the first entry on fails once; a second try may then succeed,
 * and what was said to be ingested is there after a power loss. */
static void any_call_of_an_ingest_may_fail(void **state)
{
    bool has_hit = true;

    (void)state;
    for (uint64_t nth = 1; has_hit; nth++) {
        struct engine_fixture *f;
        struct nx_run *run;
        enum nx_code rc = NX_OK;
        void *own;

        engine_set_up_fault(&own);
        f = own;
        engine_open(f);
        engine_put(f, "a", "old");
        engine_flush(f);
        engine_put(f, "b", "old");
        io_fault_add(f->fault, &(struct io_fault_rule){.ops = IO_FAULT_ANY, .nth = nth});
        run = begin(f);
        for (char key = 'a'; key < 'd' && rc == NX_OK; key++)
            rc = put_code(run, (char[]){key, 0});
        if (rc == NX_OK)
            rc = nx_run_ingest(run, NULL);
        has_hit = io_fault_hits(f->fault) > 0;
        io_fault_clear(f->fault);
        if (rc != NX_OK)
            assert_keys(f, NULL, "a b ");
        nx_run_free(run);
        for (int tries = 0; rc != NX_OK && tries < 20; tries++) {
            run = begin(f);
            add(run, "a", "v");
            add(run, "b", "v");
            add(run, "c", "v");
            rc = nx_run_ingest(run, NULL);
            nx_run_free(run);
            nx_engine_flush(f->engine, NULL); /* waits for the next attempt */
        }
        assert_int_equal(rc, NX_OK);
        engine_power_loss(f, nth);
        engine_open(f);
        assert_keys(f, NULL, "a b c ");
        assert_value(f, NULL, "a", "v");
        assert_value(f, NULL, "b", "v");
        engine_tear_down(&own);
    }
}

static void after_a_failure_the_same_run_can_be_tried_again(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_run *run;

    engine_open(f);
    engine_put(f, "a", "old");
    run = begin(f);
    add(run, "b", "run");
    io_fault_add(f->fault, &(struct io_fault_rule){.ops = IO_FAULT_WRITE, .glob = "*MANIFEST*"});
    assert_int_equal(nx_run_ingest(run, NULL), NX_EIO);
    assert_keys(f, NULL, "a ");
    ingest(run);
    assert_keys(f, NULL, "a b ");
    engine_power_loss(f, 1);
    engine_open(f);
    assert_keys(f, NULL, "a b ");
}

/* The sequence that it took is in no table, and in no log once that has been left behind. */
static void a_failed_ingest_leaves_a_sequence_that_snapshots_can_have(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_snapshot_info info;
    struct nx_run *run;

    engine_open(f);
    engine_put(f, "a", "1");
    engine_flush(f);
    run = begin(f);
    add(run, "b", "2");
    io_fault_add(f->fault, &(struct io_fault_rule){.ops = IO_FAULT_DATASYNC, .glob = "*.wal"});
    assert_int_equal(nx_run_ingest(run, NULL), NX_EIO);
    nx_run_free(run);
    assert_int_equal(nx_engine_snapshot_make(f->engine, "n", 1, &info, NULL), NX_OK);
    engine_power_loss(f, 1);
    engine_open(f);
    assert_keys(f, NULL, "a ");
    assert_int_equal(nx_engine_snapshot_find(f->engine, "n", 1, &info, NULL), NX_OK);
    ingest_keys(f, "b", "3");
    assert_keys(f, NULL, "a b ");
}

static void a_full_disk_refuses_a_run(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc = NX_OK;
    struct nx_run *run;

    engine_open(f);
    io_sim_set_space(f->sim, 300 << 10);
    run = begin(f);
    for (int i = 0; i < 100 && rc == NX_OK; i++) {
        char key[16], value[20000];

        snprintf(key, sizeof key, "k%04d", i);
        for (size_t at = 0; at < sizeof value; at++)
            value[at] = (char)rand();
        rc = nx_run_put(run, nx_slice_str(key), nx_slice(value, sizeof value), &err);
    }
    assert_int_equal(rc, NX_ENOSPC);
    assert_int_equal(put_code(run, "z"), NX_ENOSPC);
    assert_int_equal(nx_run_ingest(run, &err), NX_ENOSPC);
    nx_run_free(run);
    assert_int_equal(tables_in(f), 0);
    engine_put(f, "a", "1");
    assert_keys(f, NULL, "a ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(a_run_is_seen_once_it_is_ingested_and_not_before),
        ON_ALL(an_older_snapshot_does_not_see_it),
        ON_ALL(it_replaces_what_was_committed_before_wherever_that_is),
        ON_ALL(later_commits_replace_it),
        ON_ALL(an_older_deleted_range_does_not_hide_it_and_a_newer_one_does),
        ON_SIM(what_it_does_not_touch_stays_in_memory),
        ON_ALL(it_goes_to_the_lowest_level_that_has_nothing_of_it),
        ON_ALL(a_long_run_has_level_0_merged_down_first),
        ON_SIM(a_checkpoint_has_it),
        ON_SIM(check_and_repair_know_its_sequence),
        ON_ALL(keys_must_ascend_and_be_keys),
        ON_SIM(a_run_that_is_not_ingested_leaves_nothing),
        ON_SIM(an_engine_for_reading_takes_none),
        cmocka_unit_test(any_call_of_an_ingest_may_fail),
        ON_FAULT(after_a_failure_the_same_run_can_be_tried_again),
        ON_FAULT(a_failed_ingest_leaves_a_sequence_that_snapshots_can_have),
        ON_SIM(a_full_disk_refuses_a_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

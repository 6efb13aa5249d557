/*
 * fault_test.c - every call of the file layer fails once, and the engine stays readable, loses
 * nothing that it acknowledged and works again when the disk does.
 *
 * NEXADB_TEST_SCALE 1 fails every 3rd call, larger scales every call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/storage/engine_fixture.h"

enum { PUTS = 90 };

struct acknowledged {
    bool is_put[PUTS]; /* key i has its value */
};

static void name_of(int i, char key[16], char value[900])
{
    snprintf(key, 16, "key%03d", i);
    memset(value, 'a' + i % 26, 899);
    value[899] = '\0';
}

static void write_some(struct engine_fixture *f, struct acknowledged *acked)
{
    for (int i = 0; i < PUTS; i++) {
        char key[16], value[900];
        enum nx_durability durability = i % 5 == 0 ? NX_SYNC : NX_BUFFERED;

        name_of(i, key, value);
        if (engine_put_code(f, key, value, durability, NULL) == NX_OK)
            acked->is_put[i] = true;
        if (i % 30 == 29)
            nx_engine_flush(f->engine, NULL);
    }
    nx_engine_compact(f->engine, NX_SLICE_NULL, NX_SLICE_NULL, NULL);
}

/* The first third again, as a sorted run; one that failed may be there all the same. */
static void ingest_some(struct engine_fixture *f, struct acknowledged *acked)
{
    enum nx_code rc = NX_OK;
    struct nx_run *run;

    if (nx_run_new(f->engine, &run, NULL) != NX_OK)
        return;
    for (int i = 0; i < PUTS / 3 && rc == NX_OK; i++) {
        char key[16], value[900];

        name_of(i, key, value);
        rc = nx_run_put(run, nx_slice_str(key), nx_slice_str(value), NULL);
    }
    if (rc == NX_OK)
        rc = nx_run_ingest(run, NULL);
    for (int i = 0; i < PUTS / 3 && rc == NX_OK; i++)
        acked->is_put[i] = true;
    nx_run_free(run);
}

/* What was acknowledged is there; what was refused may be. Nothing is ever wrong. */
static void check_but(struct engine_fixture *f, const struct acknowledged *acked, uint64_t nth,
                      enum nx_code allowed)
{
    for (int i = 0; i < PUTS; i++) {
        char key[16], value[900];
        enum nx_code rc;

        name_of(i, key, value);
        rc = nx_engine_get(f->engine, NULL, nx_slice_str(key), &f->value, NULL);
        if ((rc == NX_ENOTFOUND && !acked->is_put[i]) || (rc != NX_OK && rc == allowed))
            continue;
        if (rc != NX_OK || f->value.len != 899 || memcmp(f->value.data, value, 899) != 0)
            fail_msg("call %llu: '%s': %s", (unsigned long long)nth, key, nx_code_name(rc));
    }
}

static void check(struct engine_fixture *f, const struct acknowledged *acked, uint64_t nth)
{
    check_but(f, acked, nth, NX_OK);
}

/* A while, for what the engine's own threads have to do. */
static void pause_briefly(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    nanosleep(&pause, NULL);
}

/* Commits work again once the engine has noticed that the disk does. */
static void check_resumes(struct engine_fixture *f, uint64_t nth)
{
    struct nx_err err = NX_ERR_INIT;

    for (int tries = 0; tries < 20000; tries++) {
        if (engine_put_code(f, "again", "works", NX_SYNC, &err) == NX_OK)
            return;
        nx_engine_flush(f->engine, NULL); /* waits for the next attempt */
        pause_briefly();
    }
    fail_msg("call %llu: never resumed: %s", (unsigned long long)nth, err.message);
}

/* A kill now would lose nothing that was acknowledged, however the disk has failed. */
static void check_killed(struct engine_fixture *f, const struct acknowledged *acked, uint64_t nth)
{
    struct io_sim *killed = io_sim_kill(f->sim);
    struct engine_fixture other = *f;
    struct nx_err err = NX_ERR_INIT;

    assert_non_null(killed);
    other.engine = NULL;
    other.value = NX_BUF_INIT;
    other.options.io = io_sim_io(killed);
    if (engine_open_code(&other, &err) != NX_OK)
        fail_msg("call %llu: open after a kill: %s", (unsigned long long)nth, err.message);
    check(&other, acked, nth);
    nx_engine_close(other.engine, NULL);
    nx_buf_fini(&other.value);
    io_sim_free(killed);
}

/* Close and open again; what fails once works the second time. */
static void turn_off_and_on(struct engine_fixture *f)
{
    nx_engine_close(f->engine, NULL);
    f->engine = NULL;
    f->options.wal_ring_bytes = 0; /* from now on the log is written directly */
    if (engine_open_code(f, NULL) != NX_OK)
        engine_open(f);
}

/* Everything that an engine does with files. */
static void live_a_life(struct engine_fixture *f, struct acknowledged *acked)
{
    struct nx_snapshot_info info;

    if (engine_open_code(f, NULL) != NX_OK)
        engine_open(f);
    write_some(f, acked);
    ingest_some(f, acked);
    nx_engine_snapshot_make(f->engine, "s", 1, &info, NULL);
    if (nx_engine_checkpoint(f->engine, "/copy", NULL) != NX_OK)
        nx_engine_checkpoint(f->engine, "/copy-2", NULL);
    turn_off_and_on(f);
    check_but(f, acked, 0, NX_EIO);
    nx_engine_snapshot_drop(f->engine, "s", 1, NULL);
    write_some(f, acked);
}

#define REMOVALS (IO_FAULT_REMOVE | IO_FAULT_RMDIR)
static bool no_removal; /* besides, no file can be removed */

typedef void (*scenario_fn)(struct engine_fixture *f, struct acknowledged *acked);

static void fail_call(scenario_fn scenario, unsigned ops, enum io_fault_action action, uint64_t nth,
                      bool *has_hit)
{
    struct acknowledged acked = {0};
    struct engine_fixture *f;
    struct nx_err err = NX_ERR_INIT;
    void *state;

    engine_set_up_fault(&state);
    f = state;
    if (scenario == write_some)
        engine_open(f);
    io_fault_add(f->fault, &(struct io_fault_rule){.ops = ops, .nth = nth, .action = action});
    if (no_removal)
        io_fault_add(f->fault, &(struct io_fault_rule){.ops = REMOVALS, .times = UINT64_MAX});
    scenario(f, &acked);
    *has_hit = io_fault_calls(f->fault, ops) >= nth;
    io_fault_clear(f->fault);
    check(f, &acked, nth);
    check_killed(f, &acked, nth);
    check_resumes(f, nth);
    engine_power_loss(f, nth); /* synced by check_resumes: all of it must be there */
    if (engine_open_code(f, &err) != NX_OK)
        fail_msg("call %llu: open: %s", (unsigned long long)nth, err.message);
    check(f, &acked, nth);
    assert_value(f, NULL, "again", "works");
    engine_tear_down(&state);
}

static uint64_t step(void)
{
    const char *scale = getenv("NEXADB_TEST_SCALE");

    return scale && atoi(scale) > 1 ? 1 : 3;
}

/* A life is long: of its calls fewer are failed in a quick run. */
static void sweep(scenario_fn scenario, unsigned ops, enum io_fault_action action)
{
    uint64_t width = scenario == write_some || step() == 1 ? step() : 17;
    bool has_hit = true;
    uint64_t nth = 1;

    for (; has_hit; nth += width)
        fail_call(scenario, ops, action, nth, &has_hit);
    assert_true(nth > 2 || scenario == live_a_life); /* of some kinds it makes no call */
}

#define CHANGES                                                                                    \
    (IO_FAULT_OPEN | IO_FAULT_WRITE | IO_FAULT_ALLOCATE | IO_FAULT_DATASYNC | IO_FAULT_REMOVE |    \
     IO_FAULT_SYNC_DIR | IO_FAULT_LIST | IO_FAULT_SIZE | IO_FAULT_MAP)

static void any_call_may_fail_with_eio(void **state)
{
    (void)state;
    sweep(write_some, CHANGES, IO_FAULT_EIO);
}

static void any_call_may_fail_with_enospc(void **state)
{
    (void)state;
    sweep(write_some, CHANGES, IO_FAULT_ENOSPC);
}

/* Threads change the order of calls from run to run: each kind of call is counted by itself. */
static void any_call_of_a_whole_life_may_fail(void **state)
{
    (void)state;
    for (unsigned op = 1; op < IO_FAULT_ANY; op <<= 1)
        sweep(live_a_life, op, IO_FAULT_EIO);
}

/* What has to be cleaned up after a failure stays where it is. */
static void any_call_may_fail_while_nothing_can_be_removed(void **state)
{
    (void)state;
    no_removal = true;
    for (unsigned op = 1; op < IO_FAULT_ANY; op <<= 1)
        if (!(op & REMOVALS))
            sweep(live_a_life, op, IO_FAULT_EIO);
    no_removal = false;
}

static void any_write_may_stop_half_way(void **state)
{
    (void)state;
    sweep(write_some, IO_FAULT_WRITE, IO_FAULT_SHORT);
}

static void any_sync_may_fail(void **state)
{
    (void)state;
    sweep(write_some, IO_FAULT_DATASYNC | IO_FAULT_SYNC_DIR, IO_FAULT_EIO);
}

/* The engine must say that a read failed, not that a key is absent; and a wrong bit is no data. */
static void no_read_error_looks_like_an_answer(void **state)
{
    static const enum io_fault_action actions[] = {IO_FAULT_EIO, IO_FAULT_FLIP};

    (void)state;
    for (size_t a = 0; a < 2; a++)
        for (uint64_t nth = 1; nth < 40; nth++) {
            struct acknowledged acked = {0};
            struct engine_fixture *f;
            struct nx_err err = NX_ERR_INIT;
            void *own;

            engine_set_up_fault(&own);
            f = own;
            f->options.cache_bytes = 0;
            engine_open(f);
            write_some(f, &acked);
            engine_close(f);
            io_fault_add(f->fault, &(struct io_fault_rule){
                                       .ops = IO_FAULT_READ, .nth = nth, .action = actions[a]});
            if (engine_open_code(f, &err) == NX_OK) {
                for (int i = 0; i < PUTS; i += 7) {
                    char key[16], value[900];
                    enum nx_code rc;

                    name_of(i, key, value);
                    rc = nx_engine_get(f->engine, NULL, nx_slice_str(key), &f->value, &err);
                    if (rc == NX_OK)
                        assert_memory_equal(f->value.data, value, 899);
                    else
                        assert_true(rc == NX_EIO || rc == NX_ECORRUPT);
                }
            } else {
                assert_true(err.code == NX_EIO || err.code == NX_ECORRUPT ||
                            err.code == NX_EVERSION);
            }
            io_fault_clear(f->fault);
            nx_engine_close(f->engine, NULL);
            engine_open(f); /* nothing was made of the wrong bytes */
            check(f, &acked, nth);
            engine_tear_down(&own);
        }
}

static void every_call_of_an_open_may_fail(void **state)
{
    bool has_hit = true;

    (void)state;
    for (uint64_t nth = 1; has_hit; nth++) {
        struct engine_fixture *f;
        void *own;

        engine_set_up_fault(&own);
        f = own;
        engine_open(f);
        engine_put(f, "a", "1");
        engine_flush(f);
        engine_put(f, "b", "2");
        engine_kill(f);
        io_fault_add(f->fault, &(struct io_fault_rule){.ops = IO_FAULT_ANY, .nth = nth});
        engine_open_code(f, NULL);
        has_hit = io_fault_hits(f->fault) > 0;
        io_fault_clear(f->fault);
        if (f->engine)
            assert_keys(f, NULL, "a b ");
        nx_engine_close(f->engine, NULL);
        engine_open(f);
        assert_keys(f, NULL, "a b ");
        engine_tear_down(&own);
    }
}

/* Of bytes that do not compress, so that a disk fills as fast as a flush can empty it. */
static void numbered(int i, char key[16], char value[900])
{
    uint64_t x = (uint64_t)i * 0x9e3779b97f4a7c15u + 1;

    snprintf(key, 16, "k%05d", i);
    for (int at = 0; at < 899; at++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        value[at] = (char)(33 + (x >> 33) % 94);
    }
    value[899] = '\0';
}

/* How many keys there was room for. */
static int fill_disk(struct engine_fixture *f, int from)
{
    struct nx_err err = NX_ERR_INIT;
    char key[16], value[900];
    int i = from;

    for (; i < from + 2000; i++) {
        numbered(i, key, value);
        if (engine_put_code(f, key, value, NX_BUFFERED, &err) != NX_OK)
            break;
        assert_int_equal(err.code, NX_OK); /* one that had to wait is no failure */
    }
    assert_int_equal(err.code, NX_ENOSPC);
    return i - from;
}

static enum nx_code remove_code(struct engine_fixture *f, int i, struct nx_err *err)
{
    char key[16], value[900];

    numbered(i, key, value);
    nx_batch_clear(f->batch);
    nx_batch_mark_reclaiming(f->batch);
    assert_int_equal(nx_batch_delete(f->batch, nx_slice_str(key)), NX_OK);
    return nx_engine_commit(f->engine, f->batch, NX_SYNC, err);
}

static void a_full_disk_leaves_a_readable_engine_that_resumes(void **state)
{
    struct engine_fixture *f = *state;
    char key[16], value[900];
    int written;

    engine_open(f);
    io_sim_set_space(f->sim, 400 << 10);
    written = fill_disk(f, 0);
    assert_true(written > 20);
    for (int i = 0; i < written; i++) {
        numbered(i, key, value);
        assert_value(f, NULL, key, value);
    }
    io_sim_set_space(f->sim, 0);
    check_resumes(f, 0);
    engine_reopen(f);
    assert_value(f, NULL, "again", "works");
    numbered(0, key, value);
    assert_value(f, NULL, "k00000", value);
}

static void everything_can_be_removed_from_a_full_disk(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    int written, again = 0;

    f->options.sync_interval_ms = 20; /* whose thread sees to it that space comes back */
    engine_open(f);
    io_sim_set_space(f->sim, 1 << 20);
    written = fill_disk(f, 0);
    assert_true(written > 300);
    for (int i = 0; i < written; i++)
        if (remove_code(f, i, &err) != NX_OK)
            fail_msg("%d of %d: %s", i, written, err.message);
    check_resumes(f, 0);
    assert_keys(f, NULL, "again ");
    for (int tries = 0; tries < 20000 && again < 20; tries++) {
        again += fill_disk(f, 10000 + again);
        nx_engine_flush(f->engine, NULL); /* waits for the next attempt */
        pause_briefly();
    }
    assert_true(again >= 20);
}

static void a_full_disk_can_be_opened_and_emptied(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    char key[16], value[900];
    int written;

    engine_open(f);
    io_sim_set_space(f->sim, 1 << 20);
    written = fill_disk(f, 0);
    engine_kill(f);
    if (engine_open_code(f, &err) != NX_OK)
        fail_msg("open: %s", err.message);
    for (int i = 1; i < written; i++)
        if (remove_code(f, i, &err) != NX_OK)
            fail_msg("%d of %d: %s", i, written, err.message);
    numbered(0, key, value);
    assert_keys(f, NULL, "k00000 ");
    assert_value(f, NULL, key, value);
}

static enum nx_code background_of(struct engine_fixture *f)
{
    struct nx_engine_stats stats;

    nx_engine_get_stats(f->engine, &stats);
    return stats.background_error;
}

static void never_called(void *arg, const struct nx_err *error)
{
    (void)arg, (void)error;
    fail_msg("a commit that was refused was acknowledged");
}

/* By the figures and by every way to commit, with what went wrong; reads go on. */
static void a_failed_flush_is_reported_until_one_succeeds(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    engine_open(f);
    engine_put(f, "a", "1");
    assert_int_equal(background_of(f), NX_OK);
    io_fault_add(f->fault, &(struct io_fault_rule){
                               .ops = IO_FAULT_DATASYNC, .glob = "*.table", .times = UINT64_MAX});
    assert_int_equal(nx_engine_flush(f->engine, &err), NX_EIO);
    assert_non_null(strstr(err.message, ".table"));
    assert_int_equal(background_of(f), NX_EIO);
    assert_int_equal(engine_put_code(f, "b", "2", NX_BUFFERED, &err), NX_EIO);
    assert_non_null(strstr(err.message, ".table"));
    assert_int_equal(nx_engine_submit(f->engine, f->batch, NX_SYNC, true, never_called, NULL, &err),
                     NX_EIO);
    assert_value(f, NULL, "a", "1");
    assert_value(f, NULL, "b", NULL);
    io_fault_clear(f->fault);
    check_resumes(f, 0);
    assert_int_equal(background_of(f), NX_OK);
    engine_power_loss(f, 1);
    engine_open(f);
    assert_keys(f, NULL, "a again ");
}

/* A file whose sync failed is not synced again, whatever it is: the next try has a new one. */
static void no_file_is_synced_again_after_it_failed(void **state)
{
    static const char *const globs[] = {"*.table", "*.wal", "*MANIFEST*"};

    (void)state;
    for (size_t i = 0; i < sizeof globs / sizeof globs[0]; i++) {
        struct engine_fixture *f;
        uint64_t hits;
        void *own;

        engine_set_up_fault(&own);
        f = own;
        engine_open(f);
        engine_put(f, "a", "1");
        io_fault_add(f->fault, &(struct io_fault_rule){.ops = IO_FAULT_DATASYNC, .glob = globs[i]});
        nx_engine_sync(f->engine, NULL);
        nx_engine_flush(f->engine, NULL);
        hits = io_fault_hits(f->fault);
        assert_int_equal(hits, 1);
        check_resumes(f, i);
        /* What a second sync of it calls clean is not on the disk (io_sim_lose_dirty). */
        engine_power_loss(f, i + 1);
        engine_open(f);
        assert_keys(f, NULL, "a again ");
        engine_tear_down(&own);
    }
}

static void damage_found_by_a_compaction_stops_commits_until_the_next_open(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    char table[96];

    f->options.cache_bytes = 0;
    engine_open(f);
    engine_put(f, "a", "1");
    engine_flush(f);
    strcpy(table, engine_find_file(f, ".table"));
    assert_true(io_sim_flip(f->sim, table, 20));
    /* until level 0 is due */
    for (int i = 0; i < 1000 && background_of(f) == NX_OK; i++) {
        engine_put_code(f, "b", "2", NX_BUFFERED, NULL);
        nx_engine_flush(f->engine, NULL);
    }
    assert_int_equal(background_of(f), NX_ECORRUPT);
    assert_int_equal(engine_put_code(f, "c", "3", NX_BUFFERED, &err), NX_ECORRUPT);
    assert_non_null(strstr(err.message, ".table"));
    assert_value(f, NULL, "b", "2");
    nx_engine_close(f->engine, NULL);
    f->engine = NULL;
    engine_open(f);
    assert_value(f, NULL, "b", "2");
}

/* What a full disk is asked for its space, and given back, may fail as well. */
static void any_call_about_space_may_fail_on_a_full_disk(void **state)
{
    bool has_hit = true;

    (void)state;
    for (uint64_t nth = 1; has_hit && nth < 60; nth++) {
        struct engine_fixture *f;
        char key[16], value[900];
        int written = 0;
        void *own;

        engine_set_up_fault(&own);
        f = own;
        engine_open(f);
        io_sim_set_space(f->sim, 400 << 10);
        io_fault_add(f->fault, &(struct io_fault_rule){.ops = IO_FAULT_SPACE | IO_FAULT_TRUNCATE |
                                                              IO_FAULT_ALLOCATE,
                                                       .nth = nth});
        for (enum nx_code rc = NX_OK; rc == NX_OK && written < 2000; written += rc == NX_OK) {
            numbered(written, key, value);
            rc = engine_put_code(f, key, value, NX_BUFFERED, NULL);
        }
        for (int i = 1; i < written; i++)
            remove_code(f, i, NULL);
        has_hit = io_fault_hits(f->fault) > 0;
        io_fault_clear(f->fault);
        if (written > 0) {
            numbered(0, key, value);
            assert_value(f, NULL, key, value);
        }
        io_sim_set_space(f->sim, 0);
        check_resumes(f, nth);
        engine_tear_down(&own);
    }
}

/* The log has no room, and what should give it some does not work either. */
static void a_reserve_that_fails_when_it_is_needed_costs_no_more_than_room(void **state)
{
    struct engine_fixture *f = *state;
    char key[16], value[900];
    bool is_full = false;

    engine_open(f);
    for (int i = 0; i < 100; i++) {
        numbered(i, key, value);
        engine_put(f, key, value);
    }
    io_fault_add(f->fault, &(struct io_fault_rule){.ops = IO_FAULT_ALLOCATE,
                                                   .glob = "*.wal",
                                                   .times = UINT64_MAX,
                                                   .action = IO_FAULT_ENOSPC});
    for (int i = 1; i < 100 && !is_full; i++) /* the log asks the reserve for room, in vain */
        for (int k = 0; k < 20 && !is_full; k++)
            is_full = remove_code(f, i, NULL) == NX_ENOSPC;
    assert_true(is_full);
    io_fault_add(f->fault, &(struct io_fault_rule){.ops = IO_FAULT_TRUNCATE | IO_FAULT_SPACE,
                                                   .times = UINT64_MAX});
    assert_int_equal(remove_code(f, 0, NULL), NX_ENOSPC);
    assert_int_equal(engine_put_code(f, "more", "", NX_SYNC, NULL), NX_ENOSPC);
    numbered(0, key, value);
    assert_value(f, NULL, key, value);
    io_fault_clear(f->fault);
    check_resumes(f, 0);
}

/* Then the error that there was is the one that is told. */
static void an_open_that_cannot_ask_for_the_space_says_why_it_failed(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    io_sim_set_space(f->sim, 4 << 10);
    io_fault_add(f->fault,
                 &(struct io_fault_rule){.ops = IO_FAULT_SPACE, .nth = 2, .times = UINT64_MAX});
    assert_int_equal(engine_open_code(f, &err), NX_ENOSPC);
    assert_null(strstr(err.message, "cannot be opened"));
}

static void a_small_disk_gets_small_pieces(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_engine_stats stats;

    nx_engine_options_init(&f->options);
    f->options.io = f->io;
    io_sim_set_space(f->sim, 16 << 20);
    engine_open(f);
    engine_put(f, "a", "b");
    nx_engine_get_stats(f->engine, &stats);
    assert_in_range(stats.disk_bytes, 1, 1 << 20);
    engine_close(f);
    io_sim_set_space(f->sim, 4 << 10);
    assert_int_equal(engine_open_code(f, &err), NX_ENOSPC);
    assert_non_null(strstr(err.message, "cannot be opened, its disk has 0 of 4 KiB free"));
}

/* For call_sites.sh: where calls were that failed. */
static int write_sites(void)
{
    const char *path = getenv("NEXADB_SITES");
    extern const char __executable_start[];
    void *sites[1024];
    size_t count = io_fault_sites(sites, 1024);
    FILE *out = path ? fopen(path, "w") : NULL;

    if (!out)
        return path != NULL;
    for (size_t i = 0; i < count; i++)
        fprintf(out, "0x%zx\n", (size_t)((const char *)sites[i] - __executable_start) - 1);
    return fclose(out) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_call_may_fail_with_eio),
        cmocka_unit_test(any_call_may_fail_with_enospc),
        cmocka_unit_test(any_call_of_a_whole_life_may_fail),
        cmocka_unit_test(any_call_may_fail_while_nothing_can_be_removed),
        cmocka_unit_test(any_write_may_stop_half_way),
        cmocka_unit_test(any_sync_may_fail),
        cmocka_unit_test(no_read_error_looks_like_an_answer),
        cmocka_unit_test(every_call_of_an_open_may_fail),
        ON_SIM(a_full_disk_leaves_a_readable_engine_that_resumes),
        ON_SIM(everything_can_be_removed_from_a_full_disk),
        ON_SIM(a_full_disk_can_be_opened_and_emptied),
        ON_FAULT(a_failed_flush_is_reported_until_one_succeeds),
        cmocka_unit_test(no_file_is_synced_again_after_it_failed),
        ON_SIM(damage_found_by_a_compaction_stops_commits_until_the_next_open),
        cmocka_unit_test(any_call_about_space_may_fail_on_a_full_disk),
        ON_FAULT(a_reserve_that_fails_when_it_is_needed_costs_no_more_than_room),
        ON_FAULT(an_open_that_cannot_ask_for_the_space_says_why_it_failed),
        ON_SIM(a_small_disk_gets_small_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL) | write_sites();
}

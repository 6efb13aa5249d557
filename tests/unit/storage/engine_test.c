/* engine_test.c - what the engine promises, on every file layer. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/storage/engine_fixture.h"

/* --- reading and writing ---------------------------------------------------------------------- */

static void later_changes_win(void **state)
{
    struct engine_fixture *f = *state;

    engine_open(f);
    assert_value(f, NULL, "a", NULL);
    engine_put(f, "a", "1");
    engine_put(f, "b", "2");
    engine_put(f, "a", "3");
    engine_delete(f, "b");
    assert_value(f, NULL, "a", "3");
    assert_value(f, NULL, "b", NULL);
    assert_keys(f, NULL, "a ");
    engine_flush(f);
    assert_value(f, NULL, "a", "3");
    assert_value(f, NULL, "b", NULL);
    assert_keys(f, NULL, "a ");
}

static void a_batch_applies_in_its_order(void **state)
{
    struct engine_fixture *f = *state;

    engine_open(f);
    engine_put(f, "k2", "old");
    nx_batch_clear(f->batch);
    nx_batch_put(f->batch, nx_slice_str("k1"), nx_slice_str("x"));
    nx_batch_delete_range(f->batch, nx_slice_str("k"), nx_slice_str("l"));
    nx_batch_put(f->batch, nx_slice_str("k3"), nx_slice_str("y"));
    nx_batch_put(f->batch, nx_slice_str("k3"), nx_slice_str("z"));
    assert_int_equal(nx_batch_count(f->batch), 4);
    assert_int_equal(nx_engine_commit(f->engine, f->batch, NX_SYNC, NULL), NX_OK);
    assert_keys(f, NULL, "k3 ");
    assert_value(f, NULL, "k3", "z");
    engine_reopen(f);
    assert_keys(f, NULL, "k3 ");
}

static void batches_refuse_what_is_too_large(void **state)
{
    struct engine_fixture *f = *state;
    uint8_t key[4097] = {1};

    nx_batch_clear(f->batch);
    assert_int_equal(nx_batch_put(f->batch, nx_slice(key, 0), nx_slice(key, 1)), NX_EINVAL);
    assert_int_equal(nx_batch_put(f->batch, nx_slice(key, 4097), nx_slice(key, 1)), NX_EINVAL);
    assert_int_equal(nx_batch_put(f->batch, nx_slice(key, 1), nx_slice(key, (64u << 20) + 1)),
                     NX_ETOOBIG);
    assert_int_equal(nx_batch_delete(f->batch, nx_slice(key, 0)), NX_EINVAL);
    assert_int_equal(nx_batch_put(f->batch, nx_slice(key, 4096), nx_slice(key, 0)), NX_OK);
    assert_int_equal(nx_batch_count(f->batch), 1);
}

static void a_value_larger_than_everything_is_kept(void **state)
{
    struct engine_fixture *f = *state;
    size_t len = 300 << 10; /* more than a segment, a memtable and a table */
    char *large = malloc(len + 1);

    memset(large, 'L', len);
    large[len] = '\0';
    engine_open(f);
    engine_put(f, "large", large);
    engine_put(f, "small", "s");
    assert_value(f, NULL, "large", large);
    engine_reopen(f);
    assert_value(f, NULL, "large", large);
    engine_flush(f);
    assert_value(f, NULL, "large", large);
    assert_value(f, NULL, "small", "s");
    free(large);
}

static void snapshots_isolate(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_snapshot *before, *between;

    engine_open(f);
    engine_put(f, "a", "1");
    engine_put(f, "b", "1");
    before = nx_snapshot_take(f->engine);
    engine_put(f, "a", "2");
    engine_delete(f, "b");
    between = nx_snapshot_take(f->engine);
    engine_delete_range(f, "a", "z");
    for (int round = 0; round < 3; round++) {
        assert_value(f, before, "a", "1");
        assert_value(f, before, "b", "1");
        assert_keys(f, before, "a b ");
        assert_value(f, between, "a", "2");
        assert_value(f, between, "b", NULL);
        assert_keys(f, between, "a ");
        assert_keys(f, NULL, "");
        if (round == 0)
            engine_flush(f);
        if (round == 1)
            assert_int_equal(nx_engine_compact(f->engine, NX_SLICE_NULL, NX_SLICE_NULL, NULL),
                             NX_OK);
    }
    nx_snapshot_release(before);
    nx_snapshot_release(between);
}

static void deleted_ranges_hide_what_is_older_only(void **state)
{
    struct engine_fixture *f = *state;

    engine_open(f);
    for (int round = 0; round < 2; round++) {
        engine_put(f, "a", "1");
        engine_put(f, "b", "1");
        engine_put(f, "c", "1");
        if (round)
            engine_flush(f);
        engine_delete_range(f, "a", "c");
        engine_put(f, "b", "2");
        assert_keys(f, NULL, "b c ");
        if (round)
            engine_flush(f);
        assert_keys(f, NULL, "b c ");
        assert_value(f, NULL, "a", NULL);
        assert_value(f, NULL, "b", "2");
        engine_reopen(f);
        assert_keys(f, NULL, "b c ");
    }
}

static void fill(struct engine_fixture *f, int from, int to, const char *tag)
{
    for (int i = from; i < to; i++) {
        char key[16], value[128];

        snprintf(key, sizeof key, "key%05d", i);
        snprintf(value, sizeof value, "%s-%d-%080d", tag, i, i);
        engine_put(f, key, value);
    }
}

static void assert_filled(struct engine_fixture *f, int from, int to, const char *tag)
{
    for (int i = from; i < to; i++) {
        char key[16], value[128];

        snprintf(key, sizeof key, "key%05d", i);
        snprintf(value, sizeof value, "%s-%d-%080d", tag, i, i);
        assert_value(f, NULL, key, value);
    }
}

static void assert_absent(struct engine_fixture *f, int from, int to)
{
    for (int i = from; i < to; i++) {
        char key[16];

        snprintf(key, sizeof key, "key%05d", i);
        assert_value(f, NULL, key, NULL);
    }
}

static void many_flushes_and_compactions_lose_nothing(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_engine_stats stats;

    engine_open(f);
    fill(f, 0, 3000, "one");
    fill(f, 1000, 2000, "two");
    for (int i = 2500; i < 3000; i++) {
        char key[16];

        snprintf(key, sizeof key, "key%05d", i);
        engine_delete(f, key);
    }
    nx_engine_get_stats(f->engine, &stats);
    assert_true(stats.flushes > 2);
    for (int round = 0; round < 3; round++) {
        assert_filled(f, 0, 1000, "one");
        assert_filled(f, 1000, 2000, "two");
        assert_filled(f, 2000, 2500, "one");
        assert_absent(f, 2500, 3000); /* no deleted key comes back */
        if (round == 0)
            assert_int_equal(nx_engine_compact(f->engine, NX_SLICE_NULL, NX_SLICE_NULL, NULL),
                             NX_OK);
        else
            engine_reopen(f);
    }
}

/* A file layer that holds the thread which compacts at its first output until it is let go, and
 * looks at the tree at each later one. */
static struct {
    struct nx_io_ops ops;
    struct nx_io io;
    struct nx_engine *engine;
    sem_t at_gate, go_on;
    bool was_at_gate;
    bool saw_tier_amid; /* level 0 became a tier before the tier below was merged away */
} gate;
static _Thread_local bool is_compacting;

static enum nx_code gated_open(struct nx_io *io, const char *path, unsigned flags,
                               struct nx_file **out, struct nx_err *err)
{
    struct nx_engine_stats stats;

    (void)io;
    if (is_compacting && (flags & NX_OPEN_CREATE) && !gate.was_at_gate) {
        gate.was_at_gate = true;
        sem_post(&gate.at_gate);
        sem_wait(&gate.go_on);
    } else if (is_compacting && (flags & NX_OPEN_CREATE)) {
        nx_engine_get_stats(gate.engine, &stats);
        if (stats.level_tables[0] == 0 && stats.level_tables[4] > 0 && stats.level_tables[5] > 0)
            gate.saw_tier_amid = true;
    }
    return nx_io_posix()->ops->open(nx_io_posix(), path, flags, out, err);
}

static void *compact_all(void *arg)
{
    is_compacting = true;
    assert_int_equal(nx_engine_compact(arg, NX_SLICE_NULL, NX_SLICE_NULL, NULL), NX_OK);
    return NULL;
}

static uint64_t tables_of_level(struct engine_fixture *f, int level)
{
    struct nx_engine_stats stats;

    nx_engine_get_stats(f->engine, &stats);
    return stats.level_tables[level];
}

static void flush_words(struct engine_fixture *f, int times, const char *value)
{
    for (int i = 0; i < times; i++) {
        engine_put(f, "key00001", value);
        engine_put(f, "key09999", value);
        engine_flush(f);
    }
}

static void a_long_merge_makes_way_for_level_0(void **state)
{
    struct engine_fixture *f = *state;
    pthread_t thread;

    gate.ops = *nx_io_posix()->ops;
    gate.ops.open = gated_open;
    gate.io.ops = &gate.ops;
    f->options.io = &gate.io;
    engine_open(f);
    gate.engine = f->engine;
    gate.was_at_gate = gate.saw_tier_amid = false;
    sem_init(&gate.at_gate, 0, 0);
    sem_init(&gate.go_on, 0, 0);
    fill(f, 0, 10000, "large");
    assert_int_equal(nx_engine_compact(f->engine, NX_SLICE_NULL, NX_SLICE_NULL, NULL), NX_OK);
    flush_words(f, 4, "tier");
    while (tables_of_level(f, 5) == 0)
        sched_yield();
    pthread_create(&thread, NULL, compact_all, f->engine);
    sem_wait(&gate.at_gate);
    flush_words(f, 8, "newest");
    assert_int_equal(tables_of_level(f, 0), 8);
    sem_post(&gate.go_on);
    pthread_join(thread, NULL);
    assert_true(gate.saw_tier_amid);
    assert_value(f, NULL, "key00001", "newest");
    assert_value(f, NULL, "key09999", "newest");
    assert_int_equal(tables_of_level(f, 0) + tables_of_level(f, 4) + tables_of_level(f, 5), 0);
    sem_destroy(&gate.at_gate);
    sem_destroy(&gate.go_on);
}

static void compaction_gives_space_back(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_engine_stats before, after;

    engine_open(f);
    fill(f, 0, 3000, "one");
    engine_flush(f);
    nx_engine_get_stats(f->engine, &before);
    engine_delete_range(f, "key", "kez");
    assert_int_equal(nx_engine_compact(f->engine, NX_SLICE_NULL, NX_SLICE_NULL, NULL), NX_OK);
    nx_engine_get_stats(f->engine, &after);
    assert_true(before.table_entries >= 3000);
    assert_int_equal(after.table_entries, 0);
    assert_keys(f, NULL, "");
    assert_true(after.wal_bytes <= 3 * f->options.wal_segment_bytes);
}

static void what_comes_to_the_last_level_is_compressed_as_that_level_is(void **state)
{
    struct engine_fixture *f = *state;
    uint64_t moved, rewritten;
    struct nx_engine_stats stats;

    f->options.compression = f->options.bottom_compression = NX_COMPRESS_NONE;
    f->options.memtable_bytes = 1 << 20;
    for (int i = 0; i < 2; i++) {
        engine_open(f);
        fill(f, 0, 1000, "one");
        assert_int_equal(nx_engine_compact(f->engine, NX_SLICE_NULL, NX_SLICE_NULL, NULL), NX_OK);
        nx_engine_get_stats(f->engine, &stats);
        *(i ? &rewritten : &moved) = stats.level_bytes[6];
        assert_int_equal(stats.compaction_written_bytes > 0, i == 1);
        assert_filled(f, 0, 1000, "one");
        engine_delete_range(f, "key", "kez");
        engine_close(f);
        f->options.bottom_compression = NX_COMPRESS_ZSTD;
    }
    assert_true(rewritten < moved / 2);
    f->options.bottom_compression = NX_COMPRESS_LZ4; /* what is there is read as it is */
    engine_open(f);
    fill(f, 0, 1000, "two");
    assert_filled(f, 0, 1000, "two");
}

/* Words at random: what a harder look for repetitions finds more in. */
static void fill_with_words(struct engine_fixture *f)
{
    static const char *const words[] = {"garden ", "river ",  "machine ", "people ",
                                        "city ",   "street ", "quiet ",   "mountain "};
    char key[16], value[256];
    uint64_t random = 1;

    for (int i = 0; i < 2000; i++) {
        size_t at = 0;

        while (at < sizeof value - 16) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            at += (size_t)snprintf(value + at, sizeof value - at, "%s", words[random >> 61]);
        }
        snprintf(key, sizeof key, "key%05d", i);
        engine_put(f, key, value);
    }
}

static void what_is_compacted_on_request_is_dense(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_engine_stats flushed, rewritten, first;

    f->options.memtable_bytes = 4 << 20;
    f->options.table_bytes = 4 << 20;
    engine_open(f);
    fill_with_words(f);
    assert_int_equal(nx_engine_compact(f->engine, NX_SLICE_NULL, NX_SLICE_NULL, NULL), NX_OK);
    nx_engine_get_stats(f->engine, &first);
    assert_int_equal(first.compaction_written_bytes, 0); /* written once */
    fill_with_words(f);
    engine_flush(f);
    nx_engine_get_stats(f->engine, &flushed);
    assert_true(first.level_bytes[6] < flushed.level_bytes[0] / 10 * 9);
    assert_int_equal(nx_engine_compact(f->engine, NX_SLICE_NULL, NX_SLICE_NULL, NULL), NX_OK);
    nx_engine_get_stats(f->engine, &rewritten);
    assert_true(rewritten.level_bytes[6] <= first.level_bytes[6]);
}

static void the_reserve_follows_the_log_down(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_engine_stats full, rest;

    f->options.memtable_bytes = 1 << 20;
    engine_open(f);
    fill(f, 0, 5000, "one");
    nx_engine_get_stats(f->engine, &full);
    assert_true(full.wal_bytes > 512 << 10);
    assert_int_equal(full.reserve_bytes, full.wal_bytes);
    engine_flush(f);
    nx_engine_get_stats(f->engine, &rest);
    assert_true(rest.wal_bytes < full.wal_bytes / 4);
    assert_int_equal(rest.reserve_bytes, rest.wal_bytes);
    fill(f, 0, 5000, "two"); /* and up again */
    nx_engine_get_stats(f->engine, &full);
    assert_int_equal(full.reserve_bytes, full.wal_bytes);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void a_flush_lets_the_log_go(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_engine_stats stats;

    f->options.wal_segment_bytes = 1 << 20;
    f->options.memtable_bytes = 1 << 20;
    engine_open(f);
    fill(f, 0, 2000, "log");
    nx_engine_get_stats(f->engine, &stats);
    assert_true(stats.wal_bytes > 200 << 10);
    engine_flush(f);
    nx_engine_get_stats(f->engine, &stats);
    assert_true(stats.wal_bytes <= 128 << 10); /* a new segment's first step */
    assert_filled(f, 0, 2000, "log");
    engine_reopen(f);
    assert_filled(f, 0, 2000, "log");
}

enum { SYNC_THREADS = 4, SYNC_COMMITS = 40 };

static void *commit_synced(void *arg)
{
    struct nx_engine *engine = arg;
    struct nx_batch *batch;
    void *failed = engine;

    if (nx_batch_new(&batch) != NX_OK)
        return failed;
    for (int i = 0; i < SYNC_COMMITS; i++) {
        char key[40];

        nx_batch_clear(batch);
        snprintf(key, sizeof key, "%lx-%d", (unsigned long)pthread_self(), i);
        nx_batch_put(batch, nx_slice_str(key), nx_slice_str("v"));
        if (nx_engine_commit(engine, batch, NX_SYNC, NULL) != NX_OK)
            goto done;
    }
    failed = NULL;
done:
    nx_batch_free(batch);
    return failed;
}

static void threads_that_sync_at_once_all_keep_their_commits(void **state)
{
    struct engine_fixture *f = *state;
    pthread_t threads[SYNC_THREADS];
    struct nx_range all = {0};
    struct nx_iter *iter;
    int keys = 0;

    f->options.sync_interval_ms = 60000; /* no help from the thread */
    engine_open(f);
    for (int i = 0; i < SYNC_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, commit_synced, f->engine), 0);
    for (int i = 0; i < SYNC_THREADS; i++) {
        void *failed;

        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    engine_power_loss(f, 5);
    engine_open(f);
    assert_int_equal(nx_iter_open(f->engine, &all, &iter, NULL), NX_OK);
    for (bool more = nx_iter_first(iter); more; more = nx_iter_next(iter))
        keys++;
    nx_iter_close(iter);
    assert_int_equal(keys, SYNC_THREADS * SYNC_COMMITS);
}

static void a_reopened_engine_has_everything(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_engine_stats stats;
    uint64_t sequence;

    engine_open(f);
    fill(f, 0, 500, "x");
    nx_engine_get_stats(f->engine, &stats);
    sequence = stats.sequence;
    engine_reopen(f);
    nx_engine_get_stats(f->engine, &stats);
    assert_int_equal(stats.sequence, sequence);
    assert_filled(f, 0, 500, "x");
    engine_put(f, "key00000", "newer");
    engine_reopen(f);
    assert_value(f, NULL, "key00000", "newer");
}

static void an_absent_database_is_not_made_unasked(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    f->options.create = false;
    strcat(f->dir, "/none");
    assert_int_equal(engine_open_code(f, &err), NX_ENOTFOUND);
    assert_non_null(strstr(err.message, f->dir));
    f->dir[strlen(f->dir) - 5] = '\0';
}

static void an_option_out_of_range_is_named(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    f->options.level_fanout = 21;
    assert_int_equal(engine_open_code(f, &err), NX_EINVAL);
    assert_non_null(strstr(err.message, "level_fanout is 21"));
}

static void a_second_open_is_refused(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_engine *second;

    engine_open(f);
    assert_int_equal(nx_engine_open(f->dir, &f->options, &second, &err), NX_ELOCKED);
    assert_null(second);
    assert_non_null(strstr(err.message, "process"));
}

static void another_process_is_refused_and_told_our_pid(void **state)
{
    struct engine_fixture *f = *state;
    char pid[32];
    pid_t child;
    int status;

    engine_open(f);
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    child = fork();
    if (child == 0) {
        struct nx_err err = NX_ERR_INIT;
        struct nx_engine *second;
        enum nx_code rc = nx_engine_open(f->dir, &f->options, &second, &err);

        _exit(rc == NX_ELOCKED && strstr(err.message, pid) ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_read_only_engine_reads_and_refuses(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    engine_open(f);
    engine_put(f, "a", "1");
    engine_close(f);
    f->options.read_only = true;
    engine_open(f);
    assert_value(f, NULL, "a", "1");
    assert_int_equal(engine_put_code(f, "b", "2", NX_BUFFERED, &err), NX_EROFS);
    engine_close(f);
    f->options.read_only = false;
    engine_open(f);
    assert_keys(f, NULL, "a ");
}

/* --- durability ------------------------------------------------------------------------------- */

static void note_done(void *arg, const struct nx_err *error)
{
    *(enum nx_code *)arg = error ? error->code : NX_DONE;
}

static void submit_acknowledges_each_level(void **state)
{
    struct engine_fixture *f = *state;
    enum nx_code buffered = NX_OK, synced = NX_OK;

    engine_open(f);
    nx_batch_clear(f->batch);
    nx_batch_put(f->batch, nx_slice_str("a"), nx_slice_str("1"));
    assert_int_equal(
        nx_engine_submit(f->engine, f->batch, NX_BUFFERED, true, note_done, &buffered, NULL),
        NX_OK);
    assert_int_equal(buffered, NX_DONE); /* before it returned */
    assert_int_equal(nx_engine_submit(f->engine, f->batch, NX_SYNC, true, note_done, &synced, NULL),
                     NX_OK);
    assert_value(f, NULL, "a", "1"); /* visible at once */
    assert_int_equal(nx_engine_sync(f->engine, NULL), NX_OK);
    assert_int_equal(synced, NX_DONE); /* the sync thread completes in order */
}

static void a_kill_keeps_buffered_commits(void **state)
{
    struct engine_fixture *f = *state;

    engine_open(f);
    fill(f, 0, 700, "k");
    engine_kill(f);
    engine_open(f);
    assert_filled(f, 0, 700, "k");
    engine_kill(f); /* what was replayed is still there when the next one dies at once */
    engine_open(f);
    assert_filled(f, 0, 700, "k");
}

static void power_loss_keeps_synced_commits(void **state)
{
    struct engine_fixture *f = *state;

    engine_open(f);
    fill(f, 0, 100, "p");
    assert_int_equal(engine_put_code(f, "last", "synced", NX_SYNC, NULL), NX_OK);
    for (uint64_t seed = 1; seed < 20; seed++) {
        engine_power_loss(f, seed);
        engine_open(f);
        assert_filled(f, 0, 100, "p"); /* a sync covers all before it */
        assert_value(f, NULL, "last", "synced");
    }
}

static void a_sync_after_a_replay_makes_the_replayed_durable(void **state)
{
    struct engine_fixture *f = *state;

    engine_open(f);
    engine_put(f, "a", "1"); /* in the page cache only */
    engine_kill(f);
    engine_open(f);
    assert_int_equal(engine_put_code(f, "b", "2", NX_SYNC, NULL), NX_OK);
    for (uint64_t seed = 1; seed < 20; seed++) {
        engine_power_loss(f, seed);
        engine_open(f);
        assert_keys(f, NULL, "a b ");
    }
}

static void the_interval_syncs_buffered_commits(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_engine_stats stats;

    f->options.sync_interval_ms = 1;
    engine_open(f);
    engine_put(f, "a", "1");
    do
        nx_engine_get_stats(f->engine, &stats);
    while (stats.syncs == 0);
    assert_int_equal(nx_engine_sync(f->engine, NULL), NX_OK);
    engine_power_loss(f, 3);
    engine_open(f);
    assert_keys(f, NULL, "a ");
}

/* --- damage ----------------------------------------------------------------------------------- */

static void a_flipped_bit_in_a_table_is_found_and_named(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    char path[96];
    enum nx_code rc;

    engine_open(f);
    fill(f, 0, 100, "t");
    engine_flush(f);
    engine_close(f);
    strcpy(path, engine_find_file(f, ".table"));
    assert_true(io_sim_flip(f->sim, path, 100));
    rc = engine_open_code(f, &err);
    if (rc == NX_OK)
        rc = nx_engine_get(f->engine, NULL, nx_slice_str("key00000"), &f->value, &err);
    assert_int_equal(rc, NX_ECORRUPT);
    assert_non_null(strstr(err.message, strrchr(path, '/') + 1));
}

static void a_damaged_log_is_refused_and_named(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    engine_open(f);
    engine_put(f, "a", "1");
    engine_close(f);
    assert_true(io_sim_flip(f->sim, "/db/000001.wal", 4096 + 60));
    assert_int_equal(engine_open_code(f, &err), NX_ECORRUPT);
    assert_non_null(strstr(err.message, "000001.wal"));
    assert_non_null(strstr(err.message, "offset 4096"));
    assert_null(f->engine);
}

static void a_damaged_manifest_is_refused_and_named(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    engine_open(f);
    engine_put(f, "a", "1");
    engine_flush(f);
    engine_close(f);
    assert_true(io_sim_flip(f->sim, "/db/MANIFEST-000001", 70));
    assert_int_equal(engine_open_code(f, &err), NX_ECORRUPT);
    assert_non_null(strstr(err.message, "MANIFEST-000001"));
}

static void a_missing_marker_is_not_a_new_database(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    engine_open(f);
    engine_put(f, "a", "1");
    engine_close(f);
    assert_int_equal(f->io->ops->remove(f->io, "/db/CURRENT-000001", NULL), NX_OK);
    assert_int_equal(engine_open_code(f, &err), NX_ECORRUPT);
    assert_non_null(strstr(err.message, "CURRENT"));
}

static void a_missing_table_is_refused_and_named(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    char path[96];

    engine_open(f);
    engine_put(f, "a", "1");
    engine_flush(f);
    engine_close(f);
    strcpy(path, engine_find_file(f, ".table"));
    assert_int_equal(f->io->ops->remove(f->io, path, NULL), NX_OK);
    assert_int_equal(engine_open_code(f, &err), NX_ECORRUPT);
    assert_non_null(strstr(err.message, path));
}

static void orphans_are_removed(void **state)
{
    struct engine_fixture *f = *state;
    struct nx_file *file;

    engine_open(f);
    engine_close(f);
    assert_int_equal(f->io->ops->open(f->io, engine_path(f, "000777.table"),
                                      NX_OPEN_WRITE | NX_OPEN_CREATE, &file, NULL),
                     NX_OK);
    file->ops->close(file);
    engine_open(f);
    assert_int_equal(
        f->io->ops->open(f->io, engine_path(f, "000777.table"), NX_OPEN_READ, &file, NULL),
        NX_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(later_changes_win),
        ON_ALL(a_batch_applies_in_its_order),
        ON_SIM(batches_refuse_what_is_too_large),
        ON_ALL(a_value_larger_than_everything_is_kept),
        ON_ALL(snapshots_isolate),
        ON_ALL(deleted_ranges_hide_what_is_older_only),
        ON_ALL(many_flushes_and_compactions_lose_nothing),
        {"posix: a_long_merge_makes_way_for_level_0", a_long_merge_makes_way_for_level_0,
         engine_set_up_posix, engine_tear_down, NULL},
        ON_ALL(compaction_gives_space_back),
        ON_ALL(what_comes_to_the_last_level_is_compressed_as_that_level_is),
        ON_ALL(what_is_compacted_on_request_is_dense),
        ON_ALL(the_reserve_follows_the_log_down),
        ON_ALL(a_flush_lets_the_log_go),
        ON_SIM(threads_that_sync_at_once_all_keep_their_commits),
        ON_ALL(a_reopened_engine_has_everything),
        ON_ALL(an_absent_database_is_not_made_unasked),
        ON_SIM(an_option_out_of_range_is_named),
        ON_ALL(a_second_open_is_refused),
        cmocka_unit_test_setup_teardown(another_process_is_refused_and_told_our_pid,
                                        engine_set_up_posix, engine_tear_down),
        ON_ALL(a_read_only_engine_reads_and_refuses),
        ON_ALL(submit_acknowledges_each_level),
        ON_SIM(a_kill_keeps_buffered_commits),
        ON_SIM(power_loss_keeps_synced_commits),
        ON_SIM(a_sync_after_a_replay_makes_the_replayed_durable),
        ON_SIM(the_interval_syncs_buffered_commits),
        ON_SIM(a_flipped_bit_in_a_table_is_found_and_named),
        ON_SIM(a_damaged_log_is_refused_and_named),
        ON_SIM(a_damaged_manifest_is_refused_and_named),
        ON_SIM(a_missing_marker_is_not_a_new_database),
        ON_SIM(a_missing_table_is_refused_and_named),
        ON_ALL(orphans_are_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

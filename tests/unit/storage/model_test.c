/*
 * model_test.c - the engine against a sorted array.
 *
 * A small set of keys, so that versions, deletions and ranges meet; small memtables, tables and
 * blocks, so that flushes and compactions happen all the time. After each batch of operations
 * everything a reader can do is compared, at the newest state and at snapshots held for long. An
 * operation is a change, a lookup, a move of an iterator, or something that happens to the engine;
 * a comparison of the whole content counts as one.
 *
 * NEXADB_TEST_SCALE multiplies the operations: a million in CI, ten in the full run.
 * NEXADB_TEST_SEED is the one that was printed last.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <nexadb/engine.h>

#include "base/io_sim.h"
#include "tests/support/unit.h"
#include "tests/unit/storage/memory_file.h"
#include "tests/unit/storage/test_scale.h"

#define OPERATIONS 1000000
#define ON_DISK 16 /* one world of as many is; the others are on the simulated one */
#define KEYS 600
#define SNAPSHOTS 6
#define NAMED 3

/* What each key holds: 0 absent, else the number its value was made from. */
struct state {
    uint64_t value[KEYS];
};

struct world {
    char dir[64];
    struct io_sim *sim; /* NULL: on the disk */
    struct nx_engine_options options;
    struct nx_engine *engine;
    struct state now;
    struct nx_snapshot *snapshot[SNAPSHOTS]; /* NULL: free */
    struct state at[SNAPSHOTS];
    bool named[NAMED]; /* "named 0" and so on: they outlive a reopen */
    struct state named_at[NAMED];
    uint64_t seed;
    uint64_t written;    /* numbers given to values so far */
    uint64_t operations; /* compared or done */
};

static unsigned pick(struct world *w, unsigned below)
{
    return (unsigned)(test_random(&w->seed) % below);
}

static struct nx_slice key_of(unsigned i, char out[32])
{
    /* two prefixes and an odd length now and then, order as i */
    int n = snprintf(out, 32, i < KEYS / 2 ? "alpha/%05u%s" : "beta/%05u%s", i, i % 7 ? "" : "+");

    return nx_slice(out, (size_t)n);
}

static struct nx_slice value_of(uint64_t number, char out[400])
{
    size_t len = 8 + number * 37 % 350;

    snprintf(out, 400, "%08" PRIu64, number);
    for (size_t i = 8; i < len; i++)
        out[i] = (char)('a' + (number + i / 9) % 26);
    return nx_slice(out, len);
}

static void must(enum nx_code rc, const struct nx_err *err)
{
    if (rc != NX_OK)
        fail_msg("%s: %s", nx_code_name(rc), err->message);
}

/* --- the world -------------------------------------------------------------------------------- */

static void open_engine(struct world *w)
{
    struct nx_err err = NX_ERR_INIT;

    must(nx_engine_open(w->dir, &w->options, &w->engine, &err), &err);
}

static void close_engine(struct world *w)
{
    struct nx_err err = NX_ERR_INIT;

    must(nx_engine_close(w->engine, &err), &err);
}

static void begin(struct world *w, uint64_t seed, bool on_disk)
{
    w->seed = seed;
    nx_engine_options_init(&w->options);
    if (on_disk) {
        snprintf(w->dir, sizeof w->dir, "/tmp/nexadb-model-XXXXXX");
        assert_non_null(mkdtemp(w->dir));
    } else {
        snprintf(w->dir, sizeof w->dir, "/db");
        w->sim = io_sim_new(seed);
        assert_non_null(w->sim);
        w->options.io = io_sim_io(w->sim);
    }
    w->options.memtable_bytes = 64 << 10;
    w->options.table_bytes = 64 << 10;
    w->options.wal_segment_bytes = 256 << 10;
    w->options.wal_ring_bytes = pick(w, 3) ? 16u << (10 + pick(w, 4)) : 0;
    w->options.block_bytes = 256u << pick(w, 6);
    w->options.cache_bytes = pick(w, 2) ? 1 << 20 : 0;
    w->options.bloom_bits_per_key = pick(w, 2) ? 10 : 0;
    w->options.level_fanout = 2 + pick(w, 4);
    w->options.compression = (enum nx_compression)pick(w, 3);
    w->options.bottom_compression = (enum nx_compression)pick(w, 3);
    open_engine(w);
}

static void remove_dir(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    while (d && (entry = readdir(d)) != NULL) {
        char path[512];

        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

static void end(struct world *w)
{
    for (int i = 0; i < SNAPSHOTS; i++)
        nx_snapshot_release(w->snapshot[i]);
    close_engine(w);
    if (!w->sim)
        remove_dir(w->dir);
    io_sim_free(w->sim);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void delete_range(struct world *w, struct nx_batch *batch)
{
    unsigned a = pick(w, KEYS), b = a + pick(w, 60);
    char begin_key[32], end_key[32];

    b = b < KEYS ? b : KEYS - 1;
    assert_int_equal(nx_batch_delete_range(batch, key_of(a, begin_key), key_of(b, end_key)), NX_OK);
    for (unsigned i = a; i < b; i++)
        w->now.value[i] = 0;
}

static void change(struct world *w, struct nx_batch *batch)
{
    unsigned i = pick(w, KEYS), what = pick(w, 100);
    char key[32], value[400];

    w->operations++;

    if (what < 2) {
        delete_range(w, batch);
    } else if (what < 25) {
        assert_int_equal(nx_batch_delete(batch, key_of(i, key)), NX_OK);
        w->now.value[i] = 0;
    } else {
        w->now.value[i] = ++w->written;
        assert_int_equal(nx_batch_put(batch, key_of(i, key), value_of(w->written, value)), NX_OK);
    }
}

static void commit_some(struct world *w)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_batch *batch;

    assert_int_equal(nx_batch_new(&batch), NX_OK);
    for (unsigned n = 0; n < 40; n++) {
        nx_batch_clear(batch);
        for (unsigned c = 1 + pick(w, 12); c > 0; c--)
            change(w, batch);
        must(nx_engine_commit(w->engine, batch, pick(w, 50) ? NX_BUFFERED : NX_SYNC, &err), &err);
    }
    nx_batch_free(batch);
}

/* A stretch of keys, some left out, as a sorted run. */
static void ingest_some(struct world *w)
{
    unsigned step = 1 + pick(w, 3), end = pick(w, KEYS);
    struct nx_err err = NX_ERR_INIT;
    struct nx_run *run;

    must(nx_run_new(w->engine, &run, &err), &err);
    for (unsigned i = end - pick(w, end + 1); i < end; i += step) {
        char key[32], value[400];

        w->now.value[i] = ++w->written;
        w->operations++;
        must(nx_run_put(run, key_of(i, key), value_of(w->written, value), &err), &err);
    }
    must(nx_run_ingest(run, &err), &err);
    nx_run_free(run);
}

/* --- comparing -------------------------------------------------------------------------------- */

static void check_get(struct world *w, const struct nx_snapshot *snapshot,
                      const struct state *state, unsigned i)
{
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    char key[32], value[400];
    enum nx_code rc = nx_engine_get(w->engine, snapshot, key_of(i, key), &out, &err);

    w->operations++;
    if (!state->value[i]) {
        assert_int_equal(rc, NX_ENOTFOUND);
        return;
    }
    must(rc, &err);
    assert_true(nx_slice_equal(nx_buf_slice(&out), value_of(state->value[i], value)));
}

/* The nearest present key from i on, inside [from, to); -1 when there is none. */
static int present(const struct state *state, int i, int step, int from, int to)
{
    for (; i >= from && i < to; i += step)
        if (state->value[i])
            return i;
    return -1;
}

static void assert_stands_on(const struct nx_iter *iter, const struct state *state, int i)
{
    char key[32], value[400];
    struct nx_err err = NX_ERR_INIT;

    must(nx_iter_status(iter, &err), &err);
    assert_int_equal(nx_iter_valid(iter), i >= 0);
    if (i < 0)
        return;
    assert_true(nx_slice_equal(nx_iter_key(iter), key_of((unsigned)i, key)));
    assert_true(nx_slice_equal(nx_iter_value(iter), value_of(state->value[i], value)));
}

/* A walk of random moves inside random bounds. */
static void check_walk(struct world *w, const struct nx_snapshot *snapshot,
                       const struct state *state)
{
    char lower[32], upper[32], key[32];
    int from = 0, to = KEYS, at = -1;
    struct nx_range range = {.snapshot = snapshot, .keep_cache = pick(w, 2)};
    struct nx_err err = NX_ERR_INIT;
    struct nx_iter *iter;

    if (pick(w, 2)) {
        from = (int)pick(w, KEYS);
        range.lower = key_of((unsigned)from, lower);
    }
    if (pick(w, 2)) {
        to = (int)pick(w, KEYS);
        range.upper = key_of((unsigned)to, upper);
    }
    must(nx_iter_open(w->engine, &range, &iter, &err), &err);
    for (int n = 0; n < 60; n++) {
        int i = (int)pick(w, KEYS), what = (int)pick(w, at < 0 ? 4 : 14);

        if (what == 0) {
            nx_iter_first(iter);
            at = present(state, from, 1, from, to);
        } else if (what == 1) {
            nx_iter_last(iter);
            at = present(state, to - 1, -1, from, to);
        } else if (what == 2) {
            nx_iter_seek(iter, key_of((unsigned)i, key));
            at = present(state, i > from ? i : from, 1, from, to);
        } else if (what == 3) {
            nx_iter_seek_for_prev(iter, key_of((unsigned)i, key));
            at = present(state, i < to ? i : to - 1, -1, from, to);
        } else if (what < 9) {
            nx_iter_next(iter);
            at = present(state, at + 1, 1, from, to);
        } else {
            nx_iter_prev(iter);
            at = present(state, at - 1, -1, from, to);
        }
        assert_stands_on(iter, state, at);
        w->operations++;
    }
    nx_iter_close(iter);
}

static void check_all(struct world *w, const struct nx_snapshot *snapshot,
                      const struct state *state)
{
    struct nx_range range = {.snapshot = snapshot};
    struct nx_err err = NX_ERR_INIT;
    struct nx_iter *iter;
    int at;

    w->operations++;
    must(nx_iter_open(w->engine, &range, &iter, &err), &err);
    nx_iter_first(iter);
    for (at = present(state, 0, 1, 0, KEYS); at >= 0; at = present(state, at + 1, 1, 0, KEYS)) {
        assert_stands_on(iter, state, at);
        nx_iter_next(iter);
    }
    assert_false(nx_iter_valid(iter));
    nx_iter_last(iter);
    for (at = present(state, KEYS - 1, -1, 0, KEYS); at >= 0;
         at = present(state, at - 1, -1, 0, KEYS)) {
        assert_stands_on(iter, state, at);
        nx_iter_prev(iter);
    }
    assert_false(nx_iter_valid(iter));
    must(nx_iter_status(iter, &err), &err);
    nx_iter_close(iter);
}

static void compare_named(struct world *w, unsigned n)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_snapshot_info info;
    struct nx_snapshot *snapshot;
    char name[16];
    size_t len = (size_t)snprintf(name, sizeof name, "named %u", n);
    enum nx_code rc = nx_engine_snapshot_find(w->engine, name, len, &info, &err);

    if (!w->named[n]) {
        assert_int_equal(rc, NX_ENOTFOUND);
        return;
    }
    must(rc, &err);
    must(nx_engine_snapshot_open(w->engine, info.number, NULL, &snapshot, &err), &err);
    check_walk(w, snapshot, &w->named_at[n]);
    check_all(w, snapshot, &w->named_at[n]);
    nx_snapshot_release(snapshot);
}

static void compare(struct world *w)
{
    compare_named(w, pick(w, NAMED));
    for (int n = 0; n < 60; n++)
        check_get(w, NULL, &w->now, pick(w, KEYS));
    check_walk(w, NULL, &w->now);
    check_all(w, NULL, &w->now);
    for (int s = 0; s < SNAPSHOTS; s++) {
        if (!w->snapshot[s])
            continue;
        for (int n = 0; n < 20; n++)
            check_get(w, w->snapshot[s], &w->at[s], pick(w, KEYS));
        check_walk(w, w->snapshot[s], &w->at[s]);
        if (pick(w, SNAPSHOTS) == 0)
            check_all(w, w->snapshot[s], &w->at[s]);
    }
}

/* --- the rest of life ------------------------------------------------------------------------- */

static void turn_snapshot(struct world *w)
{
    unsigned s = pick(w, SNAPSHOTS);

    if (w->snapshot[s]) {
        nx_snapshot_release(w->snapshot[s]);
        w->snapshot[s] = NULL;
    } else {
        w->snapshot[s] = nx_snapshot_take(w->engine);
        assert_non_null(w->snapshot[s]);
        w->at[s] = w->now;
    }
}

static void turn_named(struct world *w)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_snapshot_info info;
    unsigned n = pick(w, NAMED);
    char name[16];
    size_t len = (size_t)snprintf(name, sizeof name, "named %u", n);

    if (w->named[n]) {
        must(nx_engine_snapshot_drop(w->engine, name, len, &err), &err);
    } else {
        must(nx_engine_snapshot_make(w->engine, name, len, &info, &err), &err);
        w->named_at[n] = w->now;
    }
    w->named[n] = !w->named[n];
}

static void reopen(struct world *w)
{
    for (int i = 0; i < SNAPSHOTS; i++) {
        nx_snapshot_release(w->snapshot[i]);
        w->snapshot[i] = NULL;
    }
    close_engine(w);
    open_engine(w);
}

static void disturb(struct world *w)
{
    struct nx_err err = NX_ERR_INIT;
    char begin_key[32], end_key[32];
    unsigned what = pick(w, 20);

    w->operations++;
    if (what < 8)
        turn_snapshot(w);
    else if (what < 11)
        must(nx_engine_flush(w->engine, &err), &err);
    else if (what < 12)
        must(nx_engine_compact(w->engine, NX_SLICE_NULL, NX_SLICE_NULL, &err), &err);
    else if (what < 14)
        must(nx_engine_compact(w->engine, key_of(pick(w, KEYS / 2), begin_key),
                               key_of(KEYS / 2 + pick(w, KEYS / 2), end_key), &err),
             &err);
    else if (what < 15)
        reopen(w);
    else if (what < 17)
        turn_named(w);
    else if (what < 19)
        ingest_some(w);
}

static uint64_t run_world(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    uint64_t operations;

    assert_non_null(w);
    print_message("seed %" PRIu64 "\n", seed);
    begin(w, seed * UINT64_C(0x9e3779b97f4a7c15), seed % ON_DISK == 0);
    for (int round = 0; round < 50; round++) {
        commit_some(w);
        disturb(w);
        compare(w);
    }
    operations = w->operations;
    end(w);
    free(w);
    return operations;
}

static void it_agrees_with_a_sorted_array(void **state)
{
    const char *chosen = getenv("NEXADB_TEST_SEED");
    uint64_t seed = chosen ? strtoull(chosen, NULL, 10) : 1, done = 0;

    (void)state;
    do
        done += run_world(seed++);
    while (!chosen && done < test_count(OPERATIONS));
    print_message("%" PRIu64 " operations\n", done);
}

static void a_deleted_range_frees_its_space_once_compacted(void **state)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_engine_stats stats;
    struct world *w = calloc(1, sizeof *w);
    struct nx_batch *batch;
    char begin_key[32];

    (void)state;
    begin(w, 99, true);
    for (int n = 0; n < 10; n++)
        commit_some(w);
    assert_int_equal(nx_batch_new(&batch), NX_OK);
    nx_batch_delete_range(batch, key_of(0, begin_key), nx_slice_str("zzz"));
    must(nx_engine_commit(w->engine, batch, NX_BUFFERED, &err), &err);
    nx_batch_free(batch);
    memset(&w->now, 0, sizeof w->now);
    compare(w);
    must(nx_engine_compact(w->engine, NX_SLICE_NULL, NX_SLICE_NULL, &err), &err);
    compare(w);
    nx_engine_get_stats(w->engine, &stats);
    assert_int_equal(stats.table_count, 0);
    end(w);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_agrees_with_a_sorted_array),
        cmocka_unit_test(a_deleted_range_frees_its_space_once_compacted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

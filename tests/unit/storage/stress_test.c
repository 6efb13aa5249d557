/*
 * stress_test.c - everything at once: writers, readers, iterators, snapshots with and without a
 * name, sorted runs, deleted ranges, flushes, compactions, checkpoints. Each test has a rule that a
 * reader can check at any moment, alone. Three of the rules are defects that the engine before this
 * one had: deletions that were undone, reads that went back to an older table's value, and values
 * of another key under load.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/storage/engine_fixture.h"

enum { COMMITS = 150, KEYS = 16, ACTORS_MAX = 12 };

struct stress {
    struct nx_engine *engine;
    atomic_int writers_left;
    atomic_int faults;
    _Atomic unsigned told[KEYS]; /* what a writer was acknowledged for its key */
};

struct actor {
    struct stress *stress;
    void (*step)(struct actor *self, unsigned n); /* repeated */
    unsigned steps;                               /* 0: until the writers are done */
    int number;
    struct nx_batch *batch;
    struct nx_buf value;
    int seen[KEYS];
    pthread_t thread;
};

static void *act(void *arg)
{
    struct actor *self = arg;

    for (unsigned n = 1;
         self->steps ? n <= self->steps : atomic_load(&self->stress->writers_left) > 0; n++)
        self->step(self, n);
    if (self->steps)
        atomic_fetch_sub(&self->stress->writers_left, 1);
    return NULL;
}

static void fault(struct actor *self, const char *what)
{
    if (atomic_fetch_add(&self->stress->faults, 1) == 0)
        print_error("actor %d: %s\n", self->number, what);
}

static void must(struct actor *self, enum nx_code rc, const char *what)
{
    if (rc != NX_OK)
        fault(self, what);
}

/* All of them at once, on an engine that was opened. */
static void run(struct engine_fixture *f, const struct actor *roles, size_t count)
{
    struct stress stress = {.engine = f->engine};
    struct actor actors[ACTORS_MAX];

    assert_true(count <= ACTORS_MAX);
    for (size_t i = 0; i < count; i++) {
        actors[i] = roles[i];
        actors[i].stress = &stress;
        actors[i].value = NX_BUF_INIT;
        assert_int_equal(nx_batch_new(&actors[i].batch), NX_OK);
        atomic_fetch_add(&stress.writers_left, actors[i].steps > 0);
    }
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pthread_create(&actors[i].thread, NULL, act, &actors[i]), 0);
    for (size_t i = 0; i < count; i++) {
        pthread_join(actors[i].thread, NULL);
        nx_batch_free(actors[i].batch);
        nx_buf_fini(&actors[i].value);
    }
    assert_int_equal(atomic_load(&stress.faults), 0);
}

#define RUN(f, roles) run(f, roles, sizeof(roles) / sizeof((roles)[0]))

static void commit(struct actor *self, unsigned n)
{
    must(self,
         nx_engine_commit(self->stress->engine, self->batch, n % 50 ? NX_BUFFERED : NX_SYNC, NULL),
         "commit");
}

/* The number that a value begins with; 0 when the key is absent. */
static int read_number(struct actor *self, const struct nx_snapshot *snapshot, const char *key)
{
    enum nx_code rc =
        nx_engine_get(self->stress->engine, snapshot, nx_slice_str(key), &self->value, NULL);

    if (rc != NX_OK && rc != NX_ENOTFOUND)
        fault(self, "get");
    return rc == NX_OK ? atoi((char *)self->value.data) : 0;
}

/* --- what goes on beside ---------------------------------------------------------------------- */

static void flush_now(struct actor *self, unsigned n)
{
    (void)n;
    must(self, nx_engine_flush(self->stress->engine, NULL), "flush");
}

static void compact_now(struct actor *self, unsigned n)
{
    (void)n;
    must(self, nx_engine_compact(self->stress->engine, NX_SLICE_NULL, NX_SLICE_NULL, NULL),
         "compact");
}

static void turn_named(struct actor *self, unsigned n)
{
    struct nx_snapshot_info info;
    char name = (char)('0' + self->number);

    (void)n;
    must(self, nx_engine_snapshot_make(self->stress->engine, &name, 1, &info, NULL), "name");
    must(self, nx_engine_snapshot_drop(self->stress->engine, &name, 1, NULL), "drop");
}

/* A collection that comes and goes: its space is to come back too. */
static void fill_and_drop(struct actor *self, unsigned n)
{
    char key[16], value[200];

    memset(value, 'x', sizeof value);
    nx_batch_clear(self->batch);
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "drop%03d", i);
        nx_batch_put(self->batch, nx_slice_str(key), nx_slice(value, sizeof value));
    }
    commit(self, n);
    nx_batch_clear(self->batch);
    nx_batch_delete_range(self->batch, nx_slice_str("drop"), nx_slice_str("drop~"));
    commit(self, n);
    must(self,
         nx_engine_reclaim(self->stress->engine, nx_slice_str("drop"), nx_slice_str("drop~"), NULL),
         "reclaim");
}

static void read_figures(struct actor *self, unsigned n)
{
    struct nx_engine_stats stats;

    (void)n;
    nx_engine_get_stats(self->stress->engine, &stats);
    if (stats.background_error != NX_OK)
        fault(self, "there is a background error");
}

/* --- whole batches ---------------------------------------------------------------------------- */

/* Two keys of one batch count up together. Every tenth is a sorted run instead. */
static void write_pair(struct actor *self, unsigned n)
{
    char a[16], b[16], value[400];

    memset(value, '.', sizeof value);
    snprintf(a, sizeof a, "a%d", self->number);
    snprintf(b, sizeof b, "b%d", self->number);
    snprintf(value, sizeof value, "%u", n);
    if (n % 10 == 0) {
        struct nx_run *entries;

        must(self, nx_run_new(self->stress->engine, &entries, NULL), "run");
        must(self, nx_run_put(entries, nx_slice_str(a), nx_slice(value, sizeof value), NULL), "a");
        must(self, nx_run_put(entries, nx_slice_str(b), nx_slice(value, sizeof value), NULL), "b");
        must(self, nx_run_ingest(entries, NULL), "ingest");
        nx_run_free(entries);
        return;
    }
    nx_batch_clear(self->batch);
    nx_batch_put(self->batch, nx_slice_str(a), nx_slice(value, sizeof value));
    nx_batch_delete(self->batch, nx_slice_str(b));
    nx_batch_put(self->batch, nx_slice_str(b), nx_slice(value, sizeof value));
    commit(self, n);
}

/* Equal, and never lower than was seen. */
static void check_pairs(struct actor *self, unsigned n)
{
    struct nx_snapshot *snapshot = nx_snapshot_take(self->stress->engine);

    (void)n;
    for (int w = 0; w < 3; w++) {
        char a[2] = {'a', 0}, b[2] = {'b', 0}, key_a[16], key_b[16];
        int first, second, now;

        snprintf(key_a, sizeof key_a, "%s%d", a, w);
        snprintf(key_b, sizeof key_b, "%s%d", b, w);
        first = read_number(self, snapshot, key_a);
        second = read_number(self, snapshot, key_b);
        now = read_number(self, NULL, key_a);
        if (first != second || first < self->seen[w] || now < first)
            fault(self, "a batch was seen in part, or undone");
        self->seen[w] = first;
    }
    nx_snapshot_release(snapshot);
}

/* Forwards and backwards show the same pairs. */
static void walk_pairs(struct actor *self, unsigned n)
{
    const struct nx_range range = {.lower = nx_slice_str("a"), .upper = nx_slice_str("c")};
    struct nx_iter *iter;
    int there[8] = {0}, back[8] = {0}, count = 0, left;

    (void)n;
    if (nx_iter_open(self->stress->engine, &range, &iter, NULL) != NX_OK) {
        fault(self, "iterator");
        return;
    }
    for (bool ok = nx_iter_first(iter); ok && count < 8; ok = nx_iter_next(iter))
        there[count++] = atoi((const char *)nx_iter_value(iter).data);
    left = count;
    for (bool ok = nx_iter_last(iter); ok && left > 0; ok = nx_iter_prev(iter))
        back[--left] = atoi((const char *)nx_iter_value(iter).data);
    if (nx_iter_status(iter, NULL) != NX_OK || left != 0 || count % 2 ||
        memcmp(there, back, sizeof there) != 0 ||
        memcmp(there, there + count / 2, sizeof(int) * (size_t)(count / 2)) != 0)
        fault(self, "a walk showed half a batch, or not the same twice");
    nx_iter_close(iter);
}

static void readers_see_whole_batches_and_never_go_back(void **state)
{
    static const struct actor roles[] = {
        {.step = write_pair, .steps = COMMITS, .number = 0},
        {.step = write_pair, .steps = COMMITS, .number = 1},
        {.step = write_pair, .steps = COMMITS, .number = 2},
        {.step = check_pairs, .number = 3},
        {.step = walk_pairs, .number = 4},
        {.step = flush_now, .number = 5},
        {.step = compact_now, .number = 6},
        {.step = turn_named, .number = 7},
        {.step = fill_and_drop, .number = 8},
        {.step = read_figures, .number = 9},
    };
    struct engine_fixture *f = *state;

    engine_open(f);
    RUN(f, roles);
    engine_reopen(f);
    for (int w = 0; w < 3; w++) {
        char key[16];

        snprintf(key, sizeof key, "b%d", w);
        assert_int_equal(nx_engine_get(f->engine, NULL, nx_slice_str(key), &f->value, NULL), NX_OK);
        assert_int_equal(atoi((char *)f->value.data), COMMITS);
    }
}

/* --- deletions that come back ----------------------------------------------------------------- */

/* Key n is put, put again, and deleted for good. */
static void put_and_delete(struct actor *self, unsigned n)
{
    char key[16], value[300];

    memset(value, 'x', sizeof value);
    snprintf(key, sizeof key, "k%06u", n);
    for (int i = 0; i < 3; i++) {
        nx_batch_clear(self->batch);
        if (i < 2)
            nx_batch_put(self->batch, nx_slice_str(key), nx_slice(value, sizeof value));
        else
            nx_batch_delete(self->batch, nx_slice_str(key));
        commit(self, n);
    }
    atomic_store(&self->stress->told[0], n);
}

static void look_for_deleted(struct actor *self, unsigned n)
{
    unsigned told = atomic_load(&self->stress->told[0]);
    char key[16], end[16];
    struct nx_range range = {.lower = nx_slice_str("k")};
    struct nx_iter *iter;

    if (told == 0)
        return;
    snprintf(key, sizeof key, "k%06u", 1 + n * 7919 % told);
    if (nx_engine_get(self->stress->engine, NULL, nx_slice_str(key), &self->value, NULL) !=
        NX_ENOTFOUND)
        fault(self, "a deleted key is back");
    snprintf(end, sizeof end, "k%06u", told + 1);
    range.upper = nx_slice_str(end);
    if (nx_iter_open(self->stress->engine, &range, &iter, NULL) != NX_OK || nx_iter_first(iter))
        fault(self, "an iterator shows a deleted key");
    nx_iter_close(iter);
}

static void a_deleted_key_never_comes_back(void **state)
{
    static const struct actor roles[] = {
        {.step = put_and_delete, .steps = COMMITS, .number = 0},
        {.step = look_for_deleted, .number = 1},
        {.step = look_for_deleted, .number = 2},
        {.step = flush_now, .number = 3},
        {.step = compact_now, .number = 4},
    };
    struct engine_fixture *f = *state;

    engine_open(f);
    RUN(f, roles);
    assert_keys(f, NULL, "");
    engine_kill(f);
    engine_open(f);
    assert_keys(f, NULL, "");
}

/* --- older values ----------------------------------------------------------------------------- */

static void count_up(struct actor *self, unsigned n)
{
    unsigned k = n % KEYS;
    char key[16], value[600];

    memset(value, '.', sizeof value);
    snprintf(key, sizeof key, "key%02u", k);
    snprintf(value, sizeof value, "%u", n);
    nx_batch_clear(self->batch);
    nx_batch_put(self->batch, nx_slice_str(key), nx_slice(value, sizeof value));
    commit(self, n);
    atomic_store(&self->stress->told[k], n);
}

static void look_for_newest(struct actor *self, unsigned n)
{
    unsigned k = n * 7 % KEYS, told = atomic_load(&self->stress->told[k]);
    char key[16];

    snprintf(key, sizeof key, "key%02u", k);
    if (read_number(self, NULL, key) < (int)told)
        fault(self, "a read went back behind what was acknowledged");
}

static void a_read_never_finds_an_older_tables_value(void **state)
{
    static const struct actor roles[] = {
        {.step = count_up, .steps = 2 * COMMITS, .number = 0},
        {.step = look_for_newest, .number = 1},
        {.step = look_for_newest, .number = 2},
        {.step = flush_now, .number = 3},
        {.step = compact_now, .number = 4},
    };
    struct engine_fixture *f = *state;

    f->options.cache_bytes = 0;
    engine_open(f);
    RUN(f, roles);
}

/* --- other keys' values ----------------------------------------------------------------------- */

/* Every value says whose it is, all along. */
static void write_signed(struct actor *self, unsigned n)
{
    char key[16], value[900];

    snprintf(key, sizeof key, "key%05u", n * 7919 % 500);
    nx_batch_clear(self->batch);
    for (size_t at = 0; at + 8 <= sizeof value; at += 8)
        memcpy(value + at, key, 8);
    nx_batch_put(self->batch, nx_slice_str(key), nx_slice(value, 8 * (10 + n % 100)));
    commit(self, n);
}

static bool is_signed(struct nx_slice key, struct nx_slice value)
{
    for (size_t at = 0; at < value.len; at += 8)
        if (memcmp(value.data + at, key.data, 8) != 0)
            return false;
    return value.len >= 80 && value.len % 8 == 0;
}

static void check_signed(struct actor *self, unsigned n)
{
    struct nx_range range = {.keep_cache = n % 2};
    char key[16];
    struct nx_iter *iter;

    snprintf(key, sizeof key, "key%05u", n * 31 % 500);
    if (nx_engine_get(self->stress->engine, NULL, nx_slice_str(key), &self->value, NULL) == NX_OK &&
        !is_signed(nx_slice_str(key), nx_buf_slice(&self->value)))
        fault(self, "a lookup got another key's value");
    if (n % 10)
        return;
    if (nx_iter_open(self->stress->engine, &range, &iter, NULL) != NX_OK) {
        fault(self, "iterator");
        return;
    }
    nx_iter_seek(iter, nx_slice_str(key));
    for (int i = 0; i < 20 && nx_iter_valid(iter);
         i++, n % 4 ? nx_iter_next(iter) : nx_iter_prev(iter))
        if (!is_signed(nx_iter_key(iter), nx_iter_value(iter)))
            fault(self, "an iterator shows another key's value");
    nx_iter_close(iter);
}

static void readers_at_once_get_the_values_of_their_keys(void **state)
{
    static const struct actor roles[] = {
        {.step = write_signed, .steps = 2 * COMMITS, .number = 0},
        {.step = write_signed, .steps = 2 * COMMITS, .number = 1},
        {.step = check_signed, .number = 2},
        {.step = check_signed, .number = 3},
        {.step = check_signed, .number = 4},
        {.step = check_signed, .number = 5},
        {.step = compact_now, .number = 6},
    };
    struct engine_fixture *f = *state;

    f->options.cache_bytes = 32 << 10; /* so that blocks leave it all the time */
    f->options.block_bytes = 512;
    engine_open(f);
    RUN(f, roles);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(readers_see_whole_batches_and_never_go_back),
        ON_SIM(a_deleted_key_never_comes_back),
        ON_SIM(a_read_never_finds_an_older_tables_value),
        ON_SIM(readers_at_once_get_the_values_of_their_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

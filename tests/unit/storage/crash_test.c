/*
 * crash_test.c - power loss and kill at any moment, checked against a ledger.
 *
 * A seeded workload writes numbered batches and crashes in the middle of some operation of the file
 * layer, on whatever thread that runs. Batch n sets the key "last" to n, and one of a few other
 * keys; so what a recovered engine holds says which prefix of history it is, and a replay of the
 * history up to there must agree with every key. The prefix must hold every batch that was
 * acknowledged, by its durability, before the crash.
 *
 * NEXADB_TEST_SCALE multiplies the crashes: ten thousand in CI, a hundred thousand in the full run.
 * NEXADB_TEST_SEED is the one that a failure named.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/storage/engine_fixture.h"
#include "tests/unit/storage/test_scale.h"

enum { KEYS = 24, BATCHES = 120, CRASHES = 10000, CRASHES_A_DISK = 5, RING = 16 << 10 };

enum named_state { UNNAMED, BEING_NAMED, NAMED, BEING_DROPPED };

/* What happened, by batch number. */
struct ledger {
    struct {
        int key;       /* index; for a range the first one */
        int end;       /* of a range */
        size_t pad;    /* bytes of the value; 0: deleted */
        bool is_range; /* deleted, or put as a sorted run */
    } batch[BATCHES * CRASHES_A_DISK + 1];
    /* Snapshots by the batch they were made behind: "s<batch>". */
    _Atomic unsigned char named[BATCHES * CRASHES_A_DISK + 1]; /* enum named_state */
    unsigned char named_at_crash[BATCHES * CRASHES_A_DISK + 1];
    _Atomic int count;  /* batches sent; the first is 1 */
    _Atomic int acked;  /* buffered or synced */
    _Atomic int synced; /* highest that was acknowledged as durable */
    int acked_at_crash, synced_at_crash;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static unsigned below(uint64_t *state, unsigned limit)
{
    return (unsigned)(next_random(state) % limit);
}

static void key_name(int key, char out[16])
{
    snprintf(out, 16, "key%02d", key);
}

/* --- the workload ----------------------------------------------------------------------------- */

static const char filler[4096] = "filler";

static void build_batch(struct engine_fixture *f, struct ledger *ledger, int n, uint64_t *random)
{
    char key[16], end[16], number[16];
    int k = (int)below(random, KEYS);

    nx_batch_clear(f->batch);
    ledger->batch[n].key = k;
    ledger->batch[n].is_range = below(random, 12) == 0;
    ledger->batch[n].pad = below(random, 5) == 0 ? 0 : 1 + below(random, 3000);
    ledger->batch[n].end = k + 1 + (int)below(random, KEYS);
    key_name(k, key);
    key_name(ledger->batch[n].end, end);
    if (ledger->batch[n].is_range)
        ledger->batch[n].pad = 0;
    if (ledger->batch[n].is_range)
        nx_batch_delete_range(f->batch, nx_slice_str(key), nx_slice_str(end));
    else if (ledger->batch[n].pad)
        nx_batch_put(f->batch, nx_slice_str(key), nx_slice(filler, ledger->batch[n].pad));
    else
        nx_batch_delete(f->batch, nx_slice_str(key));
    snprintf(number, sizeof number, "%d", n);
    nx_batch_put(f->batch, nx_slice_str("last"), nx_slice_str(number));
}

/* False when the engine refused, as it may once its disk is gone. */
static bool send_batch(struct engine_fixture *f, struct ledger *ledger, uint64_t *random)
{
    int n = ledger->count + 1;
    bool is_sync = below(random, 6) == 0;

    build_batch(f, ledger, n, random);
    ledger->count = n;
    if (nx_engine_commit(f->engine, f->batch, is_sync ? NX_SYNC : NX_BUFFERED, NULL) != NX_OK)
        return false;
    atomic_store(&ledger->acked, n);
    if (is_sync)
        atomic_store(&ledger->synced, n);
    return true;
}

/* A batch that is a sorted run: a stretch of keys, and "last". */
static bool send_run(struct engine_fixture *f, struct ledger *ledger, uint64_t *random)
{
    int n = ledger->count + 1;
    struct nx_run *run;
    char text[16];
    enum nx_code rc;

    ledger->batch[n].is_range = true;
    ledger->batch[n].key = (int)below(random, KEYS);
    ledger->batch[n].end = ledger->batch[n].key + 1 + (int)below(random, KEYS);
    ledger->batch[n].pad = 1 + below(random, 3000);
    ledger->count = n;
    if (nx_run_new(f->engine, &run, NULL) != NX_OK)
        return false;
    rc = NX_OK;
    for (int k = ledger->batch[n].key; k < ledger->batch[n].end && rc == NX_OK; k++) {
        key_name(k, text);
        rc = nx_run_put(run, nx_slice_str(text), nx_slice(filler, ledger->batch[n].pad), NULL);
    }
    snprintf(text, sizeof text, "%d", n);
    if (rc == NX_OK)
        rc = nx_run_put(run, nx_slice_str("last"), nx_slice_str(text), NULL);
    if (rc == NX_OK)
        rc = nx_run_ingest(run, NULL);
    nx_run_free(run);
    if (rc != NX_OK)
        return false;
    atomic_store(&ledger->acked, n);
    atomic_store(&ledger->synced, n);
    return true;
}

/* One snapshot at a time: make it, or drop it. */
static void turn_named(struct engine_fixture *f, struct ledger *ledger, int *current, uint64_t seed)
{
    int at = *current ? *current : ledger->count;
    struct nx_snapshot_info info;
    char name[16];
    int len = snprintf(name, sizeof name, "s%d", at);
    enum nx_code rc;

    atomic_store(&ledger->named[at], *current ? BEING_DROPPED : BEING_NAMED);
    rc = *current ? nx_engine_snapshot_drop(f->engine, name, (size_t)len, NULL)
                  : nx_engine_snapshot_make(f->engine, name, (size_t)len, &info, NULL);
    if (rc != NX_OK)
        fail_msg("seed %llu: snapshot %s: %s", (unsigned long long)seed, name, nx_code_name(rc));
    atomic_store(&ledger->named[at], *current ? UNNAMED : NAMED);
    *current = *current ? 0 : at;
}

static void note_crash(void *arg)
{
    struct ledger *ledger = arg;

    for (int n = 0; n <= ledger->count; n++)
        ledger->named_at_crash[n] = atomic_load(&ledger->named[n]);
    ledger->acked_at_crash = atomic_load(&ledger->acked);
    ledger->synced_at_crash = atomic_load(&ledger->synced);
}

/* --- the check -------------------------------------------------------------------------------- */

static int recovered_batch(struct engine_fixture *f)
{
    enum nx_code rc = nx_engine_get(f->engine, NULL, nx_slice_str("last"), &f->value, NULL);

    if (rc == NX_ENOTFOUND)
        return 0;
    assert_int_equal(rc, NX_OK);
    nx_buf_append_byte(&f->value, 0);
    return atoi((char *)f->value.data);
}

static void check_history(struct engine_fixture *f, const struct nx_snapshot *snapshot,
                          const struct ledger *ledger, int last, uint64_t seed)
{
    size_t pads[2 * KEYS + 1] = {0};

    for (int n = 1; n <= last; n++) {
        if (!ledger->batch[n].is_range)
            pads[ledger->batch[n].key] = ledger->batch[n].pad;
        for (int k = ledger->batch[n].key;
             ledger->batch[n].is_range && k < ledger->batch[n].end && k < 2 * KEYS; k++)
            pads[k] = ledger->batch[n].pad;
    }
    for (int k = 0; k < KEYS; k++) {
        char key[16];
        enum nx_code rc;

        key_name(k, key);
        rc = nx_engine_get(f->engine, snapshot, nx_slice_str(key), &f->value, NULL);
        if (rc != (pads[k] ? NX_OK : NX_ENOTFOUND) || f->value.len != pads[k])
            fail_msg("seed %llu: after batch %d '%s' has %zu bytes instead of %zu (%s)",
                     (unsigned long long)seed, last, key, f->value.len, pads[k], nx_code_name(rc));
    }
}

/* Those that were acknowledged are there, and each shows the history it was made behind. */
static int check_named(struct engine_fixture *f, struct ledger *ledger, uint64_t seed)
{
    struct nx_snapshot_info info = {0};
    unsigned char found[BATCHES * CRASHES_A_DISK + 1] = {0};
    int current = 0;

    while (nx_engine_snapshot_next(f->engine, info.number, &info) == NX_OK) {
        struct nx_snapshot *snapshot;

        current = atoi(info.name + 1);
        assert_int_equal(nx_engine_snapshot_open(f->engine, info.number, NULL, &snapshot, NULL),
                         NX_OK);
        if (ledger->named_at_crash[current] == UNNAMED)
            fail_msg("seed %llu: snapshot %s is there", (unsigned long long)seed, info.name);
        check_history(f, snapshot, ledger, current, seed);
        nx_snapshot_release(snapshot);
        found[current] = NAMED;
    }
    for (int n = 0; n <= BATCHES * CRASHES_A_DISK; n++) {
        if (ledger->named_at_crash[n] == NAMED && !found[n])
            fail_msg("seed %llu: snapshot s%d is gone", (unsigned long long)seed, n);
        atomic_store(&ledger->named[n], found[n]);
    }
    return current;
}

static void check_recovered(struct engine_fixture *f, struct ledger *ledger, int at_least,
                            uint64_t seed)
{
    struct nx_err err = NX_ERR_INIT;
    int last;

    if (engine_open_code(f, &err) != NX_OK)
        fail_msg("seed %llu: open: %s", (unsigned long long)seed, err.message);
    last = recovered_batch(f);
    if (last < at_least || last > ledger->count)
        fail_msg("seed %llu: recovered batch %d of %d, acknowledged were %d",
                 (unsigned long long)seed, last, ledger->count, at_least);
    check_history(f, NULL, ledger, last, seed);
    ledger->count = last; /* what was lost never happened */
    atomic_store(&ledger->acked, last);
    atomic_store(&ledger->synced, ledger->synced_at_crash);
}

/* --- rounds ----------------------------------------------------------------------------------- */

/* True when only the program died. */
static bool run_to_crash(struct engine_fixture *f, struct ledger *ledger, uint64_t *random,
                         uint64_t seed)
{
    bool is_kill = below(random, 2) == 0;
    bool is_planned = !is_kill || below(random, 2) == 0;
    int batches = 1 + (int)below(random, BATCHES - 1);
    struct io_sim *next;
    int named = check_named(f, ledger, seed);

    f->options.wal_ring_bytes = below(random, 4) == 0 ? 0 : RING; /* at the next open */
    if (is_planned && is_kill)
        io_sim_plan_kill(f->sim, 1 + below(random, 300), note_crash, ledger);
    else if (is_planned)
        io_sim_plan_crash(f->sim, 1 + below(random, 150), next_random(random), note_crash, ledger);
    for (int i = 0; i < batches; i++) {
        bool sent =
            below(random, 20) == 0 ? send_run(f, ledger, random) : send_batch(f, ledger, random);

        if (!sent)
            fail_msg("seed %llu: a commit failed", (unsigned long long)seed);
        if (below(random, 40) == 0)
            nx_engine_flush(f->engine, NULL);
        if (below(random, 40) == 0)
            turn_named(f, ledger, &named, seed);
        if (below(random, 80) == 0)
            nx_engine_compact(f->engine, NX_SLICE_NULL, NX_SLICE_NULL, NULL);
    }
    next = io_sim_take_crash(f->sim);
    if (!next) {
        note_crash(ledger);
        next = is_kill ? io_sim_kill(f->sim) : io_sim_crash(f->sim, next_random(random));
    }
    engine_adopt(f, next);
    check_recovered(f, ledger, is_kill ? ledger->acked_at_crash : ledger->synced_at_crash, seed);
    return is_kill;
}

/* Small ones, so that a hundred batches fill memtables, segments and tables. */
static void choose_options(struct nx_engine_options *options, uint64_t *random)
{
    options->memtable_bytes = 64 << 10;
    options->wal_segment_bytes = 64u << (10 + below(random, 2));
    options->block_bytes = 256u << below(random, 5);
    options->cache_bytes = below(random, 2) ? 256 << 10 : 0;
    options->bloom_bits_per_key = below(random, 2) ? 10 : 0;
    options->level_fanout = 2 + below(random, 4);
    options->compression = (enum nx_compression)below(random, 3);
}

struct tally {
    uint64_t crashes, kills;
};

static void crash_disk(uint64_t seed, struct tally *tally)
{
    uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    struct ledger *ledger = calloc(1, sizeof *ledger);
    struct engine_fixture *f;
    void *state;

    engine_set_up_sim(&state);
    f = state;
    choose_options(&f->options, &random);
    engine_open(f);
    for (int i = 0; i < CRASHES_A_DISK; i++) {
        tally->kills += run_to_crash(f, ledger, &random, seed);
        tally->crashes++;
    }
    check_named(f, ledger, seed);
    engine_tear_down(&state);
    free(ledger);
}

static void every_crash_leaves_a_prefix_with_all_that_was_acknowledged(void **state)
{
    const char *only = getenv("NEXADB_TEST_SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1;
    uint64_t disks = only ? 1 : test_count(CRASHES) / CRASHES_A_DISK;
    struct tally tally = {0};

    (void)state;
    for (uint64_t seed = first; seed < first + disks; seed++)
        crash_disk(seed, &tally);
    print_message("%llu crashes, %llu of them kills, with the seeds from %llu on\n",
                  (unsigned long long)tally.crashes, (unsigned long long)tally.kills,
                  (unsigned long long)first);
}

/* A crash in front of every single operation of making a database. */
static void a_crash_while_creating_leaves_nothing_or_a_database(void **state)
{
    (void)state;
    for (uint64_t at = 1;; at++) {
        struct engine_fixture *f;
        struct io_sim *next;
        void *own;

        engine_set_up_sim(&own);
        f = own;
        io_sim_plan_crash(f->sim, at, at, NULL, NULL);
        engine_open(f);
        next = io_sim_take_crash(f->sim);
        if (!next) {
            engine_tear_down(&own);
            assert_true(at > 8);
            return;
        }
        engine_adopt(f, next);
        engine_open(f);
        engine_put(f, "a", "1");
        engine_reopen(f);
        assert_keys(f, NULL, "a ");
        engine_tear_down(&own);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_while_creating_leaves_nothing_or_a_database),
        cmocka_unit_test(every_crash_leaves_a_prefix_with_all_that_was_acknowledged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

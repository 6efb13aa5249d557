/*
 * exhaustive_test.c - every moment at which a small workload can be cut off.
 *
 * A workload is a row of steps. It runs once, and in front of every operation of the file layer, on
 * whatever thread that is, the disk is kept as it stands. From each of these moments follow its
 * ends: the program was killed; and the power failed, with every subset of what was not synced
 * where those are few, else with all of it, none, each thing alone, each thing missing, and with
 * subsets by chance up to the bound. Each end must open, show the state behind some step that is
 * not before the last one acknowledged, have every snapshot and copy that was, and take writes.
 *
 * NEXADB_TEST_SCALE multiplies the bound.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/storage/engine_fixture.h"
#include "tests/unit/storage/test_scale.h"

enum { KEYS = 8, STEPS = 14, NAMES = 2, ENDS = 40, THINGS = 256 };

/* --- workloads -------------------------------------------------------------------------------- */

enum kind {
    STOP,
    PUT,
    PUT_SYNC,
    BIG, /* most of a memtable, and of a segment */
    DELETE,
    RANGE, /* delete [key, end) */
    BATCH, /* put key to end, delete the one before */
    SYNC,
    FLUSH,
    COMPACT,
    RECLAIM,
    NAME, /* a snapshot: key is its name */
    DROP,
    COPY, /* a checkpoint */
    REOPEN,
    KILL,       /* and open what is left */
    FAIL_SYNC,  /* the next datasync fails */
    FAIL_WRITE, /* the next write stops half way */
    FULL,       /* no space for another byte */
    ROOM,
    INGEST, /* a run of the keys from key to end */
    TRY,    /* a write that may be refused, of a key that nobody looks at */
    MEND,   /* until the engine has noticed that the disk works again */
};

struct step {
    enum kind kind;
    char key, end;
};

static const struct workload {
    const char *name;
    struct step steps[STEPS];
} workloads[] = {
    {"one put and a sync", {{PUT, 'a', 0}, {SYNC, 0, 0}}},
    {"sync puts", {{PUT_SYNC, 'a', 0}, {PUT_SYNC, 'b', 0}, {PUT_SYNC, 'a', 0}}},
    {"buffered puts behind a sync one", {{PUT_SYNC, 'a', 0}, {PUT, 'b', 0}, {PUT, 'a', 0}}},
    {"a batch", {{PUT_SYNC, 'b', 0}, {BATCH, 'c', 'f'}, {SYNC, 0, 0}, {BATCH, 'b', 'd'}}},
    {"a deletion", {{PUT_SYNC, 'a', 0}, {DELETE, 'a', 0}, {SYNC, 0, 0}, {PUT, 'a', 0}}},
    {"a deleted range",
     {{BATCH, 'a', 'f'}, {FLUSH, 0, 0}, {RANGE, 'b', 'e'}, {SYNC, 0, 0}, {PUT, 'c', 0}}},
    {"a flush", {{PUT, 'a', 0}, {PUT, 'b', 0}, {FLUSH, 0, 0}, {PUT, 'a', 0}}},
    {"two flushes", {{PUT, 'a', 0}, {FLUSH, 0, 0}, {PUT_SYNC, 'a', 0}, {FLUSH, 0, 0}}},
    {"a flush of nothing", {{PUT_SYNC, 'a', 0}, {FLUSH, 0, 0}, {FLUSH, 0, 0}}},
    {"a compaction",
     {{BATCH, 'a', 'h'}, {FLUSH, 0, 0}, {PUT, 'b', 0}, {DELETE, 'c', 0}, {COMPACT, 0, 0}}},
    {"a compaction of deletions only",
     {{BATCH, 'a', 'h'}, {COMPACT, 0, 0}, {RANGE, 'a', 'h'}, {COMPACT, 0, 0}, {PUT, 'b', 0}}},
    {"a rotation of memtable and segment",
     {{BIG, 'a', 0}, {BIG, 'b', 0}, {BIG, 'c', 0}, {BIG, 'd', 0}, {PUT_SYNC, 'e', 0}}},
    {"space given back",
     {{BATCH, 'a', 'h'}, {COMPACT, 0, 0}, {RANGE, 'a', 'h'}, {RECLAIM, 'a', 'h'}, {PUT, 'c', 0}}},
    {"a named snapshot",
     {{PUT, 'a', 0}, {NAME, '0', 0}, {PUT, 'a', 0}, {FLUSH, 0, 0}, {DROP, '0', 0}, {PUT, 'a', 0}}},
    {"two named snapshots across a compaction",
     {{PUT, 'a', 0},
      {NAME, '0', 0},
      {DELETE, 'a', 0},
      {NAME, '1', 0},
      {DROP, '0', 0},
      {COMPACT, 0, 0}}},
    {"a checkpoint", {{PUT, 'a', 0}, {FLUSH, 0, 0}, {PUT, 'b', 0}, {COPY, 0, 0}, {PUT, 'a', 0}}},
    {"a run into nothing", {{INGEST, 'a', 'd'}, {PUT, 'b', 0}, {INGEST, 'e', 'f'}}},
    {"a run behind buffered puts",
     {{PUT, 'a', 0}, {PUT, 'e', 0}, {INGEST, 'b', 'd'}, {PUT, 'c', 0}}},
    {"a run over what is in memory",
     {{PUT, 'a', 0}, {RANGE, 'a', 'd'}, {INGEST, 'b', 'd'}, {DELETE, 'b', 0}, {FLUSH, 0, 0}}},
    {"a run over tables, and a snapshot",
     {{BATCH, 'a', 'd'},
      {FLUSH, 0, 0},
      {NAME, '0', 0},
      {INGEST, 'b', 'e'},
      {COMPACT, 0, 0},
      {PUT, 'b', 0}}},
    {"a run and a checkpoint",
     {{PUT, 'a', 0}, {INGEST, 'b', 'd'}, {COPY, 0, 0}, {INGEST, 'a', 'b'}, {REOPEN, 0, 0}}},
    {"a run whose sync fails",
     {{PUT, 'a', 0}, {FAIL_SYNC, 0, 0}, {PUT_SYNC, 'c', 0}, {INGEST, 'a', 'b'}, {PUT, 'a', 0}}},
    {"closed and opened",
     {{PUT, 'a', 0}, {REOPEN, 0, 0}, {PUT, 'b', 0}, {REOPEN, 0, 0}, {PUT, 'a', 0}}},
    {"killed and recovered",
     {{PUT_SYNC, 'a', 0}, {FLUSH, 0, 0}, {PUT, 'b', 0}, {KILL, 0, 0}, {PUT, 'c', 0}, {SYNC, 0, 0}}},
    {"killed twice",
     {{PUT, 'a', 0}, {KILL, 0, 0}, {DELETE, 'a', 0}, {KILL, 0, 0}, {PUT_SYNC, 'b', 0}}},
    {"killed in the middle of segments and memtables",
     {{BIG, 'a', 0},
      {BIG, 'b', 0},
      {BIG, 'a', 0},
      {KILL, 0, 0},
      {BIG, 'c', 0},
      {PUT_SYNC, 'd', 0}}},
    {"killed with a snapshot and a run",
     {{PUT, 'a', 0},
      {NAME, '0', 0},
      {INGEST, 'a', 'c'},
      {PUT, 'b', 0},
      {KILL, 0, 0},
      {PUT, 'a', 0},
      {COMPACT, 0, 0}}},
    {"opened with tables",
     {{BATCH, 'a', 'd'}, {FLUSH, 0, 0}, {DELETE, 'b', 0}, {REOPEN, 0, 0}, {PUT_SYNC, 'c', 0}}},
    {"a sync that fails",
     {{PUT, 'a', 0}, {FAIL_SYNC, 0, 0}, {PUT_SYNC, 'b', 0}, {PUT, 'c', 0}, {PUT_SYNC, 'a', 0}}},
    {"a sync that fails, then opened",
     {{PUT_SYNC, 'a', 0}, {FAIL_SYNC, 0, 0}, {PUT_SYNC, 'b', 0}, {REOPEN, 0, 0}, {PUT, 'a', 0}}},
    {"a write that fails",
     {{PUT, 'a', 0}, {FAIL_WRITE, 0, 0}, {TRY, 0, 0}, {MEND, 0, 0}, {PUT_SYNC, 'b', 0}}},
    {"a full disk that gets room",
     {{PUT, 'a', 0}, {FULL, 0, 0}, {TRY, 0, 0}, {ROOM, 0, 0}, {MEND, 0, 0}, {PUT_SYNC, 'b', 0}}},
};

/* --- a run ------------------------------------------------------------------------------------ */

/* What each key holds: the step that put it, counted from 1; 0: nothing. */
struct state {
    unsigned char by[KEYS];
};

enum named { UNNAMED, MAYBE_NAMED, NAMED };

/* What may be said of the database, told by the thread that runs the steps. */
struct standing {
    _Atomic int begun, acked, durable;  /* steps */
    _Atomic unsigned char named[NAMES]; /* enum named */
    _Atomic int named_at[NAMES];        /* step */
    _Atomic int copied;                 /* the step of a copy that is there; 0: none */
};

struct moment {
    struct io_sim *disk; /* owned */
    struct standing standing;
};

struct run {
    const struct workload *workload;
    struct engine_fixture *f;
    struct state history[STEPS + 1]; /* behind step i; 0: nothing yet */
    struct standing standing;
    struct moment *moments; /* owned */
    size_t count, cap;
    uint64_t ends;
};

static void copy_standing(const struct standing *from, struct standing *to)
{
    *to = (struct standing){.begun = from->begun, .acked = from->acked, .durable = from->durable};
    to->copied = from->copied;
    for (int i = 0; i < NAMES; i++) {
        to->named[i] = from->named[i];
        to->named_at[i] = from->named_at[i];
    }
}

/* Called under the disk's lock: one at a time. */
static void keep_moment(void *arg, struct io_sim *then)
{
    struct run *run = arg;

    if (run->count == run->cap || !then)
        abort(); /* grow_moments makes room between the steps */
    run->moments[run->count].disk = then;
    copy_standing(&run->standing, &run->moments[run->count++].standing);
}

static struct nx_slice key_of(const char *key)
{
    return nx_slice(key, 1);
}

/* Of step n: its number, and bytes that make it as long as it should be. */
static struct nx_slice value_of(int n, size_t len)
{
    static char value[40000];

    memset(value, 'a' + n, sizeof value);
    value[0] = (char)n;
    return nx_slice(value, len);
}

static void put(struct run *run, char key, int n, size_t len)
{
    assert_int_equal(nx_batch_put(run->f->batch, key_of(&key), value_of(n, len)), NX_OK);
    run->history[n].by[key - 'a'] = (unsigned char)n;
}

static void delete_keys(struct run *run, char from, char to, int n)
{
    for (char key = from; key < to; key++)
        run->history[n].by[key - 'a'] = 0;
}

static void commit(struct run *run, enum nx_durability durability)
{
    struct nx_err err = NX_ERR_INIT;

    if (nx_engine_commit(run->f->engine, run->f->batch, durability, &err) != NX_OK)
        fail_msg("%s: commit: %s", run->workload->name, err.message);
}

static void change(struct run *run, const struct step *step, int n)
{
    struct nx_batch *batch = run->f->batch;

    nx_batch_clear(batch);
    switch (step->kind) {
    case DELETE:
        assert_int_equal(nx_batch_delete(batch, key_of(&step->key)), NX_OK);
        delete_keys(run, step->key, (char)(step->key + 1), n);
        break;
    case RANGE:
        assert_int_equal(nx_batch_delete_range(batch, key_of(&step->key), key_of(&step->end)),
                         NX_OK);
        delete_keys(run, step->key, step->end, n);
        break;
    case BATCH:
        for (char key = step->key; key <= step->end; key++)
            put(run, key, n, 100);
        if (step->key > 'a') {
            char before = (char)(step->key - 1);

            assert_int_equal(nx_batch_delete(batch, key_of(&before)), NX_OK);
            delete_keys(run, before, step->key, n);
        }
        break;
    default:
        put(run, step->key, n, step->kind == BIG ? 40000 : 100);
    }
    commit(run, step->kind == PUT_SYNC ? NX_SYNC : NX_BUFFERED);
}

/* --- steps ------------------------------------------------------------------------------------ */

static void must(struct run *run, enum nx_code rc, const struct nx_err *err)
{
    if (rc != NX_OK)
        fail_msg("%s: step %d: %s", run->workload->name, run->standing.begun, err->message);
}

static void name(struct run *run, char which, int n)
{
    struct nx_snapshot_info info;
    struct nx_err err = NX_ERR_INIT;

    run->standing.named_at[which - '0'] = n - 1;
    run->standing.named[which - '0'] = MAYBE_NAMED;
    must(run, nx_engine_snapshot_make(run->f->engine, &which, 1, &info, &err), &err);
    run->standing.named[which - '0'] = NAMED;
}

static void drop(struct run *run, char which)
{
    struct nx_err err = NX_ERR_INIT;

    run->standing.named[which - '0'] = MAYBE_NAMED;
    must(run, nx_engine_snapshot_drop(run->f->engine, &which, 1, &err), &err);
    run->standing.named[which - '0'] = UNNAMED;
}

static void ingest(struct run *run, const struct step *step, int n)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_run *entries;

    must(run, nx_run_new(run->f->engine, &entries, &err), &err);
    for (char key = step->key; key <= step->end; key++)
        must(run, nx_run_put(entries, key_of(&key), value_of(n, 100), &err), &err);
    for (char key = step->key; key <= step->end; key++)
        run->history[n].by[key - 'a'] = (unsigned char)n;
    must(run, nx_run_ingest(entries, &err), &err);
    nx_run_free(entries);
}

static void try(struct run *run)
{
    engine_put_code(run->f, "z", "whether it is there is left open", NX_BUFFERED, NULL);
    nx_engine_flush(run->f->engine, NULL);
}

/* The disk is watched from before the recovery on. */
static void kill_and_open(struct run *run)
{
    io_sim_watch(run->f->sim, NULL, NULL);
    engine_adopt(run->f, io_sim_kill(run->f->sim));
    io_sim_watch(run->f->sim, keep_moment, run);
    engine_open(run->f);
}

static void mend(struct run *run)
{
    struct nx_err err = NX_ERR_INIT;

    for (int tries = 0; tries < 100; tries++)
        if (nx_engine_flush(run->f->engine, &err) == NX_OK)
            return;
    fail_msg("%s: it never resumed: %s", run->workload->name, err.message);
}

static void care(struct run *run, const struct step *step, int n)
{
    struct engine_fixture *f = run->f;
    struct nx_err err = NX_ERR_INIT;

    switch (step->kind) {
    case SYNC:
        must(run, nx_engine_sync(f->engine, &err), &err);
        break;
    case FLUSH:
        must(run, nx_engine_flush(f->engine, &err), &err);
        break;
    case COMPACT:
        must(run, nx_engine_compact(f->engine, NX_SLICE_NULL, NX_SLICE_NULL, &err), &err);
        break;
    case RECLAIM:
        must(run, nx_engine_reclaim(f->engine, key_of(&step->key), key_of(&step->end), &err), &err);
        break;
    case NAME:
        name(run, step->key, n);
        break;
    case DROP:
        drop(run, step->key);
        break;
    case COPY:
        must(run, nx_engine_checkpoint(f->engine, "/copy", &err), &err);
        run->standing.copied = n;
        break;
    case REOPEN:
        engine_reopen(f);
        break;
    case KILL:
        kill_and_open(run);
        break;
    case FAIL_SYNC:
        io_fault_add(f->fault, &(struct io_fault_rule){.ops = IO_FAULT_DATASYNC});
        break;
    case FAIL_WRITE:
        io_fault_add(f->fault, &(struct io_fault_rule){.ops = IO_FAULT_WRITE | IO_FAULT_ALLOCATE,
                                                       .action = IO_FAULT_SHORT});
        break;
    case FULL:
        io_sim_set_space(f->sim, 1);
        break;
    case ROOM:
        io_sim_set_space(f->sim, 0);
        break;
    case INGEST:
        ingest(run, step, n);
        break;
    case MEND:
        mend(run);
        break;
    default:
        try(run);
    }
}

static bool is_change(enum kind kind)
{
    return kind >= PUT && kind <= BATCH;
}

/* Does its end say that all before it is on disk? */
static bool is_durable(enum kind kind)
{
    return kind == PUT_SYNC || (kind >= SYNC && kind <= COMPACT) || kind == NAME || kind == COPY ||
           kind == REOPEN || kind == MEND || kind == INGEST;
}

/* The disk's lock is free: nobody keeps a moment while the array moves. */
static void grow_moments(struct run *run)
{
    struct moment *moments;

    io_sim_watch(run->f->sim, NULL, NULL);
    run->cap = run->count + 400;
    moments = realloc(run->moments, run->cap * sizeof *moments);
    assert_non_null(moments);
    run->moments = moments;
    io_sim_watch(run->f->sim, keep_moment, run);
}

static void take_steps(struct run *run)
{
    const struct step *step = run->workload->steps;

    for (int n = 1; step->kind != STOP; n++, step++) {
        grow_moments(run);
        run->history[n] = run->history[n - 1];
        run->standing.begun = n;
        if (is_change(step->kind))
            change(run, step, n);
        else
            care(run, step, n);
        run->standing.acked = n;
        if (is_durable(step->kind))
            run->standing.durable = n;
    }
}

/* --- an end ----------------------------------------------------------------------------------- */

struct end {
    const struct run *run;
    const struct standing *standing;
    size_t moment;
    const char *how;
    uint64_t number; /* of the subset */
};

#define FAIL_END(end, ...)                                                                         \
    do {                                                                                           \
        print_error("%s: moment %zu, %s %llu: ", (end)->run->workload->name, (end)->moment,        \
                    (end)->how, (unsigned long long)(end)->number);                                \
        fail_msg(__VA_ARGS__);                                                                     \
    } while (0)

static void read_state(struct engine_fixture *f, const struct nx_snapshot *snapshot,
                       const struct end *end, struct state *out)
{
    for (char key = 'a'; key < 'a' + KEYS; key++) {
        struct nx_err err = NX_ERR_INIT;
        enum nx_code rc = nx_engine_get(f->engine, snapshot, key_of(&key), &f->value, &err);

        out->by[key - 'a'] = 0;
        if (rc == NX_ENOTFOUND)
            continue;
        if (rc != NX_OK)
            FAIL_END(end, "get %c: %s", key, err.message);
        out->by[key - 'a'] = f->value.data[0];
        for (size_t i = 1; i < f->value.len; i++)
            if (f->value.data[i] != 'a' + f->value.data[0])
                FAIL_END(end, "%c: byte %zu is of another value", key, i);
    }
}

static bool is_state(const struct state *a, const struct state *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* The state behind a step from `least` to the last that had begun. */
static void check_prefix(struct engine_fixture *f, const struct end *end, int least)
{
    struct state found;

    read_state(f, NULL, end, &found);
    for (int n = least; n <= end->standing->begun; n++)
        if (is_state(&found, &end->run->history[n]))
            return;
    FAIL_END(end, "the state is of no step from %d to %d", least, end->standing->begun);
}

static void check_names(struct engine_fixture *f, const struct end *end)
{
    for (int i = 0; i < NAMES; i++) {
        char which = (char)('0' + i);
        struct nx_snapshot_info info;
        struct nx_snapshot *snapshot;
        struct state found;
        enum nx_code rc = nx_engine_snapshot_find(f->engine, &which, 1, &info, NULL);

        if (rc != NX_OK && end->standing->named[i] != NAMED)
            continue;
        if (rc != NX_OK || end->standing->named[i] == UNNAMED)
            FAIL_END(end, "snapshot %d is %s", i, rc == NX_OK ? "there" : "gone");
        assert_int_equal(nx_engine_snapshot_open(f->engine, info.number, NULL, &snapshot, NULL),
                         NX_OK);
        read_state(f, snapshot, end, &found);
        nx_snapshot_release(snapshot);
        if (!is_state(&found, &end->run->history[end->standing->named_at[i]]))
            FAIL_END(end, "snapshot %d shows another state", i);
    }
}

static void open_end(struct engine_fixture *f, const struct end *end)
{
    struct nx_err err = NX_ERR_INIT;

    if (engine_open_code(f, &err) != NX_OK)
        FAIL_END(end, "open: %s", err.message);
}

static void check_copy(struct engine_fixture *f, const struct end *end)
{
    struct state found;

    strcpy(f->dir, "/copy");
    f->options.create = false;
    if (end->standing->copied == 0) /* whether it is there is left open, but not what it shows */
        engine_open_code(f, NULL);
    else
        open_end(f, end);
    if (f->engine) {
        read_state(f, NULL, end, &found);
        if (!is_state(&found, &end->run->history[end->standing->begun]) &&
            !is_state(&found, &end->run->history[end->standing->copied]))
            FAIL_END(end, "the copy shows another state");
    }
    nx_engine_close(f->engine, NULL);
}

/* Open `disk` (taken), look at everything, and go on writing. */
static void check_end(struct io_sim *disk, const struct end *end, int least, bool has_copy)
{
    struct engine_fixture f = *end->run->f;

    f.sim = disk;
    f.fault = NULL;
    f.io = f.options.io = io_sim_io(disk);
    f.engine = NULL;
    f.value = NX_BUF_INIT;
    io_sim_set_space(disk, 0);
    open_end(&f, end);
    check_prefix(&f, end, least);
    check_names(&f, end);
    if (engine_put_code(&f, "z", "written afterwards", NX_SYNC, NULL) != NX_OK)
        FAIL_END(end, "it takes no writes");
    nx_engine_close(f.engine, NULL);
    f.engine = NULL;
    if (has_copy)
        check_copy(&f, end);
    nx_buf_fini(&f.value);
    io_sim_free(disk);
}

/* --- ends ------------------------------------------------------------------------------------- */

/* The next list of answers that gives an end of its own: of those that were asked for, the last
 * "no" becomes "yes", as in counting. False when that was the last. */
static bool next_answers(bool *answers, size_t *count, size_t asked)
{
    for (size_t i = *count; i < asked; i++)
        answers[i] = false;
    *count = asked;
    while (*count > 0 && answers[*count - 1])
        --*count;
    if (*count == 0)
        return false;
    answers[*count - 1] = true;
    return true;
}

/* Answers for end i of a moment with too many: none, all, one alone, one missing. False when there
 * is no such end: the rest is left to chance. */
static bool chosen_answers(uint64_t i, size_t things, bool *answers)
{
    bool most = i % 2 == 1;

    if (i / 2 > things)
        return false;
    for (size_t k = 0; k < things; k++)
        answers[k] = most != (i >= 2 && k == i / 2 - 1);
    return true;
}

static void fail_power(struct run *run, const struct moment *moment, struct end *end,
                       uint64_t bound)
{
    bool answers[THINGS] = {false};
    bool go_on = true;
    size_t count = 0, asked = 0, things;

    end->how = "power loss";
    io_sim_free(io_sim_crash_with(moment->disk, answers, 0, &things));
    things = things < THINGS ? things : THINGS;
    for (end->number = 0; go_on && end->number < bound; end->number++) {
        bool is_small = things < 20 && (1ull << things) <= bound;
        struct io_sim *disk;

        if (is_small || chosen_answers(end->number, things, answers))
            disk = io_sim_crash_with(moment->disk, answers, is_small ? count : things, &asked);
        else
            disk = io_sim_crash(moment->disk, end->number + end->moment * bound);
        assert_non_null(disk);
        assert_true(!is_small || asked <= THINGS);
        check_end(disk, end, moment->standing.durable, run->standing.copied != 0);
        run->ends++;
        go_on = !is_small || next_answers(answers, &count, asked);
    }
}

static void check_moment(struct run *run, size_t i, uint64_t bound)
{
    const struct moment *moment = &run->moments[i];
    struct end end = {.run = run, .standing = &moment->standing, .moment = i, .how = "kill"};

    check_end(io_sim_kill(moment->disk), &end, moment->standing.acked, run->standing.copied != 0);
    run->ends++;
    fail_power(run, moment, &end, bound);
}

static void run_workload(struct run *run)
{
    void *state;

    engine_set_up_fault(&state);
    run->f = state;
    engine_open(run->f);
    take_steps(run);
    engine_close(run->f);
    io_sim_watch(run->f->sim, NULL, NULL);
    for (size_t i = 0; i < run->count; i++) {
        check_moment(run, i, test_count(ENDS));
        io_sim_free(run->moments[i].disk);
    }
    free(run->moments);
    engine_tear_down(&state);
}

static void every_end_of_every_workload_is_a_prefix(void **state)
{
    uint64_t moments = 0, ends = 0;
    size_t count = sizeof workloads / sizeof workloads[0];

    (void)state;
    for (size_t i = 0; i < count; i++) {
        struct run *run = calloc(1, sizeof *run);

        assert_non_null(run);
        run->workload = &workloads[i];
        run_workload(run);
        moments += run->count;
        ends += run->ends;
        free(run);
    }
    print_message("%zu workloads, %llu moments, %llu ends\n", count, (unsigned long long)moments,
                  (unsigned long long)ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_end_of_every_workload_is_a_prefix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

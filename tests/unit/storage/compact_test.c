/*
 * compact_test.c - what a flush and a compaction keep, drop, cut and leave behind when they fail.
 *
 * Tables are made by flushing memtables on the simulated disk. A small language: "k5=v" puts
 * version 5 of k, "k5" deletes it, "a-c@7" deletes the range [a, c) at 7.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/io_fault.h"
#include "base/io_sim.h"
#include "storage/compact.h"
#include "storage/range_tombstones.h"
#include "tests/support/unit.h"

struct fixture {
    struct io_sim *sim;
    struct io_fault *fault;
    struct compact_env env;
    uint64_t numbers;
    uint64_t snapshots[4];
    struct levels levels;
    bool stop;
};

static uint64_t new_number(void *arg)
{
    return ++((struct fixture *)arg)->numbers;
}

static enum nx_code pause_merge(void *arg, struct nx_err *err)
{
    return ((struct fixture *)arg)->stop ? nx_fail(err, NX_ECANCELED, "stopped") : NX_OK;
}

static void begin(struct fixture *f)
{
    *f = (struct fixture){.sim = io_sim_new(1)};
    f->fault = io_fault_new(io_sim_io(f->sim));
    f->env = (struct compact_env){
        .io = io_fault_io(f->fault),
        .dir = "/db",
        .cache = cache_new(0),
        .table = {.block_bytes = 512, .bloom_bits_per_key = 10, .compression = NX_COMPRESS_LZ4},
        .bottom_compression = NX_COMPRESS_LZ4,
        .table_bytes = 4096,
        .fanout = 4,
        .new_number = new_number,
        .pause = pause_merge,
        .arg = f,
        .snapshots = f->snapshots,
    };
    assert_int_equal(f->env.io->ops->mkdir(f->env.io, "/db", NULL), NX_OK);
}

static void end(struct fixture *f)
{
    for (int l = 0; l < NX_LEVELS; l++) {
        for (size_t i = 0; i < f->levels.level[l].count; i++)
            table_unref(f->levels.level[l].tables[i]);
        free(f->levels.level[l].tables);
    }
    cache_free(f->env.cache);
    io_fault_free(f->fault);
    io_sim_free(f->sim);
}

static void apply(struct memtable *m, const char *word)
{
    char key[32], end_key[32], value[32] = "";
    unsigned long long sequence;
    struct nx_slice k, v;

    if (sscanf(word, "%31[a-z]-%31[a-z]@%llu", key, end_key, &sequence) == 3) {
        struct range_tombstone range = {nx_slice_str(key), nx_slice_str(end_key), sequence};

        assert_int_equal(memtable_delete_range(m, &range, NULL), NX_OK);
        return;
    }
    assert_true(sscanf(word, "%31[a-z]%llu=%31s", key, &sequence, value) >= 2);
    k = nx_slice_str(key);
    v = nx_slice_str(value);
    assert_int_equal(
        memtable_apply(m, &(struct entry){k, v, sequence, *value ? ENTRY_PUT : ENTRY_DELETE}, NULL),
        NX_OK);
}

static struct memtable *memtable_of(const char *words)
{
    struct memtable *m = memtable_new(0);
    char copy[256], *save, *word;

    snprintf(copy, sizeof copy, "%s", words);
    for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        apply(m, word);
    return m;
}

/* Place tables into a level as they come: newest first for level 0, by key elsewhere. */
static void place(struct fixture *f, unsigned level, struct compact_result *result)
{
    struct level *l = &f->levels.level[level];

    free(l->tables);
    l->tables = result->outputs;
    l->count = result->count;
    l->bytes = 0;
    for (size_t i = 0; i < l->count; i++)
        l->bytes += table_props(l->tables[i])->file_bytes;
    *result = (struct compact_result){0};
}

static void flush_to(struct fixture *f, unsigned level, const char *words)
{
    struct memtable *m = memtable_of(words);
    struct compact_result result;
    struct nx_err err = NX_ERR_INIT;

    if (flush_run(&f->env, &m, 1, &result, &err) != NX_OK)
        fail_msg("%s", err.message);
    place(f, level, &result);
    memtable_unref(m);
}

/* The entries of tables as words again, ranges behind them. */
static const char *dump(const struct compact_result *result)
{
    static char text[1024];
    size_t at = 0;

    text[0] = 0;
    for (size_t i = 0; i < result->count; i++) {
        const struct range_tombstones *ranges = table_range_tombstones(result->outputs[i]);
        struct source *s;

        assert_int_equal(table_source(result->outputs[i], SEQUENCE_ALL, CACHE_SKIP, &s, NULL),
                         NX_OK);
        for (s->ops->first(s); s->valid; s->ops->next(s))
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s%d%s%.*s", at ? " " : "",
                                   (int)s->entry.key.len, s->entry.key.data, (int)s->entry.sequence,
                                   s->entry.kind == ENTRY_PUT ? "=" : "-", (int)s->entry.value.len,
                                   s->entry.value.data);
        source_close(s);
        for (size_t r = 0; r < range_tombstones_count(ranges); r++) {
            const struct range_fragment *g = range_tombstones_at(ranges, r);

            for (size_t n = 0; n < g->count; n++)
                at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s-%.*s@%d", at ? " " : "",
                                       (int)g->begin.len, g->begin.data, (int)g->end.len,
                                       g->end.data, (int)g->sequences[n]);
        }
    }
    return text;
}

/* Compact level 0 and what it overlaps of level `to`; give what came out. */
static const char *compact_into(struct fixture *f, unsigned to)
{
    struct compaction job = {.from = 0, .to = to};
    struct compact_result result;
    struct nx_err err = NX_ERR_INIT;
    const char *text;

    job.count = f->levels.level[0].count + f->levels.level[to].count;
    job.counts[0] = f->levels.level[0].count;
    job.counts[to] = f->levels.level[to].count;
    job.inputs = calloc(job.count, sizeof(struct table *));
    for (size_t i = 0; i < job.count; i++)
        job.inputs[i] = i < job.counts[0] ? f->levels.level[0].tables[i]
                                          : f->levels.level[to].tables[i - job.counts[0]];
    if (compact_run(&f->env, &f->levels, &job, &result, &err) != NX_OK)
        fail_msg("%s", err.message);
    text = dump(&result);
    compact_result_fini(&result);
    compaction_fini(&job);
    return text;
}

static void set_snapshots(struct fixture *f, size_t count, uint64_t a, uint64_t b)
{
    f->snapshots[0] = a;
    f->snapshots[1] = b;
    f->env.snapshot_count = count;
}

/* --- what is kept ----------------------------------------------------------------------------- */

static void only_versions_that_a_reader_can_see_are_kept(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    set_snapshots(&f, 2, 4, 6);
    flush_to(&f, 0, "k1=a k3=b k5=c k6=d k7=e k9=f");
    /* 4 sees b, 6 sees d, later readers f; b is the oldest strip's and needs no sequence */
    assert_string_equal(compact_into(&f, 6), "k9=f k6=d k0=b");
    set_snapshots(&f, 0, 0, 0);
    assert_string_equal(compact_into(&f, 6), "k0=f");
    end(&f);
}

static void a_deletion_stays_while_something_older_may_lie_below(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    flush_to(&f, 6, "b1=old");
    flush_to(&f, 0, "a5 b6 c7=new");
    assert_string_equal(compact_into(&f, 3), "b6- c7=new");
    assert_string_equal(compact_into(&f, 6), "c0=new");
    set_snapshots(&f, 1, 3, 0); /* sees b1: the deletion is what later readers see */
    assert_string_equal(compact_into(&f, 6), "a5- b6- b0=old c7=new");
    end(&f);
}

static void a_range_hides_what_is_older_and_goes_at_the_bottom(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    flush_to(&f, 6, "a1=x b2=x c3=x");
    flush_to(&f, 0, "b-d@5 b6=y c4=z");
    assert_string_equal(compact_into(&f, 3), "b6=y b-d@5");
    assert_string_equal(compact_into(&f, 6), "a0=x b0=y");
    set_snapshots(&f, 1, 3, 0);
    assert_string_equal(compact_into(&f, 6), "a0=x b6=y b2=x c3=x b-d@5");
    end(&f);
}

static void pick_purge(struct fixture *f, size_t i, struct compaction *job)
{
    assert_true(i < compact_purge_count(&f->levels));
    assert_true(compact_pick_purge(&f->levels, i, job));
    assert_int_equal(job->count, 1);
    assert_int_equal(job->from, job->to);
}

/* Rewrite the i-th table that could be, without what lies above it. */
static const char *purge(struct fixture *f, size_t i)
{
    struct compaction job;
    struct compact_result result;
    struct nx_err err = NX_ERR_INIT;
    const char *text;

    pick_purge(f, i, &job);
    if (compact_run(&f->env, &f->levels, &job, &result, &err) != NX_OK)
        fail_msg("%s", err.message);
    text = dump(&result);
    compact_result_fini(&result);
    compaction_fini(&job);
    return text;
}

static unsigned gain(struct fixture *f, size_t i)
{
    struct compaction job;
    unsigned permille;

    pick_purge(f, i, &job);
    assert_int_equal(compact_gain(&f->env, &f->levels, &job, &permille, NULL), NX_OK);
    compaction_fini(&job);
    return permille;
}

static void a_purge_leaves_out_what_is_hidden_above_and_adds_nothing(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    flush_to(&f, 6, "a1=x b2=x c3=x e4=x f5=x g6=x");
    flush_to(&f, 3, "b10 d11=new");
    flush_to(&f, 0, "c12=new e-f@13");
    assert_string_equal(purge(&f, 0), "a0=x f0=x g0=x");
    set_snapshots(&f, 1, 2, 0); /* sees a1 and b2 */
    assert_string_equal(purge(&f, 0), "a0=x b0=x f5=x g6=x");
    set_snapshots(&f, 2, 2, 10); /* and this one all but b2 */
    assert_string_equal(purge(&f, 0), "a0=x b0=x c3=x e4=x f5=x g6=x");
    end(&f);
}

static void a_purge_keeps_deletions_that_hide_what_is_below(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    flush_to(&f, 4, "a5 b6 c7=y k-n@8");
    flush_to(&f, 6, "a1=x b2=x m3=x");
    flush_to(&f, 0, "a9=z c10");
    assert_string_equal(purge(&f, 1), "b6- k-n@8"); /* a9 hides what a5 did */
    end(&f);
}

static void what_a_purge_would_win_is_known_before(void **state)
{
    struct compaction job;
    struct fixture f;

    (void)state;
    begin(&f);
    flush_to(&f, 6, "m1=x n2=x");
    flush_to(&f, 0, "a2=x b3=y");
    assert_int_equal(compact_purge_count(&f.levels), 1);
    assert_false(compact_pick_purge(&f.levels, 0, &job)); /* nothing above */
    flush_to(&f, 3, "m3=y o4");
    assert_int_equal(compact_purge_count(&f.levels), 2);
    assert_in_range(gain(&f, 0), 300, 500);
    flush_to(&f, 1, "m-p@9");
    assert_in_range(gain(&f, 0), 750, 1000);
    assert_in_range(gain(&f, 1), 750, 1000);
    assert_string_equal(purge(&f, 0), ""); /* which needs no room at all */
    end(&f);
}

static void outputs_are_cut_where_keys_change_and_ranges_with_them(void **state)
{
    struct memtable *m = memtable_new(0);
    struct range_tombstone range = {nx_slice_str("k0000"), nx_slice_str("k9999"), 1};
    struct compaction job = {.from = 0, .to = 3, .counts = {1}, .count = 1};
    struct compact_result result;
    struct fixture f;
    char key[16], value[64];

    (void)state;
    begin(&f);
    flush_to(&f, 6, "k0=x z0=y");
    assert_int_equal(memtable_delete_range(m, &range, NULL), NX_OK);
    for (unsigned i = 0; i < 600; i++) {
        snprintf(key, sizeof key, "k%04u", i);
        snprintf(value, sizeof value, "%u %u %u", i * 7919, i * 104729, i * 1299709);
        assert_int_equal(
            memtable_apply(
                m, &(struct entry){nx_slice_str(key), nx_slice_str(value), i + 2, ENTRY_PUT}, NULL),
            NX_OK);
    }
    assert_int_equal(flush_run(&f.env, &m, 1, &result, NULL), NX_OK);
    assert_int_equal(result.count, 1);
    place(&f, 0, &result);
    job.inputs = malloc(sizeof *job.inputs);
    job.inputs[0] = f.levels.level[0].tables[0];
    f.levels.level[5] = f.levels.level[6]; /* below everything: the range has to stay */
    f.levels.level[6] = (struct level){0};
    assert_int_equal(compact_run(&f.env, &f.levels, &job, &result, NULL), NX_OK);
    assert_true(result.count > 2);
    for (size_t i = 1; i < result.count; i++) {
        const struct table_props *before = table_props(result.outputs[i - 1]);
        const struct table_props *p = table_props(result.outputs[i]);
        int order = nx_slice_compare(before->largest, p->smallest);

        assert_true(order < 0 || (order == 0 && before->largest_is_open));
        assert_true(before->ranges == 1 && p->ranges == 1);
    }
    compact_result_fini(&result);
    compaction_fini(&job);
    memtable_unref(m);
    end(&f);
}

static void nothing_in_gives_nothing_out(void **state)
{
    struct memtable *m = memtable_new(0);
    struct compact_result result;
    struct fixture f;

    (void)state;
    begin(&f);
    assert_int_equal(flush_run(&f.env, &m, 1, &result, NULL), NX_OK);
    assert_int_equal(result.count, 0);
    memtable_unref(m);
    flush_to(&f, 0, "a-z@9 b3 c4");
    assert_string_equal(compact_into(&f, 6), "");
    end(&f);
}

static uint64_t bytes_in_level(struct fixture *f, unsigned to)
{
    struct compaction job = {.from = 0, .to = to, .counts = {1}, .count = 1};
    struct compact_result result;
    uint64_t bytes;

    job.inputs = f->levels.level[0].tables;
    assert_int_equal(compact_run(&f->env, &f->levels, &job, &result, NULL), NX_OK);
    assert_int_equal(result.count, 1);
    bytes = table_props(result.outputs[0])->file_bytes;
    assert_int_equal(table_verify(result.outputs[0], NULL), NX_OK);
    compact_result_fini(&result);
    return bytes;
}

static void only_the_last_level_has_its_own_compression(void **state)
{
    struct fixture f;
    uint64_t plain;
    char words[256] = "";

    (void)state;
    begin(&f);
    for (char c = 'a'; c < 'k'; c++)
        sprintf(words + strlen(words), "%c%c1=valuevaluevaluev ", c, c);
    flush_to(&f, 0, words);
    f.env.table.compression = f.env.bottom_compression = NX_COMPRESS_NONE;
    plain = bytes_in_level(&f, 6);
    f.env.bottom_compression = NX_COMPRESS_ZSTD;
    assert_int_equal(bytes_in_level(&f, 5), plain);
    assert_true(bytes_in_level(&f, 6) < plain);
    end(&f);
}

/* --- failing ---------------------------------------------------------------------------------- */

static void count_name(void *arg, const char *name)
{
    uint64_t number;

    *(int *)arg += table_name_parse(name, &number);
}

static int tables_on_disk(struct fixture *f)
{
    int count = 0;

    assert_int_equal(f->env.io->ops->list(f->env.io, "/db", count_name, &count, NULL), NX_OK);
    return count;
}

static void a_failure_of_any_call_is_reported_and_leaves_no_file(void **state)
{
    const unsigned ops = IO_FAULT_OPEN | IO_FAULT_READ | IO_FAULT_WRITE | IO_FAULT_SIZE |
                         IO_FAULT_DATASYNC | IO_FAULT_SYNC_DIR;
    enum nx_code rc = NX_EIO;
    int swept = 0;

    (void)state;
    for (uint64_t nth = 1; rc != NX_OK; nth++, swept++) {
        struct memtable *m = memtable_of("a1=x b2=y c-d@3");
        struct compact_result result;
        struct nx_err err = NX_ERR_INIT;
        struct fixture f;

        begin(&f);
        io_fault_add(f.fault, &(struct io_fault_rule){
                                  .ops = ops, .nth = nth, .times = 1, .action = IO_FAULT_EIO});
        rc = flush_run(&f.env, &m, 1, &result, &err);
        io_fault_clear(f.fault);
        assert_int_equal(result.count, rc == NX_OK);
        assert_int_equal(tables_on_disk(&f), rc == NX_OK);
        if (rc != NX_OK)
            assert_int_equal(err.code, rc);
        compact_result_fini(&result);
        memtable_unref(m);
        end(&f);
    }
    assert_true(swept > 8);
}

static void a_stopped_job_leaves_no_file(void **state)
{
    struct compaction job = {.from = 0, .to = 6, .counts = {1}, .count = 1};
    struct compact_result result;
    struct fixture f;

    (void)state;
    begin(&f);
    flush_to(&f, 0, "a1=x");
    job.inputs = f.levels.level[0].tables;
    f.stop = true;
    assert_int_equal(compact_run(&f.env, &f.levels, &job, &result, NULL), NX_ECANCELED);
    assert_int_equal(tables_on_disk(&f), 1);
    end(&f);
}

/* --- choosing --------------------------------------------------------------------------------- */

static void four_tables_in_level_0_go_to_the_bottom_of_a_small_tree(void **state)
{
    struct nx_buf cursor[NX_LEVELS] = {0};
    struct compaction job;
    struct table *tables[4];
    struct fixture f;

    (void)state;
    begin(&f);
    flush_to(&f, 6, "m1=x");
    flush_to(&f, 0, "a2=x z3=y");
    for (int i = 0; i < 4; i++)
        tables[i] = f.levels.level[0].tables[0];
    f.levels.level[1] = f.levels.level[0]; /* keeps the table for the end */
    for (size_t count = 1; count <= 4; count++) {
        f.levels.level[0] = (struct level){.tables = tables, .count = count};
        f.levels.level[1].count = 0;
        assert_int_equal(compact_pick(&f.levels, 4096, 4, cursor, &job), count == 4);
    }
    assert_int_equal(job.from, 0);
    assert_int_equal(job.to, 6);
    assert_int_equal(job.counts[0], 4);
    assert_int_equal(job.count, 5);
    assert_false(job.is_move);
    compaction_fini(&job);
    f.levels.level[1].count = 1;
    f.levels.level[0] = (struct level){0};
    end(&f);
}

/* A table of `count` keys from `first` on, in steps, each with a value that does not compress. */
static struct table *table_of_keys(struct fixture *f, unsigned first, unsigned count, unsigned step)
{
    struct memtable *m = memtable_new(0);
    struct compact_result result;
    struct table *table;
    char key[16], value[32];

    for (unsigned i = 0; i < count; i++) {
        unsigned long long n = first + i * step;

        snprintf(key, sizeof key, "k%05llu", n);
        snprintf(value, sizeof value, "%llx", n * 0x9e3779b97f4a7c15u);
        assert_int_equal(
            memtable_apply(m, &(struct entry){nx_slice_str(key), nx_slice_str(value), 1, ENTRY_PUT},
                           NULL),
            NX_OK);
    }
    assert_int_equal(flush_run(&f->env, &m, 1, &result, NULL), NX_OK);
    memtable_unref(m);
    table = table_ref(result.outputs[0]);
    compact_result_fini(&result);
    return table;
}

/* At the end of a level; takes the table. */
static void add_table(struct fixture *f, unsigned level, struct table *table)
{
    struct level *l = &f->levels.level[level];

    l->tables = realloc(l->tables, (l->count + 1) * sizeof(struct table *));
    l->tables[l->count++] = table;
    l->bytes += table_props(table)->file_bytes;
}

/* A last level that is large for what level 0 will hold. */
static void begin_large(struct fixture *f)
{
    begin(f);
    for (unsigned i = 0; i < 4; i++)
        add_table(f, 6, table_of_keys(f, i * 500, 500, 1));
}

static void add_level0(struct fixture *f, size_t count)
{
    for (size_t i = 0; i < count; i++)
        add_table(f, 0, table_of_keys(f, 100 + (unsigned)i, 5, 300));
}

static bool pick(struct fixture *f, struct compaction *job)
{
    struct nx_buf cursor[NX_LEVELS] = {0};
    bool due = compact_pick(&f->levels, f->env.table_bytes, f->env.fanout, cursor, job);

    for (int l = 0; l < NX_LEVELS; l++)
        nx_buf_fini(&cursor[l]);
    return due;
}

static void level_0_takes_the_lowest_free_tier_above_a_large_base(void **state)
{
    struct compaction job;
    struct fixture f;

    (void)state;
    begin_large(&f);
    add_level0(&f, 3);
    assert_false(pick(&f, &job));
    add_level0(&f, 1);
    for (unsigned tier = 5; tier > 0; tier--) {
        assert_true(pick(&f, &job));
        assert_int_equal(job.from, 0);
        assert_int_equal(job.to, tier);
        assert_int_equal(job.count, 4); /* nothing there is rewritten */
        compaction_fini(&job);
        add_table(&f, tier, table_of_keys(&f, 100, 5, 300));
    }
    assert_true(pick(&f, &job)); /* no tier is free */
    assert_int_equal(job.from, 1);
    assert_int_equal(job.to, 6);
    compaction_fini(&job);
    end(&f);
}

static void the_tiers_go_into_the_base_together(void **state)
{
    struct compaction job;
    struct fixture f;

    (void)state;
    begin_large(&f);
    for (unsigned tier = 5; tier > 2; tier--) {
        assert_false(pick(&f, &job)); /* they gather */
        add_table(&f, tier, table_of_keys(&f, 100, 5, 300));
    }
    add_table(&f, 2, table_of_keys(&f, 100, 5, 300));
    assert_true(pick(&f, &job)); /* one is still free for level 0 */
    assert_true(job.is_drain);
    assert_false(job.is_move);
    assert_int_equal(job.from, 2);
    for (unsigned tier = 5; tier > 1; tier--)
        assert_int_equal(job.counts[tier], 1);
    assert_int_equal(job.counts[6], 3); /* the last has no key between theirs */
    compaction_fini(&job);
    end(&f);
}

static void tiers_that_weigh_much_against_the_base_do_not_wait(void **state)
{
    struct compaction job;
    struct fixture f;

    (void)state;
    begin_large(&f);
    add_table(&f, 5, table_of_keys(&f, 0, 500, 4));
    assert_true(pick(&f, &job));
    assert_int_equal(job.from, 5);
    assert_int_equal(job.to, 6);
    compaction_fini(&job);
    end(&f);
}

static void a_job_takes_what_it_meets_on_the_way(void **state)
{
    struct compaction job;
    struct fixture f;

    (void)state;
    begin_large(&f);
    add_table(&f, 2, table_of_keys(&f, 10, 5, 10)); /* to 50 */
    add_table(&f, 3, table_of_keys(&f, 40, 5, 300));
    add_table(&f, 3, table_of_keys(&f, 1900, 5, 10)); /* nothing leads there */
    add_table(&f, 4, table_of_keys(&f, 1200, 5, 10));
    add_table(&f, 5, table_of_keys(&f, 1800, 5, 10)); /* nor here */
    assert_true(pick(&f, &job));
    assert_int_equal(job.from, 2);
    assert_int_equal(job.counts[2], 1);
    assert_int_equal(job.counts[3], 1);
    assert_int_equal(job.counts[4], 1);
    assert_int_equal(job.counts[5], 0);
    assert_int_equal(job.counts[6], 3);
    compaction_fini(&job);
    end(&f);
}

static void tiers_close_ranks(void **state)
{
    struct compaction job;
    struct fixture f;

    (void)state;
    begin_large(&f);
    add_table(&f, 1, table_of_keys(&f, 100, 5, 300));
    add_table(&f, 3, table_of_keys(&f, 100, 5, 300));
    assert_true(pick(&f, &job));
    assert_true(job.is_move);
    assert_int_equal(job.from, 3);
    assert_int_equal(job.to, 5);
    assert_int_equal(job.count, 1);
    compaction_fini(&job);
    end(&f);
}

static void amid_a_merge_level_0_goes_above_it(void **state)
{
    struct compaction job;
    struct fixture f;

    (void)state;
    begin_large(&f);
    add_table(&f, 4, table_of_keys(&f, 100, 5, 300));
    add_level0(&f, 7);
    assert_false(compact_pick_amid(&f.levels, 4096, 4, 4, &job));
    add_level0(&f, 1);
    assert_true(compact_pick_amid(&f.levels, 4096, 4, 4, &job));
    assert_int_equal(job.from, 0);
    assert_int_equal(job.to, 3);
    assert_int_equal(job.count, 8);
    compaction_fini(&job);
    assert_false(compact_pick_amid(&f.levels, 4096, 4, 1, &job)); /* no level between */
    end(&f);
}

static void runs_of_many_levels_are_merged_at_once(void **state)
{
    struct compaction job = {.from = 2, .to = 6, .counts = {[2] = 1, [4] = 2, [6] = 1}, .count = 4};
    struct compact_result result;
    struct fixture f;

    (void)state;
    begin(&f);
    flush_to(&f, 2, "a9=new c8");
    flush_to(&f, 4, "a5=old b5=x");
    flush_to(&f, 5, "y4=x z4");
    add_table(&f, 4, table_ref(f.levels.level[5].tables[0]));
    flush_to(&f, 6, "a1=oldest c1=gone z1=gone");
    job.inputs = calloc(4, sizeof *job.inputs);
    job.inputs[0] = f.levels.level[2].tables[0];
    job.inputs[1] = f.levels.level[4].tables[0];
    job.inputs[2] = f.levels.level[4].tables[1];
    job.inputs[3] = f.levels.level[6].tables[0];
    assert_int_equal(compact_run(&f.env, &f.levels, &job, &result, NULL), NX_OK);
    assert_string_equal(dump(&result), "a0=new b0=x y0=x");
    compact_result_fini(&result);
    compaction_fini(&job);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_versions_that_a_reader_can_see_are_kept),
        cmocka_unit_test(a_deletion_stays_while_something_older_may_lie_below),
        cmocka_unit_test(a_range_hides_what_is_older_and_goes_at_the_bottom),
        cmocka_unit_test(a_purge_leaves_out_what_is_hidden_above_and_adds_nothing),
        cmocka_unit_test(a_purge_keeps_deletions_that_hide_what_is_below),
        cmocka_unit_test(what_a_purge_would_win_is_known_before),
        cmocka_unit_test(outputs_are_cut_where_keys_change_and_ranges_with_them),
        cmocka_unit_test(nothing_in_gives_nothing_out),
        cmocka_unit_test(only_the_last_level_has_its_own_compression),
        cmocka_unit_test(a_failure_of_any_call_is_reported_and_leaves_no_file),
        cmocka_unit_test(a_stopped_job_leaves_no_file),
        cmocka_unit_test(four_tables_in_level_0_go_to_the_bottom_of_a_small_tree),
        cmocka_unit_test(level_0_takes_the_lowest_free_tier_above_a_large_base),
        cmocka_unit_test(the_tiers_go_into_the_base_together),
        cmocka_unit_test(tiers_that_weigh_much_against_the_base_do_not_wait),
        cmocka_unit_test(a_job_takes_what_it_meets_on_the_way),
        cmocka_unit_test(tiers_close_ranks),
        cmocka_unit_test(amid_a_merge_level_0_goes_above_it),
        cmocka_unit_test(runs_of_many_levels_are_merged_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

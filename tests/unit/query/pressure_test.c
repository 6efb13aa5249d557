/*
 * pressure_test.c - queries over a real database with little memory, little time, and a spill
 * folder that fails: the same answers as with plenty, or a clear error; and no file stays behind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nexadb/query.h>

#include "base/io_fault.h"
#include "tests/unit/query/query_json.h"
#include "tests/unit/store/store_fixture.h"

#define DOCUMENTS 3000
#define LITTLE (64u << 10) /* an eighth of what the documents take */

struct fixture {
    char dir[64];
    struct io_fault *fault;
    struct nx_db *db;
    nx_ino users;
};

static const struct nx_limits little = {.memory_bytes = LITTLE};

static void fill(struct fixture *f)
{
    struct nx_write *write;
    struct nx_err err = NX_ERR_INIT;
    char doc[300];

    OK(nx_write_new(f->db, &write, &err));
    for (int i = 0; i < DOCUMENTS; i++) {
        struct nx_put put = {.collection = f->users, .mode = NX_PUT_INSERT};

        snprintf(doc, sizeof doc, "{\"_id\":%d,\"k\":\"%04d\",\"g\":%d,\"f\":%d,\"s\":\"%0100d\"}",
                 i, i * 7919 % DOCUMENTS, i % 100, i * 31 % DOCUMENTS, i);
        put.bson = json(doc);
        OK(nx_write_put(write, &put, NULL, &err));
    }
    OK(nx_write_commit(write, &(struct nx_change){.durability = NX_BUFFERED}, NULL, &err));
    nx_write_free(write);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct nx_err err = NX_ERR_INIT;
    struct nx_db_options options;

    snprintf(f->dir, sizeof f->dir, "/tmp/nexadb-pressure-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    f->fault = io_fault_new(nx_io_posix());
    nx_db_options_init(&options);
    options.engine.io = io_fault_io(f->fault);
    OK(nx_db_open(f->dir, &options, &f->db, &err));
    f->users = make_collection(f->db, "users");
    fill(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    char command[128];

    OK(nx_db_close(f->db, &err));
    io_fault_free(f->fault);
    snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    free(f);
    json_forget(state);
    return system(command);
}

/* --- words for tests -------------------------------------------------------------------------- */

static void count_name(void *arg, const char *name)
{
    (void)name;
    ++*(unsigned *)arg;
}

static unsigned spilled_files(struct fixture *f)
{
    struct nx_io *io = nx_db_io(f->db);
    struct nx_err err = NX_ERR_INIT;
    unsigned count = 0;

    OK(io->ops->list(io, nx_db_spill_dir(f->db), count_name, &count, &err));
    return count;
}

struct outcome {
    enum nx_code rc;
    uint64_t count, hash; /* of the documents in their order */
    unsigned most_files;
    struct nx_err err;
};

static void drain(struct fixture *f, struct nx_cursor *cursor, struct outcome *out)
{
    struct nx_slice doc;

    while ((out->rc = nx_cursor_next(cursor, &doc, &out->err)) == NX_OK) {
        struct nx_value value = nx_doc_value(doc);
        unsigned files = out->count % 64 ? 0 : spilled_files(f);

        out->hash = nx_value_hash(&value, out->hash);
        out->most_files = files > out->most_files ? files : out->most_files;
        out->count++;
    }
    nx_cursor_close(cursor);
    assert_int_equal(spilled_files(f), 0);
    if (out->rc == NX_DONE)
        out->rc = NX_OK;
    else
        assert_true(out->err.message[0] != 0);
}

static struct outcome aggregate(struct fixture *f, const char *stages,
                                const struct nx_limits *limits)
{
    struct outcome out = {.err = NX_ERR_INIT};
    struct nx_cursor *cursor;

    out.rc =
        nx_query_aggregate(f->db, NULL, f->users, json(stages), false, limits, &cursor, &out.err);
    if (out.rc == NX_OK)
        drain(f, cursor, &out);
    return out;
}

/* With little memory, files are written and the answer is that of plenty. */
static void assert_spills(struct fixture *f, const char *stages)
{
    struct outcome plenty = aggregate(f, stages, NULL), few = aggregate(f, stages, &little);

    assert_int_equal(plenty.rc, NX_OK);
    expect(NX_OK, few.rc, &few.err);
    assert_true(plenty.count > 0);
    assert_int_equal(few.count, plenty.count);
    assert_true(few.hash == plenty.hash);
    assert_int_equal(plenty.most_files, 0);
    assert_true(few.most_files > 0);
}

static void assert_fails(struct fixture *f, const char *stages, const struct nx_limits *limits,
                         enum nx_code code)
{
    struct outcome out = aggregate(f, stages, limits);

    expect(code, out.rc, &out.err);
}

/* --- memory ----------------------------------------------------------------------------------- */

static void sorts_spill(void **state)
{
    assert_spills(*state, "[{\"$sort\":{\"k\":1}}]");
    assert_spills(*state, "[{\"$sort\":{\"g\":-1,\"k\":-1}},{\"$skip\":10}]");
}

static void a_find_with_a_sort_spills(void **state)
{
    struct fixture *f = *state;
    struct nx_find find = {.sort = json("{\"k\":-1}")};
    struct outcome plenty = {.err = NX_ERR_INIT}, few = plenty;
    struct nx_cursor *cursor;
    struct nx_err err = NX_ERR_INIT;

    OK(nx_query_find(f->db, NULL, f->users, &find, NULL, &cursor, &err));
    drain(f, cursor, &plenty);
    OK(nx_query_find(f->db, NULL, f->users, &find, &little, &cursor, &err));
    drain(f, cursor, &few);
    assert_int_equal(few.count, DOCUMENTS);
    assert_true(few.hash == plenty.hash);
    assert_true(few.most_files > 0);
}

/* What one spilled group gives comes in another order: a sort puts both in one. */
#define BY_ID ",{\"$sort\":{\"_id\":1}}]"

static void groups_spill(void **state)
{
    assert_spills(
        *state, "[{\"$group\":{\"_id\":\"$k\",\"n\":{\"$sum\":1},\"m\":{\"$max\":\"$s\"}}}" BY_ID);
    assert_spills(
        *state,
        "[{\"$group\":{\"_id\":\"$f\",\"d\":{\"$push\":\"$s\"},\"a\":{\"$avg\":\"$g\"}}}" BY_ID);
}

static void facets_spill_their_input(void **state)
{
    struct outcome plenty, few;
    const char *stages =
        "[{\"$facet\":{\"a\":[{\"$group\":{\"_id\":\"$g\",\"n\":{\"$sum\":1}}},"
        "{\"$sort\":{\"_id\":1}}],\"b\":[{\"$match\":{\"g\":{\"$lt\":5}}},{\"$count\":\"n\"}]}}]";

    plenty = aggregate(*state, stages, NULL);
    few = aggregate(*state, stages, &little);
    expect(NX_OK, few.rc, &few.err);
    assert_true(few.hash == plenty.hash);
    assert_true(few.most_files > 0);
}

static void windows_spill_their_sort_and_hold_one_partition(void **state)
{
    assert_spills(*state, "[{\"$setWindowFields\":{\"partitionBy\":\"$g\",\"sortBy\":{\"k\":1},"
                          "\"output\":{\"r\":{\"$sum\":\"$f\",\"window\":{\"documents\":"
                          "[\"unbounded\",\"current\"]}}}}}]");
    assert_fails(
        *state, "[{\"$setWindowFields\":{\"sortBy\":{\"k\":1},\"output\":{\"r\":{\"$rank\":{}}}}}]",
        &little, NX_EBUDGET);
}

static void a_join_is_the_same_without_room_for_its_table(void **state)
{
    const char *stages = "[{\"$limit\":40},{\"$lookup\":{\"from\":\"users\",\"localField\":\"f\","
                         "\"foreignField\":\"g\",\"as\":\"j\"}},{\"$project\":{\"j._id\":1}}]";
    struct outcome plenty = aggregate(*state, stages, NULL);
    struct outcome few = aggregate(*state, stages, &little);

    assert_int_equal(plenty.count, 40);
    expect(NX_OK, few.rc, &few.err);
    assert_true(few.hash == plenty.hash);
}

static void what_cannot_spill_says_that_its_memory_is_used_up(void **state)
{
    static const char *const all[] = {
        "[{\"$group\":{\"_id\":null,\"all\":{\"$push\":\"$s\"}}}]",
        "[{\"$group\":{\"_id\":null,\"all\":{\"$addToSet\":\"$s\"}}}]",
        "[{\"$limit\":1},{\"$lookup\":{\"from\":\"users\",\"pipeline\":[],\"as\":\"all\"}}]",
        "[{\"$facet\":{\"all\":[]}}]",
        "[{\"$project\":{\"r\":{\"$range\":[0,100000]}}}]",
        ("[{\"$project\":{\"r\":{\"$map\":{\"input\":{\"$range\":[0,100]},\"in\":"
         "{\"$range\":[0,\"$$this\"]}}}}}]"),
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_fails(*state, all[i], &little, NX_EBUDGET);
}

/* With the default memory: each of these would need gigabytes. */
static void expressions_that_grow_without_end_fail(void **state)
{
    static const char *const all[] = {
        "[{\"$project\":{\"r\":{\"$map\":{\"input\":{\"$range\":[0,1000]},\"in\":"
        "{\"$range\":[0,1000000]}}}}}]",
        "[{\"$project\":{\"r\":{\"$reduce\":{\"input\":{\"$range\":[0,1000]},\"initialValue\":[1],"
        "\"in\":{\"$concatArrays\":[\"$$value\",\"$$value\"]}}}}}]",
        "[{\"$project\":{\"r\":{\"$map\":{\"input\":{\"$range\":[0,100000]},\"in\":{\"$reduce\":{"
        "\"input\":{\"$range\":[0,12]},\"initialValue\":\"$s\",\"in\":"
        "{\"$concat\":[\"$$value\",\"$$value\"]}}}}}}}]",
        "[{\"$match\":{\"$expr\":{\"$gt\":[{\"$map\":{\"input\":{\"$range\":[0,1000]},\"in\":"
        "{\"$range\":[0,1000000]}}},1]}}}]",
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_fails(*state, all[i], NULL, NX_EBUDGET);
    assert_fails(*state,
                 "[{\"$project\":{\"r\":{\"$reduce\":{\"input\":{\"$range\":[0,40]},"
                 "\"initialValue\":\"$s\",\"in\":{\"$concat\":[\"$$value\",\"$$value\"]}}}}}]",
                 NULL, NX_EEXPR); /* a string longer than a document */
}

/* --- time ------------------------------------------------------------------------------------- */

/* 100 million rounds for each document. */
#define LONG_LOOP                                                                                  \
    "[{\"$project\":{\"r\":{\"$reduce\":{\"input\":{\"$range\":[0,10000]},\"initialValue\":0,"     \
    "\"in\":{\"$reduce\":{\"input\":{\"$range\":[0,10000]},\"initialValue\":0,\"in\":"             \
    "{\"$add\":[\"$$value\",\"$$this\"]}}}}}}}]"

static void time_ends_a_loop_inside_one_document(void **state)
{
    assert_fails(*state, LONG_LOOP, &(struct nx_limits){.time_ms = 20}, NX_ETIMEDOUT);
}

static void time_that_the_caller_lets_pass_is_not_counted(void **state)
{
    static const char loops[] =
        "[{\"$limit\":20},{\"$project\":{\"r\":{\"$reduce\":{\"input\":{\"$range\":[0,10000]},"
        "\"initialValue\":0,\"in\":{\"$add\":[\"$$value\",\"$$this\"]}}}}}]";
    const uint64_t minutes = UINT64_C(600) * 1000000000;
    struct nx_limits limits = {.time_ms = 1, .idle_ns = &minutes};

    assert_int_equal(aggregate(*state, loops, &limits).rc, NX_OK);
    limits.idle_ns = NULL;
    assert_fails(*state, loops, &limits, NX_ETIMEDOUT);
}

static void a_canceled_query_ends_in_the_middle_and_removes_its_files(void **state)
{
    struct fixture *f = *state;
    static const char *const all[] = {
        "[{\"$sort\":{\"k\":1}},{\"$match\":{\"g\":{\"$gte\":0}}}]",
        "[{\"$group\":{\"_id\":\"$k\"}},{\"$match\":{\"_id\":{\"$gte\":\"\"}}}]",
        ("[{\"$setWindowFields\":{\"partitionBy\":\"$g\",\"sortBy\":{\"k\":1},\"output\":"
         "{\"r\":{\"$rank\":{}}}}},{\"$match\":{\"g\":{\"$gte\":0}}}]"),
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        atomic_bool canceled = false;
        struct nx_limits limits = {.memory_bytes = LITTLE, .canceled = &canceled};
        struct nx_cursor *cursor;
        struct nx_slice doc;
        struct nx_err err = NX_ERR_INIT;

        OK(nx_query_aggregate(f->db, NULL, f->users, json(all[i]), false, &limits, &cursor, &err));
        OK(nx_cursor_next(cursor, &doc, &err));
        assert_true(spilled_files(f) > 0);
        canceled = true;
        FAILS(NX_ECANCELED, nx_cursor_next(cursor, &doc, &err));
        FAILS(NX_ECANCELED, nx_cursor_next(cursor, &doc, &err));
        nx_cursor_close(cursor);
        assert_int_equal(spilled_files(f), 0);
    }
}

/* --- a spill folder that fails ---------------------------------------------------------------- */

static void try_faults(struct fixture *f, const char *stages, unsigned ops,
                       enum io_fault_action action, enum nx_code code)
{
    struct outcome good = aggregate(f, stages, &little);

    assert_int_equal(good.rc, NX_OK);
    for (uint64_t nth = 1; nth < 2000; nth += 1 + nth / 4) {
        uint64_t hits = io_fault_hits(f->fault);
        struct outcome out;

        io_fault_add(f->fault, &(struct io_fault_rule){.ops = ops,
                                                       .glob = "*/spill/*",
                                                       .nth = nth,
                                                       .times = UINT64_MAX,
                                                       .action = action});
        out = aggregate(f, stages, &little);
        hits = io_fault_hits(f->fault) - hits;
        io_fault_clear(f->fault);
        if (hits == 0) {
            assert_true(nth > 1);
            break;
        }
        expect(code, out.rc, &out.err);
    }
    assert_true(aggregate(f, stages, &little).hash == good.hash);
}

static void a_failing_spill_folder_fails_the_query_and_nothing_else(void **state)
{
    static const char *const all[] = {
        "[{\"$sort\":{\"k\":1}}]",
        "[{\"$group\":{\"_id\":\"$k\",\"m\":{\"$max\":\"$s\"}}}]",
        "[{\"$facet\":{\"a\":[{\"$count\":\"n\"}],\"b\":[{\"$count\":\"n\"}]}}]",
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        try_faults(*state, all[i], IO_FAULT_OPEN, IO_FAULT_EIO, NX_EIO);
        try_faults(*state, all[i], IO_FAULT_WRITE, IO_FAULT_ENOSPC, NX_ENOSPC);
        try_faults(*state, all[i], IO_FAULT_WRITE, IO_FAULT_SHORT, NX_EIO);
        try_faults(*state, all[i], IO_FAULT_READ, IO_FAULT_EIO, NX_EIO);
    }
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(sorts_spill),
        T(a_find_with_a_sort_spills),
        T(groups_spill),
        T(facets_spill_their_input),
        T(windows_spill_their_sort_and_hold_one_partition),
        T(a_join_is_the_same_without_room_for_its_table),
        T(what_cannot_spill_says_that_its_memory_is_used_up),
        T(expressions_that_grow_without_end_fail),
        T(time_ends_a_loop_inside_one_document),
        T(time_that_the_caller_lets_pass_is_not_counted),
        T(a_canceled_query_ends_in_the_middle_and_removes_its_files),
        T(a_failing_spill_folder_fails_the_query_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

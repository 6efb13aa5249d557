/* Every call of the file layer failed in turn: an error that says so, no crash, no leak, and a
 * database that is whole when it is opened again. */
#include <stdio.h>
#include <string.h>

#include "base/io_fault.h"
#include "base/io_sim.h"
#include "store/store.h"
#include "store_fixture.h"

static bool scenario_continues(enum nx_code rc, const struct nx_err *err)
{
    if (rc == NX_OK)
        return true;
    assert_string_not_equal(err->message, "");
    return false;
}

static void read_feed(struct nx_db *db)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_feed_change change;
    struct nx_feed *feed;

    if (!scenario_continues(nx_feed_open(db, 0, "0", &feed, &err), &err))
        return;
    for (enum nx_code rc = NX_OK; rc != NX_DONE && scenario_continues(rc, &err);)
        rc = nx_feed_next(feed, &change, &err);
    nx_feed_close(feed);
    scenario_continues(feed_trim(db, 40, FEED_KEEP_MS, &err), &err);
}

/* Open, change a bit of everything, close; the first error ends it. */
static void run_scenario(struct nx_io *io)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_change change = {.durability = NX_SYNC};
    struct nx_db_options options;
    struct nx_attr attr, file = {.kind = NX_KIND_FILE};
    struct nx_db *db;

    nx_db_options_init(&options);
    options.engine.io = io;
    options.engine.memtable_bytes = 64 << 10;
    options.engine.wal_segment_bytes = 64 << 10;
    if (!scenario_continues(nx_db_open("/db", &options, &db, &err), &err))
        return;
    if (scenario_continues(nx_db_collection_make(db, "users", 5, &change, &attr, &err), &err) &&
        scenario_continues(put_text(db, attr.ino, "a.json", "{\"v\":1}", NX_PUT_UPSERT, &err),
                           &err) &&
        scenario_continues(nx_engine_flush(nx_db_engine(db), &err), &err) &&
        scenario_continues(
            nx_db_create(db, attr.ino, "file", 4, NX_SLICE_NULL, &change, &file, &err), &err) &&
        scenario_continues(nx_db_write(db, file.ino, 0, "{\"w\":2}", 7, &change, NULL, &err),
                           &err) &&
        scenario_continues(nx_db_xattr_set(db, file.ino, nx_slice_str("user.a"), nx_slice_str("v"),
                                           0, &change, &err),
                           &err) &&
        scenario_continues(
            nx_db_allocate(db, file.ino, NX_ALLOCATE_HOLE, 7, 70000, &change, NULL, &err), &err) &&
        scenario_continues(nx_db_set_attr(db, file.ino, NX_SET_SIZE, &(struct nx_attr){.size = 7},
                                          &change, NULL, &err),
                           &err) &&
        scenario_continues(rename_name(db, attr.ino, "file", attr.ino, "a.json", 0, &err), &err) &&
        scenario_continues(rename_name(db, attr.ino, "a.json", attr.ino, "b.json", 0, &err), &err))
        scenario_continues(nx_db_drop(db, attr.ino, &change, &err), &err);
    read_feed(db);
    nx_db_close(db, &err);
}

static uint64_t count_calls(unsigned ops)
{
    struct io_sim *sim = io_sim_new(1);
    struct io_fault *fault = io_fault_new(io_sim_io(sim));
    uint64_t calls;

    run_scenario(io_fault_io(fault));
    calls = io_fault_calls(fault, ops);
    io_fault_free(fault);
    io_sim_free(sim);
    return calls;
}

static void fail_one(unsigned ops, uint64_t nth, enum io_fault_action action)
{
    struct io_sim *sim = io_sim_new(1);
    struct io_fault *fault = io_fault_new(io_sim_io(sim));
    struct io_fault_rule rule = {.ops = ops, .nth = nth, .action = action};
    struct nx_err err = NX_ERR_INIT;
    struct nx_db *db;

    io_fault_add(fault, &rule);
    run_scenario(io_fault_io(fault));
    io_fault_free(fault);
    db = store_open("/db", sim);
    store_verify(db);
    make_collection(db, "after");
    store_verify(db);
    OK(nx_db_close(db, &err));
    io_sim_free(sim);
}

static void each_failing_call_leaves_a_whole_database(void **state)
{
    static const unsigned ops = IO_FAULT_ANY & ~(unsigned)IO_FAULT_LOCK;
    uint64_t calls = count_calls(ops);

    (void)state;
    assert_true(calls > 20);
    for (uint64_t n = 1; n <= calls; n++)
        fail_one(ops, n, IO_FAULT_EIO);
}

static void each_full_disk_leaves_a_whole_database(void **state)
{
    static const unsigned ops = IO_FAULT_WRITE | IO_FAULT_ALLOCATE | IO_FAULT_MKDIR;
    uint64_t calls = count_calls(ops);

    (void)state;
    for (uint64_t n = 1; n <= calls; n++)
        fail_one(ops, n, n % 2 ? IO_FAULT_ENOSPC : IO_FAULT_SHORT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failing_call_leaves_a_whole_database),
        cmocka_unit_test(each_full_disk_leaves_a_whole_database),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

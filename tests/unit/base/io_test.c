/* io_test.c - what every file layer must do, asked of posix, fault and sim; then what each adds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io_fault.h"
#include "base/io_sim.h"
#include "tests/support/unit.h"

struct fixture {
    struct nx_io *io;
    struct io_sim *sim;
    struct io_fault *fault;
    char dir[64];
    char path[96];
};

static const char *in(struct fixture *f, const char *name)
{
    snprintf(f->path, sizeof f->path, "%s/%s", f->dir, name);
    return f->path;
}

static void make_temporary(struct fixture *f)
{
    strcpy(f->dir, "/tmp/nx-io-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
}

static int set_up_posix(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    make_temporary(f);
    f->io = nx_io_posix();
    *state = f;
    return 0;
}

static int set_up_sim(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->sim = io_sim_new(1);
    f->io = io_sim_io(f->sim);
    strcpy(f->dir, "/d");
    assert_int_equal(f->io->ops->mkdir(f->io, f->dir, NULL), NX_OK);
    assert_int_equal(f->io->ops->sync_dir(f->io, "/", NULL), NX_OK);
    *state = f;
    return 0;
}

static int set_up_fault(void **state)
{
    struct fixture *f;

    set_up_sim(state);
    f = *state;
    f->fault = io_fault_new(f->io);
    io_fault_on_lost_sync(f->fault, io_sim_lose_dirty);
    f->io = io_fault_io(f->fault);
    return 0;
}

static void remove_one(void *arg, const char *name)
{
    struct fixture *f = arg;

    unlink(in(f, name));
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    if (!f->sim) {
        f->io->ops->list(f->io, f->dir, remove_one, f, NULL);
        rmdir(f->dir);
    }
    io_fault_free(f->fault);
    io_sim_free(f->sim);
    free(f);
    return 0;
}

/* --- helpers ---------------------------------------------------------------------------------- */

static struct nx_file *create(struct fixture *f, const char *name)
{
    struct nx_file *file;

    assert_int_equal(
        f->io->ops->open(f->io, in(f, name), NX_OPEN_WRITE | NX_OPEN_CREATE, &file, NULL), NX_OK);
    return file;
}

static void write_text(struct nx_file *file, uint64_t offset, const char *text)
{
    assert_int_equal(file->ops->pwrite(file, offset, text, strlen(text), NULL), NX_OK);
}

static void put(struct fixture *f, const char *name, const char *text, bool is_synced)
{
    struct nx_file *file = create(f, name);

    write_text(file, 0, text);
    if (is_synced)
        assert_int_equal(file->ops->datasync(file, NULL), NX_OK);
    file->ops->close(file);
}

static void assert_holds(struct nx_io *io, const char *path, const char *text)
{
    struct nx_file *file;
    char bytes[4096];
    size_t got;

    assert_int_equal(io->ops->open(io, path, NX_OPEN_READ, &file, NULL), NX_OK);
    assert_int_equal(file->ops->pread(file, 0, bytes, sizeof bytes, &got, NULL), NX_OK);
    assert_int_equal(got, strlen(text));
    assert_memory_equal(bytes, text, got);
    file->ops->close(file);
}

static bool exists(struct nx_io *io, const char *path)
{
    struct nx_file *file;

    if (io->ops->open(io, path, NX_OPEN_READ, &file, NULL) != NX_OK)
        return false;
    file->ops->close(file);
    return true;
}

static void count_name(void *arg, const char *name)
{
    (void)name;
    (*(int *)arg)++;
}

/* --- every layer ------------------------------------------------------------------------------ */

static void reads_give_what_was_written(void **state)
{
    struct fixture *f = *state;
    struct nx_file *file = create(f, "a");
    uint64_t size;
    char bytes[32];
    size_t got;

    write_text(file, 3, "hello");
    assert_int_equal(file->ops->size(file, &size, NULL), NX_OK);
    assert_int_equal(size, 8);
    assert_int_equal(file->ops->pread(file, 1, bytes, sizeof bytes, &got, NULL), NX_OK);
    assert_int_equal(got, 7);
    assert_memory_equal(bytes, "\0\0hello", 7);
    assert_int_equal(file->ops->pread(file, 100, bytes, sizeof bytes, &got, NULL), NX_OK);
    assert_int_equal(got, 0);
    assert_int_equal(file->ops->truncate(file, 5, NULL), NX_OK);
    assert_int_equal(file->ops->allocate(file, 9, NULL), NX_OK);
    assert_int_equal(file->ops->pread(file, 0, bytes, sizeof bytes, &got, NULL), NX_OK);
    assert_int_equal(got, 9);
    assert_memory_equal(bytes, "\0\0\0he\0\0\0\0", 9);
    assert_int_equal(file->ops->allocate(file, 4, NULL), NX_OK); /* never shrinks */
    assert_int_equal(file->ops->size(file, &size, NULL), NX_OK);
    assert_int_equal(size, 9);
    file->ops->close(file);
}

static void a_mapping_and_the_file_are_one(void **state)
{
    struct fixture *f = *state;
    struct nx_file *file = create(f, "a");
    char bytes[4];
    void *address;
    size_t got;

    assert_int_equal(file->ops->allocate(file, 8192, NULL), NX_OK);
    assert_int_equal(file->ops->map(file, 8192, &address, NULL), NX_OK);
    file->ops->store(file, (char *)address + 5000, "abc", 3);
    assert_int_equal(file->ops->pread(file, 5000, bytes, 3, &got, NULL), NX_OK);
    assert_memory_equal(bytes, "abc", 3);
    write_text(file, 10, "xyz");
    assert_memory_equal((char *)address + 10, "xyz", 3);
    file->ops->unmap(file, address, 8192);
    file->ops->close(file);
}

static void names_change_as_asked(void **state)
{
    struct fixture *f = *state;
    char other[96];
    struct nx_file *file;
    int count = 0;

    put(f, "a", "one", false);
    put(f, "b", "two", false);
    strcpy(other, in(f, "b"));
    assert_int_equal(f->io->ops->rename(f->io, in(f, "a"), other, NULL), NX_OK);
    assert_holds(f->io, other, "one");
    assert_false(exists(f->io, in(f, "a")));
    assert_int_equal(f->io->ops->link(f->io, other, in(f, "c"), NULL), NX_OK);
    assert_int_equal(f->io->ops->link(f->io, other, in(f, "c"), NULL), NX_EEXISTS);
    assert_int_equal(f->io->ops->remove(f->io, other, NULL), NX_OK);
    assert_int_equal(f->io->ops->remove(f->io, other, NULL), NX_ENOTFOUND);
    assert_holds(f->io, in(f, "c"), "one");
    assert_int_equal(f->io->ops->list(f->io, f->dir, count_name, &count, NULL), NX_OK);
    assert_int_equal(count, 1);
    assert_int_equal(f->io->ops->open(f->io, in(f, "c"),
                                      NX_OPEN_WRITE | NX_OPEN_CREATE | NX_OPEN_EXCL, &file, NULL),
                     NX_EEXISTS);
    assert_int_equal(f->io->ops->mkdir(f->io, f->dir, NULL), NX_EEXISTS);
}

static void an_open_file_outlives_its_name(void **state)
{
    struct fixture *f = *state;
    struct nx_file *file = create(f, "a");
    char bytes[8];
    size_t got;

    write_text(file, 0, "still");
    assert_int_equal(f->io->ops->remove(f->io, in(f, "a"), NULL), NX_OK);
    assert_int_equal(file->ops->pread(file, 0, bytes, 5, &got, NULL), NX_OK);
    assert_memory_equal(bytes, "still", 5);
    file->ops->close(file);
}

static void a_second_lock_names_the_holder(void **state)
{
    struct fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_dirlock *first, *second;

    assert_int_equal(f->io->ops->lock(f->io, in(f, "LOCK"), &first, NULL), NX_OK);
    assert_int_equal(f->io->ops->lock(f->io, in(f, "LOCK"), &second, &err), NX_ELOCKED);
    assert_null(second);
    assert_non_null(strstr(err.message, "process "));
    f->io->ops->unlock(f->io, first);
    assert_int_equal(f->io->ops->lock(f->io, in(f, "LOCK"), &second, NULL), NX_OK);
    f->io->ops->unlock(f->io, second);
}

static void errors_name_the_path(void **state)
{
    struct fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_file *file;

    assert_int_equal(f->io->ops->open(f->io, in(f, "none"), NX_OPEN_READ, &file, &err),
                     NX_ENOTFOUND);
    assert_null(file);
    assert_non_null(strstr(err.message, in(f, "none")));
}

/* --- faults ----------------------------------------------------------------------------------- */

static void the_nth_matching_call_fails(void **state)
{
    struct fixture *f = *state;
    struct nx_file *a = create(f, "a.wal");
    struct nx_file *b = create(f, "b.table");

    io_fault_add(f->fault,
                 &(struct io_fault_rule){
                     .ops = IO_FAULT_WRITE, .glob = "*.wal", .nth = 2, .action = IO_FAULT_ENOSPC});
    write_text(b, 0, "x");
    write_text(a, 0, "x");
    write_text(b, 0, "x");
    assert_int_equal(a->ops->pwrite(a, 0, "y", 1, NULL), NX_ENOSPC);
    write_text(a, 0, "x");
    assert_int_equal(io_fault_hits(f->fault), 1);
    assert_int_equal(io_fault_calls(f->fault, IO_FAULT_WRITE), 5);
    a->ops->close(a);
    b->ops->close(b);
}

static void short_writes_and_flipped_bits(void **state)
{
    struct fixture *f = *state;
    struct nx_file *file = create(f, "a");
    char bytes[8];
    size_t got;

    io_fault_add(f->fault,
                 &(struct io_fault_rule){.ops = IO_FAULT_WRITE, .action = IO_FAULT_SHORT});
    assert_int_equal(file->ops->pwrite(file, 0, "abcdef", 6, NULL), NX_EIO);
    assert_int_equal(file->ops->pread(file, 0, bytes, 6, &got, NULL), NX_OK);
    assert_int_equal(got, 3);
    io_fault_clear(f->fault);
    io_fault_add(f->fault, &(struct io_fault_rule){.ops = IO_FAULT_READ, .action = IO_FAULT_FLIP});
    assert_int_equal(file->ops->pread(file, 0, bytes, 3, &got, NULL), NX_OK);
    assert_int_equal(bytes[1], 'b' ^ 0x10);
    file->ops->close(file);
}

static void a_failed_sync_is_not_made_good_by_the_next(void **state)
{
    struct fixture *f = *state;
    struct nx_file *file = create(f, "a");
    struct io_sim *next;

    assert_int_equal(f->io->ops->sync_dir(f->io, f->dir, NULL), NX_OK);
    write_text(file, 0, "lost");
    io_fault_add(f->fault, &(struct io_fault_rule){.ops = IO_FAULT_DATASYNC});
    assert_int_equal(file->ops->datasync(file, NULL), NX_EIO);
    assert_int_equal(file->ops->datasync(file, NULL), NX_OK);
    file->ops->close(file);
    assert_holds(f->io, in(f, "a"), "lost"); /* the page cache still shows it */
    next = io_sim_crash(f->sim, 1);
    assert_holds(io_sim_io(next), in(f, "a"), "");
    io_sim_free(next);
}

/* --- crashes ---------------------------------------------------------------------------------- */

static void a_crash_keeps_what_was_synced(void **state)
{
    struct fixture *f = *state;

    put(f, "a", "synced", true);
    assert_int_equal(f->io->ops->sync_dir(f->io, f->dir, NULL), NX_OK);
    for (uint64_t seed = 1; seed < 50; seed++) {
        struct io_sim *next = io_sim_crash(f->sim, seed);

        assert_holds(io_sim_io(next), in(f, "a"), "synced");
        io_sim_free(next);
    }
}

static void a_crash_keeps_any_subset_of_the_rest(void **state)
{
    struct fixture *f = *state;
    struct nx_file *file = create(f, "a");
    bool has_seen[4] = {false};

    assert_int_equal(file->ops->allocate(file, 1024, NULL), NX_OK);
    assert_int_equal(file->ops->datasync(file, NULL), NX_OK);
    assert_int_equal(f->io->ops->sync_dir(f->io, f->dir, NULL), NX_OK);
    write_text(file, 510, "abcd"); /* across two sectors */
    file->ops->close(file);
    for (uint64_t seed = 1; seed < 100; seed++) {
        struct io_sim *next = io_sim_crash(f->sim, seed);
        struct nx_file *left;
        char bytes[4];
        size_t got;

        assert_int_equal(io_sim_io(next)->ops->open(io_sim_io(next), in(f, "a"), 0, &left, NULL),
                         NX_OK);
        assert_int_equal(left->ops->pread(left, 510, bytes, 4, &got, NULL), NX_OK);
        assert_true(bytes[0] == 0 || bytes[0] == 'a');
        assert_int_equal(bytes[0] == 0, bytes[1] == 0); /* one sector, one fate */
        assert_int_equal(bytes[2] == 0, bytes[3] == 0);
        has_seen[(bytes[0] != 0) + 2 * (bytes[2] != 0)] = true;
        left->ops->close(left);
        io_sim_free(next);
    }
    for (int i = 0; i < 4; i++)
        assert_true(has_seen[i]);
}

static void a_crash_can_be_told_what_is_lost(void **state)
{
    struct fixture *f = *state;
    struct nx_file *file = create(f, "a");
    size_t asked = 0;

    assert_int_equal(file->ops->allocate(file, 1024, NULL), NX_OK);
    assert_int_equal(file->ops->datasync(file, NULL), NX_OK);
    assert_int_equal(f->io->ops->sync_dir(f->io, f->dir, NULL), NX_OK);
    write_text(file, 510, "abcd");
    write_text(file, 0, "");
    file->ops->close(file);
    for (unsigned fate = 0; fate < 4; fate++) {
        const bool answers[2] = {fate & 1, fate & 2};
        struct io_sim *next = io_sim_crash_with(f->sim, answers, 2, &asked);
        char bytes[4];
        size_t got;

        assert_int_equal(asked, 2); /* what was not changed is not asked about */
        assert_int_equal(io_sim_io(next)->ops->open(io_sim_io(next), in(f, "a"), 0, &file, NULL),
                         NX_OK);
        assert_int_equal(file->ops->pread(file, 510, bytes, 4, &got, NULL), NX_OK);
        assert_memory_equal(bytes, answers[0] ? "ab" : "\0\0", 2);
        assert_memory_equal(bytes + 2, answers[1] ? "cd" : "\0\0", 2);
        file->ops->close(file);
        io_sim_free(next);
    }
}

static void keep_moment(void *arg, struct io_sim *then)
{
    struct io_sim **moments = arg;

    while (*moments)
        moments++;
    *moments = then;
}

static void every_change_can_be_watched(void **state)
{
    struct fixture *f = *state;
    struct io_sim *moments[4] = {NULL};
    struct nx_file *file;

    io_sim_watch(f->sim, keep_moment, moments);
    file = create(f, "a");
    write_text(file, 0, "x");
    io_sim_watch(f->sim, NULL, NULL);
    write_text(file, 0, "y");
    file->ops->close(file);
    assert_null(moments[2]);
    assert_false(exists(io_sim_io(moments[0]), in(f, "a")));
    assert_holds(io_sim_io(moments[1]), in(f, "a"), "");
    io_sim_free(moments[0]);
    io_sim_free(moments[1]);
}

static void names_are_lost_until_the_directory_is_synced(void **state)
{
    struct fixture *f = *state;
    int kept = 0, lost = 0;

    put(f, "a", "x", true);
    for (uint64_t seed = 1; seed < 50; seed++) {
        struct io_sim *next = io_sim_crash(f->sim, seed);

        if (exists(io_sim_io(next), in(f, "a")))
            kept++;
        else
            lost++;
        io_sim_free(next);
    }
    assert_true(kept > 0);
    assert_true(lost > 0);
}

static void a_kill_keeps_everything_but_makes_nothing_durable(void **state)
{
    struct fixture *f = *state;
    struct io_sim *killed, *next;
    int lost = 0;

    put(f, "a", "x", false);
    killed = io_sim_kill(f->sim);
    assert_holds(io_sim_io(killed), in(f, "a"), "x");
    for (uint64_t seed = 1; seed < 50; seed++) {
        next = io_sim_crash(killed, seed);
        lost += !exists(io_sim_io(next), in(f, "a"));
        io_sim_free(next);
    }
    assert_true(lost > 0);
    io_sim_free(killed);
}

static void note_moment(void *arg)
{
    *(bool *)arg = true;
}

static void a_store_survives_a_kill_and_is_torn_by_a_power_loss(void **state)
{
    struct fixture *f = *state;
    struct nx_file *file = create(f, "a");
    uint8_t zeros[2048] = {0}, ones[2048], bytes[2048];
    bool has_seen[2] = {false, false};
    struct io_sim *next;
    void *address;

    memset(ones, 1, sizeof ones);
    assert_int_equal(file->ops->pwrite(file, 0, zeros, sizeof zeros, NULL), NX_OK);
    assert_int_equal(file->ops->datasync(file, NULL), NX_OK);
    assert_int_equal(f->io->ops->sync_dir(f->io, f->dir, NULL), NX_OK);
    assert_int_equal(file->ops->map(file, sizeof zeros, &address, NULL), NX_OK);
    file->ops->store(file, address, ones, sizeof ones);
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct nx_file *after;
        size_t got;

        next = seed ? io_sim_crash(f->sim, seed) : io_sim_kill(f->sim);
        assert_int_equal(next ? io_sim_io(next)->ops->open(io_sim_io(next), in(f, "a"),
                                                           NX_OPEN_READ, &after, NULL)
                              : NX_ENOMEM,
                         NX_OK);
        assert_int_equal(after->ops->pread(after, 0, bytes, sizeof bytes, &got, NULL), NX_OK);
        after->ops->close(after);
        io_sim_free(next);
        if (seed == 0)
            assert_memory_equal(bytes, ones, sizeof ones);
        for (size_t at = 0; at < sizeof bytes; at += 512) {
            assert_memory_equal(bytes + at, bytes[at] ? ones : zeros, 512);
            has_seen[bytes[at]] = true;
        }
    }
    assert_true(has_seen[0] && has_seen[1]);
    file->ops->unmap(file, address, sizeof zeros);
    file->ops->close(file);
}

static void a_planned_kill_comes_in_the_middle_of_a_store(void **state)
{
    struct fixture *f = *state;
    struct nx_file *file = create(f, "a");
    bool has_come = false;
    struct io_sim *next;
    void *address;

    assert_int_equal(file->ops->pwrite(file, 0, "....", 4, NULL), NX_OK);
    assert_int_equal(file->ops->map(file, 4, &address, NULL), NX_OK);
    io_sim_plan_kill(f->sim, 2, note_moment, &has_come);
    file->ops->store(file, address, "abcd", 4);
    assert_true(has_come);
    next = io_sim_take_crash(f->sim);
    assert_holds(io_sim_io(next), in(f, "a"), "ab..");
    io_sim_free(next);
    file->ops->unmap(file, address, 4);
    file->ops->close(file);
}

static void a_planned_crash_comes_before_its_operation(void **state)
{
    struct fixture *f = *state;
    struct nx_file *file = create(f, "a");
    bool has_come = false;
    struct io_sim *next;

    assert_int_equal(f->io->ops->sync_dir(f->io, f->dir, NULL), NX_OK);
    io_sim_plan_crash(f->sim, 2, 7, note_moment, &has_come);
    write_text(file, 0, "x");
    assert_false(has_come);
    assert_int_equal(file->ops->datasync(file, NULL), NX_OK);
    assert_true(has_come);
    next = io_sim_take_crash(f->sim);
    assert_non_null(next);
    assert_null(io_sim_take_crash(f->sim));
    file->ops->close(file);
    io_sim_free(next);
}

static void a_full_disk_says_so(void **state)
{
    struct fixture *f = *state;
    struct nx_file *file = create(f, "a");

    io_sim_set_space(f->sim, 1000);
    assert_int_equal(file->ops->allocate(file, 1001, NULL), NX_ENOSPC);
    assert_int_equal(file->ops->allocate(file, 1000, NULL), NX_OK);
    assert_int_equal(file->ops->pwrite(file, 999, "ab", 2, NULL), NX_ENOSPC);
    file->ops->close(file);
}

#define ON_ALL(test)                                                                               \
    {"posix: " #test, test, set_up_posix, tear_down, NULL},                                        \
        {"sim: " #test, test, set_up_sim, tear_down, NULL},                                        \
    {                                                                                              \
        "fault: " #test, test, set_up_fault, tear_down, NULL                                       \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(reads_give_what_was_written),
        ON_ALL(a_mapping_and_the_file_are_one),
        ON_ALL(names_change_as_asked),
        ON_ALL(an_open_file_outlives_its_name),
        ON_ALL(a_second_lock_names_the_holder),
        ON_ALL(errors_name_the_path),
        cmocka_unit_test_setup_teardown(the_nth_matching_call_fails, set_up_fault, tear_down),
        cmocka_unit_test_setup_teardown(short_writes_and_flipped_bits, set_up_fault, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_sync_is_not_made_good_by_the_next, set_up_fault,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_crash_keeps_what_was_synced, set_up_sim, tear_down),
        cmocka_unit_test_setup_teardown(a_crash_can_be_told_what_is_lost, set_up_sim, tear_down),
        cmocka_unit_test_setup_teardown(every_change_can_be_watched, set_up_sim, tear_down),
        cmocka_unit_test_setup_teardown(a_crash_keeps_any_subset_of_the_rest, set_up_sim,
                                        tear_down),
        cmocka_unit_test_setup_teardown(names_are_lost_until_the_directory_is_synced, set_up_sim,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_kill_keeps_everything_but_makes_nothing_durable,
                                        set_up_sim, tear_down),
        cmocka_unit_test_setup_teardown(a_planned_crash_comes_before_its_operation, set_up_sim,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_store_survives_a_kill_and_is_torn_by_a_power_loss,
                                        set_up_sim, tear_down),
        cmocka_unit_test_setup_teardown(a_planned_kill_comes_in_the_middle_of_a_store, set_up_sim,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_says_so, set_up_sim, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Documents in use or renamed away, cached versions, callers, strands. */
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/away.h"
#include "fs/caller.h"
#include "fs/pool.h"
#include "fs/writers.h"
#include "tests/support/unit.h"

static void a_document_is_in_use_until_its_last_writer_leaves(void **state)
{
    struct writers *writers = writers_new();

    (void)state;
    assert_false(writers_has(writers, 5));
    assert_true(writers_enter(writers, 5));
    assert_true(writers_enter(writers, 5));
    writers_leave(writers, 5);
    assert_true(writers_has(writers, 5));
    assert_false(writers_has(writers, 6));
    writers_leave(writers, 5);
    assert_false(writers_has(writers, 5));
    writers_free(writers);
}

static void times_set_before_the_commit_are_kept_until_a_write(void **state)
{
    struct writers *writers = writers_new();
    struct nx_attr times = {.mtime_ns = 77}, got;

    (void)state;
    writers_set_times(writers, 5, NX_SET_MTIME, &times); /* nobody writes: nothing to remember */
    writers_enter(writers, 5);
    assert_int_equal(writers_times(writers, 5, &got), 0);
    writers_set_times(writers, 5, NX_SET_MTIME, &times);
    assert_int_equal(writers_times(writers, 5, &got), NX_SET_MTIME);
    assert_int_equal(got.mtime_ns, 77);
    writers_forget_times(writers, 5);
    assert_int_equal(writers_times(writers, 5, &got), 0);
    writers_free(writers);
}

static void cached_pages_are_kept_only_for_the_same_version(void **state)
{
    struct versions *versions = versions_new();

    (void)state;
    assert_false(versions_keep(versions, 5, 1));
    assert_true(versions_keep(versions, 5, 1));
    assert_false(versions_keep(versions, 5, 2));
    assert_false(versions_keep(versions, 5, 1));
    versions_free(versions);
}

static uint64_t now_ns = 1000;

static uint64_t stopped_clock(struct nx_io *io)
{
    (void)io;
    return now_ns;
}

static void make_id(const char *text, struct nx_id *out)
{
    struct nx_value value = nx_string_z(text);

    assert_int_equal(nx_id_from_value(&value, out, NULL), NX_OK);
}

static void a_document_renamed_away_is_known_once_and_for_a_while(void **state)
{
    struct nx_io_ops ops = *nx_io_posix()->ops;
    struct nx_io io = {&ops};
    struct aways *aways;
    struct nx_id a, b;

    (void)state;
    ops.monotonic_ns = stopped_clock;
    aways = aways_new(&io);
    make_id("a", &a);
    make_id("b", &b);
    aways_add(aways, 7, &a);
    assert_false(aways_take(aways, 7, &b));
    assert_false(aways_take(aways, 8, &a));
    assert_true(aways_take(aways, 7, &a));
    assert_false(aways_take(aways, 7, &a));
    aways_add(aways, 7, &a);
    now_ns += AWAY_NS;
    assert_false(aways_take(aways, 7, &a));
    aways_add(aways, 7, &a);
    for (unsigned i = 0; i < AWAY_MAX; i++)
        aways_add(aways, 9, &b);
    assert_false(aways_take(aways, 7, &a));
    aways_free(aways);
}

static void permission_bits_are_the_owners_the_groups_or_the_others(void **state)
{
    struct nx_attr attr = {.uid = 1, .gid = 2, .mode = 0640};

    (void)state;
    assert_true(caller_may(1, 9, &attr, R_OK | W_OK));
    assert_true(caller_may(3, 2, &attr, R_OK));
    assert_false(caller_may(3, 2, &attr, W_OK));
    assert_false(caller_may(3, 9, &attr, R_OK));
    assert_true(caller_may(0, 0, &attr, R_OK | W_OK));
}

static void a_child_is_another_process_of_the_same_session(void **state)
{
    pid_t self = getpid(), child = fork();
    int status;

    (void)state;
    if (child == 0) {
        pause();
        _exit(0);
    }
    assert_true(caller_is_same_process(self, self));
    assert_false(caller_is_same_process(child, self));
    assert_int_equal(caller_session(child), getsid(0));
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    assert_int_equal(caller_session(child), 0);
    assert_int_equal(caller_process(0), 0);
}

#define JOBS 2000

struct order {
    struct job job;
    atomic_int *last, *wrong; /* relaxed: the strand orders them */
    int number;
};

static void check_order(struct job *job)
{
    struct order *order = (struct order *)job;

    if (atomic_exchange(order->last, order->number) != order->number - 1)
        atomic_fetch_add(order->wrong, 1);
}

static void a_strand_keeps_its_jobs_in_order(void **state)
{
    static struct order jobs[2][JOBS];
    struct strand strands[2] = {{0}};
    atomic_int last[2], wrong;
    struct pool *pool;

    (void)state;
    atomic_init(&wrong, 0);
    assert_int_equal(pool_new(4, &pool, NULL), NX_OK);
    for (int s = 0; s < 2; s++)
        atomic_init(&last[s], -1);
    for (int i = 0; i < JOBS; i++) {
        for (int s = 0; s < 2; s++) {
            jobs[s][i] = (struct order){
                .job.run = check_order, .last = &last[s], .wrong = &wrong, .number = i};
            pool_submit(pool, &strands[s], &jobs[s][i].job);
        }
    }
    pool_free(pool); /* runs what is queued */
    assert_int_equal(atomic_load(&wrong), 0);
    assert_int_equal(atomic_load(&last[0]), JOBS - 1);
    assert_int_equal(atomic_load(&last[1]), JOBS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_is_in_use_until_its_last_writer_leaves),
        cmocka_unit_test(times_set_before_the_commit_are_kept_until_a_write),
        cmocka_unit_test(cached_pages_are_kept_only_for_the_same_version),
        cmocka_unit_test(a_document_renamed_away_is_known_once_and_for_a_while),
        cmocka_unit_test(permission_bits_are_the_owners_the_groups_or_the_others),
        cmocka_unit_test(a_child_is_another_process_of_the_same_session),
        cmocka_unit_test(a_strand_keeps_its_jobs_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

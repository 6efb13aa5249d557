/* crew_test.c - jobs run, all of them, before the crew are gone. */
#include <stdatomic.h>

#include "daemon/crew.h"
#include "tests/support/unit.h"

enum { JOBS = 1000 };

static void add_one(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void stopping_runs_what_is_queued(void **state)
{
    static struct job jobs[JOBS];
    struct crew *crew;
    atomic_int done = 0;

    (void)state;
    assert_int_equal(crew_start(3, &crew, NULL), NX_OK);
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct job){.run = add_one, .arg = &done};
        crew_submit(crew, &jobs[i]);
    }
    crew_stop(crew);
    assert_int_equal(atomic_load(&done), JOBS);
}

static void stopping_without_jobs_ends(void **state)
{
    struct crew *crew;

    (void)state;
    assert_int_equal(crew_start(2, &crew, NULL), NX_OK);
    crew_stop(crew);
    crew_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stopping_runs_what_is_queued),
        cmocka_unit_test(stopping_without_jobs_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

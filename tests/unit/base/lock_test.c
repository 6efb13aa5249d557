/* lock_test.c - ranks are enforced, timed waits end. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/lock.h"
#include "tests/support/unit.h"

static void take_in_order(enum nx_lock_rank first, enum nx_lock_rank second) NX_NO_THREAD_SAFETY
{
    struct nx_mutex a, b;

    nx_mutex_init(&a, first);
    nx_mutex_init(&b, second);
    nx_mutex_lock(&a);
    nx_mutex_lock(&b);
    nx_mutex_unlock(&a); /* any order of release is fine */
    nx_mutex_unlock(&b);
    nx_mutex_fini(&b);
    nx_mutex_fini(&a);
}

static int signal_of(enum nx_lock_rank first, enum nx_lock_rank second)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        signal(SIGABRT, SIG_DFL);
        take_in_order(first, second);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void ranks_ascend(void **state)
{
    (void)state;
    assert_int_equal(signal_of(NX_RANK_STORE_WRITE, NX_RANK_ENGINE_COMMIT), 0);
#ifdef NX_DEBUG
    assert_int_equal(signal_of(NX_RANK_ENGINE_COMMIT, NX_RANK_STORE_WRITE), SIGABRT);
    assert_int_equal(signal_of(NX_RANK_LEAF, NX_RANK_LEAF), SIGABRT);
#endif
}

static void trylock_fails_on_a_held_lock(void **state) NX_NO_THREAD_SAFETY
{
    struct nx_mutex mu;

    (void)state;
    nx_mutex_init(&mu, NX_RANK_LEAF);
    assert_true(nx_mutex_trylock(&mu));
    assert_false(nx_mutex_trylock(&mu));
    nx_mutex_unlock(&mu);
    nx_mutex_fini(&mu);
}

static void a_timed_wait_ends(void **state) NX_NO_THREAD_SAFETY
{
    struct nx_mutex mu;
    struct nx_cond cond;

    (void)state;
    nx_mutex_init(&mu, NX_RANK_LEAF);
    nx_cond_init(&cond);
    nx_mutex_lock(&mu);
    assert_false(nx_cond_wait_ms(&cond, &mu, 1));
    nx_mutex_unlock(&mu);
    nx_cond_fini(&cond);
    nx_mutex_fini(&mu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_ascend),
        cmocka_unit_test(trylock_fails_on_a_held_lock),
        cmocka_unit_test(a_timed_wait_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * lock.c - pthread mutexes and condition variables behind ranks.
 *
 * In an NX_DEBUG build each thread keeps the list of mutexes it holds. Taking one whose rank is not
 * above the last one's could deadlock with a thread that takes them the right way round, so it
 * aborts at once, with both ranks, instead of once in a million runs. Locks may be released in any
 * order. A pthread call on these objects fails only through our own bug: that is an abort too.
 */
#include "base/lock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void must(int sys_errno, const char *call)
{
    if (sys_errno == 0)
        return;
    fprintf(stderr, "%s: %s\n", call, strerrordesc_np(sys_errno));
    abort();
}

#ifdef NX_DEBUG
static _Thread_local const struct nx_mutex *held[NX_RANK_COUNT]; /* ascending ranks */
static _Thread_local unsigned held_count;

static void check_rank(const struct nx_mutex *mu)
{
    if (held_count == 0 || held[held_count - 1]->rank < mu->rank)
        return;
    fprintf(stderr, "lock rank %d taken while rank %d is held\n", (int)mu->rank,
            (int)held[held_count - 1]->rank);
    abort();
}

/* A trylock cannot deadlock and so may come out of order: insert by rank. */
static void push_held(const struct nx_mutex *mu)
{
    unsigned at = held_count;

    if (held_count == NX_RANK_COUNT) {
        fprintf(stderr, "more than %d locks held\n", NX_RANK_COUNT);
        abort();
    }
    for (; at > 0 && held[at - 1]->rank > mu->rank; at--)
        held[at] = held[at - 1];
    held[at] = mu;
    held_count++;
}

static void pop_held(const struct nx_mutex *mu)
{
    unsigned at = held_count;

    while (at > 0 && held[at - 1] != mu)
        at--;
    if (at == 0) {
        fprintf(stderr, "lock of rank %d released but not held\n", (int)mu->rank);
        abort();
    }
    memmove(&held[at - 1], &held[at], (held_count - at) * sizeof(const struct nx_mutex *));
    held_count--;
}
#else
static inline void check_rank(const struct nx_mutex *mu)
{
    (void)mu;
}
static inline void push_held(const struct nx_mutex *mu)
{
    (void)mu;
}
static inline void pop_held(const struct nx_mutex *mu)
{
    (void)mu;
}
#endif

void nx_mutex_init(struct nx_mutex *mu, enum nx_lock_rank rank)
{
    mu->rank = rank;
    must(pthread_mutex_init(&mu->native, NULL), "pthread_mutex_init");
}

void nx_mutex_fini(struct nx_mutex *mu)
{
    must(pthread_mutex_destroy(&mu->native), "pthread_mutex_destroy");
}

void nx_mutex_lock(struct nx_mutex *mu) NX_NO_THREAD_SAFETY
{
    check_rank(mu);
    must(pthread_mutex_lock(&mu->native), "pthread_mutex_lock");
    push_held(mu);
}

bool nx_mutex_trylock(struct nx_mutex *mu) NX_NO_THREAD_SAFETY
{
    int rc = pthread_mutex_trylock(&mu->native);

    if (rc == EBUSY)
        return false;
    must(rc, "pthread_mutex_trylock");
    push_held(mu);
    return true;
}

void nx_mutex_unlock(struct nx_mutex *mu) NX_NO_THREAD_SAFETY
{
    pop_held(mu);
    must(pthread_mutex_unlock(&mu->native), "pthread_mutex_unlock");
}

void nx_cond_init(struct nx_cond *cond)
{
    pthread_condattr_t attributes;

    must(pthread_condattr_init(&attributes), "pthread_condattr_init");
    /* A wall clock that is set back must not stretch a timeout. */
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), "pthread_condattr_setclock");
    must(pthread_cond_init(&cond->native, &attributes), "pthread_cond_init");
    pthread_condattr_destroy(&attributes);
}

void nx_cond_fini(struct nx_cond *cond)
{
    must(pthread_cond_destroy(&cond->native), "pthread_cond_destroy");
}

void nx_cond_wait(struct nx_cond *cond, struct nx_mutex *mu)
{
    must(pthread_cond_wait(&cond->native, &mu->native), "pthread_cond_wait");
}

bool nx_cond_wait_ms(struct nx_cond *cond, struct nx_mutex *mu, uint64_t timeout_ms)
{
    struct timespec until;
    int rc;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    rc = pthread_cond_timedwait(&cond->native, &mu->native, &until);
    if (rc == ETIMEDOUT)
        return false;
    must(rc, "pthread_cond_timedwait");
    return true;
}

void nx_cond_signal(struct nx_cond *cond)
{
    must(pthread_cond_signal(&cond->native), "pthread_cond_signal");
}

void nx_cond_broadcast(struct nx_cond *cond)
{
    must(pthread_cond_broadcast(&cond->native), "pthread_cond_broadcast");
}

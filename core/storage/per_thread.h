/*
 * per_thread.h - what threads do apart, so that they share no cache line: their numbers, counters
 * in stripes, and chance.
 *
 * Threads: any.
 */
#ifndef STORAGE_PER_THREAD_H
#define STORAGE_PER_THREAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* 1 for the first thread that asks, then 2, ... */
extern _Thread_local unsigned thread_number_given; /* 0: not yet */
unsigned thread_number_give(void);
static inline unsigned thread_number(void)
{
    return thread_number_given ? thread_number_given : thread_number_give();
}
/* True once in `n` calls, by chance: what goes by turns does not fall into step with it. */
bool one_in(uint32_t n);

#define STRIPES 16
#define STRIPE_COUNTERS 15

/* A line of counters for every sixteenth thread, and a line between them. */
struct stripe {
    _Atomic uint64_t counter[STRIPE_COUNTERS]; /* relaxed: only counted */
    uint64_t apart;
};

static inline void stripe_count(struct stripe stripes[STRIPES], unsigned counter)
{
    atomic_fetch_add_explicit(&stripes[thread_number() % STRIPES].counter[counter], 1,
                              memory_order_relaxed);
}
uint64_t stripe_sum(const struct stripe stripes[STRIPES], unsigned counter);

#endif

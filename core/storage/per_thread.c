/* per_thread.c - thread numbers, xorshift. */
#include "storage/per_thread.h"

_Thread_local unsigned thread_number_given;

unsigned thread_number_give(void)
{
    static atomic_uint threads;

    thread_number_given = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);
    return thread_number_given;
}

bool one_in(uint32_t n)
{
    static _Thread_local uint32_t random = 0x9e3779b9;

    random ^= random << 13;
    random ^= random >> 17;
    random ^= random << 5;
    return random % n == 0;
}

uint64_t stripe_sum(const struct stripe stripes[STRIPES], unsigned counter)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < STRIPES; i++)
        sum += atomic_load_explicit(&stripes[i].counter[counter], memory_order_relaxed);
    return sum;
}

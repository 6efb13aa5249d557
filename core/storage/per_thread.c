/* per_thread.c - thread numbers, xorshift. */
#include "storage/per_thread.h"

unsigned thread_number(void)
{
    static atomic_uint threads;
    static _Thread_local unsigned number;

    if (!number)
        number = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);
    return number;
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

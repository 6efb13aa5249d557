/* mutation.c - which safety step is left out, in a debug build; see mutation.h. */
#include "storage/mutation.h"

#ifdef NX_DEBUG
#include <stdatomic.h>

static atomic_int active;

bool engine_mutated(enum engine_mutation which)
{
    return atomic_load_explicit(&active, memory_order_relaxed) == (int)which;
}

void engine_mutate(enum engine_mutation which)
{
    atomic_store_explicit(&active, (int)which, memory_order_relaxed);
}
#endif

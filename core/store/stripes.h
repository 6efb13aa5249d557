/*
 * stripes.h - the store's write locks: nodes hashed onto 64 stripes, any set of them taken at once.
 *
 * Taking a whole set in one step needs no order among stripes, so that a change may touch any
 * number of collections. Waiters are served first come, first served where they conflict.
 *
 * Threads: any. A thread holds one set at a time. Rank: between NX_RANK_STORE_NAMESPACE and
 *          NX_RANK_STORE_COUNTER; engine reads and commits happen under it.
 */
#ifndef STORE_STRIPES_H
#define STORE_STRIPES_H

#include <stdint.h>

#include "base/lock.h"

#define STRIPES_ALL UINT64_MAX

struct stripes {
    struct nx_mutex mu;
    struct nx_cond changed;
    uint64_t held;               /* guarded by mu */
    struct stripe_wait *waiting; /* guarded by mu; oldest first */
};

void stripes_init(struct stripes *stripes);
void stripes_fini(struct stripes *stripes);
/* The stripe of a node, as a set of one. */
uint64_t stripe_of(uint64_t number);
void stripes_lock(struct stripes *stripes, uint64_t set);
void stripes_unlock(struct stripes *stripes, uint64_t set);

#endif

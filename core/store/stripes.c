/* stripes.c - sets of write locks. A waiter goes ahead when nothing in its set is held and nobody
 * who came before it wants any of it: no set, however large, is starved. */
#include "store/stripes.h"

#include <stddef.h>

struct stripe_wait {
    uint64_t set;
    struct stripe_wait *next;
};

void stripes_init(struct stripes *stripes)
{
    nx_mutex_init(&stripes->mu, NX_RANK_STORE_WRITE);
    nx_cond_init(&stripes->changed);
    stripes->held = 0;
    stripes->waiting = NULL;
}

void stripes_fini(struct stripes *stripes)
{
    nx_cond_fini(&stripes->changed);
    nx_mutex_fini(&stripes->mu);
}

uint64_t stripe_of(uint64_t number)
{
    return 1ull << (number * 0x9e3779b97f4a7c15ull >> 58);
}

/* Held, or wanted by someone before `self`. */
static uint64_t taken_before(const struct stripes *stripes, const struct stripe_wait *self)
{
    uint64_t taken = stripes->held;

    for (const struct stripe_wait *wait = stripes->waiting; wait != self; wait = wait->next)
        taken |= wait->set;
    return taken;
}

static void leave_queue(struct stripes *stripes, const struct stripe_wait *self)
{
    struct stripe_wait **link = &stripes->waiting;

    while (*link != self)
        link = &(*link)->next;
    *link = self->next;
}

void stripes_lock(struct stripes *stripes, uint64_t set)
{
    struct stripe_wait self = {.set = set};
    struct stripe_wait **link = &stripes->waiting;

    nx_mutex_lock(&stripes->mu);
    while (*link)
        link = &(*link)->next;
    *link = &self;
    while (taken_before(stripes, &self) & set)
        nx_cond_wait(&stripes->changed, &stripes->mu);
    leave_queue(stripes, &self);
    stripes->held |= set;
    if (stripes->waiting) /* one behind may have waited for this one's place only */
        nx_cond_broadcast(&stripes->changed);
    nx_mutex_unlock(&stripes->mu);
}

void stripes_unlock(struct stripes *stripes, uint64_t set)
{
    nx_mutex_lock(&stripes->mu);
    stripes->held &= ~set;
    if (stripes->waiting)
        nx_cond_broadcast(&stripes->changed);
    nx_mutex_unlock(&stripes->mu);
}

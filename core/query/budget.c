/*
 * budget.c - limits of one query.
 *
 * The clock is read only every TICKS_PER_LOOK calls: a scan of small documents passes thousands of
 * them in a millisecond, and reading the clock each time would cost as much as matching.
 */
#include "query/budget.h"

#define TICKS_PER_LOOK 64

void budget_init(struct budget *budget, const struct nx_limits *limits, struct nx_io *io)
{
    *budget = (struct budget){.io = io};
    if (limits)
        budget->limits = *limits;
    if (budget->limits.memory_bytes == 0)
        budget->limits.memory_bytes = BUDGET_DEFAULT_BYTES;
    budget->now = nx_date((int64_t)(io->ops->realtime_ns(io) / 1000000u));
    if (budget->limits.time_ms)
        budget->deadline_ns =
            io->ops->monotonic_ns(io) + budget->limits.time_ms * UINT64_C(1000000);
}

enum nx_code budget_tick(struct budget *budget, struct nx_err *err)
{
    uint64_t idle;

    if (budget->limits.canceled &&
        atomic_load_explicit(budget->limits.canceled, memory_order_relaxed))
        return nx_fail(err, NX_ECANCELED, "the query was canceled");
    if (budget->deadline_ns == 0 || budget->ticks++ % TICKS_PER_LOOK)
        return NX_OK;
    idle = budget->limits.idle_ns ? *budget->limits.idle_ns : 0;
    if (budget->io->ops->monotonic_ns(budget->io) < budget->deadline_ns + idle)
        return NX_OK;
    budget->ticks = 0; /* the next call looks again, and says the same */
    return nx_fail(err, NX_ETIMEDOUT, "the query ran past its time limit of %llu ms",
                   (unsigned long long)budget->limits.time_ms);
}

bool budget_take(struct budget *budget, uint64_t bytes)
{
    if (bytes > budget->limits.memory_bytes ||
        budget->used_bytes > budget->limits.memory_bytes - bytes)
        return false;
    budget->used_bytes += bytes;
    return true;
}

void budget_give(struct budget *budget, uint64_t bytes)
{
    budget->used_bytes -= bytes < budget->used_bytes ? bytes : budget->used_bytes;
}

enum nx_code budget_fail(const struct budget *budget, const char *what, struct nx_err *err)
{
    return nx_fail(err, NX_EBUDGET, "%s needs more than the query's memory limit of %llu bytes",
                   what, (unsigned long long)budget->limits.memory_bytes);
}

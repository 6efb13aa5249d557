/*
 * budget.h - what one query may use: memory, time, and whether it was canceled.
 *
 * Threads: one query's thread; only `limits.canceled` is set from others.
 */
#ifndef QUERY_BUDGET_H
#define QUERY_BUDGET_H

#include <nexadb/query.h>

#define BUDGET_DEFAULT_BYTES (100u << 20)

struct budget {
    struct nx_limits limits;
    struct nx_io *io;     /* outlives it; clock and randomness */
    struct nx_value now;  /* $$NOW and $currentDate: one instant for the whole query */
    uint64_t deadline_ns; /* 0: none */
    uint64_t used_bytes;
    unsigned ticks;
};

/* `limits` may be NULL: the defaults. */
void budget_init(struct budget *budget, const struct nx_limits *limits, struct nx_io *io);
/* Cheap enough to call per document: NX_ETIMEDOUT, NX_ECANCELED. */
enum nx_code budget_tick(struct budget *budget, struct nx_err *err);
/* True when `bytes` more fit; counts them. The caller spills or fails with NX_EBUDGET otherwise. */
bool budget_take(struct budget *budget, uint64_t bytes);
void budget_give(struct budget *budget, uint64_t bytes);
/* NX_EBUDGET with the operation and the limit in the message. */
enum nx_code budget_fail(const struct budget *budget, const char *what, struct nx_err *err);

#endif

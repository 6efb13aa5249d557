/*
 * numbers.h - numbers that are given once: of nodes, revisions, listing entries.
 *
 * Threads: any. A block is reserved in the engine before the first number of it is used, so that a
 * crash may skip numbers but never repeats one.
 */
#ifndef STORE_NUMBERS_H
#define STORE_NUMBERS_H

#include <stdint.h>

#include <nexadb/engine.h>

#include "base/lock.h"

/* Beyond every number: listing cookies have a bit above it. */
#define NUMBER_LIMIT (1ull << 62)

struct numbers {
    struct nx_mutex mu;
    struct nx_engine *engine; /* outlives it */
    uint64_t next, reserved;  /* guarded by mu; [next, reserved) may be given */
};

void numbers_init(struct numbers *numbers, struct nx_engine *engine, uint64_t next);
void numbers_fini(struct numbers *numbers);
/* `count` consecutive numbers, from *first. */
enum nx_code numbers_take(struct numbers *numbers, uint64_t count, uint64_t *first,
                          struct nx_err *err);

#endif

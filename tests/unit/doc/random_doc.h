/* random_doc.h - pseudo-random documents for property tests: every type, hostile corner values. */
#ifndef TESTS_RANDOM_DOC_H
#define TESTS_RANDOM_DOC_H

#include <nexadb/value.h>

struct rng {
    uint64_t state;
};

/* The seed is NEXADB_TEST_SEED or a constant; printed by the caller's failing assertion message. */
struct rng rng_init(void);
uint64_t rng_next(struct rng *rng);
uint32_t rng_below(struct rng *rng, uint32_t n);

enum random_types {
    RANDOM_ALL,  /* every BSON type */
    RANDOM_JSON, /* what plain JSON has: no undefined, regex, ... */
};

/* Append a random document to `out` (its start is out->len before the call). */
void random_document(struct rng *rng, enum random_types types, unsigned depth, struct nx_buf *out);
/* A random value inside {"": value}, appended to `out`. */
void random_value(struct rng *rng, enum random_types types, unsigned depth, struct nx_buf *out);

#endif

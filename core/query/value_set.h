/*
 * value_set.h - distinct values in bounded memory: distinct, and whoever collects a set.
 *
 * Values are equal as nx_value_compare says, over numeric types; the first of equal ones is kept.
 */
#ifndef QUERY_VALUE_SET_H
#define QUERY_VALUE_SET_H

#include "base/arena.h"
#include "query/budget.h"

struct value_set {
    struct budget *budget;  /* outlives it */
    struct arena arena;     /* copies of the values */
    struct nx_value *slots; /* owned; open addressing, MISSING is free */
    size_t cap, count;
    uint64_t taken_bytes;
};

void value_set_init(struct value_set *set, struct budget *budget);
void value_set_fini(struct value_set *set);
/* NX_EBUDGET, NX_ENOMEM. A value that is there already is not added again. */
enum nx_code value_set_add(struct value_set *set, const struct nx_value *value, struct nx_err *err);
/* Sort the values and lend them: nothing may be added afterwards. */
const struct nx_value *value_set_sorted(struct value_set *set, size_t *count);

#endif

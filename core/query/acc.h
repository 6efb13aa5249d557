/*
 * acc.h - accumulators: what $group, $bucket, windows and some expressions add values up with.
 *
 * Accumulators are rows (acc_class). A parsed one is immutable; each group has a state of it.
 * Values that a state keeps are its own copies; acc_bytes says how much memory they take.
 */
#ifndef QUERY_ACC_H
#define QUERY_ACC_H

#include <nexadb/value.h>

#include "doc/decimal.h"
#include "query/expr.h"
#include "query/sort.h"

struct acc_spec;
struct acc;

enum {
    ACC_GROUP = 1,  /* in $group, $bucket, $bucketAuto */
    ACC_WINDOW = 2, /* in $setWindowFields */
};

enum acc_form {
    ACC_EXPR,       /* an expression */
    ACC_NOTHING,    /* {} */
    ACC_N,          /* {input, n} */
    ACC_SORTED,     /* {output, sortBy} */
    ACC_SORTED_N,   /* {output, sortBy, n} */
    ACC_MEDIAN,     /* {input, method} */
    ACC_PERCENTILE, /* {input, p, method} */
};

struct acc_class {
    const char *name;
    enum acc_form form;
    unsigned where;
    enum nx_code (*add)(struct acc *acc, const struct nx_value *value, struct nx_err *err);
    enum nx_code (*result)(const struct acc *acc, struct arena *arena, struct nx_value *out,
                           struct nx_err *err);
    const char *help;
};
struct acc_family {
    const struct acc_class *classes;
    size_t count;
};
extern const struct acc_family acc_numbers, acc_lists;
/* NULL-terminated. */
extern const struct acc_family *const *const acc_families;
const struct acc_class *acc_class_find(const char *name, size_t len);

struct acc_spec {
    const struct acc_class *class;
    struct expr *input;     /* owned; NULL for ACC_NOTHING */
    size_t n;               /* 1 without one */
    struct sort_spec *sort; /* owned; of ACC_SORTED and ACC_SORTED_N */
    double *p;              /* owned, p_count of them */
    size_t p_count;
};

/* `where`: ACC_GROUP or ACC_WINDOW. NX_EOPERATOR for one that is unknown there, NX_EQUERY. */
enum nx_code acc_spec_parse(const char *name, size_t name_len, const struct nx_value *spec,
                            unsigned where, struct expr_vars *vars, struct acc_spec **out,
                            struct nx_err *err);
void acc_spec_free(struct acc_spec *spec);

struct acc_item {
    struct nx_value value;
    uint8_t *bytes;        /* owned: what the value and the keys borrow */
    struct nx_value *keys; /* owned; NULL without an order */
};

struct acc {
    const struct acc_spec *spec;
    uint64_t count;
    int64_t whole;     /* sum of the integers, while it fits */
    double sum, carry; /* of the rest, with the error that rounding left */
    struct decimal decimal;
    bool has_double, has_decimal, is_long;
    double mean, squares;   /* Welford's */
    struct acc_item *items; /* owned */
    size_t len, cap;
    uint32_t *buckets; /* owned; of a set: index + 1 of an item, by hash */
    size_t bucket_count;
    const struct nx_value *keys; /* during add: of an order */
    size_t bytes;
};

void acc_init(struct acc *acc, const struct acc_spec *spec);
void acc_fini(struct acc *acc);
/* Evaluate the input over env->root, and add it. */
enum nx_code acc_add(struct acc *acc, struct expr_env *env, struct nx_err *err);
enum nx_code acc_add_value(struct acc *acc, const struct nx_value *value, struct nx_err *err);
enum nx_code acc_result(const struct acc *acc, struct arena *arena, struct nx_value *out,
                        struct nx_err *err);
size_t acc_bytes(const struct acc *acc);

/* --- for the families ------------------------------------------------------------------------- */

/* Copy a value (and acc->keys) into items[at], moving the later ones up. */
enum nx_code acc_insert(struct acc *acc, size_t at, const struct nx_value *value,
                        struct nx_err *err);
void acc_remove(struct acc *acc, size_t at);
enum nx_code acc_replace(struct acc *acc, const struct nx_value *value, struct nx_err *err);

#endif

/*
 * window.h - one partition of $setWindowFields and the functions over it.
 *
 * Rows of a partition are in memory, in order; a function gives one value for each.
 */
#ifndef QUERY_WINDOW_H
#define QUERY_WINDOW_H

#include "query/acc.h"
#include "query/date_unit.h"
#include "query/pipeline.h"
#include "query/values.h"

struct window_bound {
    bool unbounded;
    bool current; /* of a range: the row's own value */
    double by;
};

struct window {
    bool given;
    bool range; /* by values of the order; else by positions */
    struct window_bound low, high;
    bool has_unit;
    enum date_unit unit;
};

struct window_rows {
    struct nx_slice *docs;
    size_t count;
    const struct sort_spec *order; /* NULL: none was given */
    bool ascending;                /* by one field */
    struct stage *stage;           /* its environment evaluates; its context limits */
    struct arena *arena;           /* of the results */
};

struct window_function;
struct window_class {
    const char *name;
    bool wants_order; /* a sortBy */
    bool takes_window;
    enum nx_code (*parse)(struct window_function *fn, const struct nx_value *spec,
                          struct expr_vars *vars, struct nx_err *err);
    enum nx_code (*compute)(const struct window_function *fn, struct window_rows *rows,
                            struct nx_value *out, struct nx_err *err);
    const char *help;
};

struct window_function {
    const struct window_class *class; /* NULL: an accumulator */
    struct acc_spec *acc;             /* owned */
    struct expr *input, *second;      /* owned */
    struct window window;
    int64_t by;             /* of $shift */
    struct nx_buf fallback; /* of $shift: {"v": value} */
    double alpha;           /* of $expMovingAvg */
    bool has_unit;
    enum date_unit unit; /* of $derivative and $integral */
};

/* {"$sum": "$a", "window": {...}} */
enum nx_code window_function_parse(struct window_function *fn, const struct nx_value *spec,
                                   bool ordered, bool one_ascending, struct expr_vars *vars,
                                   struct nx_err *err);
void window_function_fini(struct window_function *fn);
enum nx_code window_function_compute(const struct window_function *fn, struct window_rows *rows,
                                     struct nx_value *out, struct nx_err *err);

/* Rows [*from, *to) of the window of row `i`; *from and *to never go back as i grows. */
enum nx_code window_rows_of(const struct window_function *fn, struct window_rows *rows, size_t i,
                            size_t *from, size_t *to, struct nx_err *err);
/* Evaluate over one row; the value is in rows->arena. */
enum nx_code window_eval(struct window_rows *rows, const struct expr *expr, size_t i,
                         struct nx_value *out, struct nx_err *err);
/* The value that row `i` is ordered by: a number, or a date's milliseconds. */
enum nx_code window_order_value(struct window_rows *rows, size_t i, double *out, bool *is_date,
                                struct nx_err *err);

extern const struct window_class *const window_classes;
extern const size_t window_class_count;

#endif

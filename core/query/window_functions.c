/*
 * window_functions.c - the functions that only windows have: ranks, neighbours, filling gaps, rates
 * of change, areas, moving means, covariance.
 */
#include <math.h>

#include "query/operators.h"
#include "query/stage_spec.h"
#include "query/window.h"

static enum nx_code parse_nothing(struct window_function *fn, const struct nx_value *spec,
                                  struct expr_vars *vars, struct nx_err *err)
{
    (void)vars;
    if (spec->type == NX_TYPE_DOCUMENT && nx_doc_is_empty(nx_value_slice(spec)))
        return NX_OK;
    return nx_fail(err, NX_EQUERY, "%s takes no argument", fn->class->name);
}

static enum nx_code parse_input(struct window_function *fn, const struct nx_value *spec,
                                struct expr_vars *vars, struct nx_err *err)
{
    return expr_parse(spec, vars, &fn->input, err);
}

/* --- ranks ------------------------------------------------------------------------------------ */

static bool same_rank(const struct window_rows *rows, size_t a, size_t b)
{
    return sort_spec_compare(rows->order, rows->docs[a], rows->docs[b]) == 0;
}

static enum nx_code compute_rank(const struct window_function *fn, struct window_rows *rows,
                                 struct nx_value *out, struct nx_err *err)
{
    int64_t rank = 0;

    (void)fn;
    (void)err;
    for (size_t i = 0; i < rows->count; i++) {
        if (i == 0 || !same_rank(rows, i - 1, i))
            rank = (int64_t)i + 1;
        out[i] = nx_int(rank);
    }
    return NX_OK;
}

static enum nx_code compute_dense_rank(const struct window_function *fn, struct window_rows *rows,
                                       struct nx_value *out, struct nx_err *err)
{
    int64_t rank = 0;

    (void)fn;
    (void)err;
    for (size_t i = 0; i < rows->count; i++) {
        rank += i == 0 || !same_rank(rows, i - 1, i);
        out[i] = nx_int(rank);
    }
    return NX_OK;
}

static enum nx_code compute_number(const struct window_function *fn, struct window_rows *rows,
                                   struct nx_value *out, struct nx_err *err)
{
    (void)fn;
    (void)err;
    for (size_t i = 0; i < rows->count; i++)
        out[i] = nx_int((int64_t)i + 1);
    return NX_OK;
}

/* --- $shift ----------------------------------------------------------------------------------- */

static enum nx_code parse_shift(struct window_function *fn, const struct nx_value *spec,
                                struct expr_vars *vars, struct nx_err *err)
{
    struct spec_member m[] = {
        {"output", true, NX_MISSING}, {"by", true, NX_MISSING}, {"default", false, NX_MISSING}};
    struct arena arena = ARENA_INIT;
    struct expr_env env = {
        .root = nx_doc_empty, .current = NX_MISSING, .arena = &arena, .metadata = NX_MISSING};
    struct nx_value fallback = NX_NULL;
    struct expr *expr = NULL;
    struct nx_builder builder;
    enum nx_code rc = spec_members("$shift", spec, m, 3, err);

    if (rc == NX_OK &&
        (!nx_value_to_int64(&m[1].value, &fn->by) || fn->by < INT32_MIN || fn->by > INT32_MAX))
        rc = nx_fail(err, NX_EQUERY, "$shift wants 'by' as a whole number");
    if (rc == NX_OK)
        rc = expr_parse(&m[0].value, vars, &fn->input, err);
    if (rc == NX_OK && m[2].value.type != NX_TYPE_MISSING) {
        rc = expr_parse(&m[2].value, NULL, &expr, err);
        if (rc == NX_OK)
            rc = expr_eval(expr, &env, &fallback, err);
    }
    if (rc == NX_OK) {
        nx_builder_init(&builder, &fn->fallback);
        nx_builder_put_z(&builder, "v", fallback);
        rc = nx_builder_end(&builder, err);
    }
    expr_free(expr);
    arena_fini(&arena);
    return rc;
}

static enum nx_code compute_shift(const struct window_function *fn, struct window_rows *rows,
                                  struct nx_value *out, struct nx_err *err)
{
    struct nx_value fallback = nx_doc_get_z(nx_buf_slice(&fn->fallback), "v");
    enum nx_code rc = NX_OK;

    for (size_t i = 0; rc == NX_OK && i < rows->count; i++) {
        int64_t at = (int64_t)i + fn->by;

        out[i] = fallback;
        if (at >= 0 && at < (int64_t)rows->count)
            rc = window_eval(rows, fn->input, (size_t)at, &out[i], err);
        if (out[i].type == NX_TYPE_MISSING)
            out[i] = NX_NULL;
    }
    return rc;
}

/* --- gaps ------------------------------------------------------------------------------------- */

static enum nx_code compute_locf(const struct window_function *fn, struct window_rows *rows,
                                 struct nx_value *out, struct nx_err *err)
{
    struct nx_value last = NX_NULL, value;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; rc == NX_OK && i < rows->count; i++) {
        rc = window_eval(rows, fn->input, i, &value, err);
        if (!nx_is_nullish(&value))
            last = value;
        out[i] = last;
    }
    return rc;
}

/* Between two known rows, in proportion to the values that they are ordered by. */
static enum nx_code fill_between(struct window_rows *rows, size_t left, size_t right,
                                 struct nx_value *out, struct nx_err *err)
{
    double a = nx_value_to_double(&out[left]), b = nx_value_to_double(&out[right]);
    double from, to, at;
    bool is_date;
    enum nx_code rc = window_order_value(rows, left, &from, &is_date, err);

    if (rc == NX_OK)
        rc = window_order_value(rows, right, &to, &is_date, err);
    if (rc == NX_OK && to <= from)
        return nx_fail(err, NX_EEXPR, "$linearFill wants different values in 'sortBy'");
    for (size_t i = left + 1; rc == NX_OK && i < right; i++) {
        rc = window_order_value(rows, i, &at, &is_date, err);
        out[i] = nx_double(a + (b - a) * (at - from) / (to - from));
    }
    return rc;
}

static enum nx_code compute_linear(const struct window_function *fn, struct window_rows *rows,
                                   struct nx_value *out, struct nx_err *err)
{
    size_t known = SIZE_MAX;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; rc == NX_OK && i < rows->count; i++) {
        rc = window_eval(rows, fn->input, i, &out[i], err);
        if (rc != NX_OK)
            break;
        if (nx_is_nullish(&out[i])) {
            out[i] = NX_NULL;
            continue;
        }
        if (!nx_is_number(&out[i]))
            return nx_fail(err, NX_EEXPR, "$linearFill wants numbers, not %s",
                           nx_type_name(out[i].type));
        if (known != SIZE_MAX && known + 1 < i)
            rc = fill_between(rows, known, i, out, err);
        known = i;
    }
    return rc;
}

/* --- rates and areas -------------------------------------------------------------------------- */

static enum nx_code parse_with_unit(struct window_function *fn, const struct nx_value *spec,
                                    struct expr_vars *vars, struct nx_err *err)
{
    struct spec_member m[] = {{"input", true, NX_MISSING}, {"unit", false, NX_MISSING}};
    enum nx_code rc = spec_members(fn->class->name, spec, m, 2, err);

    if (rc == NX_OK && m[1].value.type != NX_TYPE_MISSING) {
        if (!date_unit_parse(&m[1].value, &fn->unit) || date_unit_ms(fn->unit) == 0)
            return nx_fail(err, NX_EQUERY, "%s wants 'unit' as week or smaller", fn->class->name);
        fn->has_unit = true;
    }
    return rc == NX_OK ? expr_parse(&m[0].value, vars, &fn->input, err) : rc;
}

/* The row's place on the axis, in units. */
static enum nx_code axis(const struct window_function *fn, struct window_rows *rows, size_t i,
                         double *out, struct nx_err *err)
{
    bool is_date;
    enum nx_code rc = window_order_value(rows, i, out, &is_date, err);

    if (rc == NX_OK && is_date != fn->has_unit)
        return nx_fail(err, NX_EEXPR, "%s wants a 'unit' exactly when 'sortBy' is of dates",
                       fn->class->name);
    if (rc == NX_OK && is_date)
        *out /= (double)date_unit_ms(fn->unit);
    return rc;
}

static enum nx_code derivative(const struct window_function *fn, struct window_rows *rows,
                               size_t from, size_t to, struct nx_value *out, struct nx_err *err)
{
    struct nx_value first, last;
    double x0, x1;
    enum nx_code rc;

    *out = NX_NULL;
    if (to < from + 2)
        return NX_OK;
    rc = window_eval(rows, fn->input, from, &first, err);
    if (rc == NX_OK)
        rc = window_eval(rows, fn->input, to - 1, &last, err);
    if (rc == NX_OK)
        rc = axis(fn, rows, from, &x0, err);
    if (rc == NX_OK)
        rc = axis(fn, rows, to - 1, &x1, err);
    if (rc == NX_OK && nx_is_number(&first) && nx_is_number(&last) && x1 > x0)
        *out = nx_double((nx_value_to_double(&last) - nx_value_to_double(&first)) / (x1 - x0));
    return rc;
}

/* By trapezoids between the rows that have a number. */
static enum nx_code integral(const struct window_function *fn, struct window_rows *rows,
                             size_t from, size_t to, struct nx_value *out, struct nx_err *err)
{
    double area = 0, x0 = 0, y0 = 0, x1;
    bool has_last = false, any = false;
    enum nx_code rc = NX_OK;

    *out = NX_NULL;
    for (size_t i = from; rc == NX_OK && i < to; i++) {
        struct nx_value value;

        rc = window_eval(rows, fn->input, i, &value, err);
        if (rc == NX_OK)
            rc = axis(fn, rows, i, &x1, err);
        if (rc != NX_OK || !nx_is_number(&value))
            continue;
        any = true;
        if (has_last)
            area += (x1 - x0) * (y0 + nx_value_to_double(&value)) / 2;
        x0 = x1;
        y0 = nx_value_to_double(&value);
        has_last = true;
    }
    if (any)
        *out = nx_double(area);
    return rc;
}

typedef enum nx_code (*window_value_fn)(const struct window_function *fn, struct window_rows *rows,
                                        size_t from, size_t to, struct nx_value *out,
                                        struct nx_err *err);

static enum nx_code each_window(const struct window_function *fn, struct window_rows *rows,
                                window_value_fn value, struct nx_value *out, struct nx_err *err)
{
    size_t from = 0, to = 0;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; rc == NX_OK && i < rows->count; i++) {
        rc = window_rows_of(fn, rows, i, &from, &to, err);
        if (rc == NX_OK)
            rc = value(fn, rows, from, to, &out[i], err);
        if (rc == NX_OK)
            rc = budget_tick(&rows->stage->context->budget, err);
    }
    return rc;
}

static enum nx_code compute_derivative(const struct window_function *fn, struct window_rows *rows,
                                       struct nx_value *out, struct nx_err *err)
{
    return each_window(fn, rows, derivative, out, err);
}

static enum nx_code compute_integral(const struct window_function *fn, struct window_rows *rows,
                                     struct nx_value *out, struct nx_err *err)
{
    return each_window(fn, rows, integral, out, err);
}

/* --- moving mean ------------------------------------------------------------------------------ */

static enum nx_code parse_moving(struct window_function *fn, const struct nx_value *spec,
                                 struct expr_vars *vars, struct nx_err *err)
{
    struct spec_member m[] = {
        {"input", true, NX_MISSING}, {"N", false, NX_MISSING}, {"alpha", false, NX_MISSING}};
    int64_t n;
    enum nx_code rc = spec_members("$expMovingAvg", spec, m, 3, err);

    if (rc != NX_OK)
        return rc;
    if ((m[1].value.type == NX_TYPE_MISSING) == (m[2].value.type == NX_TYPE_MISSING))
        return nx_fail(err, NX_EQUERY, "$expMovingAvg wants one of 'N' and 'alpha'");
    if (m[1].value.type != NX_TYPE_MISSING) {
        if (!nx_value_to_int64(&m[1].value, &n) || n < 1)
            return nx_fail(err, NX_EQUERY, "$expMovingAvg wants 'N' as a whole number above 0");
        fn->alpha = 2 / ((double)n + 1);
    } else {
        fn->alpha = nx_value_to_double(&m[2].value);
        if (!nx_is_number(&m[2].value) || !(fn->alpha > 0 && fn->alpha < 1))
            return nx_fail(err, NX_EQUERY, "$expMovingAvg wants 'alpha' between 0 and 1");
    }
    return expr_parse(&m[0].value, vars, &fn->input, err);
}

static enum nx_code compute_moving(const struct window_function *fn, struct window_rows *rows,
                                   struct nx_value *out, struct nx_err *err)
{
    bool started = false;
    double mean = 0;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; rc == NX_OK && i < rows->count; i++) {
        struct nx_value value;

        rc = window_eval(rows, fn->input, i, &value, err);
        if (rc == NX_OK && nx_is_number(&value)) {
            double v = nx_value_to_double(&value);

            mean = started ? fn->alpha * v + (1 - fn->alpha) * mean : v;
            started = true;
        }
        out[i] = started ? nx_double(mean) : NX_NULL;
    }
    return rc;
}

/* --- covariance ------------------------------------------------------------------------------- */

static enum nx_code parse_pair(struct window_function *fn, const struct nx_value *spec,
                               struct expr_vars *vars, struct nx_err *err)
{
    struct nx_doc_iter iter;
    enum nx_code rc;

    if (spec->type != NX_TYPE_ARRAY || nx_doc_count(nx_value_slice(spec)) != 2)
        return nx_fail(err, NX_EQUERY, "%s wants an array of two expressions", fn->class->name);
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    nx_doc_iter_next(&iter);
    rc = expr_parse(&iter.value, vars, &fn->input, err);
    nx_doc_iter_next(&iter);
    return rc == NX_OK ? expr_parse(&iter.value, vars, &fn->second, err) : rc;
}

static enum nx_code covariance(const struct window_function *fn, struct window_rows *rows,
                               size_t from, size_t to, struct nx_value *out, struct nx_err *err)
{
    double mean_x = 0, mean_y = 0, sum = 0, n = 0;
    double less = strcmp(fn->class->name, "$covarianceSamp") == 0 ? 1 : 0;
    enum nx_code rc = NX_OK;

    for (size_t i = from; rc == NX_OK && i < to; i++) {
        struct nx_value x, y;
        double dx;

        rc = window_eval(rows, fn->input, i, &x, err);
        if (rc == NX_OK)
            rc = window_eval(rows, fn->second, i, &y, err);
        if (rc != NX_OK || !nx_is_number(&x) || !nx_is_number(&y))
            continue;
        n++;
        dx = nx_value_to_double(&x) - mean_x;
        mean_x += dx / n;
        mean_y += (nx_value_to_double(&y) - mean_y) / n;
        sum += dx * (nx_value_to_double(&y) - mean_y);
    }
    *out = n > less ? nx_double(sum / (n - less)) : NX_NULL;
    return rc;
}

static enum nx_code compute_covariance(const struct window_function *fn, struct window_rows *rows,
                                       struct nx_value *out, struct nx_err *err)
{
    return each_window(fn, rows, covariance, out, err);
}

static const struct window_class table[] = {
    {"$covariancePop", false, true, parse_pair, compute_covariance,
     "the covariance of a population"},
    {"$covarianceSamp", false, true, parse_pair, compute_covariance, "the covariance of a sample"},
    {"$denseRank", true, false, parse_nothing, compute_dense_rank, "the rank, without gaps"},
    {"$derivative", true, true, parse_with_unit, compute_derivative, "the rate of change"},
    {"$documentNumber", true, false, parse_nothing, compute_number, "the position"},
    {"$expMovingAvg", true, false, parse_moving, compute_moving, "the exponential moving mean"},
    {"$integral", true, true, parse_with_unit, compute_integral, "the area under the values"},
    {"$linearFill", true, false, parse_input, compute_linear, "gaps filled in proportion"},
    {"$locf", true, false, parse_input, compute_locf, "gaps filled with the last value"},
    {"$rank", true, false, parse_nothing, compute_rank, "the rank"},
    {"$shift", true, false, parse_shift, compute_shift, "the value of a neighbour"},
};
const struct window_class *const window_classes = table;
const size_t window_class_count = sizeof table / sizeof *table;

void window_each_operator(nx_operator_fn fn, void *arg)
{
    for (size_t i = 0; i < window_class_count; i++) {
        const struct nx_operator row = {table[i].name, NX_OPERATOR_ACCUMULATOR, table[i].help};

        fn(arg, &row);
    }
}

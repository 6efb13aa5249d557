/*
 * acc_numbers.c - sums, means, deviations and counts.
 *
 * Whole numbers are summed exactly while they fit; doubles with the rounding error carried along
 * (Neumaier), so that a sum does not depend on the order of what it adds; decimals as decimals.
 */
#include <math.h>

#include "query/acc.h"
#include "query/decimal_math.h"
#include "query/numeric.h"

static void add_double(struct acc *acc, double v)
{
    double sum = acc->sum + v;

    if (isfinite(sum))
        acc->carry += fabs(acc->sum) >= fabs(v) ? (acc->sum - sum) + v : (v - sum) + acc->sum;
    acc->sum = sum;
}

static enum nx_code add_sum(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    (void)err;
    if (!nx_is_number(value))
        return NX_OK;
    acc->count++;
    if (value->type == NX_TYPE_DECIMAL128) {
        acc->decimal = decimal_add(acc->decimal, numeric_decimal(value));
        acc->has_decimal = true;
    } else if (value->type == NX_TYPE_DOUBLE) {
        add_double(acc, value->f64);
        acc->has_double = true;
    } else {
        int64_t n = value->type == NX_TYPE_INT64 ? value->i64 : value->i32, sum;

        acc->is_long |= value->type == NX_TYPE_INT64;
        if (__builtin_add_overflow(acc->whole, n, &sum)) {
            /* no longer exact: both parts go on as doubles */
            add_double(acc, (double)acc->whole);
            add_double(acc, (double)n);
            sum = 0;
            acc->has_double = true;
        }
        acc->whole = sum;
    }
    return NX_OK;
}

/* The sum so far as a decimal, of all the parts. */
static struct decimal decimal_total(const struct acc *acc)
{
    struct decimal total = decimal_add(acc->decimal, decimal_from_int64(acc->whole));

    return acc->has_double ? decimal_add(total, decimal_from_double15(acc->sum + acc->carry))
                           : total;
}

static double double_total(const struct acc *acc)
{
    struct acc sum = *acc;

    if (sum.whole)
        add_double(&sum, (double)sum.whole);
    return isfinite(sum.sum) ? sum.sum + sum.carry : sum.sum;
}

static enum nx_code result_sum(const struct acc *acc, struct arena *arena, struct nx_value *out,
                               struct nx_err *err)
{
    if (acc->has_decimal) {
        struct decimal total = decimal_total(acc);

        return numeric_from_decimal(arena, &total, out, err);
    }
    if (acc->has_double)
        *out = nx_double(double_total(acc));
    else
        *out = acc->is_long ? nx_int64(acc->whole) : nx_int(acc->whole);
    return NX_OK;
}

static enum nx_code result_avg(const struct acc *acc, struct arena *arena, struct nx_value *out,
                               struct nx_err *err)
{
    *out = NX_NULL;
    if (acc->count == 0)
        return NX_OK;
    if (acc->has_decimal) {
        struct decimal mean =
            decimal_divide(decimal_total(acc), decimal_from_int64((int64_t)acc->count));

        return numeric_from_decimal(arena, &mean, out, err);
    }
    *out = nx_double(double_total(acc) / (double)acc->count);
    return NX_OK;
}

static enum nx_code add_count(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    (void)value;
    (void)err;
    acc->count++;
    return NX_OK;
}

static enum nx_code result_count(const struct acc *acc, struct arena *arena, struct nx_value *out,
                                 struct nx_err *err)
{
    (void)arena;
    (void)err;
    *out = nx_int((int64_t)acc->count);
    return NX_OK;
}

static enum nx_code add_deviation(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    double v = nx_value_to_double(value), delta;

    (void)err;
    if (!nx_is_number(value))
        return NX_OK;
    acc->count++;
    delta = v - acc->mean;
    acc->mean += delta / (double)acc->count;
    acc->squares += delta * (v - acc->mean);
    return NX_OK;
}

static enum nx_code deviation(const struct acc *acc, uint64_t less, struct nx_value *out)
{
    *out = NX_NULL;
    if (acc->count > less)
        *out = nx_double(sqrt(acc->squares / (double)(acc->count - less)));
    return NX_OK;
}

static enum nx_code result_pop(const struct acc *acc, struct arena *arena, struct nx_value *out,
                               struct nx_err *err)
{
    (void)arena;
    (void)err;
    return deviation(acc, 0, out);
}

static enum nx_code result_samp(const struct acc *acc, struct arena *arena, struct nx_value *out,
                                struct nx_err *err)
{
    (void)arena;
    (void)err;
    return deviation(acc, 1, out);
}

#define BOTH (ACC_GROUP | ACC_WINDOW)
static const struct acc_class table[] = {
    {"$avg", ACC_EXPR, BOTH, add_sum, result_avg, "the mean of the numbers"},
    {"$count", ACC_NOTHING, BOTH, add_count, result_count, "how many documents"},
    {"$stdDevPop", ACC_EXPR, BOTH, add_deviation, result_pop, "the deviation of a population"},
    {"$stdDevSamp", ACC_EXPR, BOTH, add_deviation, result_samp, "the deviation of a sample"},
    {"$sum", ACC_EXPR, BOTH, add_sum, result_sum, "the sum of the numbers"},
};
const struct acc_family acc_numbers = {table, sizeof table / sizeof *table};

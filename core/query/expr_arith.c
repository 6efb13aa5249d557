/*
 * expr_arith.c - arithmetic: sums and products of numbers and dates, roots, logarithms, rounding.
 */
#include <math.h>

#include "query/expr_op.h"
#include "query/numeric.h"

#define PLACE_MIN (-20)
#define PLACE_MAX 100

static enum nx_code want_number(struct call *call, unsigned arg)
{
    if (nx_is_number(&call->args[arg]))
        return NX_OK;
    return call_fail(call, "wants numbers, not %s", nx_type_name(call->args[arg].type));
}

/* date + the sum of the rest, in whole milliseconds */
static enum nx_code shift_date(struct call *call, int64_t ms, const struct nx_value *by, int sign,
                               struct nx_value *out)
{
    double shift = nx_value_to_double(by);
    int64_t whole, sum;

    if (!nx_value_to_int64(by, &whole)) {
        if (!(fabs(shift) < 9.2e18))
            return call_fail(call, "would move a date out of its range");
        whole = llrint(shift);
    }
    if (sign > 0 ? __builtin_add_overflow(ms, whole, &sum)
                 : __builtin_sub_overflow(ms, whole, &sum))
        return call_fail(call, "would move a date out of its range");
    *out = nx_date(sum);
    return NX_OK;
}

static enum nx_code call_add(struct call *call, struct nx_value *out)
{
    struct nx_value sum = nx_int32(0);
    const struct nx_value *date = NULL;
    enum nx_code rc = NX_OK;

    for (unsigned i = 0; rc == NX_OK && i < call->count; i++) {
        if (call->args[i].type == NX_TYPE_DATE) {
            if (date)
                return call_fail(call, "takes only one date");
            date = &call->args[i];
            continue;
        }
        rc = want_number(call, i);
        if (rc == NX_OK)
            rc = numeric_add(call->env->arena, &sum, &call->args[i], &sum, call->err);
    }
    if (rc != NX_OK)
        return rc;
    *out = sum;
    return date ? shift_date(call, date->i64, &sum, 1, out) : NX_OK;
}

static enum nx_code call_subtract(struct call *call, struct nx_value *out)
{
    const struct nx_value *a = &call->args[0], *b = &call->args[1];
    enum nx_code rc;
    int64_t difference;

    if (a->type == NX_TYPE_DATE && b->type == NX_TYPE_DATE) {
        if (__builtin_sub_overflow(a->i64, b->i64, &difference))
            return call_fail(call, "of two dates is out of range");
        *out = nx_int64(difference);
        return NX_OK;
    }
    rc = want_number(call, 1);
    if (rc == NX_OK && a->type == NX_TYPE_DATE)
        return shift_date(call, a->i64, b, -1, out);
    if (rc == NX_OK)
        rc = want_number(call, 0);
    return rc == NX_OK ? numeric_subtract(call->env->arena, a, b, out, call->err) : rc;
}

static enum nx_code call_multiply(struct call *call, struct nx_value *out)
{
    struct nx_value product = nx_int32(1);
    enum nx_code rc = NX_OK;

    for (unsigned i = 0; rc == NX_OK && i < call->count; i++) {
        rc = want_number(call, i);
        if (rc == NX_OK)
            rc = numeric_multiply(call->env->arena, &product, &call->args[i], &product, call->err);
    }
    *out = product;
    return rc;
}

static enum nx_code two_numbers(struct call *call, numeric_fn fn, struct nx_value *out)
{
    enum nx_code rc = want_number(call, 0);

    if (rc == NX_OK)
        rc = want_number(call, 1);
    return rc == NX_OK ? fn(call->env->arena, &call->args[0], &call->args[1], out, call->err) : rc;
}

static enum nx_code call_divide(struct call *call, struct nx_value *out)
{
    return two_numbers(call, numeric_divide, out);
}

static enum nx_code call_mod(struct call *call, struct nx_value *out)
{
    return two_numbers(call, numeric_remainder, out);
}

static enum nx_code call_abs(struct call *call, struct nx_value *out)
{
    struct nx_value zero = nx_int32(0);
    enum nx_code rc = want_number(call, 0);

    *out = call->args[0];
    if (rc != NX_OK)
        return rc;
    if (out->type == NX_TYPE_DOUBLE) {
        *out = nx_double(fabs(out->f64));
        return NX_OK;
    }
    if (nx_value_compare(out, &zero) >= 0)
        return NX_OK;
    if (out->type == NX_TYPE_INT64 && out->i64 == INT64_MIN)
        return call_fail(call, "of the smallest 64-bit number does not fit");
    return numeric_subtract(call->env->arena, &zero, &call->args[0], out, call->err);
}

static enum nx_code whole(struct call *call, enum rounding rounding, struct nx_value *out)
{
    enum nx_code rc = want_number(call, 0);

    return rc == NX_OK
               ? numeric_round(call->env->arena, &call->args[0], 0, rounding, out, call->err)
               : rc;
}

static enum nx_code call_ceil(struct call *call, struct nx_value *out)
{
    return whole(call, ROUND_CEILING, out);
}

static enum nx_code call_floor(struct call *call, struct nx_value *out)
{
    return whole(call, ROUND_FLOOR, out);
}

static enum nx_code to_place(struct call *call, enum rounding rounding, struct nx_value *out)
{
    enum nx_code rc = want_number(call, 0);
    int32_t place = 0;

    if (rc == NX_OK && call->count > 1)
        rc = call_int32(call, 1, "its place", &place);
    if (rc == NX_OK && (place < PLACE_MIN || place > PLACE_MAX))
        return call_fail(call, "wants a place from %d to %d, not %d", PLACE_MIN, PLACE_MAX, place);
    return rc == NX_OK
               ? numeric_round(call->env->arena, &call->args[0], place, rounding, out, call->err)
               : rc;
}

static enum nx_code call_round(struct call *call, struct nx_value *out)
{
    return to_place(call, ROUND_HALF_EVEN, out);
}

static enum nx_code call_trunc(struct call *call, struct nx_value *out)
{
    return to_place(call, ROUND_DOWN, out);
}

/* --- powers and logarithms -------------------------------------------------------------------- */

/* base^exp within int64, by squaring. */
static bool integer_power(int64_t base, int64_t exp, int64_t *out)
{
    int64_t result = 1;

    while (exp) {
        if ((exp & 1) && __builtin_mul_overflow(result, base, &result))
            return false;
        exp >>= 1;
        if (exp && __builtin_mul_overflow(base, base, &base))
            return false;
    }
    *out = result;
    return true;
}

static enum nx_code call_pow(struct call *call, struct nx_value *out)
{
    const struct nx_value *base = &call->args[0], *exp = &call->args[1];
    bool integers = base->type != NX_TYPE_DOUBLE && base->type != NX_TYPE_DECIMAL128 &&
                    exp->type != NX_TYPE_DOUBLE && exp->type != NX_TYPE_DECIMAL128;
    bool is_long = base->type == NX_TYPE_INT64 || exp->type == NX_TYPE_INT64;
    enum nx_code rc = want_number(call, 0);
    int64_t b, e, power;

    if (rc == NX_OK)
        rc = want_number(call, 1);
    if (rc != NX_OK)
        return rc;
    if (numeric_is_zero(base) && nx_value_to_double(exp) < 0)
        return call_fail(call, "cannot raise 0 to a negative power");
    if (integers && nx_value_to_int64(base, &b) && nx_value_to_int64(exp, &e) && e >= 0 &&
        integer_power(b, e, &power)) {
        *out = is_long ? nx_int64(power) : nx_int(power);
        return NX_OK;
    }
    return numeric_like(call->env->arena, base->type == NX_TYPE_DECIMAL128 ? base : exp,
                        pow(nx_value_to_double(base), nx_value_to_double(exp)), out, call->err);
}

static enum nx_code apply_double(struct call *call, double (*fn)(double), struct nx_value *out)
{
    enum nx_code rc = want_number(call, 0);

    if (rc != NX_OK)
        return rc;
    return numeric_like(call->env->arena, &call->args[0], fn(nx_value_to_double(&call->args[0])),
                        out, call->err);
}

static enum nx_code want_positive(struct call *call, unsigned arg)
{
    enum nx_code rc = want_number(call, arg);

    if (rc == NX_OK && nx_value_to_double(&call->args[arg]) <= 0)
        return call_fail(call, "wants a positive number");
    return rc;
}

static enum nx_code call_exp(struct call *call, struct nx_value *out)
{
    return apply_double(call, exp, out);
}

static enum nx_code call_ln(struct call *call, struct nx_value *out)
{
    enum nx_code rc = want_positive(call, 0);

    return rc == NX_OK ? apply_double(call, log, out) : rc;
}

static enum nx_code call_log10(struct call *call, struct nx_value *out)
{
    enum nx_code rc = want_positive(call, 0);

    return rc == NX_OK ? apply_double(call, log10, out) : rc;
}

static enum nx_code call_log(struct call *call, struct nx_value *out)
{
    enum nx_code rc = want_positive(call, 0);
    double base;

    if (rc == NX_OK)
        rc = want_positive(call, 1);
    if (rc != NX_OK)
        return rc;
    base = nx_value_to_double(&call->args[1]);
    if (base == 1)
        return call_fail(call, "wants a base other than 1");
    return numeric_like(call->env->arena, &call->args[0],
                        log(nx_value_to_double(&call->args[0])) / log(base), out, call->err);
}

static enum nx_code call_sqrt(struct call *call, struct nx_value *out)
{
    enum nx_code rc = want_number(call, 0);

    if (rc == NX_OK && nx_value_to_double(&call->args[0]) < 0)
        return call_fail(call, "wants a number that is not negative");
    return rc == NX_OK ? apply_double(call, sqrt, out) : rc;
}

static double sigmoid(double v)
{
    return 1 / (1 + exp(-v));
}

static enum nx_code call_sigmoid(struct call *call, struct nx_value *out)
{
    return apply_double(call, sigmoid, out);
}

static const struct expr_op table[] = {
    {"$abs", 1, 1, NULL, EXPR_NULLS, call_abs, NULL, NULL, "the number without its sign"},
    {"$add", 0, EXPR_ANY, NULL, EXPR_NULLS, call_add, NULL, NULL, "a sum; with a date, a date"},
    {"$ceil", 1, 1, NULL, EXPR_NULLS, call_ceil, NULL, NULL, "the whole number not below"},
    {"$divide", 2, 2, NULL, EXPR_NULLS, call_divide, NULL, NULL, "a quotient"},
    {"$exp", 1, 1, NULL, EXPR_NULLS, call_exp, NULL, NULL, "e raised to the number"},
    {"$floor", 1, 1, NULL, EXPR_NULLS, call_floor, NULL, NULL, "the whole number not above"},
    {"$ln", 1, 1, NULL, EXPR_NULLS, call_ln, NULL, NULL, "the natural logarithm"},
    {"$log", 2, 2, NULL, EXPR_NULLS, call_log, NULL, NULL, "the logarithm in a base"},
    {"$log10", 1, 1, NULL, EXPR_NULLS, call_log10, NULL, NULL, "the logarithm in base 10"},
    {"$mod", 2, 2, NULL, EXPR_NULLS, call_mod, NULL, NULL, "the rest of a division"},
    {"$multiply", 0, EXPR_ANY, NULL, EXPR_NULLS, call_multiply, NULL, NULL, "a product"},
    {"$pow", 2, 2, NULL, EXPR_NULLS, call_pow, NULL, NULL, "a power"},
    {"$round", 1, 2, NULL, EXPR_NULLS, call_round, NULL, NULL, "rounded to a place, ties to even"},
    {"$sigmoid", 1, 1, NULL, EXPR_NULLS, call_sigmoid, NULL, NULL, "1 / (1 + e^-x)"},
    {"$sqrt", 1, 1, NULL, EXPR_NULLS, call_sqrt, NULL, NULL, "the square root"},
    {"$subtract", 2, 2, NULL, EXPR_NULLS, call_subtract, NULL, NULL,
     "a difference; of dates, milliseconds"},
    {"$trunc", 1, 2, NULL, EXPR_NULLS, call_trunc, NULL, NULL, "cut to a place"},
};
const struct expr_family expr_arith = EXPR_FAMILY(table);

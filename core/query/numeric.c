/*
 * numeric.c - arithmetic over the four numeric types.
 */
#include "query/numeric.h"

#include <math.h>

#include "doc/number.h"
#include "query/decimal_math.h"

enum width { WIDTH_INT32, WIDTH_INT64, WIDTH_DOUBLE, WIDTH_DECIMAL };

static enum width width_of(const struct nx_value *value)
{
    switch (value->type) {
    case NX_TYPE_INT32:
        return WIDTH_INT32;
    case NX_TYPE_INT64:
        return WIDTH_INT64;
    case NX_TYPE_DECIMAL128:
        return WIDTH_DECIMAL;
    default:
        return WIDTH_DOUBLE;
    }
}

static enum width wider(const struct nx_value *a, const struct nx_value *b)
{
    enum width x = width_of(a), y = width_of(b);

    return x > y ? x : y;
}

static int64_t integer(const struct nx_value *value)
{
    return value->type == NX_TYPE_INT32 ? value->i32 : value->i64;
}

static struct nx_value integer_result(enum width width, int64_t v)
{
    return width == WIDTH_INT32 ? nx_int(v) : nx_int64(v);
}

bool numeric_is_zero(const struct nx_value *value)
{
    struct nx_value zero = nx_int32(0);

    return nx_value_compare(value, &zero) == 0;
}

struct decimal numeric_decimal(const struct nx_value *value)
{
    struct decimal out;

    if (value->type == NX_TYPE_DECIMAL128) {
        decimal_read(value->data, &out);
        return out;
    }
    if (value->type == NX_TYPE_DOUBLE)
        return decimal_from_double15(value->f64);
    return decimal_from_int64(integer(value));
}

enum nx_code numeric_from_decimal(struct arena *arena, const struct decimal *decimal,
                                  struct nx_value *out, struct nx_err *err)
{
    uint8_t *bytes = arena_alloc(arena, 16);

    if (!bytes)
        return nx_fail_nomem(err);
    decimal_write(decimal, bytes);
    *out = (struct nx_value){.type = NX_TYPE_DECIMAL128, .len = 16, .data = bytes};
    return NX_OK;
}

enum nx_code numeric_like(struct arena *arena, const struct nx_value *operand, double result,
                          struct nx_value *out, struct nx_err *err)
{
    struct decimal decimal;

    *out = nx_double(result);
    if (operand->type != NX_TYPE_DECIMAL128)
        return NX_OK;
    decimal = decimal_from_double15(result);
    return numeric_from_decimal(arena, &decimal, out, err);
}

static enum nx_code decimal_result(struct arena *arena,
                                   struct decimal (*fn)(struct decimal, struct decimal),
                                   const struct nx_value *a, const struct nx_value *b,
                                   struct nx_value *out, struct nx_err *err)
{
    struct decimal result = fn(numeric_decimal(a), numeric_decimal(b));

    return numeric_from_decimal(arena, &result, out, err);
}

enum nx_code numeric_add(struct arena *arena, const struct nx_value *a, const struct nx_value *b,
                         struct nx_value *out, struct nx_err *err)
{
    enum width width = wider(a, b);
    int64_t sum;

    if (width == WIDTH_DECIMAL)
        return decimal_result(arena, decimal_add, a, b, out, err);
    if (width == WIDTH_DOUBLE || __builtin_add_overflow(integer(a), integer(b), &sum))
        *out = nx_double(nx_value_to_double(a) + nx_value_to_double(b));
    else
        *out = integer_result(width, sum);
    return NX_OK;
}

static struct decimal decimal_subtract(struct decimal a, struct decimal b)
{
    return decimal_add(a, decimal_negate(b));
}

enum nx_code numeric_subtract(struct arena *arena, const struct nx_value *a,
                              const struct nx_value *b, struct nx_value *out, struct nx_err *err)
{
    enum width width = wider(a, b);
    int64_t difference;

    if (width == WIDTH_DECIMAL)
        return decimal_result(arena, decimal_subtract, a, b, out, err);
    if (width == WIDTH_DOUBLE || __builtin_sub_overflow(integer(a), integer(b), &difference))
        *out = nx_double(nx_value_to_double(a) - nx_value_to_double(b));
    else
        *out = integer_result(width, difference);
    return NX_OK;
}

enum nx_code numeric_multiply(struct arena *arena, const struct nx_value *a,
                              const struct nx_value *b, struct nx_value *out, struct nx_err *err)
{
    enum width width = wider(a, b);
    int64_t product;

    if (width == WIDTH_DECIMAL)
        return decimal_result(arena, decimal_multiply, a, b, out, err);
    if (width == WIDTH_DOUBLE || __builtin_mul_overflow(integer(a), integer(b), &product))
        *out = nx_double(nx_value_to_double(a) * nx_value_to_double(b));
    else
        *out = integer_result(width, product);
    return NX_OK;
}

enum nx_code numeric_divide(struct arena *arena, const struct nx_value *a, const struct nx_value *b,
                            struct nx_value *out, struct nx_err *err)
{
    if (numeric_is_zero(b))
        return nx_fail(err, NX_EEXPR, "$divide by zero");
    if (wider(a, b) == WIDTH_DECIMAL)
        return decimal_result(arena, decimal_divide, a, b, out, err);
    *out = nx_double(nx_value_to_double(a) / nx_value_to_double(b));
    return NX_OK;
}

enum nx_code numeric_remainder(struct arena *arena, const struct nx_value *a,
                               const struct nx_value *b, struct nx_value *out, struct nx_err *err)
{
    enum width width = wider(a, b);

    if (numeric_is_zero(b))
        return nx_fail(err, NX_EEXPR, "$mod by zero");
    if (width == WIDTH_DECIMAL)
        return decimal_result(arena, decimal_remainder, a, b, out, err);
    if (width == WIDTH_DOUBLE)
        *out = nx_double(fmod(nx_value_to_double(a), nx_value_to_double(b)));
    else /* INT64_MIN % -1 traps */
        *out = integer_result(width, integer(b) == -1 ? 0 : integer(a) % integer(b));
    return NX_OK;
}

/* --- rounding --------------------------------------------------------------------------------- */

static double round_whole(double v, enum rounding rounding)
{
    switch (rounding) {
    case ROUND_DOWN:
        return trunc(v);
    case ROUND_CEILING:
        return ceil(v);
    case ROUND_FLOOR:
        return floor(v);
    default:
        return nearbyint(v); /* the default mode: ties to even */
    }
}

static struct decimal round_decimal(struct decimal value, int place, enum rounding rounding)
{
    struct decimal cut = decimal_quantize(value, -place, rounding != ROUND_HALF_EVEN);
    bool up = rounding == ROUND_CEILING && !value.negative;
    bool away = up || (rounding == ROUND_FLOOR && value.negative);

    if (away && decimal_compare(&cut, &value) != 0) {
        struct decimal one = {
            .kind = DECIMAL_FINITE, .negative = value.negative, .exp = -place, .coef = 1};
        cut = decimal_add(cut, one);
    }
    return cut;
}

static struct nx_value round_integer(const struct nx_value *value, int place,
                                     enum rounding rounding)
{
    struct decimal rounded = round_decimal(decimal_from_int64(integer(value)), place, rounding);
    int64_t whole;

    if (!decimal_to_int64(&rounded, &whole))
        return nx_double(decimal_to_double(&rounded));
    return integer_result(width_of(value), whole);
}

enum nx_code numeric_round(struct arena *arena, const struct nx_value *value, int place,
                           enum rounding rounding, struct nx_value *out, struct nx_err *err)
{
    struct decimal rounded;

    *out = *value;
    switch (width_of(value)) {
    case WIDTH_DECIMAL:
        rounded = round_decimal(numeric_decimal(value), place, rounding);
        return numeric_from_decimal(arena, &rounded, out, err);
    case WIDTH_DOUBLE:
        if (place == 0) {
            *out = nx_double(round_whole(value->f64, rounding));
        } else if (isfinite(value->f64)) {
            rounded = round_decimal(decimal_from_double15(value->f64), place, rounding);
            *out = nx_double(decimal_to_double(&rounded));
        }
        return NX_OK;
    default:
        if (place < 0)
            *out = round_integer(value, place, rounding);
        return NX_OK;
    }
}

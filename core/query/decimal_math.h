/*
 * decimal_math.h - sums, products, quotients and rounding of decimal128, ties to even at 34 digits.
 *
 * Threads: pure functions. NaN and Infinity follow IEEE 754.
 */
#ifndef QUERY_DECIMAL_MATH_H
#define QUERY_DECIMAL_MATH_H

#include "doc/decimal.h"

struct decimal decimal_add(struct decimal a, struct decimal b);
struct decimal decimal_negate(struct decimal a);
struct decimal decimal_multiply(struct decimal a, struct decimal b);
struct decimal decimal_divide(struct decimal a, struct decimal b);
/* a - b * (a/b cut to a whole number). */
struct decimal decimal_remainder(struct decimal a, struct decimal b);
/* To a multiple of 10^exp, ties to even or, with `down`, towards zero. */
struct decimal decimal_quantize(struct decimal a, int exp, bool down);
struct decimal decimal_from_double15(double v);

#endif

/*
 * numeric.h - arithmetic on BSON numbers: the type of a result follows its operands.
 *
 * int32 widens to int64 and int64 to double when a result does not fit; a double makes the result a
 * double; a decimal128 makes it a decimal128. Operands must be numbers. Decimals live in the arena.
 */
#ifndef QUERY_NUMERIC_H
#define QUERY_NUMERIC_H

#include <nexadb/value.h>

#include "base/arena.h"
#include "doc/decimal.h"

typedef enum nx_code (*numeric_fn)(struct arena *arena, const struct nx_value *a,
                                   const struct nx_value *b, struct nx_value *out,
                                   struct nx_err *err);
enum nx_code numeric_add(struct arena *arena, const struct nx_value *a, const struct nx_value *b,
                         struct nx_value *out, struct nx_err *err);
enum nx_code numeric_subtract(struct arena *arena, const struct nx_value *a,
                              const struct nx_value *b, struct nx_value *out, struct nx_err *err);
enum nx_code numeric_multiply(struct arena *arena, const struct nx_value *a,
                              const struct nx_value *b, struct nx_value *out, struct nx_err *err);
/* A double, or a decimal. NX_EEXPR for a zero divisor. */
enum nx_code numeric_divide(struct arena *arena, const struct nx_value *a, const struct nx_value *b,
                            struct nx_value *out, struct nx_err *err);
/* With the sign of the dividend. NX_EEXPR for a zero divisor. */
enum nx_code numeric_remainder(struct arena *arena, const struct nx_value *a,
                               const struct nx_value *b, struct nx_value *out, struct nx_err *err);

enum rounding { ROUND_HALF_EVEN, ROUND_DOWN, ROUND_CEILING, ROUND_FLOOR };
/* Keep `place` digits after the point (before it when negative). */
enum nx_code numeric_round(struct arena *arena, const struct nx_value *value, int place,
                           enum rounding rounding, struct nx_value *out, struct nx_err *err);

bool numeric_is_zero(const struct nx_value *value);
/* The value as a decimal; a double by its 15 significant digits. */
struct decimal numeric_decimal(const struct nx_value *value);
enum nx_code numeric_from_decimal(struct arena *arena, const struct decimal *decimal,
                                  struct nx_value *out, struct nx_err *err);
/* A double result as the operand's type has it: a decimal for a decimal, else a double. */
enum nx_code numeric_like(struct arena *arena, const struct nx_value *operand, double result,
                          struct nx_value *out, struct nx_err *err);

#endif

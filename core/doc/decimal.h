/*
 * decimal.h - IEEE 754 decimal128 in BSON's form: taken apart, compared, converted.
 *
 * libbson reads and prints the text of a decimal; everything that needs its value is here.
 * Threads: pure functions.
 */
#ifndef DOC_DECIMAL_H
#define DOC_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef unsigned __int128 nx_u128;

#define DECIMAL_DIGITS 34
#define DECIMAL_EXP_MIN (-6176)
#define DECIMAL_EXP_MAX 6111
#define DECIMAL_TEXT_BYTES 48 /* the longest text, with its NUL */

enum decimal_kind { DECIMAL_FINITE, DECIMAL_INFINITE, DECIMAL_NAN };

/* coef * 10^exp, below 10^34 */
struct decimal {
    enum decimal_kind kind;
    bool negative;
    int32_t exp;
    nx_u128 coef;
};

/* `bytes` are the 16 of a BSON value. A coefficient past 34 digits reads as 0, as IEEE 754 says. */
void decimal_read(const uint8_t *bytes, struct decimal *out);
void decimal_write(const struct decimal *decimal, uint8_t *bytes);
struct decimal decimal_from_int64(int64_t v);
/* Take zeros off the end of the coefficient; zero becomes +0 of exponent 0. */
void decimal_normalize(struct decimal *decimal);
/* Digits of the coefficient; 0 for zero. */
unsigned decimal_digits(nx_u128 coef);
nx_u128 decimal_pow10(unsigned n); /* n to DECIMAL_DIGITS */

/* By value: NaN below all and equal to NaN, -0 equal to 0; no rounding anywhere. */
int decimal_compare(const struct decimal *a, const struct decimal *b);
int decimal_compare_double(const struct decimal *a, double b);

/* The nearest double, ties to even. */
double decimal_to_double(const struct decimal *decimal);
/* The largest double that is not above it (-Infinity for one below every finite double). */
double decimal_floor_double(const struct decimal *decimal);
bool decimal_to_int64(const struct decimal *decimal, int64_t *out);

#endif

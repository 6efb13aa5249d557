/*
 * decimal_math.c - arithmetic on coefficients of 34 digits.
 *
 * A product or an aligned sum has up to 68 digits: it is held as high * 10^34 + low, each below
 * 10^34 and so within 128 bits, and rounded once.
 */
#include "query/decimal_math.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define HALF_DIGITS 17

struct wide {
    nx_u128 high, low;
};

static struct decimal special(enum decimal_kind kind, bool negative)
{
    return (struct decimal){.kind = kind, .negative = negative};
}

static struct decimal not_a_number(void)
{
    return special(DECIMAL_NAN, false);
}

/* coef + 1 when what was cut off, `rest` of `unit`, is more than half, or half of an odd one. */
static nx_u128 round_even(nx_u128 coef, nx_u128 rest, nx_u128 unit, bool sticky)
{
    nx_u128 half = unit / 2;

    if (rest > half || (rest == half && unit > 1 && (sticky || coef % 2)))
        return coef + 1;
    return coef;
}

/* Into the range of exponents, shifting the coefficient; beyond it infinity or zero. */
static struct decimal fit(struct decimal a)
{
    if (a.coef >= decimal_pow10(DECIMAL_DIGITS)) {
        a.coef = round_even(a.coef / 10, a.coef % 10, 10, false);
        a.exp++;
    }
    while (a.exp > DECIMAL_EXP_MAX && a.coef && a.coef < decimal_pow10(DECIMAL_DIGITS - 1)) {
        a.coef *= 10;
        a.exp--;
    }
    if (a.coef == 0 && a.exp > DECIMAL_EXP_MAX)
        a.exp = DECIMAL_EXP_MAX;
    if (a.exp > DECIMAL_EXP_MAX)
        return special(DECIMAL_INFINITE, a.negative);
    if (a.exp < DECIMAL_EXP_MIN) {
        int cut = DECIMAL_EXP_MIN - a.exp;
        nx_u128 unit = cut <= DECIMAL_DIGITS ? decimal_pow10((unsigned)cut) : 0;

        a.coef = unit ? round_even(a.coef / unit, a.coef % unit, unit, false) : 0;
        a.exp = DECIMAL_EXP_MIN;
    }
    return a;
}

static struct decimal round_wide(struct wide wide, int exp, bool negative)
{
    unsigned cut = decimal_digits(wide.high);
    struct decimal out = {.kind = DECIMAL_FINITE, .negative = negative};
    nx_u128 unit = decimal_pow10(cut);

    out.exp = exp + (int)cut;
    out.coef = wide.high * decimal_pow10(DECIMAL_DIGITS - cut) + wide.low / unit;
    out.coef = round_even(out.coef, wide.low % unit, unit, false);
    return fit(out);
}

static struct wide multiply_wide(nx_u128 a, nx_u128 b)
{
    nx_u128 half = decimal_pow10(HALF_DIGITS), full = decimal_pow10(DECIMAL_DIGITS);
    nx_u128 a1 = a / half, a0 = a % half, b1 = b / half, b0 = b % half;
    nx_u128 middle = a1 * b0 + a0 * b1;
    nx_u128 low = a0 * b0 + middle % half * half;

    return (struct wide){a1 * b1 + middle / half + low / full, low % full};
}

struct decimal decimal_negate(struct decimal a)
{
    a.negative = !a.negative;
    return a;
}

static struct decimal add_special(struct decimal a, struct decimal b)
{
    if (a.kind == DECIMAL_NAN || b.kind == DECIMAL_NAN)
        return not_a_number();
    if (a.kind == DECIMAL_INFINITE && b.kind == DECIMAL_INFINITE && a.negative != b.negative)
        return not_a_number();
    return a.kind == DECIMAL_INFINITE ? a : b;
}

/* |wide| -+ small, `*negative` turned round when it passes zero. */
static struct wide combine(struct wide wide, nx_u128 small, bool subtract, bool *negative)
{
    nx_u128 full = decimal_pow10(DECIMAL_DIGITS);

    if (!subtract) {
        wide.low += small;
        wide.high += wide.low / full;
        wide.low %= full;
    } else if (wide.low >= small) {
        wide.low -= small;
    } else if (wide.high) {
        wide.high--;
        wide.low = wide.low + full - small;
    } else {
        wide.low = small - wide.low;
        *negative = !*negative;
    }
    return wide;
}

struct decimal decimal_add(struct decimal a, struct decimal b)
{
    struct wide wide;
    bool negative;
    int gap;

    if (a.kind != DECIMAL_FINITE || b.kind != DECIMAL_FINITE)
        return add_special(a, b);
    if (a.coef == 0 || b.coef == 0) { /* the smaller exponent would only add zeros */
        if (a.coef == 0 && b.coef == 0)
            a.exp = a.exp < b.exp ? a.exp : b.exp;
        return a.coef ? a : b.coef ? b : a;
    }
    if (a.exp < b.exp) {
        struct decimal swap = a;

        a = b;
        b = swap;
    }
    while (a.exp > b.exp && a.coef < decimal_pow10(DECIMAL_DIGITS - 1)) {
        a.coef *= 10;
        a.exp--;
    }
    gap = a.exp - b.exp;
    if (gap > DECIMAL_DIGITS) /* below half of the last digit */
        return a;
    wide = gap == DECIMAL_DIGITS ? (struct wide){a.coef, 0}
                                 : multiply_wide(a.coef, decimal_pow10((unsigned)gap));
    negative = a.negative;
    wide = combine(wide, b.coef, a.negative != b.negative, &negative);
    if (wide.high == 0 && wide.low == 0)
        negative = false;
    return round_wide(wide, b.exp, negative);
}

struct decimal decimal_multiply(struct decimal a, struct decimal b)
{
    bool negative = a.negative != b.negative;

    if (a.kind == DECIMAL_NAN || b.kind == DECIMAL_NAN)
        return not_a_number();
    if (a.kind == DECIMAL_INFINITE || b.kind == DECIMAL_INFINITE) {
        bool zero =
            (a.kind == DECIMAL_FINITE && a.coef == 0) || (b.kind == DECIMAL_FINITE && b.coef == 0);

        return zero ? not_a_number() : special(DECIMAL_INFINITE, negative);
    }
    return round_wide(multiply_wide(a.coef, b.coef), a.exp + b.exp, negative);
}

/* Digits of a/b until it is exact or has one more than fits; `rest` tells whether any was left. */
static struct decimal long_division(struct decimal a, struct decimal b)
{
    struct decimal out = {.kind = DECIMAL_FINITE, .negative = a.negative != b.negative};
    nx_u128 rest = a.coef % b.coef;

    out.coef = a.coef / b.coef;
    out.exp = a.exp - b.exp;
    while (rest && out.coef < decimal_pow10(DECIMAL_DIGITS)) {
        rest *= 10;
        out.coef = out.coef * 10 + rest / b.coef;
        rest %= b.coef;
        out.exp--;
    }
    if (out.coef >= decimal_pow10(DECIMAL_DIGITS)) {
        out.coef = round_even(out.coef / 10, out.coef % 10, 10, rest != 0);
        out.exp++;
    }
    return fit(out);
}

struct decimal decimal_divide(struct decimal a, struct decimal b)
{
    bool negative = a.negative != b.negative;
    struct decimal zero = {.kind = DECIMAL_FINITE, .negative = negative};

    if (a.kind == DECIMAL_NAN || b.kind == DECIMAL_NAN)
        return not_a_number();
    if (a.kind == DECIMAL_INFINITE)
        return b.kind == DECIMAL_INFINITE ? not_a_number() : special(DECIMAL_INFINITE, negative);
    if (b.kind == DECIMAL_INFINITE)
        return zero;
    if (b.coef == 0)
        return a.coef == 0 ? not_a_number() : special(DECIMAL_INFINITE, negative);
    return long_division(a, b);
}

struct decimal decimal_remainder(struct decimal a, struct decimal b)
{
    if (a.kind != DECIMAL_FINITE || b.kind == DECIMAL_NAN || (b.kind == 0 && b.coef == 0))
        return not_a_number();
    if (b.kind == DECIMAL_INFINITE)
        return a;
    decimal_normalize(&a);
    decimal_normalize(&b);
    while (b.exp > a.exp && b.coef < decimal_pow10(DECIMAL_DIGITS - 1)) {
        b.coef *= 10;
        b.exp--;
    }
    if (b.exp > a.exp) /* b is larger than all of a's digits */
        return a;
    /* one digit of a's exponent at a time: rest stays below b's coefficient */
    for (nx_u128 rest = a.coef % b.coef;; a.exp--) {
        if (a.exp == b.exp || rest == 0) {
            a.coef = rest;
            a.exp = b.exp;
            return a;
        }
        rest = rest * 10 % b.coef;
    }
}

struct decimal decimal_quantize(struct decimal a, int exp, bool down)
{
    int cut = exp - a.exp;
    nx_u128 unit;

    if (a.kind != DECIMAL_FINITE || cut <= 0)
        return a;
    if (cut > DECIMAL_DIGITS) {
        a.coef = 0;
        a.exp = exp < DECIMAL_EXP_MAX ? exp : DECIMAL_EXP_MAX;
        return a;
    }
    unit = decimal_pow10((unsigned)cut);
    a.coef = down ? a.coef / unit : round_even(a.coef / unit, a.coef % unit, unit, false);
    a.exp = exp;
    return a;
}

struct decimal decimal_from_double15(double v)
{
    struct decimal out = {.kind = DECIMAL_FINITE, .negative = signbit(v)};
    char text[40];
    uint64_t coef = 0;
    const char *at;

    if (isnan(v))
        return not_a_number();
    if (isinf(v))
        return special(DECIMAL_INFINITE, v < 0);
    snprintf(text, sizeof text, "%.14e", fabs(v));
    for (at = text; *at && *at != 'e'; at++)
        if (*at >= '0' && *at <= '9')
            coef = coef * 10 + (uint64_t)(*at - '0');
    out.coef = coef;
    out.exp = *at ? (int)strtol(at + 1, NULL, 10) - 14 : 0;
    while (out.coef && out.coef % 10 == 0 && out.exp < 0) {
        out.coef /= 10;
        out.exp++;
    }
    if (out.coef == 0)
        out.exp = 0;
    return out;
}

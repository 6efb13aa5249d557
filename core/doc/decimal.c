/*
 * decimal.c - decimal128 (binary integer encoding) as sign, coefficient and exponent, and its exact
 * comparison.
 *
 * A decimal meets a double exactly: both become integers by multiplying with the powers of two and
 * ten that stand below them, in at most 2,300 bits. Magnitudes too far apart for that never get
 * there.
 */
#include "doc/decimal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "doc/number.h"

#define BIAS 6176

nx_u128 decimal_pow10(unsigned n)
{
    nx_u128 p = 1;

    while (n-- > 0)
        p *= 10;
    return p;
}

void decimal_read(const uint8_t *bytes, struct decimal *out)
{
    uint64_t low = get_u64le(bytes), high = get_u64le(bytes + 8);
    unsigned top = (unsigned)(high >> 58) & 0x1f;

    *out = (struct decimal){.negative = high >> 63};
    if (top >= 0x1e) {
        out->kind = top == 0x1f ? DECIMAL_NAN : DECIMAL_INFINITE;
        return;
    }
    if (top >= 0x18) { /* the other form: its coefficient always passes 34 digits */
        out->exp = (int32_t)((high >> 47) & 0x3fff) - BIAS;
        return;
    }
    out->exp = (int32_t)((high >> 49) & 0x3fff) - BIAS;
    out->coef = (nx_u128)(high & 0x1ffffffffffffULL) << 64 | low;
    if (out->coef >= decimal_pow10(DECIMAL_DIGITS))
        out->coef = 0;
}

void decimal_write(const struct decimal *decimal, uint8_t *bytes)
{
    uint64_t high = (uint64_t)decimal->negative << 63;
    uint64_t low = 0;

    if (decimal->kind == DECIMAL_FINITE) {
        high |= (uint64_t)(decimal->exp + BIAS) << 49 | (uint64_t)(decimal->coef >> 64);
        low = (uint64_t)decimal->coef;
    } else {
        high |= decimal->kind == DECIMAL_NAN ? 0x1fULL << 58 : 0x1eULL << 58;
    }
    put_u64le(bytes, low);
    put_u64le(bytes + 8, high);
}

struct decimal decimal_from_int64(int64_t v)
{
    uint64_t magnitude = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

    return (struct decimal){.negative = v < 0, .coef = magnitude};
}

void decimal_normalize(struct decimal *decimal)
{
    if (decimal->kind != DECIMAL_FINITE)
        return;
    if (decimal->coef == 0) {
        *decimal = (struct decimal){0};
        return;
    }
    while (decimal->coef % 10 == 0 && decimal->exp < DECIMAL_EXP_MAX) {
        decimal->coef /= 10;
        decimal->exp++;
    }
}

unsigned decimal_digits(nx_u128 coef)
{
    unsigned n = 0;

    for (; coef; coef /= 10)
        n++;
    return n;
}

static int sign_of(const struct decimal *d)
{
    if (d->kind == DECIMAL_FINITE && d->coef == 0)
        return 0;
    return d->negative ? -1 : 1;
}

/* Both finite, not zero, signs aside. */
static int compare_magnitude(const struct decimal *a, const struct decimal *b)
{
    unsigned a_digits = decimal_digits(a->coef), b_digits = decimal_digits(b->coef);
    int32_t a_top = a->exp + (int32_t)a_digits, b_top = b->exp + (int32_t)b_digits;
    nx_u128 x = a->coef, y = b->coef;

    if (a_top != b_top)
        return a_top < b_top ? -1 : 1;
    if (a_digits < b_digits)
        x *= decimal_pow10(b_digits - a_digits);
    else
        y *= decimal_pow10(a_digits - b_digits);
    return (x > y) - (x < y);
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
    int sa = sign_of(a), sb = sign_of(b);

    if (a->kind == DECIMAL_NAN || b->kind == DECIMAL_NAN)
        return (b->kind == DECIMAL_NAN) - (a->kind == DECIMAL_NAN);
    if (sa != sb)
        return sa < sb ? -1 : 1;
    if (sa == 0)
        return 0;
    if (a->kind == DECIMAL_INFINITE || b->kind == DECIMAL_INFINITE)
        return sa * ((a->kind == DECIMAL_INFINITE) - (b->kind == DECIMAL_INFINITE));
    return sa * compare_magnitude(a, b);
}

/* --- against a double ------------------------------------------------------------------------- */

#define BIG_LIMBS 96

struct big {
    uint32_t limb[BIG_LIMBS]; /* least significant first */
    unsigned n;
};

static void big_set(struct big *big, nx_u128 v)
{
    for (big->n = 0; v; v >>= 32)
        big->limb[big->n++] = (uint32_t)v;
}

static void big_multiply(struct big *big, uint32_t factor)
{
    uint64_t carry = 0;

    for (unsigned i = 0; i < big->n; i++) {
        carry += (uint64_t)big->limb[i] * factor;
        big->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry && big->n < BIG_LIMBS)
        big->limb[big->n++] = (uint32_t)carry;
}

static void big_scale(struct big *big, uint32_t base, unsigned chunk, uint32_t chunk_factor, int n)
{
    for (; n >= (int)chunk; n -= (int)chunk)
        big_multiply(big, chunk_factor);
    while (n-- > 0)
        big_multiply(big, base);
}

static int big_compare(const struct big *a, const struct big *b)
{
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    for (unsigned i = a->n; i-- > 0;)
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

/* Finite, positive, and of decimal magnitudes near enough to a double's for 2,300 bits. */
static int compare_exactly(const struct decimal *a, double b)
{
    struct big left, right;
    int e;
    uint64_t mantissa = (uint64_t)ldexp(frexp(b, &e), 53);

    e -= 53;
    big_set(&left, a->coef);
    big_set(&right, mantissa);
    big_scale(a->exp > 0 ? &left : &right, 10, 9, 1000000000u, a->exp > 0 ? a->exp : -a->exp);
    big_scale(e > 0 ? &right : &left, 2, 30, 1u << 30, e > 0 ? e : -e);
    return big_compare(&left, &right);
}

int decimal_compare_double(const struct decimal *a, double b)
{
    int sa = sign_of(a), sb = (b > 0) - (b < 0);
    int32_t top;

    if (a->kind == DECIMAL_NAN || isnan(b))
        return (isnan(b) != 0) - (a->kind == DECIMAL_NAN);
    if (sa != sb)
        return sa < sb ? -1 : 1;
    if (sa == 0)
        return 0;
    if (a->kind == DECIMAL_INFINITE || isinf(b))
        return sa * ((a->kind == DECIMAL_INFINITE) - (isinf(b) != 0));
    top = a->exp + (int32_t)decimal_digits(a->coef);
    if (top > 310)
        return sa;
    if (top < -330)
        return -sa;
    return sa * compare_exactly(a, fabs(b));
}

/* --- conversions ------------------------------------------------------------------------------ */

double decimal_to_double(const struct decimal *decimal)
{
    char text[DECIMAL_TEXT_BYTES];
    char *p = text + sizeof text;
    char exponent[16];
    int n;
    double d;

    if (decimal->kind == DECIMAL_NAN)
        return NAN;
    if (decimal->kind == DECIMAL_INFINITE)
        return decimal->negative ? -INFINITY : INFINITY;
    if (decimal->coef == 0)
        return decimal->negative ? -0.0 : 0.0;
    n = snprintf(exponent, sizeof exponent, "e%d", (int)decimal->exp);
    p -= n;
    memcpy(p, exponent, (size_t)n);
    for (nx_u128 c = decimal->coef; c; c /= 10)
        *--p = (char)('0' + (int)(c % 10));
    d = number_parse_double(p, (size_t)(text + sizeof text - p));
    return decimal->negative ? -d : d;
}

double decimal_floor_double(const struct decimal *decimal)
{
    double d = decimal_to_double(decimal);

    return decimal_compare_double(decimal, d) < 0 ? nextafter(d, -INFINITY) : d;
}

bool decimal_to_int64(const struct decimal *decimal, int64_t *out)
{
    struct decimal d = *decimal;
    nx_u128 limit;

    *out = 0;
    if (d.kind != DECIMAL_FINITE)
        return false;
    decimal_normalize(&d);
    if (d.exp < 0 || d.exp > 18)
        return false;
    if (decimal_digits(d.coef) + (unsigned)d.exp > 19)
        return false;
    d.coef *= decimal_pow10((unsigned)d.exp);
    limit = ((nx_u128)1 << 63) - !d.negative;
    if (d.coef > limit)
        return false;
    *out = d.negative ? (int64_t)(0 - (uint64_t)d.coef) : (int64_t)d.coef;
    return true;
}

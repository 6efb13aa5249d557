/*
 * number.c - doubles and integers to text and back.
 *
 * Reading: a mantissa below 2^53 with a power of ten up to 22 needs one correctly rounded operation
 * (Clinger's fast path); others are multiplied with 64 bits of the power, which settles all but one
 * in 300; the rest goes to the C library in the "C" locale. Writing: the shortest digits by
 * Schubfach, which needs three multiplications with 128 bits of a power.
 */
#include "doc/number.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "doc/decimal.h"
#include "doc/pow10.h"

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define EXACT_POWERS 22
#define MANTISSA_MAX (1ull << 53)

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static double library_parse(const char *text)
{
    pthread_once(&c_locale_once, make_c_locale);
    return c_locale ? strtod_l(text, NULL, c_locale) : strtod(text, NULL);
}

double number_parse_double(const char *text, size_t len)
{
    char small[64], *copy = small;
    double v;

    if (len >= sizeof small) {
        copy = malloc(len + 1);
        if (!copy) {
            copy = small;
            len = sizeof small - 1;
        }
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    v = library_parse(copy);
    if (copy != small)
        free(copy);
    return v;
}

/*
 * mantissa * 10^exp10 with 64 bits of the power. The product is at most 4 units of its last place
 * too small, of which 11 bits are rounded away: only when these are next to one half is the answer
 * open.
 */
static bool multiply(uint64_t mantissa, int exp10, double *out)
{
    int zeros = __builtin_clzll(mantissa), exponent, shift;
    uint64_t top, bits;
    nx_u128 product;

    if (exp10 < POW10_MIN || exp10 > POW10_MAX)
        return false;
    product = (nx_u128)(mantissa << zeros) * pow10_get(exp10)->high;
    shift = !(uint64_t)(product >> 127);
    top = (uint64_t)((product << shift) >> 64);
    if ((top & 0x7ff) >= 0x3fb && (top & 0x7ff) <= 0x400)
        return false;
    exponent = pow10_log2(exp10) + 64 - zeros - shift + 1023; /* of the top bit, biased */
    if (exponent < 2 || exponent > 2045)
        return false;
    bits = (top >> 11) + ((top & 0x7ff) > 0x400); /* may carry into the exponent, rightly */
    bits += (uint64_t)(exponent - 1) << 52;
    memcpy(out, &bits, sizeof bits);
    return true;
}

double number_make_double(uint64_t mantissa, int exp10, const char *text, size_t len)
{
    double v;

    if (mantissa <= MANTISSA_MAX && exp10 >= -EXACT_POWERS && exp10 <= EXACT_POWERS) {
        v = (double)mantissa;
        v = exp10 < 0 ? v / powers[-exp10] : v * powers[exp10];
        return text[0] == '-' ? -v : v;
    }
    if (mantissa != 0 && multiply(mantissa, exp10, &v))
        return text[0] == '-' ? -v : v;
    return number_parse_double(text, len);
}

static size_t write_uint64(uint64_t v, char *out)
{
    char digits[20];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

size_t number_write_int64(int64_t v, char *out)
{
    if (v >= 0)
        return write_uint64((uint64_t)v, out);
    *out = '-';
    return 1 + write_uint64(0 - (uint64_t)v, out + 1);
}

/* --- the shortest digits ---------------------------------------------------------------------- */

#define HIDDEN_BIT (1ull << 52)

/* g * cp / 2^128, with the last bit set when anything was cut off. */
static uint64_t round_to_odd(const struct pow10 *g, uint64_t cp)
{
    nx_u128 low = (nx_u128)g->low * cp;
    nx_u128 high = (nx_u128)g->high * cp + (uint64_t)(low >> 64);

    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* The shortest s * 10^*k that reads back as c * 2^q (Giulietti's Schubfach): the interval of all
 * numbers that round to it, times four, as integers; then the shorter of the candidates inside. */
static uint64_t shortest(uint64_t c, int q, bool closer, int *k)
{
    bool odd = c & 1; /* the interval's ends read back only as an even c */
    int h;
    const struct pow10 *g;
    uint64_t lower, upper, middle, s, tenth;
    bool below, above;

    *k = (q * 1262611 - (closer ? 524031 : 0)) >> 22;
    h = q + pow10_log2(-*k) + 1;
    g = pow10_get(-*k);
    lower = round_to_odd(g, (4 * c - 2 + closer) << h) + odd;
    middle = round_to_odd(g, (4 * c) << h);
    upper = round_to_odd(g, (4 * c + 2) << h) - odd;
    s = middle / 4;
    tenth = s / 10;
    below = lower <= 40 * tenth;
    above = 40 * tenth + 40 <= upper;
    if (s >= 10 && below != above) {
        (*k)++;
        return tenth + above;
    }
    below = lower <= 4 * s;
    above = 4 * s + 4 <= upper;
    if (below != above)
        return s + above;
    return s + (middle > 4 * s + 2 || (middle == 4 * s + 2 && (s & 1)));
}

/* The digits without trailing zeros; v = 0.DIGITS * 10^*point. Returns their number. */
static size_t shortest_digits(double v, char *digits, int *point)
{
    uint64_t bits, fraction;
    int exponent, k = 0;
    size_t n;

    memcpy(&bits, &v, sizeof bits);
    fraction = bits & (HIDDEN_BIT - 1);
    exponent = (int)(bits >> 52);
    if (bits == 0)
        n = write_uint64(0, digits);
    else if (exponent == 0)
        n = write_uint64(shortest(fraction, -1074, false, &k), digits);
    else
        n = write_uint64(
            shortest(fraction | HIDDEN_BIT, exponent - 1075, fraction == 0 && exponent > 1, &k),
            digits);
    *point = (int)n + k;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

static size_t write_exponent(int e, char *out)
{
    size_t n = 0;

    out[n++] = 'e';
    out[n++] = e < 0 ? '-' : '+';
    if (e < 0)
        e = -e;
    if (e < 10)
        out[n++] = '0';
    return n + write_uint64((uint64_t)e, out + n);
}

static size_t write_zeros(int n, char *out)
{
    for (int i = 0; i < n; i++)
        out[i] = '0';
    return n > 0 ? (size_t)n : 0;
}

/* Positional from 1e-4 up to below 1e16, else with an exponent. */
static size_t layout_digits(const char *digits, int n, int point, char *out)
{
    size_t at = 0;

    if (point > 16 || point < -3) {
        out[at++] = digits[0];
        if (n > 1)
            out[at++] = '.';
        memcpy(out + at, digits + 1, (size_t)n - 1);
        at += (size_t)n - 1;
        return at + write_exponent(point - 1, out + at);
    }
    if (point <= 0) {
        memcpy(out, "0.", 2);
        at = 2 + write_zeros(-point, out + 2);
        memcpy(out + at, digits, (size_t)n);
        return at + (size_t)n;
    }
    if (point >= n) {
        memcpy(out, digits, (size_t)n);
        at = (size_t)n + write_zeros(point - n, out + n);
        memcpy(out + at, ".0", 2);
        return at + 2;
    }
    memcpy(out, digits, (size_t)point);
    out[point] = '.';
    memcpy(out + point + 1, digits + point, (size_t)(n - point));
    return (size_t)n + 1;
}

size_t number_write_double(double v, char *out)
{
    char digits[24];
    size_t sign = signbit(v) ? 1 : 0, n;
    int point = 1;

    if (sign)
        *out++ = '-';
    v = fabs(v);
    n = shortest_digits(v, digits, &point);
    return sign + layout_digits(digits, (int)n, point, out);
}

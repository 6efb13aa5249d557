/*
 * number.c - doubles and integers to text and back.
 *
 * Reading: a mantissa below 2^53 with a power of ten up to 22 needs one correctly rounded operation
 * (Clinger's fast path); the rest goes to the C library in the "C" locale. Writing: most stored
 * doubles are short decimals, found by scaling; the rest is tried at 15, 16 and 17 digits.
 */
#include "doc/number.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

double number_make_double(uint64_t mantissa, int exp10, const char *text, size_t len)
{
    if (mantissa <= MANTISSA_MAX && exp10 >= -EXACT_POWERS && exp10 <= EXACT_POWERS) {
        double v = (double)mantissa;

        v = exp10 < 0 ? v / powers[-exp10] : v * powers[exp10];
        return text[0] == '-' ? -v : v;
    }
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

/* The digits without leading or trailing zeros; v = 0.DIGITS * 10^*point. Returns their number. */
static size_t short_digits(double v, char *digits, int *point)
{
    for (int k = 0; k <= 15; k++) {
        double scaled = v * powers[k];
        uint64_t m;

        if (scaled >= 1e15)
            break;
        m = (uint64_t)(scaled + 0.5);
        if ((double)m / powers[k] == v) {
            size_t n = write_uint64(m, digits);

            *point = (int)n - k;
            while (n > 1 && digits[n - 1] == '0')
                n--;
            return n;
        }
    }
    return 0;
}

static size_t library_digits(double v, char *digits, int *point)
{
    char text[40];
    size_t n = 0;

    for (int precision = v < 0x1p-1022 ? 0 : 14; precision <= 16; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, v);
        if (precision > 0)
            text[1] = '.'; /* whatever the locale puts there */
        if (library_parse(text) == v)
            break;
    }
    digits[n++] = text[0];
    for (const char *p = text + 1; *p != 'e'; p++)
        if (*p != '.')
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    *point = atoi(strchr(text, 'e') + 1) + 1;
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
    n = short_digits(v, digits, &point);
    if (n == 0)
        n = library_digits(v, digits, &point);
    return sign + layout_digits(digits, (int)n, point, out);
}

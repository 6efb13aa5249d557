/*
 * iso_date.c - ISO 8601 text to milliseconds since 1970 and back.
 *
 * Days are counted in eras of 400 years (146,097 days), years beginning in March, so that a leap
 * day is the last of its year.
 */
#include "doc/iso_date.h"

#include <string.h>

#define DAY_MS 86400000LL

struct cursor {
    const char *at, *end;
};

static bool take(struct cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

/* Exactly `digits` digits, with a value up to `max`. */
static bool take_number(struct cursor *c, int digits, int max, int *out)
{
    int v = 0;

    if (c->end - c->at < digits)
        return false;
    for (int i = 0; i < digits; i++) {
        char ch = *c->at++;

        if (ch < '0' || ch > '9')
            return false;
        v = v * 10 + (ch - '0');
    }
    *out = v;
    return v <= max;
}

static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = year - (month <= 2), era, of_era, of_year;

    era = (y >= 0 ? y : y - 399) / 400;
    of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    of_era = (y - era * 400) * 365 + (y - era * 400) / 4 - (y - era * 400) / 100 + of_year;
    return era * 146097 + of_era - 719468;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
}

static bool take_day(struct cursor *c, int64_t *days)
{
    int year, month, day;

    if (!take_number(c, 4, 9999, &year) || !take(c, '-') || !take_number(c, 2, 12, &month) ||
        !take(c, '-') || !take_number(c, 2, 31, &day))
        return false;
    if (month < 1 || day < 1 || day > days_in_month(year, month))
        return false;
    *days = days_from_civil(year, month, day);
    return true;
}

/* Up to nine digits behind the dot. */
static bool take_fraction(struct cursor *c, int *ms)
{
    int scale = 100, digits = 0;

    *ms = 0;
    if (!take(c, '.'))
        return true;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++, digits++) {
        *ms += scale * (*c->at - '0');
        scale /= 10;
    }
    return digits >= 1 && digits <= 9;
}

static bool take_time(struct cursor *c, int64_t *ms)
{
    int hour, minute, second, fraction;

    if (!take_number(c, 2, 23, &hour) || !take(c, ':') || !take_number(c, 2, 59, &minute) ||
        !take(c, ':') || !take_number(c, 2, 59, &second) || !take_fraction(c, &fraction))
        return false;
    *ms = ((hour * 60LL + minute) * 60 + second) * 1000 + fraction;
    return true;
}

static bool take_zone(struct cursor *c, int64_t *offset_ms)
{
    int hour, minute = 0;
    int sign;

    *offset_ms = 0;
    if (take(c, 'Z'))
        return true;
    if (take(c, '+'))
        sign = 1;
    else if (take(c, '-'))
        sign = -1;
    else
        return false;
    if (!take_number(c, 2, 23, &hour))
        return false;
    if (c->at < c->end && (take(c, ':'), !take_number(c, 2, 59, &minute)))
        return false;
    *offset_ms = sign * (hour * 60LL + minute) * 60000;
    return true;
}

bool iso_date_parse(const char *text, size_t len, int64_t *out_ms)
{
    struct cursor c = {text, text + len};
    int64_t days, ms, offset_ms;

    *out_ms = 0;
    if (!take_day(&c, &days) || !take(&c, 'T') || !take_time(&c, &ms) ||
        !take_zone(&c, &offset_ms) || c.at != c.end)
        return false;
    *out_ms = days * DAY_MS + ms - offset_ms;
    return true;
}

static void put_number(char *out, int64_t v, int digits)
{
    for (int i = digits - 1; i >= 0; i--, v /= 10)
        out[i] = (char)('0' + v % 10);
}

void iso_date_write(int64_t ms, char *out)
{
    int64_t days = ms / DAY_MS + 719468, time = ms % DAY_MS;
    int64_t era = days / 146097, of_era = days % 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * of_year + 2) / 153;
    int64_t month = month_from_march + (month_from_march < 10 ? 3 : -9);

    memcpy(out, "0000-00-00T00:00:00.000Z", ISO_DATE_BYTES);
    put_number(out, year_of_era + era * 400 + (month <= 2), 4);
    put_number(out + 5, month, 2);
    put_number(out + 8, of_year - (153 * month_from_march + 2) / 5 + 1, 2);
    put_number(out + 11, time / 3600000, 2);
    put_number(out + 14, time / 60000 % 60, 2);
    put_number(out + 17, time / 1000 % 60, 2);
    put_number(out + 20, time % 1000, 3);
}

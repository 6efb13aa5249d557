/*
 * civil.c - calendar arithmetic.
 *
 * Days are counted in eras of 400 years that begin in March, so that the leap day is the last of
 * its year and no table of months is needed.
 */
#include "query/civil.h"

#define DAYS_PER_ERA 146097
#define EPOCH_DAYS 719468 /* from 0000-03-01 to 1970-01-01 */

int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t civil_days(int64_t year, int64_t month, int64_t day)
{
    int64_t era, year_of_era, day_of_year;

    year += floor_div(month - 1, 12);
    month = (month - 1) - 12 * floor_div(month - 1, 12) + 1;
    year -= month <= 2;
    era = floor_div(year, 400);
    year_of_era = year - era * 400;
    day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
    return era * DAYS_PER_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
           day_of_year + day - 1 - EPOCH_DAYS;
}

int64_t civil_to_ms(const struct civil *civil)
{
    return civil_days(civil->year, civil->month, civil->day) * MS_PER_DAY +
           civil->hour * MS_PER_HOUR + civil->minute * MS_PER_MINUTE +
           civil->second * MS_PER_SECOND + civil->ms;
}

void civil_from_ms(int64_t ms, struct civil *out)
{
    int64_t days = floor_div(ms, MS_PER_DAY), rest = ms - days * MS_PER_DAY;
    int64_t era, day_of_era, year_of_era, day_of_year, month;

    days += EPOCH_DAYS;
    era = floor_div(days, DAYS_PER_ERA);
    day_of_era = days - era * DAYS_PER_ERA;
    year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    month = (5 * day_of_year + 2) / 153;
    out->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    out->month = (int)(month < 10 ? month + 3 : month - 9);
    out->year = year_of_era + era * 400 + (out->month <= 2);
    out->hour = (int)(rest / MS_PER_HOUR);
    out->minute = (int)(rest / MS_PER_MINUTE % 60);
    out->second = (int)(rest / MS_PER_SECOND % 60);
    out->ms = (int)(rest % MS_PER_SECOND);
}

int civil_month_days(int64_t year, int month)
{
    return (int)(civil_days(year, month + 1, 1) - civil_days(year, month, 1));
}

int civil_weekday(int64_t days)
{
    return (int)(days + 4 - 7 * floor_div(days + 4, 7));
}

int civil_day_of_year(const struct civil *civil)
{
    return (int)(civil_days(civil->year, civil->month, civil->day) -
                 civil_days(civil->year, 1, 1)) +
           1;
}

int civil_week(const struct civil *civil)
{
    int weekday = civil_weekday(civil_days(civil->year, civil->month, civil->day));

    return (civil_day_of_year(civil) - 1 + 7 - weekday) / 7;
}

void civil_iso_week(const struct civil *civil, int64_t *year, int *week, int *weekday)
{
    int64_t days = civil_days(civil->year, civil->month, civil->day);
    struct civil thursday;

    *weekday = (civil_weekday(days) + 6) % 7 + 1;
    civil_from_ms((days - *weekday + 4) * MS_PER_DAY, &thursday); /* it decides the year */
    *year = thursday.year;
    *week = (civil_day_of_year(&thursday) - 1) / 7 + 1;
}

int64_t civil_iso_days(int64_t year, int64_t week, int64_t weekday)
{
    int64_t fourth = civil_days(year, 1, 4); /* always in week 1 */
    int64_t monday = fourth - (civil_weekday(fourth) + 6) % 7;

    return monday + (week - 1) * 7 + weekday - 1;
}

int64_t civil_add_months(int64_t ms, int64_t months)
{
    struct civil civil;
    int64_t index;
    int last;

    civil_from_ms(ms, &civil);
    index = civil.year * 12 + civil.month - 1 + months;
    civil.year = floor_div(index, 12);
    civil.month = (int)(index - civil.year * 12) + 1;
    last = civil_month_days(civil.year, civil.month);
    civil.day = civil.day < last ? civil.day : last;
    return civil_to_ms(&civil);
}

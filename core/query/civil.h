/*
 * civil.h - dates of the Gregorian calendar and the milliseconds since 1970 that they stand for.
 *
 * Without any time zone: `ms` here is local time wherever a zone was applied. Threads: pure.
 */
#ifndef QUERY_CIVIL_H
#define QUERY_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

#define MS_PER_SECOND INT64_C(1000)
#define MS_PER_MINUTE INT64_C(60000)
#define MS_PER_HOUR INT64_C(3600000)
#define MS_PER_DAY INT64_C(86400000)
/* The range in which calendar arithmetic is done: some hundred million years either side. */
#define CIVIL_MS_MAX (INT64_MAX / 4)

struct civil {
    int64_t year;
    int month, day; /* from 1 */
    int hour, minute, second, ms;
};

int64_t floor_div(int64_t a, int64_t b); /* b > 0 */
/* Days since 1970-01-01; month and day may be out of their ranges and are carried. */
int64_t civil_days(int64_t year, int64_t month, int64_t day);
int64_t civil_to_ms(const struct civil *civil);
void civil_from_ms(int64_t ms, struct civil *out);
int civil_month_days(int64_t year, int month);
/* 0 for Sunday. */
int civil_weekday(int64_t days);
int civil_day_of_year(const struct civil *civil);
/* The week that holds the year's first Sunday is 1, days before it are in week 0. */
int civil_week(const struct civil *civil);
void civil_iso_week(const struct civil *civil, int64_t *year, int *week, int *weekday);
/* Days since 1970 of an ISO week date; week and weekday are carried. */
int64_t civil_iso_days(int64_t year, int64_t week, int64_t weekday);
/* Move by months, keeping the day or the last one that the month has. */
int64_t civil_add_months(int64_t ms, int64_t months);

#endif

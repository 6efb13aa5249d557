/*
 * date_unit.c - arithmetic by units of time.
 *
 * Units of fixed length are counted in milliseconds, the others in months. Units from the day up
 * follow the local calendar; smaller ones are exact durations, so a changed clock does not move
 * them.
 */
#include "query/date_unit.h"

#include "query/civil.h"

static const struct {
    const char *name;
    int64_t ms;
    int months;
} units[] = {
    [UNIT_MILLISECOND] = {"millisecond", 1, 0},
    [UNIT_SECOND] = {"second", MS_PER_SECOND, 0},
    [UNIT_MINUTE] = {"minute", MS_PER_MINUTE, 0},
    [UNIT_HOUR] = {"hour", MS_PER_HOUR, 0},
    [UNIT_DAY] = {"day", MS_PER_DAY, 0},
    [UNIT_WEEK] = {"week", 7 * MS_PER_DAY, 0},
    [UNIT_MONTH] = {"month", 0, 1},
    [UNIT_QUARTER] = {"quarter", 0, 3},
    [UNIT_YEAR] = {"year", 0, 12},
};

bool date_unit_parse(const struct nx_value *name, enum date_unit *out)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (name->type == NX_TYPE_STRING && strlen(units[i].name) == name->len &&
            memcmp(units[i].name, name->data, name->len) == 0) {
            *out = (enum date_unit)i;
            return true;
        }
    return false;
}

int64_t date_unit_ms(enum date_unit unit)
{
    return units[unit].ms;
}

static bool in_range(int64_t ms)
{
    return ms > -CIVIL_MS_MAX && ms < CIVIL_MS_MAX;
}

bool date_unit_add(int64_t utc_ms, enum date_unit unit, int64_t amount,
                   const struct time_zone *zone, int64_t *out)
{
    int64_t shift, local;

    if (!in_range(utc_ms) ||
        __builtin_mul_overflow(
            amount, units[unit].ms ? units[unit].ms : units[unit].months * 31 * MS_PER_DAY,
            &shift) ||
        !in_range(shift))
        return false;
    if (unit < UNIT_DAY) {
        *out = utc_ms + shift;
        return true;
    }
    local = timezone_to_local(zone, utc_ms);
    local = units[unit].ms ? local + shift : civil_add_months(local, amount * units[unit].months);
    *out = timezone_to_utc(zone, local);
    return in_range(*out);
}

static int64_t month_index(int64_t local_ms)
{
    struct civil civil;

    civil_from_ms(local_ms, &civil);
    return civil.year * 12 + civil.month - 1;
}

static int64_t week_index(int64_t local_ms, int week_start)
{
    int64_t days = floor_div(local_ms, MS_PER_DAY);

    return floor_div(days + 4 - week_start, 7); /* 1970-01-01 was a Thursday, day 4 */
}

int64_t date_unit_diff(int64_t from_ms, int64_t to_ms, enum date_unit unit,
                       const struct time_zone *zone, int week_start)
{
    int64_t from = timezone_to_local(zone, from_ms), to = timezone_to_local(zone, to_ms);
    int64_t ms = units[unit].ms, changed;

    switch (unit) {
    case UNIT_MONTH:
    case UNIT_QUARTER:
    case UNIT_YEAR:
        return floor_div(month_index(to), units[unit].months) -
               floor_div(month_index(from), units[unit].months);
    case UNIT_WEEK:
        return week_index(to, week_start) - week_index(from, week_start);
    case UNIT_DAY:
        return floor_div(to, ms) - floor_div(from, ms);
    default: /* boundaries of the local clock, less what a changed clock skipped or repeated */
        changed = (to - to_ms) - (from - from_ms);
        return floor_div(to - changed, ms) - floor_div(from, ms);
    }
}

int64_t date_unit_trunc(int64_t utc_ms, enum date_unit unit, int64_t size,
                        const struct time_zone *zone, int week_start)
{
    int64_t local = timezone_to_local(zone, utc_ms);
    int64_t origin = civil_days(2000, 1, 1), bin, start;

    if (units[unit].months) {
        bin = size * units[unit].months;
        start = floor_div(month_index(local) - 2000 * 12, bin) * bin + 2000 * 12;
        return timezone_to_utc(
            zone, civil_days(floor_div(start, 12), start - floor_div(start, 12) * 12 + 1, 1) *
                      MS_PER_DAY);
    }
    if (unit == UNIT_WEEK)
        origin += (week_start - civil_weekday(origin) + 7) % 7;
    bin = size * units[unit].ms;
    start = floor_div(local - origin * MS_PER_DAY, bin) * bin + origin * MS_PER_DAY;
    return unit < UNIT_DAY ? utc_ms - (local - start) : timezone_to_utc(zone, start);
}

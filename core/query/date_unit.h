/*
 * date_unit.h - counting, moving and cutting dates by a unit: shared by expressions, $densify and
 * windows over a range of time.
 */
#ifndef QUERY_DATE_UNIT_H
#define QUERY_DATE_UNIT_H

#include <nexadb/value.h>

#include "query/timezone.h"

enum date_unit {
    UNIT_MILLISECOND,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_QUARTER,
    UNIT_YEAR,
};

bool date_unit_parse(const struct nx_value *name, enum date_unit *out);
/* Milliseconds of one, or 0 for month, quarter and year. */
int64_t date_unit_ms(enum date_unit unit);
/* False when the result is out of range. Days and above keep the local time of day. */
bool date_unit_add(int64_t utc_ms, enum date_unit unit, int64_t amount,
                   const struct time_zone *zone, int64_t *out);
/* Boundaries of the unit passed from one to the other; weeks begin on `week_start`, 0 for Sunday.
 */
int64_t date_unit_diff(int64_t from_ms, int64_t to_ms, enum date_unit unit,
                       const struct time_zone *zone, int week_start);
/* The start of the bin of `size` units; bins are counted from 2000-01-01 in the zone. */
int64_t date_unit_trunc(int64_t utc_ms, enum date_unit unit, int64_t size,
                        const struct time_zone *zone, int week_start);

#endif

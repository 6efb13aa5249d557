/* filter_range.h - the ids that can match a filter, for the planner. */
#ifndef QUERY_FILTER_RANGE_H
#define QUERY_FILTER_RANGE_H

#include <nexadb/id.h>

#include "query/filter.h"

struct id_range {
    bool never; /* nothing can match */
    bool has_lower, has_upper;
    struct nx_id lower, upper; /* inclusive */
    const struct nx_value
        *points; /* NULL, or the only values that can match, in order; the filter's */
    uint32_t point_count;
};

/* `filter` may be NULL. */
void filter_id_plan(const struct filter *filter, struct id_range *out);

#endif

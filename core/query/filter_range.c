/*
 * filter_range.c - what a filter says about _id: the planner's view of it.
 *
 * Only what every match must satisfy counts: predicates on _id at the top, and under $and. The
 * range may be wider than the filter, never narrower: each document is matched afterwards all the
 * same. Comparisons stay in one class of types, so an open end is closed by the ends of that class.
 */
#include "query/filter_range.h"

#include <math.h>
#include <stdlib.h>

#include <nexadb/id.h>

#include "query/filter_node.h"

static int compare_ids(const struct nx_id *a, const struct nx_id *b)
{
    return nx_slice_compare(nx_slice(a->key, a->len), nx_slice(b->key, b->len));
}

/* The ends of the classes that ids are mostly made of. */
static const struct class_ends {
    uint8_t type;
    struct nx_value least, above; /* above: the least of the class that follows */
} ends[] = {
    {NX_TYPE_INT32,
     {.type = NX_TYPE_DOUBLE, .f64 = NAN},
     {.type = NX_TYPE_STRING, .data = (const uint8_t *)""}},
    {NX_TYPE_STRING,
     {.type = NX_TYPE_STRING, .data = (const uint8_t *)""},
     {.type = NX_TYPE_DOCUMENT, .len = 5, .data = (const uint8_t *)"\5\0\0\0"}},
};

static void narrow_lower(struct id_range *range, const struct nx_value *value)
{
    struct nx_id id;

    if (nx_id_from_value(value, &id, NULL) != NX_OK)
        return;
    if (!range->has_lower || compare_ids(&id, &range->lower) > 0)
        range->lower = id;
    range->has_lower = true;
}

static void narrow_upper(struct id_range *range, const struct nx_value *value)
{
    struct nx_id id;

    if (nx_id_from_value(value, &id, NULL) != NX_OK)
        return;
    if (!range->has_upper || compare_ids(&id, &range->upper) < 0)
        range->upper = id;
    range->has_upper = true;
}

static void close_class(struct id_range *range, const struct nx_value *value, bool above)
{
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (nx_type_order(ends[i].type) != nx_type_order(value->type))
            continue;
        if (above)
            narrow_upper(range, &ends[i].above);
        else
            narrow_lower(range, &ends[i].least);
    }
}

/* MinKey and MaxKey compare with every class; null and NaN have no order: no range from them. */
static bool gives_range(const struct nx_value *value)
{
    return !nx_is_nullish(value) && value->type != NX_TYPE_MINKEY &&
           value->type != NX_TYPE_MAXKEY && value->type != NX_TYPE_ARRAY &&
           !(nx_is_number(value) && isnan(nx_value_to_double(value)));
}

static void narrow_points(struct id_range *range, const struct pred *pred)
{
    if (pred->in.regex_count || pred->in.has_null)
        return;
    if (pred->in.value_count) {
        narrow_lower(range, &pred->in.values[0]);
        narrow_upper(range, &pred->in.values[pred->in.value_count - 1]);
    }
    if (!range->points || pred->in.value_count < range->point_count) {
        range->points = pred->in.values;
        range->point_count = pred->in.value_count;
    }
}

static void narrow(struct id_range *range, const struct pred *pred)
{
    if (pred->op->range == RANGE_POINTS) {
        narrow_points(range, pred);
        return;
    }
    if (!gives_range(&pred->value))
        return;
    if (pred->op->range == RANGE_POINT) {
        range->points = &pred->value;
        range->point_count = 1;
    }
    if (pred->op->range == RANGE_ABOVE || pred->op->range == RANGE_POINT)
        narrow_lower(range, &pred->value);
    if (pred->op->range == RANGE_BELOW || pred->op->range == RANGE_POINT)
        narrow_upper(range, &pred->value);
    if (pred->op->range != RANGE_POINT)
        close_class(range, &pred->value, pred->op->range == RANGE_ABOVE);
}

static void gather(const struct filter_node *node, struct id_range *range)
{
    if (node->kind == NODE_NEVER) {
        range->never = true;
    } else if (node->kind == NODE_AND) {
        for (uint32_t i = 0; i < node->kid_count; i++)
            gather(node->kids[i], range);
    } else if (node->kind == NODE_PRED && node->pred.op->range != RANGE_NONE &&
               node->path.count == 1 && node->path.len == 3 &&
               memcmp(node->path.text, "_id", 3) == 0) {
        narrow(range, &node->pred);
    }
}

void filter_id_plan(const struct filter *filter, struct id_range *out)
{
    memset(out, 0, sizeof *out);
    if (filter && filter->root)
        gather(filter->root, out);
    if (out->has_lower && out->has_upper && compare_ids(&out->lower, &out->upper) > 0)
        out->never = true;
}

bool filter_id_range(const struct filter *filter, struct nx_id *lower, struct nx_id *upper,
                     bool *has_lower, bool *has_upper)
{
    struct id_range range;

    filter_id_plan(filter, &range);
    *lower = range.lower;
    *upper = range.upper;
    *has_lower = range.has_lower;
    *has_upper = range.has_upper;
    return range.has_lower || range.has_upper;
}

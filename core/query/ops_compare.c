/*
 * ops_compare.c - $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin.
 *
 * Comparisons stay within a class of types (numbers, strings, ...): {$gt: 5} never matches a
 * string. Three exceptions: null equals a missing field; NaN compares with nothing but itself, and
 * then only as equal; MinKey and MaxKey compare with every type.
 */
#include <math.h>
#include <stdlib.h>

#include "query/filter_node.h"

static bool is_nan(const struct nx_value *value)
{
    return nx_is_number(value) && isnan(nx_value_to_double(value));
}

bool filter_equal(const struct nx_value *a, const struct nx_value *b)
{
    if (nx_is_nullish(a) || nx_is_nullish(b))
        return nx_is_nullish(a) && nx_is_nullish(b);
    return nx_value_compare(a, b) == 0;
}

static enum nx_code parse_eq(struct filter_parser *parser, const struct nx_value *arg,
                             struct pred *out)
{
    (void)parser;
    out->compare.order = nx_type_order(arg->type);
    out->compare.is_nan = is_nan(arg);
    return NX_OK;
}

static enum nx_code parse_ordered(struct filter_parser *parser, const struct nx_value *arg,
                                  struct pred *out)
{
    if (arg->type == NX_TYPE_REGEX)
        return nx_fail(parser->err, NX_EQUERY, "%s cannot compare with a regular expression",
                       out->op->name);
    return parse_eq(parser, arg, out);
}

static bool test_eq(const struct pred *pred, const struct nx_value *value, struct match *match)
{
    (void)match;
    if (value->type == NX_TYPE_INT32 && pred->value.type == NX_TYPE_INT32)
        return value->i32 == pred->value.i32;
    if (value->type == NX_TYPE_STRING && pred->value.type == NX_TYPE_STRING)
        return nx_slice_equal(nx_value_slice(value), nx_value_slice(&pred->value));
    return filter_equal(value, &pred->value);
}

/* The order of `value` against the operand, when the operators may compare the two at all. */
static bool comparable(const struct pred *pred, const struct nx_value *value, int *order)
{
    if (nx_is_nullish(value) && nx_is_nullish(&pred->value)) {
        *order = 0;
        return true;
    }
    if (pred->value.type == NX_TYPE_MINKEY || pred->value.type == NX_TYPE_MAXKEY) {
        *order = nx_value_compare(value, &pred->value);
        return true;
    }
    if (nx_type_order(value->type) != pred->compare.order)
        return false;
    if (pred->compare.is_nan || is_nan(value)) {
        *order = 0;
        return pred->compare.is_nan && is_nan(value);
    }
    *order = nx_value_compare(value, &pred->value);
    return true;
}

static bool test_gt(const struct pred *pred, const struct nx_value *value, struct match *match)
{
    int order;

    (void)match;
    return comparable(pred, value, &order) && order > 0;
}

static bool test_gte(const struct pred *pred, const struct nx_value *value, struct match *match)
{
    int order;

    (void)match;
    return comparable(pred, value, &order) && order >= 0;
}

static bool test_lt(const struct pred *pred, const struct nx_value *value, struct match *match)
{
    int order;

    (void)match;
    return comparable(pred, value, &order) && order < 0;
}

static bool test_lte(const struct pred *pred, const struct nx_value *value, struct match *match)
{
    int order;

    (void)match;
    return comparable(pred, value, &order) && order <= 0;
}

/* --- $in -------------------------------------------------------------------------------------- */

static int compare_values(const void *a, const void *b)
{
    return nx_value_compare(a, b);
}

static enum nx_code add_in_member(struct filter_parser *parser, const struct nx_value *member,
                                  struct pred *out)
{
    if (filter_is_operators(member))
        return nx_fail(parser->err, NX_EQUERY, "%s takes values, not operators", out->op->name);
    if (nx_is_nullish(member)) {
        out->in.has_null = true;
        return NX_OK;
    }
    out->in.values[out->in.value_count++] = *member;
    if (member->type != NX_TYPE_REGEX)
        return NX_OK;
    /* counted only when it is there, so that fini frees what exists */
    enum nx_code rc = regex_from_value(member, &out->in.regexes[out->in.regex_count], parser->err);
    if (rc == NX_OK)
        out->in.regex_count++;
    return rc;
}

static void sort_members(struct pred *out)
{
    uint32_t kept = 0;

    qsort(out->in.values, out->in.value_count, sizeof *out->in.values, compare_values);
    for (uint32_t i = 0; i < out->in.value_count; i++)
        if (kept == 0 || nx_value_compare(&out->in.values[kept - 1], &out->in.values[i]) != 0)
            out->in.values[kept++] = out->in.values[i];
    out->in.value_count = kept;
}

static enum nx_code parse_in(struct filter_parser *parser, const struct nx_value *arg,
                             struct pred *out)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;
    size_t count;

    if (arg->type != NX_TYPE_ARRAY)
        return nx_fail(parser->err, NX_EQUERY, "%s needs an array, not %s", out->op->name,
                       nx_type_name(arg->type));
    count = nx_doc_count(nx_value_slice(arg));
    out->in.values = calloc(count + 1, sizeof *out->in.values);
    out->in.regexes = calloc(count + 1, sizeof *out->in.regexes);
    if (!out->in.values || !out->in.regexes)
        return nx_fail_nomem(parser->err);
    nx_doc_iter_init(&iter, nx_value_slice(arg));
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = add_in_member(parser, &iter.value, out);
    if (rc == NX_OK)
        sort_members(out);
    return rc;
}

static void fini_in(struct pred *pred)
{
    for (uint32_t i = 0; i < pred->in.regex_count; i++)
        regex_free(pred->in.regexes[i]);
    free(pred->in.regexes);
    free(pred->in.values);
}

static bool in_regexes(const struct pred *pred, const struct nx_value *value, struct match *match)
{
    bool found = false;

    if (value->type != NX_TYPE_STRING && value->type != NX_TYPE_SYMBOL)
        return false;
    for (uint32_t i = 0; i < pred->in.regex_count && !found && match->failed == NX_OK; i++)
        match->failed =
            regex_find(pred->in.regexes[i], nx_value_slice(value), 0, NULL, 0, &found, match->err);
    return found;
}

static bool test_in(const struct pred *pred, const struct nx_value *value, struct match *match)
{
    if (nx_is_nullish(value))
        return pred->in.has_null;
    if (pred->in.value_count && bsearch(value, pred->in.values, pred->in.value_count,
                                        sizeof *pred->in.values, compare_values))
        return true;
    return pred->in.regex_count && in_regexes(pred, value, match);
}

const struct filter_op filter_ops_compare[] = {
    {"$eq", PLACE_FIELD, 0, RANGE_POINT, parse_eq, test_eq, NULL, NULL, "equal to the value"},
    {"$gt", PLACE_FIELD, 0, RANGE_ABOVE, parse_ordered, test_gt, NULL, NULL,
     "greater than the value"},
    {"$gte", PLACE_FIELD, 0, RANGE_ABOVE, parse_ordered, test_gte, NULL, NULL,
     "greater than or equal to the value"},
    {"$in", PLACE_FIELD, 0, RANGE_POINTS, parse_in, test_in, fini_in, NULL,
     "equal to one of the listed values, or matching one of the listed patterns"},
    {"$lt", PLACE_FIELD, 0, RANGE_BELOW, parse_ordered, test_lt, NULL, NULL, "less than the value"},
    {"$lte", PLACE_FIELD, 0, RANGE_BELOW, parse_ordered, test_lte, NULL, NULL,
     "less than or equal to the value"},
    {"$ne", PLACE_FIELD, OP_NEGATE, RANGE_NONE, parse_ordered, test_eq, NULL, NULL,
     "not equal to the value, or missing"},
    {"$nin", PLACE_FIELD, OP_NEGATE, RANGE_NONE, parse_in, test_in, fini_in, NULL,
     "equal to none of the listed values, or missing"},
    {.name = NULL},
};

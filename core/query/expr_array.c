/*
 * expr_array.c - arrays: elements, parts, searching, joining, ranges, first and last N.
 */
#include "query/expr_op.h"
#include "query/sort.h"

#define RANGE_MAX (4u << 20) /* elements: beyond it the result could not be a document's anyway */

static enum nx_code want_array(struct call *call, unsigned arg)
{
    if (call->args[arg].type == NX_TYPE_ARRAY)
        return NX_OK;
    return call_fail(call, "wants an array, not %s", nx_type_name(call->args[arg].type));
}

static enum nx_code items_of(struct call *call, unsigned arg, struct value_list *out)
{
    enum nx_code rc = want_array(call, arg);

    *out = (struct value_list){0};
    return rc == NX_OK ? value_list_extend(out, call->env->arena, &call->args[arg], call->err) : rc;
}

static enum nx_code make(struct call *call, const struct value_list *items, struct nx_value *out)
{
    return value_array(call->env->arena, items, out, call->err);
}

/* --- elements --------------------------------------------------------------------------------- */

static struct nx_value element(const struct nx_value *array, int64_t index)
{
    struct nx_doc_iter iter;

    if (index < 0)
        index += (int64_t)nx_doc_count(nx_value_slice(array));
    nx_doc_iter_init(&iter, nx_value_slice(array));
    while (index >= 0 && nx_doc_iter_next(&iter))
        if (index-- == 0)
            return iter.value;
    return NX_MISSING;
}

static enum nx_code call_at(struct call *call, struct nx_value *out)
{
    int32_t index;
    enum nx_code rc = want_array(call, 0);

    if (rc == NX_OK)
        rc = call_int32(call, 1, "an index", &index);
    if (rc == NX_OK)
        *out = element(&call->args[0], index);
    return rc;
}

static enum nx_code call_first(struct call *call, struct nx_value *out)
{
    enum nx_code rc = want_array(call, 0);

    if (rc == NX_OK)
        *out = element(&call->args[0], 0);
    return rc;
}

static enum nx_code call_last(struct call *call, struct nx_value *out)
{
    enum nx_code rc = want_array(call, 0);

    if (rc == NX_OK)
        *out = element(&call->args[0], -1);
    return rc;
}

static enum nx_code call_size(struct call *call, struct nx_value *out)
{
    enum nx_code rc = want_array(call, 0);

    if (rc == NX_OK)
        *out = nx_int((int64_t)nx_doc_count(nx_value_slice(&call->args[0])));
    return rc;
}

static enum nx_code call_is_array(struct call *call, struct nx_value *out)
{
    *out = nx_bool(call->args[0].type == NX_TYPE_ARRAY);
    return NX_OK;
}

/* --- searching -------------------------------------------------------------------------------- */

/* The index of `what` among elements from..to-1, or -1. */
static int64_t position(const struct nx_value *array, const struct nx_value *what, int64_t from,
                        int64_t to)
{
    struct nx_doc_iter iter;

    nx_doc_iter_init(&iter, nx_value_slice(array));
    for (int64_t i = 0; i < to && nx_doc_iter_next(&iter); i++)
        if (i >= from && nx_value_compare(&iter.value, what) == 0)
            return i;
    return -1;
}

static enum nx_code call_in(struct call *call, struct nx_value *out)
{
    if (call->args[1].type != NX_TYPE_ARRAY)
        return call_fail(call, "wants an array as its second argument, not %s",
                         nx_type_name(call->args[1].type));
    *out = nx_bool(position(&call->args[1], &call->args[0], 0, INT64_MAX) >= 0);
    return NX_OK;
}

static enum nx_code call_index_of(struct call *call, struct nx_value *out)
{
    int32_t bounds[2] = {0, INT32_MAX};
    enum nx_code rc;

    *out = NX_NULL;
    if (nx_is_nullish(&call->args[0]))
        return NX_OK;
    rc = want_array(call, 0);
    for (unsigned i = 2; rc == NX_OK && i < call->count; i++) {
        rc = call_int32(call, i, "an index", &bounds[i - 2]);
        if (rc == NX_OK && bounds[i - 2] < 0)
            return call_fail(call, "wants an index that is not negative, not %d", bounds[i - 2]);
    }
    if (rc == NX_OK)
        *out = nx_int(position(&call->args[0], &call->args[1], bounds[0], bounds[1]));
    return rc;
}

/* --- making ----------------------------------------------------------------------------------- */

static enum nx_code call_concat(struct call *call, struct nx_value *out)
{
    struct value_list items = {0};
    enum nx_code rc = NX_OK;

    for (unsigned i = 0; rc == NX_OK && i < call->count; i++) {
        rc = want_array(call, i);
        if (rc == NX_OK)
            rc = value_list_extend(&items, call->env->arena, &call->args[i], call->err);
    }
    return rc == NX_OK ? make(call, &items, out) : rc;
}

static enum nx_code call_range(struct call *call, struct nx_value *out)
{
    struct value_list items = {0};
    int32_t start, end, step = 1;
    enum nx_code rc = call_int32(call, 0, "its start", &start);

    if (rc == NX_OK)
        rc = call_int32(call, 1, "its end", &end);
    if (rc == NX_OK && call->count > 2)
        rc = call_int32(call, 2, "its step", &step);
    if (rc == NX_OK && step == 0)
        return call_fail(call, "wants a step other than 0");
    for (int64_t i = start; rc == NX_OK && (step > 0 ? i < end : i > end); i += step) {
        struct nx_value item = nx_int(i);

        if (items.len == RANGE_MAX)
            return call_fail(call, "from %d to %d has more than %u elements", start, end,
                             RANGE_MAX);
        rc = value_list_push(&items, call->env->arena, &item, call->err);
    }
    return rc == NX_OK ? make(call, &items, out) : rc;
}

static enum nx_code call_reverse(struct call *call, struct nx_value *out)
{
    struct value_list items;
    enum nx_code rc = items_of(call, 0, &items);

    for (size_t i = 0; rc == NX_OK && i < items.len / 2; i++) {
        struct nx_value swap = items.at[i];

        items.at[i] = items.at[items.len - 1 - i];
        items.at[items.len - 1 - i] = swap;
    }
    return rc == NX_OK ? make(call, &items, out) : rc;
}

/* [array, n]: the first n, or the last when negative. [array, position, n]. */
static enum nx_code call_slice(struct call *call, struct nx_value *out)
{
    struct value_list items;
    int32_t first, count = 0;
    int64_t start = 0, len;
    enum nx_code rc = items_of(call, 0, &items);

    if (rc == NX_OK)
        rc = call_int32(call, 1, call->count == 2 ? "its count" : "its position", &first);
    if (rc == NX_OK && call->count == 3)
        rc = call_int32(call, 2, "its count", &count);
    if (rc != NX_OK)
        return rc;
    if (call->count == 3 && count <= 0)
        return call_fail(call, "wants a count above 0 behind a position, not %d", count);
    len = (int64_t)items.len;
    if (first < 0)
        start = len + first > 0 ? len + first : 0;
    else if (call->count == 3)
        start = first < len ? first : len;
    if (call->count == 2)
        count = first < 0 ? INT32_MAX : first;
    if (start > 0) /* an empty list has no address to add to */
        items.at += start;
    items.len = (size_t)(len - start < count ? len - start : count);
    return make(call, &items, out);
}

/* --- N of an array ---------------------------------------------------------------------------- */

static enum nx_code n_of(struct call *call, struct value_list *items, size_t *n)
{
    int32_t wanted;
    enum nx_code rc = call_int32(call, 0, "'n'", &wanted);

    *n = 0;
    if (rc == NX_OK && wanted < 1)
        return call_fail(call, "wants 'n' above 0, not %d", wanted);
    if (rc == NX_OK)
        rc = items_of(call, 1, items);
    if (rc == NX_OK)
        *n = (size_t)wanted < items->len ? (size_t)wanted : items->len;
    return rc;
}

static enum nx_code call_first_n(struct call *call, struct nx_value *out)
{
    struct value_list items;
    enum nx_code rc = n_of(call, &items, &items.len);

    return rc == NX_OK ? make(call, &items, out) : rc;
}

static enum nx_code call_last_n(struct call *call, struct nx_value *out)
{
    struct value_list items;
    size_t n;
    enum nx_code rc = n_of(call, &items, &n);

    if (rc != NX_OK)
        return rc;
    items.at += items.len - n;
    items.len = n;
    return make(call, &items, out);
}

static enum nx_code sorted_n(struct call *call, int direction, struct nx_value *out)
{
    struct value_list items;
    size_t n, kept = 0;
    enum nx_code rc = n_of(call, &items, &n);

    for (size_t i = 0; rc == NX_OK && i < items.len; i++)
        if (!nx_is_nullish(&items.at[i]))
            items.at[kept++] = items.at[i];
    if (rc != NX_OK)
        return rc;
    items.len = kept;
    rc = value_list_sort(&items, call->env->arena, direction, call->err);
    items.len = n < kept ? n : kept;
    return rc == NX_OK ? make(call, &items, out) : rc;
}

static enum nx_code call_max_n(struct call *call, struct nx_value *out)
{
    return sorted_n(call, -1, out);
}

static enum nx_code call_min_n(struct call *call, struct nx_value *out)
{
    return sorted_n(call, 1, out);
}

/* --- $zip ------------------------------------------------------------------------------------- */

enum { ZIP_INPUTS, ZIP_LONGEST, ZIP_DEFAULTS };

static enum nx_code zip_row(struct call *call, struct nx_doc_iter *iters, size_t count,
                            const struct value_list *defaults, struct value_list *rows,
                            bool longest, bool *done)
{
    struct value_list row = {0};
    struct nx_value made;
    size_t live = 0;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; rc == NX_OK && i < count; i++) {
        struct nx_value item = defaults->len ? defaults->at[i] : NX_NULL;

        if (nx_doc_iter_next(&iters[i])) {
            item = iters[i].value;
            live++;
        }
        rc = value_list_push(&row, call->env->arena, &item, call->err);
    }
    *done = longest ? live == 0 : live < count;
    if (rc != NX_OK || *done)
        return rc;
    rc = make(call, &row, &made);
    return rc == NX_OK ? value_list_push(rows, call->env->arena, &made, call->err) : rc;
}

static enum nx_code zip_check(struct call *call, struct value_list *inputs,
                              struct value_list *defaults, bool *longest, bool *is_null)
{
    const struct nx_value *flag = &call->args[ZIP_LONGEST];
    enum nx_code rc = items_of(call, ZIP_INPUTS, inputs);

    *defaults = (struct value_list){0};
    *is_null = false;
    if (rc == NX_OK && inputs->len == 0)
        return call_fail(call, "wants at least one array in 'inputs'");
    if (flag->type != NX_TYPE_BOOL && flag->type != NX_TYPE_MISSING)
        return call_fail(call, "wants 'useLongestLength' as true or false");
    *longest = flag->type == NX_TYPE_BOOL && flag->boolean;
    if (rc == NX_OK && !nx_is_nullish(&call->args[ZIP_DEFAULTS]))
        rc = items_of(call, ZIP_DEFAULTS, defaults);
    if (rc != NX_OK)
        return rc;
    if (defaults->len && !*longest)
        return call_fail(call, "takes 'defaults' only with 'useLongestLength': true");
    if (defaults->len && defaults->len != inputs->len)
        return call_fail(call, "has %zu inputs but %zu defaults", inputs->len, defaults->len);
    for (size_t i = 0; i < inputs->len; i++) {
        if (nx_is_nullish(&inputs->at[i]))
            *is_null = true;
        else if (inputs->at[i].type != NX_TYPE_ARRAY)
            return call_fail(call, "wants arrays in 'inputs', not %s",
                             nx_type_name(inputs->at[i].type));
    }
    return NX_OK;
}

static enum nx_code call_zip(struct call *call, struct nx_value *out)
{
    struct value_list inputs, defaults, rows = {0};
    bool longest = false, is_null = false, done = false;
    struct nx_doc_iter *iters;
    enum nx_code rc;

    *out = NX_NULL;
    if (nx_is_nullish(&call->args[ZIP_INPUTS]))
        return NX_OK;
    rc = zip_check(call, &inputs, &defaults, &longest, &is_null);
    if (rc != NX_OK || is_null)
        return rc;
    iters = arena_alloc(call->env->arena, inputs.len * sizeof *iters);
    if (!iters)
        return nx_fail_nomem(call->err);
    for (size_t i = 0; i < inputs.len; i++)
        nx_doc_iter_init(&iters[i], nx_value_slice(&inputs.at[i]));
    while (rc == NX_OK && !done)
        rc = zip_row(call, iters, inputs.len, &defaults, &rows, longest, &done);
    return rc == NX_OK ? make(call, &rows, out) : rc;
}

static const struct expr_op table[] = {
    {"$arrayElemAt", 2, 2, NULL, EXPR_NULLS, call_at, NULL, NULL,
     "the element at an index; from the end when negative"},
    {"$concatArrays", 0, EXPR_ANY, NULL, EXPR_NULLS, call_concat, NULL, NULL, "arrays joined"},
    {"$first", 1, 1, NULL, EXPR_NULLS, call_first, NULL, NULL, "the first element"},
    {"$firstN", 2, 2, "n! input!", 0, call_first_n, NULL, NULL, "the first n elements"},
    {"$in", 2, 2, NULL, 0, call_in, NULL, NULL, "true when an array holds the value"},
    {"$indexOfArray", 2, 4, NULL, 0, call_index_of, NULL, NULL, "the index of a value, or -1"},
    {"$isArray", 1, 1, NULL, 0, call_is_array, NULL, NULL, "true for an array"},
    {"$last", 1, 1, NULL, EXPR_NULLS, call_last, NULL, NULL, "the last element"},
    {"$lastN", 2, 2, "n! input!", 0, call_last_n, NULL, NULL, "the last n elements"},
    {"$maxN", 2, 2, "n! input!", 0, call_max_n, NULL, NULL, "the n greatest elements"},
    {"$minN", 2, 2, "n! input!", 0, call_min_n, NULL, NULL, "the n least elements"},
    {"$range", 2, 3, NULL, 0, call_range, NULL, NULL,
     "whole numbers from a start to before an end"},
    {"$reverseArray", 1, 1, NULL, EXPR_NULLS, call_reverse, NULL, NULL, "turned round"},
    {"$size", 1, 1, NULL, 0, call_size, NULL, NULL, "how many elements"},
    {"$slice", 2, 3, NULL, EXPR_NULLS, call_slice, NULL, NULL, "a part of an array"},
    {"$zip", 1, 3, "inputs! useLongestLength defaults", 0, call_zip, NULL, NULL,
     "arrays side by side"},
};
const struct expr_family expr_array = EXPR_FAMILY(table);

/*
 * acc_lists.c - accumulators that keep values: first and last, least and greatest, lists and sets,
 * the first by an order, percentiles, merged objects.
 */
#include <math.h>
#include <stdlib.h>

#include "query/acc.h"
#include "query/values.h"

static const struct nx_value null_value = {.type = NX_TYPE_NULL};

static const struct nx_value *or_null(const struct nx_value *value)
{
    return value->type == NX_TYPE_MISSING ? &null_value : value;
}

static enum nx_code result_one(const struct acc *acc, struct arena *arena, struct nx_value *out,
                               struct nx_err *err)
{
    *out = NX_NULL;
    return acc->len ? value_copy(arena, &acc->items[0].value, out, err) : NX_OK;
}

static enum nx_code result_list(const struct acc *acc, struct arena *arena, struct nx_value *out,
                                struct nx_err *err)
{
    struct value_list list = {0};
    enum nx_code rc = NX_OK;

    for (size_t i = 0; rc == NX_OK && i < acc->len; i++)
        rc = value_list_push(&list, arena, &acc->items[i].value, err);
    return rc == NX_OK ? value_array(arena, &list, out, err) : rc;
}

/* --- one value -------------------------------------------------------------------------------- */

static enum nx_code add_first(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    return acc->len ? NX_OK : acc_insert(acc, 0, or_null(value), err);
}

static enum nx_code add_last(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    return acc_replace(acc, or_null(value), err);
}

static enum nx_code add_max(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    if (nx_is_nullish(value) || (acc->len && nx_value_compare(value, &acc->items[0].value) <= 0))
        return NX_OK;
    return acc_replace(acc, value, err);
}

static enum nx_code add_min(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    if (nx_is_nullish(value) || (acc->len && nx_value_compare(value, &acc->items[0].value) >= 0))
        return NX_OK;
    return acc_replace(acc, value, err);
}

static enum nx_code add_merge(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    struct arena arena = ARENA_INIT;
    struct field_list fields = {0};
    struct nx_doc_iter iter;
    struct nx_value merged;
    enum nx_code rc = NX_OK;

    if (nx_is_nullish(value))
        return NX_OK;
    if (value->type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EEXPR, "$mergeObjects wants objects, not %s",
                       nx_type_name(value->type));
    if (acc->len)
        rc = field_list_extend(&fields, &arena, nx_value_slice(&acc->items[0].value), err);
    nx_doc_iter_init(&iter, nx_value_slice(value));
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = field_list_set(&fields, &arena, iter.key, iter.key_len, iter.value, err);
    if (rc == NX_OK)
        rc = value_document(&arena, &fields, &merged, err);
    if (rc == NX_OK)
        rc = acc_replace(acc, &merged, err);
    arena_fini(&arena);
    return rc;
}

static enum nx_code result_merge(const struct acc *acc, struct arena *arena, struct nx_value *out,
                                 struct nx_err *err)
{
    *out = nx_doc_value(nx_doc_empty);
    return acc->len ? result_one(acc, arena, out, err) : NX_OK;
}

/* --- lists and sets --------------------------------------------------------------------------- */

static enum nx_code add_push(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    return value->type == NX_TYPE_MISSING ? NX_OK : acc_insert(acc, acc->len, value, err);
}

static enum nx_code grow_buckets(struct acc *acc, struct nx_err *err)
{
    size_t count = acc->bucket_count ? acc->bucket_count * 2 : 8;
    uint32_t *buckets = calloc(count, sizeof *buckets);

    if (!buckets)
        return nx_fail_nomem(err);
    for (size_t i = 0; i < acc->len; i++) {
        size_t at = nx_value_hash(&acc->items[i].value, 0) & (count - 1);

        while (buckets[at])
            at = (at + 1) & (count - 1);
        buckets[at] = (uint32_t)i + 1;
    }
    free(acc->buckets);
    acc->buckets = buckets;
    acc->bucket_count = count;
    return NX_OK;
}

static enum nx_code add_set(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    size_t at;
    enum nx_code rc = NX_OK;

    if (value->type == NX_TYPE_MISSING)
        return NX_OK;
    if (acc->len * 2 >= acc->bucket_count)
        rc = grow_buckets(acc, err);
    if (rc != NX_OK)
        return rc;
    at = nx_value_hash(value, 0) & (acc->bucket_count - 1);
    while (acc->buckets[at]) {
        if (nx_value_compare(&acc->items[acc->buckets[at] - 1].value, value) == 0)
            return NX_OK;
        at = (at + 1) & (acc->bucket_count - 1);
    }
    rc = acc_insert(acc, acc->len, value, err);
    if (rc == NX_OK)
        acc->buckets[at] = (uint32_t)acc->len;
    return rc;
}

/* --- N ---------------------------------------------------------------------------------------- */

static enum nx_code add_first_n(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    return acc->len == acc->spec->n ? NX_OK : acc_insert(acc, acc->len, or_null(value), err);
}

static enum nx_code add_last_n(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    enum nx_code rc = acc_insert(acc, acc->len, or_null(value), err);

    if (rc == NX_OK && acc->len > acc->spec->n)
        acc_remove(acc, 0);
    return rc;
}

/* How the new value stands to items[i]: by the keys of an order, or by itself. */
static int order_to(const struct acc *acc, const struct nx_value *value, size_t i)
{
    if (acc->keys)
        return sort_spec_compare_keys(acc->spec->sort, acc->keys, acc->items[i].keys);
    return nx_value_compare(value, &acc->items[i].value);
}

/* Where the new value belongs in the sorted items: behind its equals. */
static size_t place_of(const struct acc *acc, const struct nx_value *value, int direction)
{
    size_t low = 0, high = acc->len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (order_to(acc, value, middle) * direction < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Keep the first n of the sorted values, or with `from_end` the last n. */
static enum nx_code keep_n(struct acc *acc, const struct nx_value *value, int direction,
                           bool from_end, struct nx_err *err)
{
    size_t at = place_of(acc, value, direction);
    bool full = acc->len == acc->spec->n;
    enum nx_code rc;

    if (full && at == (from_end ? 0 : acc->len))
        return NX_OK;
    rc = acc_insert(acc, at, value, err);
    if (rc == NX_OK && full)
        acc_remove(acc, from_end ? 0 : acc->len - 1);
    return rc;
}

static enum nx_code add_max_n(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    return nx_is_nullish(value) ? NX_OK : keep_n(acc, value, -1, false, err);
}

static enum nx_code add_min_n(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    return nx_is_nullish(value) ? NX_OK : keep_n(acc, value, 1, false, err);
}

static enum nx_code add_top(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    return keep_n(acc, or_null(value), 1, false, err);
}

static enum nx_code add_bottom(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    return keep_n(acc, or_null(value), 1, true, err);
}

/* --- percentiles ------------------------------------------------------------------------------ */

static enum nx_code add_number(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    struct nx_value number = nx_double(nx_value_to_double(value));

    if (!nx_is_number(value) || isnan(number.f64))
        return NX_OK;
    return acc_insert(acc, acc->len, &number, err);
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The numbers in order, or NULL. */
static double *sorted_numbers(const struct acc *acc, struct arena *arena)
{
    double *numbers = arena_alloc(arena, (acc->len + 1) * sizeof *numbers);

    if (!numbers)
        return NULL;
    for (size_t i = 0; i < acc->len; i++)
        numbers[i] = acc->items[i].value.f64;
    qsort(numbers, acc->len, sizeof *numbers, by_number);
    return numbers;
}

/* The least number that at least a share of p is not above. */
static struct nx_value percentile(const double *numbers, size_t count, double p)
{
    double rank = ceil(p * (double)count) - 1;

    if (count == 0)
        return NX_NULL;
    return nx_double(numbers[rank > 0 ? (size_t)rank : 0]);
}

static enum nx_code result_median(const struct acc *acc, struct arena *arena, struct nx_value *out,
                                  struct nx_err *err)
{
    double *numbers = sorted_numbers(acc, arena);

    if (!numbers)
        return nx_fail_nomem(err);
    *out = percentile(numbers, acc->len, 0.5);
    return NX_OK;
}

static enum nx_code result_percentile(const struct acc *acc, struct arena *arena,
                                      struct nx_value *out, struct nx_err *err)
{
    double *numbers = sorted_numbers(acc, arena);
    struct value_list list = {0};
    enum nx_code rc = numbers ? NX_OK : nx_fail_nomem(err);

    for (size_t i = 0; rc == NX_OK && i < acc->spec->p_count; i++) {
        struct nx_value value = percentile(numbers, acc->len, acc->spec->p[i]);

        rc = value_list_push(&list, arena, &value, err);
    }
    return rc == NX_OK ? value_array(arena, &list, out, err) : rc;
}

#define BOTH (ACC_GROUP | ACC_WINDOW)
static const struct acc_class table[] = {
    {"$addToSet", ACC_EXPR, BOTH, add_set, result_list, "the different values"},
    {"$bottom", ACC_SORTED, BOTH, add_bottom, result_one, "a value of the last by an order"},
    {"$bottomN", ACC_SORTED_N, BOTH, add_bottom, result_list, "values of the last n by an order"},
    {"$first", ACC_EXPR, BOTH, add_first, result_one, "the first value"},
    {"$firstN", ACC_N, BOTH, add_first_n, result_list, "the first n values"},
    {"$last", ACC_EXPR, BOTH, add_last, result_one, "the last value"},
    {"$lastN", ACC_N, BOTH, add_last_n, result_list, "the last n values"},
    {"$max", ACC_EXPR, BOTH, add_max, result_one, "the greatest value"},
    {"$maxN", ACC_N, BOTH, add_max_n, result_list, "the n greatest values"},
    {"$median", ACC_MEDIAN, BOTH, add_number, result_median, "the middle number"},
    {"$mergeObjects", ACC_EXPR, ACC_GROUP, add_merge, result_merge,
     "objects merged, later fields winning"},
    {"$min", ACC_EXPR, BOTH, add_min, result_one, "the least value"},
    {"$minN", ACC_N, BOTH, add_min_n, result_list, "the n least values"},
    {"$percentile", ACC_PERCENTILE, BOTH, add_number, result_percentile,
     "the numbers below which given shares lie"},
    {"$push", ACC_EXPR, BOTH, add_push, result_list, "all values"},
    {"$top", ACC_SORTED, BOTH, add_top, result_one, "a value of the first by an order"},
    {"$topN", ACC_SORTED_N, BOTH, add_top, result_list, "values of the first n by an order"},
};
const struct acc_family acc_lists = {table, sizeof table / sizeof *table};

/*
 * expr_set.c - arrays as sets: duplicates and order do not count.
 *
 * Operands are sorted once, so every operation is a merge. Results are in the order of values, but
 * $setDifference keeps the order of its first operand.
 */
#include "query/expr_op.h"

static enum nx_code set_of(struct call *call, unsigned arg, struct value_list *out)
{
    enum nx_code rc;

    *out = (struct value_list){0};
    if (call->args[arg].type != NX_TYPE_ARRAY)
        return call_fail(call, "wants arrays, not %s", nx_type_name(call->args[arg].type));
    rc = value_list_extend(out, call->env->arena, &call->args[arg], call->err);
    if (rc == NX_OK)
        rc = value_list_sort(out, call->env->arena, 1, call->err);
    if (rc == NX_OK)
        value_list_unique(out);
    return rc;
}

/* The index of an equal element, or -1. */
static ptrdiff_t find(const struct value_list *set, const struct nx_value *value)
{
    size_t low = 0, high = set->len;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int sign = nx_value_compare(&set->at[middle], value);

        if (sign == 0)
            return (ptrdiff_t)middle;
        if (sign < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

static bool contains(const struct value_list *set, const struct nx_value *value)
{
    return find(set, value) >= 0;
}

static bool is_subset(const struct value_list *a, const struct value_list *b)
{
    for (size_t i = 0; i < a->len; i++)
        if (!contains(b, &a->at[i]))
            return false;
    return true;
}

static enum nx_code call_union(struct call *call, struct nx_value *out)
{
    struct value_list all = {0};
    enum nx_code rc = NX_OK;

    for (unsigned i = 0; rc == NX_OK && i < call->count; i++) {
        if (call->args[i].type != NX_TYPE_ARRAY)
            return call_fail(call, "wants arrays, not %s", nx_type_name(call->args[i].type));
        rc = value_list_extend(&all, call->env->arena, &call->args[i], call->err);
    }
    if (rc == NX_OK)
        rc = value_list_sort(&all, call->env->arena, 1, call->err);
    if (rc != NX_OK)
        return rc;
    value_list_unique(&all);
    return value_array(call->env->arena, &all, out, call->err);
}

static enum nx_code call_intersection(struct call *call, struct nx_value *out)
{
    struct value_list common = {0}, other;
    enum nx_code rc = call->count ? set_of(call, 0, &common) : NX_OK;

    for (unsigned i = 1; rc == NX_OK && i < call->count; i++) {
        size_t kept = 0;

        rc = set_of(call, i, &other);
        for (size_t k = 0; rc == NX_OK && k < common.len; k++)
            if (contains(&other, &common.at[k]))
                common.at[kept++] = common.at[k];
        common.len = kept;
    }
    return rc == NX_OK ? value_array(call->env->arena, &common, out, call->err) : rc;
}

static enum nx_code call_difference(struct call *call, struct nx_value *out)
{
    struct value_list set, other, left = {0};
    struct nx_doc_iter iter;
    bool *used = NULL;
    enum nx_code rc = set_of(call, 0, &set);

    if (rc == NX_OK)
        rc = set_of(call, 1, &other);
    if (rc != NX_OK)
        return rc;
    used = arena_alloc(call->env->arena, set.len + 1);
    if (!used)
        return nx_fail_nomem(call->err);
    memset(used, 0, set.len + 1);
    nx_doc_iter_init(&iter, nx_value_slice(&call->args[0]));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        ptrdiff_t i = find(&set, &iter.value);

        if (used[i] || contains(&other, &iter.value))
            continue;
        used[i] = true;
        rc = value_list_push(&left, call->env->arena, &iter.value, call->err);
    }
    return rc == NX_OK ? value_array(call->env->arena, &left, out, call->err) : rc;
}

static enum nx_code call_equals(struct call *call, struct nx_value *out)
{
    struct value_list first, other;
    bool equal = true;
    enum nx_code rc = set_of(call, 0, &first);

    for (unsigned i = 1; rc == NX_OK && i < call->count; i++) {
        rc = set_of(call, i, &other);
        equal = equal && rc == NX_OK && other.len == first.len && is_subset(&first, &other);
    }
    *out = nx_bool(equal);
    return rc;
}

static enum nx_code call_subset(struct call *call, struct nx_value *out)
{
    struct value_list a, b;
    enum nx_code rc = set_of(call, 0, &a);

    if (rc == NX_OK)
        rc = set_of(call, 1, &b);
    if (rc == NX_OK)
        *out = nx_bool(is_subset(&a, &b));
    return rc;
}

/* True when some element's truth is `wanted`. */
static enum nx_code any_element(struct call *call, bool wanted, bool *out)
{
    struct nx_doc_iter iter;

    if (call->args[0].type != NX_TYPE_ARRAY)
        return call_fail(call, "wants an array, not %s", nx_type_name(call->args[0].type));
    *out = false;
    nx_doc_iter_init(&iter, nx_value_slice(&call->args[0]));
    while (!*out && nx_doc_iter_next(&iter))
        *out = expr_truth(&iter.value) == wanted;
    return NX_OK;
}

static enum nx_code call_all(struct call *call, struct nx_value *out)
{
    bool found = false;
    enum nx_code rc = any_element(call, false, &found);

    *out = nx_bool(!found);
    return rc;
}

static enum nx_code call_any(struct call *call, struct nx_value *out)
{
    bool found = false;
    enum nx_code rc = any_element(call, true, &found);

    *out = nx_bool(found);
    return rc;
}

static const struct expr_op table[] = {
    {"$allElementsTrue", 1, 1, NULL, 0, call_all, NULL, NULL, "true when no element is false"},
    {"$anyElementTrue", 1, 1, NULL, 0, call_any, NULL, NULL, "true when any element is"},
    {"$setDifference", 2, 2, NULL, EXPR_NULLS, call_difference, NULL, NULL,
     "what is in the first but not in the second"},
    {"$setEquals", 2, EXPR_ANY, NULL, 0, call_equals, NULL, NULL, "true when all hold the same"},
    {"$setIntersection", 0, EXPR_ANY, NULL, EXPR_NULLS, call_intersection, NULL, NULL,
     "what is in all"},
    {"$setIsSubset", 2, 2, NULL, 0, call_subset, NULL, NULL,
     "true when all of the first is in the second"},
    {"$setUnion", 0, EXPR_ANY, NULL, EXPR_NULLS, call_union, NULL, NULL, "what is in any"},
};
const struct expr_family expr_set = EXPR_FAMILY(table);

/*
 * update_ops_arrays.c - $push, $addToSet, $pop, $pull, $pullAll: operators that change an array.
 */
#include <stdlib.h>

#include "query/update_node.h"

static enum nx_code not_an_array(const struct update_action *action, struct update_state *state,
                                 const struct nx_value *old)
{
    return nx_fail(state->err, NX_EUPDATE, "%s of '%s' needs an array there, not %s",
                   action->op->name, state->where ? state->where : "", nx_type_name(old->type));
}

static bool has_each(const struct nx_value *arg)
{
    return arg->type == NX_TYPE_DOCUMENT &&
           nx_doc_get_z(nx_value_slice(arg), "$each").type != NX_TYPE_MISSING;
}

static enum nx_code parse_each(const struct nx_value *each, struct update_action *out,
                               struct nx_err *err)
{
    if (each->type != NX_TYPE_ARRAY)
        return nx_fail(err, NX_EUPDATE, "%s: $each needs an array, not %s", out->op->name,
                       nx_type_name(each->type));
    out->list = *each;
    return NX_OK;
}

/* --- $push ------------------------------------------------------------------------------------ */

static enum nx_code parse_whole(const char *name, const struct nx_value *value, int64_t *out,
                                bool *has, struct nx_err *err)
{
    if (!nx_value_to_int64(value, out))
        return nx_fail(err, NX_EUPDATE, "$push: %s needs a whole number, not %s", name,
                       nx_type_name(value->type));
    *has = true;
    return NX_OK;
}

static enum nx_code parse_sort(const struct nx_value *value, struct update_action *out,
                               struct nx_err *err)
{
    int64_t direction;

    out->has_sort = true;
    if (value->type == NX_TYPE_DOCUMENT && !nx_doc_is_empty(nx_value_slice(value)))
        return sort_spec_parse(nx_value_slice(value), &out->sort, err);
    if (!nx_value_to_int64(value, &direction) || (direction != 1 && direction != -1))
        return nx_fail(err, NX_EUPDATE, "$push: $sort needs 1, -1 or fields to sort by");
    out->sort_direction = (int)direction;
    return NX_OK;
}

static enum nx_code parse_modifier(const struct nx_doc_iter *iter, struct update_action *out,
                                   struct nx_err *err)
{
    if (strcmp(iter->key, "$each") == 0)
        return parse_each(&iter->value, out, err);
    if (strcmp(iter->key, "$position") == 0)
        return parse_whole("$position", &iter->value, &out->position, &out->has_position, err);
    if (strcmp(iter->key, "$slice") == 0)
        return parse_whole("$slice", &iter->value, &out->slice, &out->has_slice, err);
    if (strcmp(iter->key, "$sort") == 0)
        return parse_sort(&iter->value, out, err);
    return nx_fail(err, NX_EUPDATE, "$push knows $each, $position, $slice and $sort, not '%.60s'",
                   iter->key);
}

static enum nx_code parse_push(const struct nx_value *arg, struct update_action *out,
                               struct nx_err *err)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    if (!has_each(arg))
        return NX_OK; /* one value */
    nx_doc_iter_init(&iter, nx_value_slice(arg));
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = parse_modifier(&iter, out, err);
    return rc;
}

struct elements {
    struct element {
        struct nx_value value;
        size_t order; /* to keep equal ones in place */
    } * items;        /* of the arena */
    size_t count;
};

static void add_items(struct elements *elements, const struct nx_value *array)
{
    struct nx_doc_iter iter;

    nx_doc_iter_init(&iter, nx_value_slice(array));
    while (nx_doc_iter_next(&iter))
        elements->items[elements->count++].value = iter.value;
}

/* Put the last `added` items before the one at `position` of those that were there. */
static void move_to_position(struct elements *elements, size_t added, int64_t position,
                             struct element *scratch)
{
    size_t old = elements->count - added, at;

    if (position < 0)
        at = 0 - (uint64_t)position > old ? 0 : old - (size_t)(0 - (uint64_t)position);
    else
        at = (uint64_t)position > old ? old : (size_t)position;
    memcpy(scratch, elements->items + old, added * sizeof *scratch);
    memmove(elements->items + at + added, elements->items + at, (old - at) * sizeof *scratch);
    memcpy(elements->items + at, scratch, added * sizeof *scratch);
}

static struct nx_slice as_document(const struct nx_value *value)
{
    return value->type == NX_TYPE_DOCUMENT ? nx_value_slice(value) : nx_doc_empty;
}

static int compare_elements(const void *a, const void *b, void *arg)
{
    const struct element *x = a, *y = b;
    const struct update_action *action = arg;
    int order;

    if (action->sort)
        order = sort_spec_compare(action->sort, as_document(&x->value), as_document(&y->value));
    else
        order = action->sort_direction * nx_value_compare(&x->value, &y->value);
    return order ? order : (x->order > y->order) - (x->order < y->order);
}

static void sort_elements(const struct update_action *action, struct elements *elements)
{
    for (size_t i = 0; i < elements->count; i++)
        elements->items[i].order = i;
    qsort_r(elements->items, elements->count, sizeof *elements->items, compare_elements,
            (void *)action);
}

static void slice_elements(struct elements *elements, int64_t slice)
{
    size_t keep = (size_t)(slice < 0 ? 0 - (uint64_t)slice : (uint64_t)slice);

    if (keep >= elements->count)
        return;
    if (slice < 0)
        elements->items += elements->count - keep;
    elements->count = keep;
}

static void put_elements(struct update_state *state, const char *key, size_t key_len,
                         const struct elements *elements)
{
    nx_builder_begin_array(state->out, key, key_len);
    for (size_t i = 0; i < elements->count; i++)
        nx_builder_push(state->out, &elements->items[i].value);
    nx_builder_close(state->out);
}

static size_t array_size(const struct nx_value *value)
{
    return value->type == NX_TYPE_ARRAY ? nx_doc_count(nx_value_slice(value)) : 0;
}

static enum nx_code apply_push(const struct update_action *action, struct update_state *state,
                               const char *key, size_t key_len, const struct nx_value *old)
{
    bool each = action->list.type == NX_TYPE_ARRAY;
    size_t added = each ? array_size(&action->list) : 1, room = array_size(old) + added;
    struct elements elements = {0};
    struct element *scratch;

    if (old->type != NX_TYPE_MISSING && old->type != NX_TYPE_ARRAY)
        return not_an_array(action, state, old);
    elements.items = arena_alloc(state->run->env->arena, (room + 1) * sizeof *elements.items);
    scratch = arena_alloc(state->run->env->arena, (added + 1) * sizeof *scratch);
    if (!elements.items || !scratch)
        return nx_fail_nomem(state->err);
    if (old->type == NX_TYPE_ARRAY)
        add_items(&elements, old);
    if (each)
        add_items(&elements, &action->list);
    else
        elements.items[elements.count++].value = action->arg;
    if (action->has_position)
        move_to_position(&elements, added, action->position, scratch);
    if (action->has_sort)
        sort_elements(action, &elements);
    if (action->has_slice)
        slice_elements(&elements, action->slice);
    put_elements(state, key, key_len, &elements);
    return NX_OK;
}

/* --- $addToSet -------------------------------------------------------------------------------- */

static enum nx_code parse_add_to_set(const struct nx_value *arg, struct update_action *out,
                                     struct nx_err *err)
{
    struct nx_value each;

    if (!has_each(arg))
        return NX_OK;
    if (nx_doc_count(nx_value_slice(arg)) != 1)
        return nx_fail(err, NX_EUPDATE, "$addToSet knows $each and nothing beside it");
    each = nx_doc_get_z(nx_value_slice(arg), "$each");
    return parse_each(&each, out, err);
}

static void add_if_new(struct elements *elements, const struct nx_value *value)
{
    for (size_t i = 0; i < elements->count; i++)
        if (nx_value_compare(&elements->items[i].value, value) == 0)
            return;
    elements->items[elements->count++].value = *value;
}

static enum nx_code apply_add_to_set(const struct update_action *action, struct update_state *state,
                                     const char *key, size_t key_len, const struct nx_value *old)
{
    bool each = action->list.type == NX_TYPE_ARRAY;
    size_t room = array_size(old) + (each ? array_size(&action->list) : 1);
    struct elements elements = {0};
    struct nx_doc_iter iter;

    if (old->type != NX_TYPE_MISSING && old->type != NX_TYPE_ARRAY)
        return not_an_array(action, state, old);
    elements.items = arena_alloc(state->run->env->arena, (room + 1) * sizeof *elements.items);
    if (!elements.items)
        return nx_fail_nomem(state->err);
    if (old->type == NX_TYPE_ARRAY)
        add_items(&elements, old);
    if (each) {
        nx_doc_iter_init(&iter, nx_value_slice(&action->list));
        while (nx_doc_iter_next(&iter))
            add_if_new(&elements, &iter.value);
    } else {
        add_if_new(&elements, &action->arg);
    }
    put_elements(state, key, key_len, &elements);
    return NX_OK;
}

/* --- taking away ------------------------------------------------------------------------------ */

static enum nx_code parse_pop(const struct nx_value *arg, struct update_action *out,
                              struct nx_err *err)
{
    if (!nx_value_to_int64(arg, &out->position) || (out->position != 1 && out->position != -1))
        return nx_fail(err, NX_EUPDATE, "$pop needs 1 (the last element) or -1 (the first)");
    return NX_OK;
}

static enum nx_code apply_pop(const struct update_action *action, struct update_state *state,
                              const char *key, size_t key_len, const struct nx_value *old)
{
    size_t size = array_size(old), at = 0;
    size_t gone = action->position > 0 ? size - 1 : 0;
    struct nx_doc_iter iter;

    if (old->type != NX_TYPE_ARRAY)
        return not_an_array(action, state, old);
    nx_builder_begin_array(state->out, key, key_len);
    nx_doc_iter_init(&iter, nx_value_slice(old));
    for (; nx_doc_iter_next(&iter); at++)
        if (at != gone)
            nx_builder_push(state->out, &iter.value);
    nx_builder_close(state->out);
    return NX_OK;
}

/* A scalar or an array is pulled by equality; an object, operators and patterns are conditions. */
static enum nx_code parse_pull(const struct nx_value *arg, struct update_action *out,
                               struct nx_err *err)
{
    if (arg->type != NX_TYPE_DOCUMENT && arg->type != NX_TYPE_REGEX)
        return NX_OK;
    return filter_parse_value(arg, &out->condition, err);
}

static enum nx_code parse_pull_all(const struct nx_value *arg, struct update_action *out,
                                   struct nx_err *err)
{
    if (arg->type != NX_TYPE_ARRAY)
        return nx_fail(err, NX_EUPDATE, "$pullAll needs an array of values, not %s",
                       nx_type_name(arg->type));
    out->list = *arg;
    return NX_OK;
}

static bool is_listed(const struct nx_value *list, const struct nx_value *value)
{
    struct nx_doc_iter iter;

    nx_doc_iter_init(&iter, nx_value_slice(list));
    while (nx_doc_iter_next(&iter))
        if (nx_value_compare(&iter.value, value) == 0)
            return true;
    return false;
}

static enum nx_code is_pulled(const struct update_action *action, struct update_state *state,
                              const struct nx_value *element, bool *pulled)
{
    if (action->condition)
        return filter_match_value(action->condition, element, pulled, state->err);
    if (action->list.type == NX_TYPE_ARRAY)
        *pulled = is_listed(&action->list, element);
    else
        *pulled = nx_value_compare(&action->arg, element) == 0;
    return NX_OK;
}

static enum nx_code apply_pull(const struct update_action *action, struct update_state *state,
                               const char *key, size_t key_len, const struct nx_value *old)
{
    struct nx_doc_iter iter;
    bool pulled = false;
    enum nx_code rc = NX_OK;

    if (old->type != NX_TYPE_ARRAY)
        return not_an_array(action, state, old);
    nx_builder_begin_array(state->out, key, key_len);
    nx_doc_iter_init(&iter, nx_value_slice(old));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        rc = is_pulled(action, state, &iter.value, &pulled);
        if (rc == NX_OK && !pulled)
            nx_builder_push(state->out, &iter.value);
    }
    nx_builder_close(state->out);
    return rc;
}

const struct update_op update_ops_arrays[] = {
    {"$addToSet", UPDATE_CREATES, parse_add_to_set, apply_add_to_set,
     "append what the array does not hold yet; with $each several values"},
    {"$pop", 0, parse_pop, apply_pop, "remove the last (1) or first (-1) element"},
    {"$pull", 0, parse_pull, apply_pull, "remove the elements that meet a condition"},
    {"$pullAll", 0, parse_pull_all, apply_pull, "remove the elements equal to a listed value"},
    {"$push", UPDATE_CREATES, parse_push, apply_push,
     "append; with $each several values, $position, $sort, $slice"},
    {.name = NULL},
};

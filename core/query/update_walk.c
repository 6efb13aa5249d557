/*
 * update_walk.c - the operators' tree over a document, in one pass that writes the new one.
 *
 * Fields keep their places; new ones follow in the order of the tree, which is that of their names.
 * In an array the parts select elements: an index, $ (the one that matched), $[] (all), $[name]
 * (those a condition selects). Several that select the same element are merged, or conflict.
 */
#include "query/update_node.h"

#define ARRAY_MAX_PADDING 1500000 /* nulls that setting an index beyond the end may add */

static enum nx_code walk_node(struct update_state *state, const struct update_node *node,
                              const char *key, size_t key_len, const struct nx_value *old);

/* --- what a part of the tree would make out of nothing ---------------------------------------- */

static bool action_creates(const struct update_state *state, const struct update_action *action)
{
    unsigned flags = action->op->flags;

    if (flags & UPDATE_ON_INSERT)
        return state->run->inserting;
    if (flags & UPDATE_MOVES)
        return path_get_plain(&action->path, state->doc).type != NX_TYPE_MISSING;
    return flags & UPDATE_CREATES;
}

static bool creates(const struct update_state *state, const struct update_node *node)
{
    if (node->action.op)
        return action_creates(state, &node->action);
    for (uint32_t i = 0; i < node->kid_count; i++)
        if (creates(state, node->kids[i]))
            return true;
    return false;
}

static bool has_flag(const struct update_node *node, unsigned flag)
{
    if (node->action.op)
        return node->action.op->flags & flag;
    for (uint32_t i = 0; i < node->kid_count; i++)
        if (has_flag(node->kids[i], flag))
            return true;
    return false;
}

static bool has_selector(const struct update_node *node)
{
    for (uint32_t i = 0; i < node->kid_count; i++)
        if (node->kids[i]->part != PART_FIELD)
            return true;
    return false;
}

static enum nx_code no_array(struct update_state *state, const struct update_node *node,
                             const struct nx_value *old)
{
    return nx_fail(state->err, NX_EUPDATE,
                   "'%s' is %s: the update selects elements of an array there",
                   node->name ? node->name : "the document", nx_type_name(old->type));
}

static enum nx_code walk_absent(struct update_state *state, const struct update_node *node,
                                const char *key, size_t key_len)
{
    enum nx_code rc = NX_OK;

    if (node->action.op)
        return action_creates(state, &node->action)
                   ? node->action.op->apply(&node->action, state, key, key_len, &NX_MISSING)
                   : NX_OK;
    if (has_selector(node))
        return no_array(state, node, &NX_MISSING);
    if (!creates(state, node))
        return NX_OK;
    nx_builder_begin_document(state->out, key, key_len);
    for (uint32_t i = 0; rc == NX_OK && i < node->kid_count; i++)
        rc = walk_absent(state, node->kids[i], node->kids[i]->name, node->kids[i]->name_len);
    nx_builder_close(state->out);
    return rc;
}

/* --- documents -------------------------------------------------------------------------------- */

static int find_kid(const struct update_node *node, const struct nx_doc_iter *iter)
{
    for (uint32_t i = 0; i < node->kid_count; i++)
        if (node->kids[i]->name_len == iter->key_len &&
            memcmp(node->kids[i]->name, iter->key, iter->key_len) == 0)
            return (int)i;
    return -1;
}

static enum nx_code walk_fields(struct update_state *state, const struct update_node *node,
                                struct nx_slice doc)
{
    struct nx_doc_iter iter;
    uint8_t *seen = arena_alloc(state->run->env->arena, node->kid_count + 1);
    enum nx_code rc = NX_OK;

    if (!seen)
        return nx_fail_nomem(state->err);
    memset(seen, 0, node->kid_count + 1);
    nx_doc_iter_init(&iter, doc);
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        int kid = find_kid(node, &iter);

        if (kid < 0) {
            nx_builder_put(state->out, iter.key, iter.key_len, &iter.value);
            continue;
        }
        seen[kid] = 1;
        rc = walk_node(state, node->kids[kid], iter.key, iter.key_len, &iter.value);
    }
    for (uint32_t i = 0; rc == NX_OK && i < node->kid_count; i++)
        if (!seen[i])
            rc = walk_absent(state, node->kids[i], node->kids[i]->name, node->kids[i]->name_len);
    return rc;
}

/* --- arrays ----------------------------------------------------------------------------------- */

/* Two parts of the tree for one element, as one. */
static enum nx_code merge(struct update_state *state, const struct update_node *a,
                          const struct update_node *b, const struct update_node **out)
{
    struct arena *arena = state->run->env->arena;
    struct update_node *node;
    uint32_t i = 0, j = 0;
    enum nx_code rc = NX_OK;

    if (a->action.op || b->action.op)
        return nx_fail(state->err, NX_EUPDATE, "two parts of the update change the same element");
    node = arena_alloc(arena, sizeof *node);
    if (!node)
        return nx_fail_nomem(state->err);
    *node = *a;
    node->kid_count = 0;
    node->kids = arena_alloc(arena, (a->kid_count + b->kid_count + 1) * sizeof *node->kids);
    if (!node->kids)
        return nx_fail_nomem(state->err);
    while (rc == NX_OK && (i < a->kid_count || j < b->kid_count)) {
        const struct update_node *x = i < a->kid_count ? a->kids[i] : NULL;
        const struct update_node *y = j < b->kid_count ? b->kids[j] : NULL;
        int order = !x   ? 1
                    : !y ? -1
                         : update_compare_names(x->name, x->name_len, y->name, y->name_len);
        const struct update_node *kid = order <= 0 ? x : y;

        if (order == 0)
            rc = merge(state, x, y, &kid);
        i += order <= 0;
        j += order >= 0;
        node->kids[node->kid_count++] = (struct update_node *)kid; /* read only from here on */
    }
    *out = node;
    return rc;
}

static enum nx_code selects(struct update_state *state, const struct update_node *kid,
                            uint32_t position, uint32_t index, const struct nx_value *element,
                            bool *out)
{
    *out = kid->part == PART_ALL || (kid->part == PART_POSITION && index == position) ||
           (kid->part == PART_FIELD && kid->index >= 0 && (uint32_t)kid->index == index);
    if (kid->part != PART_FILTERED)
        return NX_OK;
    return array_filter_match(kid->filter, element, state->run->env, out, state->err);
}

/* The part of the tree for one element; NULL: none. */
static enum nx_code select_kid(struct update_state *state, const struct update_node *node,
                               uint32_t position, uint32_t index, const struct nx_value *element,
                               const struct update_node **out)
{
    bool selected;
    enum nx_code rc = NX_OK;

    *out = NULL;
    for (uint32_t i = 0; rc == NX_OK && i < node->kid_count; i++) {
        rc = selects(state, node->kids[i], position, index, element, &selected);
        if (rc != NX_OK || !selected)
            continue;
        if (*out)
            rc = merge(state, *out, node->kids[i], out);
        else
            *out = node->kids[i];
    }
    return rc;
}

/* Which index $ means, when the tree asks at this array. */
static enum nx_code find_position(struct update_state *state, const struct update_node *node,
                                  uint32_t *position)
{
    const struct update_run *run = state->run;

    *position = UINT32_MAX;
    for (uint32_t i = 0; i < node->kid_count; i++) {
        const struct update_node *kid = node->kids[i];

        if (kid->part != PART_POSITION)
            continue;
        if (!filter_array_index(run->filter, state->doc, &kid->array, position) &&
            !filter_array_index(run->filter, state->doc, NULL, position))
            return nx_fail(state->err, NX_EUPDATE,
                           "the positional operator in '%s.$' found no condition on an array in "
                           "the filter",
                           kid->array.text);
    }
    return NX_OK;
}

/* Elements beyond the end, with nulls before them. */
static enum nx_code append_elements(struct update_state *state, const struct update_node *node,
                                    uint32_t size)
{
    enum nx_code rc = NX_OK;

    for (uint32_t i = 0; rc == NX_OK && i < node->kid_count; i++) {
        const struct update_node *kid = node->kids[i];

        if (kid->part != PART_FIELD || kid->index < 0 || (uint32_t)kid->index < size ||
            !creates(state, kid))
            continue;
        if ((uint32_t)kid->index - size > ARRAY_MAX_PADDING)
            return nx_fail(state->err, NX_EUPDATE,
                           "index %d of '%s' is more than %d beyond its end", kid->index,
                           node->name, ARRAY_MAX_PADDING);
        for (; size < (uint32_t)kid->index; size++)
            nx_builder_push(state->out, &NX_NULL);
        rc = walk_absent(state, kid, NULL, 0);
        size++;
    }
    return rc;
}

/* An array has no fields to make, and a $rename may not pass through one. */
static enum nx_code check_array(struct update_state *state, const struct update_node *node)
{
    if (has_flag(node, UPDATE_NO_ARRAY))
        return nx_fail(state->err, NX_EUPDATE, "$rename goes through '%s', which is an array",
                       node->name);
    for (uint32_t i = 0; i < node->kid_count; i++)
        if (node->kids[i]->part == PART_FIELD && node->kids[i]->index < 0 &&
            creates(state, node->kids[i]))
            return nx_fail(state->err, NX_EUPDATE, "'%s' is an array, which has no field '%s'",
                           node->name, node->kids[i]->name);
    return NX_OK;
}

static enum nx_code walk_elements(struct update_state *state, const struct update_node *node,
                                  const struct nx_value *array)
{
    const struct update_node *kid;
    struct nx_doc_iter iter;
    uint32_t index = 0, position = UINT32_MAX;
    enum nx_code rc = check_array(state, node);

    if (rc == NX_OK)
        rc = find_position(state, node, &position);
    nx_doc_iter_init(&iter, nx_value_slice(array));
    for (; rc == NX_OK && nx_doc_iter_next(&iter); index++) {
        rc = select_kid(state, node, position, index, &iter.value, &kid);
        if (rc == NX_OK && kid)
            rc = walk_node(state, kid, NULL, 0, &iter.value);
        else if (rc == NX_OK)
            nx_builder_push(state->out, &iter.value);
    }
    return rc == NX_OK ? append_elements(state, node, index) : rc;
}

/* --- a value ---------------------------------------------------------------------------------- */

static enum nx_code walk_node(struct update_state *state, const struct update_node *node,
                              const char *key, size_t key_len, const struct nx_value *old)
{
    enum nx_code rc = NX_OK;

    if (node->action.op) {
        state->where = node->name;
        return node->action.op->apply(&node->action, state, key, key_len, old);
    }
    if (old->type == NX_TYPE_ARRAY) {
        nx_builder_begin_array(state->out, key, key_len);
        rc = walk_elements(state, node, old);
        nx_builder_close(state->out);
        return rc;
    }
    if (has_selector(node))
        return no_array(state, node, old);
    if (old->type == NX_TYPE_DOCUMENT) {
        nx_builder_begin_document(state->out, key, key_len);
        rc = walk_fields(state, node, nx_value_slice(old));
        nx_builder_close(state->out);
        return rc;
    }
    if (creates(state, node))
        return nx_fail(state->err, NX_EUPDATE, "'%s' is %s: it cannot hold the field '%s'",
                       node->name, nx_type_name(old->type), node->kids[0]->name);
    nx_builder_put(state->out, key, key_len, old);
    return NX_OK;
}

enum nx_code update_walk(const struct update *update, struct nx_slice doc,
                         const struct update_run *run, struct nx_buf *out, struct nx_err *err)
{
    struct nx_builder builder;
    struct update_state state = {.run = run, .doc = doc, .out = &builder, .err = err};
    enum nx_code rc;

    nx_builder_init(&builder, out);
    rc = walk_fields(&state, &update->root, doc);
    return rc == NX_OK ? nx_builder_end(&builder, err) : rc;
}

/*
 * expr_array_higher.c - operators that evaluate an expression for each element, and $sortArray.
 *
 * $map, $filter and $reduce declare their variables in a scope of their own while their inner
 * expression is parsed; evaluation writes the element into the variable's slot.
 */
#include "query/expr_op.h"
#include "query/sort.h"

#define RESULT_MAX_DEPTH (NX_DOC_MAX_DEPTH + 20)

struct loop {
    unsigned slot;       /* of the element */
    unsigned value_slot; /* of $reduce's $$value */
};

enum { LOOP_INPUT, LOOP_BODY, LOOP_THIRD };

struct member {
    const char *name;
    bool required;
    struct nx_value value;
};

/* Take the members of an operator's object apart. */
static enum nx_code members(struct expr_parser *parser, const struct nx_value *spec,
                            struct expr *node, struct member *list, unsigned count)
{
    struct nx_doc_iter iter;

    if (spec->type != NX_TYPE_DOCUMENT)
        return parser_fail(parser, node, "wants an object with its arguments by name, not %s",
                           nx_type_name(spec->type));
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    while (nx_doc_iter_next(&iter)) {
        unsigned i = 0;

        while (i < count && strcmp(list[i].name, iter.key) != 0)
            i++;
        if (i == count)
            return parser_fail(parser, node, "has no argument '%.100s'", iter.key);
        list[i].value = iter.value;
    }
    for (unsigned i = 0; i < count; i++)
        if (list[i].required && list[i].value.type == NX_TYPE_MISSING)
            return parser_fail(parser, node, "wants the argument '%s'", list[i].name);
    return NX_OK;
}

static enum nx_code new_loop(struct expr_parser *parser, struct expr *node, struct loop **out)
{
    *out = arena_alloc(parser_arena(parser), sizeof **out);
    node->args = arena_alloc(parser_arena(parser), 3 * sizeof *node->args);
    if (!*out || !node->args)
        return nx_fail_nomem(parser->err);
    memset(node->args, 0, 3 * sizeof *node->args);
    node->count = 3;
    node->extra = *out;
    return NX_OK;
}

static enum nx_code declare_as(struct expr_parser *parser, struct expr *node,
                               const struct nx_value *as, unsigned *slot)
{
    if (as->type == NX_TYPE_MISSING)
        return expr_vars_declare(parser->vars, "this", 4, slot, parser->err);
    if (as->type != NX_TYPE_STRING || !expr_var_name_ok((const char *)as->data, as->len))
        return parser_fail(parser, node, "wants 'as' as a name that begins with a small letter");
    return expr_vars_declare(parser->vars, (const char *)as->data, as->len, slot, parser->err);
}

/* {input, as, <body>} and, outside the scope, `third`. */
static enum nx_code parse_loop(struct expr_parser *parser, struct expr *node,
                               const struct member *input, const struct member *as,
                               const struct member *body, const struct member *third)
{
    unsigned mark = expr_vars_mark(parser->vars);
    struct loop *loop;
    enum nx_code rc = new_loop(parser, node, &loop);

    if (rc == NX_OK)
        rc = parser_expr(parser, &input->value, &node->args[LOOP_INPUT]);
    if (rc == NX_OK && third && third->value.type != NX_TYPE_MISSING)
        rc = parser_expr(parser, &third->value, &node->args[LOOP_THIRD]);
    if (rc == NX_OK)
        rc = declare_as(parser, node, &as->value, &loop->slot);
    if (rc == NX_OK)
        rc = parser_expr(parser, &body->value, &node->args[LOOP_BODY]);
    expr_vars_release(parser->vars, mark);
    return rc;
}

static enum nx_code parse_map(struct expr_parser *parser, const struct nx_value *spec,
                              struct expr *node)
{
    struct member list[] = {
        {"input", true, NX_MISSING}, {"as", false, NX_MISSING}, {"in", true, NX_MISSING}};
    enum nx_code rc = members(parser, spec, node, list, 3);

    return rc == NX_OK ? parse_loop(parser, node, &list[0], &list[1], &list[2], NULL) : rc;
}

static enum nx_code parse_filter(struct expr_parser *parser, const struct nx_value *spec,
                                 struct expr *node)
{
    struct member list[] = {{"input", true, NX_MISSING},
                            {"as", false, NX_MISSING},
                            {"cond", true, NX_MISSING},
                            {"limit", false, NX_MISSING}};
    enum nx_code rc = members(parser, spec, node, list, 4);

    return rc == NX_OK ? parse_loop(parser, node, &list[0], &list[1], &list[2], &list[3]) : rc;
}

static enum nx_code parse_reduce(struct expr_parser *parser, const struct nx_value *spec,
                                 struct expr *node)
{
    struct member list[] = {
        {"input", true, NX_MISSING}, {"initialValue", true, NX_MISSING}, {"in", true, NX_MISSING}};
    unsigned mark = expr_vars_mark(parser->vars);
    struct loop *loop;
    enum nx_code rc = members(parser, spec, node, list, 3);

    if (rc == NX_OK)
        rc = new_loop(parser, node, &loop);
    if (rc == NX_OK)
        rc = parser_expr(parser, &list[0].value, &node->args[LOOP_INPUT]);
    if (rc == NX_OK)
        rc = parser_expr(parser, &list[1].value, &node->args[LOOP_THIRD]);
    if (rc == NX_OK)
        rc = expr_vars_declare(parser->vars, "this", 4, &loop->slot, parser->err);
    if (rc == NX_OK)
        rc = expr_vars_declare(parser->vars, "value", 5, &loop->value_slot, parser->err);
    if (rc == NX_OK)
        rc = parser_expr(parser, &list[2].value, &node->args[LOOP_BODY]);
    expr_vars_release(parser->vars, mark);
    return rc;
}

/* --- evaluation ------------------------------------------------------------------------------- */

/* The input: NX_DONE when it is null, so that the result is. */
static enum nx_code loop_input(const struct expr *expr, struct expr_env *env,
                               struct nx_value *input, struct nx_err *err)
{
    enum nx_code rc = expr_child(expr->args[LOOP_INPUT], env, input, err);

    if (rc != NX_OK)
        return rc;
    if (nx_is_nullish(input))
        return NX_DONE;
    if (input->type != NX_TYPE_ARRAY)
        return expr_fail(expr, err, "wants 'input' as an array, not %s", nx_type_name(input->type));
    if (!env->vars)
        return nx_fail(err, NX_EINTERNAL, "%s is evaluated outside a scope", expr->op->name);
    return NX_OK;
}

/* Loops inside loops are where an expression's time goes: each round asks the budget. */
static enum nx_code loop_body(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                              struct nx_err *err)
{
    enum nx_code rc = expr_tick(env, err);

    return rc == NX_OK ? expr_child(expr->args[LOOP_BODY], env, out, err) : rc;
}

static enum nx_code eval_map(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                             struct nx_err *err)
{
    const struct loop *loop = expr->extra;
    struct value_list items = {0};
    struct nx_doc_iter iter;
    struct nx_value input;
    enum nx_code rc = loop_input(expr, env, &input, err);

    *out = NX_NULL;
    if (rc != NX_OK)
        return rc == NX_DONE ? NX_OK : rc;
    nx_doc_iter_init(&iter, nx_value_slice(&input));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        struct nx_value item;

        env->vars[loop->slot] = iter.value;
        rc = loop_body(expr, env, &item, err);
        if (rc == NX_OK)
            rc = value_list_push(&items, env->arena, &item, err);
    }
    return rc == NX_OK ? value_array(env->arena, &items, out, err) : rc;
}

/* 'limit' of $filter: absent or null is none. */
static enum nx_code filter_limit(const struct expr *expr, struct expr_env *env, int64_t *out,
                                 struct nx_err *err)
{
    struct nx_value limit;
    enum nx_code rc = expr_child(expr->args[LOOP_THIRD], env, &limit, err);

    *out = INT64_MAX;
    if (rc != NX_OK || nx_is_nullish(&limit))
        return rc;
    if (!nx_value_to_int64(&limit, out) || *out < 1 || *out > INT32_MAX)
        return expr_fail(expr, err, "wants 'limit' as a whole 32-bit number above 0");
    return NX_OK;
}

static enum nx_code eval_filter(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                                struct nx_err *err)
{
    const struct loop *loop = expr->extra;
    struct value_list items = {0};
    struct nx_doc_iter iter;
    struct nx_value input;
    int64_t limit;
    enum nx_code rc = loop_input(expr, env, &input, err);

    *out = NX_NULL;
    if (rc != NX_OK)
        return rc == NX_DONE ? NX_OK : rc;
    rc = filter_limit(expr, env, &limit, err);
    nx_doc_iter_init(&iter, nx_value_slice(&input));
    while (rc == NX_OK && (int64_t)items.len < limit && nx_doc_iter_next(&iter)) {
        struct nx_value keep;

        env->vars[loop->slot] = iter.value;
        rc = loop_body(expr, env, &keep, err);
        if (rc == NX_OK && expr_truth(&keep))
            rc = value_list_push(&items, env->arena, &iter.value, err);
    }
    return rc == NX_OK ? value_array(env->arena, &items, out, err) : rc;
}

static enum nx_code eval_reduce(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                                struct nx_err *err)
{
    const struct loop *loop = expr->extra;
    struct nx_doc_iter iter;
    struct nx_value input, value;
    enum nx_code rc = loop_input(expr, env, &input, err);

    *out = NX_NULL;
    if (rc != NX_OK)
        return rc == NX_DONE ? NX_OK : rc;
    rc = expr_child(expr->args[LOOP_THIRD], env, &value, err);
    nx_doc_iter_init(&iter, nx_value_slice(&input));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        env->vars[loop->slot] = iter.value;
        env->vars[loop->value_slot] = value;
        rc = loop_body(expr, env, &value, err);
        /* an expression that wraps its own result would nest without end */
        if (rc == NX_OK && value_deeper_than(&value, RESULT_MAX_DEPTH))
            return expr_fail(expr, err, "makes a value nested deeper than %d", RESULT_MAX_DEPTH);
    }
    *out = value;
    return rc;
}

/* --- $sortArray ------------------------------------------------------------------------------- */

struct array_order {
    int direction;          /* of whole values, or 0: by `spec` */
    struct sort_spec *spec; /* owned by the expression */
};

static void free_spec(void *spec)
{
    sort_spec_free(spec);
}

static enum nx_code parse_order(struct expr_parser *parser, struct expr *node,
                                const struct nx_value *by, struct array_order *order)
{
    int64_t direction;
    enum nx_code rc;

    *order = (struct array_order){0};
    if (by->type == NX_TYPE_DOCUMENT) {
        rc = sort_spec_parse(nx_value_slice(by), &order->spec, parser->err);
        return rc == NX_OK ? parser_own(parser, order->spec, free_spec) : rc;
    }
    if (!nx_value_to_int64(by, &direction) || (direction != 1 && direction != -1))
        return parser_fail(parser, node, "wants 'sortBy' as 1, -1 or an object of fields");
    order->direction = (int)direction;
    return NX_OK;
}

static enum nx_code parse_sort(struct expr_parser *parser, const struct nx_value *spec,
                               struct expr *node)
{
    struct member list[] = {{"input", true, NX_MISSING}, {"sortBy", true, NX_MISSING}};
    struct array_order *order = arena_alloc(parser_arena(parser), sizeof *order);
    enum nx_code rc = members(parser, spec, node, list, 2);

    node->args = arena_alloc(parser_arena(parser), sizeof *node->args);
    if (!order || !node->args)
        return nx_fail_nomem(parser->err);
    node->extra = order;
    if (rc == NX_OK)
        rc = parser_expr(parser, &list[0].value, &node->args[0]);
    if (rc == NX_OK)
        rc = parse_order(parser, node, &list[1].value, order);
    node->count = rc == NX_OK;
    return rc;
}

/* A value that is no object has none of the fields: it sorts as an empty one does. */
static int compare_items(const void *spec, const struct nx_value *a, const struct nx_value *b)
{
    struct nx_slice x = a->type == NX_TYPE_DOCUMENT ? nx_value_slice(a) : nx_doc_empty;
    struct nx_slice y = b->type == NX_TYPE_DOCUMENT ? nx_value_slice(b) : nx_doc_empty;

    return sort_spec_compare(spec, x, y);
}

static enum nx_code call_sort(struct call *call, struct nx_value *out)
{
    const struct array_order *order = call->expr->extra;
    struct value_list items = {0};
    enum nx_code rc;

    if (call->args[0].type != NX_TYPE_ARRAY)
        return call_fail(call, "wants 'input' as an array, not %s",
                         nx_type_name(call->args[0].type));
    rc = value_list_extend(&items, call->env->arena, &call->args[0], call->err);
    if (rc == NX_OK && order->direction)
        rc = value_list_sort(&items, call->env->arena, order->direction, call->err);
    else if (rc == NX_OK)
        rc = value_list_sort_by(&items, call->env->arena, compare_items, order->spec, call->err);
    return rc == NX_OK ? value_array(call->env->arena, &items, out, call->err) : rc;
}

static const struct expr_op table[] = {
    {"$filter", 2, 4, "input! as cond! limit", 0, NULL, eval_filter, parse_filter,
     "the elements for which a condition holds"},
    {"$map", 2, 3, "input! as in!", 0, NULL, eval_map, parse_map,
     "an expression's values over the elements"},
    {"$reduce", 3, 3, "input! initialValue! in!", 0, NULL, eval_reduce, parse_reduce,
     "the elements combined into one value"},
    {"$sortArray", 2, 2, "input! sortBy!", EXPR_NULLS, call_sort, NULL, parse_sort,
     "an array in order"},
};
const struct expr_family expr_array_higher = EXPR_FAMILY(table);

/*
 * expr.c - evaluating expressions: paths, variables, literals, and operators with all their
 * arguments.
 *
 * A node is a function and its operands; there is no dispatch on kinds. Values borrow from the
 * document, the expression or the arena, so reading a field copies nothing.
 */
#include "query/expr.h"

#include <stdarg.h>
#include <stdio.h>

#include "query/budget.h"
#include "query/expr_op.h"
#include "query/operators.h"

#define STACK_ARGS 8

static const struct expr_family *const families[] = {
    &expr_arith,   &expr_trig,         &expr_bits,        &expr_compare,
    &expr_string,  &expr_regex,        &expr_array,       &expr_object,
    &expr_set,     &expr_type,         &expr_date,        &expr_date_text,
    &expr_control, &expr_array_higher, &expr_accumulator, NULL,
};
const struct expr_family *const *const expr_families = families;

const struct expr_op *expr_op_find(const char *name, size_t len)
{
    for (const struct expr_family *const *family = families; *family; family++)
        for (size_t i = 0; i < (*family)->count; i++) {
            const struct expr_op *op = &(*family)->ops[i];

            if (strlen(op->name) == len && memcmp(op->name, name, len) == 0)
                return op;
        }
    return NULL;
}

void expr_each_operator(nx_operator_fn fn, void *arg)
{
    for (const struct expr_family *const *family = families; *family; family++)
        for (size_t i = 0; i < (*family)->count; i++) {
            const struct expr_op *op = &(*family)->ops[i];
            const struct nx_operator row = {op->name, NX_OPERATOR_EXPRESSION, op->help};

            fn(arg, &row);
        }
}

bool expr_truth(const struct nx_value *value)
{
    switch (value->type) {
    case NX_TYPE_MISSING:
    case NX_TYPE_NULL:
    case NX_TYPE_UNDEFINED:
        return false;
    case NX_TYPE_BOOL:
        return value->boolean;
    case NX_TYPE_INT32:
        return value->i32 != 0;
    case NX_TYPE_INT64:
        return value->i64 != 0;
    case NX_TYPE_DOUBLE:
        return value->f64 != 0; /* NaN is true */
    case NX_TYPE_DECIMAL128: {
        struct nx_value zero = nx_int32(0);

        return nx_value_compare(value, &zero) != 0;
    }
    default:
        return true;
    }
}

/* --- paths ------------------------------------------------------------------------------------ */

static enum nx_code walk_array(const struct nx_value *array, const struct expr_part *parts,
                               unsigned count, struct arena *arena, struct nx_value *out,
                               struct nx_err *err)
{
    struct value_list found = {0};
    struct nx_doc_iter iter;

    nx_doc_iter_init(&iter, nx_value_slice(array));
    while (nx_doc_iter_next(&iter)) {
        struct nx_value value;
        enum nx_code rc;

        if (iter.value.type != NX_TYPE_DOCUMENT)
            continue;
        rc = expr_walk(&iter.value, parts, count, arena, &value, err);
        if (rc == NX_OK && value.type != NX_TYPE_MISSING)
            rc = value_list_push(&found, arena, &value, err);
        if (rc != NX_OK)
            return rc;
    }
    return value_array(arena, &found, out, err);
}

enum nx_code expr_walk(const struct nx_value *from, const struct expr_part *parts, unsigned count,
                       struct arena *arena, struct nx_value *out, struct nx_err *err)
{
    struct nx_value at = *from;

    for (unsigned i = 0; i < count; i++) {
        if (at.type == NX_TYPE_ARRAY)
            return walk_array(&at, parts + i, count - i, arena, out, err);
        if (at.type != NX_TYPE_DOCUMENT) {
            at = NX_MISSING;
            break;
        }
        at = nx_doc_get(nx_value_slice(&at), parts[i].name, parts[i].len);
    }
    *out = at;
    return NX_OK;
}

/* --- operators -------------------------------------------------------------------------------- */

enum nx_code expr_child(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                        struct nx_err *err)
{
    *out = NX_MISSING;
    if (!expr)
        return NX_OK;
    if (expr->is_constant) {
        *out = expr->value;
        return NX_OK;
    }
    return expr->eval(expr, env, out, err);
}

static enum nx_code eval_args(const struct expr *expr, struct expr_env *env,
                              struct nx_value *values, struct nx_err *err)
{
    for (unsigned i = 0; i < expr->count; i++) {
        enum nx_code rc = expr_child(expr->args[i], env, &values[i], err);

        if (rc != NX_OK)
            return rc;
    }
    return NX_OK;
}

static bool has_null(const struct expr *expr, const struct nx_value *values)
{
    for (unsigned i = 0; i < expr->count; i++)
        if (expr->args[i] && nx_is_nullish(&values[i]))
            return true;
    return false;
}

static enum nx_code eval_strict(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                                struct nx_err *err)
{
    struct nx_value few[STACK_ARGS];
    struct nx_value *values = few;
    struct call call;
    enum nx_code rc;

    if (expr->count > STACK_ARGS) {
        values = arena_alloc(env->arena, expr->count * sizeof *values);
        if (!values)
            return nx_fail_nomem(err);
    }
    rc = eval_args(expr, env, values, err);
    if (rc != NX_OK)
        return rc;
    *out = NX_NULL;
    if ((expr->op->flags & EXPR_NULLS) && has_null(expr, values))
        return NX_OK;
    call = (struct call){expr, env, values, expr->count, err};
    return expr->op->call(&call, out);
}

expr_eval_fn expr_strict_eval(void)
{
    return eval_strict;
}

struct expr_env expr_env_for(struct budget *budget, struct arena *arena)
{
    arena->max_bytes = budget->limits.memory_bytes;
    return (struct expr_env){.root = nx_doc_empty,
                             .current = NX_MISSING,
                             .arena = arena,
                             .now = &budget->now,
                             .metadata = NX_MISSING,
                             .io = budget->io,
                             .budget = budget};
}

enum nx_code expr_tick(const struct expr_env *env, struct nx_err *err)
{
    return env->budget ? budget_tick(env->budget, err) : NX_OK;
}

static enum nx_code eval_in_scope(const struct expr *expr, struct expr_env *env,
                                  struct nx_value *out, struct nx_err *err)
{
    if (expr->own_slots) {
        env->vars = arena_alloc(env->arena, expr->own_slots * sizeof *env->vars);
        if (!env->vars)
            return nx_fail_nomem(err);
    }
    return expr_child(expr, env, out, err);
}

enum nx_code expr_eval(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                       struct nx_err *err)
{
    struct nx_value *outer = env->vars;
    enum nx_code rc = eval_in_scope(expr, env, out, err);

    env->vars = outer;
    if (rc == NX_ENOMEM && env->arena->refused)
        rc = nx_fail(err, NX_EBUDGET,
                     "an expression needs more than the query's memory limit of %zu bytes",
                     env->arena->max_bytes);
    return rc;
}

/* --- messages --------------------------------------------------------------------------------- */

static NX_PRINTF(4, 0) enum nx_code fail_v(const char *name, enum nx_code code, struct nx_err *err,
                                           const char *format, va_list args)
{
    char text[sizeof err->message - 64];

    vsnprintf(text, sizeof text, format, args);
    return nx_fail(err, code, "%s %s", name, text);
}

enum nx_code expr_fail(const struct expr *expr, struct nx_err *err, const char *format, ...)
{
    enum nx_code rc;
    va_list args;

    va_start(args, format);
    rc = fail_v(expr->op->name, NX_EEXPR, err, format, args);
    va_end(args);
    return rc;
}

enum nx_code call_fail(struct call *call, const char *format, ...)
{
    enum nx_code rc;
    va_list args;

    va_start(args, format);
    rc = fail_v(call->expr->op->name, NX_EEXPR, call->err, format, args);
    va_end(args);
    return rc;
}

enum nx_code parser_fail(struct expr_parser *parser, const struct expr *node, const char *format,
                         ...)
{
    enum nx_code rc;
    va_list args;

    va_start(args, format);
    rc = fail_v(node->op->name, NX_EQUERY, parser->err, format, args);
    va_end(args);
    return rc;
}

enum nx_code call_int32(struct call *call, unsigned arg, const char *what, int32_t *out)
{
    int64_t number;

    if (!nx_value_to_int64(&call->args[arg], &number) || number < INT32_MIN || number > INT32_MAX)
        return call_fail(call, "wants %s as a whole 32-bit number, not %s", what,
                         nx_is_number(&call->args[arg]) ? "a fraction or a larger one"
                                                        : nx_type_name(call->args[arg].type));
    *out = (int32_t)number;
    return NX_OK;
}

/*
 * expr_control.c - conditions, variables, literals, metadata and randomness.
 *
 * Conditions evaluate only the branch they take.
 */
#include <nexadb/io.h>

#include "query/expr_op.h"

/* --- conditions ------------------------------------------------------------------------------- */

static enum nx_code eval_cond(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                              struct nx_err *err)
{
    struct nx_value test;
    enum nx_code rc = expr_child(expr->args[0], env, &test, err);

    return rc == NX_OK ? expr_child(expr->args[expr_truth(&test) ? 1 : 2], env, out, err) : rc;
}

static enum nx_code eval_if_null(const struct expr *expr, struct expr_env *env,
                                 struct nx_value *out, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    for (unsigned i = 0; rc == NX_OK && i < expr->count; i++) {
        rc = expr_child(expr->args[i], env, out, err);
        if (rc == NX_OK && !nx_is_nullish(out))
            break;
    }
    return rc;
}

/* node->args: case, then, case, then, ..., default */
static enum nx_code eval_switch(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                                struct nx_err *err)
{
    unsigned last = expr->count - 1;

    for (unsigned i = 0; i < last; i += 2) {
        struct nx_value test;
        enum nx_code rc = expr_child(expr->args[i], env, &test, err);

        if (rc != NX_OK)
            return rc;
        if (expr_truth(&test))
            return expr_child(expr->args[i + 1], env, out, err);
    }
    if (!expr->args[last])
        return expr_fail(expr, err, "found no branch that matches, and has no default");
    return expr_child(expr->args[last], env, out, err);
}

static enum nx_code parse_branch(struct expr_parser *parser, struct expr *node,
                                 const struct nx_value *branch, struct expr **test,
                                 struct expr **then)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    if (branch->type != NX_TYPE_DOCUMENT)
        return parser_fail(parser, node, "wants each branch as {case, then}");
    nx_doc_iter_init(&iter, nx_value_slice(branch));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        bool is_case = strcmp(iter.key, "case") == 0;

        if (!is_case && strcmp(iter.key, "then") != 0)
            return parser_fail(parser, node, "has no argument '%.100s' in a branch", iter.key);
        rc = parser_expr(parser, &iter.value, is_case ? test : then);
    }
    if (rc == NX_OK && (!*test || !*then))
        return parser_fail(parser, node, "wants each branch as {case, then}");
    return rc;
}

static enum nx_code parse_branches(struct expr_parser *parser, struct expr *node,
                                   const struct nx_value *branches)
{
    size_t count = nx_doc_count(nx_value_slice(branches));
    struct nx_doc_iter iter;
    unsigned i = 0;
    enum nx_code rc = NX_OK;

    if (count == 0)
        return parser_fail(parser, node, "wants at least one branch");
    node->args = arena_alloc(parser_arena(parser), (2 * count + 1) * sizeof *node->args);
    if (!node->args)
        return nx_fail_nomem(parser->err);
    memset(node->args, 0, (2 * count + 1) * sizeof *node->args);
    node->count = (unsigned)(2 * count + 1);
    nx_doc_iter_init(&iter, nx_value_slice(branches));
    for (; rc == NX_OK && nx_doc_iter_next(&iter); i += 2)
        rc = parse_branch(parser, node, &iter.value, &node->args[i], &node->args[i + 1]);
    return rc;
}

static enum nx_code parse_switch(struct expr_parser *parser, const struct nx_value *spec,
                                 struct expr *node)
{
    struct nx_value branches, otherwise;
    struct nx_doc_iter iter;
    enum nx_code rc;

    if (spec->type != NX_TYPE_DOCUMENT)
        return parser_fail(parser, node, "wants an object, not %s", nx_type_name(spec->type));
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    while (nx_doc_iter_next(&iter))
        if (strcmp(iter.key, "branches") != 0 && strcmp(iter.key, "default") != 0)
            return parser_fail(parser, node, "has no argument '%.100s'", iter.key);
    branches = nx_doc_get_z(nx_value_slice(spec), "branches");
    otherwise = nx_doc_get_z(nx_value_slice(spec), "default");
    if (branches.type != NX_TYPE_ARRAY)
        return parser_fail(parser, node, "wants 'branches' as an array");
    rc = parse_branches(parser, node, &branches);
    if (rc == NX_OK && otherwise.type != NX_TYPE_MISSING)
        rc = parser_expr(parser, &otherwise, &node->args[node->count - 1]);
    return rc;
}

/* --- $let ------------------------------------------------------------------------------------- */

/* node->args: the variables' values, then the body; node->slot: of the first variable */
static enum nx_code eval_let(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                             struct nx_err *err)
{
    const unsigned *slots = expr->extra;
    unsigned count = expr->count - 1;

    if (!env->vars)
        return nx_fail(err, NX_EINTERNAL, "$let is evaluated outside a scope");
    for (unsigned i = 0; i < count; i++) {
        enum nx_code rc = expr_child(expr->args[i], env, &env->vars[slots[i]], err);

        if (rc != NX_OK)
            return rc;
    }
    return expr_child(expr->args[count], env, out, err);
}

static enum nx_code parse_let_vars(struct expr_parser *parser, struct expr *node,
                                   const struct nx_value *vars, unsigned *slots)
{
    struct nx_doc_iter iter;
    unsigned i = 0;
    enum nx_code rc = NX_OK;

    /* values see only what is outside: parse all before declaring any */
    nx_doc_iter_init(&iter, nx_value_slice(vars));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        if (!expr_var_name_ok(iter.key, iter.key_len))
            return parser_fail(
                parser, node, "wants names that begin with a small letter, not '%.100s'", iter.key);
        rc = parser_expr(parser, &iter.value, &node->args[i++]);
    }
    i = 0;
    nx_doc_iter_init(&iter, nx_value_slice(vars));
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = expr_vars_declare(parser->vars, iter.key, iter.key_len, &slots[i++], parser->err);
    return rc;
}

static enum nx_code check_let(struct expr_parser *parser, const struct nx_value *spec,
                              struct expr *node, struct nx_value *vars, struct nx_value *in)
{
    struct nx_doc_iter iter;

    if (spec->type != NX_TYPE_DOCUMENT)
        return parser_fail(parser, node, "wants {vars, in}, not %s", nx_type_name(spec->type));
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    while (nx_doc_iter_next(&iter))
        if (strcmp(iter.key, "vars") != 0 && strcmp(iter.key, "in") != 0)
            return parser_fail(parser, node, "has no argument '%.100s'", iter.key);
    *vars = nx_doc_get_z(nx_value_slice(spec), "vars");
    *in = nx_doc_get_z(nx_value_slice(spec), "in");
    if (vars->type != NX_TYPE_DOCUMENT)
        return parser_fail(parser, node, "wants 'vars' as an object");
    if (in->type == NX_TYPE_MISSING)
        return parser_fail(parser, node, "wants the argument 'in'");
    return NX_OK;
}

static enum nx_code parse_let(struct expr_parser *parser, const struct nx_value *spec,
                              struct expr *node)
{
    unsigned mark = expr_vars_mark(parser->vars), *slots;
    struct nx_value vars, in;
    size_t count;
    enum nx_code rc = check_let(parser, spec, node, &vars, &in);

    if (rc != NX_OK)
        return rc;
    count = nx_doc_count(nx_value_slice(&vars));
    slots = arena_alloc(parser_arena(parser), (count + 1) * sizeof *slots);
    node->args = arena_alloc(parser_arena(parser), (count + 1) * sizeof *node->args);
    if (!slots || !node->args)
        return nx_fail_nomem(parser->err);
    node->count = (unsigned)count + 1;
    node->extra = slots;
    rc = parse_let_vars(parser, node, &vars, slots);
    if (rc == NX_OK)
        rc = parser_expr(parser, &in, &node->args[count]);
    expr_vars_release(parser->vars, mark);
    return rc;
}

/* --- literals, metadata, randomness ----------------------------------------------------------- */

static enum nx_code parse_literal(struct expr_parser *parser, const struct nx_value *spec,
                                  struct expr *node)
{
    node->is_constant = true;
    return value_copy(parser_arena(parser), spec, &node->value, parser->err);
}

static enum nx_code eval_literal(const struct expr *expr, struct expr_env *env,
                                 struct nx_value *out, struct nx_err *err)
{
    (void)env;
    (void)err;
    *out = expr->value;
    return NX_OK;
}

static const char *const metas[] = {"vectorSearchScore", "searchScore", "textScore"};

static enum nx_code parse_meta(struct expr_parser *parser, const struct nx_value *spec,
                               struct expr *node)
{
    if (spec->type != NX_TYPE_STRING)
        return parser_fail(parser, node, "wants a name, not %s", nx_type_name(spec->type));
    for (size_t i = 0; i < sizeof metas / sizeof *metas; i++)
        if (strcmp(metas[i], (const char *)spec->data) == 0) {
            node->extra = metas[i];
            return NX_OK;
        }
    return parser_fail(parser, node,
                       "knows vectorSearchScore, searchScore and textScore, not '%.80s'",
                       (const char *)spec->data);
}

static enum nx_code eval_meta(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                              struct nx_err *err)
{
    (void)err;
    *out = NX_MISSING;
    if (env->metadata.type == NX_TYPE_DOCUMENT)
        *out = nx_doc_get_z(nx_value_slice(&env->metadata), expr->extra);
    return NX_OK;
}

static double random_unit(struct expr_env *env)
{
    struct nx_io *io = env->io ? env->io : nx_io_posix();
    uint64_t bits;

    io->ops->random(io, &bits, sizeof bits);
    return (double)(bits >> 11) * 0x1p-53;
}

static enum nx_code parse_rand(struct expr_parser *parser, const struct nx_value *spec,
                               struct expr *node)
{
    if ((spec->type == NX_TYPE_DOCUMENT || spec->type == NX_TYPE_ARRAY) &&
        nx_doc_is_empty(nx_value_slice(spec)))
        return NX_OK;
    return parser_fail(parser, node, "takes no argument: {$rand: {}}");
}

static enum nx_code call_rand(struct call *call, struct nx_value *out)
{
    *out = nx_double(random_unit(call->env));
    return NX_OK;
}

static enum nx_code eval_sample_rate(const struct expr *expr, struct expr_env *env,
                                     struct nx_value *out, struct nx_err *err)
{
    struct nx_value rate;
    enum nx_code rc = expr_child(expr->args[0], env, &rate, err);
    double share = nx_value_to_double(&rate);

    if (rc != NX_OK)
        return rc;
    if (!nx_is_number(&rate) || !(share >= 0 && share <= 1))
        return expr_fail(expr, err, "wants a number from 0 to 1");
    *out = nx_bool(random_unit(env) < share);
    return NX_OK;
}

static const struct expr_op table[] = {
    {"$cond", 3, 3, "if! then! else!", EXPR_EITHER, NULL, eval_cond, NULL,
     "one of two values by a condition"},
    {"$const", 1, 1, NULL, 0, NULL, eval_literal, parse_literal, "a value as it stands: $literal"},
    {"$ifNull", 2, EXPR_ANY, NULL, 0, NULL, eval_if_null, NULL,
     "the first value that is neither null nor missing"},
    {"$let", 2, 2, "vars! in!", 0, NULL, eval_let, parse_let, "an expression with variables"},
    {"$literal", 1, 1, NULL, 0, NULL, eval_literal, parse_literal, "a value as it stands"},
    {"$meta", 1, 1, NULL, EXPR_VOLATILE, NULL, eval_meta, parse_meta, "the score of a search"},
    {"$rand", 0, 0, NULL, EXPR_VOLATILE, call_rand, NULL, parse_rand,
     "a random number from 0 to 1"},
    {"$sampleRate", 1, 1, NULL, EXPR_VOLATILE, NULL, eval_sample_rate, NULL,
     "true at random, at a rate"},
    {"$switch", 1, 2, "branches! default", 0, NULL, eval_switch, parse_switch,
     "the value of the first branch whose case is true"},
};
const struct expr_family expr_control = EXPR_FAMILY(table);

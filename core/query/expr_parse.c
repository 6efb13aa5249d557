/*
 * expr_parse.c - from BSON to nodes: paths, variables, literals, operators and their arguments.
 *
 * All nodes of one expression live in one pool. A strict operator whose arguments are all constants
 * is evaluated here, once; when that fails it is left as it is, so that the error comes only if the
 * expression is reached. Nesting is bounded by the depth of the BSON it comes from.
 */
#include <stdio.h>
#include <stdlib.h>

#include <nexadb/io.h>

#include "query/expr.h"
#include "query/expr_op.h"

#define VARS_MAX 500
#define FOLD_MAX_BYTES (64u << 10)
#define NAME_MAX_BYTES 255
#define ARGS_NAMED_MAX 12

struct owned {
    void *object;
    void (*free_object)(void *);
    struct owned *next;
};

struct expr_pool {
    struct arena arena;
    struct owned *owned;
};

/* --- variables -------------------------------------------------------------------------------- */

struct expr_vars {
    char **names; /* owned, `count` of them, in the order of declaration */
    unsigned count;
    unsigned cap;
    unsigned most;
};

struct expr_vars *expr_vars_new(void)
{
    return calloc(1, sizeof(struct expr_vars));
}

void expr_vars_free(struct expr_vars *vars)
{
    if (!vars)
        return;
    expr_vars_release(vars, 0);
    free(vars->names);
    free(vars);
}

enum nx_code expr_vars_declare(struct expr_vars *vars, const char *name, size_t len, unsigned *slot,
                               struct nx_err *err)
{
    char *copy;

    if (len == 0 || len > NAME_MAX_BYTES)
        return nx_fail(err, NX_EQUERY, "a variable's name has 1 to %d bytes, not %zu",
                       NAME_MAX_BYTES, len);
    if (vars->count == VARS_MAX)
        return nx_fail(err, NX_EQUERY, "more than %d variables in scope", VARS_MAX);
    if (vars->count == vars->cap) {
        unsigned cap = vars->cap ? vars->cap * 2 : 8;
        char **names = realloc(vars->names, cap * sizeof *names);

        if (!names)
            return nx_fail_nomem(err);
        vars->names = names;
        vars->cap = cap;
    }
    copy = strndup(name, len);
    if (!copy)
        return nx_fail_nomem(err);
    *slot = vars->count;
    vars->names[vars->count++] = copy;
    if (vars->count > vars->most)
        vars->most = vars->count;
    return NX_OK;
}

unsigned expr_vars_slots(const struct expr_vars *vars)
{
    return vars->most;
}

unsigned expr_vars_mark(const struct expr_vars *vars)
{
    return vars->count;
}

void expr_vars_release(struct expr_vars *vars, unsigned mark)
{
    while (vars->count > mark)
        free(vars->names[--vars->count]);
}

bool expr_var_name_ok(const char *name, size_t len)
{
    if (len == 0 || !((name[0] >= 'a' && name[0] <= 'z') || (name[0] & 0x80)))
        return false;
    for (size_t i = 1; i < len; i++) {
        char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || (c & 0x80)))
            return false;
    }
    return true;
}

static bool vars_find(const struct expr_vars *vars, const char *name, size_t len, unsigned *slot)
{
    for (unsigned i = vars->count; i-- > 0;)
        if (strlen(vars->names[i]) == len && memcmp(vars->names[i], name, len) == 0) {
            *slot = i;
            return true;
        }
    return false;
}

/* --- the pool --------------------------------------------------------------------------------- */

static void pool_free(struct expr_pool *pool)
{
    for (struct owned *owned = pool->owned; owned; owned = owned->next)
        owned->free_object(owned->object);
    arena_fini(&pool->arena);
    free(pool);
}

void expr_free(struct expr *expr)
{
    if (expr)
        pool_free(expr->pool);
}

struct arena *parser_arena(struct expr_parser *parser)
{
    return &parser->pool->arena;
}

enum nx_code parser_own(struct expr_parser *parser, void *object, void (*free_object)(void *))
{
    struct owned *owned = arena_alloc(&parser->pool->arena, sizeof *owned);

    if (!owned) {
        free_object(object);
        return nx_fail_nomem(parser->err);
    }
    *owned = (struct owned){object, free_object, parser->pool->owned};
    parser->pool->owned = owned;
    return NX_OK;
}

static struct expr *new_node(struct expr_parser *parser)
{
    struct expr *node = arena_alloc(&parser->pool->arena, sizeof *node);

    if (node)
        *node = (struct expr){0};
    return node;
}

static enum nx_code set_args(struct expr_parser *parser, struct expr *node, size_t count)
{
    node->args = arena_alloc(&parser->pool->arena, (count + 1) * sizeof *node->args);
    if (!node->args)
        return nx_fail_nomem(parser->err);
    memset(node->args, 0, (count + 1) * sizeof *node->args);
    node->count = (unsigned)count;
    return NX_OK;
}

/* --- constants, paths, variables -------------------------------------------------------------- */

static enum nx_code parse_constant(struct expr_parser *parser, const struct nx_value *spec,
                                   struct expr *node)
{
    node->is_constant = true;
    return value_copy(&parser->pool->arena, spec, &node->value, parser->err);
}

/*
 * Replace a node whose operands are constants by its value, where it has one, and one of a modest
 * size: what grows is evaluated when it is reached, under the query's limits.
 */
static void fold(struct expr_parser *parser, struct expr *node)
{
    struct arena scratch = {.max_bytes = FOLD_MAX_BYTES};
    struct expr_env env = {
        .root = nx_doc_empty, .current = NX_MISSING, .arena = &scratch, .metadata = NX_MISSING};
    struct nx_value value;

    for (unsigned i = 0; i < node->count; i++)
        if (node->args[i] && !node->args[i]->is_constant)
            return;
    node->is_constant = node->eval(node, &env, &value, NULL) == NX_OK &&
                        value_copy(&parser->pool->arena, &value, &node->value, NULL) == NX_OK;
    arena_fini(&scratch);
}

enum nx_code expr_split_path(const char *text, size_t len, struct arena *arena,
                             const struct expr_part **parts, unsigned *count, struct nx_err *err)
{
    const char *copy = arena_copy(arena, text, len ? len : 1);
    struct expr_part *split;
    unsigned used = 0;

    split = arena_alloc(arena, (NX_DOC_MAX_DEPTH + 1) * sizeof *split);
    if (!copy || !split)
        return nx_fail_nomem(err);
    for (size_t start = 0; start <= len;) {
        const char *dot = start < len ? memchr(copy + start, '.', len - start) : NULL;
        size_t end = dot ? (size_t)(dot - copy) : len;

        if (end == start || copy[start] == '$' || memchr(copy + start, 0, end - start))
            return nx_fail(err, NX_EQUERY,
                           "'%.*s' is not a path: a part is empty, or begins with $",
                           (int)(len < 200 ? len : 200), text);
        if (used == NX_DOC_MAX_DEPTH)
            return nx_fail(err, NX_EQUERY, "a path has more than %d parts", NX_DOC_MAX_DEPTH);
        split[used++] = (struct expr_part){copy + start, (uint32_t)(end - start)};
        start = end + 1;
    }
    *parts = split;
    *count = used;
    return NX_OK;
}

static struct nx_value current_of(const struct expr_env *env)
{
    return env->current.type != NX_TYPE_MISSING ? env->current : nx_doc_value(env->root);
}

static enum nx_code eval_current(const struct expr *expr, struct expr_env *env,
                                 struct nx_value *out, struct nx_err *err)
{
    struct nx_value from = current_of(env);

    return expr_walk(&from, expr->parts, expr->part_count, env->arena, out, err);
}

static enum nx_code eval_root(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                              struct nx_err *err)
{
    struct nx_value from = nx_doc_value(env->root);

    return expr_walk(&from, expr->parts, expr->part_count, env->arena, out, err);
}

static enum nx_code eval_variable(const struct expr *expr, struct expr_env *env,
                                  struct nx_value *out, struct nx_err *err)
{
    if (!env->vars)
        return nx_fail(err, NX_EINTERNAL, "a variable is read outside its scope");
    return expr_walk(&env->vars[expr->slot], expr->parts, expr->part_count, env->arena, out, err);
}

static enum nx_code eval_now(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                             struct nx_err *err)
{
    struct nx_io *io = env->io ? env->io : nx_io_posix();
    struct nx_value now =
        env->now ? *env->now : nx_date((int64_t)(io->ops->realtime_ns(io) / 1000000u));

    return expr_walk(&now, expr->parts, expr->part_count, env->arena, out, err);
}

/* What $redact's verdicts and $$REMOVE are: values. */
static const struct {
    const char *name;
    expr_eval_fn eval;    /* NULL: a constant */
    const char *constant; /* NULL: missing */
} system_vars[] = {
    {"CURRENT", eval_current, NULL}, {"ROOT", eval_root, NULL},    {"NOW", eval_now, NULL},
    {"REMOVE", NULL, NULL},          {"DESCEND", NULL, "descend"}, {"PRUNE", NULL, "prune"},
    {"KEEP", NULL, "keep"},
};

static bool bind_system(struct expr *node, const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof system_vars / sizeof *system_vars; i++) {
        if (strlen(system_vars[i].name) != len || memcmp(system_vars[i].name, name, len) != 0)
            continue;
        node->eval = system_vars[i].eval;
        node->is_constant = node->eval == NULL;
        node->value = system_vars[i].constant ? nx_string_z(system_vars[i].constant) : NX_MISSING;
        return true;
    }
    return false;
}

/* "$$name.rest" */
static enum nx_code parse_variable(struct expr_parser *parser, const char *text, size_t len,
                                   struct expr *node)
{
    const char *dot = memchr(text, '.', len);
    size_t name_len = dot ? (size_t)(dot - text) : len;

    if (vars_find(parser->vars, text, name_len, &node->slot))
        node->eval = eval_variable;
    else if (!bind_system(node, text, name_len))
        return nx_fail(parser->err, NX_EQUERY, "use of the undefined variable '$$%.*s'",
                       (int)(name_len < 100 ? name_len : 100), text);
    if (!dot)
        return NX_OK;
    if (node->is_constant) { /* a field of a string or of nothing */
        node->value = NX_MISSING;
        return NX_OK;
    }
    return expr_split_path(dot + 1, len - name_len - 1, &parser->pool->arena, &node->parts,
                           &node->part_count, parser->err);
}

static enum nx_code parse_string(struct expr_parser *parser, const struct nx_value *spec,
                                 struct expr *node)
{
    const char *text = (const char *)spec->data;

    if (spec->len == 0 || text[0] != '$')
        return parse_constant(parser, spec, node);
    if (spec->len == 1)
        return nx_fail(parser->err, NX_EQUERY, "'$' by itself is not a field path");
    if (text[1] == '$')
        return parse_variable(parser, text + 2, spec->len - 2, node);
    node->eval = eval_current;
    return expr_split_path(text + 1, spec->len - 1, &parser->pool->arena, &node->parts,
                           &node->part_count, parser->err);
}

/* --- literals of arrays and objects ----------------------------------------------------------- */

static enum nx_code eval_array(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                               struct nx_err *err)
{
    struct value_list items = {0};

    for (unsigned i = 0; i < expr->count; i++) {
        struct nx_value value;
        enum nx_code rc = expr_child(expr->args[i], env, &value, err);

        if (rc == NX_OK)
            rc = value_list_push(&items, env->arena, &value, err);
        if (rc != NX_OK)
            return rc;
    }
    return value_array(env->arena, &items, out, err);
}

static enum nx_code eval_object(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                                struct nx_err *err)
{
    const struct expr_part *keys = expr->extra;
    struct field_list fields = {0};

    for (unsigned i = 0; i < expr->count; i++) {
        struct nx_value value;
        enum nx_code rc = expr_child(expr->args[i], env, &value, err);

        if (rc == NX_OK)
            rc = field_list_push(&fields, env->arena, keys[i].name, keys[i].len, value, err);
        if (rc != NX_OK)
            return rc;
    }
    return value_document(env->arena, &fields, out, err);
}

static enum nx_code parse_items(struct expr_parser *parser, const struct nx_value *spec,
                                struct expr *node)
{
    struct nx_doc_iter iter;
    enum nx_code rc = set_args(parser, node, nx_doc_count(nx_value_slice(spec)));
    unsigned i = 0;

    nx_doc_iter_init(&iter, nx_value_slice(spec));
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = parser_expr(parser, &iter.value, &node->args[i++]);
    return rc;
}

static enum nx_code check_key(struct expr_parser *parser, const char *key, size_t len)
{
    if (len && key[0] == '$')
        return nx_fail(parser->err, NX_EQUERY,
                       "an object with the operator '%.100s' must hold nothing else", key);
    if (len == 0 || memchr(key, '.', len))
        return nx_fail(parser->err, NX_EQUERY,
                       "'%.100s' cannot be a field of an object literal: it is empty or has a dot",
                       key);
    return NX_OK;
}

static enum nx_code parse_object(struct expr_parser *parser, const struct nx_value *spec,
                                 struct expr *node)
{
    struct nx_doc_iter iter;
    size_t count = nx_doc_count(nx_value_slice(spec));
    struct expr_part *keys = arena_alloc(&parser->pool->arena, (count + 1) * sizeof *keys);
    enum nx_code rc;
    unsigned i = 0;

    if (!keys)
        return nx_fail_nomem(parser->err);
    node->eval = eval_object;
    node->extra = keys;
    rc = parse_items(parser, spec, node);
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        rc = check_key(parser, iter.key, iter.key_len);
        keys[i].len = iter.key_len;
        keys[i].name = arena_copy(&parser->pool->arena, iter.key, iter.key_len + 1);
        if (rc == NX_OK && !keys[i++].name)
            rc = nx_fail_nomem(parser->err);
    }
    if (rc == NX_OK)
        fold(parser, node);
    return rc;
}

/* --- operators -------------------------------------------------------------------------------- */

static enum nx_code check_count(struct expr_parser *parser, const struct expr *node, size_t given)
{
    const struct expr_op *op = node->op;

    if (given >= (size_t)op->min && given <= (size_t)op->max)
        return NX_OK;
    if (op->min == op->max)
        return parser_fail(parser, node, "takes exactly %d argument%s, %zu given", op->min,
                           op->min == 1 ? "" : "s", given);
    if (op->max == EXPR_ANY)
        return parser_fail(parser, node, "takes at least %d arguments, %zu given", op->min, given);
    return parser_fail(parser, node, "takes %d to %d arguments, %zu given", op->min, op->max,
                       given);
}

enum nx_code parser_positional(struct expr_parser *parser, const struct nx_value *spec,
                               struct expr *node)
{
    enum nx_code rc;

    if (spec->type == NX_TYPE_ARRAY) {
        rc = check_count(parser, node, nx_doc_count(nx_value_slice(spec)));
        return rc == NX_OK ? parse_items(parser, spec, node) : rc;
    }
    rc = check_count(parser, node, 1);
    if (rc == NX_OK)
        rc = set_args(parser, node, 1);
    if (rc == NX_OK)
        rc = parser_expr(parser, spec, &node->args[0]);
    return rc;
}

struct arg_name {
    const char *text;
    size_t len;
    bool required;
};

static unsigned split_names(const char *names, struct arg_name out[ARGS_NAMED_MAX])
{
    unsigned count = 0;

    while (*names && count < ARGS_NAMED_MAX) {
        size_t len = strcspn(names, " ");
        bool required = names[len - 1] == '!';

        out[count++] = (struct arg_name){names, len - required, required};
        names += len + (names[len] == ' ');
    }
    return count;
}

enum nx_code parser_named(struct expr_parser *parser, const struct nx_value *spec,
                          struct expr *node)
{
    struct arg_name names[ARGS_NAMED_MAX];
    unsigned count = split_names(node->op->names, names);
    struct nx_doc_iter iter;
    enum nx_code rc;

    if (spec->type != NX_TYPE_DOCUMENT)
        return parser_fail(parser, node, "wants an object with its arguments by name, not %s",
                           nx_type_name(spec->type));
    rc = set_args(parser, node, count);
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        unsigned i = 0;

        while (i < count &&
               (names[i].len != iter.key_len || memcmp(names[i].text, iter.key, iter.key_len) != 0))
            i++;
        if (i == count)
            return parser_fail(parser, node, "has no argument '%.100s'", iter.key);
        rc = parser_expr(parser, &iter.value, &node->args[i]);
    }
    for (unsigned i = 0; rc == NX_OK && i < count; i++)
        if (names[i].required && !node->args[i])
            rc = parser_fail(parser, node, "wants the argument '%.*s'", (int)names[i].len,
                             names[i].text);
    return rc;
}

/* True for an object that gives arguments by name rather than being an expression itself. */
static bool is_named_form(const struct nx_value *spec)
{
    struct nx_doc_iter iter;

    if (spec->type != NX_TYPE_DOCUMENT)
        return false;
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    return nx_doc_iter_next(&iter) && iter.key[0] != '$';
}

static enum nx_code parse_args(struct expr_parser *parser, const struct nx_value *spec,
                               struct expr *node)
{
    const struct expr_op *op = node->op;

    if (op->parse)
        return op->parse(parser, spec, node);
    if (op->names && (!(op->flags & EXPR_EITHER) || is_named_form(spec)))
        return parser_named(parser, spec, node);
    return parser_positional(parser, spec, node);
}

static enum nx_code parse_operator(struct expr_parser *parser, const struct nx_doc_iter *field,
                                   struct expr *node)
{
    enum nx_code rc;

    node->op = expr_op_find(field->key, field->key_len);
    if (!node->op)
        return nx_fail(parser->err, NX_EOPERATOR, "unknown expression operator '%.100s'",
                       field->key);
    node->eval = node->op->eval ? node->op->eval : expr_strict_eval();
    rc = parse_args(parser, &field->value, node);
    if (rc == NX_OK && node->op->call && !(node->op->flags & EXPR_VOLATILE) && !node->is_constant)
        fold(parser, node);
    return rc;
}

static enum nx_code parse_document(struct expr_parser *parser, const struct nx_value *spec,
                                   struct expr *node)
{
    struct nx_doc_iter iter;

    nx_doc_iter_init(&iter, nx_value_slice(spec));
    if (!nx_doc_iter_next(&iter))
        return parse_constant(parser, spec, node);
    if (iter.key[0] != '$')
        return parse_object(parser, spec, node);
    if (nx_doc_count(nx_value_slice(spec)) != 1)
        return nx_fail(parser->err, NX_EQUERY,
                       "an object with the operator '%.100s' must hold nothing else", iter.key);
    return parse_operator(parser, &iter, node);
}

enum nx_code parser_expr(struct expr_parser *parser, const struct nx_value *spec, struct expr **out)
{
    struct expr *node = new_node(parser);
    enum nx_code rc;

    *out = node;
    if (!node)
        return nx_fail_nomem(parser->err);
    switch (spec->type) {
    case NX_TYPE_STRING:
        return parse_string(parser, spec, node);
    case NX_TYPE_DOCUMENT:
        return parse_document(parser, spec, node);
    case NX_TYPE_ARRAY:
        node->eval = eval_array;
        rc = parse_items(parser, spec, node);
        if (rc == NX_OK)
            fold(parser, node);
        return rc;
    default:
        return parse_constant(parser, spec, node);
    }
}

enum nx_code expr_parse(const struct nx_value *spec, struct expr_vars *vars, struct expr **out,
                        struct nx_err *err)
{
    struct expr_parser parser = {calloc(1, sizeof *parser.pool), vars, err};
    struct expr_vars *own = vars ? NULL : expr_vars_new();
    struct expr *root = NULL;
    enum nx_code rc = NX_ENOMEM;

    *out = NULL;
    if (!vars)
        parser.vars = own;
    if (parser.pool && parser.vars)
        rc = parser_expr(&parser, spec, &root);
    else
        nx_fail_nomem(err);
    if (rc == NX_OK) {
        root->pool = parser.pool;
        root->own_slots = own ? expr_vars_slots(own) : 0;
        *out = root;
    } else if (parser.pool) {
        pool_free(parser.pool);
    }
    expr_vars_free(own);
    return rc;
}

/*
 * filter_match.c - matching: the tree over raw BSON, without allocation.
 *
 * A predicate at a path of one part, which most are, looks the field up and tests it. Longer paths
 * go through doc/path.h, which fans out over arrays. In both cases an array at the end is tested by
 * its elements and as a whole, unless the operator is about the array itself (OP_WHOLE).
 */
#include <string.h>

#include "query/budget.h"
#include "query/filter_node.h"
#include "query/json_schema.h"

static bool test_value(const struct filter_node *node, const struct nx_value *value,
                       struct match *match)
{
    return match->failed == NX_OK && node->pred.op->test(&node->pred, value, match);
}

static bool test_expanded(const struct filter_node *node, const struct nx_value *value,
                          struct match *match)
{
    struct nx_doc_iter iter;

    if (value->type == NX_TYPE_ARRAY && !(node->pred.op->flags & OP_WHOLE)) {
        nx_doc_iter_init(&iter, nx_value_slice(value));
        while (nx_doc_iter_next(&iter))
            if (test_value(node, &iter.value, match))
                return true;
    }
    return test_value(node, value, match);
}

struct walk {
    const struct filter_node *node;
    struct match *match;
};

static bool test_reached(void *arg, const struct nx_value *value)
{
    struct walk *walk = arg;

    return test_value(walk->node, value, walk->match);
}

static bool match_pred(const struct filter_node *node, const struct nx_value *subject,
                       struct match *match)
{
    const struct path *path = &node->path;
    struct walk walk = {node, match};
    struct nx_value value;

    if (path->count == 0)
        return match->expand ? test_expanded(node, subject, match)
                             : test_value(node, subject, match);
    if (subject->type != NX_TYPE_DOCUMENT && subject->type != NX_TYPE_ARRAY)
        return false;
    if (path->count == 1) {
        value = nx_doc_get(nx_value_slice(subject), path->parts[0].name, path->parts[0].len);
        return test_expanded(node, &value, match);
    }
    if (node->pred.op->flags & OP_WHOLE)
        return path_each(path, nx_value_slice(subject), test_reached, &walk);
    return path_each_expanded(path, nx_value_slice(subject), test_reached, &walk);
}

static bool match_and(const struct filter_node *node, const struct nx_value *subject,
                      struct match *match)
{
    for (uint32_t i = 0; i < node->kid_count; i++)
        if (!filter_node_match(node->kids[i], subject, match))
            return false;
    return true;
}

static bool match_or(const struct filter_node *node, const struct nx_value *subject,
                     struct match *match)
{
    for (uint32_t i = 0; i < node->kid_count; i++)
        if (filter_node_match(node->kids[i], subject, match))
            return true;
    return false;
}

static bool match_nor(const struct filter_node *node, const struct nx_value *subject,
                      struct match *match)
{
    return !match_or(node, subject, match);
}

static bool match_not(const struct filter_node *node, const struct nx_value *subject,
                      struct match *match)
{
    return !filter_node_match(node->kids[0], subject, match);
}

static bool match_expr(const struct filter_node *node, const struct nx_value *subject,
                       struct match *match)
{
    struct nx_value value;

    if (!match->env) {
        match->failed = nx_fail(match->err, NX_EQUERY, "$expr cannot be evaluated here");
        return false;
    }
    match->env->root = nx_value_slice(subject);
    match->failed = expr_eval(node->expr, match->env, &value, match->err);
    return match->failed == NX_OK && expr_truth(&value);
}

static bool match_schema(const struct filter_node *node, const struct nx_value *subject,
                         struct match *match)
{
    bool valid = false;

    match->failed = json_schema_check(node->schema, subject, &valid, match->err);
    return valid;
}

static bool match_never(const struct filter_node *node, const struct nx_value *subject,
                        struct match *match)
{
    (void)node;
    (void)subject;
    (void)match;
    return false;
}

typedef bool (*match_fn)(const struct filter_node *node, const struct nx_value *subject,
                         struct match *match);
static const match_fn matchers[] = {
    [NODE_AND] = match_and,       [NODE_OR] = match_or,       [NODE_NOR] = match_nor,
    [NODE_NOT] = match_not,       [NODE_PRED] = match_pred,   [NODE_EXPR] = match_expr,
    [NODE_SCHEMA] = match_schema, [NODE_NEVER] = match_never,
};
_Static_assert(sizeof matchers / sizeof *matchers == NODE_KIND_COUNT, "one row a kind");

bool filter_node_match(const struct filter_node *node, const struct nx_value *subject,
                       struct match *match)
{
    return match->failed == NX_OK && matchers[node->kind](node, subject, match);
}

static enum nx_code run(const struct filter *filter, const struct nx_value *subject,
                        struct match *match, bool *out)
{
    *out = filter_node_match(filter->root, subject, match) && match->failed == NX_OK;
    return match->failed;
}

/* $expr with a scope of the filter's own: its slots, and an arena when the caller has none. */
static enum nx_code run_with_scope(const struct filter *filter, const struct nx_value *subject,
                                   struct match *match, bool *out)
{
    struct arena arena = ARENA_INIT;
    struct nx_value now =
        nx_date((int64_t)(nx_io_posix()->ops->realtime_ns(nx_io_posix()) / 1000000u));
    struct expr_env env = {.arena = &arena,
                           .now = &now,
                           .io = nx_io_posix(),
                           .current = NX_MISSING,
                           .metadata = NX_MISSING};
    unsigned slots = filter->own_vars ? expr_vars_slots(filter->own_vars) : 0;
    struct expr_env *outer = match->env;
    enum nx_code rc;

    arena.max_bytes = BUDGET_DEFAULT_BYTES;
    if (outer)
        env = *outer;
    if (filter->own_vars) {
        env.vars = arena_alloc(env.arena, (slots + 1) * sizeof *env.vars);
        if (!env.vars)
            return nx_fail_nomem(match->err);
        for (unsigned i = 0; i <= slots; i++)
            env.vars[i] = NX_MISSING;
    }
    match->env = &env;
    rc = run(filter, subject, match, out);
    match->env = outer;
    arena_fini(&arena);
    return rc;
}

enum nx_code filter_match(const struct filter *filter, struct nx_slice doc, struct expr_env *env,
                          bool *out, struct nx_err *err)
{
    struct match match = {.env = env, .err = err, .failed = NX_OK};
    struct nx_value subject = nx_doc_value(doc);

    if (filter->has_expr)
        return run_with_scope(filter, &subject, &match, out);
    return run(filter, &subject, &match, out);
}

enum nx_code filter_match_value(const struct filter *filter, const struct nx_value *value,
                                bool *out, struct nx_err *err)
{
    struct match match = {.err = err, .failed = NX_OK, .expand = true};

    *out = false;
    if (filter->is_document_condition && value->type != NX_TYPE_DOCUMENT)
        return NX_OK;
    return run(filter, value, &match, out);
}

enum nx_code filter_first_element(const struct filter *filter, const struct nx_value *array,
                                  struct nx_value *out, struct nx_err *err)
{
    const struct pred *pred = &filter->root->kids[0]->pred; /* {$elemMatch: ...} has one operator */
    struct match match = {.err = err, .failed = NX_OK};
    struct nx_doc_iter iter;

    *out = NX_MISSING;
    if (array->type != NX_TYPE_ARRAY)
        return NX_OK;
    nx_doc_iter_init(&iter, nx_value_slice(array));
    while (nx_doc_iter_next(&iter)) {
        if (!filter_element_meets(pred, &iter.value, &match))
            continue;
        *out = iter.value;
        break;
    }
    return match.failed;
}

enum nx_code nx_query_matches(struct nx_slice filter, struct nx_slice doc, bool *out,
                              struct nx_err *err)
{
    struct filter *parsed;
    enum nx_code rc;

    *out = false;
    rc = filter_parse(filter, NULL, &parsed, err);
    if (rc == NX_OK)
        rc = filter_match(parsed, doc, NULL, out, err);
    filter_free(parsed);
    return rc;
}

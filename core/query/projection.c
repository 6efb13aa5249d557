/*
 * projection.c - from a projection's BSON to its tree.
 *
 * Dotted names and nested objects mean the same: {"a.b": 1} and {a: {b: 1}}. Which of the two modes
 * a projection has - the fields to keep, or the fields to leave out - is decided by its first plain
 * 1 or 0; both together are refused, but for _id.
 */
#include <stdlib.h>

#include "query/filter.h"
#include "query/operators.h"
#include "query/projection_node.h"

struct parser {
    struct projection *out;
    struct expr_vars *vars;
    struct nx_err *err;
    bool includes_id, excludes_id;
    bool has_slice, has_other; /* $slice alone leaves every other field in */
};

static const struct nx_operator operators[] = {
    {"$", NX_OPERATOR_PROJECTION, "the element of the array that made the document match"},
    {"$elemMatch", NX_OPERATOR_PROJECTION, "the first element that satisfies the conditions"},
    {"$slice", NX_OPERATOR_PROJECTION, "so many elements from the beginning, the end or a place"},
};

void projection_each_operator(nx_operator_fn fn, void *arg)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        fn(arg, &operators[i]);
}

void project_node_fini(struct project_node *node)
{
    for (uint32_t i = 0; i < node->kid_count; i++) {
        project_node_fini(node->kids[i]);
        free(node->kids[i]);
    }
    free(node->kids);
    free(node->name);
    expr_free(node->expr);
    filter_free(node->condition);
}

static struct project_node *find_kid(const struct project_node *node, const char *name, size_t len)
{
    for (uint32_t i = 0; i < node->kid_count; i++)
        if (node->kids[i]->name_len == len && memcmp(node->kids[i]->name, name, len) == 0)
            return node->kids[i];
    return NULL;
}

static enum nx_code add_kid(struct project_node *node, const char *name, size_t len,
                            struct project_node **out, struct nx_err *err)
{
    struct project_node **kids = realloc(node->kids, (node->kid_count + 1) * sizeof *kids);
    struct project_node *kid;

    if (!kids)
        return nx_fail_nomem(err);
    node->kids = kids;
    kid = calloc(1, sizeof *kid);
    if (!kid)
        return nx_fail_nomem(err);
    node->kids[node->kid_count++] = kid;
    kid->name = strndup(name, len);
    kid->name_len = len;
    *out = kid;
    return kid->name ? NX_OK : nx_fail_nomem(err);
}

/* The node at a dotted name below `node`, made with what leads to it. */
static enum nx_code make_node(struct parser *parser, struct project_node *node, const char *name,
                              size_t len, struct project_node **out)
{
    struct path path = {0};
    enum nx_code rc = path_init(&path, name, len, parser->err);

    for (uint32_t i = 0; rc == NX_OK && i < path.count; i++) {
        struct project_node *kid = find_kid(node, path.parts[i].name, path.parts[i].len);
        bool last = i + 1 == path.count;

        if (path.parts[i].name[0] == '$')
            rc = nx_fail(parser->err, NX_EQUERY, "'%.*s' is not a field name",
                         (int)(len < 60 ? len : 60), name);
        else if (kid && (last || kid->kind != PROJECT_NESTED))
            rc = nx_fail(parser->err, NX_EQUERY,
                         "the projection names '%.*s' twice, or a field and one inside it",
                         (int)(len < 60 ? len : 60), name);
        else if (!kid)
            rc = add_kid(node, path.parts[i].name, path.parts[i].len, &kid, parser->err);
        node = kid;
    }
    path_fini(&path);
    *out = node;
    return rc;
}

static enum nx_code set_mode(struct parser *parser, enum project_mode mode, const char *name)
{
    if (parser->out->mode == PROJECT_MODE_UNDECIDED)
        parser->out->mode = mode;
    if (parser->out->mode == mode)
        return NX_OK;
    return nx_fail(parser->err, NX_EQUERY,
                   "a projection keeps fields or leaves fields out, not both: '%.60s'", name);
}

static bool is_operator_object(const struct nx_value *value, struct nx_doc_iter *first)
{
    if (value->type != NX_TYPE_DOCUMENT)
        return false;
    nx_doc_iter_init(first, nx_value_slice(value));
    return nx_doc_iter_next(first) && first->key[0] == '$';
}

/* --- $slice, $elemMatch, the positional operator ---------------------------------------------- */

static enum nx_code parse_slice_number(struct parser *parser, const struct nx_value *value,
                                       int64_t *out)
{
    double d;

    if (!nx_is_number(value))
        return nx_fail(parser->err, NX_EQUERY, "$slice needs a number or [skip, count], not %s",
                       nx_type_name(value->type));
    d = nx_value_to_double(value);
    if (!nx_value_to_int64(value, out)) /* a fraction is cut, a huge number is all */
        *out = d >= 0x1p31 ? INT32_MAX : d <= -0x1p31 ? INT32_MIN : d == d ? (int64_t)d : 0;
    if (*out > INT32_MAX || *out < INT32_MIN)
        *out = *out > 0 ? INT32_MAX : INT32_MIN;
    return NX_OK;
}

static enum nx_code parse_slice(struct parser *parser, const struct nx_value *arg,
                                struct project_node *node)
{
    int64_t numbers[2];
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    node->kind = PROJECT_SLICE;
    parser->has_slice = true;
    if (arg->type != NX_TYPE_ARRAY)
        return parse_slice_number(parser, arg, &node->count);
    if (nx_doc_count(nx_value_slice(arg)) != 2)
        return nx_fail(parser->err, NX_EQUERY, "$slice needs a number or [skip, count]");
    nx_doc_iter_init(&iter, nx_value_slice(arg));
    for (unsigned i = 0; rc == NX_OK && nx_doc_iter_next(&iter); i++)
        rc = parse_slice_number(parser, &iter.value, &numbers[i]);
    if (rc != NX_OK)
        return rc;
    if (numbers[1] <= 0)
        return nx_fail(parser->err, NX_EQUERY, "$slice: the count %lld is not above zero",
                       (long long)numbers[1]);
    node->has_skip = true;
    node->skip = numbers[0];
    node->count = numbers[1];
    return NX_OK;
}

static enum nx_code parse_element(struct parser *parser, const char *name,
                                  const struct nx_value *arg, struct project_node *node)
{
    struct nx_buf wrapped = NX_BUF_INIT;
    struct nx_builder builder;
    struct nx_value condition;
    enum nx_code rc;

    if (arg->type != NX_TYPE_DOCUMENT)
        return nx_fail(parser->err, NX_EQUERY, "$elemMatch needs an object, not %s",
                       nx_type_name(arg->type));
    if (strchr(name, '.'))
        return nx_fail(parser->err, NX_EQUERY,
                       "$elemMatch in a projection stands at the top level, not at '%.60s'", name);
    node->kind = PROJECT_ELEMENT;
    parser->has_other = true;
    rc = set_mode(parser, PROJECT_MODE_INCLUDE, name);
    if (rc != NX_OK)
        return rc;
    /* the same condition as a filter's: filter_first_element */
    nx_builder_init(&builder, &wrapped);
    nx_builder_put(&builder, "$elemMatch", 10, arg);
    rc = nx_builder_end(&builder, parser->err);
    if (rc == NX_OK) {
        condition = nx_doc_value(nx_buf_slice(&wrapped));
        rc = filter_parse_value(&condition, &node->condition, parser->err);
    }
    nx_buf_fini(&wrapped);
    return rc;
}

static enum nx_code parse_position(struct parser *parser, const struct nx_doc_iter *iter)
{
    struct project_node *node;
    size_t len = iter->key_len - 2; /* without ".$" */
    enum nx_code rc;

    if (parser->out->has_position)
        return nx_fail(parser->err, NX_EQUERY, "a projection has one positional operator, not two");
    if (!parser->out->filter)
        return nx_fail(parser->err, NX_EQUERY, "'%.60s' needs a filter on the array", iter->key);
    rc = set_mode(parser, PROJECT_MODE_INCLUDE, iter->key);
    if (rc == NX_OK)
        rc = make_node(parser, &parser->out->root, iter->key, len, &node);
    if (rc == NX_OK)
        rc = path_init(&parser->out->position, iter->key, len, parser->err);
    if (rc != NX_OK)
        return rc;
    node->kind = PROJECT_POSITION;
    parser->out->has_position = true;
    parser->has_other = true;
    return NX_OK;
}

/* --- fields ----------------------------------------------------------------------------------- */

static enum nx_code parse_object(struct parser *parser, struct project_node *parent,
                                 const struct nx_value *spec);

static enum nx_code parse_expression(struct parser *parser, const char *name,
                                     const struct nx_value *value, struct project_node *node)
{
    enum nx_code rc = NX_OK;

    node->kind = PROJECT_COMPUTE;
    parser->has_other = true;
    if (parser->out->form != PROJECTION_ADD)
        rc = set_mode(parser, PROJECT_MODE_INCLUDE, name);
    return rc == NX_OK ? expr_parse(value, parser->vars, &node->expr, parser->err) : rc;
}

static enum nx_code parse_flag(struct parser *parser, const char *name,
                               const struct nx_value *value, struct project_node *node, bool is_id)
{
    bool keep = value->type == NX_TYPE_BOOL ? value->boolean : nx_value_to_double(value) != 0;

    node->kind = keep ? PROJECT_INCLUDE : PROJECT_EXCLUDE;
    if (is_id) {
        parser->includes_id = keep;
        parser->excludes_id = !keep;
        return NX_OK;
    }
    parser->has_other = true;
    return set_mode(parser, keep ? PROJECT_MODE_INCLUDE : PROJECT_MODE_EXCLUDE, name);
}

/* {$slice: 2} and {$slice: [1, 2]} are find's; {$slice: ["$a", 2]} is the expression. */
static bool is_find_slice(const struct nx_doc_iter *op)
{
    struct nx_doc_iter iter;

    if (strcmp(op->key, "$slice") != 0)
        return false;
    if (op->value.type != NX_TYPE_ARRAY)
        return true;
    nx_doc_iter_init(&iter, nx_value_slice(&op->value));
    return !nx_doc_iter_next(&iter) || nx_is_number(&iter.value);
}

static enum nx_code parse_operator(struct parser *parser, const char *name,
                                   const struct nx_value *value, const struct nx_doc_iter *op,
                                   struct project_node *node)
{
    bool find = parser->out->form == PROJECTION_FIND;

    if (nx_doc_count(nx_value_slice(value)) != 1)
        return nx_fail(parser->err, NX_EQUERY, "'%.60s' needs one operator, not several", name);
    if (find && strcmp(op->key, "$elemMatch") == 0)
        return parse_element(parser, name, &op->value, node);
    if (find && is_find_slice(op))
        return parse_slice(parser, &op->value, node);
    return parse_expression(parser, name, value, node);
}

static enum nx_code parse_field(struct parser *parser, struct project_node *parent,
                                const struct nx_doc_iter *iter)
{
    const struct nx_value *value = &iter->value;
    bool at_root = parent == &parser->out->root;
    bool is_flag = value->type == NX_TYPE_BOOL || nx_is_number(value);
    struct project_node *node, *known = find_kid(parent, iter->key, iter->key_len);
    struct nx_doc_iter op;
    enum nx_code rc;

    if (at_root && iter->key_len > 2 && memcmp(iter->key + iter->key_len - 2, ".$", 2) == 0 &&
        parser->out->form == PROJECTION_FIND)
        return parse_position(parser, iter);
    /* {"a.b": 1, a: {c: 1}} is one object in two pieces */
    if (known && known->kind == PROJECT_NESTED && value->type == NX_TYPE_DOCUMENT &&
        !is_operator_object(value, &op))
        return parse_object(parser, known, value);
    rc = make_node(parser, parent, iter->key, iter->key_len, &node);
    if (rc != NX_OK)
        return rc;
    if (is_operator_object(value, &op))
        return parse_operator(parser, iter->key, value, &op, node);
    if (value->type == NX_TYPE_DOCUMENT)
        return parse_object(parser, node, value);
    if (is_flag && parser->out->form != PROJECTION_ADD)
        return parse_flag(parser, iter->key, value, node, at_root && strcmp(iter->key, "_id") == 0);
    return parse_expression(parser, iter->key, value, node);
}

static enum nx_code parse_object(struct parser *parser, struct project_node *parent,
                                 const struct nx_value *spec)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    if (nx_doc_is_empty(nx_value_slice(spec))) {
        if (parser->out->form != PROJECTION_ADD)
            return nx_fail(parser->err, NX_EQUERY, "an empty object projects nothing");
        return parse_expression(parser, parent->name, spec, parent);
    }
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = parse_field(parser, parent, &iter);
    return rc;
}

static bool mark_computing(struct project_node *node)
{
    node->computes = node->kind == PROJECT_COMPUTE;
    for (uint32_t i = 0; i < node->kid_count; i++)
        node->computes |= mark_computing(node->kids[i]);
    return node->computes;
}

/* What the members together say about fields that none of them names. */
static enum nx_code decide_mode(struct parser *parser)
{
    struct projection *out = parser->out;
    struct project_node *id = find_kid(&out->root, "_id", 3);
    enum nx_code rc;

    if (out->form == PROJECTION_ADD) {
        out->mode = PROJECT_MODE_EXCLUDE;
        return NX_OK;
    }
    if (out->mode == PROJECT_MODE_UNDECIDED) {
        bool keeps_id_only = parser->includes_id && !parser->has_slice;

        out->mode = keeps_id_only ? PROJECT_MODE_INCLUDE : PROJECT_MODE_EXCLUDE;
    }
    if (out->mode == PROJECT_MODE_INCLUDE && !id) {
        rc = add_kid(&out->root, "_id", 3, &id, parser->err);
        if (rc != NX_OK)
            return rc;
        id->kind = PROJECT_INCLUDE;
    }
    return NX_OK;
}

static enum nx_code parse_all(struct parser *parser, struct nx_slice spec)
{
    struct nx_value root = nx_doc_value(spec);
    enum nx_code rc;

    parser->out->is_identity = nx_doc_is_empty(spec);
    if (parser->out->is_identity)
        return NX_OK;
    rc = parse_object(parser, &parser->out->root, &root);
    if (rc == NX_OK)
        rc = decide_mode(parser);
    mark_computing(&parser->out->root);
    return rc;
}

enum nx_code projection_parse(struct nx_slice spec, enum projection_form form,
                              struct expr_vars *vars, const struct filter *filter,
                              struct projection **out, struct nx_err *err)
{
    struct parser parser = {.vars = vars, .err = err};
    struct projection *projection;
    enum nx_code rc = NX_OK;

    *out = NULL;
    projection = calloc(1, sizeof *projection);
    if (!projection)
        return nx_fail_nomem(err);
    projection->form = form;
    projection->filter = filter;
    parser.out = projection;
    if (spec.len == 0)
        spec = nx_doc_empty;
    if (!vars)
        parser.vars = projection->own_vars = expr_vars_new();
    if (!parser.vars || nx_buf_append(&projection->spec, spec.data, spec.len) != NX_OK)
        rc = nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = parse_all(&parser, nx_buf_slice(&projection->spec));
    if (rc != NX_OK) {
        projection_free(projection);
        return rc;
    }
    *out = projection;
    return NX_OK;
}

void projection_free(struct projection *projection)
{
    if (!projection)
        return;
    project_node_fini(&projection->root);
    path_fini(&projection->position);
    expr_vars_free(projection->own_vars);
    nx_buf_fini(&projection->spec);
    free(projection);
}

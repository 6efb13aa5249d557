/*
 * ops_logical.c - $and, $or, $nor, $not, $expr, $jsonSchema, $comment, and what is refused.
 */
#include "query/filter_node.h"
#include "query/json_schema.h"

static enum nx_code build_list(struct filter_parser *parser, const struct filter_op *op,
                               const struct nx_value *arg, enum node_kind kind,
                               struct filter_node **out)
{
    struct filter_node *node, *kid;
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    *out = NULL;
    if (arg->type != NX_TYPE_ARRAY || nx_doc_is_empty(nx_value_slice(arg)))
        return nx_fail(parser->err, NX_EQUERY, "%s needs a non-empty array of conditions",
                       op->name);
    node = filter_node_new(kind);
    if (!node)
        return nx_fail_nomem(parser->err);
    nx_doc_iter_init(&iter, nx_value_slice(arg));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        if (iter.value.type != NX_TYPE_DOCUMENT) {
            rc = nx_fail(parser->err, NX_EQUERY, "%s needs objects: member %s is %s", op->name,
                         iter.key, nx_type_name(iter.value.type));
            break;
        }
        rc = filter_parse_document(parser, nx_value_slice(&iter.value), &kid);
        if (rc == NX_OK)
            rc = filter_node_add(node, kid, parser->err);
    }
    if (rc != NX_OK) {
        filter_node_free(node);
        return rc;
    }
    *out = node;
    return NX_OK;
}

static enum nx_code build_and(struct filter_parser *parser, const struct filter_op *op,
                              struct nx_slice path, const struct nx_value *arg,
                              struct filter_node **out)
{
    (void)path;
    return build_list(parser, op, arg, NODE_AND, out);
}

static enum nx_code build_or(struct filter_parser *parser, const struct filter_op *op,
                             struct nx_slice path, const struct nx_value *arg,
                             struct filter_node **out)
{
    (void)path;
    return build_list(parser, op, arg, NODE_OR, out);
}

static enum nx_code build_nor(struct filter_parser *parser, const struct filter_op *op,
                              struct nx_slice path, const struct nx_value *arg,
                              struct filter_node **out)
{
    (void)path;
    return build_list(parser, op, arg, NODE_NOR, out);
}

static enum nx_code build_not(struct filter_parser *parser, const struct filter_op *op,
                              struct nx_slice path, const struct nx_value *arg,
                              struct filter_node **out)
{
    struct filter_node *node, *kid = NULL;
    enum nx_code rc;

    *out = NULL;
    if (arg->type != NX_TYPE_REGEX && !filter_is_operators(arg))
        return nx_fail(parser->err, NX_EQUERY, "%s needs operators or a regular expression",
                       op->name);
    if (arg->type == NX_TYPE_REGEX)
        rc = filter_parse_field(parser, path, arg, &kid);
    else
        rc = filter_parse_operators(parser, path, nx_value_slice(arg), &kid);
    if (rc != NX_OK)
        return rc;
    node = filter_node_new(NODE_NOT);
    if (!node) {
        filter_node_free(kid);
        return nx_fail_nomem(parser->err);
    }
    rc = filter_node_add(node, kid, parser->err);
    if (rc != NX_OK) {
        filter_node_free(node);
        return rc;
    }
    *out = node;
    return NX_OK;
}

/* The scope of $expr: the caller's variables, or one of the filter's own. */
static enum nx_code expr_scope(struct filter_parser *parser, struct expr_vars **out)
{
    if (!parser->vars && !parser->filter->own_vars) {
        parser->filter->own_vars = expr_vars_new();
        if (!parser->filter->own_vars)
            return nx_fail_nomem(parser->err);
    }
    *out = parser->vars ? parser->vars : parser->filter->own_vars;
    return NX_OK;
}

static enum nx_code build_expr(struct filter_parser *parser, const struct filter_op *op,
                               struct nx_slice path, const struct nx_value *arg,
                               struct filter_node **out)
{
    struct expr_vars *vars = NULL;
    struct filter_node *node;
    enum nx_code rc;

    (void)path;
    *out = NULL;
    if (parser->element_depth)
        return nx_fail(parser->err, NX_EQUERY, "%s cannot stand inside $elemMatch", op->name);
    rc = expr_scope(parser, &vars);
    if (rc != NX_OK)
        return rc;
    node = filter_node_new(NODE_EXPR);
    if (!node)
        return nx_fail_nomem(parser->err);
    rc = expr_parse(arg, vars, &node->expr, parser->err);
    if (rc != NX_OK) {
        filter_node_free(node);
        return rc;
    }
    parser->filter->has_expr = true;
    *out = node;
    return NX_OK;
}

static enum nx_code build_schema(struct filter_parser *parser, const struct filter_op *op,
                                 struct nx_slice path, const struct nx_value *arg,
                                 struct filter_node **out)
{
    struct filter_node *node;
    enum nx_code rc;

    (void)path;
    *out = NULL;
    if (arg->type != NX_TYPE_DOCUMENT)
        return nx_fail(parser->err, NX_EQUERY, "%s needs an object, not %s", op->name,
                       nx_type_name(arg->type));
    node = filter_node_new(NODE_SCHEMA);
    if (!node)
        return nx_fail_nomem(parser->err);
    rc = json_schema_parse(nx_value_slice(arg), &node->schema, parser->err);
    if (rc != NX_OK) {
        filter_node_free(node);
        return rc;
    }
    *out = node;
    return NX_OK;
}

static enum nx_code build_comment(struct filter_parser *parser, const struct filter_op *op,
                                  struct nx_slice path, const struct nx_value *arg,
                                  struct filter_node **out)
{
    (void)parser;
    (void)op;
    (void)path;
    (void)arg;
    *out = NULL;
    return NX_OK;
}

static enum nx_code refuse(struct filter_parser *parser, const struct filter_op *op,
                           struct nx_slice path, const struct nx_value *arg,
                           struct filter_node **out)
{
    (void)path;
    (void)arg;
    *out = NULL;
    return nx_fail(parser->err, NX_EOPERATOR, "%s is not available in a filter: %s", op->name,
                   op->help);
}

const struct filter_op filter_ops_logical[] = {
    {"$and", PLACE_TOP, 0, RANGE_NONE, NULL, NULL, NULL, build_and,
     "every one of the listed conditions holds"},
    {"$comment", PLACE_FIELD, 0, RANGE_NONE, NULL, NULL, NULL, build_comment,
     "a remark, which matches everything"},
    {"$comment", PLACE_TOP, 0, RANGE_NONE, NULL, NULL, NULL, build_comment,
     "a remark, which matches everything"},
    {"$expr", PLACE_TOP, 0, RANGE_NONE, NULL, NULL, NULL, build_expr,
     "an aggregation expression is true of the document"},
    {"$jsonSchema", PLACE_TOP, 0, RANGE_NONE, NULL, NULL, NULL, build_schema,
     "the document satisfies a JSON schema (draft 4, with bsonType)"},
    {"$nor", PLACE_TOP, 0, RANGE_NONE, NULL, NULL, NULL, build_nor,
     "none of the listed conditions holds"},
    {"$not", PLACE_FIELD, 0, RANGE_NONE, NULL, NULL, NULL, build_not,
     "the operators of the object do not all hold"},
    {"$or", PLACE_TOP, 0, RANGE_NONE, NULL, NULL, NULL, build_or,
     "at least one of the listed conditions holds"},
    {"$text", PLACE_TOP, 0, RANGE_NONE, NULL, NULL, NULL, refuse,
     "full-text search needs a text index"},
    {"$where", PLACE_TOP, 0, RANGE_NONE, NULL, NULL, NULL, refuse,
     "the database runs no JavaScript; use $expr"},
    {.name = NULL},
};

/*
 * filter.c - from a filter's BSON to its tree.
 *
 * {a: 1, b: {$gt: 2, $lt: 5}, $or: [...]} becomes an AND of predicates and of the nodes that the
 * operators of ops_*.c build. The specification is copied once; operands borrow from the copy.
 */
#include <stdlib.h>
#include <string.h>

#include "query/filter_node.h"

static bool is_reference(const struct nx_doc_iter *iter)
{
    static const char *const names[] = {"$ref", "$id", "$db"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(iter->key, names[i]) == 0)
            return true;
    return false;
}

bool filter_is_operators(const struct nx_value *value)
{
    struct nx_doc_iter iter;

    if (value->type != NX_TYPE_DOCUMENT)
        return false;
    nx_doc_iter_init(&iter, nx_value_slice(value));
    return nx_doc_iter_next(&iter) && iter.key[0] == '$' && !is_reference(&iter);
}

bool filter_is_value_operators(const struct nx_value *value)
{
    struct nx_doc_iter iter;

    if (!filter_is_operators(value))
        return false;
    nx_doc_iter_init(&iter, nx_value_slice(value));
    return nx_doc_iter_next(&iter) && (filter_op_find(iter.key, iter.key_len, PLACE_FIELD) ||
                                       !filter_op_find(iter.key, iter.key_len, PLACE_TOP));
}

static enum nx_code unknown_operator(struct filter_parser *parser, const char *name,
                                     struct nx_slice path)
{
    if (name[0] != '$')
        return nx_fail(parser->err, NX_EQUERY,
                       "'%.60s' stands among operators of '%.*s': fields of an object and "
                       "operators do not mix",
                       name, (int)(path.len < 60 ? path.len : 60), (const char *)path.data);
    if (filter_op_find(name, strlen(name), path.data ? PLACE_TOP : PLACE_FIELD))
        return nx_fail(parser->err, NX_EQUERY, "%s cannot stand %s", name,
                       path.data ? "under a field" : "at the top, only under a field");
    return nx_fail(parser->err, NX_EOPERATOR, "unknown operator '%.60s'", name);
}

/* One operator with its argument, as a node under `node`. */
static enum nx_code add_operator(struct filter_parser *parser, const struct filter_op *op,
                                 struct nx_slice path, const struct nx_value *arg,
                                 struct filter_node *node)
{
    struct filter_node *kid = NULL, *negation;
    enum nx_code rc;

    if (op->build)
        rc = op->build(parser, op, path, arg, &kid);
    else
        rc = filter_node_pred(parser, op, path, arg, &kid);
    if (rc != NX_OK)
        return rc;
    if (!(op->flags & OP_NEGATE))
        return filter_node_add(node, kid, parser->err);
    negation = filter_node_new(NODE_NOT);
    if (!negation) {
        filter_node_free(kid);
        return nx_fail_nomem(parser->err);
    }
    rc = filter_node_add(negation, kid, parser->err);
    if (rc != NX_OK) {
        filter_node_free(negation);
        return rc;
    }
    return filter_node_add(node, negation, parser->err);
}

enum nx_code filter_parse_operators(struct filter_parser *parser, struct nx_slice path,
                                    struct nx_slice spec, struct filter_node **out)
{
    struct nx_slice outer = parser->siblings;
    struct filter_node *node;
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    *out = NULL;
    node = filter_node_new(NODE_AND);
    if (!node)
        return nx_fail_nomem(parser->err);
    nx_doc_iter_init(&iter, spec);
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        const struct filter_op *op = filter_op_find(iter.key, iter.key_len, PLACE_FIELD);

        parser->siblings = spec;
        rc = op ? add_operator(parser, op, path, &iter.value, node)
                : unknown_operator(parser, iter.key, path);
    }
    parser->siblings = outer;
    if (rc != NX_OK) {
        filter_node_free(node);
        return rc;
    }
    *out = node;
    return NX_OK;
}

enum nx_code filter_parse_field(struct filter_parser *parser, struct nx_slice path,
                                const struct nx_value *value, struct filter_node **out)
{
    struct nx_slice outer = parser->siblings;
    const char *name = value->type == NX_TYPE_REGEX ? "$regex" : "$eq";
    enum nx_code rc;

    if (filter_is_operators(value))
        return filter_parse_operators(parser, path, nx_value_slice(value), out);
    parser->siblings = NX_SLICE_NULL;
    rc =
        filter_node_pred(parser, filter_op_find(name, strlen(name), PLACE_FIELD), path, value, out);
    parser->siblings = outer;
    return rc;
}

/* {a: {$gt: 1, $lt: 2}} gives an AND of its own: its members belong one level up. */
static enum nx_code add_flat(struct filter_parser *parser, struct filter_node *node,
                             struct filter_node *kid)
{
    enum nx_code rc = NX_OK;
    uint32_t i = 0;

    if (kid->kind != NODE_AND)
        return filter_node_add(node, kid, parser->err);
    for (; rc == NX_OK && i < kid->kid_count; i++)
        rc = filter_node_add(node, kid->kids[i], parser->err);
    kid->kid_count -= i; /* those taken are no longer its own */
    if (kid->kid_count)
        memmove(kid->kids, kid->kids + i, kid->kid_count * sizeof *kid->kids);
    filter_node_free(kid);
    return rc;
}

static enum nx_code add_member(struct filter_parser *parser, const struct nx_doc_iter *iter,
                               struct filter_node *node)
{
    const struct filter_op *op;
    struct filter_node *kid;
    enum nx_code rc;

    if (iter->key[0] == '$' && !is_reference(iter)) {
        op = filter_op_find(iter->key, iter->key_len, PLACE_TOP);
        return op ? add_operator(parser, op, NX_SLICE_NULL, &iter->value, node)
                  : unknown_operator(parser, iter->key, NX_SLICE_NULL);
    }
    rc = filter_parse_field(parser, nx_slice(iter->key, iter->key_len), &iter->value, &kid);
    return rc == NX_OK ? add_flat(parser, node, kid) : rc;
}

enum nx_code filter_parse_document(struct filter_parser *parser, struct nx_slice spec,
                                   struct filter_node **out)
{
    struct filter_node *node;
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    *out = NULL;
    node = filter_node_new(NODE_AND);
    if (!node)
        return nx_fail_nomem(parser->err);
    nx_doc_iter_init(&iter, spec);
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = add_member(parser, &iter, node);
    if (rc != NX_OK) {
        filter_node_free(node);
        return rc;
    }
    *out = node;
    return NX_OK;
}

/* --- the public calls ------------------------------------------------------------------------- */

enum nx_code filter_parse(struct nx_slice spec, struct expr_vars *vars, struct filter **out,
                          struct nx_err *err)
{
    struct filter *filter;
    struct filter_parser parser = {.vars = vars, .err = err};
    enum nx_code rc;

    *out = NULL;
    filter = calloc(1, sizeof *filter);
    if (!filter)
        return nx_fail_nomem(err);
    parser.filter = filter;
    rc = spec.len ? nx_buf_append(&filter->spec, spec.data, spec.len)
                  : nx_buf_append(&filter->spec, nx_doc_empty.data, nx_doc_empty.len);
    if (rc != NX_OK)
        nx_fail_nomem(err);
    else
        rc = filter_parse_document(&parser, nx_buf_slice(&filter->spec), &filter->root);
    if (rc != NX_OK) {
        filter_free(filter);
        return rc;
    }
    *out = filter;
    return NX_OK;
}

/* The copy of a value: {"": value} in filter->spec, and the value in it. */
static enum nx_code keep_value(struct filter *filter, const struct nx_value *spec,
                               struct nx_value *out, struct nx_err *err)
{
    struct nx_builder builder;
    enum nx_code rc;

    nx_builder_init(&builder, &filter->spec);
    nx_builder_put(&builder, "", 0, spec);
    rc = nx_builder_end(&builder, err);
    if (rc == NX_OK)
        *out = nx_doc_get(nx_buf_slice(&filter->spec), "", 0);
    return rc;
}

enum nx_code filter_parse_value(const struct nx_value *spec, struct filter **out,
                                struct nx_err *err)
{
    struct filter *filter;
    struct filter_parser parser = {.err = err};
    struct nx_value copy;
    enum nx_code rc;

    *out = NULL;
    filter = calloc(1, sizeof *filter);
    if (!filter)
        return nx_fail_nomem(err);
    parser.filter = filter;
    rc = keep_value(filter, spec, &copy, err);
    if (rc == NX_OK) {
        filter->is_document_condition =
            copy.type == NX_TYPE_DOCUMENT && !filter_is_value_operators(&copy);
        if (filter->is_document_condition)
            rc = filter_parse_document(&parser, nx_value_slice(&copy), &filter->root);
        else
            rc = filter_parse_field(&parser, NX_SLICE_NULL, &copy, &filter->root);
    }
    if (rc != NX_OK) {
        filter_free(filter);
        return rc;
    }
    *out = filter;
    return NX_OK;
}

void filter_free(struct filter *filter)
{
    if (!filter)
        return;
    filter_node_free(filter->root);
    expr_vars_free(filter->own_vars);
    nx_buf_fini(&filter->spec);
    free(filter);
}

/*
 * filter_node.c - making and freeing the nodes of a filter, and finding operators by name.
 *
 * Depth of a tree is bounded by the depth of the BSON it was parsed from, so recursion is safe.
 */
#include "query/filter_node.h"

#include <stdlib.h>
#include <string.h>

#include "query/json_schema.h"
#include "query/operators.h"

static const struct filter_op *const families[] = {
    filter_ops_compare, filter_ops_logical, filter_ops_element,
    filter_ops_array,   filter_ops_bits,    filter_ops_regex,
};

const struct filter_op *filter_op_find(const char *name, size_t len, enum filter_place place)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const struct filter_op *op = families[i]; op->name; op++)
            if (op->place == place && strlen(op->name) == len && memcmp(op->name, name, len) == 0)
                return op;
    return NULL;
}

void filter_each_operator(nx_operator_fn fn, void *arg)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const struct filter_op *op = families[i]; op->name; op++)
            if (op == families[i] ||
                strcmp(op->name, op[-1].name) != 0) /* at one place is enough */
                fn(arg, &(struct nx_operator){op->name, NX_OPERATOR_FILTER, op->help});
}

struct filter_node *filter_node_new(enum node_kind kind)
{
    struct filter_node *node = calloc(1, sizeof *node);

    if (node)
        node->kind = kind;
    return node;
}

static void free_content(struct filter_node *node)
{
    if (node->kind == NODE_PRED) {
        path_fini(&node->path);
        if (node->pred.op && node->pred.op->fini)
            node->pred.op->fini(&node->pred);
    } else if (node->kind == NODE_EXPR) {
        expr_free(node->expr);
    } else if (node->kind == NODE_SCHEMA) {
        json_schema_free(node->schema);
    }
}

void filter_node_free(struct filter_node *node)
{
    if (!node)
        return;
    for (uint32_t i = 0; i < node->kid_count; i++)
        filter_node_free(node->kids[i]);
    free(node->kids);
    free_content(node);
    free(node);
}

enum nx_code filter_node_add(struct filter_node *node, struct filter_node *kid, struct nx_err *err)
{
    struct filter_node **kids;

    if (!kid)
        return NX_OK;
    kids = realloc(node->kids, (node->kid_count + 1) * sizeof *kids);
    if (!kids) {
        filter_node_free(kid);
        return nx_fail_nomem(err);
    }
    node->kids = kids;
    node->kids[node->kid_count++] = kid;
    return NX_OK;
}

enum nx_code filter_node_pred(struct filter_parser *parser, const struct filter_op *op,
                              struct nx_slice path, const struct nx_value *arg,
                              struct filter_node **out)
{
    struct filter_node *node;
    enum nx_code rc = NX_OK;

    *out = NULL;
    node = filter_node_new(NODE_PRED);
    if (!node)
        return nx_fail_nomem(parser->err);
    if (path.data)
        rc = path_init(&node->path, (const char *)path.data, path.len, parser->err);
    if (rc == NX_OK) {
        node->pred.op = op;
        node->pred.value = *arg;
        rc = op->parse(parser, arg, &node->pred);
    }
    if (rc != NX_OK) {
        filter_node_free(node);
        return rc;
    }
    *out = node;
    return NX_OK;
}

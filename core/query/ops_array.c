/*
 * ops_array.c - $all and $elemMatch.
 *
 * {a: {$all: [x, y]}} is {a: x} and {a: y}; of nothing it matches nothing. $elemMatch has two
 * forms: conditions on the fields of an element, and operators on the element itself, which then is
 * not opened again when it is an array.
 */
#include "query/filter_node.h"

static bool is_element_match(const struct nx_value *value)
{
    struct nx_doc_iter iter;

    if (value->type != NX_TYPE_DOCUMENT)
        return false;
    nx_doc_iter_init(&iter, nx_value_slice(value));
    return nx_doc_iter_next(&iter) &&
           nx_slice_equal(nx_slice(iter.key, iter.key_len), nx_slice_str("$elemMatch"));
}

static enum nx_code add_all_member(struct filter_parser *parser, struct nx_slice path,
                                   const struct nx_value *member, bool elements,
                                   struct filter_node *node)
{
    const struct filter_op *eq = filter_op_find("$eq", 3, PLACE_FIELD);
    struct filter_node *kid = NULL;
    enum nx_code rc;

    if (is_element_match(member) != elements)
        return nx_fail(parser->err, NX_EQUERY, "$all takes values, or only $elemMatch objects");
    if (elements)
        rc = filter_parse_operators(parser, path, nx_value_slice(member), &kid);
    else if (filter_is_operators(member))
        rc = nx_fail(parser->err, NX_EQUERY, "$all takes no operators but $elemMatch");
    else if (member->type == NX_TYPE_REGEX)
        rc = filter_parse_field(parser, path, member, &kid);
    else
        rc = filter_node_pred(parser, eq, path, member, &kid);
    return rc == NX_OK ? filter_node_add(node, kid, parser->err) : rc;
}

static enum nx_code build_all(struct filter_parser *parser, const struct filter_op *op,
                              struct nx_slice path, const struct nx_value *arg,
                              struct filter_node **out)
{
    struct filter_node *node;
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;
    bool first = true, elements = false;

    *out = NULL;
    if (arg->type != NX_TYPE_ARRAY)
        return nx_fail(parser->err, NX_EQUERY, "%s needs an array, not %s", op->name,
                       nx_type_name(arg->type));
    node = filter_node_new(nx_doc_is_empty(nx_value_slice(arg)) ? NODE_NEVER : NODE_AND);
    if (!node)
        return nx_fail_nomem(parser->err);
    nx_doc_iter_init(&iter, nx_value_slice(arg));
    for (; rc == NX_OK && nx_doc_iter_next(&iter); first = false) {
        if (first)
            elements = is_element_match(&iter.value);
        rc = add_all_member(parser, path, &iter.value, elements, node);
    }
    if (rc != NX_OK) {
        filter_node_free(node);
        return rc;
    }
    *out = node;
    return NX_OK;
}

static enum nx_code parse_element(struct filter_parser *parser, const struct nx_value *arg,
                                  struct pred *out)
{
    bool is_operators = filter_is_value_operators(arg);
    enum nx_code rc;

    if (arg->type != NX_TYPE_DOCUMENT)
        return nx_fail(parser->err, NX_EQUERY, "$elemMatch needs an object, not %s",
                       nx_type_name(arg->type));
    parser->element_depth++;
    if (is_operators)
        rc = filter_parse_operators(parser, NX_SLICE_NULL, nx_value_slice(arg), &out->element);
    else
        rc = filter_parse_document(parser, nx_value_slice(arg), &out->element);
    parser->element_depth--;
    /* told apart at match time: a condition on fields asks for an object or array element */
    out->value = nx_bool(!is_operators);
    return rc;
}

bool filter_element_meets(const struct pred *pred, const struct nx_value *element,
                          struct match *match)
{
    bool saved = match->expand, met;

    if (pred->value.boolean && element->type != NX_TYPE_DOCUMENT && element->type != NX_TYPE_ARRAY)
        return false;
    match->expand = false;
    met = filter_node_match(pred->element, element, match);
    match->expand = saved;
    return met;
}

static bool test_element(const struct pred *pred, const struct nx_value *value, struct match *match)
{
    struct nx_doc_iter iter;

    if (value->type != NX_TYPE_ARRAY)
        return false;
    nx_doc_iter_init(&iter, nx_value_slice(value));
    while (nx_doc_iter_next(&iter))
        if (filter_element_meets(pred, &iter.value, match))
            return true;
    return false;
}

static void fini_element(struct pred *pred)
{
    filter_node_free(pred->element);
}

const struct filter_op filter_ops_array[] = {
    {"$all", PLACE_FIELD, 0, RANGE_NONE, NULL, NULL, NULL, build_all,
     "an array with every one of the listed values"},
    {"$elemMatch", PLACE_FIELD, OP_WHOLE | OP_ELEMENT, RANGE_NONE, parse_element, test_element,
     fini_element, NULL, "an array with an element that satisfies every condition"},
    {.name = NULL},
};

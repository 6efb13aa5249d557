/*
 * filter_position.c - which element of an array made a document match: the positional operator $.
 *
 * Run only for documents that have matched. Of several conditions on arrays the last one decides,
 * as each condition that is met replaces what an earlier one found.
 */
#include "query/filter_node.h"

struct search {
    const struct path *array; /* NULL: any */
    struct nx_slice doc;
    uint32_t *index;
};

static bool locate(const struct filter_node *node, struct search *search);

static bool same_parts(const struct path *a, const struct path *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!nx_slice_equal(nx_slice(a->parts[i].name, a->parts[i].len),
                            nx_slice(b->parts[i].name, b->parts[i].len)))
            return false;
    return true;
}

/* The first array on the way of `path` that is not entered by an index; its depth in parts. */
static bool first_array(const struct path *path, struct nx_slice doc, struct nx_value *array,
                        uint32_t *depth)
{
    struct nx_value value = nx_doc_value(doc);
    uint32_t i = 0;

    for (; i < path->count; i++) {
        if (value.type == NX_TYPE_ARRAY && path->parts[i].index < 0)
            break;
        if (value.type != NX_TYPE_DOCUMENT && value.type != NX_TYPE_ARRAY)
            return false;
        value = nx_doc_get(nx_value_slice(&value), path->parts[i].name, path->parts[i].len);
    }
    *array = value;
    *depth = i;
    return value.type == NX_TYPE_ARRAY;
}

/* Does one element, reached by the first `depth` parts of the path, meet the predicate? */
static bool element_meets(const struct filter_node *node, uint32_t depth,
                          const struct nx_value *element)
{
    struct match match = {.failed = NX_OK};
    struct filter_node rest = *node;

    rest.path.parts += depth;
    rest.path.count -= depth;
    if (rest.path.count)
        return filter_node_match(&rest, element, &match);
    if (!(node->pred.op->flags & OP_WHOLE))
        return node->pred.op->test(&node->pred, element, &match);
    return (node->pred.op->flags & OP_ELEMENT) &&
           filter_element_meets(&node->pred, element, &match);
}

static bool locate_pred(const struct filter_node *node, struct search *search)
{
    struct nx_value array;
    struct nx_doc_iter iter;
    uint32_t depth;

    if (!first_array(&node->path, search->doc, &array, &depth))
        return false;
    if (search->array &&
        (search->array->count != depth || !same_parts(search->array, &node->path, depth)))
        return false;
    nx_doc_iter_init(&iter, nx_value_slice(&array));
    for (uint32_t i = 0; nx_doc_iter_next(&iter); i++) {
        if (!element_meets(node, depth, &iter.value))
            continue;
        *search->index = i;
        return true;
    }
    return false;
}

static bool locate_first_match(const struct filter_node *node, struct search *search)
{
    struct match match = {.failed = NX_OK};
    struct nx_value subject = nx_doc_value(search->doc);

    for (uint32_t i = 0; i < node->kid_count; i++)
        if (filter_node_match(node->kids[i], &subject, &match))
            return locate(node->kids[i], search);
    return false;
}

static bool locate(const struct filter_node *node, struct search *search)
{
    bool found = false;

    if (node->kind == NODE_PRED)
        return locate_pred(node, search);
    if (node->kind == NODE_OR)
        return locate_first_match(node, search);
    if (node->kind != NODE_AND)
        return false;
    for (uint32_t i = 0; i < node->kid_count; i++)
        found |= locate(node->kids[i], search);
    return found;
}

bool filter_array_index(const struct filter *filter, struct nx_slice doc, const struct path *array,
                        uint32_t *index)
{
    struct search search = {array, doc, index};

    *index = 0;
    return filter && filter->root && locate(filter->root, &search);
}

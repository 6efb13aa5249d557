/*
 * expr_object.c - documents: merging, single fields by any name, and pairs of names and values.
 */
#include "query/expr_op.h"

static enum nx_code call_merge(struct call *call, struct nx_value *out)
{
    struct field_list fields = {0};
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    for (unsigned i = 0; i < call->count; i++) {
        if (nx_is_nullish(&call->args[i]))
            continue;
        if (call->args[i].type != NX_TYPE_DOCUMENT)
            return call_fail(call, "wants objects, not %s", nx_type_name(call->args[i].type));
        nx_doc_iter_init(&iter, nx_value_slice(&call->args[i]));
        while (rc == NX_OK && nx_doc_iter_next(&iter))
            rc = field_list_set(&fields, call->env->arena, iter.key, iter.key_len, iter.value,
                                call->err);
        if (rc != NX_OK)
            return rc;
    }
    return value_document(call->env->arena, &fields, out, call->err);
}

/* --- one field -------------------------------------------------------------------------------- */

enum { FIELD_NAME, FIELD_INPUT, FIELD_VALUE };

/* A name is text: "$price" names a field of that name only through $literal. */
static enum nx_code check_name(struct expr_parser *parser, struct expr *node)
{
    const struct expr *name = node->args[FIELD_NAME];

    if (name->is_constant && name->value.type == NX_TYPE_STRING)
        return NX_OK;
    if (name->is_constant || node->op->max > 2 || strcmp(node->op->name, "$unsetField") == 0)
        return parser_fail(parser, node, "wants 'field' as a constant string");
    return NX_OK;
}

static enum nx_code parse_get(struct expr_parser *parser, const struct nx_value *spec,
                              struct expr *node)
{
    struct nx_value root = nx_string_z("$$CURRENT");
    struct nx_doc_iter iter;
    enum nx_code rc;

    if (spec->type == NX_TYPE_DOCUMENT) {
        nx_doc_iter_init(&iter, nx_value_slice(spec));
        if (nx_doc_iter_next(&iter) && iter.key[0] != '$') {
            rc = parser_named(parser, spec, node);
            if (rc == NX_OK && !node->args[FIELD_INPUT])
                rc = parser_expr(parser, &root, &node->args[FIELD_INPUT]);
            return rc == NX_OK ? check_name(parser, node) : rc;
        }
    }
    node->args = arena_alloc(parser_arena(parser), 2 * sizeof *node->args);
    if (!node->args)
        return nx_fail_nomem(parser->err);
    rc = parser_expr(parser, spec, &node->args[FIELD_NAME]);
    if (rc == NX_OK)
        rc = parser_expr(parser, &root, &node->args[FIELD_INPUT]);
    node->count = rc == NX_OK ? 2 : 0;
    return rc == NX_OK ? check_name(parser, node) : rc;
}

static enum nx_code parse_set(struct expr_parser *parser, const struct nx_value *spec,
                              struct expr *node)
{
    enum nx_code rc = parser_named(parser, spec, node);

    return rc == NX_OK ? check_name(parser, node) : rc;
}

static enum nx_code call_get(struct call *call, struct nx_value *out)
{
    const struct nx_value *name = &call->args[FIELD_NAME], *input = &call->args[FIELD_INPUT];

    if (name->type != NX_TYPE_STRING)
        return call_fail(call, "wants 'field' as a string, not %s", nx_type_name(name->type));
    *out = input->type == NX_TYPE_NULL ? NX_NULL : NX_MISSING;
    if (input->type == NX_TYPE_DOCUMENT)
        *out = nx_doc_get(nx_value_slice(input), (const char *)name->data, name->len);
    return NX_OK;
}

static enum nx_code call_set(struct call *call, struct nx_value *out)
{
    const struct nx_value *name = &call->args[FIELD_NAME], *input = &call->args[FIELD_INPUT];
    struct nx_value value = call->count > FIELD_VALUE ? call->args[FIELD_VALUE] : NX_MISSING;
    struct field_list fields = {0};
    enum nx_code rc;

    *out = NX_NULL;
    if (nx_is_nullish(input))
        return NX_OK;
    if (input->type != NX_TYPE_DOCUMENT)
        return call_fail(call, "wants 'input' as an object, not %s", nx_type_name(input->type));
    rc = field_list_extend(&fields, call->env->arena, nx_value_slice(input), call->err);
    if (rc == NX_OK)
        rc = field_list_set(&fields, call->env->arena, (const char *)name->data, name->len, value,
                            call->err);
    return rc == NX_OK ? value_document(call->env->arena, &fields, out, call->err) : rc;
}

/* --- pairs ------------------------------------------------------------------------------------ */

static enum nx_code call_to_array(struct call *call, struct nx_value *out)
{
    struct arena *arena = call->env->arena;
    struct value_list pairs = {0};
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    if (call->args[0].type != NX_TYPE_DOCUMENT)
        return call_fail(call, "wants an object, not %s", nx_type_name(call->args[0].type));
    nx_doc_iter_init(&iter, nx_value_slice(&call->args[0]));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        struct value_field pair[2] = {{"k", 1, nx_string(iter.key, iter.key_len)},
                                      {"v", 1, iter.value}};
        struct field_list fields = {.at = pair, .len = 2, .cap = 2};
        struct nx_value made;

        rc = value_document(arena, &fields, &made, call->err);
        if (rc == NX_OK)
            rc = value_list_push(&pairs, arena, &made, call->err);
    }
    return rc == NX_OK ? value_array(arena, &pairs, out, call->err) : rc;
}

/* [name, value] or {k: name, v: value} */
static bool read_pair(const struct nx_value *item, struct nx_value *key, struct nx_value *value)
{
    struct nx_doc_iter iter;

    if (item->type != NX_TYPE_DOCUMENT && item->type != NX_TYPE_ARRAY)
        return false;
    if (nx_doc_count(nx_value_slice(item)) != 2)
        return false;
    if (item->type == NX_TYPE_DOCUMENT) {
        *key = nx_doc_get_z(nx_value_slice(item), "k");
        *value = nx_doc_get_z(nx_value_slice(item), "v");
    } else {
        nx_doc_iter_init(&iter, nx_value_slice(item));
        nx_doc_iter_next(&iter);
        *key = iter.value;
        nx_doc_iter_next(&iter);
        *value = iter.value;
    }
    return key->type == NX_TYPE_STRING && value->type != NX_TYPE_MISSING;
}

static enum nx_code call_from_array(struct call *call, struct nx_value *out)
{
    struct field_list fields = {0};
    struct nx_doc_iter iter;
    uint8_t form = 0;
    enum nx_code rc = NX_OK;

    if (call->args[0].type != NX_TYPE_ARRAY)
        return call_fail(call, "wants an array, not %s", nx_type_name(call->args[0].type));
    nx_doc_iter_init(&iter, nx_value_slice(&call->args[0]));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        struct nx_value key, value;

        if (form && form != iter.value.type)
            return call_fail(call, "wants all elements in one form: [name, value] or {k, v}");
        form = iter.value.type;
        if (!read_pair(&iter.value, &key, &value))
            return call_fail(call, "wants elements [name, value] or {k: name, v: value}");
        if (memchr(key.data, 0, key.len))
            return call_fail(call, "cannot make a field whose name has a NUL");
        rc = field_list_set(&fields, call->env->arena, (const char *)key.data, key.len, value,
                            call->err);
    }
    return rc == NX_OK ? value_document(call->env->arena, &fields, out, call->err) : rc;
}

static const struct expr_op table[] = {
    {"$arrayToObject", 1, 1, NULL, EXPR_NULLS, call_from_array, NULL, NULL,
     "an object from pairs of names and values"},
    {"$getField", 1, 2, "field! input", 0, call_get, NULL, parse_get,
     "a field by its name, which may hold dots and dollars"},
    {"$mergeObjects", 0, EXPR_ANY, NULL, 0, call_merge, NULL, NULL,
     "objects merged, later fields winning"},
    {"$objectToArray", 1, 1, NULL, EXPR_NULLS, call_to_array, NULL, NULL,
     "pairs {k, v} of an object's fields"},
    {"$setField", 3, 3, "field! input! value!", 0, call_set, NULL, parse_set,
     "an object with one field set, or taken away by $$REMOVE"},
    {"$unsetField", 2, 2, "field! input!", 0, call_set, NULL, parse_set,
     "an object without one field"},
};
const struct expr_family expr_object = EXPR_FAMILY(table);

/*
 * projection_apply.c - a document through a projection's tree, straight into new BSON.
 *
 * Fields keep the document's order. Computed fields take the place of the field they replace where
 * everything else stays ($addFields), and follow the kept fields in the order of the specification
 * otherwise; so does what $elemMatch found. Expressions see the document as it was.
 */
#include "query/filter.h"
#include "query/projection_node.h"

struct apply {
    const struct projection *projection;
    struct expr_env *env;
    struct nx_builder *out;
    struct nx_err *err;
};

static enum nx_code apply_value(struct apply *apply, const struct project_node *node,
                                const char *key, size_t key_len, const struct nx_value *value);

static struct nx_slice key_of(const struct nx_doc_iter *iter)
{
    return nx_slice(iter->key, iter->key_len);
}

static int find_kid(const struct project_node *node, struct nx_slice key)
{
    for (uint32_t i = 0; i < node->kid_count; i++)
        if (node->kids[i]->name_len == key.len &&
            memcmp(node->kids[i]->name, key.data, key.len) == 0)
            return (int)i;
    return -1;
}

static enum nx_code compute(struct apply *apply, const struct project_node *node, const char *key,
                            size_t key_len)
{
    struct nx_value value;
    enum nx_code rc = expr_eval(node->expr, apply->env, &value, apply->err);

    if (rc == NX_OK)
        nx_builder_put(apply->out, key, key_len, &value); /* MISSING leaves no field */
    return rc;
}

/* The elements [first, first + count) of an array. */
static void put_elements(struct apply *apply, const char *key, size_t key_len,
                         const struct nx_value *array, int64_t first, int64_t count)
{
    struct nx_doc_iter iter;

    nx_builder_begin_array(apply->out, key, key_len);
    nx_doc_iter_init(&iter, nx_value_slice(array));
    for (int64_t i = 0; i < first + count && nx_doc_iter_next(&iter); i++)
        if (i >= first)
            nx_builder_push(apply->out, &iter.value);
    nx_builder_close(apply->out);
}

static void slice(struct apply *apply, const struct project_node *node, const char *key,
                  size_t key_len, const struct nx_value *value)
{
    int64_t size, first = 0, count = node->count;

    if (value->type != NX_TYPE_ARRAY) {
        nx_builder_put(apply->out, key, key_len, value);
        return;
    }
    size = (int64_t)nx_doc_count(nx_value_slice(value));
    if (node->has_skip)
        first = node->skip >= 0 ? node->skip : size + node->skip;
    else if (count < 0)
        first = size + count, count = -count;
    put_elements(apply, key, key_len, value, first < 0 ? 0 : first, count);
}

/* Of a field under $elemMatch: its first element that meets the condition, or nothing at all. */
static enum nx_code first_element(struct apply *apply, const struct project_node *node)
{
    struct nx_value array = nx_doc_get(apply->env->root, node->name, node->name_len);
    struct nx_value element;
    enum nx_code rc = filter_first_element(node->condition, &array, &element, apply->err);

    if (rc != NX_OK || element.type == NX_TYPE_MISSING)
        return rc;
    nx_builder_begin_array(apply->out, node->name, node->name_len);
    nx_builder_push(apply->out, &element);
    nx_builder_close(apply->out);
    return NX_OK;
}

static enum nx_code position(struct apply *apply, const char *key, size_t key_len,
                             const struct nx_value *value)
{
    const struct projection *projection = apply->projection;
    uint32_t index;

    if (value->type != NX_TYPE_ARRAY) {
        nx_builder_put(apply->out, key, key_len, value);
        return NX_OK;
    }
    if (!filter_array_index(projection->filter, apply->env->root, &projection->position, &index) &&
        !filter_array_index(projection->filter, apply->env->root, NULL, &index))
        return nx_fail(apply->err, NX_EQUERY,
                       "the positional projection '%s.$' found no condition on an array in the "
                       "filter",
                       projection->position.text);
    put_elements(apply, key, key_len, value, index, 1);
    return NX_OK;
}

/* --- objects ---------------------------------------------------------------------------------- */

static bool keeps_unnamed(const struct apply *apply)
{
    return apply->projection->mode == PROJECT_MODE_EXCLUDE;
}

/* True for a kid whose value comes after the document's own fields. */
static bool comes_after(const struct apply *apply, const struct project_node *kid)
{
    return kid->kind == PROJECT_ELEMENT || (kid->kind == PROJECT_COMPUTE && !keeps_unnamed(apply));
}

/* What a projection makes of a field that the document does not have. */
static enum nx_code put_absent(struct apply *apply, const struct project_node *kid)
{
    enum nx_code rc = NX_OK;

    if (kid->kind == PROJECT_COMPUTE)
        return compute(apply, kid, kid->name, kid->name_len);
    if (kid->kind == PROJECT_ELEMENT)
        return first_element(apply, kid);
    if (kid->kind != PROJECT_NESTED || !kid->computes)
        return NX_OK;
    nx_builder_begin_document(apply->out, kid->name, kid->name_len);
    for (uint32_t i = 0; rc == NX_OK && i < kid->kid_count; i++)
        rc = put_absent(apply, kid->kids[i]);
    nx_builder_close(apply->out);
    return rc;
}

#define SEEN_INLINE 64

static enum nx_code apply_fields(struct apply *apply, const struct project_node *node,
                                 struct nx_slice doc)
{
    uint64_t inline_bits[SEEN_INLINE / 64] = {0}, *seen = inline_bits;
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    if (node->kid_count > SEEN_INLINE) {
        size_t bytes = (node->kid_count / 64 + 1) * sizeof *seen;

        seen = arena_alloc(apply->env->arena, bytes);
        if (!seen)
            return nx_fail_nomem(apply->err);
        memset(seen, 0, bytes);
    }
    nx_doc_iter_init(&iter, doc);
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        int kid = find_kid(node, key_of(&iter));

        if (kid < 0) {
            if (keeps_unnamed(apply))
                nx_builder_put(apply->out, iter.key, iter.key_len, &iter.value);
            continue;
        }
        if (comes_after(apply, node->kids[kid]))
            continue;
        seen[kid / 64] |= UINT64_C(1) << (kid % 64);
        rc = apply_value(apply, node->kids[kid], iter.key, iter.key_len, &iter.value);
    }
    for (uint32_t i = 0; rc == NX_OK && i < node->kid_count; i++)
        if (!(seen[i / 64] >> (i % 64) & 1))
            rc = put_absent(apply, node->kids[i]);
    return rc;
}

static enum nx_code apply_elements(struct apply *apply, const struct project_node *node,
                                   const struct nx_value *array)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    nx_doc_iter_init(&iter, nx_value_slice(array));
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = apply_value(apply, node, NULL, 0, &iter.value);
    return rc;
}

/* A value under a field that has fields of its own in the projection. */
static enum nx_code apply_nested(struct apply *apply, const struct project_node *node,
                                 const char *key, size_t key_len, const struct nx_value *value)
{
    enum nx_code rc = NX_OK;

    if (value->type == NX_TYPE_DOCUMENT) {
        nx_builder_begin_document(apply->out, key, key_len);
        rc = apply_fields(apply, node, nx_value_slice(value));
        nx_builder_close(apply->out);
    } else if (value->type == NX_TYPE_ARRAY) {
        nx_builder_begin_array(apply->out, key, key_len);
        rc = apply_elements(apply, node, value);
        nx_builder_close(apply->out);
    } else if (node->computes) {
        nx_builder_begin_document(apply->out, key, key_len);
        rc = apply_fields(apply, node, nx_doc_empty);
        nx_builder_close(apply->out);
    } else if (keeps_unnamed(apply)) {
        nx_builder_put(apply->out, key, key_len, value);
    }
    return rc;
}

static enum nx_code apply_value(struct apply *apply, const struct project_node *node,
                                const char *key, size_t key_len, const struct nx_value *value)
{
    switch (node->kind) {
    case PROJECT_NESTED:
        return apply_nested(apply, node, key, key_len, value);
    case PROJECT_COMPUTE:
        return compute(apply, node, key, key_len);
    case PROJECT_POSITION:
        return position(apply, key, key_len, value);
    case PROJECT_SLICE:
        slice(apply, node, key, key_len, value);
        return NX_OK;
    case PROJECT_INCLUDE:
        nx_builder_put(apply->out, key, key_len, value);
        return NX_OK;
    case PROJECT_EXCLUDE:
    case PROJECT_ELEMENT:
        return NX_OK;
    }
    return NX_OK;
}

/* The slots of a projection that has a scope of its own. */
static enum nx_code own_slots(const struct projection *projection, struct expr_env *env,
                              struct nx_err *err)
{
    unsigned slots = expr_vars_slots(projection->own_vars);

    env->vars = arena_alloc(env->arena, (slots + 1) * sizeof *env->vars);
    if (!env->vars)
        return nx_fail_nomem(err);
    for (unsigned i = 0; i <= slots; i++)
        env->vars[i] = NX_MISSING;
    return NX_OK;
}

enum nx_code projection_apply(const struct projection *projection, struct expr_env *env,
                              struct nx_buf *out, struct nx_err *err)
{
    struct expr_env local = *env;
    struct nx_builder builder;
    struct apply apply = {projection, &local, &builder, err};
    enum nx_code rc = NX_OK;

    if (projection->is_identity)
        return nx_buf_append(out, env->root.data, env->root.len) == NX_OK ? NX_OK
                                                                          : nx_fail_nomem(err);
    if (projection->own_vars && projection->root.computes)
        rc = own_slots(projection, &local, err);
    if (rc != NX_OK)
        return rc;
    nx_builder_init(&builder, out);
    rc = apply_fields(&apply, &projection->root, env->root);
    return rc == NX_OK ? nx_builder_end(&builder, err) : rc;
}

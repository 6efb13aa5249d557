/*
 * update.c - from an update's BSON to its form, and what the three forms share.
 *
 * The first key decides: operators begin with $, a replacement has none. An upsert begins with the
 * equalities of its filter, which are added to an empty document as a $set would.
 */
#include <stdlib.h>

#include "query/filter_node.h"
#include "query/operators.h"
#include "query/update_node.h"

static const struct update_op *const families[] = {update_ops_fields, update_ops_arrays};

static const struct update_op *find_op(const char *name)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const struct update_op *op = families[i]; op->name; op++)
            if (strcmp(op->name, name) == 0)
                return op;
    return NULL;
}

void update_each_operator(nx_operator_fn fn, void *arg)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (const struct update_op *op = families[i]; op->name; op++)
            fn(arg, &(struct nx_operator){op->name, NX_OPERATOR_UPDATE, op->help});
}

/* --- the tree --------------------------------------------------------------------------------- */

void update_action_fini(struct update_action *action)
{
    filter_free(action->condition);
    sort_spec_free(action->sort);
    path_fini(&action->path);
}

void update_node_fini(struct update_node *node)
{
    for (uint32_t i = 0; i < node->kid_count; i++) {
        update_node_fini(node->kids[i]);
        free(node->kids[i]);
    }
    free(node->kids);
    free(node->name);
    path_fini(&node->array);
    update_action_fini(&node->action);
}

static bool is_number(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return len > 0;
}

int update_compare_names(const char *a, size_t a_len, const char *b, size_t b_len)
{
    bool a_number = is_number(a, a_len), b_number = is_number(b, b_len);

    if (a_number && b_number && a_len != b_len)
        return a_len < b_len ? -1 : 1;
    return nx_slice_compare(nx_slice(a, a_len), nx_slice(b, b_len));
}

static enum nx_code insert_kid(struct update_node *node, uint32_t at, struct update_node **out,
                               struct nx_err *err)
{
    struct update_node **kids = realloc(node->kids, (node->kid_count + 1) * sizeof *kids);
    struct update_node *kid;

    if (!kids)
        return nx_fail_nomem(err);
    node->kids = kids;
    kid = calloc(1, sizeof *kid);
    if (!kid)
        return nx_fail_nomem(err);
    memmove(kids + at + 1, kids + at, (node->kid_count - at) * sizeof *kids);
    kids[at] = kid;
    node->kid_count++;
    *out = kid;
    return NX_OK;
}

static enum nx_code name_part(struct update *update, const struct path *path, uint32_t part,
                              struct update_node *node, struct nx_err *err)
{
    const char *name = path->parts[part].name;
    size_t len = path->parts[part].len;

    node->index = path->parts[part].index;
    if (name[0] != '$' || nx_slice_equal(nx_slice(name, len), nx_slice_str("$id")) ||
        nx_slice_equal(nx_slice(name, len), nx_slice_str("$ref")) ||
        nx_slice_equal(nx_slice(name, len), nx_slice_str("$db"))) {
        node->part = PART_FIELD;
    } else if (part == 0) {
        return nx_fail(err, NX_EUPDATE, "a path cannot begin with '%.*s'", (int)len, name);
    } else if (len == 1) {
        node->part = PART_POSITION;
        return path_init(&node->array, path->text, (size_t)(name - path->text) - 1, err);
    } else if (len == 3 && memcmp(name, "$[]", 3) == 0) {
        node->part = PART_ALL;
    } else if (len > 3 && name[1] == '[' && name[len - 1] == ']') {
        struct array_filter *filter = array_filter_find(update, name + 2, len - 3);

        node->part = PART_FILTERED;
        node->filter = filter;
        if (!filter)
            return nx_fail(err, NX_EUPDATE, "no array filter is named '%.*s'", (int)(len - 3),
                           name + 2);
        filter->used = true;
    } else {
        return nx_fail(err, NX_EUPDATE, "'%.*s' cannot be the name of a field", (int)len, name);
    }
    return NX_OK;
}

/* The kid for one part of a path, found or made. */
static enum nx_code kid_for(struct update *update, struct update_node *node,
                            const struct path *path, uint32_t part, struct update_node **out,
                            struct nx_err *err)
{
    const char *name = path->parts[part].name;
    size_t len = path->parts[part].len;
    uint32_t at = 0;
    enum nx_code rc;

    for (; at < node->kid_count; at++) {
        int order = update_compare_names(name, len, node->kids[at]->name, node->kids[at]->name_len);

        if (order == 0) {
            *out = node->kids[at];
            return NX_OK;
        }
        if (order < 0)
            break;
    }
    rc = insert_kid(node, at, out, err);
    if (rc != NX_OK)
        return rc;
    (*out)->name = strndup(name, len);
    (*out)->name_len = len;
    if (!(*out)->name)
        return nx_fail_nomem(err);
    return name_part(update, path, part, *out, err);
}

static enum nx_code conflict(const struct path *path, struct nx_err *err)
{
    return nx_fail(err, NX_EUPDATE, "the update sets '%s' twice, or a field and one inside it",
                   path->text);
}

enum nx_code update_add_path(struct update *update, struct nx_slice text,
                             struct update_action **out, struct nx_err *err)
{
    struct update_node *node = &update->root;
    struct path path = {0};
    unsigned positions = 0;
    enum nx_code rc = path_init(&path, (const char *)text.data, text.len, err);

    for (uint32_t i = 0; rc == NX_OK && i < path.count; i++) {
        if (node->action.op)
            rc = conflict(&path, err);
        else
            rc = kid_for(update, node, &path, i, &node, err);
        if (rc == NX_OK && node->part == PART_POSITION && ++positions > 1)
            rc = nx_fail(err, NX_EUPDATE, "'%s' has more than one positional operator", path.text);
    }
    if (rc == NX_OK && (node->action.op || node->kid_count))
        rc = conflict(&path, err);
    path_fini(&path);
    *out = &node->action;
    return rc;
}

/* --- parsing ---------------------------------------------------------------------------------- */

static enum nx_code add_rename(struct update *update, const struct nx_doc_iter *field,
                               struct nx_err *err)
{
    struct update_action *from, *to;
    enum nx_code rc;

    if (field->value.type != NX_TYPE_STRING)
        return nx_fail(err, NX_EUPDATE, "$rename of '%.60s' needs the new name, a string",
                       field->key);
    if (memchr(field->key, '$', field->key_len) || memchr(field->value.data, '$', field->value.len))
        return nx_fail(err, NX_EUPDATE, "$rename of '%.60s' cannot use positional parts",
                       field->key);
    rc = update_add_path(update, nx_slice(field->key, field->key_len), &from, err);
    if (rc != NX_OK)
        return rc;
    from->op = &update_op_rename_from;
    rc = update_add_path(update, nx_value_slice(&field->value), &to, err);
    if (rc != NX_OK)
        return rc;
    to->op = &update_op_rename_to;
    return path_init(&to->path, field->key, field->key_len, err);
}

static enum nx_code add_field(struct update *update, const struct update_op *op,
                              const struct nx_doc_iter *field, struct nx_err *err)
{
    struct update_action *action;
    enum nx_code rc;

    if (strcmp(op->name, "$rename") == 0)
        return add_rename(update, field, err);
    rc = update_add_path(update, nx_slice(field->key, field->key_len), &action, err);
    if (rc != NX_OK)
        return rc;
    action->op = op;
    action->arg = field->value;
    action->list = NX_MISSING;
    return op->parse ? op->parse(&field->value, action, err) : NX_OK;
}

static enum nx_code parse_operators(struct update *update, struct nx_err *err)
{
    struct nx_doc_iter ops, fields;
    enum nx_code rc = NX_OK;

    nx_doc_iter_init(&ops, nx_buf_slice(&update->spec));
    while (rc == NX_OK && nx_doc_iter_next(&ops)) {
        const struct update_op *op = find_op(ops.key);

        if (ops.key[0] != '$')
            return nx_fail(err, NX_EUPDATE,
                           "'%.60s' stands among operators: an update has operators or is a whole "
                           "document",
                           ops.key);
        if (!op)
            return nx_fail(err, NX_EOPERATOR, "unknown update operator '%.60s'", ops.key);
        if (ops.value.type != NX_TYPE_DOCUMENT)
            return nx_fail(err, NX_EUPDATE, "%s needs an object of fields, not %s", op->name,
                           nx_type_name(ops.value.type));
        nx_doc_iter_init(&fields, nx_value_slice(&ops.value));
        while (rc == NX_OK && nx_doc_iter_next(&fields))
            rc = add_field(update, op, &fields, err);
    }
    return rc;
}

static enum nx_code check_replacement(struct nx_slice doc, struct nx_err *err)
{
    struct nx_doc_iter iter;

    nx_doc_iter_init(&iter, doc);
    while (nx_doc_iter_next(&iter))
        if (iter.key[0] == '$')
            return nx_fail(err, NX_EUPDATE,
                           "'%.60s' stands among fields: an update has operators or is a whole "
                           "document",
                           iter.key);
    return NX_OK;
}

static enum nx_code check_filters_used(const struct update *update, struct nx_err *err)
{
    for (uint32_t i = 0; i < update->filter_count; i++)
        if (!update->filters[i].used)
            return nx_fail(err, NX_EUPDATE, "the array filter '%s' is not used by the update",
                           update->filters[i].name);
    return NX_OK;
}

static enum nx_code parse_form(struct update *update, bool is_pipeline, struct nx_err *err)
{
    struct nx_slice spec = nx_buf_slice(&update->spec);
    struct nx_doc_iter iter;

    if (is_pipeline) {
        update->kind = UPDATE_PIPELINE;
        return update_pipeline_parse(spec, &update->pipeline, err);
    }
    nx_doc_iter_init(&iter, spec);
    if (nx_doc_iter_next(&iter) && iter.key[0] == '$') {
        update->kind = UPDATE_OPERATORS;
        return parse_operators(update, err);
    }
    update->kind = UPDATE_REPLACEMENT;
    return check_replacement(spec, err);
}

enum nx_code update_parse(struct nx_slice spec, bool is_pipeline, struct nx_slice array_filters,
                          struct update **out, struct nx_err *err)
{
    struct update *update;
    enum nx_code rc;

    *out = NULL;
    update = calloc(1, sizeof *update);
    if (!update)
        return nx_fail_nomem(err);
    rc = spec.len ? nx_buf_append(&update->spec, spec.data, spec.len)
                  : nx_buf_append(&update->spec, nx_doc_empty.data, nx_doc_empty.len);
    if (rc != NX_OK)
        nx_fail_nomem(err);
    if (rc == NX_OK && array_filters.len)
        rc = array_filters_parse(array_filters, update, err);
    if (rc == NX_OK)
        rc = parse_form(update, is_pipeline, err);
    if (rc == NX_OK)
        rc = check_filters_used(update, err);
    if (rc != NX_OK) {
        update_free(update);
        return rc;
    }
    *out = update;
    return NX_OK;
}

void update_free(struct update *update)
{
    if (!update)
        return;
    update_node_fini(&update->root);
    update_pipeline_free(update->pipeline);
    array_filters_fini(update);
    nx_buf_fini(&update->spec);
    nx_buf_fini(&update->filters_spec);
    free(update);
}

bool update_is_replacement(const struct update *update)
{
    return update->kind == UPDATE_REPLACEMENT;
}

/* --- applying --------------------------------------------------------------------------------- */

/* `doc` with `id` as its first field, in place of an _id of its own. */
static enum nx_code put_id_first(struct nx_slice doc, const struct nx_value *id, struct nx_buf *out,
                                 struct nx_err *err)
{
    struct nx_builder builder;
    struct nx_doc_iter iter;

    nx_builder_init(&builder, out);
    nx_builder_put(&builder, "_id", 3, id);
    nx_doc_iter_init(&iter, doc);
    while (nx_doc_iter_next(&iter))
        if (strcmp(iter.key, "_id") != 0)
            nx_builder_put(&builder, iter.key, iter.key_len, &iter.value);
    return nx_builder_end(&builder, err);
}

static enum nx_code check_id(struct nx_slice before, struct nx_slice after, struct nx_err *err)
{
    struct nx_value old = nx_doc_get(before, "_id", 3), new = nx_doc_get(after, "_id", 3);

    if (old.type == NX_TYPE_MISSING)
        return NX_OK;
    if (new.type == NX_TYPE_MISSING || nx_value_compare(&old, &new) != 0)
        return nx_fail(err, NX_EUPDATE, "the update would change the immutable field _id");
    return NX_OK;
}

static enum nx_code apply_form(const struct update *update, struct nx_slice doc,
                               const struct update_run *run, struct nx_buf *out, struct nx_err *err)
{
    if (update->kind == UPDATE_OPERATORS)
        return update_walk(update, doc, run, out, err);
    if (update->kind == UPDATE_PIPELINE)
        return update_pipeline_apply(update->pipeline, doc, run->env, out, err);
    return nx_buf_append(out, update->spec.data, update->spec.len) == NX_OK ? NX_OK
                                                                            : nx_fail_nomem(err);
}

enum nx_code update_apply(const struct update *update, struct nx_slice doc,
                          const struct update_run *run, struct nx_buf *out, struct nx_err *err)
{
    struct nx_value id = nx_doc_get(doc, "_id", 3);
    struct nx_buf made NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_slice result;
    enum nx_code rc = apply_form(update, doc, run, &made, err);

    if (rc != NX_OK)
        return rc;
    result = nx_buf_slice(&made);
    if (id.type != NX_TYPE_MISSING && update->kind != UPDATE_OPERATORS) {
        /* a new document keeps the _id it does not mention */
        struct nx_value its_id = nx_doc_get(result, "_id", 3);

        if (its_id.type == NX_TYPE_MISSING)
            return put_id_first(result, &id, out, err);
    }
    rc = check_id(doc, result, err);
    if (rc != NX_OK)
        return rc;
    id = id.type == NX_TYPE_MISSING ? nx_doc_get(result, "_id", 3) : id;
    if (id.type != NX_TYPE_MISSING)
        return put_id_first(result, &id, out, err);
    return nx_buf_append(out, result.data, result.len) == NX_OK ? NX_OK : nx_fail_nomem(err);
}

/* --- upserts ---------------------------------------------------------------------------------- */

/* The one value that the predicate allows: of $eq, or of an $in of one; NULL when there is none. */
static const struct nx_value *equal_value(const struct filter_node *node)
{
    const struct pred *pred = &node->pred;

    if (node->kind != NODE_PRED || node->path.count == 0)
        return NULL;
    if (pred->op->range == RANGE_POINT)
        return &pred->value;
    if (pred->op->range == RANGE_POINTS && pred->in.value_count == 1 && !pred->in.has_null &&
        !pred->in.regex_count)
        return &pred->in.values[0];
    return NULL;
}

static enum nx_code add_equalities(const struct filter_node *node, struct update *update,
                                   struct nx_err *err)
{
    const struct nx_value *value;
    struct update_action *action;
    enum nx_code rc = NX_OK;

    if (node->kind == NODE_AND || (node->kind == NODE_OR && node->kid_count == 1)) {
        for (uint32_t i = 0; rc == NX_OK && i < node->kid_count; i++)
            rc = add_equalities(node->kids[i], update, err);
        return rc;
    }
    value = equal_value(node);
    if (!value)
        return NX_OK;
    rc = update_add_path(update, nx_slice(node->path.text, node->path.len), &action, err);
    if (rc != NX_OK)
        return rc;
    action->op = &update_op_set;
    action->arg = *value;
    return NX_OK;
}

static enum nx_code equalities(const struct filter *filter, const struct update_run *run,
                               struct nx_buf *out, struct nx_err *err)
{
    struct update update = {.kind = UPDATE_OPERATORS};
    enum nx_code rc = add_equalities(filter->root, &update, err);

    if (rc == NX_OK)
        rc = update_walk(&update, nx_doc_empty, run, out, err);
    update_node_fini(&update.root);
    return rc;
}

enum nx_code update_upsert(const struct update *update, const struct filter *filter,
                           struct expr_env *env, struct nx_buf *out, struct nx_err *err)
{
    struct update_run run = {.inserting = true, .env = env};
    struct nx_buf base NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf only_id NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value id;
    enum nx_code rc = equalities(filter, &run, &base, err);

    if (rc != NX_OK)
        return rc;
    if (update->kind != UPDATE_REPLACEMENT)
        return update_apply(update, nx_buf_slice(&base), &run, out, err);
    id = nx_doc_get(nx_buf_slice(&base), "_id", 3);
    if (id.type == NX_TYPE_MISSING)
        return update_apply(update, nx_doc_empty, &run, out, err);
    rc = put_id_first(nx_doc_empty, &id, &only_id, err);
    return rc == NX_OK ? update_apply(update, nx_buf_slice(&only_id), &run, out, err) : rc;
}

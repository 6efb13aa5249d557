/*
 * update_pipeline.c - updates that compute: [{$set: ...}, {$unset: ...}, {$replaceWith: ...}].
 *
 * Each stage turns one document into one; all but $replaceRoot and $replaceWith are projections.
 */
#include <stdlib.h>

#include "query/projection.h"
#include "query/update_node.h"

enum stage_form { STAGE_ADD, STAGE_UNSET, STAGE_PROJECT, STAGE_REPLACE_ROOT, STAGE_REPLACE_WITH };

static const struct {
    const char *name;
    enum stage_form form;
} stage_rows[] = {
    {"$addFields", STAGE_ADD},
    {"$project", STAGE_PROJECT},
    {"$replaceRoot", STAGE_REPLACE_ROOT},
    {"$replaceWith", STAGE_REPLACE_WITH},
    {"$set", STAGE_ADD},
    {"$unset", STAGE_UNSET},
};

struct stage {
    struct projection *projection; /* owned; or ... */
    struct expr *new_root;         /* ... owned */
};

struct update_pipeline {
    struct stage *stages; /* owned */
    uint32_t count;
    struct expr_vars *vars; /* owned */
};

/* {$unset: "a"} and {$unset: ["a", "b"]} as the projection {a: 0, b: 0}. */
static enum nx_code unset_projection(const struct nx_value *arg, struct nx_buf *out,
                                     struct nx_err *err)
{
    struct nx_builder builder;
    struct nx_doc_iter iter;

    nx_builder_init(&builder, out);
    if (arg->type == NX_TYPE_STRING) {
        nx_builder_put(&builder, (const char *)arg->data, arg->len,
                       &(struct nx_value){.type = NX_TYPE_INT32});
        return nx_builder_end(&builder, err);
    }
    if (arg->type != NX_TYPE_ARRAY || nx_doc_is_empty(nx_value_slice(arg)))
        return nx_fail(err, NX_EUPDATE, "$unset needs a field name or an array of them");
    nx_doc_iter_init(&iter, nx_value_slice(arg));
    while (nx_doc_iter_next(&iter)) {
        if (iter.value.type != NX_TYPE_STRING || memchr(iter.value.data, 0, iter.value.len))
            return nx_fail(err, NX_EUPDATE, "$unset needs field names, not %s",
                           nx_type_name(iter.value.type));
        nx_builder_put(&builder, (const char *)iter.value.data, iter.value.len,
                       &(struct nx_value){.type = NX_TYPE_INT32});
    }
    return nx_builder_end(&builder, err);
}

static enum nx_code parse_projection(const struct nx_value *arg, enum stage_form form,
                                     struct expr_vars *vars, struct stage *out, struct nx_err *err)
{
    struct nx_buf unset NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum projection_form as = form == STAGE_ADD ? PROJECTION_ADD : PROJECTION_PROJECT;
    struct nx_slice spec = nx_value_slice(arg);
    enum nx_code rc;

    if (form == STAGE_UNSET) {
        rc = unset_projection(arg, &unset, err);
        if (rc != NX_OK)
            return rc;
        spec = nx_buf_slice(&unset);
    } else if (arg->type != NX_TYPE_DOCUMENT || nx_doc_is_empty(spec)) {
        return nx_fail(err, NX_EUPDATE, "the stage needs an object of fields, not %s",
                       nx_type_name(arg->type));
    }
    return projection_parse(spec, as, vars, NULL, &out->projection, err);
}

static enum nx_code parse_root(const struct nx_value *arg, enum stage_form form,
                               struct expr_vars *vars, struct stage *out, struct nx_err *err)
{
    struct nx_value root = *arg;

    if (form == STAGE_REPLACE_ROOT) {
        if (arg->type != NX_TYPE_DOCUMENT || nx_doc_count(nx_value_slice(arg)) != 1)
            return nx_fail(err, NX_EUPDATE, "$replaceRoot needs {newRoot: <expression>}");
        root = nx_doc_get_z(nx_value_slice(arg), "newRoot");
        if (root.type == NX_TYPE_MISSING)
            return nx_fail(err, NX_EUPDATE, "$replaceRoot needs {newRoot: <expression>}");
    }
    return expr_parse(&root, vars, &out->new_root, err);
}

static enum nx_code parse_stage(const struct nx_value *spec, struct expr_vars *vars,
                                struct stage *out, struct nx_err *err)
{
    struct nx_doc_iter iter;

    if (spec->type != NX_TYPE_DOCUMENT || nx_doc_count(nx_value_slice(spec)) != 1)
        return nx_fail(err, NX_EUPDATE, "a stage is an object with one operator");
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    nx_doc_iter_next(&iter);
    for (size_t i = 0; i < sizeof stage_rows / sizeof *stage_rows; i++) {
        if (strcmp(stage_rows[i].name, iter.key) != 0)
            continue;
        if (stage_rows[i].form >= STAGE_REPLACE_ROOT)
            return parse_root(&iter.value, stage_rows[i].form, vars, out, err);
        return parse_projection(&iter.value, stage_rows[i].form, vars, out, err);
    }
    return nx_fail(err, NX_EOPERATOR, "'%.60s' is not a stage of an update", iter.key);
}

enum nx_code update_pipeline_parse(struct nx_slice stages, struct update_pipeline **out,
                                   struct nx_err *err)
{
    struct update_pipeline *pipeline;
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    *out = NULL;
    pipeline = calloc(1, sizeof *pipeline);
    if (!pipeline)
        return nx_fail_nomem(err);
    pipeline->stages = calloc(nx_doc_count(stages) + 1, sizeof *pipeline->stages);
    pipeline->vars = expr_vars_new();
    if (!pipeline->stages || !pipeline->vars)
        rc = nx_fail_nomem(err);
    nx_doc_iter_init(&iter, stages);
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = parse_stage(&iter.value, pipeline->vars, &pipeline->stages[pipeline->count++], err);
    if (rc != NX_OK) {
        update_pipeline_free(pipeline);
        return rc;
    }
    *out = pipeline;
    return NX_OK;
}

void update_pipeline_free(struct update_pipeline *pipeline)
{
    if (!pipeline)
        return;
    for (uint32_t i = 0; i < pipeline->count; i++) {
        projection_free(pipeline->stages[i].projection);
        expr_free(pipeline->stages[i].new_root);
    }
    free(pipeline->stages);
    expr_vars_free(pipeline->vars);
    free(pipeline);
}

static enum nx_code apply_stage(const struct stage *stage, struct expr_env *env, struct nx_buf *out,
                                struct nx_err *err)
{
    struct nx_value root;
    enum nx_code rc;

    if (stage->projection)
        return projection_apply(stage->projection, env, out, err);
    rc = expr_eval(stage->new_root, env, &root, err);
    if (rc != NX_OK)
        return rc;
    if (root.type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EUPDATE, "the new root is %s, not an object",
                       nx_type_name(root.type));
    return nx_buf_append(out, root.data, root.len) == NX_OK ? NX_OK : nx_fail_nomem(err);
}

/* One environment for the pipeline: its slots, in the caller's arena. */
static enum nx_code make_environment(const struct update_pipeline *pipeline,
                                     const struct expr_env *outer, struct expr_env *out,
                                     struct nx_err *err)
{
    unsigned slots = expr_vars_slots(pipeline->vars);

    *out = *outer;
    out->vars = arena_alloc(outer->arena, (slots + 1) * sizeof *out->vars);
    if (!out->vars)
        return nx_fail_nomem(err);
    for (unsigned i = 0; i <= slots; i++)
        out->vars[i] = NX_MISSING;
    return NX_OK;
}

enum nx_code update_pipeline_apply(const struct update_pipeline *pipeline, struct nx_slice doc,
                                   struct expr_env *env, struct nx_buf *out, struct nx_err *err)
{
    struct nx_buf from NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf to NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct expr_env local;
    enum nx_code rc = make_environment(pipeline, env, &local, err);

    if (rc == NX_OK && nx_buf_append(&from, doc.data, doc.len) != NX_OK)
        rc = nx_fail_nomem(err);
    for (uint32_t i = 0; rc == NX_OK && i < pipeline->count; i++) {
        struct nx_buf empty;

        local.root = nx_buf_slice(&from);
        rc = apply_stage(&pipeline->stages[i], &local, &to, err);
        empty = from;
        nx_buf_clear(&empty);
        from = to;
        to = empty;
    }
    if (rc != NX_OK)
        return rc;
    return nx_buf_append(out, from.data, from.len) == NX_OK ? NX_OK : nx_fail_nomem(err);
}

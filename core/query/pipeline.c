/*
 * pipeline.c - parsing pipelines, putting their stages together, and the rewrites that pay.
 *
 * Rewrites: a leading $match becomes the condition of the scan, where the planner can use it; a
 * $sort followed by $limit (with $skip between) keeps only as many documents as are wanted.
 */
#include "query/pipeline.h"

#include <stdlib.h>

#include "query/filter.h"
#include "query/operators.h"

#define STAGES_MAX 1000
#define NESTING_MAX 20

struct pipeline {
    struct stage **stages; /* owned, `count` of them */
    size_t count, cap;
    struct stage *source; /* borrowed */
    struct stage *last;
};

static const struct stage_class *const classes[] = {
    &stage_add_fields,    &stage_bucket,       &stage_bucket_auto,  &stage_count,
    &stage_densify,       &stage_documents,    &stage_facet,        &stage_fill,
    &stage_graph_lookup,  &stage_group,        &stage_limit,        &stage_lookup,
    &stage_match,         &stage_merge,        &stage_out,          &stage_project,
    &stage_redact,        &stage_replace_root, &stage_replace_with, &stage_sample,
    &stage_set,           &stage_window,       &stage_skip,         &stage_sort,
    &stage_sort_by_count, &stage_union_with,   &stage_unset,        &stage_unwind,
    &stage_vector_search,
};

const struct stage_class *stage_class_find(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strlen(classes[i]->name) == len && memcmp(classes[i]->name, name, len) == 0)
            return classes[i];
    return NULL;
}

void stage_each_operator(nx_operator_fn fn, void *arg)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        const struct nx_operator op = {classes[i]->name, NX_OPERATOR_STAGE, classes[i]->help};

        fn(arg, &op);
    }
}

/* --- the context ------------------------------------------------------------------------------ */

enum nx_code pipeline_context_init(struct pipeline_context *context, struct nx_db *db,
                                   const struct nx_snapshot *snapshot,
                                   const struct nx_limits *limits, struct nx_io *io,
                                   struct nx_err *err)
{
    *context = (struct pipeline_context){.db = db, .snapshot = snapshot};
    budget_init(&context->budget, limits, io);
    context->spill_dir = db ? nx_db_spill_dir(db) : NULL;
    context->vars = expr_vars_new();
    return context->vars ? NX_OK : nx_fail_nomem(err);
}

void pipeline_context_fini(struct pipeline_context *context)
{
    expr_vars_free(context->vars);
    free(context->slots);
    context->vars = NULL;
    context->slots = NULL;
}

enum nx_code pipeline_context_ready(struct pipeline_context *context, struct nx_err *err)
{
    context->slots = calloc(expr_vars_slots(context->vars) + 1u, sizeof *context->slots);
    return context->slots ? NX_OK : nx_fail_nomem(err);
}

/* --- stages ----------------------------------------------------------------------------------- */

enum nx_code stage_new(struct pipeline_context *context, const struct stage_class *class,
                       struct stage **out, struct nx_err *err)
{
    struct stage *stage = calloc(1, class->size);

    *out = stage;
    if (!stage)
        return nx_fail_nomem(err);
    stage->class = class;
    stage->context = context;
    return NX_OK;
}

void stage_free(struct stage *stage)
{
    if (!stage)
        return;
    if (stage->class->close)
        stage->class->close(stage);
    arena_fini(&stage->arena);
    nx_buf_fini(&stage->out);
    free(stage);
}

void stage_reset(struct stage *stage)
{
    if (stage->class->reset)
        stage->class->reset(stage);
}

enum nx_code stage_next(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    enum nx_code rc = stage->class->next(stage, doc, err);

    if (rc == NX_ENOMEM && stage->arena.refused)
        rc = budget_fail(&stage->context->budget, stage->class->name, err);
    stage->given += rc == NX_OK;
    return rc;
}

void stage_bind(struct stage *stage, struct nx_slice doc, struct nx_slice scores)
{
    stage->env = expr_env_for(&stage->context->budget, &stage->arena);
    stage->env.root = doc;
    stage->env.vars = stage->context->slots;
    if (scores.len)
        stage->env.metadata = nx_doc_value(scores);
    stage->scores = scores;
}

enum nx_code stage_pull(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    enum nx_code rc = budget_tick(&stage->context->budget, err);

    if (rc == NX_OK)
        rc = stage_next(stage->source, doc, err);
    if (rc != NX_OK)
        return rc;
    arena_reset(&stage->arena);
    stage_bind(stage, *doc, stage->source->scores);
    return NX_OK;
}

/* --- parsing ---------------------------------------------------------------------------------- */

static enum nx_code check_place(const struct stage_class *class, enum pipeline_place place,
                                bool first, bool last, struct nx_err *err)
{
    if (place == PLACE_UPDATE && !(class->flags & STAGE_UPDATE))
        return nx_fail(err, NX_EQUERY, "%s cannot be used in an update", class->name);
    if ((class->flags & STAGE_FIRST) && (!first || place == PLACE_FACET))
        return nx_fail(err, NX_EQUERY, "%s can only be the first stage", class->name);
    if ((class->flags & STAGE_LAST) && !last)
        return nx_fail(err, NX_EQUERY, "%s can only be the last stage", class->name);
    if (((class->flags & STAGE_NOT_NESTED) && place != PLACE_TOP) ||
        ((class->flags & STAGE_NOT_FACET) && place == PLACE_FACET))
        return nx_fail(err, NX_EQUERY, "%s cannot be used inside another stage", class->name);
    return NX_OK;
}

static enum nx_code push(struct pipeline *pipeline, struct stage *stage, struct nx_err *err)
{
    if (pipeline->count == STAGES_MAX)
        return nx_fail(err, NX_EQUERY, "a pipeline has more than %d stages", STAGES_MAX);
    if (pipeline->count == pipeline->cap) {
        size_t cap = pipeline->cap ? pipeline->cap * 2 : 8;
        struct stage **stages = realloc(pipeline->stages, cap * sizeof(struct stage *));

        if (!stages)
            return nx_fail_nomem(err);
        pipeline->stages = stages;
        pipeline->cap = cap;
    }
    pipeline->stages[pipeline->count++] = stage;
    return NX_OK;
}

static enum nx_code add_stage(struct pipeline_context *context, struct pipeline *pipeline,
                              const struct stage_class *class, const struct nx_value *spec,
                              struct nx_err *err)
{
    struct stage *stage;
    enum nx_code rc = stage_new(context, class, &stage, err);

    if (rc == NX_OK)
        rc = class->parse(stage, spec, err);
    if (rc == NX_OK)
        rc = push(pipeline, stage, err);
    if (rc != NX_OK)
        stage_free(stage);
    return rc;
}

/* Parse the stages that one stands for; those never expand again. */
static enum nx_code add_expanded(struct pipeline_context *context, struct pipeline *pipeline,
                                 const struct stage_class *class, const struct nx_value *spec,
                                 struct nx_err *err)
{
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_builder builder;
    struct nx_doc_iter iter, inner;
    enum nx_code rc;

    nx_builder_init_array(&builder, &bytes);
    rc = class->expand(spec, &builder, err);
    if (rc == NX_OK)
        rc = nx_builder_end(&builder, err);
    if (rc != NX_OK)
        return rc;
    nx_doc_iter_init(&iter, nx_buf_slice(&bytes));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        nx_doc_iter_init(&inner, nx_value_slice(&iter.value));
        nx_doc_iter_next(&inner);
        rc = add_stage(context, pipeline, stage_class_find(inner.key, inner.key_len), &inner.value,
                       err);
    }
    return rc;
}

static enum nx_code parse_stage(struct pipeline_context *context, struct pipeline *pipeline,
                                const struct nx_value *spec, enum pipeline_place place, bool first,
                                bool last, struct nx_err *err)
{
    const struct stage_class *class;
    struct nx_doc_iter iter;
    enum nx_code rc;

    if (spec->type != NX_TYPE_DOCUMENT || nx_doc_count(nx_value_slice(spec)) != 1)
        return nx_fail(err, NX_EQUERY,
                       "a stage is an object with one member, its name: {\"$match\": {...}}");
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    nx_doc_iter_next(&iter);
    class = stage_class_find(iter.key, iter.key_len);
    if (!class)
        return nx_fail(err, NX_EOPERATOR, "unknown pipeline stage '%.100s'", iter.key);
    rc = check_place(class, place, first, last, err);
    if (rc != NX_OK)
        return rc;
    return (class->expand ? add_expanded : add_stage)(context, pipeline, class, &iter.value, err);
}

/* $sort, any $skip, $limit: the sort keeps skip + limit documents. */
static void limit_sorts(struct pipeline *pipeline)
{
    for (size_t i = 0; i < pipeline->count; i++) {
        uint64_t skip = 0, limit, more;
        size_t at = i + 1;

        if (pipeline->stages[i]->class != &stage_sort)
            continue;
        while (at < pipeline->count && skip_stage_count(pipeline->stages[at], &more) &&
               !__builtin_add_overflow(skip, more, &skip))
            at++;
        if (at < pipeline->count && limit_stage_count(pipeline->stages[at], &limit) &&
            !__builtin_add_overflow(skip, limit, &limit))
            sort_stage_limit(pipeline->stages[i], limit);
    }
}

static enum nx_code parse_all(struct pipeline_context *context, struct nx_slice spec,
                              enum pipeline_place place, struct pipeline *pipeline,
                              struct nx_err *err)
{
    size_t count = nx_doc_count(spec), i = 0;
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    nx_doc_iter_init(&iter, spec);
    for (; rc == NX_OK && nx_doc_iter_next(&iter); i++) {
        rc = parse_stage(context, pipeline, &iter.value, place, i == 0, i + 1 == count, err);
        if (rc != NX_OK && err && context->depth == 1)
            err->index = (int64_t)i;
    }
    return rc;
}

enum nx_code pipeline_parse(struct pipeline_context *context, struct nx_slice spec,
                            enum pipeline_place place, struct pipeline **out, struct nx_err *err)
{
    struct pipeline *pipeline;
    enum nx_code rc;

    *out = NULL;
    if (context->depth == NESTING_MAX)
        return nx_fail(err, NX_EQUERY, "pipelines are nested deeper than %d", NESTING_MAX);
    pipeline = calloc(1, sizeof *pipeline);
    if (!pipeline)
        return nx_fail_nomem(err);
    context->depth++;
    rc = parse_all(context, spec, place, pipeline, err);
    context->depth--;
    if (rc != NX_OK) {
        pipeline_free(pipeline);
        return rc;
    }
    limit_sorts(pipeline);
    *out = pipeline;
    return NX_OK;
}

void pipeline_free(struct pipeline *pipeline)
{
    if (!pipeline)
        return;
    for (size_t i = pipeline->count; i-- > 0;)
        stage_free(pipeline->stages[i]);
    free(pipeline->stages);
    free(pipeline);
}

/* --- running ---------------------------------------------------------------------------------- */

extern const struct stage_class stage_scan;

void pipeline_connect(struct pipeline *pipeline, struct stage *source)
{
    pipeline_connect_through(pipeline, source, true);
}

void pipeline_connect_through(struct pipeline *pipeline, struct stage *source, bool push_match)
{
    size_t first = 0;

    pipeline->source = source;
    pipeline->last = source;
    if (push_match && source && source->class == &stage_scan && pipeline->count &&
        pipeline->stages[0]->class == &stage_match) {
        scan_stage_filter(source, match_stage_filter(pipeline->stages[0]));
        first = 1;
    }
    for (size_t i = first; i < pipeline->count; i++) {
        pipeline->stages[i]->source = pipeline->last;
        pipeline->last = pipeline->stages[i];
    }
}

enum nx_code pipeline_next(struct pipeline *pipeline, struct nx_slice *doc, struct nx_err *err)
{
    return stage_next(pipeline->last, doc, err);
}

struct stage *pipeline_last(struct pipeline *pipeline)
{
    return pipeline->last;
}

void pipeline_reset(struct pipeline *pipeline)
{
    if (pipeline->source)
        stage_reset(pipeline->source);
    for (size_t i = 0; i < pipeline->count; i++)
        stage_reset(pipeline->stages[i]);
}

bool pipeline_has_own_source(const struct pipeline *pipeline)
{
    return pipeline->count && (pipeline->stages[0]->class->flags & STAGE_FIRST);
}

bool pipeline_writes(const struct pipeline *pipeline)
{
    return pipeline->count && (pipeline->stages[pipeline->count - 1]->class->flags & STAGE_LAST);
}

size_t pipeline_count(const struct pipeline *pipeline)
{
    return pipeline->count;
}

struct stage *pipeline_stage(const struct pipeline *pipeline, size_t index)
{
    return pipeline->stages[index];
}

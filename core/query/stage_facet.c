/*
 * stage_facet.c - $facet: several pipelines over the same documents, which are spooled once; and
 * $unionWith.
 */
#include <stdlib.h>

#include "query/pipeline.h"
#include "query/spool.h"
#include "query/stage_spec.h"

/* --- reading a spool again ----------------------------------------------------------------------
 */

struct spool_stage {
    struct stage stage;
    struct spool *spool; /* borrowed */
};

static enum nx_code next_spooled(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    return spool_next(((struct spool_stage *)stage)->spool, doc, err);
}

static void reset_spooled(struct stage *stage)
{
    struct spool *spool = ((struct spool_stage *)stage)->spool;

    if (spool)
        spool_rewind(spool);
}

static const struct stage_class stage_spooled = {
    .name = "spool",
    .size = sizeof(struct spool_stage),
    .next = next_spooled,
    .reset = reset_spooled,
};

/* --- $facet ----------------------------------------------------------------------------------- */

struct facet {
    char *name;                /* owned */
    struct pipeline *pipeline; /* owned */
};

struct facet_stage {
    struct stage stage;
    struct facet *facets; /* owned */
    size_t count;
    struct stage *reader; /* owned: gives the spooled documents */
    struct spool *spool;  /* owned */
    bool done;
};

static enum nx_code parse_facet(struct stage *base, const struct nx_value *spec, struct nx_err *err)
{
    struct facet_stage *stage = (struct facet_stage *)base;
    struct nx_doc_iter iter;
    enum nx_code rc;

    if (spec->type != NX_TYPE_DOCUMENT || nx_doc_is_empty(nx_value_slice(spec)))
        return nx_fail(err, NX_EQUERY, "$facet wants an object of pipelines");
    stage->facets = calloc(nx_doc_count(nx_value_slice(spec)), sizeof *stage->facets);
    if (!stage->facets)
        return nx_fail_nomem(err);
    rc = stage_new(base->context, &stage_spooled, &stage->reader, err);
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        struct facet *facet = &stage->facets[stage->count];

        rc = spec_field_name("$facet", iter.key, iter.key_len, err);
        if (rc == NX_OK && iter.value.type != NX_TYPE_ARRAY)
            rc = nx_fail(err, NX_EQUERY, "$facet wants '%.100s' as an array of stages", iter.key);
        if (rc == NX_OK)
            rc = pipeline_parse(base->context, nx_value_slice(&iter.value), PLACE_FACET,
                                &facet->pipeline, err);
        if (rc != NX_OK)
            break;
        stage->count++;
        pipeline_connect(facet->pipeline, stage->reader);
        facet->name = strdup(iter.key);
        if (!facet->name)
            rc = nx_fail_nomem(err);
    }
    return rc;
}

static enum nx_code spool_all(struct facet_stage *stage, struct nx_err *err)
{
    struct pipeline_context *context = stage->stage.context;
    struct nx_slice doc;
    enum nx_code rc =
        spool_new(&context->budget, context->spill_dir, "$facet", UINT64_MAX, &stage->spool, err);

    ((struct spool_stage *)stage->reader)->spool = stage->spool;
    while (rc == NX_OK && (rc = stage_pull(&stage->stage, &doc, err)) == NX_OK)
        rc = spool_add(stage->spool, doc, err);
    stage->stage.scores = NX_SLICE_NULL;
    return rc == NX_DONE ? NX_OK : rc;
}

static enum nx_code run_facet(struct facet_stage *stage, struct facet *facet,
                              struct nx_builder *builder, struct nx_err *err)
{
    struct nx_slice doc;
    enum nx_code rc = NX_OK;

    pipeline_reset(facet->pipeline);
    nx_builder_begin_array(builder, facet->name, strlen(facet->name));
    while (rc == NX_OK && (rc = pipeline_next(facet->pipeline, &doc, err)) == NX_OK) {
        struct nx_value item = nx_doc_value(doc);

        nx_builder_push(builder, &item);
        if (stage->stage.out.len > stage->stage.context->budget.limits.memory_bytes)
            rc = budget_fail(&stage->stage.context->budget, "the result of $facet", err);
    }
    nx_builder_close(builder);
    return rc == NX_DONE ? NX_OK : rc;
}

static enum nx_code next_facet(struct stage *base, struct nx_slice *doc, struct nx_err *err)
{
    struct facet_stage *stage = (struct facet_stage *)base;
    struct nx_builder builder;
    enum nx_code rc;

    if (stage->done)
        return NX_DONE;
    stage->done = true;
    rc = spool_all(stage, err);
    nx_buf_clear(&base->out);
    nx_builder_init(&builder, &base->out);
    for (size_t i = 0; rc == NX_OK && i < stage->count; i++)
        rc = run_facet(stage, &stage->facets[i], &builder, err);
    if (rc == NX_OK)
        rc = nx_builder_end(&builder, err);
    *doc = nx_buf_slice(&base->out);
    return rc;
}

static void reset_facet(struct stage *base)
{
    struct facet_stage *stage = (struct facet_stage *)base;

    if (stage->reader)
        ((struct spool_stage *)stage->reader)->spool = NULL;
    spool_free(stage->spool);
    stage->spool = NULL;
    stage->done = false;
}

static void close_facet(struct stage *base)
{
    struct facet_stage *stage = (struct facet_stage *)base;

    for (size_t i = 0; i < stage->count; i++) {
        pipeline_free(stage->facets[i].pipeline);
        free(stage->facets[i].name);
    }
    free(stage->facets);
    reset_facet(base);
    stage_free(stage->reader);
}

const struct stage_class stage_facet = {
    .name = "$facet",
    .flags = STAGE_NOT_FACET,
    .size = sizeof(struct facet_stage),
    .parse = parse_facet,
    .next = next_facet,
    .reset = reset_facet,
    .close = close_facet,
    .help = "several pipelines over the same documents",
};

/* --- $unionWith ------------------------------------------------------------------------------- */

struct union_stage {
    struct stage stage;
    struct stage *scan;        /* owned; NULL when the pipeline brings its own documents */
    struct pipeline *pipeline; /* owned */
    bool second;
};

static enum nx_code parse_union(struct stage *base, const struct nx_value *spec, struct nx_err *err)
{
    struct union_stage *stage = (struct union_stage *)base;
    struct spec_member members[] = {{"coll", false, NX_MISSING}, {"pipeline", false, NX_MISSING}};
    struct nx_slice stages = nx_doc_empty;
    nx_ino ino = 0;
    bool own;
    enum nx_code rc = NX_OK;

    if (spec->type == NX_TYPE_STRING)
        members[0].value = *spec;
    else
        rc = spec_members("$unionWith", spec, members, 2, err);
    if (rc == NX_OK && members[1].value.type != NX_TYPE_MISSING) {
        if (members[1].value.type != NX_TYPE_ARRAY)
            return nx_fail(err, NX_EQUERY, "$unionWith wants 'pipeline' as an array of stages");
        stages = nx_value_slice(&members[1].value);
    }
    if (rc == NX_OK)
        rc = pipeline_parse(base->context, stages, PLACE_NESTED, &stage->pipeline, err);
    if (rc != NX_OK)
        return rc;
    own = pipeline_has_own_source(stage->pipeline); /* $documents */
    if (!own || members[0].value.type != NX_TYPE_MISSING)
        rc = pipeline_collection(base->context, &members[0].value, "$unionWith", &ino, err);
    if (rc == NX_OK)
        rc = scan_stage_new(base->context, ino, &stage->scan, err);
    if (rc == NX_OK)
        pipeline_connect(stage->pipeline, stage->scan);
    return rc;
}

static enum nx_code next_union(struct stage *base, struct nx_slice *doc, struct nx_err *err)
{
    struct union_stage *stage = (struct union_stage *)base;
    enum nx_code rc;

    if (!stage->second) {
        rc = stage_pull(base, doc, err);
        if (rc != NX_DONE)
            return rc;
        stage->second = true;
        pipeline_reset(stage->pipeline);
    }
    base->scores = NX_SLICE_NULL;
    rc = budget_tick(&base->context->budget, err);
    return rc == NX_OK ? pipeline_next(stage->pipeline, doc, err) : rc;
}

static void reset_union(struct stage *base)
{
    ((struct union_stage *)base)->second = false;
}

static void close_union(struct stage *base)
{
    struct union_stage *stage = (struct union_stage *)base;

    pipeline_free(stage->pipeline);
    stage_free(stage->scan);
}

const struct stage_class stage_union_with = {
    .name = "$unionWith",
    .size = sizeof(struct union_stage),
    .parse = parse_union,
    .next = next_union,
    .reset = reset_union,
    .close = close_union,
    .help = "the documents of another collection behind these",
};

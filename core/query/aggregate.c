/*
 * aggregate.c - nx_query_aggregate: a pipeline over a collection as a cursor, and its explanation.
 */
#include <stdlib.h>

#include "query/cursor.h"
#include "query/filter.h"
#include "query/pipeline.h"

struct aggregate {
    struct nx_cursor cursor;
    struct pipeline_context context;
    struct stage *scan;        /* owned */
    struct pipeline *pipeline; /* owned */
};

static enum nx_code aggregate_next(struct nx_cursor *cursor, struct nx_slice *doc,
                                   struct nx_err *err)
{
    struct aggregate *self = (struct aggregate *)cursor;
    enum nx_code rc = budget_tick(&self->context.budget, err);

    return rc == NX_OK ? pipeline_next(self->pipeline, doc, err) : rc;
}

static void aggregate_close(struct nx_cursor *cursor)
{
    struct aggregate *self = (struct aggregate *)cursor;

    pipeline_free(self->pipeline);
    stage_free(self->scan);
    pipeline_context_fini(&self->context);
    free(self);
}

static const struct cursor_ops aggregate_ops = {.next = aggregate_next, .close = aggregate_close};

static enum nx_code prepare(struct aggregate *self, nx_ino collection, struct nx_slice pipeline,
                            struct nx_err *err)
{
    enum nx_code rc = pipeline_parse(&self->context, pipeline, PLACE_TOP, &self->pipeline, err);

    if (rc == NX_OK)
        rc = pipeline_context_ready(&self->context, err);
    if (rc == NX_OK)
        rc = scan_stage_new(&self->context, collection, &self->scan, err);
    if (rc == NX_OK)
        pipeline_connect(self->pipeline, self->scan);
    return rc;
}

/* Run to the end, without writing, and tell what each stage gave. */
static enum nx_code explain(struct aggregate *self, struct nx_cursor **out, struct nx_err *err)
{
    struct nx_buf bytes = NX_BUF_INIT;
    struct nx_builder builder;
    struct nx_slice doc;
    enum nx_code rc = NX_OK;

    nx_builder_init(&builder, &bytes);
    while (!pipeline_writes(self->pipeline) && rc == NX_OK)
        rc = aggregate_next(&self->cursor, &doc, err);
    nx_builder_begin_array(&builder, "stages", 6);
    for (size_t i = 0; i <= pipeline_count(self->pipeline); i++) {
        const struct stage *stage = i ? pipeline_stage(self->pipeline, i - 1) : self->scan;
        bool taken_over = i && stage->source == NULL && stage->class == &stage_match;

        nx_builder_begin_document(&builder, NULL, 0);
        nx_builder_put_z(&builder, "stage", nx_string_z(stage->class->name));
        if (taken_over)
            nx_builder_put_z(&builder, "by", nx_string_z("scan"));
        else
            nx_builder_put_z(&builder, "documents", nx_int64((int64_t)stage->given));
        nx_builder_close(&builder);
    }
    nx_builder_close(&builder);
    rc = rc == NX_DONE || rc == NX_OK ? nx_builder_end(&builder, err) : rc;
    if (rc == NX_OK)
        rc = cursor_of_document(&bytes, out, err);
    if (rc != NX_OK)
        nx_buf_fini(&bytes);
    return rc;
}

enum nx_code nx_query_aggregate(struct nx_db *db, const struct nx_snapshot *snapshot,
                                nx_ino collection, struct nx_slice pipeline, bool want_plan,
                                const struct nx_limits *limits, struct nx_cursor **out,
                                struct nx_err *err)
{
    struct aggregate *self = calloc(1, sizeof *self);
    enum nx_code rc;

    *out = NULL;
    if (!self)
        return nx_fail_nomem(err);
    self->cursor.ops = &aggregate_ops;
    rc = pipeline_context_init(&self->context, db, snapshot, limits, nx_db_io(db), err);
    self->context.collection = collection;
    if (rc == NX_OK)
        rc = prepare(self, collection, pipeline, err);
    if (rc == NX_OK && want_plan)
        rc = explain(self, out, err);
    else if (rc == NX_OK)
        *out = &self->cursor;
    if (rc != NX_OK || want_plan)
        aggregate_close(&self->cursor);
    return rc;
}

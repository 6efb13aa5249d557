/*
 * stage_window.c - $setWindowFields: documents sorted by partition and order; a partition at a time
 * is held in memory, its functions computed, and its documents given with their values.
 */
#include <stdlib.h>

#include "query/sort.h"
#include "query/sorted_rows.h"
#include "query/stage_spec.h"
#include "query/window.h"

struct window_output {
    const struct expr_part *path; /* in stage.names */
    unsigned path_count;
    struct window_function function;
    struct nx_value *values; /* in results, one for each row */
};

struct window_stage {
    struct stage stage;
    struct arena names, results;
    struct expr *partition;        /* owned, or NULL */
    struct nx_buf order_bson;      /* owned; empty: none */
    struct sort_spec *order;       /* owned, or NULL */
    struct window_output *outputs; /* owned */
    size_t output_count;
    struct sorted_rows *rows; /* owned; NULL before the first document */
    struct nx_buf docs;       /* of the partition */
    size_t *ends;             /* owned: where each ends in docs */
    size_t count, cap, at;
    uint64_t taken;
    struct nx_buf pending; /* the first document of the next partition */
    bool has_pending;
    struct nx_buf spare;
};

enum { W_PARTITION, W_SORT, W_OUTPUT, W_MEMBERS };

static bool is_one_ascending(const struct window_stage *stage)
{
    struct nx_doc_iter iter;
    int64_t direction;

    if (!stage->order || sort_spec_fields(stage->order) != 1)
        return false;
    nx_doc_iter_init(&iter, nx_buf_slice(&stage->order_bson));
    return nx_doc_iter_next(&iter) && nx_value_to_int64(&iter.value, &direction) && direction == 1;
}

static enum nx_code parse_outputs(struct window_stage *stage, const struct nx_value *spec,
                                  struct nx_err *err)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    if (spec->type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EQUERY, "$setWindowFields wants 'output' as an object");
    stage->outputs = calloc(nx_doc_count(nx_value_slice(spec)) + 1, sizeof *stage->outputs);
    if (!stage->outputs)
        return nx_fail_nomem(err);
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        struct window_output *output = &stage->outputs[stage->output_count++];

        rc = expr_split_path(iter.key, iter.key_len, &stage->names, &output->path,
                             &output->path_count, err);
        if (rc == NX_OK)
            rc = window_function_parse(&output->function, &iter.value, stage->order != NULL,
                                       is_one_ascending(stage), stage->stage.context->vars, err);
    }
    return rc;
}

static enum nx_code parse_window_fields(struct stage *base, const struct nx_value *spec,
                                        struct nx_err *err)
{
    struct window_stage *stage = (struct window_stage *)base;
    struct spec_member m[W_MEMBERS] = {{"partitionBy", false, NX_MISSING},
                                       {"sortBy", false, NX_MISSING},
                                       {"output", true, NX_MISSING}};
    enum nx_code rc = spec_members("$setWindowFields", spec, m, W_MEMBERS, err);

    if (rc == NX_OK && m[W_PARTITION].value.type != NX_TYPE_MISSING)
        rc = expr_parse(&m[W_PARTITION].value, base->context->vars, &stage->partition, err);
    if (rc == NX_OK && m[W_SORT].value.type != NX_TYPE_MISSING) {
        if (m[W_SORT].value.type != NX_TYPE_DOCUMENT)
            return nx_fail(err, NX_EQUERY, "$setWindowFields wants 'sortBy' as an object");
        rc = sort_spec_parse(nx_value_slice(&m[W_SORT].value), &stage->order, err);
        if (rc == NX_OK &&
            nx_buf_append(&stage->order_bson, m[W_SORT].value.data, m[W_SORT].value.len) != NX_OK)
            rc = nx_fail_nomem(err);
    }
    return rc == NX_OK ? parse_outputs(stage, &m[W_OUTPUT].value, err) : rc;
}

/* --- a partition ------------------------------------------------------------------------------ */

static enum nx_code keep_row(struct window_stage *stage, struct nx_slice doc, struct nx_err *err)
{
    struct budget *budget = &stage->stage.context->budget;

    if (!budget_take(budget, doc.len + sizeof *stage->ends))
        return budget_fail(budget, "a partition of $setWindowFields", err);
    stage->taken += doc.len + sizeof *stage->ends;
    if (stage->count == stage->cap) {
        size_t cap = stage->cap ? stage->cap * 2 : 64;
        size_t *ends = realloc(stage->ends, cap * sizeof *ends);

        if (!ends)
            return nx_fail_nomem(err);
        stage->ends = ends;
        stage->cap = cap;
    }
    if (nx_buf_append(&stage->docs, doc.data, doc.len) != NX_OK)
        return nx_fail_nomem(err);
    stage->ends[stage->count++] = stage->docs.len;
    return NX_OK;
}

static void forget_partition(struct window_stage *stage)
{
    nx_buf_clear(&stage->docs);
    stage->count = stage->at = 0;
    budget_give(&stage->stage.context->budget, stage->taken);
    stage->taken = 0;
    arena_reset(&stage->results);
}

static enum nx_code load_partition(struct window_stage *stage, struct nx_err *err)
{
    struct nx_slice doc, key;
    bool first;
    enum nx_code rc = NX_OK;

    forget_partition(stage);
    if (stage->has_pending)
        rc = keep_row(stage, nx_buf_slice(&stage->pending), err);
    stage->has_pending = false;
    while (rc == NX_OK) {
        rc = sorted_rows_next(stage->rows, &doc, &key, &first, err);
        if (rc != NX_OK)
            break;
        if (first && stage->count) {
            nx_buf_clear(&stage->pending);
            stage->has_pending = true;
            return nx_buf_append(&stage->pending, doc.data, doc.len) == NX_OK ? NX_OK
                                                                              : nx_fail_nomem(err);
        }
        rc = keep_row(stage, doc, err);
    }
    return rc == NX_DONE && stage->count ? NX_OK : rc;
}

static enum nx_code compute(struct window_stage *stage, struct nx_err *err)
{
    struct window_rows rows = {.count = stage->count,
                               .order = stage->order,
                               .stage = &stage->stage,
                               .arena = &stage->results};
    enum nx_code rc = NX_OK;

    rows.docs = arena_alloc(&stage->results, stage->count * sizeof *rows.docs);
    if (!rows.docs)
        return nx_fail_nomem(err);
    for (size_t i = 0; i < stage->count; i++) {
        size_t start = i ? stage->ends[i - 1] : 0;

        rows.docs[i] = nx_slice(stage->docs.data + start, stage->ends[i] - start);
    }
    for (size_t i = 0; rc == NX_OK && i < stage->output_count; i++) {
        struct window_output *output = &stage->outputs[i];

        output->values = arena_alloc(&stage->results, stage->count * sizeof *output->values);
        if (!output->values)
            return nx_fail_nomem(err);
        rc = window_function_compute(&output->function, &rows, output->values, err);
        if (rc == NX_OK &&
            stage->results.used_bytes > stage->stage.context->budget.limits.memory_bytes)
            rc = budget_fail(&stage->stage.context->budget, "a partition of $setWindowFields", err);
    }
    return rc;
}

/* Row stage->at with its values. */
static enum nx_code give_row(struct window_stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    size_t start = stage->at ? stage->ends[stage->at - 1] : 0;
    struct nx_slice now = nx_slice(stage->docs.data + start, stage->ends[stage->at] - start);
    struct nx_buf *into = &stage->stage.out, *other = &stage->spare;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; rc == NX_OK && i < stage->output_count; i++) {
        struct window_output *output = &stage->outputs[i];
        struct nx_buf *swap = into;

        nx_buf_clear(into);
        rc = document_set(now, output->path, output->path_count, &output->values[stage->at], into,
                          err);
        now = nx_buf_slice(into);
        into = other;
        other = swap;
    }
    stage->at++;
    *doc = now;
    return rc;
}

static enum nx_code sort_rows(struct window_stage *stage, struct nx_err *err)
{
    struct nx_slice doc;
    enum nx_code rc = sorted_rows_new(stage->stage.context, stage->partition,
                                      nx_buf_slice(&stage->order_bson), &stage->rows, err);

    while (rc == NX_OK && (rc = stage_pull(&stage->stage, &doc, err)) == NX_OK)
        rc = sorted_rows_add(stage->rows, &stage->stage, doc, err);
    stage->stage.scores = NX_SLICE_NULL;
    return rc == NX_DONE ? NX_OK : rc;
}

static enum nx_code next_window(struct stage *base, struct nx_slice *doc, struct nx_err *err)
{
    struct window_stage *stage = (struct window_stage *)base;
    enum nx_code rc = stage->rows ? NX_OK : sort_rows(stage, err);

    if (rc == NX_OK && stage->at == stage->count) {
        rc = load_partition(stage, err);
        if (rc == NX_OK)
            rc = compute(stage, err);
    }
    return rc == NX_OK ? give_row(stage, doc, err) : rc;
}

static void reset_window(struct stage *base)
{
    struct window_stage *stage = (struct window_stage *)base;

    forget_partition(stage);
    sorted_rows_free(stage->rows);
    stage->rows = NULL;
    stage->has_pending = false;
}

static void close_window(struct stage *base)
{
    struct window_stage *stage = (struct window_stage *)base;

    reset_window(base);
    for (size_t i = 0; i < stage->output_count; i++)
        window_function_fini(&stage->outputs[i].function);
    free(stage->outputs);
    free(stage->ends);
    expr_free(stage->partition);
    sort_spec_free(stage->order);
    nx_buf_fini(&stage->order_bson);
    nx_buf_fini(&stage->docs);
    nx_buf_fini(&stage->pending);
    nx_buf_fini(&stage->spare);
    arena_fini(&stage->names);
    arena_fini(&stage->results);
}

const struct stage_class stage_window = {
    .name = "$setWindowFields",
    .size = sizeof(struct window_stage),
    .parse = parse_window_fields,
    .next = next_window,
    .reset = reset_window,
    .close = close_window,
    .help = "values computed over neighbouring documents",
};

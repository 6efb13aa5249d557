/*
 * stage_vector.c - $vectorSearch: the nearest documents of the collection, with their scores beside
 * them for {"$meta": "vectorSearchScore"}.
 */
#include "query/pipeline.h"
#include "query/stage_spec.h"
#include "query/vsearch.h"

struct vector_stage {
    struct stage stage;
    struct nx_buf field, vector; /* owned */
    struct filter *filter;       /* owned */
    uint32_t k;
    enum nx_metric metric;
    struct vsearch *search; /* owned; NULL before the first document */
    struct nx_buf score;
};

enum {
    V_PATH,
    V_VECTOR,
    V_LIMIT,
    V_EXACT,
    V_METRIC,
    V_FILTER,
    V_EF,
    V_CANDIDATES,
    V_INDEX,
    V_MEMBERS
};

static enum nx_code check_vector(struct vector_stage *stage, const struct spec_member *m,
                                 struct nx_err *err)
{
    int64_t k;

    if (m[V_PATH].value.type != NX_TYPE_STRING || m[V_PATH].value.len == 0)
        return nx_fail(err, NX_EQUERY, "$vectorSearch wants 'path' as the name of a field");
    if (m[V_VECTOR].value.type != NX_TYPE_ARRAY)
        return nx_fail(err, NX_EQUERY, "$vectorSearch wants 'queryVector' as an array of numbers");
    if (!nx_value_to_int64(&m[V_LIMIT].value, &k) || k < 1 || k > INT32_MAX)
        return nx_fail(err, NX_EQUERY, "$vectorSearch wants 'limit' as a whole number above 0");
    stage->k = (uint32_t)k;
    if (m[V_METRIC].value.type != NX_TYPE_MISSING &&
        (m[V_METRIC].value.type != NX_TYPE_STRING ||
         !nx_metric_from_name((const char *)m[V_METRIC].value.data, m[V_METRIC].value.len,
                              &stage->metric)))
        return nx_fail(err, NX_EQUERY, "$vectorSearch knows the metrics cosine, l2 and dot");
    if (m[V_FILTER].value.type != NX_TYPE_MISSING && m[V_FILTER].value.type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EQUERY, "$vectorSearch wants 'filter' as an object");
    return NX_OK;
}

static enum nx_code parse_vector(struct stage *base, const struct nx_value *spec,
                                 struct nx_err *err)
{
    struct vector_stage *stage = (struct vector_stage *)base;
    struct spec_member m[V_MEMBERS] = {
        {"path", true, NX_MISSING},    {"queryVector", true, NX_MISSING},
        {"limit", true, NX_MISSING},   {"exact", false, NX_MISSING},
        {"metric", false, NX_MISSING}, {"filter", false, NX_MISSING},
        {"ef", false, NX_MISSING},     {"numCandidates", false, NX_MISSING},
        {"index", false, NX_MISSING}};
    enum nx_code rc = spec_members("$vectorSearch", spec, m, V_MEMBERS, err);

    if (rc == NX_OK)
        rc = check_vector(stage, m, err);
    if (rc == NX_OK && m[V_FILTER].value.type == NX_TYPE_DOCUMENT)
        rc = filter_parse(nx_value_slice(&m[V_FILTER].value), base->context->vars, &stage->filter,
                          err);
    if (rc == NX_OK &&
        (nx_buf_append(&stage->field, m[V_PATH].value.data, m[V_PATH].value.len) != NX_OK ||
         nx_buf_append(&stage->vector, m[V_VECTOR].value.data, m[V_VECTOR].value.len) != NX_OK))
        rc = nx_fail_nomem(err);
    return rc;
}

static enum nx_code search(struct vector_stage *stage, struct nx_err *err)
{
    struct pipeline_context *context = stage->stage.context;
    const struct vsearch_options options = {
        .db = context->db,
        .snapshot = context->snapshot,
        .collection = context->collection,
        .field = (const char *)stage->field.data,
        .field_len = stage->field.len,
        .vector = nx_buf_slice(&stage->vector),
        .k = stage->k,
        .metric = stage->metric,
        .filter = stage->filter,
        .env = &stage->stage.env,
        .budget = &context->budget,
    };

    stage_bind(&stage->stage, nx_doc_empty, NX_SLICE_NULL);
    return vsearch_run(&options, &stage->search, err);
}

static enum nx_code next_vector(struct stage *base, struct nx_slice *doc, struct nx_err *err)
{
    struct vector_stage *stage = (struct vector_stage *)base;
    struct nx_builder builder;
    double score;
    enum nx_code rc = stage->search ? NX_OK : search(stage, err);

    if (rc == NX_OK)
        rc = vsearch_next(stage->search, doc, &score);
    if (rc != NX_OK)
        return rc;
    nx_buf_clear(&stage->score);
    nx_builder_init(&builder, &stage->score);
    nx_builder_put_z(&builder, "vectorSearchScore", nx_double(score));
    rc = nx_builder_end(&builder, err);
    base->scores = nx_buf_slice(&stage->score);
    return rc;
}

static void reset_vector(struct stage *base)
{
    struct vector_stage *stage = (struct vector_stage *)base;

    vsearch_free(stage->search);
    stage->search = NULL;
}

static void close_vector(struct stage *base)
{
    struct vector_stage *stage = (struct vector_stage *)base;

    reset_vector(base);
    filter_free(stage->filter);
    nx_buf_fini(&stage->field);
    nx_buf_fini(&stage->vector);
    nx_buf_fini(&stage->score);
}

const struct stage_class stage_vector_search = {
    .name = "$vectorSearch",
    .flags = STAGE_FIRST | STAGE_NOT_NESTED,
    .size = sizeof(struct vector_stage),
    .parse = parse_vector,
    .next = next_vector,
    .reset = reset_vector,
    .close = close_vector,
    .help = "the documents with the nearest vectors",
};

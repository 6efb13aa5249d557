/*
 * stage_bucket.c - $sortByCount and $bucket, which are a $group and a $sort, and $bucketAuto.
 */
#include <stdlib.h>

#include "query/acc.h"
#include "query/pipeline.h"
#include "query/sort.h"
#include "query/stage_spec.h"

#define BUCKETS_MAX INT32_MAX

/* --- $sortByCount ----------------------------------------------------------------------------- */

static void begin(struct nx_builder *out, const char *key)
{
    nx_builder_begin_document(out, key, key ? strlen(key) : 0);
}

static void put_count(struct nx_builder *out)
{
    begin(out, "count");
    nx_builder_put_z(out, "$sum", nx_int32(1));
    nx_builder_close(out);
}

static void put_sort(struct nx_builder *out, const char *field, int direction)
{
    begin(out, NULL);
    begin(out, "$sort");
    nx_builder_put_z(out, field, nx_int32(direction));
    nx_builder_close(out);
    nx_builder_close(out);
}

static enum nx_code expand_sort_by_count(const struct nx_value *spec, struct nx_builder *out,
                                         struct nx_err *err)
{
    bool path = spec->type == NX_TYPE_STRING && spec->len > 1 && spec->data[0] == '$';

    if (!path && spec->type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EQUERY, "$sortByCount wants a path or an expression, not %s",
                       nx_type_name(spec->type));
    begin(out, NULL);
    begin(out, "$group");
    nx_builder_put(out, "_id", 3, spec);
    put_count(out);
    nx_builder_close(out);
    nx_builder_close(out);
    put_sort(out, "count", -1);
    return NX_OK;
}

const struct stage_class stage_sort_by_count = {
    .name = "$sortByCount",
    .expand = expand_sort_by_count,
    .help = "how often each value comes, the most frequent first",
};

/* --- $bucket ---------------------------------------------------------------------------------- */

enum { BUCKET_BY, BUCKET_BOUNDARIES, BUCKET_DEFAULT, BUCKET_OUTPUT };

/* A constant, from an expression that needs no document. */
static enum nx_code check_boundaries(const struct nx_value *boundaries,
                                     const struct nx_value *otherwise, struct nx_err *err)
{
    struct nx_value first = NX_MISSING, last = NX_MISSING;
    struct nx_doc_iter iter;

    if (boundaries->type != NX_TYPE_ARRAY || nx_doc_count(nx_value_slice(boundaries)) < 2)
        return nx_fail(err, NX_EQUERY, "$bucket wants 'boundaries' as an array of at least two");
    nx_doc_iter_init(&iter, nx_value_slice(boundaries));
    while (nx_doc_iter_next(&iter)) {
        if (first.type == NX_TYPE_MISSING)
            first = iter.value;
        else if (nx_type_order(iter.value.type) != nx_type_order(first.type))
            return nx_fail(err, NX_EQUERY, "$bucket wants boundaries of one type, not %s and %s",
                           nx_type_name(first.type), nx_type_name(iter.value.type));
        else if (nx_value_compare(&last, &iter.value) >= 0)
            return nx_fail(err, NX_EQUERY, "$bucket wants boundaries in ascending order");
        last = iter.value;
    }
    if (otherwise->type != NX_TYPE_MISSING && nx_value_compare(otherwise, &first) >= 0 &&
        nx_value_compare(otherwise, &last) < 0)
        return nx_fail(err, NX_EQUERY, "$bucket wants 'default' outside the boundaries");
    return NX_OK;
}

static void put_comparison(struct nx_builder *out, const char *op, const struct nx_value *bound)
{
    begin(out, NULL);
    nx_builder_begin_array(out, op, strlen(op));
    nx_builder_push(
        out, &(struct nx_value){.type = NX_TYPE_STRING, .len = 3, .data = (const uint8_t *)"$$v"});
    begin(out, NULL);
    nx_builder_put_z(out, "$literal", *bound);
    nx_builder_close(out);
    nx_builder_close(out);
    nx_builder_close(out);
}

static void put_branches(struct nx_builder *out, const struct nx_value *boundaries)
{
    struct nx_value low = NX_MISSING;
    struct nx_doc_iter iter;

    nx_builder_begin_array(out, "branches", 8);
    nx_doc_iter_init(&iter, nx_value_slice(boundaries));
    for (; nx_doc_iter_next(&iter); low = iter.value) {
        if (low.type == NX_TYPE_MISSING)
            continue;
        begin(out, NULL);
        begin(out, "case");
        nx_builder_begin_array(out, "$and", 4);
        put_comparison(out, "$gte", &low);
        put_comparison(out, "$lt", &iter.value);
        nx_builder_close(out);
        nx_builder_close(out);
        begin(out, "then");
        nx_builder_put_z(out, "$literal", low);
        nx_builder_close(out);
        nx_builder_close(out);
    }
    nx_builder_close(out);
}

/* _id: {$let: {vars: {v: <groupBy>}, in: {$switch: {branches, default}}}} */
static void put_bucket_id(struct nx_builder *out, const struct spec_member *members)
{
    begin(out, "_id");
    begin(out, "$let");
    begin(out, "vars");
    nx_builder_put_z(out, "v", members[BUCKET_BY].value);
    nx_builder_close(out);
    begin(out, "in");
    begin(out, "$switch");
    put_branches(out, &members[BUCKET_BOUNDARIES].value);
    if (members[BUCKET_DEFAULT].value.type != NX_TYPE_MISSING) {
        begin(out, "default");
        nx_builder_put_z(out, "$literal", members[BUCKET_DEFAULT].value);
        nx_builder_close(out);
    }
    for (int i = 0; i < 4; i++)
        nx_builder_close(out);
}

static enum nx_code put_outputs(struct nx_builder *out, const char *stage,
                                const struct nx_value *output, struct nx_err *err)
{
    struct nx_doc_iter iter;

    if (output->type == NX_TYPE_MISSING) {
        put_count(out);
        return NX_OK;
    }
    if (output->type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EQUERY, "%s wants 'output' as an object", stage);
    nx_doc_iter_init(&iter, nx_value_slice(output));
    while (nx_doc_iter_next(&iter)) {
        if (strcmp(iter.key, "_id") == 0)
            return nx_fail(err, NX_EQUERY, "%s makes '_id' itself", stage);
        nx_builder_put(out, iter.key, iter.key_len, &iter.value);
    }
    return NX_OK;
}

static enum nx_code expand_bucket(const struct nx_value *spec, struct nx_builder *out,
                                  struct nx_err *err)
{
    struct spec_member members[] = {{"groupBy", true, NX_MISSING},
                                    {"boundaries", true, NX_MISSING},
                                    {"default", false, NX_MISSING},
                                    {"output", false, NX_MISSING}};
    enum nx_code rc = spec_members("$bucket", spec, members, 4, err);

    if (rc == NX_OK)
        rc = check_boundaries(&members[BUCKET_BOUNDARIES].value, &members[BUCKET_DEFAULT].value,
                              err);
    if (rc != NX_OK)
        return rc;
    begin(out, NULL);
    begin(out, "$group");
    put_bucket_id(out, members);
    rc = put_outputs(out, "$bucket", &members[BUCKET_OUTPUT].value, err);
    nx_builder_close(out);
    nx_builder_close(out);
    put_sort(out, "_id", 1);
    return rc;
}

const struct stage_class stage_bucket = {
    .name = "$bucket",
    .expand = expand_bucket,
    .help = "grouped by the interval that a value is in",
};

/* --- $bucketAuto ------------------------------------------------------------------------------ */

/*
 * Documents are sorted by the value as {"k": {"v": value}, "d": document}: wrapped once more so
 * that arrays are ordered as they are.
 */
struct auto_stage {
    struct stage stage;
    struct expr *by; /* owned */
    uint64_t buckets;
    struct nx_buf outputs_bson; /* owned: {name: {$acc: ...}} */
    struct acc_spec **specs;    /* owned, with `count` names borrowed from outputs_bson */
    const char **names;
    size_t count;
    struct sort_spec *order; /* owned */
    struct sorter *sorter;   /* owned; NULL before the first document */
    uint64_t left, buckets_left;
    uint64_t share;        /* documents of a bucket, before those equal to its last */
    struct nx_buf wrapped; /* the next document */
    bool has_next;
    struct nx_buf low; /* {"v": the least value of the bucket} */
};

static enum nx_code parse_auto_outputs(struct auto_stage *stage, const struct nx_value *output,
                                       struct nx_err *err)
{
    struct nx_builder builder;
    struct nx_doc_iter iter, inner;
    enum nx_code rc;

    nx_builder_init(&builder, &stage->outputs_bson);
    rc = put_outputs(&builder, "$bucketAuto", output, err);
    if (rc == NX_OK)
        rc = nx_builder_end(&builder, err);
    if (rc != NX_OK)
        return rc;
    stage->specs =
        calloc(nx_doc_count(nx_buf_slice(&stage->outputs_bson)) + 1, sizeof(struct acc_spec *));
    stage->names =
        calloc(nx_doc_count(nx_buf_slice(&stage->outputs_bson)) + 1, sizeof(const char *));
    if (!stage->specs || !stage->names)
        return nx_fail_nomem(err);
    nx_doc_iter_init(&iter, nx_buf_slice(&stage->outputs_bson));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        rc = spec_field_name("$bucketAuto", iter.key, iter.key_len, err);
        if (rc == NX_OK &&
            (iter.value.type != NX_TYPE_DOCUMENT || nx_doc_count(nx_value_slice(&iter.value)) != 1))
            rc = nx_fail(err, NX_EQUERY, "$bucketAuto wants '%.100s' as one accumulator", iter.key);
        if (rc != NX_OK)
            return rc;
        nx_doc_iter_init(&inner, nx_value_slice(&iter.value));
        nx_doc_iter_next(&inner);
        stage->names[stage->count] = iter.key;
        rc = acc_spec_parse(inner.key, inner.key_len, &inner.value, ACC_GROUP,
                            stage->stage.context->vars, &stage->specs[stage->count], err);
        stage->count += rc == NX_OK;
    }
    return rc;
}

static enum nx_code parse_auto(struct stage *base, const struct nx_value *spec, struct nx_err *err)
{
    struct auto_stage *stage = (struct auto_stage *)base;
    struct spec_member members[] = {{"groupBy", true, NX_MISSING},
                                    {"buckets", true, NX_MISSING},
                                    {"output", false, NX_MISSING},
                                    {"granularity", false, NX_MISSING}};
    struct nx_buf order NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_builder builder;
    int64_t buckets;
    enum nx_code rc = spec_members("$bucketAuto", spec, members, 4, err);

    if (rc != NX_OK)
        return rc;
    if (!nx_value_to_int64(&members[1].value, &buckets) || buckets < 1 || buckets > BUCKETS_MAX)
        return nx_fail(err, NX_EQUERY, "$bucketAuto wants 'buckets' as a whole number above 0");
    if (members[3].value.type != NX_TYPE_MISSING)
        return nx_fail(err, NX_EUNSUPPORTED, "$bucketAuto cannot round to a 'granularity'");
    stage->buckets = (uint64_t)buckets;
    nx_builder_init(&builder, &order);
    nx_builder_put_z(&builder, "k", nx_int32(1));
    rc = nx_builder_end(&builder, err);
    if (rc == NX_OK)
        rc = sort_spec_parse(nx_buf_slice(&order), &stage->order, err);
    if (rc == NX_OK)
        rc = expr_parse(&members[0].value, base->context->vars, &stage->by, err);
    return rc == NX_OK ? parse_auto_outputs(stage, &members[2].value, err) : rc;
}

static enum nx_code wrap(struct auto_stage *stage, struct nx_slice doc, struct nx_buf *out,
                         struct nx_err *err)
{
    struct nx_value key, whole = nx_doc_value(doc);
    struct nx_builder builder;
    enum nx_code rc = expr_eval(stage->by, &stage->stage.env, &key, err);

    if (rc != NX_OK)
        return rc;
    if (key.type == NX_TYPE_MISSING)
        key = NX_NULL;
    nx_buf_clear(out);
    nx_builder_init(&builder, out);
    begin(&builder, "k");
    nx_builder_put(&builder, "v", 1, &key);
    nx_builder_close(&builder);
    nx_builder_put(&builder, "d", 1, &whole);
    return nx_builder_end(&builder, err);
}

/* Move to the next sorted document. */
static enum nx_code advance(struct auto_stage *stage, struct nx_err *err)
{
    struct nx_slice doc;
    enum nx_code rc = sorter_next(stage->sorter, &doc, err);

    stage->has_next = rc == NX_OK;
    if (rc != NX_OK)
        return rc == NX_DONE ? NX_OK : rc;
    nx_buf_clear(&stage->wrapped);
    return nx_buf_append(&stage->wrapped, doc.data, doc.len) == NX_OK ? NX_OK : nx_fail_nomem(err);
}

static enum nx_code sort_all(struct auto_stage *stage, struct nx_err *err)
{
    struct pipeline_context *context = stage->stage.context;
    struct nx_slice doc;
    enum nx_code rc =
        sorter_new(stage->order, 0, &context->budget, context->spill_dir, &stage->sorter, err);

    stage->left = 0;
    stage->buckets_left = stage->buckets;
    while (rc == NX_OK && (rc = stage_pull(&stage->stage, &doc, err)) == NX_OK) {
        rc = wrap(stage, doc, &stage->wrapped, err);
        if (rc == NX_OK)
            rc = sorter_add(stage->sorter, nx_buf_slice(&stage->wrapped), err);
        stage->left++;
    }
    stage->stage.scores = NX_SLICE_NULL;
    stage->share = (stage->left * 2 + stage->buckets) / (2 * stage->buckets);
    stage->share += stage->share == 0;
    return rc == NX_DONE ? advance(stage, err) : rc;
}

static struct nx_value key_of(const struct nx_buf *wrapped)
{
    return nx_doc_get_z(nx_buf_slice(wrapped), "k");
}

/* Add documents: the bucket's share, and then all with the value of the last. */
static enum nx_code fill_bucket(struct auto_stage *stage, struct acc *accs, uint64_t share,
                                struct nx_buf *last, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    for (uint64_t n = 0; rc == NX_OK && stage->has_next; n++) {
        struct nx_value doc = nx_doc_get_z(nx_buf_slice(&stage->wrapped), "d");
        struct nx_value key = key_of(&stage->wrapped);
        struct nx_value before = nx_doc_value(nx_buf_slice(last));

        if (n >= share && nx_value_compare(&before, &key) != 0)
            break;
        arena_reset(&stage->stage.arena);
        stage_bind(&stage->stage, nx_value_slice(&doc), NX_SLICE_NULL);
        for (size_t i = 0; rc == NX_OK && i < stage->count; i++)
            rc = acc_add(&accs[i], &stage->stage.env, err);
        nx_buf_clear(last);
        if (rc == NX_OK && nx_buf_append(last, key.data, key.len) != NX_OK)
            rc = nx_fail_nomem(err);
        stage->left--;
        if (rc == NX_OK)
            rc = advance(stage, err);
    }
    return rc;
}

static enum nx_code give_bucket(struct auto_stage *stage, struct acc *accs, struct nx_slice low,
                                struct nx_slice high, struct nx_slice *doc, struct nx_err *err)
{
    struct nx_builder builder;
    enum nx_code rc = NX_OK;

    arena_reset(&stage->stage.arena);
    nx_buf_clear(&stage->stage.out);
    nx_builder_init(&builder, &stage->stage.out);
    begin(&builder, "_id");
    nx_builder_put_z(&builder, "min", nx_doc_get_z(low, "v"));
    nx_builder_put_z(&builder, "max", nx_doc_get_z(high, "v"));
    nx_builder_close(&builder);
    for (size_t i = 0; rc == NX_OK && i < stage->count; i++) {
        struct nx_value value;

        rc = acc_result(&accs[i], &stage->stage.arena, &value, err);
        if (rc == NX_OK)
            nx_builder_put_z(&builder, stage->names[i], value);
    }
    if (rc == NX_OK)
        rc = nx_builder_end(&builder, err);
    *doc = nx_buf_slice(&stage->stage.out);
    return rc;
}

static enum nx_code next_auto(struct stage *base, struct nx_slice *doc, struct nx_err *err)
{
    struct auto_stage *stage = (struct auto_stage *)base;
    struct nx_buf last NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct acc *accs;
    struct nx_value low, high;
    uint64_t share;
    enum nx_code rc = stage->sorter ? NX_OK : sort_all(stage, err);

    if (rc != NX_OK || !stage->has_next)
        return rc == NX_OK ? NX_DONE : rc;
    accs = calloc(stage->count + 1, sizeof *accs);
    if (!accs)
        return nx_fail_nomem(err);
    for (size_t i = 0; i < stage->count; i++)
        acc_init(&accs[i], stage->specs[i]);
    share = --stage->buckets_left ? stage->share : stage->left; /* the last takes what is left */
    low = key_of(&stage->wrapped);
    nx_buf_clear(&stage->low);
    if (nx_buf_append(&stage->low, low.data, low.len) != NX_OK)
        rc = nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = fill_bucket(stage, accs, share, &last, err);
    if (rc == NX_OK) {
        high = stage->has_next ? key_of(&stage->wrapped) : nx_doc_value(nx_buf_slice(&last));
        rc = give_bucket(stage, accs, nx_buf_slice(&stage->low), nx_value_slice(&high), doc, err);
    }
    for (size_t i = 0; i < stage->count; i++)
        acc_fini(&accs[i]);
    free(accs);
    return rc;
}

static void reset_auto(struct stage *base)
{
    struct auto_stage *stage = (struct auto_stage *)base;

    sorter_free(stage->sorter);
    stage->sorter = NULL;
    stage->has_next = false;
}

static void close_auto(struct stage *base)
{
    struct auto_stage *stage = (struct auto_stage *)base;

    reset_auto(base);
    for (size_t i = 0; i < stage->count; i++)
        acc_spec_free(stage->specs[i]);
    free(stage->specs);
    free(stage->names);
    nx_buf_fini(&stage->outputs_bson);
    nx_buf_fini(&stage->wrapped);
    nx_buf_fini(&stage->low);
    sort_spec_free(stage->order);
    expr_free(stage->by);
}

const struct stage_class stage_bucket_auto = {
    .name = "$bucketAuto",
    .size = sizeof(struct auto_stage),
    .parse = parse_auto,
    .next = next_auto,
    .reset = reset_auto,
    .close = close_auto,
    .help = "grouped into intervals of about as many documents each",
};

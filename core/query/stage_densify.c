/*
 * stage_densify.c - $densify: documents for the values that are missing from a series.
 *
 * Documents are sorted by partition and field. The series of a partition is base + k * step: each
 * document is given when the series has come up to it, and what the series passes is made.
 */
#include <stdio.h>

#include "query/date_unit.h"
#include "query/numeric.h"
#include "query/sorted_rows.h"
#include "query/stage_spec.h"

#define MADE_MAX 500000

enum bounds { BOUNDS_FULL, BOUNDS_PARTITION, BOUNDS_RANGE };

struct densify_stage {
    struct stage stage;
    struct arena names, work;
    const struct expr_part *field;
    unsigned field_count;
    struct nx_buf order;      /* {"<field>": 1} */
    struct nx_buf partitions; /* BSON array of names */
    struct expr *partition;   /* owned, or NULL */
    enum bounds bounds;
    struct nx_buf constants; /* {"step", "low", "high"}: what the next three borrow */
    struct nx_value step, low, high;
    bool is_date;
    enum date_unit unit;
    int64_t date_step;

    struct sorted_rows *rows;      /* owned; NULL before the first document */
    struct nx_buf least, greatest; /* {"v": value} over all documents */
    struct nx_buf doc;             /* waiting to be given */
    struct nx_buf key;             /* of the partition: {"v": {...}} */
    struct nx_buf next_key;        /* of the waiting document's */
    bool has_doc, doc_is_first, active, based, finished;
    struct nx_buf base_bson;
    struct nx_value base;
    int64_t k;
    uint64_t made;
};

/* --- parsing ---------------------------------------------------------------------------------- */

static enum nx_code keep_one(struct nx_buf *buf, struct nx_value value, struct nx_err *err)
{
    struct nx_builder builder;

    nx_buf_clear(buf);
    nx_builder_init(&builder, buf);
    nx_builder_put_z(&builder, "v", value);
    return nx_builder_end(&builder, err);
}

static struct nx_value kept(const struct nx_buf *buf)
{
    return buf->len ? nx_doc_get_z(nx_buf_slice(buf), "v") : NX_MISSING;
}

/* The names as {"p0": "$a", "p1": "$b.c"}: what to partition by. */
static enum nx_code parse_partitions(struct densify_stage *stage, const struct nx_value *fields,
                                     struct nx_err *err)
{
    struct nx_buf spec NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_builder builder;
    struct nx_doc_iter iter;
    struct nx_value object;
    enum nx_code rc;

    if (fields->type != NX_TYPE_ARRAY)
        return nx_fail(err, NX_EQUERY, "$densify wants 'partitionByFields' as an array of names");
    nx_builder_init(&builder, &spec);
    nx_doc_iter_init(&iter, nx_value_slice(fields));
    while (nx_doc_iter_next(&iter)) {
        struct nx_value text;
        char name[16];

        if (iter.value.type != NX_TYPE_STRING || iter.value.len == 0)
            return nx_fail(err, NX_EQUERY, "$densify wants names in 'partitionByFields'");
        nx_buf_clear(&path);
        if (nx_buf_append_byte(&path, '$') != NX_OK ||
            nx_buf_append(&path, iter.value.data, iter.value.len) != NX_OK)
            return nx_fail_nomem(err);
        text = nx_string(path.data, path.len);
        snprintf(name, sizeof name, "p%.10s", iter.key);
        nx_builder_put_z(&builder, name, text);
    }
    rc = nx_builder_end(&builder, err);
    object = nx_doc_value(nx_buf_slice(&spec));
    if (rc == NX_OK)
        rc = expr_parse(&object, stage->stage.context->vars, &stage->partition, err);
    if (rc == NX_OK && nx_buf_append(&stage->partitions, fields->data, fields->len) != NX_OK)
        rc = nx_fail_nomem(err);
    return rc;
}

static enum nx_code parse_bounds(struct densify_stage *stage, const struct nx_value *bounds,
                                 struct nx_value *low, struct nx_value *high, struct nx_err *err)
{
    struct nx_doc_iter iter;

    *low = *high = NX_NULL;
    if (bounds->type == NX_TYPE_STRING) {
        bool partition = strcmp((const char *)bounds->data, "partition") == 0;

        stage->bounds = partition ? BOUNDS_PARTITION : BOUNDS_FULL;
        if (partition && !stage->partition)
            return nx_fail(err, NX_EQUERY,
                           "$densify wants 'partitionByFields' with the bounds \"partition\"");
        if (partition || strcmp((const char *)bounds->data, "full") == 0)
            return NX_OK;
    } else if (bounds->type == NX_TYPE_ARRAY && nx_doc_count(nx_value_slice(bounds)) == 2) {
        stage->bounds = BOUNDS_RANGE;
        nx_doc_iter_init(&iter, nx_value_slice(bounds));
        nx_doc_iter_next(&iter);
        *low = iter.value;
        nx_doc_iter_next(&iter);
        *high = iter.value;
        if (low->type == high->type || (nx_is_number(low) && nx_is_number(high)))
            if (nx_is_number(low) != stage->is_date &&
                (nx_is_number(low) || low->type == NX_TYPE_DATE) &&
                nx_value_compare(low, high) <= 0)
                return NX_OK;
    }
    return nx_fail(err, NX_EQUERY,
                   "$densify wants 'bounds' as \"full\", \"partition\" or two "
                   "ascending numbers, or dates with a 'unit'");
}

static enum nx_code parse_range(struct densify_stage *stage, const struct nx_value *range,
                                struct nx_err *err)
{
    struct spec_member m[] = {
        {"step", true, NX_MISSING}, {"bounds", true, NX_MISSING}, {"unit", false, NX_MISSING}};
    struct nx_value zero = nx_int32(0), low, high;
    struct nx_builder builder;
    enum nx_code rc = spec_members("the range of $densify", range, m, 3, err);

    if (rc != NX_OK)
        return rc;
    if (!nx_is_number(&m[0].value) || nx_value_compare(&m[0].value, &zero) <= 0)
        return nx_fail(err, NX_EQUERY, "$densify wants 'step' as a number above 0");
    stage->is_date = m[2].value.type != NX_TYPE_MISSING;
    if (stage->is_date && (!date_unit_parse(&m[2].value, &stage->unit) ||
                           !nx_value_to_int64(&m[0].value, &stage->date_step)))
        return nx_fail(err, NX_EQUERY,
                       "$densify wants a unit of time and a whole 'step' for dates");
    rc = parse_bounds(stage, &m[1].value, &low, &high, err);
    if (rc != NX_OK)
        return rc;
    nx_builder_init(&builder, &stage->constants);
    nx_builder_put_z(&builder, "step", m[0].value);
    nx_builder_put_z(&builder, "low", low);
    nx_builder_put_z(&builder, "high", high);
    rc = nx_builder_end(&builder, err);
    stage->step = nx_doc_get_z(nx_buf_slice(&stage->constants), "step");
    stage->low = nx_doc_get_z(nx_buf_slice(&stage->constants), "low");
    stage->high = nx_doc_get_z(nx_buf_slice(&stage->constants), "high");
    return rc;
}

static enum nx_code parse_densify(struct stage *base, const struct nx_value *spec,
                                  struct nx_err *err)
{
    struct densify_stage *stage = (struct densify_stage *)base;
    struct spec_member m[] = {{"field", true, NX_MISSING},
                              {"range", true, NX_MISSING},
                              {"partitionByFields", false, NX_MISSING}};
    struct nx_builder builder;
    enum nx_code rc = spec_members("$densify", spec, m, 3, err);

    if (rc != NX_OK)
        return rc;
    if (m[0].value.type != NX_TYPE_STRING)
        return nx_fail(err, NX_EQUERY, "$densify wants 'field' as a string");
    rc = expr_split_path((const char *)m[0].value.data, m[0].value.len, &stage->names,
                         &stage->field, &stage->field_count, err);
    if (rc == NX_OK && m[2].value.type != NX_TYPE_MISSING)
        rc = parse_partitions(stage, &m[2].value, err);
    if (rc == NX_OK)
        rc = parse_range(stage, &m[1].value, err);
    if (rc != NX_OK)
        return rc;
    nx_builder_init(&builder, &stage->order);
    nx_builder_put(&builder, (const char *)m[0].value.data, m[0].value.len,
                   &(struct nx_value){.type = NX_TYPE_INT32, .i32 = 1});
    return nx_builder_end(&builder, err);
}

/* --- sorting ---------------------------------------------------------------------------------- */

static struct nx_value value_of(const struct densify_stage *stage, struct nx_slice doc)
{
    return document_get(doc, stage->field, stage->field_count);
}

static enum nx_code add_row(struct densify_stage *stage, struct nx_slice doc, struct nx_err *err)
{
    struct nx_value value = value_of(stage, doc);
    struct nx_value least = kept(&stage->least), greatest = kept(&stage->greatest);
    enum nx_code rc = NX_OK;

    if (!nx_is_nullish(&value)) {
        if (stage->is_date ? value.type != NX_TYPE_DATE : !nx_is_number(&value))
            return nx_fail(err, NX_EEXPR, "$densify wants %s in its field, not %s",
                           stage->is_date ? "dates" : "numbers (a 'unit' is for dates)",
                           nx_type_name(value.type));
        if (least.type == NX_TYPE_MISSING || nx_value_compare(&value, &least) < 0)
            rc = keep_one(&stage->least, value, err);
        if (rc == NX_OK &&
            (greatest.type == NX_TYPE_MISSING || nx_value_compare(&value, &greatest) > 0))
            rc = keep_one(&stage->greatest, value, err);
    }
    return rc == NX_OK ? sorted_rows_add(stage->rows, &stage->stage, doc, err) : rc;
}

static enum nx_code sort_rows(struct densify_stage *stage, struct nx_err *err)
{
    struct nx_slice doc;
    enum nx_code rc = sorted_rows_new(stage->stage.context, stage->partition,
                                      nx_buf_slice(&stage->order), &stage->rows, err);

    while (rc == NX_OK && (rc = stage_pull(&stage->stage, &doc, err)) == NX_OK)
        rc = add_row(stage, doc, err);
    stage->stage.scores = NX_SLICE_NULL;
    return rc == NX_DONE ? NX_OK : rc;
}

/* --- the series ------------------------------------------------------------------------------- */

static enum nx_code series_at(struct densify_stage *stage, int64_t k, struct nx_value *out,
                              struct nx_err *err)
{
    struct nx_value times = nx_int(k), shift;
    int64_t ms, amount;
    enum nx_code rc;

    arena_reset(&stage->work);
    if (stage->is_date) {
        if (__builtin_mul_overflow(k, stage->date_step, &amount) ||
            !date_unit_add(stage->base.i64, stage->unit, amount, &timezone_utc, &ms))
            return nx_fail(err, NX_EEXPR, "$densify left the range of dates");
        *out = nx_date(ms);
        return NX_OK;
    }
    rc = numeric_multiply(&stage->work, &stage->step, &times, &shift, err);
    return rc == NX_OK ? numeric_add(&stage->work, &stage->base, &shift, out, err) : rc;
}

static enum nx_code begin_series(struct densify_stage *stage, struct nx_value base,
                                 struct nx_err *err)
{
    enum nx_code rc = keep_one(&stage->base_bson, base, err);

    stage->base = kept(&stage->base_bson);
    stage->based = true;
    stage->k = 0;
    return rc;
}

static enum nx_code begin_partition(struct densify_stage *stage, struct nx_err *err)
{
    struct nx_value least = kept(&stage->least);

    stage->active = true;
    stage->based = false;
    if (stage->bounds == BOUNDS_RANGE)
        return begin_series(stage, stage->low, err);
    if (stage->bounds == BOUNDS_FULL && least.type != NX_TYPE_MISSING)
        return begin_series(stage, least, err);
    return NX_OK;
}

/* True while the series, at `value`, is inside the bounds. */
static bool in_bounds(const struct densify_stage *stage, const struct nx_value *value)
{
    struct nx_value greatest = kept(&stage->greatest);

    switch (stage->bounds) {
    case BOUNDS_RANGE:
        return nx_value_compare(value, &stage->high) < 0;
    case BOUNDS_FULL:
        return nx_value_compare(value, &greatest) <= 0;
    default:
        return false; /* the last document of a partition is its end */
    }
}

/* A document with the partition's fields and the value. */
static enum nx_code make(struct densify_stage *stage, const struct nx_value *value,
                         struct nx_slice *doc, struct nx_err *err)
{
    struct nx_value key = kept(&stage->key);
    struct nx_buf now NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_doc_iter names;
    struct nx_slice at = nx_doc_empty;
    enum nx_code rc = NX_OK;

    if (++stage->made > MADE_MAX)
        return nx_fail(err, NX_EEXPR, "$densify would make more than %d documents", MADE_MAX);
    if (stage->partition) {
        nx_doc_iter_init(&names, nx_buf_slice(&stage->partitions));
        while (rc == NX_OK && nx_doc_iter_next(&names)) {
            const struct expr_part *parts;
            struct nx_value part = NX_MISSING;
            unsigned count;
            char name[16];

            snprintf(name, sizeof name, "p%.10s", names.key);
            if (key.type == NX_TYPE_DOCUMENT)
                part = nx_doc_get_z(nx_value_slice(&key), name);
            rc = expr_split_path((const char *)names.value.data, names.value.len, &stage->work,
                                 &parts, &count, err);
            nx_buf_clear(&stage->stage.out);
            if (rc == NX_OK)
                rc = document_set(at, parts, count, &part, &stage->stage.out, err);
            nx_buf_clear(&now);
            if (rc == NX_OK &&
                nx_buf_append(&now, stage->stage.out.data, stage->stage.out.len) != NX_OK)
                rc = nx_fail_nomem(err);
            at = nx_buf_slice(&now);
        }
    }
    nx_buf_clear(&stage->stage.out);
    if (rc == NX_OK)
        rc = document_set(at, stage->field, stage->field_count, value, &stage->stage.out, err);
    *doc = nx_buf_slice(&stage->stage.out);
    return rc;
}

/* Have the next row waiting in stage->doc. NX_DONE at the end. */
static enum nx_code fetch(struct densify_stage *stage, struct nx_err *err)
{
    struct nx_slice doc, key;
    enum nx_code rc = sorted_rows_next(stage->rows, &doc, &key, &stage->doc_is_first, err);

    if (rc != NX_OK)
        return rc;
    nx_buf_clear(&stage->doc);
    nx_buf_clear(&stage->next_key);
    if (nx_buf_append(&stage->doc, doc.data, doc.len) != NX_OK ||
        nx_buf_append(&stage->next_key, key.data, key.len) != NX_OK)
        return nx_fail_nomem(err);
    stage->has_doc = true;
    return NX_OK;
}

/* What comes behind the last document of a partition. NX_DONE when nothing does. */
static enum nx_code tail(struct densify_stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    struct nx_value value;
    enum nx_code rc;

    if (!stage->active || !stage->based)
        return NX_DONE;
    rc = series_at(stage, stage->k, &value, err);
    if (rc != NX_OK)
        return rc;
    if (!in_bounds(stage, &value))
        return NX_DONE;
    stage->k++;
    return make(stage, &value, doc, err);
}

/* The waiting document, or one made before it. */
static enum nx_code up_to_doc(struct densify_stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    struct nx_value value = value_of(stage, nx_buf_slice(&stage->doc)), at;
    enum nx_code rc = NX_OK;

    *doc = nx_buf_slice(&stage->doc);
    stage->has_doc = false;
    if (nx_is_nullish(&value))
        return NX_OK;
    if (!stage->based)
        rc = begin_series(stage, value, err);
    if (rc == NX_OK)
        rc = series_at(stage, stage->k, &at, err);
    if (rc != NX_OK)
        return rc;
    if (nx_value_compare(&at, &value) < 0 &&
        (stage->bounds == BOUNDS_PARTITION || in_bounds(stage, &at))) {
        stage->has_doc = true;
        stage->k++;
        return make(stage, &at, doc, err);
    }
    stage->k += nx_value_compare(&at, &value) == 0;
    return NX_OK;
}

/* Take the key of the partition that the waiting document begins. */
static enum nx_code enter_partition(struct densify_stage *stage, struct nx_err *err)
{
    nx_buf_clear(&stage->key);
    if (nx_buf_append(&stage->key, stage->next_key.data, stage->next_key.len) != NX_OK)
        return nx_fail_nomem(err);
    stage->doc_is_first = false;
    return begin_partition(stage, err);
}

static enum nx_code next_densify(struct stage *base, struct nx_slice *doc, struct nx_err *err)
{
    struct densify_stage *stage = (struct densify_stage *)base;
    enum nx_code rc = stage->rows ? NX_OK : sort_rows(stage, err);

    if (rc == NX_OK)
        rc = budget_tick(&base->context->budget, err);
    if (rc == NX_OK && !stage->has_doc && !stage->finished)
        rc = fetch(stage, err);
    if (rc == NX_DONE) {
        stage->finished = true;
        rc = NX_OK;
    }
    if (rc == NX_OK && (stage->finished || stage->doc_is_first)) {
        rc = tail(stage, doc, err);
        if (rc != NX_DONE || stage->finished)
            return rc;
        rc = enter_partition(stage, err);
    }
    return rc == NX_OK ? up_to_doc(stage, doc, err) : rc;
}

static void reset_densify(struct stage *base)
{
    struct densify_stage *stage = (struct densify_stage *)base;

    sorted_rows_free(stage->rows);
    stage->rows = NULL;
    nx_buf_clear(&stage->least);
    nx_buf_clear(&stage->greatest);
    stage->has_doc = stage->active = stage->based = stage->finished = false;
    stage->made = 0;
}

static void close_densify(struct stage *base)
{
    struct densify_stage *stage = (struct densify_stage *)base;
    struct nx_buf *bufs[] = {&stage->order, &stage->partitions, &stage->constants,
                             &stage->least, &stage->greatest,   &stage->doc,
                             &stage->key,   &stage->next_key,   &stage->base_bson};

    reset_densify(base);
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        nx_buf_fini(bufs[i]);
    expr_free(stage->partition);
    arena_fini(&stage->names);
    arena_fini(&stage->work);
}

const struct stage_class stage_densify = {
    .name = "$densify",
    .size = sizeof(struct densify_stage),
    .parse = parse_densify,
    .next = next_densify,
    .reset = reset_densify,
    .close = close_densify,
    .help = "documents for the values missing from a series",
};

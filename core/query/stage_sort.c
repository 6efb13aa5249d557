/*
 * stage_sort.c - $sort, $sample and $unwind: what changes the order or the number of documents.
 */
#include <stdlib.h>

#include <nexadb/io.h>

#include "query/pipeline.h"
#include "query/sort.h"
#include "query/stage_spec.h"

/* --- $sort ------------------------------------------------------------------------------------ */

struct sort_stage {
    struct stage stage;
    struct sort_spec *spec; /* owned */
    struct sorter *sorter;  /* owned; NULL before the first document */
    uint64_t limit;
};

static enum nx_code parse_sort(struct stage *stage, const struct nx_value *spec, struct nx_err *err)
{
    if (spec->type != NX_TYPE_DOCUMENT || nx_doc_is_empty(nx_value_slice(spec)))
        return nx_fail(err, NX_EQUERY, "$sort wants an object with at least one field");
    return sort_spec_parse(nx_value_slice(spec), &((struct sort_stage *)stage)->spec, err);
}

static enum nx_code fill_sorter(struct sort_stage *sort, struct nx_err *err)
{
    struct pipeline_context *context = sort->stage.context;
    struct nx_slice doc;
    enum nx_code rc = sorter_new(sort->spec, sort->limit, &context->budget, context->spill_dir,
                                 &sort->sorter, err);

    while (rc == NX_OK && (rc = stage_pull(&sort->stage, &doc, err)) == NX_OK)
        rc = sorter_add_with(sort->sorter, doc, sort->stage.scores, err);
    return rc == NX_DONE ? NX_OK : rc;
}

static enum nx_code next_sort(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    struct sort_stage *sort = (struct sort_stage *)stage;
    enum nx_code rc = sort->sorter ? NX_OK : fill_sorter(sort, err);

    if (rc == NX_OK)
        rc = sorter_next(sort->sorter, doc, err);
    if (rc == NX_OK)
        stage->scores = sorter_metadata(sort->sorter);
    return rc;
}

static void reset_sort(struct stage *stage)
{
    struct sort_stage *sort = (struct sort_stage *)stage;

    sorter_free(sort->sorter);
    sort->sorter = NULL;
}

static void close_sort(struct stage *stage)
{
    reset_sort(stage);
    sort_spec_free(((struct sort_stage *)stage)->spec);
}

void sort_stage_limit(struct stage *stage, uint64_t limit)
{
    ((struct sort_stage *)stage)->limit = limit;
}

const struct stage_class stage_sort = {
    .name = "$sort",
    .size = sizeof(struct sort_stage),
    .parse = parse_sort,
    .next = next_sort,
    .reset = reset_sort,
    .close = close_sort,
    .help = "in an order",
};

/* --- $sample ---------------------------------------------------------------------------------- */

struct sample_stage {
    struct stage stage;
    uint64_t size;
    struct nx_buf *docs; /* owned, `count` of them, chosen so far */
    uint64_t count, cap;
    uint64_t taken; /* from the budget */
    uint64_t at;
    bool filled;
};

static enum nx_code parse_sample(struct stage *stage, const struct nx_value *spec,
                                 struct nx_err *err)
{
    struct spec_member members[] = {{"size", true, NX_MISSING}};
    enum nx_code rc = spec_members("$sample", spec, members, 1, err);
    int64_t size;

    if (rc != NX_OK)
        return rc;
    if (!nx_value_to_int64(&members[0].value, &size) || size < 1)
        return nx_fail(err, NX_EQUERY, "$sample wants 'size' as a whole number above 0");
    ((struct sample_stage *)stage)->size = (uint64_t)size;
    return NX_OK;
}

static uint64_t random_below(struct stage *stage, uint64_t bound)
{
    struct nx_io *io = stage->context->budget.io;
    uint64_t number;

    io->ops->random(io, &number, sizeof number);
    return number % bound; /* bounds are far below 2^64: the bias does not show */
}

static enum nx_code keep(struct sample_stage *sample, uint64_t at, struct nx_slice doc,
                         struct nx_err *err)
{
    struct budget *budget = &sample->stage.context->budget;
    uint64_t old = sample->docs[at].cap;

    nx_buf_clear(&sample->docs[at]);
    if (nx_buf_append(&sample->docs[at], doc.data, doc.len) != NX_OK)
        return nx_fail_nomem(err);
    if (!budget_take(budget, sample->docs[at].cap - old))
        return budget_fail(budget, "$sample", err);
    sample->taken += sample->docs[at].cap - old;
    return NX_OK;
}

static enum nx_code grow_sample(struct sample_stage *sample, struct nx_err *err)
{
    uint64_t cap = sample->cap ? sample->cap * 2 : 16;
    struct nx_buf *docs;

    if (sample->count < sample->cap)
        return NX_OK;
    docs = realloc(sample->docs, cap * sizeof *docs);
    if (!docs)
        return nx_fail_nomem(err);
    memset(docs + sample->cap, 0, (cap - sample->cap) * sizeof *docs);
    sample->docs = docs;
    sample->cap = cap;
    return NX_OK;
}

/* Reservoir sampling, then a shuffle: any subset in any order is as likely as another. */
static enum nx_code fill_sample(struct sample_stage *sample, struct nx_err *err)
{
    struct stage *stage = &sample->stage;
    struct nx_slice doc;
    uint64_t seen = 0;
    enum nx_code rc;

    while ((rc = stage_pull(stage, &doc, err)) == NX_OK) {
        uint64_t at = seen < sample->size ? seen : random_below(stage, seen + 1);

        seen++;
        if (at >= sample->size)
            continue;
        if (at == sample->count) {
            rc = grow_sample(sample, err);
            sample->count += rc == NX_OK;
        }
        if (rc == NX_OK)
            rc = keep(sample, at, doc, err);
        if (rc != NX_OK)
            return rc;
    }
    for (uint64_t i = sample->count; i > 1; i--) {
        uint64_t other = random_below(stage, i);
        struct nx_buf swap = sample->docs[i - 1];

        sample->docs[i - 1] = sample->docs[other];
        sample->docs[other] = swap;
    }
    return rc == NX_DONE ? NX_OK : rc;
}

static enum nx_code next_sample(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    struct sample_stage *sample = (struct sample_stage *)stage;

    if (!sample->filled) {
        enum nx_code rc = fill_sample(sample, err);

        if (rc != NX_OK)
            return rc;
        sample->filled = true;
        stage->scores = NX_SLICE_NULL;
    }
    if (sample->at == sample->count)
        return NX_DONE;
    *doc = nx_buf_slice(&sample->docs[sample->at++]);
    return NX_OK;
}

static void reset_sample(struct stage *stage)
{
    struct sample_stage *sample = (struct sample_stage *)stage;

    for (uint64_t i = 0; i < sample->cap; i++)
        nx_buf_fini(&sample->docs[i]);
    free(sample->docs);
    budget_give(&stage->context->budget, sample->taken);
    sample->docs = NULL;
    sample->count = sample->cap = sample->taken = sample->at = 0;
    sample->filled = false;
}

const struct stage_class stage_sample = {
    .name = "$sample",
    .size = sizeof(struct sample_stage),
    .parse = parse_sample,
    .next = next_sample,
    .reset = reset_sample,
    .close = reset_sample,
    .help = "some documents at random",
};

/* --- $unwind ---------------------------------------------------------------------------------- */

struct unwind_stage {
    struct stage stage;
    struct arena names;
    const struct expr_part *path, *index_path;
    unsigned path_count, index_count;
    bool keep_empty;
    struct nx_buf doc; /* whose array is being unwound */
    struct nx_doc_iter iter;
    int64_t at;
    bool inside;
    struct nx_buf indexed; /* the result before its index is added */
};

static enum nx_code parse_index(struct unwind_stage *unwind, const struct nx_value *name,
                                struct nx_err *err)
{
    if (name->type != NX_TYPE_STRING || name->len == 0 || name->data[0] == '$')
        return nx_fail(err, NX_EQUERY,
                       "$unwind wants 'includeArrayIndex' as a field's name without a $");
    return expr_split_path((const char *)name->data, name->len, &unwind->names, &unwind->index_path,
                           &unwind->index_count, err);
}

static enum nx_code parse_unwind(struct stage *stage, const struct nx_value *spec,
                                 struct nx_err *err)
{
    struct unwind_stage *unwind = (struct unwind_stage *)stage;
    struct spec_member members[] = {{"path", true, NX_MISSING},
                                    {"includeArrayIndex", false, NX_MISSING},
                                    {"preserveNullAndEmptyArrays", false, NX_MISSING}};
    enum nx_code rc = NX_OK;

    if (spec->type == NX_TYPE_STRING)
        members[0].value = *spec;
    else
        rc = spec_members("$unwind", spec, members, 3, err);
    if (rc == NX_OK)
        rc = spec_dollar_path("$unwind", &members[0].value, &unwind->names, &unwind->path,
                              &unwind->path_count, err);
    if (rc == NX_OK && members[1].value.type != NX_TYPE_MISSING)
        rc = parse_index(unwind, &members[1].value, err);
    if (rc == NX_OK && members[2].value.type != NX_TYPE_MISSING) {
        if (members[2].value.type != NX_TYPE_BOOL)
            return nx_fail(err, NX_EQUERY,
                           "$unwind wants 'preserveNullAndEmptyArrays' as true or false");
        unwind->keep_empty = members[2].value.boolean;
    }
    return rc;
}

/* Give `base` with the element in the array's place (MISSING: without it) and its index. */
static enum nx_code give(struct unwind_stage *unwind, struct nx_slice base,
                         const struct nx_value *element, bool in_place, int64_t index,
                         struct nx_slice *doc, struct nx_err *err)
{
    struct nx_value number = index < 0 ? NX_NULL : nx_int64(index);
    enum nx_code rc = NX_OK;

    nx_buf_clear(&unwind->stage.out);
    *doc = base;
    if (!in_place) {
        rc = document_set(base, unwind->path, unwind->path_count, element, &unwind->stage.out, err);
        *doc = nx_buf_slice(&unwind->stage.out);
    }
    if (rc != NX_OK || !unwind->index_path)
        return rc;
    nx_buf_clear(&unwind->indexed);
    rc =
        document_set(*doc, unwind->index_path, unwind->index_count, &number, &unwind->indexed, err);
    *doc = nx_buf_slice(&unwind->indexed);
    return rc;
}

/* Look at the next document: *gave is false when it is passed over or its elements are to come. */
static enum nx_code begin(struct unwind_stage *unwind, struct nx_slice *doc, bool *gave,
                          struct nx_err *err)
{
    struct nx_slice in;
    struct nx_value value;
    enum nx_code rc = stage_pull(&unwind->stage, &in, err);

    *gave = false;
    if (rc != NX_OK)
        return rc;
    value = document_get(in, unwind->path, unwind->path_count);
    if (value.type == NX_TYPE_ARRAY && !nx_doc_is_empty(nx_value_slice(&value))) {
        nx_buf_clear(&unwind->doc);
        if (nx_buf_append(&unwind->doc, in.data, in.len) != NX_OK)
            return nx_fail_nomem(err);
        value = document_get(nx_buf_slice(&unwind->doc), unwind->path, unwind->path_count);
        nx_doc_iter_init(&unwind->iter, nx_value_slice(&value));
        unwind->inside = true;
        unwind->at = 0;
        return NX_OK;
    }
    if (value.type != NX_TYPE_ARRAY && !nx_is_nullish(&value)) {
        *gave = true; /* a single value is as an array of it */
        return give(unwind, in, &value, true, -1, doc, err);
    }
    if (!unwind->keep_empty)
        return NX_OK;
    *gave = true;
    if (value.type == NX_TYPE_ARRAY)
        value = NX_MISSING;
    return give(unwind, in, &value, value.type != NX_TYPE_MISSING, -1, doc, err);
}

static enum nx_code next_unwind(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    struct unwind_stage *unwind = (struct unwind_stage *)stage;
    enum nx_code rc = NX_OK;
    bool gave = false;

    while (rc == NX_OK && !gave) {
        if (unwind->inside && nx_doc_iter_next(&unwind->iter))
            return give(unwind, nx_buf_slice(&unwind->doc), &unwind->iter.value, false,
                        unwind->at++, doc, err);
        unwind->inside = false;
        rc = begin(unwind, doc, &gave, err);
    }
    return rc;
}

static void reset_unwind(struct stage *stage)
{
    ((struct unwind_stage *)stage)->inside = false;
}

static void close_unwind(struct stage *stage)
{
    struct unwind_stage *unwind = (struct unwind_stage *)stage;

    arena_fini(&unwind->names);
    nx_buf_fini(&unwind->doc);
    nx_buf_fini(&unwind->indexed);
}

const struct stage_class stage_unwind = {
    .name = "$unwind",
    .size = sizeof(struct unwind_stage),
    .parse = parse_unwind,
    .next = next_unwind,
    .reset = reset_unwind,
    .close = close_unwind,
    .help = "one document for each element of an array",
};

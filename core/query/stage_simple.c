/*
 * stage_simple.c - stages that give at most one document for each: $match, $project, $addFields,
 * $unset, $replaceRoot, $limit, $skip, $count, $redact, $documents.
 */
#include "query/expr_op.h"
#include "query/filter.h"
#include "query/pipeline.h"
#include "query/projection.h"
#include "query/stage_spec.h"

/* --- $match ----------------------------------------------------------------------------------- */

struct match_stage {
    struct stage stage;
    struct filter *filter; /* owned */
};

static enum nx_code parse_match(struct stage *stage, const struct nx_value *spec,
                                struct nx_err *err)
{
    struct match_stage *match = (struct match_stage *)stage;

    if (spec->type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EQUERY, "$match wants an object, not %s", nx_type_name(spec->type));
    return filter_parse(nx_value_slice(spec), stage->context->vars, &match->filter, err);
}

static enum nx_code next_match(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    const struct match_stage *match = (struct match_stage *)stage;
    bool matches = false;
    enum nx_code rc;

    do {
        rc = stage_pull(stage, doc, err);
        if (rc == NX_OK)
            rc = filter_match(match->filter, *doc, &stage->env, &matches, err);
    } while (rc == NX_OK && !matches);
    return rc;
}

static void close_match(struct stage *stage)
{
    filter_free(((struct match_stage *)stage)->filter);
}

const struct filter *match_stage_filter(const struct stage *stage)
{
    return ((const struct match_stage *)stage)->filter;
}

const struct stage_class stage_match = {
    .name = "$match",
    .size = sizeof(struct match_stage),
    .parse = parse_match,
    .next = next_match,
    .close = close_match,
    .help = "the documents that meet a condition",
};

/* --- projections ------------------------------------------------------------------------------ */

struct project_stage {
    struct stage stage;
    struct projection *projection; /* owned */
};

static enum nx_code parse_projection(struct stage *stage, struct nx_slice spec,
                                     enum projection_form form, struct nx_err *err)
{
    struct project_stage *project = (struct project_stage *)stage;

    return projection_parse(spec, form, stage->context->vars, NULL, &project->projection, err);
}

static enum nx_code want_fields(const struct stage *stage, const struct nx_value *spec,
                                struct nx_err *err)
{
    if (spec->type == NX_TYPE_DOCUMENT && !nx_doc_is_empty(nx_value_slice(spec)))
        return NX_OK;
    return nx_fail(err, NX_EQUERY, "%s wants an object with at least one field",
                   stage->class->name);
}

static enum nx_code parse_project(struct stage *stage, const struct nx_value *spec,
                                  struct nx_err *err)
{
    enum nx_code rc = want_fields(stage, spec, err);

    return rc == NX_OK ? parse_projection(stage, nx_value_slice(spec), PROJECTION_PROJECT, err)
                       : rc;
}

static enum nx_code parse_add(struct stage *stage, const struct nx_value *spec, struct nx_err *err)
{
    enum nx_code rc = want_fields(stage, spec, err);

    return rc == NX_OK ? parse_projection(stage, nx_value_slice(spec), PROJECTION_ADD, err) : rc;
}

/* "a" or ["a", "b.c"]: a projection that leaves them out. */
static enum nx_code parse_unset(struct stage *stage, const struct nx_value *spec,
                                struct nx_err *err)
{
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    const struct nx_value zero = nx_int32(0);
    struct nx_builder builder;
    struct nx_doc_iter iter;
    enum nx_code rc;

    nx_builder_init(&builder, &bytes);
    if (spec->type == NX_TYPE_STRING) {
        nx_builder_put(&builder, (const char *)spec->data, spec->len, &zero);
    } else if (spec->type == NX_TYPE_ARRAY && !nx_doc_is_empty(nx_value_slice(spec))) {
        nx_doc_iter_init(&iter, nx_value_slice(spec));
        while (nx_doc_iter_next(&iter)) {
            if (iter.value.type != NX_TYPE_STRING)
                return nx_fail(err, NX_EQUERY, "$unset wants names of fields, not %s",
                               nx_type_name(iter.value.type));
            nx_builder_put(&builder, (const char *)iter.value.data, iter.value.len, &zero);
        }
    } else {
        return nx_fail(err, NX_EQUERY, "$unset wants a name or an array of names");
    }
    rc = nx_builder_end(&builder, err);
    return rc == NX_OK ? parse_projection(stage, nx_buf_slice(&bytes), PROJECTION_PROJECT, err)
                       : rc;
}

static enum nx_code next_project(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    const struct project_stage *project = (struct project_stage *)stage;
    enum nx_code rc = stage_pull(stage, doc, err);

    nx_buf_clear(&stage->out);
    if (rc == NX_OK)
        rc = projection_apply(project->projection, &stage->env, &stage->out, err);
    *doc = nx_buf_slice(&stage->out);
    return rc;
}

static void close_project(struct stage *stage)
{
    projection_free(((struct project_stage *)stage)->projection);
}

#define PROJECTION_STAGE(symbol, text, parser, words)                                              \
    const struct stage_class symbol = {                                                            \
        .name = text,                                                                              \
        .flags = STAGE_UPDATE,                                                                     \
        .size = sizeof(struct project_stage),                                                      \
        .parse = parser,                                                                           \
        .next = next_project,                                                                      \
        .close = close_project,                                                                    \
        .help = words,                                                                             \
    }
PROJECTION_STAGE(stage_project, "$project", parse_project, "chosen and computed fields");
PROJECTION_STAGE(stage_add_fields, "$addFields", parse_add, "computed fields beside the others");
PROJECTION_STAGE(stage_set, "$set", parse_add, "computed fields beside the others: $addFields");
PROJECTION_STAGE(stage_unset, "$unset", parse_unset, "without some fields");

/* --- $replaceRoot ----------------------------------------------------------------------------- */

struct expr_stage {
    struct stage stage;
    struct expr *expr; /* owned */
};

static void close_expr(struct stage *stage)
{
    expr_free(((struct expr_stage *)stage)->expr);
}

static enum nx_code parse_replace_with(struct stage *stage, const struct nx_value *spec,
                                       struct nx_err *err)
{
    return expr_parse(spec, stage->context->vars, &((struct expr_stage *)stage)->expr, err);
}

static enum nx_code parse_replace_root(struct stage *stage, const struct nx_value *spec,
                                       struct nx_err *err)
{
    struct spec_member members[] = {{"newRoot", true, NX_MISSING}};
    enum nx_code rc = spec_members("$replaceRoot", spec, members, 1, err);

    return rc == NX_OK ? parse_replace_with(stage, &members[0].value, err) : rc;
}

static enum nx_code next_replace(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    struct nx_value root;
    enum nx_code rc = stage_pull(stage, doc, err);

    if (rc == NX_OK)
        rc = expr_eval(((struct expr_stage *)stage)->expr, &stage->env, &root, err);
    if (rc == NX_OK && root.type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EEXPR, "%s wants an object as the new document, not %s",
                       stage->class->name, nx_type_name(root.type));
    if (rc == NX_OK)
        *doc = nx_value_slice(&root);
    return rc;
}

const struct stage_class stage_replace_root = {
    .name = "$replaceRoot",
    .flags = STAGE_UPDATE,
    .size = sizeof(struct expr_stage),
    .parse = parse_replace_root,
    .next = next_replace,
    .close = close_expr,
    .help = "another document in its place",
};
const struct stage_class stage_replace_with = {
    .name = "$replaceWith",
    .flags = STAGE_UPDATE,
    .size = sizeof(struct expr_stage),
    .parse = parse_replace_with,
    .next = next_replace,
    .close = close_expr,
    .help = "another document in its place",
};

/* --- $limit, $skip, $count -------------------------------------------------------------------- */

struct number_stage {
    struct stage stage;
    uint64_t number;
    uint64_t seen;
};

static enum nx_code parse_number(struct stage *stage, const struct nx_value *spec, int64_t least,
                                 struct nx_err *err)
{
    int64_t number;

    if (!nx_value_to_int64(spec, &number) || number < least)
        return nx_fail(err, NX_EQUERY, "%s wants a whole number from %lld on", stage->class->name,
                       (long long)least);
    ((struct number_stage *)stage)->number = (uint64_t)number;
    return NX_OK;
}

static void reset_number(struct stage *stage)
{
    ((struct number_stage *)stage)->seen = 0;
}

static enum nx_code parse_limit(struct stage *stage, const struct nx_value *spec,
                                struct nx_err *err)
{
    return parse_number(stage, spec, 1, err);
}

static enum nx_code next_limit(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    struct number_stage *limit = (struct number_stage *)stage;
    enum nx_code rc;

    if (limit->seen == limit->number)
        return NX_DONE;
    rc = stage_pull(stage, doc, err);
    limit->seen += rc == NX_OK;
    return rc;
}

static enum nx_code parse_skip(struct stage *stage, const struct nx_value *spec, struct nx_err *err)
{
    return parse_number(stage, spec, 0, err);
}

static enum nx_code next_skip(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    struct number_stage *skip = (struct number_stage *)stage;
    enum nx_code rc = NX_OK;

    for (; rc == NX_OK && skip->seen < skip->number; skip->seen += rc == NX_OK)
        rc = stage_pull(stage, doc, err);
    return rc == NX_OK ? stage_pull(stage, doc, err) : rc;
}

bool limit_stage_count(const struct stage *stage, uint64_t *count)
{
    *count = stage->class == &stage_limit ? ((const struct number_stage *)stage)->number : 0;
    return stage->class == &stage_limit;
}

bool skip_stage_count(const struct stage *stage, uint64_t *count)
{
    *count = stage->class == &stage_skip ? ((const struct number_stage *)stage)->number : 0;
    return stage->class == &stage_skip;
}

const struct stage_class stage_limit = {
    .name = "$limit",
    .size = sizeof(struct number_stage),
    .parse = parse_limit,
    .next = next_limit,
    .reset = reset_number,
    .help = "the first documents",
};
const struct stage_class stage_skip = {
    .name = "$skip",
    .size = sizeof(struct number_stage),
    .parse = parse_skip,
    .next = next_skip,
    .reset = reset_number,
    .help = "all but the first documents",
};

struct count_stage {
    struct stage stage;
    struct nx_buf name; /* owned */
    bool done;
};

static enum nx_code parse_count(struct stage *stage, const struct nx_value *spec,
                                struct nx_err *err)
{
    struct count_stage *count = (struct count_stage *)stage;

    if (spec->type != NX_TYPE_STRING || spec->len == 0 || spec->data[0] == '$' ||
        memchr(spec->data, '.', spec->len) || memchr(spec->data, 0, spec->len))
        return nx_fail(err, NX_EQUERY,
                       "$count wants the name of a field, without a dot and without a $ in front");
    return nx_buf_append(&count->name, spec->data, spec->len) == NX_OK ? NX_OK : nx_fail_nomem(err);
}

static enum nx_code next_count(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    struct count_stage *count = (struct count_stage *)stage;
    struct nx_builder builder;
    struct nx_value number;
    int64_t seen = 0;
    enum nx_code rc = NX_OK;

    if (count->done)
        return NX_DONE;
    while ((rc = stage_pull(stage, doc, err)) == NX_OK)
        seen++;
    if (rc != NX_DONE)
        return rc;
    count->done = true;
    if (seen == 0)
        return NX_DONE;
    number = nx_int(seen);
    nx_buf_clear(&stage->out);
    nx_builder_init(&builder, &stage->out);
    nx_builder_put(&builder, (const char *)count->name.data, count->name.len, &number);
    rc = nx_builder_end(&builder, err);
    *doc = nx_buf_slice(&stage->out);
    return rc;
}

static void reset_count(struct stage *stage)
{
    ((struct count_stage *)stage)->done = false;
}

static void close_count(struct stage *stage)
{
    nx_buf_fini(&((struct count_stage *)stage)->name);
}

const struct stage_class stage_count = {
    .name = "$count",
    .size = sizeof(struct count_stage),
    .parse = parse_count,
    .next = next_count,
    .reset = reset_count,
    .close = close_count,
    .help = "how many documents came",
};

/* --- $redact ---------------------------------------------------------------------------------- */

static enum nx_code parse_redact(struct stage *stage, const struct nx_value *spec,
                                 struct nx_err *err)
{
    return expr_parse(spec, stage->context->vars, &((struct expr_stage *)stage)->expr, err);
}

static enum nx_code redact(struct stage *stage, const struct nx_value *level, struct nx_value *out,
                           struct nx_err *err);

/* The elements of an array, documents in it redacted. */
static enum nx_code redact_array(struct stage *stage, const struct nx_value *array,
                                 struct nx_value *out, struct nx_err *err)
{
    struct value_list kept = {0};
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    nx_doc_iter_init(&iter, nx_value_slice(array));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        struct nx_value item = iter.value;

        if (item.type == NX_TYPE_DOCUMENT)
            rc = redact(stage, &iter.value, &item, err);
        else if (item.type == NX_TYPE_ARRAY)
            rc = redact_array(stage, &iter.value, &item, err);
        if (rc == NX_OK && item.type != NX_TYPE_MISSING)
            rc = value_list_push(&kept, &stage->arena, &item, err);
    }
    return rc == NX_OK ? value_array(&stage->arena, &kept, out, err) : rc;
}

static enum nx_code redact_fields(struct stage *stage, const struct nx_value *level,
                                  struct nx_value *out, struct nx_err *err)
{
    struct field_list kept = {0};
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    nx_doc_iter_init(&iter, nx_value_slice(level));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        struct nx_value value = iter.value;

        if (value.type == NX_TYPE_DOCUMENT)
            rc = redact(stage, &iter.value, &value, err);
        else if (value.type == NX_TYPE_ARRAY)
            rc = redact_array(stage, &iter.value, &value, err);
        if (rc == NX_OK)
            rc = field_list_push(&kept, &stage->arena, iter.key, iter.key_len, value, err);
    }
    return rc == NX_OK ? value_document(&stage->arena, &kept, out, err) : rc;
}

/* MISSING when the level is pruned. */
static enum nx_code redact(struct stage *stage, const struct nx_value *level, struct nx_value *out,
                           struct nx_err *err)
{
    struct nx_value verdict;
    enum nx_code rc;

    stage->env.current = *level;
    rc = expr_eval(((struct expr_stage *)stage)->expr, &stage->env, &verdict, err);
    if (rc != NX_OK)
        return rc;
    *out = NX_MISSING;
    if (verdict.type == NX_TYPE_STRING && strcmp((const char *)verdict.data, "descend") == 0)
        return redact_fields(stage, level, out, err);
    if (verdict.type == NX_TYPE_STRING && strcmp((const char *)verdict.data, "keep") == 0)
        *out = *level;
    else if (verdict.type != NX_TYPE_STRING || strcmp((const char *)verdict.data, "prune") != 0)
        return nx_fail(err, NX_EEXPR, "$redact wants $$KEEP, $$PRUNE or $$DESCEND as its result");
    return NX_OK;
}

static enum nx_code next_redact(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    struct nx_value left = NX_MISSING;
    enum nx_code rc;

    do {
        rc = stage_pull(stage, doc, err);
        if (rc == NX_OK) {
            struct nx_value level = nx_doc_value(*doc);

            rc = redact(stage, &level, &left, err);
        }
    } while (rc == NX_OK && left.type == NX_TYPE_MISSING);
    if (rc == NX_OK)
        *doc = nx_value_slice(&left);
    return rc;
}

const struct stage_class stage_redact = {
    .name = "$redact",
    .size = sizeof(struct expr_stage),
    .parse = parse_redact,
    .next = next_redact,
    .close = close_expr,
    .help = "each level of a document kept, searched or left out",
};

/* --- $documents ------------------------------------------------------------------------------- */

struct documents_stage {
    struct stage stage;
    struct expr *expr; /* owned */
    struct nx_doc_iter iter;
    bool started;
};

static enum nx_code parse_documents(struct stage *stage, const struct nx_value *spec,
                                    struct nx_err *err)
{
    return expr_parse(spec, stage->context->vars, &((struct documents_stage *)stage)->expr, err);
}

static enum nx_code next_documents(struct stage *stage, struct nx_slice *doc, struct nx_err *err)
{
    struct documents_stage *documents = (struct documents_stage *)stage;
    struct nx_value array;
    enum nx_code rc;

    if (!documents->started) {
        arena_reset(&stage->arena);
        stage_bind(stage, nx_doc_empty, NX_SLICE_NULL);
        rc = expr_eval(documents->expr, &stage->env, &array, err);
        if (rc != NX_OK)
            return rc;
        if (array.type != NX_TYPE_ARRAY)
            return nx_fail(err, NX_EQUERY, "$documents wants an array of objects, not %s",
                           nx_type_name(array.type));
        nx_doc_iter_init(&documents->iter, nx_value_slice(&array));
        documents->started = true;
    }
    if (!nx_doc_iter_next(&documents->iter))
        return NX_DONE;
    if (documents->iter.value.type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EQUERY, "$documents wants an array of objects, not of %s",
                       nx_type_name(documents->iter.value.type));
    *doc = nx_value_slice(&documents->iter.value);
    return NX_OK;
}

static void reset_documents(struct stage *stage)
{
    ((struct documents_stage *)stage)->started = false;
}

static void close_documents(struct stage *stage)
{
    expr_free(((struct documents_stage *)stage)->expr);
}

const struct stage_class stage_documents = {
    .name = "$documents",
    .flags = STAGE_FIRST,
    .size = sizeof(struct documents_stage),
    .parse = parse_documents,
    .next = next_documents,
    .reset = reset_documents,
    .close = close_documents,
    .help = "documents written in the pipeline itself",
};

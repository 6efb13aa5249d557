/*
 * stage_lookup.c - $lookup and $graphLookup: documents of another collection that go with each one.
 *
 * Equality with a local field becomes a filter on the other collection, so the planner serves it
 * by _id where it can, and by a scan otherwise. From the second document on, a table of the other
 * collection's values by their hash takes the scan's place: it adds a condition on _id. Where the
 * query's memory is too small for the table, every document costs a scan.
 */
#include <stdlib.h>

#include "query/filter.h"
#include "query/join_table.h"
#include "query/pipeline.h"
#include "query/stage_spec.h"

/* {_id: {$in: [those in the table]}}, where there is a table; and
 * {path: {$in: [values]}}, or with regular expressions, which $in would match as patterns, an $or
 * of equalities. */
static enum nx_code equality_filter(struct nx_slice path, const struct value_list *values,
                                    const struct join_table *table, struct arena *arena,
                                    struct nx_buf *out, struct nx_err *err)
{
    struct nx_builder builder;
    const char *name = (const char *)path.data;
    bool regex = false;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < values->len; i++)
        regex |= values->at[i].type == NX_TYPE_REGEX;
    nx_buf_clear(out);
    nx_builder_init(&builder, out);
    if (table) {
        nx_builder_begin_document(&builder, "_id", 3);
        nx_builder_begin_array(&builder, "$in", 3);
        rc = join_table_find(table, values, arena, &builder, err);
        nx_builder_close(&builder);
        nx_builder_close(&builder);
    }
    if (regex) {
        nx_builder_begin_array(&builder, "$or", 3);
        for (size_t i = 0; i < values->len; i++) {
            nx_builder_begin_document(&builder, NULL, 0);
            nx_builder_begin_document(&builder, name, path.len);
            nx_builder_put(&builder, "$eq", 3, &values->at[i]);
            nx_builder_close(&builder);
            nx_builder_close(&builder);
        }
    } else {
        nx_builder_begin_document(&builder, name, path.len);
        nx_builder_begin_array(&builder, "$in", 3);
        for (size_t i = 0; i < values->len; i++)
            nx_builder_push(&builder, &values->at[i]);
        nx_builder_close(&builder);
    }
    nx_builder_close(&builder);
    return rc == NX_OK ? nx_builder_end(&builder, err) : rc;
}

/* What a local value is equal to: each element of an array; nothing is equal to null. */
static enum nx_code local_values(const struct nx_value *local, struct arena *arena,
                                 struct value_list *out, struct nx_err *err)
{
    struct nx_value null = NX_NULL;

    if (local->type == NX_TYPE_ARRAY)
        return value_list_extend(out, arena, local, err);
    return value_list_push(out, arena, nx_is_nullish(local) ? &null : local, err);
}

/* --- $lookup ---------------------------------------------------------------------------------- */

struct lookup_stage {
    struct stage stage;
    struct arena names;
    const struct expr_part *local, *as;
    unsigned local_count, as_count;
    struct nx_buf foreign; /* owned; empty: no equality */
    struct expr **let;     /* owned, `let_count` of them */
    unsigned *let_slots;   /* owned */
    size_t let_count;
    struct stage *scan;        /* owned */
    struct pipeline *pipeline; /* owned */
    struct filter *filter;     /* owned: of the current document */
    struct nx_buf filter_bson;
    struct path foreign_path; /* owned */
    struct join_table *table; /* owned; NULL: not made */
    uint64_t looked_up;       /* documents so far */
};

enum {
    LOOKUP_FROM,
    LOOKUP_LOCAL,
    LOOKUP_FOREIGN,
    LOOKUP_LET,
    LOOKUP_PIPELINE,
    LOOKUP_AS,
    LOOKUP_MEMBERS
};

static enum nx_code parse_let(struct lookup_stage *stage, const struct nx_value *let,
                              struct nx_err *err)
{
    struct expr_vars *vars = stage->stage.context->vars;
    size_t count = nx_doc_count(nx_value_slice(let));
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    stage->let = calloc(count + 1, sizeof(struct expr *));
    stage->let_slots = calloc(count + 1, sizeof *stage->let_slots);
    if (!stage->let || !stage->let_slots)
        return nx_fail_nomem(err);
    nx_doc_iter_init(&iter, nx_value_slice(let));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        if (!expr_var_name_ok(iter.key, iter.key_len))
            return nx_fail(
                err, NX_EQUERY,
                "$lookup wants names in 'let' that begin with a small letter, not '%.100s'",
                iter.key);
        rc = expr_parse(&iter.value, vars, &stage->let[stage->let_count], err);
        stage->let_count += rc == NX_OK;
    }
    count = 0;
    nx_doc_iter_init(&iter, nx_value_slice(let));
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = expr_vars_declare(vars, iter.key, iter.key_len, &stage->let_slots[count++], err);
    return rc;
}

static enum nx_code check_lookup(const struct spec_member *members, struct nx_err *err)
{
    bool local = members[LOOKUP_LOCAL].value.type != NX_TYPE_MISSING;
    bool foreign = members[LOOKUP_FOREIGN].value.type != NX_TYPE_MISSING;

    if (local != foreign)
        return nx_fail(err, NX_EQUERY, "$lookup wants both of 'localField' and 'foreignField'");
    if (!local && members[LOOKUP_PIPELINE].value.type == NX_TYPE_MISSING)
        return nx_fail(err, NX_EQUERY,
                       "$lookup wants 'localField' and 'foreignField', or 'pipeline'");
    if (members[LOOKUP_PIPELINE].value.type != NX_TYPE_MISSING &&
        members[LOOKUP_PIPELINE].value.type != NX_TYPE_ARRAY)
        return nx_fail(err, NX_EQUERY, "$lookup wants 'pipeline' as an array of stages");
    if (members[LOOKUP_LET].value.type != NX_TYPE_MISSING &&
        members[LOOKUP_LET].value.type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EQUERY, "$lookup wants 'let' as an object");
    return NX_OK;
}

static enum nx_code path_member(struct lookup_stage *stage, const struct spec_member *member,
                                const struct expr_part **parts, unsigned *count, struct nx_err *err)
{
    if (member->value.type != NX_TYPE_STRING)
        return nx_fail(err, NX_EQUERY, "$lookup wants '%s' as a string, not %s", member->name,
                       nx_type_name(member->value.type));
    return expr_split_path((const char *)member->value.data, member->value.len, &stage->names,
                           parts, count, err);
}

static enum nx_code parse_equality(struct lookup_stage *stage, const struct spec_member *members,
                                   struct nx_err *err)
{
    const struct nx_value *foreign = &members[LOOKUP_FOREIGN].value;
    const struct expr_part *parts;
    unsigned count;
    enum nx_code rc;

    if (foreign->type == NX_TYPE_MISSING)
        return NX_OK;
    rc = path_member(stage, &members[LOOKUP_LOCAL], &stage->local, &stage->local_count, err);
    if (rc == NX_OK)
        rc = path_member(stage, &members[LOOKUP_FOREIGN], &parts, &count, err);
    if (rc == NX_OK && nx_buf_append(&stage->foreign, foreign->data, foreign->len) != NX_OK)
        rc = nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = path_init(&stage->foreign_path, (const char *)foreign->data, foreign->len, err);
    return rc;
}

static enum nx_code parse_lookup(struct stage *base, const struct nx_value *spec,
                                 struct nx_err *err)
{
    struct lookup_stage *stage = (struct lookup_stage *)base;
    struct spec_member members[LOOKUP_MEMBERS] = {
        {"from", false, NX_MISSING},         {"localField", false, NX_MISSING},
        {"foreignField", false, NX_MISSING}, {"let", false, NX_MISSING},
        {"pipeline", false, NX_MISSING},     {"as", true, NX_MISSING}};
    struct expr_vars *vars = base->context->vars;
    unsigned mark = expr_vars_mark(vars);
    struct nx_slice stages = nx_doc_empty;
    nx_ino ino = 0;
    enum nx_code rc = spec_members("$lookup", spec, members, LOOKUP_MEMBERS, err);

    if (rc == NX_OK)
        rc = check_lookup(members, err);
    if (rc == NX_OK)
        rc = path_member(stage, &members[LOOKUP_AS], &stage->as, &stage->as_count, err);
    if (rc == NX_OK)
        rc = parse_equality(stage, members, err);
    if (rc == NX_OK && members[LOOKUP_LET].value.type == NX_TYPE_DOCUMENT)
        rc = parse_let(stage, &members[LOOKUP_LET].value, err);
    if (members[LOOKUP_PIPELINE].value.type == NX_TYPE_ARRAY)
        stages = nx_value_slice(&members[LOOKUP_PIPELINE].value);
    if (rc == NX_OK)
        rc = pipeline_parse(base->context, stages, PLACE_NESTED, &stage->pipeline, err);
    expr_vars_release(vars, mark);
    if (rc == NX_OK && (members[LOOKUP_FROM].value.type != NX_TYPE_MISSING ||
                        !pipeline_has_own_source(stage->pipeline)))
        rc = pipeline_collection(base->context, &members[LOOKUP_FROM].value, "$lookup", &ino, err);
    if (rc == NX_OK)
        rc = scan_stage_new(base->context, ino, &stage->scan, err);
    if (rc == NX_OK)
        pipeline_connect_through(stage->pipeline, stage->scan, stage->foreign.len == 0);
    return rc;
}

static enum nx_code bind_let(struct lookup_stage *stage, struct nx_err *err)
{
    struct nx_value *slots = stage->stage.context->slots;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; rc == NX_OK && i < stage->let_count; i++)
        rc = expr_eval(stage->let[i], &stage->stage.env, &slots[stage->let_slots[i]], err);
    return rc;
}

static bool is_by_id(const struct lookup_stage *stage)
{
    return stage->foreign.len == 3 && memcmp(stage->foreign.data, "_id", 3) == 0;
}

static enum nx_code fill_table(struct lookup_stage *stage, struct nx_err *err)
{
    struct nx_slice doc;
    enum nx_code rc =
        join_table_new(&stage->stage.context->budget, &stage->foreign_path, &stage->table, err);

    scan_stage_filter(stage->scan, NULL);
    while (rc == NX_OK && (rc = stage_next(stage->scan, &doc, err)) == NX_OK)
        rc = join_table_add(stage->table, doc, err);
    stage_reset(stage->scan);
    return rc == NX_DONE ? NX_OK : rc;
}

/* One document is found by one scan; a table pays from the second on. */
static enum nx_code want_table(struct lookup_stage *stage, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    if (stage->looked_up++ != 1 || is_by_id(stage))
        return NX_OK;
    rc = fill_table(stage, err);
    if (rc == NX_OK)
        return NX_OK;
    join_table_free(stage->table);
    stage->table = NULL;
    return rc == NX_EBUDGET ? NX_OK : rc;
}

/* Make the scan give only what is equal to the local field. */
static enum nx_code bind_equality(struct lookup_stage *stage, struct nx_slice doc,
                                  struct nx_err *err)
{
    struct nx_value from = nx_doc_value(doc), local;
    struct value_list values = {0};
    struct arena *arena = &stage->stage.arena;
    enum nx_code rc = want_table(stage, err);

    if (rc == NX_OK)
        rc = expr_walk(&from, stage->local, stage->local_count, arena, &local, err);
    if (rc == NX_OK)
        rc = local_values(&local, arena, &values, err);
    if (rc == NX_OK)
        rc = equality_filter(nx_buf_slice(&stage->foreign), &values, stage->table, arena,
                             &stage->filter_bson, err);
    filter_free(stage->filter);
    stage->filter = NULL;
    if (rc == NX_OK)
        rc = filter_parse(nx_buf_slice(&stage->filter_bson), NULL, &stage->filter, err);
    if (rc == NX_OK)
        scan_stage_filter(stage->scan, stage->filter);
    return rc;
}

/* Collect the joined documents as an array in stage->joined. */
static enum nx_code collect(struct lookup_stage *stage, struct nx_value *out, struct nx_err *err)
{
    struct value_list found = {0};
    struct nx_slice doc;
    enum nx_code rc = NX_OK;

    while (rc == NX_OK && (rc = pipeline_next(stage->pipeline, &doc, err)) == NX_OK) {
        struct nx_value item = nx_doc_value(doc);

        rc = value_copy(&stage->stage.arena, &item, &item, err);
        if (rc == NX_OK)
            rc = value_list_push(&found, &stage->stage.arena, &item, err);
        if (rc == NX_OK &&
            stage->stage.arena.used_bytes > stage->stage.context->budget.limits.memory_bytes)
            rc = budget_fail(&stage->stage.context->budget, "$lookup", err);
    }
    return rc == NX_DONE ? value_array(&stage->stage.arena, &found, out, err) : rc;
}

static enum nx_code next_lookup(struct stage *base, struct nx_slice *doc, struct nx_err *err)
{
    struct lookup_stage *stage = (struct lookup_stage *)base;
    struct nx_slice in;
    struct nx_value joined;
    enum nx_code rc = stage_pull(base, &in, err);

    if (rc == NX_OK)
        rc = bind_let(stage, err);
    if (rc != NX_OK)
        return rc;
    stage_reset(stage->scan); /* lets go of the filter before it is replaced */
    if (stage->foreign.len)
        rc = bind_equality(stage, in, err);
    if (rc != NX_OK)
        return rc;
    pipeline_reset(stage->pipeline);
    rc = collect(stage, &joined, err);
    nx_buf_clear(&base->out);
    if (rc == NX_OK)
        rc = document_set(in, stage->as, stage->as_count, &joined, &base->out, err);
    *doc = nx_buf_slice(&base->out);
    return rc;
}

static void reset_lookup(struct stage *base)
{
    struct lookup_stage *stage = (struct lookup_stage *)base;

    if (stage->scan)
        stage_reset(stage->scan);
}

static void close_lookup(struct stage *base)
{
    struct lookup_stage *stage = (struct lookup_stage *)base;

    pipeline_free(stage->pipeline);
    stage_free(stage->scan);
    filter_free(stage->filter);
    join_table_free(stage->table);
    path_fini(&stage->foreign_path);
    for (size_t i = 0; i < stage->let_count; i++)
        expr_free(stage->let[i]);
    free(stage->let);
    free(stage->let_slots);
    nx_buf_fini(&stage->foreign);
    nx_buf_fini(&stage->filter_bson);
    arena_fini(&stage->names);
}

const struct stage_class stage_lookup = {
    .name = "$lookup",
    .size = sizeof(struct lookup_stage),
    .parse = parse_lookup,
    .next = next_lookup,
    .reset = reset_lookup,
    .close = close_lookup,
    .help = "documents of another collection that go with each, as an array",
};

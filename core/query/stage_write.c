/*
 * stage_write.c - $out and $merge: results into collections.
 *
 * $out fills a new collection beside the target and exchanges the two at the end, so that readers
 * see all of the old or all of the new. $merge commits each document as it comes; the last step
 * makes everything durable.
 */
#include <stdio.h>
#include <stdlib.h>

#include <nexadb/io.h>

#include "query/filter.h"
#include "query/pipeline.h"
#include "query/source.h"
#include "query/stage_spec.h"

#define BATCH_BYTES (1u << 20)
#define PATH_BYTES 4200

/* "name", or {coll: "name"} with an optional db, which is ignored: there is one database. */
static enum nx_code target_name(const char *stage, const struct nx_value *spec, struct nx_buf *out,
                                struct nx_err *err)
{
    struct spec_member members[] = {{"coll", true, NX_MISSING}, {"db", false, NX_MISSING}};
    struct nx_value name = *spec;
    enum nx_code rc = NX_OK;

    if (spec->type == NX_TYPE_DOCUMENT) {
        rc = spec_members(stage, spec, members, 2, err);
        name = members[0].value;
    }
    if (rc == NX_OK && (name.type != NX_TYPE_STRING || name.len == 0))
        return nx_fail(err, NX_EQUERY, "%s wants the name of a collection", stage);
    if (rc == NX_OK && nx_buf_append(out, name.data, name.len) != NX_OK)
        rc = nx_fail_nomem(err);
    return rc;
}

static enum nx_code may_write(struct pipeline_context *context, const char *stage,
                              const struct nx_buf *name, struct nx_err *err)
{
    const struct nx_limits *limits = &context->budget.limits;

    if (!context->db)
        return nx_fail(err, NX_EQUERY, "%s cannot be used where there are no collections", stage);
    if (limits->read_only)
        return nx_fail(err, NX_EROFS, "%s cannot write: the database is read-only", stage);
    if (limits->may_write && !limits->may_write(limits->arg, (const char *)name->data, name->len))
        return nx_fail(err, NX_EACCES, "%s may not write the collection '%.*s'", stage,
                       (int)name->len, (const char *)name->data);
    return NX_OK;
}

static struct nx_change change_of(const struct stage *stage)
{
    struct nx_attr root;
    struct nx_change change = {.durability = NX_BUFFERED};

    if (nx_db_stat(stage->context->db, NULL, NX_ROOT_INO, &root, NULL) == NX_OK) {
        change.uid = root.uid;
        change.gid = root.gid;
    }
    return change;
}

/* --- $out ------------------------------------------------------------------------------------- */

struct out_stage {
    struct stage stage;
    struct nx_buf name; /* owned */
    bool done;
};

static enum nx_code parse_out(struct stage *base, const struct nx_value *spec, struct nx_err *err)
{
    struct out_stage *stage = (struct out_stage *)base;
    enum nx_code rc = target_name("$out", spec, &stage->name, err);

    return rc == NX_OK ? may_write(base->context, "$out", &stage->name, err) : rc;
}

static enum nx_code commit(struct nx_write *write, const struct nx_change *change,
                           struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    if (nx_write_count(write))
        rc = nx_write_commit(write, change, NULL, err);
    nx_write_clear(write);
    return rc;
}

static enum nx_code fill_collection(struct out_stage *stage, nx_ino ino,
                                    const struct nx_change *change, struct nx_err *err)
{
    struct nx_write *write;
    struct nx_slice doc;
    enum nx_code rc = nx_write_new(stage->stage.context->db, &write, err);

    while (rc == NX_OK && (rc = stage_pull(&stage->stage, &doc, err)) == NX_OK) {
        const struct nx_put put = {.collection = ino, .mode = NX_PUT_INSERT, .bson = doc};

        rc = nx_write_put(write, &put, NULL, err);
        if (rc == NX_OK && nx_write_bytes(write) >= BATCH_BYTES)
            rc = commit(write, change, err);
    }
    if (rc == NX_DONE)
        rc = commit(write, change, err);
    nx_write_free(write);
    return rc;
}

static const char *last_part(const char *path, size_t len, size_t *part_len)
{
    const char *slash = len ? memrchr(path, '/', len) : NULL;
    const char *part = slash ? slash + 1 : path;

    *part_len = len - (size_t)(part - path);
    return part;
}

/* Put the filled collection where the target is, and drop what was there. */
static enum nx_code exchange(struct out_stage *stage, const char *path, size_t path_len,
                             const struct nx_attr *made, const struct nx_change *change,
                             struct nx_err *err)
{
    struct nx_db *db = stage->stage.context->db;
    const char *target = (const char *)stage->name.data;
    size_t from_len, to_len;
    const char *from = last_part(path, path_len, &from_len);
    const char *to = last_part(target, stage->name.len, &to_len);
    struct nx_attr old;
    enum nx_code rc = nx_db_collection_make(db, target, stage->name.len, change, &old, err);

    if (rc == NX_OK)
        rc = nx_db_rename(db, made->parent, from, from_len, old.parent, to, to_len,
                          NX_RENAME_EXCHANGE, change, err);
    return rc == NX_OK ? nx_db_drop(db, old.ino, change, err) : rc;
}

static enum nx_code replace_collection(struct out_stage *stage, struct nx_err *err)
{
    struct pipeline_context *context = stage->stage.context;
    struct nx_change change = change_of(&stage->stage);
    struct nx_io *io = context->budget.io;
    struct nx_attr made;
    char path[PATH_BYTES];
    uint64_t number;
    int len;
    enum nx_code rc;

    io->ops->random(io, &number, sizeof number);
    len = snprintf(path, sizeof path, "%.*s~%08x", (int)stage->name.len,
                   (const char *)stage->name.data, (unsigned)number);
    if (len < 0 || (size_t)len >= sizeof path)
        return nx_fail(err, NX_ENAME, "$out: the collection's name is too long");
    rc = nx_db_collection_make(context->db, path, (size_t)len, &change, &made, err);
    if (rc != NX_OK)
        return rc;
    rc = fill_collection(stage, made.ino, &change, err);
    if (rc == NX_OK)
        rc = exchange(stage, path, (size_t)len, &made, &change, err);
    if (rc != NX_OK)
        nx_db_drop(context->db, made.ino, &change, NULL);
    return rc == NX_OK ? nx_engine_sync(nx_db_engine(context->db), err) : rc;
}

static enum nx_code next_out(struct stage *base, struct nx_slice *doc, struct nx_err *err)
{
    struct out_stage *stage = (struct out_stage *)base;
    enum nx_code rc;

    (void)doc;
    if (stage->done)
        return NX_DONE;
    stage->done = true;
    rc = replace_collection(stage, err);
    return rc == NX_OK ? NX_DONE : rc;
}

static void close_out(struct stage *base)
{
    nx_buf_fini(&((struct out_stage *)base)->name);
}

const struct stage_class stage_out = {
    .name = "$out",
    .flags = STAGE_LAST | STAGE_NOT_NESTED,
    .size = sizeof(struct out_stage),
    .parse = parse_out,
    .next = next_out,
    .close = close_out,
    .help = "the results as the new content of a collection",
};

/* --- $merge ----------------------------------------------------------------------------------- */

enum matched { MATCHED_MERGE, MATCHED_REPLACE, MATCHED_KEEP, MATCHED_FAIL, MATCHED_PIPELINE };
enum not_matched { NOT_MATCHED_INSERT, NOT_MATCHED_DISCARD, NOT_MATCHED_FAIL };

struct merge_stage {
    struct stage stage;
    struct nx_buf name; /* owned */
    struct nx_buf on;   /* owned: BSON array of the fields, or empty: _id */
    enum matched matched;
    enum not_matched not_matched;
    struct expr **let_exprs; /* owned */
    unsigned *let_slots;     /* owned; the last is $$new's when it is not given */
    size_t let_count;
    struct stage *single;      /* owned */
    struct pipeline *pipeline; /* owned */
    struct nx_write *write;    /* owned, while running */
    nx_ino ino;
    bool done;
};

enum { MG_INTO, MG_ON, MG_LET, MG_MATCHED, MG_NOT_MATCHED, MG_MEMBERS };

static const char *const matched_names[] = {"merge", "replace", "keepExisting", "fail"};
static const char *const not_matched_names[] = {"insert", "discard", "fail"};

static bool find_name(const struct nx_value *value, const char *const *names, unsigned count,
                      unsigned *out)
{
    for (unsigned i = 0; i < count; i++)
        if (value->type == NX_TYPE_STRING && strlen(names[i]) == value->len &&
            memcmp(names[i], value->data, value->len) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static enum nx_code parse_on(struct merge_stage *stage, const struct nx_value *on,
                             struct nx_err *err)
{
    struct nx_builder builder;
    struct nx_doc_iter iter;

    if (on->type == NX_TYPE_MISSING)
        return NX_OK;
    if (on->type != NX_TYPE_STRING && on->type != NX_TYPE_ARRAY)
        return nx_fail(err, NX_EQUERY, "$merge wants 'on' as a field's name or an array of them");
    nx_builder_init_array(&builder, &stage->on);
    if (on->type == NX_TYPE_STRING) {
        nx_builder_push(&builder, on);
        return nx_builder_end(&builder, err);
    }
    nx_doc_iter_init(&iter, nx_value_slice(on));
    while (nx_doc_iter_next(&iter)) {
        if (iter.value.type != NX_TYPE_STRING)
            return nx_fail(err, NX_EQUERY, "$merge wants names of fields in 'on'");
        nx_builder_push(&builder, &iter.value);
    }
    return nx_builder_end(&builder, err);
}

static enum nx_code parse_merge_let(struct merge_stage *stage, const struct nx_value *let,
                                    struct nx_err *err)
{
    struct nx_slice fields = let->type == NX_TYPE_DOCUMENT ? nx_value_slice(let) : nx_doc_empty;
    struct expr_vars *vars = stage->stage.context->vars;
    size_t count = nx_doc_count(fields);
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    if (let->type != NX_TYPE_DOCUMENT && let->type != NX_TYPE_MISSING)
        return nx_fail(err, NX_EQUERY, "$merge wants 'let' as an object");
    stage->let_exprs = calloc(count + 1, sizeof(struct expr *));
    stage->let_slots = calloc(count + 1, sizeof *stage->let_slots);
    if (!stage->let_exprs || !stage->let_slots)
        return nx_fail_nomem(err);
    nx_doc_iter_init(&iter, fields);
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        rc = expr_parse(&iter.value, vars, &stage->let_exprs[stage->let_count], err);
        stage->let_count += rc == NX_OK;
    }
    count = 0;
    nx_doc_iter_init(&iter, fields);
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = expr_vars_declare(vars, iter.key, iter.key_len, &stage->let_slots[count++], err);
    if (rc == NX_OK)
        rc = expr_vars_declare(vars, "new", 3, &stage->let_slots[stage->let_count], err);
    return rc;
}

static enum nx_code parse_matched(struct merge_stage *stage, const struct spec_member *members,
                                  struct nx_err *err)
{
    const struct nx_value *matched = &members[MG_MATCHED].value;
    struct expr_vars *vars = stage->stage.context->vars;
    unsigned mark = expr_vars_mark(vars), found = 0;
    enum nx_code rc;

    if (matched->type == NX_TYPE_MISSING)
        return NX_OK;
    if (find_name(matched, matched_names, 4, &found)) {
        stage->matched = (enum matched)found;
        return NX_OK;
    }
    if (matched->type != NX_TYPE_ARRAY)
        return nx_fail(err, NX_EQUERY,
                       "$merge knows whenMatched: merge, replace, keepExisting, "
                       "fail, or an array of stages");
    stage->matched = MATCHED_PIPELINE;
    rc = parse_merge_let(stage, &members[MG_LET].value, err);
    if (rc == NX_OK)
        rc = pipeline_parse(stage->stage.context, nx_value_slice(matched), PLACE_UPDATE,
                            &stage->pipeline, err);
    expr_vars_release(vars, mark);
    if (rc == NX_OK)
        rc = single_stage_new(stage->stage.context, &stage->single, err);
    if (rc == NX_OK)
        pipeline_connect(stage->pipeline, stage->single);
    return rc;
}

static enum nx_code parse_merge(struct stage *base, const struct nx_value *spec, struct nx_err *err)
{
    struct merge_stage *stage = (struct merge_stage *)base;
    struct spec_member members[MG_MEMBERS] = {{"into", true, NX_MISSING},
                                              {"on", false, NX_MISSING},
                                              {"let", false, NX_MISSING},
                                              {"whenMatched", false, NX_MISSING},
                                              {"whenNotMatched", false, NX_MISSING}};
    const struct nx_value *not_matched = &members[MG_NOT_MATCHED].value;
    unsigned found = 0;
    enum nx_code rc = NX_OK;

    if (spec->type == NX_TYPE_STRING)
        members[MG_INTO].value = *spec;
    else
        rc = spec_members("$merge", spec, members, MG_MEMBERS, err);
    if (rc == NX_OK)
        rc = target_name("$merge", &members[MG_INTO].value, &stage->name, err);
    if (rc == NX_OK)
        rc = parse_on(stage, &members[MG_ON].value, err);
    if (rc == NX_OK)
        rc = parse_matched(stage, members, err);
    if (rc == NX_OK && not_matched->type != NX_TYPE_MISSING &&
        !find_name(not_matched, not_matched_names, 3, &found))
        return nx_fail(err, NX_EQUERY, "$merge knows whenNotMatched: insert, discard, fail");
    stage->not_matched = (enum not_matched)found;
    return rc == NX_OK ? may_write(base->context, "$merge", &stage->name, err) : rc;
}

/* The filter that finds the document to merge with: equality of every field of 'on'. */
static enum nx_code on_filter(const struct merge_stage *stage, struct nx_slice doc,
                              struct nx_buf *out, struct nx_err *err)
{
    struct nx_builder builder;
    struct nx_doc_iter iter;
    static const struct nx_value id_name = {
        .type = NX_TYPE_STRING, .len = 3, .data = (const uint8_t *)"_id"};

    nx_builder_init(&builder, out);
    nx_builder_begin_array(&builder, "$and", 4);
    if (stage->on.len)
        nx_doc_iter_init(&iter, nx_buf_slice(&stage->on));
    for (bool first = true; stage->on.len ? nx_doc_iter_next(&iter) : first; first = false) {
        const struct nx_value *name = stage->on.len ? &iter.value : &id_name;
        struct nx_value value = nx_doc_get(doc, (const char *)name->data, name->len);

        if (nx_is_nullish(&value) || value.type == NX_TYPE_ARRAY)
            return nx_fail(err, NX_EEXPR, "$merge wants '%.*s' in every document, not %s",
                           (int)name->len, (const char *)name->data, nx_type_name(value.type));
        nx_builder_begin_document(&builder, NULL, 0);
        nx_builder_begin_document(&builder, (const char *)name->data, name->len);
        nx_builder_put(&builder, "$eq", 3, &value);
        nx_builder_close(&builder);
        nx_builder_close(&builder);
    }
    nx_builder_close(&builder);
    return nx_builder_end(&builder, err);
}

/* NX_DONE when there is none. */
static enum nx_code find_target(struct merge_stage *stage, struct nx_slice doc, struct nx_buf *out,
                                struct nx_err *err)
{
    struct nx_buf spec NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct source_options options = {.db = stage->stage.context->db,
                                     .collection = stage->ino,
                                     .budget = &stage->stage.context->budget};
    struct nx_document found;
    struct source *source = NULL;
    struct filter *filter = NULL;
    enum nx_code rc = on_filter(stage, doc, &spec, err);

    if (rc == NX_OK)
        rc = filter_parse(nx_buf_slice(&spec), NULL, &filter, err);
    options.filter = filter;
    if (rc == NX_OK)
        rc = source_open(&options, &source, err);
    if (rc == NX_OK)
        rc = source_next(source, &found, err);
    nx_buf_clear(out);
    if (rc == NX_OK && nx_buf_append(out, found.bson.data, found.bson.len) != NX_OK)
        rc = nx_fail_nomem(err);
    source_close(source);
    filter_free(filter);
    return rc;
}

static enum nx_code put(struct merge_stage *stage, struct nx_slice doc, const struct nx_value *id,
                        enum nx_put_mode mode, struct nx_err *err)
{
    struct nx_change change = change_of(&stage->stage);
    struct nx_put what = {.collection = stage->ino, .mode = mode, .bson = doc};
    struct nx_id key;
    enum nx_code rc = NX_OK;

    if (id) {
        rc = nx_id_from_value(id, &key, err);
        what.id = &key;
    }
    nx_write_clear(stage->write);
    if (rc == NX_OK)
        rc = nx_write_put(stage->write, &what, NULL, err);
    return rc == NX_OK ? nx_write_commit(stage->write, &change, NULL, err) : rc;
}

static enum nx_code run_pipeline(struct merge_stage *stage, struct nx_slice old,
                                 struct nx_slice new, struct nx_slice *result, struct nx_err *err)
{
    struct nx_value *slots = stage->stage.context->slots;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; rc == NX_OK && i < stage->let_count; i++)
        rc = expr_eval(stage->let_exprs[i], &stage->stage.env, &slots[stage->let_slots[i]], err);
    slots[stage->let_slots[stage->let_count]] = nx_doc_value(new);
    single_stage_set(stage->single, old);
    pipeline_reset(stage->pipeline);
    return rc == NX_OK ? pipeline_next(stage->pipeline, result, err) : rc;
}

/* The old document with the fields of the new one over it. */
static enum nx_code merged(struct stage *stage, struct nx_slice old, struct nx_slice new,
                           struct nx_slice *out, struct nx_err *err)
{
    struct field_list fields = {0};
    struct nx_doc_iter iter;
    struct nx_value made;
    enum nx_code rc = field_list_extend(&fields, &stage->arena, old, err);

    nx_doc_iter_init(&iter, new);
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = field_list_set(&fields, &stage->arena, iter.key, iter.key_len, iter.value, err);
    if (rc == NX_OK)
        rc = value_document(&stage->arena, &fields, &made, err);
    if (rc == NX_OK)
        *out = nx_value_slice(&made);
    return rc;
}

static enum nx_code merge_matched(struct merge_stage *stage, struct nx_slice old,
                                  struct nx_slice doc, struct nx_err *err)
{
    struct nx_value id = nx_doc_get_z(old, "_id");
    struct nx_slice result = doc;
    enum nx_code rc = NX_OK;

    switch (stage->matched) {
    case MATCHED_KEEP:
        return NX_OK;
    case MATCHED_FAIL:
        return nx_fail(err, NX_EEXISTS, "$merge found a document there already");
    case MATCHED_MERGE:
        rc = merged(&stage->stage, old, doc, &result, err);
        break;
    case MATCHED_PIPELINE:
        rc = run_pipeline(stage, old, doc, &result, err);
        break;
    default:
        break;
    }
    return rc == NX_OK ? put(stage, result, &id, NX_PUT_REPLACE, err) : rc;
}

static enum nx_code merge_one(struct merge_stage *stage, struct nx_slice doc, struct nx_err *err)
{
    struct nx_buf old NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = find_target(stage, doc, &old, err);

    if (rc == NX_OK)
        return merge_matched(stage, nx_buf_slice(&old), doc, err);
    if (rc != NX_DONE)
        return rc;
    switch (stage->not_matched) {
    case NOT_MATCHED_DISCARD:
        return NX_OK;
    case NOT_MATCHED_FAIL:
        return nx_fail(err, NX_EEXPR, "$merge found no document to merge with");
    default:
        return put(stage, doc, NULL, NX_PUT_INSERT, err);
    }
}

static enum nx_code merge_all(struct merge_stage *stage, struct nx_err *err)
{
    struct pipeline_context *context = stage->stage.context;
    struct nx_change change = change_of(&stage->stage);
    struct nx_attr attr;
    struct nx_slice doc;
    enum nx_code rc = nx_db_collection_make(context->db, (const char *)stage->name.data,
                                            stage->name.len, &change, &attr, err);

    stage->ino = attr.ino;
    if (rc == NX_OK)
        rc = nx_write_new(context->db, &stage->write, err);
    while (rc == NX_OK && (rc = stage_pull(&stage->stage, &doc, err)) == NX_OK)
        rc = merge_one(stage, doc, err);
    return rc == NX_DONE ? nx_engine_sync(nx_db_engine(context->db), err) : rc;
}

static enum nx_code next_merge(struct stage *base, struct nx_slice *doc, struct nx_err *err)
{
    struct merge_stage *stage = (struct merge_stage *)base;
    enum nx_code rc;

    (void)doc;
    if (stage->done)
        return NX_DONE;
    stage->done = true;
    rc = merge_all(stage, err);
    return rc == NX_OK ? NX_DONE : rc;
}

static void close_merge(struct stage *base)
{
    struct merge_stage *stage = (struct merge_stage *)base;

    nx_write_free(stage->write);
    pipeline_free(stage->pipeline);
    stage_free(stage->single);
    for (size_t i = 0; i < stage->let_count; i++)
        expr_free(stage->let_exprs[i]);
    free(stage->let_exprs);
    free(stage->let_slots);
    nx_buf_fini(&stage->name);
    nx_buf_fini(&stage->on);
}

const struct stage_class stage_merge = {
    .name = "$merge",
    .flags = STAGE_LAST | STAGE_NOT_NESTED,
    .size = sizeof(struct merge_stage),
    .parse = parse_merge,
    .next = next_merge,
    .close = close_merge,
    .help = "the results merged into a collection",
};

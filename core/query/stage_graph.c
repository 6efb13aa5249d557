/*
 * stage_graph.c - $graphLookup: a search in breadth over documents that name each other.
 *
 * Each round reads what connects to any value of the round before with one filter; documents are
 * told apart by their _id, so that a circle ends.
 */
#include <stdlib.h>

#include "query/acc.h"
#include "query/filter.h"
#include "query/pipeline.h"
#include "query/stage_spec.h"

struct graph_stage {
    struct stage stage;
    struct arena names;
    struct expr *start; /* owned */
    const struct expr_part *from, *as, *depth_field;
    unsigned from_count, as_count, depth_count;
    struct nx_buf to; /* owned: the path that is connected to */
    int64_t max_depth;
    struct nx_buf restriction; /* owned: BSON of a filter, or empty */
    struct stage *scan;        /* owned */
};

enum { G_FROM, G_START, G_CONNECT_FROM, G_CONNECT_TO, G_AS, G_MAX, G_DEPTH, G_RESTRICT, G_MEMBERS };

static enum nx_code graph_path(struct graph_stage *stage, const struct spec_member *member,
                               const struct expr_part **parts, unsigned *count, struct nx_err *err)
{
    if (member->value.type != NX_TYPE_STRING)
        return nx_fail(err, NX_EQUERY, "$graphLookup wants '%s' as a string", member->name);
    return expr_split_path((const char *)member->value.data, member->value.len, &stage->names,
                           parts, count, err);
}

static enum nx_code parse_bounds(struct graph_stage *stage, const struct spec_member *members,
                                 struct nx_err *err)
{
    const struct nx_value *restriction = &members[G_RESTRICT].value;
    struct filter *filter;
    enum nx_code rc;

    stage->max_depth = INT64_MAX;
    if (members[G_MAX].value.type != NX_TYPE_MISSING &&
        (!nx_value_to_int64(&members[G_MAX].value, &stage->max_depth) || stage->max_depth < 0))
        return nx_fail(err, NX_EQUERY, "$graphLookup wants 'maxDepth' as a whole number from 0 on");
    if (restriction->type == NX_TYPE_MISSING)
        return NX_OK;
    if (restriction->type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EQUERY, "$graphLookup wants 'restrictSearchWithMatch' as an object");
    rc = filter_parse(nx_value_slice(restriction), NULL, &filter, err);
    filter_free(filter);
    if (rc == NX_OK &&
        nx_buf_append(&stage->restriction, restriction->data, restriction->len) != NX_OK)
        rc = nx_fail_nomem(err);
    return rc;
}

static enum nx_code parse_graph(struct stage *base, const struct nx_value *spec, struct nx_err *err)
{
    struct graph_stage *stage = (struct graph_stage *)base;
    struct spec_member m[G_MEMBERS] = {{"from", true, NX_MISSING},
                                       {"startWith", true, NX_MISSING},
                                       {"connectFromField", true, NX_MISSING},
                                       {"connectToField", true, NX_MISSING},
                                       {"as", true, NX_MISSING},
                                       {"maxDepth", false, NX_MISSING},
                                       {"depthField", false, NX_MISSING},
                                       {"restrictSearchWithMatch", false, NX_MISSING}};
    const struct expr_part *parts;
    unsigned count;
    nx_ino ino;
    enum nx_code rc = spec_members("$graphLookup", spec, m, G_MEMBERS, err);

    if (rc == NX_OK)
        rc = expr_parse(&m[G_START].value, base->context->vars, &stage->start, err);
    if (rc == NX_OK)
        rc = graph_path(stage, &m[G_CONNECT_FROM], &stage->from, &stage->from_count, err);
    if (rc == NX_OK)
        rc = graph_path(stage, &m[G_CONNECT_TO], &parts, &count, err);
    if (rc == NX_OK)
        rc = graph_path(stage, &m[G_AS], &stage->as, &stage->as_count, err);
    if (rc == NX_OK && m[G_DEPTH].value.type != NX_TYPE_MISSING)
        rc = graph_path(stage, &m[G_DEPTH], &stage->depth_field, &stage->depth_count, err);
    if (rc == NX_OK)
        rc = parse_bounds(stage, m, err);
    if (rc == NX_OK &&
        nx_buf_append(&stage->to, m[G_CONNECT_TO].value.data, m[G_CONNECT_TO].value.len) != NX_OK)
        rc = nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = pipeline_collection(base->context, &m[G_FROM].value, "$graphLookup", &ino, err);
    return rc == NX_OK ? scan_stage_new(base->context, ino, &stage->scan, err) : rc;
}

/* {$and: [{to: {$in: frontier}}, restriction]} */
static enum nx_code round_filter(struct graph_stage *stage, const struct value_list *frontier,
                                 struct filter **out, struct nx_err *err)
{
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value restriction = nx_doc_value(nx_buf_slice(&stage->restriction));
    struct nx_builder builder;
    enum nx_code rc;

    nx_builder_init(&builder, &bytes);
    nx_builder_begin_array(&builder, "$and", 4);
    nx_builder_begin_document(&builder, NULL, 0);
    nx_builder_begin_document(&builder, (const char *)stage->to.data, stage->to.len);
    nx_builder_begin_array(&builder, "$in", 3);
    for (size_t i = 0; i < frontier->len; i++)
        if (frontier->at[i].type != NX_TYPE_REGEX)
            nx_builder_push(&builder, &frontier->at[i]);
    nx_builder_close(&builder);
    nx_builder_close(&builder);
    nx_builder_close(&builder);
    if (stage->restriction.len)
        nx_builder_push(&builder, &restriction);
    nx_builder_close(&builder);
    rc = nx_builder_end(&builder, err);
    return rc == NX_OK ? filter_parse(nx_buf_slice(&bytes), NULL, out, err) : rc;
}

struct search {
    struct value_list found, next;
    struct acc seen; /* a set of _ids */
    int64_t depth;
};

static enum nx_code take(struct graph_stage *stage, struct search *search, struct nx_slice doc,
                         struct nx_err *err)
{
    struct arena *arena = &stage->stage.arena;
    struct nx_value whole = nx_doc_value(doc), depth = nx_int64(search->depth), value;
    struct nx_value id = nx_doc_get_z(doc, "_id");
    size_t before = search->seen.len;
    enum nx_code rc = acc_add_value(&search->seen, &id, err);

    if (rc != NX_OK || search->seen.len == before)
        return rc;
    if (stage->depth_field) {
        nx_buf_clear(&stage->stage.out);
        rc = document_set(doc, stage->depth_field, stage->depth_count, &depth, &stage->stage.out,
                          err);
        whole = nx_doc_value(nx_buf_slice(&stage->stage.out));
    }
    if (rc == NX_OK)
        rc = value_copy(arena, &whole, &whole, err);
    if (rc == NX_OK)
        rc = value_list_push(&search->found, arena, &whole, err);
    if (rc == NX_OK)
        rc = expr_walk(&whole, stage->from, stage->from_count, arena, &value, err);
    if (rc == NX_OK && value.type == NX_TYPE_ARRAY)
        rc = value_list_extend(&search->next, arena, &value, err);
    else if (rc == NX_OK && value.type != NX_TYPE_MISSING)
        rc = value_list_push(&search->next, arena, &value, err);
    if (rc == NX_OK && arena->used_bytes > stage->stage.context->budget.limits.memory_bytes)
        rc = budget_fail(&stage->stage.context->budget, "$graphLookup", err);
    return rc;
}

static enum nx_code one_round(struct graph_stage *stage, struct search *search, struct nx_err *err)
{
    struct value_list frontier = search->next;
    struct filter *filter = NULL;
    struct nx_slice doc;
    enum nx_code rc = value_list_sort(&frontier, &stage->stage.arena, 1, err);

    value_list_unique(&frontier);
    search->next = (struct value_list){0};
    if (rc == NX_OK)
        rc = round_filter(stage, &frontier, &filter, err);
    stage_reset(stage->scan);
    scan_stage_filter(stage->scan, filter);
    while (rc == NX_OK && (rc = stage_next(stage->scan, &doc, err)) == NX_OK)
        rc = take(stage, search, doc, err);
    stage_reset(stage->scan);
    scan_stage_filter(stage->scan, NULL);
    filter_free(filter);
    search->depth++;
    return rc == NX_DONE ? NX_OK : rc;
}

static enum nx_code search_all(struct graph_stage *stage, struct nx_value *out, struct nx_err *err)
{
    struct acc_spec spec = {.n = 1};
    struct search search = {.depth = 0};
    struct nx_value start = NX_MISSING;
    enum nx_code rc = expr_eval(stage->start, &stage->stage.env, &start, err);

    if (start.type == NX_TYPE_MISSING)
        start.type = NX_TYPE_NULL;
    spec.class = acc_class_find("$addToSet", strlen("$addToSet"));
    acc_init(&search.seen, &spec);
    if (rc == NX_OK && start.type == NX_TYPE_ARRAY)
        rc = value_list_extend(&search.next, &stage->stage.arena, &start, err);
    else if (rc == NX_OK)
        rc = value_list_push(&search.next, &stage->stage.arena, &start, err);
    while (rc == NX_OK && search.next.len && search.depth <= stage->max_depth)
        rc = one_round(stage, &search, err);
    acc_fini(&search.seen);
    return rc == NX_OK ? value_array(&stage->stage.arena, &search.found, out, err) : rc;
}

static enum nx_code next_graph(struct stage *base, struct nx_slice *doc, struct nx_err *err)
{
    struct graph_stage *stage = (struct graph_stage *)base;
    struct nx_value found;
    struct nx_slice in;
    enum nx_code rc = stage_pull(base, &in, err);

    if (rc == NX_OK)
        rc = search_all(stage, &found, err);
    nx_buf_clear(&base->out);
    if (rc == NX_OK)
        rc = document_set(in, stage->as, stage->as_count, &found, &base->out, err);
    *doc = nx_buf_slice(&base->out);
    return rc;
}

static void close_graph(struct stage *base)
{
    struct graph_stage *stage = (struct graph_stage *)base;

    stage_free(stage->scan);
    expr_free(stage->start);
    nx_buf_fini(&stage->to);
    nx_buf_fini(&stage->restriction);
    arena_fini(&stage->names);
}

const struct stage_class stage_graph_lookup = {
    .name = "$graphLookup",
    .size = sizeof(struct graph_stage),
    .parse = parse_graph,
    .next = next_graph,
    .close = close_graph,
    .help = "documents reached by following references, as an array",
};

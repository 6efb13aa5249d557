/*
 * source.c - the planner's choice, and the loop that reads, looks and matches.
 *
 *   points   the filter names the _ids: one lookup each
 *   range    the filter bounds _id: a scan of that part
 *   scan     everything
 *   nothing  the filter contradicts itself
 */
#include "query/source.h"

#include <stdlib.h>

#include "query/expr.h"
#include "query/filter_range.h"

enum source_plan { PLAN_SCAN, PLAN_RANGE, PLAN_POINTS, PLAN_NOTHING };
static const char *const plan_names[] = {"scan", "id_range", "id_points", "nothing"};

struct source {
    struct source_options options;
    enum source_plan plan;
    struct id_range range;
    struct nx_scan *scan;
    uint32_t next_point; /* how many points have been looked up */
    struct nx_buf doc;   /* of a point */
    struct arena arena;  /* of the filter's expressions, when the caller gave no environment */
    struct expr_env env;
    uint64_t examined, matched;
};

static int compare_ids(const struct nx_id *a, const struct nx_id *b)
{
    return nx_slice_compare(nx_slice(a->key, a->len), nx_slice(b->key, b->len));
}

static void choose_plan(struct source *source)
{
    filter_id_plan(source->options.filter, &source->range);
    if (source->range.never)
        source->plan = PLAN_NOTHING;
    else if (source->range.points)
        source->plan = PLAN_POINTS;
    else if (source->range.has_lower || source->range.has_upper)
        source->plan = PLAN_RANGE;
}

static enum nx_code open_scan(struct source *source, struct nx_err *err)
{
    const struct source_options *options = &source->options;
    struct nx_scan_range range = {.backward = options->backward};

    if (source->range.has_lower)
        range.lower = &source->range.lower;
    if (source->range.has_upper)
        range.upper = &source->range.upper;
    if (options->after && options->backward &&
        (!range.upper || compare_ids(options->after, range.upper) <= 0)) {
        range.upper = options->after;
        range.upper_exclusive = true;
    }
    if (options->after && !options->backward &&
        (!range.lower || compare_ids(options->after, range.lower) >= 0)) {
        range.lower = options->after;
        range.lower_exclusive = true;
    }
    return nx_scan_open(options->db, options->snapshot, options->collection, &range, &source->scan,
                        err);
}

static void make_environment(struct source *source)
{
    source->env = expr_env_for(source->options.budget, &source->arena);
    if (!source->options.env)
        source->options.env = &source->env;
}

enum nx_code source_open(const struct source_options *options, struct source **out,
                         struct nx_err *err)
{
    struct source *source;
    enum nx_code rc = NX_OK;

    *out = NULL;
    source = calloc(1, sizeof *source);
    if (!source)
        return nx_fail_nomem(err);
    source->options = *options;
    make_environment(source);
    choose_plan(source);
    if (source->plan == PLAN_SCAN || source->plan == PLAN_RANGE)
        rc = open_scan(source, err);
    if (rc != NX_OK) {
        source_close(source);
        return rc;
    }
    *out = source;
    return NX_OK;
}

void source_close(struct source *source)
{
    if (!source)
        return;
    nx_scan_close(source->scan);
    nx_buf_fini(&source->doc);
    arena_fini(&source->arena);
    free(source);
}

static bool is_behind(const struct source *source, const struct nx_id *id)
{
    int order;

    if (!source->options.after)
        return false;
    order = compare_ids(id, source->options.after);
    return source->options.backward ? order >= 0 : order <= 0;
}

static enum nx_code next_point(struct source *source, struct nx_document *out, struct nx_err *err)
{
    const struct source_options *options = &source->options;
    struct nx_id id;
    enum nx_code rc;

    while (source->next_point < source->range.point_count) {
        uint32_t i = source->next_point++;

        if (options->backward)
            i = source->range.point_count - 1 - i;
        if (nx_id_from_value(&source->range.points[i], &id, NULL) != NX_OK)
            continue; /* no document can have it */
        if (is_behind(source, &id))
            continue;
        nx_buf_clear(&source->doc);
        rc = nx_document_get(options->db, options->snapshot, options->collection, &id, &source->doc,
                             out, err);
        if (rc != NX_ENOTFOUND)
            return rc;
    }
    return NX_DONE;
}

static enum nx_code next_document(struct source *source, struct nx_document *out,
                                  struct nx_err *err)
{
    if (source->plan == PLAN_NOTHING)
        return NX_DONE;
    if (source->plan == PLAN_POINTS)
        return next_point(source, out, err);
    return nx_scan_next(source->scan, out, err);
}

static bool is_visible(const struct source *source, const struct nx_document *document)
{
    const struct nx_limits *limits = &source->options.budget->limits;

    return !limits->visible || limits->visible(limits->arg, &document->attr);
}

enum nx_code source_next(struct source *source, struct nx_document *out, struct nx_err *err)
{
    const struct filter *filter = source->options.filter;
    bool matches = false;
    enum nx_code rc;

    while (!matches) {
        rc = next_document(source, out, err);
        if (rc == NX_OK)
            rc = budget_tick(source->options.budget, err);
        if (rc != NX_OK)
            return rc;
        if (!is_visible(source, out))
            continue;
        source->examined++;
        matches = !filter;
        if (filter)
            rc = filter_match(filter, out->bson, source->options.env, &matches, err);
        if (source->options.env == &source->env && source->arena.used_bytes)
            arena_reset(&source->arena);
        if (rc != NX_OK)
            return rc;
    }
    source->matched++;
    return NX_OK;
}

void source_explain(const struct source *source, struct nx_builder *out)
{
    nx_builder_put_z(out, "plan", nx_string_z(plan_names[source->plan]));
    if (source->plan == PLAN_POINTS)
        nx_builder_put_z(out, "points", nx_int64(source->range.point_count));
    if (source->plan == PLAN_SCAN || source->plan == PLAN_RANGE)
        nx_builder_put_z(out, "direction",
                         nx_string_z(source->options.backward ? "backward" : "forward"));
    nx_builder_put_z(out, "examined", nx_int64((int64_t)source->examined));
    nx_builder_put_z(out, "matched", nx_int64((int64_t)source->matched));
}

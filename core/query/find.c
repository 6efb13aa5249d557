/*
 * find.c - a find: source -> (sorter) -> skip, limit -> projection.
 *
 * By _id, or unsorted, documents stream in the order of the scan. Any other sort gathers them
 * first; with a limit it keeps no more than skip + limit.
 */
#include <stdlib.h>

#include "query/cursor.h"
#include "query/position.h"
#include "query/projection.h"
#include "query/source.h"

struct find_cursor {
    struct nx_cursor base;
    struct nx_db *db; /* outlives it */
    struct budget budget;
    struct filter *filter;
    struct projection *projection;
    struct sort_spec *sort;
    struct nx_buf sort_bson; /* what a position belongs to */
    struct source *source;
    struct sorter *sorter; /* NULL: in scan order */
    struct position after;
    bool has_after, backward, gathered;
    uint64_t skip, limit, returned;
    struct arena arena;
    struct expr_env env;
    struct nx_buf out;       /* the projected document */
    struct nx_slice current; /* the whole document last returned; borrowed */
    enum nx_code ended;      /* NX_OK, or what every later call returns */
    struct nx_err end_err;
};

/* --- opening ---------------------------------------------------------------------------------- */

static enum nx_code parse_parts(struct find_cursor *self, const struct nx_find *find,
                                struct nx_err *err)
{
    enum nx_code rc = filter_parse(find->filter, NULL, &self->filter, err);

    if (rc == NX_OK && find->projection.len && !nx_doc_is_empty(find->projection))
        rc = projection_parse(find->projection, PROJECTION_FIND, NULL, self->filter,
                              &self->projection, err);
    if (rc == NX_OK)
        rc = sort_spec_parse(find->sort.len ? find->sort : nx_doc_empty, &self->sort, err);
    if (rc == NX_OK && nx_buf_append(&self->sort_bson, find->sort.data, find->sort.len) != NX_OK)
        rc = nx_fail_nomem(err);
    if (rc != NX_OK || find->after.len == 0)
        return rc;
    self->has_after = true;
    return position_read(find->after, find->sort, sort_spec_fields(self->sort), &self->after, err);
}

static enum nx_code open_sorter(struct find_cursor *self, struct nx_err *err)
{
    uint64_t keep = 0;

    if (sort_spec_fields(self->sort) == 0 || sort_spec_is_id(self->sort, &self->backward))
        return NX_OK;
    if (self->limit && __builtin_add_overflow(self->skip, self->limit, &keep))
        keep = 0;
    return sorter_new(self->sort, keep, &self->budget, nx_db_spill_dir(self->db), &self->sorter,
                      err);
}

static enum nx_code open_source(struct find_cursor *self, const struct nx_snapshot *snapshot,
                                nx_ino collection, struct nx_err *err)
{
    struct source_options options = {
        .db = self->db,
        .snapshot = snapshot,
        .collection = collection,
        .filter = self->filter,
        .budget = &self->budget,
        .backward = self->backward,
        .after = self->has_after && !self->sorter ? &self->after.id : NULL,
    };

    return source_open(&options, &self->source, err);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* With a sort: is the document behind the position where an earlier find stopped? */
static enum nx_code is_behind(struct find_cursor *self, struct nx_slice doc, bool *behind,
                              struct nx_err *err)
{
    struct nx_value keys[SORT_MAX_FIELDS], id_value;
    struct nx_id id;
    enum nx_code rc;
    int order;

    *behind = false;
    if (!self->has_after)
        return NX_OK;
    rc = sort_spec_keys(self->sort, doc, NX_SLICE_NULL, keys, err);
    if (rc != NX_OK)
        return rc;
    order = sort_spec_compare_keys(self->sort, keys, self->after.keys);
    if (order == 0) {
        id_value = nx_doc_get(doc, "_id", 3);
        rc = nx_id_from_value(&id_value, &id, err);
        order = nx_slice_compare(nx_slice(id.key, id.len),
                                 nx_slice(self->after.id.key, self->after.id.len));
    }
    *behind = order <= 0;
    return rc;
}

static enum nx_code gather(struct find_cursor *self, struct nx_err *err)
{
    struct nx_document document;
    bool behind;
    enum nx_code rc = NX_OK;

    self->gathered = true;
    while (rc == NX_OK) {
        rc = source_next(self->source, &document, err);
        if (rc == NX_OK)
            rc = is_behind(self, document.bson, &behind, err);
        if (rc == NX_OK && !behind)
            rc = sorter_add(self->sorter, document.bson, err);
    }
    return rc == NX_DONE ? NX_OK : rc;
}

static enum nx_code next_whole(struct find_cursor *self, struct nx_slice *doc, struct nx_err *err)
{
    struct nx_document document;
    enum nx_code rc = NX_OK;

    if (!self->sorter) {
        rc = source_next(self->source, &document, err);
        *doc = document.bson;
        return rc;
    }
    if (!self->gathered)
        rc = gather(self, err);
    return rc == NX_OK ? sorter_next(self->sorter, doc, err) : rc;
}

static enum nx_code project(struct find_cursor *self, struct nx_slice *doc, struct nx_err *err)
{
    enum nx_code rc;

    nx_buf_clear(&self->out);
    arena_reset(&self->arena);
    self->env.root = self->current;
    rc = projection_apply(self->projection, &self->env, &self->out, err);
    *doc = nx_buf_slice(&self->out);
    return rc;
}

static enum nx_code next_result(struct find_cursor *self, struct nx_slice *doc, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    if (self->limit && self->returned == self->limit)
        return NX_DONE;
    for (; rc == NX_OK && self->skip; self->skip--)
        rc = next_whole(self, doc, err);
    if (rc == NX_OK)
        rc = next_whole(self, doc, err);
    if (rc != NX_OK)
        return rc;
    self->current = *doc;
    self->returned++;
    return self->projection ? project(self, doc, err) : NX_OK;
}

static enum nx_code find_next(struct nx_cursor *cursor, struct nx_slice *doc, struct nx_err *err)
{
    struct find_cursor *self = (struct find_cursor *)cursor;

    if (self->ended != NX_OK) {
        if (err)
            *err = self->end_err;
        return self->ended;
    }
    self->ended = next_result(self, doc, &self->end_err);
    if (self->ended != NX_OK && self->ended != NX_DONE && err)
        *err = self->end_err;
    return self->ended;
}

static enum nx_code find_position(struct nx_cursor *cursor, struct nx_buf *out)
{
    struct find_cursor *self = (struct find_cursor *)cursor;
    struct nx_value keys[SORT_MAX_FIELDS], id;
    enum nx_code rc;

    if (self->returned == 0 || self->ended != NX_OK)
        return NX_EINVAL;
    id = nx_doc_get(self->current, "_id", 3);
    rc = sort_spec_keys(self->sort, self->current, NX_SLICE_NULL, keys, NULL);
    if (rc != NX_OK) /* by _id alone the keys do not matter, and may not exist */
        for (unsigned i = 0; i < sort_spec_fields(self->sort); i++)
            keys[i] = NX_NULL;
    return position_write(&id, nx_buf_slice(&self->sort_bson), keys, sort_spec_fields(self->sort),
                          out);
}

static void find_close(struct nx_cursor *cursor)
{
    struct find_cursor *self = (struct find_cursor *)cursor;

    sorter_free(self->sorter);
    source_close(self->source);
    sort_spec_free(self->sort);
    projection_free(self->projection);
    filter_free(self->filter);
    if (self->has_after)
        position_fini(&self->after);
    arena_fini(&self->arena);
    nx_buf_fini(&self->sort_bson);
    nx_buf_fini(&self->out);
    free(self);
}

static const struct cursor_ops find_ops = {find_next, find_position, find_close};

/* --- explaining ------------------------------------------------------------------------------- */

static const char *sort_name(const struct find_cursor *self)
{
    if (sort_spec_fields(self->sort) == 0)
        return "none";
    if (!self->sorter)
        return "id_order";
    if (self->limit)
        return "first_n";
    return "memory";
}

/* Run the find to its end, and answer with what that took. */
static enum nx_code explain(struct find_cursor *self, struct nx_cursor **out, struct nx_err *err)
{
    struct nx_buf text = NX_BUF_INIT;
    struct nx_builder builder;
    struct nx_slice doc;
    uint64_t start = self->budget.io->ops->monotonic_ns(self->budget.io);
    enum nx_code rc;

    do
        rc = find_next(&self->base, &doc, err);
    while (rc == NX_OK);
    if (rc != NX_DONE)
        return rc;
    nx_builder_init(&builder, &text);
    source_explain(self->source, &builder);
    nx_builder_put_z(&builder, "sort", nx_string_z(sort_name(self)));
    nx_builder_put_z(&builder, "spilled_runs",
                     nx_int(self->sorter ? (int64_t)sorter_spilled_runs(self->sorter) : 0));
    nx_builder_put_z(&builder, "returned", nx_int((int64_t)self->returned));
    nx_builder_put_z(
        &builder, "time_us",
        nx_int((int64_t)((self->budget.io->ops->monotonic_ns(self->budget.io) - start) / 1000)));
    rc = nx_builder_end(&builder, err);
    if (rc == NX_OK)
        rc = cursor_of_document(&text, out, err);
    nx_buf_fini(&text);
    return rc;
}

enum nx_code nx_query_find(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino collection,
                           const struct nx_find *find, const struct nx_limits *limits,
                           struct nx_cursor **out, struct nx_err *err)
{
    struct find_cursor *self;
    enum nx_code rc;

    *out = NULL;
    self = calloc(1, sizeof *self);
    if (!self)
        return nx_fail_nomem(err);
    self->base.ops = &find_ops;
    self->db = db;
    self->end_err = NX_ERR_INIT;
    self->limit = find->limit;
    self->skip = find->after.len ? 0 : find->skip;
    budget_init(&self->budget, limits, nx_db_io(db));
    self->env = expr_env_for(&self->budget, &self->arena);
    rc = parse_parts(self, find, err);
    if (rc == NX_OK)
        rc = open_sorter(self, err);
    if (rc == NX_OK)
        rc = open_source(self, snapshot, collection, err);
    if (rc == NX_OK && find->explain)
        rc = explain(self, out, err);
    else if (rc == NX_OK)
        *out = &self->base;
    if (*out != &self->base) /* failed, or explained */
        find_close(&self->base);
    return rc;
}

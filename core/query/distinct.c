/*
 * distinct.c - the distinct values of a field: of an array its elements, one level deep.
 */
#include "doc/path.h"
#include "query/source.h"
#include "query/value_set.h"

struct collect {
    struct value_set *set;
    struct nx_err *err;
    enum nx_code rc;
};

static bool collect_value(void *arg, const struct nx_value *value)
{
    struct collect *collect = arg;
    struct nx_doc_iter iter;

    if (value->type != NX_TYPE_ARRAY) {
        collect->rc = value_set_add(collect->set, value, collect->err);
        return collect->rc != NX_OK;
    }
    nx_doc_iter_init(&iter, nx_value_slice(value));
    while (collect->rc == NX_OK && nx_doc_iter_next(&iter))
        collect->rc = value_set_add(collect->set, &iter.value, collect->err);
    return collect->rc != NX_OK;
}

static enum nx_code collect_all(const struct source_options *options, const struct path *path,
                                struct value_set *set, struct nx_err *err)
{
    struct collect collect = {set, err, NX_OK};
    struct nx_document document;
    struct source *source;
    enum nx_code rc = source_open(options, &source, err);

    while (rc == NX_OK) {
        rc = source_next(source, &document, err);
        if (rc != NX_OK)
            break;
        path_each(path, document.bson, collect_value, &collect);
        rc = collect.rc;
    }
    source_close(source);
    return rc == NX_DONE ? NX_OK : rc;
}

static enum nx_code write_sorted(struct value_set *set, struct nx_buf *out, struct nx_err *err)
{
    struct nx_builder builder;
    const struct nx_value *values;
    size_t count;

    values = value_set_sorted(set, &count);
    nx_builder_init_array(&builder, out);
    for (size_t i = 0; i < count; i++)
        nx_builder_push(&builder, &values[i]);
    return nx_builder_end(&builder, err);
}

enum nx_code nx_query_distinct(struct nx_db *db, const struct nx_snapshot *snapshot,
                               nx_ino collection, const char *field, size_t field_len,
                               struct nx_slice filter, const struct nx_limits *limits,
                               struct nx_buf *out, struct nx_err *err)
{
    struct filter *parsed = NULL;
    struct path path = {0};
    struct value_set set;
    struct budget budget;
    struct source_options options = {
        .db = db, .snapshot = snapshot, .collection = collection, .budget = &budget};
    enum nx_code rc;

    budget_init(&budget, limits, nx_db_io(db));
    value_set_init(&set, &budget);
    rc = path_init(&path, field, field_len, err);
    if (rc == NX_OK)
        rc = filter_parse(filter, NULL, &parsed, err);
    options.filter = parsed;
    if (rc == NX_OK)
        rc = collect_all(&options, &path, &set, err);
    if (rc == NX_OK)
        rc = write_sorted(&set, out, err);
    value_set_fini(&set);
    filter_free(parsed);
    path_fini(&path);
    return rc;
}

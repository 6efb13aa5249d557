/*
 * sorted_rows.c - sorting wrapped documents: {"k": {"v": partition}, "d": document}.
 *
 * The partition's value is wrapped once more, so that objects are compared whole; a missing one is
 * null.
 */
#include "query/sorted_rows.h"

#include <stdlib.h>

#include "query/sort.h"

struct sorted_rows {
    const struct expr *partition; /* borrowed */
    struct sort_spec *order;      /* owned */
    struct sorter *sorter;        /* owned */
    struct nx_buf wrapped;
    struct nx_buf key; /* of the last row: {"v": value} */
    bool started;
};

/* {"k": 1, "d.<field>": <direction>, ...} */
static enum nx_code wrap_order(struct nx_slice order, struct nx_buf *out, struct nx_err *err)
{
    struct nx_buf name NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_builder builder;
    struct nx_doc_iter iter;

    nx_builder_init(&builder, out);
    nx_builder_put_z(&builder, "k", nx_int32(1));
    if (order.len)
        nx_doc_iter_init(&iter, order);
    while (order.len && nx_doc_iter_next(&iter)) {
        nx_buf_clear(&name);
        if (nx_buf_append(&name, "d.", 2) != NX_OK ||
            nx_buf_append(&name, iter.key, iter.key_len) != NX_OK)
            return nx_fail_nomem(err);
        nx_builder_put(&builder, (const char *)name.data, name.len, &iter.value);
    }
    return nx_builder_end(&builder, err);
}

enum nx_code sorted_rows_new(struct pipeline_context *context, const struct expr *partition,
                             struct nx_slice order, struct sorted_rows **out, struct nx_err *err)
{
    struct nx_buf spec NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct sorted_rows *rows = calloc(1, sizeof *rows);
    enum nx_code rc;

    *out = NULL;
    if (!rows)
        return nx_fail_nomem(err);
    rows->partition = partition;
    rc = wrap_order(order, &spec, err);
    if (rc == NX_OK)
        rc = sort_spec_parse(nx_buf_slice(&spec), &rows->order, err);
    if (rc == NX_OK)
        rc = sorter_new(rows->order, 0, &context->budget, context->spill_dir, &rows->sorter, err);
    if (rc != NX_OK)
        sorted_rows_free(rows);
    else
        *out = rows;
    return rc;
}

void sorted_rows_free(struct sorted_rows *rows)
{
    if (!rows)
        return;
    sorter_free(rows->sorter);
    sort_spec_free(rows->order);
    nx_buf_fini(&rows->wrapped);
    nx_buf_fini(&rows->key);
    free(rows);
}

enum nx_code sorted_rows_add(struct sorted_rows *rows, struct stage *stage, struct nx_slice doc,
                             struct nx_err *err)
{
    struct nx_value key = NX_MISSING, whole = nx_doc_value(doc);
    struct nx_builder builder;
    enum nx_code rc = NX_OK;

    if (rows->partition)
        rc = expr_eval(rows->partition, &stage->env, &key, err);
    if (key.type == NX_TYPE_MISSING)
        key = NX_NULL;
    if (rc == NX_OK && key.type == NX_TYPE_ARRAY)
        return nx_fail(err, NX_EEXPR, "%s cannot partition by an array", stage->class->name);
    if (rc != NX_OK)
        return rc;
    nx_buf_clear(&rows->wrapped);
    nx_builder_init(&builder, &rows->wrapped);
    nx_builder_begin_document(&builder, "k", 1);
    nx_builder_put(&builder, "v", 1, &key);
    nx_builder_close(&builder);
    nx_builder_put(&builder, "d", 1, &whole);
    rc = nx_builder_end(&builder, err);
    return rc == NX_OK ? sorter_add(rows->sorter, nx_buf_slice(&rows->wrapped), err) : rc;
}

enum nx_code sorted_rows_next(struct sorted_rows *rows, struct nx_slice *doc, struct nx_slice *key,
                              bool *first, struct nx_err *err)
{
    struct nx_slice wrapped;
    struct nx_value now, before = nx_doc_value(nx_buf_slice(&rows->key)), inner;
    enum nx_code rc = sorter_next(rows->sorter, &wrapped, err);

    if (rc != NX_OK)
        return rc;
    now = nx_doc_get_z(wrapped, "k");
    inner = nx_doc_get_z(wrapped, "d");
    *first = !rows->started || nx_value_compare(&now, &before) != 0;
    rows->started = true;
    if (*first) {
        nx_buf_clear(&rows->key);
        if (nx_buf_append(&rows->key, now.data, now.len) != NX_OK)
            return nx_fail_nomem(err);
    }
    *doc = nx_value_slice(&inner);
    *key = nx_buf_slice(&rows->key);
    return NX_OK;
}

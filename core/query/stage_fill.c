/*
 * stage_fill.c - $fill, in terms of $addFields and $setWindowFields.
 */
#include <stdio.h>

#include "query/pipeline.h"
#include "query/stage_spec.h"

enum { F_PARTITION, F_PARTITION_FIELDS, F_SORT, F_OUTPUT, F_MEMBERS };

static void begin(struct nx_builder *out, const char *key)
{
    nx_builder_begin_document(out, key, key ? strlen(key) : 0);
}

/* "$" and the field's name */
static enum nx_code put_path(struct nx_builder *out, const char *key, const char *name, size_t len,
                             struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value value;

    if (nx_buf_append_byte(&path, '$') != NX_OK || nx_buf_append(&path, name, len) != NX_OK)
        return nx_fail_nomem(err);
    value = nx_string(path.data, path.len);
    nx_builder_put(out, key, key ? strlen(key) : 0, &value);
    return NX_OK;
}

static enum nx_code put_value(struct nx_builder *out, const struct nx_doc_iter *field,
                              const struct nx_value *value, struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value text;

    if (nx_buf_append_byte(&path, '$') != NX_OK ||
        nx_buf_append(&path, field->key, field->key_len) != NX_OK)
        return nx_fail_nomem(err);
    text = nx_string(path.data, path.len);
    begin(out, NULL);
    begin(out, "$addFields");
    nx_builder_begin_document(out, field->key, field->key_len);
    nx_builder_begin_array(out, "$ifNull", 7);
    nx_builder_push(out, &text);
    nx_builder_push(out, value);
    for (int i = 0; i < 4; i++)
        nx_builder_close(out);
    return NX_OK;
}

static const char *method_operator(const struct nx_value *method)
{
    if (method->type != NX_TYPE_STRING)
        return NULL;
    if (strcmp((const char *)method->data, "locf") == 0)
        return "$locf";
    return strcmp((const char *)method->data, "linear") == 0 ? "$linearFill" : NULL;
}

static enum nx_code put_partition(struct nx_builder *out, const struct spec_member *members,
                                  struct nx_err *err)
{
    const struct nx_value *fields = &members[F_PARTITION_FIELDS].value;
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    if (members[F_PARTITION].value.type != NX_TYPE_MISSING)
        nx_builder_put_z(out, "partitionBy", members[F_PARTITION].value);
    if (fields->type == NX_TYPE_MISSING)
        return NX_OK;
    if (fields->type != NX_TYPE_ARRAY)
        return nx_fail(err, NX_EQUERY, "$fill wants 'partitionByFields' as an array of names");
    begin(out, "partitionBy");
    begin(out, "$mergeObjects"); /* an object literal, whatever the names */
    nx_doc_iter_init(&iter, nx_value_slice(fields));
    for (int i = 0; rc == NX_OK && nx_doc_iter_next(&iter); i++) {
        char key[16];

        if (iter.value.type != NX_TYPE_STRING)
            return nx_fail(err, NX_EQUERY, "$fill wants names in 'partitionByFields'");
        snprintf(key, sizeof key, "p%d", i);
        rc = put_path(out, key, (const char *)iter.value.data, iter.value.len, err);
    }
    nx_builder_close(out);
    nx_builder_close(out);
    return rc;
}

/* One $setWindowFields for all outputs with a method. */
static enum nx_code put_window(struct nx_builder *out, const struct spec_member *members,
                               struct nx_err *err)
{
    struct nx_doc_iter iter;
    enum nx_code rc;

    begin(out, NULL);
    begin(out, "$setWindowFields");
    rc = put_partition(out, members, err);
    if (members[F_SORT].value.type != NX_TYPE_MISSING)
        nx_builder_put_z(out, "sortBy", members[F_SORT].value);
    begin(out, "output");
    nx_doc_iter_init(&iter, nx_value_slice(&members[F_OUTPUT].value));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        struct nx_value method = nx_doc_get_z(nx_value_slice(&iter.value), "method");

        if (method.type == NX_TYPE_MISSING)
            continue;
        nx_builder_begin_document(out, iter.key, iter.key_len);
        rc = put_path(out, method_operator(&method), iter.key, iter.key_len, err);
        nx_builder_close(out);
    }
    for (int i = 0; i < 3; i++)
        nx_builder_close(out);
    return rc;
}

static enum nx_code check_output(const struct nx_doc_iter *field, bool sorted, bool *has_method,
                                 struct nx_err *err)
{
    struct nx_value method, value;

    if (field->value.type != NX_TYPE_DOCUMENT || nx_doc_count(nx_value_slice(&field->value)) != 1)
        return nx_fail(err, NX_EQUERY, "$fill wants '%.100s' as {value: ...} or {method: ...}",
                       field->key);
    method = nx_doc_get_z(nx_value_slice(&field->value), "method");
    value = nx_doc_get_z(nx_value_slice(&field->value), "value");
    if (method.type != NX_TYPE_MISSING) {
        if (!method_operator(&method))
            return nx_fail(err, NX_EQUERY, "$fill knows the methods linear and locf");
        if (!sorted)
            return nx_fail(err, NX_EQUERY, "$fill wants 'sortBy' where a method is used");
        *has_method = true;
    } else if (value.type == NX_TYPE_MISSING) {
        return nx_fail(err, NX_EQUERY, "$fill wants '%.100s' as {value: ...} or {method: ...}",
                       field->key);
    }
    return NX_OK;
}

static enum nx_code expand_fill(const struct nx_value *spec, struct nx_builder *out,
                                struct nx_err *err)
{
    struct spec_member members[F_MEMBERS] = {{"partitionBy", false, NX_MISSING},
                                             {"partitionByFields", false, NX_MISSING},
                                             {"sortBy", false, NX_MISSING},
                                             {"output", true, NX_MISSING}};
    bool has_method = false;
    struct nx_doc_iter iter;
    enum nx_code rc = spec_members("$fill", spec, members, F_MEMBERS, err);

    if (rc == NX_OK && (members[F_OUTPUT].value.type != NX_TYPE_DOCUMENT ||
                        nx_doc_is_empty(nx_value_slice(&members[F_OUTPUT].value))))
        rc = nx_fail(err, NX_EQUERY, "$fill wants 'output' as an object of fields");
    if (rc != NX_OK)
        return rc;
    nx_doc_iter_init(&iter, nx_value_slice(&members[F_OUTPUT].value));
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = check_output(&iter, members[F_SORT].value.type != NX_TYPE_MISSING, &has_method, err);
    if (rc == NX_OK && has_method)
        rc = put_window(out, members, err);
    nx_doc_iter_init(&iter, nx_value_slice(&members[F_OUTPUT].value));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        struct nx_value value = nx_doc_get_z(nx_value_slice(&iter.value), "value");

        if (value.type != NX_TYPE_MISSING)
            rc = put_value(out, &iter, &value, err);
    }
    return rc;
}

const struct stage_class stage_fill = {
    .name = "$fill",
    .expand = expand_fill,
    .help = "missing values filled in",
};

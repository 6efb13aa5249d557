/*
 * array_filter.c - the conditions that $[name] selects elements by.
 *
 * A condition is an ordinary filter whose every field begins with the name: {"e.r": {$gt: 2}}. An
 * element is matched as the document {name: element}.
 */
#include <stdlib.h>

#include "query/update_node.h"

static bool is_identifier(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool lower = c >= 'a' && c <= 'z';
        bool other = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!lower && (i == 0 || !other))
            return false;
    }
    return len > 0;
}

static enum nx_code find_name(struct nx_slice spec, struct nx_slice *name, struct nx_err *err);

/* The members of an $and, $or or $nor. */
static enum nx_code find_name_in_list(const struct nx_value *list, struct nx_slice *name,
                                      struct nx_err *err)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    if (list->type != NX_TYPE_ARRAY)
        return NX_OK; /* the filter's parser says what is wrong */
    nx_doc_iter_init(&iter, nx_value_slice(list));
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        if (iter.value.type == NX_TYPE_DOCUMENT)
            rc = find_name(nx_value_slice(&iter.value), name, err);
    return rc;
}

/* The one name that every field of the condition begins with. */
static enum nx_code find_name(struct nx_slice spec, struct nx_slice *name, struct nx_err *err)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    nx_doc_iter_init(&iter, spec);
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        const char *dot = memchr(iter.key, '.', iter.key_len);
        struct nx_slice mine = nx_slice(iter.key, dot ? (size_t)(dot - iter.key) : iter.key_len);

        if (iter.key[0] == '$')
            rc = find_name_in_list(&iter.value, name, err);
        else if (!name->data)
            *name = mine;
        else if (!nx_slice_equal(*name, mine))
            rc = nx_fail(err, NX_EUPDATE, "one array filter names both '%.*s' and '%.*s'",
                         (int)name->len, (const char *)name->data, (int)mine.len,
                         (const char *)mine.data);
    }
    return rc;
}

static enum nx_code parse_one(const struct nx_doc_iter *iter, struct update *update,
                              struct nx_err *err)
{
    struct nx_slice name = NX_SLICE_NULL;
    struct array_filter *filter;
    enum nx_code rc;

    if (iter->value.type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EUPDATE, "array filter %s is %s, not an object", iter->key,
                       nx_type_name(iter->value.type));
    rc = find_name(nx_value_slice(&iter->value), &name, err);
    if (rc != NX_OK)
        return rc;
    if (!name.data)
        return nx_fail(err, NX_EUPDATE, "array filter %s is empty", iter->key);
    if (!is_identifier((const char *)name.data, name.len))
        return nx_fail(err, NX_EUPDATE,
                       "'%.*s' cannot name an array filter: a lower-case letter, then letters and "
                       "digits",
                       (int)(name.len < 60 ? name.len : 60), (const char *)name.data);
    if (array_filter_find(update, (const char *)name.data, name.len))
        return nx_fail(err, NX_EUPDATE, "two array filters are named '%.*s'", (int)name.len,
                       (const char *)name.data);
    filter = &update->filters[update->filter_count];
    rc = filter_parse(nx_value_slice(&iter->value), NULL, &filter->filter, err);
    if (rc != NX_OK)
        return rc;
    update->filter_count++;
    filter->name = strndup((const char *)name.data, name.len);
    return filter->name ? NX_OK : nx_fail_nomem(err);
}

enum nx_code array_filters_parse(struct nx_slice spec, struct update *update, struct nx_err *err)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    if (nx_buf_append(&update->filters_spec, spec.data, spec.len) != NX_OK)
        return nx_fail_nomem(err);
    spec = nx_buf_slice(&update->filters_spec);
    update->filters = calloc(nx_doc_count(spec) + 1, sizeof *update->filters);
    if (!update->filters)
        return nx_fail_nomem(err);
    nx_doc_iter_init(&iter, spec);
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = parse_one(&iter, update, err);
    return rc;
}

void array_filters_fini(struct update *update)
{
    for (uint32_t i = 0; i < update->filter_count; i++) {
        filter_free(update->filters[i].filter);
        free(update->filters[i].name);
    }
    free(update->filters);
}

struct array_filter *array_filter_find(struct update *update, const char *name, size_t len)
{
    for (uint32_t i = 0; i < update->filter_count; i++)
        if (strlen(update->filters[i].name) == len &&
            memcmp(update->filters[i].name, name, len) == 0)
            return &update->filters[i];
    return NULL;
}

enum nx_code array_filter_match(const struct array_filter *filter, const struct nx_value *element,
                                struct expr_env *env, bool *out, struct nx_err *err)
{
    struct nx_buf wrapped NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_builder builder;
    enum nx_code rc;

    *out = false;
    nx_builder_init(&builder, &wrapped);
    nx_builder_put(&builder, filter->name, strlen(filter->name), element);
    rc = nx_builder_end(&builder, err);
    return rc == NX_OK ? filter_match(filter->filter, nx_buf_slice(&wrapped), env, out, err) : rc;
}

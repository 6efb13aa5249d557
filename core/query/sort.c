/*
 * sort.c - what a document is ordered by.
 *
 * One field that goes through an array gives the least (or greatest) of the values found there. Two
 * fields through the same array are ordered by the least pair: both values of the same element. Two
 * fields through different arrays have no order, and are refused.
 */
#include "query/sort.h"

#include <stdlib.h>
#include <string.h>

#include "doc/path.h"

struct sort_field {
    struct path path;
    bool descending;
    bool is_score; /* {$meta: ...}: the value of the document's metadata field of that name */
};

struct sort_spec {
    struct sort_field *fields; /* owned */
    unsigned count;
};

static enum nx_code parse_meta(struct sort_field *field, const struct nx_value *value,
                               struct nx_err *err)
{
    struct nx_value meta = nx_doc_get_z(nx_value_slice(value), "$meta");

    if (meta.type != NX_TYPE_STRING || nx_doc_count(nx_value_slice(value)) != 1)
        return nx_fail(err, NX_EQUERY, "a sort takes 1, -1 or {\"$meta\": \"<score>\"}");
    field->is_score = true;
    field->descending = true;
    path_fini(&field->path);
    return path_init(&field->path, (const char *)meta.data, meta.len, err);
}

static enum nx_code parse_field(struct sort_field *field, const struct nx_doc_iter *iter,
                                struct nx_err *err)
{
    int64_t direction;
    enum nx_code rc;

    if (iter->key_len == 0 || iter->key[0] == '$')
        return nx_fail(err, NX_EQUERY, "'%.60s' is not a field to sort by", iter->key);
    rc = path_init(&field->path, iter->key, iter->key_len, err);
    if (rc != NX_OK)
        return rc;
    if (iter->value.type == NX_TYPE_DOCUMENT)
        return parse_meta(field, &iter->value, err);
    if (!nx_value_to_int64(&iter->value, &direction) || (direction != 1 && direction != -1))
        return nx_fail(err, NX_EQUERY, "the sort by '%.60s' needs 1 or -1", iter->key);
    field->descending = direction < 0;
    return NX_OK;
}

enum nx_code sort_spec_parse(struct nx_slice doc, struct sort_spec **out, struct nx_err *err)
{
    struct sort_spec *spec;
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;
    size_t count = nx_doc_count(doc);

    *out = NULL;
    if (count > SORT_MAX_FIELDS)
        return nx_fail(err, NX_EQUERY, "a sort by %zu fields, the limit is %d", count,
                       SORT_MAX_FIELDS);
    spec = calloc(1, sizeof *spec);
    if (!spec)
        return nx_fail_nomem(err);
    spec->fields = calloc(count + 1, sizeof *spec->fields);
    if (!spec->fields)
        rc = nx_fail_nomem(err);
    nx_doc_iter_init(&iter, doc);
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = parse_field(&spec->fields[spec->count++], &iter, err);
    if (rc != NX_OK) {
        sort_spec_free(spec);
        return rc;
    }
    *out = spec;
    return NX_OK;
}

void sort_spec_free(struct sort_spec *spec)
{
    if (!spec)
        return;
    for (unsigned i = 0; i < spec->count; i++)
        path_fini(&spec->fields[i].path);
    free(spec->fields);
    free(spec);
}

unsigned sort_spec_fields(const struct sort_spec *spec)
{
    return spec->count;
}

bool sort_spec_is_id(const struct sort_spec *spec, bool *descending)
{
    const struct sort_field *first = spec->fields;

    if (spec->count == 0 || first->is_score || first->path.count != 1 || first->path.len != 3 ||
        memcmp(first->path.text, "_id", 3) != 0)
        return false;
    *descending = first->descending;
    return true;
}

/* --- keys ------------------------------------------------------------------------------------- */

#define UNDEFINED ((struct nx_value){.type = NX_TYPE_UNDEFINED})

/* undefined below null, whatever the general order says of the two */
static int compare_keys(const struct nx_value *a, const struct nx_value *b)
{
    bool a_undefined = a->type == NX_TYPE_UNDEFINED, b_undefined = b->type == NX_TYPE_UNDEFINED;

    if (a_undefined && b->type == NX_TYPE_NULL)
        return -1;
    if (b_undefined && a->type == NX_TYPE_NULL)
        return 1;
    return a_undefined && b_undefined ? 0 : nx_value_compare(a, b);
}

struct extreme {
    const struct sort_field *field;
    struct nx_value best; /* MISSING: none yet */
};

static void offer(struct extreme *extreme, const struct nx_value *value)
{
    struct nx_value key = value->type == NX_TYPE_MISSING ? NX_NULL : *value;
    int order;

    if (extreme->best.type == NX_TYPE_MISSING) {
        extreme->best = key;
        return;
    }
    order = compare_keys(&key, &extreme->best);
    if (extreme->field->descending ? order > 0 : order < 0)
        extreme->best = key;
}

static void offer_end(struct extreme *extreme, const struct nx_value *value)
{
    struct nx_doc_iter iter;
    bool any = false;

    if (value->type != NX_TYPE_ARRAY) {
        offer(extreme, value);
        return;
    }
    nx_doc_iter_init(&iter, nx_value_slice(value));
    for (; nx_doc_iter_next(&iter); any = true)
        offer(extreme, &iter.value);
    if (!any)
        offer(extreme, &UNDEFINED);
}

/* Offer every value that the parts from `part` on reach from `value`. */
static void walk(struct extreme *extreme, const struct nx_value *value, uint32_t part)
{
    const struct path *path = &extreme->field->path;
    struct nx_value next = NX_NULL;
    struct nx_doc_iter iter;

    if (part == path->count) {
        offer_end(extreme, value);
        return;
    }
    if (value->type == NX_TYPE_ARRAY && path->parts[part].index < 0) {
        nx_doc_iter_init(&iter, nx_value_slice(value));
        while (nx_doc_iter_next(&iter)) {
            if (iter.value.type == NX_TYPE_DOCUMENT)
                walk(extreme, &iter.value, part);
            else
                offer(extreme, &NX_NULL);
        }
        if (extreme->best.type == NX_TYPE_MISSING)
            offer(extreme, &NX_NULL);
        return;
    }
    if (value->type == NX_TYPE_DOCUMENT || value->type == NX_TYPE_ARRAY) {
        next = nx_doc_get(nx_value_slice(value), path->parts[part].name, path->parts[part].len);
        walk(extreme, &next, part + 1);
        return;
    }
    offer(extreme, &NX_NULL);
}

/* The first array that a field goes through: how many parts lead to it, and itself. */
static bool array_on_way(const struct path *path, struct nx_slice doc, uint32_t *depth,
                         struct nx_value *array)
{
    struct nx_value value = nx_doc_value(doc);

    for (*depth = 0;; ++*depth) {
        if (value.type == NX_TYPE_ARRAY &&
            (*depth == path->count || path->parts[*depth].index < 0)) {
            *array = value;
            return true;
        }
        if (*depth == path->count ||
            (value.type != NX_TYPE_DOCUMENT && value.type != NX_TYPE_ARRAY))
            return false;
        value =
            nx_doc_get(nx_value_slice(&value), path->parts[*depth].name, path->parts[*depth].len);
    }
}

struct shared_array {
    struct nx_value array; /* MISSING: no field goes through one */
    uint32_t depth;        /* parts that lead to it */
    uint32_t fields;       /* one bit a field that goes through it */
};

static enum nx_code find_shared(const struct sort_spec *spec, struct nx_slice doc,
                                struct shared_array *shared, struct nx_err *err)
{
    struct nx_value array;
    uint32_t depth;

    *shared = (struct shared_array){.array = NX_MISSING};
    for (unsigned i = 0; i < spec->count; i++) {
        if (spec->fields[i].is_score || !array_on_way(&spec->fields[i].path, doc, &depth, &array))
            continue;
        if (shared->fields && array.data != shared->array.data)
            return nx_fail(err, NX_EQUERY,
                           "cannot sort by '%s' and another field: both hold arrays, which have "
                           "no common order",
                           spec->fields[i].path.text);
        shared->array = array;
        shared->depth = depth;
        shared->fields |= UINT32_C(1) << i;
    }
    return NX_OK;
}

/* Replace the keys by those of one element of the shared array when they come before. */
static void offer_element(const struct sort_spec *spec, const struct shared_array *shared,
                          const struct nx_value *element, bool first, struct nx_value *keys)
{
    struct nx_value mine[SORT_MAX_FIELDS];

    memcpy(mine, keys, spec->count * sizeof *mine);
    for (unsigned i = 0; i < spec->count; i++) {
        struct extreme extreme = {&spec->fields[i], NX_MISSING};

        if (!(shared->fields >> i & 1))
            continue;
        if (shared->depth == spec->fields[i].path.count)
            offer(&extreme, element);
        else if (element->type == NX_TYPE_DOCUMENT)
            walk(&extreme, element, shared->depth);
        else
            offer(&extreme, &NX_NULL);
        mine[i] = extreme.best;
    }
    if (first || sort_spec_compare_keys(spec, mine, keys) < 0)
        memcpy(keys, mine, spec->count * sizeof *mine);
}

enum nx_code sort_spec_keys(const struct sort_spec *spec, struct nx_slice doc,
                            struct nx_slice metadata, struct nx_value *keys, struct nx_err *err)
{
    struct nx_value subject = nx_doc_value(doc);
    struct shared_array shared = {.array = NX_MISSING};
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    if (spec->count > 1)
        rc = find_shared(spec, doc, &shared, err);
    if (rc != NX_OK)
        return rc;
    for (unsigned i = 0; i < spec->count; i++) {
        struct extreme extreme = {&spec->fields[i], NX_MISSING};

        if (spec->fields[i].is_score) {
            keys[i] = metadata.len ? path_get_plain(&spec->fields[i].path, metadata) : NX_NULL;
            continue;
        }
        walk(&extreme, &subject, 0);
        keys[i] = extreme.best;
    }
    if ((shared.fields & (shared.fields - 1)) == 0)
        return NX_OK; /* at most one field through an array: its own extreme is right */
    nx_doc_iter_init(&iter, nx_value_slice(&shared.array));
    for (bool first = true; nx_doc_iter_next(&iter); first = false)
        offer_element(spec, &shared, &iter.value, first, keys);
    return NX_OK;
}

int sort_spec_compare_keys(const struct sort_spec *spec, const struct nx_value *a,
                           const struct nx_value *b)
{
    for (unsigned i = 0; i < spec->count; i++) {
        int order = compare_keys(&a[i], &b[i]);

        if (order)
            return spec->fields[i].descending ? -order : order;
    }
    return 0;
}

int sort_spec_compare(const struct sort_spec *spec, struct nx_slice a, struct nx_slice b)
{
    struct nx_value a_keys[SORT_MAX_FIELDS], b_keys[SORT_MAX_FIELDS];
    bool a_ok = sort_spec_keys(spec, a, NX_SLICE_NULL, a_keys, NULL) == NX_OK;
    bool b_ok = sort_spec_keys(spec, b, NX_SLICE_NULL, b_keys, NULL) == NX_OK;

    if (!a_ok || !b_ok)
        return (int)a_ok - (int)b_ok;
    return sort_spec_compare_keys(spec, a_keys, b_keys);
}

/*
 * acc.c - parsing accumulators, and the values that their states keep.
 */
#include "query/acc.h"

#include <stdlib.h>

#include "query/expr_op.h"
#include "query/operators.h"

#define N_MAX 10000000

static const struct acc_family *const families[] = {&acc_numbers, &acc_lists, NULL};
const struct acc_family *const *const acc_families = families;

const struct acc_class *acc_class_find(const char *name, size_t len)
{
    for (const struct acc_family *const *family = families; *family; family++)
        for (size_t i = 0; i < (*family)->count; i++) {
            const struct acc_class *class = &(*family)->classes[i];

            if (strlen(class->name) == len && memcmp(class->name, name, len) == 0)
                return class;
        }
    return NULL;
}

void acc_each_operator(nx_operator_fn fn, void *arg)
{
    for (const struct acc_family *const *family = families; *family; family++)
        for (size_t i = 0; i < (*family)->count; i++) {
            const struct acc_class *class = &(*family)->classes[i];
            const struct nx_operator row = {class->name, NX_OPERATOR_ACCUMULATOR, class->help};

            fn(arg, &row);
        }
}

/* --- parsing ---------------------------------------------------------------------------------- */

/* Which members the object of a form has: in the order input/output, n, sortBy, p, method. */
enum { M_INPUT, M_OUTPUT, M_N, M_SORT, M_P, M_METHOD, M_COUNT };
static const char *const member_names[M_COUNT] = {"input", "output", "n", "sortBy", "p", "method"};
static const unsigned form_members[] = {
    [ACC_N] = 1u << M_INPUT | 1u << M_N,
    [ACC_SORTED] = 1u << M_OUTPUT | 1u << M_SORT,
    [ACC_SORTED_N] = 1u << M_OUTPUT | 1u << M_SORT | 1u << M_N,
    [ACC_MEDIAN] = 1u << M_INPUT | 1u << M_METHOD,
    [ACC_PERCENTILE] = 1u << M_INPUT | 1u << M_P | 1u << M_METHOD,
};

static enum nx_code read_members(const struct acc_class *class, const struct nx_value *spec,
                                 struct nx_value members[M_COUNT], struct nx_err *err)
{
    unsigned wanted = form_members[class->form];
    struct nx_doc_iter iter;

    memset(members, 0, M_COUNT * sizeof *members);
    if (spec->type != NX_TYPE_DOCUMENT)
        return nx_fail(err, NX_EQUERY, "%s wants an object, not %s", class->name,
                       nx_type_name(spec->type));
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    while (nx_doc_iter_next(&iter)) {
        unsigned i = 0;

        while (i < M_COUNT && (!(wanted & 1u << i) || strcmp(member_names[i], iter.key) != 0))
            i++;
        if (i == M_COUNT)
            return nx_fail(err, NX_EQUERY, "%s has no argument '%.100s'", class->name, iter.key);
        members[i] = iter.value;
    }
    for (unsigned i = 0; i < M_COUNT; i++)
        if ((wanted & 1u << i) && members[i].type == NX_TYPE_MISSING)
            return nx_fail(err, NX_EQUERY, "%s wants the argument '%s'", class->name,
                           member_names[i]);
    return NX_OK;
}

/* 'n' is an expression that must not need a document. */
static enum nx_code read_n(struct acc_spec *spec, const struct nx_value *value, struct nx_err *err)
{
    struct arena arena = ARENA_INIT;
    struct expr_env env = {
        .root = nx_doc_empty, .current = NX_MISSING, .arena = &arena, .metadata = NX_MISSING};
    struct nx_value n;
    struct expr *expr;
    int64_t number = 0;
    enum nx_code rc = expr_parse(value, NULL, &expr, err);

    if (rc == NX_OK)
        rc = expr_eval(expr, &env, &n, err);
    if (rc == NX_OK && (!nx_value_to_int64(&n, &number) || number < 1 || number > N_MAX))
        rc = nx_fail(err, NX_EQUERY, "%s wants 'n' as a whole number from 1 to %d",
                     spec->class->name, N_MAX);
    spec->n = (size_t)number;
    expr_free(expr);
    arena_fini(&arena);
    return rc;
}

static enum nx_code read_p(struct acc_spec *spec, const struct nx_value *value, struct nx_err *err)
{
    struct nx_doc_iter iter;

    if (value->type != NX_TYPE_ARRAY || nx_doc_is_empty(nx_value_slice(value)))
        return nx_fail(err, NX_EQUERY, "%s wants 'p' as an array of numbers", spec->class->name);
    spec->p = calloc(nx_doc_count(nx_value_slice(value)), sizeof *spec->p);
    if (!spec->p)
        return nx_fail_nomem(err);
    nx_doc_iter_init(&iter, nx_value_slice(value));
    while (nx_doc_iter_next(&iter)) {
        double p = nx_value_to_double(&iter.value);

        if (!nx_is_number(&iter.value) || !(p >= 0 && p <= 1))
            return nx_fail(err, NX_EQUERY, "%s wants numbers from 0 to 1 in 'p'",
                           spec->class->name);
        spec->p[spec->p_count++] = p;
    }
    return NX_OK;
}

static enum nx_code read_method(struct acc_spec *spec, const struct nx_value *value,
                                struct nx_err *err)
{
    if (value->type == NX_TYPE_STRING && strcmp((const char *)value->data, "approximate") == 0)
        return NX_OK;
    return nx_fail(err, NX_EQUERY, "%s wants 'method': \"approximate\"", spec->class->name);
}

static enum nx_code parse_members(struct acc_spec *spec, const struct nx_value *value,
                                  struct expr_vars *vars, struct nx_err *err)
{
    struct nx_value members[M_COUNT];
    unsigned wanted = form_members[spec->class->form];
    enum nx_code rc = read_members(spec->class, value, members, err);

    if (rc == NX_OK)
        rc = expr_parse(&members[wanted & 1u << M_OUTPUT ? M_OUTPUT : M_INPUT], vars, &spec->input,
                        err);
    if (rc == NX_OK && (wanted & 1u << M_N))
        rc = read_n(spec, &members[M_N], err);
    if (rc == NX_OK && (wanted & 1u << M_METHOD))
        rc = read_method(spec, &members[M_METHOD], err);
    if (rc == NX_OK && (wanted & 1u << M_P))
        rc = read_p(spec, &members[M_P], err);
    if (rc == NX_OK && (wanted & 1u << M_SORT)) {
        if (members[M_SORT].type != NX_TYPE_DOCUMENT)
            return nx_fail(err, NX_EQUERY, "%s wants 'sortBy' as an object", spec->class->name);
        rc = sort_spec_parse(nx_value_slice(&members[M_SORT]), &spec->sort, err);
    }
    return rc;
}

enum nx_code acc_spec_parse(const char *name, size_t name_len, const struct nx_value *value,
                            unsigned where, struct expr_vars *vars, struct acc_spec **out,
                            struct nx_err *err)
{
    const struct acc_class *class = acc_class_find(name, name_len);
    struct acc_spec *spec;
    enum nx_code rc = NX_OK;

    *out = NULL;
    if (!class || !(class->where & where))
        return nx_fail(err, NX_EOPERATOR, "unknown accumulator '%.*s'",
                       (int)(name_len < 100 ? name_len : 100), name);
    spec = calloc(1, sizeof *spec);
    if (!spec)
        return nx_fail_nomem(err);
    spec->class = class;
    spec->n = 1;
    if (class->form == ACC_NOTHING) {
        if (value->type != NX_TYPE_DOCUMENT || !nx_doc_is_empty(nx_value_slice(value)))
            rc =
                nx_fail(err, NX_EQUERY, "%s takes no argument: {%s: {}}", class->name, class->name);
    } else if (class->form == ACC_EXPR) {
        rc = expr_parse(value, vars, &spec->input, err);
    } else {
        rc = parse_members(spec, value, vars, err);
    }
    if (rc != NX_OK)
        acc_spec_free(spec);
    else
        *out = spec;
    return rc;
}

void acc_spec_free(struct acc_spec *spec)
{
    if (!spec)
        return;
    expr_free(spec->input);
    sort_spec_free(spec->sort);
    free(spec->p);
    free(spec);
}

/* --- states ----------------------------------------------------------------------------------- */

void acc_init(struct acc *acc, const struct acc_spec *spec)
{
    *acc = (struct acc){.spec = spec};
}

static void item_fini(struct acc_item *item)
{
    free(item->bytes);
    free(item->keys);
}

void acc_fini(struct acc *acc)
{
    for (size_t i = 0; i < acc->len; i++)
        item_fini(&acc->items[i]);
    free(acc->items);
    free(acc->buckets);
    *acc = (struct acc){.spec = acc->spec};
}

size_t acc_bytes(const struct acc *acc)
{
    return acc->bytes + acc->cap * sizeof *acc->items + acc->bucket_count * sizeof *acc->buckets;
}

static size_t item_bytes(const struct acc *acc, const struct acc_item *item)
{
    size_t bytes = value_borrowed(&item->value) + 1;

    if (!item->keys)
        return bytes;
    for (unsigned i = 0; i < sort_spec_fields(acc->spec->sort); i++)
        bytes += sizeof *item->keys + value_borrowed(&item->keys[i]) + 1;
    return bytes;
}

static void own(struct nx_value *value, uint8_t **at)
{
    size_t len = value_borrowed(value);

    if (len == 0 && value->type != NX_TYPE_STRING)
        return;
    memcpy(*at, value->data, len);
    (*at)[len] = 0;
    value->data = *at;
    *at += len + 1;
}

static enum nx_code item_init(const struct acc *acc, struct acc_item *item,
                              const struct nx_value *value, struct nx_err *err)
{
    unsigned fields = acc->keys ? sort_spec_fields(acc->spec->sort) : 0;
    uint8_t *at;

    *item = (struct acc_item){.value = *value};
    if (fields) {
        item->keys = malloc(fields * sizeof *item->keys);
        if (!item->keys)
            return nx_fail_nomem(err);
        memcpy(item->keys, acc->keys, fields * sizeof *item->keys);
    }
    at = item->bytes = malloc(item_bytes(acc, item));
    if (!at) {
        free(item->keys);
        return nx_fail_nomem(err);
    }
    own(&item->value, &at);
    for (unsigned i = 0; i < fields; i++)
        own(&item->keys[i], &at);
    return NX_OK;
}

enum nx_code acc_insert(struct acc *acc, size_t at, const struct nx_value *value,
                        struct nx_err *err)
{
    struct acc_item item;
    enum nx_code rc;

    if (acc->len == acc->cap) {
        size_t cap = acc->cap ? acc->cap * 2 : 1;
        struct acc_item *items = realloc(acc->items, cap * sizeof *items);

        if (!items)
            return nx_fail_nomem(err);
        acc->items = items;
        acc->cap = cap;
    }
    rc = item_init(acc, &item, value, err);
    if (rc != NX_OK)
        return rc;
    memmove(&acc->items[at + 1], &acc->items[at], (acc->len - at) * sizeof *acc->items);
    acc->items[at] = item;
    acc->len++;
    acc->bytes += item_bytes(acc, &item);
    return NX_OK;
}

void acc_remove(struct acc *acc, size_t at)
{
    acc->bytes -= item_bytes(acc, &acc->items[at]);
    item_fini(&acc->items[at]);
    acc->len--;
    memmove(&acc->items[at], &acc->items[at + 1], (acc->len - at) * sizeof *acc->items);
}

enum nx_code acc_replace(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    enum nx_code rc = acc_insert(acc, 0, value, err);

    if (rc == NX_OK && acc->len > 1)
        acc_remove(acc, 1);
    return rc;
}

enum nx_code acc_add_value(struct acc *acc, const struct nx_value *value, struct nx_err *err)
{
    return acc->spec->class->add(acc, value, err);
}

enum nx_code acc_add(struct acc *acc, struct expr_env *env, struct nx_err *err)
{
    struct nx_value value = NX_MISSING, keys[SORT_MAX_FIELDS];
    enum nx_code rc = NX_OK;

    if (acc->spec->input)
        rc = expr_eval(acc->spec->input, env, &value, err);
    if (rc == NX_OK && acc->spec->sort) {
        struct nx_slice scores = NX_SLICE_NULL;

        if (env->metadata.type == NX_TYPE_DOCUMENT)
            scores = nx_value_slice(&env->metadata);
        rc = sort_spec_keys(acc->spec->sort, env->root, scores, keys, err);
        acc->keys = keys;
    }
    if (rc == NX_OK)
        rc = acc_add_value(acc, &value, err);
    acc->keys = NULL;
    return rc;
}

enum nx_code acc_result(const struct acc *acc, struct arena *arena, struct nx_value *out,
                        struct nx_err *err)
{
    return acc->spec->class->result(acc, arena, out, err);
}

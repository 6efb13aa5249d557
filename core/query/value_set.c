/* value_set.c - open addressing over the values' own hash; at most half full. */
#include "query/value_set.h"

#include <stdlib.h>

#define HASH_SEED 0x6e657861u

void value_set_init(struct value_set *set, struct budget *budget)
{
    *set = (struct value_set){.budget = budget, .arena = ARENA_INIT};
}

void value_set_fini(struct value_set *set)
{
    budget_give(set->budget, set->taken_bytes);
    arena_fini(&set->arena);
    free(set->slots);
    set->slots = NULL;
}

static struct nx_value *find_slot(struct nx_value *slots, size_t cap, const struct nx_value *value)
{
    size_t at = nx_value_hash(value, HASH_SEED) & (cap - 1);

    while (slots[at].type != NX_TYPE_MISSING && nx_value_compare(&slots[at], value) != 0)
        at = (at + 1) & (cap - 1);
    return &slots[at];
}

static enum nx_code take(struct value_set *set, uint64_t bytes, struct nx_err *err)
{
    if (!budget_take(set->budget, bytes))
        return budget_fail(set->budget, "the set of distinct values", err);
    set->taken_bytes += bytes;
    return NX_OK;
}

static enum nx_code grow(struct value_set *set, struct nx_err *err)
{
    size_t cap = set->cap ? 2 * set->cap : 64;
    struct nx_value *slots;
    enum nx_code rc = take(set, (cap - set->cap) * sizeof *slots, err);

    if (rc != NX_OK)
        return rc;
    slots = calloc(cap, sizeof *slots);
    if (!slots)
        return nx_fail_nomem(err);
    for (size_t i = 0; i < set->cap; i++)
        if (set->slots[i].type != NX_TYPE_MISSING)
            *find_slot(slots, cap, &set->slots[i]) = set->slots[i];
    free(set->slots);
    set->slots = slots;
    set->cap = cap;
    return NX_OK;
}

/* A value whose bytes are the set's: through a one-field document, which holds any type. */
static enum nx_code copy_value(struct value_set *set, const struct nx_value *value,
                               struct nx_value *out, struct nx_err *err)
{
    struct nx_buf buf = NX_BUF_INIT;
    struct nx_builder builder;
    void *copy = NULL;
    enum nx_code rc;

    nx_builder_init(&builder, &buf);
    nx_builder_put(&builder, "", 0, value);
    rc = nx_builder_end(&builder, err);
    if (rc == NX_OK)
        rc = take(set, buf.len, err);
    if (rc == NX_OK) {
        copy = arena_copy(&set->arena, buf.data, buf.len);
        if (!copy)
            rc = nx_fail_nomem(err);
    }
    if (rc == NX_OK)
        *out = nx_doc_get(nx_slice(copy, buf.len), "", 0);
    nx_buf_fini(&buf);
    return rc;
}

enum nx_code value_set_add(struct value_set *set, const struct nx_value *value, struct nx_err *err)
{
    struct nx_value *slot;
    enum nx_code rc = NX_OK;

    if (value->type == NX_TYPE_MISSING)
        return NX_OK;
    if (2 * (set->count + 1) > set->cap)
        rc = grow(set, err);
    if (rc != NX_OK)
        return rc;
    slot = find_slot(set->slots, set->cap, value);
    if (slot->type != NX_TYPE_MISSING)
        return NX_OK;
    rc = copy_value(set, value, slot, err);
    if (rc == NX_OK)
        set->count++;
    return rc;
}

static int compare_values(const void *a, const void *b)
{
    return nx_value_compare(a, b);
}

const struct nx_value *value_set_sorted(struct value_set *set, size_t *count)
{
    size_t kept = 0;

    for (size_t i = 0; i < set->cap; i++)
        if (set->slots[i].type != NX_TYPE_MISSING)
            set->slots[kept++] = set->slots[i];
    if (kept)
        qsort(set->slots, kept, sizeof *set->slots, compare_values);
    set->cap = 0; /* no longer a table */
    *count = kept;
    return set->slots;
}

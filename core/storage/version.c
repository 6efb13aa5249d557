/*
 * version.c - deriving one version from another. Levels are small arrays (a few thousand tables at
 * most), so a change copies and sorts them.
 */
#include "storage/version.h"

#include <stdlib.h>
#include <string.h>

#include "storage/mutation.h"

struct version *version_new(void)
{
    struct version *version = calloc(1, sizeof *version);

    if (version)
        atomic_init(&version->refs, 1);
    return version;
}

struct version *version_ref(struct version *version)
{
    atomic_fetch_add_explicit(&version->refs, 1, memory_order_relaxed);
    return version;
}

void version_unref(struct version *version)
{
    /* Acquire-release: what other holders did with it happened before it is freed. */
    if (!version || atomic_fetch_sub_explicit(&version->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < NX_LEVELS; i++) {
        for (size_t t = 0; t < version->levels.level[i].count; t++)
            table_unref(version->levels.level[i].tables[t]);
        free(version->levels.level[i].tables);
    }
    free(version);
}

static bool is_removed(const struct version_change *change, const struct table *table)
{
    for (size_t i = 0; i < change->removed_count; i++)
        if (table_props(change->removed[i])->number == table_props(table)->number)
            return true;
    return false;
}

static void add(struct level *level, struct table *table)
{
    level->tables[level->count++] = table_ref(table);
    level->bytes += table_props(table)->file_bytes;
}

static int newest_first(const void *a, const void *b)
{
    const struct table_props *x = table_props(*(struct table *const *)a);
    const struct table_props *y = table_props(*(struct table *const *)b);

    if (x->max_sequence != y->max_sequence)
        return (x->max_sequence < y->max_sequence) != engine_mutated(OLDEST_FIRST) ? 1 : -1;
    return (x->number < y->number) - (x->number > y->number);
}

static int by_key(const void *a, const void *b)
{
    return nx_slice_compare(table_props(*(struct table *const *)a)->smallest,
                            table_props(*(struct table *const *)b)->smallest);
}

static enum nx_code check_disjoint(const struct level *level, unsigned number, struct nx_err *err)
{
    for (size_t i = 1; i < level->count; i++) {
        const struct table_props *left = table_props(level->tables[i - 1]);
        const struct table_props *right = table_props(level->tables[i]);
        int order = nx_slice_compare(left->largest, right->smallest);

        if (order > 0 || (order == 0 && !left->largest_is_open))
            return nx_fail(err, NX_ECORRUPT, "tables %06llu and %06llu of level %u overlap",
                           (unsigned long long)left->number, (unsigned long long)right->number,
                           number);
    }
    return NX_OK;
}

static enum nx_code derive_level(const struct level *old, const struct version_change *change,
                                 unsigned number, struct level *out, struct nx_err *err)
{
    size_t added = number == change->level ? change->added_count : 0;

    if (old->count + added == 0)
        return NX_OK;
    out->tables = calloc(old->count + added, sizeof(struct table *));
    if (!out->tables)
        return nx_fail_nomem(err);
    for (size_t i = 0; i < old->count; i++)
        if (!is_removed(change, old->tables[i]))
            add(out, old->tables[i]);
    for (size_t i = 0; i < added; i++)
        add(out, change->added[i]);
    qsort(out->tables, out->count, sizeof(struct table *), number == 0 ? newest_first : by_key);
    return number == 0 ? NX_OK : check_disjoint(out, number, err);
}

enum nx_code version_derive(const struct version *old, const struct version_change *change,
                            struct version **out, struct nx_err *err)
{
    struct version *version = version_new();
    enum nx_code rc = version ? NX_OK : nx_fail_nomem(err);

    *out = NULL;
    for (unsigned i = 0; i < NX_LEVELS && rc == NX_OK; i++)
        rc = derive_level(&old->levels.level[i], change, i, &version->levels.level[i], err);
    if (rc != NX_OK) {
        version_unref(version);
        return rc;
    }
    *out = version;
    return NX_OK;
}

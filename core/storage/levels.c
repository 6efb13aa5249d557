/*
 * levels.c - finding tables in a level, and a sorted level as one source.
 *
 * The source of a level opens the cursor of one table at a time, so a scan's cost does not grow
 * with the number of tables.
 */
#include "storage/levels.h"

#include <stdlib.h>

bool table_ends_before(const struct table *table, struct nx_slice key)
{
    const struct table_props *p = table_props(table);
    int order = nx_slice_compare(p->largest, key);

    return order < 0 || (order == 0 && p->largest_is_open);
}

size_t level_find(const struct level *level, struct nx_slice key)
{
    size_t low = 0, high = level->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (table_ends_before(level->tables[middle], key))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool table_overlaps(const struct table *table, struct nx_slice begin, struct nx_slice end)
{
    if (begin.len && table_ends_before(table, begin))
        return false;
    return end.len == 0 || nx_slice_compare(table_props(table)->smallest, end) <= 0;
}

/* --- the source ------------------------------------------------------------------------------- */

struct level_source {
    struct source base;
    const struct level *level; /* outlives us */
    uint64_t sequence;
    enum cache_use use;
    size_t at;            /* the table of `table` */
    struct source *table; /* owned; NULL: none open */
};

/* Open the cursor of table i. False at either end and on an error. */
static bool open_table(struct level_source *s, size_t i)
{
    if (s->base.failed != NX_OK || i >= s->level->count)
        return false;
    if (s->table && s->at == i)
        return true;
    source_close(s->table);
    s->table = NULL;
    s->at = i;
    s->base.failed = table_source(s->level->tables[i], s->sequence, s->use, &s->table, s->base.err);
    return s->base.failed == NX_OK;
}

/* Show where the table's cursor stands; false when it has run out without an error. */
static bool show(struct level_source *s)
{
    s->base.valid = s->table->valid;
    if (s->table->valid)
        s->base.entry = s->table->entry;
    else
        s->base.failed = s->table->failed;
    return s->base.valid || s->base.failed != NX_OK;
}

/* A table may show nothing at our sequence: go on until one does. */
static void show_forward(struct level_source *s)
{
    while (!show(s)) {
        if (!open_table(s, s->at + 1))
            return;
        s->table->ops->first(s->table);
    }
}

static void show_backward(struct level_source *s)
{
    while (!show(s)) {
        if (s->at == 0 || !open_table(s, s->at - 1))
            return;
        s->table->ops->last(s->table);
    }
}

static void source_first(struct source *source)
{
    struct level_source *s = (struct level_source *)source;

    source->valid = false;
    if (!open_table(s, 0))
        return;
    s->table->ops->first(s->table);
    show_forward(s);
}

static void source_last(struct source *source)
{
    struct level_source *s = (struct level_source *)source;

    source->valid = false;
    if (s->level->count == 0 || !open_table(s, s->level->count - 1))
        return;
    s->table->ops->last(s->table);
    show_backward(s);
}

static void source_seek(struct source *source, struct nx_slice key)
{
    struct level_source *s = (struct level_source *)source;

    source->valid = false;
    if (!open_table(s, level_find(s->level, key)))
        return;
    s->table->ops->seek(s->table, key);
    show_forward(s);
}

static void source_seek_for_prev(struct source *source, struct nx_slice key)
{
    struct level_source *s = (struct level_source *)source;
    size_t i = level_find(s->level, key);

    source->valid = false;
    if (i == s->level->count) {
        source_last(source);
        return;
    }
    if (!open_table(s, i))
        return;
    s->table->ops->seek_for_prev(s->table, key);
    show_backward(s);
}

static void source_next(struct source *source)
{
    struct level_source *s = (struct level_source *)source;

    s->table->ops->next(s->table);
    show_forward(s);
}

static void source_prev(struct source *source)
{
    struct level_source *s = (struct level_source *)source;

    s->table->ops->prev(s->table);
    show_backward(s);
}

static void source_free(struct source *source)
{
    struct level_source *s = (struct level_source *)source;

    source_close(s->table);
    free(s);
}

static const struct source_ops level_ops = {
    .close = source_free,
    .first = source_first,
    .last = source_last,
    .seek = source_seek,
    .seek_for_prev = source_seek_for_prev,
    .next = source_next,
    .prev = source_prev,
};

enum nx_code level_source(const struct level *level, uint64_t sequence, enum cache_use use,
                          struct source **out, struct nx_err *err)
{
    struct level_source *s = malloc(sizeof *s);

    *out = NULL;
    if (!s)
        return nx_fail_nomem(err);
    *s = (struct level_source){
        .base = {.ops = &level_ops, .err = err}, .level = level, .sequence = sequence, .use = use};
    *out = &s->base;
    return NX_OK;
}

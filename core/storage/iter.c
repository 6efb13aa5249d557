/*
 * iter.c - the public iterator: a merge of all that a read view holds, as a user sees it.
 *
 * Every source shows one version a key (source.h), so the merge shows one a source; the first of a
 * key is the newest. The iterator passes over the others, over deletions and over what a range
 * tombstone hides, and stops at its bounds. With a single source there are no others, and no merge.
 */
#include <stdlib.h>

#include "storage/engine.h"
#include "storage/merge.h"
#include "storage/shade.h"
#include "storage/view.h"

struct nx_iter {
    struct read_view view; /* pinned */
    struct source *source; /* owned */
    bool is_merge;
    bool valid;
    struct shade shade;
    struct range_tombstones *memtable_ranges; /* owned */
    struct nx_buf lower, upper;
    struct nx_buf key; /* the key being passed over */
    enum nx_code failed;
    struct nx_err err; /* of the sources */
};

/* --- opening ---------------------------------------------------------------------------------- */

struct source_list {
    struct source **sources; /* owned array and sources */
    size_t count, cap;
};

static bool list_has_room(struct source_list *list)
{
    size_t cap = list->cap ? list->cap * 2 : 16;
    struct source **sources;

    if (list->count < list->cap)
        return true;
    sources = realloc(list->sources, cap * sizeof(struct source *));
    if (!sources)
        return false;
    list->sources = sources;
    list->cap = cap;
    return true;
}

static enum nx_code add_memtables(struct nx_iter *iter, struct source_list *list)
{
    enum nx_code rc = NX_OK;

    iter->memtable_ranges = range_tombstones_new();
    if (!iter->memtable_ranges)
        return nx_fail_nomem(&iter->err);
    for (size_t i = 0; i < iter->view.memtable_count && rc == NX_OK; i++) {
        struct memtable *memtable = iter->view.memtables[i];

        if (memtable_is_empty(memtable))
            continue;
        if (!list_has_room(list))
            return nx_fail_nomem(&iter->err);
        rc = memtable_range_tombstones(memtable, iter->view.sequence, iter->memtable_ranges,
                                       &iter->err);
        if (rc == NX_OK)
            rc = memtable_source(memtable, iter->view.sequence, &list->sources[list->count],
                                 &iter->err);
        list->count += rc == NX_OK;
    }
    if (rc == NX_OK)
        rc = range_tombstones_seal(iter->memtable_ranges, &iter->err);
    return rc == NX_OK ? shade_add(&iter->shade, iter->memtable_ranges, &iter->err) : rc;
}

static enum nx_code add_level0(struct nx_iter *iter, enum cache_use use, struct source_list *list)
{
    const struct level *level = &iter->view.levels->level[0];
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < level->count && rc == NX_OK; i++) {
        struct table *table = level->tables[i];

        if (!table_overlaps(table, nx_buf_slice(&iter->lower), nx_buf_slice(&iter->upper)))
            continue;
        if (!list_has_room(list))
            return nx_fail_nomem(&iter->err);
        rc = shade_add(&iter->shade, table_range_tombstones(table), &iter->err);
        if (rc == NX_OK)
            rc = table_source(table, iter->view.sequence, use, &list->sources[list->count],
                              &iter->err);
        list->count += rc == NX_OK;
    }
    return rc;
}

static enum nx_code add_level(struct nx_iter *iter, const struct level *level, enum cache_use use,
                              struct source_list *list)
{
    struct nx_slice lower = nx_buf_slice(&iter->lower), upper = nx_buf_slice(&iter->upper);
    size_t first = lower.len ? level_find(level, lower) : 0;
    enum nx_code rc = NX_OK;

    if (first == level->count || !table_overlaps(level->tables[first], lower, upper))
        return NX_OK;
    for (size_t i = first; i < level->count && rc == NX_OK; i++) {
        if (!table_overlaps(level->tables[i], lower, upper))
            break;
        rc = shade_add(&iter->shade, table_range_tombstones(level->tables[i]), &iter->err);
    }
    if (rc == NX_OK && !list_has_room(list))
        rc = nx_fail_nomem(&iter->err);
    if (rc == NX_OK)
        rc = level_source(level, iter->view.sequence, use, &list->sources[list->count], &iter->err);
    list->count += rc == NX_OK;
    return rc;
}

/* Newest places first; one source stands alone. */
static enum nx_code open_sources(struct nx_iter *iter, enum cache_use use)
{
    struct source_list list = {0};
    enum nx_code rc = add_memtables(iter, &list);

    if (rc == NX_OK)
        rc = add_level0(iter, use, &list);
    for (unsigned l = 1; l < NX_LEVELS && rc == NX_OK; l++)
        rc = add_level(iter, &iter->view.levels->level[l], use, &list);
    iter->is_merge = list.count != 1;
    if (rc == NX_OK && !iter->is_merge)
        iter->source = list.sources[0];
    else if (rc == NX_OK)
        rc = merge_open(list.sources, list.count, &iter->source, &iter->err);
    else
        for (size_t i = 0; i < list.count; i++)
            source_close(list.sources[i]);
    free(list.sources);
    return rc;
}

enum nx_code nx_iter_open(struct nx_engine *engine, const struct nx_range *range,
                          struct nx_iter **out, struct nx_err *err)
{
    struct nx_iter *iter = calloc(1, sizeof *iter);
    enum nx_code rc;

    *out = NULL;
    if (!iter)
        return nx_fail_nomem(err);
    iter->err = NX_ERR_INIT;
    read_view_acquire_long(engine, range->snapshot, &iter->view);
    shade_init(&iter->shade, iter->view.sequence);
    if (nx_buf_append(&iter->lower, range->lower.data, range->lower.len) == NX_OK &&
        nx_buf_append(&iter->upper, range->upper.data, range->upper.len) == NX_OK)
        rc = open_sources(iter, range->keep_cache ? CACHE_KEEP : CACHE_PASS);
    else
        rc = nx_fail_nomem(&iter->err);
    if (rc != NX_OK) {
        if (err)
            *err = iter->err;
        nx_iter_close(iter);
        return rc;
    }
    *out = iter;
    return NX_OK;
}

void nx_iter_close(struct nx_iter *iter)
{
    if (!iter)
        return;
    source_close(iter->source);
    shade_fini(&iter->shade);
    range_tombstones_free(iter->memtable_ranges);
    nx_buf_fini(&iter->lower);
    nx_buf_fini(&iter->upper);
    nx_buf_fini(&iter->key);
    read_view_release(&iter->view);
    free(iter);
}

/* --- settling on what a user sees ------------------------------------------------------------- */

static void fail(struct nx_iter *iter, enum nx_code code)
{
    iter->valid = false;
    iter->failed = code;
}

/* Move past every version of the key that the source stands on. */
static void pass_key(struct nx_iter *iter, void (*move)(struct source *source))
{
    struct source *source = iter->source;

    if (!iter->is_merge || merge_stands_alone(source)) {
        move(source);
        return;
    }
    nx_buf_clear(&iter->key);
    if (nx_buf_append(&iter->key, source->entry.key.data, source->entry.key.len) != NX_OK) {
        fail(iter, nx_fail_nomem(&iter->err));
        return;
    }
    do
        move(source);
    while (source->valid && nx_slice_equal(source->entry.key, nx_buf_slice(&iter->key)));
}

static bool is_seen(struct nx_iter *iter, const struct entry *entry)
{
    return entry->kind == ENTRY_PUT && !shade_hides(&iter->shade, entry);
}

/* The source stands on the newest version of a key: go on to one that is seen. */
static bool settle(struct nx_iter *iter, bool backward)
{
    struct source *source = iter->source;

    iter->valid = false;
    while (iter->failed == NX_OK && source->valid) {
        if (!backward && iter->upper.len &&
            nx_slice_compare(source->entry.key, nx_buf_slice(&iter->upper)) >= 0)
            return false;
        if (backward && nx_slice_compare(source->entry.key, nx_buf_slice(&iter->lower)) < 0)
            return false;
        if (is_seen(iter, &source->entry)) {
            iter->valid = true;
            return true;
        }
        pass_key(iter, backward ? source->ops->prev : source->ops->next);
    }
    if (source->failed != NX_OK)
        fail(iter, source->failed);
    return false;
}

/* --- moving ----------------------------------------------------------------------------------- */

bool nx_iter_first(struct nx_iter *iter)
{
    return nx_iter_seek(iter, NX_SLICE_NULL);
}

bool nx_iter_seek(struct nx_iter *iter, struct nx_slice key)
{
    struct nx_slice lower = nx_buf_slice(&iter->lower);
    struct nx_engine *engine = iter->view.engine;
    uint64_t begin = latency_begin_sampled(engine->io);
    bool valid;

    if (nx_slice_compare(key, lower) < 0)
        key = lower;
    if (key.len)
        iter->source->ops->seek(iter->source, key);
    else
        iter->source->ops->first(iter->source);
    valid = settle(iter, false);
    latency_end(&engine->latency[NX_LATENCY_SEEK], engine->io, begin);
    return valid;
}

/* Stand on the last key below the upper bound, seen or not. */
static void seek_below_upper(struct nx_iter *iter)
{
    struct nx_slice upper = nx_buf_slice(&iter->upper);

    if (upper.len == 0) {
        iter->source->ops->last(iter->source);
        return;
    }
    iter->source->ops->seek_for_prev(iter->source, upper);
    if (iter->source->valid && nx_slice_equal(iter->source->entry.key, upper))
        pass_key(iter, iter->source->ops->prev);
}

bool nx_iter_last(struct nx_iter *iter)
{
    seek_below_upper(iter);
    return settle(iter, true);
}

bool nx_iter_seek_for_prev(struct nx_iter *iter, struct nx_slice key)
{
    if (iter->upper.len && nx_slice_compare(key, nx_buf_slice(&iter->upper)) >= 0)
        seek_below_upper(iter);
    else
        iter->source->ops->seek_for_prev(iter->source, key);
    return settle(iter, true);
}

bool nx_iter_next(struct nx_iter *iter)
{
    if (!iter->valid)
        return false;
    pass_key(iter, iter->source->ops->next);
    return settle(iter, false);
}

bool nx_iter_prev(struct nx_iter *iter)
{
    if (!iter->valid)
        return false;
    pass_key(iter, iter->source->ops->prev);
    return settle(iter, true);
}

bool nx_iter_valid(const struct nx_iter *iter)
{
    return iter->valid;
}

struct nx_slice nx_iter_key(const struct nx_iter *iter)
{
    return iter->source->entry.key;
}

struct nx_slice nx_iter_value(const struct nx_iter *iter)
{
    return iter->source->entry.value;
}

enum nx_code nx_iter_status(const struct nx_iter *iter, struct nx_err *err)
{
    if (iter->failed != NX_OK && err)
        *err = iter->err;
    return iter->failed;
}

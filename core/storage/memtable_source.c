/*
 * memtable_source.c - a cursor over a memtable.
 *
 * It walks a copy of one leaf at a time. What the writer adds to that leaf later is newer than what
 * the cursor may see, so the copy never has to be renewed; and since keys only move to the right
 * (B2), the leaf's right neighbour at the time of the copy is where the keys after it begin. To the
 * left there is no pointer: a split may have put a leaf between. The cursor goes down again from
 * the root.
 */
#include <stdlib.h>

#include "storage/memtable_inner.h"

#define PREFETCH_RECORDS 4 /* as many before the cursor comes to them */

struct memtable_source {
    struct source base;
    const struct memtable *memtable; /* outlives us */
    uint64_t sequence;               /* or SEQUENCE_ALL */
    unsigned at;                     /* in the view */
    const struct record *record;     /* what we stand on */
    struct btree_view view;
};

static void show(struct memtable_source *s, const struct record *record)
{
    s->record = record;
    s->base.valid = record != NULL;
    if (record)
        s->base.entry = record_entry(record);
}

/* Stand on the first visible record at or after slot `at`. */
static void settle_forward(struct memtable_source *s)
{
    const struct record *record = NULL;

    while (!record && s->view.count > 0) {
        if (s->at == s->view.count) {
            btree_view_next(&s->view);
            s->at = 0;
            continue;
        }
        if (s->at + PREFETCH_RECORDS < s->view.count)
            __builtin_prefetch(s->view.records[s->at + PREFETCH_RECORDS]);
        record = record_at(s->view.records[s->at], s->sequence);
        if (!record)
            s->at++;
    }
    show(s, record);
}

/* Stand on the last visible record at or before slot `at`. */
static void settle_backward(struct memtable_source *s)
{
    const struct record *record = NULL;

    while (s->view.count > 0) {
        record = record_at(s->view.records[s->at], s->sequence);
        if (record)
            break;
        if (s->at > 0)
            s->at--;
        else
            s->at = btree_view_before(&s->memtable->tree, record_key(s->view.records[0]), &s->view);
    }
    show(s, record);
}

static void source_first(struct source *source)
{
    struct memtable_source *s = (struct memtable_source *)source;

    btree_view_first(&s->memtable->tree, &s->view);
    s->at = 0;
    settle_forward(s);
}

static void source_last(struct source *source)
{
    struct memtable_source *s = (struct memtable_source *)source;

    btree_view_last(&s->memtable->tree, &s->view);
    s->at = s->view.count ? s->view.count - 1 : 0;
    settle_backward(s);
}

static void source_seek(struct source *source, struct nx_slice key)
{
    struct memtable_source *s = (struct memtable_source *)source;

    s->at = btree_view_at(&s->memtable->tree, key, &s->view);
    settle_forward(s);
}

static void source_seek_for_prev(struct source *source, struct nx_slice key)
{
    struct memtable_source *s = (struct memtable_source *)source;

    s->at = btree_view_at(&s->memtable->tree, key, &s->view);
    if (s->at == s->view.count || !nx_slice_equal(record_key(s->view.records[s->at]), key))
        s->at = btree_view_before(&s->memtable->tree, key, &s->view);
    settle_backward(s);
}

static void source_next(struct source *source)
{
    struct memtable_source *s = (struct memtable_source *)source;

    if (s->sequence == SEQUENCE_ALL && s->record->older) {
        show(s, s->record->older);
        return;
    }
    s->at++;
    settle_forward(s);
}

static void source_prev(struct source *source)
{
    struct memtable_source *s = (struct memtable_source *)source;

    if (s->at > 0)
        s->at--;
    else
        s->at = btree_view_before(&s->memtable->tree, record_key(s->view.records[0]), &s->view);
    settle_backward(s);
}

static void source_free(struct source *source)
{
    free(source);
}

static const struct source_ops memtable_ops = {
    .close = source_free,
    .first = source_first,
    .last = source_last,
    .seek = source_seek,
    .seek_for_prev = source_seek_for_prev,
    .next = source_next,
    .prev = source_prev,
};

enum nx_code memtable_source(struct memtable *memtable, uint64_t sequence, struct source **out,
                             struct nx_err *err)
{
    struct memtable_source *s = malloc(sizeof *s);

    *out = NULL;
    if (!s)
        return nx_fail_nomem(err);
    s->base = (struct source){.ops = &memtable_ops, .err = err};
    s->memtable = memtable;
    s->sequence = sequence;
    s->record = NULL;
    s->view.count = 0;
    *out = &s->base;
    return NX_OK;
}

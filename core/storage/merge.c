/*
 * merge.c - a binary heap of cursors.
 *
 * The heap orders the sources by where they stand: by key in the direction of the walk, and for one
 * key newest first in both. The second in order is known: as long as the first one stays before it,
 * a step costs one comparison; with one source left, none.
 */
#include "storage/merge.h"

#include <stdlib.h>

struct merge {
    struct source base;
    bool backward;        /* the direction in which all sources stand */
    size_t count;         /* sources */
    size_t heap_count;    /* of them valid, in heap order */
    size_t second;        /* in the heap: which comes after the top; 0: none */
    struct nx_buf key;    /* where we stood, while the direction turns */
    struct source **heap; /* borrowed from `sources` */
    struct source *sources[];
};

/* Does `a` come before `b` in our direction? */
static bool comes_before(const struct merge *m, const struct source *a, const struct source *b)
{
    int order = nx_slice_compare(a->entry.key, b->entry.key);

    if (order != 0)
        return (order < 0) != m->backward;
    return a->entry.sequence > b->entry.sequence;
}

static void sift_down(struct merge *m, size_t at)
{
    struct source *moving = m->heap[at];

    for (size_t child = 2 * at + 1; child < m->heap_count; child = 2 * at + 1) {
        if (child + 1 < m->heap_count && comes_before(m, m->heap[child + 1], m->heap[child]))
            child++;
        if (!comes_before(m, m->heap[child], moving))
            break;
        m->heap[at] = m->heap[child];
        at = child;
    }
    m->heap[at] = moving;
}

static void find_second(struct merge *m)
{
    m->second = m->heap_count > 1 ? 1 : 0;
    if (m->heap_count > 2 && comes_before(m, m->heap[2], m->heap[1]))
        m->second = 2;
}

static void fail(struct merge *m, enum nx_code code)
{
    m->base.failed = code;
    m->base.valid = false;
    m->heap_count = 0;
}

static void show_top(struct merge *m)
{
    m->base.valid = m->heap_count > 0;
    if (m->base.valid)
        m->base.entry = m->heap[0]->entry;
}

/* After every source has moved in our direction. */
static void build_heap(struct merge *m)
{
    m->heap_count = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (m->sources[i]->failed != NX_OK) {
            fail(m, m->sources[i]->failed);
            return;
        }
        if (m->sources[i]->valid)
            m->heap[m->heap_count++] = m->sources[i];
    }
    for (size_t i = m->heap_count / 2; i-- > 0;)
        sift_down(m, i);
    find_second(m);
    show_top(m);
}

/* After the top has moved. */
static void settle_top(struct merge *m)
{
    struct source *top = m->heap[0];

    if (!top->valid) {
        if (top->failed != NX_OK) {
            fail(m, top->failed);
            return;
        }
        m->heap[0] = m->heap[--m->heap_count];
    } else if (!m->second || comes_before(m, top, m->heap[m->second])) {
        m->base.entry = top->entry;
        return;
    }
    if (m->heap_count > 1)
        sift_down(m, 0);
    find_second(m);
    show_top(m);
}

static void source_first(struct source *source)
{
    struct merge *m = (struct merge *)source;

    m->backward = false;
    for (size_t i = 0; i < m->count; i++)
        m->sources[i]->ops->first(m->sources[i]);
    build_heap(m);
}

static void source_last(struct source *source)
{
    struct merge *m = (struct merge *)source;

    m->backward = true;
    for (size_t i = 0; i < m->count; i++)
        m->sources[i]->ops->last(m->sources[i]);
    build_heap(m);
}

static void source_seek(struct source *source, struct nx_slice key)
{
    struct merge *m = (struct merge *)source;

    m->backward = false;
    for (size_t i = 0; i < m->count; i++)
        m->sources[i]->ops->seek(m->sources[i], key);
    build_heap(m);
}

static void source_seek_for_prev(struct source *source, struct nx_slice key)
{
    struct merge *m = (struct merge *)source;

    m->backward = true;
    for (size_t i = 0; i < m->count; i++)
        m->sources[i]->ops->seek_for_prev(m->sources[i], key);
    build_heap(m);
}

/* Turn round: every source goes to the first place beyond the key that we stand on. */
static void turn(struct merge *m, bool backward)
{
    struct nx_slice key;

    nx_buf_clear(&m->key);
    if (nx_buf_append(&m->key, m->base.entry.key.data, m->base.entry.key.len) != NX_OK) {
        fail(m, nx_fail_nomem(m->base.err));
        return;
    }
    key = nx_buf_slice(&m->key);
    m->backward = backward;
    for (size_t i = 0; i < m->count; i++) {
        struct source *s = m->sources[i];

        if (backward)
            s->ops->seek_for_prev(s, key);
        else
            s->ops->seek(s, key);
        if (s->valid && nx_slice_equal(s->entry.key, key)) {
            if (backward)
                s->ops->prev(s);
            else
                s->ops->next(s);
        }
    }
    build_heap(m);
}

static void source_next(struct source *source)
{
    struct merge *m = (struct merge *)source;

    if (m->backward) {
        turn(m, false);
        return;
    }
    m->heap[0]->ops->next(m->heap[0]);
    settle_top(m);
}

static void source_prev(struct source *source)
{
    struct merge *m = (struct merge *)source;

    if (!m->backward) {
        turn(m, true);
        return;
    }
    m->heap[0]->ops->prev(m->heap[0]);
    settle_top(m);
}

bool merge_stands_alone(const struct source *source)
{
    const struct merge *m = (const struct merge *)source;

    return !m->second || !nx_slice_equal(m->heap[m->second]->entry.key, source->entry.key);
}

static void close_all(struct source **sources, size_t count)
{
    for (size_t i = 0; i < count; i++)
        source_close(sources[i]);
}

static void source_free(struct source *source)
{
    struct merge *m = (struct merge *)source;

    close_all(m->sources, m->count);
    nx_buf_fini(&m->key);
    free(m);
}

static const struct source_ops merge_ops = {
    .close = source_free,
    .first = source_first,
    .last = source_last,
    .seek = source_seek,
    .seek_for_prev = source_seek_for_prev,
    .next = source_next,
    .prev = source_prev,
};

enum nx_code merge_open(struct source **sources, size_t count, struct source **out,
                        struct nx_err *err)
{
    struct merge *m = malloc(sizeof *m + 2 * count * sizeof *sources);

    *out = NULL;
    if (!m) {
        close_all(sources, count);
        return nx_fail_nomem(err);
    }
    *m = (struct merge){.base = {.ops = &merge_ops, .err = err}, .count = count};
    for (size_t i = 0; i < count; i++)
        m->sources[i] = sources[i];
    m->heap = m->sources + count;
    *out = &m->base;
    return NX_OK;
}

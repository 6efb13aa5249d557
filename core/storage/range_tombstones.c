/*
 * range_tombstones.c - building and searching the fragments.
 *
 * Ranges are collected as they come; the seal sorts all their ends, walks them from left to right
 * with the set of ranges open at that point, and writes one fragment between each two neighbours
 * where any range is open. All keys lie in one buffer and all sequences in one array.
 */
#include "storage/range_tombstones.h"

#include <stdlib.h>

struct raw_range {
    size_t begin_at, end_at; /* in `keys` */
    uint32_t begin_len, end_len;
    uint64_t sequence;
};

struct range_tombstones {
    struct nx_buf keys;    /* does not move after the seal */
    struct raw_range *raw; /* owned; until the seal */
    size_t raw_count, raw_cap;
    struct range_fragment *fragments; /* owned; from the seal on */
    size_t count, cap;
    uint64_t *sequences; /* owned; what the fragments point to */
    size_t sequence_count, sequence_cap;
    uint64_t *open; /* owned: sequences of the ranges open at the sweep, descending */
};

struct range_tombstones *range_tombstones_new(void)
{
    return calloc(1, sizeof(struct range_tombstones));
}

static void free_raw(struct range_tombstones *set)
{
    free(set->raw);
    free(set->open);
    set->raw = NULL;
    set->open = NULL;
}

void range_tombstones_free(struct range_tombstones *set)
{
    if (!set)
        return;
    free_raw(set);
    nx_buf_fini(&set->keys);
    free(set->fragments);
    free(set->sequences);
    free(set);
}

/* Make room for one more element in an owned array. */
static bool grow(void **array, size_t count, size_t *cap, size_t element)
{
    size_t wider = *cap ? *cap * 2 : 8;
    void *moved;

    if (count < *cap)
        return true;
    moved = realloc(*array, wider * element);
    if (!moved)
        return false;
    *array = moved;
    *cap = wider;
    return true;
}

enum nx_code range_tombstones_add(struct range_tombstones *set, const struct range_tombstone *range,
                                  struct nx_err *err)
{
    size_t at = set->keys.len;

    if (nx_slice_compare(range->begin, range->end) >= 0)
        return NX_OK;
    if (!grow((void **)&set->raw, set->raw_count, &set->raw_cap, sizeof *set->raw) ||
        nx_buf_reserve(&set->keys, range->begin.len + range->end.len) != NX_OK)
        return nx_fail_nomem(err);
    nx_buf_append(&set->keys, range->begin.data, range->begin.len);
    nx_buf_append(&set->keys, range->end.data, range->end.len);
    set->raw[set->raw_count++] = (struct raw_range){
        .begin_at = at,
        .begin_len = (uint32_t)range->begin.len,
        .end_at = at + range->begin.len,
        .end_len = (uint32_t)range->end.len,
        .sequence = range->sequence,
    };
    return NX_OK;
}

enum nx_code range_tombstones_add_all(struct range_tombstones *set,
                                      const struct range_tombstones *other, struct nx_slice lower,
                                      struct nx_slice upper, uint64_t sequence, struct nx_err *err)
{
    for (size_t i = lower.len ? range_tombstones_find(other, lower) : 0; i < other->count; i++) {
        const struct range_fragment *fragment = &other->fragments[i];
        struct range_tombstone range = {.begin = fragment->begin, .end = fragment->end};

        if (upper.len && nx_slice_compare(fragment->begin, upper) >= 0)
            break;
        if (nx_slice_compare(range.begin, lower) < 0)
            range.begin = lower;
        if (upper.len && nx_slice_compare(range.end, upper) > 0)
            range.end = upper;
        for (size_t s = 0; s < fragment->count; s++) {
            enum nx_code rc = NX_OK;

            range.sequence = fragment->sequences[s];
            if (range.sequence <= sequence)
                rc = range_tombstones_add(set, &range, err);
            if (rc != NX_OK)
                return rc;
        }
    }
    return NX_OK;
}

/* --- the seal --------------------------------------------------------------------------------- */

static struct nx_slice raw_begin(const struct range_tombstones *set, const struct raw_range *raw)
{
    return nx_slice(set->keys.data + raw->begin_at, raw->begin_len);
}

static struct nx_slice raw_end(const struct range_tombstones *set, const struct raw_range *raw)
{
    return nx_slice(set->keys.data + raw->end_at, raw->end_len);
}

/* One end of a range, as the sweep meets it. */
struct edge {
    struct nx_slice key;
    uint64_t sequence;
    bool opens;
};

static int compare_edges(const void *a, const void *b)
{
    const struct edge *left = a, *right = b;

    return nx_slice_compare(left->key, right->key);
}

static void open_range(uint64_t *open, size_t *count, uint64_t sequence)
{
    size_t at = (*count)++;

    for (; at > 0 && open[at - 1] < sequence; at--)
        open[at] = open[at - 1];
    open[at] = sequence;
}

static void close_range(uint64_t *open, size_t *count, uint64_t sequence)
{
    size_t at = 0;

    while (at < *count && open[at] != sequence)
        at++;
    if (at == *count)
        return;
    (*count)--;
    memmove(open + at, open + at + 1, (*count - at) * sizeof *open);
}

/* Write the fragment between two neighbouring edges. Sequences are found by offset until all are
 * there, since their array may still move. */
static bool add_fragment(struct range_tombstones *set, struct nx_slice begin, struct nx_slice end,
                         size_t open_count)
{
    if (!grow((void **)&set->fragments, set->count, &set->cap, sizeof *set->fragments))
        return false;
    set->fragments[set->count++] = (struct range_fragment){.begin = begin, .end = end, .count = 0};
    for (size_t i = 0; i < open_count; i++) {
        if (i > 0 && set->open[i] == set->open[i - 1])
            continue;
        if (!grow((void **)&set->sequences, set->sequence_count, &set->sequence_cap,
                  sizeof *set->sequences))
            return false;
        set->sequences[set->sequence_count++] = set->open[i];
        set->fragments[set->count - 1].count++;
    }
    return true;
}

static bool sweep(struct range_tombstones *set, const struct edge *edges, size_t count)
{
    size_t open_count = 0;

    for (size_t i = 0; i < count;) {
        struct nx_slice key = edges[i].key;

        for (; i < count && nx_slice_equal(edges[i].key, key); i++)
            if (edges[i].opens)
                open_range(set->open, &open_count, edges[i].sequence);
            else
                close_range(set->open, &open_count, edges[i].sequence);
        if (open_count > 0 && !add_fragment(set, key, edges[i].key, open_count))
            return false;
    }
    return true;
}

enum nx_code range_tombstones_seal(struct range_tombstones *set, struct nx_err *err)
{
    size_t n = set->raw_count, at = 0;
    struct edge *edges;
    bool done;

    if (n == 0)
        return NX_OK;
    edges = malloc(2 * n * sizeof *edges);
    set->open = malloc(n * sizeof *set->open);
    if (!edges || !set->open) {
        free(edges);
        return nx_fail_nomem(err);
    }
    for (size_t i = 0; i < n; i++) {
        const struct raw_range *raw = &set->raw[i];

        edges[2 * i] = (struct edge){raw_begin(set, raw), raw->sequence, true};
        edges[2 * i + 1] = (struct edge){raw_end(set, raw), raw->sequence, false};
    }
    qsort(edges, 2 * n, sizeof *edges, compare_edges);
    done = sweep(set, edges, 2 * n);
    free(edges);
    free_raw(set);
    if (!done)
        return nx_fail_nomem(err);
    for (size_t i = 0; i < set->count; i++) {
        set->fragments[i].sequences = set->sequences + at;
        at += set->fragments[i].count;
    }
    return NX_OK;
}

/* --- searching -------------------------------------------------------------------------------- */

size_t range_tombstones_count(const struct range_tombstones *set)
{
    return set ? set->count : 0;
}

size_t range_tombstones_raw_count(const struct range_tombstones *set)
{
    return set->raw_count;
}

const struct range_fragment *range_tombstones_at(const struct range_tombstones *set, size_t i)
{
    return &set->fragments[i];
}

size_t range_tombstones_find(const struct range_tombstones *set, struct nx_slice key)
{
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (nx_slice_compare(set->fragments[middle].end, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint64_t range_fragment_newest(const struct range_fragment *fragment, uint64_t sequence)
{
    for (size_t i = 0; i < fragment->count; i++)
        if (fragment->sequences[i] <= sequence)
            return fragment->sequences[i];
    return 0;
}

uint64_t range_tombstones_cover(const struct range_tombstones *set, struct nx_slice key,
                                uint64_t sequence)
{
    size_t i;

    if (!set || set->count == 0)
        return 0;
    i = range_tombstones_find(set, key);
    if (i == set->count || nx_slice_compare(key, set->fragments[i].begin) < 0)
        return 0;
    return range_fragment_newest(&set->fragments[i], sequence);
}

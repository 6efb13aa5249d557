/* shade.c - intersecting the stretches that each set answers for. */
#include "storage/shade.h"

#include <stdlib.h>

void shade_init(struct shade *shade, uint64_t sequence)
{
    *shade = (struct shade){.sequence = sequence};
}

void shade_fini(struct shade *shade)
{
    free(shade->sets);
    shade->sets = NULL;
}

enum nx_code shade_add(struct shade *shade, const struct range_tombstones *set, struct nx_err *err)
{
    if (range_tombstones_count(set) == 0)
        return NX_OK;
    if (shade->count == shade->cap) {
        size_t cap = shade->cap ? shade->cap * 2 : 4;
        const struct range_tombstones **sets = realloc(shade->sets, cap * sizeof *sets);

        if (!sets)
            return nx_fail_nomem(err);
        shade->sets = sets;
        shade->cap = cap;
    }
    shade->sets[shade->count++] = set;
    return NX_OK;
}

static bool is_in_stretch(const struct shade *shade, struct nx_slice key)
{
    return shade->is_known && nx_slice_compare(shade->from, key) <= 0 &&
           (shade->to.len == 0 || nx_slice_compare(key, shade->to) < 0);
}

static void narrow(struct shade *shade, struct nx_slice from, struct nx_slice to)
{
    if (nx_slice_compare(from, shade->from) > 0)
        shade->from = from;
    if (to.len && (shade->to.len == 0 || nx_slice_compare(to, shade->to) < 0))
        shade->to = to;
}

/* One set's answer for `key`, and for which keys around it that holds. */
static void ask(struct shade *shade, const struct range_tombstones *set, struct nx_slice key)
{
    size_t count = range_tombstones_count(set), i = range_tombstones_find(set, key);
    const struct range_fragment *f = i < count ? range_tombstones_at(set, i) : NULL;
    struct nx_slice before = i > 0 ? range_tombstones_at(set, i - 1)->end : NX_SLICE_NULL;
    uint64_t newest;

    if (!f || nx_slice_compare(key, f->begin) < 0) {
        narrow(shade, before, f ? f->begin : NX_SLICE_NULL);
        return;
    }
    narrow(shade, f->begin, f->end);
    newest = range_fragment_newest(f, shade->sequence);
    shade->newest = newest > shade->newest ? newest : shade->newest;
}

uint64_t shade_over(struct shade *shade, struct nx_slice key)
{
    if (is_in_stretch(shade, key))
        return shade->newest;
    shade->from = shade->to = NX_SLICE_NULL;
    shade->newest = 0;
    for (size_t i = 0; i < shade->count; i++)
        ask(shade, shade->sets[i], key);
    shade->is_known = true;
    return shade->newest;
}

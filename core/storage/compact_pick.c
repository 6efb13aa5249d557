/*
 * compact_pick.c - what to compact next.
 *
 * The last level holds nearly all data; the goal of each level above it is a fanout smaller, down
 * to the first whose goal is still worth a level (the base), where level 0 goes. So a small
 * database has two levels, and what is overwritten but not yet merged away stays a tenth of the
 * whole. A level is due when it exceeds its goal, level 0 when it has four tables: each of those
 * costs every read a look.
 */
#include <stdlib.h>

#include "storage/compact.h"

#define BOTTOM (NX_LEVELS - 1)
#define LEVEL0_TABLES 4 /* level 0 is due */
#define BASE_TABLES 4   /* the least goal of a level, in tables */
#define CANDIDATES 16   /* tables whose overlap is compared */
#define MOVE_PART 4     /* a table under table_bytes / this is merged, not moved: no dust */

struct goals {
    unsigned base;
    double bytes[NX_LEVELS];
};

static void set_goals(const struct levels *levels, uint64_t table_bytes, uint32_t fanout,
                      struct goals *out)
{
    double least = (double)table_bytes * BASE_TABLES;
    double bytes = (double)levels->level[BOTTOM].bytes;
    unsigned top = BOTTOM; /* of those with tables */

    for (unsigned l = BOTTOM; l-- > 1;)
        if (levels->level[l].count)
            top = l;
    out->base = BOTTOM;
    for (unsigned l = BOTTOM; l > 0; l--, bytes /= fanout) {
        out->bytes[l] = bytes > least ? bytes : least;
        if (bytes >= least || l >= top)
            out->base = l;
    }
}

/* How full a level is, 1.0 being due. The last one never is. */
static double fullness(const struct levels *levels, const struct goals *goals, unsigned l)
{
    if (l == 0)
        return (double)levels->level[0].count / LEVEL0_TABLES;
    if (l == BOTTOM)
        return 0;
    return (double)levels->level[l].bytes / goals->bytes[l];
}

static unsigned fullest(const struct levels *levels, const struct goals *goals, double *out)
{
    unsigned found = 0;

    *out = 0;
    for (unsigned l = 0; l < NX_LEVELS; l++) {
        double full = fullness(levels, goals, l);

        if (full > *out) {
            *out = full;
            found = l;
        }
    }
    return found;
}

double compact_pressure(const struct levels *levels, uint64_t table_bytes, uint32_t fanout)
{
    struct goals goals;
    double full;

    set_goals(levels, table_bytes, fanout, &goals);
    fullest(levels, &goals, &full);
    return full;
}

/* --- a job's inputs --------------------------------------------------------------------------- */

void compaction_fini(struct compaction *job)
{
    free(job->inputs);
    *job = (struct compaction){0};
}

/* What [begin, end] touches of a sorted level: `*count` tables from the returned index. */
static size_t overlap(const struct level *level, struct nx_slice begin, struct nx_slice end,
                      size_t *count)
{
    size_t first = begin.len ? level_find(level, begin) : 0, at = first;

    while (at < level->count && table_overlaps(level->tables[at], begin, end))
        at++;
    *count = at - first;
    return first;
}

static void span(struct table *const *tables, size_t count, struct nx_slice *begin,
                 struct nx_slice *end)
{
    *begin = table_props(tables[0])->smallest;
    *end = table_props(tables[0])->largest;
    for (size_t i = 1; i < count; i++) {
        const struct table_props *p = table_props(tables[i]);

        if (nx_slice_compare(p->smallest, *begin) < 0)
            *begin = p->smallest;
        if (nx_slice_compare(p->largest, *end) > 0)
            *end = p->largest;
    }
}

static bool are_disjoint(struct table *const *tables, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 1; k < count; k++) {
            const struct table_props *p = table_props(tables[k]);

            if (table_overlaps(tables[i], p->smallest, p->largest))
                return false;
        }
    return true;
}

/* Tables may just change their level when they meet nothing there, are not dust, and have no
 * deletions that a rewrite could drop. */
static bool may_move(const struct compaction *job, uint64_t table_bytes)
{
    if (job->count != job->from_count)
        return false;
    if (job->from == 0 && !are_disjoint(job->inputs, job->count))
        return false;
    for (size_t i = 0; i < job->count; i++) {
        const struct table_props *p = table_props(job->inputs[i]);

        if (p->deletes || p->ranges || p->file_bytes < table_bytes / MOVE_PART)
            return false;
    }
    return true;
}

/* A job of `count` tables of level `from`, in that level's order, and all they overlap in `to`. */
static bool make_job(const struct levels *levels, unsigned from, struct table *const *tables,
                     size_t count, unsigned to, uint64_t table_bytes, struct compaction *out)
{
    const struct level *target = &levels->level[to];
    struct nx_slice begin, end;
    size_t first, overlapped;

    span(tables, count, &begin, &end);
    first = overlap(target, begin, end, &overlapped);
    *out = (struct compaction){.from = from, .to = to, .from_count = count};
    out->inputs = malloc((count + overlapped) * sizeof(struct table *));
    if (!out->inputs)
        return false; /* it is asked again later */
    for (size_t i = 0; i < count; i++)
        out->inputs[out->count++] = tables[i];
    for (size_t i = 0; i < overlapped; i++)
        out->inputs[out->count++] = target->tables[first + i];
    out->is_move = may_move(out, table_bytes);
    return true;
}

/* --- choosing --------------------------------------------------------------------------------- */

static uint64_t overlapped_bytes(const struct level *below, const struct table *table)
{
    const struct table_props *p = table_props(table);
    size_t count, first = overlap(below, p->smallest, p->largest, &count);
    uint64_t bytes = 0;

    for (size_t i = 0; i < count; i++)
        bytes += table_props(below->tables[first + i])->file_bytes;
    return bytes;
}

/* Of the next tables after where the level's last compaction ended, the one that rewrites least
 * below for its size. So every table has its turn, and cheap ones go first. */
static size_t choose_table(const struct level *level, const struct level *below,
                           struct nx_slice cursor)
{
    size_t start = 0, best = 0;
    double least = 0;

    while (start < level->count && cursor.len &&
           nx_slice_compare(table_props(level->tables[start])->smallest, cursor) <= 0)
        start++;
    for (size_t n = 0; n < level->count && n < CANDIDATES; n++) {
        size_t i = (start + n) % level->count;
        double cost = (double)overlapped_bytes(below, level->tables[i]) /
                      (double)table_props(level->tables[i])->file_bytes;

        if (n == 0 || cost < least) {
            best = i;
            least = cost;
        }
    }
    return best;
}

bool compact_pick(const struct levels *levels, uint64_t table_bytes, uint32_t fanout,
                  struct nx_buf *cursor, struct compaction *out)
{
    const struct level *level;
    struct nx_slice smallest;
    struct goals goals;
    double full;
    unsigned from;
    size_t i;

    *out = (struct compaction){0};
    set_goals(levels, table_bytes, fanout, &goals);
    from = fullest(levels, &goals, &full);
    level = &levels->level[from];
    if (full < 1)
        return false;
    if (from == 0)
        return make_job(levels, 0, level->tables, level->count, goals.base, table_bytes, out);
    i = choose_table(level, &levels->level[from + 1], nx_buf_slice(&cursor[from]));
    smallest = table_props(level->tables[i])->smallest;
    nx_buf_clear(&cursor[from]);
    nx_buf_append(&cursor[from], smallest.data, smallest.len); /* failing starts from the front */
    return make_job(levels, from, level->tables + i, 1, from + 1, table_bytes, out);
}

/* The level below that holds anything, or the last. */
static unsigned next_level(const struct levels *levels, unsigned l)
{
    unsigned to = l + 1;

    while (to < BOTTOM && levels->level[to].count == 0)
        to++;
    return to;
}

static uint64_t deletions(const struct table *table)
{
    const struct table_props *p = table_props(table);

    return p->deletes + p->ranges;
}

bool compact_pick_deletions(const struct levels *levels, struct compaction *out)
{
    *out = (struct compaction){0};
    for (unsigned l = 0; l < BOTTOM; l++) {
        const struct level *level = &levels->level[l];
        size_t most = 0;

        for (size_t i = 1; i < level->count; i++)
            if (deletions(level->tables[i]) > deletions(level->tables[most]))
                most = i;
        if (level->count == 0 || deletions(level->tables[most]) == 0)
            continue;
        if (l == 0)
            return make_job(levels, 0, level->tables, level->count, next_level(levels, 0), 0, out);
        return make_job(levels, l, level->tables + most, 1, next_level(levels, l), 0, out);
    }
    return false;
}

static bool has_above(const struct levels *levels, unsigned l, const struct table *table)
{
    const struct table_props *p = table_props(table);

    for (unsigned above = 0; above < l; above++) {
        const struct level *level = &levels->level[above];
        size_t first = above ? level_find(level, p->smallest) : 0;
        size_t end = above && first < level->count ? first + 1 : level->count;

        for (size_t i = first; i < end; i++)
            if (table_overlaps(level->tables[i], p->smallest, p->largest))
                return true;
    }
    return false;
}

bool compact_pick_purge(const struct levels *levels, uint64_t before, struct compaction *out)
{
    *out = (struct compaction){0};
    for (unsigned l = BOTTOM; l > 0; l--) {
        const struct level *level = &levels->level[l];

        for (size_t i = 0; i < level->count; i++) {
            if (table_props(level->tables[i])->number >= before ||
                !has_above(levels, l, level->tables[i]))
                continue;
            *out = (struct compaction){.from = l, .to = l, .from_count = 1, .is_purge = true};
            out->inputs = malloc(sizeof(struct table *));
            if (!out->inputs)
                return false; /* it is asked again later */
            out->inputs[out->count++] = level->tables[i];
            return true;
        }
    }
    return false;
}

bool compact_pick_range(const struct levels *levels, struct nx_slice begin, struct nx_slice end,
                        struct compaction *out)
{
    *out = (struct compaction){0};
    for (unsigned l = 0; l < BOTTOM; l++) {
        const struct level *level = &levels->level[l];
        size_t first = 0, count = level->count;

        if (l > 0)
            first = overlap(level, begin, end, &count);
        if (count == 0)
            continue;
        return make_job(levels, l, level->tables + first, count, next_level(levels, l), 0, out);
    }
    return false;
}

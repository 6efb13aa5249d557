/*
 * compact_pick.c - what to compact next.
 *
 * The last level holds nearly all data; the goal of each level above it is a fanout smaller, down
 * to the first whose goal is still worth a level: the base. So a small database has two levels, and
 * what is overwritten but not yet merged away stays a tenth of the whole.
 *
 * The levels between level 0 and the base are tiers: each takes all of level 0, once, as one sorted
 * run, and nothing there is rewritten until all tiers are merged into the base together. A merge
 * into a large base costs what the base holds, so it should carry much: while writers are faster
 * than it, tiers gather for the next one, and the faster they are the less each change costs.
 *
 *     level 0  ->  the lowest tier with none at or above it  ->  base  ->  ...  ->  last
 *     level 0  ->  base                                          when little is rewritten for it
 *
 * Level 0 is due when it has LEVEL0_TABLES: each of those costs every read a look.
 */
#include <stdlib.h>

#include "storage/compact.h"

#define BOTTOM (NX_LEVELS - 1)
#define LEVEL0_TABLES 4      /* level 0 is due */
#define LEVEL0_TABLES_AMID 8 /* and amid another compaction, which has its tiers to fill */
#define BASE_TABLES 16       /* the least goal of a level, in tables */
#define CANDIDATES 16        /* tables whose overlap is compared */
#define MOVE_PART 4          /* a table under table_bytes / this is merged, not moved: no dust */
#define DIRECT_REWRITE 2     /* level 0 skips the tiers when it rewrites so much for each byte */
#define TIERS_PART 8         /* the tiers are due at this part of the base */
#define HURRY 2.0            /* a level so far above its goal is due before the tiers */

struct goals {
    unsigned base;
    double bytes[NX_LEVELS];
};

static void set_goals(const struct levels *levels, uint64_t table_bytes, uint32_t fanout,
                      struct goals *out)
{
    double least = (double)table_bytes * BASE_TABLES;
    double bytes = (double)levels->level[BOTTOM].bytes;

    out->base = BOTTOM;
    for (unsigned l = BOTTOM; l > 0; l--, bytes /= fanout) {
        out->bytes[l] = bytes > least ? bytes : least;
        if (bytes >= least)
            out->base = l;
    }
}

/* How full a level from the base down is, 1.0 being due. The last one never is. */
static double fullness(const struct levels *levels, const struct goals *goals, unsigned l)
{
    return l == BOTTOM ? 0 : (double)levels->level[l].bytes / goals->bytes[l];
}

static unsigned fullest(const struct levels *levels, const struct goals *goals, double *out)
{
    unsigned found = goals->base;

    *out = 0;
    for (unsigned l = goals->base; l < NX_LEVELS; l++) {
        double full = fullness(levels, goals, l);

        if (full > *out) {
            *out = full;
            found = l;
        }
    }
    return found;
}

/* Due while there is still a tier for what level 0 gathers meanwhile. */
static bool tiers_are_due(const struct levels *levels, const struct goals *goals)
{
    uint64_t bytes = 0;
    unsigned used = 0;

    for (unsigned l = 1; l < goals->base; l++) {
        bytes += levels->level[l].bytes;
        used += levels->level[l].count > 0;
    }
    return used > 0 &&
           (used + 2 >= goals->base || bytes >= levels->level[goals->base].bytes / TIERS_PART);
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

/* Tables may just change their level when they meet nothing on the way, are not dust, and have no
 * deletions that a rewrite could drop. */
static bool may_move(const struct compaction *job, uint64_t table_bytes)
{
    if (job->count != job->counts[job->from])
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

static bool add_inputs(struct compaction *job, unsigned l, struct table *const *tables,
                       size_t count)
{
    struct table **inputs = realloc(job->inputs, (job->count + count + 1) * sizeof(struct table *));

    if (!inputs)
        return false;
    job->inputs = inputs;
    for (size_t i = 0; i < count; i++)
        inputs[job->count++] = tables[i];
    job->counts[l] += count;
    return true;
}

/*
 * A job of `count` tables of level `from`, in that level's order. From each level on the way, and
 * from `to`, it takes what those above it overlap: so nothing is left that is older than what it
 * brings down. False when memory ran out: it is asked for again later.
 */
static bool make_job(const struct levels *levels, unsigned from, struct table *const *tables,
                     size_t count, unsigned to, uint64_t table_bytes, struct compaction *out)
{
    bool ok;

    *out = (struct compaction){.from = from, .to = to};
    ok = add_inputs(out, from, tables, count);
    for (unsigned l = from + 1; l <= to && ok; l++) {
        struct nx_slice begin, end;
        size_t first, overlapped;

        span(out->inputs, out->count, &begin, &end);
        first = overlap(&levels->level[l], begin, end, &overlapped);
        if (overlapped > 0)
            ok = add_inputs(out, l, levels->level[l].tables + first, overlapped);
    }
    if (!ok)
        compaction_fini(out);
    else
        out->is_move = may_move(out, table_bytes);
    return ok;
}

/* --- level 0 and the tiers -------------------------------------------------------------------- */

/* The lowest tier above `end` that has nothing in it nor above it; 0: none. */
static unsigned free_tier(const struct levels *levels, unsigned end)
{
    unsigned l = 0;

    while (l + 1 < end && levels->level[l + 1].count == 0)
        l++;
    return l;
}

/* Is the tables' own size most of what the job rewrites? */
static bool is_cheap(const struct compaction *job)
{
    uint64_t own = 0, all = 0;

    for (size_t i = 0; i < job->count; i++) {
        all += table_props(job->inputs[i])->file_bytes;
        if (i + 1 == job->counts[job->from])
            own = all;
    }
    return all - own <= own * DIRECT_REWRITE;
}

static bool pick_level0(const struct levels *levels, const struct goals *goals,
                        uint64_t table_bytes, struct compaction *out)
{
    const struct level *level = &levels->level[0];
    unsigned tier = free_tier(levels, goals->base);

    if (level->count < LEVEL0_TABLES)
        return false;
    if (tier + 1 == goals->base) { /* no tier holds anything */
        if (!make_job(levels, 0, level->tables, level->count, goals->base, table_bytes, out))
            return false;
        if (tier == 0 || is_cheap(out))
            return true;
        compaction_fini(out);
    }
    return tier > 0 && make_job(levels, 0, level->tables, level->count, tier, table_bytes, out);
}

bool compact_pick_amid(const struct levels *levels, uint64_t table_bytes, uint32_t fanout,
                       unsigned above, struct compaction *out)
{
    const struct level *level = &levels->level[0];
    struct goals goals;
    unsigned tier;

    *out = (struct compaction){0};
    if (level->count < LEVEL0_TABLES_AMID)
        return false;
    set_goals(levels, table_bytes, fanout, &goals);
    tier = free_tier(levels, above < goals.base ? above : goals.base);
    return tier > 0 && make_job(levels, 0, level->tables, level->count, tier, table_bytes, out);
}

/* The tiers close ranks when those below have gone, so that there is room above them. */
static bool pick_slide(const struct levels *levels, const struct goals *goals,
                       struct compaction *out)
{
    unsigned from = goals->base;

    while (from > 1 && levels->level[from - 1].count > 0)
        from--;
    for (unsigned to = from - 1; from-- > 1;) {
        const struct level *level = &levels->level[from];

        if (level->count == 0)
            continue;
        if (!make_job(levels, from, level->tables, level->count, to, 0, out))
            return false;
        out->is_move = true;
        return true;
    }
    return false;
}

static bool pick_tiers(const struct levels *levels, const struct goals *goals, uint64_t table_bytes,
                       struct compaction *out)
{
    const struct level *level;
    unsigned from = 1;

    while (levels->level[from].count == 0)
        from++;
    level = &levels->level[from];
    if (!make_job(levels, from, level->tables, level->count, goals->base, table_bytes, out))
        return false;
    out->is_drain = true;
    return true;
}

/* --- from the base down ----------------------------------------------------------------------- */

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

static bool pick_table(const struct levels *levels, unsigned from, uint64_t table_bytes,
                       struct nx_buf *cursor, struct compaction *out)
{
    const struct level *level = &levels->level[from];
    size_t i = choose_table(level, &levels->level[from + 1], nx_buf_slice(cursor));
    struct nx_slice smallest = table_props(level->tables[i])->smallest;

    nx_buf_clear(cursor);
    nx_buf_append(cursor, smallest.data, smallest.len); /* failing starts from the front */
    return make_job(levels, from, level->tables + i, 1, from + 1, table_bytes, out);
}

bool compact_pick(const struct levels *levels, uint64_t table_bytes, uint32_t fanout,
                  struct nx_buf *cursor, struct compaction *out)
{
    struct goals goals;
    double full;
    unsigned from;

    *out = (struct compaction){0};
    set_goals(levels, table_bytes, fanout, &goals);
    if (pick_level0(levels, &goals, table_bytes, out) || pick_slide(levels, &goals, out))
        return true;
    from = fullest(levels, &goals, &full);
    if (full < HURRY && tiers_are_due(levels, &goals))
        return pick_tiers(levels, &goals, table_bytes, out);
    return full >= 1 && pick_table(levels, from, table_bytes, &cursor[from], out);
}

/* --- on request ------------------------------------------------------------------------------- */

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

size_t compact_purge_count(const struct levels *levels)
{
    size_t count = 0;

    for (unsigned l = BOTTOM; l > 0; l--)
        count += levels->level[l].count;
    return count;
}

bool compact_pick_purge(const struct levels *levels, size_t i, struct compaction *out)
{
    unsigned l = BOTTOM;
    struct table *table;

    for (; i >= levels->level[l].count; l--)
        i -= levels->level[l].count;
    table = levels->level[l].tables[i];
    *out = (struct compaction){.from = l, .to = l, .is_purge = true};
    if (!has_above(levels, l, table))
        return false;
    out->inputs = malloc(sizeof *out->inputs);
    if (!out->inputs)
        return false; /* it is asked again later */
    out->inputs[out->count++] = table;
    out->counts[l] = 1;
    return true;
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
        return make_job(levels, l, level->tables + first, count,
                        l == 0 ? next_level(levels, 0) : BOTTOM, 0, out);
    }
    return false;
}

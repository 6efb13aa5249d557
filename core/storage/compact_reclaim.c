/*
 * compact_reclaim.c - space that no reader can see the use of: whole tables under a range
 * tombstone, and what was only kept for a snapshot that is gone.
 *
 * Neither is urgent, and ordinary compaction would come by it: but in a database at rest, or in a
 * collection that was dropped, it never does.
 */
#include <stdlib.h>

#include "storage/compact.h"
#include "storage/range_tombstones.h"

#define BOTTOM (NX_LEVELS - 1)
#define WORTH_PART 8 /* of a table's entries: with less to win it is left alone */

/* Does a snapshot see something of [least, below)? */
static bool has_snapshot(const struct compact_reclaim *r, uint64_t least, uint64_t below)
{
    for (size_t i = 0; i < r->snapshot_count; i++)
        if (r->snapshots[i] >= least && r->snapshots[i] < below)
            return true;
    return false;
}

/* --- whole tables ------------------------------------------------------------------------------
 */

static enum nx_code collect_ranges(const struct levels *levels, struct range_tombstones *out,
                                   struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    for (unsigned l = 0; l < NX_LEVELS; l++)
        for (size_t i = 0; i < levels->level[l].count && rc == NX_OK; i++) {
            const struct range_tombstones *ranges =
                table_range_tombstones(levels->level[l].tables[i]);

            if (ranges)
                rc = range_tombstones_add_all(out, ranges, NX_SLICE_NULL, NX_SLICE_NULL,
                                              SEQUENCE_MAX, err);
        }
    return rc == NX_OK ? range_tombstones_seal(out, err) : rc;
}

/* A tombstone of the fragment hides all of the table from everybody who can read. */
static bool hides(const struct compact_reclaim *r, const struct range_fragment *f,
                  const struct table_props *p)
{
    size_t i = f->count;

    while (i > 0 && f->sequences[i - 1] <= p->max_sequence)
        i--;
    return i > 0 && !has_snapshot(r, p->min_sequence, f->sequences[i - 1]);
}

/* The fragments that hide it follow each other without a gap, from its first key past its last. */
static bool is_dead(const struct compact_reclaim *r, const struct range_tombstones *ranges,
                    const struct table *table)
{
    const struct table_props *p = table_props(table);
    struct nx_slice covered_to = p->smallest;

    for (size_t i = range_tombstones_find(ranges, p->smallest); i < range_tombstones_count(ranges);
         i++) {
        const struct range_fragment *f = range_tombstones_at(ranges, i);

        if (nx_slice_compare(f->begin, covered_to) > 0 || !hides(r, f, p))
            return false;
        covered_to = f->end;
        if (table_ends_before(table, covered_to))
            return true;
    }
    return false;
}

enum nx_code compact_find_dead(const struct levels *levels, const struct compact_reclaim *r,
                               struct compaction *out, struct nx_err *err)
{
    struct range_tombstones *ranges = range_tombstones_new();
    size_t all = 0;
    enum nx_code rc = ranges ? collect_ranges(levels, ranges, err) : nx_fail_nomem(err);

    *out = (struct compaction){0};
    for (unsigned l = 0; l < NX_LEVELS; l++)
        all += levels->level[l].count;
    if (rc == NX_OK && range_tombstones_count(ranges) > 0) {
        out->inputs = malloc((all + 1) * sizeof(struct table *));
        rc = out->inputs ? NX_OK : nx_fail_nomem(err);
    }
    for (unsigned l = 0; out->inputs && l < NX_LEVELS; l++)
        for (size_t i = 0; i < levels->level[l].count; i++)
            if (is_dead(r, ranges, levels->level[l].tables[i]))
                out->inputs[out->count++] = levels->level[l].tables[i];
    range_tombstones_free(ranges);
    return rc;
}

/* --- what snapshots left -----------------------------------------------------------------------
 */

/* A rewrite by today's snapshots leaves nothing out of place: so it is asked for once. */
static bool is_settled_by_rewrite(const struct compact_reclaim *r, const struct table *table)
{
    const struct table_props *p = table_props(table);
    uint64_t extra = p->entries - table_keys(table);

    if (p->ranges > 0 || p->deletes * WORTH_PART >= p->entries + 1)
        return !has_snapshot(r, 0, p->max_sequence);
    return extra > 0 && extra * WORTH_PART >= p->entries &&
           !has_snapshot(r, p->min_sequence, p->max_sequence);
}

/* Written while the dropped snapshot was there, with something that may have been kept for it. */
static bool held_for_dropped(const struct compact_reclaim *r, unsigned level,
                             const struct table *table)
{
    const struct table_props *p = table_props(table);
    bool has_extra =
        p->entries > table_keys(table) || p->ranges > 0 || (level == BOTTOM && p->deletes > 0);

    return has_extra && p->number < r->dropped_before && p->min_sequence <= r->dropped_greatest &&
           p->max_sequence > r->dropped_least;
}

bool compact_pick_reclaim(const struct levels *levels, const struct compact_reclaim *r,
                          struct compaction *out)
{
    *out = (struct compaction){0};
    for (unsigned l = BOTTOM; l > 0; l--)
        for (size_t i = 0; i < levels->level[l].count; i++) {
            struct table *table = levels->level[l].tables[i];

            if (!held_for_dropped(r, l, table) && !(l == BOTTOM && is_settled_by_rewrite(r, table)))
                continue;
            out->inputs = malloc(sizeof(struct table *));
            if (!out->inputs)
                return false;
            out->inputs[0] = table;
            out->count = out->counts[l] = 1;
            out->from = out->to = l;
            return true;
        }
    return false;
}

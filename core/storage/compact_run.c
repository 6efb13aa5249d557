/*
 * compact_run.c - merging memtables or tables into new tables, leaving out what nobody can see.
 *
 * The live snapshots cut the sequences into strips: two versions of a key in one strip are seen by
 * the same snapshots, so only the newer is kept. The oldest strip, up to the first snapshot, is
 * what every reader sees: there, and where no lower level has the key, a deletion has nothing left
 * to hide.
 *
 * C1  Outputs and their directory entries are durable before the job returns.
 * C2  An entry is left out only when a newer version, deletion or range tombstone of the same
 *     strip hides it.
 * C3  A deletion or range tombstone is left out only in the oldest strip, and only when no level
 *     below the output's has anything in its keys.
 * C4  A sequence becomes 0 only under the conditions of C3 and where no range tombstone is over the
 *     key: a kept one would be newer than 0 and hide it.
 * C5  All versions of a key go into one table.
 *
 * A purge rewrites one table in its place. What lies above it is read for C2 and stays where it is:
 * nothing but the table's own entries and ranges goes into the output.
 */
#include <stdlib.h>

#include "storage/compact_output.h"
#include "storage/merge.h"
#include "storage/mutation.h"

#define PAUSE_EVERY 1024 /* entries */

struct rewrite {
    const struct compact_env *env;
    const struct levels *below;    /* NULL: nothing may be assumed of the levels below */
    unsigned to;                   /* the output's level */
    bool nothing_below;            /* no lower level reaches into the inputs' keys at all */
    struct range_tombstones *all;  /* owned: of all inputs */
    struct range_tombstones *kept; /* owned: those that go into the outputs */
    struct range_tombstones *over; /* owned: a purge's, of the levels above */
    struct source *above;          /* owned: likewise, their entries; else NULL */
    struct compact_output output;
    struct nx_buf last_key;
    size_t last_strip; /* of the entry before, of the same key */
    bool has_last;
    bool counts;                       /* only these; nothing is written */
    uint64_t kept_bytes, hidden_bytes; /* keys and values */
};

static enum nx_code rewrite_init(struct rewrite *r, const struct compact_env *env, unsigned to,
                                 uint64_t max_bytes, struct nx_err *err)
{
    *r = (struct rewrite){.env = env, .to = to};
    r->all = range_tombstones_new();
    r->kept = range_tombstones_new();
    r->over = range_tombstones_new();
    compact_output_init(&r->output, env, r->kept, to, max_bytes);
    return r->all && r->kept && r->over ? NX_OK : nx_fail_nomem(err);
}

static void rewrite_fini(struct rewrite *r)
{
    compact_output_fini(&r->output);
    range_tombstones_free(r->all);
    range_tombstones_free(r->kept);
    range_tombstones_free(r->over);
    source_close(r->above);
    nx_buf_fini(&r->last_key);
}

/* Index of the first snapshot that sees `sequence`; the count for what only new readers see. */
static size_t strip_of(const struct rewrite *r, uint64_t sequence)
{
    size_t low = 0, high = r->env->snapshot_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (r->env->snapshots[middle] < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The newest sequence of a strip. */
static uint64_t strip_end(const struct rewrite *r, size_t strip)
{
    return strip < r->env->snapshot_count ? r->env->snapshots[strip] : SEQUENCE_MAX;
}

/* --- what lies below -------------------------------------------------------------------------- */

/* Does a level below reach into [begin, end]? */
static bool has_below(const struct rewrite *r, struct nx_slice begin, struct nx_slice end)
{
    if (r->nothing_below)
        return false;
    if (!r->below)
        return true;
    for (unsigned l = r->to + 1; l < NX_LEVELS; l++) {
        const struct level *level = &r->below->level[l];
        size_t i = level_find(level, begin);

        if (i < level->count && table_overlaps(level->tables[i], begin, end))
            return true;
    }
    return false;
}

/* --- range tombstones ------------------------------------------------------------------------- */

/* Of each fragment keep the newest sequence of a strip (C2), and not what has nothing to hide (C3).
 */
static enum nx_code choose_ranges(struct rewrite *r, struct nx_err *err)
{
    enum nx_code rc = range_tombstones_seal(r->all, err);

    for (size_t i = 0; i < range_tombstones_count(r->all) && rc == NX_OK; i++) {
        const struct range_fragment *f = range_tombstones_at(r->all, i);
        struct range_tombstone range = {.begin = f->begin, .end = f->end};
        size_t last_strip = SIZE_MAX;

        for (size_t s = 0; s < f->count && rc == NX_OK; s++) {
            size_t strip = strip_of(r, f->sequences[s]);
            bool is_needed = strip != last_strip && (strip > 0 || has_below(r, f->begin, f->end));

            last_strip = strip;
            range.sequence = f->sequences[s];
            if (is_needed)
                rc = range_tombstones_add(r->kept, &range, err);
        }
    }
    return rc == NX_OK ? range_tombstones_seal(r->kept, err) : rc;
}

/* --- entries ---------------------------------------------------------------------------------- */

static bool is_same_key(const struct rewrite *r, struct nx_slice key)
{
    return r->has_last && nx_slice_equal(nx_buf_slice(&r->last_key), key);
}

/* The newest range tombstone over `key` that a strip can see. */
static uint64_t range_over(const struct rewrite *r, struct nx_slice key, size_t strip)
{
    uint64_t end = strip_end(r, strip), own = 0, over = 0;

    if (range_tombstones_count(r->all) > 0)
        own = range_tombstones_cover(r->all, key, end);
    if (range_tombstones_count(r->over) > 0)
        over = range_tombstones_cover(r->over, key, end);
    return own > over ? own : over;
}

/* C2 and C3. */
static bool is_hidden(const struct rewrite *r, const struct entry *e, bool same_key, size_t strip)
{
    if (same_key && strip == r->last_strip)
        return true;
    if (range_over(r, e->key, strip) > e->sequence)
        return true;
    return e->kind == ENTRY_DELETE && strip == 0 &&
           (!has_below(r, e->key, e->key) || engine_mutated(DROP_TOMBSTONE_EARLY));
}

/* C4: sequences that all readers see cost space and say nothing. */
static bool may_forget_sequence(const struct rewrite *r, const struct entry *e, size_t strip)
{
    return strip == 0 && r->nothing_below && e->kind == ENTRY_PUT &&
           range_tombstones_cover(r->kept, e->key, SEQUENCE_MAX) == 0;
}

static enum nx_code start_key(struct rewrite *r, struct nx_slice key, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    if (compact_output_is_full(&r->output))
        rc = compact_output_cut(&r->output, key, err); /* C5 */
    if (rc != NX_OK)
        return rc;
    nx_buf_clear(&r->last_key);
    r->has_last = true;
    return nx_buf_append(&r->last_key, key.data, key.len) == NX_OK ? NX_OK : nx_fail_nomem(err);
}

/* Is the key above too? Then its oldest version there is the one before ours. */
static bool meet_above(struct rewrite *r, struct nx_slice key)
{
    struct source *above = r->above;
    bool met = false;

    while (above->valid && nx_slice_compare(above->entry.key, key) < 0)
        above->ops->next(above);
    for (; above->valid && nx_slice_equal(above->entry.key, key); above->ops->next(above)) {
        r->last_strip = strip_of(r, above->entry.sequence);
        met = true;
    }
    return met;
}

static enum nx_code consider(struct rewrite *r, const struct entry *entry, struct nx_err *err)
{
    bool same_key = is_same_key(r, entry->key), hidden;
    size_t strip = strip_of(r, entry->sequence);
    struct entry kept = *entry;
    enum nx_code rc = NX_OK;

    if (!same_key) {
        rc = start_key(r, entry->key, err);
        same_key = r->above && meet_above(r, entry->key);
    }
    hidden = is_hidden(r, entry, same_key, strip);
    r->last_strip = strip;
    *(hidden ? &r->hidden_bytes : &r->kept_bytes) += entry->key.len + entry->value.len;
    if (rc != NX_OK || hidden || r->counts)
        return rc;
    if (may_forget_sequence(r, entry, strip))
        kept.sequence = 0;
    return compact_output_put(&r->output, &kept, err);
}

static enum nx_code merge_all(struct rewrite *r, struct source *in, struct nx_err *err)
{
    uint64_t seen = 0;
    enum nx_code rc = NX_OK;

    for (in->ops->first(in); in->valid && rc == NX_OK; in->ops->next(in)) {
        if (seen++ % PAUSE_EVERY == 0 && r->env->pause)
            rc = r->env->pause(r->env->arg, err);
        if (rc == NX_OK)
            rc = consider(r, &in->entry, err);
    }
    if (rc == NX_OK)
        rc = in->failed;
    return rc == NX_OK && r->above ? r->above->failed : rc;
}

/* With all inputs' ranges in r->all: merge the sources (taken) and hand the outputs over. */
static enum nx_code rewrite_run(struct rewrite *r, struct source **sources, size_t count,
                                struct compact_result *out, struct nx_err *err)
{
    struct source *in;
    enum nx_code rc = merge_open(sources, count, &in, err);

    if (rc != NX_OK)
        return rc;
    rc = choose_ranges(r, err);
    if (rc == NX_OK)
        rc = merge_all(r, in, err);
    source_close(in);
    if (rc == NX_OK && !r->counts)
        rc = compact_output_finish(&r->output, out, err);
    return rc;
}

static void close_sources(struct source **sources, size_t count)
{
    for (size_t i = 0; i < count; i++)
        source_close(sources[i]);
}

/* --- flush ------------------------------------------------------------------------------------ */

enum nx_code flush_run(const struct compact_env *env, struct memtable *const *memtables,
                       size_t count, struct compact_result *out, struct nx_err *err)
{
    struct source **sources = calloc(count ? count : 1, sizeof(struct source *));
    struct rewrite r;
    size_t opened = 0;
    enum nx_code rc;

    *out = (struct compact_result){0};
    if (!sources)
        return nx_fail_nomem(err);
    rc = rewrite_init(&r, env, 0, UINT64_MAX, err); /* one table: level 0 is ordered by age */
    for (; opened < count && rc == NX_OK; opened += rc == NX_OK) {
        rc = memtable_range_tombstones(memtables[opened], SEQUENCE_MAX, r.all, err);
        if (rc == NX_OK)
            rc = memtable_source(memtables[opened], SEQUENCE_ALL, &sources[opened], err);
    }
    if (rc == NX_OK)
        rc = rewrite_run(&r, sources, count, out, err);
    else
        close_sources(sources, opened);
    rewrite_fini(&r);
    free(sources);
    return rc;
}

/* --- compaction ------------------------------------------------------------------------------- */

static bool reaches_below(const struct levels *levels, const struct compaction *job)
{
    for (unsigned l = job->to + 1; l < NX_LEVELS; l++)
        for (size_t i = 0; i < job->count; i++) {
            const struct table_props *p = table_props(job->inputs[i]);
            const struct level *level = &levels->level[l];
            size_t at = level_find(level, p->smallest);

            if (at < level->count && table_overlaps(level->tables[at], p->smallest, p->largest))
                return true;
        }
    return false;
}

/* The tables of a sorted level are one source, those of level 0 one each. */
static enum nx_code open_inputs(const struct compaction *job, struct level runs[NX_LEVELS],
                                struct source **sources, size_t *count, struct nx_err *err)
{
    size_t at = job->counts[0];
    enum nx_code rc = NX_OK;

    *count = 0;
    for (; *count < at && rc == NX_OK; *count += rc == NX_OK)
        rc = table_source(job->inputs[*count], SEQUENCE_ALL, CACHE_SKIP, &sources[*count], err);
    for (unsigned l = 1; l < NX_LEVELS && rc == NX_OK; l++) {
        runs[l] = (struct level){.tables = job->inputs + at, .count = job->counts[l]};
        at += job->counts[l];
        if (runs[l].count == 0)
            continue;
        rc = level_source(&runs[l], SEQUENCE_ALL, CACHE_SKIP, &sources[*count], err);
        *count += rc == NX_OK;
    }
    return rc;
}

static enum nx_code collect_ranges(struct rewrite *r, const struct compaction *job,
                                   uint64_t *read_bytes, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < job->count && rc == NX_OK; i++) {
        const struct range_tombstones *ranges = table_range_tombstones(job->inputs[i]);

        *read_bytes += table_props(job->inputs[i])->file_bytes;
        if (ranges)
            rc = range_tombstones_add_all(r->all, ranges, NX_SLICE_NULL, NX_SLICE_NULL,
                                          SEQUENCE_MAX, err);
    }
    return rc;
}

/* --- what lies above a purge ------------------------------------------------------------------ */

static enum nx_code add_over(struct rewrite *r, const struct table *table, struct nx_err *err)
{
    const struct range_tombstones *ranges = table_range_tombstones(table);

    return ranges ? range_tombstones_add_all(r->over, ranges, NX_SLICE_NULL, NX_SLICE_NULL,
                                             SEQUENCE_MAX, err)
                  : NX_OK;
}

/* The tables of level 0 one each, other levels as a whole; ranges from all of them. */
static enum nx_code open_level_above(struct rewrite *r, const struct level *level, bool is_sorted,
                                     struct source **sources, size_t *count, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < level->count && rc == NX_OK; i++) {
        rc = add_over(r, level->tables[i], err);
        if (rc != NX_OK || is_sorted)
            continue;
        rc = table_source(level->tables[i], SEQUENCE_ALL, CACHE_SKIP, &sources[*count], err);
        *count += rc == NX_OK;
    }
    if (rc == NX_OK && is_sorted && level->count > 0) {
        rc = level_source(level, SEQUENCE_ALL, CACHE_SKIP, &sources[*count], err);
        *count += rc == NX_OK;
    }
    return rc;
}

static enum nx_code open_above(struct rewrite *r, const struct levels *levels,
                               const struct compaction *job, struct nx_err *err)
{
    struct source **sources = calloc(levels->level[0].count + job->from, sizeof(struct source *));
    enum nx_code rc = NX_OK;
    size_t count = 0;

    if (!sources)
        return nx_fail_nomem(err);
    for (unsigned l = 0; l < job->from && rc == NX_OK; l++)
        rc = open_level_above(r, &levels->level[l], l > 0, sources, &count, err);
    if (rc == NX_OK)
        rc = range_tombstones_seal(r->over, err);
    if (rc == NX_OK)
        rc = merge_open(sources, count, &r->above, err);
    else
        close_sources(sources, count);
    free(sources);
    if (rc == NX_OK)
        r->above->ops->seek(r->above, table_props(job->inputs[0])->smallest);
    return rc;
}

static enum nx_code run(struct rewrite *r, const struct levels *levels,
                        const struct compaction *job, struct compact_result *out,
                        struct nx_err *err)
{
    struct source **sources = calloc(job->count + 1, sizeof(struct source *));
    struct level runs[NX_LEVELS];
    uint64_t read_bytes = 0;
    size_t count = 0;
    enum nx_code rc;

    if (!sources)
        return nx_fail_nomem(err);
    r->below = levels;
    r->nothing_below = !reaches_below(levels, job);
    rc = collect_ranges(r, job, &read_bytes, err);
    if (rc == NX_OK && job->is_purge)
        rc = open_above(r, levels, job, err);
    if (rc == NX_OK)
        rc = open_inputs(job, runs, sources, &count, err);
    if (rc == NX_OK)
        rc = rewrite_run(r, sources, count, out, err);
    else
        close_sources(sources, count);
    if (rc == NX_OK)
        out->read_bytes = read_bytes;
    free(sources);
    return rc;
}

enum nx_code compact_run(const struct compact_env *env, const struct levels *levels,
                         const struct compaction *job, struct compact_result *out,
                         struct nx_err *err)
{
    struct rewrite r;
    enum nx_code rc = rewrite_init(&r, env, job->to, env->table_bytes, err);

    *out = (struct compact_result){0};
    if (rc == NX_OK)
        rc = run(&r, levels, job, out, err);
    rewrite_fini(&r);
    return rc;
}

enum nx_code compact_gain(const struct compact_env *env, const struct levels *levels,
                          const struct compaction *job, unsigned *out, struct nx_err *err)
{
    struct compact_result nothing = {0};
    struct rewrite r;
    enum nx_code rc = rewrite_init(&r, env, job->to, env->table_bytes, err);

    r.counts = true;
    if (rc == NX_OK)
        rc = run(&r, levels, job, &nothing, err);
    *out = (unsigned)(r.hidden_bytes * 1000 / (r.hidden_bytes + r.kept_bytes + 1));
    rewrite_fini(&r);
    return rc;
}

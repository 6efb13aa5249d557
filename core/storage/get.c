/*
 * get.c - one key, from the newest place to the oldest.
 *
 * Each place's changes are newer than those of every place below it, so the first place that knows
 * anything of the key, a version or a range tombstone, decides.
 */
#include "storage/engine.h"
#include "storage/view.h"

enum verdict { UNKNOWN, PRESENT, ABSENT };

struct lookup {
    struct nx_slice key;
    uint64_t hash;
    uint64_t sequence;
    struct nx_buf *out;
};

/* `cover` is the newest range tombstone over the key in the same place. */
static enum nx_code decide(const struct lookup *lookup, const struct entry *entry, uint64_t cover,
                           enum verdict *verdict, struct nx_err *err)
{
    if (!entry || entry->kind == ENTRY_DELETE || entry->sequence < cover) {
        *verdict = entry || cover ? ABSENT : UNKNOWN;
        return NX_OK;
    }
    *verdict = PRESENT;
    if (nx_buf_append(lookup->out, entry->value.data, entry->value.len) != NX_OK)
        return nx_fail_nomem(err);
    return NX_OK;
}

static enum nx_code get_from_memtables(const struct read_view *view, const struct lookup *lookup,
                                       enum verdict *verdict, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < view->memtable_count && rc == NX_OK && *verdict == UNKNOWN; i++) {
        const struct memtable *memtable = view->memtables[i];
        struct entry entry;
        bool found = memtable_get(memtable, lookup->key, lookup->sequence, &entry);

        rc = decide(lookup, found ? &entry : NULL,
                    memtable_cover(memtable, lookup->key, lookup->sequence), verdict, err);
    }
    return rc;
}

static enum nx_code get_from_table(struct table *table, const struct lookup *lookup,
                                   enum verdict *verdict, struct nx_err *err)
{
    struct table_hit hit;
    bool found;
    enum nx_code rc;

    if (!table_may_hold(table, lookup->key))
        return NX_OK;
    rc = table_get(table, lookup->key, lookup->hash, lookup->sequence, &hit, &found, err);
    if (rc != NX_OK)
        return rc;
    rc = decide(lookup, found ? &hit.entry : NULL,
                table_cover(table, lookup->key, lookup->sequence), verdict, err);
    if (found)
        table_hit_release(&hit);
    return rc;
}

static enum nx_code get_from_level(const struct level *level, unsigned number,
                                   const struct lookup *lookup, enum verdict *verdict,
                                   struct nx_err *err)
{
    size_t first = number == 0 ? 0 : level_find(level, lookup->key);
    size_t end = number == 0 || first == level->count ? level->count : first + 1;
    enum nx_code rc = NX_OK;

    for (size_t i = first; i < end && rc == NX_OK && *verdict == UNKNOWN; i++)
        rc = get_from_table(level->tables[i], lookup, verdict, err);
    return rc;
}

enum nx_code nx_engine_get(struct nx_engine *engine, const struct nx_snapshot *snapshot,
                           struct nx_slice key, struct nx_buf *out, struct nx_err *err)
{
    struct lookup lookup = {.key = key, .out = out};
    enum verdict verdict = UNKNOWN;
    struct read_view view;
    uint64_t begin = latency_begin_sampled(engine->io);
    enum nx_code rc;

    nx_buf_clear(out);
    read_view_acquire(engine, snapshot, &view);
    lookup.sequence = view.sequence;
    rc = get_from_memtables(&view, &lookup, &verdict, err);
    if (rc == NX_OK && verdict == UNKNOWN)
        lookup.hash = table_hash(key);
    for (unsigned i = 0; i < NX_LEVELS && rc == NX_OK && verdict == UNKNOWN; i++)
        rc = get_from_level(&view.levels->level[i], i, &lookup, &verdict, err);
    read_view_release(&view);
    latency_end(&engine->latency[NX_LATENCY_GET], engine->io, begin);
    if (rc == NX_OK && verdict != PRESENT)
        return nx_fail(err, NX_ENOTFOUND, "no such key");
    return rc;
}

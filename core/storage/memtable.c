/*
 * memtable.c - records with their version chains, and the deleted ranges beside them.
 *
 * Puts and deletes are records in a B+tree (btree.h). Range tombstones come rarely but may come
 * many: they are kept as a few sealed sets of growing size, merged like the digits of a binary
 * counter, so that n of them cost n log n. The list of current sets is replaced as a whole by one
 * pointer; what it replaces stays until the memtable goes, since a reader may still be in it.
 */
#include "storage/memtable.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "storage/memtable_inner.h"
#include "storage/range_tombstones.h"

/* Every set of ranges ever current, for the destroyer. */
struct set_list {
    struct set_list *next;
    struct range_tombstones *set; /* owned */
};

struct memtable *memtable_new(uint64_t expected_bytes)
{
    struct memtable *memtable = calloc(1, sizeof *memtable);

    if (!memtable)
        return NULL;
    atomic_init(&memtable->refs, 1);
    huge_arena_init(&memtable->arena, expected_bytes);
    if (btree_init(&memtable->tree, &memtable->arena))
        return memtable;
    huge_arena_fini(&memtable->arena);
    free(memtable);
    return NULL;
}

struct memtable *memtable_ref(struct memtable *memtable)
{
    atomic_fetch_add_explicit(&memtable->refs, 1, memory_order_relaxed);
    return memtable;
}

void memtable_unref(struct memtable *memtable)
{
    /* release: our reads of it come before the last one's free; acquire: that one sees them */
    if (!memtable || atomic_fetch_sub_explicit(&memtable->refs, 1, memory_order_acq_rel) != 1)
        return;
    while (memtable->all_sets) {
        struct set_list *next = memtable->all_sets->next;

        range_tombstones_free(memtable->all_sets->set);
        free(memtable->all_sets);
        memtable->all_sets = next;
    }
    huge_arena_fini(&memtable->arena);
    free(memtable);
}

/* Counters are the writer's; relaxed, since readers want only a recent value. */
static void count_change(struct memtable *memtable, uint64_t sequence)
{
    size_t bytes = memtable->arena.used_bytes + memtable->set_bytes;

    if (atomic_load_explicit(&memtable->count, memory_order_relaxed) == 0)
        atomic_store_explicit(&memtable->min_sequence, sequence, memory_order_relaxed);
    atomic_store_explicit(&memtable->max_sequence, sequence, memory_order_relaxed);
    atomic_fetch_add_explicit(&memtable->count, 1, memory_order_relaxed);
    atomic_store_explicit(&memtable->bytes, bytes, memory_order_relaxed);
}

static struct record *record_new(struct memtable *memtable, const struct entry *change)
{
    size_t len = sizeof(struct record) + change->key.len + change->value.len;
    struct record *record = huge_arena_alloc(&memtable->arena, len, 8);

    if (!record)
        return NULL;
    record->older = NULL;
    record->tag = change->sequence << 8 | change->kind;
    record->key_len = (uint16_t)change->key.len;
    record->value_len = (uint32_t)change->value.len;
    memcpy(record->bytes, change->key.data, change->key.len);
    if (change->value.len)
        memcpy(record->bytes + change->key.len, change->value.data, change->value.len);
    return record;
}

enum nx_code memtable_apply(struct memtable *memtable, const struct entry *change,
                            struct nx_err *err)
{
    struct record *record;
    bool is_new;

    if (change->key.len > KEY_MAX_BYTES || change->value.len > VALUE_MAX_BYTES)
        return nx_fail(err, NX_ETOOBIG, "a key of %zu and a value of %zu bytes", change->key.len,
                       change->value.len);
    record = record_new(memtable, change);
    if (!record || !btree_put(&memtable->tree, record, &is_new))
        return nx_fail_nomem(err);
    count_change(memtable, change->sequence);
    return NX_OK;
}

/* --- ranges ----------------------------------------------------------------------------------- */

/* Remember a set for the destroyer; on failure it is freed. */
static bool own_set(struct memtable *memtable, struct range_tombstones *set)
{
    struct set_list *cell = malloc(sizeof *cell);

    if (!cell) {
        range_tombstones_free(set);
        return false;
    }
    *cell = (struct set_list){memtable->all_sets, set};
    memtable->all_sets = cell;
    return true;
}

/* Merge the sets [from, count) of `sets` and one more range. */
static enum nx_code merge_sets(const struct range_sets *sets, size_t from,
                               const struct range_tombstone *range, struct range_tombstones **out,
                               struct nx_err *err)
{
    struct range_tombstones *set = range_tombstones_new();
    enum nx_code rc;

    *out = NULL;
    if (!set)
        return nx_fail_nomem(err);
    rc = range_tombstones_add(set, range, err);
    for (size_t i = from; sets && i < sets->count && rc == NX_OK; i++)
        rc = range_tombstones_add_all(set, sets->set[i], NX_SLICE_NULL, NX_SLICE_NULL, SEQUENCE_MAX,
                                      err);
    if (rc == NX_OK)
        rc = range_tombstones_seal(set, err);
    if (rc != NX_OK) {
        range_tombstones_free(set);
        return rc;
    }
    *out = set;
    return NX_OK;
}

enum nx_code memtable_delete_range(struct memtable *memtable, const struct range_tombstone *range,
                                   struct nx_err *err)
{
    /* relaxed: only this thread ever stores it */
    struct range_sets *old = atomic_load_explicit(&memtable->sets, memory_order_relaxed);
    size_t keep = old ? old->count : 0, ranges = 1;
    struct range_tombstones *merged;
    struct range_sets *sets;
    enum nx_code rc;

    if (nx_slice_compare(range->begin, range->end) >= 0)
        return NX_OK;
    while (keep > 0 && range_tombstones_raw_count(old->set[keep - 1]) <= ranges)
        ranges += range_tombstones_raw_count(old->set[--keep]);
    sets = huge_arena_alloc(&memtable->arena, sizeof *sets, 8);
    if (!sets || keep == RANGE_SETS_MAX)
        return nx_fail_nomem(err);
    rc = merge_sets(old, keep, range, &merged, err);
    if (rc != NX_OK)
        return rc;
    if (!own_set(memtable, merged))
        return nx_fail_nomem(err);
    for (size_t i = 0; i < keep; i++)
        sets->set[i] = old->set[i];
    sets->set[keep] = merged;
    sets->count = keep + 1;
    memtable->set_bytes += ranges * (range->begin.len + range->end.len + 64);
    /* release: publishes the list and the sets in it */
    atomic_store_explicit(&memtable->sets, sets, memory_order_release);
    count_change(memtable, range->sequence);
    return NX_OK;
}

uint64_t memtable_cover(const struct memtable *memtable, struct nx_slice key, uint64_t sequence)
{
    const struct range_sets *sets = atomic_load_explicit(&memtable->sets, memory_order_acquire);
    uint64_t newest = 0;

    for (size_t i = 0; sets && i < sets->count; i++) {
        uint64_t found = range_tombstones_cover(sets->set[i], key, sequence);

        newest = found > newest ? found : newest;
    }
    return newest;
}

enum nx_code memtable_range_tombstones(const struct memtable *memtable, uint64_t sequence,
                                       struct range_tombstones *out, struct nx_err *err)
{
    const struct range_sets *sets = atomic_load_explicit(&memtable->sets, memory_order_acquire);
    enum nx_code rc = NX_OK;

    for (size_t i = 0; sets && i < sets->count && rc == NX_OK; i++)
        rc = range_tombstones_add_all(out, sets->set[i], NX_SLICE_NULL, NX_SLICE_NULL, sequence,
                                      err);
    return rc;
}

/* --- reading ---------------------------------------------------------------------------------- */

const struct record *record_at(const struct record *record, uint64_t sequence)
{
    while (record && record_sequence(record) > sequence)
        record = record->older;
    return record;
}

struct entry record_entry(const struct record *record)
{
    return (struct entry){
        .key = record_key(record),
        .value = record_value(record),
        .sequence = record_sequence(record),
        .kind = (enum entry_kind)(record->tag & 0xff),
    };
}

bool memtable_get(const struct memtable *memtable, struct nx_slice key, uint64_t sequence,
                  struct entry *out)
{
    const struct record *record = record_at(btree_find(&memtable->tree, key), sequence);

    if (!record)
        return false;
    *out = record_entry(record);
    return true;
}

size_t memtable_bytes(const struct memtable *memtable)
{
    return atomic_load_explicit(&memtable->bytes, memory_order_relaxed);
}

size_t memtable_count(const struct memtable *memtable)
{
    return atomic_load_explicit(&memtable->count, memory_order_relaxed);
}

bool memtable_is_empty(const struct memtable *memtable)
{
    return memtable_count(memtable) == 0;
}

uint64_t memtable_min_sequence(const struct memtable *memtable)
{
    return atomic_load_explicit(&memtable->min_sequence, memory_order_relaxed);
}

uint64_t memtable_max_sequence(const struct memtable *memtable)
{
    return atomic_load_explicit(&memtable->max_sequence, memory_order_relaxed);
}

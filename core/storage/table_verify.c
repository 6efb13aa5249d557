/*
 * table_verify.c - reading a whole table and believing nothing.
 *
 * Opening has checked every part but the data; this reads each data block from the file and checks
 * its order, that the index leads to each key, that the filter lets each pass, and that the
 * properties say what is there.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "storage/range_tombstones.h"
#include "storage/table_inner.h"

struct tally {
    bool is_quick;
    uint64_t entries, deletes, keys, raw_bytes, min_sequence, max_sequence;
    struct nx_buf last; /* key of the entry before */
    uint64_t last_sequence;
};

static void tally_fini(struct tally *tally)
{
    nx_buf_fini(&tally->last);
}

static void count_sequence(struct tally *tally, uint64_t sequence)
{
    tally->min_sequence = sequence < tally->min_sequence ? sequence : tally->min_sequence;
    tally->max_sequence = sequence > tally->max_sequence ? sequence : tally->max_sequence;
}

/* Does every way to entry i, the key's newest version in block `number`, lead there? */
static const char *check_lookup(const struct table *table, uint32_t number,
                                const struct block *block, uint32_t i, struct nx_slice key,
                                uint64_t hash)
{
    uint32_t leads_to = table_find_block(table, key);

    if (!table_may_hold(table, key))
        return "a key outside the table's bounds";
    if (block_find(block, key, hash) != i)
        return "the hash index misses a key";
    /* a key's versions may begin some blocks before */
    if (leads_to > number || (leads_to < number && !table_ends_with(table, leads_to, key)))
        return "the index leads elsewhere";
    return NULL;
}

static const char *check_entry(const struct table *table, uint32_t i, struct nx_slice key,
                               uint64_t hash, const struct block_entry *e, struct tally *tally)
{
    int order = nx_slice_compare(nx_buf_slice(&tally->last), key);
    bool is_new = tally->entries == 0 || order != 0;

    if (tally->entries > 0 && (order > 0 || (order == 0 && e->sequence >= tally->last_sequence)))
        return "entries out of order";
    if (i > 0 && is_new == e->is_older)
        return "a version is marked wrongly";
    if (is_new && !filter_may_hold(&table->filter, hash))
        return "the filter denies a key";
    tally->entries++;
    tally->keys += is_new;
    tally->deletes += e->kind == ENTRY_DELETE;
    tally->raw_bytes += key.len + e->value.len;
    tally->last_sequence = e->sequence;
    count_sequence(tally, e->sequence);
    return NULL;
}

static enum nx_code check_block(const struct table *table, uint32_t number,
                                const struct block *block, struct tally *tally, struct nx_err *err)
{
    uint8_t bytes[KEY_MAX_BYTES];

    for (uint32_t i = 0; i < block->count; i++) {
        struct nx_slice key = nx_slice(bytes, block_key(block, i, bytes));
        uint64_t hash = key_hash(key);
        struct block_entry e;
        const char *wrong;

        block_get(block, i, &e);
        wrong = check_entry(table, i, key, hash, &e, tally);
        if (!wrong && !e.is_older && (i == 0 || !tally->is_quick))
            wrong = check_lookup(table, number, block, i, key, hash);
        if (wrong)
            return table_corrupt(table, table->offsets[number], wrong, err);
        nx_buf_clear(&tally->last);
        if (nx_buf_append(&tally->last, key.data, key.len) != NX_OK)
            return nx_fail_nomem(err);
    }
    return NX_OK;
}

static bool facts_agree(const struct table *table, struct tally *tally)
{
    const struct table_props *p = &table->facts.props;

    for (size_t i = 0; i < range_tombstones_count(table->ranges); i++) {
        const struct range_fragment *f = range_tombstones_at(table->ranges, i);

        for (size_t s = 0; s < f->count; s++)
            count_sequence(tally, f->sequences[s]);
        if (nx_slice_compare(f->begin, p->smallest) < 0 || nx_slice_compare(f->end, p->largest) > 0)
            return false;
    }
    return p->entries == tally->entries && p->deletes == tally->deletes &&
           p->raw_bytes == tally->raw_bytes && table->facts.keys == tally->keys &&
           p->min_sequence == tally->min_sequence && p->max_sequence == tally->max_sequence;
}

static enum nx_code read_back(struct table *table, bool is_quick, struct nx_err *err)
{
    struct tally tally NX_CLEANUP(tally_fini) = {.is_quick = is_quick, .min_sequence = UINT64_MAX};
    enum nx_code rc = NX_OK;

    for (uint32_t i = 0; i < table->block_count && rc == NX_OK; i++) {
        uint64_t offset = table->offsets[i];
        struct block *block;

        rc = table_read_block(table, offset, table->offsets[i + 1] - offset, &block, err);
        if (rc == NX_OK)
            rc = check_block(table, i, block, &tally, err);
        block_unref(block);
    }
    if (rc == NX_OK && !facts_agree(table, &tally))
        rc =
            nx_fail(err, NX_ECORRUPT, "%s: its properties are not those of its %" PRIu64 " entries",
                    table->name, tally.entries);
    return rc;
}

enum nx_code table_verify(struct table *table, struct nx_err *err)
{
    return read_back(table, false, err);
}

enum nx_code table_check_written(struct table *table, struct nx_err *err)
{
    return read_back(table, true, err);
}

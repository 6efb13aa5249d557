/*
 * table_read.c - opening a table and looking up a key.
 *
 * Everything but the data blocks is read and checked at open and stays in memory. The index is kept
 * as an array of numbers, the 8 bytes of each separator after what all of them share, which a
 * search walks without branches; whole separators are compared only where these are equal.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "storage/mutation.h"
#include "storage/range_tombstones.h"
#include "storage/table_inner.h"

/* --- blocks ----------------------------------------------------------------------------------- */

enum nx_code table_corrupt(const struct table *table, uint64_t offset, const char *wrong,
                           struct nx_err *err)
{
    return nx_fail(err, NX_ECORRUPT, "%s, block at %" PRIu64 ": %s", table->name, offset, wrong);
}

enum nx_code table_read_bytes(struct table *table, uint64_t offset, uint8_t *out, size_t len,
                              struct nx_err *err)
{
    size_t got = 0;
    enum nx_code rc = table->file->ops->pread(table->file, offset, out, len, &got, err);

    if (rc == NX_OK && got < len)
        return table_corrupt(table, offset, "the file ends inside it", err);
    return rc;
}

enum nx_code table_check_frame(struct table *table, uint64_t offset, struct nx_slice framed,
                               struct table_frame *out, struct nx_err *err)
{
    const char *wrong = frame_check(framed, table->facts.props.number, offset, &out->payload,
                                    &out->method, &out->raw_len);

    if (!wrong && (out->method == NX_COMPRESS_NONE ? out->raw_len != out->payload.len
                                                   : out->raw_len > BLOCK_MAX_BYTES))
        wrong = "a length out of range";
    return wrong ? table_corrupt(table, offset, wrong, err) : NX_OK;
}

enum nx_code table_read_frame(struct table *table, uint64_t offset, uint64_t len, uint8_t *framed,
                              struct table_frame *out, struct nx_err *err)
{
    enum nx_code rc = table_read_bytes(table, offset, framed, (size_t)len, err);

    return rc == NX_OK ? table_check_frame(table, offset, nx_slice(framed, (size_t)len), out, err)
                       : rc;
}

static enum nx_code decompress(struct table *table, uint64_t offset,
                               const struct table_frame *frame, struct block *block,
                               struct nx_err *err)
{
    return codec_decompress(frame->method, frame->payload, block->bytes, block->len)
               ? NX_OK
               : table_corrupt(table, offset, "it does not decompress", err);
}

enum nx_code table_unpack(struct table *table, uint64_t offset, const struct table_frame *frame,
                          struct block *block, struct nx_err *err)
{
    enum nx_code rc = decompress(table, offset, frame, block, err);
    const char *wrong = rc == NX_OK ? block_parse(block) : NULL;

    if (table->assigned)
        block->base_sequence = table->assigned;
    return wrong ? table_corrupt(table, offset, wrong, err) : rc;
}

/* Read a framed part and decompress it into a block, by one of the two above. */
static enum nx_code read_framed(struct table *table, uint64_t offset, uint64_t len,
                                __typeof__(&table_unpack) unpack, struct block **out,
                                struct nx_err *err)
{
    struct block *block = NULL;
    struct table_frame frame;
    uint8_t *framed;
    enum nx_code rc;

    *out = NULL;
    if (len > (uint64_t)UINT32_MAX + FRAME_BYTES)
        return table_corrupt(table, offset, "longer than a block may be", err);
    framed = malloc(len ? (size_t)len : 1);
    if (!framed)
        return nx_fail_nomem(err);
    rc = table_read_frame(table, offset, len, framed, &frame, err);
    if (rc == NX_OK) {
        block = block_new(frame.raw_len);
        rc = block ? unpack(table, offset, &frame, block, err) : nx_fail_nomem(err);
    }
    free(framed);
    if (rc == NX_OK)
        *out = block;
    else
        block_unref(block);
    return rc;
}

enum nx_code table_read_block(struct table *table, uint64_t offset, uint64_t len,
                              struct block **out, struct nx_err *err)
{
    return read_framed(table, offset, len, table_unpack, out, err);
}

/* --- index ------------------------------------------------------------------------------------ */

static uint64_t head_of(struct nx_slice rest)
{
    uint8_t padded[8] = {0};

    if (rest.len >= 8)
        return get_u64be(rest.data);
    if (rest.len)
        memcpy(padded, rest.data, rest.len);
    return get_u64be(padded);
}

/* First index whose head is >= `head`. */
static uint32_t heads_bound(const uint64_t *heads, uint32_t count, uint64_t head)
{
    const uint64_t *base = heads;

    while (count > 1) {
        uint32_t half = count / 2;

        base += base[half - 1] < head ? half : 0;
        count -= half;
    }
    return (uint32_t)(base - heads) + (count == 1 && *base < head);
}

uint32_t table_find_block(const struct table *table, struct nx_slice key)
{
    const struct block *index = table->index;
    struct block_entry separator;
    struct nx_slice rest;
    uint64_t head;
    uint32_t i;
    int order;

    if (!index)
        return 0;
    order =
        memcmp(key.data, index->prefix, key.len < index->prefix_len ? key.len : index->prefix_len);
    if (order != 0 || key.len < index->prefix_len)
        return order <= 0 ? 0 : table->block_count;
    rest = nx_slice(key.data + index->prefix_len, key.len - index->prefix_len);
    head = head_of(rest);
    i = heads_bound(table->heads, table->block_count, head);
    for (; i < table->block_count && table->heads[i] == head; i++) {
        block_get(index, i, &separator);
        if (nx_slice_compare(separator.suffix, rest) >= 0)
            break;
    }
    return i;
}

bool table_ends_with(const struct table *table, uint32_t i, struct nx_slice key)
{
    uint32_t prefix = table->index->prefix_len;
    struct block_entry separator;

    block_get(table->index, i, &separator);
    return key.len == prefix + separator.suffix.len &&
           memcmp(key.data, table->index->prefix, prefix) == 0 &&
           memcmp(key.data + prefix, separator.suffix.data, separator.suffix.len) == 0;
}

/* Offsets from the blocks' lengths, which must fill the data exactly. */
static const char *expand_index(struct table *table, uint64_t data_bytes)
{
    uint64_t at = 0, len = 0;

    for (uint32_t i = 0; i < table->block_count; i++) {
        struct block_entry e;
        const uint8_t *end;

        block_get(table->index, i, &e);
        end = get_varint(e.value.data, e.value.data + e.value.len, &len);
        if (end != e.value.data + e.value.len || len < FRAME_BYTES || len > data_bytes - at)
            return "a block's length out of range";
        table->offsets[i] = at;
        table->heads[i] = head_of(e.suffix);
        if (i > 0 && table->heads[i] < table->heads[i - 1])
            return "separators out of order";
        at += len;
    }
    table->offsets[table->block_count] = at;
    return at == data_bytes ? NULL : "its blocks do not fill the data";
}

static enum nx_code open_index(struct table *table, uint64_t offset, uint64_t len,
                               uint64_t data_bytes, struct nx_err *err)
{
    const char *wrong;
    enum nx_code rc;

    if (len == 0)
        return data_bytes == 0 ? NX_OK : table_corrupt(table, offset, "data without index", err);
    rc = table_read_block(table, offset, len, &table->index, err);
    if (rc != NX_OK)
        return rc;
    table->block_count = table->index->count;
    table->heads = malloc(table->block_count * sizeof *table->heads);
    table->offsets = malloc(((size_t)table->block_count + 1) * sizeof *table->offsets);
    table->slots = calloc(table->block_count, sizeof *table->slots);
    if (!table->heads || !table->offsets || !table->slots)
        return nx_fail_nomem(err);
    wrong = expand_index(table, data_bytes);
    return wrong ? table_corrupt(table, offset, wrong, err) : NX_OK;
}

/* --- ranges, filter, properties --------------------------------------------------------------- */

/* Add one fragment, as table_write.c's add_fragment wrote it. */
static const char *read_fragment(struct range_tombstones *set, const struct block *block,
                                 uint32_t i, uint8_t *key, bool *nomem)
{
    struct range_tombstone range;
    struct block_entry e;
    const uint8_t *at, *end;
    uint64_t len;

    block_get(block, i, &e);
    end = e.value.data + e.value.len;
    at = get_varint(e.value.data, end, &len);
    if (!at || len > (size_t)(end - at) || len > KEY_MAX_BYTES)
        return "a range without an end";
    range.begin = nx_slice(key, block_key(block, i, key));
    range.end = nx_slice(at, len);
    if (nx_slice_compare(range.begin, range.end) >= 0)
        return "a range ends before it begins";
    for (at += len; at < end;) {
        at = get_varint(at, end, &range.sequence);
        if (!at || range.sequence > SEQUENCE_MAX)
            return "a range's sequence out of range";
        *nomem = range_tombstones_add(set, &range, NULL) != NX_OK;
        if (*nomem)
            return "out of memory";
    }
    return NULL;
}

static enum nx_code open_ranges(struct table *table, uint64_t offset, uint64_t len,
                                struct nx_err *err)
{
    uint8_t key[KEY_MAX_BYTES];
    const char *wrong = NULL;
    struct block *block;
    bool nomem = false;
    enum nx_code rc;

    if (len == 0)
        return NX_OK;
    table->ranges = range_tombstones_new();
    if (!table->ranges)
        return nx_fail_nomem(err);
    rc = table_read_block(table, offset, len, &block, err);
    if (rc != NX_OK)
        return rc;
    for (uint32_t i = 0; i < block->count && !wrong; i++)
        wrong = read_fragment(table->ranges, block, i, key, &nomem);
    block_unref(block);
    if (nomem)
        return nx_fail_nomem(err);
    return wrong ? table_corrupt(table, offset, wrong, err)
                 : range_tombstones_seal(table->ranges, err);
}

static enum nx_code open_filter(struct table *table, uint64_t offset, uint64_t len,
                                struct nx_err *err)
{
    struct block *block;
    bool sound, nomem;
    enum nx_code rc;

    if (len == 0)
        return NX_OK;
    rc = read_framed(table, offset, len, decompress, &block, err);
    if (rc != NX_OK)
        return rc;
    sound = filter_open(nx_slice(block->bytes, block->len), &table->filter, &nomem);
    block_unref(block);
    if (nomem)
        return nx_fail_nomem(err);
    return sound ? NX_OK : table_corrupt(table, offset, "not a filter", err);
}

static enum nx_code open_properties(struct table *table, uint64_t offset, uint64_t len,
                                    struct nx_err *err)
{
    uint64_t number = table->facts.props.number, file_bytes = table->facts.props.file_bytes;
    struct block *block;
    enum nx_code rc = read_framed(table, offset, len, decompress, &block, err);
    bool sound;

    if (rc != NX_OK)
        return rc;
    rc = nx_buf_append(&table->properties, block->bytes, block->len);
    block_unref(block);
    if (rc != NX_OK)
        return nx_fail_nomem(err);
    sound = facts_get(nx_buf_slice(&table->properties), &table->facts);
    table->facts.props.number = number;
    table->facts.props.file_bytes = file_bytes;
    sound = sound && table->facts.blocks == table->block_count &&
            table->facts.props.ranges == range_tombstones_count(table->ranges);
    return sound ? NX_OK : table_corrupt(table, offset, "not this table's properties", err);
}

enum nx_code table_open_part(struct table *table, enum table_part part, uint64_t offset,
                             uint64_t len, uint64_t data_bytes, struct nx_err *err)
{
    switch (part) {
    case PART_RANGES:
        return open_ranges(table, offset, len, err);
    case PART_FILTER:
        return open_filter(table, offset, len, err);
    case PART_INDEX:
        return open_index(table, offset, len, data_bytes, err);
    default:
        return open_properties(table, offset, len, err);
    }
}

static enum nx_code open_parts(struct table *table, const struct table_footer *footer,
                               struct nx_err *err)
{
    uint64_t at = footer->data_bytes;
    enum nx_code rc = NX_OK;

    for (int part = 0; part < PART_COUNT && rc == NX_OK; part++) {
        rc = table_open_part(table, (enum table_part)part, at, footer->part_bytes[part],
                             footer->data_bytes, err);
        at += footer->part_bytes[part];
    }
    return rc;
}

/* --- open and close --------------------------------------------------------------------------- */

void table_free(struct table *table)
{
    if (table->slots && table->cache) /* the offline tools read without one */
        cache_drop(table->cache, table->slots, table->block_count);
    free(table->slots);
    range_tombstones_free(table->ranges);
    filter_fini(&table->filter);
    block_unref(table->index);
    nx_buf_fini(&table->properties);
    free(table->heads);
    free(table->offsets);
    free(table);
}

struct table *table_new(struct nx_file *file, uint64_t number, struct cache *cache)
{
    struct table *table = calloc(1, sizeof *table);

    if (!table)
        return NULL;
    atomic_init(&table->refs, 1);
    table->file = file;
    table->cache = cache;
    table->facts.props.number = number;
    table_name(number, table->name);
    return table;
}

enum nx_code table_read_footer(struct table *table, struct table_footer *footer, struct nx_err *err)
{
    uint64_t *size = &table->facts.props.file_bytes;
    uint8_t bytes[FOOTER_BYTES];
    enum nx_code rc = table->file->ops->size(table->file, size, err);

    if (rc == NX_OK && *size < FOOTER_BYTES)
        rc = nx_fail(err, NX_ECORRUPT, "%s: %" PRIu64 " bytes are too few for a table", table->name,
                     *size);
    if (rc == NX_OK)
        rc = table_read_bytes(table, *size - FOOTER_BYTES, bytes, FOOTER_BYTES, err);
    return rc == NX_OK ? footer_get(bytes, table->facts.props.number, *size, footer, err) : rc;
}

enum nx_code table_open(struct nx_file *file, uint64_t number, struct cache *cache,
                        struct table **out, struct nx_err *err)
{
    struct table *table = table_new(file, number, cache);
    struct table_footer footer;
    enum nx_code rc;

    *out = NULL;
    if (!table)
        return nx_fail_nomem(err);
    rc = table_read_footer(table, &footer, err);
    if (rc == NX_OK)
        rc = open_parts(table, &footer, err);
    if (rc != NX_OK) {
        table_free(table);
        return rc;
    }
    *out = table;
    return NX_OK;
}

struct table *table_ref(struct table *table)
{
    atomic_fetch_add_explicit(&table->refs, 1, memory_order_relaxed);
    return table;
}

void table_unref(struct table *table)
{
    /* acq_rel: every other thread's reads come before the close */
    if (!table || atomic_fetch_sub_explicit(&table->refs, 1, memory_order_acq_rel) != 1)
        return;
    table->file->ops->close(table->file);
    table_free(table);
}

enum nx_code table_assign_sequence(struct table *table, uint64_t sequence, struct nx_err *err)
{
    struct table_props *p = &table->facts.props;

    if ((!table->assigned && p->max_sequence != 0) || p->ranges != 0)
        return nx_fail(err, NX_ECORRUPT, "%s: it has sequences of its own, up to %" PRIu64,
                       table->name, p->max_sequence);
    table->assigned = p->min_sequence = p->max_sequence = sequence;
    return NX_OK;
}

uint64_t table_assigned_sequence(const struct table *table)
{
    return table->assigned;
}

uint64_t table_keys(const struct table *table)
{
    return table->facts.keys;
}

const struct table_props *table_props(const struct table *table)
{
    return &table->facts.props;
}

const struct range_tombstones *table_range_tombstones(const struct table *table)
{
    return table->ranges;
}

uint64_t table_cover(const struct table *table, struct nx_slice key, uint64_t sequence)
{
    return engine_mutated(FORGET_RANGES) ? 0 : range_tombstones_cover(table->ranges, key, sequence);
}

bool table_may_hold(const struct table *table, struct nx_slice key)
{
    const struct table_props *p = &table->facts.props;
    int order;

    if (nx_slice_compare(key, p->smallest) < 0)
        return false;
    order = nx_slice_compare(key, p->largest);
    return order < 0 || (order == 0 && !p->largest_is_open);
}

/* --- lookup ----------------------------------------------------------------------------------- */

uint64_t table_hash(struct nx_slice key)
{
    return key_hash(key);
}

static bool passes_filter(struct table *table, uint64_t hash)
{
    bool may;

    if (!table->filter.lines)
        return true;
    may = filter_may_hold(&table->filter, hash);
    cache_count_filter(table->cache, !may);
    return may;
}

/* From entry i, the newest version of the key in this block, to the first that may be seen; the
 * count when the block has none. */
static uint32_t visible_version(const struct block *block, uint32_t i, uint64_t sequence,
                                struct block_entry *out)
{
    block_get(block, i, out);
    while (out->sequence > sequence) {
        if (++i == block->count)
            return i;
        block_get(block, i, out);
        if (!out->is_older)
            return block->count;
    }
    return i;
}

void table_hit_release(struct table_hit *hit)
{
    block_unref(hit->block);
    hit->block = NULL;
}

/* Read block i, and keep it if `admitted`. */
static enum nx_code load_block(struct table *table, uint32_t i, bool admitted, struct block **out,
                               struct nx_err *err)
{
    uint64_t offset = table->offsets[i], len = table->offsets[i + 1] - offset;
    enum nx_code rc = table_read_block(table, offset, len, out, err);

    if (rc == NX_OK && admitted)
        cache_insert(table->cache, &table->slots[i], *out);
    return rc;
}

/* The newest visible version that block i has. */
static enum nx_code get_from_block(struct table *table, uint32_t i, struct nx_slice key,
                                   uint64_t hash, uint64_t sequence, struct table_hit *out,
                                   bool *found, struct nx_err *err)
{
    struct cache_slot *slot = &table->slots[i];
    struct block_entry entry;
    enum nx_code rc;
    uint32_t at;

    out->block = cache_find(table->cache, slot, CACHE_KEEP);
    if (!out->block) {
        bool admitted = cache_admits(table->cache, slot, CACHE_KEEP);
        enum block_answer answer = admitted ? BLOCK_UNSURE : table_peek(table, i, key, hash, out);

        *found = answer == BLOCK_HAS && out->entry.sequence <= sequence;
        if (*found || answer == BLOCK_LACKS)
            return NX_OK;
        rc = load_block(table, i, admitted, &out->block, err);
        if (rc != NX_OK)
            return rc;
    }
    at = block_find(out->block, key, hash);
    if (at < out->block->count)
        at = visible_version(out->block, at, sequence, &entry);
    *found = at < out->block->count;
    if (*found)
        out->entry = (struct entry){key, entry.value, entry.sequence, entry.kind};
    else
        table_hit_release(out);
    return NX_OK;
}

enum nx_code table_get(struct table *table, struct nx_slice key, uint64_t hash, uint64_t sequence,
                       struct table_hit *out, bool *found, struct nx_err *err)
{
    enum nx_code rc = NX_OK;
    bool more = true;

    *found = false;
    if (!table->index || !passes_filter(table, hash))
        return NX_OK;
    for (uint32_t i = table_find_block(table, key);
         more && rc == NX_OK && !*found && i < table->block_count; i++) {
        rc = get_from_block(table, i, key, hash, sequence, out, found, err);
        more = table_ends_with(table, i, key); /* its older versions go on in the next block */
    }
    return rc;
}

/*
 * table_write.c - a table file from front to back.
 *
 * Data blocks go out as they fill; hashes of the keys, the index and the ranges wait in memory for
 * the end. Writes are gathered, so that the file grows in large steps.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "storage/block.h"
#include "storage/codec.h"
#include "storage/filter.h"
#include "storage/range_tombstones.h"
#include "storage/table_format.h"

#define GATHER_BYTES ((size_t)512 << 10)

struct table_writer {
    struct nx_file *file; /* the caller's */
    struct table_options options;
    struct codec *codec, *plain;     /* owned; `plain` for what does not compress */
    struct range_tombstones *ranges; /* owned */
    struct block_builder data, index;
    struct nx_buf raw;      /* a block before its frame */
    struct nx_buf gathered; /* framed, not yet written */
    uint64_t written_bytes; /* of the file */
    uint64_t *hashes;       /* owned: of each distinct key */
    size_t hash_count, hash_cap;
    struct nx_buf last_key; /* of the last put */
    uint64_t last_sequence;
    uint64_t last_block_bytes; /* framed: of the block that waits for its separator; 0: none */
    struct nx_buf separator;   /* the last key of that block */
    struct nx_buf smallest, largest;
    struct table_facts facts;
    struct table_footer footer;
};

enum nx_code table_writer_new(struct nx_file *file, uint64_t number,
                              const struct table_options *options, struct table_writer **out,
                              struct nx_err *err)
{
    struct table_writer *w = calloc(1, sizeof *w);

    *out = NULL;
    if (!w)
        return nx_fail_nomem(err);
    w->file = file;
    w->options = *options;
    w->footer.number = number;
    w->facts.props.number = number;
    w->facts.props.min_sequence = UINT64_MAX;
    w->data = BLOCK_BUILDER_INIT;
    w->index = (struct block_builder){.with_hash = false};
    w->codec = codec_new(options->compression, options->dense);
    w->plain = codec_new(NX_COMPRESS_NONE, false);
    w->ranges = range_tombstones_new();
    if (!w->codec || !w->plain || !w->ranges) {
        table_writer_free(w);
        return nx_fail_nomem(err);
    }
    *out = w;
    return NX_OK;
}

void table_writer_free(struct table_writer *w)
{
    if (!w)
        return;
    codec_free(w->codec);
    codec_free(w->plain);
    range_tombstones_free(w->ranges);
    block_builder_fini(&w->data);
    block_builder_fini(&w->index);
    nx_buf_fini(&w->raw);
    nx_buf_fini(&w->gathered);
    nx_buf_fini(&w->last_key);
    nx_buf_fini(&w->separator);
    nx_buf_fini(&w->smallest);
    nx_buf_fini(&w->largest);
    free(w->hashes);
    free(w);
}

static uint64_t offset_now(const struct table_writer *w)
{
    return w->written_bytes + w->gathered.len;
}

static enum nx_code write_gathered(struct table_writer *w, struct nx_err *err)
{
    enum nx_code rc =
        w->file->ops->pwrite(w->file, w->written_bytes, w->gathered.data, w->gathered.len, err);

    if (rc != NX_OK)
        return rc;
    w->written_bytes += w->gathered.len;
    nx_buf_clear(&w->gathered);
    return NX_OK;
}

/* Frame `raw` at the end of the file; *len gets its framed length. */
static enum nx_code write_framed(struct table_writer *w, struct codec *codec, struct nx_slice raw,
                                 uint64_t *len, struct nx_err *err)
{
    uint64_t at = offset_now(w);

    if (frame_append(codec, raw, w->footer.number, at, &w->gathered) != NX_OK)
        return nx_fail_nomem(err);
    *len = offset_now(w) - at;
    return w->gathered.len >= GATHER_BYTES ? write_gathered(w, err) : NX_OK;
}

/* --- index ------------------------------------------------------------------------------------ */

/* Shorten a block's last key to any that still lies before the next block's first. */
static void shorten(struct nx_buf *last, struct nx_slice next)
{
    size_t n = 0;

    while (n < last->len && n < next.len && last->data[n] == next.data[n])
        n++;
    /* a byte more, raised by one, if that stays below */
    if (n + 1 < last->len && n < next.len && last->data[n] + 1 < next.data[n]) {
        last->data[n]++;
        last->len = n + 1;
    }
}

/* Enter the block that was written last, now that the key after it is known (empty: none follows).
 */
static enum nx_code enter_block(struct table_writer *w, struct nx_slice next, struct nx_err *err)
{
    uint8_t length[VARINT_MAX_BYTES];
    struct entry entry = {.kind = ENTRY_PUT};

    if (w->last_block_bytes == 0)
        return NX_OK;
    if (next.len)
        shorten(&w->separator, next);
    entry.key = nx_buf_slice(&w->separator);
    entry.value = nx_slice(length, put_varint(length, w->last_block_bytes));
    w->last_block_bytes = 0;
    return block_builder_add(&w->index, &entry) == NX_OK ? NX_OK : nx_fail_nomem(err);
}

static enum nx_code end_block(struct table_writer *w, struct nx_err *err)
{
    struct nx_slice last = block_builder_last_key(&w->data);

    if (w->data.count == 0)
        return NX_OK;
    nx_buf_clear(&w->raw);
    nx_buf_clear(&w->separator);
    if (nx_buf_append(&w->separator, last.data, last.len) != NX_OK ||
        block_builder_finish(&w->data, &w->raw) != NX_OK)
        return nx_fail_nomem(err);
    block_builder_clear(&w->data);
    w->facts.blocks++;
    return write_framed(w, w->codec, nx_buf_slice(&w->raw), &w->last_block_bytes, err);
}

/* --- entries ---------------------------------------------------------------------------------- */

static enum nx_code check_order(const struct table_writer *w, const struct entry *entry,
                                bool *is_new_key, struct nx_err *err)
{
    int order = nx_slice_compare(nx_buf_slice(&w->last_key), entry->key);

    *is_new_key = w->facts.props.entries == 0 || order < 0;
    if (w->facts.props.entries == 0 || order < 0 ||
        (order == 0 && entry->sequence < w->last_sequence))
        return NX_OK;
    return nx_fail(err, NX_EINVAL,
                   "table %" PRIu64 ": entry %" PRIu64 " is not after the one before",
                   w->footer.number, w->facts.props.entries);
}

static bool add_hash(struct table_writer *w, struct nx_slice key)
{
    if (w->options.bloom_bits_per_key == 0)
        return true;
    if (w->hash_count == w->hash_cap) {
        size_t cap = w->hash_cap ? w->hash_cap * 2 : 1024;
        uint64_t *hashes = realloc(w->hashes, cap * sizeof *hashes);

        if (!hashes)
            return false;
        w->hashes = hashes;
        w->hash_cap = cap;
    }
    w->hashes[w->hash_count++] = key_hash(key);
    return true;
}

static void count_sequence(struct table_writer *w, uint64_t sequence)
{
    struct table_props *p = &w->facts.props;

    p->min_sequence = sequence < p->min_sequence ? sequence : p->min_sequence;
    p->max_sequence = sequence > p->max_sequence ? sequence : p->max_sequence;
}

static enum nx_code start_key(struct table_writer *w, struct nx_slice key)
{
    enum nx_code rc = NX_OK;

    if (w->facts.props.entries == 0)
        rc = nx_buf_append(&w->smallest, key.data, key.len);
    nx_buf_clear(&w->last_key);
    if (rc == NX_OK)
        rc = nx_buf_append(&w->last_key, key.data, key.len);
    if (rc == NX_OK && !add_hash(w, key))
        rc = NX_ENOMEM;
    w->facts.keys++;
    return rc;
}

enum nx_code table_writer_put(struct table_writer *w, const struct entry *entry, struct nx_err *err)
{
    size_t len = entry->key.len + entry->value.len;
    bool is_new_key;
    enum nx_code rc = check_order(w, entry, &is_new_key, err);

    if (rc == NX_OK && block_builder_bytes(&w->data) > 0 &&
        block_builder_bytes(&w->data) + len > w->options.block_bytes)
        rc = end_block(w, err);
    if (rc == NX_OK && w->data.count == 0)
        rc = enter_block(w, entry->key, err);
    if (rc != NX_OK)
        return rc;
    if ((is_new_key && start_key(w, entry->key) != NX_OK) ||
        block_builder_add(&w->data, entry) != NX_OK)
        return nx_fail_nomem(err);
    w->last_sequence = entry->sequence;
    w->facts.props.entries++;
    w->facts.props.deletes += entry->kind == ENTRY_DELETE;
    w->facts.props.raw_bytes += len;
    count_sequence(w, entry->sequence);
    return NX_OK;
}

enum nx_code table_writer_delete_range(struct table_writer *w, const struct range_tombstone *range,
                                       struct nx_err *err)
{
    return range_tombstones_add(w->ranges, range, err);
}

uint64_t table_writer_bytes(const struct table_writer *w)
{
    return offset_now(w) + w->data.bytes.len;
}

/* --- the end ---------------------------------------------------------------------------------- */

/* One entry a fragment: its begin as key; end and sequences as value. */
static enum nx_code add_fragment(struct table_writer *w, struct block_builder *builder,
                                 const struct range_fragment *fragment)
{
    struct entry entry = {.key = fragment->begin, .kind = ENTRY_PUT};
    uint8_t number[VARINT_MAX_BYTES];
    enum nx_code rc;

    nx_buf_clear(&w->raw);
    rc = nx_buf_append(&w->raw, number, put_varint(number, fragment->end.len));
    if (rc == NX_OK)
        rc = nx_buf_append(&w->raw, fragment->end.data, fragment->end.len);
    for (size_t i = 0; i < fragment->count && rc == NX_OK; i++) {
        rc = nx_buf_append(&w->raw, number, put_varint(number, fragment->sequences[i]));
        count_sequence(w, fragment->sequences[i]);
    }
    entry.value = nx_buf_slice(&w->raw);
    return rc == NX_OK ? block_builder_add(builder, &entry) : rc;
}

static enum nx_code widen_bounds(struct table_writer *w)
{
    size_t n = range_tombstones_count(w->ranges);
    struct nx_slice begin, end;
    enum nx_code rc = NX_OK;

    if (w->facts.props.entries)
        rc = nx_buf_append(&w->largest, w->last_key.data, w->last_key.len);
    if (n == 0 || rc != NX_OK)
        return rc;
    begin = range_tombstones_at(w->ranges, 0)->begin;
    end = range_tombstones_at(w->ranges, n - 1)->end;
    if (!w->facts.props.entries || nx_slice_compare(begin, nx_buf_slice(&w->smallest)) < 0) {
        nx_buf_clear(&w->smallest);
        rc = nx_buf_append(&w->smallest, begin.data, begin.len);
    }
    if (!w->facts.props.entries || nx_slice_compare(end, nx_buf_slice(&w->largest)) > 0) {
        nx_buf_clear(&w->largest);
        if (rc == NX_OK)
            rc = nx_buf_append(&w->largest, end.data, end.len);
        w->facts.props.largest_is_open = true;
    }
    return rc;
}

static enum nx_code write_ranges(struct table_writer *w, struct nx_err *err)
{
    struct block_builder builder NX_CLEANUP(block_builder_fini) = {.with_hash = false};
    enum nx_code rc = range_tombstones_seal(w->ranges, err);
    size_t n = range_tombstones_count(w->ranges);

    w->facts.props.ranges = n;
    if (rc != NX_OK || n == 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        if (add_fragment(w, &builder, range_tombstones_at(w->ranges, i)) != NX_OK)
            return nx_fail_nomem(err);
    nx_buf_clear(&w->raw);
    if (block_builder_finish(&builder, &w->raw) != NX_OK)
        return nx_fail_nomem(err);
    return write_framed(w, w->codec, nx_buf_slice(&w->raw), &w->footer.part_bytes[PART_RANGES],
                        err);
}

static enum nx_code write_filter(struct table_writer *w, struct nx_err *err)
{
    nx_buf_clear(&w->raw);
    if (filter_build(w->hashes, w->hash_count, w->options.bloom_bits_per_key, &w->raw) != NX_OK)
        return nx_fail_nomem(err);
    if (w->raw.len == 0)
        return NX_OK;
    return write_framed(w, w->plain, nx_buf_slice(&w->raw), &w->footer.part_bytes[PART_FILTER],
                        err);
}

static enum nx_code write_index(struct table_writer *w, struct nx_err *err)
{
    if (w->index.count == 0)
        return NX_OK;
    nx_buf_clear(&w->raw);
    if (block_builder_finish(&w->index, &w->raw) != NX_OK)
        return nx_fail_nomem(err);
    return write_framed(w, w->codec, nx_buf_slice(&w->raw), &w->footer.part_bytes[PART_INDEX], err);
}

static enum nx_code write_properties(struct table_writer *w, struct nx_err *err)
{
    w->facts.props.smallest = nx_buf_slice(&w->smallest);
    w->facts.props.largest = nx_buf_slice(&w->largest);
    nx_buf_clear(&w->raw);
    if (facts_append(&w->facts, &w->raw) != NX_OK)
        return nx_fail_nomem(err);
    return write_framed(w, w->plain, nx_buf_slice(&w->raw), &w->footer.part_bytes[PART_PROPERTIES],
                        err);
}

static enum nx_code write_footer(struct table_writer *w, struct nx_err *err)
{
    uint8_t footer[FOOTER_BYTES];

    footer_put(&w->footer, offset_now(w), footer);
    if (nx_buf_append(&w->gathered, footer, sizeof footer) != NX_OK)
        return nx_fail_nomem(err);
    return write_gathered(w, err);
}

enum nx_code table_writer_finish(struct table_writer *w, struct table_props *props,
                                 struct nx_err *err)
{
    enum nx_code rc = end_block(w, err);

    if (rc == NX_OK)
        rc = enter_block(w, NX_SLICE_NULL, err);
    w->footer.data_bytes = offset_now(w);
    if (rc == NX_OK)
        rc = write_ranges(w, err);
    if (rc == NX_OK && w->facts.props.entries == 0 && w->facts.props.ranges == 0)
        return nx_fail(err, NX_EINVAL, "table %" PRIu64 ": nothing was put", w->footer.number);
    if (rc == NX_OK && widen_bounds(w) != NX_OK)
        rc = nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = write_filter(w, err);
    if (rc == NX_OK)
        rc = write_index(w, err);
    if (rc == NX_OK)
        rc = write_properties(w, err);
    if (rc == NX_OK)
        rc = write_footer(w, err);
    if (rc != NX_OK)
        return rc;
    w->facts.props.file_bytes = w->written_bytes;
    *props = w->facts.props;
    return NX_OK;
}

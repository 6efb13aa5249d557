/*
 * table_salvage.c - reading around the damage of a table.
 *
 * With footer and index every block is where they say. Without, the file is searched: a frame ends
 * in its length, method and checksum, and the checksum is seeded with the file's number and the
 * offset where the frame begins, so a pair of places that satisfies it is a frame. Frames follow
 * each other without gaps; data are those whose keys go on where the one before ended.
 */
#include "storage/table_salvage.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "storage/range_tombstones.h"
#include "storage/table_inner.h"

enum {
    LONGEST_BYTES = 8 << 20,  /* of a frame whose end is searched */
    RESYNC_BYTES = 256 << 10, /* and where its beginning is searched too */
    BLOCK_LEAST_BYTES = 16,   /* of a block before compression: its header */
    HASHED_ENTRIES_MAX = 254, /* a data block of no more entries has a hash index */
    LARGEST_TABLE = 1 << 30,
};

struct extent {
    uint64_t offset, bytes;
    bool is_lost; /* known before it is read */
};

struct extents {
    struct extent *rows; /* owned */
    size_t count, cap;
};

struct table_salvage {
    struct table *table; /* owned, with what parts could be opened */
    struct extents blocks;
    table_loss_fn fn;
    void *arg;
};

static enum nx_code add_extent(struct extents *list, uint64_t offset, uint64_t bytes, bool is_lost,
                               struct nx_err *err)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 256;
        struct extent *rows = realloc(list->rows, cap * sizeof *rows);

        if (!rows)
            return nx_fail_nomem(err);
        list->rows = rows;
        list->cap = cap;
    }
    list->rows[list->count++] = (struct extent){offset, bytes, is_lost};
    return NX_OK;
}

static bool is_damage(enum nx_code rc)
{
    return rc == NX_ECORRUPT || rc == NX_EVERSION;
}

static void tell_part(struct table_salvage *s, const char *what, uint64_t offset, uint64_t bytes)
{
    s->fn(s->arg, &(struct table_loss){.what = what, .offset = offset, .bytes = bytes});
}

/* --- searching for frames ----------------------------------------------------------------------
 */

struct search {
    struct nx_slice bytes;
    uint64_t number;
    uint64_t *ends; /* owned: places that a frame could end at, ascending */
    size_t count, cap;
};

static bool may_end_at(const uint8_t *end)
{
    uint32_t raw_len = get_u32le(end - FRAME_BYTES);

    return end[-9] < CODEC_COUNT && raw_len > 0 && raw_len <= BLOCK_MAX_BYTES;
}

static enum nx_code collect_ends(struct search *search, struct nx_err *err)
{
    for (size_t end = FRAME_BYTES; end <= search->bytes.len; end++) {
        if (!may_end_at(search->bytes.data + end))
            continue;
        if (search->count == search->cap) {
            size_t cap = search->cap ? search->cap * 2 : 4096;
            uint64_t *ends = realloc(search->ends, cap * sizeof *ends);

            if (!ends)
                return nx_fail_nomem(err);
            search->ends = ends;
            search->cap = cap;
        }
        search->ends[search->count++] = end;
    }
    return NX_OK;
}

/* Index of the first end behind `offset`. */
static size_t first_end(const struct search *search, uint64_t offset)
{
    size_t low = 0, high = search->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (search->ends[mid] < offset + FRAME_BYTES)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Length of the frame that begins at `offset`; 0 when none of up to `most` bytes does. */
static uint64_t frame_at(const struct search *search, uint64_t offset, uint64_t most)
{
    for (size_t i = first_end(search, offset); i < search->count; i++) {
        uint64_t len = search->ends[i] - offset;
        struct nx_slice framed = nx_slice(search->bytes.data + offset, (size_t)len), payload;
        uint32_t raw_len = get_u32le(framed.data + len - FRAME_BYTES);
        uint8_t method = framed.data[len - 9];

        if (len > most)
            return 0;
        if (method == NX_COMPRESS_NONE ? raw_len != len - FRAME_BYTES : raw_len < len - FRAME_BYTES)
            continue;
        if (!frame_check(framed, search->number, offset, &payload, &method, &raw_len))
            return len;
    }
    return 0;
}

/* Every frame from the start of the file on, and the stretches in between as lost ones. */
static enum nx_code find_frames(const struct search *search, struct extents *out,
                                struct nx_err *err)
{
    uint64_t at = 0, end = search->bytes.len;
    enum nx_code rc = NX_OK;

    while (rc == NX_OK && at < end) {
        uint64_t from = at, len = frame_at(search, at, LONGEST_BYTES);

        while (len == 0 && ++at < end)
            len = frame_at(search, at, RESYNC_BYTES);
        if (at > from)
            rc = add_extent(out, from, at - from, true, err);
        if (rc == NX_OK && len)
            rc = add_extent(out, at, len, false, err);
        at += len;
    }
    return rc;
}

/* --- what the frames are ------------------------------------------------------------------------
 */

/* Is it a block of entries behind `last`? Then `last` becomes its last key. */
static bool follows(struct table_salvage *s, const struct extent *extent, struct nx_buf *last)
{
    uint8_t bytes[KEY_MAX_BYTES];
    struct block *block;
    struct nx_slice key;
    bool is_data;

    if (table_read_block(s->table, extent->offset, extent->bytes, &block, NULL) != NX_OK)
        return false;
    key = nx_slice(bytes, block_key(block, 0, bytes));
    is_data = (block->hash_slots || block->count > HASHED_ENTRIES_MAX) &&
              (last->len == 0 || nx_slice_compare(nx_buf_slice(last), key) <= 0);
    if (is_data) {
        nx_buf_clear(last);
        key = nx_slice(bytes, block_key(block, block->count - 1, bytes));
        is_data = nx_buf_append(last, key.data, key.len) == NX_OK;
    }
    block_unref(block);
    return is_data;
}

/* How many of the frames are data: those whose keys follow each other. */
static size_t count_data(struct table_salvage *s, const struct extents *frames)
{
    struct nx_buf last NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    size_t data = 0;

    for (size_t i = 0; i < frames->count; i++)
        if (!frames->rows[i].is_lost) {
            if (!follows(s, &frames->rows[i], &last))
                break;
            data = i + 1;
        }
    return data;
}

static enum nx_code load_file(struct table *table, struct nx_buf *out, struct nx_err *err)
{
    uint64_t size;
    size_t got;
    enum nx_code rc = table->file->ops->size(table->file, &size, err);

    if (rc == NX_OK && size > LARGEST_TABLE)
        return table_corrupt(table, 0, "too large to be searched for blocks", err);
    if (rc == NX_OK && nx_buf_reserve(out, (size_t)size + 1) != NX_OK)
        return nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = table->file->ops->pread(table->file, 0, out->data, (size_t)size, &got, err);
    if (rc == NX_OK)
        out->len = got;
    return rc;
}

/* The parts behind the data: only the ranges are needed, and only an open tells what is one. */
static void search_ranges(struct table_salvage *s, const struct extents *frames, size_t data)
{
    if (data < frames->count && !frames->rows[data].is_lost &&
        table_open_part(s->table, PART_RANGES, frames->rows[data].offset, frames->rows[data].bytes,
                        0, NULL) != NX_OK) {
        range_tombstones_free(s->table->ranges);
        s->table->ranges = NULL;
    }
}

/* `limit`: where the data ends; 0 when the footer is lost. */
static enum nx_code search_blocks(struct table_salvage *s, uint64_t limit, struct nx_err *err)
{
    struct nx_buf bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct search search = {.number = s->table->facts.props.number};
    struct extents frames = {0};
    size_t data;
    enum nx_code rc = load_file(s->table, &bytes, err);

    search.bytes = nx_slice(bytes.data, limit && limit < bytes.len ? (size_t)limit : bytes.len);
    if (rc == NX_OK)
        rc = collect_ends(&search, err);
    if (rc == NX_OK)
        rc = find_frames(&search, &frames, err);
    data = limit ? frames.count : rc == NX_OK ? count_data(s, &frames) : 0;
    if (!limit && rc == NX_OK)
        search_ranges(s, &frames, data);
    free(search.ends);
    free(s->blocks.rows);
    s->blocks = frames;
    s->blocks.count = data;
    return rc;
}

/* --- opening ------------------------------------------------------------------------------------
 */

static enum nx_code use_index(struct table_salvage *s, struct nx_err *err)
{
    struct table *table = s->table;
    enum nx_code rc = NX_OK;

    for (uint32_t i = 0; i < table->block_count && rc == NX_OK; i++)
        rc = add_extent(&s->blocks, table->offsets[i], table->offsets[i + 1] - table->offsets[i],
                        false, err);
    return rc;
}

/* Half-open parts would be worse than none. */
static void forget_part(struct table *table, enum table_part part)
{
    if (part == PART_RANGES) {
        range_tombstones_free(table->ranges);
        table->ranges = NULL;
    } else if (part == PART_INDEX) {
        block_unref(table->index);
        free(table->heads);
        free(table->offsets);
        table->index = NULL;
        table->heads = table->offsets = NULL;
        table->block_count = 0;
    }
}

static enum nx_code open_parts(struct table_salvage *s, const struct table_footer *footer,
                               struct nx_err *err)
{
    uint64_t at = footer->data_bytes;
    bool has_index = true, is_whole = true;

    for (int part = 0; part < PART_COUNT; part++) {
        uint64_t len = footer->part_bytes[part];
        struct nx_err why = NX_ERR_INIT;
        enum nx_code rc = part == PART_PROPERTIES && !is_whole
                              ? NX_OK
                              : table_open_part(s->table, (enum table_part)part, at, len,
                                                footer->data_bytes, &why);

        if (rc != NX_OK && !is_damage(rc))
            return nx_fail(err, rc, "%s", why.message);
        if (rc != NX_OK) {
            tell_part(s, why.message, at, len);
            forget_part(s->table, (enum table_part)part);
            has_index = has_index && part != PART_INDEX;
            is_whole = false;
        }
        at += len;
    }
    return has_index || footer->data_bytes == 0 ? use_index(s, err)
                                                : search_blocks(s, footer->data_bytes, err);
}

/* --- which blocks are sound ---------------------------------------------------------------------
 */

static void tell_block(struct table_salvage *s, const struct extent *extent, const char *what,
                       struct nx_slice after)
{
    struct table_loss loss = {.what = what,
                              .offset = extent->offset,
                              .bytes = extent->bytes,
                              .is_block = true,
                              .after = after};
    uint8_t bytes[KEY_MAX_BYTES];

    if (s->table->index)
        loss.up_to =
            nx_slice(bytes, block_key(s->table->index, (uint32_t)(extent - s->blocks.rows), bytes));
    s->fn(s->arg, &loss);
}

/* Read a block; `last` becomes its last key. A bad sector of the disk is damage too. */
static enum nx_code check_block(struct table_salvage *s, struct extent *extent, struct nx_buf *last,
                                struct nx_err *err)
{
    struct nx_err why = NX_ERR_INIT;
    uint8_t bytes[KEY_MAX_BYTES];
    struct block *block = NULL;
    enum nx_code rc = extent->is_lost
                          ? table_corrupt(s->table, extent->offset, "no block begins here", &why)
                          : table_read_block(s->table, extent->offset, extent->bytes, &block, &why);

    if (rc != NX_OK && !is_damage(rc) && rc != NX_EIO)
        return nx_fail(err, rc, "%s", why.message);
    if (rc != NX_OK) {
        extent->is_lost = true;
        tell_block(s, extent, why.message, nx_buf_slice(last));
        return NX_OK;
    }
    nx_buf_clear(last);
    rc = nx_buf_append(last, bytes, block_key(block, block->count - 1, bytes));
    block_unref(block);
    return rc == NX_OK ? NX_OK : nx_fail_nomem(err);
}

static enum nx_code check_blocks(struct table_salvage *s, struct nx_err *err)
{
    struct nx_buf last NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < s->blocks.count && rc == NX_OK; i++)
        rc = check_block(s, &s->blocks.rows[i], &last, err);
    return rc;
}

enum nx_code table_salvage_open(struct nx_file *file, uint64_t number, table_loss_fn fn, void *arg,
                                struct table_salvage **out, struct nx_err *err)
{
    struct table_salvage *s = calloc(1, sizeof *s);
    struct nx_err why = NX_ERR_INIT;
    struct table_footer footer;
    enum nx_code rc;

    *out = NULL;
    if (!s)
        return nx_fail_nomem(err);
    s->fn = fn;
    s->arg = arg;
    s->table = table_new(file, number, NULL);
    rc = s->table ? table_read_footer(s->table, &footer, &why) : nx_fail_nomem(&why);
    if (is_damage(rc)) {
        tell_part(s, why.message, 0, 0);
        rc = search_blocks(s, 0, err);
    } else {
        rc = rc == NX_OK ? open_parts(s, &footer, err) : nx_fail(err, rc, "%s", why.message);
    }
    if (rc == NX_OK)
        rc = check_blocks(s, err);
    if (rc == NX_OK) {
        *out = s;
        return NX_OK;
    }
    if (s->table)
        table_free(s->table);
    free(s->blocks.rows);
    free(s);
    return rc;
}

void table_salvage_assign(struct table_salvage *s, uint64_t sequence)
{
    s->table->assigned = sequence;
}

void table_salvage_close(struct table_salvage *s)
{
    if (!s)
        return;
    table_unref(s->table);
    free(s->blocks.rows);
    free(s);
}

size_t table_salvage_blocks(const struct table_salvage *s)
{
    return s->blocks.count;
}

const struct range_tombstones *table_salvage_ranges(const struct table_salvage *s)
{
    return s->table->ranges;
}

/* --- the entries --------------------------------------------------------------------------------
 */

struct salvage_source {
    struct source base;
    struct table_salvage *salvage;
    size_t next_block;
    struct block *block; /* counted; NULL before the first */
    uint32_t at;
    uint64_t last_sequence;
    struct nx_buf last; /* key of the entry before */
    uint8_t key[KEY_MAX_BYTES];
};

static void source_fail(struct salvage_source *source, enum nx_code rc)
{
    source->base.valid = false;
    source->base.failed = rc;
}

static void close_source(struct source *base)
{
    struct salvage_source *source = (struct salvage_source *)base;

    block_unref(source->block);
    nx_buf_fini(&source->last);
    free(source);
}

/* The next block that is sound; NULL behind the last. */
static enum nx_code load_block(struct salvage_source *source)
{
    struct table_salvage *s = source->salvage;

    block_unref(source->block);
    source->block = NULL;
    source->at = 0;
    while (source->next_block < s->blocks.count) {
        const struct extent *extent = &s->blocks.rows[source->next_block++];

        if (!extent->is_lost)
            return table_read_block(s->table, extent->offset, extent->bytes, &source->block,
                                    source->base.err);
    }
    return NX_OK;
}

/* Is the entry behind the one before it? */
static bool is_in_order(const struct salvage_source *source, const struct entry *entry)
{
    int order = nx_slice_compare(nx_buf_slice(&source->last), entry->key);

    return source->last.len == 0 || order < 0 ||
           (order == 0 && entry->sequence < source->last_sequence);
}

static enum nx_code take_entry(struct salvage_source *source, bool *is_good)
{
    struct entry *entry = &source->base.entry;
    struct block_entry e;

    block_get(source->block, source->at, &e);
    entry->key = nx_slice(source->key, block_key(source->block, source->at, source->key));
    entry->value = e.value;
    entry->sequence = e.sequence;
    entry->kind = e.kind;
    source->at++;
    *is_good = is_in_order(source, entry);
    if (!*is_good)
        return NX_OK;
    source->last_sequence = entry->sequence;
    nx_buf_clear(&source->last);
    return nx_buf_append(&source->last, entry->key.data, entry->key.len);
}

static void next_entry(struct source *base)
{
    struct salvage_source *source = (struct salvage_source *)base;
    bool is_good = false;
    enum nx_code rc = NX_OK;

    while (!is_good && rc == NX_OK) {
        if (!source->block || source->at == source->block->count)
            rc = load_block(source);
        if (rc == NX_OK && !source->block) {
            base->valid = false;
            return;
        }
        if (rc == NX_OK)
            rc = take_entry(source, &is_good);
    }
    if (rc != NX_OK)
        source_fail(source, rc);
    else
        base->valid = true;
}

static void first_entry(struct source *base)
{
    struct salvage_source *source = (struct salvage_source *)base;

    block_unref(source->block);
    source->block = NULL;
    source->next_block = 0;
    nx_buf_clear(&source->last);
    next_entry(base);
}

static const struct source_ops source_ops = {
    .close = close_source, .first = first_entry, .next = next_entry};

enum nx_code table_salvage_source(struct table_salvage *salvage, struct source **out,
                                  struct nx_err *err)
{
    struct salvage_source *source = calloc(1, sizeof *source);

    *out = NULL;
    if (!source)
        return nx_fail_nomem(err);
    source->base = (struct source){.ops = &source_ops, .err = err};
    source->salvage = salvage;
    *out = &source->base;
    return NX_OK;
}

/*
 * block_build.c - encoding a block.
 *
 * The shared prefix is that of the first and the last key, known only at the end: entries wait in a
 * buffer until then.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "storage/block.h"
#include "storage/block_format.h"

void block_builder_fini(struct block_builder *builder)
{
    nx_buf_fini(&builder->bytes);
    free(builder->entries);
    *builder = BLOCK_BUILDER_INIT;
}

void block_builder_clear(struct block_builder *builder)
{
    nx_buf_clear(&builder->bytes);
    builder->count = 0;
}

static enum nx_code grow(struct block_builder *builder)
{
    size_t cap = builder->cap ? builder->cap * 2 : 64;
    struct pending_entry *entries = realloc(builder->entries, cap * sizeof *entries);

    if (!entries)
        return NX_ENOMEM;
    builder->entries = entries;
    builder->cap = cap;
    return NX_OK;
}

enum nx_code block_builder_add(struct block_builder *builder, const struct entry *entry)
{
    enum nx_code rc = builder->count == builder->cap ? grow(builder) : NX_OK;
    size_t at = builder->bytes.len;

    if (rc == NX_OK)
        rc = nx_buf_reserve(&builder->bytes, entry->key.len + entry->value.len);
    if (rc != NX_OK)
        return rc;
    nx_buf_append(&builder->bytes, entry->key.data, entry->key.len);
    nx_buf_append(&builder->bytes, entry->value.data, entry->value.len);
    builder->entries[builder->count++] = (struct pending_entry){
        .key_at = at,
        .key_len = (uint32_t)entry->key.len,
        .value_at = at + entry->key.len,
        .value_len = (uint32_t)entry->value.len,
        .sequence = entry->sequence,
        .kind = entry->kind,
    };
    return NX_OK;
}

size_t block_builder_bytes(const struct block_builder *builder)
{
    return builder->bytes.len + builder->count * 8;
}

static struct nx_slice key_of(const struct block_builder *builder, size_t i)
{
    const struct pending_entry *e = &builder->entries[i];

    return nx_slice(builder->bytes.data + e->key_at, e->key_len);
}

struct nx_slice block_builder_last_key(const struct block_builder *builder)
{
    return builder->count ? key_of(builder, builder->count - 1) : NX_SLICE_NULL;
}

static size_t shared_prefix(const struct block_builder *builder)
{
    struct nx_slice first = key_of(builder, 0), last = block_builder_last_key(builder);
    size_t n = 0, max = first.len < last.len ? first.len : last.len;

    while (n < max && first.data[n] == last.data[n])
        n++;
    return n;
}

static bool is_older(const struct block_builder *builder, size_t i)
{
    return builder->with_hash && i > 0 &&
           nx_slice_equal(key_of(builder, i), key_of(builder, i - 1));
}

static uint64_t least_sequence(const struct block_builder *builder)
{
    uint64_t least = UINT64_MAX;

    for (size_t i = 0; i < builder->count; i++)
        if (builder->entries[i].sequence < least)
            least = builder->entries[i].sequence;
    return least;
}

static uint64_t tag_of(const struct block_builder *builder, size_t i, uint64_t base)
{
    const struct pending_entry *e = &builder->entries[i];
    uint64_t tag = (e->sequence - base) << TAG_SEQUENCE_SHIFT | (uint64_t)e->kind;

    return is_older(builder, i) ? tag | TAG_OLDER : tag;
}

/* Append the entry without its prefix. Room for all of it is reserved. */
static void put_entry(const struct block_builder *builder, size_t i, size_t prefix_len,
                      uint64_t base, struct nx_buf *out)
{
    const struct pending_entry *e = &builder->entries[i];
    uint8_t *at = out->data + out->len;

    at += put_varint(at, tag_of(builder, i, base));
    at += put_varint(at, e->key_len - prefix_len);
    at += put_varint(at, e->value_len);
    out->len = (size_t)(at - out->data);
    nx_buf_append(out, builder->bytes.data + e->key_at + prefix_len, e->key_len - prefix_len);
    nx_buf_append(out, builder->bytes.data + e->value_at, e->value_len);
}

static size_t entries_bytes(const struct block_builder *builder, size_t prefix_len, uint64_t base)
{
    size_t bytes = builder->bytes.len - builder->count * prefix_len;
    uint8_t scratch[VARINT_MAX_BYTES];

    for (size_t i = 0; i < builder->count; i++) {
        const struct pending_entry *e = &builder->entries[i];

        bytes += put_varint(scratch, tag_of(builder, i, base));
        bytes += put_varint(scratch, e->key_len - prefix_len);
        bytes += put_varint(scratch, e->value_len);
    }
    return bytes;
}

static size_t hash_slots(const struct block_builder *builder)
{
    return builder->with_hash && builder->count <= HASH_ENTRIES_MAX
               ? builder->count + builder->count / 3 + 1
               : 0;
}

/* Open addressing; only the newest version of a key is entered. */
static void fill_hash(const struct block_builder *builder, uint8_t *slots, size_t count)
{
    memset(slots, HASH_EMPTY, count);
    for (size_t i = 0; i < builder->count; i++) {
        size_t at;

        if (is_older(builder, i))
            continue;
        at = hash_slot(key_hash(key_of(builder, i)), (uint32_t)count);
        while (slots[at] != HASH_EMPTY)
            at = at + 1 == count ? 0 : at + 1;
        slots[at] = (uint8_t)i;
    }
}

enum nx_code block_builder_finish(const struct block_builder *builder, struct nx_buf *out)
{
    size_t n = builder->count, slots = hash_slots(builder), start = out->len;
    size_t prefix_len = shared_prefix(builder), width, len;
    uint64_t base = least_sequence(builder);
    uint8_t *front;

    len = BLOCK_HEADER_BYTES + slots + prefix_len + entries_bytes(builder, prefix_len, base);
    width = offset_width(len + 2 * n);
    if (nx_buf_reserve(out, len + width * n) != NX_OK)
        return NX_ENOMEM;
    front = out->data + start;
    put_u32le(front, (uint32_t)n);
    put_u16le(front + 4, (uint16_t)prefix_len);
    put_u16le(front + 6, (uint16_t)slots);
    put_u64le(front + 8, base);
    if (slots)
        fill_hash(builder, front + BLOCK_HEADER_BYTES, slots);
    out->len += BLOCK_HEADER_BYTES + slots + width * n;
    nx_buf_append(out, key_of(builder, 0).data, prefix_len);
    front += BLOCK_HEADER_BYTES + slots;
    for (size_t i = 0; i < n; i++, front += width) {
        if (width == 2)
            put_u16le(front, (uint16_t)(out->len - start));
        else
            put_u32le(front, (uint32_t)(out->len - start));
        put_entry(builder, i, prefix_len, base, out);
    }
    return NX_OK;
}

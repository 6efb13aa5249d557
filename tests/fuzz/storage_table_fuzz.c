/*
 * storage_table_fuzz.c - a file with right checksums and wrong content opens, is walked, searched
 * and checked without harm. The checksums of footer, parts and blocks are made right first:
 * otherwise nearly every input would end there.
 */
#include "base/bytes.h"
#include "storage/table_inner.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/storage/memory_file.h"

static uint64_t number_of(const struct nx_buf *file)
{
    return get_u64le(file->data + file->len - FOOTER_BYTES + 16);
}

static void mend(struct nx_buf *file, uint64_t offset, uint64_t len)
{
    if (len < FRAME_BYTES || offset > file->len || len > file->len - offset)
        return;
    put_u64le(file->data + offset + len - 8,
              place_hash(file->data + offset, (size_t)len - 8, number_of(file), offset));
}

static void mend_parts(struct nx_buf *file)
{
    size_t at = file->len - FOOTER_BYTES;
    uint8_t *footer = file->data + at;
    uint64_t offset = get_u64le(footer + 24);

    for (int i = 0; i < PART_COUNT; i++) {
        uint64_t len = get_u64le(footer + 32 + 8 * i);

        mend(file, offset, len);
        offset += len;
    }
    put_u64le(footer + 64, place_hash(footer, 64, number_of(file), at));
}

static void walk(struct table *table, uint64_t sequence)
{
    struct nx_err err = NX_ERR_INIT;
    struct source *source;
    uint64_t steps = 0;

    CLAIM(table_source(table, sequence, CACHE_KEEP, &source, &err) == NX_OK);
    for (source->ops->first(source); source->valid; source->ops->next(source)) {
        struct nx_slice key = source->entry.key;
        struct table_hit hit;
        bool found;

        CLAIM(++steps < 1000000);
        if (table_get(table, key, table_hash(key), sequence, &hit, &found, &err) == NX_OK && found)
            table_hit_release(&hit);
    }
    for (source->ops->last(source); sequence != SEQUENCE_ALL && source->valid;
         source->ops->prev(source))
        CLAIM(++steps < 2000000);
    source_close(source);
}

static void read_table(const uint8_t *data, size_t size, uint64_t cache_bytes)
{
    struct memory_file file;
    struct cache *cache = cache_new(cache_bytes);
    struct nx_err err = NX_ERR_INIT;
    struct table *table;

    memory_file_init(&file);
    CLAIM(cache && nx_buf_append(&file.bytes, data, size) == NX_OK);
    mend_parts(&file.bytes);
    if (table_open(&file.base, number_of(&file.bytes), cache, &table, &err) == NX_OK) {
        for (uint32_t i = 0; i < table->block_count; i++)
            mend(&file.bytes, table->offsets[i], table->offsets[i + 1] - table->offsets[i]);
        walk(table, SEQUENCE_ALL);
        walk(table, 5);
        table_verify(table, &err);
        table_unref(table);
    } else {
        CLAIM(err.message[0]);
    }
    cache_free(cache);
    memory_file_fini(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < FOOTER_BYTES)
        return 0;
    read_table(data, size, 1 << 16);
    read_table(data, size, 0); /* lookups only look into blocks */
    return 0;
}

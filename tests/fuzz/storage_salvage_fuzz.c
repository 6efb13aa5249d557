/*
 * storage_salvage_fuzz.c - whatever is left of a table, its salvage ends and gives entries in
 * order. The input is the file, or with a first byte of 0 damage to a sound one: offset (2 bytes)
 * and value, repeated; offset 65535 cuts the file there.
 */
#include "base/bytes.h"
#include "storage/table_salvage.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/storage/memory_file.h"

static void write_sound(struct memory_file *file)
{
    const struct table_options options = {.block_bytes = 256, .bloom_bits_per_key = 10};
    const struct range_tombstone range = {nx_slice_str("key010"), nx_slice_str("key012"), 90};
    struct table_writer *writer;
    struct table_props props;

    CLAIM(table_writer_new(&file->base, 7, &options, &writer, NULL) == NX_OK);
    for (unsigned i = 0; i < 60; i++) {
        char key[16];
        struct entry entry = {.value = nx_slice_str("a value"), .sequence = i, .kind = ENTRY_PUT};

        snprintf(key, sizeof key, "key%03u", i);
        entry.key = nx_slice_str(key);
        CLAIM(table_writer_put(writer, &entry, NULL) == NX_OK);
    }
    CLAIM(table_writer_delete_range(writer, &range, NULL) == NX_OK);
    CLAIM(table_writer_finish(writer, &props, NULL) == NX_OK);
    table_writer_free(writer);
}

static void damage(struct nx_buf *bytes, const uint8_t *data, size_t size)
{
    for (; size >= 3; data += 3, size -= 3) {
        size_t at = get_u16le(data);

        if (at == UINT16_MAX)
            bytes->len = bytes->len * data[2] / 255;
        else if (bytes->len)
            bytes->data[at % bytes->len] ^= data[2];
    }
}

static void count_loss(void *arg, const struct table_loss *loss)
{
    (void)arg;
    CLAIM(loss->what[0]);
}

static void walk(struct table_salvage *salvage)
{
    struct nx_buf last = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    struct source *source;
    uint64_t sequence = 0;

    CLAIM(table_salvage_source(salvage, &source, &err) == NX_OK);
    for (source->ops->first(source); source->valid; source->ops->next(source)) {
        int order = nx_slice_compare(nx_buf_slice(&last), source->entry.key);

        CLAIM(last.len == 0 || order < 0 || (order == 0 && source->entry.sequence < sequence));
        sequence = source->entry.sequence;
        nx_buf_clear(&last);
        CLAIM(nx_buf_append(&last, source->entry.key.data, source->entry.key.len) == NX_OK);
    }
    CLAIM(source->failed == NX_OK);
    source_close(source);
    nx_buf_fini(&last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_file file;
    struct table_salvage *salvage;

    memory_file_init(&file);
    if (size && data[0] == 0) {
        write_sound(&file);
        damage(&file.bytes, data + 1, size - 1);
    } else {
        CLAIM(nx_buf_append(&file.bytes, data, size) == NX_OK);
    }
    if (table_salvage_open(&file.base, 7, count_loss, NULL, &salvage, NULL) == NX_OK) {
        walk(salvage);
        table_salvage_close(salvage);
    }
    memory_file_fini(&file);
    return 0;
}

/* storage_block_fuzz.c - a block that parses can be walked and searched, whatever it holds. */
#include <string.h>

#include "storage/block.h"
#include "tests/fuzz/fuzz.h"

static void look_up(const struct block *block, uint32_t i)
{
    uint8_t bytes[KEY_MAX_BYTES];
    struct nx_slice key = nx_slice(bytes, block_key(block, i, bytes));
    uint32_t found = block_find(block, key, key_hash(key));

    CLAIM(key.len <= KEY_MAX_BYTES);
    CLAIM(found <= block->count);
    CLAIM(block_bound(block, key, false) <= block_bound(block, key, true));
    if (found < block->count) {
        uint8_t other[KEY_MAX_BYTES];

        CLAIM(nx_slice_equal(key, nx_slice(other, block_key(block, found, other))));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct block *block = block_new(size);
    struct block_entry entry;
    uint64_t sum = 0;

    CLAIM(block);
    if (size)
        memcpy(block->bytes, data, size);
    if (!block_parse(block))
        for (uint32_t i = 0; i < block->count; i++) {
            block_get(block, i, &entry);
            CLAIM(entry.sequence <= SEQUENCE_MAX);
            for (size_t b = 0; b < entry.value.len; b++)
                sum += entry.value.data[b];
            look_up(block, i);
        }
    block_unref(block);
    CLAIM(sum < UINT64_MAX); /* every value byte was read */
    return 0;
}

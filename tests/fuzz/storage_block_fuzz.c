/*
 * storage_block_fuzz.c - a block that parses can be walked and searched, whatever it holds; one
 * that is only looked into gives the same, or is safe when it would not parse.
 */
#include <string.h>

#include "storage/block.h"
#include "tests/fuzz/fuzz.h"

/* The block's bytes appear as they are reached, so that a look past them is noticed. */
struct front {
    const uint8_t *all;
    struct block *block;
    size_t ready;
};

static bool reach(void *arg, size_t len)
{
    struct front *front = arg;

    if (len > front->block->len)
        return false;
    if (len > front->ready) {
        memcpy(front->block->bytes + front->ready, front->all + front->ready, len - front->ready);
        front->ready = len;
    }
    return true;
}

/* Look for `key` in a block of which nothing is there yet. */
static enum block_answer peek(const struct block *whole, struct nx_slice key, size_t *value_len)
{
    struct block *block = block_new(whole->len);
    struct front front = {.all = whole->bytes, .block = block};
    struct block_entry entry = {0};
    enum block_answer answer;

    CLAIM(block);
    memset(block->bytes, 0xee, whole->len);
    answer = block_peek(block, key, key_hash(key), reach, &front, &entry);
    if (answer == BLOCK_HAS)
        CLAIM(entry.value.data + entry.value.len <= block->bytes + front.ready);
    *value_len = entry.value.len;
    block_unref(block);
    return answer;
}

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
    if (block->hash_slots) {
        struct block_entry entry = {0};
        size_t value_len;
        enum block_answer answer = peek(block, key, &value_len);

        CLAIM(answer == (found < block->count ? BLOCK_HAS : BLOCK_LACKS));
        if (found < block->count) {
            block_get(block, found, &entry);
            CLAIM(value_len == entry.value.len);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct block *block = block_new(size);
    struct block_entry entry;
    uint64_t sum = 0;
    size_t value_len;

    CLAIM(block);
    if (size)
        memcpy(block->bytes, data, size);
    peek(block, nx_slice(data, size < 9 ? size : 9), &value_len);
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

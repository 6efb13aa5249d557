/*
 * table_peek.c - a lookup in a block that is not worth keeping.
 *
 * Most of what a point read that misses the cache does is decompressing a block for one entry of
 * it. A block that the cache will not have is unpacked only up to that entry, which its front tells
 * the place of, into memory of the caller; nothing is allocated, and of its structure only what is
 * used is checked.
 */
#include "storage/table_inner.h"

#define FIRST_STEP 512 /* in most blocks this is more than the front */

struct peek {
    struct table_frame frame;
    struct block block;
    size_t ready; /* bytes of it that are there */
};

static bool reach(void *arg, size_t len)
{
    struct peek *peek = arg;
    size_t want = len > FIRST_STEP ? len : FIRST_STEP;

    if (want > peek->block.len)
        want = peek->block.len;
    if (len > peek->ready)
        peek->ready = codec_decompress_front(peek->frame.method, peek->frame.payload,
                                             peek->block.bytes, peek->block.len, want);
    return len <= peek->ready;
}

enum block_answer table_peek(struct table *table, uint32_t i, struct nx_slice key, uint64_t hash,
                             struct table_hit *out)
{
    uint64_t offset = table->offsets[i], len = table->offsets[i + 1] - offset;
    struct peek peek = {.ready = 0};
    struct block_entry entry = {.sequence = 0};
    enum block_answer answer;

    if (len > sizeof out->framed ||
        table_read_frame(table, offset, len, out->framed, &peek.frame, NULL) != NX_OK ||
        peek.frame.raw_len > sizeof out->scratch)
        return BLOCK_UNSURE;
    peek.block.len = peek.frame.raw_len;
    peek.block.bytes = out->scratch;
    answer = block_peek(&peek.block, key, hash, reach, &peek, &entry);
    if (table->assigned)
        entry.sequence = table->assigned;
    if (answer == BLOCK_HAS)
        out->entry = (struct entry){key, entry.value, entry.sequence, entry.kind};
    return answer;
}

/* block_format.h - constants of the block encoding, for its builder and its reader. */
#ifndef STORAGE_BLOCK_FORMAT_H
#define STORAGE_BLOCK_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define BLOCK_HEADER_BYTES 16

/* An entry's tag: kind in bit 0, then whether it is a further version of the key before, then its
 * sequence less the block's base. */
#define TAG_KIND 1u
#define TAG_OLDER 2u
#define TAG_SEQUENCE_SHIFT 2

#define HASH_EMPTY 0xff
#define HASH_ENTRIES_MAX 254

/* Offsets are 2 bytes wide in a block that would not pass 64 KiB with such offsets. */
static inline size_t offset_width(size_t block_bytes_with_short_offsets)
{
    return block_bytes_with_short_offsets <= UINT16_MAX ? 2 : 4;
}

static inline uint32_t hash_slot(uint64_t hash, uint32_t slots)
{
    return (uint32_t)(((hash & UINT32_MAX) * slots) >> 32);
}

#endif

/*
 * arena.c - blocks that double up to 1 MiB, so that a small arena stays small and a large one makes
 * few calls to malloc. A request larger than the next block gets a block of its own size.
 */
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BLOCK_BYTES = 1024, LARGEST_BLOCK_BYTES = 1 << 20, ALIGNMENT = 8 };

struct arena_block {
    struct arena_block *next;
    size_t cap; /* bytes behind this header */
};

_Static_assert(sizeof(struct arena_block) % ALIGNMENT == 0, "the first allocation is aligned");

static uint8_t *block_bytes(struct arena_block *block)
{
    return (uint8_t *)(block + 1);
}

static bool add_block(struct arena *arena, size_t least)
{
    struct arena_block *block;
    size_t cap = arena->blocks ? arena->blocks->cap * 2 : FIRST_BLOCK_BYTES;

    if (cap > LARGEST_BLOCK_BYTES)
        cap = LARGEST_BLOCK_BYTES;
    if (cap < least)
        cap = least;
    block = malloc(sizeof *block + cap);
    if (!block)
        return false;
    block->next = arena->blocks;
    block->cap = cap;
    arena->blocks = block;
    arena->at = block_bytes(block);
    arena->end = arena->at + cap;
    arena->held_bytes += sizeof *block + cap;
    return true;
}

void *arena_alloc(struct arena *arena, size_t len)
{
    void *out;

    if (len > SIZE_MAX / 2)
        return NULL;
    len = (len + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (arena->max_bytes &&
        (len > arena->max_bytes || arena->used_bytes > arena->max_bytes - len)) {
        arena->refused = true;
        return NULL;
    }
    if (len > (size_t)(arena->end - arena->at) || !arena->blocks)
        if (!add_block(arena, len))
            return NULL;
    out = arena->at;
    arena->at += len;
    arena->used_bytes += len;
    return out;
}

void *arena_copy(struct arena *arena, const void *data, size_t len)
{
    void *out = arena_alloc(arena, len);

    if (out && len)
        memcpy(out, data, len);
    return out;
}

void arena_reset(struct arena *arena)
{
    struct arena_block *largest = arena->blocks;
    struct arena_block *block = arena->blocks;

    arena->refused = false;
    if (!block)
        return;
    for (; block; block = block->next)
        if (block->cap > largest->cap)
            largest = block;
    for (block = arena->blocks; block;) {
        struct arena_block *next = block->next;

        if (block != largest)
            free(block);
        block = next;
    }
    largest->next = NULL;
    arena->blocks = largest;
    arena->at = block_bytes(largest);
    arena->end = arena->at + largest->cap;
    arena->used_bytes = 0;
    arena->held_bytes = sizeof *largest + largest->cap;
}

void arena_fini(struct arena *arena)
{
    for (struct arena_block *block = arena->blocks; block;) {
        struct arena_block *next = block->next;

        free(block);
        block = next;
    }
    *arena = ARENA_INIT;
}

/*
 * arena.h - many small allocations freed together.
 *
 * Threads: one at a time. Memory is not zeroed and is aligned to 8 bytes.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* owned, newest first */
    uint8_t *at;
    uint8_t *end;
    size_t used_bytes; /* handed out since the last reset */
    size_t held_bytes; /* taken from malloc */
    size_t max_bytes;  /* that may be handed out between resets; 0: no limit */
    bool refused;      /* an allocation would have passed max_bytes, since the last reset */
};

#define ARENA_INIT ((struct arena){0})

/* NULL when out of memory, or past max_bytes. */
void *arena_alloc(struct arena *arena, size_t len);
void *arena_copy(struct arena *arena, const void *data, size_t len);
/* Forget everything, keeping the largest block for reuse. */
void arena_reset(struct arena *arena);
void arena_fini(struct arena *arena);

#endif

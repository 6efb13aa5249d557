/*
 * hugearena.h - memory handed out in order and freed at once, on huge pages where it is large.
 *
 * Threads: one allocates; what is handed out may be shared.
 */
#ifndef STORAGE_HUGEARENA_H
#define STORAGE_HUGEARENA_H

#include <stddef.h>
#include <stdint.h>

struct huge_chunk;

struct huge_arena {
    struct huge_chunk *chunks; /* owned, newest first */
    uint8_t *at;
    uint8_t *end;
    size_t chunk_bytes;
    size_t used_bytes; /* of the chunks, what is handed out */
};

/* Pieces of about an eighth of `expected_bytes`; on huge pages from 2 MiB. */
void huge_arena_init(struct huge_arena *arena, uint64_t expected_bytes);
void huge_arena_fini(struct huge_arena *arena);
/* Zeroed memory; `align` is a power of two up to 64. NULL: out of memory. */
void *huge_arena_alloc(struct huge_arena *arena, size_t len, size_t align);

#endif

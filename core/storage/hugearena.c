/*
 * hugearena.c - an arena for structures that are walked at random.
 *
 * A lookup in a 64 MiB memtable touches some ten cache lines on as many pages; with 4 KiB pages
 * each is a TLB miss too. Transparent huge pages have to be asked for, on memory aligned to them,
 * which malloc does not give: so large chunks are mapped here. Small ones (tests, small memtables)
 * are not worth a zeroed 2 MiB page and come from malloc.
 */
#include "storage/hugearena.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define CHUNK_MIN ((size_t)16 << 10)
#define CHUNK_MAX ((size_t)8 << 20)
#define CHUNK_HEADER 64

struct huge_chunk {
    struct huge_chunk *next;
    size_t len;
};

_Static_assert(sizeof(struct huge_chunk) <= CHUNK_HEADER, "the header keeps chunks aligned to 64");

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* Map `len` bytes, a multiple of the page, aligned to the huge page: map more, give back the ends.
 */
static void *map_huge(size_t len)
{
    size_t room = len + HUGE_PAGE, before;
    uint8_t *at = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED)
        return NULL;
    before = round_up((uintptr_t)at, HUGE_PAGE) - (uintptr_t)at;
    if (before)
        munmap(at, before);
    if (HUGE_PAGE - before)
        munmap(at + before + len, HUGE_PAGE - before);
    madvise(at + before, len, MADV_HUGEPAGE); /* advice: without it only slower */
    return at + before;
}

static struct huge_chunk *chunk_new(size_t len)
{
    struct huge_chunk *chunk;

    if (len >= HUGE_PAGE) {
        len = round_up(len, HUGE_PAGE);
        chunk = map_huge(len);
    } else {
        len = round_up(len, CHUNK_HEADER);
        chunk = aligned_alloc(CHUNK_HEADER, len);
        if (chunk)
            memset(chunk, 0, len);
    }
    if (chunk)
        chunk->len = len;
    return chunk;
}

static void chunk_free(struct huge_chunk *chunk)
{
    if (chunk->len >= HUGE_PAGE)
        munmap(chunk, chunk->len);
    else
        free(chunk);
}

void huge_arena_init(struct huge_arena *arena, uint64_t expected_bytes)
{
    uint64_t piece = expected_bytes / 8;

    *arena = (struct huge_arena){.chunk_bytes = CHUNK_MIN};
    while (arena->chunk_bytes < piece && arena->chunk_bytes < CHUNK_MAX)
        arena->chunk_bytes *= 2;
}

void huge_arena_fini(struct huge_arena *arena)
{
    struct huge_chunk *chunk = arena->chunks;

    while (chunk) {
        struct huge_chunk *next = chunk->next;

        chunk_free(chunk);
        chunk = next;
    }
    *arena = (struct huge_arena){.chunk_bytes = arena->chunk_bytes};
}

/* A chunk for one allocation goes behind the current one, which keeps its free end. */
static void *alloc_apart(struct huge_arena *arena, size_t len)
{
    struct huge_chunk *chunk = chunk_new(len + CHUNK_HEADER);

    if (!chunk)
        return NULL;
    if (arena->chunks) {
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
    } else {
        arena->chunks = chunk;
    }
    arena->used_bytes += chunk->len;
    return (uint8_t *)chunk + CHUNK_HEADER;
}

void *huge_arena_alloc(struct huge_arena *arena, size_t len, size_t align)
{
    uint8_t *at = (uint8_t *)round_up((uintptr_t)arena->at, align);
    struct huge_chunk *chunk;

    if (arena->end && at <= arena->end && len <= (size_t)(arena->end - at)) {
        arena->used_bytes += (size_t)(at + len - arena->at);
        arena->at = at + len;
        return at;
    }
    if (len > SIZE_MAX / 2)
        return NULL;
    if (len > arena->chunk_bytes / 4)
        return alloc_apart(arena, len);
    chunk = chunk_new(arena->chunk_bytes);
    if (!chunk)
        return NULL;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    at = (uint8_t *)chunk + CHUNK_HEADER;
    arena->at = at + len;
    arena->end = (uint8_t *)chunk + chunk->len;
    arena->used_bytes += CHUNK_HEADER + len;
    return at;
}

/*
 * seen.c - one bit by hash, 4 MiB whatever the kernel knows.
 *
 * An import or a REST client makes documents that nobody has looked at through the mount. Two calls
 * into the kernel for each of them, answered "no such entry", cost more than storing it. A bit set
 * by another name costs a needless call, never a stale answer.
 */
#include "fs/seen.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define WORDS (512u * 1024)

struct seen {
    _Atomic uint64_t words[WORDS];
};

struct seen *seen_new(void)
{
    return calloc(1, sizeof(struct seen));
}

void seen_free(struct seen *seen)
{
    free(seen);
}

static void mark(struct seen *seen, uint64_t hash)
{
    _Atomic uint64_t *word = &seen->words[(hash >> 6) % WORDS];
    uint64_t bit = UINT64_C(1) << (hash & 63);

    if (!(atomic_load(word) & bit))
        atomic_fetch_or(word, bit);
}

static bool is_marked(struct seen *seen, uint64_t hash)
{
    return atomic_load(&seen->words[(hash >> 6) % WORDS]) & (UINT64_C(1) << (hash & 63));
}

static uint64_t hash_node(nx_ino ino)
{
    return XXH3_64bits(&ino, sizeof ino);
}

static uint64_t hash_name(nx_ino dir, const char *name)
{
    return XXH3_64bits_withSeed(name, strlen(name), dir);
}

void seen_mark_node(struct seen *seen, nx_ino ino)
{
    mark(seen, hash_node(ino));
}

void seen_mark_name(struct seen *seen, nx_ino dir, const char *name)
{
    mark(seen, hash_name(dir, name));
}

bool seen_node(struct seen *seen, nx_ino ino)
{
    return is_marked(seen, hash_node(ino));
}

bool seen_name(struct seen *seen, nx_ino dir, const char *name)
{
    return is_marked(seen, hash_name(dir, name));
}

/*
 * keyset.c - the stack of keys behind duplicate detection.
 *
 * Tags decide nearly every comparison without touching the keys. They are not a cryptographic hash:
 * equal tags only cost a string comparison.
 */
#include "doc/keyset.h"

#include <stdlib.h>
#include <string.h>

void keyset_init(struct keyset *set)
{
    set->keys = set->first;
    set->count = 0;
    set->cap = KEYSET_INLINE;
}

void keyset_fini(struct keyset *set)
{
    if (set->keys != set->first)
        free(set->keys);
}

static bool grow(struct keyset *set)
{
    struct keyset_key *keys;
    uint32_t cap = set->cap * 2;

    if (cap < set->cap)
        return false;
    keys = realloc(set->keys == set->first ? NULL : set->keys, cap * sizeof *keys);
    if (!keys)
        return false;
    if (set->keys == set->first)
        memcpy(keys, set->first, sizeof set->first);
    set->keys = keys;
    set->cap = cap;
    return true;
}

static uint32_t tag_of(const uint8_t *key, uint32_t len)
{
    uint32_t first = 0, last = 0;

    if (len >= 4) {
        memcpy(&first, key, 4);
        memcpy(&last, key + len - 4, 4);
    } else {
        for (uint32_t i = 0; i < len; i++)
            first = first << 8 | key[i];
    }
    return (first * 0x9e3779b1u) ^ (last * 0x85ebca6bu) ^ (len << 24);
}

enum keyset_result keyset_add(struct keyset *set, uint32_t mark, const uint8_t *base, uint32_t at,
                              uint32_t len, uint32_t where)
{
    uint32_t tag = tag_of(base + at, len);

    if (set->count - mark < KEYSET_SMALL)
        for (uint32_t i = mark; i < set->count; i++)
            if (set->keys[i].tag == tag && memcmp(base + set->keys[i].at, base + at, len + 1) == 0)
                return KEYSET_DUPLICATE;
    if (set->count == set->cap && !grow(set))
        return KEYSET_NOMEM;
    set->keys[set->count++] = (struct keyset_key){tag, at, where};
    return KEYSET_NEW;
}

static int by_key(const void *a, const void *b, void *base)
{
    const struct keyset_key *x = a, *y = b;
    int order;

    if (x->tag != y->tag)
        return x->tag < y->tag ? -1 : 1;
    order = strcmp((const char *)base + x->at, (const char *)base + y->at);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

static enum keyset_result find_twice(struct keyset_key *keys, uint32_t n, const uint8_t *base,
                                     uint32_t *where)
{
    qsort_r(keys, n, sizeof *keys, by_key, (void *)base);
    for (uint32_t i = 1; i < n; i++) {
        if (keys[i - 1].tag != keys[i].tag)
            continue;
        if (strcmp((const char *)base + keys[i - 1].at, (const char *)base + keys[i].at) == 0) {
            *where = keys[i].where;
            return KEYSET_DUPLICATE;
        }
    }
    return KEYSET_NEW;
}

enum keyset_result keyset_end(struct keyset *set, uint32_t mark, const uint8_t *base,
                              uint32_t *where)
{
    uint32_t n = set->count - mark;

    *where = 0;
    set->count = mark;
    if (n <= KEYSET_SMALL)
        return KEYSET_NEW;
    return find_twice(set->keys + mark, n, base, where);
}

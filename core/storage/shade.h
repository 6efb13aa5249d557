/*
 * shade.h - the range tombstones over a walk: is the entry we stand on hidden?
 *
 * Remembers the stretch of keys for which its last answer holds, so that a walk asks the sets once
 * a fragment or gap, and not once an entry.
 *
 * Threads: one. The sets outlive it.
 */
#ifndef STORAGE_SHADE_H
#define STORAGE_SHADE_H

#include <stdbool.h>
#include <stddef.h>

#include "storage/range_tombstones.h"

struct shade {
    const struct range_tombstones **sets; /* owned array */
    size_t count, cap;
    uint64_t sequence; /* of the reader */
    bool is_known;     /* the last answer, for [from, to): empty ends are infinite */
    struct nx_slice from, to;
    uint64_t newest;
};

void shade_init(struct shade *shade, uint64_t sequence);
void shade_fini(struct shade *shade);
enum nx_code shade_add(struct shade *shade, const struct range_tombstones *set, struct nx_err *err);

/* The newest range tombstone over `key`, 0 when there is none. */
uint64_t shade_over(struct shade *shade, struct nx_slice key);

static inline bool shade_hides(struct shade *shade, const struct entry *entry)
{
    return shade->count > 0 && shade_over(shade, entry->key) > entry->sequence;
}

#endif

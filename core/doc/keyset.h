/*
 * keyset.h - finds a key that an object names twice.
 *
 * Objects nest: keys of open objects form a stack. Up to KEYSET_SMALL keys a new one is compared
 * with each before it (by a tag first); a larger object is sorted once when it closes, so that a
 * hostile object of a million keys costs n log n, never n squared.
 *
 * Threads: one at a time. Memory: grows with the keys of the objects that are open.
 */
#ifndef DOC_KEYSET_H
#define DOC_KEYSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYSET_SMALL 24
#define KEYSET_INLINE 64

struct keyset_key {
    uint32_t tag;   /* of length and outer bytes */
    uint32_t at;    /* offset of the NUL-terminated key from the base */
    uint32_t where; /* what the caller wants back: a place in its input */
};

struct keyset {
    struct keyset_key *keys; /* owned when it is not `first` */
    uint32_t count, cap;
    struct keyset_key first[KEYSET_INLINE];
};

enum keyset_result { KEYSET_NEW, KEYSET_DUPLICATE, KEYSET_NOMEM };

void keyset_init(struct keyset *set);
void keyset_fini(struct keyset *set);

/* Begin an object: pass the returned mark to its other calls. */
static inline uint32_t keyset_begin(const struct keyset *set)
{
    return set->count;
}
/* Add the key of `len` bytes at `base + at`. */
enum keyset_result keyset_add(struct keyset *set, uint32_t mark, const uint8_t *base, uint32_t at,
                              uint32_t len, uint32_t where);
/* End the object. On KEYSET_DUPLICATE `*where` is that of the later of the two. */
enum keyset_result keyset_end(struct keyset *set, uint32_t mark, const uint8_t *base,
                              uint32_t *where);

#endif

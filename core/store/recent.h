/*
 * recent.h - documents that were renamed away a moment ago: an editor that keeps a backup moves the
 * document away and writes a new one of that name, which is the same document with its old number.
 *
 * Threads: any. The newest RECENT_COUNT are remembered, for RECENT_NS.
 */
#ifndef STORE_RECENT_H
#define STORE_RECENT_H

#include <stdatomic.h>

#include <nexadb/id.h>

#include "base/lock.h"

#define RECENT_COUNT 64
#define RECENT_NS 2000000000ull

struct recent {
    struct nx_mutex mu;
    struct recent_item {
        uint64_t collection, ino; /* ino 0: none */
        uint64_t until_ns;
        bool number_taken;
        uint64_t held; /* position in the feed of the notice that it went, held back; 0: none */
        struct nx_id id;
    } items[RECENT_COUNT]; /* guarded by mu, as the rest */
    unsigned at;
    _Atomic unsigned used; /* items with a number; changed under mu, asked without it */
};

void recent_init(struct recent *recent);
void recent_fini(struct recent *recent);
void recent_add(struct recent *recent, uint64_t collection, const struct nx_id *id, uint64_t ino,
                uint64_t now_ns);
/* The notice of it is at this position of the feed. */
void recent_hold(struct recent *recent, uint64_t ino, uint64_t position);
/* The first position that is held back, UINT64_MAX when none is; and until when. What is over by
 * then is held no longer, whatever another clock says. */
uint64_t recent_held(struct recent *recent, uint64_t now_ns, uint64_t *until_ns);
/* False: certainly nothing was renamed away lately. */
static inline bool recent_any(struct recent *recent)
{
    return atomic_load_explicit(&recent->used, memory_order_relaxed) > 0;
}
/* Was it renamed away, and where is the notice of it, if that is held back (else 0)? It stays so
 * until recent_take. */
bool recent_find(struct recent *recent, uint64_t collection, struct nx_slice id, uint64_t now_ns,
                 uint64_t *held);
/* The number that the document had, once; 0 when it was not renamed away lately. For a draft, which
 * is no document yet: what is held stays held. */
uint64_t recent_take_number(struct recent *recent, uint64_t collection, struct nx_slice id,
                            uint64_t now_ns);
/* The same for a document: the notice is withdrawn. */
uint64_t recent_take(struct recent *recent, uint64_t collection, struct nx_slice id,
                     uint64_t now_ns);

#endif

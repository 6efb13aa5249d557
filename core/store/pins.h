/*
 * pins.h - which nodes are held open by a door: a count for each, in memory.
 *
 * Threads: any.
 */
#ifndef STORE_PINS_H
#define STORE_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/lock.h"

struct pin;
struct pins {
    struct nx_mutex mu;
    struct pin **buckets; /* owned; guarded by mu, as the rest */
    size_t bucket_count, count;
};

void pins_init(struct pins *pins);
void pins_fini(struct pins *pins);
/* False when out of memory: the node is then not held. */
bool pins_take(struct pins *pins, uint64_t ino);
/* True when this was the last one of a node that pins_leave was called for. */
bool pins_drop(struct pins *pins, uint64_t ino);
bool pins_held(struct pins *pins, uint64_t ino);
/* True when the node is held; the last pins_drop then tells that its data is to go. */
bool pins_leave(struct pins *pins, uint64_t ino);

#endif

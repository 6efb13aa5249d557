/*
 * pins.h - holding the current tree for the time of a read, without a lock and without a counter
 * that all reading threads share.
 *
 * A reader notes the tree in a slot of its own and looks again whether it is still the current one.
 * Who replaces the tree then looks into every slot: a reader that still holds the old one is given
 * a counted reference, and finds so when it lets go.
 *
 * Threads: any.
 */
#ifndef STORAGE_PINS_H
#define STORAGE_PINS_H

#include <stdatomic.h>
#include <stddef.h>

struct tree;

#define PIN_SLOTS 64

struct pin_slot {
    _Atomic(struct tree *) tree; /* NULL: free */
    char apart[120];             /* slots share no cache line, nor a pair of them */
};

struct pins {
    struct pin_slot slots[PIN_SLOTS];
};

/* Hold what *current names; NULL when no slot is free. */
struct tree *pin_current(struct pins *pins, _Atomic(struct tree *) *current,
                         struct pin_slot **slot);
void unpin(struct pin_slot *slot, struct tree *tree);
/* *current names another tree by now: give `old`'s holders references, and drop the caller's. */
void pins_retire(struct pins *pins, struct tree *old);

#endif

/*
 * pins.c - slots in which readers announce what they hold.
 *
 * Reader: store the tree in the slot, then load the current one. Replacer: store the new current
 * one, then load the slots. All four are sequentially consistent, so at least one of the two sees
 * the other: either the reader finds the tree replaced and tries again, or the replacer finds the
 * reader. A slot that was taken over keeps the mark until its reader has read it: nobody else can
 * come into it before.
 */
#include "storage/pins.h"

#include "storage/per_thread.h"
#include "storage/tree.h"

enum { TRIES = 8 };

static struct tree taken_over; /* only its address is used */

static struct pin_slot *take_slot(struct pins *pins, struct tree *tree)
{
    unsigned first = thread_number(); /* mostly free: others have other numbers */

    for (unsigned i = 0; i < TRIES; i++) {
        struct pin_slot *slot = &pins->slots[(first + i) % PIN_SLOTS];
        struct tree *none = NULL;

        if (atomic_compare_exchange_strong(&slot->tree, &none, tree))
            return slot;
    }
    return NULL;
}

struct tree *pin_current(struct pins *pins, _Atomic(struct tree *) *current, struct pin_slot **slot)
{
    for (;;) {
        struct tree *tree = atomic_load(current);

        *slot = take_slot(pins, tree);
        if (!*slot)
            return NULL;
        if (atomic_load(current) == tree)
            return tree;
        unpin(*slot, tree);
    }
}

void unpin(struct pin_slot *slot, struct tree *tree)
{
    /* Release: our reads of the tree come before its end, which waits for this. Acquire: with the
     * mark comes the reference. */
    if (atomic_exchange_explicit(&slot->tree, NULL, memory_order_acq_rel) == &taken_over)
        tree_unref(tree);
}

void pins_retire(struct pins *pins, struct tree *old)
{
    for (unsigned i = 0; i < PIN_SLOTS; i++) {
        struct tree *held = old;

        if (atomic_load(&pins->slots[i].tree) != old)
            continue;
        tree_ref(old); /* before the reader can see the mark */
        if (!atomic_compare_exchange_strong(&pins->slots[i].tree, &held, &taken_over))
            tree_unref(old); /* it has let go meanwhile */
    }
    tree_unref(old);
}

/*
 * btree.h - records by key: one writer, readers that take no lock.
 *
 * Every node has a version word: odd while the writer is inside. A reader notes it, reads, and
 * reads again if it has changed. All shared fields are atomics, stores with release order and loads
 * with acquire order (plain instructions on x86): a store after the odd word cannot be seen before
 * it, a load before the second look at the word cannot be done after it.
 *
 * Invariants:
 * B1  Nodes and records are never freed or unlinked while the tree lives.
 * B2  Keys only move to the right: a split moves a node's upper part into a new right neighbour.
 * B3  Separator i of an inner node is the smallest key under child i (0: none is kept).
 * B4  A record is complete, its `older` included, before a slot points to it, and constant after.
 */
#ifndef STORAGE_BTREE_H
#define STORAGE_BTREE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <nexadb/buf.h>

#include "storage/entry.h"
#include "storage/hugearena.h"

#define BTREE_FANOUT 64

/* One version; the key and then the value follow the struct. */
struct record {
    const struct record *older; /* the version before, or NULL */
    uint64_t tag;               /* sequence << 8 | kind */
    uint32_t value_len;
    uint16_t key_len;
    uint8_t bytes[];
};

struct btree_node;

struct btree {
    struct huge_arena *arena; /* outlives the tree */
    _Atomic(struct btree_node *) root;
    struct btree_node *rightmost; /* the writer's: leaf of the largest keys */
};

/* A leaf as it was at one moment: what a cursor walks. */
struct btree_view {
    const struct record *records[BTREE_FANOUT]; /* newest version of each key */
    unsigned count;                             /* 0: past an end */
    const struct btree_node *next;
};

static inline struct nx_slice record_key(const struct record *record)
{
    return nx_slice(record->bytes, record->key_len);
}
static inline struct nx_slice record_value(const struct record *record)
{
    return nx_slice(record->bytes + record->key_len, record->value_len);
}
static inline uint64_t record_sequence(const struct record *record)
{
    return record->tag >> 8;
}

/* False when out of memory. */
bool btree_init(struct btree *tree, struct huge_arena *arena);
/* The writer's. Takes the place of the key's newest record, which becomes its `older`. *is_new
 * tells whether the key was absent. False when out of memory; nothing has changed then. */
bool btree_put(struct btree *tree, struct record *record, bool *is_new);

/* Newest record of a key, or NULL. */
const struct record *btree_find(const struct btree *tree, struct nx_slice key);
/* Copy the leaf where `key` belongs and return the index of its first key >= `key`, which may be
 * the count: then the entry after is the first of the next leaf. */
unsigned btree_view_at(const struct btree *tree, struct nx_slice key, struct btree_view *out);
/* Copy the leaf of the last key < `key` and return its index; count 0 when there is none. */
unsigned btree_view_before(const struct btree *tree, struct nx_slice key, struct btree_view *out);
void btree_view_first(const struct btree *tree, struct btree_view *out);
void btree_view_last(const struct btree *tree, struct btree_view *out);
/* Replace a view by its right neighbour; count 0 past the last. */
void btree_view_next(struct btree_view *view);

#endif

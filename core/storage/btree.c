/*
 * btree.c - the memtable's B+tree.
 *
 * A node keeps, apart from the pointers, the 8 bytes of each key that follow what all its keys have
 * in common, as big-endian numbers: a search inside a node is a branch-free search over one array,
 * and follows a record only where such heads are equal. The writer splits full nodes on its way
 * down, so a split never needs more than the node and its parent. Keys are padded with zeros where
 * they are shorter than prefix and head; that order never contradicts theirs, and ties are settled
 * by the whole keys.
 */
#include "storage/btree.h"

#include <sched.h>

#include "base/bytes.h"

#define PREFIX_WORDS 4
#define PREFIX_MAX (8 * PREFIX_WORDS)
#define SPINS_BEFORE_YIELD 64

struct btree_node {
    _Atomic uint32_t version; /* odd: being changed */
    _Atomic uint32_t count;
    _Atomic uint32_t skip;                 /* bytes of the common prefix, at most PREFIX_MAX */
    uint32_t level;                        /* 0: leaf; constant */
    _Atomic uint64_t prefix[PREFIX_WORDS]; /* big-endian, zero-padded */
    _Atomic(struct btree_node *) next;     /* of a leaf: right neighbour */
    _Atomic uint64_t heads[BTREE_FANOUT];
    _Atomic(const struct record *) records[BTREE_FANOUT];
};

/* An inner node's records are separators; the first of them does not count. */
struct inner {
    struct btree_node node;
    _Atomic(struct btree_node *) children[BTREE_FANOUT];
};

#define LOAD(field) atomic_load_explicit(&(field), memory_order_acquire)
#define STORE(field, value) atomic_store_explicit(&(field), value, memory_order_release)

static struct inner *as_inner(const struct btree_node *node)
{
    return (struct inner *)node;
}

/* --- keys as numbers -------------------------------------------------------------------------- */

static uint64_t key_word(struct nx_slice key, size_t at)
{
    uint8_t padded[8] = {0};

    if (at + 8 <= key.len)
        return get_u64be(key.data + at);
    if (at < key.len)
        memcpy(padded, key.data + at, key.len - at);
    return get_u64be(padded);
}

static uint64_t leading_bytes(size_t n)
{
    return n >= 8 ? UINT64_MAX : ~(UINT64_MAX >> (8 * n));
}

/* Order of `key` against the node's common prefix. */
static int compare_prefix(const struct btree_node *node, struct nx_slice key, size_t skip)
{
    for (size_t i = 0; 8 * i < skip; i++) {
        uint64_t mine = key_word(key, 8 * i) & leading_bytes(skip - 8 * i);
        uint64_t theirs = LOAD(node->prefix[i]);

        if (mine != theirs)
            return mine < theirs ? -1 : 1;
    }
    return 0;
}

/* --- searching one node ----------------------------------------------------------------------- */

/* First index in [from, count) whose head is >= `head` (or > it). */
static unsigned heads_bound(const struct btree_node *node, unsigned from, unsigned count,
                            uint64_t head, bool after)
{
    unsigned base = from, left = count > from ? count - from : 0;

    while (left > 0) {
        unsigned half = (left + 1) / 2;
        uint64_t probe = LOAD(node->heads[base + half - 1]);
        bool below = probe < head || (after && probe == head);

        base += below ? half : 0;
        left = below ? left - half : half - 1;
    }
    return base;
}

/* First index in [from, count) whose key is >= `key` (`after`: > it). A reader may see a node in
 * between, even a slot that is still empty: any answer will do, its version check fails. */
static unsigned search(const struct btree_node *node, unsigned from, struct nx_slice key,
                       bool after)
{
    unsigned count = LOAD(node->count), low, high;
    size_t skip = LOAD(node->skip);
    int order = compare_prefix(node, key, skip);
    uint64_t head = key_word(key, skip);

    if (order != 0)
        return order < 0 || count < from ? from : count;
    low = heads_bound(node, from, count, head, false);
    high = low;
    if (low < count && LOAD(node->heads[low]) == head)
        high = heads_bound(node, low, count, head, true);
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        const struct record *record = LOAD(node->records[middle]);

        if (!record)
            return from;
        order = nx_slice_compare(record_key(record), key);
        if (order < 0 || (after && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Index of the child to go down to: for the keys >= `key`, or for those before it. */
static unsigned child_index(const struct btree_node *node, struct nx_slice key, bool before)
{
    return search(node, 1, key, !before) - 1;
}

/* --- readers ---------------------------------------------------------------------------------- */

/* Wait until the writer is outside and return the version. */
static uint32_t stable_version(const struct btree_node *node)
{
    uint32_t version;

    for (unsigned spins = 1; (version = LOAD(node->version)) & 1; spins++)
        if (spins % SPINS_BEFORE_YIELD == 0)
            sched_yield(); /* the writer may have lost the core in the middle of a node */
    return version;
}

static bool is_unchanged(const struct btree_node *node, uint32_t version)
{
    return LOAD(node->version) == version;
}

enum descent { TO_KEY, TO_BEFORE, TO_FIRST, TO_LAST };

static unsigned choose(const struct btree_node *node, enum descent how, struct nx_slice key)
{
    switch (how) {
    case TO_FIRST:
        return 0;
    case TO_LAST:
        return LOAD(node->count) - 1;
    default:
        return child_index(node, key, how == TO_BEFORE);
    }
}

/* Go down to a leaf and give the version it was reached at. The parent's version is checked after
 * the child's was read: so the child had the parent's key range at that version. */
static const struct btree_node *descend(const struct btree *tree, enum descent how,
                                        struct nx_slice key, uint32_t *out)
{
    const struct btree_node *node, *child;
    uint32_t version, child_version;
    unsigned i;

again:
    node = LOAD(tree->root);
    version = stable_version(node);
    if (LOAD(tree->root) != node)
        goto again;
    while (node->level > 0) {
        i = choose(node, how, key);
        child = i < BTREE_FANOUT ? LOAD(as_inner(node)->children[i]) : NULL;
        if (!child)
            goto again;
        child_version = stable_version(child);
        if (!is_unchanged(node, version))
            goto again;
        node = child;
        version = child_version;
    }
    *out = version;
    return node;
}

const struct record *btree_find(const struct btree *tree, struct nx_slice key)
{
    const struct record *record;
    const struct btree_node *leaf;
    uint32_t version;
    unsigned i;

    do {
        leaf = descend(tree, TO_KEY, key, &version);
        i = search(leaf, 0, key, false);
        record = i < LOAD(leaf->count) ? LOAD(leaf->records[i]) : NULL;
    } while (!is_unchanged(leaf, version));
    return record && nx_slice_equal(record_key(record), key) ? record : NULL;
}

/* Copy what a leaf holds. Right only if the version still stands afterwards. */
static void copy_leaf(const struct btree_node *leaf, struct btree_view *out)
{
    unsigned count = LOAD(leaf->count);

    for (unsigned i = 0; i < count; i++)
        out->records[i] = LOAD(leaf->records[i]);
    out->count = count;
    out->next = LOAD(leaf->next);
}

unsigned btree_view_at(const struct btree *tree, struct nx_slice key, struct btree_view *out)
{
    const struct btree_node *leaf;
    uint32_t version;
    unsigned i;

    do {
        leaf = descend(tree, TO_KEY, key, &version);
        i = search(leaf, 0, key, false);
        copy_leaf(leaf, out);
    } while (!is_unchanged(leaf, version));
    return i;
}

unsigned btree_view_before(const struct btree *tree, struct nx_slice key, struct btree_view *out)
{
    const struct btree_node *leaf;
    uint32_t version;
    unsigned i;

    do {
        leaf = descend(tree, TO_BEFORE, key, &version);
        i = search(leaf, 0, key, false);
        copy_leaf(leaf, out);
    } while (!is_unchanged(leaf, version));
    if (i == 0) { /* only the first leaf has none before: B3 */
        out->count = 0;
        return 0;
    }
    return i - 1;
}

static void view_end(const struct btree *tree, enum descent how, struct btree_view *out)
{
    const struct btree_node *leaf;
    uint32_t version;

    do {
        leaf = descend(tree, how, NX_SLICE_NULL, &version);
        copy_leaf(leaf, out);
    } while (!is_unchanged(leaf, version));
}

void btree_view_first(const struct btree *tree, struct btree_view *out)
{
    view_end(tree, TO_FIRST, out);
}

void btree_view_last(const struct btree *tree, struct btree_view *out)
{
    view_end(tree, TO_LAST, out);
}

void btree_view_next(struct btree_view *view)
{
    const struct btree_node *leaf = view->next;
    uint32_t version;

    if (!leaf) {
        view->count = 0;
        return;
    }
    do {
        version = stable_version(leaf);
        copy_leaf(leaf, view);
    } while (!is_unchanged(leaf, version));
}

/* --- the writer ------------------------------------------------------------------------------- */

static void lock_node(struct btree_node *node)
{
    atomic_store_explicit(&node->version, LOAD(node->version) + 1, memory_order_relaxed);
}

static void unlock_node(struct btree_node *node)
{
    STORE(node->version, LOAD(node->version) + 1);
}

static struct btree_node *node_new(struct btree *tree, uint32_t level)
{
    size_t len = level ? sizeof(struct inner) : sizeof(struct btree_node);
    struct btree_node *node = huge_arena_alloc(tree->arena, len, 64);

    if (node)
        node->level = level;
    return node;
}

static unsigned first_key(const struct btree_node *node)
{
    return node->level ? 1 : 0;
}

static size_t common_bytes(struct nx_slice a, struct nx_slice b, size_t max)
{
    size_t n = 0;

    max = a.len < max ? a.len : max;
    max = b.len < max ? b.len : max;
    while (n < max && a.data[n] == b.data[n])
        n++;
    return n;
}

/* Set prefix and heads of a node from `sample`, one of its keys, whose first `skip` bytes all
 * share. */
static void set_heads(struct btree_node *node, struct nx_slice sample, size_t skip)
{
    unsigned count = LOAD(node->count);

    STORE(node->skip, (uint32_t)skip);
    for (size_t i = 0; i < PREFIX_WORDS; i++) {
        uint64_t mask = skip > 8 * i ? leading_bytes(skip - 8 * i) : 0;

        STORE(node->prefix[i], key_word(sample, 8 * i) & mask);
    }
    for (unsigned i = first_key(node); i < count; i++)
        STORE(node->heads[i], key_word(record_key(LOAD(node->records[i])), skip));
}

/* The prefix that all keys share is that of the first and the last. */
static void tighten(struct btree_node *node)
{
    unsigned count = LOAD(node->count), first = first_key(node);
    struct nx_slice low, high;

    if (count <= first)
        return;
    low = record_key(LOAD(node->records[first]));
    high = record_key(LOAD(node->records[count - 1]));
    set_heads(node, low, common_bytes(low, high, PREFIX_MAX));
}

/* Make the node's prefix one that `key` shares too. */
static void fit_prefix(struct btree_node *node, struct nx_slice key)
{
    unsigned first = first_key(node);
    size_t skip = LOAD(node->skip), shared;

    if (LOAD(node->count) <= first) {
        set_heads(node, key, key.len < PREFIX_MAX ? key.len : PREFIX_MAX);
        return;
    }
    shared = common_bytes(record_key(LOAD(node->records[first])), key, skip);
    if (shared < skip)
        set_heads(node, key, shared);
}

/* Put a record, and in an inner node its child, at slot `at` of a node that has room. Locked. */
static void insert_slot(struct btree_node *node, unsigned at, const struct record *record,
                        struct btree_node *child)
{
    unsigned count = LOAD(node->count);

    fit_prefix(node, record_key(record));
    for (unsigned i = count; i > at; i--) {
        STORE(node->heads[i], LOAD(node->heads[i - 1]));
        STORE(node->records[i], LOAD(node->records[i - 1]));
        if (child)
            STORE(as_inner(node)->children[i], LOAD(as_inner(node)->children[i - 1]));
    }
    STORE(node->heads[at], key_word(record_key(record), LOAD(node->skip)));
    STORE(node->records[at], record);
    if (child)
        STORE(as_inner(node)->children[at], child);
    STORE(node->count, count + 1);
}

/* Move the slots from `at` on into `right`, which is new and empty. Locked. */
static void move_upper(struct btree_node *node, unsigned at, struct btree_node *right)
{
    unsigned count = LOAD(node->count);

    for (unsigned i = at; i < count; i++) {
        STORE(right->records[i - at], LOAD(node->records[i]));
        if (node->level)
            STORE(as_inner(right)->children[i - at], LOAD(as_inner(node)->children[i]));
    }
    STORE(right->count, count - at);
    STORE(right->next, LOAD(node->next));
    if (!node->level)
        STORE(node->next, right);
    STORE(node->count, at);
    tighten(node);
    tighten(right);
}

/*
 * Split a full node, child `index` of a parent with room. At the right edge, where keys often come
 * in order, the old node stays full but for one slot: appended keys fill nodes to the brim.
 */
static bool split(struct btree *tree, struct btree_node *parent, unsigned index,
                  struct btree_node *node, bool at_edge)
{
    unsigned count = LOAD(node->count), at = at_edge ? count - 1 : count / 2;
    struct btree_node *right = node_new(tree, node->level);

    if (!right)
        return false;
    lock_node(parent); /* before the node's: see descend */
    lock_node(node);
    move_upper(node, at, right);
    insert_slot(parent, index + 1, LOAD(right->records[0]), right);
    unlock_node(node);
    unlock_node(parent);
    if (tree->rightmost == node)
        tree->rightmost = right;
    return true;
}

/* Put a new root over a full one and split that. A reader that met the old root finds after its
 * version that it is no longer the root. */
static bool grow(struct btree *tree, struct btree_node *old, bool at_edge)
{
    struct btree_node *root = node_new(tree, old->level + 1);

    if (!root)
        return false;
    STORE(root->records[0], LOAD(old->records[0])); /* B3: never compared */
    STORE(as_inner(root)->children[0], old);
    STORE(root->count, 1);
    STORE(tree->root, root);
    return split(tree, root, 0, old, at_edge);
}

/* Down to the leaf of `key`, splitting full nodes, so that it and its parent have room. NULL: out
 * of memory. */
static struct btree_node *descend_to_write(struct btree *tree, struct nx_slice key)
{
    struct btree_node *node = LOAD(tree->root), *child;
    bool at_edge = true;

    if (LOAD(node->count) == BTREE_FANOUT) {
        if (!grow(tree, node, search(node, first_key(node), key, true) == BTREE_FANOUT))
            return NULL;
        node = LOAD(tree->root);
    }
    while (node->level > 0) {
        unsigned i = child_index(node, key, false);

        child = LOAD(as_inner(node)->children[i]);
        at_edge = at_edge && i + 1 == LOAD(node->count);
        if (LOAD(child->count) == BTREE_FANOUT) {
            bool appends = at_edge && search(child, first_key(child), key, true) == BTREE_FANOUT;

            if (!split(tree, node, i, child, appends))
                return NULL;
            i = child_index(node, key, false);
            child = LOAD(as_inner(node)->children[i]);
        }
        node = child;
    }
    return node;
}

bool btree_init(struct btree *tree, struct huge_arena *arena)
{
    struct btree_node *leaf;

    *tree = (struct btree){.arena = arena};
    leaf = node_new(tree, 0);
    if (!leaf)
        return false;
    tree->rightmost = leaf;
    STORE(tree->root, leaf);
    return true;
}

/* Keys that come in order go to the end of the last leaf without a descent. */
static bool appends_to_last(const struct btree *tree, struct nx_slice key)
{
    unsigned count = LOAD(tree->rightmost->count);

    return count > 0 && count < BTREE_FANOUT &&
           nx_slice_compare(key, record_key(LOAD(tree->rightmost->records[count - 1]))) > 0;
}

bool btree_put(struct btree *tree, struct record *record, bool *is_new)
{
    struct nx_slice key = record_key(record);
    struct btree_node *leaf = tree->rightmost;
    const struct record *there = NULL;
    unsigned at;

    *is_new = true;
    if (appends_to_last(tree, key)) {
        at = LOAD(leaf->count);
    } else {
        leaf = descend_to_write(tree, key);
        if (!leaf)
            return false;
        at = search(leaf, 0, key, false);
        if (at < LOAD(leaf->count))
            there = LOAD(leaf->records[at]);
    }
    if (there && nx_slice_equal(record_key(there), key)) {
        record->older = there;
        STORE(leaf->records[at], record); /* one pointer: readers see the old or the new */
        *is_new = false;
        return true;
    }
    lock_node(leaf);
    insert_slot(leaf, at, record, NULL);
    unlock_node(leaf);
    return true;
}

/* tree.c - counted lists of memtables over a version. */
#include "storage/tree.h"

#include <stdlib.h>
#include <string.h>

struct tree *tree_ref(struct tree *tree)
{
    atomic_fetch_add_explicit(&tree->refs, 1, memory_order_relaxed);
    return tree;
}

void tree_unref(struct tree *tree)
{
    /* Acquire-release: what other holders did with it happened before it is freed. */
    if (!tree || atomic_fetch_sub_explicit(&tree->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < tree->count; i++)
        memtable_unref(tree->memtables[i]);
    version_unref(tree->version);
    free(tree->marks);
    free(tree);
}

static struct tree *tree_new(struct version *version, size_t count)
{
    struct tree *tree = calloc(1, sizeof *tree + count * sizeof(struct memtable *));

    if (!tree)
        return NULL;
    tree->marks = calloc(count, sizeof *tree->marks);
    if (!tree->marks) {
        free(tree);
        return NULL;
    }
    atomic_init(&tree->refs, 1);
    tree->version = version_ref(version);
    tree->count = count;
    return tree;
}

static void copy(struct tree *to, size_t at, const struct tree *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to->memtables[at + i] = memtable_ref(from->memtables[i]);
        to->marks[at + i] = from->marks[i];
    }
}

struct tree *tree_with_memtable(const struct tree *old, struct memtable *memtable,
                                const struct tree_memtable *mark)
{
    struct tree *tree = tree_new(old->version, old->count + 1);

    if (!tree)
        return NULL;
    tree->memtables[0] = memtable_ref(memtable);
    copy(tree, 1, old, old->count);
    if (old->count)
        tree->marks[1] = *mark;
    return tree;
}

struct tree *tree_with_version(const struct tree *old, struct version *version, size_t flushed)
{
    struct tree *tree = tree_new(version, old->count - flushed);

    if (tree)
        copy(tree, 0, old, tree->count);
    return tree;
}

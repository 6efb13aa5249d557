/*
 * version.h - the tables of the tree at one moment: immutable, counted.
 *
 * A compaction makes a new version; readers keep the old one, and with it the tables only it has,
 * until they let go.
 *
 * Threads: any.
 */
#ifndef STORAGE_VERSION_H
#define STORAGE_VERSION_H

#include <stdatomic.h>

#include "storage/levels.h"
#include "storage/manifest.h"

struct version {
    atomic_uint refs;
    struct levels levels; /* with a reference to each table */
};

struct version *version_new(void); /* empty; NULL: out of memory */
struct version *version_ref(struct version *version);
void version_unref(struct version *version); /* NULL is fine */

struct version_change {
    struct table *const *removed; /* compared by number */
    size_t removed_count;
    struct table *const *added; /* each gets a reference of its own */
    size_t added_count;
    unsigned level; /* of the added ones */
};
/* A copy of `old` with a change. NX_ECORRUPT when tables of a sorted level would overlap. */
enum nx_code version_derive(const struct version *old, const struct version_change *change,
                            struct version **out, struct nx_err *err);

#endif

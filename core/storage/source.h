/*
 * source.h - a sorted run of entries with a cursor: a memtable, a table, a level, a merge of them.
 *
 * A source is opened at a sequence S and shows of each key only the newest version with a sequence
 * <= S (so at most one entry a key), deletions included. Opened at SEQUENCE_ALL it shows every
 * version, newest first; then only first, seek and next may be called.
 *
 * Threads:   one at a time; different sources over one memtable or table are independent.
 * Ownership: the slices of `entry` are borrowed, valid until the next move or close.
 * Errors:    a failed source is not valid and stays so; `failed` has the code, and its text is in
 *            the struct nx_err it was opened with, which outlives it.
 */
#ifndef STORAGE_SOURCE_H
#define STORAGE_SOURCE_H

#include <stdbool.h>

#include "storage/entry.h"

struct source;

struct source_ops {
    void (*close)(struct source *source);
    void (*first)(struct source *source);
    void (*last)(struct source *source);
    void (*seek)(struct source *source, struct nx_slice key);          /* first key >= `key` */
    void (*seek_for_prev)(struct source *source, struct nx_slice key); /* last key <= `key` */
    void (*next)(struct source *source);                               /* only while valid */
    void (*prev)(struct source *source);                               /* only while valid */
};

/* An implementation embeds this as its first member. */
struct source {
    const struct source_ops *ops;
    bool valid;          /* it stands on `entry` */
    enum nx_code failed; /* NX_OK, or why it is not valid */
    struct entry entry;
    struct nx_err *err; /* where a failure's text is written; may be NULL */
};

static inline void source_close(struct source *source)
{
    if (source)
        source->ops->close(source);
}

#endif

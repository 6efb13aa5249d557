/*
 * batch.h - the changes of a batch as bytes: what the log keeps is what the caller built.
 *
 * Format: FORMAT.md, "Change".
 */
#ifndef STORAGE_BATCH_H
#define STORAGE_BATCH_H

#include <nexadb/engine.h>

#include "storage/memtable.h"

#define BATCH_MAX_BYTES (1u << 30)

struct nx_batch {
    struct nx_buf bytes;
    size_t count;
    bool reclaims; /* gives space back: may use what is reserved for that */
};

enum change_kind { CHANGE_DELETE = 0, CHANGE_PUT = 1, CHANGE_DELETE_RANGE = 2, CHANGE_KINDS };

struct change {
    enum change_kind kind;
    struct nx_slice key;   /* begin of a range */
    struct nx_slice value; /* end of a range; empty for a deletion */
};

/* Take the first change off `bytes`. False when the bytes are not a change: they were damaged. */
bool change_take(struct nx_slice *bytes, struct change *out);

/* Apply changes to a memtable, numbering them from `sequence`. NX_ECORRUPT when the bytes are not
 * exactly `count` changes. */
enum nx_code batch_apply(struct nx_slice bytes, size_t count, uint64_t sequence,
                         struct memtable *memtable, struct nx_err *err);

#endif

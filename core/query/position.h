/*
 * position.h - where a find stands, as URL-safe text: the last document's _id and sort keys.
 *
 * A position outlives the process and the snapshot that made it: it names a place in the order, not
 * a document. Text from outside is checked like any document.
 */
#ifndef QUERY_POSITION_H
#define QUERY_POSITION_H

#include <nexadb/id.h>

#include "query/sort.h"

struct position {
    struct nx_buf bson; /* owned; the keys borrow from it */
    struct nx_id id;
    struct nx_value keys[SORT_MAX_FIELDS];
};

/* `sort` is the sort's BSON, `keys` its `count` values for the document whose _id is `id`. */
enum nx_code position_write(const struct nx_value *id, struct nx_slice sort,
                            const struct nx_value *keys, unsigned count, struct nx_buf *out);
/* NX_EQUERY for text that is no position, or one of another sort. */
enum nx_code position_read(struct nx_slice text, struct nx_slice sort, unsigned count,
                           struct position *out, struct nx_err *err);
void position_fini(struct position *position);

#endif

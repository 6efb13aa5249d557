/*
 * changer.h - changing the documents that match a filter: what update and delete share.
 *
 * Optimistic: a document is read, what it becomes is computed without a lock, and the change is
 * committed on condition that the document still has the revision that was read. When another
 * writer was there first, the document is read and matched again.
 */
#ifndef QUERY_CHANGER_H
#define QUERY_CHANGER_H

#include <nexadb/id.h>

#include "query/source.h"

struct changer {
    struct nx_db *db; /* these are the caller's and outlive it */
    nx_ino collection;
    const struct filter *filter;
    struct budget *budget;
    const struct nx_change *change;
    /* Add to `write` what becomes of a matching document: one change, or none (*changed false). */
    enum nx_code (*stage)(struct changer *changer, const struct nx_document *document,
                          const struct nx_id *id, bool *changed, struct nx_err *err);

    uint64_t matched, changed; /* results */

    struct nx_write *write; /* private from here on; owned */
    struct nx_id *ids;      /* owned; of the changes in `write` */
    unsigned count;
    bool is_acknowledged; /* the last commit carries the caller's durability and `done` */
};

/* Fill the members above `matched` first. */
enum nx_code changer_init(struct changer *changer, struct nx_err *err);
void changer_fini(struct changer *changer);
/* The first matching document, or all. */
enum nx_code changer_run(struct changer *changer, bool multi, struct nx_err *err);
/* Wait for (or pass on) the acknowledgement when changer_run succeeded and its last commit did not.
 */
enum nx_code changer_finish(struct changer *changer, struct nx_err *err);

#endif

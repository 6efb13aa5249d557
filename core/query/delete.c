/*
 * delete.c - removing the documents that match a filter.
 */
#include "query/changer.h"

static enum nx_code stage_delete(struct changer *changer, const struct nx_document *document,
                                 const struct nx_id *id, bool *changed, struct nx_err *err)
{
    *changed = true;
    return nx_write_delete(changer->write, changer->collection, id, document->attr.revision, false,
                           err);
}

enum nx_code nx_query_delete(struct nx_db *db, nx_ino collection, struct nx_slice filter,
                             bool multi, const struct nx_change *change,
                             const struct nx_limits *limits, uint64_t *deleted, struct nx_err *err)
{
    struct budget budget;
    struct filter *parsed = NULL;
    struct changer changer = {.db = db,
                              .collection = collection,
                              .budget = &budget,
                              .change = change,
                              .stage = stage_delete};
    enum nx_code rc = filter_parse(filter, NULL, &parsed, err);

    *deleted = 0;
    if (rc != NX_OK)
        return rc;
    budget_init(&budget, limits, nx_db_io(db));
    changer.filter = parsed;
    rc = changer_init(&changer, err);
    if (rc == NX_OK)
        rc = changer_run(&changer, multi, err);
    if (rc == NX_OK)
        rc = changer_finish(&changer, err);
    *deleted = changer.changed;
    changer_fini(&changer);
    filter_free(parsed);
    return rc;
}

/*
 * changer.c - batches of conditional changes.
 *
 * Many changes are committed in batches; all but the last are not waited for, as the
 * acknowledgement of a commit is also that of every commit before it. A batch in which one document
 * was overtaken by another writer is done again document by document.
 */
#include "query/changer.h"

#include <stdlib.h>

#define BATCH_CHANGES 64
#define BATCH_BYTES (1u << 20)

enum nx_code changer_init(struct changer *changer, struct nx_err *err)
{
    changer->write = NULL;
    changer->count = 0;
    changer->matched = changer->changed = 0;
    changer->is_acknowledged = false;
    changer->ids = malloc(BATCH_CHANGES * sizeof *changer->ids);
    if (!changer->ids)
        return nx_fail_nomem(err);
    return nx_write_new(changer->db, &changer->write, err);
}

void changer_fini(struct changer *changer)
{
    nx_write_free(changer->write);
    free(changer->ids);
}

static bool is_overtaken(enum nx_code rc)
{
    return rc == NX_ECONFLICT || rc == NX_ENOTFOUND;
}

/* Without waiting, and without the caller's callback: it belongs to the last commit. */
static struct nx_change quiet_change(const struct changer *changer)
{
    struct nx_change quiet = *changer->change;

    if (quiet.durability == NX_SYNC)
        quiet.durability = NX_BUFFERED;
    quiet.done = NULL;
    return quiet;
}

static enum nx_code commit(struct changer *changer, bool last, struct nx_err *err)
{
    struct nx_change quiet = quiet_change(changer);
    struct nx_write_result result;
    enum nx_code rc =
        nx_write_commit(changer->write, last ? changer->change : &quiet, &result, err);

    changer->is_acknowledged = rc == NX_OK && last;
    return rc;
}

/* Read, match and change one document until nobody is in between. */
static enum nx_code redo(struct changer *changer, const struct nx_id *id, struct nx_err *err)
{
    const struct nx_limits *limits = &changer->budget->limits;
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_document document;
    bool matches, changed;
    enum nx_code rc;

    do {
        nx_buf_clear(&buf);
        nx_write_clear(changer->write);
        rc = budget_tick(changer->budget, err);
        if (rc == NX_OK)
            rc = nx_document_get(changer->db, NULL, changer->collection, id, &buf, &document, err);
        if (rc != NX_OK)
            return rc == NX_ENOTFOUND ? NX_OK : rc; /* gone: nothing to change */
        if (limits->visible && !limits->visible(limits->arg, &document.attr))
            return NX_OK;
        rc = filter_match(changer->filter, document.bson, NULL, &matches, err);
        if (rc != NX_OK || !matches)
            return rc;
        rc = changer->stage(changer, &document, id, &changed, err);
        if (rc == NX_OK && changed)
            rc = commit(changer, false, err);
    } while (is_overtaken(rc));
    if (rc == NX_OK) {
        changer->matched++;
        changer->changed += changed;
    }
    return rc;
}

/* Commit what is staged. `redo_each` false: leave an overtaken document to the caller. */
static enum nx_code flush(struct changer *changer, bool last, bool redo_each, struct nx_err *err)
{
    unsigned count = changer->count;
    enum nx_code rc;

    changer->count = 0;
    if (count == 0)
        return NX_OK;
    rc = commit(changer, last, err);
    if (rc == NX_OK) {
        changer->matched += count;
        changer->changed += count;
    } else if (is_overtaken(rc) && redo_each) {
        rc = NX_OK;
        for (unsigned i = 0; rc == NX_OK && i < count; i++)
            rc = redo(changer, &changer->ids[i], err);
    }
    nx_write_clear(changer->write);
    return rc;
}

static enum nx_code stage_document(struct changer *changer, const struct nx_document *document,
                                   struct nx_err *err)
{
    struct nx_value id = nx_doc_get(document->bson, "_id", 3);
    bool changed = false;
    enum nx_code rc = nx_id_from_value(&id, &changer->ids[changer->count], err);

    if (rc == NX_OK)
        rc = changer->stage(changer, document, &changer->ids[changer->count], &changed, err);
    if (rc != NX_OK)
        return rc;
    if (changed)
        changer->count++;
    else
        changer->matched++;
    return NX_OK;
}

static enum nx_code pass(struct changer *changer, bool multi, struct nx_err *err)
{
    struct source_options options = {.db = changer->db,
                                     .collection = changer->collection,
                                     .filter = changer->filter,
                                     .budget = changer->budget};
    struct nx_document document;
    struct source *source;
    bool more = true;
    enum nx_code rc = source_open(&options, &source, err);

    for (; rc == NX_OK && more; more = multi) {
        rc = source_next(source, &document, err);
        if (rc == NX_OK)
            rc = stage_document(changer, &document, err);
        if (rc == NX_OK && multi &&
            (changer->count == BATCH_CHANGES || nx_write_bytes(changer->write) > BATCH_BYTES))
            rc = flush(changer, false, true, err);
    }
    source_close(source);
    if (rc != NX_OK && rc != NX_DONE) { /* what was changed before the failure stays changed */
        (void)flush(changer, false, true, NULL);
        return rc;
    }
    return flush(changer, true, multi, err);
}

enum nx_code changer_run(struct changer *changer, bool multi, struct nx_err *err)
{
    enum nx_code rc;

    do
        rc = pass(changer, multi, err); /* of one document: look for it again when overtaken */
    while (!multi && is_overtaken(rc) && budget_tick(changer->budget, err) == NX_OK);
    return rc;
}

enum nx_code changer_finish(struct changer *changer, struct nx_err *err)
{
    const struct nx_change *change = changer->change;

    if (changer->is_acknowledged)
        return NX_OK;
    if (changer->changed == 0 || change->durability != NX_SYNC) {
        if (change->done)
            change->done(change->arg, NULL);
        return NX_OK;
    }
    if (!change->done)
        return nx_engine_sync(nx_db_engine(changer->db), err);
    nx_engine_sync_async(nx_db_engine(changer->db), change->done, change->arg);
    return NX_OK;
}

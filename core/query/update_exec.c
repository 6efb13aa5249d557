/*
 * update_exec.c - an update over a collection: match, compute, replace; or insert for an upsert.
 */
#include <stdlib.h>

#include "query/changer.h"
#include "query/expr.h"
#include "query/filter.h"
#include "query/update.h"

#define UPSERT_ATTEMPTS 8 /* another writer may insert and delete the document again and again */

struct update_exec {
    struct changer changer; /* first: `stage` gets at the rest by it */
    struct update *update;
    struct filter *filter;
    struct budget budget;
    struct arena arena;
    struct expr_env env;
    struct nx_buf made; /* the new document */
};

static enum nx_code stage_update(struct changer *changer, const struct nx_document *document,
                                 const struct nx_id *id, bool *changed, struct nx_err *err)
{
    struct update_exec *exec = (struct update_exec *)changer;
    struct update_run run = {.filter = exec->filter, .env = &exec->env};
    struct nx_put put = {.collection = changer->collection,
                         .mode = NX_PUT_REPLACE,
                         .id = id,
                         .if_revision = document->attr.revision};
    enum nx_code rc;

    *changed = false;
    arena_reset(&exec->arena);
    nx_buf_clear(&exec->made);
    exec->env.root = document->bson;
    rc = update_apply(exec->update, document->bson, &run, &exec->made, err);
    if (rc != NX_OK)
        return rc;
    put.bson = nx_buf_slice(&exec->made);
    *changed = !nx_slice_equal(put.bson, document->bson);
    return *changed ? nx_write_put(changer->write, &put, NULL, err) : NX_OK;
}

static enum nx_code insert(struct update_exec *exec, struct nx_update_result *out,
                           struct nx_err *err)
{
    struct changer *changer = &exec->changer;
    struct nx_put put = {.collection = changer->collection, .mode = NX_PUT_INSERT};
    struct nx_write_result result;
    enum nx_code rc;

    arena_reset(&exec->arena);
    nx_buf_clear(&exec->made);
    nx_write_clear(changer->write);
    exec->env.root = nx_doc_empty;
    rc = update_upsert(exec->update, exec->filter, &exec->env, &exec->made, err);
    if (rc != NX_OK)
        return rc;
    put.bson = nx_buf_slice(&exec->made);
    rc = nx_write_put(changer->write, &put, &out->upserted_id, err);
    if (rc == NX_OK)
        rc = nx_write_commit(changer->write, changer->change, &result, err);
    changer->is_acknowledged = rc == NX_OK;
    out->upserted = rc == NX_OK;
    return rc;
}

static enum nx_code run(struct update_exec *exec, const struct nx_update *update,
                        struct nx_update_result *out, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    for (unsigned i = 0; i < UPSERT_ATTEMPTS; i++) {
        rc = changer_run(&exec->changer, update->multi, err);
        if (rc != NX_OK || exec->changer.matched || !update->upsert)
            return rc;
        rc = insert(exec, out, err);
        if (rc != NX_EEXISTS) /* else somebody inserted it meanwhile: it may match now */
            return rc;
    }
    return rc;
}

static enum nx_code prepare(struct update_exec *exec, const struct nx_update *update,
                            struct nx_err *err)
{
    enum nx_code rc = update_parse(update->update, update->is_pipeline, update->array_filters,
                                   &exec->update, err);

    if (rc == NX_OK)
        rc = filter_parse(update->filter, NULL, &exec->filter, err);
    if (rc != NX_OK)
        return rc;
    if (update->multi && update_is_replacement(exec->update))
        return nx_fail(err, NX_EUPDATE,
                       "a replacement is for one document: with multi the update needs operators");
    exec->changer.filter = exec->filter;
    return changer_init(&exec->changer, err);
}

enum nx_code nx_query_update(struct nx_db *db, nx_ino collection, const struct nx_update *update,
                             const struct nx_change *change, const struct nx_limits *limits,
                             struct nx_update_result *out, struct nx_err *err)
{
    struct update_exec exec = {.changer = {.db = db,
                                           .collection = collection,
                                           .budget = &exec.budget,
                                           .change = change,
                                           .stage = stage_update},
                               .arena = ARENA_INIT,
                               .made = NX_BUF_INIT};
    enum nx_code rc;

    memset(out, 0, sizeof *out);
    budget_init(&exec.budget, limits, nx_db_io(db));
    exec.env = expr_env_for(&exec.budget, &exec.arena);
    rc = prepare(&exec, update, err);
    if (rc == NX_OK)
        rc = run(&exec, update, out, err);
    if (rc == NX_OK)
        rc = changer_finish(&exec.changer, err);
    out->matched = exec.changer.matched;
    out->modified = exec.changer.changed;
    changer_fini(&exec.changer);
    update_free(exec.update);
    filter_free(exec.filter);
    arena_fini(&exec.arena);
    nx_buf_fini(&exec.made);
    return rc;
}

enum nx_code nx_query_update_document(struct nx_slice document, struct nx_slice update,
                                      bool is_pipeline, struct nx_buf *out, struct nx_err *err)
{
    struct update *parsed;
    struct budget budget;
    struct arena arena = ARENA_INIT;
    struct expr_env env;
    struct update_run run = {.env = &env};
    enum nx_code rc = update_parse(update, is_pipeline, NX_SLICE_NULL, &parsed, err);

    if (rc != NX_OK)
        return rc;
    budget_init(&budget, NULL, nx_io_posix());
    env = expr_env_for(&budget, &arena);
    env.root = document;
    rc = update_apply(parsed, document, &run, out, err);
    arena_fini(&arena);
    update_free(parsed);
    return rc;
}

/*
 * update.h - updates of one document: operators, a replacement, or a pipeline.
 *
 * Threads: a parsed update is immutable.
 */
#ifndef QUERY_UPDATE_H
#define QUERY_UPDATE_H

#include <nexadb/query.h>
#include <nexadb/value.h>

#include "base/arena.h"

struct update;
struct filter;
struct expr_env;

/* NX_EUPDATE, NX_EOPERATOR, NX_EQUERY. `array_filters`: BSON of an array, or empty. */
enum nx_code update_parse(struct nx_slice spec, bool is_pipeline, struct nx_slice array_filters,
                          struct update **out, struct nx_err *err);
void update_free(struct update *update);
bool update_is_replacement(const struct update *update);

struct update_run {
    const struct filter *filter; /* whose match the positional operator asks; NULL: none */
    bool inserting;              /* $setOnInsert counts */
    struct expr_env *env;        /* arena, now, io */
};
/*
 * Append what `doc` becomes to `out`. The _id of `doc`, when it has one, stays: NX_EUPDATE
 * otherwise. Bytes equal to `doc` mean that nothing was modified.
 */
enum nx_code update_apply(const struct update *update, struct nx_slice doc,
                          const struct update_run *run, struct nx_buf *out, struct nx_err *err);
/*
 * The document that an upsert inserts, without what `update` does not set: the equalities of the
 * filter, then the update. It has _id first when the filter or the update says one.
 */
enum nx_code update_upsert(const struct update *update, const struct filter *filter,
                           struct expr_env *env, struct nx_buf *out, struct nx_err *err);

#endif

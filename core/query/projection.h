/*
 * projection.h - the fields a result has: find's projection and the stages that share its rules.
 */
#ifndef QUERY_PROJECTION_H
#define QUERY_PROJECTION_H

#include <nexadb/value.h>

#include "query/expr.h"

struct projection;
struct filter;

enum projection_form {
    PROJECTION_FIND,    /* with $slice, $elemMatch and the positional operator */
    PROJECTION_PROJECT, /* $project */
    PROJECTION_ADD,     /* $addFields, $set: everything stays */
};

/* `filter` (may be NULL) is the one whose match decides the positional operator; borrowed. */
enum nx_code projection_parse(struct nx_slice spec, enum projection_form form,
                              struct expr_vars *vars, const struct filter *filter,
                              struct projection **out, struct nx_err *err);
void projection_free(struct projection *projection);
/* Appends the projected BSON to `out`. env->root is the document. */
enum nx_code projection_apply(const struct projection *projection, struct expr_env *env,
                              struct nx_buf *out, struct nx_err *err);

#endif

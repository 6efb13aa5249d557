/*
 * sorted_rows.h - documents in the order of a partition's key and then of fields: what
 * $setWindowFields and $densify read.
 */
#ifndef QUERY_SORTED_ROWS_H
#define QUERY_SORTED_ROWS_H

#include "query/expr.h"
#include "query/pipeline.h"

struct sorted_rows;

/* `order`: BSON of a sort, or empty. `partition`: NULL for a single one; borrowed. */
enum nx_code sorted_rows_new(struct pipeline_context *context, const struct expr *partition,
                             struct nx_slice order, struct sorted_rows **out, struct nx_err *err);
void sorted_rows_free(struct sorted_rows *rows);
/* Add the document that the stage has just pulled. NX_EEXPR for a partition that is an array. */
enum nx_code sorted_rows_add(struct sorted_rows *rows, struct stage *stage, struct nx_slice doc,
                             struct nx_err *err);
/*
 * The next in order; *first says that a partition begins with it. `key` is the partition as
 * {"v": value}. Both are borrowed until the next call. NX_DONE at the end.
 */
enum nx_code sorted_rows_next(struct sorted_rows *rows, struct nx_slice *doc, struct nx_slice *key,
                              bool *first, struct nx_err *err);

#endif

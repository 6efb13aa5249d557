/*
 * join_table.h - which documents of a collection have a value at a path: a hash table for $lookup.
 *
 * It holds _ids by the hashes of values, nothing else, so what it finds may be too much but is
 * never too little: the caller matches the documents all the same.
 *
 * Threads: one query's thread.
 */
#ifndef QUERY_JOIN_TABLE_H
#define QUERY_JOIN_TABLE_H

#include <nexadb/value.h>

#include "doc/path.h"
#include "query/budget.h"
#include "query/values.h"

struct join_table;

/* `budget` outlives it. */
enum nx_code join_table_new(struct budget *budget, const struct path *path, struct join_table **out,
                            struct nx_err *err);
void join_table_free(struct join_table *table);
/* Documents in the order of their _ids. NX_EBUDGET when it does not fit: it is of no use then. */
enum nx_code join_table_add(struct join_table *table, struct nx_slice doc, struct nx_err *err);
/* Append the _ids of the documents that may have one of `values`, each once, in order. */
enum nx_code join_table_find(const struct join_table *table, const struct value_list *values,
                             struct arena *arena, struct nx_builder *out, struct nx_err *err);

#endif

/*
 * source.h - the documents of a collection that match a filter, read the cheapest way there is.
 *
 * The plan is chosen from the filter: points of _id, an interval of _id, or the whole collection.
 * Documents come in _id order. Hidden documents (limits.visible) are passed over.
 */
#ifndef QUERY_SOURCE_H
#define QUERY_SOURCE_H

#include <nexadb/db.h>

#include "query/budget.h"
#include "query/filter.h"

struct source;

struct source_options {
    struct nx_db *db;
    const struct nx_snapshot *snapshot; /* NULL: newest; else outlives the source */
    nx_ino collection;
    const struct filter *filter; /* NULL: all; borrowed */
    struct expr_env *env;        /* variables of the filter's $expr, or NULL; borrowed */
    struct budget *budget;       /* borrowed */
    bool backward;               /* from the greatest _id down */
    const struct nx_id *after;   /* NULL, or start behind this _id in the direction of the scan */
};

enum nx_code source_open(const struct source_options *options, struct source **out,
                         struct nx_err *err);
void source_close(struct source *source);
/* NX_DONE at the end; the document is borrowed until the next call. */
enum nx_code source_next(struct source *source, struct nx_document *out, struct nx_err *err);
/* Append the members that tell the plan and what it has visited so far: "plan", "examined", ... */
void source_explain(const struct source *source, struct nx_builder *out);

#endif

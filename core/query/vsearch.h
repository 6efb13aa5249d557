/*
 * vsearch.h - the k nearest vectors of a collection by looking at every one: exact.
 */
#ifndef QUERY_VSEARCH_H
#define QUERY_VSEARCH_H

#include <nexadb/query.h>

#include "query/budget.h"
#include "query/filter.h"

#define VSEARCH_DIMENSIONS_MAX 65536
#define VSEARCH_K_DEFAULT 10

struct vsearch;

struct vsearch_options {
    struct nx_db *db;
    const struct nx_snapshot *snapshot;
    nx_ino collection; /* 0: empty */
    const char *field; /* dotted path */
    size_t field_len;
    struct nx_slice vector; /* BSON array */
    uint32_t k;
    enum nx_metric metric;
    const struct filter *filter; /* NULL: all; borrowed */
    struct expr_env *env;        /* of the filter; borrowed, or NULL */
    const struct nx_id *except;  /* NULL, or a document left out */
    struct budget *budget;
};
/* Searches at once. NX_EQUERY for what is no vector, NX_EDIMENSION when there are vectors but none
 * of this one's dimension. */
enum nx_code vsearch_run(const struct vsearch_options *options, struct vsearch **out,
                         struct nx_err *err);
void vsearch_free(struct vsearch *search);
/* The next nearest; NX_DONE at the end. Borrowed until the search is freed. */
enum nx_code vsearch_next(struct vsearch *search, struct nx_slice *doc, double *score);

#endif

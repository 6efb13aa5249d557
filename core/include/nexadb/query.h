/*
 * query.h - queries, updates, aggregations and vector searches over collections.
 *
 * Filters, projections, sorts, updates and pipelines are BSON as nx_json_parse(NX_JSON_QUERY) makes
 * them; semantics are MongoDB's manual's. Slices are copied where they are kept.
 *
 * Threads: a cursor belongs to one thread at a time; `canceled` may be set from any.
 * Memory:  bounded by limits.memory_bytes; sorts and groups spill to the data directory past it.
 */
#ifndef NEXADB_QUERY_H
#define NEXADB_QUERY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <nexadb/db.h>

struct nx_limits {
    uint64_t memory_bytes; /* 0: 100 MiB; past it, and past spilling: NX_EBUDGET */
    uint64_t time_ms;      /* 0: none; past it: NX_ETIMEDOUT */
    /* NULL, or how long the caller has left the cursor alone so far: not counted. Read on the
     * cursor's thread. */
    const uint64_t *idle_ns;
    atomic_bool *canceled; /* NULL, or set it to end with NX_ECANCELED */
    bool (*visible)(void *arg, const struct nx_attr *attr);    /* NULL, or which documents exist */
    bool (*may_read)(void *arg, const char *path, size_t len); /* NULL, or which collections ... */
    bool (*may_write)(void *arg, const char *path,
                      size_t len); /* ... a pipeline may name: NX_EACCES */
    void *arg;
    bool read_only; /* $out and $merge are NX_EROFS */
};

struct nx_cursor;
/* NX_OK and a document borrowed until the next call; NX_DONE; or what ended it early. */
NX_API enum nx_code nx_cursor_next(struct nx_cursor *cursor, struct nx_slice *doc,
                                   struct nx_err *err);
NX_API void nx_cursor_close(struct nx_cursor *cursor);

struct nx_find {
    struct nx_slice filter;     /* empty slice: all */
    struct nx_slice projection; /* empty slice: whole documents */
    struct nx_slice sort;       /* empty slice: by _id */
    uint64_t skip;
    uint64_t limit;        /* 0: all */
    bool explain;          /* one document that tells the plan and what it visited */
    struct nx_slice after; /* a position of nx_cursor_position, or empty; `skip` is then ignored */
};
NX_API enum nx_code nx_query_find(struct nx_db *db, const struct nx_snapshot *snapshot,
                                  nx_ino collection, const struct nx_find *find,
                                  const struct nx_limits *limits, struct nx_cursor **out,
                                  struct nx_err *err);
/* Where a find stands, so that another with the same filter and sort continues there with `after`:
 * appended to `out` as URL-safe text. Only after a document was returned. */
NX_API enum nx_code nx_cursor_position(struct nx_cursor *cursor, struct nx_buf *out);

/* `pipeline` is BSON of an array. `collection` 0: one that does not exist, so empty. */
NX_API enum nx_code nx_query_aggregate(struct nx_db *db, const struct nx_snapshot *snapshot,
                                       nx_ino collection, struct nx_slice pipeline, bool explain,
                                       const struct nx_limits *limits, struct nx_cursor **out,
                                       struct nx_err *err);
NX_API enum nx_code nx_query_count(struct nx_db *db, const struct nx_snapshot *snapshot,
                                   nx_ino collection, struct nx_slice filter, uint64_t skip,
                                   uint64_t limit, const struct nx_limits *limits, uint64_t *out,
                                   struct nx_err *err);
/* Appends a BSON array of the distinct values, in order, to `out`. */
NX_API enum nx_code nx_query_distinct(struct nx_db *db, const struct nx_snapshot *snapshot,
                                      nx_ino collection, const char *field, size_t field_len,
                                      struct nx_slice filter, const struct nx_limits *limits,
                                      struct nx_buf *out, struct nx_err *err);

enum nx_metric { NX_COSINE, NX_L2, NX_DOT };
struct nx_vsearch {
    struct nx_slice vector; /* BSON array of numbers, or empty when `like` is given */
    struct nx_value like;   /* the _id of a document whose vector is used, and which is left out */
    const char *field;      /* NULL: "vector"; a dotted path */
    uint32_t k;             /* 0: 10 */
    enum nx_metric metric;
    struct nx_slice filter;
    uint32_t dimensions; /* 0, or NX_EDIMENSION when the vector has another number */
    uint32_t ef;         /* 0: chosen */
    bool exact;
};
/* "cosine", "l2", "euclidean", "dot", "dotProduct"; false for anything else. */
NX_API bool nx_metric_from_name(const char *name, size_t len, enum nx_metric *out);
/* {"document_id", "similarity", "document"}, nearest first. */
NX_API enum nx_code nx_query_vsearch(struct nx_db *db, const struct nx_snapshot *snapshot,
                                     nx_ino collection, const struct nx_vsearch *search,
                                     const struct nx_limits *limits, struct nx_cursor **out,
                                     struct nx_err *err);

struct nx_update {
    struct nx_slice filter;
    struct nx_slice update; /* operators, a replacement document, or with is_pipeline an array */
    bool is_pipeline;
    bool multi, upsert;
    struct nx_slice array_filters; /* BSON array, or empty */
};
struct nx_update_result {
    uint64_t matched, modified;
    bool upserted;
    struct nx_id upserted_id;
};
NX_API enum nx_code nx_query_update(struct nx_db *db, nx_ino collection,
                                    const struct nx_update *update, const struct nx_change *change,
                                    const struct nx_limits *limits, struct nx_update_result *out,
                                    struct nx_err *err);
/* Apply an update to one document in memory: for PUT and PATCH. Appends the new BSON to `out`. */
NX_API enum nx_code nx_query_update_document(struct nx_slice document, struct nx_slice update,
                                             bool is_pipeline, struct nx_buf *out,
                                             struct nx_err *err);
NX_API enum nx_code nx_query_delete(struct nx_db *db, nx_ino collection, struct nx_slice filter,
                                    bool multi, const struct nx_change *change,
                                    const struct nx_limits *limits, uint64_t *deleted,
                                    struct nx_err *err);
/* True when `doc` matches: for tests and watchers. */
NX_API enum nx_code nx_query_matches(struct nx_slice filter, struct nx_slice doc, bool *out,
                                     struct nx_err *err);

/* --- the operators, for help and documentation ------------------------------------------------ */

enum nx_operator_kind {
    NX_OPERATOR_FILTER,
    NX_OPERATOR_PROJECTION,
    NX_OPERATOR_UPDATE,
    NX_OPERATOR_STAGE,
    NX_OPERATOR_EXPRESSION,
    NX_OPERATOR_ACCUMULATOR,
};
struct nx_operator {
    const char *name; /* "$gt" */
    enum nx_operator_kind kind;
    const char *help; /* a phrase */
};
typedef void (*nx_operator_fn)(void *arg, const struct nx_operator *op);
/* Every operator there is, family by family. */
NX_API void nx_query_each_operator(nx_operator_fn fn, void *arg);

#endif

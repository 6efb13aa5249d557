/*
 * pipeline.h - a chain of stages that pull documents, as BSON, from the one before.
 *
 * Stages are rows (stage_class): how one is parsed, how it gives its next document, how it goes
 * back to its start. Some are written in terms of others: their row expands to those.
 *
 * Lifetimes: a document that a stage gives is borrowed until its next call.
 * Threads:   a pipeline belongs to one thread.
 */
#ifndef QUERY_PIPELINE_H
#define QUERY_PIPELINE_H

#include <nexadb/query.h>

#include "query/budget.h"
#include "query/expr.h"

struct stage;
struct pipeline;
struct filter;

/* What all pipelines of one query share. */
struct pipeline_context {
    struct nx_db *db;                   /* NULL: no collections, only documents in memory */
    const struct nx_snapshot *snapshot; /* NULL: newest */
    struct budget budget;
    const char *spill_dir;  /* NULL: nothing spills */
    struct expr_vars *vars; /* owned */
    struct nx_value *slots; /* owned; made when everything is parsed */
    nx_ino collection;      /* that the outermost pipeline reads */
    unsigned depth;         /* of pipelines inside pipelines, while parsing */
};

enum nx_code pipeline_context_init(struct pipeline_context *context, struct nx_db *db,
                                   const struct nx_snapshot *snapshot,
                                   const struct nx_limits *limits, struct nx_io *io,
                                   struct nx_err *err);
void pipeline_context_fini(struct pipeline_context *context);
/* Make room for the values of all variables: once everything is parsed. */
enum nx_code pipeline_context_ready(struct pipeline_context *context, struct nx_err *err);

enum {
    STAGE_FIRST = 1,      /* only as the first stage; brings its own documents */
    STAGE_LAST = 2,       /* only as the last stage */
    STAGE_NOT_NESTED = 4, /* not inside $facet, $lookup or $unionWith */
    STAGE_NOT_FACET = 8,  /* not inside $facet */
    STAGE_UPDATE = 16,    /* works on one document: may be in an update */
};

enum pipeline_place { PLACE_TOP, PLACE_NESTED, PLACE_FACET, PLACE_UPDATE };

struct stage_class {
    const char *name;
    unsigned flags;
    size_t size; /* of its struct, which begins with struct stage */
    enum nx_code (*parse)(struct stage *stage, const struct nx_value *spec, struct nx_err *err);
    /* NX_DONE at the end. */
    enum nx_code (*next)(struct stage *stage, struct nx_slice *doc, struct nx_err *err);
    void (*reset)(struct stage *stage); /* to the start; NULL: nothing to forget */
    void (*close)(struct stage *stage); /* free what it holds; NULL: nothing */
    /* Instead of all these: append the stages that it stands for. */
    enum nx_code (*expand)(const struct nx_value *spec, struct nx_builder *out, struct nx_err *err);
    const char *help;
};

/* Every stage's struct begins with one. */
struct stage {
    const struct stage_class *class;
    struct stage *source; /* borrowed; NULL for a first stage */
    struct pipeline_context *context;
    struct arena arena;     /* of the current document */
    struct expr_env env;    /* set up by stage_pull */
    struct nx_buf out;      /* the document given last, where it was made here */
    struct nx_slice scores; /* that go along with the document given last */
    uint64_t given;         /* documents, for explain */
};

/* `spec`: BSON of an array. NX_EQUERY, NX_EOPERATOR with the number of the stage. */
enum nx_code pipeline_parse(struct pipeline_context *context, struct nx_slice spec,
                            enum pipeline_place place, struct pipeline **out, struct nx_err *err);
void pipeline_free(struct pipeline *pipeline);
/* Give it its documents; `source` is borrowed (NULL where the first stage brings its own). */
void pipeline_connect(struct pipeline *pipeline, struct stage *source);
/* The same; `push_match` false: the scan's filter is the caller's, a leading $match stays a stage.
 */
void pipeline_connect_through(struct pipeline *pipeline, struct stage *source, bool push_match);
enum nx_code pipeline_next(struct pipeline *pipeline, struct nx_slice *doc, struct nx_err *err);
struct stage *pipeline_last(struct pipeline *pipeline);
/* To the start, the source included. */
void pipeline_reset(struct pipeline *pipeline);
bool pipeline_has_own_source(const struct pipeline *pipeline);
bool pipeline_writes(const struct pipeline *pipeline);
size_t pipeline_count(const struct pipeline *pipeline);
struct stage *pipeline_stage(const struct pipeline *pipeline, size_t index);

/* --- for stages ------------------------------------------------------------------------------- */

/* The source's next document, with the environment set to it and the arena emptied. */
enum nx_code stage_pull(struct stage *stage, struct nx_slice *doc, struct nx_err *err);
/* Set the environment to a document that did not come from stage_pull. */
void stage_bind(struct stage *stage, struct nx_slice doc, struct nx_slice scores);
enum nx_code stage_new(struct pipeline_context *context, const struct stage_class *class,
                       struct stage **out, struct nx_err *err);
void stage_free(struct stage *stage);
void stage_reset(struct stage *stage);
enum nx_code stage_next(struct stage *stage, struct nx_slice *doc, struct nx_err *err);

/* The documents of a collection; `ino` 0 for one that does not exist. */
enum nx_code scan_stage_new(struct pipeline_context *context, nx_ino ino, struct stage **out,
                            struct nx_err *err);
/* Read only what matches from the next start on; borrowed. */
void scan_stage_filter(struct stage *scan, const struct filter *filter);
/* A collection by the name that a stage gives; *ino 0 when there is none. NX_EACCES. */
enum nx_code pipeline_collection(struct pipeline_context *context, const struct nx_value *name,
                                 const char *stage, nx_ino *ino, struct nx_err *err);
/* One document, or none: what updates and merges run over. */
enum nx_code single_stage_new(struct pipeline_context *context, struct stage **out,
                              struct nx_err *err);
void single_stage_set(struct stage *single, struct nx_slice doc);

/* The condition of a $match, for a scan to take over. */
const struct filter *match_stage_filter(const struct stage *stage);
/* True when the stage is $limit; its number. */
bool limit_stage_count(const struct stage *stage, uint64_t *count);
bool skip_stage_count(const struct stage *stage, uint64_t *count);
/* Keep only so many. */
void sort_stage_limit(struct stage *stage, uint64_t limit);

extern const struct stage_class stage_match, stage_project, stage_add_fields, stage_set,
    stage_unset, stage_replace_root, stage_replace_with, stage_sort, stage_limit, stage_skip,
    stage_count, stage_unwind, stage_group, stage_bucket, stage_bucket_auto, stage_sort_by_count,
    stage_facet, stage_lookup, stage_graph_lookup, stage_union_with, stage_sample, stage_redact,
    stage_out, stage_merge, stage_window, stage_densify, stage_fill, stage_documents,
    stage_vector_search;
const struct stage_class *stage_class_find(const char *name, size_t len);

#endif

/*
 * update_node.h - the inside of an update by operators: a tree of path parts.
 *
 * Every path of every operator is a branch; its last part is a leaf that holds the operator. Two
 * operators on one path, or on a path and one inside it, conflict.
 */
#ifndef QUERY_UPDATE_NODE_H
#define QUERY_UPDATE_NODE_H

#include "doc/path.h"
#include "query/expr.h"
#include "query/filter.h"
#include "query/sort.h"
#include "query/update.h"

struct update_op;

enum update_part {
    PART_FIELD,    /* a name, or in an array an index */
    PART_POSITION, /* $ */
    PART_ALL,      /* $[] */
    PART_FILTERED, /* $[name] */
};

/* An operator's argument, as its parse left it. Values borrow from the update's copy. */
struct update_action {
    const struct update_op *op; /* NULL: an interior node */
    struct nx_value arg;
    struct nx_value list;     /* $each, $pullAll: an array; MISSING when there is none */
    struct filter *condition; /* $pull; owned */
    struct sort_spec *sort;   /* $push; owned */
    struct path path;         /* $rename: of the source; owned */
    int64_t position, slice;  /* $push */
    bool has_position, has_slice, has_sort;
    int sort_direction; /* $push $sort of whole elements: 1, -1; 0: by `sort` */
    bool timestamp;     /* $currentDate */
};

struct update_node {
    char *name; /* owned; of PART_FILTERED the identifier */
    size_t name_len;
    enum update_part part;
    int32_t index;     /* when the name is one, else -1 */
    struct path array; /* of PART_POSITION: the path of the array before it; owned */
    const struct array_filter *filter; /* of PART_FILTERED */
    struct update_action action;
    struct update_node **kids; /* owned, in the order in which new fields are made */
    uint32_t kid_count;
};

struct array_filter {
    char *name; /* owned */
    struct filter *filter;
    bool used;
};

enum update_kind { UPDATE_OPERATORS, UPDATE_REPLACEMENT, UPDATE_PIPELINE };

struct update {
    enum update_kind kind;
    struct nx_buf spec; /* owned copy, from which arguments borrow */
    struct nx_buf filters_spec;
    struct update_node root;
    struct array_filter *filters; /* owned */
    uint32_t filter_count;
    struct update_pipeline *pipeline; /* owned */
};

/* One application, for operators. */
struct update_state {
    const struct update_run *run;
    struct nx_slice doc; /* as it was */
    struct nx_builder *out;
    struct nx_err *err;
    const char *where; /* the path's last name, for messages */
};

enum {
    UPDATE_CREATES = 1,   /* makes the field, and what leads to it, when it is not there */
    UPDATE_ON_INSERT = 2, /* only when inserting */
    UPDATE_MOVES = 4,     /* only when the source of the $rename is there */
    UPDATE_NO_ARRAY = 8,  /* its path may not go through an array */
};

struct update_op {
    const char *name;
    unsigned flags;
    enum nx_code (*parse)(const struct nx_value *arg, struct update_action *out,
                          struct nx_err *err);
    /* Put what the field becomes under `key`, or nothing. `old` MISSING: there is none. */
    enum nx_code (*apply)(const struct update_action *action, struct update_state *state,
                          const char *key, size_t key_len, const struct nx_value *old);
    const char *help;
};

/* Families: each ends with a row without a name. */
extern const struct update_op update_ops_fields[];
extern const struct update_op update_ops_arrays[];
/* The two halves of a $rename; and the $set of an upsert's equalities. */
extern const struct update_op update_op_rename_from, update_op_rename_to, update_op_set;

void update_node_fini(struct update_node *node);
void update_action_fini(struct update_action *action);
/* The leaf at `path`, new. Conflicts are NX_EUPDATE. */
enum nx_code update_add_path(struct update *update, struct nx_slice path,
                             struct update_action **out, struct nx_err *err);
/* <0, 0, >0: the order of new fields, numbers by value and before names. */
int update_compare_names(const char *a, size_t a_len, const char *b, size_t b_len);

/* update_walk.c: the operators' tree over a document. */
enum nx_code update_walk(const struct update *update, struct nx_slice doc,
                         const struct update_run *run, struct nx_buf *out, struct nx_err *err);

/* array_filter.c */
enum nx_code array_filters_parse(struct nx_slice spec, struct update *update, struct nx_err *err);
void array_filters_fini(struct update *update);
struct array_filter *array_filter_find(struct update *update, const char *name, size_t len);
enum nx_code array_filter_match(const struct array_filter *filter, const struct nx_value *element,
                                struct expr_env *env, bool *out, struct nx_err *err);

/* update_pipeline.c */
struct update_pipeline;
enum nx_code update_pipeline_parse(struct nx_slice stages, struct update_pipeline **out,
                                   struct nx_err *err);
void update_pipeline_free(struct update_pipeline *pipeline);
enum nx_code update_pipeline_apply(const struct update_pipeline *pipeline, struct nx_slice doc,
                                   struct expr_env *env, struct nx_buf *out, struct nx_err *err);

#endif

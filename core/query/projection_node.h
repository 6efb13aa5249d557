/* projection_node.h - the inside of a projection: a tree of fields. */
#ifndef QUERY_PROJECTION_NODE_H
#define QUERY_PROJECTION_NODE_H

#include "doc/path.h"
#include "query/projection.h"

enum project_kind {
    PROJECT_NESTED, /* has kids */
    PROJECT_INCLUDE,
    PROJECT_EXCLUDE,
    PROJECT_COMPUTE,  /* expr */
    PROJECT_SLICE,    /* skip, count */
    PROJECT_ELEMENT,  /* condition: the first element that meets it */
    PROJECT_POSITION, /* the element that made the document match */
};

struct project_node {
    char *name; /* owned, NUL-terminated; NULL at the root */
    size_t name_len;
    enum project_kind kind;
    struct project_node **kids; /* owned */
    uint32_t kid_count;
    bool computes; /* an expression here or below: the field exists even where the document has none
                    */
    struct expr *expr;        /* owned */
    struct filter *condition; /* owned */
    int64_t skip, count;
    bool has_skip;
};

enum project_mode { PROJECT_MODE_UNDECIDED, PROJECT_MODE_INCLUDE, PROJECT_MODE_EXCLUDE };

struct projection {
    enum projection_form form;
    enum project_mode mode; /* of PROJECTION_ADD: EXCLUDE, of nothing */
    bool is_identity;
    struct project_node root;
    const struct filter *filter; /* outlives it; may be NULL */
    bool has_position;
    struct path position;       /* of the array that PROJECT_POSITION is about */
    struct nx_buf spec;         /* owned copy */
    struct expr_vars *own_vars; /* owned; when the caller gave none */
};

void project_node_fini(struct project_node *node);

#endif

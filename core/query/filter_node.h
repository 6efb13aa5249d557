/*
 * filter_node.h - the inside of a parsed filter, for the families of operators.
 *
 * A filter is a tree of nodes. The leaves are predicates: one operator's test of one value, at a
 * path of the subject or, within $elemMatch, $pull and the like, of the subject itself.
 */
#ifndef QUERY_FILTER_NODE_H
#define QUERY_FILTER_NODE_H

#include <nexadb/value.h>

#include "doc/path.h"
#include "query/expr.h"
#include "query/filter.h"
#include "query/regex.h"

struct filter_op;
struct filter_node;
struct json_schema;

/* One evaluation. A failure sticks in `failed` and makes every later answer false. */
struct match {
    struct expr_env *env; /* for $expr; NULL when the filter has none */
    struct nx_err *err;
    enum nx_code failed;
    bool expand; /* a pathless predicate tests the elements of an array subject too */
};

/* The operand of a predicate: the op's parse fills what its test reads. */
struct pred {
    const struct filter_op *op;
    struct nx_value value; /* borrowed from the filter's copy of the specification */
    union {
        struct {       /* $eq, $gt, ...: of `value` */
            int order; /* nx_type_order */
            bool is_nan;
        } compare;
        struct {                     /* $in */
            struct nx_value *values; /* owned array, sorted, distinct */
            struct regex **regexes;  /* owned, as are its members */
            uint32_t value_count, regex_count;
            bool has_null;
        } in;
        struct {
            int64_t divisor, remainder;
        } mod;
        struct { /* $bits...: positions of set bits of the mask, ascending; owned */
            uint32_t *positions;
            uint32_t count;
        } bits;
        uint64_t types[4]; /* $type: one bit a BSON type number */
        int64_t size;
        struct regex *regex;         /* owned */
        struct filter_node *element; /* $elemMatch; owned */
    };
};

enum node_kind {
    NODE_AND,
    NODE_OR,
    NODE_NOR,
    NODE_NOT, /* one child */
    NODE_PRED,
    NODE_EXPR,
    NODE_SCHEMA,
    NODE_NEVER,
    NODE_KIND_COUNT
};

struct filter_node {
    enum node_kind kind;
    struct filter_node **kids; /* owned */
    uint32_t kid_count;
    struct path path; /* of a predicate; no parts: it tests the subject itself */
    union {
        struct pred pred;
        struct expr *expr;          /* owned */
        struct json_schema *schema; /* owned */
    };
};

struct filter {
    struct filter_node *root;
    struct nx_buf spec;         /* owned copy that operands borrow from */
    struct expr_vars *own_vars; /* owned; the scope of $expr when the caller gave none */
    bool has_expr;
    bool is_document_condition; /* of a value filter: plain fields, so only objects can match */
};

struct filter_parser {
    struct filter *filter;
    struct expr_vars *vars; /* the caller's, or NULL */
    struct nx_err *err;
    unsigned element_depth;   /* inside $elemMatch */
    struct nx_slice siblings; /* the object of operators being parsed: $regex looks for $options */
};

/* Where an operator may stand. */
enum filter_place {
    PLACE_FIELD, /* {field: {$op: argument}} */
    PLACE_TOP,   /* {$op: argument} */
};

enum {
    OP_WHOLE = 1,   /* tests what a path ends at, not the elements of an array there */
    OP_NEGATE = 2,  /* the node is the negation of the predicate */
    OP_ELEMENT = 4, /* the predicate holds a condition on elements: pred.element */
};

/* What an _id predicate says about the range of ids. */
enum filter_range { RANGE_NONE, RANGE_POINT, RANGE_POINTS, RANGE_ABOVE, RANGE_BELOW };

struct filter_op {
    const char *name;
    enum filter_place place;
    unsigned flags;
    enum filter_range range;
    /* Either parse and test (a predicate) ... */
    enum nx_code (*parse)(struct filter_parser *parser, const struct nx_value *arg,
                          struct pred *out);
    bool (*test)(const struct pred *pred, const struct nx_value *value, struct match *match);
    void (*fini)(struct pred *pred); /* NULL: nothing owned */
    /* ... or build: a node of its own shape. `path` is empty at the top. *out NULL: nothing. */
    enum nx_code (*build)(struct filter_parser *parser, const struct filter_op *op,
                          struct nx_slice path, const struct nx_value *arg,
                          struct filter_node **out);
    const char *help;
};

/* Families: each ends with a row without a name. */
extern const struct filter_op filter_ops_compare[];
extern const struct filter_op filter_ops_logical[];
extern const struct filter_op filter_ops_element[];
extern const struct filter_op filter_ops_array[];
extern const struct filter_op filter_ops_bits[];
extern const struct filter_op filter_ops_regex[];

/* NULL when there is none. `place` decides between the same name at two places. */
const struct filter_op *filter_op_find(const char *name, size_t len, enum filter_place place);

/* --- building (filter_node.c) ----------------------------------------------------------------- */

struct filter_node *filter_node_new(enum node_kind kind); /* NULL when out of memory */
void filter_node_free(struct filter_node *node);
/* Takes `kid`, also on failure. */
enum nx_code filter_node_add(struct filter_node *node, struct filter_node *kid, struct nx_err *err);
/* A predicate at `path` (empty: on the subject itself). */
enum nx_code filter_node_pred(struct filter_parser *parser, const struct filter_op *op,
                              struct nx_slice path, const struct nx_value *arg,
                              struct filter_node **out);

/* --- parsing (filter.c) ----------------------------------------------------------------------- */

/* A whole condition {field: ..., $and: ...} to an AND node. */
enum nx_code filter_parse_document(struct filter_parser *parser, struct nx_slice spec,
                                   struct filter_node **out);
/* The operators {$gt: 1, $lt: 5} of one path to an AND node. */
enum nx_code filter_parse_operators(struct filter_parser *parser, struct nx_slice path,
                                    struct nx_slice spec, struct filter_node **out);
/* {path: value}: equality, a regular expression, or operators. */
enum nx_code filter_parse_field(struct filter_parser *parser, struct nx_slice path,
                                const struct nx_value *value, struct filter_node **out);
/* True for an object whose first key begins with $ and that is no reference ($ref, $id, $db). */
bool filter_is_operators(const struct nx_value *value);
/* The same, but {$or: [...]} and its like, which are conditions on fields, are not. */
bool filter_is_value_operators(const struct nx_value *value);

/* --- matching (filter_match.c) ---------------------------------------------------------------- */

bool filter_node_match(const struct filter_node *node, const struct nx_value *subject,
                       struct match *match);
/* Does one element meet the condition of an $elemMatch? */
bool filter_element_meets(const struct pred *pred, const struct nx_value *element,
                          struct match *match);
bool filter_equal(const struct nx_value *a, const struct nx_value *b); /* null equals missing */

#endif

/*
 * expr_op.h - what the expression engine and the families of operators share.
 *
 * An operator is one row: how its arguments are written, and one function. Most are strict: `call`
 * gets the values of all arguments. One that must not evaluate everything (conditions, variables)
 * gives `eval` and works on the nodes; one with a form of its own gives `parse` too.
 */
#ifndef QUERY_EXPR_OP_H
#define QUERY_EXPR_OP_H

#include <nexadb/value.h>

#include "query/expr.h"
#include "query/values.h"

struct expr_op;
struct expr_pool; /* what one parsed expression owns */

typedef enum nx_code (*expr_eval_fn)(const struct expr *expr, struct expr_env *env,
                                     struct nx_value *out, struct nx_err *err);

struct expr_part {
    const char *name; /* in the pool */
    uint32_t len;
};

struct expr {
    expr_eval_fn eval;
    const struct expr_op *op; /* NULL for constants, paths, variables and literals */
    struct expr **args;       /* a NULL one: an optional argument that was not given */
    unsigned count;
    unsigned slot;      /* of a variable */
    unsigned own_slots; /* of a root parsed without a scope: slots that it brings itself */
    bool is_constant;   /* `value` is the result */
    struct nx_value value;
    const struct expr_part *parts; /* of a path, after the variable */
    unsigned part_count;
    const void *extra;      /* what `parse` made, or the keys of an object literal */
    struct expr_pool *pool; /* set in the root only: frees all the others */
};

/* One evaluation of a strict operator. */
struct call {
    const struct expr *expr;
    struct expr_env *env;
    struct nx_value *args; /* `count` of them; MISSING for one that was not given */
    unsigned count;
    struct nx_err *err;
};
typedef enum nx_code (*expr_call_fn)(struct call *call, struct nx_value *out);

struct expr_parser {
    struct expr_pool *pool;
    struct expr_vars *vars;
    struct nx_err *err;
};
typedef enum nx_code (*expr_parse_fn)(struct expr_parser *parser, const struct nx_value *spec,
                                      struct expr *node);

enum {
    EXPR_NULLS =
        1, /* any null, missing or undefined argument that was given makes the result null */
    EXPR_VOLATILE = 2, /* never folded to a constant */
    EXPR_EITHER = 4,   /* named arguments, or the same positionally */
};
#define EXPR_ANY 1000000 /* arguments without a limit */

struct expr_op {
    const char *name;
    int min, max;      /* positional arguments; of named ones max says how many there are */
    const char *names; /* NULL: positional; "input! chars": named, '!' where it must be given */
    unsigned flags;
    expr_call_fn call;
    expr_eval_fn eval;
    expr_parse_fn parse;
    const char *help;
};

struct expr_family {
    const struct expr_op *ops;
    size_t count;
};
#define EXPR_FAMILY(table)                                                                         \
    {                                                                                              \
        (table), sizeof(table) / sizeof *(table)                                                   \
    }

extern const struct expr_family expr_arith, expr_trig, expr_bits, expr_compare, expr_string,
    expr_regex, expr_array, expr_array_higher, expr_object, expr_set, expr_type, expr_date,
    expr_date_text, expr_control, expr_accumulator;
/* NULL-terminated. */
extern const struct expr_family *const *const expr_families;
const struct expr_op *expr_op_find(const char *name, size_t len);

/* --- for parse functions ---------------------------------------------------------------------- */

enum nx_code parser_expr(struct expr_parser *parser, const struct nx_value *spec,
                         struct expr **out);
/* Positional arguments into node->args. */
enum nx_code parser_positional(struct expr_parser *parser, const struct nx_value *spec,
                               struct expr *node);
/* Named arguments in the order of op->names into node->args. */
enum nx_code parser_named(struct expr_parser *parser, const struct nx_value *spec,
                          struct expr *node);
struct arena *parser_arena(struct expr_parser *parser);
enum nx_code parser_fail(struct expr_parser *parser, const struct expr *node, const char *format,
                         ...) NX_PRINTF(3, 4);
/* Keep something that must be freed with the expression. */
enum nx_code parser_own(struct expr_parser *parser, void *object, void (*free_object)(void *));
/* A scope of variables: declare with expr_vars_declare, then close. */
unsigned expr_vars_mark(const struct expr_vars *vars);
void expr_vars_release(struct expr_vars *vars, unsigned mark);
/* True when a name may be a user's variable: a lower-case letter (or a non-ASCII byte) first. */
bool expr_var_name_ok(const char *name, size_t len);

/* --- for call and eval functions -------------------------------------------------------------- */

/* NX_EEXPR with the operator's name in front. */
enum nx_code call_fail(struct call *call, const char *format, ...) NX_PRINTF(2, 3);
enum nx_code expr_fail(const struct expr *expr, struct nx_err *err, const char *format, ...)
    NX_PRINTF(3, 4);
/* What evaluates every argument and then calls op->call. */
expr_eval_fn expr_strict_eval(void);
/* The value of a node inside an expression; MISSING for a NULL node. */
/* NX_ETIMEDOUT, NX_ECANCELED: for loops. */
enum nx_code expr_tick(const struct expr_env *env, struct nx_err *err);
enum nx_code expr_child(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                        struct nx_err *err);
/* A number of integral value within int32, as indexes and counts must be. */
enum nx_code call_int32(struct call *call, unsigned arg, const char *what, int32_t *out);
/* Follow a dotted path as "$a.b" does: through documents, and once into the elements of arrays. */
enum nx_code expr_walk(const struct nx_value *from, const struct expr_part *parts, unsigned count,
                       struct arena *arena, struct nx_value *out, struct nx_err *err);
/* Split "a.b.c" into parts in `arena`; NX_EQUERY for an empty part, a '$' first, a NUL. */
enum nx_code expr_split_path(const char *text, size_t len, struct arena *arena,
                             const struct expr_part **parts, unsigned *count, struct nx_err *err);

#endif

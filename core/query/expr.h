/*
 * expr.h - aggregation expressions: parsed once, evaluated per document.
 *
 * Operators are rows of tables (ops.h). A computed value borrows from the document, the expression
 * or the arena, and is valid until the arena is reset.
 */
#ifndef QUERY_EXPR_H
#define QUERY_EXPR_H

#include <nexadb/value.h>

#include "base/arena.h"

struct budget;
struct expr;
struct expr_vars; /* names in scope while parsing: let, map, filter, reduce, lookup's let */

/* What an evaluation sees. */
struct expr_env {
    struct nx_slice root;    /* $$ROOT and "$field" */
    struct nx_value current; /* $$CURRENT when it is not the root; MISSING otherwise */
    struct nx_value *vars;   /* slots of user variables, `expr_slots` of them */
    struct arena *arena;
    const struct nx_value *now; /* $$NOW, fixed for the query */
    struct nx_value metadata; /* {"vectorSearchScore": ..., "searchScore": ...} or MISSING: $meta */
    struct nx_io *io;         /* randomness of $rand */
    struct budget *budget;    /* asked by loops; NULL: nothing ends them */
};

/* An environment without a document, over a query's budget: the arena gets its memory limit. */
struct expr_env expr_env_for(struct budget *budget, struct arena *arena);

/* NX_EOPERATOR, NX_EQUERY with the operator and what it wanted. `vars` may be NULL. */
enum nx_code expr_parse(const struct nx_value *spec, struct expr_vars *vars, struct expr **out,
                        struct nx_err *err);
void expr_free(struct expr *expr);
enum nx_code expr_eval(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                       struct nx_err *err);
/* MongoDB's truth: false, null, missing, undefined and zero are false. */
bool expr_truth(const struct nx_value *value);

/* Variables. `expr_vars_new(NULL)` is a pipeline's scope; a name declared gets the next slot. */
struct expr_vars *expr_vars_new(void);
void expr_vars_free(struct expr_vars *vars);
enum nx_code expr_vars_declare(struct expr_vars *vars, const char *name, size_t len, unsigned *slot,
                               struct nx_err *err);
unsigned expr_vars_slots(const struct expr_vars *vars); /* most slots ever in scope */

#endif

/*
 * filter.h - query filters: parsed once into a tree, matched against BSON without building
 * anything.
 *
 * Operators are rows of tables (filter_node.h). Threads: a parsed filter is immutable; a match
 * writes only to the environment given to it.
 */
#ifndef QUERY_FILTER_H
#define QUERY_FILTER_H

#include <nexadb/query.h>
#include <nexadb/value.h>

#include "base/arena.h"

struct filter;
struct expr_env;
struct expr_vars;
struct nx_id;
struct path;

/* `vars`: names in scope for $expr, or NULL. NX_EOPERATOR, NX_EQUERY. An empty slice matches all.
 */
enum nx_code filter_parse(struct nx_slice spec, struct expr_vars *vars, struct filter **out,
                          struct nx_err *err);
void filter_free(struct filter *filter);
/* `env` (may be NULL when the filter has no $expr with variables) gives variables and the arena. */
enum nx_code filter_match(const struct filter *filter, struct nx_slice doc, struct expr_env *env,
                          bool *out, struct nx_err *err);
/* The condition of $elemMatch, $pull and array filters: match one value rather than a document. */
enum nx_code filter_parse_value(const struct nx_value *spec, struct filter **out,
                                struct nx_err *err);
enum nx_code filter_match_value(const struct filter *filter, const struct nx_value *value,
                                bool *out, struct nx_err *err);
/* Of a value filter {$elemMatch: ...}: the first element of `array` that meets it; MISSING when
 * none does or it is no array. */
enum nx_code filter_first_element(const struct filter *filter, const struct nx_value *array,
                                  struct nx_value *out, struct nx_err *err);
/*
 * The positional operator: the index of the first element of an array that made `doc` match. With
 * `array`, of the array at that path; without, of the first array that a condition went through.
 */
bool filter_array_index(const struct filter *filter, struct nx_slice doc, const struct path *array,
                        uint32_t *index);
/* The closed interval of _id that can match, for the planner; false when there is none. */
bool filter_id_range(const struct filter *filter, struct nx_id *lower, struct nx_id *upper,
                     bool *has_lower, bool *has_upper);

#endif

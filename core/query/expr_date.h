/*
 * expr_date.h - what the two families of date operators share: reading dates and zones.
 */
#ifndef QUERY_EXPR_DATE_H
#define QUERY_EXPR_DATE_H

#include "query/expr_op.h"
#include "query/timezone.h"

/* Parses named or positional arguments; a constant 'timezone' is read once. */
enum nx_code expr_date_parse(struct expr_parser *parser, const struct nx_value *spec,
                             struct expr *node);
/* The zone of a node parsed so; *out NULL when the argument is null. */
enum nx_code expr_date_zone(const struct expr *expr, struct expr_env *env,
                            const struct nx_value *value, const struct time_zone **out,
                            struct nx_err *err);
/* A date, timestamp or ObjectId as milliseconds. */
enum nx_code expr_date_ms(const struct expr *expr, const struct nx_value *value, int64_t *out,
                          struct nx_err *err);
/* Index of the argument 'timezone' among op->names. */
unsigned expr_date_zone_arg(const struct expr_op *op);

#endif

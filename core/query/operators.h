/* operators.h - the families of operators, for nx_query_each_operator. */
#ifndef QUERY_OPERATORS_H
#define QUERY_OPERATORS_H

#include <nexadb/query.h>

void filter_each_operator(nx_operator_fn fn, void *arg);
void projection_each_operator(nx_operator_fn fn, void *arg);
void update_each_operator(nx_operator_fn fn, void *arg);
void stage_each_operator(nx_operator_fn fn, void *arg);
void expr_each_operator(nx_operator_fn fn, void *arg);
void acc_each_operator(nx_operator_fn fn, void *arg);
void window_each_operator(nx_operator_fn fn, void *arg);

#endif

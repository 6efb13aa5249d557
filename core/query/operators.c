/* operators.c - one list of every operator, from the tables that parse them. */
#include "query/operators.h"

static void (*const families[])(nx_operator_fn fn, void *arg) = {
    filter_each_operator, projection_each_operator, update_each_operator, stage_each_operator,
    expr_each_operator,   acc_each_operator,        window_each_operator,
};

void nx_query_each_operator(nx_operator_fn fn, void *arg)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        families[i](fn, arg);
}

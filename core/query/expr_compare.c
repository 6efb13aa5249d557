/*
 * expr_compare.c - comparisons by the order over all types, where missing is below null, and logic.
 *
 * $and and $or stop at the first operand that decides.
 */
#include "query/expr_op.h"

static int order(const struct call *call)
{
    return nx_value_compare(&call->args[0], &call->args[1]);
}

static enum nx_code call_cmp(struct call *call, struct nx_value *out)
{
    int sign = order(call);

    *out = nx_int32((sign > 0) - (sign < 0));
    return NX_OK;
}

static enum nx_code call_eq(struct call *call, struct nx_value *out)
{
    *out = nx_bool(order(call) == 0);
    return NX_OK;
}

static enum nx_code call_ne(struct call *call, struct nx_value *out)
{
    *out = nx_bool(order(call) != 0);
    return NX_OK;
}

static enum nx_code call_gt(struct call *call, struct nx_value *out)
{
    *out = nx_bool(order(call) > 0);
    return NX_OK;
}

static enum nx_code call_gte(struct call *call, struct nx_value *out)
{
    *out = nx_bool(order(call) >= 0);
    return NX_OK;
}

static enum nx_code call_lt(struct call *call, struct nx_value *out)
{
    *out = nx_bool(order(call) < 0);
    return NX_OK;
}

static enum nx_code call_lte(struct call *call, struct nx_value *out)
{
    *out = nx_bool(order(call) <= 0);
    return NX_OK;
}

/* True when any operand's truth is `wanted`. */
static enum nx_code any_is(const struct expr *expr, struct expr_env *env, bool wanted, bool *out,
                           struct nx_err *err)
{
    *out = false;
    for (unsigned i = 0; i < expr->count; i++) {
        struct nx_value value;
        enum nx_code rc = expr_child(expr->args[i], env, &value, err);

        if (rc != NX_OK)
            return rc;
        if (expr_truth(&value) == wanted) {
            *out = true;
            break;
        }
    }
    return NX_OK;
}

static enum nx_code eval_and(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                             struct nx_err *err)
{
    bool found;
    enum nx_code rc = any_is(expr, env, false, &found, err);

    *out = nx_bool(!found);
    return rc;
}

static enum nx_code eval_or(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                            struct nx_err *err)
{
    bool found;
    enum nx_code rc = any_is(expr, env, true, &found, err);

    *out = nx_bool(found);
    return rc;
}

static enum nx_code call_not(struct call *call, struct nx_value *out)
{
    *out = nx_bool(!expr_truth(&call->args[0]));
    return NX_OK;
}

static const struct expr_op table[] = {
    {"$and", 0, EXPR_ANY, NULL, 0, NULL, eval_and, NULL, "true when all are"},
    {"$cmp", 2, 2, NULL, 0, call_cmp, NULL, NULL, "-1, 0 or 1 by the order of values"},
    {"$eq", 2, 2, NULL, 0, call_eq, NULL, NULL, "equal values"},
    {"$gt", 2, 2, NULL, 0, call_gt, NULL, NULL, "greater than the second"},
    {"$gte", 2, 2, NULL, 0, call_gte, NULL, NULL, "greater or equal"},
    {"$lt", 2, 2, NULL, 0, call_lt, NULL, NULL, "less than the second"},
    {"$lte", 2, 2, NULL, 0, call_lte, NULL, NULL, "less or equal"},
    {"$ne", 2, 2, NULL, 0, call_ne, NULL, NULL, "not equal"},
    {"$not", 1, 1, NULL, 0, call_not, NULL, NULL, "true when the operand is not"},
    {"$or", 0, EXPR_ANY, NULL, 0, NULL, eval_or, NULL, "true when any is"},
};
const struct expr_family expr_compare = EXPR_FAMILY(table);

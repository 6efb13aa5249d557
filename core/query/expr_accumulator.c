/*
 * expr_accumulator.c - accumulators as expressions: over the elements of one array, or over several
 * operands.
 */
#include "query/acc.h"
#include "query/expr_op.h"

static enum nx_code add_elements(struct acc *acc, const struct nx_value *array, struct nx_err *err)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    nx_doc_iter_init(&iter, nx_value_slice(array));
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = acc_add_value(acc, &iter.value, err);
    return rc;
}

static enum nx_code fold_values(struct call *call, const struct acc_spec *spec, unsigned count,
                                struct nx_value *out)
{
    struct acc acc NX_CLEANUP(acc_fini);
    enum nx_code rc = NX_OK;

    acc_init(&acc, spec);
    for (unsigned i = 0; rc == NX_OK && i < count; i++) {
        bool expand = count == 1 && call->args[0].type == NX_TYPE_ARRAY;

        rc = expand ? add_elements(&acc, &call->args[0], call->err)
                    : acc_add_value(&acc, &call->args[i], call->err);
    }
    return rc == NX_OK ? acc_result(&acc, call->env->arena, out, call->err) : rc;
}

static enum nx_code call_accumulator(struct call *call, struct nx_value *out)
{
    const char *name = call->expr->op->name;
    struct acc_spec spec = {.class = acc_class_find(name, strlen(name)), .n = 1};

    return fold_values(call, &spec, call->count, out);
}

enum { ARG_INPUT, ARG_METHOD, ARG_P };

static enum nx_code parse_percentile(struct expr_parser *parser, const struct nx_value *spec,
                                     struct expr *node)
{
    enum nx_code rc = parser_named(parser, spec, node);
    const struct expr *method = rc == NX_OK ? node->args[ARG_METHOD] : NULL;

    if (rc == NX_OK && !(method->is_constant && method->value.type == NX_TYPE_STRING &&
                         strcmp((const char *)method->value.data, "approximate") == 0))
        return parser_fail(parser, node, "wants 'method': \"approximate\"");
    return rc;
}

static enum nx_code call_median(struct call *call, struct nx_value *out)
{
    return call_accumulator(&(struct call){call->expr, call->env, call->args, 1, call->err}, out);
}

static enum nx_code call_percentile(struct call *call, struct nx_value *out)
{
    struct acc_spec spec = {.class = acc_class_find("$percentile", strlen("$percentile")), .n = 1};
    const struct nx_value *p = &call->args[ARG_P];
    struct nx_doc_iter iter;

    if (p->type != NX_TYPE_ARRAY || nx_doc_is_empty(nx_value_slice(p)))
        return call_fail(call, "wants 'p' as an array of numbers");
    spec.p = arena_alloc(call->env->arena, nx_doc_count(nx_value_slice(p)) * sizeof *spec.p);
    if (!spec.p)
        return nx_fail_nomem(call->err);
    nx_doc_iter_init(&iter, nx_value_slice(p));
    while (nx_doc_iter_next(&iter)) {
        double share = nx_value_to_double(&iter.value);

        if (!nx_is_number(&iter.value) || !(share >= 0 && share <= 1))
            return call_fail(call, "wants numbers from 0 to 1 in 'p'");
        spec.p[spec.p_count++] = share;
    }
    return fold_values(call, &spec, 1, out);
}

#define ACC(name, help)                                                                            \
    {                                                                                              \
        name, 0, EXPR_ANY, NULL, 0, call_accumulator, NULL, NULL, help                             \
    }
static const struct expr_op table[] = {
    ACC("$avg", "the mean of the numbers"),
    ACC("$max", "the greatest value"),
    {"$median", 2, 2, "input! method!", 0, call_median, NULL, parse_percentile,
     "the middle number"},
    ACC("$min", "the least value"),
    {"$percentile", 3, 3, "input! method! p!", 0, call_percentile, NULL, parse_percentile,
     "the numbers below which given shares lie"},
    ACC("$stdDevPop", "the deviation of a population"),
    ACC("$stdDevSamp", "the deviation of a sample"),
    ACC("$sum", "the sum of the numbers"),
};
const struct expr_family expr_accumulator = EXPR_FAMILY(table);

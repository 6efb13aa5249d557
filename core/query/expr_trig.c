/*
 * expr_trig.c - trigonometry in radians, and the conversion from and to degrees.
 *
 * Each function has the interval that it is defined on; outside it is an error, NaN passes through.
 */
#include <math.h>

#include "query/expr_op.h"
#include "query/numeric.h"

struct domain {
    const char *name;
    double (*fn)(double);
    double min, max;
    bool open; /* the ends are out */
};

static double degrees(double v)
{
    return v * (180 / M_PI);
}

static double radians(double v)
{
    return v * (M_PI / 180);
}

static const struct domain domains[] = {
    {"$acos", acos, -1, 1, false},
    {"$acosh", acosh, 1, INFINITY, false},
    {"$asin", asin, -1, 1, false},
    {"$asinh", asinh, -INFINITY, INFINITY, false},
    {"$atan", atan, -INFINITY, INFINITY, false},
    {"$atanh", atanh, -1, 1, false},
    {"$cos", cos, -INFINITY, INFINITY, true},
    {"$cosh", cosh, -INFINITY, INFINITY, false},
    {"$degreesToRadians", radians, -INFINITY, INFINITY, false},
    {"$radiansToDegrees", degrees, -INFINITY, INFINITY, false},
    {"$sin", sin, -INFINITY, INFINITY, true},
    {"$sinh", sinh, -INFINITY, INFINITY, false},
    {"$tan", tan, -INFINITY, INFINITY, true},
    {"$tanh", tanh, -INFINITY, INFINITY, false},
};

static const struct domain *domain_of(const struct call *call)
{
    size_t i = 0;

    while (strcmp(domains[i].name, call->expr->op->name) != 0)
        i++;
    return &domains[i];
}

static enum nx_code call_trig(struct call *call, struct nx_value *out)
{
    const struct domain *domain = domain_of(call);
    double v = nx_value_to_double(&call->args[0]);

    if (!nx_is_number(&call->args[0]))
        return call_fail(call, "wants a number, not %s", nx_type_name(call->args[0].type));
    if (v < domain->min || v > domain->max || (domain->open && isinf(v)))
        return call_fail(call, "wants a number %s %g and %g, not %g",
                         domain->open ? "inside" : "between", domain->min, domain->max, v);
    return numeric_like(call->env->arena, &call->args[0], domain->fn(v), out, call->err);
}

static enum nx_code call_atan2(struct call *call, struct nx_value *out)
{
    for (unsigned i = 0; i < 2; i++)
        if (!nx_is_number(&call->args[i]))
            return call_fail(call, "wants numbers, not %s", nx_type_name(call->args[i].type));
    return numeric_like(
        call->env->arena, &call->args[0],
        atan2(nx_value_to_double(&call->args[0]), nx_value_to_double(&call->args[1])), out,
        call->err);
}

#define TRIG(name, help)                                                                           \
    {                                                                                              \
        name, 1, 1, NULL, EXPR_NULLS, call_trig, NULL, NULL, help                                  \
    }
static const struct expr_op table[] = {
    TRIG("$acos", "the arc cosine"),
    TRIG("$acosh", "the inverse hyperbolic cosine"),
    TRIG("$asin", "the arc sine"),
    TRIG("$asinh", "the inverse hyperbolic sine"),
    TRIG("$atan", "the arc tangent"),
    {"$atan2", 2, 2, NULL, EXPR_NULLS, call_atan2, NULL, NULL, "the angle of a point (y, x)"},
    TRIG("$atanh", "the inverse hyperbolic tangent"),
    TRIG("$cos", "the cosine"),
    TRIG("$cosh", "the hyperbolic cosine"),
    TRIG("$degreesToRadians", "degrees in radians"),
    TRIG("$radiansToDegrees", "radians in degrees"),
    TRIG("$sin", "the sine"),
    TRIG("$sinh", "the hyperbolic sine"),
    TRIG("$tan", "the tangent"),
    TRIG("$tanh", "the hyperbolic tangent"),
};
const struct expr_family expr_trig = EXPR_FAMILY(table);

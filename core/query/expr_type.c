/*
 * expr_type.c - types and conversions as expressions.
 */
#include "query/convert.h"
#include "query/expr_op.h"

static enum nx_code call_type(struct call *call, struct nx_value *out)
{
    *out = nx_string_z(nx_type_name(call->args[0].type));
    return NX_OK;
}

static enum nx_code call_is_number(struct call *call, struct nx_value *out)
{
    *out = nx_bool(nx_is_number(&call->args[0]));
    return NX_OK;
}

static const struct {
    const char *name;
    uint8_t type;
} shorthands[] = {
    {"$toBool", NX_TYPE_BOOL},          {"$toDate", NX_TYPE_DATE},
    {"$toDecimal", NX_TYPE_DECIMAL128}, {"$toDouble", NX_TYPE_DOUBLE},
    {"$toInt", NX_TYPE_INT32},          {"$toLong", NX_TYPE_INT64},
    {"$toObjectId", NX_TYPE_OBJECTID},  {"$toString", NX_TYPE_STRING},
};

static enum nx_code call_shorthand(struct call *call, struct nx_value *out)
{
    size_t i = 0;

    while (strcmp(shorthands[i].name, call->expr->op->name) != 0)
        i++;
    return convert_value(call->env->arena, &call->args[0], shorthands[i].type, out, call->err);
}

enum { CONVERT_INPUT, CONVERT_TO, CONVERT_ON_ERROR, CONVERT_ON_NULL };

/* 'onError' is evaluated only when the conversion failed, 'onNull' only when there is nothing. */
static enum nx_code eval_convert(const struct expr *expr, struct expr_env *env,
                                 struct nx_value *out, struct nx_err *err)
{
    struct nx_value input, to;
    uint8_t type;
    enum nx_code rc = expr_child(expr->args[CONVERT_INPUT], env, &input, err);

    if (rc == NX_OK)
        rc = expr_child(expr->args[CONVERT_TO], env, &to, err);
    if (rc != NX_OK)
        return rc;
    *out = NX_NULL;
    if (nx_is_nullish(&to))
        return NX_OK;
    if (!convert_target(&to, &type))
        return expr_fail(expr, err, "wants 'to' as a type's name or number, such as \"int\" or 16");
    if (nx_is_nullish(&input))
        return expr->args[CONVERT_ON_NULL] ? expr_child(expr->args[CONVERT_ON_NULL], env, out, err)
                                           : NX_OK;
    rc = convert_value(env->arena, &input, type, out, err);
    if (rc == NX_EEXPR && expr->args[CONVERT_ON_ERROR])
        return expr_child(expr->args[CONVERT_ON_ERROR], env, out, err);
    return rc;
}

static enum nx_code call_binary_size(struct call *call, struct nx_value *out)
{
    const struct nx_value *value = &call->args[0];

    if (value->type != NX_TYPE_STRING && value->type != NX_TYPE_BINARY)
        return call_fail(call, "wants a string or binary, not %s", nx_type_name(value->type));
    *out = nx_int(value->len);
    return NX_OK;
}

static enum nx_code call_bson_size(struct call *call, struct nx_value *out)
{
    if (call->args[0].type != NX_TYPE_DOCUMENT)
        return call_fail(call, "wants an object, not %s", nx_type_name(call->args[0].type));
    *out = nx_int(call->args[0].len);
    return NX_OK;
}

static enum nx_code call_ts_second(struct call *call, struct nx_value *out)
{
    if (call->args[0].type != NX_TYPE_TIMESTAMP)
        return call_fail(call, "wants a timestamp, not %s", nx_type_name(call->args[0].type));
    *out = nx_int64((int64_t)((uint64_t)call->args[0].i64 >> 32));
    return NX_OK;
}

static enum nx_code call_ts_increment(struct call *call, struct nx_value *out)
{
    if (call->args[0].type != NX_TYPE_TIMESTAMP)
        return call_fail(call, "wants a timestamp, not %s", nx_type_name(call->args[0].type));
    *out = nx_int64(call->args[0].i64 & 0xffffffff);
    return NX_OK;
}

#define TO(name, help)                                                                             \
    {                                                                                              \
        name, 1, 1, NULL, EXPR_NULLS, call_shorthand, NULL, NULL, help                             \
    }
static const struct expr_op table[] = {
    {"$binarySize", 1, 1, NULL, EXPR_NULLS, call_binary_size, NULL, NULL,
     "bytes of a string or binary"},
    {"$bsonSize", 1, 1, NULL, EXPR_NULLS, call_bson_size, NULL, NULL, "bytes of an object's BSON"},
    {"$convert", 2, 4, "input! to! onError onNull", 0, NULL, eval_convert, NULL,
     "a value as another type"},
    {"$isNumber", 1, 1, NULL, 0, call_is_number, NULL, NULL, "true for a number"},
    TO("$toBool", "as true or false"),
    TO("$toDate", "as a date"),
    TO("$toDecimal", "as a decimal128"),
    TO("$toDouble", "as a double"),
    TO("$toInt", "as a 32-bit number"),
    TO("$toLong", "as a 64-bit number"),
    TO("$toObjectId", "as an ObjectId"),
    TO("$toString", "as a string"),
    {"$tsIncrement", 1, 1, NULL, EXPR_NULLS, call_ts_increment, NULL, NULL,
     "the counter of a timestamp"},
    {"$tsSecond", 1, 1, NULL, EXPR_NULLS, call_ts_second, NULL, NULL, "the seconds of a timestamp"},
    {"$type", 1, 1, NULL, 0, call_type, NULL, NULL, "the name of a value's type"},
};
const struct expr_family expr_type = EXPR_FAMILY(table);

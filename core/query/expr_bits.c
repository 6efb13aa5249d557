/*
 * expr_bits.c - and, or, exclusive or, not, over the bits of int32 and int64.
 */
#include "query/expr_op.h"

static enum nx_code bits_of(struct call *call, unsigned arg, int64_t *out, bool *is_long)
{
    const struct nx_value *value = &call->args[arg];

    if (value->type != NX_TYPE_INT32 && value->type != NX_TYPE_INT64)
        return call_fail(call, "wants int and long only, not %s", nx_type_name(value->type));
    *is_long |= value->type == NX_TYPE_INT64;
    *out = value->type == NX_TYPE_INT64 ? value->i64 : value->i32;
    return NX_OK;
}

static int64_t bit_and(int64_t a, int64_t b)
{
    return a & b;
}

static int64_t bit_or(int64_t a, int64_t b)
{
    return a | b;
}

static int64_t bit_xor(int64_t a, int64_t b)
{
    return a ^ b;
}

static enum nx_code combine(struct call *call, int64_t start, int64_t (*fn)(int64_t, int64_t),
                            struct nx_value *out)
{
    bool is_long = false;

    for (unsigned i = 0; i < call->count; i++) {
        int64_t bits = 0;
        enum nx_code rc = bits_of(call, i, &bits, &is_long);

        if (rc != NX_OK)
            return rc;
        start = fn(start, bits);
    }
    *out = is_long ? nx_int64(start) : nx_int32((int32_t)start);
    return NX_OK;
}

static enum nx_code call_and(struct call *call, struct nx_value *out)
{
    return combine(call, -1, bit_and, out);
}

static enum nx_code call_or(struct call *call, struct nx_value *out)
{
    return combine(call, 0, bit_or, out);
}

static enum nx_code call_xor(struct call *call, struct nx_value *out)
{
    return combine(call, 0, bit_xor, out);
}

static enum nx_code call_not(struct call *call, struct nx_value *out)
{
    bool is_long = false;
    int64_t bits = 0;
    enum nx_code rc = bits_of(call, 0, &bits, &is_long);

    if (rc == NX_OK)
        *out = is_long ? nx_int64(~bits) : nx_int32((int32_t)~bits);
    return rc;
}

static const struct expr_op table[] = {
    {"$bitAnd", 0, EXPR_ANY, NULL, EXPR_NULLS, call_and, NULL, NULL, "the bits set in all"},
    {"$bitNot", 1, 1, NULL, EXPR_NULLS, call_not, NULL, NULL, "every bit turned round"},
    {"$bitOr", 0, EXPR_ANY, NULL, EXPR_NULLS, call_or, NULL, NULL, "the bits set in any"},
    {"$bitXor", 0, EXPR_ANY, NULL, EXPR_NULLS, call_xor, NULL, NULL,
     "the bits set in an odd number"},
};
const struct expr_family expr_bits = EXPR_FAMILY(table);

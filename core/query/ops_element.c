/*
 * ops_element.c - $exists, $type, $size, $mod: about a value's presence, kind and arithmetic.
 */
#include <math.h>
#include <string.h>

#include "query/filter_node.h"
#include "query/type_set.h"

static bool is_true(const struct nx_value *value)
{
    if (nx_is_number(value))
        return nx_value_to_double(value) != 0;
    return value->type == NX_TYPE_BOOL ? value->boolean : !nx_is_nullish(value);
}

/* $exists: false is the negation of $exists: true, over arrays too. */
static enum nx_code build_exists(struct filter_parser *parser, const struct filter_op *op,
                                 struct nx_slice path, const struct nx_value *arg,
                                 struct filter_node **out);

static enum nx_code parse_nothing(struct filter_parser *parser, const struct nx_value *arg,
                                  struct pred *out)
{
    (void)parser;
    (void)arg;
    (void)out;
    return NX_OK;
}

static bool test_present(const struct pred *pred, const struct nx_value *value, struct match *match)
{
    (void)pred;
    (void)match;
    return value->type != NX_TYPE_MISSING;
}

static const struct filter_op present = {
    "$exists", PLACE_FIELD, OP_WHOLE, RANGE_NONE, parse_nothing, test_present, NULL, NULL, ""};

static enum nx_code build_exists(struct filter_parser *parser, const struct filter_op *op,
                                 struct nx_slice path, const struct nx_value *arg,
                                 struct filter_node **out)
{
    struct filter_node *pred, *node;
    enum nx_code rc;

    (void)op;
    *out = NULL;
    rc = filter_node_pred(parser, &present, path, arg, &pred);
    if (rc != NX_OK || is_true(arg)) {
        *out = pred;
        return rc;
    }
    node = filter_node_new(NODE_NOT);
    if (!node) {
        filter_node_free(pred);
        return nx_fail_nomem(parser->err);
    }
    rc = filter_node_add(node, pred, parser->err);
    if (rc != NX_OK) {
        filter_node_free(node);
        return rc;
    }
    *out = node;
    return NX_OK;
}

static enum nx_code parse_type(struct filter_parser *parser, const struct nx_value *arg,
                               struct pred *out)
{
    return type_set_parse("$type", arg, TYPE_SET_BSON, out->types, parser->err);
}

static bool test_type(const struct pred *pred, const struct nx_value *value, struct match *match)
{
    (void)match;
    return value->type != NX_TYPE_MISSING && type_set_has(pred->types, value->type);
}

static enum nx_code parse_size(struct filter_parser *parser, const struct nx_value *arg,
                               struct pred *out)
{
    if (!nx_value_to_int64(arg, &out->size) || out->size < 0)
        return nx_fail(parser->err, NX_EQUERY, "$size needs a whole number of zero or more");
    return NX_OK;
}

static bool test_size(const struct pred *pred, const struct nx_value *value, struct match *match)
{
    (void)match;
    return value->type == NX_TYPE_ARRAY &&
           (int64_t)nx_doc_count(nx_value_slice(value)) == pred->size;
}

/* --- $mod ------------------------------------------------------------------------------------- */

/* A number without its fraction; false for what has no such number in int64. */
static bool truncated(const struct nx_value *value, int64_t *out)
{
    double d;

    if (!nx_is_number(value))
        return false;
    if (nx_value_to_int64(value, out))
        return true;
    d = trunc(nx_value_to_double(value));
    if (!(d >= -0x1p63 && d < 0x1p63))
        return false;
    *out = (int64_t)d;
    return true;
}

static enum nx_code parse_mod(struct filter_parser *parser, const struct nx_value *arg,
                              struct pred *out)
{
    struct nx_doc_iter iter;
    int64_t numbers[2] = {0, 0};
    size_t count = 0;

    if (arg->type != NX_TYPE_ARRAY || nx_doc_count(nx_value_slice(arg)) != 2)
        return nx_fail(parser->err, NX_EQUERY, "$mod needs an array [divisor, remainder]");
    nx_doc_iter_init(&iter, nx_value_slice(arg));
    for (; nx_doc_iter_next(&iter); count++)
        if (!truncated(&iter.value, &numbers[count]))
            return nx_fail(parser->err, NX_EQUERY, "$mod: the %s is not a finite number",
                           count ? "remainder" : "divisor");
    if (numbers[0] == 0)
        return nx_fail(parser->err, NX_EQUERY, "$mod: the divisor is zero");
    out->mod.divisor = numbers[0];
    out->mod.remainder = numbers[1];
    return NX_OK;
}

static bool test_mod(const struct pred *pred, const struct nx_value *value, struct match *match)
{
    int64_t number;

    (void)match;
    if (!truncated(value, &number))
        return false;
    if (pred->mod.divisor == -1) /* INT64_MIN % -1 traps */
        return pred->mod.remainder == 0;
    return number % pred->mod.divisor == pred->mod.remainder;
}

const struct filter_op filter_ops_element[] = {
    {"$exists", PLACE_FIELD, 0, RANGE_NONE, NULL, NULL, NULL, build_exists,
     "the field is there (true) or not (false)"},
    {"$mod", PLACE_FIELD, 0, RANGE_NONE, parse_mod, test_mod, NULL, NULL,
     "divided by the first number, leaves the second"},
    {"$size", PLACE_FIELD, OP_WHOLE, RANGE_NONE, parse_size, test_size, NULL, NULL,
     "an array of exactly so many elements"},
    {"$type", PLACE_FIELD, 0, RANGE_NONE, parse_type, test_type, NULL, NULL,
     "of one of the named types"},
    {.name = NULL},
};

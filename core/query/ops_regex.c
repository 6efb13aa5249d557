/*
 * ops_regex.c - $regex with $options, and a regular expression given as a value.
 *
 * A pattern matches strings, and a stored regular expression that is the same. $options belongs to
 * the $regex beside it, which reads it.
 */
#include "query/filter_node.h"

/* The options of the object that the operator stands in. */
static enum nx_code sibling_options(struct filter_parser *parser, struct nx_slice *out)
{
    struct nx_value options = NX_MISSING;

    *out = NX_SLICE_NULL;
    if (parser->siblings.data)
        options = nx_doc_get_z(parser->siblings, "$options");
    if (options.type == NX_TYPE_MISSING)
        return NX_OK;
    if (options.type != NX_TYPE_STRING)
        return nx_fail(parser->err, NX_EQUERY, "$options needs a string, not %s",
                       nx_type_name(options.type));
    *out = nx_value_slice(&options);
    return NX_OK;
}

static enum nx_code parse_regex(struct filter_parser *parser, const struct nx_value *arg,
                                struct pred *out)
{
    struct nx_slice pattern, options, own = NX_SLICE_NULL;
    enum nx_code rc;

    if (arg->type != NX_TYPE_REGEX && arg->type != NX_TYPE_STRING)
        return nx_fail(parser->err, NX_EQUERY, "$regex needs a string or a regular expression");
    rc = sibling_options(parser, &options);
    if (rc != NX_OK)
        return rc;
    pattern = nx_value_slice(arg);
    if (arg->type == NX_TYPE_REGEX)
        regex_value_parts(arg, &pattern, &own);
    if (own.len && options.data)
        return nx_fail(parser->err, NX_EQUERY, "options are in both $regex and $options");
    return regex_new(pattern, own.len ? own : options, &out->regex, parser->err);
}

static bool test_regex(const struct pred *pred, const struct nx_value *value, struct match *match)
{
    bool found = false;

    if (value->type == NX_TYPE_REGEX)
        return pred->value.type == NX_TYPE_REGEX && nx_value_compare(value, &pred->value) == 0;
    if (value->type != NX_TYPE_STRING && value->type != NX_TYPE_SYMBOL)
        return false;
    match->failed = regex_find(pred->regex, nx_value_slice(value), 0, NULL, 0, &found, match->err);
    return found;
}

static void fini_regex(struct pred *pred)
{
    regex_free(pred->regex);
}

static enum nx_code build_options(struct filter_parser *parser, const struct filter_op *op,
                                  struct nx_slice path, const struct nx_value *arg,
                                  struct filter_node **out)
{
    (void)path;
    (void)arg;
    *out = NULL; /* $regex reads it */
    if (nx_doc_get_z(parser->siblings, "$regex").type != NX_TYPE_MISSING)
        return NX_OK;
    return nx_fail(parser->err, NX_EQUERY, "%s needs a $regex beside it", op->name);
}

const struct filter_op filter_ops_regex[] = {
    {"$options", PLACE_FIELD, 0, RANGE_NONE, NULL, NULL, NULL, build_options,
     "letters for the $regex beside it: i, m, s, x, u"},
    {"$regex", PLACE_FIELD, 0, RANGE_NONE, parse_regex, test_regex, fini_regex, NULL,
     "a string that the pattern matches (PCRE2)"},
    {.name = NULL},
};

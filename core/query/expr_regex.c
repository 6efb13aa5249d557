/*
 * expr_regex.c - $regexMatch, $regexFind, $regexFindAll.
 *
 * A constant pattern is compiled once and freed with the expression; one that comes from the
 * document is compiled at each evaluation. Matching is bounded as in filters (regex.h).
 */
#include "query/expr_op.h"
#include "query/regex.h"
#include "query/utf8_text.h"

enum { ARG_INPUT, ARG_REGEX, ARG_OPTIONS };

struct matcher {
    const struct regex *regex;
    struct regex *own; /* NULL when `regex` belongs to the expression */
    struct regex_span *spans;
    unsigned groups;
};

static void matcher_fini(struct matcher *matcher)
{
    regex_free(matcher->own);
}

static enum nx_code compile(const struct expr *expr, const struct nx_value *regex,
                            const struct nx_value *options, struct regex **out, struct nx_err *err)
{
    struct nx_slice pattern, letters = NX_SLICE_NULL;
    struct nx_err why = NX_ERR_INIT;

    if (options->type == NX_TYPE_STRING)
        letters = nx_value_slice(options);
    else if (!nx_is_nullish(options))
        return expr_fail(expr, err, "wants 'options' as a string, not %s",
                         nx_type_name(options->type));
    if (regex->type == NX_TYPE_REGEX) {
        struct nx_slice own;

        regex_value_parts(regex, &pattern, &own);
        if (letters.len && own.len)
            return expr_fail(expr, err, "has options both in 'regex' and in 'options'");
        letters = own.len ? own : letters;
    } else if (regex->type == NX_TYPE_STRING) {
        pattern = nx_value_slice(regex);
    } else {
        return expr_fail(expr, err, "wants 'regex' as a string or a regular expression, not %s",
                         nx_type_name(regex->type));
    }
    return regex_new(pattern, letters, out, &why) == NX_OK
               ? NX_OK
               : expr_fail(expr, err, "has a pattern that cannot be used: %s", why.message);
}

static void free_regex(void *regex)
{
    regex_free(regex);
}

static enum nx_code parse_regex(struct expr_parser *parser, const struct nx_value *spec,
                                struct expr *node)
{
    enum nx_code rc = parser_named(parser, spec, node);
    const struct nx_value none = NX_MISSING;
    const struct expr *regex, *options;
    struct regex *compiled;

    if (rc != NX_OK)
        return rc;
    regex = node->args[ARG_REGEX];
    options = node->args[ARG_OPTIONS];
    if (!regex->is_constant || nx_is_nullish(&regex->value) || (options && !options->is_constant))
        return NX_OK;
    rc = compile(node, &regex->value, options ? &options->value : &none, &compiled, parser->err);
    if (rc == NX_OK)
        rc = parser_own(parser, compiled, free_regex);
    node->extra = rc == NX_OK ? compiled : NULL;
    return rc;
}

static enum nx_code matcher_init(struct call *call, struct matcher *matcher)
{
    enum nx_code rc = NX_OK;

    *matcher = (struct matcher){.regex = call->expr->extra};
    if (!matcher->regex) {
        rc = compile(call->expr, &call->args[ARG_REGEX], &call->args[ARG_OPTIONS], &matcher->own,
                     call->err);
        matcher->regex = matcher->own;
    }
    if (rc != NX_OK)
        return rc;
    matcher->groups = regex_group_count(matcher->regex);
    matcher->spans = arena_alloc(call->env->arena, (matcher->groups + 1) * sizeof *matcher->spans);
    return matcher->spans ? NX_OK : nx_fail_nomem(call->err);
}

/* NX_DONE when there is no further match at or after `from`. */
static enum nx_code match_at(struct call *call, struct matcher *matcher, size_t from)
{
    struct nx_err why = NX_ERR_INIT;
    bool found = false;

    if (regex_find(matcher->regex, nx_value_slice(&call->args[ARG_INPUT]), from, matcher->spans,
                   matcher->groups + 1, &found, &why) != NX_OK)
        return call_fail(call, "gave up: %s", why.message);
    return found ? NX_OK : NX_DONE;
}

static enum nx_code captures_of(struct call *call, struct matcher *matcher, struct nx_value *out)
{
    struct value_list items = {0};
    enum nx_code rc = NX_OK;

    for (unsigned i = 1; rc == NX_OK && i <= matcher->groups; i++) {
        const struct regex_span *span = &matcher->spans[i];
        struct nx_value item = NX_NULL;

        if (span->start != SIZE_MAX)
            rc = value_text(call->env->arena, call->args[ARG_INPUT].data + span->start,
                            span->end - span->start, &item, call->err);
        if (rc == NX_OK)
            rc = value_list_push(&items, call->env->arena, &item, call->err);
    }
    return rc == NX_OK ? value_array(call->env->arena, &items, out, call->err) : rc;
}

/* {match, idx, captures} of the last match. */
static enum nx_code describe(struct call *call, struct matcher *matcher, struct nx_value *out)
{
    const struct regex_span *span = &matcher->spans[0];
    const uint8_t *input = call->args[ARG_INPUT].data;
    struct arena *arena = call->env->arena;
    struct field_list fields = {0};
    struct nx_value match, captures;
    int64_t index = (int64_t)utf8_count(input, span->start);
    enum nx_code rc;

    rc = value_text(arena, input + span->start, span->end - span->start, &match, call->err);
    if (rc == NX_OK)
        rc = captures_of(call, matcher, &captures);
    if (rc == NX_OK)
        rc = field_list_push(&fields, arena, "match", 5, match, call->err);
    if (rc == NX_OK)
        rc = field_list_push(&fields, arena, "idx", 3, nx_int(index), call->err);
    if (rc == NX_OK)
        rc = field_list_push(&fields, arena, "captures", 8, captures, call->err);
    return rc == NX_OK ? value_document(arena, &fields, out, call->err) : rc;
}

static enum nx_code find_all(struct call *call, struct matcher *matcher, struct nx_value *out)
{
    const struct nx_value *input = &call->args[ARG_INPUT];
    struct value_list items = {0};
    size_t from = 0;
    enum nx_code rc = NX_OK;

    while (from <= input->len && (rc = match_at(call, matcher, from)) == NX_OK) {
        struct regex_span span = matcher->spans[0];
        struct nx_value item;

        rc = describe(call, matcher, &item);
        if (rc == NX_OK)
            rc = value_list_push(&items, call->env->arena, &item, call->err);
        if (rc != NX_OK)
            return rc;
        from = span.end;
        if (span.end == span.start) /* an empty match: go on behind the next character */
            from += from < input->len ? utf8_step(input->data + from, input->data + input->len) : 1;
    }
    if (rc != NX_OK && rc != NX_DONE)
        return rc;
    return value_array(call->env->arena, &items, out, call->err);
}

enum wanted { WANT_BOOL, WANT_FIRST, WANT_ALL };

static enum nx_code nothing(struct call *call, enum wanted wanted, struct nx_value *out)
{
    struct value_list none = {0};

    *out = wanted == WANT_BOOL ? nx_bool(false) : NX_NULL;
    return wanted == WANT_ALL ? value_array(call->env->arena, &none, out, call->err) : NX_OK;
}

static enum nx_code run(struct call *call, enum wanted wanted, struct nx_value *out)
{
    struct matcher matcher NX_CLEANUP(matcher_fini) = {0};
    const struct nx_value *input = &call->args[ARG_INPUT];
    enum nx_code rc;

    if (!nx_is_nullish(input) && input->type != NX_TYPE_STRING)
        return call_fail(call, "wants 'input' as a string, not %s", nx_type_name(input->type));
    if (nx_is_nullish(input) || nx_is_nullish(&call->args[ARG_REGEX]))
        return nothing(call, wanted, out);
    rc = matcher_init(call, &matcher);
    if (rc != NX_OK)
        return rc;
    if (wanted == WANT_ALL)
        return find_all(call, &matcher, out);
    rc = match_at(call, &matcher, 0);
    if (rc == NX_DONE)
        return nothing(call, wanted, out);
    *out = nx_bool(true);
    return rc == NX_OK && wanted == WANT_FIRST ? describe(call, &matcher, out) : rc;
}

static enum nx_code call_match(struct call *call, struct nx_value *out)
{
    return run(call, WANT_BOOL, out);
}

static enum nx_code call_find(struct call *call, struct nx_value *out)
{
    return run(call, WANT_FIRST, out);
}

static enum nx_code call_find_all(struct call *call, struct nx_value *out)
{
    return run(call, WANT_ALL, out);
}

#define NAMES "input! regex! options"
static const struct expr_op table[] = {
    {"$regexFind", 2, 3, NAMES, 0, call_find, NULL, parse_regex,
     "the first match: {match, idx, captures}, or null"},
    {"$regexFindAll", 2, 3, NAMES, 0, call_find_all, NULL, parse_regex, "every match"},
    {"$regexMatch", 2, 3, NAMES, 0, call_match, NULL, parse_regex, "true when the pattern matches"},
};
const struct expr_family expr_regex = EXPR_FAMILY(table);

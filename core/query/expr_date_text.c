/*
 * expr_date_text.c - dates to strings and back.
 *
 * Both evaluate their fallbacks, 'onNull' and 'onError', only when they are needed.
 */
#include <nexadb/io.h>

#include "query/date_text.h"
#include "query/expr_date.h"

enum { TEXT_DATE, TEXT_FORMAT, TEXT_ZONE, TEXT_ON_NULL, TEXT_ON_ERROR };

struct operands {
    struct nx_value date, format, zone;
    bool is_null; /* a format or zone that is null makes the result null */
};

static enum nx_code parse_text(struct expr_parser *parser, const struct nx_value *spec,
                               struct expr *node)
{
    bool parsing = strcmp(node->op->name, "$dateFromString") == 0;
    enum nx_code rc = expr_date_parse(parser, spec, node);
    const struct expr *format = rc == NX_OK ? node->args[TEXT_FORMAT] : NULL;

    if (format && format->is_constant && format->value.type == NX_TYPE_STRING)
        rc = date_check_format((const char *)format->value.data, format->value.len, parsing,
                               parser->err);
    return rc;
}

static enum nx_code operands_of(const struct expr *expr, struct expr_env *env, struct operands *out,
                                struct nx_err *err)
{
    enum nx_code rc = expr_child(expr->args[TEXT_DATE], env, &out->date, err);

    if (rc == NX_OK)
        rc = expr_child(expr->args[TEXT_FORMAT], env, &out->format, err);
    if (rc == NX_OK)
        rc = expr_child(expr->args[TEXT_ZONE], env, &out->zone, err);
    if (rc != NX_OK)
        return rc;
    out->is_null = (expr->args[TEXT_FORMAT] && nx_is_nullish(&out->format)) ||
                   (expr->args[TEXT_ZONE] && nx_is_nullish(&out->zone));
    if (!nx_is_nullish(&out->format) && out->format.type != NX_TYPE_STRING)
        return expr_fail(expr, err, "wants 'format' as a string, not %s",
                         nx_type_name(out->format.type));
    return NX_OK;
}

static enum nx_code on_null(const struct expr *expr, struct expr_env *env, struct nx_value *out,
                            struct nx_err *err)
{
    *out = NX_NULL;
    return expr->args[TEXT_ON_NULL] ? expr_child(expr->args[TEXT_ON_NULL], env, out, err) : NX_OK;
}

static enum nx_code eval_to_string(const struct expr *expr, struct expr_env *env,
                                   struct nx_value *out, struct nx_err *err)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    const char *format = "%Y-%m-%dT%H:%M:%S.%LZ";
    const struct time_zone *zone;
    struct operands in;
    int64_t ms;
    enum nx_code rc = operands_of(expr, env, &in, err);

    if (rc != NX_OK)
        return rc;
    if (nx_is_nullish(&in.date))
        return on_null(expr, env, out, err);
    *out = NX_NULL;
    if (in.is_null)
        return NX_OK;
    rc = expr_date_ms(expr, &in.date, &ms, err);
    if (rc == NX_OK)
        rc = expr_date_zone(expr, env, &in.zone, &zone, err);
    if (rc != NX_OK)
        return rc;
    if (in.format.type == NX_TYPE_STRING)
        rc = date_format(ms, zone, (const char *)in.format.data, in.format.len, &text, err);
    else
        rc = date_format(ms, zone, format, strlen(format) - !timezone_is_utc(zone), &text, err);
    return rc == NX_OK ? value_text(env->arena, text.data, text.len, out, err) : rc;
}

static enum nx_code read_string(const struct expr *expr, struct expr_env *env,
                                const struct operands *in, struct nx_value *out, struct nx_err *err)
{
    const struct time_zone *zone = NULL;
    const char *format = in->format.type == NX_TYPE_STRING ? (const char *)in->format.data : NULL;
    int64_t ms;
    enum nx_code rc = NX_OK;

    if (in->date.type != NX_TYPE_STRING)
        return expr_fail(expr, err, "wants 'dateString' as a string, not %s",
                         nx_type_name(in->date.type));
    if (in->zone.type != NX_TYPE_MISSING)
        rc = expr_date_zone(expr, env, &in->zone, &zone, err);
    if (rc == NX_OK)
        rc = date_parse(env->io ? env->io : nx_io_posix(), (const char *)in->date.data,
                        in->date.len, format, in->format.len, zone, env->arena, &ms, err);
    if (rc == NX_OK)
        *out = nx_date(ms);
    return rc;
}

static enum nx_code eval_from_string(const struct expr *expr, struct expr_env *env,
                                     struct nx_value *out, struct nx_err *err)
{
    struct operands in;
    enum nx_code rc = operands_of(expr, env, &in, err);

    if (rc != NX_OK)
        return rc;
    if (nx_is_nullish(&in.date))
        return on_null(expr, env, out, err);
    *out = NX_NULL;
    if (in.is_null)
        return NX_OK;
    rc = read_string(expr, env, &in, out, err);
    if (rc == NX_EEXPR && expr->args[TEXT_ON_ERROR])
        return expr_child(expr->args[TEXT_ON_ERROR], env, out, err);
    return rc;
}

static const struct expr_op table[] = {
    {"$dateFromString", 1, 5, "dateString! format timezone onNull onError", 0, NULL,
     eval_from_string, parse_text, "a date read from a string"},
    {"$dateToString", 1, 4, "date! format timezone onNull", 0, NULL, eval_to_string, parse_text,
     "a date as a string"},
};
const struct expr_family expr_date_text = EXPR_FAMILY(table);

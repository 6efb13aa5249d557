/*
 * find_text.c - from a path component to BSON.
 *
 * Editors leave names beside a document that must stay names: `alice.json~` and `alice.json.~1~`
 * are no regular expressions, because an empty one, or one on a field with an empty part, asks for
 * nothing.
 */
#include "fs/find_text.h"

#include <nexadb/id.h>
#include <nexadb/json.h>

/* --- splitting -------------------------------------------------------------------------------- */

struct op {
    const char *text;
    const char *name; /* of the filter language */
};

static const struct op ops[] = {
    {"=", "$eq"}, {"!=", "$ne"},  {">", "$gt"},    {">=", "$gte"},
    {"<", "$lt"}, {"<=", "$lte"}, {"~", "$regex"},
};
static const struct op exists = {"?", "$exists"};

#define OP_REGEX (&ops[6])

struct parts {
    struct nx_slice field, value;
    const struct op *op;
    bool is_modifier;
};

static bool begins_with(struct nx_slice text, const char *prefix)
{
    size_t len = strlen(prefix);

    return text.len >= len && memcmp(text.data, prefix, len) == 0;
}

static const struct op *op_at(struct nx_slice text)
{
    const struct op *best = NULL;

    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (begins_with(text, ops[i].text) && (!best || strlen(ops[i].text) > strlen(best->text)))
            best = &ops[i];
    return best;
}

/* False: no component of a query. */
static bool split(struct nx_slice text, struct parts *out)
{
    *out = (struct parts){.is_modifier = begins_with(text, "@")};
    for (size_t at = 0; at < text.len && !out->op; at++) {
        size_t behind;

        out->op = op_at(nx_slice(text.data + at, text.len - at));
        if (!out->op)
            continue;
        behind = at + strlen(out->op->text);
        out->field = nx_slice(text.data, at);
        out->value = nx_slice(text.data + behind, text.len - behind);
    }
    if (!out->op && text.len > 0 && text.data[text.len - 1] == '?') {
        out->op = &exists;
        out->field = nx_slice(text.data, text.len - 1);
    }
    return out->op || out->is_modifier;
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static enum nx_code decode(const char *text, struct nx_buf *out, struct nx_err *err)
{
    for (const char *at = text; *at; at++) {
        int high, low = -1;
        uint8_t byte = (uint8_t)*at;

        if (*at == '%') {
            high = hex_digit((uint8_t)at[1]);
            if (high >= 0)
                low = hex_digit((uint8_t)at[2]);
            if (low < 0)
                return nx_fail(err, NX_EQUERY, "%% needs two hex digits behind it; %%25 is a %%");
            byte = (uint8_t)(high * 16 + low);
            at += 2;
        }
        if (nx_buf_append_byte(out, byte) != NX_OK)
            return nx_fail_nomem(err);
    }
    return NX_OK;
}

/* A dotted path without an empty part. */
static bool is_field(struct nx_slice field)
{
    if (field.len == 0 || memchr(field.data, 0, field.len))
        return false;
    for (size_t i = 0; i < field.len; i++)
        if (field.data[i] == '.' && (i == 0 || i + 1 == field.len || field.data[i + 1] == '.'))
            return false;
    return true;
}

enum find_component find_text_kind(const char *name)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct parts parts;
    bool is_query;

    if (nx_name_is_document(name, strlen(name)))
        return FIND_IS_DOCUMENT;
    if (name[0] == '.')
        return FIND_IS_NAME;
    if (decode(name, &text, NULL) != NX_OK) /* wrong, unless it would be no query anyway */
        return split(nx_slice_str(name), &parts) ? FIND_IS_QUERY : FIND_IS_NAME;
    is_query = split(nx_buf_slice(&text), &parts);
    if (is_query && parts.op == OP_REGEX && (parts.value.len == 0 || !is_field(parts.field)))
        is_query = false;
    return is_query ? FIND_IS_QUERY : FIND_IS_NAME;
}

/* --- predicates ------------------------------------------------------------------------------- */

/* The value of a predicate as {"": value} in `out`. */
static enum nx_code read_value(const struct parts *parts, struct nx_buf *out, struct nx_err *err)
{
    const char *text = (const char *)parts->value.data;
    struct nx_value value = nx_string(text, parts->value.len);
    struct nx_builder builder;
    struct nx_doc_iter iter;

    if (parts->op == &exists) {
        value = nx_bool(true);
    } else if (nx_json_parse_value(text, parts->value.len, NX_JSON_DOCUMENT, out, NULL) == NX_OK) {
        nx_doc_iter_init(&iter, nx_buf_slice(out));
        if (parts->op != OP_REGEX || (nx_doc_iter_next(&iter) && iter.value.type == NX_TYPE_STRING))
            return NX_OK;
        nx_buf_clear(out); /* a regular expression is text, also when it looks like a number */
    }
    nx_builder_init(&builder, out);
    nx_builder_put(&builder, "", 0, &value);
    return nx_builder_end(&builder, err);
}

/* {field: {op: value}} */
static enum nx_code build_predicate(const struct parts *parts, struct nx_buf *out,
                                    struct nx_err *err)
{
    struct nx_buf value NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_builder builder;
    struct nx_doc_iter iter;
    enum nx_code rc;

    if (!is_field(parts->field))
        return nx_fail(err, NX_EQUERY, "no field, or one with an empty part, before '%s'",
                       parts->op->text);
    if (parts->field.data[0] == '$')
        return nx_fail(err, NX_EQUERY, "operators of the filter language go into @json=");
    rc = read_value(parts, &value, err);
    if (rc != NX_OK)
        return rc;
    nx_doc_iter_init(&iter, nx_buf_slice(&value));
    nx_doc_iter_next(&iter);
    nx_builder_init(&builder, out);
    nx_builder_begin_document(&builder, (const char *)parts->field.data, parts->field.len);
    nx_builder_put_z(&builder, parts->op->name, iter.value);
    nx_builder_close(&builder);
    return nx_builder_end(&builder, err);
}

static enum nx_code add_predicate(struct find_query *query, const struct parts *parts,
                                  struct nx_err *err)
{
    size_t begin = query->filters.len;
    enum nx_code rc = build_predicate(parts, &query->filters, err);

    if (rc == NX_OK) /* UTF-8 above all: the rest is ours */
        rc = nx_doc_check(nx_slice(query->filters.data + begin, query->filters.len - begin), err);
    return rc;
}

/* --- modifiers -------------------------------------------------------------------------------- */

static enum nx_code take_filter(struct find_query *query, struct nx_slice value, struct nx_err *err)
{
    return nx_json_parse((const char *)value.data, value.len, NX_JSON_QUERY, 0, &query->filters,
                         NULL, err);
}

/* "a,-b" with the number of each name, as {"a": plain, "b": with_minus}; or an object as it is. */
static enum nx_code take_names(struct nx_slice value, int32_t with_minus, struct nx_buf *out,
                               struct nx_err *err)
{
    const char *at = (const char *)value.data, *end = at + value.len;
    struct nx_builder builder;
    enum nx_code rc;

    nx_buf_clear(out);
    if (begins_with(value, "{"))
        return nx_json_parse(at, value.len, NX_JSON_QUERY, 0, out, NULL, err);
    nx_builder_init(&builder, out);
    for (;;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;
        bool minus = at < stop && *at == '-';
        struct nx_slice name = nx_slice(at + minus, (size_t)(stop - at - minus));
        struct nx_value number = nx_int32(minus ? with_minus : 1);

        if (!is_field(name))
            return nx_fail(err, NX_EQUERY, "fields are separated by commas: @sort=-age,name");
        nx_builder_put(&builder, (const char *)name.data, name.len, &number);
        if (!comma)
            break;
        at = comma + 1;
    }
    rc = nx_builder_end(&builder, err);
    return rc == NX_OK ? nx_doc_check(nx_buf_slice(out), err) : rc;
}

static enum nx_code take_sort(struct find_query *query, struct nx_slice value, struct nx_err *err)
{
    return take_names(value, -1, &query->sort, err);
}

static enum nx_code take_fields(struct find_query *query, struct nx_slice value, struct nx_err *err)
{
    return take_names(value, 0, &query->projection, err);
}

static enum nx_code take_number(struct nx_slice value, uint64_t least, uint64_t *out,
                                struct nx_err *err)
{
    uint64_t number = 0;

    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9' || number > INT64_MAX / 10 - 1)
            value.len = 0;
        else
            number = number * 10 + (uint64_t)(value.data[i] - '0');
    }
    if (value.len == 0 || number < least)
        return nx_fail(err, NX_EQUERY, "a whole number from %u is missing", (unsigned)least);
    *out = number;
    return NX_OK;
}

static enum nx_code take_skip(struct find_query *query, struct nx_slice value, struct nx_err *err)
{
    return take_number(value, 0, &query->skip, err);
}

static enum nx_code take_limit(struct find_query *query, struct nx_slice value, struct nx_err *err)
{
    return take_number(value, 1, &query->limit, err);
}

static const struct modifier {
    const char *name;
    enum nx_code (*take)(struct find_query *query, struct nx_slice value, struct nx_err *err);
} modifiers[] = {
    {"@fields", take_fields}, {"@json", take_filter}, {"@limit", take_limit},
    {"@skip", take_skip},     {"@sort", take_sort},
};

static enum nx_code add_modifier(struct find_query *query, const struct parts *parts,
                                 struct nx_err *err)
{
    if (parts->op == &ops[0])
        for (size_t i = 0; i < sizeof modifiers / sizeof modifiers[0]; i++)
            if (nx_slice_equal(parts->field, nx_slice_str(modifiers[i].name)))
                return modifiers[i].take(query, parts->value, err);
    return nx_fail(err, NX_EQUERY, "@sort=, @skip=, @limit=, @fields= and @json= begin with @");
}

/* --- the whole -------------------------------------------------------------------------------- */

enum nx_code find_text_add(struct find_query *query, const char *component, struct nx_err *err)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct parts parts;
    enum nx_code rc = decode(component, &text, err);

    if (rc != NX_OK)
        return rc;
    if (!split(nx_buf_slice(&text), &parts))
        return nx_fail(err, NX_EQUERY, "no operator");
    rc = parts.is_modifier ? add_modifier(query, &parts, err) : add_predicate(query, &parts, err);
    if (rc == NX_OK &&
        query->filters.len + query->sort.len + query->projection.len > FIND_QUERY_MAX)
        return nx_fail(err, NX_EQUERY, "a query of more than %u bytes: use .query", FIND_QUERY_MAX);
    return rc;
}

static struct nx_slice first_document(struct nx_slice documents)
{
    const uint8_t *len = documents.data;

    return nx_slice(documents.data,
                    len[0] | (size_t)len[1] << 8 | (size_t)len[2] << 16 | (size_t)len[3] << 24);
}

enum nx_code find_text_filter(const struct find_query *query, struct nx_buf *out,
                              struct nx_err *err)
{
    struct nx_slice rest = nx_buf_slice(&query->filters), one;
    struct nx_builder builder;

    if (rest.len == 0)
        return NX_OK;
    one = first_document(rest);
    if (one.len == rest.len)
        return nx_buf_append(out, one.data, one.len) == NX_OK ? NX_OK : nx_fail_nomem(err);
    nx_builder_init(&builder, out);
    nx_builder_begin_array(&builder, "$and", 4);
    for (; rest.len > 0; rest = nx_slice(rest.data + one.len, rest.len - one.len)) {
        struct nx_value value;

        one = first_document(rest);
        value = nx_doc_value(one);
        nx_builder_push(&builder, &value);
    }
    nx_builder_close(&builder);
    return nx_builder_end(&builder, err);
}

static enum nx_code copy_buf(const struct nx_buf *from, struct nx_buf *out)
{
    return from->len > 0 ? nx_buf_append(out, from->data, from->len) : NX_OK;
}

enum nx_code find_text_copy(const struct find_query *from, struct find_query *out,
                            struct nx_err *err)
{
    *out = (struct find_query){.skip = from->skip, .limit = from->limit};
    if (copy_buf(&from->filters, &out->filters) == NX_OK &&
        copy_buf(&from->sort, &out->sort) == NX_OK &&
        copy_buf(&from->projection, &out->projection) == NX_OK)
        return NX_OK;
    find_text_fini(out);
    return nx_fail_nomem(err);
}

void find_text_fini(struct find_query *query)
{
    nx_buf_fini(&query->filters);
    nx_buf_fini(&query->sort);
    nx_buf_fini(&query->projection);
}

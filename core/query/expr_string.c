/*
 * expr_string.c - text: joining, cutting, searching, trimming, replacing, letter case.
 *
 * Positions are bytes or code points as the operator's name says. Letter case is ASCII's, as in the
 * contract. Results that are part of an operand borrow from it.
 */
#include "query/convert.h"
#include "query/expr_op.h"
#include "query/utf8_text.h"

static enum nx_code want_string(struct call *call, unsigned arg)
{
    if (call->args[arg].type == NX_TYPE_STRING)
        return NX_OK;
    return call_fail(call, "wants a string, not %s", nx_type_name(call->args[arg].type));
}

static enum nx_code want_strings(struct call *call, unsigned count)
{
    enum nx_code rc = NX_OK;

    for (unsigned i = 0; rc == NX_OK && i < count; i++)
        rc = want_string(call, i);
    return rc;
}

static enum nx_code room(struct call *call, size_t len, uint8_t **out)
{
    if (len > NX_DOC_MAX_BYTES)
        return call_fail(call, "would make a string of %zu bytes, over the limit of %u", len,
                         NX_DOC_MAX_BYTES);
    *out = arena_alloc(call->env->arena, len + 1);
    if (!*out)
        return nx_fail_nomem(call->err);
    (*out)[len] = 0;
    return NX_OK;
}

/* A part of a string that does not reach its end has no NUL behind it: copy it. */
static enum nx_code part(struct call *call, const uint8_t *from, size_t len, struct nx_value *out)
{
    return value_text(call->env->arena, from, len, out, call->err);
}

static enum nx_code call_concat(struct call *call, struct nx_value *out)
{
    size_t len = 0;
    uint8_t *text;
    enum nx_code rc = want_strings(call, call->count);

    for (unsigned i = 0; rc == NX_OK && i < call->count; i++)
        len += call->args[i].len;
    if (rc == NX_OK)
        rc = room(call, len, &text);
    if (rc != NX_OK)
        return rc;
    *out = nx_string(text, len);
    for (unsigned i = 0; i < call->count; i++) {
        memcpy(text, call->args[i].data, call->args[i].len);
        text += call->args[i].len;
    }
    return NX_OK;
}

/* --- letter case ------------------------------------------------------------------------------ */

/* As a string; null and missing as "". */
static enum nx_code coerce(struct call *call, unsigned arg, struct nx_value *out)
{
    const struct nx_value *value = &call->args[arg];

    *out = nx_string("", 0);
    if (nx_is_nullish(value))
        return NX_OK;
    if (value->type != NX_TYPE_STRING && value->type != NX_TYPE_DATE && !nx_is_number(value))
        return call_fail(call, "wants a string, a number or a date, not %s",
                         nx_type_name(value->type));
    return convert_to_string(call->env->arena, value, out, call->err);
}

static uint8_t to_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

static uint8_t to_upper(uint8_t c)
{
    return c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c;
}

static enum nx_code recase(struct call *call, uint8_t (*fn)(uint8_t), struct nx_value *out)
{
    struct nx_value text;
    uint8_t *copy;
    enum nx_code rc = coerce(call, 0, &text);

    if (rc == NX_OK)
        rc = room(call, text.len, &copy);
    if (rc != NX_OK)
        return rc;
    for (size_t i = 0; i < text.len; i++)
        copy[i] = fn(text.data[i]);
    *out = nx_string(copy, text.len);
    return NX_OK;
}

static enum nx_code call_lower(struct call *call, struct nx_value *out)
{
    return recase(call, to_lower, out);
}

static enum nx_code call_upper(struct call *call, struct nx_value *out)
{
    return recase(call, to_upper, out);
}

static enum nx_code call_strcasecmp(struct call *call, struct nx_value *out)
{
    struct nx_value a, b;
    enum nx_code rc = coerce(call, 0, &a);
    int sign = 0;

    if (rc == NX_OK)
        rc = coerce(call, 1, &b);
    if (rc != NX_OK)
        return rc;
    for (size_t i = 0; sign == 0 && i < a.len && i < b.len; i++)
        sign = (int)to_upper(a.data[i]) - (int)to_upper(b.data[i]);
    if (sign == 0)
        sign = (a.len > b.len) - (a.len < b.len);
    *out = nx_int32((sign > 0) - (sign < 0));
    return NX_OK;
}

/* --- length and parts ------------------------------------------------------------------------- */

static enum nx_code call_len_bytes(struct call *call, struct nx_value *out)
{
    enum nx_code rc = want_string(call, 0);

    *out = nx_int(call->args[0].len);
    return rc;
}

static enum nx_code call_len_points(struct call *call, struct nx_value *out)
{
    enum nx_code rc = want_string(call, 0);

    if (rc == NX_OK)
        *out = nx_int((int64_t)utf8_count(call->args[0].data, call->args[0].len));
    return rc;
}

static enum nx_code call_substr_bytes(struct call *call, struct nx_value *out)
{
    struct nx_value text;
    double from = nx_value_to_double(&call->args[1]), count = nx_value_to_double(&call->args[2]);
    enum nx_code rc = coerce(call, 0, &text);
    size_t start, end;

    if (rc != NX_OK)
        return rc;
    if (!nx_is_number(&call->args[1]) || !nx_is_number(&call->args[2]))
        return call_fail(call, "wants a start and a length as numbers");
    if (!(from >= 0))
        return call_fail(call, "wants a start that is not negative, not %g", from);
    start = from < text.len ? (size_t)from : text.len;
    end = count < 0 || !(count < (double)(text.len - start)) ? text.len : start + (size_t)count;
    if ((start < text.len && !utf8_is_start(text.data[start])) ||
        (end < text.len && !utf8_is_start(text.data[end])))
        return call_fail(call, "would cut a character in two at byte %zu or %zu", start, end);
    return part(call, text.data + start, end - start, out);
}

static enum nx_code call_substr_points(struct call *call, struct nx_value *out)
{
    struct nx_value text;
    int32_t from, count;
    size_t start, len;
    enum nx_code rc = coerce(call, 0, &text);

    if (rc == NX_OK)
        rc = call_int32(call, 1, "its start", &from);
    if (rc == NX_OK)
        rc = call_int32(call, 2, "its length", &count);
    if (rc != NX_OK)
        return rc;
    if (from < 0 || count < 0)
        return call_fail(call, "wants a start and a length that are not negative");
    start = utf8_offset(text.data, text.len, (size_t)from);
    len = utf8_offset(text.data + start, text.len - start, (size_t)count);
    return part(call, text.data + start, len, out);
}

static const uint8_t *find(const uint8_t *at, size_t len, const struct nx_value *what)
{
    return what->len == 0 ? at : memmem(at, len, what->data, what->len);
}

static enum nx_code call_split(struct call *call, struct nx_value *out)
{
    const struct nx_value *text = &call->args[0], *by = &call->args[1];
    const uint8_t *at = text->data, *end = at + text->len;
    struct value_list items = {0};
    enum nx_code rc = want_strings(call, 2);

    if (rc != NX_OK)
        return rc;
    if (by->len == 0)
        return call_fail(call, "wants a separator that is not empty");
    for (bool last = false; rc == NX_OK && !last;) {
        const uint8_t *hit = find(at, (size_t)(end - at), by);
        struct nx_value item;

        last = hit == NULL;
        rc = part(call, at, (size_t)((last ? end : hit) - at), &item);
        if (rc == NX_OK)
            rc = value_list_push(&items, call->env->arena, &item, call->err);
        at = last ? end : hit + by->len;
    }
    return rc == NX_OK ? value_array(call->env->arena, &items, out, call->err) : rc;
}

/* --- searching -------------------------------------------------------------------------------- */

static enum nx_code optional_index(struct call *call, unsigned arg, int32_t fallback, int32_t *out)
{
    enum nx_code rc;

    *out = fallback;
    if (arg >= call->count)
        return NX_OK;
    rc = call_int32(call, arg, "an index", out);
    if (rc == NX_OK && *out < 0)
        return call_fail(call, "wants an index that is not negative, not %d", *out);
    return rc;
}

static enum nx_code index_of(struct call *call, bool points, struct nx_value *out)
{
    const struct nx_value *text = &call->args[0], *what = &call->args[1];
    const uint8_t *hit;
    int32_t from, to;
    size_t start, end;
    enum nx_code rc;

    *out = NX_NULL;
    if (nx_is_nullish(text))
        return NX_OK;
    rc = want_strings(call, 2);
    if (rc == NX_OK)
        rc = optional_index(call, 2, 0, &from);
    if (rc == NX_OK)
        rc = optional_index(call, 3, INT32_MAX, &to);
    if (rc != NX_OK)
        return rc;
    *out = nx_int32(-1);
    start = points ? utf8_offset(text->data, text->len, (size_t)from) : (size_t)from;
    end = points ? utf8_offset(text->data, text->len, (size_t)to) : (size_t)to;
    if (end > text->len)
        end = text->len;
    if (start > end || (points && (size_t)from > utf8_count(text->data, text->len)))
        return NX_OK;
    hit = find(text->data + start, end - start, what);
    if (hit)
        *out = nx_int((int64_t)(points ? utf8_count(text->data, (size_t)(hit - text->data))
                                       : (size_t)(hit - text->data)));
    return NX_OK;
}

static enum nx_code call_index_bytes(struct call *call, struct nx_value *out)
{
    return index_of(call, false, out);
}

static enum nx_code call_index_points(struct call *call, struct nx_value *out)
{
    return index_of(call, true, out);
}

/* --- trimming --------------------------------------------------------------------------------- */

/* What is trimmed when no characters are given, as the contract lists it. */
static const char *const blanks[] = {
    "\t",           "\n",           "\v",           "\f",           "\r",           " ",
    "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82", "\xe2\x80\x83",
    "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89",
    "\xe2\x80\x8a",
};

static bool is_blank(const uint8_t *at, size_t len)
{
    if (len == 1 && *at == 0)
        return true;
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++)
        if (strlen(blanks[i]) == len && memcmp(blanks[i], at, len) == 0)
            return true;
    return false;
}

static bool is_listed(const struct nx_value *chars, const uint8_t *at, size_t len)
{
    const uint8_t *end = chars->data + chars->len;

    for (const uint8_t *c = chars->data; c < end; c += utf8_step(c, end))
        if (utf8_step(c, end) == len && memcmp(c, at, len) == 0)
            return true;
    return false;
}

static bool trims(const struct call *call, const uint8_t *at, size_t len)
{
    return call->args[1].type == NX_TYPE_STRING ? is_listed(&call->args[1], at, len)
                                                : is_blank(at, len);
}

static enum nx_code trim(struct call *call, bool left, bool right, struct nx_value *out)
{
    const uint8_t *at = call->args[0].data, *end = at + call->args[0].len;
    enum nx_code rc = want_string(call, 0);

    if (rc == NX_OK && call->args[1].type != NX_TYPE_MISSING)
        rc = want_string(call, 1);
    if (rc != NX_OK)
        return rc;
    while (left && at < end && trims(call, at, utf8_step(at, end)))
        at += utf8_step(at, end);
    while (right && at < end) {
        const uint8_t *last = end - 1;

        while (last > at && !utf8_is_start(*last))
            last--;
        if (!trims(call, last, (size_t)(end - last)))
            break;
        end = last;
    }
    return part(call, at, (size_t)(end - at), out);
}

static enum nx_code call_trim(struct call *call, struct nx_value *out)
{
    return trim(call, true, true, out);
}

static enum nx_code call_ltrim(struct call *call, struct nx_value *out)
{
    return trim(call, true, false, out);
}

static enum nx_code call_rtrim(struct call *call, struct nx_value *out)
{
    return trim(call, false, true, out);
}

/* --- replacing -------------------------------------------------------------------------------- */

static enum nx_code append(struct call *call, struct nx_buf *text, const void *data, size_t len)
{
    if (text->len + len > NX_DOC_MAX_BYTES)
        return call_fail(call, "would make a string over the limit of %u bytes", NX_DOC_MAX_BYTES);
    return nx_buf_append(text, data, len) == NX_OK ? NX_OK : nx_fail_nomem(call->err);
}

static enum nx_code replace(struct call *call, bool all, struct nx_value *out)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    const struct nx_value *what = &call->args[1], *with = &call->args[2];
    const uint8_t *at, *end, *hit;
    bool more = true;
    enum nx_code rc = NX_OK;

    for (unsigned i = 0; i < 3; i++)
        if (!nx_is_nullish(&call->args[i]))
            rc = rc == NX_OK ? want_string(call, i) : rc;
    *out = NX_NULL;
    for (unsigned i = 0; rc == NX_OK && i < 3; i++)
        if (nx_is_nullish(&call->args[i]))
            return NX_OK;
    if (rc != NX_OK)
        return rc;
    at = call->args[0].data; /* a string only from here on */
    end = at + call->args[0].len;
    while (rc == NX_OK && more && (hit = find(at, (size_t)(end - at), what)) != NULL) {
        size_t skip = what->len;

        if (skip == 0) /* an empty text is found before every character, and at the end */
            skip = hit < end ? utf8_step(hit, end) : 0;
        rc = append(call, &text, at, (size_t)(hit - at));
        if (rc == NX_OK)
            rc = append(call, &text, with->data, with->len);
        if (rc == NX_OK && what->len == 0)
            rc = append(call, &text, hit, skip);
        more = all && (what->len || hit < end);
        at = hit + skip;
    }
    if (rc == NX_OK)
        rc = append(call, &text, at, (size_t)(end - at));
    return rc == NX_OK ? value_text(call->env->arena, text.data, text.len, out, call->err) : rc;
}

static enum nx_code call_replace_one(struct call *call, struct nx_value *out)
{
    return replace(call, false, out);
}

static enum nx_code call_replace_all(struct call *call, struct nx_value *out)
{
    return replace(call, true, out);
}

static const struct expr_op table[] = {
    {"$concat", 0, EXPR_ANY, NULL, EXPR_NULLS, call_concat, NULL, NULL, "strings joined"},
    {"$indexOfBytes", 2, 4, NULL, 0, call_index_bytes, NULL, NULL, "where a string is, in bytes"},
    {"$indexOfCP", 2, 4, NULL, 0, call_index_points, NULL, NULL,
     "where a string is, in characters"},
    {"$ltrim", 1, 2, "input! chars", EXPR_NULLS, call_ltrim, NULL, NULL, "trimmed at its start"},
    {"$replaceAll", 3, 3, "input! find! replacement!", 0, call_replace_all, NULL, NULL,
     "every occurrence replaced"},
    {"$replaceOne", 3, 3, "input! find! replacement!", 0, call_replace_one, NULL, NULL,
     "the first occurrence replaced"},
    {"$rtrim", 1, 2, "input! chars", EXPR_NULLS, call_rtrim, NULL, NULL, "trimmed at its end"},
    {"$split", 2, 2, NULL, EXPR_NULLS, call_split, NULL, NULL, "the parts between separators"},
    {"$strLenBytes", 1, 1, NULL, 0, call_len_bytes, NULL, NULL, "the length in bytes"},
    {"$strLenCP", 1, 1, NULL, 0, call_len_points, NULL, NULL, "the length in characters"},
    {"$strcasecmp", 2, 2, NULL, 0, call_strcasecmp, NULL, NULL,
     "-1, 0 or 1, without regard to letter case"},
    {"$substr", 3, 3, NULL, 0, call_substr_bytes, NULL, NULL, "a part by bytes: $substrBytes"},
    {"$substrBytes", 3, 3, NULL, 0, call_substr_bytes, NULL, NULL, "a part by bytes"},
    {"$substrCP", 3, 3, NULL, 0, call_substr_points, NULL, NULL, "a part by characters"},
    {"$toLower", 1, 1, NULL, 0, call_lower, NULL, NULL, "in small letters"},
    {"$toUpper", 1, 1, NULL, 0, call_upper, NULL, NULL, "in capital letters"},
    {"$trim", 1, 2, "input! chars", EXPR_NULLS, call_trim, NULL, NULL, "trimmed at both ends"},
};
const struct expr_family expr_string = EXPR_FAMILY(table);

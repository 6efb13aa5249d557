/*
 * regex.c - PCRE2 behind regex.h.
 *
 * A match needs scratch memory. Each pattern keeps one piece, which a match borrows by an atomic
 * exchange; a second thread that matches the same pattern at that moment makes a piece of its own.
 * So the usual match allocates nothing, and no match waits for another.
 *
 * PCRE2_MATCH_INVALID_UTF lets text that is not UTF-8 simply not match, without a check of the
 * whole subject before every match.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "query/regex.h"

#include <pcre2.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct regex {
    pcre2_code *code;
    pcre2_match_context *limits;
    _Atomic(pcre2_match_data *) scratch; /* NULL while a match has borrowed it */
    uint32_t groups;
};

static const struct {
    char letter;
    uint32_t flag;
} options_table[] = {
    {'i', PCRE2_CASELESS}, {'m', PCRE2_MULTILINE}, {'s', PCRE2_DOTALL}, {'u', 0},
    {'x', PCRE2_EXTENDED},
};

static enum nx_code parse_options(struct nx_slice options, uint32_t *flags, struct nx_err *err)
{
    *flags = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF;
    for (size_t i = 0; i < options.len; i++) {
        size_t row = 0;

        while (row < sizeof options_table / sizeof *options_table &&
               options_table[row].letter != (char)options.data[i])
            row++;
        if (row == sizeof options_table / sizeof *options_table)
            return nx_fail(
                err, NX_EQUERY, "regular expression option '%c' is not one of i, m, s, u, x",
                options.data[i] >= 0x20 && options.data[i] < 0x7f ? (char)options.data[i] : '?');
        *flags |= options_table[row].flag;
    }
    return NX_OK;
}

static enum nx_code compile(struct regex *regex, struct nx_slice pattern, uint32_t flags,
                            struct nx_err *err)
{
    int code = 0;
    PCRE2_SIZE offset = 0;
    PCRE2_UCHAR text[160];
    const void *bytes = pattern.len ? (const void *)pattern.data : "";

    regex->code = pcre2_compile(bytes, pattern.len, flags, &code, &offset, NULL);
    if (!regex->code) {
        pcre2_get_error_message(code, text, sizeof text);
        return nx_fail(err, NX_EQUERY, "regular expression is wrong at byte %zu: %s",
                       (size_t)offset, (const char *)text);
    }
    regex->limits = pcre2_match_context_create(NULL);
    regex->scratch = pcre2_match_data_create_from_pattern(regex->code, NULL);
    if (!regex->limits || !regex->scratch)
        return nx_fail_nomem(err);
    pcre2_set_match_limit(regex->limits, REGEX_MATCH_LIMIT);
    pcre2_set_heap_limit(regex->limits, 4096); /* KiB, where there is no JIT */
    pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &regex->groups);
    (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); /* else it is interpreted */
    return NX_OK;
}

enum nx_code regex_new(struct nx_slice pattern, struct nx_slice options, struct regex **out,
                       struct nx_err *err)
{
    struct regex *regex;
    uint32_t flags;
    enum nx_code rc;

    *out = NULL;
    rc = parse_options(options, &flags, err);
    if (rc != NX_OK)
        return rc;
    if (pattern.len > REGEX_MAX_PATTERN_BYTES)
        return nx_fail(err, NX_EQUERY, "regular expression of %zu bytes, the limit is %d",
                       pattern.len, REGEX_MAX_PATTERN_BYTES);
    if (pattern.len && memchr(pattern.data, 0, pattern.len))
        return nx_fail(err, NX_EQUERY, "regular expression holds a NUL");
    regex = calloc(1, sizeof *regex);
    if (!regex)
        return nx_fail_nomem(err);
    rc = compile(regex, pattern, flags, err);
    if (rc != NX_OK) {
        regex_free(regex);
        return rc;
    }
    *out = regex;
    return NX_OK;
}

void regex_value_parts(const struct nx_value *value, struct nx_slice *pattern,
                       struct nx_slice *options)
{
    *pattern = nx_slice_str((const char *)value->data);
    *options = nx_slice_str((const char *)value->data + pattern->len + 1);
}

enum nx_code regex_from_value(const struct nx_value *value, struct regex **out, struct nx_err *err)
{
    struct nx_slice pattern, options;

    regex_value_parts(value, &pattern, &options);
    return regex_new(pattern, options, out, err);
}

void regex_free(struct regex *regex)
{
    if (!regex)
        return;
    pcre2_match_data_free(regex->scratch);
    pcre2_match_context_free(regex->limits);
    pcre2_code_free(regex->code);
    free(regex);
}

unsigned regex_group_count(const struct regex *regex)
{
    return regex->groups;
}

static void copy_spans(pcre2_match_data *scratch, int set, struct regex_span *spans,
                       unsigned span_count)
{
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(scratch);

    for (unsigned i = 0; i < span_count; i++) {
        bool is_set = (int)i < set && ends[2 * i] != PCRE2_UNSET;

        spans[i].start = is_set ? ends[2 * i] : SIZE_MAX;
        spans[i].end = is_set ? ends[2 * i + 1] : SIZE_MAX;
    }
}

/* What PCRE2 answered, as ours. */
static enum nx_code judge(int matched, bool *found, struct nx_err *err)
{
    PCRE2_UCHAR text[160];

    *found = matched >= 0;
    if (matched >= 0 || matched == PCRE2_ERROR_NOMATCH)
        return NX_OK;
    if (matched == PCRE2_ERROR_NOMEMORY)
        return nx_fail_nomem(err);
    pcre2_get_error_message(matched, text, sizeof text);
    return nx_fail(err, NX_EQUERY, "regular expression gave up: %s (limit %d steps)",
                   (const char *)text, REGEX_MATCH_LIMIT);
}

enum nx_code regex_find(const struct regex *regex, struct nx_slice subject, size_t start,
                        struct regex_span *spans, unsigned span_count, bool *found,
                        struct nx_err *err)
{
    struct regex *self = (struct regex *)regex; /* only `scratch`, which is atomic, changes */
    const void *bytes = subject.len ? (const void *)subject.data : "";
    /* acquire/release: what the last borrower left in the scratch happened before our use of it */
    pcre2_match_data *scratch =
        atomic_exchange_explicit(&self->scratch, NULL, memory_order_acquire);
    pcre2_match_data *mine = NULL, *none = NULL;
    enum nx_code rc;
    int matched;

    *found = false;
    if (!scratch)
        scratch = mine = pcre2_match_data_create_from_pattern(regex->code, NULL);
    if (!scratch)
        return nx_fail_nomem(err);
    matched = pcre2_match(regex->code, bytes, subject.len, start, 0, scratch, regex->limits);
    rc = judge(matched, found, err);
    if (*found && span_count)
        copy_spans(scratch, matched, spans, span_count);
    /* a piece made here can become the kept one only when none is: the borrower returns its own */
    if (mine || !atomic_compare_exchange_strong_explicit(
                    &self->scratch, &none, scratch, memory_order_release, memory_order_relaxed))
        pcre2_match_data_free(scratch);
    return rc;
}

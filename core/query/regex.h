/*
 * regex.h - compiled regular expressions: filters, JSON schemas and the $regex expressions.
 *
 * PCRE2 with UTF-8, JIT where the machine has it, and a limit on how much one match may try.
 *
 * Threads: immutable after regex_new; any number of threads may match at once.
 */
#ifndef QUERY_REGEX_H
#define QUERY_REGEX_H

#include <stdbool.h>

#include <nexadb/value.h>

#define REGEX_MATCH_LIMIT 100000
#define REGEX_MAX_PATTERN_BYTES 32764

struct regex;

/* Bytes [start, end) of the subject; start is SIZE_MAX for a group that took no part. */
struct regex_span {
    size_t start, end;
};

/* Options are letters of "imsxu". NX_EQUERY with the offset at which the pattern is wrong. */
enum nx_code regex_new(struct nx_slice pattern, struct nx_slice options, struct regex **out,
                       struct nx_err *err);
/* From a value of type NX_TYPE_REGEX. */
enum nx_code regex_from_value(const struct nx_value *value, struct regex **out, struct nx_err *err);
void regex_free(struct regex *regex);
/* The two texts of a value of type NX_TYPE_REGEX. */
void regex_value_parts(const struct nx_value *value, struct nx_slice *pattern,
                       struct nx_slice *options);
unsigned regex_group_count(const struct regex *regex);
/*
 * Search `subject` from `start`. *found says whether it matches; then the first `span_count` of the
 * whole match and its groups are in `spans` (NULL, 0: not wanted). NX_EQUERY past the match limit.
 */
enum nx_code regex_find(const struct regex *regex, struct nx_slice subject, size_t start,
                        struct regex_span *spans, unsigned span_count, bool *found,
                        struct nx_err *err);

#endif

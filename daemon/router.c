/*
 * router.c - matching a path against the rows of routes.
 *
 * The first row whose pattern fits decides which pattern the path is; the rows of that pattern are
 * its methods. So a reserved word never falls through to "{id}": a wrong method on it is 405.
 */
#include "daemon/router.h"

#include <stdio.h>
#include <string.h>

const char *const method_names[METHOD_COUNT] = {"GET",   "HEAD",   "POST",   "PUT",
                                                "PATCH", "DELETE", "OPTIONS"};

enum method method_from_name(const char *name)
{
    enum method method = 0;

    while (method < METHOD_COUNT && strcmp(method_names[method], name) != 0)
        method++;
    return method;
}

static bool matches(const char *pattern, const struct url *url, struct url_text param[2])
{
    size_t at = 0, params = 0;

    for (; *pattern == '/' && pattern[1]; at++) {
        size_t len = strcspn(++pattern, "/");

        if (at == url->segments)
            return false;
        if (*pattern == '{')
            param[params++] = url->segment[at];
        else if (url->segment[at].len != len || memcmp(url->segment[at].text, pattern, len) != 0)
            return false;
        pattern += len;
    }
    return at == url->segments;
}

void router_match(const struct route_table *table, enum method method, const struct url *url,
                  struct route_match *out)
{
    enum method wanted = method == METHOD_HEAD ? METHOD_GET : method;
    const char *pattern = NULL;

    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < table->count; i++) {
        const struct route *row = &table->rows[i];

        if (!pattern && matches(row->pattern, url, out->param))
            pattern = row->pattern;
        if (!pattern || strcmp(row->pattern, pattern) != 0)
            continue;
        out->allowed |= 1u << row->method;
        if (row->method == wanted)
            out->route = row;
    }
    if (out->allowed & 1u << METHOD_GET)
        out->allowed |= 1u << METHOD_HEAD;
    if (out->allowed)
        out->allowed |= 1u << METHOD_OPTIONS;
}

void router_allow(unsigned allowed, char *out, size_t size)
{
    size_t n = 0;

    *out = '\0';
    for (enum method method = 0; method < METHOD_COUNT && n < size; method++)
        if (allowed & 1u << method)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : "", method_names[method]);
}

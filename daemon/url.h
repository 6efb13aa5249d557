/*
 * url.h - a request target taken apart: path segments and query parameters.
 *
 * The raw path is split at '/' first and each segment decoded after, so that "a%2Fb" is one
 * segment. Hostile input: every text is checked (percent forms, NUL, UTF-8 is left to those who use
 * it).
 */
#ifndef DAEMON_URL_H
#define DAEMON_URL_H

#include <stdbool.h>
#include <stddef.h>

#include <nexadb/error.h>

enum { URL_MAX_SEGMENTS = 8, URL_MAX_PARAMS = 32, URL_MAX_BYTES = 8192 };

struct url_text {
    const char *text; /* decoded, NUL-terminated, owned by the url */
    size_t len;
};
struct url_param {
    struct url_text name, value;
};
struct url {
    struct url_text segment[URL_MAX_SEGMENTS];
    size_t segments;
    struct url_param param[URL_MAX_PARAMS];
    size_t params;
    char *store; /* owned: what the texts point into */
};

/* `target` as it stands in the request line: "/a/b?c=d", or with "http://host" before it.
 * NX_EINVAL, NX_ENOMEM; `url` is then empty. */
enum nx_code url_parse(const char *target, struct url *url, struct nx_err *err);
void url_fini(struct url *url);
/* NULL when there is no such parameter. */
const struct url_text *url_param(const struct url *url, const char *name);

#endif

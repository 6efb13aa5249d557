/*
 * url.c - splitting and decoding a request target.
 *
 * Decoding only shortens a text, so one copy of the target holds every part in place.
 */
#include "daemon/url.h"

#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decode [text, text + len) in place. `plus` makes '+' a space, as in a form's query. */
static enum nx_code decode(char *text, size_t len, bool plus, struct url_text *out,
                           struct nx_err *err)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        int high, low;

        if (text[i] != '%') {
            text[n++] = plus && text[i] == '+' ? ' ' : text[i];
            continue;
        }
        high = i + 1 < len ? hex_digit(text[i + 1]) : -1;
        low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0)
            return nx_fail(err, NX_EINVAL, "the URL has a '%%' that two hex digits do not follow");
        if (high == 0 && low == 0)
            return nx_fail(err, NX_EINVAL, "the URL has an encoded NUL (%%00)");
        text[n++] = (char)(high << 4 | low);
        i += 2;
    }
    text[n] = '\0';
    *out = (struct url_text){text, n};
    return NX_OK;
}

static enum nx_code split_path(struct url *url, char *path, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    while (path && rc == NX_OK) {
        char *slash = strchr(path, '/');
        size_t len = slash ? (size_t)(slash - path) : strlen(path);

        if (!slash && !len)
            break; /* one slash at the end says nothing */
        if (url->segments == URL_MAX_SEGMENTS)
            return nx_fail(err, NX_EINVAL,
                           "the URL's path has over %d parts; a '/' in a name is written %%2F",
                           URL_MAX_SEGMENTS);
        rc = decode(path, len, false, &url->segment[url->segments++], err);
        path = slash ? slash + 1 : NULL;
    }
    return rc;
}

static enum nx_code split_query(struct url *url, char *query, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    while (query && *query && rc == NX_OK) {
        char *next = strchr(query, '&');
        size_t len = next ? (size_t)(next - query) : strlen(query);
        char *equals = memchr(query, '=', len);
        size_t name_len = equals ? (size_t)(equals - query) : len;
        struct url_param *param = &url->param[url->params];

        if (url->params == URL_MAX_PARAMS)
            return nx_fail(err, NX_EINVAL, "the URL has over %d parameters", URL_MAX_PARAMS);
        /* the value first: decoding the name puts a NUL where '=' stood, at most */
        param->value = (struct url_text){"", 0};
        if (equals)
            rc = decode(equals + 1, len - name_len - 1, true, &param->value, err);
        if (rc == NX_OK)
            rc = decode(query, name_len, true, &param->name, err);
        url->params++;
        query = next ? next + 1 : NULL;
    }
    return rc;
}

/* "http://host:1/path" is allowed in a request line: what names the server is passed over. */
static const char *skip_authority(const char *target)
{
    const char *host;

    if (strncmp(target, "http://", 7) && strncmp(target, "https://", 8))
        return target;
    host = strstr(target, "//") + 2;
    return host + strcspn(host, "/?");
}

enum nx_code url_parse(const char *target, struct url *url, struct nx_err *err)
{
    enum nx_code rc;
    char *query;

    memset(url, 0, sizeof *url);
    target = skip_authority(target);
    if (*target == '/')
        target++;
    url->store = strdup(target);
    if (!url->store)
        return nx_fail_nomem(err);
    query = strchr(url->store, '?');
    if (query)
        *query++ = '\0';
    rc = split_path(url, url->store, err);
    if (rc == NX_OK)
        rc = split_query(url, query, err);
    if (rc != NX_OK)
        url_fini(url);
    return rc;
}

void url_fini(struct url *url)
{
    free(url->store);
    memset(url, 0, sizeof *url);
}

const struct url_text *url_param(const struct url *url, const char *name)
{
    for (size_t i = 0; i < url->params; i++)
        if (!strcmp(url->param[i].name.text, name))
            return &url->param[i].value;
    return NULL;
}

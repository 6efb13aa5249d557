/*
 * router.h - which handler answers a request: rows of method, pattern, role, body and summary.
 *
 * Patterns are literal segments and "{name}". An earlier row wins over a later one, so reserved
 * words stand before "{id}". The same rows make /openapi.json and the tests.
 */
#ifndef DAEMON_ROUTER_H
#define DAEMON_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include <nexadb/error.h>

#include "daemon/auth.h"
#include "daemon/url.h"

struct request;

enum method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_COUNT /* one that is not known */
};
extern const char *const method_names[METHOD_COUNT];
enum method method_from_name(const char *name);

/* What a member of a body, or a parameter of a URL, may be. */
enum field_kind {
    FIELD_OBJECT = 1,
    FIELD_ARRAY = 2,
    FIELD_COUNT = 4, /* a whole number from 0 */
    FIELD_BOOL = 8,
    FIELD_TEXT = 16,
    FIELD_ANY = 32,
    FIELD_REQUIRED = 64,
};
struct field {
    const char *name;
    unsigned kind; /* enum field_kind bits */
    const char *help;
};

/* Fill in the request's response, or fail: the error becomes the response. */
typedef enum nx_code (*route_fn)(struct request *req, struct nx_err *err);

enum route_flag {
    ROUTE_INLINE = 1, /* touches nothing that can wait: answered by the HTTP loop */
    ROUTE_STREAM = 2, /* the body is handed to `feed` in pieces as it comes */
    ROUTE_PARAMS = 4, /* `fields` are URL parameters, not members of a body */
    ROUTE_RAW = 8,    /* the body is not an object of `fields` */
};
struct route {
    enum method method;
    const char *pattern;
    route_fn run;
    enum role role; /* that a key needs; ROLE_NONE: no key */
    unsigned flags;
    const char *summary;
    const struct field *fields;
    size_t field_count;
    route_fn feed;
};

struct route_table {
    const struct route *rows;
    size_t count;
};

struct route_match {
    const struct route *route; /* NULL: no such path, or not with this method */
    unsigned allowed;          /* bit per method that the path has; 0: no such path */
    struct url_text param[2];  /* what stands for the pattern's names, in order */
};
void router_match(const struct route_table *table, enum method method, const struct url *url,
                  struct route_match *out);
/* "GET, HEAD, POST" of a mask, into `out`. */
void router_allow(unsigned allowed, char *out, size_t size);

#endif

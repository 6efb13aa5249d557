/*
 * request.h - one request on its way through the daemon.
 *
 * The HTTP backend makes it from the head, feeds it the body, runs it, and sends its response once
 * the last hold is released. A commit holds it until the engine acknowledges: no thread waits for
 * the disk.
 *
 * Threads: one at a time, handed on by the backend; `canceled` is set from any.
 */
#ifndef DAEMON_REQUEST_H
#define DAEMON_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>

#include <nexadb/db.h>
#include <nexadb/query.h>

#include "daemon/json_out.h"
#include "daemon/response.h"
#include "daemon/router.h"

struct service;

enum header {
    HEADER_API_KEY,
    HEADER_AUTHORIZATION,
    HEADER_CONTENT_TYPE,
    HEADER_CONTENT_LENGTH,
    HEADER_ACCEPT,
    HEADER_IF_MATCH,
    HEADER_IF_NONE_MATCH,
    HEADER_ORIGIN,
    HEADER_EXPECT,
    HEADER_LAST_EVENT_ID,
    HEADER_COUNT
};
extern const char *const header_names[HEADER_COUNT];

enum { REQUEST_MAX_FIELDS = 16 };

struct request {
    struct service *service; /* outlives us */
    enum method method;
    struct url url;
    const char *header[HEADER_COUNT]; /* borrowed from the connection; NULL: absent */
    struct route_match match;
    struct identity who;
    bool trusted;

    struct nx_buf body;   /* as received; of a stream: what is not yet consumed */
    bool body_complete;   /* nothing follows what is in `body` */
    struct nx_buf fields; /* BSON of the body or of the URL parameters */
    struct nx_value field[REQUEST_MAX_FIELDS]; /* as the route lists them; MISSING: not given */
    void *feed_state;                          /* a stream's own */
    void (*feed_close)(void *state);

    struct nx_limits limits;
    atomic_bool canceled;
    atomic_bool committed; /* relaxed: set before the last release, read after it */
    atomic_int holds;      /* the release to 0 publishes the response to the sender */
    atomic_flag late;      /* guards the first failure of an acknowledgement */
    struct nx_err late_err;
    bool has_late_err;
    struct response response;

    void (*finished)(void *arg); /* the backend's: send the response */
    void *finished_arg;
};

void request_init(struct request *req, struct service *service);
void request_fini(struct request *req);
/* Route, authorise and check what the head tells. A refusal is in the response. */
void request_begin(struct request *req, const char *target, const char *method);
/* Run the handler and release the first hold: `finished` is called when all is done. */
void request_run(struct request *req);
/* A piece of a streamed body is in `body`: let the route consume it. */
void request_feed(struct request *req);
static inline bool request_is_answered(const struct request *req)
{
    return req->response.status != 0;
}

/* --- for handlers ----------------------------------------------------------------------------- */

/* The path of the collection that the URL names. */
static inline struct nx_slice request_collection(const struct request *req)
{
    return nx_slice(req->match.param[0].text, req->match.param[0].len);
}
/* NX_EACCES unless the key has `role` and covers `path`. */
enum nx_code request_may(const struct request *req, enum role role, struct nx_slice path,
                         struct nx_err *err);
/* The collection's number; 0 in *ino when there is none, unless `must`: then NX_ENOTFOUND. */
enum nx_code request_find_collection(struct request *req, struct nx_slice path, bool must,
                                     nx_ino *ino, struct nx_err *err);
enum nx_code request_make_collection(struct request *req, struct nx_slice path, nx_ino *ino,
                                     struct nx_err *err);
/* Read the body (or the URL's parameters) into `field` by the route's rows. */
enum nx_code request_read_fields(struct request *req, struct nx_err *err);
/* The same from any document. */
enum nx_code request_take_fields(struct request *req, struct nx_slice doc, struct nx_err *err);
static inline bool request_has(const struct request *req, unsigned field)
{
    return req->field[field].type != NX_TYPE_MISSING;
}
struct nx_slice request_doc(const struct request *req, unsigned field); /* empty slice: not given */
uint64_t request_number(const struct request *req, unsigned field, uint64_t fallback);
bool request_bool(const struct request *req, unsigned field);
/* A URL parameter that is true, "1" or empty. */
bool request_param_is_set(const struct request *req, const char *name);
/* Fills req->limits; `max_time_ms` 0: the configuration's. */
const struct nx_limits *request_limits(struct request *req, uint64_t max_time_ms);
bool request_wants_lines(const struct request *req); /* Accept: application/x-ndjson */

/*
 * Around one call that commits: the change to hand to it, and what it returned. The answer then
 * waits for the acknowledgement, and for the mount to show the change.
 */
struct nx_change request_change(struct request *req);
enum nx_code request_changed(struct request *req, enum nx_code rc);
/* A change that waits on this thread, for the steps before the last: not durable by itself. */
struct nx_change request_step(struct request *req);
/* After steps: the answer waits until all of them are as durable as the request asks. */
void request_sync(struct request *req);

/* Begin `{"status":"success"` in the response, and end it with the status. */
void request_answer(struct request *req, struct json_out *out);
enum nx_code request_answered(struct request *req, struct json_out *out, unsigned status,
                              struct nx_err *err);

#endif

/*
 * routes_feed.c - the change feed as server-sent events.
 *
 * A stream without an end: while there is nothing to tell, no thread has it. It is asked for a sign
 * of life by the HTTP backend, and then sends a comment with the token that it has come to, so that
 * a client of a quiet collection does not fall behind what is kept.
 */
#include <stdlib.h>

#include <nexadb/feed.h>

#include "daemon/routes.h"
#include "daemon/service.h"

enum { CHANGES_SINCE, CHANGES_FULL };
const struct field changes_fields[CHANGES_FIELDS] = {
    {"since", FIELD_TEXT, "the token to go on after; 0: the oldest that is kept; default: now"},
    {"fullDocument", FIELD_BOOL, "false: without the documents"},
};

enum { PIECE_BYTES = 32 << 10, EVENTS_A_PIECE = 1000 };
#define QUIET_NS 14000000000ull

struct changes {
    struct request *req;  /* outlives us */
    struct nx_feed *feed; /* owned */
    struct nx_feed_waiter waiter;
    nx_ino collection; /* 0: all */
    bool full, began, ended;
    uint64_t said_ns;
};

static uint64_t now_ns(const struct changes *changes)
{
    struct nx_io *io = nx_db_io(changes->req->service->db);

    return io->ops->monotonic_ns(io);
}

static bool covers(const struct changes *changes, const char *path)
{
    return identity_covers(&changes->req->who, path, strlen(path));
}

/* What a key with a prefix sees of it: a rename over the border is a coming or a going. */
static bool may_see(const struct changes *changes, struct nx_feed_change *change)
{
    bool from = covers(changes, change->path), to = change->to && covers(changes, change->to);

    if (!change->to || from == to)
        return from;
    change->op = to ? NX_FEED_CREATE : NX_FEED_DROP;
    change->path = to ? change->to : change->path;
    change->to = NULL;
    return true;
}

/* As it is now; gone since: empty. */
static struct nx_slice look_up(const struct changes *changes, const struct nx_feed_change *change,
                               struct nx_buf *buf)
{
    struct nx_document document;

    if (!changes->full || change->op > NX_FEED_UPDATE ||
        nx_document_get(changes->req->service->db, NULL, change->collection, &change->id, buf,
                        &document, NULL) != NX_OK)
        return NX_SLICE_NULL;
    return document.bson;
}

static enum nx_code put_token(struct changes *changes, const char *comment, struct nx_buf *out)
{
    char token[NX_FEED_TOKEN_BYTES];

    nx_feed_token(changes->feed, token);
    changes->said_ns = now_ns(changes);
    return nx_buf_printf(out, ": %s\nid: %s\n\n", comment, token);
}

static enum nx_code put_event(struct changes *changes, const struct nx_feed_change *change,
                              struct nx_buf *out, struct nx_err *err)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    char token[NX_FEED_TOKEN_BYTES];
    enum nx_code rc;

    nx_feed_token(changes->feed, token);
    rc = nx_buf_printf(out, "id: %s\ndata: ", token);
    if (rc == NX_OK)
        rc = nx_feed_write(changes->feed, change, look_up(changes, change, &buf), out, err);
    if (rc == NX_OK)
        rc = nx_buf_append_str(out, "\n\n");
    changes->said_ns = now_ns(changes);
    return rc;
}

/* The client is told and must not come back with the same token. */
static enum nx_code put_error(struct nx_buf *out, const struct nx_err *why)
{
    const char *code = why->code == NX_ENODATA ? "token_expired" : nx_code_name(why->code);
    struct json_out json;

    if (nx_buf_append_str(out, "event: error\ndata: ") != NX_OK)
        return NX_ENOMEM;
    json_init(&json, out);
    json_raw(&json, "{");
    json_text_z(&json, "status", "error");
    json_text_z(&json, "error", why->message);
    json_text_z(&json, "code", code);
    json_raw(&json, "}\n\n");
    return json.failed;
}

static enum nx_code put_changes(struct changes *changes, struct nx_buf *out, struct nx_err *err)
{
    struct nx_feed_change change;
    enum nx_code rc = NX_OK;

    for (unsigned i = 0; i < EVENTS_A_PIECE && rc == NX_OK && out->len < PIECE_BYTES; i++) {
        rc = nx_feed_next(changes->feed, &change, err);
        if (rc != NX_OK || !may_see(changes, &change))
            continue;
        rc = put_event(changes, &change, out, err);
        if (changes->collection && change.op == NX_FEED_DROP) {
            changes->ended = true;
            break;
        }
    }
    nx_feed_rest(changes->feed); /* a slow client keeps no old picture alive */
    return rc;
}

static enum nx_code fill(void *state, struct nx_buf *out, struct nx_err *err)
{
    struct changes *changes = state;
    enum nx_code rc = NX_OK;

    if (changes->ended || atomic_load(&changes->req->canceled))
        return NX_DONE;
    if (!changes->began)
        rc = put_token(changes, "the changes follow", out);
    changes->began = true;
    if (rc == NX_OK)
        rc = put_changes(changes, out, err);
    if (rc == NX_DONE && out->len == 0 && now_ns(changes) - changes->said_ns >= QUIET_NS)
        return put_token(changes, "still here", out);
    if (rc == NX_OK || rc == NX_DONE)
        return NX_OK;
    changes->ended = true;
    return put_error(out, err);
}

static void wait_for_growth(void *state, void (*wake)(void *arg), void *arg)
{
    struct changes *changes = state;

    changes->waiter.grown = wake; /* its links are the feed's */
    changes->waiter.arg = arg;
    changes->waiter.end = nx_feed_position(changes->feed) + 1;
    nx_feed_wait(changes->req->service->db, &changes->waiter);
}

static bool unwait(void *state)
{
    struct changes *changes = state;

    return nx_feed_unwait(changes->req->service->db, &changes->waiter);
}

static void close_changes(void *state)
{
    struct changes *changes = state;

    nx_feed_close(changes->feed);
    free(changes);
}

static const char *token_of(const struct request *req)
{
    if (req->header[HEADER_LAST_EVENT_ID] && *req->header[HEADER_LAST_EVENT_ID])
        return req->header[HEADER_LAST_EVENT_ID];
    return request_has(req, CHANGES_SINCE) ? (const char *)req->field[CHANGES_SINCE].data : NULL;
}

static enum nx_code open_changes(struct request *req, nx_ino collection, struct changes **out,
                                 struct nx_err *err)
{
    struct changes *changes = calloc(1, sizeof *changes);
    enum nx_code rc;

    *out = NULL;
    if (!changes)
        return nx_fail_nomem(err);
    changes->req = req;
    changes->collection = collection;
    changes->full = !request_has(req, CHANGES_FULL) || request_bool(req, CHANGES_FULL);
    rc = nx_feed_open(req->service->db, collection, token_of(req), &changes->feed, err);
    if (rc == NX_OK)
        *out = changes;
    else
        free(changes);
    return rc;
}

enum nx_code route_changes(struct request *req, struct nx_err *err)
{
    bool names_one = strstr(req->match.route->pattern, "{coll}") != NULL;
    struct changes *changes;
    nx_ino collection = 0;
    enum nx_code rc = request_read_fields(req, err);

    if (rc == NX_OK && names_one)
        rc = request_find_collection(req, request_collection(req), true, &collection, err);
    if (rc == NX_OK)
        rc = open_changes(req, collection, &changes, err);
    if (rc == NX_ENODATA) {
        response_refuse(&req->response, 410, "token_expired", err->message);
        return NX_OK;
    }
    if (rc != NX_OK)
        return rc;
    req->response.status = 200;
    req->response.type = "text/event-stream";
    response_add_header(&req->response, "Cache-Control", "no-cache");
    response_add_header(&req->response, "X-Accel-Buffering", "no");
    req->response.stream = (struct stream){.fill = fill,
                                           .close = close_changes,
                                           .state = changes,
                                           .wait = wait_for_growth,
                                           .unwait = unwait};
    return NX_OK;
}

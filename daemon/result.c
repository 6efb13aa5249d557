/*
 * result.c - a cursor as an answer.
 *
 * A result is written as its cursor gives it, in pieces, so it never stands in memory whole. One
 * that fits the first piece is sent with its length; a longer one is streamed, and then "status" is
 * its last member, so that a failure half way is told in well-formed JSON (of NDJSON: by a last
 * line, and a cut).
 */
#include "daemon/result.h"

#include <stdlib.h>

struct result {
    struct request *req; /* outlives us */
    struct nx_cursor *cursor;
    struct json_out out;
    enum nx_json_flavor flavor;
    bool lines;     /* NDJSON */
    bool streaming; /* the first piece is full: "status" comes last */
    uint64_t limit; /* 0: all */
    uint64_t count;
    struct nx_buf next; /* where a truncated result goes on */
};

static void result_close(void *state)
{
    struct result *result = state;

    nx_cursor_close(result->cursor);
    nx_buf_fini(&result->next);
    free(result);
}

/* NX_DONE when the result ends here; the cursor has one document more than the limit if it is cut.
 */
static enum nx_code put_next(struct result *result, struct nx_err *err)
{
    struct nx_slice doc;
    enum nx_code rc;

    if (result->limit && result->count == result->limit)
        nx_cursor_position(result->cursor, &result->next);
    rc = nx_cursor_next(result->cursor, &doc, err);
    if (rc != NX_OK) {
        nx_buf_clear(&result->next);
        return rc;
    }
    if (result->limit && result->count == result->limit)
        return NX_DONE;
    result->count++;
    json_item_doc(&result->out, doc, result->flavor);
    if (result->lines) {
        json_raw(&result->out, "\n");
        result->out.comma = false;
    }
    return result->out.failed;
}

static enum nx_code put_documents(struct result *result, struct nx_buf *buf, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    result->out.buf = buf;
    while (rc == NX_OK && buf->len < STREAM_PIECE_BYTES)
        rc = put_next(result, err);
    return rc;
}

static void put_tail(struct result *result, const struct nx_err *err)
{
    struct json_out *out = &result->out;

    json_close(out, ']');
    json_uint(out, "count", result->count);
    if (result->next.len && !err)
        json_text(out, "next", (char *)result->next.data, result->next.len);
    if (err) {
        json_text_z(out, "status", "error");
        json_error(out, err);
    } else if (result->streaming) {
        json_text_z(out, "status", "success");
    }
    json_raw(out, "}\n");
}

static void put_error_line(struct result *result, const struct nx_err *err)
{
    json_raw(&result->out, "{");
    json_text_z(&result->out, "status", "error");
    json_error(&result->out, err);
    json_raw(&result->out, "}\n");
}

/* A later piece of a streamed result. */
static enum nx_code result_fill(void *state, struct nx_buf *buf, struct nx_err *err)
{
    struct result *result = state;
    enum nx_code rc = put_documents(result, buf, err);
    bool failed = rc != NX_OK && rc != NX_DONE;

    if (rc == NX_OK)
        return NX_OK;
    if (failed && err)
        err->code = rc;
    if (result->lines && failed) {
        put_error_line(result, err);
        return rc;
    }
    if (!result->lines)
        put_tail(result, failed ? err : NULL);
    return result->out.failed == NX_OK ? NX_DONE : result->out.failed;
}

static enum nx_code answer_whole(struct result *result, struct nx_err *err)
{
    struct request *req = result->req;

    if (!result->lines)
        put_tail(result, NULL);
    req->response.status = 200;
    return result->out.failed == NX_OK ? NX_OK : nx_fail_nomem(err);
}

/* The collection and the opening of the list. Without "status": that depends on the length. */
static void put_head(struct result *result, const char *list)
{
    struct nx_slice name = request_collection(result->req);

    json_text(&result->out, "collection", (const char *)name.data, name.len);
    json_open(&result->out, list, '[');
}

/* "{" and, of a whole answer, the status go before what stands in the buffer. */
static enum nx_code put_opening(struct nx_buf *body, const char *opening)
{
    size_t len = strlen(opening), old = body->len;

    if (nx_buf_resize(body, old + len) != NX_OK)
        return NX_ENOMEM;
    memmove(body->data + len, body->data, old);
    memcpy(body->data, opening, len);
    return NX_OK;
}

static enum nx_code begin_result(struct result *result, const char *list, struct nx_err *err)
{
    struct response *response = &result->req->response;
    enum nx_code rc;

    nx_buf_clear(&response->body);
    json_init(&result->out, &response->body);
    result->lines = request_wants_lines(result->req);
    if (result->lines)
        response->type = "application/x-ndjson";
    else
        put_head(result, list);
    rc = put_documents(result, &response->body, err);
    if (rc != NX_OK && rc != NX_DONE)
        return rc;
    result->streaming = rc == NX_OK;
    if (!result->lines &&
        put_opening(&response->body, rc == NX_OK ? "{" : "{\"status\":\"success\",") != NX_OK)
        return nx_fail_nomem(err);
    if (rc == NX_DONE)
        return answer_whole(result, err);
    response->stream = (struct stream){.fill = result_fill, .close = result_close, .state = result};
    response->status = 200;
    return NX_OK;
}

enum nx_code result_answer(struct request *req, struct nx_cursor *cursor, const char *list,
                           uint64_t limit, enum nx_json_flavor flavor, struct nx_err *err)
{
    struct result *result = calloc(1, sizeof *result);
    enum nx_code rc;

    if (!result) {
        nx_cursor_close(cursor);
        return nx_fail_nomem(err);
    }
    *result = (struct result){.req = req, .cursor = cursor, .limit = limit, .flavor = flavor};
    rc = begin_result(result, list, err);
    if (!req->response.stream.fill)
        result_close(result);
    return rc;
}

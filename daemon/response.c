/* response.c - building an answer, and the one shape of every error. */
#include "daemon/response.h"

#include <stdlib.h>

#include "daemon/json_out.h"
#include "daemon/status.h"

void response_reset(struct response *response)
{
    if (response->stream.fill)
        response->stream.close(response->stream.state);
    for (size_t i = 0; i < response->headers; i++)
        free(response->header[i].value);
    nx_buf_clear(&response->body);
    response->stream = (struct stream){0};
    response->headers = 0;
    response->status = 0;
    response->type = "application/json";
}

void response_fini(struct response *response)
{
    response_reset(response);
    nx_buf_fini(&response->body);
}

void response_add_header(struct response *response, const char *name, const char *value)
{
    char *copy;

    if (response->headers == RESPONSE_MAX_HEADERS)
        return;
    copy = strdup(value);
    if (!copy)
        return;
    response->header[response->headers].name = name;
    response->header[response->headers].value = copy;
    response->headers++;
}

static void finish_error(struct response *response, struct json_out *out, unsigned status)
{
    json_raw(out, "}\n");
    response->status = status;
    if (out->failed != NX_OK) { /* no memory for the message: the status has to do */
        nx_buf_clear(&response->body);
        response->status = 503;
    }
}

void response_fail(struct response *response, const struct nx_err *err)
{
    struct json_out out;

    response_reset(response);
    json_init(&out, &response->body);
    json_raw(&out, "{");
    json_text_z(&out, "status", "error");
    json_error(&out, err);
    finish_error(response, &out, status_of(err->code));
}

void response_refuse(struct response *response, unsigned status, const char *code,
                     const char *message)
{
    struct json_out out;

    response_reset(response);
    json_init(&out, &response->body);
    json_raw(&out, "{");
    json_text_z(&out, "status", "error");
    json_text_z(&out, "error", message);
    json_text_z(&out, "code", code);
    finish_error(response, &out, status);
}

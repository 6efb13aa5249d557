/*
 * response.h - what a request is answered with: a status, headers, and a body or a stream of one.
 *
 * Threads: belongs to its request.
 */
#ifndef DAEMON_RESPONSE_H
#define DAEMON_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include <nexadb/buf.h>
#include <nexadb/error.h>

/*
 * A body made piece by piece, so that it never stands in memory whole. `fill` appends some tens of
 * KiB: NX_OK when there is more, NX_DONE at the end; any other code cuts the answer off.
 *
 * One that goes on as long as its client listens has `wait`: when `fill` appended nothing, `wait`
 * arranges for one call of `wake` once there is more. `unwait` takes that back; false: it was
 * called. Such a fill is also called from time to time, and when the request is canceled.
 */
struct stream {
    enum nx_code (*fill)(void *state, struct nx_buf *out, struct nx_err *err);
    void (*close)(void *state);
    void *state;
    void (*wait)(void *state, void (*wake)(void *arg), void *arg); /* NULL: it has an end */
    bool (*unwait)(void *state);
};
enum { STREAM_PIECE_BYTES = 64 << 10 };

enum { RESPONSE_MAX_HEADERS = 8 };
struct response_header {
    const char *name; /* static */
    char *value;      /* owned */
};

struct response {
    unsigned status; /* 0: not decided */
    const char *type;
    struct nx_buf body;
    struct stream stream; /* fill is NULL: `body` is all of it; else it continues `body` */
    struct response_header header[RESPONSE_MAX_HEADERS];
    size_t headers;
};

void response_fini(struct response *response);
/* Forget body, stream and headers. */
void response_reset(struct response *response);
/* A copy of `value`; a header beyond RESPONSE_MAX_HEADERS or without memory is left out. */
void response_add_header(struct response *response, const char *name, const char *value);
/* Replace whatever there is by an error. */
void response_fail(struct response *response, const struct nx_err *err);
/* The same for what only HTTP knows: 405 "method_not_allowed", ... */
void response_refuse(struct response *response, unsigned status, const char *code,
                     const char *message);

#endif

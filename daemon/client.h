/*
 * client.h - HTTP to a daemon: over the socket in its data directory, or by URL.
 *
 * Threads: one call at a time. A connection a call.
 */
#ifndef DAEMON_CLIENT_H
#define DAEMON_CLIENT_H

#include <stdbool.h>

#include <nexadb/buf.h>
#include <nexadb/error.h>

struct client {
    char *unix_path;   /* owned; NULL: host and port */
    char *host, *port; /* owned */
    const char *key;   /* outlives us; NULL: none */
};

/* "http://HOST[:PORT]" or "unix:PATH". NX_EINVAL. */
enum nx_code client_init(struct client *client, const char *where, const char *key,
                         struct nx_err *err);
void client_fini(struct client *client);
/* True when something answers there. */
bool client_can_connect(const struct client *client);

/* The next piece of a body into `out` (cleared before): NX_OK, NX_DONE at the end, or what stops
 * it. */
typedef enum nx_code (*client_body_fn)(void *arg, struct nx_buf *out, struct nx_err *err);
/* A piece of a successful answer. */
typedef enum nx_code (*client_data_fn)(void *arg, struct nx_slice data, struct nx_err *err);

struct client_call {
    const char *method, *path; /* the path encoded */
    const char *type, *accept; /* NULL: none */
    struct nx_slice body;
    client_body_fn body_fn; /* NULL: `body` */
    void *body_arg;
    client_data_fn data_fn; /* NULL: the answer is dropped */
    void *data_arg;
};
/* A refusal comes back with the code and message of the daemon; a cut answer is NX_EIO. */
enum nx_code client_send(const struct client *client, const struct client_call *call,
                         struct nx_err *err);
/* Append `text` with all but unreserved characters percent-encoded. */
enum nx_code client_encode(struct nx_buf *out, const char *text);

#endif

/*
 * http.h - the HTTP backend: everything that knows libmicrohttpd.
 *
 * Threads: a server has one loop thread; requests run on the service's workers.
 */
#ifndef DAEMON_HTTP_H
#define DAEMON_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include <nexadb/buf.h>
#include <nexadb/error.h>

struct service;
struct http_server;

struct http_options {
    const char *listen; /* "ADDR:PORT", "[ADDR]:PORT" or "unix:PATH" */
    bool trusted; /* whoever reaches the socket has role admin: a 0600 socket in a 0700 folder */
    uint32_t max_connections;
    uint32_t idle_timeout_s;
    const char *tls_cert, *tls_key; /* PEM texts, read at the start only; NULL: no TLS */
};

enum nx_code http_start(struct service *service, const struct http_options *options,
                        struct http_server **out, struct nx_err *err);
/* "127.0.0.1:6969" with the port that was taken, or "unix:PATH". */
const char *http_address(const struct http_server *server);
bool http_is_tls(const struct http_server *server);
/* Refuse new connections and requests, let what runs finish for a while, then end it. Accepts NULL.
 */
void http_stop(struct http_server *server);

#endif

/*
 * service.h - an open database with its doors: what every request and command works on.
 *
 * Threads: started and stopped by main; read by all.
 */
#ifndef DAEMON_SERVICE_H
#define DAEMON_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>

#include <nexadb/db.h>

#include "daemon/auth.h"
#include "daemon/config.h"
#include "daemon/crew.h"
#include "daemon/http.h"

struct service {
    const struct config *config; /* outlives us */
    char *datadir;               /* owned, absolute */
    struct nx_db *db;
    struct keyring *keyring;
    struct crew *crew;
    struct http_server *http;                /* NULL: off */
    struct http_server *control;             /* the socket in the data directory */
    uint64_t started_ns;                     /* monotonic */
    atomic_uint_fast64_t requests, failures; /* relaxed: counters for /metrics */
};

enum service_mode {
    SERVICE_DAEMON,     /* REST as configured; the database is made when absent */
    SERVICE_COMMAND,    /* only the control socket; NX_ENOTFOUND when there is no database */
    SERVICE_COMMAND_NEW /* the same, but it is made */
};
/* Open the database and everything of it but the mount. NX_ELOCKED names another process. */
enum nx_code service_start(const struct config *config, const char *datadir, enum service_mode mode,
                           struct service **out, struct nx_err *err);
/* End the requests in flight, then close the database: everything is durable on NX_OK. */
enum nx_code service_stop(struct service *service, struct nx_err *err);
/* Stop answering; service_stop does it by itself. Call it before the mount goes. */
void service_quiesce(struct service *service);

#endif

/*
 * session.c - the way from a command to a database.
 *
 * A command speaks HTTP to whatever serves the data directory. When nobody does, this process opens
 * it and serves it on the same socket for the time of the command: one code path, and a second
 * command in the meantime is served too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/command.h"
#include "daemon/datadir.h"
#include "daemon/log.h"
#include "daemon/service.h"

enum { BUSY_TRIES = 50, BUSY_WAIT_MS = 100 };

static bool is_url(const char *target)
{
    return !strncmp(target, "http://", 7) || !strncmp(target, "unix:", 5);
}

static enum nx_code check_datadir(const char *path, bool create, struct nx_err *err)
{
    if (!strncmp(path, "https://", 8))
        return nx_fail(err, NX_EUNSUPPORTED, "'%s': https is not spoken; use http or a tunnel",
                       path);
    return datadir_check(path, create, err);
}

/* NX_EBUSY: another process holds the directory, but does not answer yet. */
static enum nx_code try_open(struct session *session, const struct cli *cli, const char *datadir,
                             bool create, struct nx_err *err)
{
    enum nx_code rc;
    char *where;

    if (asprintf(&where, "unix:%s/nexadb.sock", datadir) < 0)
        return nx_fail_nomem(err);
    rc = client_init(&session->client, where, NULL, err);
    free(where);
    if (rc != NX_OK || client_can_connect(&session->client))
        return rc;
    rc = service_start(&cli->config, datadir, create ? SERVICE_COMMAND_NEW : SERVICE_COMMAND,
                       &session->own, err);
    if (rc != NX_OK)
        client_fini(&session->client);
    return rc;
}

enum nx_code session_open(struct session *session, const struct cli *cli, const char *target,
                          bool create, struct nx_err *err)
{
    struct timespec wait = {.tv_nsec = BUSY_WAIT_MS * 1000000l};
    enum nx_code rc;

    *session = (struct session){0};
    if (is_url(target))
        return client_init(&session->client, target, cli->config.api_key, err);
    log_open(NULL, LOG_ERROR, NULL);
    rc = check_datadir(target, create, err);
    if (rc != NX_OK)
        return rc;
    rc = try_open(session, cli, target, create, err);
    for (int i = 0; i < BUSY_TRIES && rc == NX_ELOCKED; i++) {
        nanosleep(&wait, NULL); /* its holder may be starting or ending */
        rc = try_open(session, cli, target, create, err);
    }
    return rc;
}

enum nx_code session_close(struct session *session, struct nx_err *err)
{
    struct service *own = session->own;

    client_fini(&session->client);
    session->own = NULL;
    return own ? service_stop(own, err) : NX_OK;
}

/*
 * command_serve.c - being a daemon: what mount and serve have in common, and serve.
 *
 * Order at the end: REST finishes its requests while the mount still shows changes; the mount
 * finishes its own; the database closes last, with everything durable.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/datadir.h"
#include "daemon/lifecycle.h"
#include "daemon/log.h"
#include "daemon/service.h"
#include "daemon/supervisor.h"
#include "daemon/whole_file.h"

static enum nx_code write_pid(const struct daemon *daemon, struct nx_err *err)
{
    char path[4096], text[32];

    snprintf(path, sizeof path, "%s/nexadb.pid", daemon->service->datadir);
    snprintf(text, sizeof text, "%d\n", (int)getpid());
    return whole_file_replace(path, nx_slice_str(text), err);
}

static void remove_pid(const struct daemon *daemon)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/nexadb.pid", daemon->service->datadir);
    unlink(path);
}

static void say_ready(const struct daemon *daemon)
{
    const struct service *service = daemon->service;
    const char *rest = service->http ? http_address(service->http) : "off";
    const char *scheme = service->http && strncmp(rest, "unix:", 5) != 0
                             ? http_is_tls(service->http) ? "https://" : "http://"
                             : "";
    char text[9000];

    if (daemon->mountpoint)
        snprintf(text, sizeof text, "%s is mounted on %s; REST: %s%s, key in %s/api.key\n",
                 service->datadir, daemon->mountpoint, scheme, rest, service->datadir);
    else
        snprintf(text, sizeof text, "%s is served; REST: %s%s, key in %s/api.key\n",
                 service->datadir, scheme, rest, service->datadir);
    if (daemon->detached)
        log_line(LOG_INFO, "main", "%.*s", (int)strlen(text) - 1, text);
    lifecycle_ready(text, false);
    supervisor_tell("READY=1\n");
}

static const char repair_hint[] = "\"nexadb check DATADIR\" lists what is damaged, \"nexadb repair "
                                  "DATADIR NEWDIR\" saves what can "
                                  "be read.\n";

static int fail_start(const struct daemon *daemon, const struct nx_err *err)
{
    char text[1024];

    snprintf(text, sizeof text, "nexadb %s: %s\n%s", daemon->cli->command->name, err->message,
             err->code == NX_ECORRUPT ? repair_hint : "");
    if (daemon->detached && err->code != NX_ELOCKED) /* then the log is another daemon's */
        log_line(LOG_ERROR, "main", "%s", err->message);
    lifecycle_ready(text, true);
    return EXIT_FAILED;
}

static int stop(struct daemon *daemon)
{
    struct nx_err err = NX_ERR_INIT;

    supervisor_tell("STOPPING=1\n");
    service_quiesce(daemon->service);
    if (daemon->mountpoint)
        daemon->unmount(daemon);
    remove_pid(daemon);
    if (service_stop(daemon->service, &err) == NX_OK) {
        log_line(LOG_INFO, "main", "stopped; everything is durable");
        return EXIT_DONE;
    }
    log_line(LOG_ERROR, "main", "the end: %s", err.message);
    return EXIT_FAILED;
}

int daemon_run(struct daemon *daemon)
{
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc;

    lifecycle_block_signals();
    rc = service_start(&daemon->cli->config, daemon->datadir, SERVICE_DAEMON, &daemon->service,
                       &err);
    if (rc != NX_OK)
        return fail_start(daemon, &err);
    rc = write_pid(daemon, &err);
    if (rc == NX_OK && daemon->mountpoint)
        rc = daemon->mount(daemon, &err);
    if (rc != NX_OK) {
        stop(daemon); /* whoever is told may use the directory at once */
        return fail_start(daemon, &err);
    }
    say_ready(daemon);
    log_line(LOG_INFO, "main", "ending (%s)", lifecycle_wait());
    return stop(daemon);
}

enum nx_code daemon_make_datadir(struct daemon *daemon, const char *path, struct nx_err *err)
{
    enum nx_code rc = datadir_check(path, true, err);

    if (rc != NX_OK)
        return rc;
    daemon->datadir = realpath(path, NULL);
    return daemon->datadir ? NX_OK : nx_fail_errno(err, errno, "data directory '%s'", path);
}

enum nx_code daemon_open_log(const struct daemon *daemon, struct nx_err *err)
{
    enum log_level level = (enum log_level)daemon->cli->config.log_level;
    char path[4096];

    if (!daemon->detached)
        return log_open(NULL, level, err);
    snprintf(path, sizeof path, "%s/nexadb.log", daemon->datadir);
    return log_open(path, level, err);
}

void daemon_fini(struct daemon *daemon)
{
    log_close();
    free(daemon->datadir);
    free(daemon->mountpoint);
}

int command_serve(struct cli *cli)
{
    struct daemon daemon = {.cli = cli};
    struct nx_err err = NX_ERR_INIT;
    int status;

    if (cli->argc < 1)
        return cli_usage(cli, "the data directory is missing");
    if (!strcmp(cli->config.http, "off"))
        return cli_usage(cli, "there is nothing to serve with --http off");
    if (daemon_make_datadir(&daemon, cli->argv[0], &err) != NX_OK ||
        daemon_open_log(&daemon, &err) != NX_OK)
        status = cli_fail(cli, &err);
    else
        status = daemon_run(&daemon);
    daemon_fini(&daemon);
    return status;
}

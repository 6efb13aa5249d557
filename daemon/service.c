/* service.c - bringing up a database with its keys, workers and servers, and taking it down. */
#include "daemon/service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/datadir.h"
#include "daemon/log.h"
#include "daemon/whole_file.h"

static enum nx_code open_db(struct service *service, bool create, struct nx_err *err)
{
    struct nx_err why = NX_ERR_INIT;
    struct nx_db_options options;
    enum nx_code rc;

    nx_db_options_init(&options);
    options.engine.cache_bytes = service->config->cache_bytes;
    options.feed_bytes = service->config->feed_bytes;
    options.feed_ms = service->config->feed_days * 24 * 3600 * 1000;
    options.engine.memtable_bytes = service->config->memtable_bytes;
    options.engine.create = create;
    rc = nx_db_open(service->datadir, &options, &service->db, &why);
    if (rc == NX_ELOCKED)
        return nx_fail(err, rc, "data directory '%s' is in use: %s", service->datadir, why.message);
    if (rc != NX_OK && err)
        *err = why;
    return rc;
}

static enum nx_code start_control(struct service *service, struct nx_err *err)
{
    struct http_options options = {.trusted = true, .max_connections = 64, .idle_timeout_s = 3600};
    enum nx_code rc;
    char *where;

    if (asprintf(&where, "unix:%s/nexadb.sock", service->datadir) < 0)
        return nx_fail_nomem(err);
    options.listen = where;
    rc = http_start(service, &options, &service->control, err);
    free(where);
    return rc;
}

/* DATADIR/http.addr: one line, ADDR:PORT or unix:PATH, for scripts and for port 0. */
static enum nx_code write_address(struct service *service, struct nx_err *err)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = NX_OK;
    char *path;

    if (asprintf(&path, "%s/http.addr", service->datadir) < 0)
        return nx_fail_nomem(err);
    if (!service->http)
        unlink(path);
    else if (nx_buf_printf(&text, "%s\n", http_address(service->http)) == NX_OK)
        rc = whole_file_replace(path, nx_buf_slice(&text), err);
    free(path);
    return rc;
}

static enum nx_code read_pem(const char *path, const char *flag, struct nx_buf *out,
                             struct nx_err *err)
{
    struct nx_err why = NX_ERR_INIT;
    enum nx_code rc = whole_file_read(path, out, &why);

    if (rc != NX_OK)
        return nx_fail(err, rc, "%s %s", flag, why.message);
    return nx_buf_append_byte(out, 0) == NX_OK ? NX_OK : nx_fail_nomem(err);
}

static enum nx_code start_https(struct service *service, struct http_options *options,
                                struct nx_err *err)
{
    const struct config *config = service->config;
    struct nx_buf cert NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf key NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc;

    if (!config->tls_cert || !config->tls_key)
        return nx_fail(err, NX_EINVAL, "https needs both --tls-cert and --tls-key");
    rc = read_pem(config->tls_cert, "--tls-cert", &cert, err);
    if (rc == NX_OK)
        rc = read_pem(config->tls_key, "--tls-key", &key, err);
    if (rc == NX_OK) {
        options->tls_cert = (char *)cert.data;
        options->tls_key = (char *)key.data;
        rc = http_start(service, options, &service->http, err);
    }
    if (key.data)
        explicit_bzero(key.data, key.cap);
    return rc;
}

static enum nx_code start_http(struct service *service, struct nx_err *err)
{
    const struct config *config = service->config;
    struct http_options options = {
        .listen = config->http,
        .max_connections = (uint32_t)config->max_connections,
        .idle_timeout_s = (uint32_t)config->idle_timeout_s,
    };
    enum nx_code rc = NX_OK;

    if (strcmp(config->http, "off") != 0 && (config->tls_cert || config->tls_key))
        rc = start_https(service, &options, err);
    else if (strcmp(config->http, "off") != 0)
        rc = http_start(service, &options, &service->http, err);
    return rc == NX_OK ? write_address(service, err) : rc;
}

enum nx_code service_start(const struct config *config, const char *datadir, enum service_mode mode,
                           struct service **out, struct nx_err *err)
{
    struct service *service;
    struct nx_io *io;
    enum nx_code rc;

    *out = NULL;
    service = calloc(1, sizeof *service);
    if (!service)
        return nx_fail_nomem(err);
    service->config = config;
    rc = datadir_check(datadir, mode != SERVICE_COMMAND, err);
    if (rc == NX_OK && !(service->datadir = realpath(datadir, NULL)))
        rc = nx_fail_errno(err, errno, "data directory '%s'", datadir);
    if (rc == NX_OK)
        rc = open_db(service, mode != SERVICE_COMMAND, err);
    if (rc == NX_OK)
        rc = keyring_open(service->datadir, &service->keyring, err);
    if (rc == NX_OK)
        rc = crew_start((unsigned)config->workers, &service->crew, err);
    if (rc != NX_OK)
        goto fail;
    io = nx_db_io(service->db);
    service->started_ns = io->ops->monotonic_ns(io);
    rc = start_control(service, err);
    if (rc == NX_OK && mode == SERVICE_DAEMON)
        rc = start_http(service, err);
    if (rc != NX_OK)
        goto fail;
    *out = service;
    return NX_OK;

fail:
    service_stop(service, NULL);
    return rc;
}

void service_quiesce(struct service *service)
{
    http_stop(service->http);
    http_stop(service->control);
    if (service->http) {
        service->http = NULL;
        write_address(service, NULL);
    }
    service->control = NULL;
    crew_stop(service->crew);
    service->crew = NULL;
}

enum nx_code service_stop(struct service *service, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    service_quiesce(service);
    keyring_close(service->keyring);
    if (service->db)
        rc = nx_db_close(service->db, err);
    free(service->datadir);
    free(service);
    return rc;
}

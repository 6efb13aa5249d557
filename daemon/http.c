/*
 * http.c - HTTP over libmicrohttpd: one epoll loop thread a server, everything slow on the workers.
 *
 *            head                body end             the last hold released
 *   NEW ---------> BODY ----------------> RUNNING ------------------------> SENDING
 *        on_access  |  ^  on_access               on_finished, on_access
 *                   v  | enough of a streamed body: fed on a worker
 *                 FEEDING
 *
 * While a worker has the exchange its connection is suspended: the loop does not touch it, and
 * libmicrohttpd may not be stopped. `suspended` counts those; http_stop waits for none. Nor does
 * libmicrohttpd see then that a client goes: a watcher looks, and cancels what runs for nobody.
 */
#include "daemon/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/request.h"
#include "daemon/service.h"

enum {
    FEED_BYTES = 256 << 10,       /* of a streamed body handed to a worker at a time */
    HEADERS_MAX_BYTES = 16 << 10, /* past it: 431 */
    CONNECTION_BYTES = 256 << 10, /* libmicrohttpd's, for the head and to read into */
    DRAIN_SECONDS = 5,            /* what runs may finish for so long at the end */
    WATCH_MS = 250,               /* between two looks for clients that are gone */
    QUIET_MS = 15000,             /* an endless answer is asked for a sign of life after so long */
};
/* What is read of a body nobody wants, so that a client that only sends gets its answer; one that
 * announces more is answered at once and hung up on. */
#define DISCARD_MAX_BYTES (64ull << 20)

enum exchange_state { EX_NEW, EX_BODY, EX_FEEDING, EX_RUNNING, EX_SENDING };

struct exchange {
    struct http_server *server; /* outlives us */
    struct MHD_Connection *connection;
    struct request request;
    int fd;       /* the connection's */
    char *target; /* owned */
    enum exchange_state state;
    bool with_worker;  /* the connection is suspended; guarded by server->mu */
    bool waiting;      /* an endless answer waits for more; guarded by server->mu */
    unsigned quiet_ms; /* for so long; guarded by server->mu */
    uint64_t received; /* bytes of body */
    struct job job;
    size_t sent;                   /* bytes of response.body that are sent, of a stream */
    enum nx_code stream_state;     /* NX_OK: more to come; NX_DONE; or what cut it off */
    struct exchange *next, **link; /* guarded by server->mu */
};

struct http_server {
    struct service *service; /* outlives us */
    struct MHD_Daemon *daemon;
    char address[160];
    char *unix_path; /* owned; NULL: TCP */
    bool trusted;
    bool tls;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    struct exchange *exchanges; /* guarded by mu */
    unsigned active;            /* exchanges; guarded by mu */
    unsigned suspended;         /* guarded by mu */
    atomic_bool draining;       /* no new request */
    bool stopping;              /* nothing may be suspended any more; guarded by mu */
    pthread_t watcher;
    pthread_cond_t watch; /* ends the watcher */
    bool watching;        /* guarded by mu */
};

/* --- suspending ------------------------------------------------------------------------------- */

/* Hand the exchange to a worker. False when the server ends: then it stays the loop's. */
static bool hand_over(struct exchange *ex, void (*run)(void *arg))
{
    struct http_server *server = ex->server;
    bool may;

    pthread_mutex_lock(&server->mu);
    may = !server->stopping;
    server->suspended += may;
    ex->with_worker = may;
    pthread_mutex_unlock(&server->mu);
    if (!may)
        return false;
    MHD_suspend_connection(ex->connection);
    ex->job = (struct job){.run = run, .arg = ex};
    crew_submit(server->service->crew, &ex->job);
    return true;
}

static void hand_back(struct exchange *ex)
{
    struct http_server *server = ex->server;

    /* under the lock: once `suspended` is 0 http_stop may free everything */
    pthread_mutex_lock(&server->mu);
    ex->with_worker = false;
    MHD_resume_connection(ex->connection);
    server->suspended--;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mu);
}

/* --- clients that are gone -------------------------------------------------------------------- */

/* While a worker has it the socket stays open and is nobody else's to read. */
static bool client_is_gone(const struct exchange *ex)
{
    struct pollfd fd = {.fd = ex->fd, .events = POLLRDHUP};

    return poll(&fd, 1, 0) == 1 && fd.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

/* The lock is held. */
static void wake_if_due(struct exchange *ex)
{
    struct stream *stream = &ex->request.response.stream;

    if (!ex->waiting)
        return;
    ex->quiet_ms += WATCH_MS;
    if (ex->quiet_ms < QUIET_MS && !atomic_load(&ex->request.canceled) &&
        !atomic_load(&ex->server->draining))
        return;
    if (stream->unwait(stream->state)) {
        ex->waiting = false;
        crew_submit(ex->server->service->crew, &ex->job);
    }
}

static void *watch_clients(void *arg)
{
    struct http_server *server = arg;
    struct timespec until;

    pthread_mutex_lock(&server->mu);
    while (server->watching) {
        for (struct exchange *ex = server->exchanges; ex; ex = ex->next) {
            if (ex->with_worker && client_is_gone(ex))
                atomic_store(&ex->request.canceled, true);
            wake_if_due(ex);
        }
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += WATCH_MS * 1000000l;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&server->watch, &server->mu, &until);
    }
    pthread_mutex_unlock(&server->mu);
    return NULL;
}

static enum nx_code start_watcher(struct http_server *server, struct nx_err *err)
{
    int rc;

    server->watching = true;
    rc = pthread_create(&server->watcher, NULL, watch_clients, server);
    if (!rc)
        return NX_OK;
    server->watching = false;
    return nx_fail_errno(err, rc, "a thread of the HTTP server");
}

static void stop_watcher(struct http_server *server)
{
    bool watching;

    pthread_mutex_lock(&server->mu);
    watching = server->watching;
    server->watching = false;
    pthread_cond_signal(&server->watch);
    pthread_mutex_unlock(&server->mu);
    if (watching)
        pthread_join(server->watcher, NULL);
}

/* --- the response ----------------------------------------------------------------------------- */

/* What an endless answer waited for is there: on any thread, that must not wait. */
static void on_more(void *arg)
{
    struct exchange *ex = arg;

    crew_submit(ex->server->service->crew, &ex->job);
}

/* The connection stays suspended, and no thread has it. False when the server ends. */
static bool wait_for_more(struct exchange *ex)
{
    struct stream *stream = &ex->request.response.stream;

    if (atomic_load(&ex->server->draining))
        return false;
    pthread_mutex_lock(&ex->server->mu);
    ex->waiting = true;
    ex->quiet_ms = 0;
    pthread_mutex_unlock(&ex->server->mu);
    stream->wait(stream->state, on_more, ex);
    return true;
}

static void fill_on_worker(void *arg)
{
    struct exchange *ex = arg;
    struct response *response = &ex->request.response;
    struct nx_err err = NX_ERR_INIT;

    pthread_mutex_lock(&ex->server->mu);
    ex->waiting = false;
    pthread_mutex_unlock(&ex->server->mu);
    nx_buf_clear(&response->body);
    ex->sent = 0;
    ex->stream_state = response->stream.fill(response->stream.state, &response->body, &err);
    if (ex->stream_state != NX_OK && ex->stream_state != NX_DONE)
        log_line(LOG_WARN, "http", "an answer was cut off: %s", err.message);
    if (ex->stream_state == NX_OK && response->stream.wait && response->body.len == 0) {
        if (wait_for_more(ex))
            return; /* it may be gone */
        ex->stream_state = NX_DONE;
    }
    hand_back(ex);
}

static ssize_t read_stream(void *arg, uint64_t position, char *out, size_t max)
{
    struct exchange *ex = arg;
    struct nx_buf *body = &ex->request.response.body;
    size_t n = body->len - ex->sent;

    (void)position;
    if (n) {
        n = n < max ? n : max;
        memcpy(out, body->data + ex->sent, n);
        ex->sent += n;
        return (ssize_t)n;
    }
    if (ex->stream_state == NX_DONE)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (ex->stream_state != NX_OK || !hand_over(ex, fill_on_worker))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    return 0;
}

static struct MHD_Response *make_response(struct exchange *ex)
{
    struct response *response = &ex->request.response;

    if (response->stream.fill)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_PIECE_BYTES, read_stream,
                                                 ex, NULL);
    /* the exchange, and so the body, lives until the connection is done with it */
    return MHD_create_response_from_buffer(response->body.len, response->body.data,
                                           MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result send_answer(struct exchange *ex)
{
    struct response *response = &ex->request.response;
    struct MHD_Response *out = make_response(ex);
    enum MHD_Result result;

    if (!out)
        return MHD_NO;
    ex->state = EX_SENDING;
    if (response->body.len || response->stream.fill)
        MHD_add_response_header(out, "Content-Type", response->type);
    for (size_t i = 0; i < response->headers; i++)
        MHD_add_response_header(out, response->header[i].name, response->header[i].value);
    result = MHD_queue_response(ex->connection, response->status, out);
    MHD_destroy_response(out);
    return result;
}

/* --- the request ------------------------------------------------------------------------------ */

static void on_finished(void *arg)
{
    hand_back(arg);
}

static void run_on_worker(void *arg)
{
    struct exchange *ex = arg;

    request_run(&ex->request);
}

static void feed_on_worker(void *arg)
{
    struct exchange *ex = arg;

    request_feed(&ex->request);
    hand_back(ex);
}

static enum MHD_Result add_size(void *arg, enum MHD_ValueKind kind, const char *name,
                                const char *value)
{
    size_t *total = arg;

    (void)kind;
    *total += strlen(name) + (value ? strlen(value) : 0) + 4;
    return MHD_YES;
}

static void read_head(struct exchange *ex, const char *method)
{
    struct request *req = &ex->request;
    size_t header_bytes = 0;

    for (enum header h = 0; h < HEADER_COUNT; h++)
        req->header[h] =
            MHD_lookup_connection_value(ex->connection, MHD_HEADER_KIND, header_names[h]);
    MHD_get_connection_values(ex->connection, MHD_HEADER_KIND, add_size, &header_bytes);
    if (header_bytes > HEADERS_MAX_BYTES)
        response_refuse(&req->response, 431, "headers_too_large",
                        "the request's headers are over 16,384 bytes");
    else if (atomic_load(&ex->server->draining))
        response_refuse(&req->response, 503, "closed", "the server is shutting down");
    else
        request_begin(req, ex->target, method);
}

static bool is_stream(const struct exchange *ex)
{
    const struct route *route = ex->request.match.route;

    return route && (route->flags & ROUTE_STREAM);
}

static void refuse_length(struct exchange *ex)
{
    char message[120];

    snprintf(message, sizeof message, "the body is over the limit of %llu bytes (--max-body-bytes)",
             (unsigned long long)ex->server->service->config->max_body_bytes);
    response_refuse(&ex->request.response, 413, "too_large", message);
}

static enum MHD_Result take_body(struct exchange *ex, const char *data, size_t *len)
{
    struct request *req = &ex->request;

    if (is_stream(ex) && req->body.len >= FEED_BYTES && !request_is_answered(req)) {
        ex->state = EX_FEEDING;
        return hand_over(ex, feed_on_worker) ? MHD_YES : MHD_NO;
    }
    ex->received += *len;
    if (!request_is_answered(req) && !is_stream(ex) &&
        ex->received > ex->server->service->config->max_body_bytes)
        refuse_length(ex);
    if (request_is_answered(req))
        nx_buf_clear(&req->body); /* read on: a client that still sends would not see the answer */
    else if (nx_buf_append(&req->body, data, *len) != NX_OK)
        response_refuse(&req->response, 503, "out_of_memory", "no memory for the body");
    *len = 0;
    return ex->received > DISCARD_MAX_BYTES && request_is_answered(req) ? send_answer(ex) : MHD_YES;
}

static enum MHD_Result run(struct exchange *ex)
{
    struct request *req = &ex->request;

    req->body_complete = true;
    ex->state = EX_RUNNING;
    if (request_is_answered(req))
        return send_answer(ex);
    if (req->match.route->flags & ROUTE_INLINE) {
        struct nx_err err = NX_ERR_INIT;

        if (req->match.route->run(req, &err) != NX_OK)
            response_fail(&req->response, &err);
        return send_answer(ex);
    }
    if (hand_over(ex, run_on_worker))
        return MHD_YES;
    response_refuse(&req->response, 503, "closed", "the server is shutting down");
    return send_answer(ex);
}

/* A refusal known from the head: a client that waits to be asked for its body gets it at once, and
 * so does one whose body is not worth reading. */
static bool may_answer_early(const struct exchange *ex)
{
    const struct request *req = &ex->request;
    const char *length = req->header[HEADER_CONTENT_LENGTH];

    return request_is_answered(req) && (req->header[HEADER_EXPECT] ||
                                        (length && strtoull(length, NULL, 10) > DISCARD_MAX_BYTES));
}

static enum MHD_Result on_access(void *arg, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *data,
                                 size_t *len, void **state)
{
    struct exchange *ex = *state;

    (void)arg, (void)connection, (void)url, (void)version;
    if (!ex)
        return MHD_NO;
    if (ex->state == EX_FEEDING)
        ex->state = EX_BODY;
    switch (ex->state) {
    case EX_NEW:
        ex->state = EX_BODY;
        read_head(ex, method);
        return may_answer_early(ex) ? send_answer(ex) : MHD_YES;
    case EX_BODY:
        return *len ? take_body(ex, data, len) : run(ex);
    case EX_RUNNING:
        return send_answer(ex);
    default:
        return MHD_YES;
    }
}

/* The first that is heard of a request: its target before any decoding. */
static void *on_target(void *arg, const char *target, struct MHD_Connection *connection)
{
    struct http_server *server = arg;
    struct exchange *ex = calloc(1, sizeof *ex);

    if (!ex)
        return NULL;
    ex->server = server;
    ex->connection = connection;
    ex->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    ex->target = strdup(target);
    request_init(&ex->request, server->service);
    ex->request.trusted = server->trusted;
    ex->request.finished = on_finished;
    ex->request.finished_arg = ex;
    if (!ex->target) {
        request_fini(&ex->request);
        free(ex);
        return NULL;
    }
    pthread_mutex_lock(&server->mu);
    ex->next = server->exchanges;
    ex->link = &server->exchanges;
    if (ex->next)
        ex->next->link = &ex->next;
    server->exchanges = ex;
    server->active++;
    pthread_mutex_unlock(&server->mu);
    return ex;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why)
{
    struct http_server *server = arg;
    struct exchange *ex = *state;

    (void)connection, (void)why;
    if (!ex)
        return;
    pthread_mutex_lock(&server->mu);
    *ex->link = ex->next;
    if (ex->next)
        ex->next->link = ex->link;
    server->active--;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->mu);
    request_fini(&ex->request);
    free(ex->target);
    free(ex);
    *state = NULL;
}

static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg, (void)connection;
    return strlen(text); /* paths and parameters are decoded by url.c */
}

static void on_log(void *arg, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void on_log(void *arg, const char *format, va_list args)
{
    char line[512];

    (void)arg;
    vsnprintf(line, sizeof line, format, args);
    log_line(LOG_DEBUG, "http", "%s", line);
}

/* --- listening -------------------------------------------------------------------------------- */

static enum nx_code listen_unix(const char *path, int *out, struct nx_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    mode_t mask;
    int fd, rc;

    if (strlen(path) >= sizeof address.sun_path)
        return nx_fail(err, NX_ENAMETOOLONG, "socket '%s': the path is over %zu bytes", path,
                       sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return nx_fail_errno(err, errno, "socket '%s'", path);
    if (!connect(fd, (struct sockaddr *)&address, sizeof address)) {
        close(fd);
        return nx_fail(err, NX_EBUSY, "socket '%s' is another program's", path);
    }
    if (errno == ECONNREFUSED)
        unlink(path); /* left by a process that is gone */
    mask = umask(0177);
    rc = bind(fd, (struct sockaddr *)&address, sizeof address);
    umask(mask);
    if (rc || listen(fd, 128)) {
        rc = errno;
        close(fd);
        return nx_fail_errno(err, rc, "socket '%s'", path);
    }
    *out = fd;
    return NX_OK;
}

/* "127.0.0.1:6969", "[::1]:6969", ":6969" (every address) into host and port. */
static bool split_address(const char *listen, char *host, size_t size, const char **port)
{
    const char *colon = strrchr(listen, ':');
    char *end;
    size_t len = colon ? (size_t)(colon - listen) : 0;

    if (!colon || !colon[1])
        return false;
    if (len >= 2 && listen[0] == '[' && listen[len - 1] == ']') {
        listen++;
        len -= 2;
    }
    if (len >= size)
        return false;
    memcpy(host, listen, len);
    host[len] = '\0';
    *port = colon + 1;
    return strlen(*port) <= 5 && strtoul(*port, &end, 10) <= UINT16_MAX && !*end;
}

static int listen_on(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1, saved;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!bind(fd, info->ai_addr, info->ai_addrlen) && !listen(fd, 128))
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static enum nx_code listen_tcp(const char *where, int *out, struct nx_err *err)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *info;
    const char *port;
    char host[128];
    int rc;

    if (!split_address(where, host, sizeof host, &port))
        return nx_fail(err, NX_EINVAL,
                       "--http '%s': expected ADDR:PORT (0 to 65535), unix:PATH or off", where);
    rc = getaddrinfo(host[0] ? host : NULL, port, &hints, &info);
    if (rc)
        return nx_fail(err, NX_EINVAL, "--http '%s': %s", where, gai_strerror(rc));
    *out = listen_on(info);
    rc = errno;
    freeaddrinfo(info);
    if (*out < 0)
        return nx_fail_errno(err, rc, "cannot listen on %s (choose another with --http, or off)",
                             where);
    return NX_OK;
}

static void name_address(struct http_server *server, int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char host[64], port[16];

    if (server->unix_path) {
        snprintf(server->address, sizeof server->address, "unix:%.150s", server->unix_path);
        return;
    }
    if (getsockname(fd, (struct sockaddr *)&address, &len) ||
        getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV))
        return;
    snprintf(server->address, sizeof server->address,
             address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static enum nx_code start_listening(struct http_server *server, const struct http_options *options,
                                    int *fd, struct nx_err *err)
{
    enum nx_code rc;

    *fd = -1;
    if (strncmp(options->listen, "unix:", 5) != 0) {
        rc = listen_tcp(options->listen, fd, err);
    } else {
        rc = listen_unix(options->listen + 5, fd, err);
        if (rc == NX_OK && !(server->unix_path = strdup(options->listen + 5)))
            rc = nx_fail_nomem(err);
    }
    if (rc == NX_OK)
        name_address(server, *fd);
    return rc;
}

static enum nx_code start_daemon(struct http_server *server, const struct http_options *options,
                                 int fd, struct nx_err *err)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->tls_cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->tls_key},
        {MHD_OPTION_END, 0, NULL},
    };

    if (options->tls_cert)
        flags |= MHD_USE_TLS;
    else
        tls[0].option = MHD_OPTION_END;
    server->tls = options->tls_cert != NULL;
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_access, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_target, server,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        server, MHD_OPTION_CONNECTION_LIMIT, options->max_connections,
        MHD_OPTION_CONNECTION_TIMEOUT, options->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (server->daemon)
        return NX_OK;
    if (server->tls)
        return nx_fail(
            err, NX_EINVAL,
            "the HTTPS server for %s did not start: are --tls-cert and --tls-key the PEM "
            "files of one another?",
            options->listen);
    return nx_fail(err, NX_EIO, "the HTTP server for %s did not start", options->listen);
}

enum nx_code http_start(struct service *service, const struct http_options *options,
                        struct http_server **out, struct nx_err *err)
{
    struct http_server *server;
    enum nx_code rc;
    int fd = -1;

    *out = NULL;
    server = calloc(1, sizeof *server);
    if (!server)
        return nx_fail_nomem(err);
    server->service = service;
    server->trusted = options->trusted;
    pthread_mutex_init(&server->mu, NULL);
    pthread_cond_init(&server->changed, NULL);
    pthread_cond_init(&server->watch, NULL);
    rc = start_listening(server, options, &fd, err);
    if (rc == NX_OK)
        rc = start_watcher(server, err);
    if (rc == NX_OK)
        rc = start_daemon(server, options, fd, err);
    if (rc != NX_OK)
        goto fail;
    *out = server;
    return NX_OK;

fail:
    if (fd >= 0)
        close(fd);
    http_stop(server);
    return rc;
}

bool http_is_tls(const struct http_server *server)
{
    return server->tls;
}

const char *http_address(const struct http_server *server)
{
    return server->address;
}

/* --- stopping --------------------------------------------------------------------------------- */

static void wait_for_active(struct http_server *server)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DRAIN_SECONDS;
    pthread_mutex_lock(&server->mu);
    atomic_store(&server->draining, true);
    pthread_cond_signal(&server->watch); /* endless answers end now */
    while (server->active && !pthread_cond_timedwait(&server->changed, &server->mu, &until))
        ;
    server->stopping = true;
    for (struct exchange *ex = server->exchanges; ex; ex = ex->next)
        atomic_store(&ex->request.canceled, true);
    while (server->suspended)
        pthread_cond_wait(&server->changed, &server->mu);
    pthread_mutex_unlock(&server->mu);
}

void http_stop(struct http_server *server)
{
    MHD_socket fd;

    if (!server)
        return;
    if (server->daemon) {
        fd = MHD_quiesce_daemon(server->daemon);
        if (server->unix_path)
            unlink(server->unix_path);
        wait_for_active(server);
        MHD_stop_daemon(server->daemon);
        if (fd != MHD_INVALID_SOCKET)
            close(fd);
    }
    stop_watcher(server);
    pthread_cond_destroy(&server->watch);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->mu);
    free(server->unix_path);
    free(server);
}

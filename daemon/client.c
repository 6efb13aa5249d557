/*
 * client.c - an HTTP/1.1 client of just what our daemon speaks: one request a connection, bodies
 * with a length or chunked, both ways.
 */
#include "daemon/client.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <nexadb/json.h>

enum { READ_BYTES = 64 << 10, HEAD_MAX_BYTES = 64 << 10, ERROR_MAX_BYTES = 64 << 10 };

/* --- where ------------------------------------------------------------------------------------ */

static enum nx_code split_url(struct client *client, const char *where, struct nx_err *err)
{
    const char *host = where + strlen("http://");
    size_t len = strcspn(host, "/");
    const char *colon = memrchr(host, ':', len);
    size_t host_len;

    if (colon && memchr(colon, ']', len - (size_t)(colon - host)))
        colon = NULL; /* inside [::1] */
    host_len = colon ? (size_t)(colon - host) : len;
    if (host_len >= 2 && *host == '[' && host[host_len - 1] == ']')
        client->host = strndup(host + 1, host_len - 2);
    else
        client->host = strndup(host, host_len);
    client->port = colon ? strndup(colon + 1, len - host_len - 1) : strdup("6969");
    return client->host && client->port ? NX_OK : nx_fail_nomem(err);
}

enum nx_code client_init(struct client *client, const char *where, const char *key,
                         struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    *client = (struct client){.key = key};
    if (!strncmp(where, "unix:", 5)) {
        client->unix_path = strdup(where + 5);
        rc = client->unix_path ? NX_OK : nx_fail_nomem(err);
    } else if (!strncmp(where, "http://", 7)) {
        rc = split_url(client, where, err);
    } else {
        rc = nx_fail(err, NX_EINVAL, "'%s' is neither http://HOST:PORT nor unix:PATH", where);
    }
    if (rc != NX_OK)
        client_fini(client);
    return rc;
}

void client_fini(struct client *client)
{
    free(client->unix_path);
    free(client->host);
    free(client->port);
    *client = (struct client){0};
}

static enum nx_code connect_unix(const char *path, int *out, struct nx_err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), saved;

    if (strlen(path) >= sizeof address.sun_path) {
        close(fd);
        return nx_fail(err, NX_ENAMETOOLONG, "socket '%s': the path is over %zu bytes", path,
                       sizeof address.sun_path - 1);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) {
        saved = errno;
        close(fd);
        return nx_fail_errno(err, saved, "socket '%s'", path);
    }
    *out = fd;
    return NX_OK;
}

static enum nx_code connect_tcp(const struct client *client, int *out, struct nx_err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *info;
    int fd = -1, rc = getaddrinfo(client->host, client->port, &hints, &list);

    if (rc)
        return nx_fail(err, NX_EIO, "%s:%s: %s", client->host, client->port, gai_strerror(rc));
    for (info = list; info; info = info->ai_next) {
        fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC, 0);
        if (fd >= 0 && !connect(fd, info->ai_addr, info->ai_addrlen))
            break;
        rc = errno;
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(list);
    if (fd < 0)
        return nx_fail_errno(err, rc, "no daemon at %s:%s", client->host, client->port);
    *out = fd;
    return NX_OK;
}

static enum nx_code open_connection(const struct client *client, int *out, struct nx_err *err)
{
    return client->unix_path ? connect_unix(client->unix_path, out, err)
                             : connect_tcp(client, out, err);
}

bool client_can_connect(const struct client *client)
{
    int fd;

    if (open_connection(client, &fd, NULL) != NX_OK)
        return false;
    close(fd);
    return true;
}

/* --- sending ---------------------------------------------------------------------------------- */

enum nx_code client_encode(struct nx_buf *out, const char *text)
{
    enum nx_code rc = NX_OK;

    for (; *text && rc == NX_OK; text++) {
        unsigned char c = (unsigned char)*text;

        rc = isalnum(c) || strchr("-._~", c) ? nx_buf_append_byte(out, c)
                                             : nx_buf_printf(out, "%%%02X", c);
    }
    return rc;
}

static enum nx_code send_all(int fd, const void *data, size_t len, struct nx_err *err)
{
    const char *at = data;

    while (len) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return nx_fail_errno(err, errno, "sending the request");
        at += n;
        len -= (size_t)n;
    }
    return NX_OK;
}

static enum nx_code put_header(struct nx_buf *out, const char *name, const char *value)
{
    return value ? nx_buf_printf(out, "%s: %s\r\n", name, value) : NX_OK;
}

static enum nx_code send_head(int fd, const struct client *client, const struct client_call *call,
                              struct nx_err *err)
{
    struct nx_buf head NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc;

    rc = nx_buf_printf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", call->method,
                       call->path, client->host ? client->host : "localhost");
    if (rc == NX_OK)
        rc = put_header(&head, "X-API-Key", client->key);
    if (rc == NX_OK)
        rc = put_header(&head, "Content-Type", call->type);
    if (rc == NX_OK)
        rc = put_header(&head, "Accept", call->accept);
    if (rc == NX_OK && call->body_fn)
        rc = put_header(&head, "Transfer-Encoding", "chunked");
    else if (rc == NX_OK && call->body.len)
        rc = nx_buf_printf(&head, "Content-Length: %zu\r\n", call->body.len);
    if (rc == NX_OK)
        rc = nx_buf_append_str(&head, "\r\n");
    return rc == NX_OK ? send_all(fd, head.data, head.len, err) : nx_fail_nomem(err);
}

static enum nx_code send_chunks(int fd, const struct client_call *call, bool *hung_up,
                                struct nx_err *err)
{
    struct nx_buf piece NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = NX_OK;
    char size[32];

    while (rc == NX_OK) {
        nx_buf_clear(&piece);
        rc = call->body_fn(call->body_arg, &piece, err);
        if (rc != NX_OK && rc != NX_DONE)
            return rc;
        if (piece.len) {
            enum nx_code sent;

            snprintf(size, sizeof size, "%zx\r\n", piece.len);
            sent = send_all(fd, size, strlen(size), NULL);
            if (sent == NX_OK && nx_buf_append_str(&piece, "\r\n") == NX_OK)
                sent = send_all(fd, piece.data, piece.len, NULL);
            *hung_up = sent != NX_OK;
            if (*hung_up)
                return NX_OK; /* the daemon answered early: its answer says why */
        }
    }
    *hung_up = send_all(fd, "0\r\n\r\n", 5, NULL) != NX_OK;
    return NX_OK;
}

/* --- receiving -------------------------------------------------------------------------------- */

struct answer {
    int fd;
    struct nx_buf in; /* received and not yet used */
    int status;
    bool chunked;
    uint64_t length; /* of the body, or of the chunk at hand */
};

static enum nx_code receive(struct answer *answer, struct nx_err *err)
{
    struct nx_buf *in = &answer->in;
    ssize_t n;

    if (nx_buf_reserve(in, READ_BYTES) != NX_OK)
        return nx_fail_nomem(err);
    do
        n = recv(answer->fd, in->data + in->len, READ_BYTES, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return nx_fail_errno(err, errno, "reading the answer");
    if (n == 0)
        return nx_fail(err, NX_EIO, "the daemon closed the connection before the answer's end");
    in->len += (size_t)n;
    return NX_OK;
}

static void drop(struct answer *answer, size_t len)
{
    memmove(answer->in.data, answer->in.data + len, answer->in.len - len);
    answer->in.len -= len;
}

/* The next line without its end, NUL-terminated, into `line`. */
static enum nx_code take_line(struct answer *answer, char *line, size_t size, struct nx_err *err)
{
    enum nx_code rc = NX_OK;
    uint8_t *end;
    size_t len;

    while (!answer->in.len || !(end = memchr(answer->in.data, '\n', answer->in.len))) {
        if (answer->in.len > HEAD_MAX_BYTES)
            return nx_fail(err, NX_EIO, "the answer is not HTTP");
        rc = receive(answer, err);
        if (rc != NX_OK)
            return rc;
    }
    len = (size_t)(end - answer->in.data);
    snprintf(line, size, "%.*s", (int)(len && end[-1] == '\r' ? len - 1 : len),
             (char *)answer->in.data);
    drop(answer, len + 1);
    return NX_OK;
}

static enum nx_code read_head(struct answer *answer, struct nx_err *err)
{
    char line[1024];
    enum nx_code rc = take_line(answer, line, sizeof line, err);

    if (rc != NX_OK)
        return rc;
    if (strncmp(line, "HTTP/1.1 ", 9) != 0)
        return nx_fail(err, NX_EIO, "the answer is not HTTP/1.1: '%.60s'", line);
    answer->status = (int)strtol(line + 9, NULL, 10);
    while ((rc = take_line(answer, line, sizeof line, err)) == NX_OK && *line) {
        if (!strncasecmp(line, "Content-Length:", 15))
            answer->length = strtoull(line + 15, NULL, 10);
        if (!strncasecmp(line, "Transfer-Encoding:", 18))
            answer->chunked = strcasestr(line, "chunked") != NULL;
    }
    return rc;
}

static enum nx_code pass_length(struct answer *answer, client_data_fn fn, void *arg,
                                struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    while (answer->length && rc == NX_OK) {
        size_t n = answer->in.len < answer->length ? answer->in.len : (size_t)answer->length;

        if (n)
            rc = fn(arg, nx_slice(answer->in.data, n), err);
        drop(answer, n);
        answer->length -= n;
        if (rc == NX_OK && answer->length)
            rc = receive(answer, err);
    }
    return rc;
}

static enum nx_code pass_body(struct answer *answer, client_data_fn fn, void *arg,
                              struct nx_err *err)
{
    enum nx_code rc = NX_OK;
    char line[64];

    if (!answer->chunked)
        return pass_length(answer, fn, arg, err);
    for (;;) {
        rc = take_line(answer, line, sizeof line, err);
        if (rc != NX_OK)
            return rc;
        answer->length = strtoull(line, NULL, 16);
        if (!answer->length)
            return NX_OK;
        rc = pass_length(answer, fn, arg, err);
        if (rc == NX_OK)
            rc = take_line(answer, line, sizeof line, err);
        if (rc != NX_OK)
            return rc;
    }
}

static enum nx_code collect(void *arg, struct nx_slice data, struct nx_err *err)
{
    struct nx_buf *out = arg;

    (void)err;
    return out->len < ERROR_MAX_BYTES ? nx_buf_append(out, data.data, data.len) : NX_OK;
}

static enum nx_code discard(void *arg, struct nx_slice data, struct nx_err *err)
{
    (void)arg, (void)data, (void)err;
    return NX_OK;
}

static enum nx_code code_from_name(const char *name)
{
    for (enum nx_code code = 0; code < NX_CODE_COUNT; code++)
        if (!strcmp(nx_code_name(code), name))
            return code;
    return NX_EIO;
}

static enum nx_code refused(struct answer *answer, struct nx_err *err)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value message, name;
    bool is_array;

    if (pass_body(answer, collect, &text, NULL) != NX_OK || !text.len ||
        nx_json_parse((char *)text.data, text.len, NX_JSON_DOCUMENT, 0, &doc, &is_array, NULL) !=
            NX_OK)
        return nx_fail(err, NX_EIO, "the daemon answered with status %d", answer->status);
    message = nx_doc_get_z(nx_buf_slice(&doc), "error");
    name = nx_doc_get_z(nx_buf_slice(&doc), "code");
    if (message.type != NX_TYPE_STRING || name.type != NX_TYPE_STRING)
        return nx_fail(err, NX_EIO, "the daemon answered with status %d", answer->status);
    return nx_fail(err, code_from_name((const char *)name.data), "%.*s",
                   message.len > 400 ? 400 : (int)message.len, (const char *)message.data);
}

enum nx_code client_send(const struct client *client, const struct client_call *call,
                         struct nx_err *err)
{
    struct answer answer = {.fd = -1};
    bool hung_up = false;
    enum nx_code rc = open_connection(client, &answer.fd, err);

    if (rc == NX_OK)
        rc = send_head(answer.fd, client, call, err);
    if (rc == NX_OK && call->body_fn)
        rc = send_chunks(answer.fd, call, &hung_up, err);
    else if (rc == NX_OK && call->body.len)
        rc = send_all(answer.fd, call->body.data, call->body.len, err);
    if (rc == NX_OK)
        rc = read_head(&answer, err);
    if (rc == NX_OK && answer.status >= 300)
        rc = refused(&answer, err);
    else if (rc == NX_OK)
        rc = pass_body(&answer, call->data_fn ? call->data_fn : discard, call->data_arg, err);
    if (answer.fd >= 0)
        close(answer.fd);
    nx_buf_fini(&answer.in);
    return rc;
}

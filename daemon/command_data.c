/*
 * command_data.c - import and export.
 *
 * The files go to the daemon as they are, piece by piece; it tells documents apart and rejects bad
 * ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nexadb/json.h>

#include "daemon/command.h"

enum { PIECE_BYTES = 256 << 10, SHOWN_ERRORS = 10 };

struct upload {
    const char *name; /* of the file; "-" is stdin */
    int fd;
    uint64_t sent, size; /* size 0: not known */
    bool progress;
    unsigned shown_percent;
};

static void show_progress(struct upload *upload)
{
    unsigned percent;

    if (!upload->progress || !upload->size)
        return;
    percent = (unsigned)(upload->sent * 100 / upload->size);
    if (percent == upload->shown_percent)
        return;
    upload->shown_percent = percent;
    fprintf(stderr, "\r%s: %3u %%%s", upload->name, percent, percent == 100 ? "\n" : "");
}

static enum nx_code read_piece(void *arg, struct nx_buf *out, struct nx_err *err)
{
    struct upload *upload = arg;
    ssize_t n;

    if (nx_buf_reserve(out, PIECE_BYTES) != NX_OK)
        return nx_fail_nomem(err);
    do
        n = read(upload->fd, out->data, PIECE_BYTES);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return nx_fail_errno(err, errno, "'%s'", upload->name);
    out->len = (size_t)n;
    upload->sent += (uint64_t)n;
    show_progress(upload);
    return n ? NX_OK : NX_DONE;
}

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);

    return a >= b && !strcasecmp(text + a - b, end);
}

/* CSV has to be told; NDJSON, JSON values and arrays are one format to the daemon. NULL: unknown.
 */
static const char *content_type(const char *format, const char *name)
{
    static const struct {
        const char *format, *type;
    } types[] = {
        {"ndjson", "application/x-ndjson"}, {"json", "application/json"}, {"csv", "text/csv"}};

    if (!format)
        return ends_with(name, ".csv") ? "text/csv" : "application/x-ndjson";
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (!strcmp(format, types[i].format))
            return types[i].type;
    return NULL;
}

static enum nx_code collect(void *arg, struct nx_slice data, struct nx_err *err)
{
    return nx_buf_append(arg, data.data, data.len) == NX_OK ? NX_OK : nx_fail_nomem(err);
}

/* --- the outcome ------------------------------------------------------------------------------ */

struct totals {
    int64_t inserted, replaced, rejected;
};

static int64_t number(struct nx_slice doc, const char *name)
{
    struct nx_value value = nx_doc_get_z(doc, name);
    int64_t n;

    return nx_value_to_int64(&value, &n) ? n : 0;
}

static void print_errors(const char *name, struct nx_slice answer)
{
    struct nx_value list = nx_doc_get_z(answer, "errors");
    struct nx_doc_iter iter;

    if (list.type != NX_TYPE_ARRAY)
        return;
    nx_doc_iter_init(&iter, nx_value_slice(&list));
    for (int i = 0; i < SHOWN_ERRORS && nx_doc_iter_next(&iter); i++) {
        struct nx_value message = nx_doc_get_z(nx_value_slice(&iter.value), "error");

        if (message.type == NX_TYPE_STRING)
            fprintf(stderr, "%s:%lld: %.*s\n", name,
                    (long long)number(nx_value_slice(&iter.value), "line"), (int)message.len,
                    (const char *)message.data);
    }
}

static void add_outcome(const char *name, struct nx_buf *answer, struct totals *totals)
{
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    bool is_array;

    if (nx_json_parse((char *)answer->data, answer->len, NX_JSON_DOCUMENT, 0, &doc, &is_array,
                      NULL) != NX_OK)
        return;
    totals->inserted += number(nx_buf_slice(&doc), "inserted");
    totals->replaced += number(nx_buf_slice(&doc), "replaced");
    totals->rejected += number(nx_buf_slice(&doc), "rejected");
    print_errors(name, nx_buf_slice(&doc));
}

/* --- import ----------------------------------------------------------------------------------- */

static enum nx_code open_upload(struct upload *upload, const char *name, struct nx_err *err)
{
    struct stat st;

    *upload = (struct upload){.name = name, .fd = STDIN_FILENO, .shown_percent = 101};
    upload->progress = isatty(STDERR_FILENO);
    if (!strcmp(name, "-")) {
        upload->name = "stdin";
        return NX_OK;
    }
    upload->fd = open(name, O_RDONLY | O_CLOEXEC);
    if (upload->fd < 0)
        return nx_fail_errno(err, errno, "'%s'", name);
    if (!fstat(upload->fd, &st) && S_ISREG(st.st_mode))
        upload->size = (uint64_t)st.st_size;
    return NX_OK;
}

static enum nx_code import_file(const struct cli *cli, const struct session *session,
                                const char *path, const char *name, struct totals *totals,
                                struct nx_err *err)
{
    struct nx_buf answer NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct upload upload;
    struct client_call call = {
        .method = "POST",
        .path = path,
        .type = content_type(cli->config.format, name),
        .body_fn = read_piece,
        .body_arg = &upload,
        .data_fn = collect,
        .data_arg = &answer,
    };
    enum nx_code rc = open_upload(&upload, name, err);

    if (rc != NX_OK)
        return rc;
    rc = client_send(&session->client, &call, err);
    if (rc == NX_OK)
        add_outcome(upload.name, &answer, totals);
    if (upload.fd != STDIN_FILENO)
        close(upload.fd);
    return rc;
}

static enum nx_code import_files(const struct cli *cli, const struct session *session,
                                 struct totals *totals, struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = nx_buf_append_str(&path, "/collections/");

    if (rc == NX_OK)
        rc = client_encode(&path, cli->argv[1]);
    if (rc == NX_OK)
        rc = nx_buf_append(&path, "/import", sizeof "/import");
    if (rc != NX_OK)
        return nx_fail_nomem(err);
    if (cli->argc == 2)
        return import_file(cli, session, (char *)path.data, "-", totals, err);
    for (int i = 2; i < cli->argc && rc == NX_OK; i++)
        rc = import_file(cli, session, (char *)path.data, cli->argv[i], totals, err);
    return rc;
}

int command_import(struct cli *cli)
{
    struct nx_err err = NX_ERR_INIT;
    struct totals totals = {0};
    struct session session;
    enum nx_code rc, closed;

    if (cli->config.format && !content_type(cli->config.format, ""))
        return cli_usage(cli, "--format is ndjson, json or csv");
    if (cli->argc == 2 && isatty(STDIN_FILENO))
        fprintf(stderr, "nexadb import: reading documents from the terminal; ctrl-D ends\n");
    rc = session_open(&session, cli, cli->argv[0], true, &err);
    if (rc != NX_OK)
        return cli_fail(cli, &err);
    rc = import_files(cli, &session, &totals, &err);
    closed = session_close(&session, rc == NX_OK ? &err : NULL);
    if (rc != NX_OK || closed != NX_OK)
        cli_fail(cli, &err);
    printf("%lld inserted, %lld replaced, %lld rejected\n", (long long)totals.inserted,
           (long long)totals.replaced, (long long)totals.rejected);
    return rc == NX_OK && closed == NX_OK && !totals.rejected ? EXIT_DONE : EXIT_FAILED;
}

/* --- export ----------------------------------------------------------------------------------- */

static enum nx_code print_data(void *arg, struct nx_slice data, struct nx_err *err)
{
    (void)arg;
    if (fwrite(data.data, 1, data.len, stdout) != data.len)
        return nx_fail(err, NX_EIO, "the output cannot be written");
    return NX_OK;
}

static enum nx_code build_export_path(const struct cli *cli, struct nx_buf *path)
{
    enum nx_code rc = nx_buf_append_str(path, "/collections/");

    if (rc == NX_OK)
        rc = client_encode(path, cli->argv[1]);
    if (rc == NX_OK)
        rc = nx_buf_append_str(path, "/export?format=");
    if (rc == NX_OK)
        rc = client_encode(path, cli->config.format ? cli->config.format : "ndjson");
    return rc == NX_OK ? nx_buf_append_byte(path, 0) : rc;
}

int command_export(struct cli *cli)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct client_call call = {.method = "GET", .data_fn = print_data};
    struct nx_err err = NX_ERR_INIT;
    struct session session;
    enum nx_code rc, closed;

    rc = build_export_path(cli, &path);
    if (rc == NX_OK)
        rc = session_open(&session, cli, cli->argv[0], false, &err);
    if (rc != NX_OK)
        return cli_fail(cli, &err);
    call.path = (char *)path.data;
    rc = client_send(&session.client, &call, &err);
    closed = session_close(&session, rc == NX_OK ? &err : NULL);
    if (rc == NX_OK && fflush(stdout))
        rc = nx_fail(&err, NX_EIO, "the output cannot be written");
    return rc == NX_OK && closed == NX_OK ? EXIT_DONE : cli_fail(cli, &err);
}

/* command_query.c - query, aggregate, vsearch, count and stats: a call of the REST door each. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <nexadb/json.h>

#include "daemon/command.h"
#include "daemon/json_out.h"

static enum nx_code print_data(void *arg, struct nx_slice data, struct nx_err *err)
{
    (void)arg;
    if (fwrite(data.data, 1, data.len, stdout) != data.len)
        return nx_fail(err, NX_EIO, "the output cannot be written");
    return NX_OK;
}

static enum nx_code collect_data(void *arg, struct nx_slice data, struct nx_err *err)
{
    return nx_buf_append(arg, data.data, data.len) == NX_OK ? NX_OK : nx_fail_nomem(err);
}

/* Open, call, close: NX_OK only when all three went well. */
static int run_call(struct cli *cli, const struct client_call *call)
{
    struct nx_err err = NX_ERR_INIT;
    struct session session;
    enum nx_code rc = session_open(&session, cli, cli->argv[0], false, &err), closed;

    if (rc != NX_OK)
        return cli_fail(cli, &err);
    rc = client_send(&session.client, call, &err);
    closed = session_close(&session, rc == NX_OK ? &err : NULL);
    if (rc == NX_OK && closed == NX_OK && fflush(stdout))
        rc = nx_fail(&err, NX_EIO, "the output cannot be written");
    return rc == NX_OK && closed == NX_OK ? EXIT_DONE : cli_fail(cli, &err);
}

/* "/collections/NAME/ACTION" of the second argument. */
static enum nx_code build_path(const struct cli *cli, const char *before, const char *after,
                               struct nx_buf *out)
{
    enum nx_code rc = nx_buf_append_str(out, before);

    if (rc == NX_OK)
        rc = client_encode(out, cli->argv[1]);
    if (rc == NX_OK)
        rc = nx_buf_append_str(out, after);
    return rc == NX_OK ? nx_buf_append_byte(out, 0) : rc;
}

/* A member whose text is JSON already; what it holds is checked by the daemon. */
static void put_json(struct json_out *out, const char *key, const char *text)
{
    if (!text)
        return;
    json_key(out, key);
    json_raw(out, text);
}

/* Text that goes into a body must be one JSON value, or it could close what it stands in. */
static bool is_json(struct cli *cli, const char *what, const char *text)
{
    struct nx_buf parsed NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;

    if (!text || nx_json_parse_value(text, strlen(text), NX_JSON_QUERY, &parsed, &err) == NX_OK)
        return true;
    fprintf(stderr, "nexadb %s: the %s: %s\n", cli->command->name, what, err.message);
    return false;
}

static int post(struct cli *cli, const char *before, const char *after, struct json_out *body,
                client_data_fn fn, void *arg)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    struct client_call call = {
        .method = "POST",
        .type = "application/json",
        .accept = fn == print_data ? "application/x-ndjson" : "application/json",
        .data_fn = fn,
        .data_arg = arg,
    };

    json_raw(body, "}");
    if (body->failed != NX_OK || build_path(cli, before, after, &path) != NX_OK) {
        nx_fail_nomem(&err);
        return cli_fail(cli, &err);
    }
    call.path = (char *)path.data;
    call.body = nx_buf_slice(body->buf);
    return run_call(cli, &call);
}

int command_query(struct cli *cli)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    const struct config *config = &cli->config;
    const char *filter = cli->argc > 2 ? cli->argv[2] : NULL;
    struct json_out body;

    if (!is_json(cli, "filter", filter) || !is_json(cli, "projection", config->projection) ||
        !is_json(cli, "sort", config->sort))
        return EXIT_FAILED;
    json_init(&body, &text);
    json_raw(&body, "{");
    put_json(&body, "query", filter);
    put_json(&body, "projection", config->projection);
    put_json(&body, "sort", config->sort);
    json_uint(&body, "skip", config->skip);
    json_uint(&body, "limit", config->limit);
    if (config->explain)
        json_bool(&body, "explain", true);
    return post(cli, "/collections/", "/query", &body, print_data, NULL);
}

int command_aggregate(struct cli *cli)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct json_out body;

    if (!is_json(cli, "pipeline", cli->argv[2]))
        return EXIT_FAILED;
    json_init(&body, &text);
    json_raw(&body, "{");
    put_json(&body, "pipeline", cli->argv[2]);
    if (cli->config.explain)
        json_bool(&body, "explain", true);
    return post(cli, "/collections/", "/aggregate", &body, print_data, NULL);
}

/* An id is JSON where it is JSON, and else the text of a string id. */
static void put_like(struct json_out *body, const char *like)
{
    struct nx_buf parsed NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    if (!like)
        return;
    if (nx_json_parse_value(like, strlen(like), NX_JSON_DOCUMENT, &parsed, NULL) == NX_OK)
        put_json(body, "like", like);
    else
        json_text_z(body, "like", like);
}

int command_vsearch(struct cli *cli)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    const struct config *config = &cli->config;
    const char *vector = cli->argc > 2 ? cli->argv[2] : NULL;
    struct json_out body;

    if (!vector == !config->like)
        return cli_usage(cli, "give either a vector, [0.1, 0.2, ...], or --like ID");
    if (!is_json(cli, "vector", vector) || !is_json(cli, "filter", config->filter))
        return EXIT_FAILED;
    json_init(&body, &text);
    json_raw(&body, "{");
    put_json(&body, "vector", vector);
    put_like(&body, config->like);
    put_json(&body, "filter", config->filter);
    json_uint(&body, "limit", config->limit ? config->limit : 10);
    if (config->field)
        json_text_z(&body, "field", config->field);
    if (config->metric)
        json_text_z(&body, "metric", config->metric);
    if (config->exact)
        json_bool(&body, "exact", true);
    return post(cli, "/vector/", "/search", &body, print_data, NULL);
}

static enum nx_code parse_answer(struct nx_buf *text, struct nx_buf *doc)
{
    bool is_array;

    return nx_json_parse((char *)text->data, text->len, NX_JSON_DOCUMENT, 0, doc, &is_array, NULL);
}

int command_count_documents(struct cli *cli)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf answer NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    const char *filter = cli->argc > 2 ? cli->argv[2] : NULL;
    struct nx_value value;
    struct json_out body;
    int64_t count;
    int status;

    if (!is_json(cli, "filter", filter))
        return EXIT_FAILED;
    json_init(&body, &text);
    json_raw(&body, "{");
    put_json(&body, "filter", filter);
    status = post(cli, "/collections/", "/count", &body, collect_data, &answer);
    if (status != EXIT_DONE || parse_answer(&answer, &doc) != NX_OK)
        return status;
    value = nx_doc_get_z(nx_buf_slice(&doc), "count");
    if (!nx_value_to_int64(&value, &count))
        return EXIT_FAILED;
    printf("%lld\n", (long long)count);
    return EXIT_DONE;
}

int command_stats(struct cli *cli)
{
    struct nx_buf answer NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct client_call call = {
        .method = "GET", .path = "/stats", .data_fn = collect_data, .data_arg = &answer};
    struct nx_value stats;
    int status = run_call(cli, &call);

    if (status != EXIT_DONE || parse_answer(&answer, &doc) != NX_OK)
        return status;
    stats = nx_doc_get_z(nx_buf_slice(&doc), "stats");
    if (nx_json_write(nx_value_slice(&stats), false, NX_JSON_RELAXED, 2, NULL, &out) != NX_OK)
        return EXIT_FAILED;
    printf("%.*s\n", (int)out.len, (char *)out.data);
    return EXIT_DONE;
}

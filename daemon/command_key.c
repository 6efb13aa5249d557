/* command_key.c - key, check and version. */
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>

#include <nexadb/db.h>
#include <nexadb/json.h>
#include <nexadb/version.h>

#include "daemon/command.h"
#include "daemon/json_out.h"
#include "daemon/log.h"
#include "daemon/service.h"

static enum nx_code collect(void *arg, struct nx_slice data, struct nx_err *err)
{
    return nx_buf_append(arg, data.data, data.len) == NX_OK ? NX_OK : nx_fail_nomem(err);
}

/* Send, and parse the answer into `doc`. */
static int call_and_parse(struct cli *cli, const struct client_call *wanted, struct nx_buf *doc)
{
    struct nx_buf answer NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    struct client_call call = *wanted;
    struct session session;
    bool is_array;
    enum nx_code rc = session_open(&session, cli, cli->argv[1], false, &err);

    if (rc != NX_OK)
        return cli_fail(cli, &err);
    call.data_fn = collect;
    call.data_arg = &answer;
    rc = client_send(&session.client, &call, &err);
    session_close(&session, NULL);
    if (rc == NX_OK)
        rc = nx_json_parse((char *)answer.data, answer.len, NX_JSON_DOCUMENT, 0, doc, &is_array,
                           &err);
    return rc == NX_OK ? EXIT_DONE : cli_fail(cli, &err);
}

static void put_option(struct json_out *body, const char *key, const char *text)
{
    if (text)
        json_text_z(body, key, text);
}

static int create_key(struct cli *cli)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct client_call call = {.method = "POST", .path = "/keys", .type = "application/json"};
    struct nx_value key;
    struct json_out body;
    int status;

    json_init(&body, &text);
    json_raw(&body, "{");
    json_text_z(&body, "name", cli->argv[2]);
    put_option(&body, "role", cli->config.role);
    put_option(&body, "prefix", cli->config.prefix);
    put_option(&body, "expires", cli->config.expires);
    put_option(&body, "value", cli->config.value);
    json_raw(&body, "}");
    call.body = nx_buf_slice(&text);
    status = call_and_parse(cli, &call, &doc);
    if (status != EXIT_DONE)
        return status;
    key = nx_doc_get_z(nx_buf_slice(&doc), "key");
    printf("%.*s\n", (int)key.len, (const char *)key.data);
    fprintf(stderr, "this is the only time the key is shown\n");
    return EXIT_DONE;
}

static void print_field(struct nx_slice key, const char *name, int width)
{
    struct nx_value value = nx_doc_get_z(key, name);
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    if (value.type == NX_TYPE_STRING)
        nx_buf_append(&text, value.data, value.len);
    else if (value.type == NX_TYPE_DATE)
        nx_json_write_value(&value, NX_JSON_RELAXED, &text);
    if (value.type == NX_TYPE_DATE && text.len > 12) /* {"$date":"..."} */
        printf("%-*.*s ", width, (int)text.len - 12, (char *)text.data + 10);
    else
        printf("%-*.*s ", width, (int)text.len, text.len ? (char *)text.data : "");
}

static int list_keys(struct cli *cli)
{
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct client_call call = {.method = "GET", .path = "/keys"};
    struct nx_doc_iter iter;
    struct nx_value keys;
    int status = call_and_parse(cli, &call, &doc);

    if (status != EXIT_DONE)
        return status;
    printf("%-20s %-6s %-20s %-24s\n", "NAME", "ROLE", "PREFIX", "EXPIRES");
    keys = nx_doc_get_z(nx_buf_slice(&doc), "keys");
    nx_doc_iter_init(&iter, nx_value_slice(&keys));
    while (nx_doc_iter_next(&iter)) {
        print_field(nx_value_slice(&iter.value), "name", 20);
        print_field(nx_value_slice(&iter.value), "role", 6);
        print_field(nx_value_slice(&iter.value), "prefix", 20);
        print_field(nx_value_slice(&iter.value), "expires", 24);
        putchar('\n');
    }
    return EXIT_DONE;
}

static int revoke_key(struct cli *cli)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct client_call call = {.method = "DELETE"};

    if (nx_buf_append_str(&path, "/keys/") != NX_OK ||
        client_encode(&path, cli->argv[2]) != NX_OK || nx_buf_append_byte(&path, 0) != NX_OK)
        return EXIT_FAILED;
    call.path = (char *)path.data;
    return call_and_parse(cli, &call, &doc);
}

int command_key(struct cli *cli)
{
    static const struct {
        const char *name;
        int args;
        int (*run)(struct cli *cli);
    } actions[] = {{"create", 3, create_key}, {"list", 2, list_keys}, {"revoke", 3, revoke_key}};

    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(cli->argv[0], actions[i].name) != 0)
            continue;
        if (cli->argc != actions[i].args)
            return cli_usage(cli, actions[i].args == 3 ? "the key's name is missing"
                                                       : "too many arguments");
        return actions[i].run(cli);
    }
    return cli_usage(cli, "'%s' is not create, list or revoke", cli->argv[0]);
}

int command_version(struct cli *cli)
{
    (void)cli;
    printf("nexadb %s\n", NX_VERSION);
#if defined(__clang__)
    printf("compiler: clang %s\n", __clang_version__);
#else
    printf("compiler: gcc %s\n", __VERSION__);
#endif
    printf("libmicrohttpd %s, gnutls %s\n", MHD_get_version(), gnutls_check_version(NULL));
    return EXIT_DONE;
}

/*
 * command.h - the commands of the program: one row each.
 *
 * A command returns its exit status: 0 done, 1 failed, 2 wrong usage.
 */
#ifndef DAEMON_COMMAND_H
#define DAEMON_COMMAND_H

#include <nexadb/error.h>

#include "daemon/client.h"
#include "daemon/config.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct cli;
struct command {
    const char *name;
    const char *usage; /* what follows the name */
    const char *summary;
    unsigned groups; /* of options */
    int min_args, max_args;
    int (*run)(struct cli *cli);
    const char *details; /* NULL, or text under the options of --help */
};
extern const struct command command_table[];
extern const size_t command_count;

/* One invocation. */
struct cli {
    const struct command *command;
    struct config config;
    int argc; /* arguments that are no options */
    char **argv;
};

/* "nexadb NAME: message" on stderr; returns EXIT_FAILED. */
int cli_fail(const struct cli *cli, const struct nx_err *err);
int cli_usage(const struct cli *cli, const char *format, ...) NX_PRINTF(2, 3);

/* A connection to whatever serves a DATADIR or URL; a DATADIR nobody serves is opened for the time.
 */
struct service;
struct session {
    struct client client;
    struct service *own; /* NULL: another process's daemon */
};
/* `create`: a DATADIR that does not exist is made. */
enum nx_code session_open(struct session *session, const struct cli *cli, const char *target,
                          bool create, struct nx_err *err);
/* NX_OK means that what was written is durable. */
enum nx_code session_close(struct session *session, struct nx_err *err);

int command_mount(struct cli *cli);
int command_umount(struct cli *cli);
int command_serve(struct cli *cli);
int command_import(struct cli *cli);
int command_export(struct cli *cli);
int command_query(struct cli *cli);
int command_aggregate(struct cli *cli);
int command_vsearch(struct cli *cli);
int command_count_documents(struct cli *cli);
int command_stats(struct cli *cli);
int command_key(struct cli *cli);
int command_check(struct cli *cli);
int command_repair(struct cli *cli);
int command_dump(struct cli *cli);
int command_version(struct cli *cli);

#endif

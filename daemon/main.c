/* main.c - the program `nexadb`: finds the command, reads its options, runs it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/command.h"
#include "daemon/options.h"
#include "daemon/whole_file.h"

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < command_count; i++)
        if (!strcmp(command_table[i].name, name))
            return &command_table[i];
    return NULL;
}

static void print_commands(FILE *out)
{
    fputs("nexadb - a document database that you can mount\n\n"
          "usage: nexadb COMMAND [OPTIONS] ...\n\n",
          out);
    for (size_t i = 0; i < command_count; i++)
        fprintf(out, "  %-10s %s\n", command_table[i].name, command_table[i].summary);
    fputs("\n\"nexadb COMMAND --help\" tells more. Every option is also NEXADB_<NAME> in the\n"
          "environment and a line \"name = value\" of the file that --config names; a flag wins "
          "over\n"
          "the environment, which wins over the file.\n",
          out);
}

static void print_help(const struct command *command)
{
    printf("usage: nexadb %s %s\n\n%s\n\n", command->name, command->usage, command->summary);
    options_print_help(stdout, command->groups | OPTIONS_PROGRAM);
    if (command->details)
        printf("\n%s", command->details);
}

int cli_fail(const struct cli *cli, const struct nx_err *err)
{
    fprintf(stderr, "nexadb %s: %s\n", cli->command->name,
            err->message[0] ? err->message : nx_code_text(err->code));
    return EXIT_FAILED;
}

int cli_usage(const struct cli *cli, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "nexadb %s: ", cli->command->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nusage: nexadb %s %s\n", cli->command->name, cli->command->usage);
    return EXIT_USAGE;
}

static enum nx_code read_file(struct config *config, const char *path, struct nx_err *err)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = whole_file_read(path, &text, err);

    return rc == NX_OK ? options_from_text(config, (char *)text.data, text.len, path, err) : rc;
}

/* The configuration file is the first to be read and the last to be named: by a flag, else by the
 * environment. */
static enum nx_code find_file(unsigned groups, int argc, char **argv, char **out,
                              struct nx_err *err)
{
    char **copy = calloc((size_t)argc + 1, sizeof *copy);
    struct config config;
    enum nx_code rc;
    int rest;

    *out = NULL;
    if (!copy)
        return nx_fail_nomem(err);
    memcpy(copy, argv, (size_t)argc * sizeof *copy);
    rc = options_defaults(&config, err);
    if (rc == NX_OK)
        rc = options_from_env(&config, groups, getenv, err);
    if (rc == NX_OK)
        rc = options_from_args(&config, groups, argc, copy, &rest, err);
    if (rc == NX_OK && !config.help) {
        *out = config.config_file;
        config.config_file = NULL;
    }
    config_fini(&config);
    free(copy);
    return rc;
}

static enum nx_code read_settings(struct cli *cli, int argc, char **argv, struct nx_err *err)
{
    unsigned groups = cli->command->groups | OPTIONS_PROGRAM;
    char *path;
    enum nx_code rc = find_file(groups, argc, argv, &path, err);

    if (rc == NX_OK)
        rc = options_defaults(&cli->config, err);
    if (rc == NX_OK && path)
        rc = read_file(&cli->config, path, err);
    if (rc == NX_OK)
        rc = options_from_env(&cli->config, groups, getenv, err);
    if (rc == NX_OK)
        rc = options_from_args(&cli->config, groups, argc, argv, &cli->argc, err);
    free(path);
    return rc;
}

static int run(const struct command *command, int argc, char **argv)
{
    struct cli cli = {.command = command, .argv = argv};
    struct nx_err err = NX_ERR_INIT;
    int status;

    if (read_settings(&cli, argc, argv, &err) != NX_OK)
        status = cli_usage(&cli, "%s", err.message);
    else if (cli.config.help)
        status = (print_help(command), EXIT_DONE);
    else if (cli.config.print_config)
        status = (options_print_config(stdout, &cli.config, command->groups), EXIT_DONE);
    else if (cli.argc < command->min_args || cli.argc > command->max_args)
        status = cli_usage(&cli, cli.argc < command->min_args ? "an argument is missing"
                                                              : "too many arguments");
    else
        status = command->run(&cli);
    config_fini(&cli.config);
    return status;
}

int main(int argc, char **argv)
{
    const struct command *command;

    if (argc < 2) {
        print_commands(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_commands(stdout);
        return EXIT_DONE;
    }
    command = find_command(strcmp(argv[1], "--version") ? argv[1] : "version");
    if (!command) {
        fprintf(stderr, "nexadb: there is no command '%s'; \"nexadb --help\" lists them\n",
                argv[1]);
        return EXIT_USAGE;
    }
    return run(command, argc - 2, argv + 2);
}

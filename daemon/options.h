/*
 * options.h - the settings a user can make: one row each, for flags, environment and file alike.
 *
 * A row's name makes the flag --NAME, the variable NEXADB_NAME and the file key NAME. A flag wins
 * over the environment, which wins over the file.
 */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <nexadb/buf.h>
#include <nexadb/error.h>

#include "daemon/config.h"

enum option_type {
    OPTION_FLAG, /* no value: given or not */
    OPTION_TEXT,
    OPTION_LIST,   /* text; given again, it is joined by a comma */
    OPTION_NUMBER, /* a decimal number within its bounds */
    OPTION_SIZE,   /* the same with K, M or G (powers of 1,024) */
    OPTION_CHOICE, /* one of `choices`, separated by '|'; stored as its position */
};

/* Which commands take an option. */
enum option_group {
    OPTIONS_PROGRAM = 1, /* all commands */
    OPTIONS_SERVER = 2,  /* mount, serve */
    OPTIONS_MOUNT = 4,
    OPTIONS_ENGINE = 8,  /* whatever may open a data directory */
    OPTIONS_CLIENT = 16, /* whatever may ask a daemon */
    OPTIONS_FIND = 32,
    OPTIONS_EXPLAIN = 64,
    OPTIONS_VSEARCH = 128,
    OPTIONS_IMPORT = 256,
    OPTIONS_KEY = 512,
    OPTIONS_LIMIT = 1024,
};

struct option_row {
    const char *name;
    char letter; /* 0, or the short flag */
    enum option_type type;
    unsigned groups;      /* enum option_group bits */
    size_t offset;        /* of the field in struct config */
    const char *fallback; /* the default as a user would write it; NULL: none */
    uint64_t min, max;    /* bounds of a number or size */
    const char *choices;
    const char *value_name; /* how help names the value */
    const char *help;
};

extern const struct option_row option_table[];
extern const size_t option_count;

/* Every field from its row's fallback. */
enum nx_code options_defaults(struct config *config, struct nx_err *err);
/* One setting; `source` begins the message of a refusal. NX_EINVAL, NX_ENOMEM. */
enum nx_code option_set(struct config *config, const struct option_row *row, const char *value,
                        const char *source, struct nx_err *err);
const struct option_row *option_find(const char *name, size_t len, unsigned groups);
/* "NEXADB_CACHE_BYTES", appended with its NUL not counted. */
enum nx_code option_env_name(const struct option_row *row, struct nx_buf *out);

/* Settings found in the environment. `getenv_fn` is getenv outside tests. */
enum nx_code options_from_env(struct config *config, unsigned groups,
                              char *(*getenv_fn)(const char *), struct nx_err *err);
/* "name = value" lines; '#' begins a comment; a value may be quoted. `name` is for messages. */
enum nx_code options_from_text(struct config *config, const char *text, size_t len,
                               const char *name, struct nx_err *err);
/*
 * Flags of a command line; what is no flag is moved to the front of `argv` and counted in *rest.
 * "--" ends the flags.
 */
enum nx_code options_from_args(struct config *config, unsigned groups, int argc, char **argv,
                               int *rest, struct nx_err *err);

/* The rows of `groups` as help text, or as a configuration file of the present values. */
void options_print_help(FILE *out, unsigned groups);
void options_print_config(FILE *out, const struct config *config, unsigned groups);

#endif

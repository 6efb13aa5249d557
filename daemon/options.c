/*
 * options.c - the option table and its readers.
 *
 * A value takes the same way into struct config from wherever it comes: option_set checks it
 * against its row. What the commands accept, --help, --print-config and the manual page are all
 * read from the rows.
 */
#include "daemon/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include <nexadb/version.h>

#define AT(field) offsetof(struct config, field)
#define KIB 1024u
#define MIB (1024u * 1024u)
#define GIB (1024ull * 1024 * 1024)

const struct option_row option_table[] = {
    {"api-key", 0, OPTION_TEXT, OPTIONS_CLIENT, AT(api_key), NULL, 0, 0, NULL, "KEY",
     "key to present to a daemon that is named by its URL"},
    {"cache-bytes", 0, OPTION_SIZE, OPTIONS_ENGINE, AT(cache_bytes), "64M", 0, 1024 * GIB, NULL,
     "SIZE", "memory for decompressed blocks of table files"},
    {"config", 0, OPTION_TEXT, OPTIONS_PROGRAM, AT(config_file), NULL, 0, 0, NULL, "FILE",
     "read settings from FILE, one \"name = value\" a line"},
    {"cors-origin", 0, OPTION_TEXT, OPTIONS_SERVER, AT(cors_origin), NULL, 0, 0, NULL, "ORIGIN",
     "let pages of ORIGIN (\"*\": any) use the REST door from a browser"},
    {"durability", 0, OPTION_CHOICE, OPTIONS_SERVER, AT(durability), "sync", 0, 0, "sync|buffered",
     "LEVEL", "when a REST write is acknowledged: on stable storage, or within a second of it"},
    {"exact", 0, OPTION_FLAG, OPTIONS_VSEARCH, AT(exact), NULL, 0, 0, NULL, NULL,
     "compare with every vector instead of using an index"},
    {"expires", 0, OPTION_TEXT, OPTIONS_KEY, AT(expires), NULL, 0, 0, NULL, "TIME",
     "when the key ends: 2030-01-31, 2030-01-31T12:00:00Z, or 90d, 12h, 30m from now"},
    {"explain", 0, OPTION_FLAG, OPTIONS_EXPLAIN, AT(explain), NULL, 0, 0, NULL, NULL,
     "print the plan instead of the result"},
    {"feed-bytes", 0, OPTION_SIZE, OPTIONS_ENGINE, AT(feed_bytes), "1G", 64 * KIB, 1024 * GIB, NULL,
     "SIZE", "how much of the change feed is kept at most"},
    {"feed-days", 0, OPTION_NUMBER, OPTIONS_ENGINE, AT(feed_days), "7", 1, 3650, NULL, "DAYS",
     "for how long the change feed is kept at most"},
    {"field", 0, OPTION_TEXT, OPTIONS_VSEARCH, AT(field), NULL, 0, 0, NULL, "PATH",
     "where the vectors are in a document (default: vector)"},
    {"filter", 0, OPTION_TEXT, OPTIONS_VSEARCH, AT(filter), NULL, 0, 0, NULL, "JSON",
     "only documents that match"},
    {"foreground", 'f', OPTION_FLAG, OPTIONS_MOUNT, AT(foreground), NULL, 0, 0, NULL, NULL,
     "stay in the foreground and log to stderr"},
    {"format", 0, OPTION_TEXT, OPTIONS_IMPORT, AT(format), NULL, 0, 0, NULL, "FORMAT",
     "ndjson, json (an array) or csv; import tells it from the file's name when not given"},
    {"help", 'h', OPTION_FLAG, OPTIONS_PROGRAM, AT(help), NULL, 0, 0, NULL, NULL,
     "print this help"},
    {"http", 0, OPTION_TEXT, OPTIONS_SERVER, AT(http), "127.0.0.1:6969", 0, 0, NULL, "WHERE",
     "where REST listens: ADDR:PORT (port 0: any free one), unix:PATH or off"},
    {"idle-timeout-s", 0, OPTION_NUMBER, OPTIONS_SERVER, AT(idle_timeout_s), "60", 1, 86400, NULL,
     "SECONDS", "close a REST connection on which nothing moved for so long"},
    {"like", 0, OPTION_TEXT, OPTIONS_VSEARCH, AT(like), NULL, 0, 0, NULL, "ID",
     "search with the vector of this document (JSON, or the text of a string id)"},
    {"limit", 0, OPTION_NUMBER, OPTIONS_FIND | OPTIONS_VSEARCH | OPTIONS_LIMIT, AT(limit), "0", 0,
     INT64_MAX, NULL, "N", "at most N results (0: all; of vsearch: 10)"},
    {"log-level", 0, OPTION_CHOICE, OPTIONS_SERVER, AT(log_level), "info", 0, 0,
     "error|warn|info|debug", "LEVEL", "the least important lines that are logged"},
    {"max-body-bytes", 0, OPTION_SIZE, OPTIONS_SERVER, AT(max_body_bytes), "64M", KIB, 1024 * MIB,
     NULL, "SIZE", "largest request body, imports aside (they stream)"},
    {"max-connections", 0, OPTION_NUMBER, OPTIONS_SERVER, AT(max_connections), "1000", 4, 100000,
     NULL, "N", "REST connections open at a time"},
    {"memtable-bytes", 0, OPTION_SIZE, OPTIONS_ENGINE, AT(memtable_bytes), "64M", 64 * KIB, 4 * GIB,
     NULL, "SIZE", "memory that collects writes before they become a table file"},
    {"metric", 0, OPTION_TEXT, OPTIONS_VSEARCH, AT(metric), NULL, 0, 0, NULL, "NAME",
     "cosine (default), l2 or dot"},
    {"options", 'o', OPTION_LIST, OPTIONS_MOUNT, AT(mount_options), NULL, 0, 0, NULL, "OPT,...",
     "mount options: ro, sync, allow_other, default_permissions, xattr, inotify=, magic=, "
     "conflict="},
    {"prefix", 0, OPTION_TEXT, OPTIONS_KEY, AT(prefix), NULL, 0, 0, NULL, "TEXT",
     "the key is for collections whose path begins so"},
    {"print-config", 0, OPTION_FLAG, OPTIONS_SERVER, AT(print_config), NULL, 0, 0, NULL, NULL,
     "print the settings in force as a configuration file, and end"},
    {"projection", 0, OPTION_TEXT, OPTIONS_FIND, AT(projection), NULL, 0, 0, NULL, "JSON",
     "fields to print: {\"name\": 1}"},
    {"query-memory-bytes", 0, OPTION_SIZE, OPTIONS_SERVER, AT(query_memory_bytes), "100M", MIB,
     1024 * GIB, NULL, "SIZE", "memory of one query; larger sorts and groups use the disk"},
    {"query-time-ms", 0, OPTION_NUMBER, OPTIONS_SERVER, AT(query_time_ms), "0", 0, UINT32_MAX, NULL,
     "MS", "end a query that takes longer (0: never); maxTimeMS in a request can only lower it"},
    {"role", 0, OPTION_TEXT, OPTIONS_KEY, AT(role), NULL, 0, 0, NULL, "ROLE",
     "read, write (default) or admin"},
    {"skip", 0, OPTION_NUMBER, OPTIONS_FIND, AT(skip), "0", 0, INT64_MAX, NULL, "N",
     "pass over the first N results"},
    {"sort", 0, OPTION_TEXT, OPTIONS_FIND, AT(sort), NULL, 0, 0, NULL, "JSON",
     "order of the results: {\"age\": -1}"},
    {"tls-cert", 0, OPTION_TEXT, OPTIONS_SERVER, AT(tls_cert), NULL, 0, 0, NULL, "FILE",
     "speak https, with this certificate (PEM, the chain behind it)"},
    {"tls-key", 0, OPTION_TEXT, OPTIONS_SERVER, AT(tls_key), NULL, 0, 0, NULL, "FILE",
     "the certificate's private key (PEM)"},
    {"value", 0, OPTION_TEXT, OPTIONS_KEY, AT(value), NULL, 0, 0, NULL, "KEY",
     "a key of your own, at least 16 characters, instead of a random one"},
    {"workers", 0, OPTION_NUMBER, OPTIONS_SERVER, AT(workers), "8", 1, 256, NULL, "N",
     "threads that answer REST requests"},
};
const size_t option_count = sizeof option_table / sizeof option_table[0];
_Static_assert(sizeof option_table / sizeof option_table[0] <= 64, "one bit a row in struct args");

static void *field_of(struct config *config, const struct option_row *row)
{
    return (char *)config + row->offset;
}

static bool is_text(const struct option_row *row)
{
    return row->type == OPTION_TEXT || row->type == OPTION_LIST;
}

void config_fini(struct config *config)
{
    for (size_t i = 0; i < option_count; i++) {
        if (!is_text(&option_table[i]))
            continue;
        char **text = field_of(config, &option_table[i]);
        free(*text);
        *text = NULL;
    }
}

enum nx_code options_defaults(struct config *config, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < option_count && rc == NX_OK; i++)
        if (option_table[i].fallback)
            rc = option_set(config, &option_table[i], option_table[i].fallback, "default", err);
    return rc;
}

const struct option_row *option_find(const char *name, size_t len, unsigned groups)
{
    for (size_t i = 0; i < option_count; i++)
        if (strlen(option_table[i].name) == len && !memcmp(option_table[i].name, name, len) &&
            (option_table[i].groups & groups))
            return &option_table[i];
    return NULL;
}

static const struct option_row *find_letter(char letter, unsigned groups)
{
    for (size_t i = 0; i < option_count; i++)
        if (option_table[i].letter == letter && (option_table[i].groups & groups))
            return &option_table[i];
    return NULL;
}

enum nx_code option_env_name(const struct option_row *row, struct nx_buf *out)
{
    enum nx_code rc = nx_buf_append_str(out, "NEXADB_");

    for (const char *c = row->name; *c && rc == NX_OK; c++)
        rc = nx_buf_append_byte(out, *c == '-' ? '_' : (uint8_t)toupper((unsigned char)*c));
    if (rc == NX_OK)
        rc = nx_buf_append_byte(out, 0);
    if (rc == NX_OK)
        out->len--;
    return rc;
}

/* --- one value -------------------------------------------------------------------------------- */

static enum nx_code set_text(char **field, const char *value, struct nx_err *err)
{
    char *text = strdup(value);

    if (!text)
        return nx_fail_nomem(err);
    free(*field);
    *field = text;
    return NX_OK;
}

static unsigned size_shift(char unit)
{
    static const char units[] = "kmgt";
    const char *at = unit ? strchr(units, tolower((unsigned char)unit)) : NULL;

    return at ? 10 * (unsigned)(at - units + 1) : 0;
}

static bool parse_number(const char *text, bool is_size, uint64_t *out)
{
    unsigned shift;
    char *end;

    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (errno)
        return false;
    shift = is_size ? size_shift(*end) : 0;
    if (shift) {
        if (*out > UINT64_MAX >> shift)
            return false;
        *out <<= shift;
        end++;
    }
    return *end == '\0';
}

static enum nx_code set_number(uint64_t *field, const struct option_row *row, const char *value,
                               const char *source, struct nx_err *err)
{
    uint64_t number;

    if (!parse_number(value, row->type == OPTION_SIZE, &number))
        return nx_fail(err, NX_EINVAL, "%s: '%s' is not a %s", source, value,
                       row->type == OPTION_SIZE ? "size: write a number, or one with K, M or G"
                                                : "whole number");
    if (number < row->min || number > row->max)
        return nx_fail(err, NX_EINVAL, "%s: %s is not within %llu and %llu", source, value,
                       (unsigned long long)row->min, (unsigned long long)row->max);
    *field = number;
    return NX_OK;
}

static bool find_choice(const char *choices, const char *value, unsigned *out)
{
    size_t len = strlen(value);

    for (*out = 0; *choices; (*out)++) {
        size_t n = strcspn(choices, "|");

        if (n == len && !memcmp(choices, value, n))
            return true;
        choices += n + (choices[n] == '|');
    }
    return false;
}

static enum nx_code set_flag(bool *field, const char *value, const char *source, struct nx_err *err)
{
    bool on = !strcmp(value, "true") || !strcmp(value, "1") || !strcmp(value, "yes");

    if (!on && strcmp(value, "false") && strcmp(value, "0") && strcmp(value, "no"))
        return nx_fail(err, NX_EINVAL, "%s: '%s' is neither true nor false", source, value);
    *field = on;
    return NX_OK;
}

enum nx_code option_set(struct config *config, const struct option_row *row, const char *value,
                        const char *source, struct nx_err *err)
{
    void *field = field_of(config, row);
    unsigned choice;

    switch (row->type) {
    case OPTION_FLAG:
        return set_flag(field, value, source, err);
    case OPTION_TEXT:
    case OPTION_LIST:
        return set_text(field, value, err);
    case OPTION_NUMBER:
    case OPTION_SIZE:
        return set_number(field, row, value, source, err);
    case OPTION_CHOICE:
        if (!find_choice(row->choices, value, &choice))
            return nx_fail(err, NX_EINVAL, "%s: '%s' is none of %s", source, value, row->choices);
        *(unsigned *)field = choice;
        return NX_OK;
    }
    return nx_fail(err, NX_EINTERNAL, "option '%s' has no type", row->name);
}

/* --- sources ---------------------------------------------------------------------------------- */

enum nx_code options_from_env(struct config *config, unsigned groups,
                              char *(*getenv_fn)(const char *), struct nx_err *err)
{
    struct nx_buf name NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < option_count && rc == NX_OK; i++) {
        const struct option_row *row = &option_table[i];
        const char *value;

        nx_buf_clear(&name);
        if (!(row->groups & groups))
            continue;
        if (option_env_name(row, &name) != NX_OK)
            return nx_fail_nomem(err);
        value = getenv_fn((char *)name.data);
        if (value && *value)
            rc = option_set(config, row, value, (char *)name.data, err);
    }
    return rc;
}

static struct nx_slice trim(struct nx_slice text)
{
    while (text.len && isspace(text.data[0]))
        text = nx_slice(text.data + 1, text.len - 1);
    while (text.len && isspace(text.data[text.len - 1]))
        text.len--;
    return text;
}

/* A quoted value is taken as it stands; otherwise '#' begins a comment. */
static struct nx_slice file_value(struct nx_slice text)
{
    const uint8_t *comment;

    text = trim(text);
    if (text.len >= 2 && text.data[0] == '"' && text.data[text.len - 1] == '"')
        return nx_slice(text.data + 1, text.len - 2);
    comment = text.len ? memchr(text.data, '#', text.len) : NULL;
    return comment ? trim(nx_slice(text.data, (size_t)(comment - text.data))) : text;
}

static enum nx_code set_from_line(struct config *config, struct nx_slice line, const char *where,
                                  struct nx_err *err)
{
    const uint8_t *equals = memchr(line.data, '=', line.len);
    const struct option_row *row;
    struct nx_slice name, value;
    enum nx_code rc;
    char source[384];
    char *text;

    if (!equals)
        return nx_fail(err, NX_EINVAL, "%s: expected \"name = value\"", where);
    name = trim(nx_slice(line.data, (size_t)(equals - line.data)));
    value = file_value(nx_slice(equals + 1, line.len - (size_t)(equals + 1 - line.data)));
    row = option_find((const char *)name.data, name.len, ~0u);
    if (!row)
        return nx_fail(err, NX_EINVAL, "%s: unknown setting '%.*s'", where,
                       name.len > 60 ? 60 : (int)name.len, (const char *)name.data);
    text = strndup((const char *)value.data, value.len);
    if (!text)
        return nx_fail_nomem(err);
    snprintf(source, sizeof source, "%s: %s", where, row->name);
    rc = option_set(config, row, text, source, err);
    free(text);
    return rc;
}

enum nx_code options_from_text(struct config *config, const char *text, size_t len,
                               const char *name, struct nx_err *err)
{
    const char *end = text + len;
    enum nx_code rc = NX_OK;
    char where[320];

    for (unsigned number = 1; text < end && rc == NX_OK; number++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        struct nx_slice line = trim(nx_slice(text, (size_t)((stop ? stop : end) - text)));

        snprintf(where, sizeof where, "%.255s:%u", name, number);
        if (line.len && line.data[0] != '#')
            rc = set_from_line(config, line, where, err);
        text = stop ? stop + 1 : end;
    }
    return rc;
}

/* --- the command line ------------------------------------------------------------------------- */

struct args {
    struct config *config;
    unsigned groups;
    int argc, at;
    char **argv;
    uint64_t seen; /* bit per row: a list given again is continued */
};

static enum nx_code set_or_join(struct args *args, const struct option_row *row, const char *value,
                                const char *flag, struct nx_err *err)
{
    uint64_t bit = 1ull << (row - option_table);
    bool again = args->seen & bit;
    char *joined;
    enum nx_code rc;

    args->seen |= bit;
    if (row->type != OPTION_LIST || !again)
        return option_set(args->config, row, value, flag, err);
    if (asprintf(&joined, "%s,%s", *(char **)field_of(args->config, row), value) < 0)
        return nx_fail_nomem(err);
    rc = option_set(args->config, row, joined, flag, err);
    free(joined);
    return rc;
}

static enum nx_code take_value(struct args *args, const struct option_row *row, const char *given,
                               const char *flag, struct nx_err *err)
{
    if (row->type == OPTION_FLAG) {
        if (given)
            return nx_fail(err, NX_EINVAL, "%s takes no value", flag);
        given = "true";
    } else if (!given) {
        if (args->at + 1 >= args->argc)
            return nx_fail(err, NX_EINVAL, "%s needs a value: %s %s", flag, flag, row->value_name);
        given = args->argv[++args->at];
    }
    return set_or_join(args, row, given, flag, err);
}

static enum nx_code long_flag(struct args *args, const char *text, struct nx_err *err)
{
    size_t len = strcspn(text, "=");
    const struct option_row *row = option_find(text, len, args->groups);
    char flag[64];

    snprintf(flag, sizeof flag, "--%.*s", len > 60 ? 60 : (int)len, text);
    if (!row)
        return nx_fail(err, NX_EINVAL, "unknown option %s", flag);
    return take_value(args, row, text[len] ? text + len + 1 : NULL, flag, err);
}

/* "-f", "-o ro", "-oro"; flags without a value may be joined: "-fo ro". */
static enum nx_code short_flags(struct args *args, const char *text, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    for (; *text && rc == NX_OK; text++) {
        const struct option_row *row = find_letter(*text, args->groups);
        char flag[3] = {'-', *text, 0};

        if (!row)
            return nx_fail(err, NX_EINVAL, "unknown option %s", flag);
        if (row->type != OPTION_FLAG)
            return take_value(args, row, text[1] ? text + 1 : NULL, flag, err);
        rc = take_value(args, row, NULL, flag, err);
    }
    return rc;
}

enum nx_code options_from_args(struct config *config, unsigned groups, int argc, char **argv,
                               int *rest, struct nx_err *err)
{
    struct args args = {config, groups, argc, 0, argv, 0};
    bool flags = true;
    enum nx_code rc = NX_OK;

    *rest = 0;
    for (; args.at < argc && rc == NX_OK; args.at++) {
        char *arg = argv[args.at];

        if (flags && !strcmp(arg, "--"))
            flags = false;
        else if (flags && arg[0] == '-' && arg[1] == '-')
            rc = long_flag(&args, arg + 2, err);
        else if (flags && arg[0] == '-' && arg[1])
            rc = short_flags(&args, arg + 1, err);
        else
            argv[(*rest)++] = arg;
    }
    return rc;
}

/* --- printing --------------------------------------------------------------------------------- */

void options_print_help(FILE *out, unsigned groups)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option_row *row = &option_table[i];
        char flag[64];

        if (!(row->groups & groups))
            continue;
        snprintf(flag, sizeof flag, "%c%c%s--%s%s%s", row->letter ? '-' : ' ',
                 row->letter ? row->letter : ' ', row->letter ? ", " : "  ", row->name,
                 row->value_name ? " " : "", row->value_name ? row->value_name : "");
        fprintf(out, "  %-32s %s", flag, row->help);
        if (row->choices)
            fprintf(out, " (%s)", row->choices);
        if (row->fallback && strcmp(row->fallback, "0") != 0)
            fprintf(out, " [%s]", row->fallback);
        fputc('\n', out);
    }
}

static void print_choice(FILE *out, const char *choices, unsigned at)
{
    for (; at; at--)
        choices += strcspn(choices, "|") + 1;
    fprintf(out, "%.*s", (int)strcspn(choices, "|"), choices);
}

static void print_value(FILE *out, const struct config *config, const struct option_row *row)
{
    const void *field = (const char *)config + row->offset;

    if (row->type == OPTION_FLAG)
        fputs(*(const bool *)field ? "true" : "false", out);
    else if (row->type == OPTION_CHOICE)
        print_choice(out, row->choices, *(const unsigned *)field);
    else if (is_text(row))
        fprintf(out, "\"%s\"", *(char *const *)field ? *(char *const *)field : "");
    else
        fprintf(out, "%llu", (unsigned long long)*(const uint64_t *)field);
}

void options_print_config(FILE *out, const struct config *config, unsigned groups)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option_row *row = &option_table[i];

        if (!(row->groups & groups) || row->groups == OPTIONS_PROGRAM ||
            row->offset == AT(print_config))
            continue;
        if (is_text(row) && !*(char *const *)((const char *)config + row->offset))
            fprintf(out, "# %s: %s\n# %s = \"\"\n", row->name, row->help, row->name);
        else {
            fprintf(out, "# %s\n%s = ", row->help, row->name);
            print_value(out, config, row);
            fputc('\n', out);
        }
    }
}

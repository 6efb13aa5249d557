/*
 * config.h - every setting of the program, as the option table fills it.
 *
 * Threads: filled by main before any thread starts, read-only afterwards.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

struct config {
    /* the doors */
    char *http; /* owned, as are all texts here; NULL: not given and without a default */
    char *cors_origin;
    char *tls_cert;
    char *tls_key;
    unsigned durability; /* enum config_durability */
    uint64_t max_body_bytes;
    uint64_t max_connections;
    uint64_t idle_timeout_s;
    uint64_t query_memory_bytes;
    uint64_t query_time_ms;
    uint64_t workers;
    bool foreground;
    char *mount_options;
    /* the engine */
    uint64_t cache_bytes;
    uint64_t memtable_bytes;
    uint64_t feed_bytes;
    uint64_t feed_days;
    /* the program */
    unsigned log_level; /* enum log_level */
    char *config_file;
    bool print_config;
    bool help;
    /* commands that ask a daemon */
    char *api_key;
    char *filter;
    char *projection;
    char *sort;
    uint64_t skip;
    uint64_t limit;
    bool explain;
    char *format;
    char *field;
    char *metric;
    char *like;
    bool exact;
    char *role;
    char *prefix;
    char *expires;
    char *value;
};

enum config_durability { CONFIG_SYNC, CONFIG_BUFFERED };

void config_fini(struct config *config);

#endif

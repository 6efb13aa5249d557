/* commands.c - the table of commands. */
#include "daemon/command.h"
#include "daemon/options.h"

#define SERVER (OPTIONS_SERVER | OPTIONS_ENGINE)
#define ASKS (OPTIONS_CLIENT | OPTIONS_ENGINE)

static const char target_help[] =
    "DATADIR may be in use: then its daemon is asked, through the socket in it. http://HOST:PORT\n"
    "and unix:PATH name a daemon directly; its key is given with --api-key or NEXADB_API_KEY.\n";

const struct command command_table[] = {
    {"mount", "[OPTIONS] DATADIR MOUNTPOINT", "mount a database, and serve REST",
     SERVER | OPTIONS_MOUNT, 1, 2, command_mount,
     "DATADIR is made when absent. The command returns when the mount and REST are ready; the log "
     "is\n"
     "DATADIR/nexadb.log, the first API key is in DATADIR/api.key.\n"},
    {"umount", "MOUNTPOINT", "unmount, and end the daemon with everything durable", 0, 1, 1,
     command_umount, NULL},
    {"serve", "[OPTIONS] DATADIR", "serve REST only, in the foreground", SERVER, 0, 1,
     command_serve,
     "DATADIR is made when absent. The address is also in DATADIR/http.addr, the first API key in\n"
     "DATADIR/api.key.\n"},
    {"import", "[OPTIONS] DATADIR|URL COLLECTION [FILE...]",
     "read NDJSON, JSON or CSV into a collection; existing ids are replaced", ASKS | OPTIONS_IMPORT,
     2, 1 << 20, command_import, target_help},
    {"export", "[OPTIONS] DATADIR|URL COLLECTION", "print a collection, a document a line",
     ASKS | OPTIONS_IMPORT, 2, 2, command_export, target_help},
    {"query", "[OPTIONS] DATADIR|URL COLLECTION [FILTER]", "print the documents that match",
     ASKS | OPTIONS_FIND | OPTIONS_EXPLAIN, 2, 3, command_query, target_help},
    {"aggregate", "[OPTIONS] DATADIR|URL COLLECTION PIPELINE", "print the results of a pipeline",
     ASKS | OPTIONS_EXPLAIN, 3, 3, command_aggregate, target_help},
    {"vsearch", "[OPTIONS] DATADIR|URL COLLECTION [VECTOR]",
     "print the documents with the nearest vectors", ASKS | OPTIONS_VSEARCH, 2, 3, command_vsearch,
     target_help},
    {"count", "[OPTIONS] DATADIR|URL COLLECTION [FILTER]", "count the documents that match", ASKS,
     2, 3, command_count_documents, target_help},
    {"stats", "[OPTIONS] DATADIR|URL", "print sizes and engine figures", ASKS, 1, 1, command_stats,
     target_help},
    {"key", "create DATADIR|URL NAME | list DATADIR|URL | revoke DATADIR|URL NAME",
     "make, list and revoke API keys", ASKS | OPTIONS_KEY, 2, 3, command_key, target_help},
    {"check", "DATADIR", "read everything and check that it fits together", OPTIONS_ENGINE, 1, 1,
     command_check,
     "DATADIR must not be in use. Each fault is printed with its file and offset; the status is 1 "
     "then.\n"},
    {"repair", "DATADIR NEWDIR", "save what can be read of a damaged database into a new one",
     OPTIONS_ENGINE, 2, 2, command_repair,
     "DATADIR is not changed; NEWDIR must not exist or be empty. What is lost is printed, and "
     "written\nto NEWDIR/repair.txt; the status is 0 when nothing was lost, 3 when something was, "
     "1 "
     "when no\ndatabase could be made.\n"},
    {"dump", "FILE", "print a file of a database: a table, log segment, manifest or marker", 0, 1,
     1, command_dump,
     "Of a damaged file what can be read; what cannot is said, and the status is 1.\n"},
    {"version", "", "print the version, the build and the libraries", 0, 0, 0, command_version,
     NULL},
};
const size_t command_count = sizeof command_table / sizeof command_table[0];

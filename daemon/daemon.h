/*
 * daemon.h - the process that serves a data directory, from its start to its end.
 *
 * Threads: main only.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>

#include "daemon/command.h"
#include "daemon/guard.h"

struct fs;

struct daemon {
    struct cli *cli;
    struct service *service;
    char *datadir;    /* owned, absolute once made */
    bool detached;    /* log to DATADIR/nexadb.log, report to the parent */
    char *mountpoint; /* owned; NULL: REST only */
    struct fs *fs;
    struct guard guard;                                               /* of the mount */
    enum nx_code (*mount)(struct daemon *daemon, struct nx_err *err); /* with a mountpoint */
    void (*unmount)(struct daemon *daemon); /* also after a mount that failed */
};

enum nx_code daemon_make_datadir(struct daemon *daemon, const char *path, struct nx_err *err);
enum nx_code daemon_open_log(const struct daemon *daemon, struct nx_err *err);
/* Start, serve until a signal or the end of the mount, stop. Returns the exit status. */
int daemon_run(struct daemon *daemon);
void daemon_fini(struct daemon *daemon);

#endif

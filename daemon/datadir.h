/* datadir.h - whether a folder is a data directory, or may become one. */
#ifndef DAEMON_DATADIR_H
#define DAEMON_DATADIR_H

#include <stdbool.h>

#include <nexadb/error.h>

/*
 * Check a folder before anything is written to it; with `create` it is made when absent.
 * NX_ENOTFOUND: no folder, or no database in it, and not `create`; NX_ENOTDIR; NX_ENOTEMPTY: it
 * holds somebody else's files and no database.
 */
enum nx_code datadir_check(const char *path, bool create, struct nx_err *err);

#endif

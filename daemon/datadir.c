/*
 * datadir.c - a database goes into a folder of its own.
 *
 * A folder is a database when it has one of the engine's CURRENT markers. Without one it may hold
 * only what a first start that did not end, or the making of a file system, leaves.
 */
#include "daemon/datadir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool has_prefix(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

static bool is_ours(const char *name)
{
    static const char *const names[] = {".",         "..",         "LOCK",  "api.key", "http.addr",
                                        "keys.json", "lost+found", "spill", "RING"};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(names[i], name))
            return true;
    return has_prefix(name, "MANIFEST-") || has_prefix(name, "nexadb.") ||
           (dot && !strcmp(dot, ".wal"));
}

/* What a folder holds: a database, or the first name (of NAME_MAX) that is not ours. */
static bool find_database(DIR *dir, char foreign[256])
{
    struct dirent *entry;
    bool found = false;

    foreign[0] = '\0';
    while (!found && (entry = readdir(dir))) {
        found = has_prefix(entry->d_name, "CURRENT-");
        if (!found && !foreign[0] && !is_ours(entry->d_name))
            snprintf(foreign, 256, "%s", entry->d_name);
    }
    return found;
}

static enum nx_code open_folder(const char *path, bool create, DIR **out, struct nx_err *err)
{
    if (create && mkdir(path, 0700) && errno != EEXIST)
        return errno == ENOENT
                   ? nx_fail(err, NX_ENOTFOUND,
                             "data directory '%s' cannot be made: the folder above it is missing",
                             path)
                   : nx_fail_errno(err, errno, "data directory '%s'", path);
    *out = opendir(path);
    if (*out)
        return NX_OK;
    if (errno == ENOENT)
        return nx_fail(err, NX_ENOTFOUND, "there is no data directory '%s'", path);
    if (errno == ENOTDIR)
        return nx_fail(err, NX_ENOTDIR, "data directory '%s' is a file", path);
    return nx_fail_errno(err, errno, "data directory '%s'", path);
}

enum nx_code datadir_check(const char *path, bool create, struct nx_err *err)
{
    char foreign[256];
    bool found;
    DIR *dir;
    enum nx_code rc = open_folder(path, create, &dir, err);

    if (rc != NX_OK)
        return rc;
    found = find_database(dir, foreign);
    closedir(dir);
    if (found)
        return NX_OK;
    if (!create)
        return nx_fail(err, NX_ENOTFOUND, "there is no database in '%s'", path);
    if (foreign[0])
        return nx_fail(
            err, NX_ENOTEMPTY,
            "'%s' holds other files ('%s') and no database: name a new or an empty folder "
            "as data directory, such as '%s/nexadb'",
            path, foreign, path);
    return NX_OK;
}

/*
 * takeover.c - dead mounts. A daemon that was killed leaves a mount whose every access is ENOTCONN:
 * only such a one is removed, and only by the rights of the caller (root, or the owner through
 * fusermount3).
 */
#include "fs/takeover.h"

#include <errno.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void run_fusermount(const char *mountpoint)
{
    char *const argv[] = {"fusermount3", "-u", "-z", "-q", "--", (char *)mountpoint, NULL};
    pid_t pid;
    int status;

    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) == 0)
        waitpid(pid, &status, 0);
}

void takeover_detach(const char *mountpoint)
{
    if (umount2(mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno == EPERM)
        run_fusermount(mountpoint);
}

/* The kernel writes space, tab, newline and backslash in mountinfo as \ooo. */
static void unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && from[1] && from[2] && from[3]) {
            *to = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = 0;
}

static bool is_our_mount(const char *line, const char *mountpoint)
{
    char point[4096];

    if (sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1)
        return false;
    unescape(point);
    return strcmp(point, mountpoint) == 0 && strstr(line, " - fuse.nexadb ");
}

static bool is_mounted(const char *mountpoint)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t size = 0;
    bool found = false;

    while (file && !found && getline(&line, &size, file) > 0)
        found = is_our_mount(line, mountpoint);
    free(line);
    if (file)
        fclose(file);
    return found;
}

/* Asked by statfs: the kernel would answer a stat from the attributes that it cached. */
static bool is_dead(const char *mountpoint)
{
    struct statvfs space;

    return statvfs(mountpoint, &space) != 0 && errno == ENOTCONN;
}

enum nx_code takeover_prepare(const char *mountpoint, struct nx_err *err)
{
    struct stat st;

    if (access("/dev/fuse", F_OK) != 0)
        return nx_fail(err, NX_EUNSUPPORTED,
                       "no /dev/fuse: load the kernel module 'fuse', or give "
                       "the container that device");
    if (access("/dev/fuse", R_OK | W_OK) != 0)
        return nx_fail(err, NX_EACCES, "no permission to use /dev/fuse: its mode is usually 0666");
    if (is_dead(mountpoint))
        takeover_detach(mountpoint);
    if (stat(mountpoint, &st) != 0)
        return nx_fail_errno(err, errno, "mount point '%s'", mountpoint);
    if (!S_ISDIR(st.st_mode))
        return nx_fail(err, NX_ENOTDIR, "mount point '%s' is not a directory", mountpoint);
    if (is_mounted(mountpoint))
        return nx_fail(err, NX_EBUSY, "mount point '%s' has a live mount already", mountpoint);
    return NX_OK;
}

/* caller.c - reads /proc/<tid>/status and /proc/<tid>/stat. */
#include "fs/caller.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_proc(pid_t thread, const char *file, char *out, size_t size)
{
    char path[64];
    ssize_t got;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)thread, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    got = read(fd, out, size - 1);
    close(fd);
    if (got <= 0)
        return false;
    out[got] = 0;
    return true;
}

pid_t caller_process(pid_t thread)
{
    char text[2048];
    const char *at;

    if (thread <= 0 || !read_proc(thread, "status", text, sizeof text))
        return 0;
    at = strstr(text, "\nTgid:");
    return at ? (pid_t)strtol(at + 6, NULL, 10) : 0;
}

pid_t caller_session(pid_t thread)
{
    char text[1024];
    const char *at;
    int session;

    if (thread <= 0 || !read_proc(thread, "stat", text, sizeof text))
        return 0;
    at = strrchr(text, ')'); /* the command may hold anything */
    if (!at || sscanf(at + 1, " %*c %*d %*d %d", &session) != 1)
        return 0;
    return session;
}

bool caller_is_same_process(pid_t a, pid_t b)
{
    pid_t process;

    if (a == b)
        return true;
    process = caller_process(a);
    return process != 0 && (process == b || process == caller_process(b));
}

bool caller_may(uid_t uid, gid_t gid, const struct nx_attr *attr, int mask)
{
    unsigned bits = attr->mode;

    if (uid == 0)
        return true;
    if (attr->uid == uid)
        bits >>= 6;
    else if (attr->gid == gid)
        bits >>= 3;
    return ((unsigned)mask & ~bits & 7u) == 0;
}

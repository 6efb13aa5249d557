/* log.c - log lines: "2030-01-31T12:00:00.123Z info  http: listening on ...". */
#include "daemon/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int log_fd = STDERR_FILENO; /* set before threads start */
static enum log_level log_least = LOG_INFO;

enum nx_code log_open(const char *path, enum log_level level, struct nx_err *err)
{
    log_least = level;
    if (!path)
        return NX_OK;
    log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd >= 0)
        return NX_OK;
    log_fd = STDERR_FILENO;
    return nx_fail_errno(err, errno, "log '%s'", path);
}

void log_close(void)
{
    if (log_fd != STDERR_FILENO)
        close(log_fd);
    log_fd = STDERR_FILENO;
}

static size_t put_head(char *line, size_t size, enum log_level level, const char *area)
{
    static const char *const names[] = {"error", "warn ", "info ", "debug"};
    struct timespec now;
    struct tm tm;
    size_t n;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    n = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, size - n, ".%03ldZ %s %s: ", now.tv_nsec / 1000000,
                          names[level], area);
    return n;
}

void log_line(enum log_level level, const char *area, const char *format, ...)
{
    char line[1024];
    size_t n, head;
    va_list args;
    int added;

    if (level > log_least)
        return;
    head = n = put_head(line, sizeof line - 1, level, area);
    va_start(args, format);
    added = vsnprintf(line + n, sizeof line - 1 - n, format, args);
    va_end(args);
    n += added < 0 ? 0 : (size_t)added;
    if (n > sizeof line - 2)
        n = sizeof line - 2;
    for (size_t i = head; i < n; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    line[n++] = '\n';
    if (write(log_fd, line, n) < 0)
        return; /* a full disk must not stop the daemon: the line is lost */
}

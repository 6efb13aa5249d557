/*
 * log.c - log lines: "2030-01-31T12:00:00.123Z info  http: listening on ...".
 *
 * What goes wrong goes wrong for every request, as on a full disk. So warnings and errors of one
 * shape, the message without its names and numbers, are let through a few times in ten seconds; the
 * next one after them says how many were left out.
 */
#include "daemon/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int log_fd = STDERR_FILENO; /* set before threads start */
static enum log_level log_least = LOG_INFO;

enum { SHAPES = 64, WINDOW_SECONDS = 10, LINES_A_WINDOW = 5 };

/* Shapes that share a place share its allowance. */
static struct {
    time_t start;
    unsigned lines;
} windows[SHAPES]; /* guarded by windows_mu */
static pthread_mutex_t windows_mu = PTHREAD_MUTEX_INITIALIZER;

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

static bool is_name(const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalpha((unsigned char)word[i]) && !(i == len - 1 && strchr(":,;.", word[i])))
            return true;
    return false;
}

static unsigned shape_of(const char *message)
{
    unsigned hash = 2166136261u; /* FNV-1a */

    while (*message) {
        size_t len = strcspn(message, " ");

        for (size_t i = 0; i < len && !is_name(message, len); i++)
            hash = (hash ^ (unsigned char)message[i]) * 16777619u;
        message += len;
        message += strspn(message, " ");
    }
    return hash % SHAPES;
}

/* May a line of this shape be written? Then `*left_out` says how many were not, before it. */
static bool admit(unsigned shape, unsigned *left_out)
{
    struct timespec now;
    bool may;

    *left_out = 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&windows_mu);
    if (windows[shape].lines == 0 || now.tv_sec - windows[shape].start >= WINDOW_SECONDS) {
        if (windows[shape].lines > LINES_A_WINDOW)
            *left_out = windows[shape].lines - LINES_A_WINDOW;
        windows[shape].start = now.tv_sec;
        windows[shape].lines = 0;
    }
    may = windows[shape].lines++ < LINES_A_WINDOW;
    pthread_mutex_unlock(&windows_mu);
    return may;
}

void log_line(enum log_level level, const char *area, const char *format, ...)
{
    char line[1024];
    unsigned left_out = 0;
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
    if (level <= LOG_WARN && !admit(shape_of(line + head), &left_out))
        return;
    if (left_out)
        n +=
            (size_t)snprintf(line + n, sizeof line - 1 - n, " (and %u like this before)", left_out);
    if (n > sizeof line - 2)
        n = sizeof line - 2;
    for (size_t i = head; i < n; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
    line[n++] = '\n';
    if (write(log_fd, line, n) < 0)
        return; /* a full disk must not stop the daemon: the line is lost */
}

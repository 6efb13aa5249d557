/*
 * log.h - one line a happening: time, level, area, message. Secrets never come here.
 *
 * Threads: any; a line is one write.
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <nexadb/attributes.h>
#include <nexadb/error.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* To `path` (appended to, mode 0600), or stderr when it is NULL. NX_EIO, NX_EACCES, ... */
enum nx_code log_open(const char *path, enum log_level level, struct nx_err *err);
void log_close(void);
/* `area`: "http", "mount", "main". Line breaks in the message become spaces.
 * Warnings and errors that only differ in names and numbers are written 5 times in 10 seconds. */
void log_line(enum log_level level, const char *area, const char *format, ...) NX_PRINTF(3, 4);

#endif

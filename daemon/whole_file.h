/* whole_file.h - small files of the daemon's own: read whole, replaced whole, 0600. */
#ifndef DAEMON_WHOLE_FILE_H
#define DAEMON_WHOLE_FILE_H

#include <nexadb/buf.h>
#include <nexadb/error.h>

/* Append the content of a file of at most 1 MiB. NX_ENOTFOUND, NX_ETOOBIG, NX_EACCES, NX_EIO. */
enum nx_code whole_file_read(const char *path, struct nx_buf *out, struct nx_err *err);
/* The whole new content or the old one, after any crash; on stable storage when it returns. */
enum nx_code whole_file_replace(const char *path, struct nx_slice content, struct nx_err *err);

#endif

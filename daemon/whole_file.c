/* whole_file.c - reading a small file, and replacing one by write, sync and rename. */
#include "daemon/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 1 << 20 };

enum nx_code whole_file_read(const char *path, struct nx_buf *out, struct nx_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum nx_code rc = NX_OK;
    ssize_t got;

    if (fd < 0)
        return nx_fail_errno(err, errno, "'%s'", path);
    do {
        got = -1;
        rc = nx_buf_reserve(out, 4096);
        if (rc != NX_OK)
            break;
        got = read(fd, out->data + out->len, 4096);
        if (got < 0)
            rc = nx_fail_errno(err, errno, "'%s'", path);
        else
            out->len += (size_t)got;
        if (out->len > FILE_MAX_BYTES)
            rc = nx_fail(err, NX_ETOOBIG, "'%s' is over %d bytes", path, FILE_MAX_BYTES);
    } while (rc == NX_OK && got > 0);
    close(fd);
    return rc;
}

static enum nx_code write_all(int fd, struct nx_slice content, const char *path, struct nx_err *err)
{
    while (content.len) {
        ssize_t n = write(fd, content.data, content.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return nx_fail_errno(err, errno, "'%s'", path);
        content = nx_slice(content.data + n, content.len - (size_t)n);
    }
    return fsync(fd) ? nx_fail_errno(err, errno, "'%s'", path) : NX_OK;
}

static void sync_parent(char *path)
{
    int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)!fsync(fd);
    close(fd);
}

enum nx_code whole_file_replace(const char *path, struct nx_slice content, struct nx_err *err)
{
    enum nx_code rc;
    char *temp;
    int fd;

    if (asprintf(&temp, "%s.new", path) < 0)
        return nx_fail_nomem(err);
    fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        rc = nx_fail_errno(err, errno, "'%s'", temp);
        free(temp);
        return rc;
    }
    rc = write_all(fd, content, temp, err);
    close(fd);
    if (rc == NX_OK && rename(temp, path))
        rc = nx_fail_errno(err, errno, "'%s'", path);
    if (rc == NX_OK)
        sync_parent(temp); /* no longer needed as a name: dirname may cut it */
    else
        unlink(temp);
    free(temp);
    return rc;
}

/*
 * lifecycle.c - what a daemon owes its shell and its init system.
 *
 * `nexadb mount` returns when the mount answers: the child reports through a pipe. A record in the
 * user's runtime folder tells `nexadb umount` which process to wait for.
 */
#include "daemon/lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/whole_file.h"

static int report_fd = -1; /* to the parent; -1: none */

/* --- the background --------------------------------------------------------------------------- */

/* What the child said: 'R' or 'E' and a text; nothing when it died. */
static int hear(int fd)
{
    char text[2048];
    size_t len = 0;
    ssize_t n;

    while ((n = read(fd, text + len, sizeof text - 1 - len)) > 0 || (n < 0 && errno == EINTR))
        len += n > 0 ? (size_t)n : 0;
    text[len] = '\0';
    if (!len) {
        fprintf(stderr, "nexadb: the daemon ended before it was ready\n");
        return 1;
    }
    fputs(text + 1, text[0] == 'R' ? stdout : stderr);
    return text[0] == 'R' ? 0 : 1;
}

static void leave_terminal(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    setsid();
    if (chdir("/") || null < 0)
        return;
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    close(null);
}

enum nx_code lifecycle_detach(bool *child, int *status, struct nx_err *err)
{
    int fds[2];
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC))
        return nx_fail_errno(err, errno, "pipe");
    pid = fork();
    if (pid < 0) {
        int saved = errno;

        close(fds[0]);
        close(fds[1]);
        return nx_fail_errno(err, saved, "fork");
    }
    *child = pid == 0;
    if (*child) {
        close(fds[0]);
        report_fd = fds[1];
        leave_terminal();
        return NX_OK;
    }
    close(fds[1]);
    *status = hear(fds[0]);
    close(fds[0]);
    return NX_OK;
}

void lifecycle_ready(const char *text, bool failed)
{
    char kind = failed ? 'E' : 'R';

    if (report_fd < 0) {
        fputs(text, failed ? stderr : stdout);
        fflush(stdout);
        return;
    }
    if (write(report_fd, &kind, 1) == 1)
        (void)!write(report_fd, text, strlen(text));
    close(report_fd);
    report_fd = -1;
}

/* --- signals ---------------------------------------------------------------------------------- */

static void stop_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

void lifecycle_block_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    stop_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

const char *lifecycle_wait(void)
{
    sigset_t set;
    int number = 0;

    stop_signals(&set);
    while (sigwait(&set, &number) != 0)
        ;
    /* from here on a signal has its default effect: whoever is in a hurry signals twice */
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return sigabbrev_np(number);
}

void lifecycle_end(void)
{
    kill(getpid(), SIGTERM);
}

/* --- mount records ---------------------------------------------------------------------------- */

static enum nx_code runtime_dir(char *out, size_t size, struct nx_err *err)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    struct stat st;

    if (!base || !*base)
        base = geteuid() == 0 ? "/run" : "/tmp";
    snprintf(out, size, "%s/nexadb-%u", base, geteuid());
    if (mkdir(out, 0700) && errno != EEXIST)
        return nx_fail_errno(err, errno, "runtime folder '%s'", out);
    if (lstat(out, &st) || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return nx_fail(err, NX_EPERM, "runtime folder '%s' is not ours", out);
    return NX_OK;
}

static enum nx_code record_path(const char *mountpoint, char *out, size_t size, struct nx_err *err)
{
    uint8_t hash[32];
    enum nx_code rc = runtime_dir(out, size, err);
    size_t n;

    if (rc != NX_OK)
        return rc;
    gnutls_hash_fast(GNUTLS_DIG_SHA256, mountpoint, strlen(mountpoint), hash);
    n = strlen(out);
    n += (size_t)snprintf(out + n, size - n, "/");
    for (int i = 0; i < 12; i++)
        n += (size_t)snprintf(out + n, size - n, "%02x", hash[i]);
    return n < size ? NX_OK : nx_fail(err, NX_ENAMETOOLONG, "runtime folder's path is too long");
}

enum nx_code mount_record_write(const char *mountpoint, const char *datadir, struct nx_err *err)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    char path[512];
    enum nx_code rc = record_path(mountpoint, path, sizeof path, err);

    if (rc == NX_OK)
        rc = nx_buf_printf(&text, "%d\n%s\n%s\n", (int)getpid(), datadir, mountpoint);
    return rc == NX_OK ? whole_file_replace(path, nx_buf_slice(&text), err) : rc;
}

enum nx_code mount_record_read(const char *mountpoint, struct mount_record *out, struct nx_err *err)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    char path[512], *line, *end;
    enum nx_code rc;

    *out = (struct mount_record){0};
    rc = record_path(mountpoint, path, sizeof path, err);
    if (rc == NX_OK)
        rc = whole_file_read(path, &text, err);
    if (rc == NX_OK)
        rc = nx_buf_append_byte(&text, 0);
    if (rc != NX_OK)
        return rc;
    out->pid = (pid_t)strtol((char *)text.data, &line, 10);
    end = *line == '\n' ? strchr(line + 1, '\n') : NULL;
    if (out->pid <= 0 || !end || kill(out->pid, 0))
        return nx_fail(err, NX_ENOTFOUND, "no daemon is known to serve '%s'", mountpoint);
    out->datadir = strndup(line + 1, (size_t)(end - line - 1));
    return out->datadir ? NX_OK : nx_fail_nomem(err);
}

void mount_record_remove(const char *mountpoint)
{
    char path[512];

    if (record_path(mountpoint, path, sizeof path, NULL) == NX_OK)
        unlink(path);
}

void mount_record_fini(struct mount_record *record)
{
    free(record->datadir);
    record->datadir = NULL;
}

bool process_wait(pid_t pid, int timeout_ms)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int n;

    if (fd < 0)
        return errno == ESRCH;
    do
        n = poll(&poll_fd, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    close(fd);
    return n > 0;
}

bool process_is_dying(pid_t pid)
{
    char path[64];
    char text[512];
    const char *behind_name;
    FILE *file;
    size_t n;

    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    file = fopen(path, "re");
    if (!file)
        return false;
    n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    behind_name = strrchr(text, ')');
    return behind_name && (!strncmp(behind_name, ") Z", 3) || !strncmp(behind_name, ") X", 3));
}

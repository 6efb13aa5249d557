/*
 * guard.c - aborting a FUSE connection that its daemon cannot close.
 *
 * The kernel ends a connection when the last descriptor of it is closed, and the threads of a
 * process share their descriptors until the last thread is gone: one that waits inside the kernel
 * keeps them open. So neither a pipe nor a pidfd tells of such a death; the signal that prctl(2)
 * arranges does, since it is sent when the thread that forked ends.
 *
 * The file "abort" of fusectl is opened while the mount is alive: once the connection is gone the
 * open file does nothing, though its number may be another mount's by then.
 */
#include "daemon/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define GONE SIGUSR1

/* --- the connection --------------------------------------------------------------------------- */

/* Its number: the device of the mount, from what the kernel has cached. */
static bool connection_of(const char *mountpoint, unsigned *out)
{
    struct statx stat;

    if (statx(AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC, STATX_TYPE, &stat) != 0)
        return false;
    *out = (unsigned)makedev(stat.stx_dev_major, stat.stx_dev_minor);
    return true;
}

/* Where fusectl is not mounted (containers), root can open it without a mount point. */
static int open_fusectl(void)
{
    int context = fsopen("fusectl", FSOPEN_CLOEXEC), fd = -1;

    if (context >= 0 && fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        fd = fsmount(context, FSMOUNT_CLOEXEC, 0);
    if (context >= 0)
        close(context);
    return fd;
}

/* -1 and errno. */
static int open_abort(unsigned connection)
{
    char path[80];
    int fd, folder;

    snprintf(path, sizeof path, "/sys/fs/fuse/connections/%u/abort", connection);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    folder = open_fusectl();
    if (folder < 0)
        return -1;
    snprintf(path, sizeof path, "%u/abort", connection);
    fd = openat(folder, path, O_WRONLY | O_CLOEXEC);
    close(folder);
    return fd;
}

void guard_abort(const char *mountpoint)
{
    unsigned connection;
    int fd;

    if (umount2(mountpoint, MNT_FORCE | UMOUNT_NOFOLLOW) == 0 || errno == EBUSY ||
        !connection_of(mountpoint, &connection))
        return;
    fd = open_abort(connection);
    if (fd < 0)
        return;
    (void)!write(fd, "1", 1);
    close(fd);
}

/* --- the guard's side ------------------------------------------------------------------------- */

/* Which mount, from the daemon; answered by 0 or an errno. */
static int hear_mount(int daemon)
{
    unsigned connection;
    int fd, status;

    if (read(daemon, &connection, sizeof connection) != (ssize_t)sizeof connection)
        return -1; /* there is no mount */
    fd = open_abort(connection);
    status = fd < 0 ? errno : 0;
    (void)!write(daemon, &status, sizeof status);
    return fd;
}

static void watch(pid_t parent)
{
    sigset_t set;
    int number = 0, fd;

    prctl(PR_SET_NAME, "nexadb-guard");
    sigfillset(&set); /* what ends the daemon cleanly (Ctrl-C, a system's stop) is its affair */
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (prctl(PR_SET_PDEATHSIG, GONE) != 0 || getppid() != parent)
        return;
    fd = hear_mount(0);
    if (fd < 0)
        return;
    sigemptyset(&set);
    sigaddset(&set, GONE);
    while (sigwait(&set, &number) != 0)
        ;
    /* not asked: getppid, which still tells the daemon when a thread of it is left */
    (void)!write(fd, "1", 1);
}

/* --- the daemon's side ------------------------------------------------------------------------ */

enum nx_code guard_start(struct guard *guard, struct nx_err *err)
{
    pid_t parent = getpid();
    int fds[2], saved;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        return nx_fail_errno(err, errno, "the mount's guard");
    guard->pid = fork();
    saved = errno;
    if (guard->pid == 0) {
        if (chdir("/") == 0 && dup2(fds[1], 0) == 0 && close_range(1, ~0u, 0) == 0)
            watch(parent);
        _exit(0);
    }
    close(fds[1]);
    guard->fd = fds[0];
    if (guard->pid > 0)
        return NX_OK;
    guard->pid = 0;
    guard_stop(guard);
    return nx_fail_errno(err, saved, "the mount's guard");
}

enum nx_code guard_watch(struct guard *guard, const char *mountpoint, struct nx_err *err)
{
    unsigned connection;
    int status = EPIPE;

    if (!connection_of(mountpoint, &connection))
        status = errno;
    else if (send(guard->fd, &connection, sizeof connection, MSG_NOSIGNAL) < 0 ||
             recv(guard->fd, &status, sizeof status, 0) != (ssize_t)sizeof status)
        status = EPIPE;
    if (status == 0)
        return NX_OK;
    guard_stop(guard);
    return nx_fail_errno(err, status, "the FUSE control file system");
}

void guard_stop(struct guard *guard)
{
    if (guard->fd >= 0)
        close(guard->fd);
    guard->fd = -1;
    if (guard->pid > 0) {
        kill(guard->pid, SIGKILL);
        while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    guard->pid = 0;
}

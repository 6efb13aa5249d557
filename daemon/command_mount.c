/* command_mount.c - mount and umount. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/lifecycle.h"
#include "daemon/log.h"
#include "daemon/service.h"
#include "fs/fs.h"

enum { UMOUNT_WAIT_MS = 60000, DYING_WAIT_MS = 10000 };

static void on_unmounted(void *arg)
{
    (void)arg;
    log_line(LOG_INFO, "mount", "unmounted");
    lifecycle_end();
}

static void on_fs_log(void *arg, const char *line)
{
    (void)arg;
    log_line(LOG_WARN, "mount", "%s", line);
}

static void watch_mount(struct daemon *daemon)
{
    struct nx_err err = NX_ERR_INIT;

    if (guard_watch(&daemon->guard, daemon->mountpoint, &err) != NX_OK)
        log_line(LOG_WARN, "mount", "after a kill -9 the next mount may have to free this one: %s",
                 err.message);
}

static enum nx_code start_mount(struct daemon *daemon, struct nx_err *err)
{
    const char *items = daemon->cli->config.mount_options;
    struct fs_options options;
    char item[128];
    enum nx_code rc;

    fs_options_init(&options);
    options.query_memory_bytes = daemon->cli->config.query_memory_bytes;
    options.query_time_ms = daemon->cli->config.query_time_ms;
    while (items && *items) {
        size_t len = strcspn(items, ",");

        snprintf(item, sizeof item, "%.*s", (int)len, items);
        if (len && fs_options_parse(&options, item, err) != NX_OK)
            return NX_EINVAL;
        items += len + (items[len] == ',');
    }
    rc = fs_mount(daemon->service->db, daemon->mountpoint, &options, on_unmounted, on_fs_log,
                  daemon, &daemon->fs, err);
    if (rc == NX_OK)
        rc = mount_record_write(daemon->mountpoint, daemon->service->datadir, err);
    if (rc == NX_OK)
        watch_mount(daemon);
    return rc;
}

static void end_mount(struct daemon *daemon)
{
    if (daemon->fs)
        fs_unmount(daemon->fs);
    guard_stop(&daemon->guard);
    mount_record_remove(daemon->mountpoint);
}

/* --- mount ------------------------------------------------------------------------------------ */

static bool is_inside(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    return !strncmp(path, folder, len) && (path[len] == '\0' || path[len] == '/');
}

/* The mount point's absolute path, also when a dead mount stands there and stat fails. */
static enum nx_code resolve_mountpoint(struct daemon *daemon, const char *path, struct nx_err *err)
{
    char cwd[4096];

    daemon->mountpoint = realpath(path, NULL);
    if (!daemon->mountpoint && errno == ENOENT)
        return nx_fail(err, NX_ENOTFOUND, "there is no mount point '%s': make it first (mkdir -p)",
                       path);
    if (!daemon->mountpoint && errno != ENOTCONN)
        return nx_fail_errno(err, errno, "mount point '%s'", path);
    if (!daemon->mountpoint) {
        if (path[0] == '/')
            daemon->mountpoint = strdup(path);
        else if (!getcwd(cwd, sizeof cwd) || asprintf(&daemon->mountpoint, "%s/%s", cwd, path) < 0)
            daemon->mountpoint = NULL;
    }
    if (!daemon->mountpoint)
        return nx_fail_nomem(err);
    for (size_t n = strlen(daemon->mountpoint); n > 1 && daemon->mountpoint[n - 1] == '/'; n--)
        daemon->mountpoint[n - 1] = '\0';
    return NX_OK;
}

/* A killed daemon whose guard could not set it free, or was killed as well. */
static void end_dying_daemon(const char *mountpoint)
{
    struct mount_record record;

    if (mount_record_read(mountpoint, &record, NULL) != NX_OK)
        return;
    if (process_is_dying(record.pid)) {
        guard_abort(mountpoint);
        process_wait(record.pid, DYING_WAIT_MS);
    }
    mount_record_fini(&record);
}

static enum nx_code prepare_mount(struct daemon *daemon, struct nx_err *err)
{
    const struct cli *cli = daemon->cli;
    enum nx_code rc;

    rc = resolve_mountpoint(daemon, cli->argv[1], err);
    if (rc == NX_OK)
        end_dying_daemon(daemon->mountpoint);
    if (rc == NX_OK)
        rc = daemon_make_datadir(daemon, cli->argv[0], err);
    if (rc == NX_OK && (is_inside(daemon->datadir, daemon->mountpoint) ||
                        is_inside(daemon->mountpoint, daemon->datadir)))
        rc = nx_fail(err, NX_EINVAL, "'%s' and '%s' are within one another", daemon->datadir,
                     daemon->mountpoint);
    return rc;
}

static int run_guarded(struct daemon *daemon)
{
    struct nx_err err = NX_ERR_INIT;
    int status;

    if (guard_start(&daemon->guard, &err) != NX_OK)
        log_line(LOG_WARN, "mount", "%s", err.message);
    status = daemon_run(daemon);
    guard_stop(&daemon->guard);
    return status;
}

int command_mount(struct cli *cli)
{
    struct daemon daemon = {.cli = cli,
                            .mount = start_mount,
                            .unmount = end_mount,
                            .guard = GUARD_NONE,
                            .detached = !cli->config.foreground};
    struct nx_err err = NX_ERR_INIT;
    bool child = true;
    int status = EXIT_DONE;
    enum nx_code rc;

    if (cli->argc < 2)
        return cli_usage(cli, "the mount point is missing (\"nexadb serve\" needs none)");
    rc = prepare_mount(&daemon, &err);
    if (rc == NX_OK)
        rc = daemon_open_log(&daemon, &err);
    if (rc == NX_OK && !cli->config.foreground)
        rc = lifecycle_detach(&child, &status, &err);
    if (rc != NX_OK)
        status = cli_fail(cli, &err);
    else if (child)
        status = run_guarded(&daemon);
    daemon_fini(&daemon);
    return status;
}

/* --- umount ----------------------------------------------------------------------------------- */

/* As another user than root only the setuid helper may. */
static enum nx_code run_fusermount(const char *mountpoint, struct nx_err *err)
{
    int status = 0;
    pid_t pid = fork();

    if (pid < 0)
        return nx_fail_errno(err, errno, "fork");
    if (pid == 0) {
        execlp("fusermount3", "fusermount3", "-u", mountpoint, (char *)NULL);
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return NX_OK;
    return nx_fail(err, NX_EBUSY,
                   "'%s' is not unmounted: is it in use (fuser -vm %s shows by whom)?", mountpoint,
                   mountpoint);
}

static enum nx_code unmount(const char *mountpoint, struct nx_err *err)
{
    if (geteuid() != 0)
        return run_fusermount(mountpoint, err);
    if (!umount2(mountpoint, UMOUNT_NOFOLLOW))
        return NX_OK;
    if (errno == EBUSY)
        return nx_fail(err, NX_EBUSY, "'%s' is in use; fuser -vm %s shows by whom", mountpoint,
                       mountpoint);
    if (errno == EINVAL)
        return nx_fail(err, NX_EINVAL, "'%s' is not a mount point", mountpoint);
    return nx_fail_errno(err, errno, "'%s'", mountpoint);
}

int command_umount(struct cli *cli)
{
    struct daemon daemon = {.cli = cli};
    struct mount_record record;
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc = resolve_mountpoint(&daemon, cli->argv[0], &err);
    bool known;

    if (rc != NX_OK)
        return cli_fail(cli, &err);
    known = mount_record_read(daemon.mountpoint, &record, NULL) == NX_OK;
    rc = unmount(daemon.mountpoint, &err);
    if (rc == NX_OK && known && !process_wait(record.pid, UMOUNT_WAIT_MS))
        rc = nx_fail(&err, NX_ETIMEDOUT,
                     "'%s' is unmounted, but the daemon (process %d) still works after %d s; see "
                     "%s/nexadb.log",
                     daemon.mountpoint, (int)record.pid, UMOUNT_WAIT_MS / 1000, record.datadir);
    mount_record_fini(&record);
    free(daemon.mountpoint);
    return rc == NX_OK ? EXIT_DONE : cli_fail(cli, &err);
}

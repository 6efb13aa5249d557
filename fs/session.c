/*
 * session.c - a mount's life.
 *
 *   fs_mount: prepare -> session -> kernel mount -> notifier -> workers -> echo
 *   ends by itself (umount, fusermount3 -u): the workers see ENODEV, `ended` is called
 *   fs_unmount: echo ends -> detach -> workers end -> handles are released, complete stages
 *               committed -> query threads end -> notifier -> session
 */
#include <errno.h>
#include <fuse_log.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/away.h"
#include "fs/echo.h"
#include "fs/errors.h"
#include "fs/find.h"
#include "fs/ghosts.h"
#include "fs/handle.h"
#include "fs/journal.h"
#include "fs/loop.h"
#include "fs/notify.h"
#include "fs/ops.h"
#include "fs/pool.h"
#include "fs/readers.h"
#include "fs/seen.h"
#include "fs/slot.h"
#include "fs/takeover.h"
#include "fs/writers.h"

#define WORKERS 3
#define QUERY_THREADS 4
#define UNMOUNT_PATIENCE_MS 300

void fs_log(struct fs *fs, const char *format, ...)
{
    char line[1024];
    va_list args;

    if (!fs->log)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fs->log(fs->arg, line);
}

/* libfuse's own lines have no mount: the last one made gets them. */
static _Atomic(struct fs *) log_target;

static NX_PRINTF(2, 0) void log_from_libfuse(enum fuse_log_level level, const char *format,
                                             va_list args)
{
    struct fs *fs = atomic_load(&log_target);
    char line[1024];
    int len = vsnprintf(line, sizeof line, format, args);

    (void)level;
    if (!fs || len <= 0)
        return;
    len = len < (int)sizeof line ? len : (int)sizeof line - 1;
    while (len > 0 && line[len - 1] == '\n')
        line[--len] = 0;
    fs_log(fs, "libfuse: %s", line);
}

static void session_gone(struct fs *fs)
{
    if (fs->ended)
        fs->ended(fs->arg);
}

static void destroy(struct fs *fs)
{
    struct fs *self = fs;

    echo_stop(fs->echo);
    loop_free(fs->loop);
    handle_release_all(fs);
    pool_free(fs->pool);
    notifier_free(fs->notifier);
    echo_free(fs->echo); /* the notifier hands it what changes */
    if (fs->session) {
        fuse_session_unmount(fs->session);
        fuse_session_destroy(fs->session);
    }
    atomic_compare_exchange_strong(&log_target, &self, NULL);
    readers_free(fs->readers);
    writers_free(fs->writers);
    versions_free(fs->versions);
    slots_free(fs->slots);
    journals_free(fs->journals);
    seen_free(fs->seen);
    finds_free(fs->finds);
    ghosts_free(fs->ghosts);
    errors_free(fs->errors);
    aways_free(fs->aways);
    pthread_mutex_destroy(&fs->handles_mu);
    free(fs->mountpoint);
    free(fs);
}

static enum nx_code make_tables(struct fs *fs, struct nx_err *err)
{
    enum nx_code rc;

    fs->aways = aways_new(nx_db_io(fs->db));
    fs->errors = errors_new(nx_db_io(fs->db));
    fs->finds = finds_new();
    fs->ghosts = ghosts_new();
    fs->slots = slots_new();
    fs->seen = seen_new();
    fs->readers = readers_new();
    fs->writers = writers_new();
    fs->versions = versions_new();
    fs->journals = journals_new(fs->db);
    if (!fs->aways || !fs->errors || !fs->finds || !fs->ghosts || !fs->slots || !fs->seen ||
        !fs->readers || !fs->writers || !fs->versions || !fs->journals)
        return nx_fail_nomem(err);
    seen_mark_node(fs->seen, NX_ROOT_INO); /* known without a lookup */
    rc = pool_new(QUERY_THREADS, &fs->pool, err);
    if (rc == NX_OK)
        rc = echo_new(fs, &fs->echo, err);
    return rc == NX_OK ? notifier_new(fs, &fs->notifier, err) : rc;
}

static enum nx_code make_session(struct fs *fs, struct nx_err *err)
{
    char options[256];
    char *argv[] = {"nexadb", "-o", options, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, argv);
    bool root = geteuid() == 0;

    snprintf(options, sizeof options, "fsname=nexadb,subtype=nexadb%s%s%s%s",
             fs->options.allow_other ? ",allow_other" : "",
             fs->options.default_permissions ? ",default_permissions" : "",
             root && fs->options.suid ? ",suid" : "", root && fs->options.dev ? ",dev" : "");
    fuse_set_log_func(log_from_libfuse);
    atomic_store(&log_target, fs);
    fs->session = fuse_session_new(&args, &fs_ops, sizeof fs_ops, fs);
    fuse_opt_free_args(&args);
    if (!fs->session)
        return nx_fail(err, NX_ENOMEM, "mount '%s': cannot make a FUSE session", fs->mountpoint);
    if (fuse_session_mount(fs->session, fs->mountpoint) != 0)
        return nx_fail(err, NX_EACCES, "mount '%s' was refused%s", fs->mountpoint,
                       fs->options.allow_other && !root
                           ? ": allow_other needs user_allow_other in /etc/fuse.conf"
                           : "");
    return NX_OK;
}

enum nx_code fs_mount(struct nx_db *db, const char *mountpoint, const struct fs_options *options,
                      fs_ended_fn ended, fs_log_fn log, void *arg, struct fs **out,
                      struct nx_err *err)
{
    struct nx_attr root;
    struct fs *fs;
    enum nx_code rc = takeover_prepare(mountpoint, err);

    *out = NULL;
    if (rc == NX_OK) /* damaged: better said here than by every call */
        rc = nx_db_stat(db, NULL, NX_ROOT_INO, &root, err);
    if (rc != NX_OK)
        return rc;
    fs = calloc(1, sizeof *fs);
    if (!fs)
        return nx_fail_nomem(err);
    fs->db = db;
    fs->engine = nx_db_engine(db);
    fs->options = *options;
    fs->options.default_permissions |= options->allow_other;
    fs->uid = getuid();
    fs->gid = getgid();
    fs->origin = 1;
    fs->ended = ended;
    fs->log = log;
    fs->arg = arg;
    pthread_mutex_init(&fs->handles_mu, NULL);
    fs->mountpoint = realpath(mountpoint, NULL);
    rc = fs->mountpoint ? make_tables(fs, err)
                        : nx_fail_errno(err, errno, "mount point '%s'", mountpoint);
    if (rc == NX_OK)
        rc = make_session(fs, err);
    if (rc == NX_OK)
        rc = notifier_start(fs->notifier, err);
    if (rc == NX_OK)
        rc = loop_start(fs, WORKERS, session_gone, &fs->loop, err);
    if (rc == NX_OK)
        rc = echo_start(fs->echo, err);
    if (rc != NX_OK) {
        destroy(fs);
        return rc;
    }
    *out = fs;
    return NX_OK;
}

void fs_unmount(struct fs *fs)
{
    if (!fs)
        return;
    echo_stop(fs->echo);
    if (!loop_wait(fs->loop, 0)) {
        takeover_detach(fs->mountpoint);
        loop_wait(fs->loop, UNMOUNT_PATIENCE_MS);
    }
    destroy(fs);
}

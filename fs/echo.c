/*
 * echo.c - the thread that acts on its own mount, and the answers to its requests.
 *
 *   echo_event -> queue -> [is it watched?] -> [rate] -> notifier drained -> system calls
 *                                                                                 |
 *                            echo_lookup, echo_create, ... <- kernel <----------'
 *
 * Nothing waits for this thread, and it waits, holding no lock, for the notifier and for workers,
 * who wait for nobody: so it can stop neither. Whether anybody watches is looked up once a second
 * while changes come; a change waits in the queue for the next look, so that a watch which is
 * younger than the last one misses nothing.
 *
 * What the kernel is told here lives for no time: names and attributes are asked for again, and the
 * handles are direct I/O, so a write of one byte drops cached pages and leaves none.
 */
#include "fs/echo.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fs/echo_queue.h"
#include "fs/files.h"
#include "fs/handle.h"
#include "fs/magic.h"
#include "fs/names.h"
#include "fs/notify.h"
#include "fs/reply.h"

#define SCAN_NS 1000000000ull
#define SCAN_SHARE 50 /* a look costs at most a 50th of the time */
#define TRIES 3       /* of a call that a lookup of another process has overtaken */
#define PROBE ".nexadb-echo"

/* What the thread is about to call. */
enum act { ACT_NONE, ACT_PROBE, ACT_CREATE, ACT_MODIFY, ACT_DELETE, ACT_MOVE };

struct echo {
    struct fs *fs;        /* outlives it */
    struct handle handle; /* of all its opens */
    uint64_t device;      /* the mount's; constant once started */
    atomic_int thread_id; /* 0: not running; relaxed, a request of the thread comes after it */
    bool started;
    pthread_t thread;

    pthread_mutex_t mu;
    pthread_cond_t wake;
    struct echo_queue queue; /* guarded by mu, as the rest */
    struct watched watched;
    enum { AWAKE, WAITS_FOR_CHANGE, WAITS_FOR_TIME } state;
    bool stopping, known, drained;
    enum act act;
    const struct echo_item *item; /* that it acts for */
    uint64_t scanned_ns, next_scan_ns, scan_stamp;
    uint64_t spent_ns; /* when the rate allows the next act */
};

static uint64_t now_ns(struct echo *echo)
{
    struct nx_io *io = nx_db_io(echo->fs->db);

    return io->ops->monotonic_ns(io);
}

/* --- changes ---------------------------------------------------------------------------------- */

static bool is_file(enum nx_kind kind)
{
    return kind == NX_KIND_DOCUMENT || kind == NX_KIND_DRAFT || kind == NX_KIND_FILE;
}

static bool is_folder(enum nx_kind kind)
{
    return kind == NX_KIND_COLLECTION || kind == NX_KIND_DIRECTORY;
}

/* Reserved names are never listed: nobody is to hear of them. */
static bool is_worth_telling(const struct nx_event *event)
{
    if (!event->parent || magic_is_name(event->name))
        return false;
    return is_file(event->kind) || (is_folder(event->kind) && event->type != NX_EVENT_UPDATE);
}

void echo_event(struct echo *echo, const struct nx_event *event)
{
    const struct echo_item *item;

    if (!echo || !is_worth_telling(event))
        return;
    pthread_mutex_lock(&echo->mu);
    item = echo_queue_add(&echo->queue, event, watched_any(&echo->watched));
    if (item && (echo->state == WAITS_FOR_CHANGE ||
                 (echo->state == WAITS_FOR_TIME && echo_item_is_watched(item, &echo->watched))))
        pthread_cond_signal(&echo->wake);
    pthread_mutex_unlock(&echo->mu);
}

/* --- acting: no lock is held ------------------------------------------------------------------ */

/* Never through a link, nor into what is mounted over a part of the mount, nor waiting in a fifo.
 */
static int open_at(int dir, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW | (flags & O_PATH ? 0 : O_NONBLOCK)),
        .mode = flags & O_CREAT ? 0600 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
    };

    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static bool is_ours(const struct echo *echo, int fd)
{
    struct statx st;

    return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 &&
           makedev(st.stx_dev_major, st.stx_dev_minor) == echo->device;
}

/* Each time anew: an open descriptor would keep the mount from being unmounted. -1: gone. */
static int open_dir(struct echo *echo, nx_ino dir)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    int root = open(echo->fs->mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

    if (root < 0)
        return -1;
    if (!is_ours(echo, root) || nx_db_path(echo->fs->db, NULL, dir, &path, NULL) != NX_OK ||
        nx_buf_append_byte(&path, 0) != NX_OK) {
        close(root);
        return -1;
    }
    if (path.len == 1)
        return root;
    fd = open_at(root, (const char *)path.data, O_PATH | O_DIRECTORY);
    close(root);
    return fd;
}

static void begin(struct echo *echo, enum act act, const struct echo_item *item)
{
    pthread_mutex_lock(&echo->mu);
    echo->act = act;
    echo->item = item;
    pthread_mutex_unlock(&echo->mu);
}

/* The kernel must ask for the name, whatever it remembers. */
static void forget(struct echo *echo, nx_ino dir, const char *name)
{
    fuse_lowlevel_notify_inval_entry(echo->fs->session, dir, name, strlen(name));
}

static void touch(int fd)
{
    if (pwrite(fd, "", 1, 0) != 1) { /* the event is for those who hear: none is owed one */
    }
    close(fd);
}

static void act_modify(struct echo *echo, const struct echo_item *item, int dir)
{
    int fd;

    begin(echo, ACT_MODIFY, item);
    fd = open_at(dir, item->name, O_WRONLY);
    if (fd >= 0)
        touch(fd);
}

static bool create_file(int dir, const char *name)
{
    int fd = open_at(dir, name, O_WRONLY | O_CREAT | O_EXCL);

    if (fd >= 0)
        touch(fd);
    return fd >= 0;
}

static void act_create(struct echo *echo, const struct echo_item *item, int dir)
{
    bool done = false;

    begin(echo, ACT_CREATE, item);
    for (int i = 0; i < TRIES && !done; i++) {
        forget(echo, item->dir, item->name);
        done = is_folder(item->kind) ? mkdirat(dir, item->name, 0700) == 0
                                     : create_file(dir, item->name);
        if (!done && errno != EEXIST)
            return;
    }
    if (!done && is_file(item->kind)) /* others look it up too eagerly: they know it is there */
        act_modify(echo, item, dir);
}

static void act_delete(struct echo *echo, const struct echo_item *item, int dir)
{
    int flags = is_folder(item->gone_kind) ? AT_REMOVEDIR : 0;

    begin(echo, ACT_DELETE, item);
    for (int i = 0; i < TRIES; i++) {
        forget(echo, item->dir, item->name);
        if (unlinkat(dir, item->name, flags) == 0 || errno != ENOENT)
            return;
    }
}

static void act_move(struct echo *echo, const struct echo_item *item, int dir)
{
    int to = open_dir(echo, item->to_dir);

    if (to < 0)
        return;
    begin(echo, ACT_MOVE, item);
    for (int i = 0; i < TRIES; i++) {
        forget(echo, item->dir, item->name);
        forget(echo, item->to_dir, item->to_name);
        if (renameat(dir, item->name, to, item->to_name) == 0 || errno != ENOENT)
            break;
    }
    close(to);
}

static void act(struct echo *echo, const struct echo_item *item)
{
    int dir = open_dir(echo, item->dir);

    if (dir < 0)
        return;
    if (item->to_dir)
        act_move(echo, item, dir);
    if (item->gone)
        act_delete(echo, item, dir);
    if (item->ino && item->is_new)
        act_create(echo, item, dir);
    else if (item->ino && !item->to_dir)
        act_modify(echo, item, dir);
    begin(echo, ACT_NONE, NULL);
    close(dir);
}

/* Its requests must be told from those of others, or it would change what it only tells of. */
static bool probe(struct echo *echo)
{
    struct stat st;
    int root;
    bool known;

    if (stat(echo->fs->mountpoint, &st) != 0 || st.st_ino != NX_ROOT_INO)
        return false;
    echo->device = st.st_dev;
    root = open_dir(echo, NX_ROOT_INO);
    if (root < 0)
        return false;
    begin(echo, ACT_PROBE, NULL);
    forget(echo, NX_ROOT_INO, PROBE);
    faccessat(root, PROBE, F_OK, 0);
    begin(echo, ACT_NONE, NULL);
    close(root);
    pthread_mutex_lock(&echo->mu);
    known = echo->known;
    pthread_mutex_unlock(&echo->mu);
    return known;
}

/* --- the thread ------------------------------------------------------------------------------- */

/* The lock is held. May end early. */
static void wait_until(struct echo *echo, uint64_t until_ns)
{
    uint64_t now = now_ns(echo), ns = until_ns > now ? until_ns - now : 0;
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec += (long)(ns % 1000000000);
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&echo->wake, &echo->mu, &until);
}

static void scan(struct echo *echo)
{
    struct watched found = {0}, old;
    uint64_t stamp = echo->queue.stamp, began = now_ns(echo), took;
    bool strangers = echo->fs->options.allow_other;

    pthread_mutex_unlock(&echo->mu);
    watched_scan(&found, echo->device, strangers);
    pthread_mutex_lock(&echo->mu);
    old = echo->watched;
    echo->watched = found;
    watched_fini(&old);
    echo->scan_stamp = stamp;
    echo->scanned_ns = now_ns(echo);
    took = echo->scanned_ns - began;
    echo->next_scan_ns =
        echo->scanned_ns + (took * SCAN_SHARE > SCAN_NS ? took * SCAN_SHARE : SCAN_NS);
}

static void on_drained(void *arg, const struct nx_err *error)
{
    struct echo *echo = arg;

    (void)error;
    pthread_mutex_lock(&echo->mu);
    echo->drained = true;
    pthread_cond_signal(&echo->wake);
    pthread_mutex_unlock(&echo->mu);
}

/* What the kernel remembered of the change is taken back first. The lock is held. */
static void settle(struct echo *echo)
{
    echo->drained = false;
    pthread_mutex_unlock(&echo->mu);
    notifier_drain(echo->fs->notifier, on_drained, echo);
    pthread_mutex_lock(&echo->mu);
    while (!echo->drained)
        pthread_cond_wait(&echo->wake, &echo->mu);
}

/* The lock is held. A burst of a tenth of a second may come at once. */
static void pace(struct echo *echo)
{
    uint64_t now = now_ns(echo), burst = 100000000;

    if (echo->spent_ns + burst < now)
        echo->spent_ns = now - burst;
    echo->spent_ns += 1000000000 / echo->fs->options.inotify;
    while (echo->spent_ns > now_ns(echo) && !echo->stopping)
        wait_until(echo, echo->spent_ns);
}

static void tell(struct echo *echo, struct echo_item *item)
{
    pace(echo);
    settle(echo);
    pthread_mutex_unlock(&echo->mu);
    act(echo, item);
    free(item);
    pthread_mutex_lock(&echo->mu);
}

/* The lock is held. One step: look, tell, or wait. */
static void step(struct echo *echo)
{
    struct echo_item *item;

    if (!echo->queue.oldest) {
        echo->state = WAITS_FOR_CHANGE;
        pthread_cond_wait(&echo->wake, &echo->mu);
        echo->state = AWAKE;
        return;
    }
    if (now_ns(echo) >= echo->next_scan_ns)
        scan(echo);
    item = echo_queue_take(&echo->queue, &echo->watched, echo->scan_stamp);
    if (item) {
        tell(echo, item);
    } else if (echo->queue.oldest && !echo->stopping) {
        echo->state = WAITS_FOR_TIME;
        wait_until(echo, echo->next_scan_ns);
        echo->state = AWAKE;
    }
}

static void *run(void *arg)
{
    struct echo *echo = arg;

    pthread_setname_np(pthread_self(), "nexadb-echo");
    atomic_store_explicit(&echo->thread_id, gettid(), memory_order_relaxed);
    if (!probe(echo)) {
        fs_log(echo->fs, "inotify: the mount's requests do not tell their thread here; watchers "
                         "will not hear of changes made by REST");
        return NULL;
    }
    pthread_mutex_lock(&echo->mu);
    while (!echo->stopping)
        step(echo);
    pthread_mutex_unlock(&echo->mu);
    return NULL;
}

/* --- its handle ------------------------------------------------------------------------------- */

static void write_nothing(struct handle *handle, fuse_req_t req, const char *data, size_t len,
                          off_t offset)
{
    (void)handle, (void)data, (void)offset;
    fuse_reply_write(req, len);
}

static const struct handle_class echo_class = {
    .read = handle_no_read,
    .write = write_nothing,
    .flush = handle_ok,
    .fsync = handle_ok,
    .resize = handle_no_resize,
    .release = handle_ok, /* the handle is not its own */
};

static void give_handle(struct echo *echo, struct fuse_file_info *file)
{
    file->fh = (uintptr_t)&echo->handle;
    file->direct_io = 1;
    file->noflush = 1;
}

/* --- answers ---------------------------------------------------------------------------------- */

static bool is_echo(fuse_req_t req)
{
    struct echo *echo = fs_of(req)->echo;

    return echo &&
           fuse_req_ctx(req)->pid == atomic_load_explicit(&echo->thread_id, memory_order_relaxed);
}

/* What a name is in the call that is being made. A copy: the kernel orders the answer before the
 * item's end, which no tool can see. */
struct part {
    enum { PART_NONE, PART_SOURCE, PART_TARGET } role;
    enum act act;
    nx_ino gone, to_dir;
    enum nx_kind gone_kind;
    char to_name[NX_NAME_MAX + 1];
};

/* The lock is held. */
static void copy_item(const struct echo_item *item, struct part *out)
{
    out->gone = item->gone;
    out->gone_kind = item->gone_kind;
    out->to_dir = item->to_dir;
    snprintf(out->to_name, sizeof out->to_name, "%s", item->to_name);
}

static void part_of(struct echo *echo, nx_ino dir, const char *name, struct part *out)
{
    const struct echo_item *item;

    out->role = PART_NONE;
    pthread_mutex_lock(&echo->mu);
    out->act = echo->act;
    item = echo->item;
    if (out->act == ACT_PROBE)
        echo->known = true;
    if (item && item->dir == dir && strcmp(item->name, name) == 0)
        out->role = PART_SOURCE;
    else if (item && item->to_dir == dir && strcmp(item->to_name, name) == 0)
        out->role = PART_TARGET;
    if (item)
        copy_item(item, out);
    pthread_mutex_unlock(&echo->mu);
}

/* Of no duration: the generation is one of the past. */
static void reply_short(fuse_req_t req, const struct nx_attr *attr)
{
    reply_entry(req, attr, atomic_load(&fs_of(req)->generation) - 1);
}

static void reply_gone(fuse_req_t req, const struct part *part)
{
    struct fs *fs = fs_of(req);
    bool folder = is_folder(part->gone_kind);

    reply_short(req, &(struct nx_attr){.ino = part->gone,
                                       .kind = part->gone_kind,
                                       .mode = folder ? 0700 : 0600,
                                       .uid = fs->uid,
                                       .gid = fs->gid,
                                       .nlink = folder ? 2 : 1});
}

static bool find_now(fuse_req_t req, nx_ino dir, const char *name, struct nx_attr *attr)
{
    if (nx_db_lookup(fs_of(req)->db, NULL, dir, name, strlen(name), attr, NULL) == NX_OK)
        return true;
    fuse_reply_err(req, ENOENT);
    return false;
}

void echo_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct part part;
    struct nx_attr attr;

    if (!is_echo(req)) {
        names_lookup(req, parent, name);
        return;
    }
    part_of(fs_of(req)->echo, parent, name, &part);
    if (part.role == PART_TARGET || (part.role == PART_SOURCE && part.act == ACT_CREATE)) {
        fuse_reply_err(req, ENOENT); /* not yet */
    } else if (part.role == PART_SOURCE && part.act == ACT_DELETE) {
        reply_gone(req, &part); /* still */
    } else if (part.role == PART_SOURCE && part.act == ACT_MOVE) {
        if (find_now(req, part.to_dir, part.to_name, &attr))
            reply_short(req, &attr);
    } else {
        names_lookup(req, parent, name);
    }
}

void echo_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    if (!is_echo(req)) {
        files_open(req, ino, file);
        return;
    }
    give_handle(fs_of(req)->echo, file);
    fuse_reply_open(req, file);
}

void echo_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                 struct fuse_file_info *file)
{
    struct fuse_entry_param entry;
    struct nx_attr attr;
    struct fs *fs = fs_of(req);

    if (!is_echo(req)) {
        names_create(req, parent, name, mode, file);
        return;
    }
    if (!find_now(req, parent, name, &attr))
        return;
    reply_fill_entry(fs, &attr, atomic_load(&fs->generation) - 1, &entry);
    give_handle(fs->echo, file);
    fuse_reply_create(req, &entry, file);
}

void echo_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct nx_attr attr;

    if (!is_echo(req))
        names_mkdir(req, parent, name, mode);
    else if (find_now(req, parent, name, &attr))
        reply_short(req, &attr);
}

void echo_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    if (is_echo(req))
        fuse_reply_err(req, 0);
    else
        names_unlink(req, parent, name);
}

void echo_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    if (is_echo(req))
        fuse_reply_err(req, 0);
    else
        names_rmdir(req, parent, name);
}

void echo_rename(fuse_req_t req, fuse_ino_t from_parent, const char *from, fuse_ino_t to_parent,
                 const char *to, unsigned flags)
{
    if (is_echo(req))
        fuse_reply_err(req, 0);
    else
        names_rename(req, from_parent, from, to_parent, to, flags);
}

/* --- life ------------------------------------------------------------------------------------- */

enum nx_code echo_new(struct fs *fs, struct echo **out, struct nx_err *err)
{
    pthread_condattr_t monotonic;
    struct echo *echo;

    *out = NULL;
    if (!fs->options.inotify)
        return NX_OK;
    echo = calloc(1, sizeof *echo);
    if (!echo)
        return nx_fail_nomem(err);
    echo->fs = fs;
    echo->handle = (struct handle){.class = &echo_class, .fs = fs, .flags = O_WRONLY};
    pthread_mutex_init(&echo->mu, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&echo->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out = echo;
    return NX_OK;
}

enum nx_code echo_start(struct echo *echo, struct nx_err *err)
{
    int rc = echo ? pthread_create(&echo->thread, NULL, run, echo) : 0;

    if (rc != 0)
        return nx_fail_errno(err, rc, "mount: cannot start the thread for inotify");
    if (echo)
        echo->started = true;
    return NX_OK;
}

void echo_stop(struct echo *echo)
{
    if (!echo || !echo->started)
        return;
    pthread_mutex_lock(&echo->mu);
    echo->stopping = true;
    pthread_cond_broadcast(&echo->wake);
    pthread_mutex_unlock(&echo->mu);
    pthread_join(echo->thread, NULL);
    echo->started = false;
}

void echo_free(struct echo *echo)
{
    if (!echo)
        return;
    echo_queue_fini(&echo->queue);
    watched_fini(&echo->watched);
    pthread_cond_destroy(&echo->wake);
    pthread_mutex_destroy(&echo->mu);
    free(echo);
}

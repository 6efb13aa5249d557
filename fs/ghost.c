/*
 * ghost.c - the thread that acts on its own mount, and the answers to its requests.
 *
 *   ghost_event -> queue -> [is it watched?] -> [rate] -> notifier drained -> system calls
 *                                                                                 |
 *                            ghost_lookup, ghost_create, ... <- kernel <----------'
 *
 * Nothing waits for this thread, and it waits, holding no lock, for the notifier and for workers,
 * who wait for nobody: so it can stop neither. Whether anybody watches is looked up once a second
 * while changes come; a change waits in the queue for the next look, so that a watch which is
 * younger than the last one misses nothing.
 *
 * What the kernel is told here lives for no time: names and attributes are asked for again, and the
 * handles are direct I/O, so a write of one byte drops cached pages and leaves none.
 */
#include "fs/ghost.h"

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

#include "fs/files.h"
#include "fs/ghost_queue.h"
#include "fs/handle.h"
#include "fs/magic.h"
#include "fs/names.h"
#include "fs/notify.h"
#include "fs/reply.h"

#define SCAN_NS 1000000000ull
#define SCAN_SHARE 50 /* a look costs at most a 50th of the time */
#define TRIES 3       /* of a call that a lookup of another process has overtaken */
#define PROBE ".nexadb-ghost"

/* What the thread is about to call. */
enum act { ACT_NONE, ACT_PROBE, ACT_CREATE, ACT_MODIFY, ACT_DELETE, ACT_MOVE };

struct ghost {
    struct fs *fs;        /* outlives it */
    struct handle handle; /* of all its opens */
    uint64_t device;      /* the mount's; constant once started */
    atomic_int thread_id; /* 0: not running; relaxed, a request of the thread comes after it */
    bool started;
    pthread_t thread;

    pthread_mutex_t mu;
    pthread_cond_t wake;
    struct ghost_queue queue; /* guarded by mu, as the rest */
    struct watched watched;
    enum { AWAKE, WAITS_FOR_CHANGE, WAITS_FOR_TIME } state;
    bool stopping, known, drained;
    enum act act;
    const struct ghost_item *item; /* that it acts for */
    uint64_t scanned_ns, next_scan_ns, scan_stamp;
    uint64_t spent_ns; /* when the rate allows the next act */
};

static uint64_t now_ns(struct ghost *ghost)
{
    struct nx_io *io = nx_db_io(ghost->fs->db);

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

void ghost_event(struct ghost *ghost, const struct nx_event *event)
{
    const struct ghost_item *item;

    if (!ghost || !is_worth_telling(event))
        return;
    pthread_mutex_lock(&ghost->mu);
    item = ghost_queue_add(&ghost->queue, event, watched_any(&ghost->watched));
    if (item && (ghost->state == WAITS_FOR_CHANGE ||
                 (ghost->state == WAITS_FOR_TIME && ghost_item_is_watched(item, &ghost->watched))))
        pthread_cond_signal(&ghost->wake);
    pthread_mutex_unlock(&ghost->mu);
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

static bool is_ours(const struct ghost *ghost, int fd)
{
    struct statx st;

    return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 &&
           makedev(st.stx_dev_major, st.stx_dev_minor) == ghost->device;
}

/* Each time anew: an open descriptor would keep the mount from being unmounted. -1: gone. */
static int open_dir(struct ghost *ghost, nx_ino dir)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    int root = open(ghost->fs->mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

    if (root < 0)
        return -1;
    if (!is_ours(ghost, root) || nx_db_path(ghost->fs->db, NULL, dir, &path, NULL) != NX_OK ||
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

static void begin(struct ghost *ghost, enum act act, const struct ghost_item *item)
{
    pthread_mutex_lock(&ghost->mu);
    ghost->act = act;
    ghost->item = item;
    pthread_mutex_unlock(&ghost->mu);
}

/* The kernel must ask for the name, whatever it remembers. */
static void forget(struct ghost *ghost, nx_ino dir, const char *name)
{
    fuse_lowlevel_notify_inval_entry(ghost->fs->session, dir, name, strlen(name));
}

static void touch(int fd)
{
    if (pwrite(fd, "", 1, 0) != 1) { /* the event is for those who hear: none is owed one */
    }
    close(fd);
}

static void act_modify(struct ghost *ghost, const struct ghost_item *item, int dir)
{
    int fd;

    begin(ghost, ACT_MODIFY, item);
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

static void act_create(struct ghost *ghost, const struct ghost_item *item, int dir)
{
    bool done = false;

    begin(ghost, ACT_CREATE, item);
    for (int i = 0; i < TRIES && !done; i++) {
        forget(ghost, item->dir, item->name);
        done = is_folder(item->kind) ? mkdirat(dir, item->name, 0700) == 0
                                     : create_file(dir, item->name);
        if (!done && errno != EEXIST)
            return;
    }
    if (!done && is_file(item->kind)) /* others look it up too eagerly: they know it is there */
        act_modify(ghost, item, dir);
}

static void act_delete(struct ghost *ghost, const struct ghost_item *item, int dir)
{
    int flags = is_folder(item->gone_kind) ? AT_REMOVEDIR : 0;

    begin(ghost, ACT_DELETE, item);
    for (int i = 0; i < TRIES; i++) {
        forget(ghost, item->dir, item->name);
        if (unlinkat(dir, item->name, flags) == 0 || errno != ENOENT)
            return;
    }
}

static void act_move(struct ghost *ghost, const struct ghost_item *item, int dir)
{
    int to = open_dir(ghost, item->to_dir);

    if (to < 0)
        return;
    begin(ghost, ACT_MOVE, item);
    for (int i = 0; i < TRIES; i++) {
        forget(ghost, item->dir, item->name);
        forget(ghost, item->to_dir, item->to_name);
        if (renameat(dir, item->name, to, item->to_name) == 0 || errno != ENOENT)
            break;
    }
    close(to);
}

static void act(struct ghost *ghost, const struct ghost_item *item)
{
    int dir = open_dir(ghost, item->dir);

    if (dir < 0)
        return;
    if (item->to_dir)
        act_move(ghost, item, dir);
    if (item->gone)
        act_delete(ghost, item, dir);
    if (item->ino && item->is_new)
        act_create(ghost, item, dir);
    else if (item->ino && !item->to_dir)
        act_modify(ghost, item, dir);
    begin(ghost, ACT_NONE, NULL);
    close(dir);
}

/* Its requests must be told from those of others, or it would change what it only tells of. */
static bool probe(struct ghost *ghost)
{
    struct stat st;
    int root;
    bool known;

    if (stat(ghost->fs->mountpoint, &st) != 0 || st.st_ino != NX_ROOT_INO)
        return false;
    ghost->device = st.st_dev;
    root = open_dir(ghost, NX_ROOT_INO);
    if (root < 0)
        return false;
    begin(ghost, ACT_PROBE, NULL);
    forget(ghost, NX_ROOT_INO, PROBE);
    faccessat(root, PROBE, F_OK, 0);
    begin(ghost, ACT_NONE, NULL);
    close(root);
    pthread_mutex_lock(&ghost->mu);
    known = ghost->known;
    pthread_mutex_unlock(&ghost->mu);
    return known;
}

/* --- the thread ------------------------------------------------------------------------------- */

/* The lock is held. May end early. */
static void wait_until(struct ghost *ghost, uint64_t until_ns)
{
    uint64_t now = now_ns(ghost), ns = until_ns > now ? until_ns - now : 0;
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ns / 1000000000);
    until.tv_nsec += (long)(ns % 1000000000);
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&ghost->wake, &ghost->mu, &until);
}

static void scan(struct ghost *ghost)
{
    struct watched found = {0}, old;
    uint64_t stamp = ghost->queue.stamp, began = now_ns(ghost), took;
    bool strangers = ghost->fs->options.allow_other;

    pthread_mutex_unlock(&ghost->mu);
    watched_scan(&found, ghost->device, strangers);
    pthread_mutex_lock(&ghost->mu);
    old = ghost->watched;
    ghost->watched = found;
    watched_fini(&old);
    ghost->scan_stamp = stamp;
    ghost->scanned_ns = now_ns(ghost);
    took = ghost->scanned_ns - began;
    ghost->next_scan_ns =
        ghost->scanned_ns + (took * SCAN_SHARE > SCAN_NS ? took * SCAN_SHARE : SCAN_NS);
}

static void on_drained(void *arg, const struct nx_err *error)
{
    struct ghost *ghost = arg;

    (void)error;
    pthread_mutex_lock(&ghost->mu);
    ghost->drained = true;
    pthread_cond_signal(&ghost->wake);
    pthread_mutex_unlock(&ghost->mu);
}

/* What the kernel remembered of the change is taken back first. The lock is held. */
static void settle(struct ghost *ghost)
{
    ghost->drained = false;
    pthread_mutex_unlock(&ghost->mu);
    notifier_drain(ghost->fs->notifier, on_drained, ghost);
    pthread_mutex_lock(&ghost->mu);
    while (!ghost->drained)
        pthread_cond_wait(&ghost->wake, &ghost->mu);
}

/* The lock is held. A burst of a tenth of a second may come at once. */
static void pace(struct ghost *ghost)
{
    uint64_t now = now_ns(ghost), burst = 100000000;

    if (ghost->spent_ns + burst < now)
        ghost->spent_ns = now - burst;
    ghost->spent_ns += 1000000000 / ghost->fs->options.inotify;
    while (ghost->spent_ns > now_ns(ghost) && !ghost->stopping)
        wait_until(ghost, ghost->spent_ns);
}

static void tell(struct ghost *ghost, struct ghost_item *item)
{
    pace(ghost);
    settle(ghost);
    pthread_mutex_unlock(&ghost->mu);
    act(ghost, item);
    free(item);
    pthread_mutex_lock(&ghost->mu);
}

/* The lock is held. One step: look, tell, or wait. */
static void step(struct ghost *ghost)
{
    struct ghost_item *item;

    if (!ghost->queue.oldest) {
        ghost->state = WAITS_FOR_CHANGE;
        pthread_cond_wait(&ghost->wake, &ghost->mu);
        ghost->state = AWAKE;
        return;
    }
    if (now_ns(ghost) >= ghost->next_scan_ns)
        scan(ghost);
    item = ghost_queue_take(&ghost->queue, &ghost->watched, ghost->scan_stamp);
    if (item) {
        tell(ghost, item);
    } else if (ghost->queue.oldest && !ghost->stopping) {
        ghost->state = WAITS_FOR_TIME;
        wait_until(ghost, ghost->next_scan_ns);
        ghost->state = AWAKE;
    }
}

static void *run(void *arg)
{
    struct ghost *ghost = arg;

    pthread_setname_np(pthread_self(), "nexadb-ghost");
    atomic_store_explicit(&ghost->thread_id, gettid(), memory_order_relaxed);
    if (!probe(ghost)) {
        fs_log(ghost->fs, "inotify: the mount's requests do not tell their thread here; watchers "
                          "will not hear of changes made by REST");
        return NULL;
    }
    pthread_mutex_lock(&ghost->mu);
    while (!ghost->stopping)
        step(ghost);
    pthread_mutex_unlock(&ghost->mu);
    return NULL;
}

/* --- its handle ------------------------------------------------------------------------------- */

static void write_nothing(struct handle *handle, fuse_req_t req, const char *data, size_t len,
                          off_t offset)
{
    (void)handle, (void)data, (void)offset;
    fuse_reply_write(req, len);
}

static const struct handle_class ghost_class = {
    .read = handle_no_read,
    .write = write_nothing,
    .flush = handle_ok,
    .fsync = handle_ok,
    .resize = handle_no_resize,
    .release = handle_ok, /* the handle is not its own */
};

static void give_handle(struct ghost *ghost, struct fuse_file_info *file)
{
    file->fh = (uintptr_t)&ghost->handle;
    file->direct_io = 1;
    file->noflush = 1;
}

/* --- answers ---------------------------------------------------------------------------------- */

static bool is_ghost(fuse_req_t req)
{
    struct ghost *ghost = fs_of(req)->ghost;

    return ghost &&
           fuse_req_ctx(req)->pid == atomic_load_explicit(&ghost->thread_id, memory_order_relaxed);
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
static void copy_item(const struct ghost_item *item, struct part *out)
{
    out->gone = item->gone;
    out->gone_kind = item->gone_kind;
    out->to_dir = item->to_dir;
    snprintf(out->to_name, sizeof out->to_name, "%s", item->to_name);
}

static void part_of(struct ghost *ghost, nx_ino dir, const char *name, struct part *out)
{
    const struct ghost_item *item;

    out->role = PART_NONE;
    pthread_mutex_lock(&ghost->mu);
    out->act = ghost->act;
    item = ghost->item;
    if (out->act == ACT_PROBE)
        ghost->known = true;
    if (item && item->dir == dir && strcmp(item->name, name) == 0)
        out->role = PART_SOURCE;
    else if (item && item->to_dir == dir && strcmp(item->to_name, name) == 0)
        out->role = PART_TARGET;
    if (item)
        copy_item(item, out);
    pthread_mutex_unlock(&ghost->mu);
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

void ghost_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct part part;
    struct nx_attr attr;

    if (!is_ghost(req)) {
        names_lookup(req, parent, name);
        return;
    }
    part_of(fs_of(req)->ghost, parent, name, &part);
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

void ghost_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file)
{
    if (!is_ghost(req)) {
        files_open(req, ino, file);
        return;
    }
    give_handle(fs_of(req)->ghost, file);
    fuse_reply_open(req, file);
}

void ghost_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                  struct fuse_file_info *file)
{
    struct fuse_entry_param entry;
    struct nx_attr attr;
    struct fs *fs = fs_of(req);

    if (!is_ghost(req)) {
        names_create(req, parent, name, mode, file);
        return;
    }
    if (!find_now(req, parent, name, &attr))
        return;
    reply_fill_entry(fs, &attr, atomic_load(&fs->generation) - 1, &entry);
    give_handle(fs->ghost, file);
    fuse_reply_create(req, &entry, file);
}

void ghost_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct nx_attr attr;

    if (!is_ghost(req))
        names_mkdir(req, parent, name, mode);
    else if (find_now(req, parent, name, &attr))
        reply_short(req, &attr);
}

void ghost_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    if (is_ghost(req))
        fuse_reply_err(req, 0);
    else
        names_unlink(req, parent, name);
}

void ghost_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    if (is_ghost(req))
        fuse_reply_err(req, 0);
    else
        names_rmdir(req, parent, name);
}

void ghost_rename(fuse_req_t req, fuse_ino_t from_parent, const char *from, fuse_ino_t to_parent,
                  const char *to, unsigned flags)
{
    if (is_ghost(req))
        fuse_reply_err(req, 0);
    else
        names_rename(req, from_parent, from, to_parent, to, flags);
}

/* --- life ------------------------------------------------------------------------------------- */

enum nx_code ghost_new(struct fs *fs, struct ghost **out, struct nx_err *err)
{
    pthread_condattr_t monotonic;
    struct ghost *ghost;

    *out = NULL;
    if (!fs->options.inotify)
        return NX_OK;
    ghost = calloc(1, sizeof *ghost);
    if (!ghost)
        return nx_fail_nomem(err);
    ghost->fs = fs;
    ghost->handle = (struct handle){.class = &ghost_class, .fs = fs, .flags = O_WRONLY};
    pthread_mutex_init(&ghost->mu, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&ghost->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out = ghost;
    return NX_OK;
}

enum nx_code ghost_start(struct ghost *ghost, struct nx_err *err)
{
    int rc = ghost ? pthread_create(&ghost->thread, NULL, run, ghost) : 0;

    if (rc != 0)
        return nx_fail_errno(err, rc, "mount: cannot start the thread for inotify");
    if (ghost)
        ghost->started = true;
    return NX_OK;
}

void ghost_stop(struct ghost *ghost)
{
    if (!ghost || !ghost->started)
        return;
    pthread_mutex_lock(&ghost->mu);
    ghost->stopping = true;
    pthread_cond_broadcast(&ghost->wake);
    pthread_mutex_unlock(&ghost->mu);
    pthread_join(ghost->thread, NULL);
    ghost->started = false;
}

void ghost_free(struct ghost *ghost)
{
    if (!ghost)
        return;
    ghost_queue_fini(&ghost->queue);
    watched_fini(&ghost->watched);
    pthread_cond_destroy(&ghost->wake);
    pthread_mutex_destroy(&ghost->mu);
    free(ghost);
}

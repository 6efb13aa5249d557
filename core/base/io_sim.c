/*
 * io_sim.c - the file layer over a simulated disk, under one lock. Threads are real ones.
 */
#include "base/io_sim.h"

#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "base/sim_disk.h"

enum { START_SECONDS = 1700000000 };

struct io_sim {
    struct nx_io io;
    struct nx_mutex mu;
    struct sim_disk disk;     /* guarded by mu */
    uint64_t random;          /* guarded by mu */
    uint64_t clock_ns;        /* guarded by mu */
    uint64_t space_bytes;     /* guarded by mu; 0: no limit */
    uint64_t changes;         /* guarded by mu */
    uint64_t crash_at;        /* guarded by mu; value of `changes`, 0: no plan */
    uint64_t crash_seed;      /* guarded by mu */
    bool crash_is_kill;       /* guarded by mu */
    void (*crash_fn)(void *); /* guarded by mu */
    void *crash_arg;          /* guarded by mu */
    struct io_sim *crashed;   /* guarded by mu; owned until taken */
    void (*watch_fn)(void *arg, struct io_sim *then); /* guarded by mu; NULL: nobody watches */
    void *watch_arg;                                  /* guarded by mu */
};

struct sim_file {
    struct nx_file file;
    struct sim_inode *inode; /* counted */
    char path[];
};

struct nx_dirlock {
    struct io_sim *sim;
    char *path;
};

static struct io_sim *sim_of(struct nx_io *io)
{
    return (struct io_sim *)io;
}

static struct sim_file *file_of(struct nx_file *file)
{
    return (struct sim_file *)file;
}

static enum nx_code say(enum nx_code rc, const char *what, const char *path, struct nx_err *err)
{
    return rc == NX_OK ? NX_OK : nx_fail(err, rc, "%s '%s': %s", what, path, nx_code_text(rc));
}

/* --- crashes ---------------------------------------------------------------------------------- */

static const struct nx_io_ops io_ops;

struct io_sim *io_sim_new(uint64_t seed)
{
    struct io_sim *sim = calloc(1, sizeof *sim);

    if (!sim)
        return NULL;
    sim->io.ops = &io_ops;
    sim->random = seed;
    nx_mutex_init(&sim->mu, NX_RANK_IO_SIM);
    return sim;
}

void io_sim_free(struct io_sim *sim)
{
    if (!sim)
        return;
    sim_disk_fini(&sim->disk);
    io_sim_free(sim->crashed);
    nx_mutex_fini(&sim->mu);
    free(sim);
}

struct nx_io *io_sim_io(struct io_sim *sim)
{
    return &sim->io;
}

/* `fate` NULL: only the program dies. */
static struct io_sim *next_boot(struct io_sim *sim, struct sim_fate *fate) NX_REQUIRES(sim->mu)
{
    struct io_sim *next = io_sim_new(sim->random ^ (fate ? fate->seed : 1));
    enum nx_code rc;

    if (!next)
        return NULL;
    next->clock_ns = sim->clock_ns;
    next->space_bytes = sim->space_bytes;
    rc = fate ? sim_disk_crash(&sim->disk, fate, &next->disk)
              : sim_disk_copy(&sim->disk, &next->disk);
    if (rc == NX_OK)
        return next;
    io_sim_free(next);
    return NULL;
}

static struct io_sim *crash(struct io_sim *sim, struct sim_fate *fate)
{
    struct io_sim *next;

    nx_mutex_lock(&sim->mu);
    next = next_boot(sim, fate);
    nx_mutex_unlock(&sim->mu);
    return next;
}

struct io_sim *io_sim_crash(struct io_sim *sim, uint64_t seed)
{
    return crash(sim, &(struct sim_fate){.seed = seed});
}

struct io_sim *io_sim_crash_with(struct io_sim *sim, const bool *answers, size_t count,
                                 size_t *asked)
{
    struct sim_fate fate = {.seed = 1, .answers = answers, .count = count};
    struct io_sim *next = crash(sim, &fate);

    *asked = fate.asked;
    return next;
}

struct io_sim *io_sim_kill(struct io_sim *sim)
{
    return crash(sim, NULL);
}

uint64_t io_sim_changes(struct io_sim *sim)
{
    uint64_t changes;

    nx_mutex_lock(&sim->mu);
    changes = sim->changes;
    nx_mutex_unlock(&sim->mu);
    return changes;
}

static void plan(struct io_sim *sim, bool is_kill, uint64_t change, uint64_t seed,
                 void (*fn)(void *arg), void *arg)
{
    nx_mutex_lock(&sim->mu);
    sim->crash_is_kill = is_kill;
    sim->crash_at = sim->changes + (change ? change : 1);
    sim->crash_seed = seed;
    sim->crash_fn = fn;
    sim->crash_arg = arg;
    nx_mutex_unlock(&sim->mu);
}

void io_sim_plan_crash(struct io_sim *sim, uint64_t change, uint64_t seed, void (*fn)(void *arg),
                       void *arg)
{
    plan(sim, false, change, seed, fn, arg);
}

void io_sim_plan_kill(struct io_sim *sim, uint64_t change, void (*fn)(void *arg), void *arg)
{
    plan(sim, true, change, 1, fn, arg);
}

struct io_sim *io_sim_take_crash(struct io_sim *sim)
{
    struct io_sim *crashed;

    nx_mutex_lock(&sim->mu);
    crashed = sim->crashed;
    sim->crashed = NULL;
    nx_mutex_unlock(&sim->mu);
    return crashed;
}

void io_sim_watch(struct io_sim *sim, void (*fn)(void *arg, struct io_sim *then), void *arg)
{
    nx_mutex_lock(&sim->mu);
    sim->watch_fn = fn;
    sim->watch_arg = arg;
    nx_mutex_unlock(&sim->mu);
}

/* Every operation that changes the disk begins here. */
static void begin_change(struct io_sim *sim) NX_REQUIRES(sim->mu)
{
    struct sim_fate fate = {.seed = sim->crash_seed};

    if (sim->watch_fn)
        sim->watch_fn(sim->watch_arg, next_boot(sim, NULL));
    if (++sim->changes != sim->crash_at || sim->crashed)
        return;
    if (sim->crash_fn)
        sim->crash_fn(sim->crash_arg);
    sim->crashed = next_boot(sim, sim->crash_is_kill ? NULL : &fate);
}

/* --- files ------------------------------------------------------------------------------------ */

static void file_close(struct nx_file *file)
{
    struct io_sim *sim = sim_of(file->io);

    nx_mutex_lock(&sim->mu);
    sim_inode_unref(file_of(file)->inode);
    nx_mutex_unlock(&sim->mu);
    free(file);
}

static enum nx_code file_pread(struct nx_file *file, uint64_t offset, void *out, size_t len,
                               size_t *got, struct nx_err *err)
{
    struct io_sim *sim = sim_of(file->io);
    const struct nx_buf *bytes = &file_of(file)->inode->now;

    (void)err;
    nx_mutex_lock(&sim->mu);
    *got = offset >= bytes->len ? 0 : bytes->len - (size_t)offset;
    *got = *got < len ? *got : len;
    if (*got)
        memcpy(out, bytes->data + offset, *got);
    nx_mutex_unlock(&sim->mu);
    return NX_OK;
}

static bool has_space(struct io_sim *sim, const struct sim_inode *inode, uint64_t size)
    NX_REQUIRES(sim->mu)
{
    return sim->space_bytes == 0 || size <= inode->now.len ||
           sim_disk_bytes(&sim->disk) + (size - inode->now.len) <= sim->space_bytes;
}

static enum nx_code file_pwrite(struct nx_file *file, uint64_t offset, const void *data, size_t len,
                                struct nx_err *err)
{
    struct io_sim *sim = sim_of(file->io);
    struct sim_inode *inode = file_of(file)->inode;
    enum nx_code rc;

    nx_mutex_lock(&sim->mu);
    begin_change(sim);
    rc =
        has_space(sim, inode, offset + len) ? sim_inode_write(inode, offset, data, len) : NX_ENOSPC;
    nx_mutex_unlock(&sim->mu);
    return say(rc, "write", file_of(file)->path, err);
}

static enum nx_code file_size(struct nx_file *file, uint64_t *out, struct nx_err *err)
{
    struct io_sim *sim = sim_of(file->io);

    (void)err;
    nx_mutex_lock(&sim->mu);
    *out = file_of(file)->inode->now.len;
    nx_mutex_unlock(&sim->mu);
    return NX_OK;
}

static enum nx_code file_truncate(struct nx_file *file, uint64_t size, struct nx_err *err)
{
    struct io_sim *sim = sim_of(file->io);
    struct sim_inode *inode = file_of(file)->inode;
    enum nx_code rc;

    nx_mutex_lock(&sim->mu);
    begin_change(sim);
    rc = has_space(sim, inode, size) ? sim_inode_resize(inode, size) : NX_ENOSPC;
    nx_mutex_unlock(&sim->mu);
    return say(rc, "truncate", file_of(file)->path, err);
}

static enum nx_code file_allocate(struct nx_file *file, uint64_t size, struct nx_err *err)
{
    struct io_sim *sim = sim_of(file->io);
    struct sim_inode *inode = file_of(file)->inode;
    enum nx_code rc = NX_OK;

    nx_mutex_lock(&sim->mu);
    begin_change(sim);
    if (!has_space(sim, inode, size))
        rc = NX_ENOSPC;
    else if (size > inode->now.len)
        rc = sim_inode_resize(inode, size);
    nx_mutex_unlock(&sim->mu);
    return say(rc, "reserve space for", file_of(file)->path, err);
}

static enum nx_code file_datasync(struct nx_file *file, struct nx_err *err)
{
    struct io_sim *sim = sim_of(file->io);
    enum nx_code rc;

    nx_mutex_lock(&sim->mu);
    begin_change(sim);
    rc = sim_inode_sync(file_of(file)->inode);
    nx_mutex_unlock(&sim->mu);
    return say(rc, "sync", file_of(file)->path, err);
}

static enum nx_code map_inode(struct io_sim *sim, struct sim_inode *inode, size_t len, void **out)
    NX_REQUIRES(sim->mu)
{
    enum nx_code rc;

    (void)sim;
    if (len == 0 || len > inode->now.len)
        return NX_EINVAL; /* touching what lies behind the end would be a SIGBUS */
    rc = sim_inode_prepare_map(inode);
    if (rc != NX_OK)
        return rc;
    inode->maps++;
    *out = inode->now.data;
    return NX_OK;
}

static enum nx_code file_map(struct nx_file *file, size_t len, void **out, struct nx_err *err)
{
    struct io_sim *sim = sim_of(file->io);
    enum nx_code rc;

    *out = NULL;
    nx_mutex_lock(&sim->mu);
    rc = map_inode(sim, file_of(file)->inode, len, out);
    nx_mutex_unlock(&sim->mu);
    return say(rc, "map", file_of(file)->path, err);
}

static void file_unmap(struct nx_file *file, void *address, size_t len)
{
    struct io_sim *sim = sim_of(file->io);

    (void)address;
    (void)len;
    nx_mutex_lock(&sim->mu);
    file_of(file)->inode->maps--;
    nx_mutex_unlock(&sim->mu);
}

/* A crash may come before it and in the middle. */
static void file_store(struct nx_file *file, void *at, const void *data, size_t len)
{
    struct io_sim *sim = sim_of(file->io);
    struct sim_inode *inode = file_of(file)->inode;
    uint64_t offset;

    nx_mutex_lock(&sim->mu);
    offset = (uint64_t)((const uint8_t *)at - inode->now.data);
    begin_change(sim);
    sim_inode_store(inode, offset, data, len / 2, &sim->random);
    begin_change(sim);
    sim_inode_store(inode, offset + len / 2, (const uint8_t *)data + len / 2, len - len / 2,
                    &sim->random);
    nx_mutex_unlock(&sim->mu);
}

static const struct nx_file_ops file_ops = {
    .close = file_close,
    .pread = file_pread,
    .pwrite = file_pwrite,
    .size = file_size,
    .truncate = file_truncate,
    .allocate = file_allocate,
    .datasync = file_datasync,
    .map = file_map,
    .unmap = file_unmap,
    .store = file_store,
};

static enum nx_code create(struct io_sim *sim, const char *path, struct sim_inode **out)
    NX_REQUIRES(sim->mu)
{
    enum nx_code rc;

    if (!sim_disk_has_parent(&sim->disk, path))
        return NX_ENOTFOUND;
    *out = sim_inode_new(false);
    if (!*out)
        return NX_ENOMEM;
    rc = sim_disk_change(&sim->disk, NULL, path, *out);
    if (rc != NX_OK)
        sim_inode_unref(*out);
    return rc;
}

/* A counted inode. */
static enum nx_code open_inode(struct io_sim *sim, const char *path, unsigned flags,
                               struct sim_inode **out) NX_REQUIRES(sim->mu)
{
    struct sim_inode *inode = sim_disk_find(&sim->disk, path);

    if (flags & (NX_OPEN_CREATE | NX_OPEN_TRUNC))
        begin_change(sim);
    if (!inode)
        return flags & NX_OPEN_CREATE ? create(sim, path, out) : NX_ENOTFOUND;
    if (flags & NX_OPEN_EXCL)
        return NX_EEXISTS;
    if (inode->is_dir)
        return NX_EISDIR;
    inode->refs++;
    *out = inode;
    return flags & NX_OPEN_TRUNC ? sim_inode_resize(inode, 0) : NX_OK;
}

static enum nx_code io_open(struct nx_io *io, const char *path, unsigned flags,
                            struct nx_file **out, struct nx_err *err)
{
    struct io_sim *sim = sim_of(io);
    struct sim_file *file;
    enum nx_code rc;

    *out = NULL;
    file = malloc(sizeof *file + strlen(path) + 1);
    if (!file)
        return nx_fail_nomem(err);
    file->file = (struct nx_file){&file_ops, io};
    memcpy(file->path, path, strlen(path) + 1);
    nx_mutex_lock(&sim->mu);
    rc = open_inode(sim, path, flags, &file->inode);
    nx_mutex_unlock(&sim->mu);
    if (rc != NX_OK) {
        free(file);
        return say(rc, "open", path, err);
    }
    *out = &file->file;
    return NX_OK;
}

/* --- names ------------------------------------------------------------------------------------ */

static enum nx_code io_rename(struct nx_io *io, const char *from, const char *to,
                              struct nx_err *err)
{
    struct io_sim *sim = sim_of(io);
    struct sim_inode *inode;
    enum nx_code rc;

    nx_mutex_lock(&sim->mu);
    begin_change(sim);
    inode = sim_disk_find(&sim->disk, from);
    if (!inode || !sim_disk_has_parent(&sim->disk, to))
        rc = NX_ENOTFOUND;
    else if (inode->is_dir)
        rc = NX_EUNSUPPORTED;
    else
        rc = sim_disk_change(&sim->disk, from, to, inode);
    nx_mutex_unlock(&sim->mu);
    return say(rc, "rename", from, err);
}

static enum nx_code io_link(struct nx_io *io, const char *from, const char *to, struct nx_err *err)
{
    struct io_sim *sim = sim_of(io);
    struct sim_inode *inode;
    enum nx_code rc;

    nx_mutex_lock(&sim->mu);
    begin_change(sim);
    inode = sim_disk_find(&sim->disk, from);
    if (!inode || !sim_disk_has_parent(&sim->disk, to))
        rc = NX_ENOTFOUND;
    else if (sim_disk_find(&sim->disk, to))
        rc = NX_EEXISTS;
    else
        rc = sim_disk_change(&sim->disk, NULL, to, inode);
    nx_mutex_unlock(&sim->mu);
    return say(rc, "link", from, err);
}

static bool is_empty(struct io_sim *sim, const char *dir) NX_REQUIRES(sim->mu)
{
    for (size_t i = 0; i < sim->disk.now.count; i++)
        if (sim_disk_name_in(sim->disk.now.rows[i].path, dir))
            return false;
    return true;
}

static enum nx_code remove_name(struct io_sim *sim, const char *path, bool is_dir)
    NX_REQUIRES(sim->mu)
{
    struct sim_inode *inode = sim_disk_find(&sim->disk, path);

    begin_change(sim);
    if (!inode)
        return NX_ENOTFOUND;
    if (inode->is_dir != is_dir)
        return is_dir ? NX_ENOTDIR : NX_EISDIR;
    if (is_dir && !is_empty(sim, path))
        return NX_ENOTEMPTY;
    return sim_disk_change(&sim->disk, path, NULL, inode);
}

static enum nx_code io_remove(struct nx_io *io, const char *path, struct nx_err *err)
{
    struct io_sim *sim = sim_of(io);
    enum nx_code rc;

    nx_mutex_lock(&sim->mu);
    rc = remove_name(sim, path, false);
    nx_mutex_unlock(&sim->mu);
    return say(rc, "remove", path, err);
}

static enum nx_code io_rmdir(struct nx_io *io, const char *path, struct nx_err *err)
{
    struct io_sim *sim = sim_of(io);
    enum nx_code rc;

    nx_mutex_lock(&sim->mu);
    rc = remove_name(sim, path, true);
    nx_mutex_unlock(&sim->mu);
    return say(rc, "remove directory", path, err);
}

static enum nx_code make_dir(struct io_sim *sim, const char *path) NX_REQUIRES(sim->mu)
{
    struct sim_inode *inode;
    enum nx_code rc;

    begin_change(sim);
    if (sim_disk_find(&sim->disk, path))
        return NX_EEXISTS;
    if (!sim_disk_has_parent(&sim->disk, path))
        return NX_ENOTFOUND;
    inode = sim_inode_new(true);
    if (!inode)
        return NX_ENOMEM;
    rc = sim_disk_change(&sim->disk, NULL, path, inode);
    sim_inode_unref(inode);
    return rc;
}

static enum nx_code io_mkdir(struct nx_io *io, const char *path, struct nx_err *err)
{
    struct io_sim *sim = sim_of(io);
    enum nx_code rc;

    nx_mutex_lock(&sim->mu);
    rc = make_dir(sim, path);
    nx_mutex_unlock(&sim->mu);
    return say(rc, "make directory", path, err);
}

/* The root has no inode. */
static bool is_dir(struct io_sim *sim, const char *dir) NX_REQUIRES(sim->mu)
{
    struct sim_inode *inode = sim_disk_find(&sim->disk, dir);

    return inode ? inode->is_dir : strcmp(dir, "/") == 0 || strcmp(dir, ".") == 0 || *dir == '\0';
}

static enum nx_code collect(struct io_sim *sim, const char *dir, struct nx_buf *names)
    NX_REQUIRES(sim->mu)
{
    enum nx_code rc = is_dir(sim, dir) ? NX_OK : NX_ENOTFOUND;

    for (size_t i = 0; i < sim->disk.now.count && rc == NX_OK; i++) {
        const char *name = sim_disk_name_in(sim->disk.now.rows[i].path, dir);

        if (name)
            rc = nx_buf_append(names, name, strlen(name) + 1);
    }
    return rc;
}

static enum nx_code io_list(struct nx_io *io, const char *dir, nx_list_fn fn, void *arg,
                            struct nx_err *err)
{
    struct nx_buf names NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct io_sim *sim = sim_of(io);
    enum nx_code rc;

    nx_mutex_lock(&sim->mu);
    rc = collect(sim, dir, &names);
    nx_mutex_unlock(&sim->mu);
    for (size_t at = 0; rc == NX_OK && at < names.len; at += strlen((char *)names.data + at) + 1)
        fn(arg, (const char *)names.data + at);
    return say(rc, "list", dir, err);
}

static enum nx_code io_sync_dir(struct nx_io *io, const char *dir, struct nx_err *err)
{
    struct io_sim *sim = sim_of(io);
    enum nx_code rc;

    nx_mutex_lock(&sim->mu);
    begin_change(sim);
    rc = is_dir(sim, dir) ? sim_disk_sync_dir(&sim->disk, strcmp(dir, "/") == 0 ? "" : dir)
                          : NX_ENOTFOUND;
    nx_mutex_unlock(&sim->mu);
    return say(rc, "sync directory", dir, err);
}

static enum nx_code io_space(struct nx_io *io, const char *dir, struct nx_space *out,
                             struct nx_err *err)
{
    struct io_sim *sim = sim_of(io);
    uint64_t used, total;

    (void)dir;
    (void)err;
    nx_mutex_lock(&sim->mu);
    used = sim_disk_bytes(&sim->disk);
    total = sim->space_bytes ? sim->space_bytes : UINT64_C(1) << 40;
    nx_mutex_unlock(&sim->mu);
    *out = (struct nx_space){.total_bytes = total};
    out->free_bytes = out->available_bytes = used < total ? total - used : 0;
    return NX_OK;
}

/* --- the directory lock ----------------------------------------------------------------------- */

static enum nx_code take_lock(struct io_sim *sim, const char *path, struct nx_err *err)
    NX_REQUIRES(sim->mu)
{
    struct sim_inode *inode = sim_disk_find(&sim->disk, path);
    enum nx_code rc = NX_OK;

    if (inode && inode->maps) /* a lock file is never mapped: this marks it as locked */
        return nx_fail(err, NX_ELOCKED, "'%s' is held by process 1", path);
    if (inode)
        inode->refs++;
    else
        rc = create(sim, path, &inode);
    if (rc != NX_OK)
        return say(rc, "lock", path, err);
    inode->maps = 1;
    return NX_OK;
}

static enum nx_code io_lock(struct nx_io *io, const char *path, struct nx_dirlock **out,
                            struct nx_err *err)
{
    struct io_sim *sim = sim_of(io);
    struct nx_dirlock *lock = calloc(1, sizeof *lock);
    enum nx_code rc;

    *out = NULL;
    if (!lock || !(lock->path = strdup(path))) {
        free(lock);
        return nx_fail_nomem(err);
    }
    lock->sim = sim;
    nx_mutex_lock(&sim->mu);
    begin_change(sim);
    rc = take_lock(sim, path, err);
    nx_mutex_unlock(&sim->mu);
    if (rc != NX_OK) {
        free(lock->path);
        free(lock);
        return rc;
    }
    *out = lock;
    return NX_OK;
}

static void io_unlock(struct nx_io *io, struct nx_dirlock *lock)
{
    struct io_sim *sim = sim_of(io);
    struct sim_inode *inode;

    if (!lock)
        return;
    nx_mutex_lock(&sim->mu);
    inode = sim_disk_find(&sim->disk, lock->path);
    if (inode) {
        inode->maps = 0;
        sim_inode_unref(inode);
    }
    nx_mutex_unlock(&sim->mu);
    free(lock->path);
    free(lock);
}

/* --- clock, random, threads ------------------------------------------------------------------- */

static uint64_t io_monotonic_ns(struct nx_io *io)
{
    struct io_sim *sim = sim_of(io);
    uint64_t now;

    nx_mutex_lock(&sim->mu);
    now = sim->clock_ns;
    nx_mutex_unlock(&sim->mu);
    return now;
}

static uint64_t io_realtime_ns(struct nx_io *io)
{
    return START_SECONDS * UINT64_C(1000000000) + io_monotonic_ns(io);
}

static void io_random(struct nx_io *io, void *out, size_t len)
{
    struct io_sim *sim = sim_of(io);
    uint8_t *bytes = out;

    nx_mutex_lock(&sim->mu);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(sim_random(&sim->random) >> 32);
    nx_mutex_unlock(&sim->mu);
}

static enum nx_code io_thread_start(struct nx_io *io, const char *name, nx_thread_fn fn, void *arg,
                                    struct nx_thread **out, struct nx_err *err)
{
    struct nx_io *posix = nx_io_posix();

    (void)io;
    return posix->ops->thread_start(posix, name, fn, arg, out, err);
}

static void io_thread_join(struct nx_io *io, struct nx_thread *thread)
{
    struct nx_io *posix = nx_io_posix();

    (void)io;
    posix->ops->thread_join(posix, thread);
}

static void io_thread_yields(struct nx_io *io)
{
    (void)io; /* tests look for every order of things */
}

static const struct nx_io_ops io_ops = {
    .name = "sim",
    .open = io_open,
    .rename = io_rename,
    .link = io_link,
    .remove = io_remove,
    .mkdir = io_mkdir,
    .rmdir = io_rmdir,
    .list = io_list,
    .sync_dir = io_sync_dir,
    .space = io_space,
    .lock = io_lock,
    .unlock = io_unlock,
    .monotonic_ns = io_monotonic_ns,
    .realtime_ns = io_realtime_ns,
    .random = io_random,
    .thread_start = io_thread_start,
    .thread_join = io_thread_join,
    .thread_yields = io_thread_yields,
};

/* --- the test's side -------------------------------------------------------------------------- */

void io_sim_lose_dirty(struct nx_file *file)
{
    struct io_sim *sim = sim_of(file->io);
    struct sim_inode *inode = file_of(file)->inode;

    nx_mutex_lock(&sim->mu);
    nx_buf_clear(&inode->dirty);
    inode->is_size_dirty = false;
    nx_mutex_unlock(&sim->mu);
}

void io_sim_set_space(struct io_sim *sim, uint64_t bytes)
{
    nx_mutex_lock(&sim->mu);
    sim->space_bytes = bytes;
    nx_mutex_unlock(&sim->mu);
}

void io_sim_advance(struct io_sim *sim, uint64_t ns)
{
    nx_mutex_lock(&sim->mu);
    sim->clock_ns += ns;
    nx_mutex_unlock(&sim->mu);
}

bool io_sim_flip(struct io_sim *sim, const char *path, uint64_t offset)
{
    struct sim_inode *inode;
    bool is_there;

    nx_mutex_lock(&sim->mu);
    inode = sim_disk_find(&sim->disk, path);
    is_there = inode && offset < inode->now.len;
    if (is_there)
        inode->now.data[offset] ^= 0x10;
    if (is_there && offset < inode->safe.len)
        inode->safe.data[offset] ^= 0x10;
    nx_mutex_unlock(&sim->mu);
    return is_there;
}

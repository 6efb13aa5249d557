/*
 * io_fault.c - counting every call, failing some. Each function asks `strike` whether a rule acts
 * on this call, and otherwise passes it on.
 */
#include "base/io_fault.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"

enum { RULES_MAX = 8, OPS = 18 };

struct active_rule {
    struct io_fault_rule rule;
    uint64_t seen; /* matching calls */
};

struct io_fault {
    struct nx_io io;
    struct nx_io *under; /* outlives us */
    struct nx_mutex mu;
    struct active_rule rules[RULES_MAX]; /* guarded by mu */
    size_t rule_count;                   /* guarded by mu */
    uint64_t calls[OPS];                 /* guarded by mu */
    uint64_t hits;                       /* guarded by mu */
    io_fault_lost_fn lost;
};

struct fault_file {
    struct nx_file file;
    struct nx_file *under; /* owned */
    char path[];
};

static struct io_fault *self_of(struct nx_io *io)
{
    return (struct io_fault *)io;
}

static struct fault_file *file_of(struct nx_file *file)
{
    return (struct fault_file *)file;
}

/* --- rules ------------------------------------------------------------------------------------ */

static bool acts(struct active_rule *active, enum io_fault_op op, const char *path)
{
    const struct io_fault_rule *rule = &active->rule;
    uint64_t first = rule->nth ? rule->nth : 1;
    uint64_t times = rule->times ? rule->times : 1;

    if (!(rule->ops & op) || (rule->glob && fnmatch(rule->glob, path, 0) != 0))
        return false;
    active->seen++;
    return active->seen >= first && active->seen - first < times;
}

enum { SITES_MAX = 1024 };

/* Of the whole program: a test makes many fault layers, and asks at its end. */
static struct {
    _Atomic(void *) address[SITES_MAX];
    atomic_size_t count;
} sites;

static void note_site(void *address)
{
    size_t count = atomic_load(&sites.count);

    for (size_t i = 0; i < count && i < SITES_MAX; i++)
        if (atomic_load(&sites.address[i]) == address)
            return;
    count = atomic_fetch_add(&sites.count, 1); /* two threads may enter one twice: no harm */
    if (count < SITES_MAX)
        atomic_store(&sites.address[count], address);
}

size_t io_fault_sites(void **out, size_t size)
{
    size_t count = atomic_load(&sites.count);

    count = count < SITES_MAX ? count : SITES_MAX;
    for (size_t i = 0; i < count && i < size; i++)
        out[i] = atomic_load(&sites.address[i]);
    return count;
}

/* Does a rule act on this call? Always inlined: the return address is then the caller's of the
 * file layer. */
static inline __attribute__((always_inline)) bool
strike(struct io_fault *fault, enum io_fault_op op, const char *path, enum io_fault_action *action)
{
    bool hit = false;

    nx_mutex_lock(&fault->mu);
    fault->calls[__builtin_ctz(op)]++;
    for (size_t i = 0; i < fault->rule_count; i++)
        if (acts(&fault->rules[i], op, path) && !hit) {
            hit = true;
            *action = fault->rules[i].rule.action;
        }
    fault->hits += hit;
    nx_mutex_unlock(&fault->mu);
    if (hit)
        note_site(__builtin_return_address(0));
    return hit;
}

static enum nx_code fail(enum io_fault_action action, const char *what, const char *path,
                         struct nx_err *err)
{
    return nx_fail_errno(err, action == IO_FAULT_ENOSPC ? ENOSPC : EIO, "%s '%s' (injected)", what,
                         path);
}

/* For operations that can only fail as a whole. */
static inline __attribute__((always_inline)) bool fails(struct nx_io *io, enum io_fault_op op,
                                                        const char *what, const char *path,
                                                        enum nx_code *rc, struct nx_err *err)
{
    enum io_fault_action action = IO_FAULT_EIO;

    if (!strike(self_of(io), op, path, &action))
        return false;
    *rc = fail(action, what, path, err);
    return true;
}

/* --- files ------------------------------------------------------------------------------------ */

static void file_close(struct nx_file *file)
{
    file_of(file)->under->ops->close(file_of(file)->under);
    free(file);
}

static enum nx_code file_pread(struct nx_file *file, uint64_t offset, void *out, size_t len,
                               size_t *got, struct nx_err *err)
{
    struct fault_file *self = file_of(file);
    enum io_fault_action action = IO_FAULT_EIO;
    bool hit = strike(self_of(file->io), IO_FAULT_READ, self->path, &action);
    enum nx_code rc;

    *got = 0;
    if (hit && action != IO_FAULT_FLIP)
        return fail(action, "read", self->path, err);
    rc = self->under->ops->pread(self->under, offset, out, len, got, err);
    if (hit && *got > 0)
        ((uint8_t *)out)[*got / 2] ^= 0x10;
    return rc;
}

static enum nx_code file_pwrite(struct nx_file *file, uint64_t offset, const void *data, size_t len,
                                struct nx_err *err)
{
    struct fault_file *self = file_of(file);
    enum io_fault_action action = IO_FAULT_EIO;

    if (!strike(self_of(file->io), IO_FAULT_WRITE, self->path, &action))
        return self->under->ops->pwrite(self->under, offset, data, len, err);
    if (action == IO_FAULT_SHORT)
        self->under->ops->pwrite(self->under, offset, data, len / 2, NULL);
    return fail(action, "write", self->path, err);
}

static enum nx_code file_size(struct nx_file *file, uint64_t *out, struct nx_err *err)
{
    struct fault_file *self = file_of(file);
    enum nx_code rc;

    if (fails(file->io, IO_FAULT_SIZE, "stat", self->path, &rc, err))
        return rc;
    return self->under->ops->size(self->under, out, err);
}

static enum nx_code file_truncate(struct nx_file *file, uint64_t size, struct nx_err *err)
{
    struct fault_file *self = file_of(file);
    enum nx_code rc;

    if (fails(file->io, IO_FAULT_TRUNCATE, "truncate", self->path, &rc, err))
        return rc;
    return self->under->ops->truncate(self->under, size, err);
}

static enum nx_code file_allocate(struct nx_file *file, uint64_t size, struct nx_err *err)
{
    struct fault_file *self = file_of(file);
    enum nx_code rc;

    if (fails(file->io, IO_FAULT_ALLOCATE, "reserve space for", self->path, &rc, err))
        return rc;
    return self->under->ops->allocate(self->under, size, err);
}

static enum nx_code file_datasync(struct nx_file *file, struct nx_err *err)
{
    struct fault_file *self = file_of(file);
    struct io_fault *fault = self_of(file->io);
    enum nx_code rc;

    if (!fails(file->io, IO_FAULT_DATASYNC, "sync", self->path, &rc, err))
        return self->under->ops->datasync(self->under, err);
    if (fault->lost)
        fault->lost(self->under);
    return rc;
}

static enum nx_code file_map(struct nx_file *file, size_t len, void **out, struct nx_err *err)
{
    struct fault_file *self = file_of(file);
    enum nx_code rc;

    *out = NULL;
    if (fails(file->io, IO_FAULT_MAP, "map", self->path, &rc, err))
        return rc;
    return self->under->ops->map(self->under, len, out, err);
}

static void file_unmap(struct nx_file *file, void *address, size_t len)
{
    file_of(file)->under->ops->unmap(file_of(file)->under, address, len);
}

static void file_store(struct nx_file *file, void *at, const void *data, size_t len)
{
    file_of(file)->under->ops->store(file_of(file)->under, at, data, len);
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

static enum nx_code io_open(struct nx_io *io, const char *path, unsigned flags,
                            struct nx_file **out, struct nx_err *err)
{
    struct fault_file *self;
    enum nx_code rc;

    *out = NULL;
    if (fails(io, IO_FAULT_OPEN, "open", path, &rc, err))
        return rc;
    self = malloc(sizeof *self + strlen(path) + 1);
    if (!self)
        return nx_fail_nomem(err);
    self->file = (struct nx_file){&file_ops, io};
    memcpy(self->path, path, strlen(path) + 1);
    rc = self_of(io)->under->ops->open(self_of(io)->under, path, flags, &self->under, err);
    if (rc != NX_OK) {
        free(self);
        return rc;
    }
    *out = &self->file;
    return NX_OK;
}

/* --- names ------------------------------------------------------------------------------------ */

static enum nx_code io_rename(struct nx_io *io, const char *from, const char *to,
                              struct nx_err *err)
{
    enum nx_code rc;

    if (fails(io, IO_FAULT_RENAME, "rename", from, &rc, err))
        return rc;
    return self_of(io)->under->ops->rename(self_of(io)->under, from, to, err);
}

static enum nx_code io_link(struct nx_io *io, const char *from, const char *to, struct nx_err *err)
{
    enum nx_code rc;

    if (fails(io, IO_FAULT_LINK, "link", from, &rc, err))
        return rc;
    return self_of(io)->under->ops->link(self_of(io)->under, from, to, err);
}

static enum nx_code io_remove(struct nx_io *io, const char *path, struct nx_err *err)
{
    enum nx_code rc;

    if (fails(io, IO_FAULT_REMOVE, "remove", path, &rc, err))
        return rc;
    return self_of(io)->under->ops->remove(self_of(io)->under, path, err);
}

static enum nx_code io_mkdir(struct nx_io *io, const char *path, struct nx_err *err)
{
    enum nx_code rc;

    if (fails(io, IO_FAULT_MKDIR, "make directory", path, &rc, err))
        return rc;
    return self_of(io)->under->ops->mkdir(self_of(io)->under, path, err);
}

static enum nx_code io_rmdir(struct nx_io *io, const char *path, struct nx_err *err)
{
    enum nx_code rc;

    if (fails(io, IO_FAULT_RMDIR, "remove directory", path, &rc, err))
        return rc;
    return self_of(io)->under->ops->rmdir(self_of(io)->under, path, err);
}

static enum nx_code io_list(struct nx_io *io, const char *dir, nx_list_fn fn, void *arg,
                            struct nx_err *err)
{
    enum nx_code rc;

    if (fails(io, IO_FAULT_LIST, "list", dir, &rc, err))
        return rc;
    return self_of(io)->under->ops->list(self_of(io)->under, dir, fn, arg, err);
}

static enum nx_code io_sync_dir(struct nx_io *io, const char *dir, struct nx_err *err)
{
    enum nx_code rc;

    if (fails(io, IO_FAULT_SYNC_DIR, "sync directory", dir, &rc, err))
        return rc;
    return self_of(io)->under->ops->sync_dir(self_of(io)->under, dir, err);
}

static enum nx_code io_space(struct nx_io *io, const char *dir, struct nx_space *out,
                             struct nx_err *err)
{
    enum nx_code rc;

    if (fails(io, IO_FAULT_SPACE, "ask for the space of", dir, &rc, err))
        return rc;
    return self_of(io)->under->ops->space(self_of(io)->under, dir, out, err);
}

static enum nx_code io_lock(struct nx_io *io, const char *path, struct nx_dirlock **out,
                            struct nx_err *err)
{
    enum nx_code rc;

    *out = NULL;
    if (fails(io, IO_FAULT_LOCK, "lock", path, &rc, err))
        return rc;
    return self_of(io)->under->ops->lock(self_of(io)->under, path, out, err);
}

static void io_unlock(struct nx_io *io, struct nx_dirlock *lock)
{
    self_of(io)->under->ops->unlock(self_of(io)->under, lock);
}

/* --- clock, random, threads ------------------------------------------------------------------- */

static uint64_t io_monotonic_ns(struct nx_io *io)
{
    return self_of(io)->under->ops->monotonic_ns(self_of(io)->under);
}

static uint64_t io_realtime_ns(struct nx_io *io)
{
    return self_of(io)->under->ops->realtime_ns(self_of(io)->under);
}

static void io_random(struct nx_io *io, void *out, size_t len)
{
    self_of(io)->under->ops->random(self_of(io)->under, out, len);
}

static enum nx_code io_thread_start(struct nx_io *io, const char *name, nx_thread_fn fn, void *arg,
                                    struct nx_thread **out, struct nx_err *err)
{
    enum nx_code rc;

    *out = NULL;
    if (fails(io, IO_FAULT_THREAD, "start thread", name, &rc, err))
        return rc;
    return self_of(io)->under->ops->thread_start(self_of(io)->under, name, fn, arg, out, err);
}

static void io_thread_join(struct nx_io *io, struct nx_thread *thread)
{
    self_of(io)->under->ops->thread_join(self_of(io)->under, thread);
}

static void io_thread_yields(struct nx_io *io)
{
    self_of(io)->under->ops->thread_yields(self_of(io)->under);
}

static const struct nx_io_ops io_ops = {
    .name = "fault",
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

struct io_fault *io_fault_new(struct nx_io *under)
{
    struct io_fault *fault = calloc(1, sizeof *fault);

    if (!fault)
        return NULL;
    fault->io.ops = &io_ops;
    fault->under = under;
    nx_mutex_init(&fault->mu, NX_RANK_IO_FAULT);
    return fault;
}

void io_fault_free(struct io_fault *fault)
{
    if (!fault)
        return;
    nx_mutex_fini(&fault->mu);
    free(fault);
}

struct nx_io *io_fault_io(struct io_fault *fault)
{
    return &fault->io;
}

void io_fault_add(struct io_fault *fault, const struct io_fault_rule *rule)
{
    nx_mutex_lock(&fault->mu);
    if (fault->rule_count == RULES_MAX)
        abort(); /* a test's own mistake */
    fault->rules[fault->rule_count++] = (struct active_rule){.rule = *rule};
    nx_mutex_unlock(&fault->mu);
}

void io_fault_clear(struct io_fault *fault)
{
    nx_mutex_lock(&fault->mu);
    fault->rule_count = 0;
    nx_mutex_unlock(&fault->mu);
}

uint64_t io_fault_calls(struct io_fault *fault, unsigned ops)
{
    uint64_t calls = 0;

    nx_mutex_lock(&fault->mu);
    for (unsigned bit = 0; bit < OPS; bit++)
        if (ops & 1u << bit)
            calls += fault->calls[bit];
    nx_mutex_unlock(&fault->mu);
    return calls;
}

uint64_t io_fault_hits(struct io_fault *fault)
{
    uint64_t hits;

    nx_mutex_lock(&fault->mu);
    hits = fault->hits;
    nx_mutex_unlock(&fault->mu);
    return hits;
}

void io_fault_on_lost_sync(struct io_fault *fault, io_fault_lost_fn fn)
{
    fault->lost = fn;
}

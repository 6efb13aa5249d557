/*
 * io_posix.c - the file layer on Linux: thin wrappers that retry EINTR, finish short transfers and
 * put the path into every error.
 *
 * The directory lock is flock(2) on a file that also holds the owner's pid. The kernel drops it
 * when the process dies, however it dies, so a crash never leaves a directory locked; and it
 * belongs to the open file, so a second open in the same process is refused as well.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <nexadb/io.h>

enum { BACKGROUND_NICE = 5 };

struct posix_file {
    struct nx_file file;
    int fd;
    char path[]; /* for messages */
};

struct nx_dirlock {
    int fd;
};

struct nx_thread {
    pthread_t native;
    nx_thread_fn fn;
    void *arg;
    char name[16]; /* the kernel's limit */
};

/* --- files ------------------------------------------------------------------------------------ */

static struct posix_file *posix_file(struct nx_file *file)
{
    return (struct posix_file *)file;
}

static void file_close(struct nx_file *file)
{
    close(posix_file(file)->fd); /* data that matters was synced, whose error was reported */
    free(file);
}

static enum nx_code file_pread(struct nx_file *file, uint64_t offset, void *out, size_t len,
                               size_t *got, struct nx_err *err)
{
    struct posix_file *self = posix_file(file);

    *got = 0;
    while (*got < len) {
        ssize_t n = pread(self->fd, (char *)out + *got, len - *got, (off_t)(offset + *got));

        if (n == 0)
            break;
        if (n > 0)
            *got += (size_t)n;
        else if (errno != EINTR)
            return nx_fail_errno(err, errno, "read %zu bytes at %llu of '%s'", len,
                                 (unsigned long long)offset, self->path);
    }
    return NX_OK;
}

static enum nx_code file_pwrite(struct nx_file *file, uint64_t offset, const void *data, size_t len,
                                struct nx_err *err)
{
    struct posix_file *self = posix_file(file);
    size_t done = 0;

    while (done < len) {
        ssize_t n = pwrite(self->fd, (const char *)data + done, len - done, (off_t)(offset + done));

        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            return nx_fail_errno(err, n == 0 ? EIO : errno, "write %zu bytes at %llu of '%s'", len,
                                 (unsigned long long)offset, self->path);
    }
    return NX_OK;
}

static enum nx_code file_size(struct nx_file *file, uint64_t *out, struct nx_err *err)
{
    struct stat st;

    if (fstat(posix_file(file)->fd, &st) != 0)
        return nx_fail_errno(err, errno, "stat '%s'", posix_file(file)->path);
    *out = (uint64_t)st.st_size;
    return NX_OK;
}

static enum nx_code file_truncate(struct nx_file *file, uint64_t size, struct nx_err *err)
{
    int rc;

    do
        rc = ftruncate(posix_file(file)->fd, (off_t)size);
    while (rc != 0 && errno == EINTR);
    if (rc != 0)
        return nx_fail_errno(err, errno, "truncate '%s' to %llu", posix_file(file)->path,
                             (unsigned long long)size);
    return NX_OK;
}

static enum nx_code file_allocate(struct nx_file *file, uint64_t size, struct nx_err *err)
{
    int rc;

    if (size == 0)
        return NX_OK;
    do
        rc = posix_fallocate(posix_file(file)->fd, 0, (off_t)size);
    while (rc == EINTR);
    if (rc != 0)
        return nx_fail_errno(err, rc, "reserve %llu bytes for '%s'", (unsigned long long)size,
                             posix_file(file)->path);
    return NX_OK;
}

static enum nx_code file_datasync(struct nx_file *file, struct nx_err *err)
{
    if (fdatasync(posix_file(file)->fd) != 0) /* EINTR too: what was lost is not known */
        return nx_fail_errno(err, errno, "sync '%s'", posix_file(file)->path);
    return NX_OK;
}

/* Locked pages are neither evicted nor read back, so no failing read is met in the mapping. */
static enum nx_code file_map(struct nx_file *file, size_t len, void **out, struct nx_err *err)
{
    void *address;
    int failed;

    *out = NULL;
    if (len == 0)
        return nx_fail(err, NX_EINVAL, "map 0 bytes of '%s'", posix_file(file)->path);
    address = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, posix_file(file)->fd, 0);
    if (address == MAP_FAILED)
        return nx_fail_errno(err, errno, "map %zu bytes of '%s'", len, posix_file(file)->path);
    if (mlock(address, len) != 0) {
        failed = errno;
        munmap(address, len);
        return nx_fail_errno(err, failed, "lock %zu bytes of '%s' in memory", len,
                             posix_file(file)->path);
    }
    *out = address;
    return NX_OK;
}

static void file_unmap(struct nx_file *file, void *address, size_t len)
{
    (void)file;
    munmap(address, len);
}

static void file_store(struct nx_file *file, void *at, const void *data, size_t len)
{
    (void)file;
    memcpy(at, data, len);
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

static int open_flags(unsigned flags)
{
    int out = O_CLOEXEC;

    out |= flags & (NX_OPEN_WRITE | NX_OPEN_CREATE) ? O_RDWR : O_RDONLY;
    out |= flags & NX_OPEN_CREATE ? O_CREAT : 0;
    out |= flags & NX_OPEN_EXCL ? O_EXCL : 0;
    out |= flags & NX_OPEN_TRUNC ? O_TRUNC : 0;
    return out;
}

static int open_retrying(const char *path, int flags)
{
    int fd;

    do
        fd = open(path, flags, 0600);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static enum nx_code io_open(struct nx_io *io, const char *path, unsigned flags,
                            struct nx_file **out, struct nx_err *err)
{
    struct posix_file *self;

    *out = NULL;
    self = malloc(sizeof *self + strlen(path) + 1);
    if (!self)
        return nx_fail_nomem(err);
    self->file.ops = &file_ops;
    self->file.io = io;
    memcpy(self->path, path, strlen(path) + 1);
    self->fd = open_retrying(path, open_flags(flags));
    if (self->fd < 0) {
        free(self);
        return nx_fail_errno(err, errno, "open '%s'", path);
    }
    *out = &self->file;
    return NX_OK;
}

/* --- names ------------------------------------------------------------------------------------ */

static enum nx_code io_rename(struct nx_io *io, const char *from, const char *to,
                              struct nx_err *err)
{
    (void)io;
    if (rename(from, to) != 0)
        return nx_fail_errno(err, errno, "rename '%s' to '%s'", from, to);
    return NX_OK;
}

static enum nx_code io_link(struct nx_io *io, const char *from, const char *to, struct nx_err *err)
{
    (void)io;
    if (link(from, to) != 0)
        return nx_fail_errno(err, errno, "link '%s' as '%s'", from, to);
    return NX_OK;
}

static enum nx_code io_remove(struct nx_io *io, const char *path, struct nx_err *err)
{
    (void)io;
    if (unlink(path) != 0)
        return nx_fail_errno(err, errno, "remove '%s'", path);
    return NX_OK;
}

static enum nx_code io_mkdir(struct nx_io *io, const char *path, struct nx_err *err)
{
    (void)io;
    if (mkdir(path, 0700) != 0)
        return nx_fail_errno(err, errno, "make directory '%s'", path);
    return NX_OK;
}

static enum nx_code io_rmdir(struct nx_io *io, const char *path, struct nx_err *err)
{
    (void)io;
    if (rmdir(path) != 0)
        return nx_fail_errno(err, errno, "remove directory '%s'", path);
    return NX_OK;
}

static enum nx_code io_list(struct nx_io *io, const char *dir, nx_list_fn fn, void *arg,
                            struct nx_err *err)
{
    DIR *stream = opendir(dir);
    struct dirent *entry;
    int failed;

    (void)io;
    if (!stream)
        return nx_fail_errno(err, errno, "list '%s'", dir);
    while (errno = 0, (entry = readdir(stream)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            fn(arg, entry->d_name);
    failed = errno;
    closedir(stream);
    return failed ? nx_fail_errno(err, failed, "list '%s'", dir) : NX_OK;
}

static enum nx_code io_sync_dir(struct nx_io *io, const char *dir, struct nx_err *err)
{
    int fd = open_retrying(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed;

    (void)io;
    if (fd < 0)
        return nx_fail_errno(err, errno, "open directory '%s'", dir);
    failed = fsync(fd) != 0 ? errno : 0;
    close(fd);
    return failed ? nx_fail_errno(err, failed, "sync directory '%s'", dir) : NX_OK;
}

static enum nx_code io_space(struct nx_io *io, const char *dir, struct nx_space *out,
                             struct nx_err *err)
{
    struct statvfs st;

    (void)io;
    if (statvfs(dir, &st) != 0)
        return nx_fail_errno(err, errno, "ask for the space of '%s'", dir);
    out->total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
    out->free_bytes = (uint64_t)st.f_bfree * st.f_frsize;
    out->available_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    return NX_OK;
}

/* --- the directory lock ----------------------------------------------------------------------- */

static long read_pid(int fd)
{
    char text[24];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    if (n <= 0)
        return 0; /* its owner is just about to write it */
    text[n] = '\0';
    return strtol(text, NULL, 10);
}

static enum nx_code io_lock(struct nx_io *io, const char *path, struct nx_dirlock **out,
                            struct nx_err *err)
{
    struct nx_dirlock *lock;
    enum nx_code rc;
    int fd, failed;

    (void)io;
    *out = NULL;
    fd = open_retrying(path, O_RDWR | O_CREAT | O_CLOEXEC);
    if (fd < 0)
        return nx_fail_errno(err, errno, "open lock '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        failed = errno;
        rc = failed == EWOULDBLOCK
                 ? nx_fail(err, NX_ELOCKED, "'%s' is held by process %ld", path, read_pid(fd))
                 : nx_fail_errno(err, failed, "lock '%s'", path);
        close(fd);
        return rc;
    }
    /* The pid only serves the message above: a full disk must not keep a database closed. */
    if (ftruncate(fd, 0) == 0)
        (void)!dprintf(fd, "%ld\n", (long)getpid());
    lock = malloc(sizeof *lock);
    if (!lock) {
        close(fd);
        return nx_fail_nomem(err);
    }
    lock->fd = fd;
    *out = lock;
    return NX_OK;
}

/* The file stays: removing it would let two processes each lock a file of that name. */
static void io_unlock(struct nx_io *io, struct nx_dirlock *lock)
{
    (void)io;
    if (!lock)
        return;
    (void)!ftruncate(lock->fd, 0);
    close(lock->fd);
    free(lock);
}

/* --- clock, random, threads ------------------------------------------------------------------- */

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t io_monotonic_ns(struct nx_io *io)
{
    (void)io;
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t io_realtime_ns(struct nx_io *io)
{
    (void)io;
    return read_clock(CLOCK_REALTIME);
}

static void io_random(struct nx_io *io, void *out, size_t len)
{
    size_t done = 0;

    (void)io;
    while (done < len) {
        ssize_t n = getrandom((char *)out + done, len - done, 0);

        if (n > 0)
            done += (size_t)n;
        else if (errno != EINTR)
            abort(); /* a kernel without getrandom is older than we support */
    }
}

static void *run_thread(void *arg)
{
    struct nx_thread *thread = arg;

    pthread_setname_np(pthread_self(), thread->name);
    thread->fn(thread->arg);
    return NULL;
}

/* Signals go to the program's own threads: a handler must not run on the thread that syncs. */
static enum nx_code io_thread_start(struct nx_io *io, const char *name, nx_thread_fn fn, void *arg,
                                    struct nx_thread **out, struct nx_err *err)
{
    struct nx_thread *thread = calloc(1, sizeof *thread);
    sigset_t all, old;
    int rc;

    (void)io;
    *out = NULL;
    if (!thread)
        return nx_fail_nomem(err);
    thread->fn = fn;
    thread->arg = arg;
    snprintf(thread->name, sizeof thread->name, "%s", name);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&thread->native, NULL, run_thread, thread);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        free(thread);
        return nx_fail_errno(err, rc, "start thread '%s'", name);
    }
    *out = thread;
    return NX_OK;
}

static void io_thread_join(struct nx_io *io, struct nx_thread *thread)
{
    (void)io;
    if (!thread)
        return;
    pthread_join(thread->native, NULL);
    free(thread);
}

/* SCHED_BATCH never preempts a thread that wakes up; the nice value is its share of a busy core. */
static void io_thread_yields(struct nx_io *io)
{
    const struct sched_param param = {0};

    (void)io;
    (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &param);
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), BACKGROUND_NICE);
}

static const struct nx_io_ops io_ops = {
    .name = "posix",
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

struct nx_io *nx_io_posix(void)
{
    static struct nx_io io = {&io_ops};

    return &io;
}

/*
 * io.h - the file layer: one table of functions for every disk, clock, random and thread operation.
 *
 * Nothing else in core/ may call the operating system for these. Implementations: nx_io_posix()
 * (the product), and in core/base `io_fault` (fails chosen calls) and `io_sim` (an in-memory disk
 * that can crash). A path is a name in the implementation's own space: do not assume it is local.
 *
 * Threads: every function may be called from any thread. pread/pwrite on one file may overlap in
 *          time; the caller keeps ranges apart.
 * Errors:  NX_EIO, NX_ENOSPC, NX_ENOTFOUND, NX_EEXISTS, NX_ENOMEM, NX_ELOCKED, with sys_errno set.
 */
#ifndef NEXADB_IO_H
#define NEXADB_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nexadb/attributes.h>
#include <nexadb/error.h>

enum {
    NX_OPEN_READ = 0, /* must exist */
    NX_OPEN_WRITE = 1,
    NX_OPEN_CREATE = 2, /* with WRITE; mode 0600 */
    NX_OPEN_EXCL = 4,
    NX_OPEN_TRUNC = 8,
};

struct nx_io;
struct nx_file;
struct nx_thread;
struct nx_dirlock;

struct nx_space {
    uint64_t total_bytes;
    uint64_t free_bytes;      /* for a privileged user */
    uint64_t available_bytes; /* for this process */
};

typedef void (*nx_list_fn)(void *arg, const char *name);
typedef void (*nx_thread_fn)(void *arg);

struct nx_file_ops {
    void (*close)(struct nx_file *file);
    /* Read up to `len` bytes; *got < len only at the end of the file. Retries EINTR. */
    enum nx_code (*pread)(struct nx_file *file, uint64_t offset, void *out, size_t len, size_t *got,
                          struct nx_err *err);
    /* Write all of it or fail (then any part may have been written). */
    enum nx_code (*pwrite)(struct nx_file *file, uint64_t offset, const void *data, size_t len,
                           struct nx_err *err);
    enum nx_code (*size)(struct nx_file *file, uint64_t *out, struct nx_err *err);
    enum nx_code (*truncate)(struct nx_file *file, uint64_t size, struct nx_err *err);
    /* Reserve blocks for [0, size) and extend the file to `size`; new bytes read as zero. */
    enum nx_code (*allocate)(struct nx_file *file, uint64_t size, struct nx_err *err);
    /* Data (and the size needed to read it) on stable storage. After a failure the file's pages
     * must not be trusted: never retry on the same file. */
    enum nx_code (*datasync)(struct nx_file *file, struct nx_err *err);
    /* Map [0, len) of a file that was written from end to end, shared and held in memory; NX_ENOMEM
     * too when the process may not lock that much. Change it with `store` only. unmap with the same
     * len. Never datasync such a file: it is for what must outlive the program, not the power. */
    enum nx_code (*map)(struct nx_file *file, size_t len, void **out, struct nx_err *err);
    void (*unmap)(struct nx_file *file, void *address, size_t len);
    /* Copy to `at`, inside a mapping. A program that ends behind this call leaves all of it in the
     * file; a power loss, any old or new sectors. */
    void (*store)(struct nx_file *file, void *at, const void *data, size_t len);
};

struct nx_io_ops {
    const char *name; /* "posix", "fault", "sim" */
    enum nx_code (*open)(struct nx_io *io, const char *path, unsigned flags, struct nx_file **out,
                         struct nx_err *err);
    enum nx_code (*rename)(struct nx_io *io, const char *from, const char *to, struct nx_err *err);
    enum nx_code (*link)(struct nx_io *io, const char *from, const char *to, struct nx_err *err);
    enum nx_code (*remove)(struct nx_io *io, const char *path, struct nx_err *err);
    enum nx_code (*mkdir)(struct nx_io *io, const char *path, struct nx_err *err); /* 0700 */
    enum nx_code (*rmdir)(struct nx_io *io, const char *path, struct nx_err *err);
    enum nx_code (*list)(struct nx_io *io, const char *dir, nx_list_fn fn, void *arg,
                         struct nx_err *err);
    enum nx_code (*sync_dir)(struct nx_io *io, const char *dir, struct nx_err *err);
    enum nx_code (*space)(struct nx_io *io, const char *dir, struct nx_space *out,
                          struct nx_err *err);
    /* One process per directory: creates and locks `path`, writes the pid into it. NX_ELOCKED
     * names the holder's pid. */
    enum nx_code (*lock)(struct nx_io *io, const char *path, struct nx_dirlock **out,
                         struct nx_err *err);
    void (*unlock)(struct nx_io *io, struct nx_dirlock *lock);

    uint64_t (*monotonic_ns)(struct nx_io *io);
    uint64_t (*realtime_ns)(struct nx_io *io);               /* since 1970-01-01 UTC */
    void (*random)(struct nx_io *io, void *out, size_t len); /* never fails */

    enum nx_code (*thread_start)(struct nx_io *io, const char *name, nx_thread_fn fn, void *arg,
                                 struct nx_thread **out, struct nx_err *err);
    void (*thread_join)(struct nx_io *io, struct nx_thread *thread);
    /* A hint: from now on the calling thread gives way to those that somebody waits for. */
    void (*thread_yields)(struct nx_io *io);
};

/* An implementation embeds these as the first member of its own structs. */
struct nx_io {
    const struct nx_io_ops *ops;
};
struct nx_file {
    const struct nx_file_ops *ops;
    struct nx_io *io; /* outlives the file */
};

/* The operating system. Static, never freed. */
NX_API struct nx_io *nx_io_posix(void);

#endif

/*
 * fs.h - the mount: a document store seen as files.
 *
 * Contract: docs/filesystem.md. Threads: fs_mount starts its own; the other calls from any.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include <nexadb/db.h>

struct fs;

enum fs_magic { FS_MAGIC_HIDDEN, FS_MAGIC_VISIBLE, FS_MAGIC_OFF };

struct fs_options {
    enum fs_magic magic;
    bool read_only; /* enforced by the daemon */
    bool sync;      /* each commit durable before it is answered */
    bool allow_other;
    bool default_permissions;
    bool suid, dev;     /* passed on to the kernel */
    bool conflict_fail; /* refuse a commit over a version newer than the writer's base */
    uint32_t inotify;   /* real events for changes made by the other door: at most so many changes
                           a second; 0: none */
    bool xattr;
    bool debug;                                 /* log each request */
    uint64_t query_memory_bytes, query_time_ms; /* of one query, as in nx_limits */
};
void fs_options_init(struct fs_options *options);
/* Parse one item of -o ("magic=visible", "ro", ...). NX_EINVAL names an unknown one. */
enum nx_code fs_options_parse(struct fs_options *options, const char *item, struct nx_err *err);

/* Called once, on a thread of the mount, when it ended by itself: umount, fusermount3 -u. */
typedef void (*fs_ended_fn)(void *arg);
/* For log lines of failed requests: one line without newline. */
typedef void (*fs_log_fn)(void *arg, const char *line);

/* Mount and serve; answers requests when it returns. A dead mount at `mountpoint` is taken over.
 * NX_ENOTFOUND, NX_ENOTDIR, NX_EACCES, NX_EUNSUPPORTED (no /dev/fuse), NX_EBUSY (already a live
 * mount). */
enum nx_code fs_mount(struct nx_db *db, const char *mountpoint, const struct fs_options *options,
                      fs_ended_fn ended, fs_log_fn log, void *arg, struct fs **out,
                      struct nx_err *err);
/* Unmount if still mounted, finish what is in flight, free. */
void fs_unmount(struct fs *fs);

#endif

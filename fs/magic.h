/*
 * magic.h - the files that are no files: one row each.
 *
 * A magic file's number is computed from its directory's and its row, so nothing about it is kept:
 * bit 62, then the row, then the directory. Store numbers stay below FS_DIR_MASK.
 */
#ifndef FS_MAGIC_H
#define FS_MAGIC_H

#include "fs/mount.h"

enum magic_kind {
    MAGIC_QUERY,
    MAGIC_AGGREGATE,
    MAGIC_VSEARCH,
    MAGIC_UPDATE,
    MAGIC_IMPORT,
    MAGIC_EXPORT_NDJSON,
    MAGIC_EXPORT_JSON,
    MAGIC_EXPORT_CSV,
    MAGIC_COUNT,
    MAGIC_STATS,
    MAGIC_SCHEMA,
    MAGIC_ERRORS,
    MAGIC_HELP,
    MAGIC_REJECTED, /* the empty folder, until the store has one */
    MAGIC_KINDS
};

enum { MAGIC_IN_ROOT = 1, MAGIC_IN_COLLECTION = 2, MAGIC_IS_FOLDER = 4, MAGIC_CHANGES = 8 };

struct magic_class;

struct magic {
    const char *name;
    unsigned flags; /* MAGIC_CHANGES: writing to it changes documents */
    /* Makes the handle of an open; NULL: out of memory, or `err` says why. */
    struct handle *(*open)(struct fs *fs, const struct magic *magic, nx_ino dir, fuse_req_t req,
                           int flags, struct nx_err *err);
    const char *write_help; /* what to write, NULL: nothing */
    const char *read_help;
    const char *example; /* a shell line, NULL: cat NAME */
};

#define FS_MAGIC_BIT (1ull << 62)
#define FS_MAGIC_SHIFT 54
#define FS_DIR_MASK ((1ull << FS_MAGIC_SHIFT) - 1)

const struct magic *magic_row(unsigned index); /* NULL past the last */
enum magic_kind magic_kind_of(const struct magic *magic);
/* The row that `name` has in a directory of this kind, NULL when it has none or magic is off. */
const struct magic *magic_find(struct fs *fs, enum nx_kind dir_kind, const char *name);
/* True when `name` is one of the table's, wherever. */
bool magic_is_name(const char *name);

static inline bool magic_is(fuse_ino_t ino)
{
    return (ino & FS_MAGIC_BIT) != 0;
}
static inline nx_ino magic_ino(enum magic_kind kind, nx_ino dir)
{
    return FS_MAGIC_BIT | (uint64_t)kind << FS_MAGIC_SHIFT | dir;
}
static inline nx_ino magic_dir(fuse_ino_t ino)
{
    return ino & FS_DIR_MASK;
}
/* NX_ENOTFOUND for a number that is none. */
enum nx_code magic_of(fuse_ino_t ino, const struct magic **out, struct nx_err *err);
/* Attributes: of the directory's owner, its mode without x, size 0. */
void magic_attr(const struct magic *magic, const struct nx_attr *dir, struct nx_attr *out);
enum nx_code magic_stat(struct fs *fs, fuse_ino_t ino, struct nx_attr *out, struct nx_err *err);
void magic_open_file(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);

/* The opens of the rows. */
struct handle *magic_query_open(struct fs *fs, const struct magic *magic, nx_ino dir,
                                fuse_req_t req, int flags, struct nx_err *err);
struct handle *magic_import_open(struct fs *fs, const struct magic *magic, nx_ino dir,
                                 fuse_req_t req, int flags, struct nx_err *err);
struct handle *magic_export_open(struct fs *fs, const struct magic *magic, nx_ino dir,
                                 fuse_req_t req, int flags, struct nx_err *err);
struct handle *magic_info_open(struct fs *fs, const struct magic *magic, nx_ino dir, fuse_req_t req,
                               int flags, struct nx_err *err);

#endif

/*
 * magic.h - the files that are no files: one row each.
 *
 * A magic file's number is computed from its directory's and its row (place.h), so nothing about it
 * is kept.
 */
#ifndef FS_MAGIC_H
#define FS_MAGIC_H

#include "fs/mount.h"
#include "fs/place.h"

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
    MAGIC_SNAPSHOTS,
    MAGIC_FIND,
    MAGIC_FEED,
    MAGIC_KINDS
};

enum {
    MAGIC_IN_ROOT = 1,
    MAGIC_IN_COLLECTION = 2,
    MAGIC_IS_FOLDER = 4,
    MAGIC_CHANGES = 8,
    MAGIC_IS_LIVE = 16,
    MAGIC_IN_FIND = 32
};

struct magic_class;

struct magic {
    const char *name;
    unsigned flags; /* MAGIC_CHANGES: writing to it changes documents; MAGIC_IS_LIVE: not in a
                       snapshot */
    /* Makes the handle of an open; NULL: out of memory, or `err` says why. */
    struct handle *(*open)(struct fs *fs, const struct magic *magic, nx_ino dir, fuse_req_t req,
                           int flags, struct nx_err *err);
    const char *write_help; /* what to write, NULL: nothing */
    const char *read_help;
    const char *example; /* a shell line with words as in help.h, NULL: cat NAME */
};

_Static_assert(MAGIC_KINDS < 31, "a row and 1 fits in the five bits of a number, below 31");

const struct magic *magic_row(unsigned index); /* NULL past the last */
enum magic_kind magic_kind_of(const struct magic *magic);
/* The row that `name` has in a directory of this kind, NULL when it has none or magic is off. */
const struct magic *magic_find(struct fs *fs, enum nx_kind dir_kind, bool is_live,
                               const char *name);
/* True when `name` is one of the table's, wherever. */
bool magic_is_name(const char *name);

static inline bool magic_is(fuse_ino_t ino)
{
    return ino >> PLACE_KIND_SHIFT != 0;
}
/* `dir`, and what magic_dir returns, may lie in a snapshot or be a result directory. */
static inline fuse_ino_t magic_ino(enum magic_kind kind, fuse_ino_t dir)
{
    if (place_is_find(dir))
        return dir | (PLACE_FIND_MAGIC + kind);
    return (uint64_t)(kind + 1) << PLACE_KIND_SHIFT | dir;
}
static inline fuse_ino_t magic_dir(fuse_ino_t ino)
{
    if (place_is_find(ino))
        return place_find_dir(ino);
    return ino & PLACE_DIR_MASK;
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
struct handle *magic_changes_open(struct fs *fs, const struct magic *magic, nx_ino dir,
                                  fuse_req_t req, int flags, struct nx_err *err);
/* Answer GETATTR with the size as of now. */
void magic_changes_getattr(fuse_req_t req, const struct nx_attr *attr);
struct handle *magic_info_open(struct fs *fs, const struct magic *magic, nx_ino dir, fuse_req_t req,
                               int flags, struct nx_err *err);

#endif

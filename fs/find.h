/*
 * find.h - `.find/` and what is below it: directories that are queries.
 *
 *     users/.find/city=Paris/@sort=-age/      each a directory of this table
 *
 * A path is parsed component by component as the kernel looks it up. What is kept of it is in a
 * table of bounded size; the least recently used directory goes, and is made again by the next
 * lookup of its path. Entries of these directories are never kept by the kernel.
 *
 * Threads:   any.
 * Ownership: find_get and its like give a reference, which find_put returns.
 */
#ifndef FS_FIND_H
#define FS_FIND_H

#include "fs/find_text.h"
#include "fs/mount.h"
#include "fs/place.h"

#define FIND_DIRS_MAX 16384
#define FIND_BYTES_MAX (16u << 20)
#define FIND_TOUCHED_MAX 64

struct finds;

struct find_dir {
    fuse_ino_t ino;    /* all of this is constant */
    fuse_ino_t parent; /* the collection of `.find` itself */
    fuse_ino_t base;   /* the collection, perhaps in a snapshot */
    struct find_query query;
    struct nx_buf filter; /* of the whole query; empty: every document */
    char *name;           /* owned; "": `.find` itself */
    uint64_t generation;  /* with a number that comes back: the kernel gives up who holds the old */

    struct find_dir *same_bucket, *newer, *older; /* the table's, as what follows */
    size_t bytes;
    uint64_t *touched; /* owned; hashes of names, NULL: none */
    unsigned touches;
    atomic_uint refs;
};

struct finds *finds_new(void); /* NULL without memory */
void finds_free(struct finds *finds);

/* `.find` of a collection. NX_ENOMEM. */
enum nx_code find_root(struct fs *fs, fuse_ino_t collection, struct find_dir **out,
                       struct nx_err *err);
/* The directory of a component of kind FIND_IS_QUERY in `parent`. Fails with what is wrong with it.
 */
enum nx_code find_enter(struct fs *fs, const struct find_dir *parent, const char *component,
                        struct find_dir **out, struct nx_err *err);
/* After an rmdir the kernel takes the number for one of the dead: the name gets another. */
void find_forget(struct fs *fs, fuse_ino_t parent, const char *component);
/* NULL: it is not in the table any more. */
struct find_dir *find_get(struct fs *fs, fuse_ino_t ino);
void find_put(struct find_dir *dir);

/* A name that was made through the directory is found there, whatever is in the document. */
void find_touch(struct fs *fs, struct find_dir *dir, const char *name);
bool find_is_touched(struct fs *fs, struct find_dir *dir, const char *name);

/* The query as the query layer takes it; borrowed from `dir`. */
struct nx_find find_query_of(const struct find_dir *dir);
static inline bool find_is_projection(const struct find_dir *dir)
{
    return dir->query.projection.len > 0;
}
/* Its attributes: its collection's. */
enum nx_code find_attr(struct fs *fs, const struct find_dir *dir, struct nx_attr *out,
                       struct nx_err *err);
/* Of any number with place_is_find: a directory, a magic file in it, a projected document. */
enum nx_code find_stat(struct fs *fs, fuse_ino_t ino, struct nx_attr *out, struct nx_err *err);

/* --- requests --------------------------------------------------------------------------------- */

/* The name `.find` in a collection, whose attributes are `collection`. */
void find_lookup_root(fuse_req_t req, const struct nx_attr *collection);
void find_lookup(fuse_req_t req, fuse_ino_t dir, const char *name);
/*
 * A change of `name` in `*dir` is one in the collection's directory, which `*dir` becomes. An errno
 * when it is refused. Such a change is another door's to the kernel: see parked.other_door.
 */
int find_resolve(struct fs *fs, fuse_ino_t *dir, const char *name);
void find_list_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);
void find_list_read(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *file,
                    bool plus);

/* --- documents cut to the fields of @fields= -------------------------------------------------- */

/* `attr` of the document becomes that of its projection. */
enum nx_code find_file_attr(struct fs *fs, const struct find_dir *dir, const struct fs_place *place,
                            struct nx_attr *attr, struct nx_err *err);
void find_file_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file);

#endif

/*
 * db.h - the document store: a tree of directories over one engine.
 *
 * Collections are directories, documents are entries named `<id>.json`, everything else is a plain
 * file or directory. Every node has a persistent number (`ino`), never reused. A document, its
 * node, its directory's counters and its change notice are one engine batch: all or none.
 *
 * Threads:  any. Reads never wait for writers.
 * Snapshot: reads take an nx_snapshot of nx_db_engine(), or NULL for the newest state.
 * Waiting:  functions that commit take `done`: NULL waits for the acknowledgement; otherwise the
 * change is applied when NX_OK is returned and `done(arg, error)` is called at the acknowledgement,
 *           possibly before the return, never when the return is an error.
 */
#ifndef NEXADB_DB_H
#define NEXADB_DB_H

#include <stdbool.h>
#include <stdint.h>

#include <nexadb/buf.h>
#include <nexadb/engine.h>
#include <nexadb/error.h>
#include <nexadb/id.h>
#include <nexadb/value.h>

struct nx_db;
typedef uint64_t nx_ino;
#define NX_ROOT_INO 1u

struct nx_db_options {
    struct nx_engine_options engine;
    uint32_t owner_uid,
        owner_gid; /* of what is made without a caller (REST); default: the process's */
    /* How much of the change feed is kept (feed.h), whichever is less; default: 1 GiB, 7 days. */
    uint64_t feed_bytes, feed_ms;
};
NX_API void nx_db_options_init(struct nx_db_options *options);
NX_API enum nx_code nx_db_open(const char *dir, const struct nx_db_options *options,
                               struct nx_db **out, struct nx_err *err);
NX_API enum nx_code nx_db_close(struct nx_db *db, struct nx_err *err);
NX_API struct nx_engine *nx_db_engine(struct nx_db *db);
NX_API struct nx_io *nx_db_io(struct nx_db *db);
/* A folder for files that are worth nothing after the process: emptied at open. Borrowed. */
NX_API const char *nx_db_spill_dir(const struct nx_db *db);
/*
 * Read everything and check that it fits together: documents, their nodes, names, counters, data.
 * NX_ECORRUPT names the first violation. Each reads one picture; writers are not held up.
 */
NX_API enum nx_code nx_db_verify(struct nx_db *db, struct nx_err *err);

/* --- who and how of a change ------------------------------------------------------------------ */

struct nx_change {
    enum nx_durability durability;
    uint32_t uid, gid; /* owner of what is created */
    uint32_t origin;   /* 0, or a number of the caller's that its events carry */
    nx_commit_fn done; /* see "Waiting" */
    void *arg;
};

/* --- nodes ------------------------------------------------------------------------------------ */

enum nx_kind {
    NX_KIND_DOCUMENT,
    NX_KIND_DRAFT,      /* an empty *.json name in a collection: not a document yet */
    NX_KIND_COLLECTION, /* a directory of documents; the root is one of kind ROOT */
    NX_KIND_ROOT,
    NX_KIND_DIRECTORY, /* plain: its own or an ancestor's name begins with a dot */
    NX_KIND_FILE,
    NX_KIND_SYMLINK,
    NX_KIND_FIFO,
    NX_KIND_SOCKET,
    NX_KIND_CHARDEV,
    NX_KIND_BLOCKDEV,
};

struct nx_attr {
    nx_ino ino;
    nx_ino parent; /* a directory's or document's directory; 0 for other nodes */
    enum nx_kind kind;
    uint32_t mode; /* permission bits, 07777 */
    uint32_t uid, gid;
    uint32_t nlink;
    uint64_t rdev;
    uint64_t size;   /* exact bytes that a read gives; of a directory: entries */
    uint64_t stored; /* bytes of it that are no holes, about */
    int64_t atime_ns, mtime_ns, ctime_ns;
    uint64_t revision; /* of a document: greater with every new content, not with metadata */
};

enum {
    NX_SET_MODE = 1,
    NX_SET_UID = 2,
    NX_SET_GID = 4,
    NX_SET_SIZE = 8, /* plain files only: truncates or extends with a hole */
    NX_SET_ATIME = 16,
    NX_SET_MTIME = 32,
    NX_SET_CTIME = 64,
    NX_KEEP_CTIME = 128, /* else it is now: for an atime that a read moved */
};

NX_API enum nx_code nx_db_stat(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                               struct nx_attr *out, struct nx_err *err);
NX_API enum nx_code nx_db_lookup(struct nx_db *db, const struct nx_snapshot *snapshot,
                                 nx_ino parent, const char *name, size_t name_len,
                                 struct nx_attr *out, struct nx_err *err);
/* A collection by its path: "users", "users/archive". NX_ENOTFOUND; NX_ENOTDIR for anything else.
 */
NX_API enum nx_code nx_db_collection(struct nx_db *db, const struct nx_snapshot *snapshot,
                                     const char *path, size_t path_len, struct nx_attr *out,
                                     struct nx_err *err);
/* The same, making it and what is above it when absent. NX_ENAME for a name that cannot be one:
 * empty, ".", "..", with a leading dot, ending in ".json", over 255 bytes, not UTF-8, with NUL. */
NX_API enum nx_code nx_db_collection_make(struct nx_db *db, const char *path, size_t path_len,
                                          const struct nx_change *change, struct nx_attr *out,
                                          struct nx_err *err);
/* Path of a directory from the root, without a leading slash; "" for the root. Appended. */
NX_API enum nx_code nx_db_path(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                               struct nx_buf *out, struct nx_err *err);
/* Every collection, at any depth, in the order of their paths compared name by name. Return false
 * from `fn` to stop. */
typedef bool (*nx_collection_fn)(void *arg, const char *path, const struct nx_attr *attr,
                                 uint64_t documents);
NX_API enum nx_code nx_db_each_collection(struct nx_db *db, const struct nx_snapshot *snapshot,
                                          nx_collection_fn fn, void *arg, struct nx_err *err);

/* Create a plain node, a directory, or a draft (a `*.json` name of kind NX_KIND_FILE in a
 * collection becomes one). `attr` in: kind (FILE, DIRECTORY, SYMLINK, ...; a DIRECTORY becomes a
 * collection where the rules say so), mode, uid, gid, rdev; out: everything. NX_EEXISTS,
 * NX_ENOTDIR, NX_ENAME, NX_EPERM. */
NX_API enum nx_code nx_db_create(struct nx_db *db, nx_ino parent, const char *name, size_t name_len,
                                 struct nx_slice symlink_target, const struct nx_change *change,
                                 struct nx_attr *attr, struct nx_err *err);
NX_API enum nx_code nx_db_set_attr(struct nx_db *db, nx_ino ino, unsigned mask,
                                   const struct nx_attr *values, const struct nx_change *change,
                                   struct nx_attr *out, struct nx_err *err);
NX_API enum nx_code nx_db_link(struct nx_db *db, nx_ino ino, nx_ino parent, const char *name,
                               size_t name_len, const struct nx_change *change, struct nx_attr *out,
                               struct nx_err *err);
/* A plain file with open handles (nx_db_pin) keeps its data until the last unpin or the next open.
 */
NX_API enum nx_code nx_db_unlink(struct nx_db *db, nx_ino parent, const char *name, size_t name_len,
                                 const struct nx_change *change, struct nx_attr *removed,
                                 struct nx_err *err);
/* NX_ENOTEMPTY when it holds anything. */
NX_API enum nx_code nx_db_rmdir(struct nx_db *db, nx_ino parent, const char *name, size_t name_len,
                                const struct nx_change *change, struct nx_err *err);
/* Drop a directory with all that is in it, at the cost of the directories in it, whatever the
 * number of documents and files: the space comes back in the background. */
NX_API enum nx_code nx_db_drop(struct nx_db *db, nx_ino ino, const struct nx_change *change,
                               struct nx_err *err);

enum {
    NX_RENAME_NOREPLACE = 1,
    NX_RENAME_EXCHANGE = 2,
    /* NX_ECONFLICT when a document that would be replaced got its content after the source was
     * made: whoever wrote the source cannot have seen it. Not with EXCHANGE. */
    NX_RENAME_IF_OLDER = 4,
};
/*
 * Rename within and across directories, replacing as rename(2) does. A plain file renamed onto a
 * document's name is parsed and becomes the document, keeping the replaced document's number when
 * there is one (NX_EJSON and the other document errors otherwise, and nothing changes); a document
 * renamed to a plain name becomes a plain file of its text, with a new number. A directory keeps
 * all that is in it; NX_EXDEV when its `*.json` files would have to become documents, or its
 * documents plain files, because it crosses the border between collections and plain directories:
 * copy it and remove the original.
 */
NX_API enum nx_code nx_db_rename(struct nx_db *db, nx_ino from_parent, const char *from,
                                 size_t from_len, nx_ino to_parent, const char *to, size_t to_len,
                                 unsigned flags, const struct nx_change *change,
                                 struct nx_err *err);
NX_API void nx_db_pin(struct nx_db *db, nx_ino ino);
NX_API void nx_db_unpin(struct nx_db *db, nx_ino ino);

/* --- plain files ------------------------------------------------------------------------------ */

NX_API enum nx_code nx_db_read(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                               uint64_t offset, void *out, size_t len, size_t *got,
                               struct nx_err *err);
NX_API enum nx_code nx_db_write(struct nx_db *db, nx_ino ino, uint64_t offset, const void *data,
                                size_t len, const struct nx_change *change, struct nx_attr *out,
                                struct nx_err *err);
/* With NX_ALLOCATE_HOLE the bytes become zeros that take no space, else they are only promised to
 * fit: the file gets longer, unless NX_ALLOCATE_KEEP_SIZE. */
enum { NX_ALLOCATE_KEEP_SIZE = 1, NX_ALLOCATE_HOLE = 2 };
NX_API enum nx_code nx_db_allocate(struct nx_db *db, nx_ino ino, unsigned flags, uint64_t offset,
                                   uint64_t len, const struct nx_change *change,
                                   struct nx_attr *out, struct nx_err *err);
/* Move `*offset` to the first byte from there on that is in a hole (`hole`; the end counts as one)
 * or is not. NX_DONE when there is none, or at or behind the end. */
NX_API enum nx_code nx_db_seek(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                               bool hole, uint64_t *offset, struct nx_err *err);
NX_API enum nx_code nx_db_readlink(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                                   struct nx_buf *out, struct nx_err *err);

/* --- extended attributes -----------------------------------------------------------------------
 */

/*
 * Of any node: names of up to NX_XATTR_NAME_MAX bytes, each with a value. What a prefix allows is
 * the door's business. They stay with the file through renames, also where it becomes a document or
 * a plain file, and go with it.
 */
#define NX_XATTR_NAME_MAX 255u
#define NX_XATTR_VALUE_MAX 65536u
#define NX_XATTR_NAMES_MAX 65536u        /* of all names of a node, each with its NUL */
#define NX_XATTR_TOTAL_MAX (1024u << 10) /* of all names and values of a node */

enum { NX_XATTR_CREATE = 1, NX_XATTR_REPLACE = 2 };
/* NX_EEXISTS, NX_ENODATA by `flags`; NX_ENAMETOOLONG; NX_ETOOBIG past a limit. */
NX_API enum nx_code nx_db_xattr_set(struct nx_db *db, nx_ino ino, struct nx_slice name,
                                    struct nx_slice value, unsigned flags,
                                    const struct nx_change *change, struct nx_err *err);
/* NX_ENODATA when it is not there, here and in what follows. */
NX_API enum nx_code nx_db_xattr_remove(struct nx_db *db, nx_ino ino, struct nx_slice name,
                                       const struct nx_change *change, struct nx_err *err);
NX_API enum nx_code nx_db_xattr_get(struct nx_db *db, const struct nx_snapshot *snapshot,
                                    nx_ino ino, struct nx_slice name, struct nx_buf *out,
                                    struct nx_err *err);
/* The names, each with its NUL. */
NX_API enum nx_code nx_db_xattr_list(struct nx_db *db, const struct nx_snapshot *snapshot,
                                     nx_ino ino, struct nx_buf *out, struct nx_err *err);

/* --- listing a directory ---------------------------------------------------------------------- */

struct nx_dir;
struct nx_dirent {
    const char *name; /* NUL-terminated, borrowed until the next move */
    size_t name_len;
    struct nx_attr attr; /* complete */
    uint64_t
        cookie; /* nx_dir_seek(cookie) stands after this entry; 1 to 2^63 - 1; survives deletions */
};
/* `documents_only` passes plain entries over. Reads one picture of the directory, taken at the open
 * or, without `snapshot`, at the last nx_dir_seek to 0, which begins again. */
NX_API enum nx_code nx_dir_open(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                                bool documents_only, struct nx_dir **out, struct nx_err *err);
NX_API void nx_dir_close(struct nx_dir *dir);
/* NX_DONE at the end. */
NX_API enum nx_code nx_dir_next(struct nx_dir *dir, struct nx_dirent *out, struct nx_err *err);
NX_API enum nx_code nx_dir_seek(struct nx_dir *dir, uint64_t cookie, struct nx_err *err);
/* Take a new picture and stand after `cookie` (0: at the start), which the old one still has when
 * its entry has been removed since. NX_ENOTFOUND when the directory has. Not for a listing of a
 * snapshot of the caller's. After a failure the listing is only to be closed. */
NX_API enum nx_code nx_dir_refresh(struct nx_dir *dir, uint64_t cookie, struct nx_err *err);

/* --- documents -------------------------------------------------------------------------------- */

struct nx_document {
    struct nx_attr attr;
    struct nx_slice bson; /* with _id as its first field; borrowed */
};

/* Newest or in a snapshot. `buf` holds what out->bson borrows. NX_ENOTFOUND (a draft is not found).
 */
NX_API enum nx_code nx_document_get(struct nx_db *db, const struct nx_snapshot *snapshot,
                                    nx_ino collection, const struct nx_id *id, struct nx_buf *buf,
                                    struct nx_document *out, struct nx_err *err);
/* The same by node number. */
NX_API enum nx_code nx_document_by_ino(struct nx_db *db, const struct nx_snapshot *snapshot,
                                       nx_ino ino, struct nx_buf *buf, struct nx_document *out,
                                       struct nx_err *err);
/* The bytes that a read of the file gives, exactly attr->size of them. Appended to `text`. */
NX_API enum nx_code nx_document_text(struct nx_db *db, const struct nx_snapshot *snapshot,
                                     nx_ino ino, struct nx_buf *text, struct nx_attr *attr,
                                     struct nx_err *err);
/* The place of a document or draft, by node number: its collection and id. NX_ENOTFOUND. */
NX_API enum nx_code nx_document_locate(struct nx_db *db, const struct nx_snapshot *snapshot,
                                       nx_ino ino, nx_ino *collection, struct nx_id *id,
                                       struct nx_err *err);
NX_API enum nx_code nx_document_count(struct nx_db *db, const struct nx_snapshot *snapshot,
                                      nx_ino collection, uint64_t *out, struct nx_err *err);

/* Documents of one collection in _id order. */
struct nx_scan;
struct nx_scan_range {
    const struct nx_id *lower; /* NULL: from the start */
    bool lower_exclusive;
    const struct nx_id *upper; /* NULL: to the end */
    bool upper_exclusive;
    bool backward;
};
NX_API enum nx_code nx_scan_open(struct nx_db *db, const struct nx_snapshot *snapshot,
                                 nx_ino collection, const struct nx_scan_range *range,
                                 struct nx_scan **out, struct nx_err *err);
NX_API void nx_scan_close(struct nx_scan *scan);
/* NX_DONE at the end. out->bson is borrowed until the next move. */
NX_API enum nx_code nx_scan_next(struct nx_scan *scan, struct nx_document *out, struct nx_err *err);

/* --- changing documents: a list of changes, all or none --------------------------------------- */

struct nx_write;

enum nx_put_mode {
    NX_PUT_INSERT,  /* NX_EEXISTS when there is a document (a draft is filled) */
    NX_PUT_REPLACE, /* NX_ENOTFOUND when there is none */
    NX_PUT_UPSERT,
};

struct nx_put {
    nx_ino collection;
    enum nx_put_mode mode;
    const struct nx_id *id;     /* NULL: the _id of `bson` or `text`, or a new one */
    struct nx_slice bson;       /* the document; an _id in it is replaced by `id` ... */
    struct nx_slice text;       /* ... or its JSON text, kept byte for byte; give one of the two */
    uint64_t if_revision;       /* 0, or NX_ECONFLICT when the document has another revision */
    const struct nx_attr *attr; /* NULL, or a source of mode, uid, gid and times by `attr_mask` */
    unsigned attr_mask;         /* NX_SET_*; what is not set: kept, or the defaults of a new one */
};

NX_API enum nx_code nx_write_new(struct nx_db *db, struct nx_write **out, struct nx_err *err);
NX_API void nx_write_free(struct nx_write *write);
NX_API void nx_write_clear(struct nx_write *write);
/* Check and add one change; bytes are copied. `id_out` (may be NULL) gets the id. */
NX_API enum nx_code nx_write_put(struct nx_write *write, const struct nx_put *put,
                                 struct nx_id *id_out, struct nx_err *err);
/* `if_revision` as in nx_put. NX_ENOTFOUND comes from the commit, unless `missing_ok`. */
NX_API enum nx_code nx_write_delete(struct nx_write *write, nx_ino collection,
                                    const struct nx_id *id, uint64_t if_revision, bool missing_ok,
                                    struct nx_err *err);
NX_API size_t nx_write_count(const struct nx_write *write);
NX_API size_t nx_write_bytes(const struct nx_write *write);

struct nx_write_result {
    uint64_t inserted, replaced, deleted;
    struct nx_attr attr; /* of the last document put */
};
/* Apply all or none; err->index names the change that failed. The list stays as it is. */
NX_API enum nx_code nx_write_commit(struct nx_write *write, const struct nx_change *change,
                                    struct nx_write_result *result, struct nx_err *err);

/* --- what changed ----------------------------------------------------------------------------- */

enum nx_event_type {
    NX_EVENT_CREATE, /* a name appeared: document, draft, file, directory */
    NX_EVENT_UPDATE, /* content or metadata */
    NX_EVENT_DELETE, /* a name went */
    NX_EVENT_RENAME, /* from (parent, name) to (to_parent, to_name) */
    NX_EVENT_DROP,   /* a directory with all in it */
};
struct nx_event {
    enum nx_event_type type;
    uint32_t origin;
    nx_ino parent, ino;
    const char *name; /* borrowed, NUL-terminated */
    nx_ino to_parent;
    const char *to_name;
    enum nx_kind kind;
};
/* Called after a change is applied, on the changing thread, which may hold store locks: enqueue and
 * return. One subscriber at a time; NULL ends it. */
typedef void (*nx_event_fn)(void *arg, const struct nx_event *event);
/* Must call `done` once every event handed over so far has taken effect. */
typedef void (*nx_drain_fn)(void *arg, nx_commit_fn done, void *done_arg);
NX_API void nx_db_subscribe(struct nx_db *db, nx_event_fn fn, nx_drain_fn drain, void *arg);
/* Call `done` once the subscriber has drained (at once without one): a change made before is then
 * seen by every reader of the mount. */
NX_API void nx_db_drain(struct nx_db *db, nx_commit_fn done, void *arg);

#endif

/*
 * store.h - inside the store: the database and the reads that its parts share.
 *
 * Locks, in the order they are taken:
 *   names    entries of directories (KEY_ENTRY, KEY_LISTING), a directory's parent and name
 *   stripes  everything else of a node: its KEY_NODE, its counters, its documents, its data. A
 *            document's KEY_NODE belongs to the stripe of its collection.
 * Reads take neither.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdatomic.h>

#include <nexadb/db.h>

#include "base/lock.h"
#include "store/events.h"
#include "store/feed.h"
#include "store/keys.h"
#include "store/numbers.h"
#include "store/pins.h"
#include "store/recent.h"
#include "store/record.h"
#include "store/stripes.h"
#include "store/trash.h"

struct tx;

struct nx_db {
    struct nx_engine *engine; /* owned */
    struct nx_io *io;
    char *spill_dir; /* owned */
    bool read_only;
    uint32_t owner_uid, owner_gid;

    struct nx_mutex names;
    struct stripes stripes;
    struct numbers numbers;
    struct events events;
    struct pins pins;
    struct recent recent;
    struct trash trash;
    struct feed feed;
    /* Some node has extended attributes, or had: its record goes with it. Set before the first is
     * committed, under the node's lock. */
    _Atomic bool xattrs;
    struct nx_mutex idle_mu;
    struct tx *idle; /* guarded by idle_mu; changes kept for reuse */
};

/* --- reads; `snapshot` NULL: newest. `buf` holds what the results borrow ---------------------- */

enum nx_code store_get(struct nx_db *db, const struct nx_snapshot *snapshot, const struct key *key,
                       struct nx_buf *buf, struct nx_err *err);
/* NX_ENOTFOUND when there is none, or when it is a directory in the trash. */
enum nx_code store_node(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                        struct nx_buf *buf, struct node *out, struct nx_err *err);
/* The same for a directory; NX_ENOTDIR for another node. */
enum nx_code store_directory(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                             struct nx_buf *buf, struct node *out, struct nx_err *err);
enum nx_code store_counters(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                            struct counters *out, struct nx_err *err);
enum nx_code store_entry(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino dir,
                         struct nx_slice name, struct entry *out, struct nx_err *err);
/* A document or draft. The body is in `buf` at `*body_at` (of a draft: empty); one version. */
enum nx_code store_document(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino collection,
                            struct nx_slice id, struct nx_buf *buf, struct doc_header *out,
                            size_t *body_at, struct nx_err *err);
/* Its header only. */
enum nx_code store_header(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino collection,
                          struct nx_slice id, struct nx_buf *buf, struct doc_header *out,
                          struct nx_err *err);
/* NX_ENOTFOUND when a collection that may have been dropped is in the trash. */
enum nx_code store_check_alive(struct nx_db *db, const struct nx_snapshot *snapshot,
                               nx_ino collection, struct nx_err *err);
/* Attributes of a node that is no document; a directory's counters are read. */
enum nx_code store_attr(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                        const struct node *node, struct nx_attr *out, struct nx_err *err);
enum nx_code store_corrupt(struct nx_err *err, const struct key *key, const char *what);

/* --- names ------------------------------------------------------------------------------------ */

/* True when `name` in a directory of this kind is a document's. */
static inline bool is_document_slot(enum nx_kind directory, struct nx_slice name)
{
    return directory == NX_KIND_COLLECTION &&
           nx_name_is_document((const char *)name.data, name.len);
}
/* Empty, ".", "..", "/" or NUL in it: NX_ENAME; over NX_NAME_MAX: NX_ENAMETOOLONG. */
enum nx_code name_check(struct nx_slice name, struct nx_err *err);
/* NX_ENAME for what cannot be a collection's name. */
enum nx_code name_check_collection(struct nx_slice name, struct nx_err *err);
/* The kind a directory of this name gets, and whether it may have it (NX_ENAME). */
enum nx_code name_directory_kind(enum nx_kind parent, struct nx_slice name, enum nx_kind *out,
                                 struct nx_err *err);
/* The canonical id of a document's name; the message of NX_ENAME gives the right name. */
enum nx_code name_to_id(struct nx_slice name, struct nx_id *out, struct nx_err *err);
/* Bytes of a name, as printf's "%.*s" wants them. */
#define NAME_ARG(name) (int)(name).len, (const char *)(name).data

static inline struct nx_slice id_slice(const struct nx_id *id)
{
    return nx_slice(id->key, id->len);
}

#endif

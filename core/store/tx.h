/*
 * tx.h - one change of the store: locks, records, counters and notices that take effect together.
 *
 *   tx_begin -> tx_lock -> reads and tx_put_... -> tx_finish
 *
 * Records go straight into an engine batch; the counters of the directories touched are kept and
 * written once; notices are given out after the batch is applied, under the locks, and before the
 * caller's `done`. Memory errors stick and come out of tx_finish.
 *
 * Threads: one at a time.
 */
#ifndef STORE_TX_H
#define STORE_TX_H

#include "store/store.h"

struct tx_dir {
    nx_ino ino;
    enum nx_kind kind;
    bool changed;
    struct counters counters;
};

struct tx_event; /* an nx_event whose names are offsets */

struct tx {
    struct nx_db *db;
    struct tx *next_idle;
    struct nx_batch *batch; /* owned */
    struct nx_change change;
    int64_t now_ns;
    uint64_t stripes; /* held */
    bool names;       /* held */
    bool notify;      /* somebody listens */
    enum nx_code failed;
    struct tx_dir *dirs; /* owned */
    size_t dir_count, dir_cap;
    struct nx_buf changes;     /* for the feed, row by row, each with room for its time */
    struct nx_buf rows;        /* of size_t: where each begins in `changes` */
    struct nx_buf labels;      /* what directories were called, until the position is known */
    struct feed_flight flight; /* of the changes in the feed */
    nx_ino changed_dir;        /* of the last change in the row */
    nx_ino renamed_away;       /* a document that may come back: its notice is held; 0: none */
    struct nx_buf events;      /* of struct tx_event */
    struct nx_buf event_names;
    struct nx_buf value; /* a record being encoded */
    struct nx_buf read;  /* for the reads of the change */
};

/* Takes the names lock when `names`. `change` NULL: buffered, of the database's owner. NX_EROFS. */
enum nx_code tx_begin(struct nx_db *db, const struct nx_change *change, bool names, struct tx **out,
                      struct nx_err *err) NX_NO_THREAD_SAFETY;
/* The write locks of a set of nodes (stripe_of), once in a change. */
void tx_lock(struct tx *tx, uint64_t stripes);
/* Commit if `rc` is NX_OK, give out notices, unlock, wait for the acknowledgement unless
 * change.done, free. Returns `rc` or the commit's error. */
enum nx_code tx_finish(struct tx *tx, enum nx_code rc, struct nx_err *err) NX_NO_THREAD_SAFETY;
/* Unlock and free; nothing has changed. */
void tx_cancel(struct tx *tx) NX_NO_THREAD_SAFETY;
void tx_pool_fini(struct nx_db *db);

/* A live directory with its counters, which the change may edit. Its stripe is held. Borrowed until
 * the next tx_dir. */
enum nx_code tx_dir(struct tx *tx, nx_ino ino, struct tx_dir **out, struct nx_err *err);
/* A name came or went: mtime and ctime are now. */
void tx_touch(struct tx *tx, struct tx_dir *dir);

void tx_put_node(struct tx *tx, nx_ino ino, const struct node *node);
/* The node of a document. */
void tx_put_document_node(struct tx *tx, nx_ino ino, nx_ino collection, struct nx_slice id);
/* Of a new directory; those of an old one are edited through tx_dir. */
void tx_put_counters(struct tx *tx, nx_ino ino, const struct counters *counters);
/* Any record of one number. */
void tx_put_value(struct tx *tx, enum key_kind kind, uint64_t number, struct nx_slice value);
void tx_delete(struct tx *tx, enum key_kind kind, uint64_t number);
/* A node's record and its extended attributes. */
void tx_delete_node(struct tx *tx, nx_ino ino);
/* Every key of (kind, number, ...). */
void tx_delete_all(struct tx *tx, enum key_kind kind, uint64_t number);
void tx_delete_keys(struct tx *tx, const struct key *begin, const struct key *end);
/* Both records of a plain name. Counters are the caller's. */
void tx_put_entry(struct tx *tx, nx_ino dir, struct nx_slice name, const struct entry *entry);
void tx_delete_entry(struct tx *tx, nx_ino dir, struct nx_slice name, uint64_t number);
/* The record, and the body where it is large. `had_large`: what it replaces was. Sets DOC_LARGE. */
void tx_put_document(struct tx *tx, nx_ino collection, struct nx_slice id,
                     struct doc_header *header, struct nx_slice bson, struct nx_slice source,
                     bool had_large);
/* The record with a new header and the inline body that it had. */
void tx_put_header(struct tx *tx, nx_ino collection, struct nx_slice id,
                   const struct doc_header *header, struct nx_slice body);
void tx_delete_document(struct tx *tx, nx_ino collection, struct nx_slice id, bool had_large);
void tx_put_chunk(struct tx *tx, nx_ino ino, uint64_t number, struct nx_slice data);
void tx_delete_chunk(struct tx *tx, nx_ino ino, uint64_t number);
/* A key of no value. */
void tx_put_mark(struct tx *tx, enum key_kind kind, uint64_t number);

/* --- a change of one node (names.c) ------------------------------------------------------------
 */

/* `node` is as it is under the lock. */
typedef enum nx_code (*change_node_fn)(struct tx *tx, nx_ino ino, struct node *node, void *arg,
                                       struct nx_err *err);
/* Run `fn` as a change of its own, under the lock of the node: a document's is its collection's.
 * `reclaims`: it makes room. */
enum nx_code change_node(struct nx_db *db, nx_ino ino, const struct nx_change *change,
                         bool reclaims, change_node_fn fn, void *arg, struct nx_err *err);
/* Set attributes; ctime in any case. `out` may be NULL. */
enum nx_code change_attributes(struct tx *tx, nx_ino ino, struct node *node, unsigned mask,
                               const struct nx_attr *values, struct nx_attr *out,
                               struct nx_err *err);

/* --- for the feed: tx_feed.c ------------------------------------------------------------------ */

/* There was, there is now a document of this id; with new content if both. */
void tx_change_document(struct tx *tx, bool was, bool is, nx_ino collection, struct nx_slice id);
/* A directory, which was `before` (NULL: not there) and is of `kind` now, perhaps elsewhere; to
 * drop it, any kind but a collection. What else than collections comes and goes is not told. */
void tx_change_directory(struct tx *tx, enum nx_kind kind, nx_ino dir, const struct node *before);
/* The number of a document of this id that was renamed away a moment ago, once; 0: none. The notice
 * that it went is then withdrawn: it is *updated. */
nx_ino tx_reborn(struct tx *tx, nx_ino collection, struct nx_slice id, bool *updated);
/* The same for a draft, which is no document yet: the notice stays held. */
nx_ino tx_reborn_draft(struct tx *tx, nx_ino collection, struct nx_slice id);
/* The document went by a rename and may come back: the notice of it is held. */
void tx_hold(struct tx *tx, nx_ino collection, const struct nx_id *id, nx_ino ino);
/* Put the rows into the batch; readers stop before them until tx_feed_end. */
void tx_feed_begin(struct tx *tx);
void tx_feed_end(struct tx *tx);

/* --- notices to the subscriber ---------------------------------------------------------------- */

/* Names are copied. */
void tx_event(struct tx *tx, enum nx_event_type type, enum nx_kind kind, nx_ino ino, nx_ino parent,
              struct nx_slice name);
void tx_event_rename(struct tx *tx, enum nx_kind kind, nx_ino ino, nx_ino parent,
                     struct nx_slice name, nx_ino to_parent, struct nx_slice to_name);
/* The same, naming a document by its id. */
void tx_event_document(struct tx *tx, enum nx_event_type type, const struct doc_header *header,
                       nx_ino collection, struct nx_slice id);

#endif

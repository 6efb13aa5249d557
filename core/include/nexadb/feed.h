/*
 * feed.h - the change feed: every change of documents and collections, in order, kept for a while.
 *
 * A change is recorded in the batch that makes it: the feed has it exactly when the store does. A
 * token names a place in the feed and outlives restarts; what is older than nx_db_options says is
 * dropped (the default: 7 days, 1 GiB), and a token from before is then refused.
 *
 * Threads: a feed reader belongs to one thread at a time; nx_feed_end and waiting are for any.
 */
#ifndef NEXADB_FEED_H
#define NEXADB_FEED_H

#include <nexadb/db.h>

enum nx_feed_op {
    NX_FEED_INSERT,
    NX_FEED_UPDATE, /* its content is new, whole or in part */
    NX_FEED_DELETE,
    NX_FEED_CREATE, /* a collection */
    NX_FEED_RENAME,
    NX_FEED_DROP,
    NX_FEED_OPS
};
/* "insert", "update", ... */
NX_API const char *nx_feed_op_name(enum nx_feed_op op);

struct nx_feed_change {
    enum nx_feed_op op;
    nx_ino collection;
    uint64_t position; /* of this change: rises from one to the next */
    const char *path;  /* of the collection before this change; borrowed until the next move */
    const char *to;    /* of a rename: the path after it; else NULL */
    struct nx_id id;   /* of a document */
};

struct nx_feed;
enum { NX_FEED_TOKEN_BYTES = 25 }; /* with its NUL */

/*
 * Read the changes of one collection, or all with `collection` 0, after the place that `token`
 * names: "0" is the oldest that is kept, NULL is now. NX_EINVAL when it is no token; NX_ENODATA
 * when it is older than what is kept, or of a history that a power failure took back.
 */
NX_API enum nx_code nx_feed_open(struct nx_db *db, nx_ino collection, const char *token,
                                 struct nx_feed **out, struct nx_err *err);
NX_API void nx_feed_close(struct nx_feed *feed);
/* NX_DONE: there is no more now; later there may be. NX_ENODATA: the feed was trimmed past it. */
NX_API enum nx_code nx_feed_next(struct nx_feed *feed, struct nx_feed_change *out,
                                 struct nx_err *err);
/* Let go of the picture that it reads: before a pause in the middle of the changes. */
NX_API void nx_feed_rest(struct nx_feed *feed);
/* The place after the last change that was read or, after NX_DONE, passed over. */
NX_API void nx_feed_token(const struct nx_feed *feed, char token[NX_FEED_TOKEN_BYTES]);
/* The same as a number: nothing up to it is read again. */
NX_API uint64_t nx_feed_position(const struct nx_feed *feed);

/* Append the change that was just read, as one JSON object without a newline: operationType, ns, to
 * (of a rename), documentKey, fullDocument (BSON; empty: left out), token. */
NX_API enum nx_code nx_feed_write(const struct nx_feed *feed, const struct nx_feed_change *change,
                                  struct nx_slice document, struct nx_buf *out, struct nx_err *err);

/* Every change before this position can be read, and none will come before it any more. */
NX_API uint64_t nx_feed_end(struct nx_db *db);
/* Nothing before this position is kept. */
NX_API uint64_t nx_feed_start(struct nx_db *db);

/* Who waits for the feed to grow. Its memory is the caller's. */
struct nx_feed_waiter {
    void (*grown)(void *arg); /* once, on the feed's thread; must not block */
    void *arg;
    uint64_t end;                        /* wait while nx_feed_end is not above it */
    struct nx_feed_waiter *next, **link; /* the feed's; link NULL: does not wait */
};
NX_API void nx_feed_wait(struct nx_db *db, struct nx_feed_waiter *waiter);
/* True when the waiter was waiting and will not be called; else it has been called. */
NX_API bool nx_feed_unwait(struct nx_db *db, struct nx_feed_waiter *waiter);

#endif

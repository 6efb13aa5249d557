/*
 * feed.h - inside the store: where the feed's next row goes, and what may be read of it.
 *
 * A row holds the changes of one batch (FORMAT.md, "Feed"). Its key is its position, which rises by
 * the size of each row: positions count the bytes of the feed. A position is taken before the batch
 * is committed, and batches are committed in any order; so a change is in flight from before its
 * position is known until its batch is applied, and readers stop at the first that is.
 *
 * Locks: mu, below the stripes. The thread trims and tells who waits.
 */
#ifndef STORE_FEED_H
#define STORE_FEED_H

#include <nexadb/feed.h>
#include <nexadb/io.h>

#include "base/lock.h"

/* What is kept by default. */
#define FEED_KEEP_BYTES (1ull << 30)
#define FEED_KEEP_MS (7ull * 24 * 3600 * 1000)
/* A row is closed once it has so many bytes; a change is never split. */
#define FEED_ROW_BYTES (256u << 10)
/* Of a row: its time, before its changes. */
#define FEED_HEAD_BYTES 8
/* Of a row beside its value, where positions count them. */
#define FEED_KEY_BYTES 9
#define FEED_SAME_DIR 0x80 /* with an op: the directory is that of the change before it */

struct nx_db;

struct feed_flight {
    struct feed_flight *next, **link; /* guarded by the feed's mu, as `low` */
    uint64_t low;                     /* readers stop before it */
    bool listed;                      /* its change's own */
};

struct feed {
    struct nx_mutex mu;
    struct nx_cond wake;
    struct nx_thread *thread; /* NULL: none runs */
    uint64_t next;            /* position of the next row; guarded by mu, as the rest */
    uint64_t start;           /* nothing before it is kept */
    uint64_t keep_bytes, keep_ms;
    uint64_t trim_at; /* `next` when trimming is worth a look */
    struct feed_flight *flights;
    struct nx_feed_waiter *waiters;
    bool stop, grown;
};

void feed_init(struct feed *feed, uint64_t keep_bytes, uint64_t keep_ms);
void feed_fini(struct feed *feed);
/* Find the first and the last row. */
enum nx_code feed_load(struct nx_db *db, struct nx_err *err);
enum nx_code feed_start(struct nx_db *db, struct nx_err *err);
void feed_stop(struct nx_db *db);

/* The document comes back (recent.h): where its notice is held, 0 when it is told already or there
 * is none. Readers stop before it, until the change leaves. */
uint64_t feed_claim(struct nx_db *db, struct feed_flight *flight, uint64_t collection,
                    struct nx_slice id);
/* The position of the change's first row of `bytes` in all. */
uint64_t feed_take(struct feed *feed, struct feed_flight *flight, uint64_t bytes);
/* The batch was applied, or failed. */
void feed_leave(struct feed *feed, struct feed_flight *flight);
/* A value of KEY_CHANGES can be decoded to its end. */
bool feed_row_is_whole(struct nx_slice value);
/* For tests: keep less, and trim now, on the calling thread. */
enum nx_code feed_trim(struct nx_db *db, uint64_t keep_bytes, uint64_t keep_ms, struct nx_err *err);

#endif

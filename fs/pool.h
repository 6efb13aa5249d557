/*
 * pool.h - the threads that do what a FUSE worker must not wait for: queries, exports, imports.
 *
 * A strand is a queue of jobs that run one at a time and in order, on any of the threads: one for
 * each handle, so that reads of one result never overtake each other.
 *
 * Threads: any. Ownership: a job belongs to who submits it; it may free itself when it runs.
 */
#ifndef FS_POOL_H
#define FS_POOL_H

#include <stdbool.h>

#include <nexadb/error.h>

struct pool;

struct job {
    void (*run)(struct job *job);
    bool ends_strand; /* the last one: it may free the strand */
    struct job *next; /* the pool's */
};

struct strand {
    struct job *first, *last; /* guarded by the pool's lock, as the rest */
    struct strand *next;
    bool busy; /* queued or running */
};

enum nx_code pool_new(unsigned threads, struct pool **out, struct nx_err *err);
/* Runs what is queued, then ends the threads. */
void pool_free(struct pool *pool);
void pool_submit(struct pool *pool, struct strand *strand, struct job *job);

#endif

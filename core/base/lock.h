/*
 * lock.h - mutexes with ranks, condition variables.
 *
 * A thread takes locks in the order of this enum: in a debug build nx_mutex_lock aborts on a step
 * back or sideways (same rank twice), naming both ranks. No I/O and no callback under a lock
 * unless the rank's comment allows it.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <nexadb/attributes.h>

enum nx_lock_rank {
    NX_RANK_DOOR,            /* fs and daemon: tables of nodes, handles, routes */
    NX_RANK_DOOR_HANDLE,     /* one open file or request; reads the store under it */
    NX_RANK_STORE_NAMESPACE, /* names and directories; reads and commits under it */
    NX_RANK_STORE_WRITE,     /* one collection's writers; reads and commits under it */
    NX_RANK_STORE_COUNTER,
    NX_RANK_STORE_EVENTS,
    NX_RANK_QUERY,
    NX_RANK_ENGINE_COMPACT,  /* one compaction at a time, one flush at a time; I/O under it */
    NX_RANK_ENGINE_MANIFEST, /* order of manifest edits; I/O under it */
    NX_RANK_ENGINE_COMMIT,   /* order of commits; log writes under it */
    NX_RANK_ENGINE_SYNC,
    NX_RANK_ENGINE_LOG,     /* what waits to be written to the log; writes under it */
    NX_RANK_ENGINE_RESERVE, /* size of the reserved space; I/O under it */
    NX_RANK_ENGINE_STATE,   /* memtables, version, snapshots; no I/O */
    NX_RANK_ENGINE_CACHE,
    NX_RANK_IO_FAULT,
    NX_RANK_IO_SIM,
    NX_RANK_LEAF,
    NX_RANK_COUNT
};

struct NX_CAPABILITY("mutex") nx_mutex {
    pthread_mutex_t native;
    enum nx_lock_rank rank;
};

struct nx_cond {
    pthread_cond_t native; /* on CLOCK_MONOTONIC */
};

void nx_mutex_init(struct nx_mutex *mu, enum nx_lock_rank rank);
void nx_mutex_fini(struct nx_mutex *mu);
void nx_mutex_lock(struct nx_mutex *mu) NX_ACQUIRE(*mu);
bool nx_mutex_trylock(struct nx_mutex *mu) NX_TRY_ACQUIRE(true, *mu);
void nx_mutex_unlock(struct nx_mutex *mu) NX_RELEASE(*mu);

void nx_cond_init(struct nx_cond *cond);
void nx_cond_fini(struct nx_cond *cond);
void nx_cond_wait(struct nx_cond *cond, struct nx_mutex *mu) NX_REQUIRES(*mu);
/* False when `timeout_ms` passed first. */
bool nx_cond_wait_ms(struct nx_cond *cond, struct nx_mutex *mu, uint64_t timeout_ms)
    NX_REQUIRES(*mu);
void nx_cond_signal(struct nx_cond *cond);
void nx_cond_broadcast(struct nx_cond *cond);

#endif

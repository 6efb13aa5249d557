/*
 * trash.h - dropped directories: cut off in one batch, emptied in the background.
 *
 * Threads: trash_* from any; the emptying is one thread of its own.
 */
#ifndef STORE_TRASH_H
#define STORE_TRASH_H

#include <stdatomic.h>
#include <stdbool.h>

#include <nexadb/error.h>
#include <nexadb/io.h>

#include "base/lock.h"

struct nx_db;

struct trash {
    struct nx_mutex mu;
    struct nx_cond changed;
    struct nx_thread *thread; /* NULL: none runs */
    bool wanted;              /* guarded by mu: something was dropped since the last look */
    bool idle;                /* guarded by mu: the thread found the trash empty */
    _Atomic bool stop;        /* set under mu; read between batches */
    /* A directory was dropped while this process had the database, or before and is still there: a
     * document's collection must be looked at. Set before the drop is committed. */
    _Atomic bool ever;
};

void trash_init(struct trash *trash);
enum nx_code trash_start(struct nx_db *db, struct nx_err *err);
void trash_stop(struct nx_db *db);
void trash_fini(struct trash *trash);
void trash_wake(struct trash *trash);
/* Wait until the trash is empty. For tests and measurements. */
void trash_wait(struct trash *trash);
/* Empty it on the calling thread, up to a stop. */
enum nx_code trash_empty(struct nx_db *db, struct nx_err *err);
/* Remove the plain files that had no name when the process ended. */
enum nx_code trash_orphans(struct nx_db *db, struct nx_err *err);
/* Remove a plain file without a name, unless it has one. */
enum nx_code trash_orphan(struct nx_db *db, uint64_t ino, struct nx_err *err);

#endif

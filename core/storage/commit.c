/*
 * commit.c - committing: one frame in the log a group, then the memtable, then visible.
 *
 *     submit -> queue -> [commit lock] log -> memtable -> visible -> done   (buffered)
 *                                                           \-> sync.c      (sync)
 *
 * A caller pushes its request onto a lock-free stack and takes the commit lock. Whoever gets it
 * first commits everything on the stack as one group, so callers that queued up behind it mostly
 * find theirs done. A group takes less than a microsecond when nobody waits for the disk, so they
 * look for that a while before they sleep. No thread is handed anything and nothing is allocated on
 * the buffered path.
 */
#include <stdlib.h>

#include "storage/engine.h"
#include "storage/mutation.h"

enum { GROUP_BYTES = 16 << 20, GROUP_REQUESTS = 1024, LOOKS_BEFORE_SLEEP = 100 };
enum { RECORD_BYTES = 48 /* what a change takes in a memtable besides its own bytes, about */ };
enum { FLUSHES_MAX = 3 /* that a removal waits for on a full disk */ };

struct commit_request {
    struct commit_request *next;
    const struct nx_batch *batch;
    struct nx_err *err;
    uint64_t position; /* behind it in the log */
    enum nx_code result;
    _Atomic bool is_done; /* release: the group's leader does not touch it any more */
};

/* --- pace ------------------------------------------------------------------------------------- */

void engine_adjust_pace(struct nx_engine *engine)
{
    const struct tree *tree = atomic_load(&engine->tree);
    const struct levels *levels = &tree->version->levels;

    pace_adjust(&engine->pace, tree->count - 1, levels->level[0].count, levels->level[1].count > 0);
}

/* After its commit, so that the wait delays nobody else. */
static void keep_pace(struct nx_engine *engine, const struct nx_batch *batch, bool nowait)
{
    struct nx_io *io = engine->io;
    uint64_t now, wait;

    if (atomic_load_explicit(&engine->pace.rate, memory_order_relaxed) == 0)
        return;
    now = io->ops->monotonic_ns(io);
    wait = pace_charge(&engine->pace, batch->bytes.len + RECORD_BYTES * batch->count, now);
    if (wait == 0 || nowait)
        return;
    nx_mutex_lock(&engine->state_mu);
    nx_cond_wait_ms(&engine->state_changed, &engine->state_mu, wait / 1000000);
    nx_mutex_unlock(&engine->state_mu);
    atomic_fetch_add_explicit(&engine->counters.stall_ns, io->ops->monotonic_ns(io) - now,
                              memory_order_relaxed);
}

/* --- rotation --------------------------------------------------------------------------------- */

enum nx_code engine_replace_active(struct nx_engine *engine, uint64_t position, struct nx_err *err)
{
    struct tree_memtable mark = {position, engine->sequence};
    struct memtable *fresh;
    struct tree *tree, *old;

    fresh = memtable_new(engine->options.memtable_bytes);
    if (!fresh)
        return nx_fail_nomem(err);
    nx_mutex_lock(&engine->state_mu);
    old = atomic_load(&engine->tree);
    tree = tree_with_memtable(old, fresh, &mark);
    if (tree) {
        atomic_store(&engine->tree, tree);
        engine->active = fresh;
        engine_adjust_pace(engine);
    }
    nx_cond_signal(&engine->flush_wake);
    nx_mutex_unlock(&engine->state_mu);
    memtable_unref(fresh); /* the tree has it */
    if (!tree)
        return nx_fail_nomem(err);
    pins_retire(&engine->pins, old);
    return NX_OK;
}

enum nx_code engine_rotate(struct nx_engine *engine, uint64_t position, struct nx_err *err)
{
    return memtable_is_empty(engine->active) ? NX_OK : engine_replace_active(engine, position, err);
}

static bool holds_commits(const struct nx_engine *engine)
{
    return atomic_load_explicit(&engine->runs_waiting, memory_order_relaxed) > 0;
}

static bool is_full(const struct nx_engine *engine, const struct memtable *memtable)
{
    return memtable_bytes(memtable) >= engine->options.memtable_bytes;
}

static bool can_rotate(struct nx_engine *engine) NX_REQUIRES(engine->state_mu)
{
    const struct tree *tree = atomic_load(&engine->tree);

    return tree->count <= IMMUTABLE_MAX &&
           tree->version->levels.level[0].count < LEVEL0_STOP_TABLES;
}

static bool has_room(struct nx_engine *engine) NX_REQUIRES(engine->state_mu)
{
    const struct tree *tree = atomic_load(&engine->tree);

    if (holds_commits(engine))
        return false;
    return !is_full(engine, tree->memtables[0]) || can_rotate(engine) ||
           engine->background.code != NX_OK ||
           engine->compaction_is_stuck; /* then a commit fails */
}

/* NX_EBUSY when there is no room. While a full disk keeps memtables from becoming tables, what
 * gives space back goes into the active one: it grows no more than the log can. */
static enum nx_code make_room(struct nx_engine *engine, bool reclaims, struct nx_err *err)
    NX_REQUIRES(engine->commit_mu)
{
    bool can, is_full_disk;

    if (holds_commits(engine))
        return nx_fail(err, NX_EBUSY, "a run is being ingested");
    if (!is_full(engine, engine->active))
        return NX_OK;
    nx_mutex_lock(&engine->state_mu);
    can = can_rotate(engine);
    is_full_disk = engine->background.code == NX_ENOSPC || engine->compaction_is_stuck;
    nx_mutex_unlock(&engine->state_mu);
    if (!can && is_full_disk)
        return reclaims ? NX_OK
                        : nx_fail(err, NX_ENOSPC, "the disk of '%s' has no room to merge tables",
                                  engine->dir);
    if (!can)
        return nx_fail(err, NX_EBUSY, "the memtables are full");
    return engine_rotate(engine, wal_end(engine->wal), err);
}

/* --- a group ---------------------------------------------------------------------------------- */

static struct commit_request *take_queue(struct nx_engine *engine)
{
    /* Acquire: pairs with the push, whose request we read. */
    struct commit_request *stack =
        atomic_exchange_explicit(&engine->queue, NULL, memory_order_acquire);
    struct commit_request *oldest = NULL;

    while (stack) {
        struct commit_request *next = stack->next;

        stack->next = oldest;
        oldest = stack;
        stack = next;
    }
    return oldest;
}

static enum nx_code reserve_parts(struct nx_engine *engine, struct nx_err *err)
    NX_REQUIRES(engine->commit_mu)
{
    if (engine->parts_cap)
        return NX_OK;
    engine->parts = malloc(GROUP_REQUESTS * sizeof *engine->parts);
    if (!engine->parts)
        return nx_fail_nomem(err);
    engine->parts_cap = GROUP_REQUESTS;
    return NX_OK;
}

/* How many requests from `first` on make one frame; their bytes are in engine->parts. All of them
 * reclaim space, or none: a full disk has room for some. */
static size_t gather(struct nx_engine *engine, struct commit_request *first, uint64_t *changes)
    NX_REQUIRES(engine->commit_mu)
{
    size_t count = 0, bytes = 0;

    *changes = 0;
    for (struct commit_request *r = first; r && count < engine->parts_cap; r = r->next) {
        if (r->batch->reclaims != first->batch->reclaims ||
            (count && bytes + r->batch->bytes.len > GROUP_BYTES))
            break;
        engine->parts[count++] = nx_buf_slice(&r->batch->bytes);
        bytes += r->batch->bytes.len;
        *changes += r->batch->count;
    }
    return count;
}

/* The log has the group: if memory runs out now, memory and log differ until the next open. */
static enum nx_code apply(struct nx_engine *engine, struct commit_request *first, size_t count,
                          struct nx_err *err) NX_REQUIRES(engine->commit_mu)
{
    struct nx_err why = NX_ERR_INIT;
    uint64_t sequence = engine->sequence + 1;

    if (engine_mutated(SHOW_HALF_A_BATCH))
        atomic_store(&engine->visible, sequence + first->batch->count - 1);
    for (struct commit_request *r = first; count > 0; r = r->next, count--) {
        enum nx_code rc = batch_apply(nx_buf_slice(&r->batch->bytes), r->batch->count, sequence,
                                      engine->active, &why);

        if (rc != NX_OK) {
            engine_set_background(engine, &why, true);
            return nx_fail(err, rc, "%s", why.message);
        }
        sequence += r->batch->count;
    }
    engine->sequence = sequence - 1 - engine_mutated(REUSE_SEQUENCE);
    /* Release: who reads at this sequence finds all of it in the memtables (I1). */
    atomic_store_explicit(&engine->visible, sequence - 1, memory_order_release);
    return NX_OK;
}

bool engine_disk_is_full(struct nx_engine *engine)
{
    return reserve_is_short(engine->reserve) &&
           !reserve_restore(engine->reserve, engine->options.wal_segment_bytes / 8);
}

/* May it be written at all? */
static enum nx_code admit(struct nx_engine *engine, const struct nx_batch *batch,
                          struct nx_err *err)
{
    enum nx_code rc = engine_background(engine, err);

    if (rc == NX_ENOSPC && batch->reclaims)
        return NX_OK;
    if (rc == NX_OK && !batch->reclaims && engine_disk_is_full(engine))
        rc = nx_fail(err, NX_ENOSPC, "the disk of '%s' is full: only removals have room",
                     engine->dir);
    return rc;
}

static enum nx_code write_group(struct nx_engine *engine, struct commit_request *first,
                                size_t *count, struct nx_err *err) NX_REQUIRES(engine->commit_mu)
{
    bool reclaims = first->batch->reclaims;
    enum nx_code rc = admit(engine, first->batch, err);
    uint64_t changes;

    *count = 1;
    if (rc == NX_OK)
        rc = make_room(engine, reclaims, err);
    if (rc == NX_OK)
        rc = reserve_parts(engine, err);
    if (rc != NX_OK)
        return rc;
    *count = gather(engine, first, &changes);
    if (changes > UINT32_MAX || engine->sequence + changes > SEQUENCE_MAX)
        return nx_fail(err, NX_ETOOBIG, "%llu changes at once", (unsigned long long)changes);
    if (changes)
        rc = wal_append(engine->wal, engine->sequence + 1, (uint32_t)changes, engine->parts, *count,
                        reclaims ? RESERVE_LOG : RESERVE_NOBODY, err);
    if (rc == NX_OK)
        rc = apply(engine, first, *count, err);
    if (rc == NX_OK && reclaims && reserve_is_short(engine->reserve)) {
        atomic_store(&engine->is_reclaiming, true);
        atomic_store(&engine->has_reclaimed, true);
    }
    return rc;
}

static void finish(struct nx_engine *engine, struct commit_request *request, enum nx_code result,
                   const struct nx_err *why)
{
    request->result = result;
    request->position = wal_end(engine->wal);
    if (result != NX_OK && request->err)
        *request->err = *why;
    /* Release: publishes the result; the request is its owner's again. */
    atomic_store_explicit(&request->is_done, true, memory_order_release);
}

static void commit_queued(struct nx_engine *engine) NX_REQUIRES(engine->commit_mu)
{
    struct commit_request *first = take_queue(engine);

    while (first) {
        struct nx_err why = NX_ERR_INIT;
        size_t count;
        enum nx_code rc = write_group(engine, first, &count, &why);

        for (; count > 0; count--) {
            struct commit_request *next = first->next; /* not ours to read once it is done */

            finish(engine, first, rc, &why);
            first = next;
        }
    }
    if (wal_asks_to_prepare(engine->wal))
        engine_wake_sync(engine);
}

static void push(struct nx_engine *engine, struct commit_request *request)
{
    request->next = atomic_load_explicit(&engine->queue, memory_order_relaxed);
    /* Release: the leader that takes the stack sees the whole request. */
    while (!atomic_compare_exchange_weak_explicit(&engine->queue, &request->next, request,
                                                  memory_order_release, memory_order_relaxed))
        ;
}

static bool is_done(const struct commit_request *request)
{
    return atomic_load_explicit(&request->is_done, memory_order_acquire);
}

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* True with the commit lock, false when another thread has done the request instead. */
static bool lock_unless_done(struct nx_engine *engine, struct commit_request *request)
    NX_TRY_ACQUIRE(true, engine->commit_mu)
{
    for (int i = 0; i < LOOKS_BEFORE_SLEEP; i++) {
        if (is_done(request))
            return false;
        if (nx_mutex_trylock(&engine->commit_mu))
            return true;
        pause_briefly();
    }
    nx_mutex_lock(&engine->commit_mu);
    return true;
}

static enum nx_code commit_once(struct nx_engine *engine, const struct nx_batch *batch,
                                uint64_t *position, struct nx_err *err)
{
    struct commit_request request = {.batch = batch, .err = err};

    push(engine, &request);
    if (lock_unless_done(engine, &request)) {
        /* The lock's last holder may have done it; otherwise it is on the stack, and nobody else
         * can take it while we hold the lock. */
        if (!is_done(&request))
            commit_queued(engine);
        nx_mutex_unlock(&engine->commit_mu);
    }
    *position = request.position;
    return request.result;
}

/* --- waiting for room ------------------------------------------------------------------------- */

static void wait_for_room(struct nx_engine *engine)
{
    uint64_t start = engine->io->ops->monotonic_ns(engine->io);

    nx_mutex_lock(&engine->state_mu);
    while (!has_room(engine))
        nx_cond_wait(&engine->state_changed, &engine->state_mu);
    nx_mutex_unlock(&engine->state_mu);
    atomic_fetch_add_explicit(&engine->counters.stalls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&engine->counters.stall_ns,
                              engine->io->ops->monotonic_ns(engine->io) - start,
                              memory_order_relaxed);
}

void nx_engine_when_writable(struct nx_engine *engine, nx_commit_fn done, void *arg)
{
    struct waiter *waiter = malloc(sizeof *waiter);
    struct nx_err err = NX_ERR_INIT;
    bool now;

    nx_mutex_lock(&engine->state_mu);
    now = has_room(engine);
    if (!now && waiter) {
        *waiter = (struct waiter){.next = engine->room_waiters, .done = done, .arg = arg};
        engine->room_waiters = waiter;
    }
    nx_mutex_unlock(&engine->state_mu);
    if (!now && waiter)
        return;
    free(waiter);
    if (!now)
        nx_fail_nomem(&err);
    done(arg, now ? NULL : &err);
}

void engine_wake_room(struct nx_engine *engine)
{
    struct waiter *waiters = NULL;

    nx_mutex_lock(&engine->state_mu);
    nx_cond_broadcast(&engine->state_changed);
    if (has_room(engine)) {
        waiters = engine->room_waiters;
        engine->room_waiters = NULL;
    }
    nx_mutex_unlock(&engine->state_mu);
    while (waiters) {
        struct waiter *next = waiters->next;

        waiters->done(waiters->arg, NULL);
        free(waiters);
        waiters = next;
    }
}

/* After waiting for what may make room: the memtables; for a removal on a full disk, the log. */
static bool may_retry(struct nx_engine *engine, const struct nx_batch *batch, enum nx_code rc,
                      unsigned *flushes)
{
    if (rc == NX_EBUSY) {
        wait_for_room(engine);
        return true;
    }
    if (rc != NX_ENOSPC || !batch->reclaims || (*flushes)++ == FLUSHES_MAX)
        return false;
    engine_flush_all(engine, NULL);
    /* What a compaction has written so far takes room too; it gives up and begins again. */
    atomic_store(&engine->flush_wants_room, true);
    nx_mutex_lock(&engine->compact_mu);
    atomic_store(&engine->flush_wants_room, false);
    nx_mutex_unlock(&engine->compact_mu);
    return true;
}

enum nx_code engine_commit(struct nx_engine *engine, const struct nx_batch *batch, bool nowait,
                           uint64_t *position, struct nx_err *err)
{
    uint64_t begin = latency_begin_sampled(engine->io);
    struct nx_err why = NX_ERR_INIT; /* of the last try: one that had to wait is no failure */
    unsigned flushes = 0;
    enum nx_code rc;

    if (engine->options.read_only)
        return nx_fail(err, NX_EROFS, "'%s' is open for reading only", engine->dir);
    do {
        rc = commit_once(engine, batch, position, &why);
    } while (!nowait && may_retry(engine, batch, rc, &flushes));
    if (rc != NX_OK) {
        if (err)
            *err = why;
        return rc;
    }
    latency_end(&engine->latency[NX_LATENCY_COMMIT], engine->io, begin);
    atomic_fetch_add_explicit(&engine->counters.commits, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&engine->counters.commit_bytes, batch->bytes.len,
                              memory_order_relaxed);
    keep_pace(engine, batch, nowait);
    return NX_OK;
}

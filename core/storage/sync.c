/*
 * sync.c - making commits durable and telling those who wait.
 *
 * A round is one datasync of the log. Whoever waits for the disk while no round is under way runs
 * one for everybody that has gathered, and those who come meanwhile wait for the next: that is the
 * group commit, and a lone committer changes no thread. A round begins after its waiters' commits,
 * so its end answers them all.
 *
 * The sync thread runs rounds for those who do not want to wait themselves, and one every
 * sync_interval_ms, which bounds what a power loss takes from buffered commits. When the log cannot
 * make something durable, because a datasync failed (I5) or because it was replayed from a log that
 * was not closed (I6), everything goes into tables instead.
 */
#include <stdlib.h>

#include "storage/engine.h"
#include "storage/mutation.h"

static bool is_durable(const struct nx_engine *engine, uint64_t position)
{
    return wal_durable(engine->wal) >= position;
}

/* --- rounds ----------------------------------------------------------------------------------- */

/* Writes *err only when neither the log nor the tables have it. */
static enum nx_code make_durable(struct nx_engine *engine, struct nx_err *err)
{
    struct nx_err why = NX_ERR_INIT;
    enum nx_code rc = wal_sync(engine->wal, &why);

    atomic_fetch_add_explicit(&engine->counters.syncs, 1, memory_order_relaxed);
    if ((rc != NX_OK || wal_needs_flush(engine->wal)) && !engine_mutated(TRUST_FAILED_SYNC))
        return engine_flush_all(engine, err);
    if (rc != NX_OK)
        *err = why;
    return rc;
}

/* Nobody runs one now. The disk is waited for without the lock. */
static void run_round(struct nx_engine *engine) NX_REQUIRES(engine->sync_mu)
{
    uint64_t round = ++engine->round_begun;
    struct nx_err err = NX_ERR_INIT;

    engine->round_runs = true;
    nx_mutex_unlock(&engine->sync_mu);
    /* An end read now is not before any waiter's: they took theirs before they counted the round.
     */
    if (!is_durable(engine, wal_end(engine->wal)))
        make_durable(engine, &err);
    nx_mutex_lock(&engine->sync_mu);
    engine->round_runs = false;
    engine->round_error = err;
    engine->round_ended = round;
    nx_cond_broadcast(&engine->round_over[round % 2]);
    nx_cond_signal(&engine->round_over[(round + 1) % 2]); /* one of them runs the next */
}

static enum nx_code await(struct nx_engine *engine, uint64_t position, struct nx_err *err)
{
    enum nx_code rc = NX_OK;
    uint64_t round;

    if (is_durable(engine, position) || engine_mutated(ACK_BEFORE_SYNC))
        return NX_OK;
    nx_mutex_lock(&engine->sync_mu);
    round = engine->round_begun + 1; /* one that runs already may have begun without us */
    while (engine->round_ended < round && !is_durable(engine, position)) {
        if (engine->round_runs)
            nx_cond_wait(&engine->round_over[round % 2], &engine->sync_mu);
        else
            run_round(engine);
    }
    if (!is_durable(engine, position)) {
        rc = engine->round_error.code;
        if (err && rc != NX_OK)
            *err = engine->round_error;
    }
    if (!engine->round_runs) /* we may have been woken to run one and need none any more */
        nx_cond_signal(&engine->round_over[round % 2]);
    nx_mutex_unlock(&engine->sync_mu);
    return rc;
}

/* --- waiting elsewhere ------------------------------------------------------------------------ */

/* For the sync thread, which takes waiters in this order. */
static void queue(struct nx_engine *engine, nx_commit_fn done, void *arg, struct waiter *waiter)
{
    *waiter = (struct waiter){.done = done, .arg = arg};
    nx_mutex_lock(&engine->sync_mu);
    *engine->sync_last = waiter;
    engine->sync_last = &waiter->next;
    nx_cond_signal(&engine->sync_wake);
    nx_mutex_unlock(&engine->sync_mu);
}

static void await_async(struct nx_engine *engine, uint64_t position, nx_commit_fn done, void *arg,
                        struct waiter *waiter)
{
    if (is_durable(engine, position)) {
        free(waiter);
        done(arg, NULL);
    } else {
        queue(engine, done, arg, waiter);
    }
}

/* --- the public calls ------------------------------------------------------------------------- */

enum nx_code nx_engine_commit(struct nx_engine *engine, const struct nx_batch *batch,
                              enum nx_durability durability, struct nx_err *err)
{
    uint64_t position, begin = LATENCY_NONE;
    enum nx_code rc;

    if (durability == NX_SYNC)
        begin = engine->io->ops->monotonic_ns(engine->io);
    rc = engine_commit(engine, batch, false, &position, err);
    if (rc == NX_OK && durability == NX_SYNC)
        rc = await(engine, position, err);
    latency_end(&engine->latency[NX_LATENCY_SYNC], engine->io, begin);
    return rc;
}

enum nx_code nx_engine_submit(struct nx_engine *engine, const struct nx_batch *batch,
                              enum nx_durability durability, bool nowait, nx_commit_fn done,
                              void *arg, struct nx_err *err)
{
    struct waiter *waiter = durability == NX_SYNC ? malloc(sizeof *waiter) : NULL;
    uint64_t position;
    enum nx_code rc;

    if (durability == NX_SYNC && !waiter)
        return nx_fail_nomem(err);
    rc = engine_commit(engine, batch, nowait, &position, err);
    if (rc != NX_OK) {
        free(waiter);
        return rc;
    }
    if (waiter)
        await_async(engine, position, done, arg, waiter);
    else
        done(arg, NULL);
    return NX_OK;
}

void nx_engine_sync_async(struct nx_engine *engine, nx_commit_fn done, void *arg)
{
    struct nx_err err = NX_ERR_INIT;
    struct waiter *waiter;

    if (engine->options.read_only) {
        done(arg, NULL);
        return;
    }
    waiter = malloc(sizeof *waiter);
    if (!waiter) {
        nx_fail_nomem(&err);
        done(arg, &err);
        return;
    }
    await_async(engine, wal_end(engine->wal), done, arg, waiter);
}

/* A thread that waits for its own completion. */
struct parked {
    struct nx_mutex mu;
    struct nx_cond cond;
    bool is_done;    /* guarded by mu */
    enum nx_code rc; /* guarded by mu */
    struct nx_err *err;
};

static void unpark(void *arg, const struct nx_err *error)
{
    struct parked *parked = arg;

    nx_mutex_lock(&parked->mu);
    parked->is_done = true;
    parked->rc = error ? error->code : NX_OK;
    if (error && parked->err)
        *parked->err = *error;
    nx_cond_signal(&parked->cond);
    nx_mutex_unlock(&parked->mu);
}

/* Behind the completions of earlier submits, so that who called those knows that they ran. */
enum nx_code nx_engine_sync(struct nx_engine *engine, struct nx_err *err)
{
    struct parked parked = {.err = err};
    struct waiter *waiter;

    if (engine->options.read_only)
        return NX_OK;
    waiter = malloc(sizeof *waiter);
    if (!waiter)
        return nx_fail_nomem(err);
    nx_mutex_init(&parked.mu, NX_RANK_LEAF);
    nx_cond_init(&parked.cond);
    queue(engine, unpark, &parked, waiter);
    nx_mutex_lock(&parked.mu);
    while (!parked.is_done)
        nx_cond_wait(&parked.cond, &parked.mu);
    nx_mutex_unlock(&parked.mu);
    nx_cond_fini(&parked.cond);
    nx_mutex_fini(&parked.mu);
    return parked.rc;
}

/* --- the thread ------------------------------------------------------------------------------- */

void engine_wake_sync(struct nx_engine *engine)
{
    nx_mutex_lock(&engine->sync_mu);
    engine->sync_is_due = true;
    nx_cond_signal(&engine->sync_wake);
    nx_mutex_unlock(&engine->sync_mu);
}

/* The list, when someone waits or the interval is over; false when it is time to end. */
static bool next_round(struct nx_engine *engine, struct waiter **out)
{
    bool go_on;

    nx_mutex_lock(&engine->sync_mu);
    if (!engine->sync_waiters && !engine->sync_stop && !engine->sync_is_due)
        nx_cond_wait_ms(&engine->sync_wake, &engine->sync_mu, engine->options.sync_interval_ms);
    engine->sync_is_due = false;
    *out = engine->sync_waiters;
    engine->sync_waiters = NULL;
    engine->sync_last = &engine->sync_waiters;
    go_on = !engine->sync_stop || *out;
    nx_mutex_unlock(&engine->sync_mu);
    return go_on;
}

static void complete(struct waiter *waiters, const struct nx_err *error)
{
    while (waiters) {
        struct waiter *next = waiters->next;

        waiters->done(waiters->arg, error);
        free(waiters);
        waiters = next;
    }
}

/* A deletion in memory frees nothing: it has to meet what it deletes, in a compaction. */
static void reclaim(struct nx_engine *engine)
{
    if (!atomic_exchange(&engine->has_reclaimed, false))
        return;
    nx_mutex_lock(&engine->commit_mu);
    wal_leave_used(engine->wal, NULL); /* else the log keeps what it has */
    engine_rotate(engine, wal_end(engine->wal), NULL);
    nx_mutex_unlock(&engine->commit_mu);
}

/* A disk that was full and is not any more: what failed for want of room is tried again now. */
static void watch_disk(struct nx_engine *engine)
{
    reclaim(engine);
    if (!reserve_is_short(engine->reserve) || engine_disk_is_full(engine))
        return;
    nx_mutex_lock(&engine->state_mu);
    nx_cond_signal(&engine->flush_wake);
    nx_cond_signal(&engine->compact_wake);
    nx_mutex_unlock(&engine->state_mu);
}

void engine_sync_thread(void *arg)
{
    struct nx_engine *engine = arg;
    struct waiter *waiters;

    while (next_round(engine, &waiters)) {
        struct nx_err err = NX_ERR_INIT;
        enum nx_code rc;

        wal_prepare(engine->wal);
        rc = await(engine, wal_end(engine->wal), &err);
        complete(waiters, rc == NX_OK ? NULL : &err);
        watch_disk(engine);
    }
}

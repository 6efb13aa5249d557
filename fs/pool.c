/*
 * pool.c - a few threads over a queue of strands.
 *
 * A strand is in the queue at most once, and not while one of its jobs runs: that is what keeps its
 * jobs in order. After each job it goes to the end of the queue, so that no handle starves another.
 */
#include "fs/pool.h"

#include <pthread.h>
#include <stdlib.h>

struct pool {
    pthread_mutex_t mu;
    pthread_cond_t ready;
    struct strand *first, *last; /* guarded by mu, as `stopping` */
    bool stopping;
    unsigned count;
    pthread_t threads[];
};

static void enqueue(struct pool *pool, struct strand *strand)
{
    strand->next = NULL;
    if (pool->last)
        pool->last->next = strand;
    else
        pool->first = strand;
    pool->last = strand;
    pthread_cond_signal(&pool->ready);
}

static struct strand *dequeue(struct pool *pool)
{
    struct strand *strand = pool->first;

    pool->first = strand->next;
    if (!pool->first)
        pool->last = NULL;
    return strand;
}

static struct job *take_job(struct strand *strand)
{
    struct job *job = strand->first;

    strand->first = job->next;
    if (!strand->first)
        strand->last = NULL;
    return job;
}

static void *work(void *arg)
{
    struct pool *pool = arg;

    pthread_mutex_lock(&pool->mu);
    for (;;) {
        struct strand *strand;
        struct job *job;
        bool ends;

        while (!pool->first && !pool->stopping)
            pthread_cond_wait(&pool->ready, &pool->mu);
        if (!pool->first)
            break;
        strand = dequeue(pool);
        job = take_job(strand);
        ends = job->ends_strand;
        pthread_mutex_unlock(&pool->mu);
        job->run(job);
        pthread_mutex_lock(&pool->mu);
        if (ends)
            continue; /* the strand may be gone */
        if (strand->first)
            enqueue(pool, strand);
        else
            strand->busy = false;
    }
    pthread_mutex_unlock(&pool->mu);
    return NULL;
}

enum nx_code pool_new(unsigned threads, struct pool **out, struct nx_err *err)
{
    struct pool *pool = calloc(1, sizeof *pool + threads * sizeof pool->threads[0]);

    *out = NULL;
    if (!pool)
        return nx_fail_nomem(err);
    pthread_mutex_init(&pool->mu, NULL);
    pthread_cond_init(&pool->ready, NULL);
    for (; pool->count < threads; pool->count++) {
        int rc = pthread_create(&pool->threads[pool->count], NULL, work, pool);

        if (rc != 0) {
            pool_free(pool);
            return nx_fail_errno(err, rc, "mount: cannot start a query thread");
        }
    }
    *out = pool;
    return NX_OK;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->mu);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->ready);
    pthread_mutex_unlock(&pool->mu);
    for (unsigned i = 0; i < pool->count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->ready);
    pthread_mutex_destroy(&pool->mu);
    free(pool);
}

void pool_submit(struct pool *pool, struct strand *strand, struct job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&pool->mu);
    if (strand->last)
        strand->last->next = job;
    else
        strand->first = job;
    strand->last = job;
    if (!strand->busy) {
        strand->busy = true;
        enqueue(pool, strand);
    }
    pthread_mutex_unlock(&pool->mu);
}

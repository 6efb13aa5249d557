/* workers.c - a queue of jobs and a fixed number of threads that take from it. */
#include "workers.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct workers {
    pthread_mutex_t mu;
    pthread_cond_t more;
    struct job *first, **last; /* guarded by mu */
    bool stopping;             /* guarded by mu */
    unsigned count;
    pthread_t threads[];
};

static struct job *next_job(struct workers *workers)
{
    struct job *job;

    pthread_mutex_lock(&workers->mu);
    while (!workers->first && !workers->stopping)
        pthread_cond_wait(&workers->more, &workers->mu);
    job = workers->first;
    if (job) {
        workers->first = job->next;
        if (!workers->first)
            workers->last = &workers->first;
    }
    pthread_mutex_unlock(&workers->mu);
    return job;
}

static void *work(void *arg)
{
    struct workers *workers = arg;
    struct job *job;

    pthread_setname_np(pthread_self(), "nexadb-worker");
    while ((job = next_job(workers)))
        job->run(job->arg); /* the job may be gone afterwards */
    return NULL;
}

enum nx_code workers_start(unsigned threads, struct workers **out, struct nx_err *err)
{
    struct workers *workers;
    int rc;

    *out = NULL;
    workers = calloc(1, sizeof *workers + threads * sizeof workers->threads[0]);
    if (!workers)
        return nx_fail_nomem(err);
    pthread_mutex_init(&workers->mu, NULL);
    pthread_cond_init(&workers->more, NULL);
    workers->last = &workers->first;
    for (; workers->count < threads; workers->count++) {
        rc = pthread_create(&workers->threads[workers->count], NULL, work, workers);
        if (rc) {
            workers_stop(workers);
            return nx_fail_errno(err, rc, "worker thread %u", workers->count);
        }
    }
    *out = workers;
    return NX_OK;
}

void workers_submit(struct workers *workers, struct job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&workers->mu);
    *workers->last = job;
    workers->last = &job->next;
    pthread_cond_signal(&workers->more);
    pthread_mutex_unlock(&workers->mu);
}

void workers_stop(struct workers *workers)
{
    if (!workers)
        return;
    pthread_mutex_lock(&workers->mu);
    workers->stopping = true;
    pthread_cond_broadcast(&workers->more);
    pthread_mutex_unlock(&workers->mu);
    for (unsigned i = 0; i < workers->count; i++)
        pthread_join(workers->threads[i], NULL);
    pthread_cond_destroy(&workers->more);
    pthread_mutex_destroy(&workers->mu);
    free(workers);
}

/* crew.c - a queue of jobs and a fixed number of threads that take from it. */
#include "daemon/crew.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct crew {
    pthread_mutex_t mu;
    pthread_cond_t more;
    struct job *first, **last; /* guarded by mu */
    bool stopping;             /* guarded by mu */
    unsigned count;
    pthread_t threads[];
};

static struct job *next_job(struct crew *crew)
{
    struct job *job;

    pthread_mutex_lock(&crew->mu);
    while (!crew->first && !crew->stopping)
        pthread_cond_wait(&crew->more, &crew->mu);
    job = crew->first;
    if (job) {
        crew->first = job->next;
        if (!crew->first)
            crew->last = &crew->first;
    }
    pthread_mutex_unlock(&crew->mu);
    return job;
}

static void *work(void *arg)
{
    struct crew *crew = arg;
    struct job *job;

    pthread_setname_np(pthread_self(), "nexadb-worker");
    while ((job = next_job(crew)))
        job->run(job->arg); /* the job may be gone afterwards */
    return NULL;
}

enum nx_code crew_start(unsigned threads, struct crew **out, struct nx_err *err)
{
    struct crew *crew;
    int rc;

    *out = NULL;
    crew = calloc(1, sizeof *crew + threads * sizeof crew->threads[0]);
    if (!crew)
        return nx_fail_nomem(err);
    pthread_mutex_init(&crew->mu, NULL);
    pthread_cond_init(&crew->more, NULL);
    crew->last = &crew->first;
    for (; crew->count < threads; crew->count++) {
        rc = pthread_create(&crew->threads[crew->count], NULL, work, crew);
        if (rc) {
            enum nx_code code = nx_fail_errno(err, rc, "worker thread %u", crew->count);

            crew_stop(crew);
            return code;
        }
    }
    *out = crew;
    return NX_OK;
}

void crew_submit(struct crew *crew, struct job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&crew->mu);
    *crew->last = job;
    crew->last = &job->next;
    pthread_cond_signal(&crew->more);
    pthread_mutex_unlock(&crew->mu);
}

void crew_stop(struct crew *crew)
{
    if (!crew)
        return;
    pthread_mutex_lock(&crew->mu);
    crew->stopping = true;
    pthread_cond_broadcast(&crew->more);
    pthread_mutex_unlock(&crew->mu);
    for (unsigned i = 0; i < crew->count; i++)
        pthread_join(crew->threads[i], NULL);
    pthread_cond_destroy(&crew->more);
    pthread_mutex_destroy(&crew->mu);
    free(crew);
}

/* settle.c - a job that waits for a drain of the notifier or for the clock. */
#include "fs/settle.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "fs/notify.h"
#include "fs/pool.h"

struct settling {
    struct job job;
    struct strand strand; /* of this job alone */
    struct fs *fs;
    void (*then)(void *arg);
    void *arg;
    pthread_mutex_t mu;
    pthread_cond_t sent_cond;
    bool sent;     /* guarded by mu, as the rest */
    unsigned refs; /* the job's, and the notifier's */
};

static void drop(struct settling *settling)
{
    bool last;

    pthread_mutex_lock(&settling->mu);
    last = --settling->refs == 0;
    pthread_mutex_unlock(&settling->mu);
    if (!last)
        return;
    pthread_cond_destroy(&settling->sent_cond);
    pthread_mutex_destroy(&settling->mu);
    free(settling);
}

static void on_sent(void *arg, const struct nx_err *error)
{
    struct settling *settling = arg;

    (void)error;
    pthread_mutex_lock(&settling->mu);
    settling->sent = true;
    pthread_cond_signal(&settling->sent_cond);
    pthread_mutex_unlock(&settling->mu);
    drop(settling);
}

static void run(struct job *job)
{
    struct settling *settling = (struct settling *)job;
    struct timespec end;

    notifier_drain(settling->fs->notifier, on_sent, settling);
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += SETTLE_MS * 1000000L;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    pthread_mutex_lock(&settling->mu);
    while (!settling->sent &&
           pthread_cond_timedwait(&settling->sent_cond, &settling->mu, &end) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&settling->mu);
    settling->then(settling->arg);
    drop(settling);
}

void settle(struct fs *fs, void (*then)(void *arg), void *arg)
{
    struct settling *settling = calloc(1, sizeof *settling);
    pthread_condattr_t monotonic;

    if (!settling) { /* what is stale for a moment is better than no answer */
        then(arg);
        return;
    }
    settling->job = (struct job){.run = run, .ends_strand = true};
    settling->fs = fs;
    settling->then = then;
    settling->arg = arg;
    settling->refs = 2;
    pthread_mutex_init(&settling->mu, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&settling->sent_cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pool_submit(fs->pool, &settling->strand, &settling->job);
}

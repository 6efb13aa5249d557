/*
 * workers.c - a few threads in fuse_session_receive_buf.
 *
 * A worker can be cancelled only while it waits for a request, so that no request is cut off in the
 * middle. Two are enough: nothing here waits for a disk.
 */
#include "fs/workers.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct workers {
    struct fs *fs;
    void (*gone)(struct fs *fs);
    pthread_mutex_t mu;
    pthread_cond_t ended;
    unsigned running; /* guarded by mu */
    bool stopping;    /* guarded by mu: nobody is to be told */
    bool reporting;   /* `reporter` is to be joined; guarded by mu */
    pthread_t reporter;
    unsigned count;
    pthread_t threads[];
};

static void *report(void *arg)
{
    struct workers *workers = arg;

    workers->gone(workers->fs);
    return NULL;
}

/* The last worker tells, on another thread: what is told may want to join this one. */
static void worker_ends(struct workers *workers)
{
    pthread_mutex_lock(&workers->mu);
    if (--workers->running == 0 && !workers->stopping)
        workers->reporting = pthread_create(&workers->reporter, NULL, report, workers) == 0;
    pthread_cond_broadcast(&workers->ended);
    pthread_mutex_unlock(&workers->mu);
}

static void free_request(void *arg)
{
    struct fuse_buf *request = arg;

    free(request->mem);
}

static void serve(struct fuse_session *session, struct fuse_buf *request)
{
    while (!fuse_session_exited(session)) {
        int got;

        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
        got = fuse_session_receive_buf(session, request);
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        if (got == -EINTR || got == -EAGAIN)
            continue;
        if (got <= 0) /* unmounted */
            break;
        fuse_session_process_buf(session, request);
    }
}

static void *work(void *arg)
{
    struct workers *workers = arg;
    struct fuse_buf request = {0};

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cleanup_push(free_request, &request);
    serve(workers->fs->session, &request);
    pthread_cleanup_pop(1);
    worker_ends(workers);
    return NULL;
}

enum nx_code workers_start(struct fs *fs, unsigned count, void (*gone)(struct fs *fs),
                           struct workers **out, struct nx_err *err)
{
    struct workers *workers = calloc(1, sizeof *workers + count * sizeof workers->threads[0]);

    *out = NULL;
    if (!workers)
        return nx_fail_nomem(err);
    workers->fs = fs;
    workers->gone = gone;
    pthread_mutex_init(&workers->mu, NULL);
    pthread_cond_init(&workers->ended, NULL);
    for (; workers->count < count; workers->count++) {
        int rc;

        pthread_mutex_lock(&workers->mu);
        workers->running++;
        pthread_mutex_unlock(&workers->mu);
        rc = pthread_create(&workers->threads[workers->count], NULL, work, workers);
        if (rc != 0) {
            workers->running--;
            workers_free(workers);
            return nx_fail_errno(err, rc, "mount: cannot start a worker thread");
        }
    }
    *out = workers;
    return NX_OK;
}

bool workers_wait(struct workers *workers, unsigned ms)
{
    struct timespec until;
    bool ended;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&workers->mu);
    workers->stopping = true;
    while (workers->running > 0 && rc == 0)
        rc = pthread_cond_timedwait(&workers->ended, &workers->mu, &until);
    ended = workers->running == 0;
    pthread_mutex_unlock(&workers->mu);
    return ended;
}

void workers_free(struct workers *workers)
{
    bool reporting;

    if (!workers)
        return;
    pthread_mutex_lock(&workers->mu);
    workers->stopping = true;
    reporting = workers->reporting;
    pthread_mutex_unlock(&workers->mu);
    for (unsigned i = 0; i < workers->count; i++) {
        pthread_cancel(workers->threads[i]);
        pthread_join(workers->threads[i], NULL);
    }
    if (reporting)
        pthread_join(workers->reporter, NULL);
    pthread_cond_destroy(&workers->ended);
    pthread_mutex_destroy(&workers->mu);
    free(workers);
}

/*
 * loop.c - a few threads in fuse_session_receive_buf.
 *
 * A worker can be cancelled only while it waits for a request, so that no request is cut off in the
 * middle. Two are enough: nothing here waits for a disk.
 */
#include "fs/loop.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <time.h>

#include "fs/place.h"

struct loop {
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
    struct loop *loop = arg;

    loop->gone(loop->fs);
    return NULL;
}

/* The last worker tells, on another thread: what is told may want to join this one. */
static void worker_ends(struct loop *loop)
{
    pthread_mutex_lock(&loop->mu);
    if (--loop->running == 0 && !loop->stopping)
        loop->reporting = pthread_create(&loop->reporter, NULL, report, loop) == 0;
    pthread_cond_broadcast(&loop->ended);
    pthread_mutex_unlock(&loop->mu);
}

static void free_request(void *arg)
{
    struct fuse_buf *request = arg;

    free(request->mem);
}

/* So that no handler meets a second number. Directories, which a body may name, have none. */
static void name_first(struct fuse_buf *request)
{
    struct fuse_in_header *header = request->mem;

    if (!(request->flags & FUSE_BUF_IS_FD) && request->size >= sizeof *header)
        header->nodeid = place_first(header->nodeid);
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
        name_first(request);
        fuse_session_process_buf(session, request);
    }
}

static void *work(void *arg)
{
    struct loop *loop = arg;
    struct fuse_buf request = {0};

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cleanup_push(free_request, &request);
    serve(loop->fs->session, &request);
    pthread_cleanup_pop(1);
    worker_ends(loop);
    return NULL;
}

enum nx_code loop_start(struct fs *fs, unsigned count, void (*gone)(struct fs *fs),
                        struct loop **out, struct nx_err *err)
{
    struct loop *loop = calloc(1, sizeof *loop + count * sizeof loop->threads[0]);

    *out = NULL;
    if (!loop)
        return nx_fail_nomem(err);
    loop->fs = fs;
    loop->gone = gone;
    pthread_mutex_init(&loop->mu, NULL);
    pthread_cond_init(&loop->ended, NULL);
    for (; loop->count < count; loop->count++) {
        int rc;

        pthread_mutex_lock(&loop->mu);
        loop->running++;
        pthread_mutex_unlock(&loop->mu);
        rc = pthread_create(&loop->threads[loop->count], NULL, work, loop);
        if (rc != 0) {
            loop->running--;
            loop_free(loop);
            return nx_fail_errno(err, rc, "mount: cannot start a worker thread");
        }
    }
    *out = loop;
    return NX_OK;
}

bool loop_wait(struct loop *loop, unsigned ms)
{
    struct timespec until;
    bool ended;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&loop->mu);
    loop->stopping = true;
    while (loop->running > 0 && rc == 0)
        rc = pthread_cond_timedwait(&loop->ended, &loop->mu, &until);
    ended = loop->running == 0;
    pthread_mutex_unlock(&loop->mu);
    return ended;
}

void loop_free(struct loop *loop)
{
    bool reporting;

    if (!loop)
        return;
    pthread_mutex_lock(&loop->mu);
    loop->stopping = true;
    reporting = loop->reporting;
    pthread_mutex_unlock(&loop->mu);
    for (unsigned i = 0; i < loop->count; i++) {
        pthread_cancel(loop->threads[i]);
        pthread_join(loop->threads[i], NULL);
    }
    if (reporting)
        pthread_join(loop->reporter, NULL);
    pthread_cond_destroy(&loop->ended);
    pthread_mutex_destroy(&loop->mu);
    free(loop);
}

/*
 * workers.h - the threads that answer requests, so that no HTTP loop thread waits for a disk.
 *
 * Threads: any may submit. Jobs run in the order they came, several at a time.
 */
#ifndef DAEMON_WORKERS_H
#define DAEMON_WORKERS_H

#include <nexadb/error.h>

struct workers;

/* Embedded in what the job is about: submitting cannot fail. In one queue at a time. */
struct job {
    void (*run)(void *arg);
    void *arg;
    struct job *next; /* private */
};

enum nx_code workers_start(unsigned threads, struct workers **out, struct nx_err *err);
void workers_submit(struct workers *workers, struct job *job);
/* Run what is queued, then end the threads and free. Accepts NULL. */
void workers_stop(struct workers *workers);

#endif

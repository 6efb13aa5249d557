/*
 * crew.h - the threads that answer requests, so that no HTTP loop thread waits for a disk.
 *
 * Threads: any may submit. Jobs run in the order they came, several at a time.
 */
#ifndef DAEMON_CREW_H
#define DAEMON_CREW_H

#include <nexadb/error.h>

struct crew;

/* Embedded in what the job is about: submitting cannot fail. In one queue at a time. */
struct job {
    void (*run)(void *arg);
    void *arg;
    struct job *next; /* private */
};

enum nx_code crew_start(unsigned threads, struct crew **out, struct nx_err *err);
void crew_submit(struct crew *crew, struct job *job);
/* Run what is queued, then end the threads and free. Accepts NULL. */
void crew_stop(struct crew *crew);

#endif

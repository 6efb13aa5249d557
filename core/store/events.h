/*
 * events.h - the subscriber of changes.
 *
 * Threads: any. Calls go to the subscriber without a lock of this file held; setting another one
 * waits until those in flight have returned.
 */
#ifndef STORE_EVENTS_H
#define STORE_EVENTS_H

#include <nexadb/db.h>

#include "base/lock.h"

struct events {
    struct nx_mutex mu;
    struct nx_cond returned;
    nx_event_fn fn; /* guarded by mu, as the rest */
    nx_drain_fn drain;
    void *arg;
    unsigned calls; /* in flight */
};

void events_init(struct events *events);
void events_fini(struct events *events);
bool events_wanted(struct events *events);
void events_emit(struct events *events, const struct nx_event *list, size_t count);

#endif

/* events.c - handing changes to the subscriber. The order is the caller's: it emits while it holds
 * the write locks of what changed. */
#include "store/store.h"

void events_init(struct events *events)
{
    *events = (struct events){0};
    nx_mutex_init(&events->mu, NX_RANK_STORE_EVENTS);
    nx_cond_init(&events->returned);
}

void events_fini(struct events *events)
{
    nx_cond_fini(&events->returned);
    nx_mutex_fini(&events->mu);
}

bool events_wanted(struct events *events)
{
    bool wanted;

    nx_mutex_lock(&events->mu);
    wanted = events->fn != NULL;
    nx_mutex_unlock(&events->mu);
    return wanted;
}

/* A copy of the subscriber, counted as called until leave(). */
static void enter(struct events *events, nx_event_fn *fn, nx_drain_fn *drain, void **arg)
{
    nx_mutex_lock(&events->mu);
    *fn = events->fn;
    *drain = events->drain;
    *arg = events->arg;
    events->calls++;
    nx_mutex_unlock(&events->mu);
}

static void leave(struct events *events)
{
    nx_mutex_lock(&events->mu);
    if (--events->calls == 0)
        nx_cond_broadcast(&events->returned);
    nx_mutex_unlock(&events->mu);
}

void events_emit(struct events *events, const struct nx_event *list, size_t count)
{
    nx_event_fn fn;
    nx_drain_fn drain;
    void *arg;

    if (count == 0)
        return;
    enter(events, &fn, &drain, &arg);
    for (size_t i = 0; fn && i < count; i++)
        fn(arg, &list[i]);
    leave(events);
}

void nx_db_subscribe(struct nx_db *db, nx_event_fn fn, nx_drain_fn drain, void *arg)
{
    struct events *events = &db->events;

    nx_mutex_lock(&events->mu);
    events->fn = fn;
    events->drain = drain;
    events->arg = arg;
    while (events->calls > 0)
        nx_cond_wait(&events->returned, &events->mu);
    nx_mutex_unlock(&events->mu);
}

void nx_db_drain(struct nx_db *db, nx_commit_fn done, void *done_arg)
{
    nx_event_fn fn;
    nx_drain_fn drain;
    void *arg;

    enter(&db->events, &fn, &drain, &arg);
    if (fn && drain)
        drain(arg, done, done_arg);
    else
        done(done_arg, NULL);
    leave(&db->events);
}

/* away.c - a ring of ids. */
#include "fs/away.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct away {
    nx_ino collection; /* 0: unused */
    uint64_t until_ns;
    struct nx_id id;
};

struct aways {
    struct nx_io *io; /* outlives it */
    pthread_mutex_t mu;
    struct away items[AWAY_MAX]; /* guarded by mu */
    unsigned next;
};

struct aways *aways_new(struct nx_io *io)
{
    struct aways *aways = calloc(1, sizeof *aways);

    if (!aways)
        return NULL;
    aways->io = io;
    pthread_mutex_init(&aways->mu, NULL);
    return aways;
}

void aways_free(struct aways *aways)
{
    if (!aways)
        return;
    pthread_mutex_destroy(&aways->mu);
    free(aways);
}

void aways_add(struct aways *aways, nx_ino collection, const struct nx_id *id)
{
    uint64_t until = aways->io->ops->monotonic_ns(aways->io) + AWAY_NS;
    struct away *item;

    pthread_mutex_lock(&aways->mu);
    item = &aways->items[aways->next++ % AWAY_MAX];
    item->collection = collection;
    item->until_ns = until;
    item->id.len = id->len;
    memcpy(item->id.key, id->key, id->len);
    pthread_mutex_unlock(&aways->mu);
}

bool aways_take(struct aways *aways, nx_ino collection, const struct nx_id *id)
{
    uint64_t now = aways->io->ops->monotonic_ns(aways->io);
    bool found = false;

    pthread_mutex_lock(&aways->mu);
    for (unsigned i = 0; i < AWAY_MAX; i++) {
        struct away *item = &aways->items[i];

        if (item->collection != collection || item->id.len != id->len ||
            memcmp(item->id.key, id->key, id->len) != 0)
            continue;
        found = found || now < item->until_ns;
        item->collection = 0;
    }
    pthread_mutex_unlock(&aways->mu);
    return found;
}

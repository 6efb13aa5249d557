/* ghosts.c - a table of attributes, each number in its place. */
#include "fs/ghosts.h"

#include <pthread.h>
#include <stdlib.h>

#define PLACES 1024u

struct ghosts {
    pthread_mutex_t mu;
    struct nx_attr places[PLACES]; /* guarded by mu; ino 0: free */
};

struct ghosts *ghosts_new(void)
{
    struct ghosts *ghosts = calloc(1, sizeof *ghosts);

    if (ghosts)
        pthread_mutex_init(&ghosts->mu, NULL);
    return ghosts;
}

void ghosts_free(struct ghosts *ghosts)
{
    if (!ghosts)
        return;
    pthread_mutex_destroy(&ghosts->mu);
    free(ghosts);
}

void ghosts_add(struct ghosts *ghosts, const struct nx_attr *attr, int64_t now_ns)
{
    struct nx_attr *place = &ghosts->places[attr->ino % PLACES];

    pthread_mutex_lock(&ghosts->mu);
    *place = *attr;
    place->nlink = 0;
    place->ctime_ns = now_ns;
    pthread_mutex_unlock(&ghosts->mu);
}

bool ghosts_find(struct ghosts *ghosts, nx_ino ino, struct nx_attr *out)
{
    pthread_mutex_lock(&ghosts->mu);
    *out = ghosts->places[ino % PLACES];
    pthread_mutex_unlock(&ghosts->mu);
    return out->ino == ino;
}

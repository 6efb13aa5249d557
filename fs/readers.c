/*
 * readers.c - a hash of the nodes with a cached reading handle: as many as files are open.
 *
 * An atomic count lets the common question, with nobody reading, cost one load.
 */
#include "fs/readers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BUCKETS 4096

struct read_version {
    struct read_version *next;
    nx_ino ino;
    uint64_t revision;
    unsigned handles;
};

struct readers {
    pthread_mutex_t mu;
    atomic_size_t count; /* a reader enters before it takes its snapshot: who sees a newer version
                          * than the snapshot's sees the reader */
    struct read_version *buckets[BUCKETS]; /* guarded by mu */
};

struct readers *readers_new(void)
{
    struct readers *readers = calloc(1, sizeof *readers);

    if (readers)
        pthread_mutex_init(&readers->mu, NULL);
    return readers;
}

void readers_free(struct readers *readers)
{
    if (!readers)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (readers->buckets[i]) {
            struct read_version *next = readers->buckets[i]->next;

            free(readers->buckets[i]);
            readers->buckets[i] = next;
        }
    }
    pthread_mutex_destroy(&readers->mu);
    free(readers);
}

/* Where the pointer to the node's version is, or would be. The lock is held. */
static struct read_version **find(struct readers *readers, nx_ino ino)
{
    struct read_version **at = &readers->buckets[ino * 0x9e3779b97f4a7c15u >> 52];

    while (*at && (*at)->ino != ino)
        at = &(*at)->next;
    return at;
}

static struct read_version *add(struct readers *readers, struct read_version **at, nx_ino ino,
                                uint64_t revision)
{
    struct read_version *version = malloc(sizeof *version);

    *at = version;
    if (!version)
        return NULL;
    *version = (struct read_version){.ino = ino, .revision = revision};
    atomic_fetch_add(&readers->count, 1);
    return version;
}

bool readers_enter(struct readers *readers, nx_ino ino, uint64_t revision)
{
    struct read_version **at, *version;
    bool entered;

    pthread_mutex_lock(&readers->mu);
    at = find(readers, ino);
    version = *at ? *at : add(readers, at, ino, revision);
    entered = version && version->revision == revision;
    if (entered)
        version->handles++;
    pthread_mutex_unlock(&readers->mu);
    return entered;
}

void readers_leave(struct readers *readers, nx_ino ino)
{
    struct read_version **at, *version;

    pthread_mutex_lock(&readers->mu);
    at = find(readers, ino);
    version = *at;
    if (version && --version->handles == 0) {
        *at = version->next;
        free(version);
        atomic_fetch_sub(&readers->count, 1);
    }
    pthread_mutex_unlock(&readers->mu);
}

bool readers_have_other(struct readers *readers, nx_ino ino, uint64_t revision)
{
    struct read_version *version;
    bool other;

    if (atomic_load(&readers->count) == 0)
        return false;
    pthread_mutex_lock(&readers->mu);
    version = *find(readers, ino);
    other = version && version->revision != revision;
    pthread_mutex_unlock(&readers->mu);
    return other;
}

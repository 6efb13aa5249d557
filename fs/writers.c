/*
 * writers.c - two small tables about documents in use.
 *
 * The writers: a hash of the numbers that have a writing handle; few at a time. An atomic count
 * lets the common question, with nobody writing, cost one load.
 *
 * The versions: a fixed array of hashes of (number, revision). A collision or a forgotten entry
 * costs a needless read, never a stale one.
 */
#include "fs/writers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define WRITER_BUCKETS 1024
#define VERSION_SLOTS 65536

struct writer {
    struct writer *next;
    nx_ino ino;
    unsigned handles;
    unsigned times; /* NX_SET_* */
    int64_t atime_ns, mtime_ns;
};

struct writers {
    pthread_mutex_t mu;
    atomic_size_t count; /* relaxed: a reader that misses the newest writer only reads before it */
    struct writer *buckets[WRITER_BUCKETS]; /* guarded by mu */
};

struct versions {
    _Atomic uint64_t slots[VERSION_SLOTS];
};

static uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdu;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53u;
    return x ^ (x >> 33);
}

struct writers *writers_new(void)
{
    struct writers *writers = calloc(1, sizeof *writers);

    if (writers)
        pthread_mutex_init(&writers->mu, NULL);
    return writers;
}

void writers_free(struct writers *writers)
{
    if (!writers)
        return;
    for (size_t i = 0; i < WRITER_BUCKETS; i++) {
        while (writers->buckets[i]) {
            struct writer *next = writers->buckets[i]->next;

            free(writers->buckets[i]);
            writers->buckets[i] = next;
        }
    }
    pthread_mutex_destroy(&writers->mu);
    free(writers);
}

/* Where the pointer to the writer is, or would be. The lock is held. */
static struct writer **find(struct writers *writers, nx_ino ino)
{
    struct writer **at = &writers->buckets[mix(ino) % WRITER_BUCKETS];

    while (*at && (*at)->ino != ino)
        at = &(*at)->next;
    return at;
}

bool writers_enter(struct writers *writers, nx_ino ino)
{
    struct writer **at;

    pthread_mutex_lock(&writers->mu);
    at = find(writers, ino);
    if (!*at) {
        *at = calloc(1, sizeof **at);
        if (*at) {
            (*at)->ino = ino;
            atomic_fetch_add_explicit(&writers->count, 1, memory_order_relaxed);
        }
    }
    if (*at)
        (*at)->handles++;
    pthread_mutex_unlock(&writers->mu);
    return *at != NULL;
}

void writers_leave(struct writers *writers, nx_ino ino)
{
    struct writer **at, *writer;

    pthread_mutex_lock(&writers->mu);
    at = find(writers, ino);
    writer = *at;
    if (writer && --writer->handles == 0) {
        *at = writer->next;
        free(writer);
        atomic_fetch_sub_explicit(&writers->count, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&writers->mu);
}

bool writers_has(struct writers *writers, nx_ino ino)
{
    bool found;

    if (atomic_load_explicit(&writers->count, memory_order_relaxed) == 0)
        return false;
    pthread_mutex_lock(&writers->mu);
    found = *find(writers, ino) != NULL;
    pthread_mutex_unlock(&writers->mu);
    return found;
}

void writers_set_times(struct writers *writers, nx_ino ino, unsigned mask,
                       const struct nx_attr *times)
{
    struct writer *writer;

    pthread_mutex_lock(&writers->mu);
    writer = *find(writers, ino);
    if (writer) {
        writer->times |= mask;
        if (mask & NX_SET_ATIME)
            writer->atime_ns = times->atime_ns;
        if (mask & NX_SET_MTIME)
            writer->mtime_ns = times->mtime_ns;
    }
    pthread_mutex_unlock(&writers->mu);
}

unsigned writers_times(struct writers *writers, nx_ino ino, struct nx_attr *times)
{
    struct writer *writer;
    unsigned mask = 0;

    pthread_mutex_lock(&writers->mu);
    writer = *find(writers, ino);
    if (writer) {
        mask = writer->times;
        times->atime_ns = writer->atime_ns;
        times->mtime_ns = writer->mtime_ns;
    }
    pthread_mutex_unlock(&writers->mu);
    return mask;
}

void writers_forget_times(struct writers *writers, nx_ino ino)
{
    struct writer *writer;

    pthread_mutex_lock(&writers->mu);
    writer = *find(writers, ino);
    if (writer)
        writer->times = 0;
    pthread_mutex_unlock(&writers->mu);
}

struct versions *versions_new(void)
{
    return calloc(1, sizeof(struct versions));
}

void versions_free(struct versions *versions)
{
    free(versions);
}

bool versions_keep(struct versions *versions, nx_ino ino, uint64_t revision)
{
    uint64_t version = mix(ino) ^ mix(~revision);
    _Atomic uint64_t *slot = &versions->slots[mix(ino) % VERSION_SLOTS];

    return atomic_exchange_explicit(slot, version, memory_order_relaxed) == version;
}

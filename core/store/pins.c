/* pins.c - a chained hash table of counts. */
#include "store/pins.h"

#include <stdlib.h>

struct pin {
    uint64_t ino;
    uint64_t count;
    bool left; /* its last name is gone */
    struct pin *next;
};

#define FIRST_BUCKETS 64u

void pins_init(struct pins *pins)
{
    *pins = (struct pins){0};
    nx_mutex_init(&pins->mu, NX_RANK_LEAF);
}

void pins_fini(struct pins *pins)
{
    for (size_t i = 0; i < pins->bucket_count; i++) {
        struct pin *pin = pins->buckets[i];

        while (pin) {
            struct pin *next = pin->next;

            free(pin);
            pin = next;
        }
    }
    free(pins->buckets);
    nx_mutex_fini(&pins->mu);
}

static struct pin **bucket_of(struct pin **buckets, size_t count, uint64_t ino)
{
    return &buckets[(ino * 0x9e3779b97f4a7c15ull >> 20) & (count - 1)];
}

/* The link that leads to the node's pin, or the end of its chain; NULL without a table. */
static struct pin **find(struct pins *pins, uint64_t ino)
{
    struct pin **link;

    if (!pins->buckets)
        return NULL;
    link = bucket_of(pins->buckets, pins->bucket_count, ino);
    while (*link && (*link)->ino != ino)
        link = &(*link)->next;
    return link;
}

static bool grow(struct pins *pins)
{
    size_t count = pins->bucket_count ? pins->bucket_count * 2 : FIRST_BUCKETS;
    struct pin **buckets = calloc(count, sizeof *buckets);

    if (!buckets)
        return pins->buckets != NULL; /* longer chains do */
    for (size_t i = 0; i < pins->bucket_count; i++) {
        struct pin *pin = pins->buckets[i];

        while (pin) {
            struct pin *next = pin->next;
            struct pin **link = bucket_of(buckets, count, pin->ino);

            pin->next = *link;
            *link = pin;
            pin = next;
        }
    }
    free(pins->buckets);
    pins->buckets = buckets;
    pins->bucket_count = count;
    return true;
}

static bool add(struct pins *pins, uint64_t ino)
{
    struct pin **link = find(pins, ino);

    if (link && *link) {
        (*link)->count++;
        return true;
    }
    if (pins->count >= pins->bucket_count && !grow(pins))
        return false;
    link = find(pins, ino);
    *link = calloc(1, sizeof **link);
    if (!*link)
        return false;
    (*link)->ino = ino;
    (*link)->count = 1;
    pins->count++;
    return true;
}

bool pins_take(struct pins *pins, uint64_t ino)
{
    bool ok;

    nx_mutex_lock(&pins->mu);
    ok = add(pins, ino);
    nx_mutex_unlock(&pins->mu);
    return ok;
}

bool pins_drop(struct pins *pins, uint64_t ino)
{
    struct pin **link;
    bool left = false;

    nx_mutex_lock(&pins->mu);
    link = find(pins, ino);
    if (link && *link && --(*link)->count == 0) {
        struct pin *pin = *link;

        left = pin->left;
        *link = pin->next;
        free(pin);
        pins->count--;
    }
    nx_mutex_unlock(&pins->mu);
    return left;
}

bool pins_leave(struct pins *pins, uint64_t ino)
{
    struct pin **link;
    bool held = false;

    nx_mutex_lock(&pins->mu);
    link = find(pins, ino);
    if (link && *link)
        held = (*link)->left = true;
    nx_mutex_unlock(&pins->mu);
    return held;
}

bool pins_held(struct pins *pins, uint64_t ino)
{
    struct pin **link;
    bool held;

    nx_mutex_lock(&pins->mu);
    link = find(pins, ino);
    held = link && *link;
    nx_mutex_unlock(&pins->mu);
    return held;
}

/* slot.c - a small hash of slots in the order of their use. */
#include "fs/slot.h"

#include <pthread.h>
#include <stdlib.h>

#define BUCKETS 1024

struct slot {
    struct slot *chain;
    struct slot *newer, *older;
    struct slot_key key;
    struct nx_buf text; /* owned */
    uint64_t number;
    bool claimed;
};

struct slots {
    pthread_mutex_t mu;
    struct slot *buckets[BUCKETS]; /* guarded by mu, as the rest */
    struct slot *newest, *oldest;
    size_t count;
    uint64_t last_number;
};

struct slots *slots_new(void)
{
    struct slots *slots = calloc(1, sizeof *slots);

    if (slots)
        pthread_mutex_init(&slots->mu, NULL);
    return slots;
}

static struct slot **bucket_of(struct slots *slots, const struct slot_key *key)
{
    uint64_t hash = key->dir * 0x9e3779b97f4a7c15u ^ key->file * 0xff51afd7ed558ccdu ^
                    (uint64_t)key->uid << 32 ^ (uint64_t)key->session;

    hash ^= hash >> 29;
    return &slots->buckets[(hash * 0xc4ceb9fe1a85ec53u) >> 54];
}

static bool is_key(const struct slot *slot, const struct slot_key *key)
{
    return slot->key.dir == key->dir && slot->key.file == key->file && slot->key.uid == key->uid &&
           slot->key.session == key->session;
}

/* The lock is held, here and in what follows. */
static void unlink_use(struct slots *slots, struct slot *slot)
{
    *(slot->newer ? &slot->newer->older : &slots->newest) = slot->older;
    *(slot->older ? &slot->older->newer : &slots->oldest) = slot->newer;
}

static void link_newest(struct slots *slots, struct slot *slot)
{
    slot->newer = NULL;
    slot->older = slots->newest;
    if (slots->newest)
        slots->newest->newer = slot;
    else
        slots->oldest = slot;
    slots->newest = slot;
}

static struct slot *find(struct slots *slots, const struct slot_key *key)
{
    struct slot *slot = *bucket_of(slots, key);

    while (slot && !is_key(slot, key))
        slot = slot->chain;
    if (slot) {
        unlink_use(slots, slot);
        link_newest(slots, slot);
    }
    return slot;
}

static void remove_oldest(struct slots *slots)
{
    struct slot *slot = slots->oldest;
    struct slot **at = bucket_of(slots, &slot->key);

    while (*at != slot)
        at = &(*at)->chain;
    *at = slot->chain;
    unlink_use(slots, slot);
    nx_buf_fini(&slot->text);
    free(slot);
    slots->count--;
}

static struct slot *add(struct slots *slots, const struct slot_key *key)
{
    struct slot *slot = calloc(1, sizeof *slot);
    struct slot **bucket = bucket_of(slots, key);

    if (!slot)
        return NULL;
    slot->key = *key;
    slot->chain = *bucket;
    *bucket = slot;
    link_newest(slots, slot);
    if (++slots->count > SLOTS_MAX)
        remove_oldest(slots);
    return slot;
}

void slots_free(struct slots *slots)
{
    if (!slots)
        return;
    while (slots->oldest)
        remove_oldest(slots);
    pthread_mutex_destroy(&slots->mu);
    free(slots);
}

enum nx_code slots_set(struct slots *slots, const struct slot_key *key, struct nx_slice text,
                       struct nx_err *err)
{
    struct nx_buf copy = NX_BUF_INIT;
    struct slot *slot;

    if (nx_buf_append(&copy, text.data, text.len) != NX_OK)
        return nx_fail_nomem(err);
    pthread_mutex_lock(&slots->mu);
    slot = find(slots, key);
    if (!slot)
        slot = add(slots, key);
    if (slot) {
        struct nx_buf old = slot->text;

        slot->text = copy;
        slot->number = ++slots->last_number;
        slot->claimed = false;
        copy = old;
    }
    pthread_mutex_unlock(&slots->mu);
    nx_buf_fini(&copy);
    return slot ? NX_OK : nx_fail_nomem(err);
}

enum nx_code slots_get(struct slots *slots, const struct slot_key *key, struct nx_buf *text,
                       uint64_t *number, struct nx_err *err)
{
    enum nx_code rc = NX_ENODATA;
    struct slot *slot;

    pthread_mutex_lock(&slots->mu);
    slot = find(slots, key);
    if (slot && slot->number != 0) {
        rc = nx_buf_append(text, slot->text.data, slot->text.len);
        if (number)
            *number = slot->number;
    }
    pthread_mutex_unlock(&slots->mu);
    if (rc == NX_ENODATA)
        nx_fail(err, rc, "nothing has been written to it in this session");
    else if (rc != NX_OK)
        nx_fail_nomem(err);
    return rc;
}

void slots_clear(struct slots *slots, const struct slot_key *key)
{
    struct slot *slot;

    pthread_mutex_lock(&slots->mu);
    slot = find(slots, key);
    if (slot) {
        nx_buf_fini(&slot->text);
        slot->number = 0; /* as if nothing had been written */
    }
    pthread_mutex_unlock(&slots->mu);
}

bool slots_claim(struct slots *slots, const struct slot_key *key, uint64_t number)
{
    struct slot *slot;
    bool first;

    pthread_mutex_lock(&slots->mu);
    slot = find(slots, key);
    first = slot && slot->number == number && !slot->claimed;
    if (first)
        slot->claimed = true;
    pthread_mutex_unlock(&slots->mu);
    return first;
}

/* recent.c - a ring of the documents renamed away last. */
#include "store/recent.h"

void recent_init(struct recent *recent)
{
    memset(recent, 0, sizeof *recent);
    nx_mutex_init(&recent->mu, NX_RANK_LEAF);
}

void recent_fini(struct recent *recent)
{
    nx_mutex_fini(&recent->mu);
}

static void forget(struct recent *recent, struct recent_item *item)
{
    if (item->ino) {
        item->ino = 0;
        recent->used--;
    }
}

void recent_add(struct recent *recent, uint64_t collection, const struct nx_id *id, uint64_t ino,
                uint64_t now_ns)
{
    struct recent_item *item;

    nx_mutex_lock(&recent->mu);
    item = &recent->items[recent->at++ % RECENT_COUNT];
    forget(recent, item);
    item->collection = collection;
    item->until_ns = now_ns + RECENT_NS;
    item->id = *id;
    item->ino = ino;
    item->held = 0;
    item->number_taken = false;
    recent->used++;
    nx_mutex_unlock(&recent->mu);
}

/* The lock is held. Items whose time is over go on the way. */
static struct recent_item *find(struct recent *recent, uint64_t collection, struct nx_slice id,
                                uint64_t now_ns)
{
    struct recent_item *found = NULL;

    for (size_t i = 0; recent->used && i < RECENT_COUNT; i++) {
        struct recent_item *item = &recent->items[i];

        if (item->ino && item->until_ns < now_ns)
            forget(recent, item);
        if (item->ino && item->collection == collection &&
            nx_slice_equal(nx_slice(item->id.key, item->id.len), id))
            found = item;
    }
    return found;
}

uint64_t recent_take(struct recent *recent, uint64_t collection, struct nx_slice id,
                     uint64_t now_ns)
{
    struct recent_item *item;
    uint64_t ino;

    nx_mutex_lock(&recent->mu);
    item = find(recent, collection, id, now_ns);
    ino = item && !item->number_taken ? item->ino : 0;
    if (item)
        forget(recent, item);
    nx_mutex_unlock(&recent->mu);
    return ino;
}

uint64_t recent_take_number(struct recent *recent, uint64_t collection, struct nx_slice id,
                            uint64_t now_ns)
{
    struct recent_item *item;
    uint64_t ino = 0;

    nx_mutex_lock(&recent->mu);
    item = find(recent, collection, id, now_ns);
    if (item && !item->number_taken) {
        ino = item->ino;
        item->number_taken = true;
    }
    nx_mutex_unlock(&recent->mu);
    return ino;
}

/* --- notices that are held back --------------------------------------------------------------- */

void recent_hold(struct recent *recent, uint64_t ino, uint64_t position)
{
    nx_mutex_lock(&recent->mu);
    for (size_t i = 0; recent->used && i < RECENT_COUNT; i++)
        if (recent->items[i].ino == ino)
            recent->items[i].held = position;
    nx_mutex_unlock(&recent->mu);
}

uint64_t recent_held(struct recent *recent, uint64_t now_ns, uint64_t *until_ns)
{
    uint64_t first = UINT64_MAX;

    *until_ns = 0;
    nx_mutex_lock(&recent->mu);
    for (size_t i = 0; recent->used && i < RECENT_COUNT; i++) {
        struct recent_item *item = &recent->items[i];

        if (item->until_ns < now_ns)
            item->held = 0;
        if (item->ino && item->held && item->held < first) {
            first = item->held;
            *until_ns = item->until_ns;
        }
    }
    nx_mutex_unlock(&recent->mu);
    return first;
}

bool recent_find(struct recent *recent, uint64_t collection, struct nx_slice id, uint64_t now_ns,
                 uint64_t *held)
{
    struct recent_item *item;

    nx_mutex_lock(&recent->mu);
    item = find(recent, collection, id, now_ns);
    *held = item ? item->held : 0;
    nx_mutex_unlock(&recent->mu);
    return item != NULL;
}

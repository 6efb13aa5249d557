/*
 * echo_queue.c - a list in order of arrival over a hash table of (directory, name).
 *
 *            then CREATE          then UPDATE      then DELETE
 *   CREATE   CREATE               CREATE           nothing
 *   UPDATE   CREATE               UPDATE           DELETE
 *   DELETE   DELETE, CREATE       DELETE, CREATE   DELETE
 *
 * A move is an item of its own that nothing is merged into.
 */
#include "fs/echo_queue.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static struct echo_item **bucket(struct echo_queue *queue, nx_ino dir, const char *name)
{
    return &queue->buckets[XXH3_64bits_withSeed(name, strlen(name), dir) % ECHO_BUCKETS];
}

static void unlink_item(struct echo_queue *queue, struct echo_item *item)
{
    struct echo_item **at = bucket(queue, item->dir, item->name);

    *(item->older ? &item->older->newer : &queue->oldest) = item->newer;
    *(item->newer ? &item->newer->older : &queue->newest) = item->older;
    while (*at && *at != item)
        at = &(*at)->next;
    if (*at) /* a move stands in no bucket */
        *at = item->next;
    queue->count--;
}

static void drop(struct echo_queue *queue, struct echo_item *item)
{
    unlink_item(queue, item);
    free(item);
}

void echo_queue_fini(struct echo_queue *queue)
{
    while (queue->oldest)
        drop(queue, queue->oldest);
}

static struct echo_item *find(struct echo_queue *queue, nx_ino dir, const char *name)
{
    struct echo_item *item = *bucket(queue, dir, name);

    while (item && (item->dir != dir || strcmp(item->name, name) != 0))
        item = item->next;
    return item;
}

static struct echo_item *append(struct echo_queue *queue, const struct nx_event *event)
{
    bool is_move = event->type == NX_EVENT_RENAME;
    size_t len = strlen(event->name) + 1, to_len = is_move ? strlen(event->to_name) + 1 : 1;
    struct echo_item *item = calloc(1, sizeof *item + len + to_len);
    struct echo_item **at;

    if (!item)
        return NULL;
    item->dir = event->parent;
    memcpy(item->name, event->name, len);
    item->to_name = item->name + len;
    item->older = queue->newest;
    *(queue->newest ? &queue->newest->newer : &queue->oldest) = item;
    queue->newest = item;
    queue->count++;
    if (is_move) {
        item->to_dir = event->to_parent;
        memcpy(item->to_name, event->to_name, to_len);
        return item;
    }
    at = bucket(queue, item->dir, item->name);
    item->next = *at;
    *at = item;
    return item;
}

/* False: nothing is left to tell. */
static bool merge(struct echo_item *item, const struct nx_event *event)
{
    switch (event->type) {
    case NX_EVENT_CREATE:
    case NX_EVENT_RENAME:
        item->is_new = event->type == NX_EVENT_CREATE;
        item->ino = event->ino;
        item->kind = event->kind;
        return true;
    case NX_EVENT_UPDATE:
        item->ino = event->ino;
        item->kind = event->kind;
        return true;
    case NX_EVENT_DELETE:
    case NX_EVENT_DROP:
        if (!item->is_new && !item->gone) {
            item->gone = event->ino;
            item->gone_kind = event->kind;
        }
        item->ino = 0;
        item->is_new = false;
        return item->gone != 0;
    }
    return false;
}

const struct echo_item *echo_queue_add(struct echo_queue *queue, const struct nx_event *event,
                                       bool evict)
{
    struct echo_item *item = NULL;

    if (event->type != NX_EVENT_RENAME)
        item = find(queue, event->parent, event->name);
    if (!item && queue->count >= ECHO_QUEUE_MAX) {
        if (!evict)
            return NULL;
        drop(queue, queue->oldest);
    }
    if (!item)
        item = append(queue, event);
    if (!item)
        return NULL;
    item->stamp = ++queue->stamp;
    if (merge(item, event))
        return item;
    drop(queue, item);
    return NULL;
}

bool echo_item_is_watched(const struct echo_item *item, const struct watched *watched)
{
    return watched_has(watched, item->dir) ||
           (item->to_dir && watched_has(watched, item->to_dir)) ||
           (item->ino && watched_has(watched, item->ino)) ||
           (item->gone && watched_has(watched, item->gone));
}

struct echo_item *echo_queue_take(struct echo_queue *queue, const struct watched *watched,
                                  uint64_t stamp)
{
    for (struct echo_item *item = queue->oldest, *next; item; item = next) {
        next = item->newer;
        if (echo_item_is_watched(item, watched)) {
            unlink_item(queue, item);
            return item;
        }
        if (item->stamp <= stamp)
            drop(queue, item);
    }
    return NULL;
}

/*
 * ghost_queue.h - changes that watchers are to be told of, one item a name.
 *
 * Several changes of one name are one item: what a watcher has to hear is that the old node went,
 * that a new one came, or that the content changed. Bounded: see ghost_queue_add.
 *
 * Threads: one at a time.
 */
#ifndef FS_GHOST_QUEUE_H
#define FS_GHOST_QUEUE_H

#include <stdbool.h>

#include <nexadb/db.h>

#include "fs/watched.h"

#define GHOST_QUEUE_MAX 4096u
#define GHOST_BUCKETS 1024u

struct ghost_item {
    struct ghost_item *older, *newer, *next; /* the queue's; next: in its bucket */
    uint64_t stamp;                          /* of its last change: rises */
    nx_ino dir;
    nx_ino gone, ino; /* what had the name, what has it; 0 where nothing is to be told of it */
    enum nx_kind gone_kind, kind;
    bool is_new;   /* `ino` came to the name; else its content changed */
    nx_ino to_dir; /* of a move, else 0 */
    char *to_name; /* behind `name` */
    char name[];
};

struct ghost_queue {
    struct ghost_item *oldest, *newest, *buckets[GHOST_BUCKETS];
    uint64_t stamp;
    unsigned count;
};

void ghost_queue_fini(struct ghost_queue *queue);
/* Take a change in. When the queue is full the oldest item makes room, or, unless `evict`, the
 * change is dropped; so it is without memory. NULL when nothing was queued. */
const struct ghost_item *ghost_queue_add(struct ghost_queue *queue, const struct nx_event *event,
                                         bool evict);
bool ghost_item_is_watched(const struct ghost_item *item, const struct watched *watched);
/* The oldest item that is watched, now the caller's (free); NULL: none. Those that are not and have
 * not changed since `stamp` are dropped on the way. */
struct ghost_item *ghost_queue_take(struct ghost_queue *queue, const struct watched *watched,
                                    uint64_t stamp);

#endif

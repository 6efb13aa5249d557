/*
 * echo_queue.h - changes that watchers are to be told of, one item a name.
 *
 * Several changes of one name are one item: what a watcher has to hear is that the old node went,
 * that a new one came, or that the content changed. Bounded: see echo_queue_add.
 *
 * Threads: one at a time.
 */
#ifndef FS_ECHO_QUEUE_H
#define FS_ECHO_QUEUE_H

#include <stdbool.h>

#include <nexadb/db.h>

#include "fs/watched.h"

#define ECHO_QUEUE_MAX 4096u
#define ECHO_BUCKETS 1024u

struct echo_item {
    struct echo_item *older, *newer, *next; /* the queue's; next: in its bucket */
    uint64_t stamp;                         /* of its last change: rises */
    nx_ino dir;
    nx_ino gone, ino; /* what had the name, what has it; 0 where nothing is to be told of it */
    enum nx_kind gone_kind, kind;
    bool is_new;   /* `ino` came to the name; else its content changed */
    nx_ino to_dir; /* of a move, else 0 */
    char *to_name; /* behind `name` */
    char name[];
};

struct echo_queue {
    struct echo_item *oldest, *newest, *buckets[ECHO_BUCKETS];
    uint64_t stamp;
    unsigned count;
};

void echo_queue_fini(struct echo_queue *queue);
/* Take a change in. When the queue is full the oldest item makes room, or, unless `evict`, the
 * change is dropped; so it is without memory. NULL when nothing was queued. */
const struct echo_item *echo_queue_add(struct echo_queue *queue, const struct nx_event *event,
                                       bool evict);
bool echo_item_is_watched(const struct echo_item *item, const struct watched *watched);
/* The oldest item that is watched, now the caller's (free); NULL: none. Those that are not and have
 * not changed since `stamp` are dropped on the way. */
struct echo_item *echo_queue_take(struct echo_queue *queue, const struct watched *watched,
                                  uint64_t stamp);

#endif

/*
 * notify.c - the notifier: a queue by directory, one thread, drains.
 *
 * Events are gathered for each directory: up to NAMES_MAX names, then only "all of it". The thread
 * takes the whole queue at once, so that many changes of one directory become few calls. A drain
 * belongs to the batch that was open when it came and is answered when that batch has been sent.
 */
#include "fs/notify.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fs/echo.h"
#include "fs/mount.h"
#include "fs/seen.h"

#define BUCKETS 256
#define NAMES_MAX 1024

struct stale_name {
    struct stale_name *next;
    nx_ino ino;  /* 0: only the name */
    char name[]; /* "": only the node */
};

struct stale_dir {
    struct stale_dir *next;
    nx_ino dir; /* 0: nodes without a known directory */
    bool all;
    bool attributes; /* of the directory itself */
    unsigned count;
    unsigned renamed; /* of fs->misnamed */
    struct stale_name *names;
};

struct drain {
    struct drain *next;
    nx_commit_fn done;
    void *arg;
};

struct batch {
    struct stale_dir *buckets[BUCKETS];
    struct drain *drains;
    bool any;
};

struct notifier {
    struct fs *fs; /* outlives it */
    pthread_mutex_t mu;
    pthread_cond_t ready;
    struct batch open; /* guarded by mu, as the rest */
    bool sending, stopping, started;
    pthread_t thread;
};

static struct stale_dir *stale_dir(struct batch *batch, nx_ino dir)
{
    struct stale_dir **at = &batch->buckets[dir % BUCKETS];

    while (*at && (*at)->dir != dir)
        at = &(*at)->next;
    if (!*at) {
        *at = calloc(1, sizeof **at);
        if (*at)
            (*at)->dir = dir;
    }
    return *at;
}

static void drop_names(struct stale_dir *dir)
{
    while (dir->names) {
        struct stale_name *next = dir->names->next;

        free(dir->names);
        dir->names = next;
    }
}

/* The lock is held. Without memory for one name the whole directory is stale. */
static void add_name(struct batch *batch, nx_ino parent, const char *name, nx_ino ino)
{
    struct stale_dir *dir = stale_dir(batch, parent);
    size_t len = strlen(name);
    struct stale_name *item;

    batch->any = true;
    if (!dir || dir->all)
        return;
    item = dir->count < NAMES_MAX ? malloc(sizeof *item + len + 1) : NULL;
    if (!item) {
        drop_names(dir);
        dir->all = true;
        return;
    }
    item->ino = ino;
    memcpy(item->name, name, len + 1);
    item->next = dir->names;
    dir->names = item;
    dir->count++;
}

/* --- what an event makes stale, as far as the kernel may know it; the lock is held */

static void add_seen(struct notifier *notifier, nx_ino dir, const char *name, nx_ino ino)
{
    struct seen *seen = notifier->fs->seen;
    bool name_seen = name[0] && seen_name(seen, dir, name);
    bool node_seen = ino && seen_node(seen, ino);

    if (name_seen || node_seen)
        add_name(&notifier->open, dir, name_seen ? name : "", node_seen ? ino : 0);
}

static void add_attributes(struct notifier *notifier, nx_ino ino)
{
    struct stale_dir *dir;

    if (!seen_node(notifier->fs->seen, ino))
        return;
    dir = stale_dir(&notifier->open, ino);
    if (dir)
        dir->attributes = true;
    notifier->open.any = true;
}

static void add_event(struct notifier *notifier, const struct nx_event *event)
{
    switch (event->type) {
    case NX_EVENT_UPDATE:
        add_seen(notifier, event->parent, "", event->ino);
        break;
    case NX_EVENT_CREATE:
    case NX_EVENT_DELETE:
    case NX_EVENT_DROP:
        add_seen(notifier, event->parent, event->name, event->ino);
        add_attributes(notifier, event->parent);
        break;
    case NX_EVENT_RENAME:
        add_seen(notifier, event->parent, event->name, event->ino);
        add_seen(notifier, event->to_parent, event->to_name, 0);
        add_attributes(notifier, event->parent);
        add_attributes(notifier, event->to_parent);
        break;
    }
}

/* The store's subscriber: on the thread of the change, perhaps under the store's locks. */
static void on_event(void *arg, const struct nx_event *event)
{
    struct notifier *notifier = arg;
    struct fs *fs = notifier->fs;

    atomic_fetch_add_explicit(fs_dir_changes(fs, event->parent), 1, memory_order_release);
    if (event->type == NX_EVENT_RENAME)
        atomic_fetch_add_explicit(fs_dir_changes(fs, event->to_parent), 1, memory_order_release);
    if (event->origin == fs->origin)
        return; /* the kernel made it */
    atomic_fetch_add(&fs->generation, 1);
    pthread_mutex_lock(&notifier->mu);
    add_event(notifier, event);
    if (notifier->open.any)
        pthread_cond_signal(&notifier->ready);
    pthread_mutex_unlock(&notifier->mu);
    echo_event(fs->echo, event);
}

static void on_drain(void *arg, nx_commit_fn done, void *done_arg)
{
    notifier_drain(arg, done, done_arg);
}

/* --- sending; no lock is held --------------------------------------------------------------------
 */

/* Dropping a directory's own name makes the kernel look up everything below it again. */
static void send_whole_directory(struct fs *fs, nx_ino dir)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_attr attr;
    const char *slash;

    if (dir == 0 || dir == NX_ROOT_INO || nx_db_stat(fs->db, NULL, dir, &attr, NULL) != NX_OK ||
        nx_db_path(fs->db, NULL, dir, &path, NULL) != NX_OK ||
        nx_buf_append_byte(&path, 0) != NX_OK)
        return;
    slash = strrchr((char *)path.data, '/');
    slash = slash ? slash + 1 : (char *)path.data;
    fuse_lowlevel_notify_inval_entry(fs->session, attr.parent, slash, strlen(slash));
}

static void send_directory(struct fs *fs, struct stale_dir *dir)
{
    for (struct stale_name *item = dir->names; item; item = item->next) {
        if (item->name[0])
            fuse_lowlevel_notify_inval_entry(fs->session, dir->dir, item->name, strlen(item->name));
        if (item->ino)
            fuse_lowlevel_notify_inval_inode(fs->session, item->ino, 0, 0);
    }
    if (dir->all)
        send_whole_directory(fs, dir->dir);
    if (dir->attributes || dir->all)
        fuse_lowlevel_notify_inval_inode(fs->session, dir->dir, 0, 0);
    atomic_fetch_sub(&fs->misnamed, dir->renamed);
}

static void answer_drains(struct batch *batch)
{
    while (batch->drains) {
        struct drain *drain = batch->drains;

        batch->drains = drain->next;
        drain->done(drain->arg, NULL);
        free(drain);
    }
}

static void free_dirs(struct batch *batch)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (batch->buckets[i]) {
            struct stale_dir *dir = batch->buckets[i];

            batch->buckets[i] = dir->next;
            drop_names(dir);
            free(dir);
        }
    }
}

static void send_batch(struct fs *fs, struct batch *batch)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct stale_dir *dir = batch->buckets[i]; dir; dir = dir->next)
            send_directory(fs, dir);
    answer_drains(batch);
    free_dirs(batch);
}

static void *run(void *arg)
{
    struct notifier *notifier = arg;

    pthread_mutex_lock(&notifier->mu);
    for (;;) {
        struct batch batch;

        while (!notifier->open.any && !notifier->stopping)
            pthread_cond_wait(&notifier->ready, &notifier->mu);
        if (!notifier->open.any)
            break;
        batch = notifier->open;
        memset(&notifier->open, 0, sizeof notifier->open);
        notifier->sending = true;
        pthread_mutex_unlock(&notifier->mu);
        send_batch(notifier->fs, &batch);
        pthread_mutex_lock(&notifier->mu);
        notifier->sending = false;
    }
    pthread_mutex_unlock(&notifier->mu);
    return NULL;
}

/* --- the face --------------------------------------------------------------------------------- */

void notifier_drain(struct notifier *notifier, nx_commit_fn done, void *arg)
{
    struct drain *drain = NULL;
    bool idle;

    pthread_mutex_lock(&notifier->mu);
    idle = !notifier->started || (!notifier->open.any && !notifier->sending);
    if (!idle)
        drain = malloc(sizeof *drain);
    if (drain) {
        *drain = (struct drain){notifier->open.drains, done, arg};
        notifier->open.drains = drain;
        notifier->open.any = true;
        pthread_cond_signal(&notifier->ready);
    }
    pthread_mutex_unlock(&notifier->mu);
    if (!drain) {
        struct nx_err err = NX_ERR_INIT;

        if (!idle)
            nx_fail_nomem(&err);
        done(arg, idle ? NULL : &err);
    }
}

/* Without memory it stays counted, which costs lookups, not content. */
void notifier_forget_renamed(struct notifier *notifier, nx_ino parent, const char *name)
{
    struct stale_dir *dir;

    pthread_mutex_lock(&notifier->mu);
    add_name(&notifier->open, parent, name, 0);
    dir = stale_dir(&notifier->open, parent);
    if (dir)
        dir->renamed++;
    pthread_cond_signal(&notifier->ready);
    pthread_mutex_unlock(&notifier->mu);
}

void notifier_forget_node(struct notifier *notifier, nx_ino ino)
{
    pthread_mutex_lock(&notifier->mu);
    add_name(&notifier->open, 0, "", ino);
    pthread_cond_signal(&notifier->ready);
    pthread_mutex_unlock(&notifier->mu);
}

enum nx_code notifier_new(struct fs *fs, struct notifier **out, struct nx_err *err)
{
    struct notifier *notifier = calloc(1, sizeof *notifier);

    *out = notifier;
    if (!notifier)
        return nx_fail_nomem(err);
    notifier->fs = fs;
    pthread_mutex_init(&notifier->mu, NULL);
    pthread_cond_init(&notifier->ready, NULL);
    return NX_OK;
}

enum nx_code notifier_start(struct notifier *notifier, struct nx_err *err)
{
    int rc = pthread_create(&notifier->thread, NULL, run, notifier);

    if (rc != 0)
        return nx_fail_errno(err, rc, "mount: cannot start the notifier");
    pthread_mutex_lock(&notifier->mu);
    notifier->started = true;
    pthread_mutex_unlock(&notifier->mu);
    nx_db_subscribe(notifier->fs->db, on_event, on_drain, notifier);
    return NX_OK;
}

void notifier_free(struct notifier *notifier)
{
    if (!notifier)
        return;
    if (notifier->started) {
        nx_db_subscribe(notifier->fs->db, NULL, NULL, NULL);
        pthread_mutex_lock(&notifier->mu);
        notifier->stopping = true;
        pthread_cond_signal(&notifier->ready);
        pthread_mutex_unlock(&notifier->mu);
        pthread_join(notifier->thread, NULL);
    }
    answer_drains(&notifier->open);
    free_dirs(&notifier->open);
    pthread_cond_destroy(&notifier->ready);
    pthread_mutex_destroy(&notifier->mu);
    free(notifier);
}

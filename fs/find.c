/*
 * find.c - the table of result directories.
 *
 * A number holds a slot of the table (place.h). Slots are given out in a circle, so that a number
 * comes back only after all others, and then with another generation. Directories are immutable but
 * for the names touched in them, so a reference is all that a request needs.
 */
#include "fs/find.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS (1u << PLACE_FIND_BITS) /* slot 0 is not used */
#define BUCKETS 4096

_Static_assert(FIND_DIRS_MAX < SLOTS, "a free slot is always near");

struct finds {
    pthread_mutex_t mu;
    struct find_dir *slots[SLOTS]; /* guarded by mu, as the rest */
    struct find_dir *buckets[BUCKETS];
    struct find_dir *newest, *oldest;
    unsigned next_slot, count;
    uint64_t made; /* so far */
    size_t bytes;
};

struct finds *finds_new(void)
{
    struct finds *finds = calloc(1, sizeof *finds);

    if (!finds)
        return NULL;
    pthread_mutex_init(&finds->mu, NULL);
    finds->next_slot = 1;
    return finds;
}

static void dir_free(struct find_dir *dir)
{
    find_text_fini(&dir->query);
    nx_buf_fini(&dir->filter);
    free(dir->touched);
    free(dir->name);
    free(dir);
}

void find_put(struct find_dir *dir)
{
    /* acq_rel: the last one sees what the others did */
    if (dir && atomic_fetch_sub_explicit(&dir->refs, 1, memory_order_acq_rel) == 1)
        dir_free(dir);
}

static struct find_dir *ref(struct find_dir *dir)
{
    atomic_fetch_add_explicit(&dir->refs, 1, memory_order_relaxed);
    return dir;
}

/* --- the table; the lock is held -------------------------------------------------------------- */

static uint64_t hash_name(fuse_ino_t parent, const char *name)
{
    uint64_t hash = parent * 0x9e3779b97f4a7c15u;

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

static struct find_dir **bucket_of(struct finds *finds, fuse_ino_t parent, const char *name)
{
    return &finds->buckets[hash_name(parent, name) % BUCKETS];
}

static void unlink_used(struct finds *finds, struct find_dir *dir)
{
    *(dir->newer ? &dir->newer->older : &finds->newest) = dir->older;
    *(dir->older ? &dir->older->newer : &finds->oldest) = dir->newer;
}

static void link_used(struct finds *finds, struct find_dir *dir)
{
    dir->newer = NULL;
    dir->older = finds->newest;
    *(finds->newest ? &finds->newest->newer : &finds->oldest) = dir;
    finds->newest = dir;
}

static struct find_dir *use(struct finds *finds, struct find_dir *dir)
{
    unlink_used(finds, dir);
    link_used(finds, dir);
    return ref(dir);
}

static struct find_dir *find_named(struct finds *finds, fuse_ino_t parent, const char *name)
{
    struct find_dir *dir = *bucket_of(finds, parent, name);

    while (dir && (dir->parent != parent || strcmp(dir->name, name) != 0))
        dir = dir->same_bucket;
    return dir;
}

static unsigned slot_of(fuse_ino_t ino)
{
    return (unsigned)(ino >> PLACE_NUMBER_BITS) & (SLOTS - 1);
}

static void remove_dir(struct finds *finds, struct find_dir *dir)
{
    struct find_dir **at = bucket_of(finds, dir->parent, dir->name);

    while (*at != dir)
        at = &(*at)->same_bucket;
    *at = dir->same_bucket;
    unlink_used(finds, dir);
    finds->slots[slot_of(dir->ino)] = NULL;
    finds->count--;
    finds->bytes -= dir->bytes;
    find_put(dir);
}

static void insert(struct finds *finds, struct find_dir *dir)
{
    struct find_dir **bucket = bucket_of(finds, dir->parent, dir->name);

    while (finds->count == FIND_DIRS_MAX ||
           (finds->count > 0 && finds->bytes + dir->bytes > FIND_BYTES_MAX))
        remove_dir(finds, finds->oldest);
    while (finds->slots[finds->next_slot] || finds->next_slot == 0)
        finds->next_slot = (finds->next_slot + 1) % SLOTS;
    dir->ino = place_find_ino(finds->next_slot);
    dir->generation = ++finds->made;
    finds->slots[finds->next_slot] = dir;
    finds->next_slot = (finds->next_slot + 1) % SLOTS;
    dir->same_bucket = *bucket;
    *bucket = dir;
    link_used(finds, dir);
    finds->count++;
    finds->bytes += dir->bytes;
}

void finds_free(struct finds *finds)
{
    if (!finds)
        return;
    while (finds->oldest)
        remove_dir(finds, finds->oldest);
    pthread_mutex_destroy(&finds->mu);
    free(finds);
}

/* --- getting one ------------------------------------------------------------------------------ */

static struct find_dir *lookup(struct finds *finds, fuse_ino_t parent, const char *name)
{
    struct find_dir *dir;

    pthread_mutex_lock(&finds->mu);
    dir = find_named(finds, parent, name);
    dir = dir ? use(finds, dir) : NULL;
    pthread_mutex_unlock(&finds->mu);
    return dir;
}

/* Takes `dir`; what another thread made of the same name meanwhile is as good. */
static struct find_dir *keep(struct finds *finds, struct find_dir *dir)
{
    struct find_dir *kept;

    pthread_mutex_lock(&finds->mu);
    kept = find_named(finds, dir->parent, dir->name);
    if (!kept) {
        insert(finds, dir);
        kept = dir;
        dir = NULL;
    }
    kept = use(finds, kept);
    pthread_mutex_unlock(&finds->mu);
    find_put(dir);
    return kept;
}

static struct find_dir *dir_new(fuse_ino_t parent, fuse_ino_t base, const char *name)
{
    struct find_dir *dir = calloc(1, sizeof *dir);

    if (!dir)
        return NULL;
    dir->name = strdup(name);
    if (!dir->name) {
        free(dir);
        return NULL;
    }
    dir->parent = parent;
    dir->base = base;
    atomic_init(&dir->refs, 1);
    return dir;
}

/* Everything that can be wrong with the query, without reading a document. */
static enum nx_code check(struct fs *fs, const struct find_dir *dir, struct nx_err *err)
{
    struct nx_find find = find_query_of(dir);
    struct nx_cursor *cursor;
    struct fs_place place;
    enum nx_code rc = place_open(fs, dir->base, &place, err);

    if (rc != NX_OK)
        return rc;
    rc = nx_query_find(fs->db, place.snapshot, place.ino, &find, NULL, &cursor, err);
    nx_cursor_close(cursor);
    place_close(&place);
    return rc;
}

static size_t measure(const struct find_dir *dir)
{
    return sizeof *dir + strlen(dir->name) + dir->query.filters.cap + dir->query.sort.cap +
           dir->query.projection.cap + dir->filter.cap + FIND_TOUCHED_MAX * sizeof dir->touched[0];
}

enum nx_code find_root(struct fs *fs, fuse_ino_t collection, struct find_dir **out,
                       struct nx_err *err)
{
    struct find_dir *dir;

    *out = lookup(fs->finds, collection, "");
    if (*out)
        return NX_OK;
    dir = dir_new(collection, collection, "");
    if (!dir)
        return nx_fail_nomem(err);
    dir->bytes = measure(dir);
    *out = keep(fs->finds, dir);
    return NX_OK;
}

enum nx_code find_enter(struct fs *fs, const struct find_dir *parent, const char *component,
                        struct find_dir **out, struct nx_err *err)
{
    struct find_dir *dir;
    enum nx_code rc;

    *out = lookup(fs->finds, parent->ino, component);
    if (*out)
        return NX_OK;
    dir = dir_new(parent->ino, parent->base, component);
    if (!dir)
        return nx_fail_nomem(err);
    rc = find_text_copy(&parent->query, &dir->query, err);
    if (rc == NX_OK)
        rc = find_text_add(&dir->query, component, err);
    if (rc == NX_OK)
        rc = find_text_filter(&dir->query, &dir->filter, err);
    if (rc == NX_OK)
        rc = check(fs, dir, err);
    if (rc != NX_OK) {
        find_put(dir);
        return rc;
    }
    dir->bytes = measure(dir);
    *out = keep(fs->finds, dir);
    return NX_OK;
}

void find_forget(struct fs *fs, fuse_ino_t parent, const char *component)
{
    struct find_dir *dir;

    pthread_mutex_lock(&fs->finds->mu);
    dir = find_named(fs->finds, parent, component);
    if (dir)
        remove_dir(fs->finds, dir);
    pthread_mutex_unlock(&fs->finds->mu);
}

struct find_dir *find_get(struct fs *fs, fuse_ino_t ino)
{
    struct finds *finds = fs->finds;
    struct find_dir *dir;

    pthread_mutex_lock(&finds->mu);
    dir = finds->slots[slot_of(ino)];
    dir = dir ? use(finds, dir) : NULL;
    pthread_mutex_unlock(&finds->mu);
    return dir;
}

struct nx_find find_query_of(const struct find_dir *dir)
{
    return (struct nx_find){
        .filter = nx_buf_slice(&dir->filter),
        .projection = nx_buf_slice(&dir->query.projection),
        .sort = nx_buf_slice(&dir->query.sort),
        .skip = dir->query.skip,
        .limit = dir->query.limit,
    };
}

/* --- touched names ---------------------------------------------------------------------------- */

void find_touch(struct fs *fs, struct find_dir *dir, const char *name)
{
    pthread_mutex_lock(&fs->finds->mu);
    if (!dir->touched)
        dir->touched = calloc(FIND_TOUCHED_MAX, sizeof dir->touched[0]);
    if (dir->touched)
        dir->touched[dir->touches++ % FIND_TOUCHED_MAX] = hash_name(0, name);
    pthread_mutex_unlock(&fs->finds->mu);
}

bool find_is_touched(struct fs *fs, struct find_dir *dir, const char *name)
{
    uint64_t hash = hash_name(0, name);
    unsigned count;
    bool found = false;

    pthread_mutex_lock(&fs->finds->mu);
    count = dir->touches < FIND_TOUCHED_MAX ? dir->touches : FIND_TOUCHED_MAX;
    for (unsigned i = 0; dir->touched && i < count; i++)
        found = found || dir->touched[i] == hash;
    pthread_mutex_unlock(&fs->finds->mu);
    return found;
}

/*
 * sim_disk.c - images, names and crashes of the simulated disk. Everything is a small array: tests
 * have a few dozen files of a few hundred kilobytes.
 */
#include "base/sim_disk.h"

#include <stdlib.h>
#include <string.h>

uint64_t sim_random(uint64_t *state)
{
    uint64_t x = *state ? *state : UINT64_C(0x9e3779b97f4a7c15);

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}

static bool coin(uint64_t *seed)
{
    return sim_random(seed) >> 63;
}

static bool is_kept(struct sim_fate *fate)
{
    size_t i = fate->asked++;

    if (!fate->answers)
        return coin(&fate->seed);
    return i < fate->count && fate->answers[i];
}

/* --- inodes ----------------------------------------------------------------------------------- */

struct sim_inode *sim_inode_new(bool is_dir)
{
    struct sim_inode *inode = calloc(1, sizeof *inode);

    if (inode) {
        inode->refs = 1;
        inode->is_dir = is_dir;
    }
    return inode;
}

void sim_inode_unref(struct sim_inode *inode)
{
    if (!inode || --inode->refs > 0)
        return;
    nx_buf_fini(&inode->now);
    nx_buf_fini(&inode->safe);
    nx_buf_fini(&inode->dirty);
    free(inode);
}

static enum nx_code mark_dirty(struct sim_inode *inode, uint64_t offset, uint64_t len)
{
    size_t first = (size_t)(offset / SIM_SECTOR_BYTES);
    size_t end = (size_t)((offset + len + SIM_SECTOR_BYTES - 1) / SIM_SECTOR_BYTES);
    enum nx_code rc = end > inode->dirty.len ? nx_buf_resize(&inode->dirty, end) : NX_OK;

    if (rc == NX_OK && end > first)
        memset(inode->dirty.data + first, 1, end - first);
    return rc;
}

enum nx_code sim_inode_resize(struct sim_inode *inode, uint64_t size)
{
    uint64_t old = inode->now.len;
    enum nx_code rc;

    if (size == old)
        return NX_OK;
    if (inode->maps && size > inode->now.cap)
        return NX_EBUSY;
    rc = nx_buf_resize(&inode->now, (size_t)size);
    if (rc == NX_OK && size > old) /* what was cut off before reads as zeros now */
        rc = mark_dirty(inode, old, size - old);
    inode->is_size_dirty = true;
    return rc;
}

enum nx_code sim_inode_write(struct sim_inode *inode, uint64_t offset, const void *data, size_t len)
{
    enum nx_code rc = NX_OK;

    if (offset + len > inode->now.len)
        rc = sim_inode_resize(inode, offset + len);
    if (rc == NX_OK)
        rc = mark_dirty(inode, offset, len);
    if (rc == NX_OK && len)
        memcpy(inode->now.data + offset, data, len);
    return rc;
}

static bool is_dirty(const struct sim_inode *inode, size_t sector)
{
    return sector < inode->dirty.len && inode->dirty.data[sector] != 0;
}

/* Copy one sector of `now` into an image of the same file. */
static void carry(const struct sim_inode *inode, size_t sector, struct nx_buf *image)
{
    size_t at = sector * SIM_SECTOR_BYTES;
    size_t end = at + SIM_SECTOR_BYTES;

    end = end < image->len ? end : image->len;
    end = end < inode->now.len ? end : inode->now.len;
    if (at < end)
        memcpy(image->data + at, inode->now.data + at, end - at);
}

static size_t sectors_of(const struct nx_buf *image)
{
    return (image->len + SIM_SECTOR_BYTES - 1) / SIM_SECTOR_BYTES;
}

enum nx_code sim_inode_prepare_map(struct sim_inode *inode)
{
    size_t sectors = sectors_of(&inode->now);

    return sectors > inode->dirty.len ? nx_buf_resize(&inode->dirty, sectors) : NX_OK;
}

void sim_inode_store(struct sim_inode *inode, uint64_t offset, const void *data, size_t len,
                     uint64_t *random)
{
    size_t first = (size_t)(offset / SIM_SECTOR_BYTES);
    size_t end = (size_t)((offset + len + SIM_SECTOR_BYTES - 1) / SIM_SECTOR_BYTES);

    for (size_t i = first; i < end; i++)
        if (coin(random))
            carry(inode, i, &inode->safe);
    if (len)
        memcpy(inode->now.data + offset, data, len);
    memset(inode->dirty.data + first, 1, end - first);
}

enum nx_code sim_inode_sync(struct sim_inode *inode)
{
    enum nx_code rc = NX_OK;

    if (inode->is_size_dirty)
        rc = nx_buf_resize(&inode->safe, inode->now.len);
    if (rc != NX_OK)
        return rc;
    inode->is_size_dirty = false;
    for (size_t i = 0; i < sectors_of(&inode->now); i++)
        if (is_dirty(inode, i))
            carry(inode, i, &inode->safe);
    nx_buf_clear(&inode->dirty);
    return NX_OK;
}

static enum nx_code copy_buf(struct nx_buf *to, const struct nx_buf *from)
{
    return nx_buf_append(to, from->data, from->len);
}

static struct sim_inode *inode_copy(const struct sim_inode *inode)
{
    struct sim_inode *copy = sim_inode_new(inode->is_dir);

    if (!copy)
        return NULL;
    copy->is_size_dirty = inode->is_size_dirty;
    if (copy_buf(&copy->now, &inode->now) == NX_OK &&
        copy_buf(&copy->safe, &inode->safe) == NX_OK &&
        copy_buf(&copy->dirty, &inode->dirty) == NX_OK)
        return copy;
    sim_inode_unref(copy);
    return NULL;
}

/* Would carrying a sector over change the image? What was reserved reads as zeros either way. */
static bool is_news(const struct sim_inode *inode, size_t sector, const struct nx_buf *image)
{
    size_t at = sector * SIM_SECTOR_BYTES;
    size_t end = at + SIM_SECTOR_BYTES;

    end = end < image->len ? end : image->len;
    end = end < inode->now.len ? end : inode->now.len;
    return is_dirty(inode, sector) && at < end &&
           memcmp(image->data + at, inode->now.data + at, end - at) != 0;
}

/* What is left of a file: its size old or new, each dirty sector old or new. */
static struct sim_inode *inode_crash(const struct sim_inode *inode, struct sim_fate *fate)
{
    struct sim_inode *copy = sim_inode_new(inode->is_dir);
    bool is_new_size = inode->is_size_dirty && is_kept(fate);

    if (!copy)
        return NULL;
    if (copy_buf(&copy->safe, &inode->safe) != NX_OK ||
        nx_buf_resize(&copy->safe, is_new_size ? inode->now.len : inode->safe.len) != NX_OK) {
        sim_inode_unref(copy);
        return NULL;
    }
    for (size_t i = 0; i < sectors_of(&copy->safe); i++)
        if (is_news(inode, i, &copy->safe) && is_kept(fate))
            carry(inode, i, &copy->safe);
    if (copy_buf(&copy->now, &copy->safe) == NX_OK)
        return copy;
    sim_inode_unref(copy);
    return NULL;
}

/* --- names ------------------------------------------------------------------------------------ */

static struct sim_name *find_name(const struct sim_names *names, const char *path)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->rows[i].path, path) == 0)
            return &names->rows[i];
    return NULL;
}

static void drop_name(struct sim_names *names, struct sim_name *row)
{
    free(row->path);
    sim_inode_unref(row->inode);
    *row = names->rows[--names->count];
}

static enum nx_code put_name(struct sim_names *names, const char *path, struct sim_inode *inode)
{
    struct sim_name *row = find_name(names, path);

    if (!row) {
        if (names->count == names->cap) {
            size_t cap = names->cap ? names->cap * 2 : 16;
            struct sim_name *rows = realloc(names->rows, cap * sizeof *rows);

            if (!rows)
                return NX_ENOMEM;
            names->rows = rows;
            names->cap = cap;
        }
        row = &names->rows[names->count];
        *row = (struct sim_name){.path = strdup(path)};
        if (!row->path)
            return NX_ENOMEM;
        names->count++;
    }
    inode->refs++;
    sim_inode_unref(row->inode);
    row->inode = inode;
    return NX_OK;
}

static void names_fini(struct sim_names *names)
{
    while (names->count)
        drop_name(names, &names->rows[0]);
    free(names->rows);
    *names = (struct sim_names){0};
}

static enum nx_code apply_change(struct sim_names *names, const char *from, const char *to,
                                 struct sim_inode *inode)
{
    struct sim_name *row = from ? find_name(names, from) : NULL;

    if (from && (!row || row->inode != inode))
        return NX_OK; /* an earlier change of this name was lost, so this one had no effect */
    inode->refs++;
    if (row)
        drop_name(names, row);
    if (to && put_name(names, to, inode) != NX_OK) {
        sim_inode_unref(inode);
        return NX_ENOMEM;
    }
    sim_inode_unref(inode);
    return NX_OK;
}

struct sim_inode *sim_disk_find(const struct sim_disk *disk, const char *path)
{
    struct sim_name *row = find_name(&disk->now, path);

    return row ? row->inode : NULL;
}

const char *sim_disk_name_in(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    const char *slash = strrchr(path, '/');

    if (!slash || (size_t)(slash - path) != len || strncmp(path, dir, len) != 0)
        return NULL;
    return slash + 1;
}

/* A path without a slash, or with only a leading one, lies in the root, which is always there. */
static bool has_parent(const struct sim_names *names, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash || slash == path)
        return true;
    for (size_t i = 0; i < names->count; i++)
        if (names->rows[i].inode->is_dir && sim_disk_name_in(path, names->rows[i].path) != NULL)
            return true;
    return false;
}

bool sim_disk_has_parent(const struct sim_disk *disk, const char *path)
{
    return has_parent(&disk->now, path);
}

uint64_t sim_disk_bytes(const struct sim_disk *disk)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < disk->now.count; i++)
        bytes += disk->now.rows[i].inode->now.len;
    return bytes;
}

/* --- changes ---------------------------------------------------------------------------------- */

static void change_fini(struct sim_change *change)
{
    free(change->from);
    free(change->to);
    sim_inode_unref(change->inode);
}

static enum nx_code record(struct sim_disk *disk, const char *from, const char *to,
                           struct sim_inode *inode)
{
    struct sim_change change = {.from = from ? strdup(from) : NULL, .to = to ? strdup(to) : NULL};

    if (disk->change_count == disk->change_cap) {
        size_t cap = disk->change_cap ? disk->change_cap * 2 : 16;
        struct sim_change *changes = realloc(disk->changes, cap * sizeof *changes);

        if (!changes) {
            change_fini(&change);
            return NX_ENOMEM;
        }
        disk->changes = changes;
        disk->change_cap = cap;
    }
    if ((from && !change.from) || (to && !change.to)) {
        change_fini(&change);
        return NX_ENOMEM;
    }
    change.inode = inode;
    inode->refs++;
    disk->changes[disk->change_count++] = change;
    return NX_OK;
}

enum nx_code sim_disk_change(struct sim_disk *disk, const char *from, const char *to,
                             struct sim_inode *inode)
{
    enum nx_code rc = record(disk, from, to, inode);

    return rc == NX_OK ? apply_change(&disk->now, from, to, inode) : rc;
}

static bool is_in(const char *path, const char *dir)
{
    return path && sim_disk_name_in(path, dir) != NULL;
}

enum nx_code sim_disk_sync_dir(struct sim_disk *disk, const char *dir)
{
    size_t kept = 0;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < disk->change_count; i++) {
        struct sim_change *change = &disk->changes[i];

        if (rc == NX_OK && (is_in(change->from, dir) || is_in(change->to, dir))) {
            rc = apply_change(&disk->safe, change->from, change->to, change->inode);
            change_fini(change);
        } else {
            disk->changes[kept++] = *change;
        }
    }
    disk->change_count = kept;
    return rc;
}

/* --- copies ----------------------------------------------------------------------------------- */

void sim_disk_fini(struct sim_disk *disk)
{
    names_fini(&disk->now);
    names_fini(&disk->safe);
    for (size_t i = 0; i < disk->change_count; i++)
        change_fini(&disk->changes[i]);
    free(disk->changes);
    *disk = (struct sim_disk){0};
}

/* Forget the copies, giving up the reference that made each. */
static void forget_copy(struct sim_inode *inode)
{
    sim_inode_unref(inode->copy);
    inode->copy = NULL;
}

static void forget_copies(const struct sim_disk *disk)
{
    for (size_t i = 0; i < disk->now.count; i++)
        forget_copy(disk->now.rows[i].inode);
    for (size_t i = 0; i < disk->safe.count; i++)
        forget_copy(disk->safe.rows[i].inode);
    for (size_t i = 0; i < disk->change_count; i++)
        forget_copy(disk->changes[i].inode);
}

static struct sim_inode *copy_once(struct sim_inode *inode)
{
    if (!inode->copy)
        inode->copy = inode_copy(inode);
    return inode->copy;
}

static enum nx_code copy_names(const struct sim_names *names, struct sim_names *out)
{
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < names->count && rc == NX_OK; i++) {
        struct sim_inode *copy = copy_once(names->rows[i].inode);

        rc = copy ? put_name(out, names->rows[i].path, copy) : NX_ENOMEM;
    }
    return rc;
}

enum nx_code sim_disk_copy(const struct sim_disk *disk, struct sim_disk *out)
{
    enum nx_code rc;

    *out = (struct sim_disk){0};
    rc = copy_names(&disk->now, &out->now);
    if (rc == NX_OK)
        rc = copy_names(&disk->safe, &out->safe);
    for (size_t i = 0; i < disk->change_count && rc == NX_OK; i++) {
        struct sim_inode *copy = copy_once(disk->changes[i].inode);

        rc = copy ? record(out, disk->changes[i].from, disk->changes[i].to, copy) : NX_ENOMEM;
    }
    forget_copies(disk);
    if (rc != NX_OK)
        sim_disk_fini(out);
    return rc;
}

static void drop_unreachable(struct sim_names *names)
{
    bool has_dropped = true;

    while (has_dropped) {
        has_dropped = false;
        for (size_t i = 0; i < names->count; i++)
            if (!has_parent(names, names->rows[i].path)) {
                drop_name(names, &names->rows[i]);
                has_dropped = true;
                break;
            }
    }
}

/* The names that are left: a moment's of a journal that keeps order, or any subset of changes. */
static enum nx_code crash_names(const struct sim_disk *disk, struct sim_fate *fate,
                                struct sim_names *out)
{
    bool is_ordered = !fate->answers && coin(&fate->seed);
    size_t kept = is_ordered ? sim_random(&fate->seed) % (disk->change_count + 1) : 0;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < disk->safe.count && rc == NX_OK; i++)
        rc = put_name(out, disk->safe.rows[i].path, disk->safe.rows[i].inode);
    for (size_t i = 0; i < disk->change_count && rc == NX_OK; i++) {
        const struct sim_change *change = &disk->changes[i];

        if (is_ordered ? i < kept : is_kept(fate))
            rc = apply_change(out, change->from, change->to, change->inode);
    }
    drop_unreachable(out);
    return rc;
}

enum nx_code sim_disk_crash(const struct sim_disk *disk, struct sim_fate *fate,
                            struct sim_disk *out)
{
    struct sim_names names = {0};
    enum nx_code rc = crash_names(disk, fate, &names);

    *out = (struct sim_disk){0};
    for (size_t i = 0; i < names.count && rc == NX_OK; i++) {
        struct sim_inode *inode = names.rows[i].inode;

        if (!inode->copy)
            inode->copy = inode_crash(inode, fate);
        rc = inode->copy ? put_name(&out->now, names.rows[i].path, inode->copy) : NX_ENOMEM;
        if (rc == NX_OK)
            rc = put_name(&out->safe, names.rows[i].path, inode->copy);
    }
    forget_copies(disk);
    names_fini(&names);
    if (rc != NX_OK)
        sim_disk_fini(out);
    return rc;
}

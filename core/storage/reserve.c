/*
 * reserve.c - the file of unused bytes.
 *
 *              follow or note_full: no room              restore: there is room
 *      whole ----------------------------------> short -------------------------> whole
 *        \------------ release ----------------->/
 *
 * Its bytes are allocated, never written and never synced: after a crash whatever is there is taken
 * up again. Any error but a full disk means a file system that cannot reserve space, or one that is
 * about to fail where it matters more; then the reserve claims nothing.
 */
#include "storage/reserve.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "storage/wal_segment.h"

#define SHRINK_PART 4    /* a log so much shorter is one at rest, not one between two flushes */
#define PLENTY_FACTOR 16 /* of the cap: a disk with so much room need not be watched */

struct reserve {
    struct nx_io *io; /* outlives us */
    char *dir;        /* owned */
    uint64_t cap;
    struct nx_mutex mu;   /* I/O under it */
    struct nx_file *file; /* guarded by mu; owned; NULL: none could be made */
    uint64_t bytes;       /* guarded by mu; what it has */
    uint64_t goal;        /* guarded by mu; what it should have */
    _Atomic bool is_short;
};

static void open_file(struct reserve *reserve) NX_NO_THREAD_SAFETY /* nobody knows it yet */
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_io *io = reserve->io;
    uint64_t bytes;

    if (storage_path(&path, reserve->dir, RESERVE_NAME, NULL) != NX_OK)
        return;
    if (io->ops->open(io, (const char *)path.data, NX_OPEN_WRITE | NX_OPEN_CREATE, &reserve->file,
                      NULL) == NX_OK &&
        reserve->file->ops->size(reserve->file, &bytes, NULL) == NX_OK)
        reserve->bytes = bytes;
}

enum nx_code reserve_open(struct nx_io *io, const char *dir, uint64_t cap_bytes,
                          struct reserve **out, struct nx_err *err)
{
    struct reserve *reserve = calloc(1, sizeof *reserve);

    *out = NULL;
    if (!reserve)
        return nx_fail_nomem(err);
    reserve->io = io;
    reserve->cap = cap_bytes;
    reserve->dir = strdup(dir);
    nx_mutex_init(&reserve->mu, NX_RANK_ENGINE_RESERVE);
    if (!reserve->dir) {
        reserve_close(reserve);
        return nx_fail_nomem(err);
    }
    open_file(reserve);
    *out = reserve;
    return NX_OK;
}

void reserve_close(struct reserve *reserve)
{
    if (!reserve)
        return;
    if (reserve->file)
        reserve->file->ops->close(reserve->file);
    nx_mutex_fini(&reserve->mu);
    free(reserve->dir);
    free(reserve);
}

static void grow(struct reserve *reserve) NX_REQUIRES(reserve->mu)
{
    enum nx_code rc = reserve->file->ops->allocate(reserve->file, reserve->goal, NULL);

    if (rc == NX_OK)
        reserve->bytes = reserve->goal;
    atomic_store(&reserve->is_short, rc == NX_ENOSPC);
}

/* Where the disk is small or nearly full, what was reserved might not be had again. */
static bool may_shrink(struct reserve *reserve, uint64_t goal) NX_REQUIRES(reserve->mu)
{
    struct nx_space space;

    return goal <= reserve->goal / SHRINK_PART && reserve->file &&
           !atomic_load(&reserve->is_short) &&
           reserve->io->ops->space(reserve->io, reserve->dir, &space, NULL) == NX_OK &&
           space.available_bytes / PLENTY_FACTOR >= reserve->cap;
}

static void shrink(struct reserve *reserve, uint64_t goal) NX_REQUIRES(reserve->mu)
{
    reserve->goal = goal;
    if (reserve->file->ops->truncate(reserve->file, goal, NULL) == NX_OK)
        reserve->bytes = goal;
}

void reserve_follow(struct reserve *reserve, uint64_t log_bytes)
{
    uint64_t goal;

    if (!reserve)
        return;
    goal = log_bytes < reserve->cap ? log_bytes : reserve->cap;
    nx_mutex_lock(&reserve->mu);
    if (goal > reserve->goal)
        reserve->goal = goal;
    else if (may_shrink(reserve, goal))
        shrink(reserve, goal);
    if (reserve->file && reserve->bytes < reserve->goal && !atomic_load(&reserve->is_short))
        grow(reserve);
    nx_mutex_unlock(&reserve->mu);
}

/* What is in the log can only leave it by a flush: that comes last, and finds most of it. */
static uint64_t kept_from(const struct reserve *reserve, enum reserve_user user)
    NX_REQUIRES(reserve->mu)
{
    return user == RESERVE_FLUSH ? 0 : user == RESERVE_NOBODY ? UINT64_MAX : reserve->goal / 4 * 3;
}

bool reserve_release(struct reserve *reserve, enum reserve_user user, uint64_t bytes)
{
    uint64_t given = 0, kept;

    if (!reserve)
        return false;
    nx_mutex_lock(&reserve->mu);
    kept = kept_from(reserve, user);
    atomic_store(&reserve->is_short, true);
    if (reserve->file && reserve->bytes > kept) {
        uint64_t most = reserve->bytes - kept;
        uint64_t left = reserve->bytes - (bytes < most ? bytes : most);

        if (reserve->file->ops->truncate(reserve->file, left, NULL) == NX_OK) {
            given = reserve->bytes - left;
            reserve->bytes = left;
        }
    }
    nx_mutex_unlock(&reserve->mu);
    return given > 0;
}

void reserve_note_full(struct reserve *reserve)
{
    if (reserve)
        atomic_store(&reserve->is_short, true);
}

bool reserve_is_short(const struct reserve *reserve)
{
    return atomic_load(&reserve->is_short);
}

/* Asking for the space first costs a microsecond; trying to allocate it may cost milliseconds. */
static bool has_room(struct reserve *reserve, uint64_t spare_bytes) NX_REQUIRES(reserve->mu)
{
    uint64_t missing = reserve->goal > reserve->bytes ? reserve->goal - reserve->bytes : 0;
    struct nx_space space;

    return reserve->io->ops->space(reserve->io, reserve->dir, &space, NULL) != NX_OK ||
           space.available_bytes >= missing + spare_bytes;
}

bool reserve_restore(struct reserve *reserve, uint64_t spare_bytes)
{
    if (!atomic_load(&reserve->is_short))
        return true;
    nx_mutex_lock(&reserve->mu);
    if (atomic_load(&reserve->is_short) && has_room(reserve, spare_bytes)) {
        if (reserve->file)
            grow(reserve);
        else
            atomic_store(&reserve->is_short, false);
    }
    nx_mutex_unlock(&reserve->mu);
    return !atomic_load(&reserve->is_short);
}

uint64_t reserve_bytes(struct reserve *reserve)
{
    uint64_t bytes;

    nx_mutex_lock(&reserve->mu);
    bytes = reserve->bytes;
    nx_mutex_unlock(&reserve->mu);
    return bytes;
}

/*
 * snapshots.c - the folder of named snapshots.
 *
 * A snapshot's own name is looked up again each time, because the other door may drop it; what is
 * below it never changes, and is kept by the kernel for long.
 */
#include "fs/snapshots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/errors.h"
#include "fs/magic.h"
#include "fs/place.h"
#include "fs/pool.h"
#include "fs/reply.h"

bool snapshots_is_folder(fuse_ino_t ino)
{
    return ino == magic_ino(MAGIC_SNAPSHOTS, NX_ROOT_INO);
}

/* --- the names in it ---------------------------------------------------------------------------
 */

/* The root as it was; changed (ctime) when the snapshot was made. */
static enum nx_code root_of(struct fs *fs, const struct nx_snapshot_info *info, struct nx_attr *out,
                            struct nx_err *err)
{
    struct fs_place place;
    enum nx_code rc = place_open(fs, place_ino(info->number, NX_ROOT_INO), &place, err);

    if (rc != NX_OK)
        return rc;
    rc = place_stat(fs, &place, out, err);
    out->ctime_ns = info->time_ns;
    place_close(&place);
    return rc;
}

static void reply_short(fuse_req_t req, const struct nx_attr *attr)
{
    struct fuse_entry_param entry = {.ino = attr->ino};

    reply_stat(attr, &entry.attr);
    fuse_reply_entry(req, &entry);
}

void snapshots_lookup(fuse_req_t req, const char *name)
{
    struct fs *fs = fs_of(req);
    struct nx_snapshot_info info;
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr;
    enum nx_code rc = nx_engine_snapshot_find(fs->engine, name, strlen(name), &info, &err);

    if (rc == NX_OK)
        rc = root_of(fs, &info, &attr, &err);
    if (rc == NX_OK)
        reply_short(req, &attr);
    else
        reply_fail(req, "lookup", &err);
}

enum nx_code snapshots_next(struct fs *fs, uint32_t *number, char name[NX_SNAPSHOT_NAME_MAX + 1],
                            struct nx_attr *out)
{
    struct nx_snapshot_info info;

    while (nx_engine_snapshot_next(fs->engine, *number, &info) == NX_OK) {
        *number = info.number;
        if (root_of(fs, &info, out, NULL) != NX_OK)
            continue; /* dropped meanwhile */
        memcpy(name, info.name, sizeof info.name);
        return NX_OK;
    }
    return NX_DONE;
}

/* --- changes ------------------------------------------------------------------------------------
 */

struct work {
    struct job job;
    struct strand strand; /* of this job alone */
    fuse_req_t req;
    enum nx_code (*run)(struct work *work, struct nx_err *err);
    struct nx_attr attr; /* of what was made */
    bool has_attr;
    char name[NX_SNAPSHOT_NAME_MAX + 1], to[NX_SNAPSHOT_NAME_MAX + 1];
};

static void run_work(struct job *job)
{
    struct work *work = (struct work *)job;
    struct nx_err err = NX_ERR_INIT;

    if (work->run(work, &err) != NX_OK) {
        errors_add(fs_of(work->req)->errors, NX_ROOT_INO, work->name, &err, NX_SLICE_NULL);
        reply_fail(work->req, "snapshot", &err);
    } else if (work->has_attr) {
        reply_short(work->req, &work->attr);
    } else {
        fuse_reply_err(work->req, 0);
    }
    free(work);
}

static void start(fuse_req_t req, const char *name, const char *to,
                  enum nx_code (*run)(struct work *work, struct nx_err *err))
{
    struct work *work;

    if (strlen(name) > NX_SNAPSHOT_NAME_MAX || strlen(to) > NX_SNAPSHOT_NAME_MAX) {
        fuse_reply_err(req, ENAMETOOLONG);
        return;
    }
    work = calloc(1, sizeof *work);
    if (!work) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    work->job = (struct job){.run = run_work, .ends_strand = true};
    work->req = req;
    work->run = run;
    memcpy(work->name, name, strlen(name));
    memcpy(work->to, to, strlen(to));
    pool_submit(fs_of(req)->pool, &work->strand, &work->job);
}

static enum nx_code make(struct work *work, struct nx_err *err)
{
    struct fs *fs = fs_of(work->req);
    struct nx_snapshot_info info;
    enum nx_code rc =
        nx_engine_snapshot_make(fs->engine, work->name, strlen(work->name), &info, err);

    work->has_attr = true;
    return rc == NX_OK ? root_of(fs, &info, &work->attr, err) : rc;
}

static enum nx_code drop(struct work *work, struct nx_err *err)
{
    return nx_engine_snapshot_drop(fs_of(work->req)->engine, work->name, strlen(work->name), err);
}

static enum nx_code move(struct work *work, struct nx_err *err)
{
    return nx_engine_snapshot_rename(fs_of(work->req)->engine, work->name, strlen(work->name),
                                     work->to, strlen(work->to), err);
}

void snapshots_mkdir(fuse_req_t req, const char *name)
{
    start(req, name, "", make);
}

void snapshots_rmdir(fuse_req_t req, const char *name)
{
    start(req, name, "", drop);
}

void snapshots_rename(fuse_req_t req, const char *from, const char *to)
{
    start(req, from, to, move);
}

/* place.c - from the kernel's numbers to a node and a snapshot. */
#include "fs/place.h"

#include "fs/magic.h"

enum nx_code place_open(struct fs *fs, fuse_ino_t ino, struct fs_place *out, struct nx_err *err)
{
    *out = (struct fs_place){.ino = ino & PLACE_NUMBER_MASK, .number = place_snapshot(ino)};
    if (place_is_find(ino))
        return nx_fail(err, NX_ENOTFOUND, "number %ju is of a query", (uintmax_t)ino);
    if (!out->number)
        return NX_OK;
    return nx_engine_snapshot_open(fs->engine, out->number, NULL, &out->snapshot, err);
}

void place_close(struct fs_place *place)
{
    nx_snapshot_release(place->snapshot);
    place->snapshot = NULL;
}

struct nx_snapshot *place_take(struct fs_place *place)
{
    struct nx_snapshot *snapshot = place->snapshot;

    place->snapshot = NULL;
    return snapshot;
}

/* A snapshot's root lies in the folder of snapshots. */
void place_attr(uint32_t snapshot, struct nx_attr *attr)
{
    if (!snapshot)
        return;
    if (attr->ino == NX_ROOT_INO)
        attr->parent = magic_ino(MAGIC_SNAPSHOTS, NX_ROOT_INO);
    else if (attr->parent)
        attr->parent = place_ino(snapshot, attr->parent);
    attr->ino = place_ino(snapshot, attr->ino);
}

enum nx_code place_stat(struct fs *fs, const struct fs_place *place, struct nx_attr *out,
                        struct nx_err *err)
{
    enum nx_code rc = nx_db_stat(fs->db, place->snapshot, place->ino, out, err);

    if (rc == NX_OK)
        place_attr(place->number, out);
    return rc;
}

/*
 * place.h - node numbers as the kernel knows them, and what they stand for.
 *
 *     bits 0-47   the store's number
 *     bits 48-57  a named snapshot's number; 0: the live tree
 *     bits 58-62  a magic file's row and 1; 0: none. The rest is then its directory.
 *                 31: a document of the live tree, by a second number (decision 0075)
 *     bit 63      below `.find/`: bits 48-62 are then a slot of its table (find.h), the rest 0 for
 *                 the directory itself, a document's number for its projection there, or, from the
 *                 top, the row of a magic file
 *
 * So nothing is kept for what was looked up, in whatever snapshot, but for result directories.
 *
 * Threads: any.
 */
#ifndef FS_PLACE_H
#define FS_PLACE_H

#include "fs/mount.h"

#define PLACE_NUMBER_BITS 48
#define PLACE_KIND_SHIFT 58
#define PLACE_DIR_MASK ((UINT64_C(1) << PLACE_KIND_SHIFT) - 1)
#define PLACE_NUMBER_MASK ((UINT64_C(1) << PLACE_NUMBER_BITS) - 1)
#define PLACE_SECOND (UINT64_C(31) << PLACE_KIND_SHIFT)
#define PLACE_FIND (UINT64_C(1) << 63)
#define PLACE_FIND_BITS 15
#define PLACE_FIND_MAGIC (PLACE_NUMBER_MASK - 31) /* the first number of a magic file's */

_Static_assert(NX_SNAPSHOTS_MAX < 1 << (PLACE_KIND_SHIFT - PLACE_NUMBER_BITS),
               "a snapshot's number fits");

/* A node of the store, and when. */
struct fs_place {
    nx_ino ino;
    uint32_t number;              /* of the snapshot; 0: live */
    struct nx_snapshot *snapshot; /* owned; NULL: live */
};

static inline bool place_is_find(fuse_ino_t ino)
{
    return ino >> 63 != 0;
}
/* What requests by a second number are about. */
static inline fuse_ino_t place_first(fuse_ino_t ino)
{
    return ino >> PLACE_KIND_SHIFT == PLACE_SECOND >> PLACE_KIND_SHIFT ? ino & ~PLACE_SECOND : ino;
}
static inline fuse_ino_t place_find_ino(unsigned slot)
{
    return PLACE_FIND | (uint64_t)slot << PLACE_NUMBER_BITS;
}
/* The result directory that a number below `.find/` is of, or in. */
static inline fuse_ino_t place_find_dir(fuse_ino_t ino)
{
    return ino & ~PLACE_NUMBER_MASK;
}
/* 0 below `.find/`: find_dir.base tells. */
static inline uint32_t place_snapshot(fuse_ino_t ino)
{
    return place_is_find(ino) ? 0 : (uint32_t)((ino & PLACE_DIR_MASK) >> PLACE_NUMBER_BITS);
}
static inline fuse_ino_t place_ino(uint32_t snapshot, nx_ino ino)
{
    return (uint64_t)snapshot << PLACE_NUMBER_BITS | ino;
}
/* Of a magic file: its directory. NX_ENOTFOUND when the snapshot is gone, and for what is below
 * `.find/`, which has no node. */
enum nx_code place_open(struct fs *fs, fuse_ino_t ino, struct fs_place *out, struct nx_err *err);
void place_close(struct fs_place *place);
/* Take the snapshot over; NULL: live. */
struct nx_snapshot *place_take(struct fs_place *place);
/* Attributes as the store gave them become the kernel's. */
void place_attr(uint32_t snapshot, struct nx_attr *attr);
/* Those of the node itself. */
enum nx_code place_stat(struct fs *fs, const struct fs_place *place, struct nx_attr *out,
                        struct nx_err *err);

#endif

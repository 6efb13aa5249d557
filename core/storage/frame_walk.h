/*
 * frame_walk.h - every frame of a log segment or manifest, and the stretches between them that are
 * none: for the tools that go on where an open must stop.
 */
#ifndef STORAGE_FRAME_WALK_H
#define STORAGE_FRAME_WALK_H

#include <nexadb/io.h>

#include "storage/frame.h"

struct frame_step {
    uint64_t offset, bytes;
    const struct frame *frame; /* NULL: damaged, or written only in part */
    struct nx_slice payload;
};

/* A code other than NX_OK ends the walk. */
typedef enum nx_code (*frame_step_fn)(void *arg, const struct frame_step *step, struct nx_err *err);

/* All of a file in `out`. */
enum nx_code file_load(struct nx_io *io, const char *path, struct nx_buf *out, struct nx_err *err);

/* Walk `bytes`, the whole file `number`, from `offset` on, up to where only zeros follow. */
enum nx_code frame_walk(struct nx_slice bytes, uint64_t offset, uint64_t number, uint64_t seed,
                        frame_step_fn fn, void *arg, struct nx_err *err);

#endif

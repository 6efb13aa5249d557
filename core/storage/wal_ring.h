/*
 * wal_ring.h - where frames wait to be written to the log: a small file, mapped, that outlives the
 * program.
 *
 * The ring is an image of the log's newest bytes: those of position p are at p modulo its size, in
 * exactly the form that they have in the segment. So a put is a copy and no system call, and who
 * replays the log after a kill finds behind the log's end the frames that go on from there.
 *
 *     ring_put ->  LIVE  -- ring_write_out fails -->  FROZEN  -- ring_thaw -->  THAWED --+
 *                   ^                                                                   |
 *                   +------------------------------- ring_aim ---------------------------+
 *
 * A frozen ring keeps what it holds, for the next open: the frames' own file has refused them.
 *
 * Threads: ring_put, ring_aim and ring_pass by the appending thread; the rest any.
 * Format:  FORMAT.md, "Ring".
 */
#ifndef STORAGE_WAL_RING_H
#define STORAGE_WAL_RING_H

#include <stdbool.h>
#include <stdint.h>

#include <nexadb/buf.h>
#include <nexadb/io.h>

#include "storage/frame.h"

#define RING_NAME "RING"
#define RING_MIN_BYTES (16u << 10)
#define RING_MAX_BYTES (64u << 20)

struct wal_ring;

/* NULL when it cannot be had: no memory may be locked, the file system maps no files, the disk is
 * full. The log is then written directly. What the file holds is only given up piece by piece. */
struct wal_ring *ring_open(struct nx_io *io, const char *dir, uint64_t bytes);
void ring_close(struct wal_ring *ring); /* NULL is fine; what it holds stays in the file */
/* Close it and remove the file: all that it held is in the log. */
void ring_remove(struct wal_ring *ring, struct nx_io *io, const char *dir);
/* The image, for replay. Empty when there is none, or none that could be right. */
enum nx_code ring_read(struct nx_io *io, const char *dir, struct nx_buf *out, struct nx_err *err);

/* A place in the log, and the hash of the frame that ends there. */
struct ring_place {
    uint64_t position, number, seed, previous;
};
/* *out, in `room`, is the frame that goes on from `place`; NULL when the image has none. */
enum nx_code ring_find(const struct nx_buf *image, const struct ring_place *place,
                       struct frame *frame, struct nx_buf *room, const uint8_t **out,
                       struct nx_err *err);

/* From `position` on frames belong to segment `number`, whose first byte has position `base`.
 * `file` stays the segment's. Nothing may be waiting. Without effect on a frozen ring. */
void ring_aim(struct wal_ring *ring, struct nx_file *file, uint64_t number, uint64_t base,
              uint64_t position);
bool ring_is_live(const struct wal_ring *ring); /* frames may be put; NULL: no */
bool ring_is_thawed(const struct wal_ring *ring);
/* True for a frame that is small enough to be put. */
bool ring_takes(const struct wal_ring *ring, uint64_t len);
/* Copy the frame at `position`, behind the last one. The file has room for it. Writes out what
 * waits when that is much. */
enum nx_code ring_put(struct wal_ring *ring, uint64_t position, const void *frame, size_t len,
                      struct nx_err *err);
/* The bytes before `position` were written by the caller. */
void ring_pass(struct wal_ring *ring, uint64_t position);

/* Write what waits before `position` to the segment. On failure the ring is frozen. */
enum nx_code ring_write_out(struct wal_ring *ring, uint64_t position, struct nx_err *err);
/* Does it hold frames that its segment, *number, does not have and never will? */
bool ring_is_frozen(struct wal_ring *ring, uint64_t *number);
/* Segment `number` is not needed any more, nor what is held for it. */
void ring_thaw(struct wal_ring *ring, uint64_t number);
uint64_t ring_bytes(const struct wal_ring *ring); /* NULL: 0 */

#endif

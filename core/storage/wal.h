/*
 * wal.h - the write-ahead log: numbered, preallocated segment files of chained frames.
 *
 * A position counts bytes from the first segment's start through all segments. Everything before
 * wal_durable() is on stable storage.
 *
 *     wal_open -> [wal_append]* -> full: the prepared next segment -> wal_remove_before
 *                  |
 *                  +-- a failed write:    the next append goes to a new segment; when the frames
 *                  |                      were acknowledged in the ring, the old one is lost
 *                  +-- a failed datasync: the segment is lost; nothing more becomes durable while
 *                                         it is part of the log (wal_needs_flush)
 *
 * Threads:  wal_append, wal_leave_used, wal_asks_to_prepare and wal_close by one thread at a time
 * (the commit lock says which); everything else from any thread. Errors:   NX_EIO, NX_ENOSPC,
 * NX_ENOMEM: nothing was appended and the log can be used on. Format:   FORMAT.md, "Log segment".
 */
#ifndef STORAGE_WAL_H
#define STORAGE_WAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nexadb/buf.h>
#include <nexadb/io.h>

#include "storage/frame.h"
#include "storage/reserve.h"

struct wal;

#define WAL_NAME_BYTES 32
#define WAL_HEADER_BYTES 4096u

/* "000001.wal" */
void wal_name(uint64_t number, char out[WAL_NAME_BYTES]);
bool wal_name_parse(const char *name, uint64_t *number);

/* A segment that is not written any more. */
struct wal_segment_info {
    uint64_t number;
    uint64_t base;       /* position of its first byte */
    uint64_t end_offset; /* just behind its last frame */
};

struct wal_piece {
    uint64_t number, offset; /* segment, and where in it */
    size_t len;
};

/* Where a log ends: what replay found and the next segment is chained to. */
struct wal_tail {
    struct wal_segment_info *segments; /* owned; the replayed ones, oldest first */
    size_t count;
    uint64_t hash;        /* of the last frame */
    uint64_t position;    /* of the end */
    uint64_t durable;     /* highest claim found */
    uint64_t last_number; /* highest number of any segment file, replayed or not */
    uint64_t sequence;    /* the last change's; 0 when there was none */
    bool closed;          /* in order: all of it is durable */
    /* Frames that were only in the ring: pieces of segments, their bytes one behind the other. */
    struct wal_piece *pieces; /* owned */
    size_t piece_count;
    struct nx_buf piece_bytes;
};
#define WAL_TAIL_INIT ((struct wal_tail){0})
void wal_tail_fini(struct wal_tail *tail);

/* --- reading (wal_read.c) --------------------------------------------------------------------- */

typedef enum nx_code (*wal_replay_fn)(void *arg, const struct frame *frame, struct nx_slice payload,
                                      struct nx_err *err);
/*
 * Give every frame from segment `first` on to `fn`, in order, up to the end or a torn tail.
 * NX_ECORRUPT, naming file and offset, for damage in front of what was once durable, for a missing
 * segment, and for what `fn` says so of; NX_EVERSION for another format.
 */
enum nx_code wal_replay(struct nx_io *io, const char *dir, const uint8_t uuid[16], uint64_t first,
                        wal_replay_fn fn, void *arg, struct wal_tail *tail, struct nx_err *err);

/* --- writing ---------------------------------------------------------------------------------- */

struct wal_options {
    uint64_t segment_bytes;
    uint64_t ring_bytes;     /* 0: every frame is written at once */
    struct reserve *reserve; /* outlives the log; NULL: none */
};

/* Start a new segment behind `tail`, once what only the ring held is in the log too. Unless that
 * was closed in order, its segments are lost ones too: what was only read back may never have been
 * on disk. */
enum nx_code wal_open(struct nx_io *io, const char *dir, const uint8_t uuid[16],
                      const struct wal_options *options, const struct wal_tail *tail,
                      struct wal **out, struct nx_err *err);
/* One frame of `parts`. When this returns, a kill of the program does not lose it. On a full disk
 * its space may come from what `user` may have of the reserve. */
enum nx_code wal_append(struct wal *wal, uint64_t sequence, uint32_t count,
                        const struct nx_slice *parts, size_t part_count, enum reserve_user user,
                        struct nx_err *err);
/* Go on in a new segment if writing or syncing the current one failed, or if it holds more than a
 * little: once its changes are in tables it can be removed. */
enum nx_code wal_leave_used(struct wal *wal, struct nx_err *err);
/* Make what was appended durable. While wal_needs_flush that cannot be: the caller must write the
 * changes elsewhere and remove the lost segments with wal_remove_before. */
enum nx_code wal_sync(struct wal *wal, struct nx_err *err);
/* True once a segment, when half of it is used: somebody should call wal_prepare soon. */
bool wal_asks_to_prepare(struct wal *wal);
/* Create the next segment ahead of need. A failure shows when the segment is needed. */
void wal_prepare(struct wal *wal);
/* A segment of the log is lost, or the ring holds what its segment refused. */
bool wal_needs_flush(const struct wal *wal);

uint64_t wal_end(const struct wal *wal); /* position behind the last append */
uint64_t wal_durable(const struct wal *wal);
bool wal_starts_before(struct wal *wal, uint64_t position); /* by a whole segment */
uint64_t wal_first_number(struct wal *wal);
/* Where the log may start when what lies before `position` is not needed: never at a segment whose
 * header may not be on disk, as the next open must find it (I10). */
uint64_t wal_first_needed(struct wal *wal, uint64_t position);
/* Remove older segments. What cannot be removed goes at the next open. */
void wal_remove_before(struct wal *wal, uint64_t number);
uint64_t wal_bytes(struct wal *wal); /* of the segment files and the ring */

/* Sync, mark the log closed and free it. The first error; freed all the same. */
enum nx_code wal_close(struct wal *wal, struct nx_err *err);
/* Free it and close its files as a crash would leave them. NULL is fine. */
void wal_abandon(struct wal *wal);

#endif

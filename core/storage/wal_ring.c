/*
 * wal_ring.c - the ring that frames of the log wait in.
 *
 * Positions before `written` are in the segment's file, those from there on only here, so the ring
 * is never filled past `written` plus its size. The appending thread copies a frame first and
 * publishes the log's end afterwards; who writes out reads that end and then the bytes before it.
 *
 * The pages are written once, so that they have their blocks, and locked, so that they are never
 * read back: no store meets a full disk or a failing read. The file is never synced.
 */
#include "storage/wal_ring.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "storage/mutation.h"
#include "storage/wal_segment.h"

/* What waits is written in pieces: large enough that the call costs little a frame, small enough
 * that the one commit that makes it is not noticed. */
enum { PIECES = 8, PIECE_MAX = 128 << 10, PAGE_BYTES = 4096 };

enum ring_state { RING_THAWED, RING_LIVE, RING_FROZEN };

struct wal_ring {
    struct nx_file *file; /* owned */
    uint8_t *bytes;       /* the mapping */
    uint64_t size;
    _Atomic enum ring_state state; /* frozen and live again: under mu */
    _Atomic uint64_t written;      /* release: changed under mu; see above */

    struct nx_mutex mu;      /* one write-out at a time; I/O under it */
    struct nx_file *segment; /* guarded by mu; the log's */
    uint64_t number, base;   /* guarded by mu; of the segment */
};

/* --- the file --------------------------------------------------------------------------------- */

static enum nx_code fill(struct nx_file *file, uint64_t bytes, struct nx_err *err)
{
    static const uint8_t zeros[16 << 10];
    enum nx_code rc = NX_OK;

    for (uint64_t at = 0; at < bytes && rc == NX_OK; at += sizeof zeros)
        rc = file->ops->pwrite(
            file, at, zeros, bytes - at < sizeof zeros ? (size_t)(bytes - at) : sizeof zeros, err);
    return rc;
}

/* A file of the right size was filled when it was made. */
static enum nx_code open_file(struct nx_io *io, const char *path, uint64_t bytes,
                              struct nx_file **out)
{
    struct nx_file *file;
    uint64_t size;
    enum nx_code rc = io->ops->open(io, path, NX_OPEN_WRITE | NX_OPEN_CREATE, &file, NULL);

    if (rc != NX_OK)
        return rc;
    rc = file->ops->size(file, &size, NULL);
    if (rc == NX_OK && size != bytes) {
        rc = file->ops->truncate(file, 0, NULL);
        if (rc == NX_OK)
            rc = fill(file, bytes, NULL);
    }
    if (rc == NX_OK) {
        *out = file;
        return NX_OK;
    }
    file->ops->close(file);
    return rc;
}

static enum nx_code map_file(struct wal_ring *ring, uint64_t bytes)
{
    void *address;
    enum nx_code rc = ring->file->ops->map(ring->file, (size_t)bytes, &address, NULL);

    if (rc != NX_OK)
        return rc;
    ring->bytes = address;
    ring->size = bytes;
    return NX_OK;
}

struct wal_ring *ring_open(struct nx_io *io, const char *dir, uint64_t bytes)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct wal_ring *ring;

    if (storage_path(&path, dir, RING_NAME, NULL) != NX_OK)
        return NULL;
    ring = calloc(1, sizeof *ring);
    if (!ring)
        return NULL;
    nx_mutex_init(&ring->mu, NX_RANK_ENGINE_LOG);
    bytes -= bytes % PAGE_BYTES;
    if (bytes && open_file(io, (const char *)path.data, bytes, &ring->file) == NX_OK &&
        map_file(ring, bytes) == NX_OK)
        return ring;
    ring_remove(ring, io, dir);
    return NULL;
}

void ring_close(struct wal_ring *ring)
{
    if (!ring)
        return;
    if (ring->bytes)
        ring->file->ops->unmap(ring->file, ring->bytes, (size_t)ring->size);
    if (ring->file)
        ring->file->ops->close(ring->file);
    nx_mutex_fini(&ring->mu);
    free(ring);
}

void ring_remove(struct wal_ring *ring, struct nx_io *io, const char *dir)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    ring_close(ring);
    if (storage_path(&path, dir, RING_NAME, NULL) == NX_OK)
        io->ops->remove(io, (const char *)path.data, NULL);
}

static enum nx_code read_image(struct nx_file *file, struct nx_buf *out, struct nx_err *err)
{
    uint64_t size;
    size_t got;
    enum nx_code rc = file->ops->size(file, &size, err);

    if (rc != NX_OK || size < RING_MIN_BYTES || size > RING_MAX_BYTES || size % PAGE_BYTES)
        return rc; /* a crash came while it was made */
    if (nx_buf_resize(out, (size_t)size) != NX_OK)
        return nx_fail_nomem(err);
    rc = file->ops->pread(file, 0, out->data, (size_t)size, &got, err);
    if (rc == NX_OK && got != size)
        nx_buf_clear(out);
    return rc;
}

enum nx_code ring_read(struct nx_io *io, const char *dir, struct nx_buf *out, struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err why = NX_ERR_INIT;
    struct nx_file *file;
    enum nx_code rc = storage_path(&path, dir, RING_NAME, err);

    nx_buf_clear(out);
    if (rc != NX_OK)
        return rc;
    rc = io->ops->open(io, (const char *)path.data, NX_OPEN_READ, &file, &why);
    if (rc == NX_ENOTFOUND)
        return NX_OK;
    if (rc != NX_OK) {
        if (err)
            *err = why;
        return rc;
    }
    rc = read_image(file, out, err);
    file->ops->close(file);
    return rc;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Bytes of the log as the ring has them. */
static void unwind(const struct nx_buf *image, uint64_t position, size_t len, uint8_t *out)
{
    size_t at = (size_t)(position % image->len);
    size_t first = len < image->len - at ? len : image->len - at;

    memcpy(out, image->data + at, first);
    memcpy(out + first, image->data, len - first);
}

/* Old frames, and torn ones, never go on from a place: the hash covers what they follow, and the
 * seed their segment. */
enum nx_code ring_find(const struct nx_buf *image, const struct ring_place *place,
                       struct frame *frame, struct nx_buf *room, const uint8_t **out,
                       struct nx_err *err)
{
    uint8_t header[FRAME_HEADER_BYTES];
    bool follows;
    size_t len;

    *out = NULL;
    if (image->len == 0)
        return NX_OK;
    unwind(image, place->position, sizeof header, header);
    if (frame_parse(header, frame) != FRAME_OK || frame_bytes(frame->length) > image->len)
        return NX_OK;
    follows = frame->file == (uint32_t)place->number && frame->previous == place->previous;
    if (!follows && !engine_mutated(SKIP_RING_CHAIN))
        return NX_OK;
    len = (size_t)frame_bytes(frame->length);
    if (nx_buf_resize(room, len) != NX_OK)
        return nx_fail_nomem(err);
    unwind(image, place->position, len, room->data);
    if (frame_is_whole(room->data, frame, place->seed) || engine_mutated(SKIP_RING_CHAIN))
        *out = room->data;
    return NX_OK;
}

uint64_t ring_bytes(const struct wal_ring *ring)
{
    return ring ? ring->size : 0;
}

/* --- writing out ------------------------------------------------------------------------------ */

static enum nx_code write_range(struct wal_ring *ring, uint64_t from, uint64_t to,
                                struct nx_err *err) NX_REQUIRES(ring->mu)
{
    enum nx_code rc = NX_OK;

    while (from < to && rc == NX_OK) {
        uint64_t at = from % ring->size, len = to - from;

        len = len < ring->size - at ? len : ring->size - at;
        rc = ring->segment->ops->pwrite(ring->segment, from - ring->base, ring->bytes + at,
                                        (size_t)len, err);
        from += len;
    }
    return rc;
}

static enum nx_code write_out(struct wal_ring *ring, uint64_t to, struct nx_err *err)
    NX_REQUIRES(ring->mu)
{
    uint64_t from = atomic_load_explicit(&ring->written, memory_order_relaxed);
    enum nx_code rc;

    if (from >= to || atomic_load(&ring->state) != RING_LIVE)
        return NX_OK;
    rc = engine_mutated(FORGET_STAGED) ? NX_OK : write_range(ring, from, to, err);
    if (rc != NX_OK && !engine_mutated(REUSE_FROZEN_RING)) {
        atomic_store(&ring->state, RING_FROZEN);
        return rc;
    }
    /* Release: the appending thread may use these bytes again, we have read them. */
    atomic_store_explicit(&ring->written, to, memory_order_release);
    return rc;
}

enum nx_code ring_write_out(struct wal_ring *ring, uint64_t position, struct nx_err *err)
{
    enum nx_code rc;

    nx_mutex_lock(&ring->mu);
    rc = write_out(ring, position, err);
    nx_mutex_unlock(&ring->mu);
    return rc;
}

bool ring_is_frozen(struct wal_ring *ring, uint64_t *number)
{
    bool is_frozen;

    if (!ring || atomic_load(&ring->state) != RING_FROZEN)
        return false;
    nx_mutex_lock(&ring->mu);
    is_frozen = atomic_load(&ring->state) == RING_FROZEN;
    *number = ring->number;
    nx_mutex_unlock(&ring->mu);
    return is_frozen;
}

void ring_thaw(struct wal_ring *ring, uint64_t number)
{
    if (!ring)
        return;
    nx_mutex_lock(&ring->mu);
    if (atomic_load(&ring->state) == RING_FROZEN && ring->number == number)
        atomic_store(&ring->state, RING_THAWED);
    nx_mutex_unlock(&ring->mu);
}

/* --- the appending thread --------------------------------------------------------------------- */

void ring_aim(struct wal_ring *ring, struct nx_file *file, uint64_t number, uint64_t base,
              uint64_t position)
{
    nx_mutex_lock(&ring->mu);
    if (atomic_load(&ring->state) != RING_FROZEN) {
        ring->segment = file;
        ring->number = number;
        ring->base = base;
        atomic_store(&ring->written, position);
        atomic_store(&ring->state, RING_LIVE);
    }
    nx_mutex_unlock(&ring->mu);
}

bool ring_is_live(const struct wal_ring *ring)
{
    return ring && atomic_load(&ring->state) == RING_LIVE;
}

bool ring_is_thawed(const struct wal_ring *ring)
{
    return ring && atomic_load(&ring->state) == RING_THAWED;
}

bool ring_takes(const struct wal_ring *ring, uint64_t len)
{
    return len <= ring->size / PIECES;
}

/* Copy to the place of `position`, which may lie on both sides of the end. */
static void store(struct wal_ring *ring, uint64_t position, const uint8_t *frame, size_t len)
{
    uint64_t at = position % ring->size;
    size_t first = len < ring->size - at ? len : (size_t)(ring->size - at);

    ring->file->ops->store(ring->file, ring->bytes + at, frame, first);
    if (first < len)
        ring->file->ops->store(ring->file, ring->bytes, frame + first, len - first);
}

/* When another thread is writing out, go on while there is room: it may be waiting for the disk. */
static enum nx_code make_room(struct wal_ring *ring, uint64_t position, size_t len,
                              struct nx_err *err)
{
    uint64_t piece = ring->size / PIECES < PIECE_MAX ? ring->size / PIECES : PIECE_MAX;
    uint64_t waiting = position + len - atomic_load_explicit(&ring->written, memory_order_acquire);
    enum nx_code rc;

    if (waiting <= piece)
        return NX_OK;
    if (waiting > ring->size)
        nx_mutex_lock(&ring->mu);
    else if (!nx_mutex_trylock(&ring->mu))
        return NX_OK;
    rc = write_out(ring, position, err);
    nx_mutex_unlock(&ring->mu);
    return rc;
}

enum nx_code ring_put(struct wal_ring *ring, uint64_t position, const void *frame, size_t len,
                      struct nx_err *err)
{
    enum nx_code rc = make_room(ring, position, len, err);

    if (rc == NX_OK && !engine_mutated(ACK_BEFORE_STAGING))
        store(ring, position, frame, len);
    return rc;
}

void ring_pass(struct wal_ring *ring, uint64_t position)
{
    nx_mutex_lock(&ring->mu);
    if (atomic_load(&ring->state) == RING_LIVE)
        atomic_store_explicit(&ring->written, position, memory_order_release);
    nx_mutex_unlock(&ring->mu);
}

/*
 * wal_read.c - replaying the log, and telling a torn tail from a damaged middle.
 *
 * Replay follows the chain: each frame names the hash of the one before it, each segment the place
 * where the one before it was left. Where the chain breaks, either the writer was cut off there or
 * something was damaged later. Every frame says how far the log was durable when it was written
 * (I4); so the rest of the log is searched for a frame that vouches for the broken place. If there
 * is one, bytes that were once safe are gone and nothing is guessed (I7). If there is none, nobody
 * was ever told that they are safe, and the log ends there.
 *
 * What a segment does not have may be in the ring: the frame that goes on from the broken place is
 * taken from there. After a kill those are the newest frames; after a power loss, some of them at
 * best.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "storage/wal_ring.h"
#include "storage/wal_segment.h"

enum { WINDOW_BYTES = 1 << 20, SEARCH_BYTES = 64 << 10 };

struct segment_file {
    uint64_t number;
    bool has_header;
    uint32_t version; /* set when another version wrote the header */
    struct wal_header header;
};

/* A part of a file in memory. */
struct window {
    struct nx_file *file;
    uint64_t file_bytes;
    uint64_t start;
    struct nx_buf bytes;
};

struct replay {
    struct nx_io *io;
    const char *dir;
    const uint8_t *uuid;
    struct segment_file *files; /* owned, by number */
    size_t count, cap;
    enum nx_code list_rc;

    const struct segment_file *at;
    struct window window;
    uint64_t offset;
    uint64_t seed;
    struct wal_tail *tail;
    struct nx_buf ring;    /* its image */
    struct nx_buf unwound; /* a frame of it in one piece */
};

/* --- reading files in large pieces ------------------------------------------------------------ */

static void window_close(struct window *window)
{
    if (window->file)
        window->file->ops->close(window->file);
    nx_buf_fini(&window->bytes);
    *window = (struct window){0};
}

static enum nx_code window_open(struct replay *replay, uint64_t number, struct window *window,
                                struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    char name[WAL_NAME_BYTES];
    enum nx_code rc;

    window_close(window);
    wal_name(number, name);
    rc = storage_path(&path, replay->dir, name, err);
    if (rc == NX_OK)
        rc = replay->io->ops->open(replay->io, (const char *)path.data, NX_OPEN_READ, &window->file,
                                   err);
    if (rc == NX_OK)
        rc = window->file->ops->size(window->file, &window->file_bytes, err);
    return rc;
}

/* Lend `len` bytes at `offset`; *out is NULL when the file ends before. */
static enum nx_code window_at(struct window *window, uint64_t offset, size_t len,
                              const uint8_t **out, struct nx_err *err)
{
    size_t want, got;
    enum nx_code rc;

    *out = NULL;
    if (offset > window->file_bytes || len > window->file_bytes - offset)
        return NX_OK;
    if (offset < window->start || offset + len > window->start + window->bytes.len) {
        want = len > WINDOW_BYTES ? len : WINDOW_BYTES;
        nx_buf_clear(&window->bytes);
        if (nx_buf_reserve(&window->bytes, want) != NX_OK)
            return nx_fail_nomem(err);
        rc = window->file->ops->pread(window->file, offset, window->bytes.data, want, &got, err);
        if (rc != NX_OK)
            return rc;
        window->start = offset;
        window->bytes.len = got;
        if (got < len)
            return NX_OK;
    }
    *out = window->bytes.data + (offset - window->start);
    return NX_OK;
}

/* --- finding the segments --------------------------------------------------------------------- */

static void add_file(void *arg, const char *name)
{
    struct replay *replay = arg;
    uint64_t number;

    if (!wal_name_parse(name, &number))
        return;
    if (replay->count == replay->cap) {
        size_t cap = replay->cap ? replay->cap * 2 : 16;
        struct segment_file *files = realloc(replay->files, cap * sizeof *files);

        if (!files) {
            replay->list_rc = NX_ENOMEM;
            return;
        }
        replay->files = files;
        replay->cap = cap;
    }
    replay->files[replay->count++] = (struct segment_file){.number = number};
}

static int by_number(const void *a, const void *b)
{
    const struct segment_file *x = a, *y = b;

    return (x->number > y->number) - (x->number < y->number);
}

static enum nx_code read_header(struct replay *replay, struct segment_file *file,
                                struct nx_err *err)
{
    struct window window = {0};
    const uint8_t *block = NULL;
    enum nx_code rc = window_open(replay, file->number, &window, err);

    if (rc == NX_OK)
        rc = window_at(&window, 0, WAL_HEADER_BYTES, &block, err);
    if (rc == NX_OK && block)
        file->has_header = wal_header_decode(block, replay->uuid, &file->header, &file->version) &&
                           file->header.number == file->number;
    window_close(&window);
    return rc;
}

static enum nx_code find_files(struct replay *replay, uint64_t first, struct nx_err *err)
{
    enum nx_code rc = replay->io->ops->list(replay->io, replay->dir, add_file, replay, err);

    if (rc != NX_OK)
        return rc;
    if (replay->list_rc != NX_OK)
        return nx_fail_nomem(err);
    if (replay->count)
        qsort(replay->files, replay->count, sizeof *replay->files, by_number);
    for (size_t i = 0; i < replay->count && rc == NX_OK; i++) {
        replay->tail->last_number = replay->files[i].number;
        if (replay->files[i].number >= first)
            rc = read_header(replay, &replay->files[i], err);
    }
    return rc;
}

/* The newest segment that was begun exactly here: one that was begun in vain before it lost. */
static const struct segment_file *find_next(const struct replay *replay)
{
    for (size_t i = replay->count; i > 0; i--) {
        const struct segment_file *file = &replay->files[i - 1];

        if (file->number <= replay->at->number)
            return NULL;
        if (file->has_header && file->header.previous_number == replay->at->number &&
            file->header.previous_end == replay->offset &&
            file->header.previous_hash == replay->tail->hash &&
            file->header.base == replay->tail->position)
            return file;
    }
    return NULL;
}

/* --- does anything vouch for the broken place? (I7) ------------------------------------------- */

/* Is there a whole frame here? */
static enum nx_code probe(struct window *window, uint64_t number, uint64_t offset, uint64_t seed,
                          struct frame *frame, bool *is_frame, struct nx_err *err)
{
    const uint8_t *bytes;
    enum nx_code rc = window_at(window, offset, FRAME_HEADER_BYTES, &bytes, err);

    *is_frame = false;
    if (rc != NX_OK || !bytes || frame_parse(bytes, frame) != FRAME_OK ||
        frame->file != (uint32_t)number)
        return rc;
    rc = window_at(window, offset, FRAME_HEADER_BYTES + (size_t)frame->length, &bytes, err);
    *is_frame = rc == NX_OK && bytes && frame_is_whole(bytes, frame, seed);
    return rc;
}

/* Bring *offset to the next place where a frame may begin, or near the end of the file. */
static enum nx_code find_candidate(struct window *window, uint64_t *offset, struct nx_err *err)
{
    while (*offset + FRAME_HEADER_BYTES <= window->file_bytes) {
        uint64_t left = window->file_bytes - *offset;
        size_t len = left < SEARCH_BYTES ? (size_t)left : SEARCH_BYTES, at;
        const uint8_t *bytes;
        enum nx_code rc = window_at(window, *offset, len, &bytes, err);

        if (rc != NX_OK)
            return rc;
        at = bytes ? frame_find(bytes, len) : len;
        if (at < len) {
            *offset += at;
            return NX_OK;
        }
        /* One may begin in the last bytes and go on behind them. */
        *offset += len < SEARCH_BYTES ? len : len - FRAME_HEADER_BYTES;
    }
    return NX_OK;
}

static enum nx_code search_segment(struct replay *replay, uint64_t number, uint64_t offset,
                                   uint64_t *claim, struct nx_err *err)
{
    uint64_t seed = frame_seed(replay->uuid, number, WAL_SEED_KIND);
    struct window window = {0};
    enum nx_code rc = window_open(replay, number, &window, err);

    if (rc == NX_OK)
        rc = find_candidate(&window, &offset, err);
    while (rc == NX_OK && offset + FRAME_HEADER_BYTES <= window.file_bytes) {
        struct frame frame;
        bool is_frame;

        rc = probe(&window, number, offset, seed, &frame, &is_frame, err);
        if (rc == NX_OK && is_frame && frame.durable > *claim)
            *claim = frame.durable;
        offset += rc == NX_OK && is_frame ? frame_bytes(frame.length) : 8;
        if (rc == NX_OK)
            rc = find_candidate(&window, &offset, err);
    }
    window_close(&window);
    return rc;
}

static uint64_t number_of(const struct replay *replay, const struct frame *frame)
{
    for (size_t i = 0; i < replay->count; i++)
        if ((uint32_t)replay->files[i].number == frame->file)
            return replay->files[i].number;
    return 0;
}

/* Frames in the ring vouch as those in a file do. One that lies across the end is not seen. */
static void search_ring(struct replay *replay, uint64_t *claim)
{
    const uint8_t *bytes = replay->ring.data;
    size_t len = replay->ring.len, at;

    for (size_t from = 0; (at = from + frame_find(bytes + from, len - from)) < len; from = at + 8) {
        struct frame frame;

        if (frame_parse(bytes + at, &frame) == FRAME_OK &&
            frame.length <= len - at - FRAME_HEADER_BYTES && frame.durable > *claim &&
            frame_is_whole(bytes + at, &frame,
                           frame_seed(replay->uuid, number_of(replay, &frame), WAL_SEED_KIND)))
            *claim = frame.durable;
    }
}

static enum nx_code check_torn(struct replay *replay, struct nx_err *err)
{
    uint64_t claim = 0;
    enum nx_code rc = search_segment(replay, replay->at->number, replay->offset, &claim, err);

    if (replay->ring.len)
        search_ring(replay, &claim);
    for (size_t i = 0; i < replay->count && rc == NX_OK; i++)
        if (replay->files[i].number > replay->at->number)
            rc = search_segment(replay, replay->files[i].number, WAL_HEADER_BYTES, &claim, err);
    if (rc == NX_OK && claim > replay->tail->position)
        return nx_fail(err, NX_ECORRUPT,
                       "log '%s/%06llu.wal' is damaged at offset %llu: %llu bytes from there on "
                       "were on disk once",
                       replay->dir, (unsigned long long)replay->at->number,
                       (unsigned long long)replay->offset,
                       (unsigned long long)(claim - replay->tail->position));
    return rc;
}

/* --- following the chain ---------------------------------------------------------------------- */

static enum nx_code enter(struct replay *replay, const struct segment_file *file,
                          struct nx_err *err)
{
    struct wal_tail *tail = replay->tail;
    struct wal_segment_info *segments;

    segments = realloc(tail->segments, (tail->count + 1) * sizeof *segments);
    if (!segments)
        return nx_fail_nomem(err);
    tail->segments = segments;
    segments[tail->count++] = (struct wal_segment_info){
        .number = file->number, .base = file->header.base, .end_offset = WAL_HEADER_BYTES};
    tail->position = file->header.base + WAL_HEADER_BYTES;
    tail->hash = file->header.previous_hash;
    tail->closed = false;
    if (tail->sequence < file->header.sequence)
        tail->sequence = file->header.sequence;
    replay->at = file;
    replay->offset = WAL_HEADER_BYTES;
    replay->seed = frame_seed(replay->uuid, file->number, WAL_SEED_KIND);
    return window_open(replay, file->number, &replay->window, err);
}

static void pass(struct replay *replay, const struct frame *frame)
{
    struct wal_tail *tail = replay->tail;

    replay->offset += frame_bytes(frame->length);
    tail->segments[tail->count - 1].end_offset = replay->offset;
    tail->position += frame_bytes(frame->length);
    tail->hash = frame->hash;
    tail->closed = (frame->flags & FRAME_CLOSE) != 0;
    if (frame->durable > tail->durable)
        tail->durable = frame->durable;
    if (frame->count)
        tail->sequence = frame->sequence + frame->count - 1;
}

static enum nx_code deliver(struct replay *replay, const struct frame *frame, const uint8_t *bytes,
                            wal_replay_fn fn, void *arg, struct nx_err *err)
{
    struct nx_err why = NX_ERR_INIT;
    enum nx_code rc;

    if (frame->count == 0)
        return NX_OK;
    rc = fn(arg, frame, nx_slice(bytes + FRAME_HEADER_BYTES, frame->length), &why);
    if (rc != NX_OK)
        nx_fail(err, rc, "log '%s/%06llu.wal' at offset %llu: %s", replay->dir,
                (unsigned long long)replay->at->number, (unsigned long long)replay->offset,
                why.message);
    return rc;
}

/* --- the ring --------------------------------------------------------------------------------- */

/* For the log's writer: it must be in the file before the ring is used again. */
static enum nx_code keep_piece(struct replay *replay, struct nx_err *err)
{
    struct wal_tail *tail = replay->tail;
    struct wal_piece *last = tail->piece_count ? &tail->pieces[tail->piece_count - 1] : NULL;
    struct wal_piece *pieces;

    if (nx_buf_append(&tail->piece_bytes, replay->unwound.data, replay->unwound.len) != NX_OK)
        return nx_fail_nomem(err);
    if (last && last->number == replay->at->number && last->offset + last->len == replay->offset) {
        last->len += replay->unwound.len;
        return NX_OK;
    }
    pieces = realloc(tail->pieces, (tail->piece_count + 1) * sizeof *pieces);
    if (!pieces)
        return nx_fail_nomem(err);
    tail->pieces = pieces;
    pieces[tail->piece_count++] =
        (struct wal_piece){replay->at->number, replay->offset, replay->unwound.len};
    return NX_OK;
}

/* --- a step ----------------------------------------------------------------------------------- */

/* The next frame: in the segment, or else in the ring. */
static enum nx_code find_frame(struct replay *replay, struct frame *frame, const uint8_t **out,
                               struct nx_err *err)
{
    bool is_frame;
    enum nx_code rc = probe(&replay->window, replay->at->number, replay->offset, replay->seed,
                            frame, &is_frame, err);

    *out = NULL;
    if (rc != NX_OK)
        return rc;
    if (is_frame && frame->previous == replay->tail->hash)
        return window_at(&replay->window, replay->offset,
                         FRAME_HEADER_BYTES + (size_t)frame->length, out, err);
    rc = ring_find(&replay->ring,
                   &(struct ring_place){replay->tail->position, replay->at->number, replay->seed,
                                        replay->tail->hash},
                   frame, &replay->unwound, out, err);
    return rc == NX_OK && *out ? keep_piece(replay, err) : rc;
}

/* One step along the chain; *done at its end. */
static enum nx_code step(struct replay *replay, wal_replay_fn fn, void *arg, bool *done,
                         struct nx_err *err)
{
    const struct segment_file *next = find_next(replay);
    const uint8_t *bytes;
    struct frame frame;
    enum nx_code rc;

    if (next)
        return enter(replay, next, err);
    rc = find_frame(replay, &frame, &bytes, err);
    if (rc != NX_OK)
        return rc;
    if (!bytes) {
        *done = true;
        return replay->tail->closed ? NX_OK : check_torn(replay, err);
    }
    rc = deliver(replay, &frame, bytes, fn, arg, err);
    if (rc == NX_OK)
        pass(replay, &frame);
    return rc;
}

static enum nx_code find_first(struct replay *replay, uint64_t first,
                               const struct segment_file **out, struct nx_err *err)
{
    for (size_t i = 0; i < replay->count; i++) {
        const struct segment_file *file = &replay->files[i];

        if (file->number != first)
            continue;
        if (file->version)
            return nx_fail(err, NX_EVERSION, "log '%s/%06llu.wal' has format version %u",
                           replay->dir, (unsigned long long)first, file->version);
        if (!file->has_header)
            return nx_fail(err, NX_ECORRUPT,
                           "log '%s/%06llu.wal' is damaged at offset 0: both "
                           "copies of its header",
                           replay->dir, (unsigned long long)first);
        *out = file;
        return NX_OK;
    }
    return nx_fail(err, NX_ECORRUPT, "log '%s/%06llu.wal' is missing", replay->dir,
                   (unsigned long long)first);
}

enum nx_code wal_replay(struct nx_io *io, const char *dir, const uint8_t uuid[16], uint64_t first,
                        wal_replay_fn fn, void *arg, struct wal_tail *tail, struct nx_err *err)
{
    struct replay replay = {.io = io, .dir = dir, .uuid = uuid, .tail = tail};
    const struct segment_file *file = NULL;
    bool done = false;
    enum nx_code rc;

    *tail = WAL_TAIL_INIT;
    rc = find_files(&replay, first, err);
    if (rc == NX_OK)
        rc = ring_read(io, dir, &replay.ring, err);
    if (rc == NX_OK)
        rc = find_first(&replay, first, &file, err);
    if (rc == NX_OK)
        rc = enter(&replay, file, err);
    while (rc == NX_OK && !done)
        rc = step(&replay, fn, arg, &done, err);
    tail->closed = tail->closed && tail->piece_count == 0; /* the ring was never safe */
    window_close(&replay.window);
    nx_buf_fini(&replay.ring);
    nx_buf_fini(&replay.unwound);
    free(replay.files);
    if (rc != NX_OK)
        wal_tail_fini(tail);
    return rc;
}

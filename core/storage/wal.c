/*
 * wal.c - appending to the log and syncing it.
 *
 * The appending thread alone knows the current segment and its offset; `end` publishes how far it
 * got. A sync reads `end` first, then syncs every file that was not, oldest first, and publishes
 * `durable`. A segment whose datasync failed is lost (I5): the kernel may have dropped its dirty
 * pages and called them clean, so it is never synced again, and `durable` stops in front of it
 * until the changes have been written to tables.
 *
 * Small frames go into the ring (wal_ring.h) and from there to the segment in larger pieces, by
 * whoever finds many or wants to sync. Frames wait only for the current segment. When it refuses
 * them, it is lost like one whose datasync failed, and the ring keeps what it holds until the
 * segment is not needed any more; so a replay finds every frame of the chain either way (I12).
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "storage/mutation.h"
#include "storage/reserve.h"
#include "storage/wal_ring.h"
#include "storage/wal_segment.h"

enum { BUFFER_KEPT_BYTES = 1 << 20, PAGE_BYTES = 4096, STEPS = 16, FIRST_STEPS = 64 };

struct segment {
    struct wal_segment_info info; /* end_offset: guarded by wal->mu, set when it is left */
    uint64_t capacity;            /* it is left rather than grow past this */
    uint64_t allocated;   /* guarded by wal->mu, changed by the appending thread; reserved so far */
    struct nx_file *file; /* owned; NULL once it needs no sync any more */
    bool is_lost;         /* guarded by wal->mu; a datasync failed */
    bool is_left;         /* guarded by wal->mu; nothing is appended any more */
    bool has_header;      /* guarded by wal->mu; its header is on disk */
    unsigned refs;        /* guarded by wal->mu */
};

struct wal {
    struct nx_io *io; /* outlives us */
    char *dir;        /* owned */
    uint8_t uuid[16];
    uint64_t segment_bytes;
    struct wal_ring *ring;   /* owned; NULL: frames are written at once */
    struct reserve *reserve; /* outlives us */

    /* the appending thread's */
    struct segment *current;
    uint64_t offset;
    uint64_t hash;     /* of the last frame */
    uint64_t sequence; /* of the last change */
    uint64_t seed;
    bool has_asked; /* for the segment after this one */
    struct nx_buf buffer;

    _Atomic bool must_switch;  /* a write or sync of the current segment failed */
    _Atomic uint64_t end;      /* release: the bytes before it are written */
    _Atomic uint64_t durable;  /* release: the bytes before it are on disk */
    _Atomic size_t lost_count; /* segments in the list that are lost; changed under mu */

    struct nx_mutex sync_mu; /* one sync at a time; I/O under it */
    struct nx_mutex mu;
    struct segment **segments; /* guarded by mu; owned array, oldest first, the last is current */
    size_t count, cap;         /* guarded by mu */
    struct segment *spare;     /* guarded by mu; created, no header yet */
    bool is_preparing;         /* guarded by mu */
    uint64_t last_number;      /* guarded by mu; the highest ever used */
};

void wal_tail_fini(struct wal_tail *tail)
{
    free(tail->segments);
    free(tail->pieces);
    nx_buf_fini(&tail->piece_bytes);
    *tail = WAL_TAIL_INIT;
}

/* --- segment files ---------------------------------------------------------------------------- */

static void segment_free(struct segment *segment)
{
    if (!segment)
        return;
    if (segment->file)
        segment->file->ops->close(segment->file);
    free(segment);
}

static void segment_unref(struct wal *wal, struct segment *segment)
{
    bool is_last;

    nx_mutex_lock(&wal->mu);
    is_last = --segment->refs == 0;
    nx_mutex_unlock(&wal->mu);
    if (is_last)
        segment_free(segment);
}

static void remove_file(struct wal *wal, uint64_t number)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    char name[WAL_NAME_BYTES];

    wal_name(number, name);
    if (storage_path(&path, wal->dir, name, NULL) == NX_OK)
        wal->io->ops->remove(wal->io, (const char *)path.data, NULL); /* or at the next open */
}

/* Where the space reserved next should end. Steps of a sixteenth, the first ones smaller: few
 * enough to cost nothing, and a log that holds little takes little of the disk. */
static uint64_t allocation_for(const struct wal *wal, const struct segment *segment, uint64_t end)
{
    bool is_begun = end > wal->segment_bytes / STEPS;
    uint64_t size = end + wal->segment_bytes / (is_begun ? STEPS : FIRST_STEPS);

    size -= size % PAGE_BYTES;
    if (size < end)
        size = end;
    return size < segment->capacity ? size : segment->capacity;
}

/* Reserve the blocks of a segment up to `size`, `more` of them new. */
static enum nx_code allocate(struct wal *wal, struct nx_file *file, uint64_t size, uint64_t more,
                             enum reserve_user user, struct nx_err *err)
{
    enum nx_code rc = file->ops->allocate(file, size, err);

    if (rc == NX_ENOSPC && reserve_release(wal->reserve, user, more))
        rc = file->ops->allocate(file, size, err);
    if (rc == NX_ENOSPC)
        reserve_note_full(wal->reserve);
    return rc;
}

/* The name is durable, and the space of the first step reserved, before the first byte is
 * written. */
static enum nx_code create_file(struct wal *wal, struct segment *segment, enum reserve_user user,
                                struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    char name[WAL_NAME_BYTES];
    enum nx_code rc;

    wal_name(segment->info.number, name);
    rc = storage_path(&path, wal->dir, name, err);
    if (rc == NX_OK)
        rc =
            wal->io->ops->open(wal->io, (const char *)path.data,
                               NX_OPEN_WRITE | NX_OPEN_CREATE | NX_OPEN_TRUNC, &segment->file, err);
    if (rc != NX_OK)
        return rc;
    segment->allocated = allocation_for(wal, segment, WAL_HEADER_BYTES);
    rc = allocate(wal, segment->file, segment->allocated, segment->allocated, user, err);
    if (rc == NX_OK && !engine_mutated(SKIP_SEGMENT_DIR_SYNC))
        rc = wal->io->ops->sync_dir(wal->io, wal->dir, err);
    if (rc != NX_OK)
        remove_file(wal, segment->info.number);
    return rc;
}

static enum nx_code segment_create(struct wal *wal, uint64_t capacity, enum reserve_user user,
                                   struct segment **out, struct nx_err *err)
{
    struct segment *segment = calloc(1, sizeof *segment);
    enum nx_code rc;

    *out = NULL;
    if (!segment)
        return nx_fail_nomem(err);
    segment->refs = 1;
    segment->capacity = capacity;
    nx_mutex_lock(&wal->mu);
    segment->info.number = ++wal->last_number;
    nx_mutex_unlock(&wal->mu);
    rc = create_file(wal, segment, user, err);
    if (rc != NX_OK) {
        segment_free(segment);
        return rc;
    }
    *out = segment;
    return NX_OK;
}

static enum nx_code write_header(struct wal *wal, struct segment *segment, struct nx_err *err)
{
    const struct segment *previous = wal->current;
    uint8_t block[WAL_HEADER_BYTES];
    struct wal_header header = {
        .number = segment->info.number,
        .base = segment->info.base,
        .sequence = wal->sequence,
        .previous_number = previous ? previous->info.number : 0,
        .previous_end = previous ? wal->offset : 0,
        .previous_hash = wal->hash,
    };

    wal_header_encode(block, &header, wal->uuid);
    return segment->file->ops->pwrite(segment->file, 0, block, sizeof block, err);
}

/* --- switching segments ----------------------------------------------------------------------- */

/* The spare, if it is large enough. One that was prepared while the log went on without it has a
 * number below the current segment's: numbers must grow along the log, so it is given up. */
static struct segment *take_spare(struct wal *wal, uint64_t capacity)
{
    struct segment *spare;
    bool is_fit;

    nx_mutex_lock(&wal->mu);
    spare = wal->spare;
    wal->spare = NULL;
    is_fit = spare && spare->capacity >= capacity &&
             (!wal->current || spare->info.number > wal->current->info.number);
    nx_mutex_unlock(&wal->mu);
    if (is_fit || !spare)
        return spare;
    remove_file(wal, spare->info.number);
    segment_free(spare);
    return NULL;
}

static enum nx_code grow_list(struct wal *wal, struct nx_err *err) NX_REQUIRES(wal->mu)
{
    size_t cap = wal->cap ? wal->cap * 2 : 8;
    struct segment **list;

    if (wal->count < wal->cap)
        return NX_OK;
    list = realloc(wal->segments, cap * sizeof(struct segment *));
    if (!list)
        return nx_fail_nomem(err);
    wal->segments = list;
    wal->cap = cap;
    return NX_OK;
}

static void raise_to(_Atomic uint64_t *value, uint64_t least)
{
    uint64_t now = atomic_load(value);

    while (now < least && !atomic_compare_exchange_weak(value, &now, least))
        ;
}

/* The current segment is left where it ends and `segment` takes its place. */
static enum nx_code adopt(struct wal *wal, struct segment *segment, struct nx_err *err)
{
    enum nx_code rc;

    nx_mutex_lock(&wal->mu);
    rc = grow_list(wal, err);
    if (rc == NX_OK) {
        if (wal->current) {
            wal->current->info.end_offset = wal->offset;
            wal->current->is_left = true;
        }
        wal->segments[wal->count++] = segment;
        atomic_store(&wal->must_switch, false);
    }
    nx_mutex_unlock(&wal->mu);
    return rc;
}

/* --- the ring --------------------------------------------------------------------------------- */

/* I5 */
static void mark_lost(struct wal *wal, struct segment *segment) NX_REQUIRES(wal->mu)
{
    if (!segment->is_lost)
        atomic_fetch_add(&wal->lost_count, 1);
    segment->is_lost = true;
    if (!segment->is_left)
        atomic_store(&wal->must_switch, true);
}

/* The segment that refused what the ring holds for it. */
static void mark_refused(struct wal *wal)
{
    uint64_t number;

    if (!ring_is_frozen(wal->ring, &number))
        return;
    nx_mutex_lock(&wal->mu);
    for (size_t i = 0; i < wal->count; i++)
        if (wal->segments[i]->info.number == number)
            mark_lost(wal, wal->segments[i]);
    nx_mutex_unlock(&wal->mu);
}

static enum nx_code write_out(struct wal *wal, uint64_t position, struct nx_err *err)
{
    enum nx_code rc = wal->ring ? ring_write_out(wal->ring, position, err) : NX_OK;

    if (rc != NX_OK)
        mark_refused(wal);
    return rc;
}

static void aim_ring(struct wal *wal)
{
    if (wal->ring)
        ring_aim(wal->ring, wal->current->file, wal->current->info.number, wal->current->info.base,
                 wal_end(wal));
}

static enum nx_code switch_segment(struct wal *wal, uint64_t need, enum reserve_user user,
                                   struct nx_err *err)
{
    uint64_t capacity = WAL_HEADER_BYTES + need;
    struct segment *segment;
    enum nx_code rc = NX_OK;

    if (capacity < wal->segment_bytes)
        capacity = wal->segment_bytes;
    segment = take_spare(wal, capacity);
    if (!segment)
        rc = segment_create(wal, capacity, user, &segment, err);
    if (rc != NX_OK)
        return rc;
    write_out(wal, wal_end(wal), NULL); /* or the old one is lost, and the ring keeps it */
    segment->info.base = wal_end(wal);
    rc = write_header(wal, segment, err);
    if (rc == NX_OK)
        rc = adopt(wal, segment, err);
    if (rc != NX_OK) {
        remove_file(wal, segment->info.number);
        segment_free(segment);
        return rc;
    }
    wal->current = segment;
    wal->has_asked = false;
    wal->offset = WAL_HEADER_BYTES;
    wal->seed = frame_seed(wal->uuid, segment->info.number, WAL_SEED_KIND);
    /* Release: a sync that reads this end finds the segment in the list. */
    atomic_store_explicit(&wal->end, segment->info.base + wal->offset, memory_order_release);
    aim_ring(wal);
    reserve_follow(wal->reserve, wal_bytes(wal));
    return NX_OK;
}

enum nx_code wal_leave_used(struct wal *wal, struct nx_err *err)
{
    bool is_used = wal->offset > WAL_HEADER_BYTES + wal->segment_bytes / STEPS;

    return is_used || atomic_load(&wal->must_switch) ? switch_segment(wal, 0, RESERVE_FLUSH, err)
                                                     : NX_OK;
}

bool wal_asks_to_prepare(struct wal *wal)
{
    if (wal->has_asked || wal->offset <= wal->segment_bytes / 2)
        return false;
    return wal->has_asked = true;
}

void wal_prepare(struct wal *wal)
{
    struct segment *segment = NULL;
    uint64_t used;
    bool is_due;

    nx_mutex_lock(&wal->mu);
    used = atomic_load(&wal->end) - wal->segments[wal->count - 1]->info.base;
    is_due = !wal->spare && !wal->is_preparing && used > wal->segment_bytes / 2;
    wal->is_preparing = wal->is_preparing || is_due;
    nx_mutex_unlock(&wal->mu);
    if (!is_due)
        return;
    segment_create(wal, wal->segment_bytes, RESERVE_NOBODY, &segment, NULL);
    nx_mutex_lock(&wal->mu);
    wal->spare = segment;
    wal->is_preparing = false;
    nx_mutex_unlock(&wal->mu);
}

/* --- appending -------------------------------------------------------------------------------- */

static enum nx_code fill_buffer(struct wal *wal, const struct nx_slice *parts, size_t part_count,
                                size_t length, struct nx_err *err)
{
    nx_buf_clear(&wal->buffer);
    if (nx_buf_reserve(&wal->buffer, (size_t)frame_bytes((uint32_t)length)) != NX_OK)
        return nx_fail_nomem(err);
    wal->buffer.len = FRAME_HEADER_BYTES;
    for (size_t i = 0; i < part_count; i++)
        nx_buf_append(&wal->buffer, parts[i].data, parts[i].len); /* reserved above */
    return NX_OK;
}

/* Reserve what the next frame needs, and some more. */
static enum nx_code reserve(struct wal *wal, uint64_t need, enum reserve_user user,
                            struct nx_err *err)
{
    struct segment *segment = wal->current;
    uint64_t end = wal->offset + need, size = allocation_for(wal, segment, end);
    enum nx_code rc;

    if (end <= segment->allocated)
        return NX_OK;
    rc = allocate(wal, segment->file, size, size - segment->allocated, user, err);
    if (rc != NX_OK)
        return rc;
    nx_mutex_lock(&wal->mu);
    segment->allocated = size;
    nx_mutex_unlock(&wal->mu);
    reserve_follow(wal->reserve, wal_bytes(wal));
    return NX_OK;
}

static enum nx_code write_directly(struct wal *wal, size_t len, struct nx_err *err)
{
    struct nx_file *file = wal->current->file;
    enum nx_code rc = write_out(wal, wal_end(wal), err);

    if (rc == NX_OK)
        rc = file->ops->pwrite(file, wal->offset, wal->buffer.data, len, err);
    if (rc == NX_OK && wal->ring)
        ring_pass(wal->ring, wal_end(wal) + len);
    return rc;
}

static enum nx_code write_frame(struct wal *wal, size_t len, struct nx_err *err)
{
    enum nx_code rc;

    if (!ring_is_live(wal->ring) || !ring_takes(wal->ring, len))
        return write_directly(wal, len, err);
    rc = ring_put(wal->ring, wal_end(wal), wal->buffer.data, len, err);
    if (rc != NX_OK)
        mark_refused(wal);
    return rc;
}

/* Can the current segment take `need` more bytes? */
static bool is_usable(struct wal *wal, uint64_t need)
{
    uint64_t refused;

    if (ring_is_frozen(wal->ring, &refused) && refused == wal->current->info.number)
        return false; /* its frames would have a gap before them */
    return !atomic_load(&wal->must_switch) && wal->offset + need <= wal->current->capacity;
}

static enum nx_code append(struct wal *wal, struct frame *frame, const struct nx_slice *parts,
                           size_t part_count, enum reserve_user user, struct nx_err *err)
{
    uint64_t need = frame_bytes(frame->length);
    enum nx_code rc = fill_buffer(wal, parts, part_count, frame->length, err);

    if (rc == NX_OK && !is_usable(wal, need))
        rc = switch_segment(wal, need, user, err);
    else if (rc == NX_OK && ring_is_thawed(wal->ring))
        aim_ring(wal);
    if (rc == NX_OK)
        rc = reserve(wal, need, user, err);
    if (rc != NX_OK)
        return rc;
    frame->file = (uint32_t)wal->current->info.number;
    frame->durable = engine_mutated(CLAIM_TOO_EARLY) ? wal_end(wal) : wal_durable(wal);
    frame->previous = wal->hash;
    frame_seal(wal->buffer.data, frame, wal->seed);
    rc = write_frame(wal, (size_t)need, err);
    if (rc != NX_OK) {
        atomic_store(&wal->must_switch, true); /* what is there now is anybody's guess */
        return rc;
    }
    wal->hash = frame->hash;
    wal->offset += need;
    /* Release: who reads this end may count on the bytes before it. */
    atomic_store_explicit(&wal->end, wal->current->info.base + wal->offset, memory_order_release);
    return NX_OK;
}

enum nx_code wal_append(struct wal *wal, uint64_t sequence, uint32_t count,
                        const struct nx_slice *parts, size_t part_count, enum reserve_user user,
                        struct nx_err *err)
{
    struct frame frame = {.sequence = sequence, .count = count};
    uint64_t length = 0;
    enum nx_code rc;

    for (size_t i = 0; i < part_count; i++)
        length += parts[i].len;
    if (length > FRAME_PAYLOAD_MAX)
        return nx_fail(err, NX_ETOOBIG, "%llu bytes of changes at once, the limit is %u",
                       (unsigned long long)length, FRAME_PAYLOAD_MAX);
    frame.length = (uint32_t)length;
    rc = append(wal, &frame, parts, part_count, user, err);
    if (rc == NX_OK)
        wal->sequence = sequence + count - 1;
    if (wal->buffer.cap > BUFFER_KEPT_BYTES)
        nx_buf_fini(&wal->buffer);
    return rc;
}

/* --- syncing ---------------------------------------------------------------------------------- */

uint64_t wal_end(const struct wal *wal)
{
    return atomic_load_explicit(&wal->end, memory_order_acquire);
}

uint64_t wal_durable(const struct wal *wal)
{
    return atomic_load_explicit(&wal->durable, memory_order_acquire);
}

bool wal_needs_flush(const struct wal *wal)
{
    uint64_t refused;

    return atomic_load(&wal->lost_count) > 0 || ring_is_frozen(wal->ring, &refused);
}

/* The oldest segment that still has to be synced, referenced; NULL when there is none. */
static struct segment *next_unsynced(struct wal *wal, uint64_t after)
{
    struct segment *found = NULL;

    nx_mutex_lock(&wal->mu);
    for (size_t i = 0; i < wal->count && !found; i++) {
        struct segment *segment = wal->segments[i];

        if (segment->info.number > after && segment->file && !segment->is_lost)
            found = segment;
    }
    if (found)
        found->refs++;
    nx_mutex_unlock(&wal->mu);
    return found;
}

/* A segment nothing is appended to any more needs its file no longer once it is synced. */
static void mark_synced(struct wal *wal, struct segment *segment, bool was_left)
{
    struct nx_file *file = NULL;

    nx_mutex_lock(&wal->mu);
    segment->has_header = true;
    if (was_left) {
        file = segment->file;
        segment->file = NULL;
    }
    nx_mutex_unlock(&wal->mu);
    if (file)
        file->ops->close(file);
}

static enum nx_code sync_one(struct wal *wal, struct segment *segment, struct nx_err *err)
{
    enum nx_code rc;
    bool was_left;

    nx_mutex_lock(&wal->mu);
    was_left = segment->is_left;
    nx_mutex_unlock(&wal->mu);
    rc = segment->file->ops->datasync(segment->file, err);
    if (rc == NX_OK)
        mark_synced(wal, segment, was_left);
    if (rc == NX_OK || engine_mutated(TRUST_FAILED_SYNC))
        return rc;
    nx_mutex_lock(&wal->mu);
    mark_lost(wal, segment);
    nx_mutex_unlock(&wal->mu);
    return rc;
}

enum nx_code wal_sync(struct wal *wal, struct nx_err *err)
{
    enum nx_code rc = NX_OK;
    struct segment *segment;
    uint64_t target, number = 0;

    nx_mutex_lock(&wal->sync_mu);
    target = wal_end(wal); /* before the files are looked at: they hold all of it */
    rc = write_out(wal, target, err);
    while (rc == NX_OK && (segment = next_unsynced(wal, number)) != NULL) {
        number = segment->info.number;
        rc = sync_one(wal, segment, err);
        segment_unref(wal, segment);
    }
    if (rc == NX_OK && !wal_needs_flush(wal))
        raise_to(&wal->durable, target); /* I4 */
    nx_mutex_unlock(&wal->sync_mu);
    return rc;
}

/* --- old segments ----------------------------------------------------------------------------- */

uint64_t wal_first_number(struct wal *wal)
{
    uint64_t number;

    nx_mutex_lock(&wal->mu);
    number = wal->segments[0]->info.number;
    nx_mutex_unlock(&wal->mu);
    return number;
}

bool wal_starts_before(struct wal *wal, uint64_t position)
{
    bool does;

    nx_mutex_lock(&wal->mu);
    does = wal->count > 1 && wal->segments[1]->info.base <= position;
    nx_mutex_unlock(&wal->mu);
    return does;
}

uint64_t wal_first_needed(struct wal *wal, uint64_t position)
{
    uint64_t number;

    nx_mutex_lock(&wal->mu);
    number = wal->segments[0]->info.number;
    for (size_t i = 1; i < wal->count && wal->segments[i]->info.base <= position; i++)
        if (wal->segments[i]->has_header)
            number = wal->segments[i]->info.number;
    nx_mutex_unlock(&wal->mu);
    return number;
}

static struct segment *take_oldest_before(struct wal *wal, uint64_t number)
{
    struct segment *oldest = NULL;

    nx_mutex_lock(&wal->mu);
    if (wal->count > 1 && wal->segments[0]->info.number < number) {
        oldest = wal->segments[0];
        wal->count--;
        if (oldest->is_lost)
            atomic_fetch_sub(&wal->lost_count, 1);
        memmove(wal->segments, wal->segments + 1, wal->count * sizeof(struct segment *));
    }
    nx_mutex_unlock(&wal->mu);
    return oldest;
}

void wal_remove_before(struct wal *wal, uint64_t number)
{
    struct segment *segment;

    while ((segment = take_oldest_before(wal, number)) != NULL) {
        remove_file(wal, segment->info.number);
        ring_thaw(wal->ring, segment->info.number);
        segment_unref(wal, segment);
    }
    reserve_follow(wal->reserve, wal_bytes(wal));
}

uint64_t wal_bytes(struct wal *wal)
{
    uint64_t bytes = ring_bytes(wal->ring);

    nx_mutex_lock(&wal->mu);
    for (size_t i = 0; i < wal->count; i++)
        bytes += wal->segments[i]->allocated;
    nx_mutex_unlock(&wal->mu);
    return bytes;
}

/* --- opening and closing ---------------------------------------------------------------------- */

static enum nx_code adopt_tail(struct wal *wal, const struct wal_tail *tail, struct nx_err *err)
    NX_NO_THREAD_SAFETY /* nobody else knows the log yet */
{
    for (size_t i = 0; i < tail->count; i++) {
        struct segment *segment;

        if (grow_list(wal, err) != NX_OK)
            return NX_ENOMEM;
        segment = calloc(1, sizeof *segment);
        if (!segment)
            return nx_fail_nomem(err);
        segment->info = tail->segments[i];
        segment->capacity = segment->allocated = segment->info.end_offset;
        segment->refs = 1;
        segment->is_left = true;
        segment->has_header = tail->closed;
        segment->is_lost = !tail->closed && !engine_mutated(TRUST_REPLAY); /* I6 */
        atomic_fetch_add(&wal->lost_count, segment->is_lost);
        wal->segments[wal->count++] = segment;
    }
    wal->current = tail->count ? wal->segments[tail->count - 1] : NULL;
    wal->offset = tail->count ? tail->segments[tail->count - 1].end_offset : 0;
    return NX_OK;
}

static enum nx_code init(struct wal *wal, const struct wal_tail *tail, struct nx_err *err)
{
    wal->hash = tail->hash;
    wal->sequence = tail->sequence;
    wal->last_number = tail->last_number;
    atomic_init(&wal->end, tail->position);
    atomic_init(&wal->durable, tail->closed ? tail->position : tail->durable);
    return adopt_tail(wal, tail, err);
}

static enum nx_code rescue_piece(struct wal *wal, const struct wal_piece *piece,
                                 const uint8_t *bytes, struct nx_err *err)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    char name[WAL_NAME_BYTES];
    struct nx_file *file;
    enum nx_code rc;

    wal_name(piece->number, name);
    rc = storage_path(&path, wal->dir, name, err);
    if (rc == NX_OK)
        rc = wal->io->ops->open(wal->io, (const char *)path.data, NX_OPEN_WRITE, &file, err);
    if (rc != NX_OK)
        return rc;
    rc = file->ops->pwrite(file, piece->offset, bytes, piece->len, err);
    file->ops->close(file);
    return rc;
}

/* Write what only the ring held to where it belongs. Like all that was replayed, it does not count
 * as durable there (I6); but a second kill now finds it. */
static enum nx_code rescue(struct wal *wal, const struct wal_tail *tail, struct nx_err *err)
{
    const uint8_t *bytes = tail->piece_bytes.data;
    enum nx_code rc = NX_OK;

    for (size_t i = 0; i < tail->piece_count && rc == NX_OK; i++) {
        if (!engine_mutated(SKIP_RING_RESCUE))
            rc = rescue_piece(wal, &tail->pieces[i], bytes, err);
        bytes += tail->pieces[i].len;
    }
    return rc;
}

enum nx_code wal_open(struct nx_io *io, const char *dir, const uint8_t uuid[16],
                      const struct wal_options *options, const struct wal_tail *tail,
                      struct wal **out, struct nx_err *err)
{
    struct wal *wal = calloc(1, sizeof *wal);
    enum nx_code rc;

    *out = NULL;
    if (!wal)
        return nx_fail_nomem(err);
    nx_mutex_init(&wal->sync_mu, NX_RANK_ENGINE_SYNC);
    nx_mutex_init(&wal->mu, NX_RANK_LEAF);
    wal->io = io;
    wal->segment_bytes = options->segment_bytes;
    wal->reserve = options->reserve;
    memcpy(wal->uuid, uuid, sizeof wal->uuid);
    wal->dir = strdup(dir);
    rc = wal->dir ? init(wal, tail, err) : nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = rescue(wal, tail, err); /* before the ring is used again */
    if (rc == NX_OK) {
        reserve_follow(wal->reserve, wal_bytes(wal));
        wal->ring = ring_open(io, dir, options->ring_bytes);
        rc = switch_segment(wal, 0, RESERVE_FLUSH, err);
    }
    if (rc != NX_OK) {
        wal_abandon(wal);
        return rc;
    }
    *out = wal;
    return NX_OK;
}

void wal_abandon(struct wal *wal)
{
    if (!wal)
        return;
    for (size_t i = 0; i < wal->count; i++)
        segment_free(wal->segments[i]);
    segment_free(wal->spare);
    ring_close(wal->ring);
    free(wal->segments);
    nx_buf_fini(&wal->buffer);
    nx_mutex_fini(&wal->mu);
    nx_mutex_fini(&wal->sync_mu);
    free(wal->dir);
    free(wal);
}

static enum nx_code append_close(struct wal *wal, struct nx_err *err)
{
    struct frame frame = {.flags = FRAME_CLOSE, .sequence = wal->sequence};
    enum nx_code rc = append(wal, &frame, NULL, 0, RESERVE_FLUSH, err);

    return rc == NX_OK ? wal_sync(wal, err) : rc;
}

enum nx_code wal_close(struct wal *wal, struct nx_err *err)
{
    enum nx_code rc;

    if (!wal)
        return NX_OK;
    rc = wal_sync(wal, err);
    /* A close mark vouches for all before it. */
    if (rc == NX_OK && !wal_needs_flush(wal))
        rc = append_close(wal, err);
    if (rc == NX_OK && wal->ring) {
        ring_remove(wal->ring, wal->io, wal->dir);
        wal->ring = NULL;
    }
    if (wal->spare)
        remove_file(wal, wal->spare->info.number);
    wal_abandon(wal);
    return rc;
}

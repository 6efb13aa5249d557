/*
 * storage_log_fuzz.c - any segment is replayed, walked and dumped without harm, and what replay
 * delivers is in order. The input is a list of frames: a byte of flags, two of length, the payload.
 * They are sealed and chained, since otherwise nearly every input would end at the first checksum;
 * a frame whose flags say so is left damaged.
 */
#include <nexadb/salvage.h>

#include "base/bytes.h"
#include "base/io_sim.h"
#include "storage/batch.h"
#include "storage/frame_walk.h"
#include "storage/wal_segment.h"
#include "tests/fuzz/fuzz.h"

enum { FRAME_IS_DAMAGED = 1, FRAME_BREAKS_CHAIN = 2, FRAME_VOUCHES = 4, FRAME_CLOSES = 8 };

static const uint8_t uuid[16] = "the fuzzer's one";

struct writer {
    struct nx_buf bytes;
    uint64_t hash, sequence;
};

static void add_frame(struct writer *w, uint8_t flags, struct nx_slice payload)
{
    size_t at = w->bytes.len;
    struct frame frame = {.length = (uint32_t)payload.len,
                          .file = 1,
                          .flags = flags & FRAME_CLOSES ? FRAME_CLOSE : 0,
                          .sequence = w->sequence + 1,
                          .count = flags >> 4,
                          .durable = flags & FRAME_VOUCHES ? at : 0,
                          .previous = flags & FRAME_BREAKS_CHAIN ? 7 : w->hash};

    CLAIM(nx_buf_resize(&w->bytes, at + (size_t)frame_bytes(frame.length)) == NX_OK);
    if (payload.len)
        memcpy(w->bytes.data + at + FRAME_HEADER_BYTES, payload.data, payload.len);
    frame_seal(w->bytes.data + at, &frame, frame_seed(uuid, 1, WAL_SEED_KIND));
    w->hash = frame.hash;
    w->sequence += frame.count;
    if (flags & FRAME_IS_DAMAGED)
        w->bytes.data[at] ^= 1;
}

static void build(struct writer *w, const uint8_t *data, size_t size)
{
    struct wal_header header = {.number = 1};

    CLAIM(nx_buf_resize(&w->bytes, WAL_HEADER_BYTES) == NX_OK);
    wal_header_encode(w->bytes.data, &header, uuid);
    while (size >= 3) {
        size_t len = get_u16le(data + 1);

        len = len > size - 3 ? size - 3 : len;
        add_frame(w, data[0], nx_slice(data + 3, len));
        data += 3 + len;
        size -= 3 + len;
    }
    CLAIM(nx_buf_append(&w->bytes, data, size) == NX_OK);
}

static enum nx_code take_frame(void *arg, const struct frame *frame, struct nx_slice payload,
                               struct nx_err *err)
{
    uint64_t *last = arg;
    struct change change;

    (void)err;
    CLAIM(frame->sequence > *last);
    *last = frame->sequence;
    while (change_take(&payload, &change))
        CLAIM(change.key.len <= UINT32_MAX);
    return NX_OK;
}

static enum nx_code count_step(void *arg, const struct frame_step *step, struct nx_err *err)
{
    uint64_t *covered = arg;

    (void)err;
    CLAIM(step->offset >= *covered && step->bytes > 0);
    *covered = step->offset + step->bytes;
    return NX_OK;
}

static void swallow(void *arg, const char *line)
{
    (void)arg;
    CLAIM(line[0]);
}

static void put_file(struct nx_io *io, const char *path, struct nx_slice bytes)
{
    struct nx_file *file;

    CLAIM(io->ops->open(io, path, NX_OPEN_WRITE | NX_OPEN_CREATE, &file, NULL) == NX_OK);
    CLAIM(file->ops->pwrite(file, 0, bytes.data, bytes.len, NULL) == NX_OK);
    file->ops->close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct writer w = {0};
    struct io_sim *sim = io_sim_new(1);
    struct nx_io *io = io_sim_io(sim);
    struct wal_tail tail;
    struct nx_err err = NX_ERR_INIT;
    uint64_t last = 0, covered = 0, faults;

    build(&w, data, size);
    CLAIM(io->ops->mkdir(io, "/db", NULL) == NX_OK);
    put_file(io, "/db/000001.wal", nx_buf_slice(&w.bytes));
    if (wal_replay(io, "/db", uuid, 1, take_frame, &last, &tail, &err) == NX_OK)
        wal_tail_fini(&tail);
    else
        CLAIM(err.message[0]);
    CLAIM(frame_walk(nx_buf_slice(&w.bytes), WAL_HEADER_BYTES, 1,
                     frame_seed(uuid, 1, WAL_SEED_KIND), count_step, &covered, NULL) == NX_OK);
    CLAIM(nx_dump_file("/db/000001.wal", io, swallow, NULL, &faults, &err) == NX_OK);
    nx_buf_fini(&w.bytes);
    io_sim_free(sim);
    return 0;
}

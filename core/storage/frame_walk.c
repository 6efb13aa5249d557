/*
 * frame_walk.c - a frame is found by its mark and believed by its hash, which is seeded with the
 * file: so a search that begins anywhere cannot mistake a value's bytes for one.
 */
#include "storage/frame_walk.h"

enum { FILE_MAX_BYTES = 1 << 30 };

enum nx_code file_load(struct nx_io *io, const char *path, struct nx_buf *out, struct nx_err *err)
{
    struct nx_file *file;
    uint64_t size = 0;
    size_t got = 0;
    enum nx_code rc = io->ops->open(io, path, NX_OPEN_READ, &file, err);

    nx_buf_clear(out);
    if (rc != NX_OK)
        return rc;
    rc = file->ops->size(file, &size, err);
    if (rc == NX_OK && size > FILE_MAX_BYTES + (UINT64_C(1) << 20))
        rc = nx_fail(err, NX_ETOOBIG, "'%s' has %llu bytes", path, (unsigned long long)size);
    if (rc == NX_OK && nx_buf_reserve(out, (size_t)size + 1) != NX_OK)
        rc = nx_fail_nomem(err);
    if (rc == NX_OK)
        rc = file->ops->pread(file, 0, out->data, (size_t)size, &got, err);
    out->len = got;
    file->ops->close(file);
    return rc;
}

static bool whole_at(struct nx_slice bytes, uint64_t offset, uint64_t number, uint64_t seed,
                     struct frame *frame)
{
    return offset + FRAME_HEADER_BYTES <= bytes.len &&
           frame_parse(bytes.data + offset, frame) == FRAME_OK && frame->file == (uint32_t)number &&
           frame->length <= bytes.len - offset - FRAME_HEADER_BYTES &&
           frame_is_whole(bytes.data + offset, frame, seed);
}

/* The next whole frame at or behind `offset`; the end of the file when there is none. */
static uint64_t find_whole(struct nx_slice bytes, uint64_t offset, uint64_t number, uint64_t seed,
                           struct frame *frame)
{
    while (offset + FRAME_HEADER_BYTES <= bytes.len) {
        offset += frame_find(bytes.data + offset, (size_t)(bytes.len - offset));
        if (whole_at(bytes, offset, number, seed, frame))
            return offset;
        offset += 8;
    }
    return bytes.len;
}

/* Where what was written ends: only zeros follow. */
static uint64_t end_of_data(struct nx_slice bytes, uint64_t from)
{
    uint64_t end = bytes.len;

    while (end > from && bytes.data[end - 1] == 0)
        end--;
    return end;
}

enum nx_code frame_walk(struct nx_slice bytes, uint64_t offset, uint64_t number, uint64_t seed,
                        frame_step_fn fn, void *arg, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    while (rc == NX_OK && offset < bytes.len) {
        struct frame frame;
        uint64_t at = find_whole(bytes, offset, number, seed, &frame);
        uint64_t gap_end = at < bytes.len ? at : end_of_data(bytes, offset);
        struct frame_step step = {.offset = offset, .bytes = gap_end - offset};

        if (gap_end > offset)
            rc = fn(arg, &step, err);
        if (rc != NX_OK || at >= bytes.len)
            return rc;
        step = (struct frame_step){
            .offset = at,
            .bytes = frame_bytes(frame.length),
            .frame = &frame,
            .payload = nx_slice(bytes.data + at + FRAME_HEADER_BYTES, frame.length)};
        rc = fn(arg, &step, err);
        offset = at + step.bytes;
    }
    return rc;
}

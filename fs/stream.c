/* stream.c - a window over a source that only goes forward. */
#include "fs/stream.h"

#define PATIENCE_NS 50000000u /* a reader gets what there is after this long */
#define STEP_BYTES 65536u

void stream_init(struct stream *stream, const struct stream_source *source, void *arg,
                 struct nx_io *io)
{
    *stream = (struct stream){.source = source, .arg = arg, .io = io};
    atomic_init(&stream->canceled, false);
}

void stream_reset(struct stream *stream)
{
    if (stream->started)
        stream->source->stop(stream->arg);
    nx_buf_clear(&stream->window);
    stream->window_at = 0;
    stream->started = stream->ended = false;
    stream->failed = NX_OK;
    stream->idle_ns = stream->left_at = 0;
}

void stream_fini(struct stream *stream)
{
    stream_reset(stream);
    nx_buf_fini(&stream->window);
}

static uint64_t window_end(const struct stream *stream)
{
    return stream->window_at + stream->window.len;
}

static enum nx_code start(struct stream *stream, struct nx_err *err)
{
    enum nx_code rc;

    stream_reset(stream);
    rc = stream->source->start(stream->arg, err);
    if (rc != NX_OK) {
        stream->source->stop(stream->arg);
        return rc;
    }
    stream->started = true;
    return NX_OK;
}

/* Bytes before `offset` are not read again but after a seek, which begins anew. */
static void forget_before(struct stream *stream, uint64_t offset)
{
    size_t gone;

    if (offset <= stream->window_at)
        return;
    gone = offset < window_end(stream) ? (size_t)(offset - stream->window_at) : stream->window.len;
    if (gone == 0)
        return;
    memmove(stream->window.data, stream->window.data + gone, stream->window.len - gone);
    stream->window.len -= gone;
    stream->window_at += gone;
}

static void produce(struct stream *stream, uint64_t offset, size_t size)
{
    uint64_t began = stream->io->ops->monotonic_ns(stream->io);

    if (stream->left_at)
        stream->idle_ns += began - stream->left_at;
    while (!stream->ended && stream->failed == NX_OK && window_end(stream) < offset + size) {
        uint64_t missing = offset + size - window_end(stream);
        size_t want = missing < STEP_BYTES ? (size_t)missing : STEP_BYTES;
        enum nx_code rc;

        forget_before(stream, offset);
        rc = stream->source->next(stream->arg, want, &stream->window, &stream->err);
        if (rc == NX_DONE)
            stream->ended = true;
        else
            stream->failed = rc;
        if (window_end(stream) > offset &&
            stream->io->ops->monotonic_ns(stream->io) - began > PATIENCE_NS)
            break;
    }
    stream->left_at = stream->io->ops->monotonic_ns(stream->io);
}

enum nx_code stream_read(struct stream *stream, uint64_t offset, size_t size, struct nx_slice *out,
                         struct nx_err *err)
{
    size_t from;

    *out = NX_SLICE_NULL;
    if (!stream->started || offset < stream->window_at) {
        enum nx_code rc = start(stream, err);

        if (rc != NX_OK)
            return rc;
    }
    produce(stream, offset, size);
    if (window_end(stream) > offset) { /* an error waits until what is good has been read */
        from = (size_t)(offset - stream->window_at);
        *out = nx_slice(stream->window.data + from,
                        stream->window.len - from < size ? stream->window.len - from : size);
        return NX_OK;
    }
    if (stream->failed == NX_OK)
        return NX_OK;
    if (err)
        *err = stream->err;
    if (stream->failed == NX_ECANCELED) { /* the next read may try again */
        stream_reset(stream);
        return NX_ECANCELED;
    }
    return stream->failed;
}

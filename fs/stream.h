/*
 * stream.h - reads at offsets from something that is produced from front to back.
 *
 * Holds one window of it. A read behind the window begins again, one past it produces and drops
 * what is between; the source must give the same bytes each time (it runs on a snapshot).
 *
 * Threads: one at a time (a strand); `canceled` may be set from any.
 */
#ifndef FS_STREAM_H
#define FS_STREAM_H

#include <stdatomic.h>
#include <stdbool.h>

#include <nexadb/buf.h>
#include <nexadb/io.h>

struct stream_source {
    enum nx_code (*start)(void *arg, struct nx_err *err);
    /* Append about `want` bytes. NX_DONE at the end, with the last of them or without any. */
    enum nx_code (*next)(void *arg, size_t want, struct nx_buf *out, struct nx_err *err);
    void (*stop)(void *arg); /* also after a failed start */
};

struct stream {
    const struct stream_source *source;
    void *arg;
    struct nx_io *io;
    struct nx_buf window; /* owned */
    uint64_t window_at;   /* offset of its first byte */
    bool started, ended;
    uint64_t idle_ns;    /* since the start: time that passed between the reads */
    uint64_t left_at;    /* when the last read ended; 0: none did since the start */
    enum nx_code failed; /* sticky until a restart */
    struct nx_err err;
    atomic_bool canceled; /* relaxed: a hint to stop soon */
};

void stream_init(struct stream *stream, const struct stream_source *source, void *arg,
                 struct nx_io *io);
void stream_fini(struct stream *stream);
/* Forget all: the next read starts the source again. */
void stream_reset(struct stream *stream);
/* Borrowed bytes at `offset`, up to `size`; empty at the end. Less than `size` only at the end or
 * when the source is slow: what is there is not held back. */
enum nx_code stream_read(struct stream *stream, uint64_t offset, size_t size, struct nx_slice *out,
                         struct nx_err *err);

#endif

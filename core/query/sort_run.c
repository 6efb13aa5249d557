/*
 * sort_run.c - a run is written once in large pieces and read once from its beginning.
 */
#include "query/sort_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include <nexadb/value.h>

#include "base/bytes.h"

#define HEADER_BYTES 24
#define PIECE_BYTES (64u << 10)
#define ITEM_MAX_BYTES (256u << 20) /* beyond it a length is nonsense */

struct sort_run {
    struct nx_io *io; /* outlives it */
    struct nx_file *file;
    char *path; /* owned */
    struct nx_buf buf;
    size_t at;       /* reading: what of `buf` has been used */
    uint64_t offset; /* of the next write, or of the next read into `buf` */
    uint64_t size;   /* reading: of the file */
};

static enum nx_code open_file(struct sort_run *run, const char *dir, struct nx_err *err)
{
    struct nx_buf path = NX_BUF_INIT;
    uint64_t name;
    enum nx_code rc;

    run->io->ops->random(run->io, &name, sizeof name);
    rc = nx_buf_printf(&path, "%s/sort-%016" PRIx64, dir, name);
    if (rc == NX_OK)
        rc = nx_buf_append_byte(&path, 0);
    run->path = (char *)path.data;
    if (rc != NX_OK)
        return nx_fail_nomem(err);
    return run->io->ops->open(run->io, run->path, NX_OPEN_WRITE | NX_OPEN_CREATE | NX_OPEN_EXCL,
                              &run->file, err);
}

enum nx_code sort_run_new(struct nx_io *io, const char *dir, struct sort_run **out,
                          struct nx_err *err)
{
    struct sort_run *run;
    enum nx_code rc;

    *out = NULL;
    run = calloc(1, sizeof *run);
    if (!run)
        return nx_fail_nomem(err);
    run->io = io;
    rc = open_file(run, dir, err);
    if (rc != NX_OK) {
        sort_run_close(run);
        return rc;
    }
    *out = run;
    return NX_OK;
}

void sort_run_close(struct sort_run *run)
{
    if (!run)
        return;
    if (run->file) {
        run->file->ops->close(run->file);
        (void)run->io->ops->remove(run->io, run->path, NULL);
    }
    nx_buf_fini(&run->buf);
    free(run->path);
    free(run);
}

static enum nx_code flush(struct sort_run *run, struct nx_err *err)
{
    enum nx_code rc =
        run->file->ops->pwrite(run->file, run->offset, run->buf.data, run->buf.len, err);

    if (rc != NX_OK)
        return rc;
    run->offset += run->buf.len;
    nx_buf_clear(&run->buf);
    return NX_OK;
}

static uint64_t checksum(const struct sort_item *item)
{
    uint64_t seed = XXH3_64bits_withSeed(item->doc.data, item->doc.len, item->sequence);

    return XXH3_64bits_withSeed(item->metadata.data, item->metadata.len, seed);
}

enum nx_code sort_run_write(struct sort_run *run, const struct sort_item *item, struct nx_err *err)
{
    uint8_t header[HEADER_BYTES];

    put_u32le(header, (uint32_t)item->doc.len);
    put_u32le(header + 4, (uint32_t)item->metadata.len);
    put_u64le(header + 8, item->sequence);
    put_u64le(header + 16, checksum(item));
    if (nx_buf_append(&run->buf, header, sizeof header) != NX_OK ||
        nx_buf_append(&run->buf, item->doc.data, item->doc.len) != NX_OK ||
        nx_buf_append(&run->buf, item->metadata.data, item->metadata.len) != NX_OK)
        return nx_fail_nomem(err);
    return run->buf.len >= PIECE_BYTES ? flush(run, err) : NX_OK;
}

enum nx_code sort_run_rewind(struct sort_run *run, struct nx_err *err)
{
    enum nx_code rc = flush(run, err);

    run->size = run->offset;
    run->offset = 0;
    run->at = 0;
    return rc;
}

/* Have `need` unused bytes in the buffer. */
static enum nx_code fill(struct sort_run *run, size_t need, struct nx_err *err)
{
    size_t have = run->buf.len - run->at, piece, got = 0;
    enum nx_code rc;

    if (have >= need)
        return NX_OK;
    memmove(run->buf.data, run->buf.data + run->at, have);
    run->buf.len = have;
    run->at = 0;
    piece = need - have > PIECE_BYTES ? need - have : PIECE_BYTES;
    if (run->offset + piece > run->size)
        piece = (size_t)(run->size - run->offset);
    if (nx_buf_reserve(&run->buf, piece) != NX_OK)
        return nx_fail_nomem(err);
    rc = run->file->ops->pread(run->file, run->offset, run->buf.data + have, piece, &got, err);
    if (rc != NX_OK)
        return rc;
    run->buf.len += got;
    run->offset += got;
    if (run->buf.len < need)
        return nx_fail(err, NX_ECORRUPT, "sort run '%s' is cut off at byte %" PRIu64, run->path,
                       run->offset);
    return NX_OK;
}

enum nx_code sort_run_read(struct sort_run *run, struct sort_item *out, struct nx_err *err)
{
    uint64_t doc_len, metadata_len, stored;
    const uint8_t *at;
    enum nx_code rc;

    if (run->at == run->buf.len && run->offset == run->size)
        return NX_DONE;
    rc = fill(run, HEADER_BYTES, err);
    if (rc != NX_OK)
        return rc;
    doc_len = get_u32le(run->buf.data + run->at);
    metadata_len = get_u32le(run->buf.data + run->at + 4);
    if (doc_len + metadata_len > ITEM_MAX_BYTES)
        return nx_fail(err, NX_ECORRUPT, "sort run '%s' has an item of %" PRIu64 " bytes",
                       run->path, doc_len + metadata_len);
    rc = fill(run, (size_t)(HEADER_BYTES + doc_len + metadata_len), err);
    if (rc != NX_OK)
        return rc;
    at = run->buf.data + run->at;
    out->sequence = get_u64le(at + 8);
    stored = get_u64le(at + 16);
    out->doc = nx_slice(at + HEADER_BYTES, (size_t)doc_len);
    out->metadata = nx_slice(at + HEADER_BYTES + doc_len, (size_t)metadata_len);
    run->at += (size_t)(HEADER_BYTES + doc_len + metadata_len);
    if (checksum(out) != stored)
        return nx_fail(err, NX_ECORRUPT, "sort run '%s' fails its checksum near byte %" PRIu64,
                       run->path, run->offset);
    return NX_OK;
}

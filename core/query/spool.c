/*
 * spool.c - documents one behind the other: BSON begins with its own length, so nothing more is
 * needed to read them back.
 *
 * The file is named by a random number and removed when it is closed; a crash leaves it to the
 * cleaning of the spill folder at the next start.
 */
#include "query/spool.h"

#include <stdio.h>
#include <stdlib.h>

#include <nexadb/io.h>

#include "base/bytes.h"

#define CHUNK_BYTES (256u << 10)
#define PATH_BYTES 4096
#define DOC_MIN_BYTES 5

struct spool {
    struct budget *budget; /* borrowed */
    const char *dir;       /* borrowed; NULL: none */
    const char *what;
    struct nx_buf memory; /* documents not in the file; of it, what is being written or read */
    uint64_t taken;       /* from the budget */
    uint64_t may_take;    /* before it goes to a file */
    struct nx_file *file; /* NULL: all in memory */
    char path[PATH_BYTES];
    uint64_t file_bytes;
    uint64_t count;
    uint64_t at; /* reading: offset in the file, or in memory */
    size_t window_at;
    struct nx_buf window; /* a part of the file */
};

enum nx_code spool_new(struct budget *budget, const char *dir, const char *what, uint64_t may_take,
                       struct spool **out, struct nx_err *err)
{
    struct spool *spool = calloc(1, sizeof *spool);

    *out = spool;
    if (!spool)
        return nx_fail_nomem(err);
    spool->budget = budget;
    spool->dir = dir;
    spool->what = what;
    spool->may_take = may_take;
    return NX_OK;
}

void spool_clear(struct spool *spool)
{
    if (spool->file) {
        spool->file->ops->close(spool->file);
        spool->budget->io->ops->remove(spool->budget->io, spool->path, NULL);
        spool->file = NULL;
    }
    budget_give(spool->budget, spool->taken);
    nx_buf_fini(&spool->memory);
    nx_buf_fini(&spool->window);
    spool->taken = spool->file_bytes = spool->count = spool->at = 0;
    spool->window_at = 0;
}

void spool_free(struct spool *spool)
{
    if (!spool)
        return;
    spool_clear(spool);
    free(spool);
}

static enum nx_code open_file(struct spool *spool, struct nx_err *err)
{
    struct nx_io *io = spool->budget->io;
    uint64_t number;
    int len;

    io->ops->random(io, &number, sizeof number);
    len = snprintf(spool->path, sizeof spool->path, "%s/spool-%016llx", spool->dir,
                   (unsigned long long)number);
    if (len < 0 || (size_t)len >= sizeof spool->path)
        return nx_fail(err, NX_ENAMETOOLONG, "the spill folder's name is too long");
    return io->ops->open(io, spool->path,
                         NX_OPEN_READ | NX_OPEN_WRITE | NX_OPEN_CREATE | NX_OPEN_EXCL, &spool->file,
                         err);
}

static enum nx_code flush(struct spool *spool, struct nx_err *err)
{
    enum nx_code rc;

    if (spool->memory.len == 0)
        return NX_OK;
    rc = spool->file->ops->pwrite(spool->file, spool->file_bytes, spool->memory.data,
                                  spool->memory.len, err);
    if (rc != NX_OK)
        return rc;
    spool->file_bytes += spool->memory.len;
    nx_buf_clear(&spool->memory);
    return NX_OK;
}

/* From memory to a file: only a chunk stays. */
static enum nx_code spill(struct spool *spool, struct nx_err *err)
{
    enum nx_code rc;

    if (!spool->dir)
        return budget_fail(spool->budget, spool->what, err);
    rc = open_file(spool, err);
    if (rc == NX_OK)
        rc = flush(spool, err);
    if (rc != NX_OK)
        return rc;
    nx_buf_fini(&spool->memory);
    budget_give(spool->budget, spool->taken);
    spool->taken = 0;
    return NX_OK;
}

enum nx_code spool_add(struct spool *spool, struct nx_slice doc, struct nx_err *err)
{
    enum nx_code rc = NX_OK;

    if (!spool->file) {
        if (spool->taken + doc.len <= spool->may_take && budget_take(spool->budget, doc.len))
            spool->taken += doc.len;
        else
            rc = spill(spool, err);
    }
    if (rc == NX_OK && nx_buf_append(&spool->memory, doc.data, doc.len) != NX_OK)
        rc = nx_fail_nomem(err);
    if (rc == NX_OK && spool->file && spool->memory.len >= CHUNK_BYTES)
        rc = flush(spool, err);
    spool->count += rc == NX_OK;
    return rc;
}

uint64_t spool_count(const struct spool *spool)
{
    return spool->count;
}

void spool_rewind(struct spool *spool)
{
    spool->at = 0;
    spool->window_at = 0;
    nx_buf_clear(&spool->window);
}

/* Have `len` bytes from window_at on in the window. */
static enum nx_code fill(struct spool *spool, size_t len, struct nx_err *err)
{
    size_t have = spool->window.len - spool->window_at, want, got;
    enum nx_code rc;

    if (have >= len)
        return NX_OK;
    if (spool->window_at)
        memmove(spool->window.data, spool->window.data + spool->window_at, have);
    want = len - have > CHUNK_BYTES ? len - have : CHUNK_BYTES;
    spool->window_at = 0;
    if (nx_buf_resize(&spool->window, have) != NX_OK ||
        nx_buf_resize(&spool->window, have + want) != NX_OK)
        return nx_fail_nomem(err);
    rc =
        spool->file->ops->pread(spool->file, spool->at, spool->window.data + have, want, &got, err);
    if (rc != NX_OK)
        return rc;
    spool->at += got;
    nx_buf_resize(&spool->window, have + got);
    return have + got >= len
               ? NX_OK
               : nx_fail(err, NX_ECORRUPT, "the spill file '%s' ends early", spool->path);
}

static enum nx_code next_of_file(struct spool *spool, struct nx_slice *doc, struct nx_err *err)
{
    enum nx_code rc = spool->memory.len ? flush(spool, err) : NX_OK;
    uint32_t len;

    if (rc == NX_OK && spool->at == spool->file_bytes && spool->window_at == spool->window.len)
        return NX_DONE;
    if (rc == NX_OK)
        rc = fill(spool, DOC_MIN_BYTES, err);
    if (rc != NX_OK)
        return rc;
    len = get_u32le(spool->window.data + spool->window_at);
    if (len < DOC_MIN_BYTES || len > spool->file_bytes)
        return nx_fail(err, NX_ECORRUPT, "the spill file '%s' holds a length of %u", spool->path,
                       len);
    rc = fill(spool, len, err);
    if (rc != NX_OK)
        return rc;
    *doc = nx_slice(spool->window.data + spool->window_at, len);
    spool->window_at += len;
    return NX_OK;
}

enum nx_code spool_next(struct spool *spool, struct nx_slice *doc, struct nx_err *err)
{
    if (spool->file)
        return next_of_file(spool, doc, err);
    if (spool->at == spool->memory.len)
        return NX_DONE;
    *doc = nx_slice(spool->memory.data + spool->at, get_u32le(spool->memory.data + spool->at));
    spool->at += doc->len;
    return NX_OK;
}

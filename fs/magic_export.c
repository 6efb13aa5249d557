/*
 * magic_export.c - .export.ndjson, .export.json, .export.csv: the whole collection, or what a
 * result directory is about, streamed.
 */
#include <nexadb/transfer.h>

#include "fs/find.h"
#include "fs/magic_handle.h"

struct export
{
    struct magic_handle base;
    struct nx_export *export; /* owned */
    struct nx_cursor *cursor; /* owned; of a result directory's query */
};

/* --- the documents of a result directory ------------------------------------------------------ */

static enum nx_code rewind_results(void *arg, struct nx_err *err)
{
    struct export *export = arg;
    struct magic_handle *handle = &export->base;
    struct nx_find find = find_query_of(handle->find);

    nx_cursor_close(export->cursor);
    export->cursor = NULL;
    return nx_query_find(handle->base.fs->db, handle->snapshot, handle->dir, &find, &handle->limits,
                         &export->cursor, err);
}

static enum nx_code next_result(void *arg, struct nx_slice *doc, struct nx_err *err)
{
    return nx_cursor_next(((struct export *)arg)->cursor, doc, err);
}

/* --- the source ------------------------------------------------------------------------------- */

static enum nx_export_format format_of(const struct magic *magic)
{
    switch (magic_kind_of(magic)) {
    case MAGIC_EXPORT_CSV:
        return NX_EXPORT_CSV;
    case MAGIC_EXPORT_JSON:
        return NX_EXPORT_JSON;
    default:
        return NX_EXPORT_NDJSON;
    }
}

static enum nx_code start_export(void *arg, struct nx_err *err)
{
    struct export *export = arg;
    struct magic_handle *handle = &export->base;
    const struct nx_export_source results = {rewind_results, next_result, export};

    if (!handle->snapshot)
        return nx_fail_nomem(err);
    if (handle->find)
        return nx_export_from(&results, format_of(handle->magic), &export->export, err);
    return nx_export_open(handle->base.fs->db, handle->snapshot, handle->dir,
                          format_of(handle->magic), handle->limits.visible, handle->limits.arg,
                          &export->export, err);
}

static enum nx_code next_export(void *arg, size_t want, struct nx_buf *out, struct nx_err *err)
{
    struct export *export = arg;

    if (atomic_load_explicit(&export->base.stream.canceled, memory_order_relaxed))
        return nx_fail(err, NX_ECANCELED, "the reader was interrupted");
    return nx_export_next(export->export, want, out, err);
}

static void stop_export(void *arg)
{
    struct export *export = arg;

    nx_export_close(export->export);
    export->export = NULL;
    nx_cursor_close(export->cursor);
    export->cursor = NULL;
}

static const struct stream_source source = {start_export, next_export, stop_export};

static void read_export(struct magic_handle *handle, struct magic_job *job)
{
    magic_handle_read(handle, job, job->offset);
}

static const struct magic_ops export_ops = {.read = read_export};

struct handle *magic_export_open(struct fs *fs, const struct magic *magic, nx_ino dir,
                                 fuse_req_t req, int flags, struct nx_err *err)
{
    struct export *export =
        magic_handle_new(fs, sizeof *export, magic, &export_ops, &source, dir, req, flags, err);

    if (!export)
        return NULL;
    magic_handle_pin(&export->base);
    return &export->base.base;
}

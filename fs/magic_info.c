/*
 * magic_info.c - .count, .stats, .schema, .errors, .help: small texts, made at the first read.
 */
#include <stdio.h>
#include <string.h>

#include <nexadb/json.h>

#include "fs/errors.h"
#include "fs/find.h"
#include "fs/help.h"
#include "fs/magic_handle.h"
#include "fs/schema.h"

struct info {
    struct magic_handle base;
};

typedef enum nx_code (*info_fn)(struct magic_handle *handle, struct nx_buf *out,
                                struct nx_err *err);

static enum nx_code make_count(struct magic_handle *handle, struct nx_buf *out, struct nx_err *err)
{
    struct nx_db *db = handle->base.fs->db;
    const struct find_dir *find = handle->find;
    uint64_t count = 0;
    enum nx_code rc;

    if (find)
        rc = nx_query_count(db, handle->snapshot, handle->dir, nx_buf_slice(&find->filter),
                            find->query.skip, find->query.limit, &handle->limits, &count, err);
    else
        rc = nx_document_count(db, handle->snapshot, handle->dir, &count, err);
    return rc == NX_OK ? nx_buf_printf(out, "%ju\n", (uintmax_t)count) : rc;
}

/* --- .stats ----------------------------------------------------------------------------------- */

static enum nx_code add_engine(struct fs *fs, struct nx_buf *out)
{
    struct nx_engine_stats stats;
    const char *separator = "";

    nx_engine_get_stats(fs->engine, &stats);
    nx_buf_printf(
        out,
        "  \"engine\": {\n    \"disk_bytes\": %ju,\n    \"wal_bytes\": %ju,\n"
        "    \"tables\": %ju,\n    \"memtable_bytes\": %ju,\n    \"memtable_keys\": %ju,\n",
        (uintmax_t)stats.disk_bytes, (uintmax_t)stats.wal_bytes, (uintmax_t)stats.table_count,
        (uintmax_t)stats.memtable_bytes, (uintmax_t)stats.memtable_keys);
    nx_buf_printf(out,
                  "    \"sequence\": %ju,\n    \"commits\": %ju,\n    \"syncs\": %ju,\n"
                  "    \"flushes\": %ju,\n    \"compactions\": %ju,\n    \"stall_ms\": %ju,\n",
                  (uintmax_t)stats.sequence, (uintmax_t)stats.commits, (uintmax_t)stats.syncs,
                  (uintmax_t)stats.flushes, (uintmax_t)stats.compactions,
                  (uintmax_t)(stats.stall_ns / 1000000));
    nx_buf_printf(
        out,
        "    \"cache_hits\": %ju,\n    \"cache_misses\": %ju,\n    \"cache_bytes\": %ju,\n"
        "    \"snapshots\": %ju,\n    \"background_error\": %s%s%s,\n"
        "    \"level_bytes\": [",
        (uintmax_t)stats.cache_hits, (uintmax_t)stats.cache_misses, (uintmax_t)stats.cache_bytes,
        (uintmax_t)stats.snapshots, stats.background_error ? "\"" : "",
        stats.background_error ? nx_code_name(stats.background_error) : "null",
        stats.background_error ? "\"" : "");
    for (size_t i = 0; i < NX_LEVELS; i++, separator = ", ")
        nx_buf_printf(out, "%s%ju", separator, (uintmax_t)stats.level_bytes[i]);
    nx_buf_printf(out,
                  "],\n    \"named_snapshots\": %ju,\n    \"stalls\": %ju,\n"
                  "    \"write_amplification\": %.3f,\n    \"space_amplification\": %.3f,\n"
                  "    \"read_amplification\": %.3f,\n    \"latency\": {",
                  (uintmax_t)stats.named_snapshots, (uintmax_t)stats.stalls,
                  (double)stats.write_amplification / 1000,
                  (double)stats.space_amplification / 1000,
                  (double)stats.read_amplification / 1000);
    for (int i = 0; i < NX_LATENCY_KINDS; i++) {
        const struct nx_latency *l = &stats.latency[i];

        nx_buf_printf(out,
                      "%s\n      \"%s\": {\"count\": %ju, \"p50_ns\": %ju, \"p99_ns\": %ju, "
                      "\"p999_ns\": %ju, \"max_ns\": %ju}",
                      i ? "," : "", nx_latency_name((enum nx_latency_kind)i), (uintmax_t)l->count,
                      (uintmax_t)l->p50_ns, (uintmax_t)l->p99_ns, (uintmax_t)l->p999_ns,
                      (uintmax_t)l->max_ns);
    }
    return nx_buf_append_str(out, "\n    }\n  }\n}\n");
}

static bool add_collection(void *arg, const char *path, const struct nx_attr *attr,
                           uint64_t documents)
{
    struct nx_buf *out = arg;

    (void)attr;
    nx_buf_append_str(out, out->data[out->len - 1] == '{' ? "\n    " : ",\n    ");
    nx_json_write_string(path, strlen(path), out);
    return nx_buf_printf(out, ": %ju", (uintmax_t)documents) == NX_OK;
}

/* Bytes of the documents' texts: one pass over their attributes. */
static enum nx_code measure(struct magic_handle *handle, uint64_t *documents, uint64_t *bytes,
                            struct nx_err *err)
{
    struct nx_dirent entry;
    struct nx_dir *dir;
    enum nx_code rc =
        nx_dir_open(handle->base.fs->db, handle->snapshot, handle->dir, true, &dir, err);

    if (rc != NX_OK)
        return rc;
    while ((rc = nx_dir_next(dir, &entry, err)) == NX_OK) {
        if (entry.attr.kind != NX_KIND_DOCUMENT)
            continue;
        ++*documents;
        *bytes += entry.attr.size;
    }
    nx_dir_close(dir);
    return rc == NX_DONE ? NX_OK : rc;
}

static enum nx_code make_stats(struct magic_handle *handle, struct nx_buf *out, struct nx_err *err)
{
    struct fs *fs = handle->base.fs;
    uint64_t documents = 0, bytes = 0;
    enum nx_code rc;

    if (handle->dir == NX_ROOT_INO) {
        nx_buf_append_str(out, "{\n  \"collections\": {");
        rc = nx_db_each_collection(fs->db, handle->snapshot, add_collection, out, err);
        nx_buf_append_str(out, "\n  },\n");
        return rc == NX_OK ? add_engine(fs, out) : rc;
    }
    rc = measure(handle, &documents, &bytes, err);
    nx_buf_printf(out, "{\n  \"documents\": %ju,\n  \"text_bytes\": %ju,\n", (uintmax_t)documents,
                  (uintmax_t)bytes);
    return rc == NX_OK ? add_engine(fs, out) : rc;
}

/* --- .schema, .errors, .help ------------------------------------------------------------------ */

static enum nx_code make_schema(struct magic_handle *handle, struct nx_buf *out, struct nx_err *err)
{
    return schema_infer(handle->base.fs->db, handle->snapshot, handle->dir, &handle->limits, out,
                        err);
}

static enum nx_code make_errors(struct magic_handle *handle, struct nx_buf *out, struct nx_err *err)
{
    return errors_read(handle->base.fs->errors, handle->place, out) == NX_OK ? NX_OK
                                                                             : nx_fail_nomem(err);
}

static enum nx_code make_help(struct magic_handle *handle, struct nx_buf *out, struct nx_err *err)
{
    const struct fs_place place = {handle->dir, place_snapshot(handle->place), handle->snapshot};

    return help_write(handle->base.fs, &place, &handle->limits, out, err);
}

/* --- the handle ------------------------------------------------------------------------------- */

static const info_fn makers[MAGIC_KINDS] = {
    [MAGIC_COUNT] = make_count,   [MAGIC_STATS] = make_stats, [MAGIC_SCHEMA] = make_schema,
    [MAGIC_ERRORS] = make_errors, [MAGIC_HELP] = make_help,
};

static enum nx_code start_info(void *arg, struct nx_err *err)
{
    (void)arg, (void)err;
    return NX_OK;
}

static enum nx_code next_info(void *arg, size_t want, struct nx_buf *out, struct nx_err *err)
{
    struct magic_handle *handle = arg;
    enum nx_code rc = makers[magic_kind_of(handle->magic)](handle, out, err);

    (void)want;
    return rc == NX_OK ? NX_DONE : rc;
}

static void stop_info(void *arg)
{
    (void)arg;
}

static const struct stream_source source = {start_info, next_info, stop_info};

static void read_info(struct magic_handle *handle, struct magic_job *job)
{
    magic_handle_read(handle, job, job->offset);
}

static const struct magic_ops info_ops = {.read = read_info};

struct handle *magic_info_open(struct fs *fs, const struct magic *magic, nx_ino dir, fuse_req_t req,
                               int flags, struct nx_err *err)
{
    struct info *info =
        magic_handle_new(fs, sizeof *info, magic, &info_ops, &source, dir, req, flags, err);

    if (!info)
        return NULL;
    if (magic_kind_of(magic) == MAGIC_ERRORS && (flags & O_TRUNC))
        errors_clear(fs->errors, dir);
    magic_handle_pin(&info->base);
    return &info->base.base;
}

/*
 * compact_output.c - output tables and their files.
 *
 * Each table covers the keys from where it begins to where the next does, and gets the range
 * tombstones cut to that. It is synced when it ends and the directory at the end of all: so that a
 * manifest may name them afterwards (C1).
 */
#include "storage/compact_output.h"

#include <stdlib.h>

#include "storage/mutation.h"

void compact_output_init(struct compact_output *output, const struct compact_env *env,
                         const struct range_tombstones *ranges, unsigned level, uint64_t max_bytes)
{
    *output = (struct compact_output){
        .env = env, .ranges = ranges, .table = env->table, .max_bytes = max_bytes};
    if (level != NX_LEVELS - 1)
        return;
    output->table.compression = env->bottom_compression;
    output->table.dense = env->is_requested;
}

static enum nx_code make_path(const struct compact_output *output, uint64_t number,
                              struct nx_buf *path)
{
    char name[TABLE_NAME_BYTES];

    table_name(number, name);
    return nx_buf_printf(path, "%s/%s%c", output->env->dir, name, 0);
}

static void remove_file(const struct compact_output *output, uint64_t number)
{
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_io *io = output->env->io;

    if (make_path(output, number, &path) == NX_OK)
        io->ops->remove(io, (const char *)path.data, NULL); /* else the next open does */
}

static void close_current(struct compact_output *output)
{
    table_writer_free(output->writer);
    if (output->file)
        output->file->ops->close(output->file);
    output->writer = NULL;
    output->file = NULL;
}

void compact_output_take_back(const struct compact_output *output,
                              const struct compact_result *result)
{
    for (size_t i = 0; i < result->count; i++)
        remove_file(output, table_props(result->outputs[i])->number);
}

void compact_output_fini(struct compact_output *output)
{
    bool has_file = output->file != NULL;

    close_current(output);
    if (has_file)
        remove_file(output, output->number);
    compact_output_take_back(output, &output->result);
    compact_result_fini(&output->result);
    nx_buf_fini(&output->lower);
}

void compact_result_fini(struct compact_result *result)
{
    for (size_t i = 0; i < result->count; i++)
        table_unref(result->outputs[i]);
    free(result->outputs);
    *result = (struct compact_result){0};
}

static enum nx_code begin_table(struct compact_output *output, struct nx_err *err)
{
    const struct compact_env *env = output->env;
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc;

    output->number = env->new_number(env->arg);
    if (make_path(output, output->number, &path) != NX_OK)
        return nx_fail_nomem(err);
    rc = env->io->ops->open(env->io, (const char *)path.data,
                            NX_OPEN_WRITE | NX_OPEN_CREATE | NX_OPEN_EXCL, &output->file, err);
    if (rc == NX_OK)
        rc = table_writer_new(output->file, output->number, &output->table, &output->writer, err);
    return rc;
}

static bool make_room(struct compact_output *output)
{
    size_t cap = output->cap ? output->cap * 2 : 8;
    struct table **outputs;

    if (output->result.count < output->cap)
        return true;
    outputs = realloc(output->result.outputs, cap * sizeof(struct table *));
    if (!outputs)
        return false;
    output->result.outputs = outputs;
    output->cap = cap;
    return true;
}

/* Reading a table back costs about as much as one more input: a debug build checks all, a release
 * one in eight. */
static bool is_checked(uint64_t number)
{
#ifdef NX_DEBUG
    (void)number;
    return true;
#else
    return number % 8 == 0;
#endif
}

/* Open the finished file for readers. */
static enum nx_code adopt(struct compact_output *output, struct nx_err *err)
{
    struct compact_result *result = &output->result;
    struct table *table;
    enum nx_code rc;

    if (!make_room(output))
        return nx_fail_nomem(err);
    rc = table_open(output->file, output->number, output->env->cache, &table, err);
    if (rc != NX_OK)
        return rc;
    output->file = NULL; /* the table's now */
    close_current(output);
    result->outputs[result->count++] = table;
    result->written_bytes += table_props(table)->file_bytes;
    return is_checked(output->number) ? table_check_written(table, err) : NX_OK;
}

/* Give the table the ranges up to `upper` (empty: the end). */
static enum nx_code put_ranges(struct compact_output *output, struct nx_slice upper,
                               struct nx_err *err)
{
    struct range_tombstones *cut = range_tombstones_new();
    enum nx_code rc = NX_OK;

    if (!cut)
        return nx_fail_nomem(err);
    rc = range_tombstones_add_all(cut, output->ranges, nx_buf_slice(&output->lower), upper,
                                  SEQUENCE_MAX, err);
    if (rc == NX_OK)
        rc = range_tombstones_seal(cut, err);
    for (size_t i = 0; i < range_tombstones_count(cut) && rc == NX_OK; i++) {
        const struct range_fragment *fragment = range_tombstones_at(cut, i);
        struct range_tombstone range = {.begin = fragment->begin, .end = fragment->end};

        if (!output->writer)
            rc = begin_table(output, err);
        for (size_t s = 0; s < fragment->count && rc == NX_OK; s++) {
            range.sequence = fragment->sequences[s];
            rc = table_writer_delete_range(output->writer, &range, err);
        }
    }
    range_tombstones_free(cut);
    return rc;
}

static enum nx_code end_table(struct compact_output *output, struct nx_slice upper,
                              struct nx_err *err)
{
    struct table_props props;
    enum nx_code rc = NX_OK;

    if (range_tombstones_count(output->ranges) > 0)
        rc = put_ranges(output, upper, err);
    if (rc != NX_OK || !output->writer)
        return rc;
    rc = table_writer_finish(output->writer, &props, err);
    if (rc == NX_OK && !engine_mutated(SKIP_TABLE_SYNC))
        rc = output->file->ops->datasync(output->file, err); /* C1 */
    if (rc == NX_OK)
        rc = adopt(output, err);
    return rc;
}

bool compact_output_is_full(const struct compact_output *output)
{
    return output->writer && table_writer_bytes(output->writer) >= output->max_bytes;
}

enum nx_code compact_output_cut(struct compact_output *output, struct nx_slice next,
                                struct nx_err *err)
{
    enum nx_code rc = end_table(output, next, err);

    nx_buf_clear(&output->lower);
    if (rc == NX_OK && nx_buf_append(&output->lower, next.data, next.len) != NX_OK)
        rc = nx_fail_nomem(err);
    return rc;
}

enum nx_code compact_output_put(struct compact_output *output, const struct entry *entry,
                                struct nx_err *err)
{
    enum nx_code rc = output->writer ? NX_OK : begin_table(output, err);

    return rc == NX_OK ? table_writer_put(output->writer, entry, err) : rc;
}

enum nx_code compact_output_finish(struct compact_output *output, struct compact_result *out,
                                   struct nx_err *err)
{
    const struct compact_env *env = output->env;
    enum nx_code rc = end_table(output, NX_SLICE_NULL, err);

    if (rc == NX_OK && output->result.count > 0 && !engine_mutated(SKIP_TABLE_DIR_SYNC))
        rc = env->io->ops->sync_dir(env->io, env->dir, err); /* C1 */
    if (rc != NX_OK)
        return rc;
    *out = output->result;
    output->result = (struct compact_result){0};
    return NX_OK;
}

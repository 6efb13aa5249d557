/*
 * compact_output.h - the tables a flush or compaction writes: made, cut, finished, or taken back.
 *
 * Threads: one.
 */
#ifndef STORAGE_COMPACT_OUTPUT_H
#define STORAGE_COMPACT_OUTPUT_H

#include "storage/compact.h"
#include "storage/range_tombstones.h"

struct compact_output {
    const struct compact_env *env;         /* outlives us */
    const struct range_tombstones *ranges; /* to be cut among the tables; outlives us */
    struct table_options table;
    uint64_t max_bytes;          /* of one table */
    struct table_writer *writer; /* owned; NULL: between tables */
    struct nx_file *file;        /* owned */
    uint64_t number;
    struct nx_buf lower; /* where the current table begins; empty for the first */
    size_t cap;
    struct compact_result result;
};

/* For tables of `level`. */
void compact_output_init(struct compact_output *output, const struct compact_env *env,
                         const struct range_tombstones *ranges, unsigned level, uint64_t max_bytes);
/* Remove what was written, unless its result was taken. */
void compact_output_fini(struct compact_output *output);

/* Is the current table full? */
bool compact_output_is_full(const struct compact_output *output);
/* End the current table, if there is one: the next begins at `next`. Only where the key changes. */
enum nx_code compact_output_cut(struct compact_output *output, struct nx_slice next,
                                struct nx_err *err);
enum nx_code compact_output_put(struct compact_output *output, const struct entry *entry,
                                struct nx_err *err);
/* End the last table, make the directory durable and hand the result over. */
enum nx_code compact_output_finish(struct compact_output *output, struct compact_result *out,
                                   struct nx_err *err);
/* Remove the files of a result that nothing names. It stays the caller's. */
void compact_output_take_back(const struct compact_output *output,
                              const struct compact_result *result);

#endif

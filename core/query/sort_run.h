/*
 * sort_run.h - one sorted run of a sorter, in a file of the file layer.
 *
 * Format: FORMAT.md, "Sort run". The file is removed when the run is closed.
 */
#ifndef QUERY_SORT_RUN_H
#define QUERY_SORT_RUN_H

#include <nexadb/buf.h>
#include <nexadb/io.h>

struct sort_run;

struct sort_item {
    uint64_t sequence; /* in which order it came */
    struct nx_slice doc, metadata;
};

/* A new run for writing. */
enum nx_code sort_run_new(struct nx_io *io, const char *dir, struct sort_run **out,
                          struct nx_err *err);
void sort_run_close(struct sort_run *run);
enum nx_code sort_run_write(struct sort_run *run, const struct sort_item *item, struct nx_err *err);
/* Writing has ended: the next read gives the first item. */
enum nx_code sort_run_rewind(struct sort_run *run, struct nx_err *err);
/* NX_DONE at the end; the item is borrowed until the next read. NX_ECORRUPT. */
enum nx_code sort_run_read(struct sort_run *run, struct sort_item *out, struct nx_err *err);

#endif

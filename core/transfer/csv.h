/*
 * csv.h - RFC 4180: cells of a record one at a time from any split of the text, and writing a cell.
 *
 * Threads: one at a time. Ownership: a cell is borrowed until the next call.
 */
#ifndef TRANSFER_CSV_H
#define TRANSFER_CSV_H

#include <stdbool.h>

#include <nexadb/buf.h>

struct csv_record {
    struct nx_buf text;  /* owned: cells one after the other, unquoted */
    struct nx_buf cells; /* owned: struct csv_cell each */
};

struct csv_cell {
    size_t offset, len; /* in text */
    bool quoted;
};

struct csv_reader {
    struct csv_record record;
    size_t cell_start;
    bool in_quotes, after_quote, quoted, any;
    uint64_t line;        /* of the next byte, 1-based */
    uint64_t record_line; /* where the record began */
};

void csv_reader_init(struct csv_reader *reader);
void csv_reader_fini(struct csv_reader *reader);
/*
 * Read to the end of a record: sets *complete and returns the bytes consumed. The record stays
 * readable until the next call. NX_EINVAL for text after a closing quote; NX_ETOOBIG past 16 MiB.
 */
enum nx_code csv_read(struct csv_reader *reader, const char *text, size_t len, size_t *consumed,
                      bool *complete, struct nx_err *err);
/* The text ended: *complete when that ends a record. NX_EINVAL inside quotes. */
enum nx_code csv_end(struct csv_reader *reader, bool *complete, struct nx_err *err);
size_t csv_count(const struct csv_reader *reader);
struct nx_slice csv_cell(const struct csv_reader *reader, size_t i, bool *quoted);

/* Append a cell, quoted where it must be. */
enum nx_code csv_write_cell(struct nx_buf *out, struct nx_slice text, bool force_quotes);

#endif

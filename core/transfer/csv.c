/*
 * csv.c - a byte-at-a-time reader of RFC 4180 records.
 *
 * The reader holds at most one record. A line break is LF, CRLF or, inside quotes, part of the
 * cell; a doubled quote is one quote. A line with nothing on it is no record.
 */
#include "transfer/csv.h"

#include <string.h>

#include <nexadb/value.h>

void csv_reader_init(struct csv_reader *reader)
{
    *reader = (struct csv_reader){.line = 1, .record_line = 1};
}

void csv_reader_fini(struct csv_reader *reader)
{
    nx_buf_fini(&reader->record.text);
    nx_buf_fini(&reader->record.cells);
}

static void start_record(struct csv_reader *reader)
{
    nx_buf_clear(&reader->record.text);
    nx_buf_clear(&reader->record.cells);
    reader->cell_start = 0;
    reader->quoted = reader->after_quote = reader->in_quotes = reader->any = false;
    reader->record_line = reader->line;
}

static enum nx_code end_cell(struct csv_reader *reader)
{
    struct csv_cell cell = {reader->cell_start, reader->record.text.len - reader->cell_start,
                            reader->quoted};

    reader->cell_start = reader->record.text.len;
    reader->quoted = reader->after_quote = false;
    return nx_buf_append(&reader->record.cells, &cell, sizeof cell);
}

static enum nx_code quoted_byte(struct csv_reader *reader, char c)
{
    if (c != '"')
        return nx_buf_append_byte(&reader->record.text, (uint8_t)c);
    reader->in_quotes = false;
    reader->after_quote = true;
    return NX_OK;
}

/* A byte outside quotes that is no line break. */
static enum nx_code plain_byte(struct csv_reader *reader, char c, struct nx_err *err)
{
    bool empty = reader->record.text.len == reader->cell_start;

    reader->any = true;
    if (c == ',')
        return end_cell(reader);
    if (c == '"' && reader->after_quote) { /* a doubled quote */
        reader->after_quote = false;
        reader->in_quotes = true;
        return nx_buf_append_byte(&reader->record.text, '"');
    }
    if (reader->after_quote)
        return nx_fail(err, NX_EINVAL, "CSV line %llu: text after a closing quote",
                       (unsigned long long)reader->line);
    if (c == '"' && empty && !reader->quoted) {
        reader->quoted = reader->in_quotes = true;
        return NX_OK;
    }
    return nx_buf_append_byte(&reader->record.text, (uint8_t)c);
}

enum nx_code csv_read(struct csv_reader *reader, const char *text, size_t len, size_t *consumed,
                      bool *complete, struct nx_err *err)
{
    enum nx_code rc = NX_OK;
    size_t i = 0;

    *complete = false;
    if (!reader->any)
        start_record(reader);
    while (rc == NX_OK && i < len && !*complete) {
        char c = text[i++];

        if (c == '\n')
            reader->line++;
        if (reader->in_quotes) {
            rc = quoted_byte(reader, c);
        } else if (c == '\n') {
            *complete = reader->any;
            if (!reader->any)
                start_record(reader);
        } else if (c != '\r') {
            rc = plain_byte(reader, c, err);
        }
        if (rc == NX_OK && reader->record.text.len > NX_DOC_MAX_BYTES)
            rc = nx_fail(err, NX_ETOOBIG, "CSV line %llu: a record over 16 MiB",
                         (unsigned long long)reader->record_line);
    }
    *consumed = i;
    if (rc == NX_OK && *complete)
        rc = end_cell(reader);
    if (*complete)
        reader->any = false; /* the next call begins a new record */
    return rc == NX_ENOMEM ? nx_fail_nomem(err) : rc;
}

enum nx_code csv_end(struct csv_reader *reader, bool *complete, struct nx_err *err)
{
    *complete = false;
    if (reader->in_quotes)
        return nx_fail(err, NX_EINVAL, "CSV line %llu: a quote is not closed",
                       (unsigned long long)reader->record_line);
    if (!reader->any)
        return NX_OK;
    *complete = true;
    reader->any = false;
    return end_cell(reader) == NX_OK ? NX_OK : nx_fail_nomem(err);
}

size_t csv_count(const struct csv_reader *reader)
{
    return reader->record.cells.len / sizeof(struct csv_cell);
}

struct nx_slice csv_cell(const struct csv_reader *reader, size_t i, bool *quoted)
{
    struct csv_cell cell;

    memcpy(&cell, reader->record.cells.data + i * sizeof cell, sizeof cell);
    *quoted = cell.quoted;
    return nx_slice(reader->record.text.data + cell.offset, cell.len);
}

enum nx_code csv_write_cell(struct nx_buf *out, struct nx_slice text, bool force_quotes)
{
    enum nx_code rc;

    for (size_t i = 0; i < text.len && !force_quotes; i++)
        force_quotes = strchr(",\"\r\n", text.data[i]) && text.data[i];
    if (!force_quotes)
        return nx_buf_append(out, text.data, text.len);
    rc = nx_buf_append_byte(out, '"');
    for (size_t i = 0; rc == NX_OK && i < text.len; i++) {
        if (text.data[i] == '"')
            rc = nx_buf_append_byte(out, '"');
        if (rc == NX_OK)
            rc = nx_buf_append_byte(out, text.data[i]);
    }
    return rc == NX_OK ? nx_buf_append_byte(out, '"') : rc;
}

/*
 * import_csv.c - a document for every record of a CSV file: the header line names the fields.
 *
 * CSV has no types, so a bare cell is read as JSON reads it: a number, true, false or null is that.
 * Quotes make a string of anything. An empty bare cell is a field that the document does not have.
 */
#include <stdlib.h>
#include <string.h>

#include <nexadb/json.h>

#include "transfer/csv.h"
#include "transfer/import.h"

struct csv_import {
    struct csv_reader reader;
    struct nx_buf names;   /* owned: header texts, each NUL-terminated */
    struct nx_buf offsets; /* owned: size_t each, into names */
    size_t columns;        /* 0 before the header */
    struct nx_buf scratch; /* owned */
};

static enum nx_code open_csv(struct nx_import *import, struct nx_err *err)
{
    struct csv_import *csv = calloc(1, sizeof *csv);

    if (!csv)
        return nx_fail_nomem(err);
    csv_reader_init(&csv->reader);
    import->reader = csv;
    return NX_OK;
}

static void close_csv(struct nx_import *import)
{
    struct csv_import *csv = import->reader;

    csv_reader_fini(&csv->reader);
    nx_buf_fini(&csv->names);
    nx_buf_fini(&csv->offsets);
    nx_buf_fini(&csv->scratch);
    free(csv);
}

static const char *column_name(const struct csv_import *csv, size_t i)
{
    size_t offset;

    memcpy(&offset, csv->offsets.data + i * sizeof offset, sizeof offset);
    return (const char *)csv->names.data + offset;
}

static enum nx_code take_header(struct csv_import *csv, struct nx_err *err)
{
    size_t count = csv_count(&csv->reader);

    for (size_t i = 0; i < count; i++) {
        bool quoted;
        struct nx_slice cell = csv_cell(&csv->reader, i, &quoted);
        size_t offset = csv->names.len;

        if (i == 0 && cell.len >= 3 && memcmp(cell.data, "\xef\xbb\xbf", 3) == 0)
            cell = nx_slice(cell.data + 3, cell.len - 3); /* a byte order mark */
        if (cell.len == 0 || memchr(cell.data, 0, cell.len))
            return nx_fail(err, NX_EINVAL, "CSV header: column %zu has no usable name", i + 1);
        for (size_t k = 0; k < i; k++)
            if (nx_slice_equal(nx_slice_str(column_name(csv, k)), cell))
                return nx_fail(err, NX_EINVAL, "CSV header: column '%.*s' stands twice",
                               (int)cell.len, (const char *)cell.data);
        if (nx_buf_append(&csv->names, cell.data, cell.len) != NX_OK ||
            nx_buf_append_byte(&csv->names, 0) != NX_OK ||
            nx_buf_append(&csv->offsets, &offset, sizeof offset) != NX_OK)
            return nx_fail_nomem(err);
    }
    csv->columns = count;
    return NX_OK;
}

static struct nx_value typed_cell(struct csv_import *csv, struct nx_slice cell, bool quoted)
{
    struct nx_doc_iter iter;

    if (cell.len == 0 && !quoted)
        return NX_MISSING;
    nx_buf_clear(&csv->scratch);
    if (!quoted && cell.data[0] != '"' && cell.data[0] != '{' && cell.data[0] != '[' &&
        nx_json_parse_value((const char *)cell.data, cell.len, NX_JSON_DOCUMENT, &csv->scratch,
                            NULL) == NX_OK) {
        nx_doc_iter_init(&iter, nx_buf_slice(&csv->scratch));
        if (nx_doc_iter_next(&iter))
            return iter.value;
    }
    return nx_string(cell.data, cell.len);
}

static enum nx_code take_record(struct nx_import *import, struct nx_err *err)
{
    struct csv_import *csv = import->reader;
    size_t count = csv_count(&csv->reader);
    uint64_t line = csv->reader.record_line;
    struct nx_err why = NX_ERR_INIT;
    struct nx_builder builder;
    enum nx_code rc;

    if (csv->columns == 0)
        return take_header(csv, err);
    if (count > csv->columns) {
        nx_fail(&why, NX_EINVAL, "%zu cells under %zu columns", count, csv->columns);
        return import_refuse(import, line, &why, err);
    }
    nx_buf_clear(&import->bson);
    nx_builder_init(&builder, &import->bson);
    for (size_t i = 0; i < count; i++) {
        bool quoted;
        struct nx_slice cell = csv_cell(&csv->reader, i, &quoted);
        struct nx_value value = typed_cell(csv, cell, quoted);

        nx_builder_put_z(&builder, column_name(csv, i), value);
    }
    rc = nx_builder_end(&builder, &why);
    if (rc == NX_OK) /* strings came from outside unchecked */
        rc = nx_doc_check(nx_buf_slice(&import->bson), &why);
    return rc == NX_OK ? import_add(import, line, err) : import_refuse(import, line, &why, err);
}

static enum nx_code feed_csv(struct nx_import *import, const char *text, size_t len,
                             struct nx_err *err)
{
    struct csv_import *csv = import->reader;
    enum nx_code rc = NX_OK;

    while (rc == NX_OK && len > 0) {
        bool complete;
        size_t used;

        rc = csv_read(&csv->reader, text, len, &used, &complete, err);
        text += used;
        len -= used;
        if (rc == NX_OK && complete)
            rc = take_record(import, err);
    }
    return rc;
}

static enum nx_code finish_csv(struct nx_import *import, struct nx_err *err)
{
    struct csv_import *csv = import->reader;
    bool complete;
    enum nx_code rc = csv_end(&csv->reader, &complete, err);

    return rc == NX_OK && complete ? take_record(import, err) : rc;
}

const struct import_format import_csv = {open_csv, feed_csv, finish_csv, close_csv};

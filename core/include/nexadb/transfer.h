/*
 * transfer.h - documents in and out in bulk: NDJSON, JSON arrays, CSV.
 *
 * Both directions stream: memory is bounded by one document and one batch, whatever the amount.
 * Threads: an import or an export belongs to one thread at a time.
 */
#ifndef NEXADB_TRANSFER_H
#define NEXADB_TRANSFER_H

#include <nexadb/attributes.h>
#include <nexadb/db.h>

/* --- in --------------------------------------------------------------------------------------- */

enum nx_import_format {
    NX_IMPORT_JSON, /* one document after the other (a line each, or indented), or one JSON array */
    NX_IMPORT_CSV, /* RFC 4180 with a header line. A cell that is a JSON number, true, false or null
                    * is that; an empty one is left out; any other, and a quoted one, is a string */
};

#define NX_IMPORT_ERRORS 100 /* kept by an import that passes bad documents over */

struct nx_import_options {
    nx_ino collection;
    enum nx_import_format format;
    /* true: count and keep what is bad, go on with the next line (an array is refused as a whole at
     * its first bad byte). false: nx_import_feed fails at it; what stood before it is in. */
    bool skip_bad;
    uint32_t batch_documents; /* 0: 1,000 */
    uint32_t batch_bytes;     /* 0: 1 MiB */
};

struct nx_import_result {
    uint64_t inserted, replaced, rejected;
    const struct nx_err *errors; /* the first NX_IMPORT_ERRORS, with their lines; borrowed */
    size_t error_count;
};

struct nx_import;

/* Documents with an _id that exists replace it, the last of duplicates wins; others get a new _id.
 * `change` gives durability, owner and origin of every batch; its `done` must be NULL. */
NX_API enum nx_code nx_import_open(struct nx_db *db, const struct nx_import_options *options,
                                   const struct nx_change *change, struct nx_import **out,
                                   struct nx_err *err);
/* More of the text, split anywhere. Commits full batches, waiting for them. After a failure every
 * further call returns it again. */
NX_API enum nx_code nx_import_feed(struct nx_import *import, const void *text, size_t len,
                                   struct nx_err *err);
/* The text ends here: take the last document and commit what is left. */
NX_API enum nx_code nx_import_finish(struct nx_import *import, struct nx_err *err);
/* What is committed so far; borrowed from the import. */
NX_API void nx_import_get_result(const struct nx_import *import, struct nx_import_result *out);
NX_API void nx_import_close(struct nx_import *import);

/* --- out -------------------------------------------------------------------------------------- */

enum nx_export_format {
    NX_EXPORT_NDJSON, /* a document a line */
    NX_EXPORT_JSON,   /* one array, a document a line */
    NX_EXPORT_CSV,    /* a column for every top-level field, in the order of first appearance */
};

struct nx_export;

/* `visible` (may be NULL) says which documents are in. Documents are exact relaxed Extended JSON:
 * importing them gives the same types. NX_EBUDGET past 10,000 columns of CSV. */
NX_API enum nx_code nx_export_open(struct nx_db *db, const struct nx_snapshot *snapshot,
                                   nx_ino collection, enum nx_export_format format,
                                   bool (*visible)(void *arg, const struct nx_attr *attr),
                                   void *arg, struct nx_export **out, struct nx_err *err);
/* The same of documents from elsewhere: a query's results. `rewind` comes first, and twice for CSV,
 * whose columns are collected before its rows; it must give the same documents each time. `next`
 * lends a document until the next call; NX_DONE at the end. */
struct nx_export_source {
    enum nx_code (*rewind)(void *arg, struct nx_err *err);
    enum nx_code (*next)(void *arg, struct nx_slice *doc, struct nx_err *err);
    void *arg; /* outlives the export */
};
NX_API enum nx_code nx_export_from(const struct nx_export_source *source,
                                   enum nx_export_format format, struct nx_export **out,
                                   struct nx_err *err);
/* Append some documents, about `want` bytes, to `out`. NX_DONE when there is nothing left. */
NX_API enum nx_code nx_export_next(struct nx_export *export, size_t want, struct nx_buf *out,
                                   struct nx_err *err);
NX_API void nx_export_close(struct nx_export *export);

#endif

/* import.h - what the formats of an import share: the batch, its errors and its place in the text.
 */
#ifndef TRANSFER_IMPORT_H
#define TRANSFER_IMPORT_H

#include <nexadb/transfer.h>

struct nx_import;

/* How one format reads text. */
struct import_format {
    enum nx_code (*open)(struct nx_import *import, struct nx_err *err);
    enum nx_code (*feed)(struct nx_import *import, const char *text, size_t len,
                         struct nx_err *err);
    enum nx_code (*finish)(struct nx_import *import, struct nx_err *err);
    void (*close)(struct nx_import *import);
};

extern const struct import_format import_json;
extern const struct import_format import_csv;

struct nx_import {
    struct nx_db *db; /* outlives it */
    struct nx_import_options options;
    struct nx_change change;
    const struct import_format *format;
    void *reader;           /* the format's own state */
    struct nx_write *write; /* owned: the batch being filled */
    struct nx_buf bson;     /* owned: the document being added */
    struct nx_buf errors;   /* owned: struct nx_err each */
    struct nx_import_result result;
    enum nx_code failed; /* sticks */
    struct nx_err failure;
};

/* Add the document in import->bson. A refusal of the document is import_refuse's; others are final.
 */
enum nx_code import_add(struct nx_import *import, uint64_t line, struct nx_err *err);
/* A document that began at `line` was refused with `why`: count it and go on (NX_OK), or fail with
 * it. */
enum nx_code import_refuse(struct nx_import *import, uint64_t line, const struct nx_err *why,
                           struct nx_err *err);

#endif

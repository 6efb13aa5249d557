/*
 * body.h - what is stored of a document: its BSON without _id, and what it takes to give its text
 * back.
 *
 * Ownership: a body borrows from its sources and from the work buffers.
 */
#ifndef STORE_BODY_H
#define STORE_BODY_H

#include <nexadb/id.h>
#include <nexadb/io.h>

#include "store/record.h"

struct body {
    uint8_t flags;  /* DOC_ID_IN_TEXT or 0 */
    uint8_t layout; /* doc/layout.h */
    uint32_t text_bytes;
    struct nx_slice bson;   /* without _id */
    struct nx_slice source; /* the text, when the layout is LAYOUT_SOURCE; else empty */
};

struct body_work {
    struct nx_buf parsed, stripped, whole, text;
};
void body_work_fini(struct body_work *work);

/* `want` NULL: the id in the text or BSON, or a new one. `id` gets the id. NX_EJSON, NX_EDOC,
 * NX_EID, NX_ETOOBIG. */
enum nx_code body_of_text(struct nx_io *io, struct nx_slice text, const struct nx_id *want,
                          struct body_work *work, struct nx_id *id, struct body *out,
                          struct nx_err *err);
enum nx_code body_of_bson(struct nx_io *io, struct nx_slice bson, const struct nx_id *want,
                          struct body_work *work, struct nx_id *id, struct body *out,
                          struct nx_err *err);

/* Append the document with _id as its first field. When `bson` lies in `out`, room for BODY_ID_ROOM
 * bytes more than it must be reserved. */
#define BODY_ID_ROOM 4096
enum nx_code body_append_bson(struct nx_slice id, struct nx_slice bson, struct nx_buf *out,
                              struct nx_err *err);
/* Append the text: `body` is the stored BSON and source as one slice, as the header tells. */
enum nx_code body_append_text(const struct doc_header *header, struct nx_slice id,
                              struct nx_slice body, struct nx_buf *out, struct nx_err *err);

#endif

/*
 * cursor.h - what is behind an nx_cursor: finds, pipelines, searches and explanations share it.
 *
 * An implementation embeds `struct nx_cursor` as its first member.
 */
#ifndef QUERY_CURSOR_H
#define QUERY_CURSOR_H

#include <nexadb/query.h>

struct cursor_ops {
    enum nx_code (*next)(struct nx_cursor *cursor, struct nx_slice *doc, struct nx_err *err);
    /* NULL: has no position (NX_EUNSUPPORTED) */
    enum nx_code (*position)(struct nx_cursor *cursor, struct nx_buf *out);
    void (*close)(struct nx_cursor *cursor); /* frees it */
};

struct nx_cursor {
    const struct cursor_ops *ops;
};

/* A cursor over the one document in `doc`, whose memory it takes on success: explanations. */
enum nx_code cursor_of_document(struct nx_buf *doc, struct nx_cursor **out, struct nx_err *err);

#endif

/*
 * cursor.c - the calls of a public cursor, and the cursor over one ready document.
 *
 * A cursor that has ended, well or not, says the same again on every later call: that is each
 * implementation's duty, so that a door may ask once too often.
 */
#include "query/cursor.h"

#include <stdlib.h>

enum nx_code nx_cursor_next(struct nx_cursor *cursor, struct nx_slice *doc, struct nx_err *err)
{
    *doc = NX_SLICE_NULL;
    return cursor->ops->next(cursor, doc, err);
}

void nx_cursor_close(struct nx_cursor *cursor)
{
    if (cursor)
        cursor->ops->close(cursor);
}

enum nx_code nx_cursor_position(struct nx_cursor *cursor, struct nx_buf *out)
{
    return cursor->ops->position ? cursor->ops->position(cursor, out) : NX_EUNSUPPORTED;
}

struct document_cursor {
    struct nx_cursor base;
    struct nx_buf doc; /* owned */
    bool given;
};

static enum nx_code document_next(struct nx_cursor *cursor, struct nx_slice *doc,
                                  struct nx_err *err)
{
    struct document_cursor *self = (struct document_cursor *)cursor;

    (void)err;
    if (self->given)
        return NX_DONE;
    self->given = true;
    *doc = nx_buf_slice(&self->doc);
    return NX_OK;
}

static void document_close(struct nx_cursor *cursor)
{
    struct document_cursor *self = (struct document_cursor *)cursor;

    nx_buf_fini(&self->doc);
    free(self);
}

static const struct cursor_ops document_ops = {document_next, NULL, document_close};

enum nx_code cursor_of_document(struct nx_buf *doc, struct nx_cursor **out, struct nx_err *err)
{
    struct document_cursor *self;

    *out = NULL;
    self = calloc(1, sizeof *self);
    if (!self)
        return nx_fail_nomem(err);
    self->base.ops = &document_ops;
    self->doc = *doc;
    *doc = NX_BUF_INIT;
    *out = &self->base;
    return NX_OK;
}

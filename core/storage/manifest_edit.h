/*
 * manifest_edit.h - edits as bytes, and what they do to the state.
 *
 * Format: FORMAT.md, "Manifest edit".
 */
#ifndef STORAGE_MANIFEST_EDIT_H
#define STORAGE_MANIFEST_EDIT_H

#include <nexadb/buf.h>

#include "storage/manifest.h"

enum nx_code manifest_edit_encode(struct nx_buf *out, const struct manifest_edit *edit,
                                  struct nx_err *err);
/* Decode and apply. NX_ECORRUPT for bytes that are no edit or contradict the state, NX_EVERSION for
 * an unknown field. */
enum nx_code manifest_edit_apply(struct manifest_state *state, struct nx_slice bytes,
                                 struct nx_err *err);
/* Take the first field off `bytes` and describe it. As manifest_edit_apply, without the state. */
enum nx_code manifest_edit_print(struct nx_slice *bytes, struct nx_buf *out, struct nx_err *err);

#endif

/*
 * layout.h - how a document's text was laid out, so that it can be read back byte for byte.
 *
 * A layout code names one of the common layouts; LAYOUT_SOURCE says that none reproduces the text,
 * which is then kept beside the BSON. Format: FORMAT.md, "Layout codes".
 */
#ifndef DOC_LAYOUT_H
#define DOC_LAYOUT_H

#include <nexadb/buf.h>
#include <nexadb/value.h>

#define LAYOUT_SOURCE 0  /* the text itself is kept */
#define LAYOUT_DEFAULT 1 /* indent 2, trailing newline, without _id: what REST writes read as */

/*
 * The code whose rendering of `doc` (which holds _id first, or not, as the text does: `has_id`) is
 * exactly `text`; LAYOUT_SOURCE when there is none. `doc` is the document as parsed from `text`.
 */
uint8_t layout_detect(struct nx_slice doc, const char *text, size_t len);
/* Append the rendering. `doc` is as it was given to layout_detect. NX_ECORRUPT for an unknown code. */
enum nx_code layout_render(uint8_t layout, struct nx_slice doc, struct nx_buf *out);

#endif

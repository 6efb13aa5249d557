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

#define LAYOUT_SOURCE 0    /* the text itself is kept */
#define LAYOUT_DEFAULT 1   /* indent 2, trailing newline, without _id: what REST writes read as */
#define LAYOUT_NO_ID 0x80u /* a flag on any other code: the rendering leaves the field _id out */

/*
 * The code whose rendering of `doc` is exactly `text`, from which `doc` was parsed; LAYOUT_SOURCE
 * when there is none. A caller that puts an _id of its own into the document adds LAYOUT_NO_ID.
 */
uint8_t layout_detect(struct nx_slice doc, const char *text, size_t len);
/* Append the rendering. `doc` is as it was given to layout_detect, but for an _id that LAYOUT_NO_ID
 * or LAYOUT_DEFAULT leave out. NX_ECORRUPT for an unknown code and for LAYOUT_SOURCE, NX_ENOMEM. */
enum nx_code layout_render(uint8_t layout, struct nx_slice doc, struct nx_buf *out);
/* "indent 2", "compact, newline", ...; NULL for an unknown code. */
const char *layout_name(uint8_t layout);

#endif

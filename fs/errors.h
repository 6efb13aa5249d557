/*
 * errors.h - the newest errors of each directory, as `.errors` shows them.
 *
 * Threads: any. Memory: bounded, 100 errors of each of the last 256 directories that had one.
 */
#ifndef FS_ERRORS_H
#define FS_ERRORS_H

#include <nexadb/buf.h>
#include <nexadb/db.h>

#define ERRORS_KEPT 100
#define ERRORS_DIRS 256

struct errors;

struct errors *errors_new(struct nx_io *io); /* NULL without memory */
void errors_free(struct errors *errors);
/*
 * Add to `dir` and to the root. `file` is its name there. `text` (may be empty) is what was
 * refused: the line that err->line names is shown with a caret under err->column.
 */
void errors_add(struct errors *errors, nx_ino dir, const char *file, const struct nx_err *err,
                struct nx_slice text);
/* NDJSON, oldest first: {"time","file","line","column","message","caret"}. Appended. */
enum nx_code errors_read(struct errors *errors, nx_ino dir, struct nx_buf *out);
void errors_clear(struct errors *errors, nx_ino dir);

#endif

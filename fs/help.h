/*
 * help.h - the text of `.help`: the table of magic files, with examples that fit the collection.
 *
 * Threads: any. Reads the first few documents.
 */
#ifndef FS_HELP_H
#define FS_HELP_H

#include <nexadb/query.h>

#include "fs/magic.h"

/* In an example of a row, these stand for what the collection has: %n a field with numbers, %v one
 * of its values, %t a field with texts, %i an id. */
enum nx_code help_write(struct fs *fs, const struct fs_place *place, const struct nx_limits *limits,
                        struct nx_buf *out, struct nx_err *err);

#endif

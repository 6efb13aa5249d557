/*
 * merge.h - many sources as one, in entry order.
 *
 * Opened over sources at one sequence S it shows every source's version of a key, newest first, in
 * both directions; the reader takes the first of each key. Over sources at SEQUENCE_ALL it shows
 * all of them.
 */
#ifndef STORAGE_MERGE_H
#define STORAGE_MERGE_H

#include <stddef.h>

#include "storage/source.h"

/* Takes the sources (also when it fails); the array stays the caller's. */
enum nx_code merge_open(struct source **sources, size_t count, struct source **out,
                        struct nx_err *err);
/* It is valid: does no other source stand on the same key? */
bool merge_stands_alone(const struct source *merge);

#endif

/*
 * file.h - the data of plain files: chunks of 32 KiB; an absent one is a hole, a short one ends in
 * zeros.
 *
 * Changes: under the file's stripe.
 */
#ifndef STORE_FILE_H
#define STORE_FILE_H

#include "store/tx.h"

#define CHUNK_BYTES 32768u
#define FILE_MAX_BYTES ((uint64_t)INT64_MAX)

/* Read [offset, offset + len) of a file of `size` bytes. */
enum nx_code file_read(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                       uint64_t size, uint64_t offset, uint8_t *out, size_t len, size_t *got,
                       struct nx_err *err);
/* The whole file, appended. NX_ETOOBIG past `max_bytes`. */
enum nx_code file_read_all(struct nx_db *db, nx_ino ino, uint64_t size, uint64_t max_bytes,
                           struct nx_buf *out, struct nx_err *err);
/* The data of a file that has none yet. */
void file_put_all(struct tx *tx, nx_ino ino, struct nx_slice data);
/* Cut off or extend the data; sets node->size. The caller writes the node. */
enum nx_code file_truncate(struct tx *tx, nx_ino ino, struct node *node, uint64_t size,
                           struct nx_err *err);
/* One name less: writes the node with one link less, or removes the file, or leaves it to its open
 * handles. */
void file_unlink(struct tx *tx, nx_ino ino, struct node *node);
/* The data of a file of `size` bytes. */
void file_delete_data(struct tx *tx, nx_ino ino, uint64_t size);
/* Node and data. */
void file_remove(struct tx *tx, nx_ino ino, const struct node *node);

#endif

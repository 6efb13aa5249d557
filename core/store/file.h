/*
 * file.h - the data of plain files: chunks of 32 KiB, and the last bytes in the node.
 *
 * Chunk n covers bytes 32,768 n and on; an absent one is a hole, a short one ends in zeros. What is
 * appended in small steps gathers in the node's tail, up to 2 KiB, so that an append rewrites the
 * node and no chunk; a small file has no chunk at all. Other changes behind its start move it into
 * the chunks.
 *
 * Changes: under the file's stripe. `node` is the file's as stored; the caller writes it back.
 */
#ifndef STORE_FILE_H
#define STORE_FILE_H

#include "store/tx.h"

#define FILE_MAX_BYTES ((uint64_t)INT64_MAX)

/* --- file.c ----------------------------------------------------------------------------------- */

/* Read [offset, offset + len) of a file. */
enum nx_code file_read(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                       const struct node *node, uint64_t offset, uint8_t *out, size_t len,
                       size_t *got, struct nx_err *err);
/* The whole file, appended. NX_ETOOBIG past `max_bytes`. */
enum nx_code file_read_all(struct nx_db *db, nx_ino ino, const struct node *node,
                           uint64_t max_bytes, struct nx_buf *out, struct nx_err *err);
/* A plain file's node. NX_EISDIR, NX_EINVAL for another kind. */
enum nx_code file_node(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                       struct nx_buf *buf, struct node *out, struct nx_err *err);
/* How many chunks stand in [from, to). */
enum nx_code file_count_chunks(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino ino,
                               uint64_t from, uint64_t to, uint64_t *out, struct nx_err *err);
/* One name less: writes the node with one link less, or removes the file, or leaves it to its open
 * handles. */
void file_unlink(struct tx *tx, nx_ino ino, struct node *node);
/* Node and data. */
void file_remove(struct tx *tx, nx_ino ino, const struct node *node);

/* --- file_write.c ----------------------------------------------------------------------------- */

/* The data of a file that has none yet: sets size and what goes with it; the tail is borrowed. */
void file_put_all(struct tx *tx, nx_ino ino, struct node *node, struct nx_slice data);
/* Cut off or extend the data; sets node->size. `room` may hold the new tail. */
enum nx_code file_truncate(struct tx *tx, nx_ino ino, struct node *node, uint64_t size,
                           uint8_t room[TAIL_MAX_BYTES], struct nx_err *err);
/* The data of a file, whose node goes or changes its kind. */
void file_delete_data(struct tx *tx, nx_ino ino, const struct node *node);

#endif

/*
 * table_salvage.h - what can still be read of a table: entries of every block that is sound, in
 * order, and its range tombstones.
 *
 * Where the index is lost, blocks are found by their checksums. Every loss is told by the open,
 * which reads the whole file.
 *
 * Threads: one.
 */
#ifndef STORAGE_TABLE_SALVAGE_H
#define STORAGE_TABLE_SALVAGE_H

#include "storage/table.h"

struct table_salvage;

struct table_loss {
    const char *what; /* names the file and offset */
    uint64_t offset, bytes;
    bool is_block;                /* of entries; else a part that can be done without */
    struct nx_slice after, up_to; /* its keys lie in (after, up_to]; empty: not known */
};
typedef void (*table_loss_fn)(void *arg, const struct table_loss *loss);

/* Takes `file` on success. Fails only when reading does: NX_EIO, NX_ENOMEM. */
enum nx_code table_salvage_open(struct nx_file *file, uint64_t number, table_loss_fn fn, void *arg,
                                struct table_salvage **out, struct nx_err *err);
/* As table_assign_sequence. */
void table_salvage_assign(struct table_salvage *salvage, uint64_t sequence);
void table_salvage_close(struct table_salvage *salvage); /* NULL is fine */

size_t table_salvage_blocks(const struct table_salvage *salvage); /* found or indexed */
const struct range_tombstones *table_salvage_ranges(const struct table_salvage *salvage);
/* Forwards only (first, next), every version; borrows the salvage. */
enum nx_code table_salvage_source(struct table_salvage *salvage, struct source **out,
                                  struct nx_err *err);

#endif

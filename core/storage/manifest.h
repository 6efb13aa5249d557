/*
 * manifest.h - which tables make up the tree, and where the log starts: an append-only list of
 * edits.
 *
 * An edit is durable when manifest_apply returns NX_OK, and only then may files it replaces be
 * removed. A full or failed file is replaced by a new one that starts with the whole state, and the
 * empty marker file CURRENT-NNNNNN names it: its creation is the switch.
 *
 * Threads:  one at a time (NX_RANK_ENGINE_COMPACT says which).
 * Errors:   NX_EIO, NX_ENOSPC: the edit may or may not be found by the next open, and is not
 *           applied here; the next edit starts a new file. NX_ECORRUPT and NX_EVERSION from reading
 *           name file and offset.
 * Format:   FORMAT.md, "Manifest".
 */
#ifndef STORAGE_MANIFEST_H
#define STORAGE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nexadb/engine.h>
#include <nexadb/io.h>

struct manifest;

struct manifest_table {
    uint64_t number;
    uint64_t bytes; /* of its file */
    unsigned level;
    uint64_t sequence; /* of all its entries (table_assign_sequence); 0: they have their own */
};

struct manifest_state {
    uint8_t uuid[16];
    uint64_t next_number;          /* of a table; every number in use is lower */
    uint64_t flushed_sequence;     /* changes up to this one are in tables */
    uint64_t log_start;            /* first log segment that is needed; 0: there is no log yet */
    struct manifest_table *tables; /* owned, by number */
    size_t count;
    struct nx_snapshot_info *snapshots; /* owned, by number */
    size_t snapshot_count;
};

/* A field that is 0 stays as it is. */
struct manifest_edit {
    uint64_t next_number, flushed_sequence, log_start;
    const struct manifest_table *added;
    size_t added_count;
    const uint64_t *removed; /* numbers; a table may be removed and added at another level */
    size_t removed_count;
    const struct nx_snapshot_info *snapshots; /* made */
    size_t snapshot_count;
    uint32_t dropped_snapshot; /* a number; renamed when it is also made */
};

/* The newest manifest of a directory. NX_ENOTFOUND when there is no marker. */
enum nx_code manifest_read(struct nx_io *io, const char *dir, struct manifest_state *out,
                           struct nx_err *err);
void manifest_state_fini(struct manifest_state *state);

/* Start a new file with `state`, which it takes over (also when it fails), and make it current. */
enum nx_code manifest_open(struct nx_io *io, const char *dir, struct manifest_state *state,
                           struct manifest **out, struct nx_err *err);
void manifest_close(struct manifest *manifest); /* NULL is fine */
enum nx_code manifest_apply(struct manifest *manifest, const struct manifest_edit *edit,
                            struct nx_err *err);
const struct manifest_state *manifest_state(const struct manifest *manifest);
uint64_t manifest_bytes(const struct manifest *manifest); /* of the current file */

/* For the tools: the header of a whole file in memory. NX_ECORRUPT, NX_EVERSION. */
enum nx_code manifest_header_get(const char *path, struct nx_slice bytes, uint64_t number,
                                 uint8_t uuid[16], struct nx_err *err);
#define MANIFEST_FIRST_FRAME 64u
#define MANIFEST_SEED_KIND 2u

/* Is it a manifest's or marker's name? */
bool manifest_name_parse(const char *name, uint64_t *number, bool *is_marker);

#endif

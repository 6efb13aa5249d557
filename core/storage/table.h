/*
 * table.h - one immutable sorted file: writing it, looking into it, checking it.
 *
 * Threads:   a writer belongs to one thread; a table is immutable once open, any number of threads
 *            read it.
 * Ownership: tables are counted; the last unref closes the file.
 * Errors:    NX_ECORRUPT names the file and the offset: nothing that fails its checksum is ever
 *            returned. NX_EIO, NX_ENOSPC, NX_ENOMEM; NX_EVERSION for a format this code predates.
 * Format:    FORMAT.md, "Table file".
 */
#ifndef STORAGE_TABLE_H
#define STORAGE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nexadb/buf.h>
#include <nexadb/engine.h>
#include <nexadb/io.h>

#include "storage/cache.h"
#include "storage/entry.h"
#include "storage/source.h"

struct table;
struct table_writer;
struct range_tombstones;

#define TABLE_NAME_BYTES 32
/* "000123.table" */
void table_name(uint64_t number, char out[TABLE_NAME_BYTES]);
/* True and the number, when a file's name is a table's. */
bool table_name_parse(const char *name, uint64_t *number);

struct table_options {
    uint32_t block_bytes;
    uint32_t bloom_bits_per_key;
    enum nx_compression compression;
    bool dense; /* see codec_new */
};

/* What a version must know of a table without reading it. */
struct table_props {
    uint64_t number;
    uint64_t file_bytes;
    uint64_t entries;      /* deletions included, ranges not */
    uint64_t deletes;      /* entries that are deletions */
    uint64_t ranges;       /* range tombstones, as fragments */
    uint64_t raw_bytes;    /* keys and values before compression */
    uint64_t min_sequence; /* over entries and ranges */
    uint64_t max_sequence;
    struct nx_slice smallest; /* over entries and range begins */
    struct nx_slice largest;  /* inclusive, unless largest_is_open */
    bool largest_is_open;     /* `largest` is the end of a range tombstone: not in the table */
};

/* --- writing ---------------------------------------------------------------------------------- */

/* `file` is empty and stays the caller's; so does syncing it. */
enum nx_code table_writer_new(struct nx_file *file, uint64_t number,
                              const struct table_options *options, struct table_writer **out,
                              struct nx_err *err);
void table_writer_free(struct table_writer *writer);
/* In entry order: keys ascending, sequences of one key descending. NX_EINVAL on a step back. */
enum nx_code table_writer_put(struct table_writer *writer, const struct entry *entry,
                              struct nx_err *err);
/* Any order, any time before finish. */
enum nx_code table_writer_delete_range(struct table_writer *writer,
                                       const struct range_tombstone *range, struct nx_err *err);
/* Bytes written so far, compressed; what is still buffered counted raw. */
uint64_t table_writer_bytes(const struct table_writer *writer);
/* Write everything out. The key slices of `props` live as long as the writer. NX_EINVAL when
 * nothing was put. */
enum nx_code table_writer_finish(struct table_writer *writer, struct table_props *props,
                                 struct nx_err *err);

/* --- reading ---------------------------------------------------------------------------------- */

/*
 * Open table `number`, reading and checking its footer, properties, index, filter and range
 * tombstones, which stay in memory. Takes `file` on success. `cache` outlives the table.
 */
enum nx_code table_open(struct nx_file *file, uint64_t number, struct cache *cache,
                        struct table **out, struct nx_err *err);
struct table *table_ref(struct table *table);
void table_unref(struct table *table); /* NULL is fine */

const struct table_props *table_props(const struct table *table);
uint64_t
table_keys(const struct table *table); /* distinct: the rest of the entries are older versions */
/* Is `key` between its smallest and largest? */
bool table_may_hold(const struct table *table, struct nx_slice key);

/* The hash that every table's filter and blocks are asked with. */
uint64_t table_hash(struct nx_slice key);

/* What a block may be to be looked into without memory of its own; some more than one of the
 * usual size. */
#define TABLE_SCRATCH_BYTES (20u << 10)

/* A found entry; its slices live until table_hit_release. */
struct table_hit {
    struct entry entry;
    struct block *block;                 /* counted; NULL: the slices are in `scratch` */
    uint8_t framed[TABLE_SCRATCH_BYTES]; /* the block as it is in the file */
    uint8_t scratch[TABLE_SCRATCH_BYTES];
};
/* Newest version <= `sequence`. *found false when there is none. */
enum nx_code table_get(struct table *table, struct nx_slice key, uint64_t hash, uint64_t sequence,
                       struct table_hit *out, bool *found, struct nx_err *err);
void table_hit_release(struct table_hit *hit);
/* Sequence of the newest range tombstone <= `sequence` over `key`; 0 when there is none. */
uint64_t table_cover(const struct table *table, struct nx_slice key, uint64_t sequence);
/*
 * Every entry counts as committed at `sequence`: those of a run, which were all written with 0.
 * Before the table has readers. NX_ECORRUPT when it has sequences of its own.
 */
enum nx_code table_assign_sequence(struct table *table, uint64_t sequence, struct nx_err *err);
uint64_t table_assigned_sequence(const struct table *table); /* 0: none */
/* NULL when it has none; lives as long as the table. */
const struct range_tombstones *table_range_tombstones(const struct table *table);

/* The source borrows the table. See source.h for `sequence`. */
enum nx_code table_source(struct table *table, uint64_t sequence, enum cache_use use,
                          struct source **out, struct nx_err *err);

/* Read every byte from the file, past the cache, and check checksums, structure, order, the filter
 * and the properties. */
enum nx_code table_verify(struct table *table, struct nx_err *err);
/* The same in one sequential pass, for a table that was just written: lookups are only sampled. */
enum nx_code table_check_written(struct table *table, struct nx_err *err);

#endif

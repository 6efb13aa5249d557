/* table_inner.h - the inside of an open table, for its reader, cursor and checker. */
#ifndef STORAGE_TABLE_INNER_H
#define STORAGE_TABLE_INNER_H

#include <stdatomic.h>

#include "storage/block.h"
#include "storage/filter.h"
#include "storage/table_format.h"

struct table {
    _Atomic uint32_t refs;
    struct nx_file *file; /* owned */
    struct cache *cache;  /* outlives us */
    char name[TABLE_NAME_BYTES];
    struct table_facts facts; /* slices borrow `properties` */
    struct nx_buf properties;
    uint64_t assigned;               /* the sequence of every entry; 0: each has its own */
    struct range_tombstones *ranges; /* owned; NULL: none */
    struct filter filter;
    struct block *index; /* owned; NULL: no data blocks. Entry i is the separator of block i */
    uint32_t block_count;
    uint64_t *heads;          /* owned: 8 bytes of each separator after their common prefix */
    uint64_t *offsets;        /* owned: block i is at [offsets[i], offsets[i + 1]) */
    struct cache_slot *slots; /* owned: where block i is in the cache */
};

/* A table without any part; table_free leaves the file open. NULL: out of memory. */
struct table *table_new(struct nx_file *file, uint64_t number, struct cache *cache);
void table_free(struct table *table);
enum nx_code table_read_footer(struct table *table, struct table_footer *footer,
                               struct nx_err *err);
/* Read and check one part; properties come last, since they are compared with the others. */
enum nx_code table_open_part(struct table *table, enum table_part part, uint64_t offset,
                             uint64_t len, uint64_t data_bytes, struct nx_err *err);
/* Look for `key` in block i without keeping any of it: `*out` gets the entry. An error makes it
 * unsure. */
enum block_answer table_peek(struct table *table, uint32_t i, struct nx_slice key, uint64_t hash,
                             struct table_hit *out);
/* The first block whose separator is >= `key`: where its newest version is, if it is anywhere;
 * block_count when there is none. */
uint32_t table_find_block(const struct table *table, struct nx_slice key);
/* Is `key` just the separator of block i? Then the next block may have more of its versions. */
bool table_ends_with(const struct table *table, uint32_t i, struct nx_slice key);
/* A framed part in memory, checked: what is compressed in it, how, and to what length it unpacks.
 */
struct table_frame {
    struct nx_slice payload;
    uint8_t method;
    uint32_t raw_len;
};
/* Read exactly `len` bytes. A shorter file is a damaged one. */
enum nx_code table_read_bytes(struct table *table, uint64_t offset, uint8_t *out, size_t len,
                              struct nx_err *err);
/* Read [offset, offset + len) into `framed` and check the frame. */
enum nx_code table_read_frame(struct table *table, uint64_t offset, uint64_t len, uint8_t *framed,
                              struct table_frame *out, struct nx_err *err);
/* The same of bytes that are there. */
enum nx_code table_check_frame(struct table *table, uint64_t offset, struct nx_slice framed,
                               struct table_frame *out, struct nx_err *err);
/* Decompress into `block`, whose length is the frame's, and parse it. */
enum nx_code table_unpack(struct table *table, uint64_t offset, const struct table_frame *frame,
                          struct block *block, struct nx_err *err);
/* Read [offset, offset + len), check its frame and decompress it. */
enum nx_code table_read_block(struct table *table, uint64_t offset, uint64_t len,
                              struct block **out, struct nx_err *err);
enum nx_code table_corrupt(const struct table *table, uint64_t offset, const char *wrong,
                           struct nx_err *err);

#endif

/*
 * wal_segment.h - the header block of a log segment, for the log's writer and reader.
 *
 * Format: FORMAT.md, "Log segment".
 */
#ifndef STORAGE_WAL_SEGMENT_H
#define STORAGE_WAL_SEGMENT_H

#include "storage/wal.h"

#define WAL_HEADER_COPY 2048u /* offset of the second copy */
#define WAL_SEED_KIND 1u

struct wal_header {
    uint64_t number;
    uint64_t base;     /* position of the segment's first byte */
    uint64_t sequence; /* every change in it is newer */
    uint64_t previous_number;
    uint64_t previous_end;  /* file offset where the previous segment was left */
    uint64_t previous_hash; /* of its last frame */
};

/* Fills a whole header block. */
void wal_header_encode(uint8_t block[WAL_HEADER_BYTES], const struct wal_header *header,
                       const uint8_t uuid[16]);
/* True when one of the copies is whole and of this database. *version is set when a copy was
 * written by another version. */
bool wal_header_decode(const uint8_t block[WAL_HEADER_BYTES], const uint8_t uuid[16],
                       struct wal_header *out, uint32_t *version);

/* The database's uuid from a copy that is whole. */
bool wal_header_uuid(const uint8_t block[WAL_HEADER_BYTES], uint8_t uuid[16]);

/* "dir/name" in `out`. */
enum nx_code storage_path(struct nx_buf *out, const char *dir, const char *name,
                          struct nx_err *err);

#endif

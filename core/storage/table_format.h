/*
 * table_format.h - the parts of a table file as bytes: the frame of a block, footer, properties.
 *
 * Format: FORMAT.md, "Table file".
 */
#ifndef STORAGE_TABLE_FORMAT_H
#define STORAGE_TABLE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nexadb/buf.h>

#include "storage/codec.h"
#include "storage/table.h"

#define TABLE_VERSION 1u
#define FRAME_BYTES 13u /* after each block: length 4, method 1, checksum 8 */
#define FOOTER_BYTES 72u

/* The parts after the data blocks, in file order. */
enum table_part { PART_RANGES, PART_FILTER, PART_INDEX, PART_PROPERTIES, PART_COUNT };

struct table_footer {
    uint64_t number;
    uint64_t data_bytes;             /* of all data blocks with their frames, from offset 0 */
    uint64_t part_bytes[PART_COUNT]; /* with their frames; 0: absent */
};

/* What the properties block says. */
struct table_facts {
    struct table_props props; /* slices borrow the block's bytes or the caller's */
    uint64_t keys;            /* distinct */
    uint64_t blocks;
};

/* The checksum of bytes at `offset` of file `number`. */
uint64_t place_hash(const uint8_t *data, size_t len, uint64_t number, uint64_t offset);
/* Append a block and its frame to `out`, as it will stand at `offset` of file `number`. */
enum nx_code frame_append(struct codec *codec, struct nx_slice raw, uint64_t number,
                          uint64_t offset, struct nx_buf *out);
/* Check the frame at the end of `framed` and give the payload, its method and its raw length. NULL
 * when it is sound, else what is wrong. */
const char *frame_check(struct nx_slice framed, uint64_t number, uint64_t offset,
                        struct nx_slice *payload, uint8_t *method, uint32_t *raw_len);

void footer_put(const struct table_footer *footer, uint64_t offset, uint8_t out[FOOTER_BYTES]);
/* NX_ECORRUPT or NX_EVERSION; the file is `file_bytes` long. */
enum nx_code footer_get(const uint8_t in[FOOTER_BYTES], uint64_t number, uint64_t file_bytes,
                        struct table_footer *out, struct nx_err *err);

enum nx_code facts_append(const struct table_facts *facts, struct nx_buf *out);
bool facts_get(struct nx_slice bytes, struct table_facts *out);

#endif

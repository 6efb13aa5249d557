/* codec.h - compressing and decompressing one block. */
#ifndef STORAGE_CODEC_H
#define STORAGE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nexadb/buf.h>
#include <nexadb/engine.h>

/* As written on disk: the values of enum nx_compression. */
#define CODEC_COUNT 3

struct codec; /* a compressor's working memory, for one thread */

/* `dense`: make lz4 an eighth smaller, at a fifth of the speed; it is unpacked as fast. NULL: out
 * of memory. */
struct codec *codec_new(enum nx_compression method, bool dense);
void codec_free(struct codec *codec);
/* Append `in` compressed to `out` and give the method used: NONE when it would not get smaller by
 * an eighth, then `in` is appended as it is. */
enum nx_code codec_compress(struct codec *codec, struct nx_slice in, struct nx_buf *out,
                            uint8_t *method);
/* Fill exactly `len` bytes of `out`. False for an unknown method or bytes that do not give them. */
bool codec_decompress(uint8_t method, struct nx_slice in, uint8_t *out, size_t len);
/* At least the first `want` bytes of what unpacks to `len`; returns how many, 0 when it fails. */
size_t codec_decompress_front(uint8_t method, struct nx_slice in, uint8_t *out, size_t len,
                              size_t want);

#endif

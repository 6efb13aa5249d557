/* codec.c - a table of the compression methods a block may have. */
#include "storage/codec.h"

#include <lz4.h>
#include <lz4hc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <zstd.h>

#define ZSTD_LEVEL 1
#define LZ4_DENSE_LEVEL 3 /* higher ones take longer and gain a hundredth */

struct codec {
    enum nx_compression method;
    bool dense;
    void *lz4;       /* owned */
    ZSTD_CCtx *zstd; /* owned */
};

struct method {
    size_t (*bound)(size_t len);
    /* Compressed length, 0 when it did not work. */
    size_t (*compress)(struct codec *codec, struct nx_slice in, uint8_t *out, size_t room);
    bool (*decompress)(struct nx_slice in, uint8_t *out, size_t len);
};

static bool copy_raw(struct nx_slice in, uint8_t *out, size_t len)
{
    if (in.len != len)
        return false;
    if (len)
        memcpy(out, in.data, len);
    return true;
}

static size_t lz4_bound(size_t len)
{
    return len > LZ4_MAX_INPUT_SIZE ? 0 : (size_t)LZ4_compressBound((int)len);
}

static size_t lz4_pack(struct codec *codec, struct nx_slice in, uint8_t *out, size_t room)
{
    const char *from = (const char *)in.data;
    int n = codec->dense ? LZ4_compress_HC_extStateHC(codec->lz4, from, (char *)out, (int)in.len,
                                                      (int)room, LZ4_DENSE_LEVEL)
                         : LZ4_compress_fast_extState(codec->lz4, from, (char *)out, (int)in.len,
                                                      (int)room, 1);

    return n > 0 ? (size_t)n : 0;
}

static bool lz4_unpack(struct nx_slice in, uint8_t *out, size_t len)
{
    if (in.len > INT32_MAX || len > INT32_MAX)
        return false;
    return LZ4_decompress_safe((const char *)in.data, (char *)out, (int)in.len, (int)len) ==
           (int)len;
}

static size_t zstd_pack(struct codec *codec, struct nx_slice in, uint8_t *out, size_t room)
{
    size_t n = ZSTD_compressCCtx(codec->zstd, out, room, in.data, in.len, ZSTD_LEVEL);

    return ZSTD_isError(n) ? 0 : n;
}

/* Making one costs more than unpacking a block with it; whoever unpacks takes one that is spare. */
static _Atomic(ZSTD_DCtx *) spare_contexts[8];

static ZSTD_DCtx *take_context(void)
{
    for (size_t i = 0; i < sizeof spare_contexts / sizeof spare_contexts[0]; i++) {
        ZSTD_DCtx *context = atomic_load_explicit(&spare_contexts[i], memory_order_relaxed);

        /* Acquire: pairs with give_context, before which its last user wrote in it. */
        if (context)
            context = atomic_exchange_explicit(&spare_contexts[i], NULL, memory_order_acquire);
        if (context)
            return context;
    }
    return ZSTD_createDCtx();
}

static void give_context(ZSTD_DCtx *context)
{
    for (size_t i = 0; i < sizeof spare_contexts / sizeof spare_contexts[0]; i++) {
        ZSTD_DCtx *none = NULL;

        if (atomic_compare_exchange_strong_explicit(&spare_contexts[i], &none, context,
                                                    memory_order_release, memory_order_relaxed))
            return;
    }
    ZSTD_freeDCtx(context);
}

static bool zstd_unpack(struct nx_slice in, uint8_t *out, size_t len)
{
    ZSTD_DCtx *context = take_context();
    size_t n = context ? ZSTD_decompressDCtx(context, out, len, in.data, in.len)
                       : ZSTD_decompress(out, len, in.data, in.len);

    if (context)
        give_context(context);
    return n == len;
}

static const struct method methods[CODEC_COUNT] = {
    [NX_COMPRESS_NONE] = {NULL, NULL, copy_raw},
    [NX_COMPRESS_LZ4] = {lz4_bound, lz4_pack, lz4_unpack},
    [NX_COMPRESS_ZSTD] = {ZSTD_compressBound, zstd_pack, zstd_unpack},
};

struct codec *codec_new(enum nx_compression method, bool dense)
{
    struct codec *codec = calloc(1, sizeof *codec);
    bool made = true;

    if (!codec)
        return NULL;
    codec->method = method;
    codec->dense = dense;
    if (method == NX_COMPRESS_LZ4)
        made = (codec->lz4 = malloc((size_t)(dense ? LZ4_sizeofStateHC() : LZ4_sizeofState()))) !=
               NULL;
    if (method == NX_COMPRESS_ZSTD)
        made = (codec->zstd = ZSTD_createCCtx()) != NULL;
    if (made)
        return codec;
    codec_free(codec);
    return NULL;
}

void codec_free(struct codec *codec)
{
    if (!codec)
        return;
    free(codec->lz4);
    ZSTD_freeCCtx(codec->zstd);
    free(codec);
}

enum nx_code codec_compress(struct codec *codec, struct nx_slice in, struct nx_buf *out,
                            uint8_t *method)
{
    const struct method *m = &methods[codec->method];
    size_t bound = m->bound ? m->bound(in.len) : 0, n = 0;

    if (bound) {
        if (nx_buf_reserve(out, bound) != NX_OK)
            return NX_ENOMEM;
        n = m->compress(codec, in, out->data + out->len, bound);
    }
    if (n > 0 && n <= in.len - in.len / 8) {
        out->len += n;
        *method = (uint8_t)codec->method;
        return NX_OK;
    }
    *method = NX_COMPRESS_NONE;
    return nx_buf_append(out, in.data, in.len);
}

bool codec_decompress(uint8_t method, struct nx_slice in, uint8_t *out, size_t len)
{
    return method < CODEC_COUNT && methods[method].decompress(in, out, len);
}

size_t codec_decompress_front(uint8_t method, struct nx_slice in, uint8_t *out, size_t len,
                              size_t want)
{
    int got;

    if (method != NX_COMPRESS_LZ4) /* the others do not stop in the middle */
        return codec_decompress(method, in, out, len) ? len : 0;
    if (in.len > INT32_MAX || len > INT32_MAX)
        return 0;
    got = LZ4_decompress_safe_partial((const char *)in.data, (char *)out, (int)in.len, (int)want,
                                      (int)len);
    return got > 0 ? (size_t)got : 0;
}

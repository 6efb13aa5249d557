/* storage_filter_fuzz.c - a filter that opens answers any hash; what is built from hashes holds
 * them. */
#include "base/bytes.h"
#include "storage/filter.h"
#include "tests/fuzz/fuzz.h"

static void ask_all(struct nx_slice bytes)
{
    struct filter filter;
    unsigned yes = 0;
    bool nomem;

    if (filter_open(bytes, &filter, &nomem))
        for (uint64_t i = 0; i < 64; i++)
            yes += filter_may_hold(&filter, i * UINT64_C(0x9e3779b97f4a7c15));
    CLAIM(yes <= 64);
    filter_fini(&filter);
}

/* The input as hashes, the first byte as bits a key. */
static void build_and_ask(const uint8_t *data, size_t size)
{
    struct nx_buf bytes = NX_BUF_INIT;
    uint64_t hashes[256] = {0};
    size_t count = 0;
    struct filter filter;
    bool nomem;

    for (size_t at = 1; at + 8 <= size && count < 256; at += 8)
        hashes[count++] = get_u64le(data + at);
    CLAIM(filter_build(hashes, count, 1 + data[0] % 32, &bytes) == NX_OK);
    if (count) {
        CLAIM(filter_open(nx_buf_slice(&bytes), &filter, &nomem));
        for (size_t i = 0; i < count; i++)
            CLAIM(filter_may_hold(&filter, hashes[i]));
        filter_fini(&filter);
    }
    nx_buf_fini(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ask_all(nx_slice(data, size));
    if (size)
        build_and_ask(data, size);
    return 0;
}

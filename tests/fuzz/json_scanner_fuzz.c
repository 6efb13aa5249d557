/* json_scanner_fuzz.c - any split gives the answer of one piece, and the reader agrees with it. */
#include <nexadb/json.h>

#include "tests/fuzz/fuzz.h"

static void same(const struct nx_json_scanner *a, const struct nx_json_scanner *b)
{
    CLAIM(a->result == b->result && a->offset == b->offset);
    CLAIM(a->line == b->line && a->column == b->column && a->reason == b->reason);
}

static struct nx_json_scanner scan_split(const char *text, size_t size, size_t piece)
{
    struct nx_json_scanner s;

    nx_json_scanner_init(&s);
    for (size_t at = 0; at < size; at += piece) {
        size_t n = piece < size - at ? piece : size - at;

        if (nx_json_scanner_feed(&s, text + at, n, false) < n)
            break;
    }
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct nx_buf doc = NX_BUF_INIT;
    struct nx_json_scanner whole = scan_split(text, size, size ? size : 1), split;
    enum nx_code rc = nx_json_parse_value(text, size, NX_JSON_DOCUMENT, &doc, NULL);

    for (size_t piece = 1; piece <= 3; piece++) {
        split = scan_split(text, size, piece);
        same(&whole, &split);
    }
    if (rc == NX_OK)
        CLAIM(whole.result == NX_SCAN_COMPLETE);
    if (rc == NX_EJSON)
        CLAIM(whole.result != NX_SCAN_COMPLETE);
    nx_buf_fini(&doc);
    return 0;
}

/* layout_fuzz.c - a text with a layout is reproduced byte for byte. */
#include <string.h>

#include <nexadb/json.h>

#include "doc/layout.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_buf doc = NX_BUF_INIT, out = NX_BUF_INIT;
    uint8_t layout;

    if (nx_json_parse((const char *)data, size, NX_JSON_DOCUMENT, 0, &doc, NULL, NULL) == NX_OK) {
        layout = layout_detect(nx_buf_slice(&doc), (const char *)data, size);
        if (layout != LAYOUT_SOURCE) {
            CLAIM(layout_render(layout, nx_buf_slice(&doc), &out) == NX_OK);
            CLAIM(out.len == size && memcmp(out.data, data, size) == 0);
        }
    }
    nx_buf_fini(&doc);
    nx_buf_fini(&out);
    return 0;
}

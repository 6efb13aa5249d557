/* key_decoder_fuzz.c - a key that decodes is the key of what it decodes to. */
#include <string.h>

#include <nexadb/id.h>

#include "doc/keyenc.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_buf doc = NX_BUF_INIT, again = NX_BUF_INIT;
    struct nx_builder b;
    struct nx_value value;
    struct nx_id id;
    size_t used;

    nx_builder_init(&b, &doc);
    if (keyenc_decode(nx_slice(data, size), &b, "v", 1, &used) == NX_OK) {
        CLAIM(used > 0 && used <= size);
        CLAIM(keyenc_length(nx_slice(data, size)) == used);
        if (nx_builder_end(&b, NULL) == NX_OK) {
            value = nx_doc_get_z(nx_buf_slice(&doc), "v");
            CLAIM(keyenc_append(&again, &value) == NX_OK);
            CLAIM(again.len == used && memcmp(again.data, data, used) == 0);
        }
    } else {
        CLAIM(used == 0);
    }
    if (nx_id_from_key(nx_slice(data, size), &id) == NX_OK)
        CLAIM(id.len == size);
    nx_buf_fini(&doc);
    nx_buf_fini(&again);
    return 0;
}

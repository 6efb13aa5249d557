/* doc_check_fuzz.c - what the checker lets through, libbson takes too, and everything here bears.
 */
#include <bson/bson.h>
#include <string.h>

#include <nexadb/json.h>

#include "doc/keyenc.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_slice doc = nx_slice(data, size);
    struct nx_buf out = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    struct nx_value value = nx_doc_value(doc);
    bson_t view;

    if (nx_doc_check(doc, &err) != NX_OK) {
        CLAIM(strstr(err.message, "byte"));
        nx_doc_count(doc); /* an unchecked walk stays inside its bytes */
        return 0;
    }
    CLAIM(bson_init_static(&view, data, size));
    CLAIM(bson_validate(&view, BSON_VALIDATE_UTF8 | BSON_VALIDATE_UTF8_ALLOW_NULL, NULL));
    CLAIM(nx_value_compare(&value, &value) == 0);
    nx_value_hash(&value, 1);
    CLAIM(nx_json_write(doc, false, NX_JSON_CANONICAL, 0, NULL, &out) == NX_OK);
    nx_buf_clear(&out);
    CLAIM(keyenc_append(&out, &value) == NX_OK);
    CLAIM(keyenc_length(nx_buf_slice(&out)) == out.len);
    nx_buf_fini(&out);
    return 0;
}

/*
 * json_read_fuzz.c - the reader against jansson: the same texts are accepted, the same values come
 * out; and against itself: what it read is a checked document that survives being written.
 */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include <nexadb/json.h>

#include "tests/fuzz/fuzz.h"

static void same_value(const struct nx_value *ours, const json_t *theirs);

static void same_members(struct nx_slice doc, const json_t *theirs)
{
    struct nx_doc_iter iter;
    size_t n = 0;

    nx_doc_iter_init(&iter, doc);
    for (; nx_doc_iter_next(&iter); n++) {
        const json_t *member = json_is_array(theirs)
                                   ? json_array_get(theirs, n)
                                   : json_object_getn(theirs, iter.key, iter.key_len);

        CLAIM(member);
        same_value(&iter.value, member);
    }
    CLAIM(n == (json_is_array(theirs) ? json_array_size(theirs) : json_object_size(theirs)));
}

static void same_value(const struct nx_value *ours, const json_t *theirs)
{
    switch (ours->type) {
    case NX_TYPE_DOCUMENT:
    case NX_TYPE_ARRAY:
        CLAIM(json_is_array(theirs) == (ours->type == NX_TYPE_ARRAY));
        same_members(nx_value_slice(ours), theirs);
        return;
    case NX_TYPE_STRING:
        CLAIM(json_is_string(theirs) && json_string_length(theirs) == ours->len);
        CLAIM(memcmp(json_string_value(theirs), ours->data, ours->len) == 0);
        return;
    case NX_TYPE_BOOL:
        CLAIM(json_is_boolean(theirs) && json_boolean_value(theirs) == ours->boolean);
        return;
    case NX_TYPE_NULL:
        CLAIM(json_is_null(theirs));
        return;
    case NX_TYPE_DOUBLE:
        CLAIM(json_is_real(theirs) && json_real_value(theirs) == ours->f64);
        return;
    default: /* an integer, which jansson was told to read as a double */
        CLAIM(json_is_real(theirs) && json_real_value(theirs) == nx_value_to_double(ours));
    }
}

/* Forms of Extended JSON, and what jansson cannot hold or overlooks, are not for comparing. */
static void compare(const uint8_t *data, size_t size, enum nx_code rc, struct nx_slice doc)
{
    json_error_t error;
    json_t *theirs = json_loadb((const char *)data, size,
                                JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY |
                                    JSON_DECODE_INT_AS_REAL,
                                &error);
    struct nx_value value;

    if (!theirs) {
        if (json_error_code(&error) != json_error_numeric_overflow)
            CLAIM(rc != NX_OK);
        return;
    }
    if (rc == NX_OK) {
        value = nx_doc_get(doc, "", 0);
        same_value(&value, theirs);
    } else {
        CLAIM(rc == NX_EDOC); /* too deep */
    }
    json_decref(theirs);
}

static void survives_writing(struct nx_slice doc)
{
    struct nx_buf text = NX_BUF_INIT, again = NX_BUF_INIT;

    CLAIM(nx_doc_check(doc, NULL) == NX_OK || nx_doc_count(doc) == 1);
    CLAIM(nx_json_write(doc, false, NX_JSON_EXACT, 0, NULL, &text) == NX_OK);
    if (nx_json_parse((const char *)text.data, text.len, NX_JSON_DOCUMENT, 0, &again, NULL, NULL) ==
        NX_OK)
        CLAIM(again.len == doc.len && memcmp(again.data, doc.data, doc.len) == 0);
    nx_buf_fini(&text);
    nx_buf_fini(&again);
}

/* jansson takes a NUL byte behind a number for the end of the text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_buf doc = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc = nx_json_parse_value((const char *)data, size, NX_JSON_DOCUMENT, &doc, &err);

    if (rc == NX_OK)
        survives_writing(nx_buf_slice(&doc));
    else
        CLAIM(rc == NX_ETOOBIG || (err.line > 0 && err.column > 0 && err.message[0]));
    if (!memchr(data, '$', size) && !memchr(data, 0, size) && !memmem(data, size, "\\u0024", 6))
        compare(data, size, rc, nx_buf_slice(&doc));
    nx_buf_fini(&doc);
    return 0;
}

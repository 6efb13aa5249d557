/*
 * ejson.h - Extended JSON v2: the objects that stand for a typed value.
 *
 * Threads: pure functions.
 */
#ifndef DOC_EJSON_H
#define DOC_EJSON_H

#include <stddef.h>
#include <stdint.h>

#include <nexadb/json.h>

enum ejson_outcome {
    EJSON_PLAIN, /* an ordinary object */
    EJSON_VALUE, /* `type` and the first `len` bytes of `doc` are the value now */
    EJSON_BAD,   /* a form of the extension, but wrong: `reason` says how */
};

struct ejson_result {
    uint8_t type;
    uint32_t len;
    const char *key;    /* static: the form's name, unless PLAIN */
    const char *reason; /* static */
};

/*
 * Look at the BSON of one just parsed object whose first key begins with '$' and, when it is a
 * form, replace it by its value's payload in place: that is never longer.
 */
enum ejson_outcome ejson_convert(uint8_t *doc, size_t len, enum nx_json_mode mode,
                                 struct ejson_result *out);

#endif

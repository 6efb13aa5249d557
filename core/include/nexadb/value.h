/*
 * value.h - views of BSON values and documents, and a builder of documents.
 *
 * A document is its BSON bytes (bsonspec.org/spec.html). A view borrows from them: nothing here
 * allocates but the builder. Iteration trusts its bytes: whatever came from outside went through
 * nx_doc_check or was built by nx_json_parse or a builder.
 */
#ifndef NEXADB_VALUE_H
#define NEXADB_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nexadb/attributes.h>
#include <nexadb/buf.h>
#include <nexadb/error.h>

/* BSON's own type numbers. */
enum nx_type {
    NX_TYPE_MISSING = 0x00, /* no value at all; not in BSON */
    NX_TYPE_DOUBLE = 0x01,
    NX_TYPE_STRING = 0x02,
    NX_TYPE_DOCUMENT = 0x03,
    NX_TYPE_ARRAY = 0x04,
    NX_TYPE_BINARY = 0x05,
    NX_TYPE_UNDEFINED = 0x06,
    NX_TYPE_OBJECTID = 0x07,
    NX_TYPE_BOOL = 0x08,
    NX_TYPE_DATE = 0x09,
    NX_TYPE_NULL = 0x0a,
    NX_TYPE_REGEX = 0x0b,
    NX_TYPE_DBPOINTER = 0x0c,
    NX_TYPE_CODE = 0x0d,
    NX_TYPE_SYMBOL = 0x0e,
    NX_TYPE_CODEWSCOPE = 0x0f,
    NX_TYPE_INT32 = 0x10,
    NX_TYPE_TIMESTAMP = 0x11,
    NX_TYPE_INT64 = 0x12,
    NX_TYPE_DECIMAL128 = 0x13,
    NX_TYPE_MAXKEY = 0x7f,
    NX_TYPE_MINKEY = 0xff,
};

struct nx_value {
    uint8_t type;    /* enum nx_type */
    uint8_t subtype; /* of a binary */
    uint32_t len;    /* bytes at `data`: see the member */
    union {
        double f64;
        int32_t i32;
        int64_t
            i64; /* INT64; DATE: milliseconds since 1970; TIMESTAMP: seconds << 32 | increment */
        bool boolean;
        /* STRING, SYMBOL, CODE: text without its NUL. BINARY: its bytes. DOCUMENT, ARRAY: the whole
         * BSON. OBJECTID: 12 bytes. DECIMAL128: 16 bytes. REGEX: pattern, NUL, options, NUL.
         * DBPOINTER, CODEWSCOPE: the raw BSON payload. */
        const uint8_t *data;
    };
};

#define NX_MISSING ((struct nx_value){.type = NX_TYPE_MISSING})
#define NX_NULL ((struct nx_value){.type = NX_TYPE_NULL})

static inline struct nx_value nx_int32(int32_t v)
{
    return (struct nx_value){.type = NX_TYPE_INT32, .i32 = v};
}
static inline struct nx_value nx_int64(int64_t v)
{
    return (struct nx_value){.type = NX_TYPE_INT64, .i64 = v};
}
/* INT32 when it fits, else INT64. */
static inline struct nx_value nx_int(int64_t v)
{
    return v >= INT32_MIN && v <= INT32_MAX ? nx_int32((int32_t)v) : nx_int64(v);
}
static inline struct nx_value nx_double(double v)
{
    return (struct nx_value){.type = NX_TYPE_DOUBLE, .f64 = v};
}
static inline struct nx_value nx_bool(bool v)
{
    return (struct nx_value){.type = NX_TYPE_BOOL, .boolean = v};
}
static inline struct nx_value nx_date(int64_t ms)
{
    return (struct nx_value){.type = NX_TYPE_DATE, .i64 = ms};
}
static inline struct nx_value nx_string(const void *text, size_t len)
{
    return (struct nx_value){.type = NX_TYPE_STRING, .len = (uint32_t)len, .data = text};
}
static inline struct nx_value nx_string_z(const char *text)
{
    return nx_string(text, strlen(text));
}
/* A whole BSON document or array as a value. */
static inline struct nx_value nx_doc_value(struct nx_slice doc)
{
    return (struct nx_value){.type = NX_TYPE_DOCUMENT, .len = (uint32_t)doc.len, .data = doc.data};
}
static inline struct nx_value nx_array_value(struct nx_slice array)
{
    return (struct nx_value){.type = NX_TYPE_ARRAY, .len = (uint32_t)array.len, .data = array.data};
}
static inline struct nx_slice nx_value_slice(const struct nx_value *value)
{
    return nx_slice(value->data, value->len);
}
static inline bool nx_is_number(const struct nx_value *v)
{
    return v->type == NX_TYPE_DOUBLE || v->type == NX_TYPE_INT32 || v->type == NX_TYPE_INT64 ||
           v->type == NX_TYPE_DECIMAL128;
}
/* null, undefined or missing */
static inline bool nx_is_nullish(const struct nx_value *v)
{
    return v->type == NX_TYPE_NULL || v->type == NX_TYPE_MISSING || v->type == NX_TYPE_UNDEFINED;
}
/* As a double; decimal128 by its nearest double; 0 for anything but a number. */
NX_API double nx_value_to_double(const struct nx_value *value);
/* True when it is a number of integral value within int64. */
NX_API bool nx_value_to_int64(const struct nx_value *value, int64_t *out);
/* MongoDB's $type alias: "double", "string", "object", "array", "binData", ...; "missing". */
NX_API const char *nx_type_name(uint8_t type);

/* --- reading a document ----------------------------------------------------------------------- */

#define NX_DOC_MAX_BYTES (16u << 20) /* of BSON, and of the text it is read back as */
#define NX_DOC_MAX_DEPTH 100

/* Check bytes from outside: BSON of exactly `doc.len`, every length and type, UTF-8,
 * NX_DOC_MAX_DEPTH, no duplicate keys in an object. NX_EDOC names the byte. */
NX_API enum nx_code nx_doc_check(struct nx_slice doc, struct nx_err *err);

struct nx_doc_iter {
    const uint8_t *at;
    const uint8_t *end;
    const char *key; /* NUL-terminated, borrowed; in an array "0", "1", ... */
    uint32_t key_len;
    struct nx_value value;
};

NX_API void nx_doc_iter_init(struct nx_doc_iter *iter, struct nx_slice doc);
NX_API bool nx_doc_iter_next(struct nx_doc_iter *iter); /* false at the end */
/* A field of the top level by its name, which may hold dots; MISSING when there is none. */
NX_API struct nx_value nx_doc_get(struct nx_slice doc, const char *key, size_t key_len);
NX_API struct nx_value nx_doc_get_z(struct nx_slice doc, const char *key);
NX_API bool nx_doc_is_empty(struct nx_slice doc);
NX_API size_t nx_doc_count(struct nx_slice doc); /* fields of the top level */
/* The 5 bytes of {}. */
NX_API extern const struct nx_slice nx_doc_empty;

/* --- building a document ---------------------------------------------------------------------- */

/*
 * Appends BSON to `buf`, which outlives it; nested documents are opened and closed in order.
 * The first failure sticks (NX_ENOMEM, NX_ETOOBIG past 64 MiB) and is returned by nx_builder_end.
 */
struct nx_builder {
    struct nx_buf *buf;
    size_t start[NX_DOC_MAX_DEPTH + 28]; /* offset of each open document's length */
    uint32_t index[NX_DOC_MAX_DEPTH + 28];
    bool is_array[NX_DOC_MAX_DEPTH + 28];
    unsigned depth;
    enum nx_code failed;
};

/* Begin a document, or an array, at the end of `buf`. */
NX_API void nx_builder_init(struct nx_builder *b, struct nx_buf *buf);
NX_API void nx_builder_init_array(struct nx_builder *b, struct nx_buf *buf);
/* In an array the key is ignored: pass NULL, 0. A MISSING value is skipped in a document and null
 * in an array. `key` holds no NUL. */
NX_API void nx_builder_put(struct nx_builder *b, const char *key, size_t key_len,
                           const struct nx_value *value);
NX_API void nx_builder_put_z(struct nx_builder *b, const char *key, struct nx_value value);
NX_API void nx_builder_push(struct nx_builder *b, const struct nx_value *value); /* in an array */
NX_API void nx_builder_begin_document(struct nx_builder *b, const char *key, size_t key_len);
NX_API void nx_builder_begin_array(struct nx_builder *b, const char *key, size_t key_len);
NX_API void nx_builder_close(struct nx_builder *b); /* the innermost begun */
/* Close the outermost; the document is buf->data + its start, to buf->len. */
NX_API enum nx_code nx_builder_end(struct nx_builder *b, struct nx_err *err);

/* --- order ------------------------------------------------------------------------------------ */

/* MongoDB's comparison order over all types: <0, 0, >0. MISSING sorts below null
 * (MinKey < missing < null < numbers < strings < objects < arrays < binary < ObjectId < bool < date
 * < timestamp < regex < MaxKey). */
NX_API int nx_value_compare(const struct nx_value *a, const struct nx_value *b);
/* Equal values hash alike, over numeric types too. */
NX_API uint64_t nx_value_hash(const struct nx_value *value, uint64_t seed);
/* The class a type is compared within: equal for int32, int64, double, decimal128, ... */
NX_API int nx_type_order(uint8_t type);

#endif

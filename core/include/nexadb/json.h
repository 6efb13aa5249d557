/*
 * json.h - JSON text to BSON and back, and where one JSON text ends in a stream.
 *
 * Strict RFC 8259, UTF-8 without surrogates, no duplicate keys, nesting to NX_DOC_MAX_DEPTH.
 * Source of the extended forms: MongoDB Extended JSON v2.
 */
#ifndef NEXADB_JSON_H
#define NEXADB_JSON_H

#include <nexadb/attributes.h>
#include <nexadb/buf.h>
#include <nexadb/error.h>
#include <nexadb/value.h>

enum nx_json_mode {
    NX_JSON_DOCUMENT, /* every Extended JSON form becomes its type */
    NX_JSON_QUERY,    /* the same, but {"$regex","$options"} stay operators */
};

/*
 * Parse one JSON object (an array gives BSON of an array and sets *is_array) followed by nothing
 * but white space. Appends the BSON to `out`. Integers: int32 when they fit, else int64, beyond it
 * double. NX_EJSON with line and column; NX_EDOC for a wrong Extended JSON form, a duplicate key, a
 * NUL in a key, an array where `is_array` is NULL, a nesting too deep; NX_ETOOBIG when the BSON
 * passes NX_DOC_MAX_BYTES (`max_bytes` 0) or `max_bytes`. On failure `out` is as it was.
 */
NX_API enum nx_code nx_json_parse(const char *text, size_t len, enum nx_json_mode mode,
                                  size_t max_bytes, struct nx_buf *out, bool *is_array,
                                  struct nx_err *err);
/* Any JSON value: appends {"": value}; read it with nx_doc_iter. */
NX_API enum nx_code nx_json_parse_value(const char *text, size_t len, enum nx_json_mode mode,
                                        struct nx_buf *out, struct nx_err *err);

enum nx_json_flavor {
    NX_JSON_EXACT,     /* relaxed, but reads back with the same types: {"$numberLong":"5"}, 5.0 */
    NX_JSON_RELAXED,   /* plain relaxed: 5 for an int64, 5.0 for a double: for results */
    NX_JSON_CANONICAL, /* canonical Extended JSON */
};

/* indent 0: one line without spaces after , and : ; else that many spaces a level. No newline at
 * the end. `skip_key` (may be NULL) leaves one field of the top level out. Appends to `out`. */
NX_API enum nx_code nx_json_write(struct nx_slice doc, bool is_array, enum nx_json_flavor flavor,
                                  unsigned indent, const char *skip_key, struct nx_buf *out);
NX_API enum nx_code nx_json_write_value(const struct nx_value *value, enum nx_json_flavor flavor,
                                        struct nx_buf *out);
/* Text as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
NX_API enum nx_code nx_json_write_string(const char *text, size_t len, struct nx_buf *out);

/* --- reading a stream ------------------------------------------------------------------------- */

enum nx_scan_state {
    NX_SCAN_EMPTY,      /* only white space so far */
    NX_SCAN_PARTIAL,    /* the beginning of a JSON text */
    NX_SCAN_COMPLETE,   /* one whole value, white space after it */
    NX_SCAN_IMPOSSIBLE, /* no continuation makes it JSON; `line`, `column`, `reason` say where */
};

/*
 * An incremental RFC 8259 recogniser: bounded memory, any split of the input. A number at the top
 * level is COMPLETE wherever it may end, although more digits may follow.
 */
struct nx_json_scanner {
    uint8_t state; /* private */
    uint8_t utf8_need, utf8_low, utf8_high;
    uint8_t literal_at;
    uint8_t expect;
    uint16_t depth;
    uint8_t nest[(NX_DOC_MAX_DEPTH + 8) / 8]; /* one bit a level: object or array */
    uint32_t hex;
    enum nx_scan_state result;
    uint64_t offset;       /* bytes consumed */
    uint32_t line, column; /* of the next byte, 1-based */
    const char *reason;    /* static text, when IMPOSSIBLE */
};

NX_API void nx_json_scanner_init(struct nx_json_scanner *scanner);
/*
 * Feed bytes. Stops right after a value is complete when `stop_at_end`; otherwise only white space
 * may follow it. Returns the number of bytes consumed; `scanner->result` says the state.
 */
NX_API size_t nx_json_scanner_feed(struct nx_json_scanner *scanner, const char *text, size_t len,
                                   bool stop_at_end);

#endif

/*
 * import_json.c - cutting a stream of JSON into documents.
 *
 * The common case is a document a line: the line is found by memchr and parsed at once, one pass.
 * Only when that fails does the scanner look where the document really ends: it may go on over
 * several lines (jq's output), or another may follow on the same line. A text that begins with "["
 * is one array, whose elements the scanner cuts.
 */
#include <stdlib.h>
#include <string.h>

#include <nexadb/json.h>

#include "transfer/import.h"

enum place {
    AT_START,     /* nothing but white space yet */
    IN_LINES,     /* before or in a document of a sequence */
    BEFORE_FIRST, /* behind "[" */
    BEFORE_VALUE, /* behind "," */
    IN_VALUE,     /* in an element */
    AFTER_VALUE,  /* "," or "]" must follow */
    AFTER_ARRAY,  /* only white space may follow */
};

struct json_reader {
    enum place place;
    struct nx_buf text; /* owned: from the document being read on */
    size_t at;          /* in text: where the document begins */
    size_t looked;      /* in text, >= at: up to where a line end or the scanner has looked */
    bool scanning;      /* the scanner is inside the document */
    bool skipping;      /* a bad line is being passed over */
    uint64_t line;      /* of text[at] */
    struct nx_json_scanner scanner;
};

static enum nx_code open_json(struct nx_import *import, struct nx_err *err)
{
    struct json_reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        return nx_fail_nomem(err);
    reader->line = 1;
    import->reader = reader;
    return NX_OK;
}

static void close_json(struct nx_import *import)
{
    struct json_reader *reader = import->reader;

    nx_buf_fini(&reader->text);
    free(reader);
}

/* Move past `len` bytes of text, counting lines. */
static void advance(struct json_reader *reader, size_t len)
{
    const uint8_t *p = reader->text.data + reader->at, *end = p + len;

    while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
        reader->line++;
        p++;
    }
    reader->at += len;
    reader->looked = reader->at;
}

/* Pass white space over; false when the text ends in it. */
static bool skip_space(struct json_reader *reader)
{
    size_t n = 0, left = reader->text.len - reader->at;
    const uint8_t *p = reader->text.data + reader->at;

    while (n < left && (p[n] == ' ' || p[n] == '\t' || p[n] == '\n' || p[n] == '\r'))
        n++;
    advance(reader, n);
    return n < left;
}

/* Parse `len` bytes at the start of the document into import->bson. */
static enum nx_code parse(struct nx_import *import, size_t len, struct nx_err *why)
{
    struct json_reader *reader = import->reader;
    bool is_array = false;
    enum nx_code rc;

    nx_buf_clear(&import->bson);
    rc = nx_json_parse((const char *)reader->text.data + reader->at, len, NX_JSON_DOCUMENT, 0,
                       &import->bson, &is_array, why);
    if (rc == NX_OK && is_array)
        rc = nx_fail(why, NX_EDOC, "an array where a document is expected");
    return rc;
}

/* Take the document of `len` bytes, or refuse it. */
static enum nx_code take(struct nx_import *import, size_t len, struct nx_err *err)
{
    struct json_reader *reader = import->reader;
    struct nx_err why = NX_ERR_INIT;
    enum nx_code rc = parse(import, len, &why);

    if (rc == NX_OK)
        rc = import_add(import, reader->line, err);
    else if (rc == NX_ENOMEM)
        return nx_fail_nomem(err);
    else
        rc = import_refuse(import, reader->line, &why, err);
    if (rc == NX_OK)
        advance(reader, len);
    return rc;
}

static void begin_scan(struct json_reader *reader)
{
    nx_json_scanner_init(&reader->scanner);
    reader->scanning = true;
    reader->looked = reader->at;
}

/* Let the scanner look at what it has not seen. */
static enum nx_scan_state scan(struct json_reader *reader)
{
    reader->looked +=
        nx_json_scanner_feed(&reader->scanner, (const char *)reader->text.data + reader->looked,
                             reader->text.len - reader->looked, true);
    if (reader->scanner.result == NX_SCAN_COMPLETE || reader->scanner.result == NX_SCAN_IMPOSSIBLE)
        reader->scanning = false;
    return reader->scanner.result;
}

static enum nx_code refuse_scanned(struct nx_import *import, struct nx_err *err)
{
    struct json_reader *reader = import->reader;
    struct nx_err why = NX_ERR_INIT;

    nx_fail(&why, NX_EJSON, "%s", reader->scanner.reason);
    why.line = reader->scanner.line;
    why.column = reader->scanner.column;
    return import_refuse(import, reader->line, &why, err);
}

/* Pass the rest of a bad line over. Sets *more when its end has been seen. */
static void skip_line(struct json_reader *reader, bool *more)
{
    const uint8_t *from = reader->text.data + reader->looked;
    const uint8_t *end = memchr(from, '\n', reader->text.len - reader->looked);

    *more = end != NULL;
    reader->skipping = end == NULL;
    advance(reader, end ? (size_t)(end + 1 - (reader->text.data + reader->at))
                        : reader->text.len - reader->at);
}

/* Behind a document only another one may stand on its line. */
static bool is_followed_well(const struct json_reader *reader)
{
    for (size_t i = reader->looked; i < reader->text.len; i++) {
        uint8_t c = reader->text.data[i];

        if (c != ' ' && c != '\t' && c != '\r')
            return c == '\n' || c == '{';
    }
    return true;
}

/* The document is not its whole line: see where it ends. */
static enum nx_code scanned_document(struct nx_import *import, bool *more, struct nx_err *err)
{
    struct json_reader *reader = import->reader;
    enum nx_code rc;

    switch (scan(reader)) {
    case NX_SCAN_COMPLETE:
        if (is_followed_well(reader))
            return take(import, reader->looked - reader->at, err);
        reader->scanner.reason = "text behind the end of the document";
        break;
    case NX_SCAN_IMPOSSIBLE:
        break;
    default:
        *more = false; /* it goes on in text that is still to come */
        return NX_OK;
    }
    rc = refuse_scanned(import, err);
    if (rc == NX_OK)
        skip_line(reader, more);
    return rc;
}

/* One document of a sequence. Clears *more when the text at hand does not hold a whole one. */
static enum nx_code next_line(struct nx_import *import, bool *more, struct nx_err *err)
{
    struct json_reader *reader = import->reader;
    struct nx_err why = NX_ERR_INIT;
    const uint8_t *end;
    enum nx_code rc;

    if (reader->skipping) {
        skip_line(reader, more);
        return NX_OK;
    }
    if (reader->scanning)
        return scanned_document(import, more, err);
    if (!skip_space(reader)) {
        *more = false;
        return NX_OK;
    }
    end = memchr(reader->text.data + reader->looked, '\n', reader->text.len - reader->looked);
    if (!end) {
        reader->looked = reader->text.len;
        *more = false;
        return NX_OK;
    }
    rc = parse(import, (size_t)(end - (reader->text.data + reader->at)), &why);
    if (rc == NX_OK) {
        rc = import_add(import, reader->line, err);
        advance(reader, (size_t)(end + 1 - (reader->text.data + reader->at)));
        return rc;
    }
    begin_scan(reader);
    return scanned_document(import, more, err);
}

static enum nx_code fail_array(struct nx_import *import, const char *what, struct nx_err *err)
{
    struct json_reader *reader = import->reader;

    import->result.rejected++;
    nx_fail(err, NX_EJSON, "%s", what);
    if (err)
        err->line = (uint32_t)reader->line;
    return NX_EJSON;
}

/* One step of an array. An array that is broken is refused from there on, whatever skip_bad says:
 * what follows has no line to begin again at. */
static enum nx_code next_element(struct nx_import *import, bool *more, struct nx_err *err)
{
    struct json_reader *reader = import->reader;
    enum nx_code rc = NX_OK;
    uint8_t c;

    if (reader->place == IN_VALUE) {
        switch (scan(reader)) {
        case NX_SCAN_COMPLETE:
            rc = take(import, reader->looked - reader->at, err);
            reader->place = AFTER_VALUE;
            return rc;
        case NX_SCAN_IMPOSSIBLE:
            import->options.skip_bad = false;
            return refuse_scanned(import, err);
        default:
            *more = false;
            return NX_OK;
        }
    }
    if (!skip_space(reader)) {
        *more = false;
        return NX_OK;
    }
    c = reader->text.data[reader->at];
    if (reader->place == AFTER_ARRAY)
        return fail_array(import, "text behind the end of the array", err);
    if (c == ']' && reader->place != BEFORE_VALUE) {
        reader->place = AFTER_ARRAY;
        advance(reader, 1);
    } else if (reader->place == AFTER_VALUE) {
        if (c != ',')
            return fail_array(import, "',' or ']' is expected behind an element", err);
        reader->place = BEFORE_VALUE;
        advance(reader, 1);
    } else {
        reader->place = IN_VALUE;
        begin_scan(reader);
    }
    return NX_OK;
}

static enum nx_code run(struct nx_import *import, struct nx_err *err)
{
    struct json_reader *reader = import->reader;
    enum nx_code rc = NX_OK;
    bool more = true;

    while (rc == NX_OK && more) {
        if (reader->place == AT_START) {
            if (!skip_space(reader))
                break;
            reader->place = reader->text.data[reader->at] == '[' ? BEFORE_FIRST : IN_LINES;
            if (reader->place == BEFORE_FIRST)
                advance(reader, 1);
        } else if (reader->place == IN_LINES) {
            rc = next_line(import, &more, err);
        } else {
            rc = next_element(import, &more, err);
        }
    }
    return rc;
}

static enum nx_code feed_json(struct nx_import *import, const char *text, size_t len,
                              struct nx_err *err)
{
    struct json_reader *reader = import->reader;
    enum nx_code rc;

    if (nx_buf_append(&reader->text, text, len) != NX_OK)
        return nx_fail_nomem(err);
    rc = run(import, err);
    if (rc != NX_OK)
        return rc;
    memmove(reader->text.data, reader->text.data + reader->at, reader->text.len - reader->at);
    reader->text.len -= reader->at;
    reader->looked -= reader->at;
    reader->at = 0;
    /* twice: the text is longer than the BSON that is limited */
    if (reader->text.len > 2 * (size_t)NX_DOC_MAX_BYTES)
        return nx_fail(err, NX_ETOOBIG, "line %llu: a document over 16 MiB",
                       (unsigned long long)reader->line);
    return NX_OK;
}

static enum nx_code finish_json(struct nx_import *import, struct nx_err *err)
{
    struct json_reader *reader = import->reader;
    enum nx_code rc = feed_json(import, "\n", 1, err); /* the last line may lack its end */
    struct nx_err why = NX_ERR_INIT;

    if (rc != NX_OK || reader->place == AT_START || reader->place == AFTER_ARRAY)
        return rc;
    if (reader->place != IN_LINES)
        return fail_array(import, "the text ends inside the array", err);
    if (!reader->scanning)
        return NX_OK;
    nx_fail(&why, NX_EJSON, "the text ends inside a document");
    return import_refuse(import, reader->line, &why, err);
}

const struct import_format import_json = {open_json, feed_json, finish_json, close_json};

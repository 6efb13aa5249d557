/* json_split.c - walking one level of a JSON text with the scanner of nexadb/json.h. */
#include "daemon/json_split.h"

#include <nexadb/json.h>

static void skip_space(struct json_split *split)
{
    for (; split->at < split->text.len; split->at++) {
        uint8_t c = split->text.data[split->at];

        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            return;
        if (c == '\n') {
            split->line++;
            split->line_start = split->at + 1;
        }
    }
}

static uint8_t peek(struct json_split *split)
{
    skip_space(split);
    return split->at < split->text.len ? split->text.data[split->at] : 0;
}

static enum nx_code fail_here(const struct json_split *split, const char *what, struct nx_err *err)
{
    uint32_t column = (uint32_t)(split->at - split->line_start + 1);

    nx_fail(err, NX_EJSON, "line %u, column %u: %s", split->line, column, what);
    if (err) {
        err->line = split->line;
        err->column = column;
    }
    return NX_EJSON;
}

enum nx_code json_split_begin(struct json_split *split, struct nx_slice text, struct nx_err *err)
{
    uint8_t c;

    *split = (struct json_split){.text = text, .line = 1};
    c = peek(split);
    split->is_object = c == '{';
    if (c != '{' && c != '[')
        return fail_here(split, c ? "expected an object or an array" : "the body is empty", err);
    split->at++;
    return NX_OK;
}

static enum nx_code take_value(struct json_split *split, struct nx_slice *out, struct nx_err *err)
{
    struct nx_json_scanner scanner;
    size_t start = split->at, used;

    nx_json_scanner_init(&scanner);
    used = nx_json_scanner_feed(&scanner, (const char *)split->text.data + start,
                                split->text.len - start, true);
    if (scanner.result != NX_SCAN_COMPLETE) {
        split->line_start =
            scanner.line > 1 ? start + used + 1 - scanner.column : split->line_start;
        split->line += scanner.line - 1;
        split->at += used;
        return fail_here(
            split, scanner.result == NX_SCAN_IMPOSSIBLE ? scanner.reason : "the text ends here",
            err);
    }
    while (used && strchr(" \t\r\n", split->text.data[start + used - 1]))
        used--;
    *out = nx_slice(split->text.data + start, used);
    for (const uint8_t *c = out->data; c < out->data + used; c++)
        if (*c == '\n') {
            split->line++;
            split->line_start = (size_t)(c + 1 - split->text.data);
        }
    split->at += used;
    return NX_OK;
}

static enum nx_code take_key(struct json_split *split, struct nx_slice *key, struct nx_err *err)
{
    enum nx_code rc;

    if (peek(split) != '"')
        return fail_here(split, "expected a member's name in double quotes", err);
    rc = take_value(split, key, err);
    if (rc != NX_OK)
        return rc;
    *key = nx_slice(key->data + 1, key->len - 2);
    if (peek(split) != ':')
        return fail_here(split, "expected ':' after a member's name", err);
    split->at++;
    return NX_OK;
}

static enum nx_code finish(struct json_split *split, struct nx_err *err)
{
    split->at++;
    return peek(split) || split->at < split->text.len
               ? fail_here(split, "something follows the end of the JSON text", err)
               : NX_DONE;
}

enum nx_code json_split_next(struct json_split *split, struct json_piece *piece, struct nx_err *err)
{
    uint8_t end = split->is_object ? '}' : ']', c = peek(split);
    enum nx_code rc = NX_OK;

    *piece = (struct json_piece){0};
    if (c == end)
        return finish(split, err);
    if (split->started) {
        if (c != ',')
            return fail_here(split, c ? "expected ',' or the end" : "the text ends here", err);
        split->at++;
    }
    split->started = true;
    if (split->is_object)
        rc = take_key(split, &piece->key, err);
    if (rc != NX_OK)
        return rc;
    skip_space(split);
    piece->line = split->line;
    piece->column = (uint32_t)(split->at - split->line_start + 1);
    return take_value(split, &piece->value, err);
}

void json_piece_place(const struct json_piece *piece, struct nx_err *err)
{
    if (!err || !err->line)
        return;
    if (err->line == 1)
        err->column += piece->column - 1;
    err->line += piece->line - 1;
}

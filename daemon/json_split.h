/*
 * json_split.h - the members of a JSON object's text, or the elements of an array's, one at a time.
 *
 * For bodies whose parts are checked one by one, each with its own error and place.
 */
#ifndef DAEMON_JSON_SPLIT_H
#define DAEMON_JSON_SPLIT_H

#include <stdbool.h>

#include <nexadb/buf.h>
#include <nexadb/error.h>

struct json_split {
    struct nx_slice text; /* borrowed: the whole of it */
    size_t at;
    uint32_t line;
    size_t line_start;
    bool is_object, started;
};
struct json_piece {
    struct nx_slice key;   /* of a member: as written, without its quotes; escapes are kept */
    struct nx_slice value; /* text of one JSON value, without white space around it */
    uint32_t line, column; /* of the value in the whole text, 1-based */
};

/* `text` begins with an object or an array: NX_EJSON otherwise. */
enum nx_code json_split_begin(struct json_split *split, struct nx_slice text, struct nx_err *err);
/* NX_OK and a piece, NX_DONE at the end with nothing behind it, NX_EJSON with line and column. */
enum nx_code json_split_next(struct json_split *split, struct json_piece *piece,
                             struct nx_err *err);
/* Move the place that `err` names within a piece to where it is in the whole. */
void json_piece_place(const struct json_piece *piece, struct nx_err *err);

#endif

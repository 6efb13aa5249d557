/*
 * json_out.h - writing the members of a JSON answer; the first failure sticks.
 */
#ifndef DAEMON_JSON_OUT_H
#define DAEMON_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include <nexadb/buf.h>
#include <nexadb/json.h>

struct json_out {
    struct nx_buf *buf; /* outlives us */
    bool comma;         /* something stands before the next member */
    enum nx_code failed;
};

void json_init(struct json_out *out, struct nx_buf *buf); /* writes nothing */
void json_raw(struct json_out *out, const char *text);
void json_key(struct json_out *out, const char *key); /* with the comma before it */
void json_text(struct json_out *out, const char *key, const char *text, size_t len);
void json_text_z(struct json_out *out, const char *key, const char *text);
void json_uint(struct json_out *out, const char *key, uint64_t value);
void json_bool(struct json_out *out, const char *key, bool value);
void json_value(struct json_out *out, const char *key, const struct nx_value *value,
                enum nx_json_flavor flavor);
void json_doc(struct json_out *out, const char *key, struct nx_slice doc,
              enum nx_json_flavor flavor);
/* An element of an array: as the members, without a key. */
void json_item_doc(struct json_out *out, struct nx_slice doc, enum nx_json_flavor flavor);
void json_item_text(struct json_out *out, const char *text, size_t len);
void json_open(struct json_out *out, const char *key, char bracket);
void json_close(struct json_out *out, char bracket);
/* "error", "code" and the place that `err` names. */
void json_error(struct json_out *out, const struct nx_err *err);

#endif

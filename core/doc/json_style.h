/*
 * json_style.h - where a writer puts white space: shared by the writer and the layouts.
 *
 * Threads: pure functions.
 */
#ifndef DOC_JSON_STYLE_H
#define DOC_JSON_STYLE_H

#include <nexadb/json.h>

struct json_style {
    const char *indent; /* of one level, or NULL: all on one line */
    uint8_t indent_len;
    bool spaced; /* ", " and ": " on one line; with an indent ": " always */
};

enum nx_code json_render(struct nx_slice doc, bool is_array, enum nx_json_flavor flavor,
                         const struct json_style *style, const char *skip_key, struct nx_buf *out);

#endif

/* query_json.c - a list of buffers, forgotten together. */
#include "tests/unit/query/query_json.h"

#include <stdlib.h>
#include <string.h>

struct kept {
    struct kept *next;
    struct nx_buf buf;
};
static struct kept *all;

static struct nx_buf *keep(void)
{
    struct kept *kept = calloc(1, sizeof *kept);

    assert_non_null(kept);
    kept->next = all;
    all = kept;
    return &kept->buf;
}

struct nx_slice json(const char *text)
{
    struct nx_buf *buf = keep();
    struct nx_err err = NX_ERR_INIT;
    bool is_array;

    if (nx_json_parse(text, strlen(text), NX_JSON_QUERY, 0, buf, &is_array, &err) != NX_OK)
        fail_msg("%s: %s", text, err.message);
    return nx_buf_slice(buf);
}

struct nx_value json_value(const char *text)
{
    struct nx_buf *buf = keep();
    struct nx_err err = NX_ERR_INIT;

    if (nx_json_parse_value(text, strlen(text), NX_JSON_QUERY, buf, &err) != NX_OK)
        fail_msg("%s: %s", text, err.message);
    return nx_doc_get(nx_buf_slice(buf), "", 0);
}

const char *json_text(struct nx_slice doc)
{
    struct nx_buf *buf = keep();

    assert_int_equal(nx_json_write(doc, false, NX_JSON_RELAXED, 0, NULL, buf), NX_OK);
    assert_int_equal(nx_buf_append_byte(buf, 0), NX_OK);
    return (const char *)buf->data;
}

int json_forget(void **state)
{
    (void)state;
    while (all) {
        struct kept *next = all->next;

        nx_buf_fini(&all->buf);
        free(all);
        all = next;
    }
    return 0;
}

/* json_out.c - the small JSON writer behind every answer. */
#include "daemon/json_out.h"

#include <stdio.h>

void json_init(struct json_out *out, struct nx_buf *buf)
{
    *out = (struct json_out){.buf = buf};
}

static void keep(struct json_out *out, enum nx_code rc)
{
    if (out->failed == NX_OK)
        out->failed = rc;
}

void json_raw(struct json_out *out, const char *text)
{
    keep(out, nx_buf_append_str(out->buf, text));
}

static void separate(struct json_out *out)
{
    if (out->comma)
        json_raw(out, ",");
    out->comma = true;
}

void json_key(struct json_out *out, const char *key)
{
    separate(out);
    keep(out, nx_json_write_string(key, strlen(key), out->buf));
    json_raw(out, ":");
}

void json_text(struct json_out *out, const char *key, const char *text, size_t len)
{
    json_key(out, key);
    keep(out, nx_json_write_string(text, len, out->buf));
}

void json_text_z(struct json_out *out, const char *key, const char *text)
{
    json_text(out, key, text, strlen(text));
}

void json_uint(struct json_out *out, const char *key, uint64_t value)
{
    json_key(out, key);
    keep(out, nx_buf_printf(out->buf, "%llu", (unsigned long long)value));
}

void json_bool(struct json_out *out, const char *key, bool value)
{
    json_key(out, key);
    json_raw(out, value ? "true" : "false");
}

void json_value(struct json_out *out, const char *key, const struct nx_value *value,
                enum nx_json_flavor flavor)
{
    json_key(out, key);
    keep(out, nx_json_write_value(value, flavor, out->buf));
}

void json_doc(struct json_out *out, const char *key, struct nx_slice doc,
              enum nx_json_flavor flavor)
{
    json_key(out, key);
    keep(out, nx_json_write(doc, false, flavor, 0, NULL, out->buf));
}

void json_item_doc(struct json_out *out, struct nx_slice doc, enum nx_json_flavor flavor)
{
    separate(out);
    keep(out, nx_json_write(doc, false, flavor, 0, NULL, out->buf));
}

void json_item_text(struct json_out *out, const char *text, size_t len)
{
    separate(out);
    keep(out, nx_json_write_string(text, len, out->buf));
}

void json_open(struct json_out *out, const char *key, char bracket)
{
    if (key)
        json_key(out, key);
    else
        separate(out);
    keep(out, nx_buf_append_byte(out->buf, (uint8_t)bracket));
    out->comma = false;
}

void json_close(struct json_out *out, char bracket)
{
    keep(out, nx_buf_append_byte(out->buf, (uint8_t)bracket));
    out->comma = true;
}

void json_error(struct json_out *out, const struct nx_err *err)
{
    const char *message = err->message[0] ? err->message : nx_code_text(err->code);

    json_text_z(out, "error", message);
    json_text_z(out, "code", nx_code_name(err->code));
    if (err->line)
        json_uint(out, "line", err->line);
    if (err->column)
        json_uint(out, "column", err->column);
    if (err->index >= 0)
        json_uint(out, "index", (uint64_t)err->index);
}

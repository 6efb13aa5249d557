/* feed_text.c - a change as one JSON object, the same at both doors. */
#include <nexadb/feed.h>
#include <nexadb/json.h>

static enum nx_code put_text(struct nx_buf *out, const char *member, const char *text)
{
    enum nx_code rc = nx_buf_append_str(out, member);

    return rc == NX_OK ? nx_json_write_string(text, strlen(text), out) : rc;
}

static enum nx_code put_key(struct nx_buf *out, const struct nx_id *id)
{
    struct nx_buf key NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc = nx_id_to_document(id, &key);

    if (rc == NX_OK)
        rc = nx_buf_append_str(out, ",\"documentKey\":");
    return rc == NX_OK ? nx_json_write(nx_buf_slice(&key), false, NX_JSON_EXACT, 0, NULL, out) : rc;
}

static enum nx_code put_members(const struct nx_feed_change *change, struct nx_slice document,
                                struct nx_buf *out)
{
    enum nx_code rc = put_text(out, "{\"operationType\":", nx_feed_op_name(change->op));

    if (rc == NX_OK)
        rc = put_text(out, ",\"ns\":", change->path);
    if (rc == NX_OK && change->to)
        rc = put_text(out, ",\"to\":", change->to);
    if (rc == NX_OK && change->id.len > 0)
        rc = put_key(out, &change->id);
    if (rc == NX_OK && document.len > 0)
        rc = nx_buf_append_str(out, ",\"fullDocument\":");
    if (rc == NX_OK && document.len > 0)
        rc = nx_json_write(document, false, NX_JSON_EXACT, 0, NULL, out);
    return rc;
}

enum nx_code nx_feed_write(const struct nx_feed *feed, const struct nx_feed_change *change,
                           struct nx_slice document, struct nx_buf *out, struct nx_err *err)
{
    char token[NX_FEED_TOKEN_BYTES];
    enum nx_code rc = put_members(change, document, out);

    nx_feed_token(feed, token);
    if (rc == NX_OK)
        rc = put_text(out, ",\"token\":", token);
    if (rc == NX_OK)
        rc = nx_buf_append_byte(out, '}');
    return rc == NX_OK ? NX_OK : nx_fail_nomem(err);
}

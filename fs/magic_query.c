/*
 * magic_query.c - .query, .aggregate, .vsearch and .update: a text in, documents out.
 *
 * Writes before the first read are one text; a write after a read begins a new one, whose results
 * begin at the offset of the first read after it: a shell's `exec 3<>.query` shares one offset
 * between both. A complete text also goes to the caller's slot, where the next read-only open finds
 * it.
 */
#include <errno.h>

#include "fs/caller.h"
#include "fs/magic_handle.h"
#include "fs/magic_text.h"

struct query {
    struct magic_handle base;
    struct nx_buf text;  /* what is being written, or what is being read the results of */
    bool complete;       /* `text` is one valid request */
    bool reading;        /* results of `text` have been asked for */
    bool based;          /* `results_at` is known: since the first read after a write */
    uint64_t results_at; /* offset of their first byte */
    bool from_slot;      /* a read-only handle: `text` came from the slot */
    uint64_t slot_number;
    bool ran;     /* a text that writes has run */
    bool pending; /* .update: complete, to be run at the flush */
    struct nx_cursor *cursor;
    struct nx_buf answer; /* .update: the result of this handle's last one */
};

static struct query *query_of(struct magic_handle *handle)
{
    return (struct query *)handle;
}

/* --- the source of results -------------------------------------------------------------------- */

/* $out and $merge run at the first read after the write, and once. */
static bool may_run(struct query *query)
{
    bool first = query->from_slot ? slots_claim(query->base.base.fs->slots, &query->base.slot,
                                                query->slot_number)
                                  : !query->ran;

    query->ran = true;
    return first;
}

static enum nx_code start_results(void *arg, struct nx_err *err)
{
    struct query *query = arg;
    struct magic_handle *handle = &query->base;
    struct fs *fs = handle->base.fs;
    enum magic_kind kind = magic_kind_of(handle->magic);
    struct nx_slice text = nx_buf_slice(&query->text);
    bool writes = kind == MAGIC_AGGREGATE && magic_text_writes(text);

    if (writes && !may_run(query))
        return NX_OK; /* no cursor: nothing to show a second time */
    magic_handle_pin(handle);
    if (!handle->snapshot)
        return nx_fail_nomem(err);
    return magic_text_open(fs->db, handle->snapshot, handle->dir, kind, text, &handle->limits,
                           &query->cursor, err);
}

static enum nx_code next_results(void *arg, size_t want, struct nx_buf *out, struct nx_err *err)
{
    struct query *query = arg;
    size_t end = out->len + want;

    while (query->cursor && out->len < end) {
        struct nx_slice doc;
        enum nx_code rc = nx_cursor_next(query->cursor, &doc, err);

        if (rc == NX_OK)
            rc = nx_json_write(doc, false, NX_JSON_RELAXED, 0, NULL, out);
        if (rc == NX_OK)
            rc = nx_buf_append_byte(out, '\n');
        if (rc != NX_OK)
            return rc;
    }
    return query->cursor ? NX_OK : NX_DONE;
}

static void stop_results(void *arg)
{
    struct query *query = arg;

    nx_cursor_close(query->cursor);
    query->cursor = NULL;
}

static const struct stream_source results = {start_results, next_results, stop_results};

/* --- jobs ------------------------------------------------------------------------------------- */

static void begin_text(struct query *query)
{
    stream_reset(&query->base.stream);
    nx_buf_clear(&query->text);
    query->complete = query->reading = query->based = query->ran = query->pending = false;
    if (handle_is_writer(&query->base.base))
        magic_handle_unpin(
            &query->base); /* the next results are of the state at their first read */
}

static enum nx_code take_text(struct query *query, struct nx_err *err)
{
    struct magic_handle *handle = &query->base;
    enum magic_kind kind = magic_kind_of(handle->magic);
    enum nx_scan_state state = magic_text_state(kind, nx_buf_slice(&query->text), err);
    enum nx_code rc;

    query->complete = false;
    if (state == NX_SCAN_IMPOSSIBLE)
        return NX_EJSON;
    if (state != NX_SCAN_COMPLETE)
        return NX_OK;
    rc = magic_text_check(handle->base.fs->db, handle->snapshot, handle->dir, kind,
                          nx_buf_slice(&query->text), &handle->limits, err);
    if (rc == NX_OK && kind != MAGIC_UPDATE)
        rc = slots_set(handle->base.fs->slots, &handle->slot, nx_buf_slice(&query->text), err);
    query->complete = rc == NX_OK;
    query->pending = query->complete && kind == MAGIC_UPDATE;
    return rc;
}

static void write_query(struct magic_handle *handle, struct magic_job *job)
{
    struct query *query = query_of(handle);
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc = NX_OK;

    if (query->reading)
        begin_text(query);
    if (query->text.len + job->size > MAGIC_TEXT_MAX_BYTES)
        rc = nx_fail(&err, NX_ETOOBIG, "%s: more than %u bytes", handle->magic->name,
                     MAGIC_TEXT_MAX_BYTES);
    else if (nx_buf_append(&query->text, job->data, job->size) != NX_OK)
        rc = nx_fail_nomem(&err);
    if (rc == NX_OK)
        rc = take_text(query, &err);
    if (rc == NX_OK) {
        fuse_reply_write(job->req, job->size);
        return;
    }
    slots_clear(handle->base.fs->slots, &handle->slot); /* results of an older one would mislead */
    magic_handle_fail(handle, job, &err, nx_buf_slice(&query->text));
    begin_text(query); /* what is typed next is not added to it */
}

static void render_update(const struct nx_update_result *result, struct nx_buf *out)
{
    struct nx_buf id NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    nx_buf_clear(out);
    nx_buf_printf(out,
                  "{\"matched\":%ju,\"modified\":%ju,\"upserted_id\":", (uintmax_t)result->matched,
                  (uintmax_t)result->modified);
    if (result->upserted && nx_id_to_document(&result->upserted_id, &id) == NX_OK) {
        struct nx_value value = nx_doc_get_z(nx_buf_slice(&id), "_id");

        nx_json_write_value(&value, NX_JSON_RELAXED, out);
    } else {
        nx_buf_append_str(out, "null");
    }
    nx_buf_append_str(out, "}\n");
}

static void run_update(struct query *query, struct magic_job *job)
{
    struct magic_handle *handle = &query->base;
    struct fs *fs = handle->base.fs;
    bool durable = fs->options.sync || (handle->base.flags & (O_SYNC | O_DSYNC));
    struct nx_change change = {
        .durability = durable ? NX_SYNC : NX_BUFFERED, .uid = handle->uid, .gid = handle->gid};
    struct nx_update_result result = {0};
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc;

    query->pending = false;
    query->reading = true; /* the next write begins a new text */
    rc = magic_text_update(fs->db, handle->dir, nx_buf_slice(&query->text), &change,
                           &handle->limits, &result, &err);
    if (rc == NX_OK) {
        render_update(&result, &query->answer);
        rc = slots_set(fs->slots, &handle->slot, nx_buf_slice(&query->answer), &err);
    }
    if (rc == NX_OK) {
        magic_handle_settle(handle, job, 0);
        return;
    }
    slots_clear(fs->slots, &handle->slot); /* the result of an older one would mislead */
    magic_handle_fail(handle, job, &err, nx_buf_slice(&query->text));
}

/* What is there so far stays: it may go on. */
static void fail_incomplete(struct query *query, struct magic_job *job)
{
    struct magic_handle *handle = &query->base;
    struct nx_err err = NX_ERR_INIT;

    nx_fail(&err, NX_EJSON, "the text ends before the request does");
    slots_clear(handle->base.fs->slots, &handle->slot);
    magic_handle_fail(handle, job, &err, nx_buf_slice(&query->text));
}

/* An incomplete text is an error to the process that opened the file; a child's close says nothing.
 * A shell closes a duplicate after each `echo ... >&3`: who can read hears of it when it does. */
static void flush_query(struct magic_handle *handle, struct magic_job *job)
{
    struct query *query = query_of(handle);

    if (query->pending) {
        run_update(query, job);
        return;
    }
    if (query->complete || query->reading || query->text.len == 0 ||
        (handle->base.flags & O_ACCMODE) == O_RDWR ||
        !caller_is_same_process(job->thread, handle->opener))
        fuse_reply_err(job->req, 0);
    else
        fail_incomplete(query, job);
}

static void read_answer(struct query *query, struct magic_job *job)
{
    struct nx_slice answer = nx_buf_slice(&query->answer);
    uint64_t at = job->offset - query->results_at;

    if (job->offset < query->results_at || at >= answer.len)
        fuse_reply_buf(job->req, NULL, 0);
    else
        fuse_reply_buf(job->req, (const char *)answer.data + at,
                       job->size < answer.len - at ? job->size : answer.len - (size_t)at);
}

static void read_query(struct magic_handle *handle, struct magic_job *job)
{
    struct query *query = query_of(handle);
    bool is_update = magic_kind_of(handle->magic) == MAGIC_UPDATE;
    struct nx_err err = NX_ERR_INIT;

    if (!query->complete && query->text.len > 0) {
        fail_incomplete(query, job);
        return;
    }
    if (is_update ? query->answer.len == 0 : !query->complete) {
        nx_fail(&err, NX_ENODATA, "%s: nothing has been asked", handle->magic->name);
        magic_handle_fail(handle, job, &err, NX_SLICE_NULL);
        return;
    }
    if (!query->based) {
        query->based = query->reading = true;
        query->results_at = handle_is_writer(&handle->base) ? job->offset : 0;
    }
    if (is_update)
        read_answer(query, job);
    else if (job->offset < query->results_at)
        fuse_reply_err(job->req, EINVAL);
    else
        magic_handle_read(handle, job, job->offset - query->results_at);
}

static void end_query(struct magic_handle *handle)
{
    struct query *query = query_of(handle);

    nx_buf_fini(&query->text);
    nx_buf_fini(&query->answer);
}

static const struct magic_ops query_ops = {read_query, write_query, flush_query, end_query};

/* A read-only open takes what the slot has now, and the picture of now. */
static void take_slot(struct query *query, struct fs *fs)
{
    struct magic_handle *handle = &query->base;
    bool is_update = magic_kind_of(handle->magic) == MAGIC_UPDATE;
    struct nx_buf *into = is_update ? &query->answer : &query->text;

    if (slots_get(fs->slots, &handle->slot, into, &query->slot_number, NULL) != NX_OK)
        return;
    query->from_slot = true;
    query->complete = !is_update;
    if (!is_update)
        magic_handle_pin(handle);
}

struct handle *magic_query_open(struct fs *fs, const struct magic *magic, nx_ino dir,
                                fuse_req_t req, int flags, struct nx_err *err)
{
    struct query *query =
        magic_handle_new(fs, sizeof *query, magic, &query_ops, &results, dir, req, flags, err);

    if (!query)
        return NULL;
    if (!handle_is_writer(&query->base.base))
        take_slot(query, fs);
    return &query->base.base;
}

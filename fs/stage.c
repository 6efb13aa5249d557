/*
 * stage.c - the staged text of a document.
 *
 * A stage that only grows at its end (it began empty, or O_APPEND keeps it so) is scanned as it
 * does, so that the write which makes it impossible is the one that fails: shells print an error of
 * write(2) and ignore one of close(2). Every other pattern (new text over an old tail, then
 * ftruncate) is judged as a whole when somebody asks.
 */
#include "fs/stage.h"

#include <inttypes.h>

void stage_init(struct stage *stage)
{
    *stage = (struct stage){0};
}

void stage_fini(struct stage *stage)
{
    nx_buf_fini(&stage->text);
}

static void restart_scan(struct stage *stage)
{
    nx_json_scanner_init(&stage->scanner);
    stage->in_object = false;
}

void stage_clear(struct stage *stage)
{
    nx_buf_clear(&stage->text);
    stage->loaded = true;
    stage->in_order = true;
    stage->dirty = true;
    stage->too_big = false;
    stage->changes++;
    restart_scan(stage);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* A document is an object: another value is impossible from its first byte on. */
static bool begins_otherwise(struct stage *stage, const char *data, size_t len)
{
    size_t i = 0;

    while (!stage->in_object && i < len && is_space(data[i]))
        i++;
    if (stage->in_object || i == len)
        return false;
    stage->in_object = data[i] == '{';
    if (stage->in_object)
        return false;
    nx_json_scanner_feed(&stage->scanner, data, i, false);
    stage->scanner.result = NX_SCAN_IMPOSSIBLE;
    stage->scanner.reason = "a document is an object and begins with '{'";
    return true;
}

static void scan(struct stage *stage, const char *data, size_t len)
{
    if (stage->scanner.result == NX_SCAN_IMPOSSIBLE || begins_otherwise(stage, data, len))
        return;
    nx_json_scanner_feed(&stage->scanner, data, len, false);
}

enum nx_code stage_load(struct stage *stage, struct nx_slice text, bool append_only,
                        struct nx_err *err)
{
    nx_buf_clear(&stage->text);
    if (nx_buf_append(&stage->text, text.data, text.len) != NX_OK)
        return nx_fail_nomem(err);
    stage->loaded = true;
    stage->in_order = append_only || text.len == 0;
    stage->dirty = false;
    stage->too_big = false;
    restart_scan(stage);
    if (append_only)
        scan(stage, (const char *)text.data, text.len);
    return NX_OK;
}

static enum nx_code impossible(const struct stage *stage, struct nx_err *err)
{
    const struct nx_json_scanner *scanner = &stage->scanner;

    nx_fail(err, NX_EJSON, "%s", scanner->reason ? scanner->reason : "not JSON");
    if (err) {
        err->line = scanner->line;
        err->column = scanner->column;
    }
    return NX_EJSON;
}

static enum nx_code too_big(struct stage *stage, uint64_t size, struct nx_err *err)
{
    stage->too_big = true;
    return nx_fail(err, NX_ETOOBIG, "a document of %" PRIu64 " bytes: the limit is %u", size,
                   NX_DOC_MAX_BYTES);
}

enum nx_code stage_write(struct stage *stage, const char *data, size_t len, uint64_t offset,
                         struct nx_err *err)
{
    bool appends = offset == stage->text.len;

    if (stage->too_big || offset > NX_DOC_MAX_BYTES || len > (2u << 20))
        return too_big(stage, offset + len, err);
    if (offset + len > stage->text.len &&
        nx_buf_resize(&stage->text, (size_t)offset + len) != NX_OK)
        return nx_fail_nomem(err);
    memcpy(stage->text.data + offset, data, len);
    stage->changes++;
    stage->dirty = true;
    if (stage->text.len > NX_DOC_MAX_BYTES)
        return too_big(stage, stage->text.len, err);
    stage->in_order = stage->in_order && appends;
    if (!stage->in_order)
        return NX_OK;
    scan(stage, data, len);
    return stage->scanner.result == NX_SCAN_IMPOSSIBLE ? impossible(stage, err) : NX_OK;
}

enum nx_code stage_resize(struct stage *stage, uint64_t size, struct nx_err *err)
{
    if (size == 0) {
        stage_clear(stage);
        return NX_OK;
    }
    if (size > NX_DOC_MAX_BYTES)
        return nx_fail(err, NX_ETOOBIG, "a document of %" PRIu64 " bytes: the limit is %u", size,
                       NX_DOC_MAX_BYTES);
    if (size == stage->text.len)
        return NX_OK;
    if (nx_buf_resize(&stage->text, (size_t)size) != NX_OK)
        return nx_fail_nomem(err);
    stage->changes++;
    stage->dirty = true;
    stage->too_big = false;
    stage->in_order = false;
    return NX_OK;
}

enum stage_state stage_judge(struct stage *stage, struct nx_err *err)
{
    if (stage->text.len == 0)
        return STAGE_EMPTY;
    if (stage->too_big) {
        too_big(stage, stage->text.len, err);
        return STAGE_IMPOSSIBLE;
    }
    if (!stage->in_order) {
        restart_scan(stage);
        scan(stage, (char *)stage->text.data, stage->text.len);
    }
    if (stage->scanner.result == NX_SCAN_COMPLETE)
        return STAGE_COMPLETE;
    if (stage->scanner.result == NX_SCAN_IMPOSSIBLE) {
        impossible(stage, err);
        return STAGE_IMPOSSIBLE;
    }
    nx_fail(err, NX_EJSON, "the text ends before the document does");
    if (err) {
        err->line = stage->scanner.line;
        err->column = stage->scanner.column;
    }
    return STAGE_INCOMPLETE;
}

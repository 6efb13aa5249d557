/*
 * import.c - filling batches with documents and committing them.
 *
 * A format (import_json.c, import_csv.c) cuts the text into documents; this file puts them into one
 * nx_write after the other. A batch is committed when it holds enough documents or bytes, so memory
 * is bounded; it is one engine batch, so a crash leaves whole batches.
 */
#include "transfer/import.h"

#include <stdlib.h>

static const struct import_format *const formats[] = {
    [NX_IMPORT_JSON] = &import_json,
    [NX_IMPORT_CSV] = &import_csv,
};

enum nx_code nx_import_open(struct nx_db *db, const struct nx_import_options *options,
                            const struct nx_change *change, struct nx_import **out,
                            struct nx_err *err)
{
    struct nx_import *import;
    enum nx_code rc;

    *out = NULL;
    if ((unsigned)options->format >= sizeof formats / sizeof formats[0])
        return nx_fail(err, NX_EINVAL, "import format %d", (int)options->format);
    import = calloc(1, sizeof *import);
    if (!import)
        return nx_fail_nomem(err);
    import->db = db;
    import->options = *options;
    import->change = *change;
    import->format = formats[options->format];
    if (import->options.batch_documents == 0)
        import->options.batch_documents = 1000;
    if (import->options.batch_bytes == 0)
        import->options.batch_bytes = 1u << 20;
    rc = nx_write_new(db, &import->write, err);
    if (rc == NX_OK)
        rc = import->format->open(import, err);
    if (rc != NX_OK) {
        nx_import_close(import);
        return rc;
    }
    *out = import;
    return NX_OK;
}

void nx_import_close(struct nx_import *import)
{
    if (!import)
        return;
    if (import->reader)
        import->format->close(import);
    nx_write_free(import->write);
    nx_buf_fini(&import->bson);
    nx_buf_fini(&import->errors);
    free(import);
}

static enum nx_code commit_batch(struct nx_import *import, struct nx_err *err)
{
    struct nx_write_result done = {0};
    enum nx_code rc;

    if (nx_write_count(import->write) == 0)
        return NX_OK;
    rc = nx_write_commit(import->write, &import->change, &done, err);
    nx_write_clear(import->write);
    import->result.inserted += done.inserted;
    import->result.replaced += done.replaced;
    return rc;
}

enum nx_code import_refuse(struct nx_import *import, uint64_t line, const struct nx_err *why,
                           struct nx_err *err)
{
    struct nx_err placed = *why;

    placed.line = (uint32_t)(line + (why->line ? why->line - 1 : 0));
    import->result.rejected++;
    if (!import->options.skip_bad) {
        if (err)
            *err = placed;
        return placed.code;
    }
    if (import->result.error_count == NX_IMPORT_ERRORS)
        return NX_OK;
    if (nx_buf_append(&import->errors, &placed, sizeof placed) != NX_OK)
        return nx_fail_nomem(err);
    import->result.error_count++;
    return NX_OK;
}

/* What a document can be refused for; anything else ends the import. */
static bool is_refusal(enum nx_code code)
{
    return code == NX_EJSON || code == NX_EDOC || code == NX_EID || code == NX_EINVAL ||
           code == NX_ETOOBIG || code == NX_ENAME || code == NX_ENAMETOOLONG;
}

enum nx_code import_add(struct nx_import *import, uint64_t line, struct nx_err *err)
{
    struct nx_put put = {
        .collection = import->options.collection,
        .mode = NX_PUT_UPSERT,
        .bson = nx_buf_slice(&import->bson),
    };
    struct nx_err why = NX_ERR_INIT;
    enum nx_code rc = nx_write_put(import->write, &put, NULL, &why);

    if (is_refusal(rc))
        return import_refuse(import, line, &why, err);
    if (rc != NX_OK) {
        if (err)
            *err = why;
        return rc;
    }
    if (nx_write_count(import->write) >= import->options.batch_documents ||
        nx_write_bytes(import->write) >= import->options.batch_bytes)
        return commit_batch(import, err);
    return NX_OK;
}

/* Keep the first failure. Documents before it are in: the batch so far is committed. */
static enum nx_code settle(struct nx_import *import, enum nx_code rc, struct nx_err *why,
                           struct nx_err *err)
{
    if (rc != NX_OK) {
        struct nx_err ignored;

        import->failed = rc;
        import->failure = *why;
        if (is_refusal(rc) && commit_batch(import, &ignored) != NX_OK) {
            import->failed = ignored.code;
            import->failure = ignored;
        }
    }
    if (import->failed != NX_OK && err)
        *err = import->failure;
    return import->failed;
}

enum nx_code nx_import_feed(struct nx_import *import, const void *text, size_t len,
                            struct nx_err *err)
{
    struct nx_err why = NX_ERR_INIT;
    enum nx_code rc = NX_OK;

    if (import->failed == NX_OK)
        rc = import->format->feed(import, text, len, &why);
    return settle(import, rc, &why, err);
}

enum nx_code nx_import_finish(struct nx_import *import, struct nx_err *err)
{
    struct nx_err why = NX_ERR_INIT;
    enum nx_code rc = NX_OK;

    if (import->failed == NX_OK)
        rc = import->format->finish(import, &why);
    if (rc == NX_OK && import->failed == NX_OK)
        rc = commit_batch(import, &why);
    return settle(import, rc, &why, err);
}

void nx_import_get_result(const struct nx_import *import, struct nx_import_result *out)
{
    *out = import->result;
    out->errors = (const struct nx_err *)(const void *)import->errors.data;
}

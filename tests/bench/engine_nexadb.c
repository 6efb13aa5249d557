/*
 * engine_nexadb.c - NexaDB's engine in the key-value benchmark, over its public header.
 *
 * A write is one batch, buffered or synced as the driver asks; a scan is one iterator.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nexadb/engine.h>

#include "kv.h"

struct bench_db {
    struct nx_engine *engine;
    enum nx_durability durability;
};

struct session {
    struct bench_db *db;
    struct nx_batch *batch;
    struct nx_buf value;
};

static int report(enum nx_code rc, const struct nx_err *err)
{
    if (rc == NX_OK)
        return 0;
    fprintf(stderr, "nexadb: %s: %s\n", nx_code_name(rc), err->message);
    return -2;
}

static void *bench_open(const char *dir, const kv_config *cfg)
{
    struct bench_db *db = calloc(1, sizeof *db);
    struct nx_engine_options options;
    struct nx_err err = NX_ERR_INIT;

    if (!db)
        return NULL;
    nx_engine_options_init(&options);
    options.memtable_bytes = cfg->write_buffer;
    options.cache_bytes = cfg->cache;
    options.bloom_bits_per_key = (uint32_t)cfg->bloom_bits;
    db->durability = cfg->sync ? NX_SYNC : NX_BUFFERED;
    if (report(nx_engine_open(dir, &options, &db->engine, &err), &err) == 0)
        return db;
    free(db);
    return NULL;
}

static void *bench_session(void *db)
{
    struct session *session = calloc(1, sizeof *session);

    if (!session)
        return NULL;
    session->db = db;
    if (nx_batch_new(&session->batch) == NX_OK)
        return session;
    free(session);
    return NULL;
}

static void bench_session_end(void *s)
{
    struct session *session = s;

    nx_batch_free(session->batch);
    nx_buf_fini(&session->value);
    free(session);
}

static int bench_write(void *s, const kv_op *ops, size_t n)
{
    struct session *session = s;
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc = NX_OK;

    nx_batch_clear(session->batch);
    for (size_t i = 0; i < n && rc == NX_OK; i++) {
        struct nx_slice key = nx_slice(ops[i].key, ops[i].klen);

        rc = ops[i].val ? nx_batch_put(session->batch, key, nx_slice(ops[i].val, ops[i].vlen))
                        : nx_batch_delete(session->batch, key);
    }
    if (rc == NX_OK)
        rc = nx_engine_commit(session->db->engine, session->batch, session->db->durability, &err);
    return report(rc, &err);
}

static long bench_get(void *s, const void *key, size_t klen, void *buf, size_t cap)
{
    struct session *session = s;
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc =
        nx_engine_get(session->db->engine, NULL, nx_slice(key, klen), &session->value, &err);

    if (rc == NX_ENOTFOUND)
        return -1;
    if (report(rc, &err) != 0 || session->value.len > cap)
        return -2;
    memcpy(buf, session->value.data, session->value.len);
    return (long)session->value.len;
}

static long bench_scan(void *s, const void *start, size_t klen, size_t limit, kv_visit visit,
                       void *arg)
{
    struct session *session = s;
    struct nx_range range = {.lower = nx_slice(start, klen), .keep_cache = limit <= 1000};
    struct nx_err err = NX_ERR_INIT;
    struct nx_iter *iter;
    size_t seen = 0;

    if (report(nx_iter_open(session->db->engine, &range, &iter, &err), &err) != 0)
        return -2;
    for (bool more = nx_iter_first(iter); more && seen < limit; more = nx_iter_next(iter)) {
        struct nx_slice key = nx_iter_key(iter), value = nx_iter_value(iter);

        seen++;
        if (!visit(arg, key.data, key.len, value.data, value.len))
            break;
    }
    if (report(nx_iter_status(iter, &err), &err) != 0)
        seen = 0;
    nx_iter_close(iter);
    return (long)seen;
}

static int bench_settle(void *d)
{
    struct bench_db *db = d;
    struct nx_err err = NX_ERR_INIT;

    return report(nx_engine_compact(db->engine, NX_SLICE_NULL, NX_SLICE_NULL, &err), &err);
}

static void bench_close(void *d)
{
    struct bench_db *db = d;
    struct nx_err err = NX_ERR_INIT;

    report(nx_engine_close(db->engine, &err), &err);
    free(db);
}

static const kv_engine nexadb = {
    .name = "nexadb",
    .settings = "memtable and cache as given, lz4, 6 KiB blocks, 32 MiB tables, fanout 10",
    .peer = true,
    .open = bench_open,
    .session = bench_session,
    .session_end = bench_session_end,
    .write = bench_write,
    .get = bench_get,
    .scan = bench_scan,
    .settle = bench_settle,
    .close = bench_close,
};
KV_REGISTER(nexadb)

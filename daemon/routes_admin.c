/* routes_admin.c - the daemon about itself: status, health, figures and keys. */
#include <stdio.h>

#include <nexadb/version.h>

#include "daemon/routes.h"
#include "daemon/service.h"

enum nx_code route_status(struct request *req, struct nx_err *err)
{
    struct json_out out;

    json_init(&out, &req->response.body);
    json_raw(&out, "{");
    json_text_z(&out, "status", "ok");
    json_text_z(&out, "version", NX_VERSION);
    json_text_z(&out, "database", "NexaDB");
    return request_answered(req, &out, 200, err);
}

enum nx_code route_health(struct request *req, struct nx_err *err)
{
    struct nx_engine_stats stats;
    struct json_out out;

    nx_engine_get_stats(nx_db_engine(req->service->db), &stats);
    if (stats.background_error != NX_OK)
        return nx_fail(err, stats.background_error, "writes fail: %s",
                       nx_code_text(stats.background_error));
    request_answer(req, &out);
    json_bool(&out, "healthy", true);
    return request_answered(req, &out, 200, err);
}

/* --- figures ---------------------------------------------------------------------------------- */

struct totals {
    const struct request *req;
    struct json_out *out; /* NULL: only count */
    uint64_t collections, documents;
};

static bool add_collection(void *arg, const char *path, const struct nx_attr *attr,
                           uint64_t documents)
{
    struct totals *totals = arg;

    (void)attr;
    if (!identity_covers(&totals->req->who, path, strlen(path)))
        return true;
    totals->collections++;
    totals->documents += documents;
    if (totals->out)
        json_uint(totals->out, path, documents);
    return true;
}

static double uptime(const struct service *service)
{
    struct nx_io *io = nx_db_io(service->db);

    return (double)(io->ops->monotonic_ns(io) - service->started_ns) / 1e9;
}

/* One row a figure: its name in /stats, in /metrics, and where it stands. */
#define STAT(field, metric, type, help)                                                            \
    {                                                                                              \
#field, "nexadb_" metric, type, help, offsetof(struct nx_engine_stats, field)              \
    }
static const struct {
    const char *name, *metric, *type, *help;
    size_t offset;
} figures[] = {
    STAT(sequence, "sequence", "counter", "number of the last commit"),
    STAT(commits, "commits_total", "counter", "commits"),
    STAT(commit_bytes, "commit_bytes_total", "counter", "bytes of commits"),
    STAT(syncs, "syncs_total", "counter", "times the log was made durable"),
    STAT(flushes, "flushes_total", "counter", "memtables written to tables"),
    STAT(flush_bytes, "flush_bytes_total", "counter", "bytes of flushed tables"),
    STAT(runs, "runs_total", "counter", "sorted runs ingested"),
    STAT(run_bytes, "run_bytes_total", "counter", "bytes of their tables"),
    STAT(compactions, "compactions_total", "counter", "compactions"),
    STAT(compaction_read_bytes, "compaction_read_bytes_total", "counter", "bytes compactions read"),
    STAT(compaction_written_bytes, "compaction_written_bytes_total", "counter",
         "bytes compactions wrote"),
    STAT(stall_ns, "stall_nanoseconds_total", "counter", "time commits waited for room"),
    STAT(cache_hits, "cache_hits_total", "counter", "blocks found in the cache"),
    STAT(cache_misses, "cache_misses_total", "counter", "blocks read from a file"),
    STAT(cache_bytes, "cache_bytes", "gauge", "size of the block cache"),
    STAT(filter_checks, "filter_checks_total", "counter", "lookups in Bloom filters"),
    STAT(filter_useful, "filter_useful_total", "counter", "lookups a filter answered"),
    STAT(table_entries, "table_entries", "gauge", "entries of table files, old versions included"),
    STAT(wal_bytes, "wal_bytes", "gauge", "size of the live log"),
    STAT(disk_bytes, "disk_bytes", "gauge", "size of all files"),
    STAT(snapshots, "snapshots", "gauge", "snapshots in use"),
    STAT(named_snapshots, "named_snapshots", "gauge", "snapshots with a name"),
    STAT(stalls, "stalls_total", "counter", "times a commit waited for room"),
    STAT(write_amplification, "write_amplification_thousandths", "gauge",
         "bytes written to log and tables for one committed, in thousandths"),
    STAT(space_amplification, "space_amplification_thousandths", "gauge",
         "bytes of tables for one of the lowest level, in thousandths"),
    STAT(read_amplification, "read_amplification_thousandths", "gauge",
         "places a lookup may have to ask, in thousandths"),
};

static uint64_t figure(const struct nx_engine_stats *stats, size_t at)
{
    return *(const uint64_t *)((const char *)stats + figures[at].offset);
}

static void put_levels(struct json_out *out, const struct nx_engine_stats *stats)
{
    json_open(out, "levels", '[');
    for (size_t i = 0; i < NX_LEVELS; i++) {
        json_open(out, NULL, '{');
        json_uint(out, "tables", stats->level_tables[i]);
        json_uint(out, "bytes", stats->level_bytes[i]);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void put_latencies(struct json_out *out, const struct nx_engine_stats *stats)
{
    json_open(out, "latency", '{');
    for (int i = 0; i < NX_LATENCY_KINDS; i++) {
        const struct nx_latency *latency = &stats->latency[i];

        json_open(out, nx_latency_name((enum nx_latency_kind)i), '{');
        json_uint(out, "count", latency->count);
        json_uint(out, "p50_ns", latency->p50_ns);
        json_uint(out, "p99_ns", latency->p99_ns);
        json_uint(out, "p999_ns", latency->p999_ns);
        json_uint(out, "max_ns", latency->max_ns);
        json_close(out, '}');
    }
    json_close(out, '}');
}

/* One summary, by operation. */
static enum nx_code put_latency_metric(struct nx_buf *out, const struct nx_engine_stats *stats)
{
    enum nx_code rc = nx_buf_append_str(out, "# HELP nexadb_latency_seconds time of operations; "
                                             "get, commit and seek: one in 64\n"
                                             "# TYPE nexadb_latency_seconds summary\n");

    for (int i = 0; i < NX_LATENCY_KINDS && rc == NX_OK; i++) {
        const struct nx_latency *l = &stats->latency[i];
        const char *op = nx_latency_name((enum nx_latency_kind)i);

        rc = nx_buf_printf(out,
                           "nexadb_latency_seconds{op=\"%s\",quantile=\"0.5\"} %.9g\n"
                           "nexadb_latency_seconds{op=\"%s\",quantile=\"0.99\"} %.9g\n"
                           "nexadb_latency_seconds{op=\"%s\",quantile=\"0.999\"} %.9g\n"
                           "nexadb_latency_seconds{op=\"%s\",quantile=\"1\"} %.9g\n"
                           "nexadb_latency_seconds_sum{op=\"%s\"} %.9g\n"
                           "nexadb_latency_seconds_count{op=\"%s\"} %ju\n",
                           op, (double)l->p50_ns / 1e9, op, (double)l->p99_ns / 1e9, op,
                           (double)l->p999_ns / 1e9, op, (double)l->max_ns / 1e9, op,
                           (double)l->sum_ns / 1e9, op, (uintmax_t)l->count);
    }
    return rc;
}

static void put_engine(struct json_out *out, const struct service *service, uint64_t documents)
{
    struct nx_engine_stats stats;

    nx_engine_get_stats(nx_db_engine(service->db), &stats);
    json_open(out, "engine_stats", '{');
    json_uint(out, "memtable_size", stats.memtable_bytes);
    json_uint(out, "memtable_keys", stats.memtable_keys);
    json_uint(out, "num_sstables", stats.table_count);
    json_uint(out, "total_keys", documents);
    json_text_z(out, "data_dir", service->datadir);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        json_uint(out, figures[i].name, figure(&stats, i));
    put_levels(out, &stats);
    put_latencies(out, &stats);
    json_text_z(out, "background_error", nx_code_name(stats.background_error));
    json_close(out, '}');
}

enum nx_code route_stats(struct request *req, struct nx_err *err)
{
    struct json_out out, collections;
    struct nx_buf counts NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct totals totals = {.req = req, .out = &collections};
    enum nx_code rc;

    json_init(&collections, &counts);
    rc = nx_db_each_collection(req->service->db, NULL, add_collection, &totals, err);
    if (rc != NX_OK)
        return rc;
    request_answer(req, &out);
    json_open(&out, "stats", '{');
    put_engine(&out, req->service, totals.documents);
    json_uint(&out, "collections", totals.collections);
    json_uint(&out, "vector_collections", 0); /* collections with a vector index */
    json_uint(&out, "documents", totals.documents);
    json_open(&out, "documents_by_collection", '{');
    if (nx_buf_append_byte(&counts, 0) == NX_OK && collections.failed == NX_OK)
        json_raw(&out, (char *)counts.data);
    json_close(&out, '}');
    json_uint(&out, "uptime_seconds", (uint64_t)uptime(req->service));
    json_close(&out, '}');
    return request_answered(req, &out, 200, err);
}

static enum nx_code put_metric(struct nx_buf *out, const char *name, const char *type,
                               const char *help, double value)
{
    return nx_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type,
                         name, value);
}

enum nx_code route_metrics(struct request *req, struct nx_err *err)
{
    struct service *service = req->service;
    struct nx_buf *body = &req->response.body;
    struct totals totals = {.req = req};
    struct nx_engine_stats stats;
    enum nx_code rc = nx_db_each_collection(service->db, NULL, add_collection, &totals, err);

    nx_engine_get_stats(nx_db_engine(service->db), &stats);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0] && rc == NX_OK; i++)
        rc = put_metric(body, figures[i].metric, figures[i].type, figures[i].help,
                        (double)figure(&stats, i));
    if (rc == NX_OK)
        rc = put_latency_metric(body, &stats);
    if (rc == NX_OK)
        rc = put_metric(body, "nexadb_documents", "gauge", "documents", (double)totals.documents);
    if (rc == NX_OK)
        rc = put_metric(body, "nexadb_collections", "gauge", "collections",
                        (double)totals.collections);
    if (rc == NX_OK)
        rc = put_metric(body, "nexadb_http_requests_total", "counter", "requests",
                        (double)atomic_load(&service->requests));
    if (rc == NX_OK)
        rc = put_metric(body, "nexadb_http_errors_total", "counter", "answers of 400 and above",
                        (double)atomic_load(&service->failures));
    if (rc == NX_OK)
        rc = put_metric(body, "nexadb_uptime_seconds", "gauge", "time since the start",
                        uptime(service));
    req->response.type = "text/plain; version=0.0.4; charset=utf-8";
    req->response.status = 200;
    return rc;
}

/* --- keys ------------------------------------------------------------------------------------- */

enum { KEY_NAME, KEY_ROLE, KEY_PREFIX, KEY_EXPIRES, KEY_VALUE };
const struct field key_fields[KEY_FIELDS] = {
    {"name", FIELD_TEXT | FIELD_REQUIRED, "how the key is called"},
    {"role", FIELD_TEXT, "read, write (default) or admin"},
    {"prefix", FIELD_TEXT, "only collections whose path begins so"},
    {"expires", FIELD_TEXT, "2030-01-31, 2030-01-31T12:00:00Z, or 90d, 12h, 30m from now"},
    {"value", FIELD_TEXT, "a key of your own, at least 16 characters"},
};

/* The text of a field, or NULL; BSON strings end with a NUL. */
static const char *text_of(const struct request *req, unsigned field)
{
    return request_has(req, field) ? (const char *)req->field[field].data : NULL;
}

static enum nx_code read_spec(struct request *req, struct key_spec *spec, struct nx_err *err)
{
    struct nx_io *io = nx_db_io(req->service->db);
    const char *role = text_of(req, KEY_ROLE);

    *spec = (struct key_spec){
        .name = text_of(req, KEY_NAME),
        .role = ROLE_WRITE,
        .prefix = text_of(req, KEY_PREFIX),
        .value = text_of(req, KEY_VALUE),
    };
    if (role && !role_from_name(role, &spec->role))
        return nx_fail(err, NX_EINVAL, "\"role\" must be read, write or admin");
    if (!text_of(req, KEY_EXPIRES))
        return NX_OK;
    return expiry_parse(text_of(req, KEY_EXPIRES), (int64_t)(io->ops->realtime_ns(io) / 1000000),
                        &spec->expires_ms, err);
}

enum nx_code route_keys_create(struct request *req, struct nx_err *err)
{
    struct nx_buf value NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct key_spec spec;
    struct json_out out;
    enum nx_code rc = request_read_fields(req, err);

    if (rc == NX_OK)
        rc = read_spec(req, &spec, err);
    if (rc == NX_OK)
        rc = keyring_add(req->service->keyring, &spec, &value, err);
    if (rc != NX_OK)
        return rc;
    request_answer(req, &out);
    json_text_z(&out, "name", spec.name);
    json_text_z(&out, "role", role_name(spec.role));
    json_text(&out, "key", (char *)value.data, value.len);
    return request_answered(req, &out, 201, err);
}

enum nx_code route_keys_list(struct request *req, struct nx_err *err)
{
    struct nx_buf list NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value value;
    struct json_out out;
    enum nx_code rc = keyring_list(req->service->keyring, &list, err);

    if (rc != NX_OK)
        return rc;
    value = nx_array_value(nx_buf_slice(&list));
    request_answer(req, &out);
    json_value(&out, "keys", &value, NX_JSON_RELAXED);
    return request_answered(req, &out, 200, err);
}

enum nx_code route_keys_revoke(struct request *req, struct nx_err *err)
{
    const char *name = req->match.param[0].text;
    struct json_out out;
    enum nx_code rc = keyring_revoke(req->service->keyring, name, err);

    if (rc != NX_OK)
        return rc;
    request_answer(req, &out);
    json_text_z(&out, "name", name);
    json_text_z(&out, "message", "Key revoked");
    return request_answered(req, &out, 200, err);
}

/* schema.c - one pass over a collection, counting types by path. */
#include "fs/schema.h"

#include <stdlib.h>
#include <string.h>

#include <nexadb/json.h>

#define TYPES 24 /* more than BSON has */
#define BUCKETS 4096

struct path {
    struct path *chain;
    char *name; /* owned */
    uint64_t documents, last_document;
    uint64_t counts[TYPES];
    uint8_t types[TYPES];
    unsigned type_count;
};

struct schema {
    struct path *buckets[BUCKETS];
    struct path *order[SCHEMA_MAX_PATHS]; /* as they were first met */
    size_t count;
    bool truncated;
    uint64_t documents;
};

static uint32_t hash_name(const char *name, size_t len)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)name[i]) * 16777619u;
    return hash % BUCKETS;
}

static struct path *find_path(struct schema *schema, const char *name, size_t len)
{
    struct path **bucket = &schema->buckets[hash_name(name, len)], *path;

    for (path = *bucket; path; path = path->chain)
        if (strlen(path->name) == len && memcmp(path->name, name, len) == 0)
            return path;
    if (schema->count == SCHEMA_MAX_PATHS) {
        schema->truncated = true;
        return NULL;
    }
    path = calloc(1, sizeof *path);
    if (path)
        path->name = strndup(name, len);
    if (!path || !path->name) {
        free(path);
        schema->truncated = true;
        return NULL;
    }
    schema->order[schema->count++] = path;
    path->chain = *bucket;
    return *bucket = path;
}

static void count_type(struct path *path, uint8_t type)
{
    unsigned i = 0;

    while (i < path->type_count && path->types[i] != type)
        i++;
    if (i == TYPES)
        return;
    if (i == path->type_count)
        path->types[path->type_count++] = type;
    path->counts[i]++;
}

static void add_fields(struct schema *schema, struct nx_slice doc, bool in_array,
                       struct nx_buf *name, unsigned depth);

static void add_value(struct schema *schema, const struct nx_value *value, struct nx_buf *name,
                      unsigned depth)
{
    struct path *path = find_path(schema, (char *)name->data, name->len);

    if (!path)
        return;
    count_type(path, value->type);
    if (path->last_document != schema->documents) {
        path->last_document = schema->documents;
        path->documents++;
    }
    if (depth < SCHEMA_MAX_DEPTH &&
        (value->type == NX_TYPE_DOCUMENT || value->type == NX_TYPE_ARRAY))
        add_fields(schema, nx_value_slice(value), value->type == NX_TYPE_ARRAY, name, depth + 1);
}

static void add_fields(struct schema *schema, struct nx_slice doc, bool in_array,
                       struct nx_buf *name, unsigned depth)
{
    struct nx_doc_iter iter;
    size_t len = name->len;

    nx_doc_iter_init(&iter, doc);
    while (nx_doc_iter_next(&iter)) {
        bool ok = in_array ? nx_buf_append_str(name, "[]") == NX_OK
                           : (len == 0 || nx_buf_append_byte(name, '.') == NX_OK) &&
                                 nx_buf_append(name, iter.key, iter.key_len) == NX_OK;

        if (ok)
            add_value(schema, &iter.value, name, depth);
        else
            schema->truncated = true;
        name->len = len;
    }
}

static void write_path(const struct schema *schema, const struct path *path, bool first,
                       struct nx_buf *out)
{
    nx_buf_append_str(out, first ? "\n    " : ",\n    ");
    nx_json_write_string(path->name, strlen(path->name), out);
    nx_buf_printf(out, ": {\"count\": %ju, \"share\": %.4g, \"types\": {",
                  (uintmax_t)path->documents,
                  (double)path->documents / (double)(schema->documents ? schema->documents : 1));
    for (unsigned i = 0; i < path->type_count; i++)
        nx_buf_printf(out, "%s\"%s\": %ju", i ? ", " : "", nx_type_name(path->types[i]),
                      (uintmax_t)path->counts[i]);
    nx_buf_append_str(out, "}}");
}

static enum nx_code write_schema(const struct schema *schema, struct nx_buf *out)
{
    nx_buf_printf(out, "{\n  \"documents\": %ju,\n", (uintmax_t)schema->documents);
    if (schema->truncated)
        nx_buf_append_str(out, "  \"truncated\": true,\n");
    nx_buf_append_str(out, "  \"fields\": {");
    for (size_t i = 0; i < schema->count; i++)
        write_path(schema, schema->order[i], i == 0, out);
    return nx_buf_append_str(out, schema->count ? "\n  }\n}\n" : "}\n}\n");
}

static enum nx_code scan_all(struct schema *schema, struct nx_scan *scan,
                             const struct nx_limits *limits, struct nx_err *err)
{
    struct nx_buf name NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_document doc;
    enum nx_code rc;

    while ((rc = nx_scan_next(scan, &doc, err)) == NX_OK) {
        if (limits->canceled && atomic_load_explicit(limits->canceled, memory_order_relaxed))
            return nx_fail(err, NX_ECANCELED, "the reader was interrupted");
        if (limits->visible && !limits->visible(limits->arg, &doc.attr))
            continue;
        schema->documents++;
        add_fields(schema, doc.bson, false, &name, 0);
    }
    return rc == NX_DONE ? NX_OK : rc;
}

enum nx_code schema_infer(struct nx_db *db, const struct nx_snapshot *snapshot, nx_ino collection,
                          const struct nx_limits *limits, struct nx_buf *out, struct nx_err *err)
{
    static const struct nx_scan_range all;
    struct schema *schema = calloc(1, sizeof *schema);
    struct nx_scan *scan = NULL;
    enum nx_code rc;

    if (!schema)
        return nx_fail_nomem(err);
    rc = nx_scan_open(db, snapshot, collection, &all, &scan, err);
    if (rc == NX_OK)
        rc = scan_all(schema, scan, limits, err);
    nx_scan_close(scan);
    if (rc == NX_OK)
        rc = write_schema(schema, out);
    for (size_t i = 0; i < schema->count; i++) {
        free(schema->order[i]->name);
        free(schema->order[i]);
    }
    free(schema);
    return rc;
}

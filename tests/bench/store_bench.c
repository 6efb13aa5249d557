/* store_bench.c - the document store without a door: load, read, scan, list. Figures on stdout.
 *
 *     store_bench DIRECTORY [DOCUMENTS]
 *
 * DIRECTORY must not exist. Documents have 400 bytes of text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nexadb/db.h>
#include <nexadb/json.h>

#define LIST_COUNT 1000u

static struct nx_db *db;
static struct nx_err err = {.index = -1};

static void need(enum nx_code rc)
{
    if (rc == NX_OK)
        return;
    fprintf(stderr, "store_bench: %s\n", err.message);
    exit(1);
}

static double now(void)
{
    struct nx_io *io = nx_db_io(db);

    return (double)io->ops->monotonic_ns(io) / 1e9;
}

static void report(const char *what, uint64_t count, double seconds)
{
    printf("%-28s %9.0f /s  %7.2f us each\n", what, (double)count / seconds,
           seconds * 1e6 / (double)count);
    fflush(stdout);
}

static size_t make_text(char *text, size_t size, uint64_t i)
{
    int n =
        snprintf(text, size,
                 "{\"name\": \"user %llu\", \"age\": %d, \"score\": %.3f, \"tags\": [\"alpha\", "
                 "\"beta\", \"gamma\"], \"address\": {\"city\": \"Paris\", \"zip\": \"%05d\"}, "
                 "\"active\": %s, \"note\": \"",
                 (unsigned long long)i, (int)(i % 90), (double)i / 7, (int)(i % 99999),
                 i % 2 ? "true" : "false");

    for (; n < 398; n++)
        text[n] = (char)('a' + (i + (uint64_t)n) % 26);
    text[n++] = '"';
    text[n++] = '}';
    return (size_t)n;
}

static struct nx_id id_of(uint64_t i)
{
    char name[32];
    struct nx_value value =
        nx_string(name, (size_t)snprintf(name, sizeof name, "user%08llu", (unsigned long long)i));
    struct nx_id id;

    need(nx_id_from_value(&value, &id, &err));
    return id;
}

/* The share of a load that is not the store's: making and parsing the texts. */
static void parse_only(uint64_t count)
{
    struct nx_buf bson NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    double start = now();
    char text[512];
    bool is_array;

    for (uint64_t i = 0; i < count; i++) {
        nx_buf_clear(&bson);
        need(nx_json_parse(text, make_text(text, sizeof text, i), NX_JSON_DOCUMENT, 0, &bson,
                           &is_array, &err));
    }
    report("parse only", count, now() - start);
}

static void load(nx_ino collection, uint64_t first, uint64_t count, uint64_t list, bool as_bson)
{
    struct nx_buf bson NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_write *write;
    char text[512];
    bool is_array;

    need(nx_write_new(db, &write, &err));
    for (uint64_t i = 0; i < count; i++) {
        size_t len = make_text(text, sizeof text, first + i);
        struct nx_id id = id_of(first + i);
        struct nx_put put = {.collection = collection, .mode = NX_PUT_UPSERT, .id = &id};

        if (as_bson) {
            nx_buf_clear(&bson);
            need(nx_json_parse(text, len, NX_JSON_DOCUMENT, 0, &bson, &is_array, &err));
            put.bson = nx_buf_slice(&bson);
        } else {
            put.text = nx_slice(text, len);
        }
        need(nx_write_put(write, &put, NULL, &err));
        if (nx_write_count(write) < list && i + 1 < count)
            continue;
        need(nx_write_commit(write, NULL, NULL, &err));
        nx_write_clear(write);
    }
    nx_write_free(write);
}

static void time_load(const char *what, const char *path, uint64_t count, uint64_t list,
                      bool as_bson)
{
    struct nx_attr attr;
    double start;

    need(nx_db_collection_make(db, path, strlen(path), NULL, &attr, &err));
    start = now();
    load(attr.ino, 0, count, list, as_bson);
    report(what, count, now() - start);
}

static void get(nx_ino collection, uint64_t documents, uint64_t count)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    double start = now();
    uint64_t seed = 1;

    for (uint64_t i = 0; i < count; i++) {
        struct nx_document doc;
        struct nx_id id;

        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        id = id_of((seed >> 20) % documents);
        need(nx_document_get(db, NULL, collection, &id, &buf, &doc, &err));
    }
    report("get, random", count, now() - start);
}

static void scan(nx_ino collection)
{
    double start = now();
    struct nx_document doc;
    struct nx_scan *s;
    uint64_t count = 0;
    enum nx_code rc;

    need(nx_scan_open(db, NULL, collection, NULL, &s, &err));
    while ((rc = nx_scan_next(s, &doc, &err)) == NX_OK)
        count++;
    need(rc == NX_DONE ? NX_OK : rc);
    nx_scan_close(s);
    report("scan", count, now() - start);
}

static void list(nx_ino collection)
{
    double start = now();
    struct nx_dirent entry;
    struct nx_dir *dir;
    uint64_t count = 0;
    enum nx_code rc;

    need(nx_dir_open(db, NULL, collection, false, &dir, &err));
    while ((rc = nx_dir_next(dir, &entry, &err)) == NX_OK)
        count++;
    need(rc == NX_DONE ? NX_OK : rc);
    nx_dir_close(dir);
    report("list with attributes", count, now() - start);
}

static void lookup(nx_ino collection, uint64_t documents, uint64_t count)
{
    double start = now();

    for (uint64_t i = 0; i < count; i++) {
        char name[32];
        struct nx_attr attr;
        int len = snprintf(name, sizeof name, "user%08llu.json",
                           (unsigned long long)(i * 7919 % documents));

        need(nx_db_lookup(db, NULL, collection, name, (size_t)len, &attr, &err));
    }
    report("lookup by name", count, now() - start);
}

static void drop(nx_ino collection)
{
    double start = now();

    need(nx_db_drop(db, collection, NULL, &err));
    report("drop", 1, now() - start);
}

int main(int argc, char **argv)
{
    uint64_t documents = argc > 2 ? strtoull(argv[2], NULL, 10) : 200000;
    struct nx_attr attr;

    if (argc < 2 || documents == 0) {
        fprintf(stderr, "usage: store_bench DIRECTORY [DOCUMENTS]\n");
        return 2;
    }
    need(nx_db_open(argv[1], NULL, &db, &err));
    parse_only(documents);
    time_load("put text, lists of 1000", "text", documents, LIST_COUNT, false);
    time_load("put BSON, lists of 1000", "bson", documents, LIST_COUNT, true);
    time_load("put text, one at a time", "single", documents / 10 + 1, 1, false);
    need(nx_db_collection(db, NULL, "text", 4, &attr, &err));
    for (int round = 0; round < 2; round++) {
        get(attr.ino, documents, documents / 2);
        lookup(attr.ino, documents, documents / 2);
        scan(attr.ino);
        list(attr.ino);
        if (round == 0) {
            need(nx_engine_compact(nx_db_engine(db), NX_SLICE_NULL, NX_SLICE_NULL, &err));
            printf("compacted:\n");
        }
    }
    drop(attr.ino);
    need(nx_db_close(db, &err));
    return 0;
}

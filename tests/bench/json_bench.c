/*
 * json_bench.c - what a document of some 460 bytes costs: JSON to BSON and back, layouts, ids;
 * beside jansson and libbson in the same run. Best of several intervals, one thread.
 *
 *   json_bench [interval in milliseconds] [vector dimensions]
 *
 * With dimensions, each document carries a vector of so many numbers of full length.
 */
#include <bson/bson.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <nexadb/id.h>
#include <nexadb/json.h>

#include "doc/layout.h"

#define DOCS 512
#define INTERVALS 5

struct corpus {
    char *text[DOCS];
    size_t len[DOCS];
    struct nx_buf bson[DOCS];
    json_t *tree[DOCS];
    bson_t *library[DOCS];
    size_t bytes;
};

static struct nx_buf scratch;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void append_vector(struct nx_buf *out, unsigned dimensions)
{
    nx_buf_append_str(out, ",\"vector\":[");
    for (unsigned i = 0; i < dimensions; i++) {
        struct nx_value v = nx_double((double)(float)rand() / (double)RAND_MAX - 0.5);

        if (i)
            nx_buf_append_byte(out, ',');
        nx_json_write_value(&v, NX_JSON_RELAXED, out);
    }
    nx_buf_append_byte(out, ']');
}

static void make_text(struct nx_buf *out, unsigned i, unsigned dimensions)
{
    static const char *const cities[] = {"Paris", "London", "S\xc3\xa3o Paulo", "Berlin", "Tokyo"};

    nx_buf_printf(
        out,
        "{\"name\":\"User Number %u\",\"email\":\"user%u@example.org\",\"age\":%u,"
        "\"balance\":%u.%02u5,\"active\":%s,\"created\":\"2024-%02u-%02uT10:20:30Z\","
        "\"address\":{\"street\":\"%u Long Avenue\",\"city\":\"%s\",\"zip\":\"%05u\","
        "\"geo\":[%u.%03u5,-%u.%03u5]},\"tags\":[\"alpha\",\"beta\",\"gamma-%u\"],"
        "\"visits\":%u,\"bio\":\"Writes code, reads \\\"books\\\" and walks a dog through "
        "the park on most days of the week.\",\"manager\":null",
        i, i, 18 + i % 60, rand() % 10000, rand() % 100, i % 3 ? "true" : "false", 1 + i % 12,
        1 + i % 28, i, cities[i % 5], rand() % 100000, rand() % 90, rand() % 1000, rand() % 180,
        rand() % 10000, i % 7, rand());
    if (dimensions)
        append_vector(out, dimensions);
    nx_buf_append_byte(out, '}');
}

static void make_corpus(struct corpus *c, unsigned dimensions)
{
    for (unsigned i = 0; i < DOCS; i++) {
        struct nx_buf text = NX_BUF_INIT;

        make_text(&text, i, dimensions);
        c->text[i] = (char *)text.data;
        c->len[i] = text.len;
        c->bytes += text.len;
        if (nx_json_parse(c->text[i], c->len[i], NX_JSON_DOCUMENT, 0, &c->bson[i], NULL, NULL))
            abort();
        c->tree[i] = json_loadb(c->text[i], c->len[i], 0, NULL);
        c->library[i] = bson_new_from_data(c->bson[i].data, c->bson[i].len);
    }
}

typedef void (*work_fn)(struct corpus *c, unsigned i);

static void parse_ours(struct corpus *c, unsigned i)
{
    nx_buf_clear(&scratch);
    nx_json_parse(c->text[i], c->len[i], NX_JSON_DOCUMENT, 0, &scratch, NULL, NULL);
}

static void parse_jansson(struct corpus *c, unsigned i)
{
    json_decref(json_loadb(c->text[i], c->len[i], JSON_REJECT_DUPLICATES, NULL));
}

static void parse_libbson(struct corpus *c, unsigned i)
{
    bson_destroy(bson_new_from_json((const uint8_t *)c->text[i], (ssize_t)c->len[i], NULL));
}

static void write_ours(struct corpus *c, unsigned i)
{
    nx_buf_clear(&scratch);
    nx_json_write(nx_buf_slice(&c->bson[i]), false, NX_JSON_EXACT, 0, NULL, &scratch);
}

static void write_jansson(struct corpus *c, unsigned i)
{
    free(json_dumps(c->tree[i], JSON_COMPACT));
}

static void write_libbson(struct corpus *c, unsigned i)
{
    bson_free(bson_as_relaxed_extended_json(c->library[i], NULL));
}

static void detect_layout(struct corpus *c, unsigned i)
{
    if (layout_detect(nx_buf_slice(&c->bson[i]), c->text[i], c->len[i]) == LAYOUT_SOURCE)
        abort();
}

static void check_ours(struct corpus *c, unsigned i)
{
    if (nx_doc_check(nx_buf_slice(&c->bson[i]), NULL) != NX_OK)
        abort();
}

static void check_libbson(struct corpus *c, unsigned i)
{
    if (!bson_validate(c->library[i], BSON_VALIDATE_UTF8, NULL))
        abort();
}

static void scan_text(struct corpus *c, unsigned i)
{
    struct nx_json_scanner s;

    nx_json_scanner_init(&s);
    nx_json_scanner_feed(&s, c->text[i], c->len[i], false);
}

static void encode_id(struct corpus *c, unsigned i)
{
    struct nx_value v = nx_doc_get(nx_buf_slice(&c->bson[i]), "email", 5);
    struct nx_id id;

    nx_id_from_value(&v, &id, NULL);
}

static void name_id(struct corpus *c, unsigned i)
{
    struct nx_value v = nx_doc_get(nx_buf_slice(&c->bson[i]), "email", 5);
    struct nx_id id;

    nx_id_from_value(&v, &id, NULL);
    nx_buf_clear(&scratch);
    nx_id_to_name(&id, &scratch);
}

static const struct {
    const char *name;
    work_fn work;
} rows[] = {
    {"parse, ours", parse_ours},       {"parse, jansson", parse_jansson},
    {"parse, libbson", parse_libbson}, {"write, ours", write_ours},
    {"write, jansson", write_jansson}, {"write, libbson", write_libbson},
    {"layout detect", detect_layout},  {"scan", scan_text},
    {"check BSON, ours", check_ours},  {"check BSON, libbson", check_libbson},
    {"_id to key", encode_id},         {"_id to key to name", name_id},
};

static double best_rate(struct corpus *c, work_fn work, double interval)
{
    double best = 0;

    for (int n = 0; n < INTERVALS; n++) {
        double from = now(), to;
        unsigned done = 0;

        do {
            for (unsigned i = 0; i < DOCS; i++)
                work(c, i);
            done += DOCS;
            to = now();
        } while (to - from < interval);
        if (done / (to - from) > best)
            best = done / (to - from);
    }
    return best;
}

int main(int argc, char **argv)
{
    static struct corpus corpus;
    double interval = (argc > 1 ? strtod(argv[1], NULL) : 200) / 1000;
    double bytes;

    make_corpus(&corpus, argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0);
    bytes = (double)corpus.bytes / DOCS;
    printf("%u documents of %.0f bytes on average\n\n", DOCS, bytes);
    printf("| work | documents/s | MB/s | ns |\n|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double rate = best_rate(&corpus, rows[i].work, interval);

        printf("| %s | %.0f | %.0f | %.0f |\n", rows[i].name, rate, rate * bytes / 1e6, 1e9 / rate);
    }
    return 0;
}

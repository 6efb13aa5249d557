/* query_bench.c - queries without a door: scans, groups, sorts, joins, vectors. Figures on stdout.
 *
 *     query_bench DIRECTORY [DOCUMENTS [VECTORS]]
 *
 * DIRECTORY must not exist. Documents have 400 bytes of text, vectors 384 floats. Each query runs
 * for half a second or three times, whichever is longer; the best run counts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nexadb/json.h>
#include <nexadb/query.h>

#define DIMENSIONS 384
#define SECONDS_EACH 0.5
#define RUNS_MIN 3
#define LIST_COUNT 1000

static struct nx_db *db;
static struct nx_err err;

static const struct nx_change buffered = {.durability = NX_BUFFERED};

static void need(enum nx_code rc)
{
    if (rc == NX_OK)
        return;
    fprintf(stderr, "query_bench: %s\n", err.message);
    exit(1);
}

static double now(void)
{
    struct nx_io *io = nx_db_io(db);

    return (double)io->ops->monotonic_ns(io) / 1e9;
}

/* --- documents -------------------------------------------------------------------------------- */

static size_t make_user(char *text, size_t size, uint64_t i)
{
    static const char *const cities[] = {"Paris", "Lagos", "Quito", "Osaka", "Turin", "Perth"};
    int n = snprintf(text, size,
                     "{\"_id\": %llu, \"name\": \"user %llu\", \"age\": %d, \"score\": %.3f, "
                     "\"tags\": [\"alpha\", \"beta\", \"gamma\"], \"address\": {\"city\": \"%s\", "
                     "\"zip\": \"%05d\"}, \"active\": %s, \"friend\": %llu, \"note\": \"",
                     (unsigned long long)i, (unsigned long long)i, (int)(i % 90), (double)i / 7,
                     cities[i % 6], (int)(i % 99999), i % 2 ? "true" : "false",
                     (unsigned long long)(i * 7919 % 100000));

    for (; n < 398; n++)
        text[n] = (char)('a' + (i + (uint64_t)n) % 26);
    text[n++] = '"';
    text[n++] = '}';
    return (size_t)n;
}

static double coordinate(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*seed >> 40) / (1 << 23) - 1;
}

static void make_vector(struct nx_builder *out, const char *name, uint64_t *seed)
{
    nx_builder_begin_array(out, name, strlen(name));
    for (int i = 0; i < DIMENSIONS; i++) {
        struct nx_value value = nx_double(coordinate(seed));

        nx_builder_push(out, &value);
    }
    nx_builder_close(out);
}

static void make_embedding(struct nx_buf *out, uint64_t i)
{
    struct nx_builder builder;
    uint64_t seed = i;

    nx_builder_init(&builder, out);
    nx_builder_put_z(&builder, "_id", nx_int64((int64_t)i));
    make_vector(&builder, "vector", &seed);
    need(nx_builder_end(&builder, &err));
}

static void make_document(struct nx_buf *out, bool vector, uint64_t i)
{
    char text[600];
    bool is_array;

    if (vector)
        make_embedding(out, i);
    else
        need(nx_json_parse(text, make_user(text, sizeof text, i), NX_JSON_DOCUMENT, 0, out,
                           &is_array, &err));
}

static nx_ino load(const char *name, bool vector, uint64_t count)
{
    struct nx_buf bson NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_attr attr;
    struct nx_write *write;
    double start = now();

    need(nx_db_collection_make(db, name, strlen(name), NULL, &attr, &err));
    need(nx_write_new(db, &write, &err));
    for (uint64_t i = 0; i < count; i++) {
        struct nx_put put = {.collection = attr.ino, .mode = NX_PUT_INSERT};

        nx_buf_clear(&bson);
        make_document(&bson, vector, i);
        put.bson = nx_buf_slice(&bson);
        need(nx_write_put(write, &put, NULL, &err));
        if (nx_write_count(write) < LIST_COUNT && i + 1 < count)
            continue;
        need(nx_write_commit(write, &buffered, NULL, &err));
        nx_write_clear(write);
    }
    nx_write_free(write);
    printf("%-34s %9.2f s\n", name, now() - start);
    return attr.ino;
}

/* --- queries ---------------------------------------------------------------------------------- */

enum kind { FIND, AGGREGATE, COUNT, DISTINCT };

static const struct query {
    const char *name;
    enum kind kind;
    const char *text; /* a filter, a pipeline, or the name of a field */
    const char *sort;
    uint64_t limit;
} queries[] = {
    {"scan, everything", FIND, "{}", NULL, 0},
    {"filter, one field", FIND, "{\"age\":42}", NULL, 0},
    {"filter, last field", FIND, "{\"friend\":{\"$lt\":500}}", NULL, 0},
    {"filter, two fields", FIND, "{\"age\":{\"$gt\":80},\"active\":true}", NULL, 0},
    {"filter, dotted path", FIND, "{\"address.city\":\"Osaka\"}", NULL, 0},
    {"filter, regex", FIND, "{\"name\":{\"$regex\":\"r 99.*7$\"}}", NULL, 0},
    {"filter, array element", FIND, "{\"tags\":\"delta\"}", NULL, 0},
    {"filter, $expr", FIND, "{\"$expr\":{\"$gt\":[\"$score\",{\"$multiply\":[\"$age\",150]}]}}",
     NULL, 0},
    {"point", FIND, "{\"_id\":777}", NULL, 0},
    {"sort, limit 10", FIND, "{}", "{\"score\":-1}", 10},
    {"sort, full", FIND, "{}", "{\"age\":1,\"name\":1}", 0},
    {"count, all", COUNT, "{}", NULL, 0},
    {"count, filter", COUNT, "{\"age\":42}", NULL, 0},
    {"distinct, string", DISTINCT, "address.city", NULL, 0},
    {"distinct, all differ", DISTINCT, "name", NULL, 0},
    {"group, string, $sum and $avg", AGGREGATE,
     "[{\"$group\":{\"_id\":\"$address.city\",\"n\":{\"$sum\":1},\"a\":{\"$avg\":\"$score\"}}}]",
     NULL, 0},
    {"group, 100,000 groups", AGGREGATE, "[{\"$group\":{\"_id\":\"$name\",\"n\":{\"$sum\":1}}}]",
     NULL, 0},
    {"match, project", AGGREGATE,
     "[{\"$match\":{\"active\":true}},{\"$project\":{\"name\":1,\"x\":{\"$add\":[\"$age\",1]}}}]",
     NULL, 0},
    {"unwind, group", AGGREGATE,
     "[{\"$unwind\":\"$tags\"},{\"$group\":{\"_id\":\"$tags\",\"n\":{\"$sum\":1}}}]", NULL, 0},
    {"lookup on _id, 5,000", AGGREGATE,
     "[{\"$limit\":5000},{\"$lookup\":{\"from\":\"users\",\"localField\":\"friend\","
     "\"foreignField\":\"_id\",\"as\":\"f\"}}]",
     NULL, 0},
    {"lookup on another field, 5,000", AGGREGATE,
     "[{\"$limit\":5000},{\"$lookup\":{\"from\":\"users\",\"localField\":\"friend\","
     "\"foreignField\":\"friend\",\"as\":\"f\"}}]",
     NULL, 0},
};

static struct nx_slice parse(const char *text, struct nx_buf *out)
{
    bool is_array;

    nx_buf_clear(out);
    if (text)
        need(nx_json_parse(text, strlen(text), NX_JSON_QUERY, 0, out, &is_array, &err));
    return nx_buf_slice(out);
}

static uint64_t drain(struct nx_cursor *cursor)
{
    struct nx_slice doc;
    uint64_t count = 0;
    enum nx_code rc;

    while ((rc = nx_cursor_next(cursor, &doc, &err)) == NX_OK)
        count++;
    nx_cursor_close(cursor);
    if (rc != NX_DONE)
        need(rc);
    return count;
}

static uint64_t run(const struct query *query, nx_ino users)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf other NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_find find = {.limit = query->limit};
    struct nx_cursor *cursor;
    uint64_t count;

    switch (query->kind) {
    case FIND:
        find.filter = parse(query->text, &text);
        find.sort = parse(query->sort, &other);
        need(nx_query_find(db, NULL, users, &find, NULL, &cursor, &err));
        return drain(cursor);
    case AGGREGATE:
        need(nx_query_aggregate(db, NULL, users, parse(query->text, &text), false, NULL, &cursor,
                                &err));
        return drain(cursor);
    case COUNT:
        need(nx_query_count(db, NULL, users, parse(query->text, &text), 0, 0, NULL, &count, &err));
        return count;
    default:
        need(nx_query_distinct(db, NULL, users, query->text, strlen(query->text), nx_doc_empty,
                               NULL, &other, &err));
        return nx_doc_count(nx_buf_slice(&other));
    }
}

static void time_query(const struct query *query, nx_ino users, uint64_t documents)
{
    double start = now(), best = 1e9;
    uint64_t found = 0;

    for (int i = 0; i < RUNS_MIN || now() - start < SECONDS_EACH; i++) {
        double began = now(), took;

        found = run(query, users);
        took = now() - began;
        best = took < best ? took : best;
        if (now() - start > 4 * SECONDS_EACH)
            break;
    }
    printf("%-34s %9.2f ms  %10.0f documents/s  %7llu results\n", query->name, best * 1e3,
           (double)documents / best, (unsigned long long)found);
    fflush(stdout);
}

static void time_vectors(const char *name, enum nx_metric metric, nx_ino vectors)
{
    struct nx_buf bson NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_builder builder;
    struct nx_value vector;
    struct nx_cursor *cursor;
    double start;
    uint64_t seed = 4711, searches = 0;

    nx_builder_init(&builder, &bson);
    make_vector(&builder, "q", &seed);
    need(nx_builder_end(&builder, &err));
    vector = nx_doc_get_z(nx_buf_slice(&bson), "q");
    for (start = now(); searches < 2 || now() - start < 1; searches++) {
        struct nx_vsearch search = {
            .vector = nx_value_slice(&vector), .k = 10, .metric = metric, .exact = true};

        need(nx_query_vsearch(db, NULL, vectors, &search, NULL, &cursor, &err));
        drain(cursor);
    }
    printf("%-34s %9.2f ms  %10.1f searches/s\n", name, (now() - start) * 1e3 / (double)searches,
           (double)searches / (now() - start));
}

int main(int argc, char **argv)
{
    struct nx_db_options options;
    uint64_t documents = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
    uint64_t vectors = argc > 3 ? strtoull(argv[3], NULL, 10) : 20000;
    nx_ino users, embeddings;

    if (argc < 2) {
        fprintf(stderr, "query_bench DIRECTORY [DOCUMENTS [VECTORS]]\n");
        return 2;
    }
    nx_db_options_init(&options);
    need(nx_db_open(argv[1], &options, &db, &err));
    users = load("users", false, documents);
    embeddings = load("embeddings", true, vectors);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        time_query(&queries[i], users, documents);
    if (vectors) {
        time_vectors("vectors, cosine", NX_COSINE, embeddings);
        time_vectors("vectors, euclidean", NX_L2, embeddings);
    }
    need(nx_db_close(db, &err));
    return 0;
}

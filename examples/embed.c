/*
 * embed.c - the database as a library: open, insert, ask.
 *
 *     cc embed.c $(pkg-config --cflags --libs nexadb) -o embed && ./embed DATADIR
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nexadb/json.h>
#include <nexadb/query.h>

static struct nx_err err;

static void must(enum nx_code rc)
{
    if (rc == NX_OK)
        return;
    fprintf(stderr, "embed: %s\n", err.message);
    exit(1);
}

static void put(struct nx_write *write, nx_ino collection, const char *text)
{
    struct nx_put change = {
        .collection = collection, .mode = NX_PUT_UPSERT, .text = nx_slice_str(text)};

    must(nx_write_put(write, &change, NULL, &err));
}

static void print_matches(struct nx_db *db, nx_ino collection, const char *filter)
{
    struct nx_buf bson = NX_BUF_INIT, line = NX_BUF_INIT;
    struct nx_cursor *cursor;
    struct nx_slice doc;
    bool is_array;

    must(nx_json_parse(filter, strlen(filter), NX_JSON_QUERY, 0, &bson, &is_array, &err));
    must(nx_query_find(db, NULL, collection, &(struct nx_find){.filter = nx_buf_slice(&bson)}, NULL,
                       &cursor, &err));
    while (nx_cursor_next(cursor, &doc, &err) == NX_OK) {
        nx_buf_clear(&line);
        must(nx_json_write(doc, false, NX_JSON_RELAXED, 0, NULL, &line));
        printf("%.*s\n", (int)line.len, (const char *)line.data);
    }
    nx_cursor_close(cursor);
    nx_buf_fini(&line);
    nx_buf_fini(&bson);
}

int main(int argc, char **argv)
{
    struct nx_change change = {.durability = NX_SYNC};
    struct nx_write_result result;
    struct nx_write *write;
    struct nx_attr users;
    struct nx_db *db;

    must(nx_db_open(argc > 1 ? argv[1] : "embed.data", NULL, &db, &err));
    must(nx_db_collection_make(db, "users", strlen("users"), &change, &users, &err));
    must(nx_write_new(db, &write, &err));
    put(write, users.ino, "{\"_id\": \"alice\", \"age\": 28}");
    put(write, users.ino, "{\"_id\": \"bob\", \"age\": 35}");
    must(
        nx_write_commit(write, &change, &result, &err)); /* both or none, on disk when it returns */
    nx_write_free(write);
    print_matches(db, users.ino, "{\"age\": {\"$gt\": 30}}");
    must(nx_db_close(db, &err));
    return 0;
}

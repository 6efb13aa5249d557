/* store_fixture.h - a database for a test, and short words for what tests do with it. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <stdlib.h>

#include <nexadb/db.h>
#include <nexadb/json.h>

#include "tests/support/unit.h"

struct io_sim;

struct store_fixture {
    char dir[64];
    struct io_sim *sim; /* NULL: the operating system's files */
    struct nx_db *db;
    nx_ino users; /* the collection "users" */
};

/* A new database in a directory of its own under /tmp, with the collection "users". */
int store_setup(void **state);
/* The same on a disk in memory. */
int store_setup_sim(void **state);
/* Verifies, closes, removes. */
int store_teardown(void **state);
/* A test on both. */
#define BOTH(test)                                                                                 \
    {#test, test, store_setup, store_teardown, NULL},                                              \
    {                                                                                              \
#test " (sim)", test, store_setup_sim, store_teardown, NULL                                \
    }
/* Let time go on, where it stands still. */
void store_tick(struct store_fixture *f, uint64_t ns);
/* A database of small memtables in `dir`. */
struct nx_db *store_open(const char *dir, struct io_sim *sim);
void store_reopen(struct store_fixture *f);
void store_verify(struct nx_db *db);

/* Fail the test with the error's message unless `rc` is `want`. */
void expect(enum nx_code want, enum nx_code rc, const struct nx_err *err);
#define OK(call) expect(NX_OK, (call), &err)
#define FAILS(code, call) expect((code), (call), &err)

nx_ino make_collection(struct nx_db *db, const char *path);
nx_ino make_node(struct nx_db *db, nx_ino parent, const char *name, enum nx_kind kind);
/* A plain file with content. */
nx_ino make_file(struct nx_db *db, nx_ino parent, const char *name, const char *text);
struct nx_attr stat_of(struct nx_db *db, nx_ino ino);
/* Of a name; ino 0 when it does not exist. */
struct nx_attr look(struct nx_db *db, nx_ino parent, const char *name);
/* All of a plain file, NUL-terminated; the caller's. */
char *file_text(struct nx_db *db, nx_ino ino);
/* The same of a document or draft. */
char *document_text(struct nx_db *db, nx_ino ino);
enum nx_code rename_name(struct nx_db *db, nx_ino from_dir, const char *from, nx_ino to_dir,
                         const char *to, unsigned flags, struct nx_err *err);
enum nx_code unlink_name(struct nx_db *db, nx_ino dir, const char *name, struct nx_err *err);

struct nx_id id_of(const char *file_name);
/* Put one document by its file name and text, or by JSON that is given as BSON. */
enum nx_code put_text(struct nx_db *db, nx_ino collection, const char *file_name, const char *text,
                      enum nx_put_mode mode, struct nx_err *err);
enum nx_code put_json(struct nx_db *db, nx_ino collection, const char *file_name, const char *json,
                      enum nx_put_mode mode, struct nx_err *err);
enum nx_code delete_document(struct nx_db *db, nx_ino collection, const char *file_name,
                             struct nx_err *err);
uint64_t count_of(struct nx_db *db, nx_ino collection);
/* Wait until dropped directories are empty. */
void trash_settled(struct nx_db *db);
/* The document as one line of JSON with _id first; NULL when there is none. The caller's. */
char *json_of(struct nx_db *db, nx_ino collection, const char *file_name);
void assert_json(struct nx_db *db, nx_ino collection, const char *file_name, const char *json);
void assert_text(struct nx_db *db, nx_ino collection, const char *file_name, const char *text);

#endif

/* store_fixture.c - see the header. */
#include "store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io_sim.h"
#include "store/store.h"

void expect(enum nx_code want, enum nx_code rc, const struct nx_err *err)
{
    if (rc != want)
        fail_msg("%s instead of %s: %s", nx_code_name(rc), nx_code_name(want),
                 rc == NX_OK ? "" : err->message);
}

struct nx_db *store_open(const char *dir, struct io_sim *sim)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_db_options options;
    struct nx_db *db;

    nx_db_options_init(&options);
    options.engine.io = sim ? io_sim_io(sim) : NULL;
    options.engine.memtable_bytes = 1 << 20;
    options.engine.wal_segment_bytes = 1 << 20;
    options.engine.cache_bytes = 1 << 20;
    OK(nx_db_open(dir, &options, &db, &err));
    return db;
}

static int begin(struct store_fixture *f, void **state)
{
    f->db = store_open(f->dir, f->sim);
    store_tick(f, 1);
    f->users = make_collection(f->db, "users");
    *state = f;
    return 0;
}

int store_setup(void **state)
{
    struct store_fixture *f = calloc(1, sizeof *f);

    snprintf(f->dir, sizeof f->dir, "/tmp/nexadb-store-XXXXXX");
    return mkdtemp(f->dir) ? begin(f, state) : -1;
}

int store_setup_sim(void **state)
{
    struct store_fixture *f = calloc(1, sizeof *f);

    snprintf(f->dir, sizeof f->dir, "/db");
    f->sim = io_sim_new(1);
    return f->sim ? begin(f, state) : -1;
}

void store_tick(struct store_fixture *f, uint64_t ns)
{
    if (f->sim)
        io_sim_advance(f->sim, ns);
}

void store_verify(struct nx_db *db)
{
    struct nx_err err = NX_ERR_INIT;

    OK(nx_db_verify(db, &err));
}

void store_reopen(struct store_fixture *f)
{
    struct nx_err err = NX_ERR_INIT;

    OK(nx_db_close(f->db, &err));
    f->db = store_open(f->dir, f->sim);
}

int store_teardown(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    char command[128];
    bool on_disk = !f->sim;

    store_verify(f->db);
    OK(nx_db_close(f->db, &err));
    io_sim_free(f->sim);
    snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    free(f);
    return on_disk && system(command) != 0 ? -1 : 0;
}

nx_ino make_collection(struct nx_db *db, const char *path)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr;

    OK(nx_db_collection_make(db, path, strlen(path), NULL, &attr, &err));
    return attr.ino;
}

nx_ino make_node(struct nx_db *db, nx_ino parent, const char *name, enum nx_kind kind)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr = {.kind = kind, .mode = 0640, .uid = 7, .gid = 8};

    OK(nx_db_create(db, parent, name, strlen(name), nx_slice_str("target"), NULL, &attr, &err));
    return attr.ino;
}

nx_ino make_file(struct nx_db *db, nx_ino parent, const char *name, const char *text)
{
    struct nx_err err = NX_ERR_INIT;
    nx_ino ino = make_node(db, parent, name, NX_KIND_FILE);

    OK(nx_db_write(db, ino, 0, text, strlen(text), NULL, NULL, &err));
    return ino;
}

struct nx_attr stat_of(struct nx_db *db, nx_ino ino)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr;

    OK(nx_db_stat(db, NULL, ino, &attr, &err));
    return attr;
}

struct nx_attr look(struct nx_db *db, nx_ino parent, const char *name)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr = {.ino = 0};
    enum nx_code rc = nx_db_lookup(db, NULL, parent, name, strlen(name), &attr, &err);

    if (rc == NX_ENOTFOUND)
        return (struct nx_attr){.ino = 0};
    OK(rc);
    return attr;
}

char *file_text(struct nx_db *db, nx_ino ino)
{
    struct nx_err err = NX_ERR_INIT;
    size_t size = (size_t)stat_of(db, ino).size, got;
    char *text = calloc(1, size + 1);

    OK(nx_db_read(db, NULL, ino, 0, text, size, &got, &err));
    assert_int_equal(got, size);
    return text;
}

char *document_text(struct nx_db *db, nx_ino ino)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_buf text = NX_BUF_INIT;
    struct nx_attr attr;

    OK(nx_document_text(db, NULL, ino, &text, &attr, &err));
    assert_int_equal(text.len, attr.size);
    nx_buf_append_byte(&text, 0);
    return (char *)text.data;
}

enum nx_code rename_name(struct nx_db *db, nx_ino from_dir, const char *from, nx_ino to_dir,
                         const char *to, unsigned flags, struct nx_err *err)
{
    return nx_db_rename(db, from_dir, from, strlen(from), to_dir, to, strlen(to), flags, NULL, err);
}

enum nx_code unlink_name(struct nx_db *db, nx_ino dir, const char *name, struct nx_err *err)
{
    return nx_db_unlink(db, dir, name, strlen(name), NULL, NULL, err);
}

struct nx_id id_of(const char *file_name)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_id id;

    OK(nx_id_from_name(file_name, strlen(file_name), &id, NULL, &err));
    return id;
}

static enum nx_code put(struct nx_db *db, const struct nx_put *put, struct nx_err *err)
{
    struct nx_write *write;
    enum nx_code rc = nx_write_new(db, &write, err);

    if (rc == NX_OK)
        rc = nx_write_put(write, put, NULL, err);
    if (rc == NX_OK)
        rc = nx_write_commit(write, NULL, NULL, err);
    nx_write_free(write);
    return rc;
}

enum nx_code put_text(struct nx_db *db, nx_ino collection, const char *file_name, const char *text,
                      enum nx_put_mode mode, struct nx_err *err)
{
    struct nx_id id = id_of(file_name);

    return put(db,
               &(struct nx_put){
                   .collection = collection, .mode = mode, .id = &id, .text = nx_slice_str(text)},
               err);
}

enum nx_code put_json(struct nx_db *db, nx_ino collection, const char *file_name, const char *json,
                      enum nx_put_mode mode, struct nx_err *err)
{
    struct nx_buf bson NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_id id = id_of(file_name);
    bool is_array;

    expect(NX_OK, nx_json_parse(json, strlen(json), NX_JSON_DOCUMENT, 0, &bson, &is_array, err),
           err);
    return put(db,
               &(struct nx_put){
                   .collection = collection, .mode = mode, .id = &id, .bson = nx_buf_slice(&bson)},
               err);
}

enum nx_code delete_document(struct nx_db *db, nx_ino collection, const char *file_name,
                             struct nx_err *err)
{
    struct nx_id id = id_of(file_name);
    struct nx_write *write;
    enum nx_code rc = nx_write_new(db, &write, err);

    if (rc == NX_OK)
        rc = nx_write_delete(write, collection, &id, 0, false, err);
    if (rc == NX_OK)
        rc = nx_write_commit(write, NULL, NULL, err);
    nx_write_free(write);
    return rc;
}

uint64_t count_of(struct nx_db *db, nx_ino collection)
{
    struct nx_err err = NX_ERR_INIT;
    uint64_t count;

    OK(nx_document_count(db, NULL, collection, &count, &err));
    return count;
}

char *json_of(struct nx_db *db, nx_ino collection, const char *file_name)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf json = NX_BUF_INIT;
    struct nx_document doc;
    struct nx_id id = id_of(file_name);
    enum nx_code rc = nx_document_get(db, NULL, collection, &id, &buf, &doc, &err);

    if (rc == NX_ENOTFOUND)
        return NULL;
    OK(rc);
    nx_json_write(doc.bson, false, NX_JSON_EXACT, 0, NULL, &json);
    nx_buf_append_byte(&json, 0);
    return (char *)json.data;
}

void assert_json(struct nx_db *db, nx_ino collection, const char *file_name, const char *json)
{
    char *found = json_of(db, collection, file_name);

    if (!json) {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    assert_string_equal(found, json);
    free(found);
}

void assert_text(struct nx_db *db, nx_ino collection, const char *file_name, const char *text)
{
    struct nx_attr attr = look(db, collection, file_name);
    char *found;

    assert_int_not_equal(attr.ino, 0);
    assert_int_equal(attr.size, strlen(text));
    found = document_text(db, attr.ino);
    assert_string_equal(found, text);
    free(found);
}

void trash_settled(struct nx_db *db)
{
    trash_wait(&db->trash);
}

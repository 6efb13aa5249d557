/* Many threads on a few collections and names: no count drifts, no update is lost, nothing
 * deadlocks. Run under TSan. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <nexadb/io.h>

#include "store_fixture.h"

#define THREADS 4

struct crew {
    struct store_fixture *f;
    nx_ino dirs[3];
    int rounds;
    _Atomic int next_seed;
    _Atomic int added; /* by the counter threads */
};

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*seed >> 33);
}

static void run_crew(struct crew *crew, nx_thread_fn fn)
{
    struct nx_io *io = nx_db_io(crew->f->db);
    struct nx_thread *threads[THREADS];
    struct nx_err err = NX_ERR_INIT;

    for (int i = 0; i < THREADS; i++)
        OK(io->ops->thread_start(io, "stress", fn, crew, &threads[i], &err));
    for (int i = 0; i < THREADS; i++)
        io->ops->thread_join(io, threads[i]);
}

static int scale(void)
{
    const char *text = getenv("NEXADB_TEST_SCALE");
    int value = text ? atoi(text) : 1;

    return value > 0 ? value : 1;
}

/* --- any change, anywhere --------------------------------------------------------------------- */

static const char *const names[] = {"a.json", "b.json", "c.json", "1.json",
                                    "plain",  "other",  "third",  "sub"};
#define NAME_COUNT (sizeof names / sizeof names[0])

/* What a step may answer when others change the same names. */
static void accept(enum nx_code rc, const struct nx_err *err)
{
    static const enum nx_code fine[] = {NX_OK,        NX_ENOTFOUND, NX_EEXISTS, NX_EISDIR,
                                        NX_ENOTDIR,   NX_ENOTEMPTY, NX_EINVAL,  NX_EPERM,
                                        NX_ECONFLICT, NX_EJSON,     NX_ENAME,   NX_EXDEV};

    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
        if (rc == fine[i])
            return;
    expect(NX_OK, rc, err);
}

static void write_list(struct crew *crew, uint64_t *seed)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_write *write;

    OK(nx_write_new(crew->f->db, &write, &err));
    for (unsigned i = 0; i < 5; i++) {
        nx_ino dir = crew->dirs[next_random(seed) % 3];
        struct nx_id id = id_of(names[next_random(seed) % 4]);
        struct nx_put put = {.collection = dir,
                             .mode = NX_PUT_UPSERT,
                             .id = &id,
                             .text = nx_slice_str("{\"list\": true}")};

        if (next_random(seed) % 3)
            OK(nx_write_put(write, &put, NULL, &err));
        else
            OK(nx_write_delete(write, dir, &id, 0, true, &err));
    }
    accept(nx_write_commit(write, NULL, NULL, &err), &err);
    nx_write_free(write);
}

/* Each reads one picture, and every picture is whole. */
static void read_all(struct crew *crew, nx_ino ino)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_dirent entry;
    struct nx_document doc;
    struct nx_scan *scan;
    struct nx_dir *dir;
    enum nx_code rc;

    OK(nx_dir_open(crew->f->db, NULL, ino, false, &dir, &err));
    while ((rc = nx_dir_next(dir, &entry, &err)) == NX_OK)
        continue;
    expect(NX_DONE, rc, &err);
    nx_dir_close(dir);
    OK(nx_scan_open(crew->f->db, NULL, ino, NULL, &scan, &err));
    while ((rc = nx_scan_next(scan, &doc, &err)) == NX_OK)
        continue;
    expect(NX_DONE, rc, &err);
    nx_scan_close(scan);
    store_verify(crew->f->db);
}

static void step(struct crew *crew, uint64_t *seed)
{
    struct nx_db *db = crew->f->db;
    nx_ino dir = crew->dirs[next_random(seed) % 3], to = crew->dirs[next_random(seed) % 3];
    const char *name = names[next_random(seed) % NAME_COUNT];
    const char *to_name = names[next_random(seed) % NAME_COUNT];
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr = {.kind = NX_KIND_FILE, .mode = 0644};
    enum nx_code rc;

    switch (next_random(seed) % 11) {
    case 0:
        accept(nx_db_create(db, dir, name, strlen(name), NX_SLICE_NULL, NULL, &attr, &err), &err);
        break;
    case 1:
        attr.kind = NX_KIND_DIRECTORY;
        accept(nx_db_create(db, dir, "sub", 3, NX_SLICE_NULL, NULL, &attr, &err), &err);
        break;
    case 2:
        accept(unlink_name(db, dir, name, &err), &err);
        break;
    case 3:
        accept(nx_db_rmdir(db, dir, "sub", 3, NULL, &err), &err);
        break;
    case 4:
    case 5:
        accept(rename_name(db, dir, name, to, to_name, 0, &err), &err);
        break;
    case 6:
        accept(rename_name(db, dir, name, to, to_name, NX_RENAME_EXCHANGE, &err), &err);
        break;
    case 7:
        rc = nx_db_lookup(db, NULL, dir, name, strlen(name), &attr, &err);
        if (rc == NX_OK && attr.kind == NX_KIND_FILE) {
            nx_db_pin(db, attr.ino);
            accept(nx_db_write(db, attr.ino, 0, "{\"w\":1}", 7, NULL, NULL, &err), &err);
            accept(nx_db_link(db, attr.ino, to, to_name, strlen(to_name), NULL, NULL, &err), &err);
            nx_db_unpin(db, attr.ino);
        } else if (rc == NX_OK) {
            attr.mode = 0600;
            accept(nx_db_set_attr(db, attr.ino, NX_SET_MODE, &attr, NULL, NULL, &err), &err);
        }
        break;
    case 8:
        rc = nx_db_lookup(db, NULL, dir, "sub", 3, &attr, &err);
        if (rc == NX_OK && attr.kind == NX_KIND_COLLECTION)
            accept(nx_db_drop(db, attr.ino, NULL, &err), &err);
        break;
    case 9:
        if (next_random(seed) % 8 == 0)
            read_all(crew, dir);
        break;
    default:
        write_list(crew, seed);
    }
}

static void do_anything(void *arg)
{
    struct crew *crew = arg;
    uint64_t seed = (uint64_t)atomic_fetch_add(&crew->next_seed, 1) + 1;

    for (int i = 0; i < crew->rounds; i++)
        step(crew, &seed);
}

static void any_changes_at_once_leave_every_invariant_true(void **state)
{
    struct store_fixture *f = *state;
    struct crew crew = {.f = f, .rounds = 4000 * scale()};

    crew.dirs[0] = f->users;
    crew.dirs[1] = make_collection(f->db, "second");
    crew.dirs[2] = make_collection(f->db, "users/nested");
    run_crew(&crew, do_anything);
    store_verify(f->db);
    trash_settled(f->db);
    store_reopen(f);
}

/* --- no lost update --------------------------------------------------------------------------- */

static void add_one(struct crew *crew)
{
    struct nx_db *db = crew->f->db;
    struct nx_id id = id_of("counter.json");
    enum nx_code rc = NX_ECONFLICT;

    while (rc == NX_ECONFLICT) {
        struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct nx_err err = NX_ERR_INIT;
        struct nx_document doc;
        struct nx_write *write;
        char text[64];

        OK(nx_document_get(db, NULL, crew->f->users, &id, &buf, &doc, &err));
        snprintf(text, sizeof text, "{\"n\":%d}", nx_doc_get_z(doc.bson, "n").i32 + 1);
        OK(nx_write_new(db, &write, &err));
        OK(nx_write_put(write,
                        &(struct nx_put){.collection = crew->f->users,
                                         .mode = NX_PUT_REPLACE,
                                         .id = &id,
                                         .text = nx_slice_str(text),
                                         .if_revision = doc.attr.revision},
                        NULL, &err));
        rc = nx_write_commit(write, NULL, NULL, &err);
        nx_write_free(write);
        if (rc != NX_ECONFLICT)
            expect(NX_OK, rc, &err);
    }
}

static void count_up(void *arg)
{
    struct crew *crew = arg;

    for (int i = 0; i < crew->rounds; i++) {
        add_one(crew);
        atomic_fetch_add(&crew->added, 1);
    }
}

static void updates_guarded_by_revision_are_never_lost(void **state)
{
    struct store_fixture *f = *state;
    struct crew crew = {.f = f, .rounds = 300 * scale()};
    struct nx_err err = NX_ERR_INIT;
    char text[64];

    OK(put_text(f->db, f->users, "counter.json", "{\"n\":0}", NX_PUT_INSERT, &err));
    run_crew(&crew, count_up);
    snprintf(text, sizeof text, "{\"_id\":\"counter\",\"n\":%d}", atomic_load(&crew.added));
    assert_json(f->db, f->users, "counter.json", text);
}

/* --- a reader sees whole versions ------------------------------------------------------------- */

static void rewrite_and_read(void *arg)
{
    struct crew *crew = arg;
    int me = atomic_fetch_add(&crew->next_seed, 1);
    nx_ino ino = crew->dirs[0];
    char *text = malloc(9000);

    for (int i = 0; i < crew->rounds; i++) {
        struct nx_buf read NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct nx_err err = NX_ERR_INIT;
        struct nx_attr attr;

        if (me % 2 == 0) {
            size_t len = i % 2 ? 8000 : 100;

            memset(text, 'a' + i % 26, len);
            memcpy(text, "{\"s\":\"", 6);
            memcpy(text + len, "\"}", 3);
            OK(put_text(crew->f->db, crew->f->users, "doc.json", text, NX_PUT_REPLACE, &err));
            continue;
        }
        OK(nx_document_text(crew->f->db, NULL, ino, &read, &attr, &err));
        assert_int_equal(read.len, attr.size);
        for (size_t at = 7; at + 2 < read.len; at++)
            assert_int_equal(read.data[at], read.data[6]);
    }
    free(text);
}

static void a_read_gives_one_whole_version(void **state)
{
    struct store_fixture *f = *state;
    struct crew crew = {.f = f, .rounds = 400 * scale()};
    struct nx_err err = NX_ERR_INIT;

    OK(put_text(f->db, f->users, "doc.json", "{\"s\":\"x\"}", NX_PUT_INSERT, &err));
    crew.dirs[0] = look(f->db, f->users, "doc.json").ino;
    run_crew(&crew, rewrite_and_read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(any_changes_at_once_leave_every_invariant_true),
        BOTH(updates_guarded_by_revision_are_never_lost),
        BOTH(a_read_gives_one_whole_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Names and nodes: directories, plain files, links, attributes, listing, dropping, notices. */
#include <stdio.h>
#include <string.h>

#include "store_fixture.h"

static void a_directory_is_a_collection_unless_a_dot_is_above(void **state)
{
    struct store_fixture *f = *state;
    nx_ino dot = make_node(f->db, f->users, ".git", NX_KIND_DIRECTORY);
    nx_ino below = make_node(f->db, dot, "objects", NX_KIND_DIRECTORY);
    nx_ino nested = make_node(f->db, f->users, "archive", NX_KIND_DIRECTORY);

    assert_int_equal(stat_of(f->db, NX_ROOT_INO).kind, NX_KIND_ROOT);
    assert_int_equal(stat_of(f->db, dot).kind, NX_KIND_DIRECTORY);
    assert_int_equal(stat_of(f->db, below).kind, NX_KIND_DIRECTORY);
    assert_int_equal(stat_of(f->db, nested).kind, NX_KIND_COLLECTION);
    assert_int_equal(stat_of(f->db, nested).parent, f->users);
    make_file(f->db, below, "x.json", "not json");
    assert_int_equal(look(f->db, below, "x.json").kind, NX_KIND_FILE);
    make_file(f->db, NX_ROOT_INO, "root.json", "plain");
    assert_int_equal(look(f->db, NX_ROOT_INO, "root.json").kind, NX_KIND_FILE);
}

static void a_path_names_a_collection(void **state)
{
    static const char *const bad[] = {"", "a//b", ".x", "a/.x", "x.json", "a/..", "\xff"};
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_attr attr;
    nx_ino deep = make_collection(f->db, "a/b/c");

    OK(nx_db_collection(f->db, NULL, "a/b/c", 5, &attr, &err));
    assert_int_equal(attr.ino, deep);
    OK(nx_db_path(f->db, NULL, deep, &path, &err));
    assert_int_equal(path.len, 5);
    assert_memory_equal(path.data, "a/b/c", 5);
    assert_int_equal(make_collection(f->db, "a/b/c"), deep);
    FAILS(NX_ENOTFOUND, nx_db_collection(f->db, NULL, "a/x", 3, &attr, &err));
    make_file(f->db, NX_ROOT_INO, "plain", "x");
    FAILS(NX_ENOTDIR, nx_db_collection(f->db, NULL, "plain", 5, &attr, &err));
    FAILS(NX_ENOTDIR, nx_db_collection_make(f->db, "plain", 5, NULL, &attr, &err));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        FAILS(NX_ENAME, nx_db_collection_make(f->db, bad[i], strlen(bad[i]), NULL, &attr, &err));
    FAILS(NX_ENAME, nx_db_collection_make(f->db, "a\0b", 3, NULL, &attr, &err));
}

static bool add_path(void *arg, const char *path, const struct nx_attr *attr, uint64_t documents)
{
    struct nx_buf *list = arg;

    (void)attr;
    nx_buf_printf(list, "%s:%u ", path, (unsigned)documents);
    return true;
}

static void every_collection_is_visited_in_order(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_buf list NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    make_collection(f->db, "b/x/y");
    make_collection(f->db, "a");
    make_collection(f->db, "b/w");
    make_collection(f->db, "b-");
    make_node(f->db, NX_ROOT_INO, ".hidden", NX_KIND_DIRECTORY);
    make_file(f->db, NX_ROOT_INO, "file", "x");
    OK(put_text(f->db, f->users, "1.json", "{}", NX_PUT_INSERT, &err));
    OK(nx_db_each_collection(f->db, NULL, add_path, &list, &err));
    nx_buf_append_byte(&list, 0);
    assert_string_equal((char *)list.data, "a:0 b:0 b/w:0 b/x:0 b/x/y:0 b-:0 users:1 ");
}

static void names_that_cannot_be_are_refused(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr = {.kind = NX_KIND_DIRECTORY};
    char name[300];

    memset(name, 'n', sizeof name);
    FAILS(NX_ENAMETOOLONG,
          nx_db_create(f->db, f->users, name, 256, NX_SLICE_NULL, NULL, &attr, &err));
    OK(nx_db_create(f->db, f->users, name, 255, NX_SLICE_NULL, NULL, &attr, &err));
    attr.kind = NX_KIND_DIRECTORY;
    FAILS(NX_ENAME, nx_db_create(f->db, f->users, "d.json", 6, NX_SLICE_NULL, NULL, &attr, &err));
    FAILS(NX_ENAME, nx_db_create(f->db, f->users, "..", 2, NX_SLICE_NULL, NULL, &attr, &err));
    attr.kind = NX_KIND_SYMLINK;
    FAILS(NX_EPERM,
          nx_db_create(f->db, f->users, "l.json", 6, nx_slice_str("x"), NULL, &attr, &err));
    attr.kind = NX_KIND_FILE;
    OK(nx_db_create(f->db, f->users, "f", 1, NX_SLICE_NULL, NULL, &attr, &err));
    FAILS(NX_EEXISTS, nx_db_create(f->db, f->users, "f", 1, NX_SLICE_NULL, NULL, &attr, &err));
    FAILS(NX_ENOTDIR, nx_db_create(f->db, attr.ino, "g", 1, NX_SLICE_NULL, NULL, &attr, &err));
    FAILS(NX_EPERM, nx_db_link(f->db, attr.ino, f->users, "g.json", 6, NULL, NULL, &err));
    OK(put_text(f->db, f->users, "a.json", "{}", NX_PUT_INSERT, &err));
    FAILS(NX_EPERM, nx_db_link(f->db, look(f->db, f->users, "a.json").ino, f->users, "g", 1, NULL,
                               NULL, &err));
}

static void special_nodes_keep_what_they_are(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_buf target NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_attr attr = {.kind = NX_KIND_CHARDEV, .mode = 0600, .rdev = 259};
    nx_ino link = make_node(f->db, f->users, "link", NX_KIND_SYMLINK);

    OK(nx_db_readlink(f->db, NULL, link, &target, &err));
    assert_memory_equal(target.data, "target", 6);
    assert_int_equal(stat_of(f->db, link).size, 6);
    OK(nx_db_create(f->db, f->users, "dev", 3, NX_SLICE_NULL, NULL, &attr, &err));
    assert_int_equal(look(f->db, f->users, "dev").rdev, 259);
    make_node(f->db, f->users, "fifo", NX_KIND_FIFO);
    assert_int_equal(look(f->db, f->users, "fifo").kind, NX_KIND_FIFO);
    OK(rename_name(f->db, f->users, "link", f->users, "moved", 0, &err));
    nx_buf_clear(&target);
    OK(nx_db_readlink(f->db, NULL, link, &target, &err));
    assert_memory_equal(target.data, "target", 6);
}

static void a_hard_link_is_the_same_file(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino ino = make_file(f->db, f->users, "one", "data");
    struct nx_attr attr;

    OK(nx_db_link(f->db, ino, NX_ROOT_INO, "two", 3, NULL, &attr, &err));
    assert_int_equal(attr.nlink, 2);
    OK(unlink_name(f->db, f->users, "one", &err));
    assert_int_equal(stat_of(f->db, ino).nlink, 1);
    assert_int_equal(look(f->db, NX_ROOT_INO, "two").ino, ino);
    OK(unlink_name(f->db, NX_ROOT_INO, "two", &err));
    FAILS(NX_ENOTFOUND, nx_db_stat(f->db, NULL, ino, &attr, &err));
}

static void a_directory_counts_what_is_in_it(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr before = stat_of(f->db, f->users), after;

    store_tick(f, 1000);
    make_node(f->db, f->users, "sub", NX_KIND_DIRECTORY);
    make_file(f->db, f->users, "file", "x");
    make_node(f->db, f->users, "draft.json", NX_KIND_FILE);
    OK(put_text(f->db, f->users, "a.json", "{}", NX_PUT_INSERT, &err));
    after = stat_of(f->db, f->users);
    assert_int_equal(after.size, 4);
    assert_int_equal(after.nlink, 3);
    assert_true(after.mtime_ns > before.mtime_ns);
    before = after;
    store_tick(f, 1000);
    OK(put_text(f->db, f->users, "a.json", "{\"x\":1}", NX_PUT_REPLACE, &err));
    assert_true(stat_of(f->db, f->users).mtime_ns == before.mtime_ns);
    FAILS(NX_ENOTEMPTY, nx_db_rmdir(f->db, NX_ROOT_INO, "users", 5, NULL, &err));
    OK(unlink_name(f->db, f->users, "draft.json", &err));
    OK(unlink_name(f->db, f->users, "a.json", &err));
    OK(unlink_name(f->db, f->users, "file", &err));
    FAILS(NX_EISDIR, unlink_name(f->db, f->users, "sub", &err));
    FAILS(NX_ENOTFOUND, unlink_name(f->db, f->users, "a.json", &err));
    FAILS(NX_ENOTFOUND, unlink_name(f->db, f->users, "%41.json", &err));
    OK(nx_db_rmdir(f->db, f->users, "sub", 3, NULL, &err));
    OK(nx_db_rmdir(f->db, NX_ROOT_INO, "users", 5, NULL, &err));
    assert_int_equal(look(f->db, NX_ROOT_INO, "users").ino, 0);
}

static void attributes_of_each_kind_are_set(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino file = make_file(f->db, f->users, "file", "0123456789");
    struct nx_attr values = {.mode = 07755, .uid = 1, .gid = 2, .mtime_ns = 3, .atime_ns = 4};
    unsigned mask = NX_SET_MODE | NX_SET_UID | NX_SET_GID | NX_SET_MTIME | NX_SET_ATIME;
    struct nx_attr out, all[] = {stat_of(f->db, file), stat_of(f->db, f->users)};

    for (size_t i = 0; i < 2; i++) {
        OK(nx_db_set_attr(f->db, all[i].ino, mask, &values, NULL, &out, &err));
        for (int again = 0; again < 2; again++) {
            assert_int_equal(out.mode, 07755);
            assert_int_equal(out.uid, 1);
            assert_int_equal(out.gid, 2);
            assert_true(out.mtime_ns == 3 && out.atime_ns == 4);
            assert_true(out.ctime_ns >= all[i].ctime_ns);
            out = stat_of(f->db, all[i].ino);
        }
    }
    FAILS(NX_EISDIR, nx_db_set_attr(f->db, f->users, NX_SET_SIZE, &values, NULL, NULL, &err));
    OK(put_text(f->db, f->users, "a.json", "{}", NX_PUT_INSERT, &err));
    FAILS(NX_EINVAL, nx_db_set_attr(f->db, look(f->db, f->users, "a.json").ino, NX_SET_SIZE,
                                    &values, NULL, NULL, &err));
}

/* --- listing ---------------------------------------------------------------------------------- */

static size_t list_all(struct nx_dir *dir, struct nx_buf *names, uint64_t *cookies, size_t max)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_dirent entry;
    size_t count = 0;
    enum nx_code rc;

    nx_buf_clear(names);
    while ((rc = nx_dir_next(dir, &entry, &err)) == NX_OK) {
        assert_int_equal(strlen(entry.name), entry.name_len);
        assert_true(entry.cookie > 0 && entry.cookie <= INT64_MAX);
        assert_true(count < max);
        cookies[count++] = entry.cookie;
        nx_buf_printf(names, "%s ", entry.name);
    }
    expect(NX_DONE, rc, &err);
    nx_buf_append_byte(names, 0);
    return count;
}

static void a_listing_resumes_at_every_cookie_after_deletions(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_buf names NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    uint64_t cookies[64];
    struct nx_dirent entry;
    struct nx_dir *dir;
    size_t count;
    char name[32], order[64][32];

    make_node(f->db, f->users, "sub", NX_KIND_DIRECTORY);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "doc%02d.json", i);
        OK(put_text(f->db, f->users, name, "{}", NX_PUT_INSERT, &err));
        snprintf(name, sizeof name, "file%02d", i);
        make_node(f->db, f->users, name, NX_KIND_FILE);
    }
    OK(nx_dir_open(f->db, NULL, f->users, false, &dir, &err));
    for (count = 0; nx_dir_next(dir, &entry, &err) == NX_OK; count++) {
        snprintf(order[count], sizeof order[count], "%s", entry.name);
        cookies[count] = entry.cookie;
        assert_int_equal(entry.attr.ino, look(f->db, f->users, entry.name).ino);
        assert_int_equal(entry.attr.size, look(f->db, f->users, entry.name).size);
    }
    assert_int_equal(count, 41);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "doc%02d.json", i);
        OK(unlink_name(f->db, f->users, name, &err));
        snprintf(name, sizeof name, "new%02d.json", i);
        make_node(f->db, f->users, name, NX_KIND_FILE);
    }
    for (size_t i = count; i-- > 1;) {
        OK(nx_dir_seek(dir, cookies[i - 1], &err));
        OK(nx_dir_next(dir, &entry, &err));
        assert_string_equal(entry.name, order[i]);
    }
    OK(nx_dir_seek(dir, cookies[count - 1], &err));
    FAILS(NX_DONE, nx_dir_next(dir, &entry, &err));
    OK(nx_dir_seek(dir, 0, &err)); /* a new picture */
    assert_int_equal(list_all(dir, &names, cookies, 64), 41);
    assert_null(strstr((char *)names.data, "doc"));
    assert_non_null(strstr((char *)names.data, "new19.json"));
    FAILS(NX_EINVAL, nx_dir_seek(dir, UINT64_MAX, &err));
    nx_dir_close(dir);
}

/* Each entry is removed right after it was listed, and each time a new picture is taken. */
static void a_refreshed_listing_goes_on_behind_what_has_gone(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_dirent entry;
    struct nx_dir *dir;
    char name[32];

    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "file%02d", i);
        make_node(f->db, f->users, name, NX_KIND_FILE);
        snprintf(name, sizeof name, "zoc%02d.json", i);
        OK(put_text(f->db, f->users, name, "{}", NX_PUT_INSERT, &err));
    }
    OK(nx_dir_open(f->db, NULL, f->users, false, &dir, &err));
    for (int i = 0; i < 20; i++) {
        OK(nx_dir_next(dir, &entry, &err));
        snprintf(name, sizeof name, i < 10 ? "file%02d" : "zoc%02d.json", i % 10);
        assert_string_equal(entry.name, name);
        OK(unlink_name(f->db, f->users, name, &err));
        if (i == 10)
            OK(put_text(f->db, f->users, "before.json", "{}", NX_PUT_INSERT, &err));
        OK(nx_dir_refresh(dir, entry.cookie, &err));
    }
    FAILS(NX_DONE, nx_dir_next(dir, &entry, &err));
    OK(put_text(f->db, f->users, "zz.json", "{}", NX_PUT_INSERT, &err));
    OK(nx_dir_refresh(dir, 0, &err));
    OK(nx_dir_next(dir, &entry, &err));
    assert_string_equal(entry.name, "before.json");
    OK(nx_dir_refresh(dir, entry.cookie, &err));
    OK(nx_dir_next(dir, &entry, &err));
    assert_string_equal(entry.name, "zz.json"); /* of the new picture */
    FAILS(NX_EINVAL, nx_dir_refresh(dir, UINT64_MAX, &err));
    nx_dir_close(dir);
}

static void a_refreshed_listing_of_a_directory_that_is_gone_says_so(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino gone = make_collection(f->db, "gone");
    struct nx_change change = {.durability = NX_BUFFERED};
    struct nx_dir *dir;

    OK(nx_dir_open(f->db, NULL, gone, false, &dir, &err));
    OK(nx_db_rmdir(f->db, NX_ROOT_INO, "gone", 4, &change, &err));
    FAILS(NX_ENOTFOUND, nx_dir_refresh(dir, 0, &err));
    nx_dir_close(dir);
}

static void a_listing_of_documents_passes_plain_entries_over(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_buf names NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    uint64_t cookies[8];
    struct nx_dir *dir;

    make_file(f->db, f->users, "file", "x");
    OK(put_text(f->db, f->users, "b.json", "{}", NX_PUT_INSERT, &err));
    OK(put_text(f->db, f->users, "a.json", "{}", NX_PUT_INSERT, &err));
    OK(nx_dir_open(f->db, NULL, f->users, true, &dir, &err));
    list_all(dir, &names, cookies, 8);
    assert_string_equal((char *)names.data, "a.json b.json ");
    nx_dir_close(dir);
    FAILS(NX_ENOTDIR,
          nx_dir_open(f->db, NULL, look(f->db, f->users, "file").ino, false, &dir, &err));
}

/* --- dropping --------------------------------------------------------------------------------- */

static void a_drop_takes_everything_at_once_and_the_space_later(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino nested = make_collection(f->db, "users/archive/old");
    nx_ino outside = make_file(f->db, NX_ROOT_INO, "outside", "kept");
    struct nx_attr attr;
    nx_ino document, file;
    char name[32];

    for (int i = 0; i < 2500; i++) {
        snprintf(name, sizeof name, "%d.json", i);
        OK(put_text(f->db, nested, name, "{\"a\":1}", NX_PUT_INSERT, &err));
    }
    document = look(f->db, nested, "7.json").ino;
    file = make_file(f->db, f->users, "file", "gone");
    OK(nx_db_link(f->db, outside, nested, "link", 4, NULL, NULL, &err));
    OK(nx_db_drop(f->db, f->users, NULL, &err));
    FAILS(NX_ENOTFOUND, nx_db_stat(f->db, NULL, document, &attr, &err));
    FAILS(NX_ENOTFOUND, nx_db_stat(f->db, NULL, nested, &attr, &err));
    assert_int_equal(look(f->db, NX_ROOT_INO, "users").ino, 0);
    FAILS(NX_ENOTFOUND, put_text(f->db, nested, "x.json", "{}", NX_PUT_INSERT, &err));
    store_reopen(f); /* in the middle of it, as likely as not */
    store_verify(f->db);
    FAILS(NX_ENOTFOUND, nx_db_stat(f->db, NULL, document, &attr, &err));
    trash_settled(f->db);
    FAILS(NX_ENOTFOUND, nx_db_stat(f->db, NULL, file, &attr, &err));
    assert_int_equal(stat_of(f->db, outside).nlink, 1);
    FAILS(NX_EPERM, nx_db_drop(f->db, NX_ROOT_INO, NULL, &err));
    f->users = make_collection(f->db, "users");
    assert_int_equal(count_of(f->db, f->users), 0);
}

/* --- notices ---------------------------------------------------------------------------------- */

static void note(void *arg, const struct nx_event *event)
{
    static const char letters[] = "CUDRX";

    nx_buf_printf(arg, "%c:%s%s%s ", letters[event->type], event->name, event->to_parent ? ">" : "",
                  event->to_name);
}

static void note_drain(void *arg, nx_commit_fn done, void *done_arg)
{
    nx_buf_printf(arg, "drain ");
    done(done_arg, NULL);
}

static void count_done(void *arg, const struct nx_err *error)
{
    assert_null(error);
    ++*(int *)arg;
}

static void the_subscriber_hears_every_change_in_order(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_buf heard NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_id id = id_of("a.json");
    struct nx_write *write;
    int done = 0;
    struct nx_change change = {.done = count_done, .arg = &done};

    nx_db_drain(f->db, count_done, &done);
    assert_int_equal(done, 1);
    nx_db_subscribe(f->db, note, note_drain, &heard);
    OK(nx_write_new(f->db, &write, &err));
    OK(nx_write_put(write,
                    &(struct nx_put){.collection = f->users, .id = &id, .text = nx_slice_str("{}")},
                    NULL, &err));
    OK(nx_write_commit(write, &change, NULL, &err));
    assert_int_equal(done, 2);
    nx_write_free(write);
    OK(put_text(f->db, f->users, "a.json", "{\"x\":1}", NX_PUT_REPLACE, &err));
    OK(rename_name(f->db, f->users, "a.json", f->users, "b.json", 0, &err));
    OK(unlink_name(f->db, f->users, "b.json", &err));
    make_node(f->db, f->users, "f", NX_KIND_FILE);
    FAILS(NX_EEXISTS, nx_db_create(f->db, f->users, "f", 1, NX_SLICE_NULL, NULL,
                                   &(struct nx_attr){.kind = NX_KIND_FILE}, &err));
    OK(nx_db_drop(f->db, f->users, NULL, &err));
    nx_db_drain(f->db, count_done, &done);
    nx_db_subscribe(f->db, NULL, NULL, NULL);
    f->users = make_collection(f->db, "users");
    nx_buf_append_byte(&heard, 0);
    assert_string_equal((char *)heard.data,
                        "C:a.json U:a.json R:a.json>b.json D:b.json C:f X:users drain ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_directory_is_a_collection_unless_a_dot_is_above),
        BOTH(a_path_names_a_collection),
        BOTH(every_collection_is_visited_in_order),
        BOTH(names_that_cannot_be_are_refused),
        BOTH(special_nodes_keep_what_they_are),
        BOTH(a_hard_link_is_the_same_file),
        BOTH(a_directory_counts_what_is_in_it),
        BOTH(attributes_of_each_kind_are_set),
        BOTH(a_listing_resumes_at_every_cookie_after_deletions),
        BOTH(a_refreshed_listing_goes_on_behind_what_has_gone),
        BOTH(a_refreshed_listing_of_a_directory_that_is_gone_says_so),
        BOTH(a_listing_of_documents_passes_plain_entries_over),
        BOTH(a_drop_takes_everything_at_once_and_the_space_later),
        BOTH(the_subscriber_hears_every_change_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Renames: plain names, documents, and from one to the other; data of plain files; open files. */
#include <string.h>

#include "store_fixture.h"

static void a_plain_file_replaces_another(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino one = make_file(f->db, f->users, "one", "1");
    nx_ino two = make_file(f->db, NX_ROOT_INO, "two", "2");
    struct nx_attr attr;

    FAILS(NX_EEXISTS,
          rename_name(f->db, f->users, "one", NX_ROOT_INO, "two", NX_RENAME_NOREPLACE, &err));
    OK(rename_name(f->db, f->users, "one", NX_ROOT_INO, "two", 0, &err));
    assert_int_equal(look(f->db, NX_ROOT_INO, "two").ino, one);
    assert_int_equal(look(f->db, f->users, "one").ino, 0);
    FAILS(NX_ENOTFOUND, nx_db_stat(f->db, NULL, two, &attr, &err));
    FAILS(NX_ENOTFOUND, rename_name(f->db, f->users, "one", f->users, "x", 0, &err));
    FAILS(NX_EINVAL, rename_name(f->db, NX_ROOT_INO, "two", f->users, "x", 8, &err));
    FAILS(NX_EISDIR, rename_name(f->db, NX_ROOT_INO, "two", NX_ROOT_INO, "users", 0, &err));
    FAILS(NX_ENOTDIR, rename_name(f->db, NX_ROOT_INO, "users", NX_ROOT_INO, "two", 0, &err));
    OK(nx_db_link(f->db, one, f->users, "same", 4, NULL, NULL, &err));
    OK(rename_name(f->db, f->users, "same", NX_ROOT_INO, "two", 0, &err)); /* one file: nothing */
    assert_int_equal(look(f->db, f->users, "same").ino, one);
}

static void a_directory_moves_with_all_in_it_and_not_below_itself(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_buf path NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    nx_ino deep = make_collection(f->db, "users/a/b");
    nx_ino empty = make_collection(f->db, "empty");

    OK(put_text(f->db, deep, "1.json", "{}", NX_PUT_INSERT, &err));
    FAILS(NX_EINVAL, rename_name(f->db, NX_ROOT_INO, "users", deep, "x", 0, &err));
    FAILS(NX_EINVAL, rename_name(f->db, f->users, "a", deep, "x", NX_RENAME_NOREPLACE, &err));
    FAILS(NX_ENAME, rename_name(f->db, f->users, "a", f->users, "a.json", 0, &err));
    FAILS(NX_ENOTEMPTY, rename_name(f->db, NX_ROOT_INO, "empty", NX_ROOT_INO, "users", 0, &err));
    OK(rename_name(f->db, f->users, "a", NX_ROOT_INO, "empty", 0, &err));
    assert_int_equal(look(f->db, NX_ROOT_INO, "empty").nlink, 3);
    assert_int_not_equal(look(f->db, NX_ROOT_INO, "empty").ino, empty);
    OK(nx_db_path(f->db, NULL, deep, &path, &err));
    assert_memory_equal(path.data, "empty/b", 7);
    assert_int_equal(count_of(f->db, deep), 1);
    assert_int_equal(stat_of(f->db, f->users).nlink, 2);
}

static void a_plain_file_renamed_to_a_document_is_one(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr before, after, times = {.mtime_ns = 1234567890};
    nx_ino file;

    OK(put_text(f->db, f->users, "a.json", "{\"v\":1}", NX_PUT_INSERT, &err));
    before = look(f->db, f->users, "a.json");
    file = make_file(f->db, f->users, ".a.json.tmp", "{ \"v\" : 2 }\n");
    OK(nx_db_set_attr(f->db, file, NX_SET_MTIME, &times, NULL, NULL, &err));
    OK(rename_name(f->db, f->users, ".a.json.tmp", f->users, "a.json", 0, &err));
    after = look(f->db, f->users, "a.json");
    assert_int_equal(after.ino, before.ino);
    assert_true(after.mtime_ns == 1234567890);
    assert_int_equal(after.mode, 0640);
    assert_true(after.revision > before.revision);
    assert_text(f->db, f->users, "a.json", "{ \"v\" : 2 }\n");
    assert_json(f->db, f->users, "a.json", "{\"_id\":\"a\",\"v\":2}");
    assert_int_equal(look(f->db, f->users, ".a.json.tmp").ino, 0);
    assert_int_equal(count_of(f->db, f->users), 1);

    file = make_file(f->db, f->users, "new", "{\"v\":3}");
    OK(rename_name(f->db, f->users, "new", f->users, "b.json", 0, &err));
    assert_int_equal(look(f->db, f->users, "b.json").ino, file);
    assert_int_equal(count_of(f->db, f->users), 2);
}

static void a_bad_file_does_not_become_a_document(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    OK(put_text(f->db, f->users, "a.json", "{\"v\":1}", NX_PUT_INSERT, &err));
    make_file(f->db, f->users, "bad", "{\"v\":\n  2,}");
    FAILS(NX_EJSON, rename_name(f->db, f->users, "bad", f->users, "a.json", 0, &err));
    assert_int_equal(err.line, 2);
    make_node(f->db, f->users, "empty", NX_KIND_FILE);
    FAILS(NX_EINVAL, rename_name(f->db, f->users, "empty", f->users, "a.json", 0, &err));
    make_node(f->db, f->users, "link", NX_KIND_SYMLINK);
    FAILS(NX_EPERM, rename_name(f->db, f->users, "link", f->users, "b.json", 0, &err));
    FAILS(NX_ENAME, rename_name(f->db, f->users, "empty", f->users, "%41.json", 0, &err));
    assert_text(f->db, f->users, "a.json", "{\"v\":1}");
    assert_int_not_equal(look(f->db, f->users, "bad").ino, 0);
    OK(rename_name(f->db, f->users, "empty", f->users, "draft.json", 0, &err));
    assert_int_equal(look(f->db, f->users, "draft.json").kind, NX_KIND_DRAFT);
    FAILS(NX_EINVAL, rename_name(f->db, f->users, "draft.json", f->users, "a.json", 0, &err));
}

static void a_document_renamed_away_is_a_file_and_its_name_gets_its_number_back(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino number, backup;
    char *text;

    OK(put_text(f->db, f->users, "a.json", "{ \"v\": 1 }", NX_PUT_INSERT, &err));
    number = look(f->db, f->users, "a.json").ino;
    OK(rename_name(f->db, f->users, "a.json", f->users, "a.json~", 0, &err));
    backup = look(f->db, f->users, "a.json~").ino;
    assert_int_not_equal(backup, number);
    assert_int_equal(count_of(f->db, f->users), 0);
    text = file_text(f->db, backup);
    assert_string_equal(text, "{ \"v\": 1 }");
    free(text);
    OK(put_text(f->db, f->users, "a.json", "{\"v\":2}", NX_PUT_INSERT, &err));
    assert_int_equal(look(f->db, f->users, "a.json").ino, number);
    store_verify(f->db);
    OK(rename_name(f->db, f->users, "a.json~", f->users, "a.json", 0, &err));
    assert_text(f->db, f->users, "a.json", "{ \"v\": 1 }");
    OK(delete_document(f->db, f->users, "a.json", &err));
    OK(put_text(f->db, f->users, "a.json", "{}", NX_PUT_INSERT, &err));
    assert_int_not_equal(look(f->db, f->users, "a.json").ino, number);
}

static void a_number_is_remembered_for_two_seconds(void **state)
{
    static const struct {
        uint64_t ns;
        bool back;
    } waits[] = {{1900000000, true}, {2100000000, false}};
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    for (size_t i = 0; i < 2; i++) {
        nx_ino number;

        OK(put_text(f->db, f->users, "a.json", "{}", NX_PUT_UPSERT, &err));
        number = look(f->db, f->users, "a.json").ino;
        OK(rename_name(f->db, f->users, "a.json", f->users, "backup", 0, &err));
        store_tick(f, waits[i].ns);
        make_node(f->db, f->users, "a.json", NX_KIND_FILE);
        assert_int_equal(look(f->db, f->users, "a.json").ino == number, waits[i].back);
    }
}

static void a_document_renamed_to_another_id_keeps_its_bytes(void **state)
{
    static const char *const texts[] = {"{ \"v\" : 1 }", "{\n  \"v\": 1\n}\n",
                                        "{\"_id\":\"a\",\"v\":1}"};
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino other = make_collection(f->db, "other");

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        nx_ino ino;

        OK(put_text(f->db, f->users, "a.json", texts[i], NX_PUT_INSERT, &err));
        OK(put_text(f->db, other, "b.json", "{}", NX_PUT_UPSERT, &err));
        ino = look(f->db, f->users, "a.json").ino;
        OK(rename_name(f->db, f->users, "a.json", other, "b.json", 0, &err));
        assert_text(f->db, other, "b.json", texts[i]);
        assert_json(f->db, other, "b.json", "{\"_id\":\"b\",\"v\":1}");
        assert_int_equal(look(f->db, other, "b.json").ino, ino);
        assert_int_equal(stat_of(f->db, ino).parent, other);
        assert_int_equal(count_of(f->db, f->users), 0);
        assert_int_equal(count_of(f->db, other), 1);
        store_verify(f->db);
    }
}

static void an_exchange_swaps_what_the_names_stand_for(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino other = make_collection(f->db, "other");
    nx_ino one = make_file(f->db, f->users, "one", "{\"v\": 1}");
    nx_ino document;
    char *text;

    FAILS(NX_ENOTFOUND, rename_name(f->db, f->users, "one", other, "no", NX_RENAME_EXCHANGE, &err));
    OK(rename_name(f->db, f->users, "one", NX_ROOT_INO, "other", NX_RENAME_EXCHANGE, &err));
    assert_int_equal(look(f->db, NX_ROOT_INO, "other").ino, one);
    assert_int_equal(look(f->db, f->users, "one").ino, other);
    assert_int_equal(stat_of(f->db, other).parent, f->users);
    FAILS(NX_EINVAL,
          rename_name(f->db, NX_ROOT_INO, "users", f->users, "one", NX_RENAME_EXCHANGE, &err));
    store_verify(f->db);

    OK(put_text(f->db, f->users, "a.json", "{\"v\":\t\"a\"}", NX_PUT_INSERT, &err));
    OK(put_text(f->db, other, "b.json", "{\"v\":\"b\"}", NX_PUT_INSERT, &err));
    document = look(f->db, f->users, "a.json").ino;
    OK(rename_name(f->db, f->users, "a.json", other, "b.json", NX_RENAME_EXCHANGE, &err));
    assert_text(f->db, other, "b.json", "{\"v\":\t\"a\"}");
    assert_text(f->db, f->users, "a.json", "{\"v\":\"b\"}");
    assert_int_equal(look(f->db, other, "b.json").ino, document);
    store_verify(f->db);

    document = look(f->db, f->users, "a.json").ino;
    OK(rename_name(f->db, f->users, "a.json", NX_ROOT_INO, "other", NX_RENAME_EXCHANGE, &err));
    assert_text(f->db, f->users, "a.json", "{\"v\": 1}");
    assert_int_equal(look(f->db, f->users, "a.json").ino, document);
    text = file_text(f->db, one);
    assert_string_equal(text, "{\"v\":\"b\"}");
    free(text);
}

static void a_directory_crosses_the_border_only_when_nothing_must_change(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino nested = make_collection(f->db, "users/nested"), file;

    OK(put_text(f->db, nested, "a.json", "{}", NX_PUT_INSERT, &err));
    FAILS(NX_EXDEV, rename_name(f->db, NX_ROOT_INO, "users", NX_ROOT_INO, ".users", 0, &err));
    OK(delete_document(f->db, nested, "a.json", &err));
    OK(rename_name(f->db, NX_ROOT_INO, "users", NX_ROOT_INO, ".users", 0, &err));
    assert_int_equal(stat_of(f->db, nested).kind, NX_KIND_DIRECTORY);
    assert_int_equal(stat_of(f->db, f->users).kind, NX_KIND_DIRECTORY);
    store_verify(f->db);
    file = make_file(f->db, nested, "a.json", "plain here");
    FAILS(NX_EXDEV, rename_name(f->db, NX_ROOT_INO, ".users", NX_ROOT_INO, "users", 0, &err));
    OK(unlink_name(f->db, nested, "a.json", &err));
    OK(rename_name(f->db, NX_ROOT_INO, ".users", NX_ROOT_INO, "users", 0, &err));
    assert_int_equal(stat_of(f->db, nested).kind, NX_KIND_COLLECTION);
    (void)file;
}

/* --- data of plain files ---------------------------------------------------------------------- */

static void a_file_keeps_what_is_written_where_it_is_written(void **state)
{
    enum { SIZE = 300000 };
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino ino = make_node(f->db, f->users, "file", NX_KIND_FILE);
    uint8_t *model = calloc(1, SIZE), *found = calloc(1, SIZE), data[70000];
    uint64_t seed = 42, size = 0;
    size_t got;

    for (int i = 0; i < 200; i++) {
        uint64_t at, len;

        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        at = (seed >> 33) % SIZE;
        len = (seed >> 20) % (i % 7 ? 2000 : sizeof data);
        len = len < SIZE - at ? len : SIZE - at;
        if (i % 10 == 9) {
            struct nx_attr values = {.size = at};

            OK(nx_db_set_attr(f->db, ino, NX_SET_SIZE, &values, NULL, NULL, &err));
            if (at < size)
                memset(model + at, 0, size - at);
            size = at;
        } else if (len > 0) {
            memset(data, i + 1, len);
            OK(nx_db_write(f->db, ino, at, data, len, NULL, NULL, &err));
            memcpy(model + at, data, len);
            size = at + len > size ? at + len : size;
        }
        assert_int_equal(stat_of(f->db, ino).size, size);
        OK(nx_db_read(f->db, NULL, ino, 0, found, SIZE, &got, &err));
        assert_int_equal(got, size);
        assert_memory_equal(found, model, size);
    }
    store_verify(f->db);
    OK(nx_db_read(f->db, NULL, ino, size, found, 10, &got, &err));
    assert_int_equal(got, 0);
    FAILS(NX_ETOOBIG, nx_db_write(f->db, ino, INT64_MAX, data, 10, NULL, NULL, &err));
    FAILS(NX_EISDIR, nx_db_read(f->db, NULL, f->users, 0, found, 1, &got, &err));
    free(model);
    free(found);
}

static void a_hole_costs_nothing(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino ino = make_file(f->db, f->users, "sparse", "begin");
    char end[4];
    size_t got;

    OK(nx_db_write(f->db, ino, 1ull << 50, "end", 3, NULL, NULL, &err));
    assert_true(stat_of(f->db, ino).size == (1ull << 50) + 3);
    OK(nx_db_read(f->db, NULL, ino, (1ull << 50) - 1, end, 4, &got, &err));
    assert_int_equal(got, 4);
    assert_memory_equal(end, "\0end", 4);
}

static void an_open_file_outlives_its_name(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino ino = make_file(f->db, f->users, "file", "data");
    nx_ino left = make_file(f->db, f->users, "left", "data");
    struct nx_attr attr;
    char *text;

    nx_db_pin(f->db, ino);
    nx_db_pin(f->db, ino);
    nx_db_pin(f->db, left);
    OK(unlink_name(f->db, f->users, "file", &err));
    OK(unlink_name(f->db, f->users, "left", &err));
    store_verify(f->db);
    assert_int_equal(stat_of(f->db, ino).nlink, 0);
    FAILS(NX_ENOTFOUND, nx_db_link(f->db, ino, f->users, "back", 4, NULL, NULL, &err));
    OK(nx_db_write(f->db, ino, 4, "!", 1, NULL, NULL, &err));
    nx_db_unpin(f->db, ino);
    text = file_text(f->db, ino);
    assert_string_equal(text, "data!");
    free(text);
    nx_db_unpin(f->db, ino);
    FAILS(NX_ENOTFOUND, nx_db_stat(f->db, NULL, ino, &attr, &err));
    store_reopen(f); /* `left` was still open */
    FAILS(NX_ENOTFOUND, nx_db_stat(f->db, NULL, left, &attr, &err));
}

static void an_open_file_renamed_to_a_document_stays_for_its_handle(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino ino = make_file(f->db, f->users, "file", "{\"v\":1}");
    char *text;

    nx_db_pin(f->db, ino);
    OK(rename_name(f->db, f->users, "file", f->users, "a.json", 0, &err));
    assert_int_not_equal(look(f->db, f->users, "a.json").ino, ino);
    text = file_text(f->db, ino);
    assert_string_equal(text, "{\"v\":1}");
    free(text);
    nx_db_unpin(f->db, ino);
    assert_json(f->db, f->users, "a.json", "{\"_id\":\"a\",\"v\":1}");
}

static void a_rename_can_refuse_to_replace_what_is_newer_than_its_source(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr = {.mode = 0600};

    OK(put_text(f->db, f->users, "a.json", "{\"v\":1}", NX_PUT_INSERT, &err));
    make_file(f->db, f->users, "file", "{\"v\":2}");
    OK(put_text(f->db, f->users, "b.json", "{\"v\":3}", NX_PUT_INSERT, &err));
    OK(put_text(f->db, f->users, "a.json", "{\"v\":4}", NX_PUT_REPLACE, &err));
    FAILS(NX_ECONFLICT,
          rename_name(f->db, f->users, "file", f->users, "a.json", NX_RENAME_IF_OLDER, &err));
    FAILS(NX_ECONFLICT,
          rename_name(f->db, f->users, "b.json", f->users, "a.json", NX_RENAME_IF_OLDER, &err));
    FAILS(NX_EINVAL, rename_name(f->db, f->users, "b.json", f->users, "a.json",
                                 NX_RENAME_IF_OLDER | NX_RENAME_EXCHANGE, &err));
    assert_json(f->db, f->users, "a.json", "{\"_id\":\"a\",\"v\":4}");
    make_file(f->db, f->users, "later", "{\"v\":5}");
    OK(nx_db_set_attr(f->db, look(f->db, f->users, "a.json").ino, NX_SET_MODE, &attr, NULL, NULL,
                      &err)); /* no new content */
    OK(rename_name(f->db, f->users, "later", f->users, "a.json", NX_RENAME_IF_OLDER, &err));
    OK(rename_name(f->db, f->users, "file", f->users, "new.json", NX_RENAME_IF_OLDER, &err));
    OK(rename_name(f->db, f->users, "a.json", f->users, "plain", NX_RENAME_IF_OLDER, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_plain_file_replaces_another),
        BOTH(a_directory_moves_with_all_in_it_and_not_below_itself),
        BOTH(a_plain_file_renamed_to_a_document_is_one),
        BOTH(a_bad_file_does_not_become_a_document),
        BOTH(a_document_renamed_away_is_a_file_and_its_name_gets_its_number_back),
        cmocka_unit_test_setup_teardown(a_number_is_remembered_for_two_seconds, store_setup_sim,
                                        store_teardown),
        BOTH(a_document_renamed_to_another_id_keeps_its_bytes),
        BOTH(an_exchange_swaps_what_the_names_stand_for),
        BOTH(a_directory_crosses_the_border_only_when_nothing_must_change),
        BOTH(a_file_keeps_what_is_written_where_it_is_written),
        BOTH(a_hole_costs_nothing),
        BOTH(an_open_file_outlives_its_name),
        BOTH(an_open_file_renamed_to_a_document_stays_for_its_handle),
        BOTH(a_rename_can_refuse_to_replace_what_is_newer_than_its_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

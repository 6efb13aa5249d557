/* Extended attributes: what can be set and read, and that they go where their file goes. */
#include <stdio.h>
#include <string.h>

#include "store_fixture.h"

static enum nx_code set(struct store_fixture *f, nx_ino ino, const char *name, const char *value,
                        unsigned flags, struct nx_err *err)
{
    return nx_db_xattr_set(f->db, ino, nx_slice_str(name), nx_slice_str(value), flags, NULL, err);
}

static void assert_value(struct store_fixture *f, const struct nx_snapshot *snapshot, nx_ino ino,
                         const char *name, const char *value)
{
    struct nx_buf found NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc = nx_db_xattr_get(f->db, snapshot, ino, nx_slice_str(name), &found, &err);

    expect(value ? NX_OK : NX_ENODATA, rc, &err);
    if (value)
        assert_true(nx_slice_equal(nx_buf_slice(&found), nx_slice_str(value)));
}

/* `names` separated by blanks. */
static void assert_names(struct store_fixture *f, nx_ino ino, const char *names)
{
    struct nx_buf found NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;

    OK(nx_db_xattr_list(f->db, NULL, ino, &found, &err));
    for (size_t i = 0; i < found.len; i++)
        found.data[i] = found.data[i] ? found.data[i] : ' ';
    OK(nx_buf_append_byte(&found, 0));
    assert_string_equal((char *)found.data, names);
}

static void a_value_is_set_replaced_and_removed(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino file = make_file(f->db, f->users, "f", "text");
    int64_t before = stat_of(f->db, file).ctime_ns;

    assert_names(f, file, "");
    assert_value(f, NULL, file, "user.a", NULL);
    FAILS(NX_ENODATA, set(f, file, "user.a", "1", NX_XATTR_REPLACE, &err));
    store_tick(f, 1000);
    OK(set(f, file, "user.b", "2", NX_XATTR_CREATE, &err));
    assert_true(stat_of(f->db, file).ctime_ns > before);
    OK(set(f, file, "user.a", "", 0, &err));
    FAILS(NX_EEXISTS, set(f, file, "user.a", "1", NX_XATTR_CREATE, &err));
    OK(set(f, file, "user.b", "longer than before", NX_XATTR_REPLACE, &err));
    assert_names(f, file, "user.a user.b ");
    assert_value(f, NULL, file, "user.a", "");
    store_reopen(f);
    assert_value(f, NULL, file, "user.b", "longer than before");
    OK(nx_db_xattr_remove(f->db, file, nx_slice_str("user.b"), NULL, &err));
    FAILS(NX_ENODATA, nx_db_xattr_remove(f->db, file, nx_slice_str("user.b"), NULL, &err));
    assert_names(f, file, "user.a ");
    OK(nx_db_xattr_remove(f->db, file, nx_slice_str("user.a"), NULL, &err));
    assert_names(f, file, "");
}

static void every_kind_of_node_has_them(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr = {.kind = NX_KIND_SYMLINK};
    nx_ino nodes[6] = {NX_ROOT_INO, f->users};
    uint64_t revision;

    OK(put_text(f->db, f->users, "a.json", "{}", NX_PUT_INSERT, &err));
    nodes[2] = look(f->db, f->users, "a.json").ino;
    nodes[3] = make_node(f->db, f->users, "draft.json", NX_KIND_FILE)
                   ? look(f->db, f->users, "draft.json").ino
                   : 0;
    nodes[4] = make_node(f->db, f->users, "fifo", NX_KIND_FIFO);
    OK(nx_db_create(f->db, f->users, "link", 4, nx_slice_str("to"), NULL, &attr, &err));
    nodes[5] = attr.ino;
    revision = stat_of(f->db, nodes[2]).revision;
    for (size_t i = 0; i < 6; i++)
        OK(set(f, nodes[i], "trusted.x", "v", 0, &err));
    for (size_t i = 0; i < 6; i++)
        assert_value(f, NULL, nodes[i], "trusted.x", "v");
    assert_int_equal(stat_of(f->db, nodes[2]).revision, revision); /* the content is the same */
    OK(put_text(f->db, f->users, "a.json", "{\"v\":2}", NX_PUT_REPLACE, &err));
    assert_value(f, NULL, nodes[2], "trusted.x", "v");
    FAILS(NX_ENOTFOUND, set(f, 99999, "user.a", "v", 0, &err));
}

static void limits_hold(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino file = make_file(f->db, f->users, "f", "text");
    char name[NX_XATTR_NAME_MAX + 2];
    char *value = calloc(1, NX_XATTR_VALUE_MAX + 2);
    enum nx_code rc = NX_OK;
    int count = 0;

    memset(name, 'n', sizeof name);
    name[NX_XATTR_NAME_MAX + 1] = 0;
    FAILS(NX_ENAMETOOLONG, set(f, file, name, "v", 0, &err));
    name[NX_XATTR_NAME_MAX] = 0;
    OK(set(f, file, name, "v", 0, &err));
    FAILS(NX_EINVAL, set(f, file, "", "v", 0, &err));
    memset(value, 'v', NX_XATTR_VALUE_MAX + 1);
    FAILS(NX_ETOOBIG, set(f, file, "user.v", value, 0, &err));
    value[NX_XATTR_VALUE_MAX] = 0;
    for (; rc == NX_OK; count++) {
        snprintf(name, sizeof name, "user.%d", count);
        rc = set(f, file, name, value, 0, &err);
    }
    assert_int_equal(rc, NX_ETOOBIG);
    assert_int_equal(count, NX_XATTR_TOTAL_MAX / NX_XATTR_VALUE_MAX);
    assert_value(f, NULL, file, "user.0", value);
    free(value);
}

static void they_follow_a_file_that_becomes_a_document_and_back(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    OK(put_text(f->db, f->users, "a.json", "{\"old\":1}", NX_PUT_INSERT, &err));
    OK(set(f, look(f->db, f->users, "a.json").ino, "user.old", "v", 0, &err));
    OK(set(f, make_file(f->db, f->users, ".tmp", "{\"new\":1}"), "user.new", "v", 0, &err));
    OK(rename_name(f->db, f->users, ".tmp", f->users, "a.json", 0, &err));
    assert_names(f, look(f->db, f->users, "a.json").ino, "user.new ");
    OK(rename_name(f->db, f->users, "a.json", f->users, "b.json", 0, &err));
    OK(rename_name(f->db, f->users, "b.json", f->users, "plain", 0, &err));
    assert_names(f, look(f->db, f->users, "plain").ino, "user.new ");
    OK(nx_db_link(f->db, look(f->db, f->users, "plain").ino, f->users, "second", 6, NULL, NULL,
                  &err));
    OK(rename_name(f->db, f->users, "plain", f->users, "c.json", 0, &err));
    assert_names(f, look(f->db, f->users, "c.json").ino, "user.new ");
    assert_names(f, look(f->db, f->users, "second").ino, "user.new ");
    make_node(f->db, f->users, "a.json", NX_KIND_FILE); /* the old name, a new file */
    assert_names(f, look(f->db, f->users, "a.json").ino, "");
}

static void an_exchange_exchanges_them(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    OK(put_text(f->db, f->users, "a.json", "{}", NX_PUT_INSERT, &err));
    OK(put_text(f->db, f->users, "b.json", "{\"b\":1}", NX_PUT_INSERT, &err));
    OK(set(f, look(f->db, f->users, "a.json").ino, "user.a", "v", 0, &err));
    OK(set(f, look(f->db, f->users, "b.json").ino, "user.b", "v", 0, &err));
    OK(rename_name(f->db, f->users, "a.json", f->users, "b.json", NX_RENAME_EXCHANGE, &err));
    assert_names(f, look(f->db, f->users, "a.json").ino, "user.b ");
    assert_names(f, look(f->db, f->users, "b.json").ino, "user.a ");
    OK(set(f, make_file(f->db, f->users, "plain", "{}"), "user.p", "v", 0, &err));
    OK(rename_name(f->db, f->users, "plain", f->users, "a.json", NX_RENAME_EXCHANGE, &err));
    assert_names(f, look(f->db, f->users, "a.json").ino, "user.p ");
    assert_names(f, look(f->db, f->users, "plain").ino, "user.b ");
}

/* A record that stays is an error of I10: the teardown verifies. */
static void they_go_with_their_node(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino sub = make_collection(f->db, "users/sub"), file = make_file(f->db, sub, "f", "text");

    OK(set(f, file, "user.a", "v", 0, &err));
    OK(unlink_name(f->db, sub, "f", &err));
    FAILS(NX_ENOTFOUND, set(f, file, "user.a", "v", 0, &err));
    file = make_file(f->db, sub, "open", "text");
    nx_db_pin(f->db, file);
    OK(set(f, file, "user.a", "v", 0, &err));
    OK(unlink_name(f->db, sub, "open", &err));
    assert_value(f, NULL, file, "user.a", "v");
    nx_db_unpin(f->db, file);
    OK(put_text(f->db, sub, "a.json", "{}", NX_PUT_INSERT, &err));
    OK(put_text(f->db, sub, "b.json", "{}", NX_PUT_INSERT, &err));
    OK(put_text(f->db, sub, "c.json", "{}", NX_PUT_INSERT, &err));
    for (const char *name = "abc"; *name; name++) {
        const char path[] = {*name, '.', 'j', 's', 'o', 'n', 0};

        OK(set(f, look(f->db, sub, path).ino, "user.a", "v", 0, &err));
    }
    OK(delete_document(f->db, sub, "a.json", &err));
    OK(rename_name(f->db, sub, "b.json", sub, "c.json", 0, &err));
    store_verify(f->db);
    OK(set(f, sub, "user.a", "v", 0, &err));
    OK(set(f, make_file(f->db, sub, "g", "text"), "user.a", "v", 0, &err));
    OK(nx_db_drop(f->db, sub, NULL, &err));
    trash_settled(f->db);
    sub = make_collection(f->db, "users/empty");
    OK(set(f, sub, "user.a", "v", 0, &err));
    OK(nx_db_rmdir(f->db, f->users, "empty", 5, NULL, &err));
}

static void a_picture_keeps_what_they_were(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino file = make_file(f->db, f->users, "f", "text");
    struct nx_snapshot *before = nx_snapshot_take(nx_db_engine(f->db)), *after;

    OK(set(f, file, "user.a", "1", 0, &err));
    after = nx_snapshot_take(nx_db_engine(f->db));
    OK(set(f, file, "user.a", "2", 0, &err));
    assert_value(f, before, file, "user.a", NULL);
    assert_value(f, after, file, "user.a", "1");
    assert_value(f, NULL, file, "user.a", "2");
    nx_snapshot_release(before);
    nx_snapshot_release(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_value_is_set_replaced_and_removed),
        BOTH(every_kind_of_node_has_them),
        BOTH(limits_hold),
        BOTH(they_follow_a_file_that_becomes_a_document_and_back),
        BOTH(an_exchange_exchanges_them),
        BOTH(they_go_with_their_node),
        BOTH(a_picture_keeps_what_they_were),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Documents: put by text and BSON, read back byte for byte, listed, counted, refused. */
#include <stdio.h>
#include <string.h>

#include "store_fixture.h"

static void a_text_is_read_back_byte_for_byte(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"a\":1}",
        "{\"a\": 1, \"b\": [1, 2]}\n",
        "{\n  \"a\": 1.0,\n  \"b\": {\n    \"c\": null\n  }\n}\n",
        "{\n    \"a\": \"x\"\n}",
        " { \"a\" :1.50 ,\r\n\t\"b\":\"\\u0041\" } \n\n",
        "{\"_id\":\"doc\",\"a\":1}",
        "{\n  \"_id\": \"doc\",\n  \"a\": 1\n}\n",
        "{\"a\":1,\"_id\":\"doc\"}",
        "{\"_id\":\"other\",\"a\":1}\n",
        "{\"_id\":[1],\"a\":1}\n",
        "{\"n\":123456789012345678901234567890}",
    };
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        OK(put_text(f->db, f->users, "doc.json", texts[i], NX_PUT_UPSERT, &err));
        assert_text(f->db, f->users, "doc.json", texts[i]);
    }
}

static void the_name_is_the_id_whatever_the_text_says(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    OK(put_text(f->db, f->users, "bob.json", "{\"_id\":\"alice\",\"a\":1}", NX_PUT_INSERT, &err));
    assert_json(f->db, f->users, "bob.json", "{\"_id\":\"bob\",\"a\":1}");
    assert_json(f->db, f->users, "alice.json", NULL);
    OK(put_json(f->db, f->users, "42.json", "{\"a\":{},\"_id\":\"x\"}", NX_PUT_INSERT, &err));
    assert_json(f->db, f->users, "42.json", "{\"_id\":42,\"a\":{}}");
}

static void bson_reads_as_indent_2_without_id(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    OK(put_json(f->db, f->users, "a.json", "{\"_id\":\"a\",\"n\":[1,2.0],\"s\":\"\"}",
                NX_PUT_INSERT, &err));
    assert_text(f->db, f->users, "a.json",
                "{\n  \"n\": [\n    1,\n    2.0\n  ],\n  \"s\": \"\"\n}\n");
}

static void an_id_in_the_document_is_used_when_none_is_given(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_write *write;
    struct nx_id id;
    struct nx_buf name = NX_BUF_INIT;

    OK(nx_write_new(f->db, &write, &err));
    OK(nx_write_put(
        write,
        &(struct nx_put){.collection = f->users, .text = nx_slice_str("{\"x\":1,\"_id\":7}")}, &id,
        &err));
    assert_memory_equal(id.key, id_of("7.json").key, id.len);
    OK(nx_write_put(write,
                    &(struct nx_put){.collection = f->users, .text = nx_slice_str("{\"x\":2}")},
                    &id, &err));
    nx_id_to_name(&id, &name);
    assert_int_equal(name.len, 24 + 5);
    FAILS(NX_EID,
          nx_write_put(
              write, &(struct nx_put){.collection = f->users, .text = nx_slice_str("{\"_id\":[]}")},
              &id, &err));
    OK(nx_write_commit(write, NULL, NULL, &err));
    assert_int_equal(count_of(f->db, f->users), 2);
    nx_buf_fini(&name);
    nx_write_free(write);
}

static void insert_replace_and_delete_demand_what_they_say(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    FAILS(NX_ENOTFOUND, put_text(f->db, f->users, "a.json", "{}", NX_PUT_REPLACE, &err));
    assert_int_equal(err.index, 0);
    OK(put_text(f->db, f->users, "a.json", "{}", NX_PUT_INSERT, &err));
    FAILS(NX_EEXISTS, put_text(f->db, f->users, "a.json", "{}", NX_PUT_INSERT, &err));
    OK(put_text(f->db, f->users, "a.json", "{\"b\":1}", NX_PUT_REPLACE, &err));
    OK(delete_document(f->db, f->users, "a.json", &err));
    FAILS(NX_ENOTFOUND, delete_document(f->db, f->users, "a.json", &err));
    assert_int_equal(count_of(f->db, f->users), 0);
    FAILS(NX_ENOTDIR, put_text(f->db, NX_ROOT_INO, "a.json", "{}", NX_PUT_INSERT, &err));
    FAILS(NX_ENOTFOUND, put_text(f->db, 999999, "a.json", "{}", NX_PUT_INSERT, &err));
    FAILS(NX_EJSON, put_text(f->db, f->users, "a.json", "{\"a\":", NX_PUT_INSERT, &err));
}

static void a_list_is_all_or_none_and_sees_its_own_changes(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_id a = id_of("a.json"), b = id_of("b.json");
    struct nx_put put = {
        .collection = f->users, .mode = NX_PUT_INSERT, .id = &a, .text = nx_slice_str("{\"v\":1}")};
    struct nx_write_result result;
    struct nx_write *write;

    OK(nx_write_new(f->db, &write, &err));
    OK(nx_write_put(write, &put, NULL, &err));
    put.id = &b;
    OK(nx_write_put(write, &put, NULL, &err));
    put.id = &a;
    OK(nx_write_put(write, &put, NULL, &err));
    FAILS(NX_EEXISTS, nx_write_commit(write, NULL, &result, &err));
    assert_int_equal(err.index, 2);
    assert_int_equal(count_of(f->db, f->users), 0);
    assert_json(f->db, f->users, "b.json", NULL);

    nx_write_clear(write);
    OK(nx_write_put(write, &put, NULL, &err));
    OK(nx_write_delete(write, f->users, &a, 0, false, &err));
    OK(nx_write_put(write, &put, NULL, &err));
    put.mode = NX_PUT_UPSERT;
    put.text = nx_slice_str("{\"v\":2}");
    OK(nx_write_put(write, &put, NULL, &err));
    OK(nx_write_commit(write, NULL, &result, &err));
    assert_int_equal(result.inserted, 2);
    assert_int_equal(result.replaced, 1);
    assert_int_equal(result.deleted, 1);
    assert_int_equal(count_of(f->db, f->users), 1);
    assert_json(f->db, f->users, "a.json", "{\"_id\":\"a\",\"v\":2}");
    nx_write_free(write);
}

static void a_revision_changes_and_guards(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_id id = id_of("a.json");
    struct nx_write *write;
    struct nx_attr before, values = {.mode = 0600};
    uint64_t old;

    OK(put_text(f->db, f->users, "a.json", "{}", NX_PUT_INSERT, &err));
    before = look(f->db, f->users, "a.json");
    OK(nx_db_set_attr(f->db, before.ino, NX_SET_MODE, &values, NULL, NULL, &err));
    old = before.revision;
    assert_int_equal(look(f->db, f->users, "a.json").revision, old); /* of the content */
    OK(put_text(f->db, f->users, "a.json", "{\"v\":2}", NX_PUT_REPLACE, &err));
    assert_true(look(f->db, f->users, "a.json").revision > old);
    assert_int_equal(look(f->db, f->users, "a.json").mode, 0600);
    OK(nx_write_new(f->db, &write, &err));
    OK(nx_write_delete(write, f->users, &id, old, false, &err));
    FAILS(NX_ECONFLICT, nx_write_commit(write, NULL, NULL, &err));
    nx_write_clear(write);
    OK(nx_write_delete(write, f->users, &id, look(f->db, f->users, "a.json").revision, false,
                       &err));
    OK(nx_write_commit(write, NULL, NULL, &err));
    nx_write_free(write);
}

static char *long_text(size_t len)
{
    char *text = malloc(len + 1);

    memset(text, 'x', len);
    memcpy(text, "{\"s\":\"", 6);
    memcpy(text + len - 2, "\"}", 3);
    return text;
}

static void large_bodies_come_and_go(void **state)
{
    static const size_t sizes[] = {100, 5000, 100000, 50, 3000};
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *text = long_text(sizes[i]);

        OK(put_text(f->db, f->users, "a.json", text, NX_PUT_UPSERT, &err));
        assert_text(f->db, f->users, "a.json", text);
        store_verify(f->db);
        free(text);
    }
    OK(delete_document(f->db, f->users, "a.json", &err));
}

static void sixteen_mebibytes_is_the_limit(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    char *text = long_text(NX_DOC_MAX_BYTES + 1);

    FAILS(NX_ETOOBIG, put_text(f->db, f->users, "a.json", text, NX_PUT_UPSERT, &err));
    free(text);
    text = long_text(NX_DOC_MAX_BYTES - 64);
    OK(put_text(f->db, f->users, "a.json", text, NX_PUT_UPSERT, &err));
    assert_text(f->db, f->users, "a.json", text);
    free(text);
}

static void attributes_are_kept_and_given(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_id id = id_of("a.json");
    struct nx_attr attr = {.mode = 0604, .uid = 11, .gid = 12, .mtime_ns = -5, .atime_ns = 7};
    struct nx_put put = {.collection = f->users,
                         .id = &id,
                         .text = nx_slice_str("{}"),
                         .attr = &attr,
                         .attr_mask = NX_SET_MODE | NX_SET_UID | NX_SET_GID | NX_SET_MTIME};
    struct nx_write *write;
    struct nx_attr found;

    OK(nx_write_new(f->db, &write, &err));
    OK(nx_write_put(write, &put, NULL, &err));
    OK(nx_write_commit(write, NULL, NULL, &err));
    nx_write_free(write);
    found = look(f->db, f->users, "a.json");
    assert_int_equal(found.mode, 0604);
    assert_int_equal(found.uid, 11);
    assert_int_equal(found.gid, 12);
    assert_true(found.mtime_ns == -5);
    assert_true(found.ctime_ns > 0);
    OK(put_text(f->db, f->users, "a.json", "{\"b\":2}", NX_PUT_REPLACE, &err));
    assert_int_equal(look(f->db, f->users, "a.json").mode, 0604);
    assert_int_equal(look(f->db, f->users, "a.json").ino, found.ino);
    assert_true(look(f->db, f->users, "a.json").mtime_ns > 0);
}

static void a_scan_goes_in_id_order_between_bounds(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_id lower = id_of("10.json"), upper = id_of("20.json");
    struct nx_scan_range range = {
        .lower = &lower, .lower_exclusive = true, .upper = &upper, .backward = true};
    struct nx_document doc;
    struct nx_scan *scan;
    char name[32], text[64];
    int32_t at = 20;

    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "%d.json", i);
        snprintf(text, sizeof text, "{\"i\":%d}", i);
        OK(put_text(f->db, f->users, name, text, NX_PUT_INSERT, &err));
    }
    make_node(f->db, f->users, "15x.json", NX_KIND_FILE); /* a draft is no document */
    OK(nx_scan_open(f->db, NULL, f->users, &range, &scan, &err));
    while (nx_scan_next(scan, &doc, &err) == NX_OK) {
        struct nx_value i = nx_doc_get_z(doc.bson, "i"), id = nx_doc_get_z(doc.bson, "_id");

        assert_int_equal(i.i32, at);
        assert_int_equal(id.i32, at);
        at--;
    }
    assert_int_equal(at, 10);
    FAILS(NX_DONE, nx_scan_next(scan, &doc, &err));
    nx_scan_close(scan);
}

static void a_snapshot_keeps_its_picture(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_id id = id_of("a.json");
    struct nx_snapshot *snapshot;
    struct nx_document doc;
    uint64_t count;

    OK(put_text(f->db, f->users, "a.json", "{\"v\":1}", NX_PUT_INSERT, &err));
    snapshot = nx_snapshot_take(nx_db_engine(f->db));
    OK(put_text(f->db, f->users, "a.json", "{\"v\":2}", NX_PUT_REPLACE, &err));
    OK(put_text(f->db, f->users, "b.json", "{\"v\":2}", NX_PUT_INSERT, &err));
    OK(nx_db_drop(f->db, f->users, NULL, &err));
    OK(nx_document_get(f->db, snapshot, f->users, &id, &buf, &doc, &err));
    assert_int_equal(nx_doc_get_z(doc.bson, "v").i32, 1);
    OK(nx_document_count(f->db, snapshot, f->users, &count, &err));
    assert_int_equal(count, 1);
    FAILS(NX_ENOTFOUND, nx_document_get(f->db, NULL, f->users, &id, &buf, &doc, &err));
    FAILS(NX_ENOTFOUND, nx_document_count(f->db, NULL, f->users, &count, &err));
    FAILS(NX_ENOTFOUND, put_text(f->db, f->users, "c.json", "{}", NX_PUT_INSERT, &err));
    nx_snapshot_release(snapshot);
}

static void a_draft_is_listed_but_no_document(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino ino = make_node(f->db, f->users, "d.json", NX_KIND_FILE);

    assert_int_equal(look(f->db, f->users, "d.json").kind, NX_KIND_DRAFT);
    assert_int_equal(count_of(f->db, f->users), 0);
    assert_json(f->db, f->users, "d.json", NULL);
    assert_text(f->db, f->users, "d.json", "");
    FAILS(NX_ENOTFOUND, put_text(f->db, f->users, "d.json", "{}", NX_PUT_REPLACE, &err));
    OK(put_text(f->db, f->users, "d.json", "{\"a\":1}", NX_PUT_INSERT, &err));
    assert_int_equal(look(f->db, f->users, "d.json").ino, ino);
    assert_int_equal(look(f->db, f->users, "d.json").mode, 0640);
    assert_int_equal(count_of(f->db, f->users), 1);
    assert_int_equal(stat_of(f->db, f->users).size, 1);
    FAILS(NX_ENAME, nx_db_create(f->db, f->users, "%41.json", 8, NX_SLICE_NULL, NULL,
                                 &(struct nx_attr){.kind = NX_KIND_FILE}, &err));
    assert_non_null(strstr(err.message, "A.json"));
}

static void everything_is_there_after_reopening(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino last;

    OK(put_text(f->db, f->users, "a.json", "{\"v\": 1}", NX_PUT_INSERT, &err));
    make_file(f->db, f->users, "notes.txt", "hello");
    last = make_node(f->db, f->users, "d.json", NX_KIND_FILE);
    store_reopen(f);
    assert_text(f->db, f->users, "a.json", "{\"v\": 1}");
    assert_int_equal(count_of(f->db, f->users), 1);
    assert_true(make_node(f->db, f->users, "e.json", NX_KIND_FILE) > last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_text_is_read_back_byte_for_byte),
        BOTH(the_name_is_the_id_whatever_the_text_says),
        BOTH(bson_reads_as_indent_2_without_id),
        BOTH(an_id_in_the_document_is_used_when_none_is_given),
        BOTH(insert_replace_and_delete_demand_what_they_say),
        BOTH(a_list_is_all_or_none_and_sees_its_own_changes),
        BOTH(a_revision_changes_and_guards),
        BOTH(large_bodies_come_and_go),
        BOTH(sixteen_mebibytes_is_the_limit),
        BOTH(attributes_are_kept_and_given),
        BOTH(a_scan_goes_in_id_order_between_bounds),
        BOTH(a_snapshot_keeps_its_picture),
        BOTH(a_draft_is_listed_but_no_document),
        BOTH(everything_is_there_after_reopening),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

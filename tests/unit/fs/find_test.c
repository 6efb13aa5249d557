/* Result directories: what a component says, and the table they are kept in. */
#include <stdio.h>

#include <nexadb/json.h>

#include "fs/find.h"
#include "fs/magic.h"
#include "tests/support/unit.h"

/* --- components ------------------------------------------------------------------------------- */

static void assert_json(struct nx_slice bson, const char *expected)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    assert_int_equal(nx_json_write(bson, false, NX_JSON_EXACT, 0, NULL, &text), NX_OK);
    assert_int_equal(nx_buf_append_byte(&text, 0), NX_OK);
    assert_string_equal((char *)text.data, expected);
}

static void assert_asks(const char *component, const char *filter)
{
    struct find_query query = {0};

    assert_int_equal(find_text_kind(component), FIND_IS_QUERY);
    assert_int_equal(find_text_add(&query, component, NULL), NX_OK);
    assert_json(nx_buf_slice(&query.filters), filter);
    find_text_fini(&query);
}

static void the_leftmost_longest_operator_splits(void **state)
{
    (void)state;
    assert_asks("a=1", "{\"a\":{\"$eq\":1}}");
    assert_asks("a!=1", "{\"a\":{\"$ne\":1}}");
    assert_asks("a>1", "{\"a\":{\"$gt\":1}}");
    assert_asks("a>=1", "{\"a\":{\"$gte\":1}}");
    assert_asks("a<1", "{\"a\":{\"$lt\":1}}");
    assert_asks("a<=1", "{\"a\":{\"$lte\":1}}");
    assert_asks("a~^x", "{\"a\":{\"$regex\":\"^x\"}}");
    assert_asks("a?", "{\"a\":{\"$exists\":true}}");
    assert_asks("a=>1", "{\"a\":{\"$eq\":\">1\"}}");
    assert_asks("a>b=c", "{\"a\":{\"$gt\":\"b=c\"}}");
    assert_asks("a=b?", "{\"a\":{\"$eq\":\"b?\"}}");
    assert_asks("a!b=1", "{\"a!b\":{\"$eq\":1}}");
    assert_asks("a?b=1", "{\"a?b\":{\"$eq\":1}}");
    assert_asks("a.b.0=1", "{\"a.b.0\":{\"$eq\":1}}");
}

static void a_value_is_json_or_a_string(void **state)
{
    (void)state;
    assert_asks("a=", "{\"a\":{\"$eq\":\"\"}}");
    assert_asks("a=\"1\"", "{\"a\":{\"$eq\":\"1\"}}");
    assert_asks("a=1.5", "{\"a\":{\"$eq\":1.5}}");
    assert_asks("a=01", "{\"a\":{\"$eq\":\"01\"}}");
    assert_asks("a=null", "{\"a\":{\"$eq\":null}}");
    assert_asks("a=1,2", "{\"a\":{\"$eq\":\"1,2\"}}");
    assert_asks("a=[1,\"x\"]", "{\"a\":{\"$eq\":[1,\"x\"]}}");
    assert_asks("a={\"b\":1}", "{\"a\":{\"$eq\":{\"b\":1}}}");
    assert_asks("a={\"$date\":\"2020-01-01T00:00:00Z\"}",
                "{\"a\":{\"$eq\":{\"$date\":\"2020-01-01T00:00:00.000Z\"}}}");
    assert_asks("a~12", "{\"a\":{\"$regex\":\"12\"}}");
    assert_asks("a~\"12\"", "{\"a\":{\"$regex\":\"12\"}}");
}

static void percent_codes_are_decoded_first(void **state)
{
    (void)state;
    assert_asks("a=%2F%25", "{\"a\":{\"$eq\":\"/%\"}}");
    assert_asks("%61%3d%33", "{\"a\":{\"$eq\":3}}");
    assert_asks("a=x%2Ejson", "{\"a\":{\"$eq\":\"x.json\"}}");
    assert_asks("a=%22%5Cu0000%22", "{\"a\":{\"$eq\":\"\\u0000\"}}");
    assert_asks("a=%00", "{\"a\":{\"$eq\":\"\\u0000\"}}");
    assert_asks("%40json={\"a\":1}", "{\"a\":1}");
}

static void names_that_tools_leave_are_no_queries(void **state)
{
    static const char *const names[] = {"4913",    "sedAbC123",  ".x.json.swp", ".a=b.json.Xy12Z",
                                        "x.json~", "x.json.~1~", "#x.json#",    "notes.txt",
                                        "100%",    "a?b",        ".find",       "x.jsonl",
                                        ""};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(find_text_kind(names[i]), FIND_IS_NAME);
    assert_int_equal(find_text_kind("a.json"), FIND_IS_DOCUMENT);
    assert_int_equal(find_text_kind("a=b.json"), FIND_IS_DOCUMENT);
    assert_int_equal(find_text_kind("@x.json"), FIND_IS_DOCUMENT);
    assert_int_equal(find_text_kind("@x"), FIND_IS_QUERY);
    assert_int_equal(find_text_kind("a=%zz"), FIND_IS_QUERY);
    assert_int_equal(find_text_kind("?"), FIND_IS_QUERY);
}

static void wrong_components_are_refused(void **state)
{
    static const char *const all[] = {"=1",
                                      "?",
                                      ".a=1",
                                      "a.=1",
                                      "a..b=1",
                                      "$or=1",
                                      "a=%",
                                      "a=%f",
                                      "a=%zz",
                                      "a=%ff",
                                      "a%00=1",
                                      "@",
                                      "@sort",
                                      "@sort=",
                                      "@sort=a,,b",
                                      "@x=1",
                                      "@sort>a",
                                      "@limit=",
                                      "@limit=0",
                                      "@limit=1x",
                                      "@skip=-1",
                                      "@skip=9223372036854775808",
                                      "@json=1",
                                      "@json={\"a\":1",
                                      "@fields={\"a\"",
                                      "@fields=%ff"};

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct find_query query = {0};
        struct nx_err err = NX_ERR_INIT;

        assert_int_not_equal(find_text_add(&query, all[i], &err), NX_OK);
        assert_true(err.message[0]);
        find_text_fini(&query);
    }
}

static void components_add_up(void **state)
{
    static const char *const path[] = {"a=1",     "@sort=-b,c", "b>2",          "@limit=5",
                                       "@skip=3", "@limit=7",   "@fields=a,-b", "@sort=d"};
    struct find_query query = {0}, copy;
    struct nx_buf filter NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    assert_int_equal(find_text_filter(&query, &filter, NULL), NX_OK);
    assert_int_equal(filter.len, 0);
    for (size_t i = 0; i < sizeof path / sizeof path[0]; i++)
        assert_int_equal(find_text_add(&query, path[i], NULL), NX_OK);
    assert_int_equal(find_text_copy(&query, &copy, NULL), NX_OK);
    find_text_fini(&query);
    assert_int_equal(find_text_filter(&copy, &filter, NULL), NX_OK);
    assert_json(nx_buf_slice(&filter), "{\"$and\":[{\"a\":{\"$eq\":1}},{\"b\":{\"$gt\":2}}]}");
    assert_json(nx_buf_slice(&copy.sort), "{\"d\":1}");
    assert_json(nx_buf_slice(&copy.projection), "{\"a\":1,\"b\":0}");
    assert_int_equal(copy.skip, 3);
    assert_int_equal(copy.limit, 7);
    find_text_fini(&copy);
}

static void a_query_has_a_size(void **state)
{
    struct find_query query = {0};
    char component[FIND_COMPONENT_MAX + 1] = "a=";
    enum nx_code rc;
    int count = 0;

    (void)state;
    memset(component + 2, 'x', FIND_COMPONENT_MAX - 2);
    do
        rc = find_text_add(&query, component, NULL);
    while (rc == NX_OK && ++count < 100);
    assert_int_equal(rc, NX_EQUERY);
    assert_in_range(count, 12, 16);
    find_text_fini(&query);
}

/* --- numbers and the table -------------------------------------------------------------------- */

static void numbers_tell_what_they_are_of(void **state)
{
    fuse_ino_t dir = place_find_ino(32767), file = dir | 123456789;
    const struct magic *magic;
    fuse_ino_t count = magic_ino(MAGIC_COUNT, dir);

    (void)state;
    assert_true(place_is_find(dir) && place_is_find(file) && place_is_find(count));
    assert_true(magic_is(dir));
    assert_int_equal(place_snapshot(dir), 0);
    assert_true(place_find_dir(file) == dir && magic_dir(count) == dir);
    assert_int_equal(magic_of(count, &magic, NULL), NX_OK);
    assert_int_equal(magic_kind_of(magic), MAGIC_COUNT);
    assert_int_equal(magic_of(dir, &magic, NULL), NX_ENOTFOUND);
    assert_int_equal(magic_of(file, &magic, NULL), NX_ENOTFOUND);
    assert_false(place_is_find(magic_ino(MAGIC_FIND, place_ino(NX_SNAPSHOTS_MAX, 5))));
}

static fuse_ino_t root_of(struct fs *fs, fuse_ino_t collection)
{
    struct find_dir *dir;
    fuse_ino_t ino;

    assert_int_equal(find_root(fs, collection, &dir, NULL), NX_OK);
    assert_true(dir->base == collection && dir->filter.len == 0);
    ino = dir->ino;
    find_put(dir);
    return ino;
}

static bool is_kept(struct fs *fs, fuse_ino_t ino)
{
    struct find_dir *dir = find_get(fs, ino);

    find_put(dir);
    return dir != NULL;
}

static void the_least_recently_used_directory_goes(void **state)
{
    struct fs fs = {.finds = finds_new()};
    fuse_ino_t first = root_of(&fs, 2), second = root_of(&fs, 3), last = 0;
    struct find_dir *held = find_get(&fs, second);

    (void)state;
    assert_true(root_of(&fs, 2) == first && first != second);
    for (fuse_ino_t i = 0; i < FIND_DIRS_MAX - 1; i++) {
        last = root_of(&fs, 100 + i);
        assert_true(is_kept(&fs, first)); /* and used */
    }
    assert_false(is_kept(&fs, second));
    assert_true(is_kept(&fs, last));
    assert_true(held->base == 3); /* a reference outlives the table's */
    find_put(held);
    assert_true(root_of(&fs, 3) != second);
    for (fuse_ino_t i = 0; i < 3 * FIND_DIRS_MAX; i++)
        root_of(&fs, 100000 + i);
    finds_free(fs.finds);
}

static void a_forgotten_directory_gets_another_number(void **state)
{
    struct fs fs = {.finds = finds_new()};
    fuse_ino_t before = root_of(&fs, 2);

    (void)state;
    find_forget(&fs, 2, "");
    find_forget(&fs, 2, "nobody");
    assert_false(is_kept(&fs, before));
    assert_true(root_of(&fs, 2) != before);
    finds_free(fs.finds);
}

static void touched_names_are_known_until_others_push_them_out(void **state)
{
    struct fs fs = {.finds = finds_new()};
    struct find_dir *dir;
    char name[32];

    (void)state;
    assert_int_equal(find_root(&fs, 2, &dir, NULL), NX_OK);
    assert_false(find_is_touched(&fs, dir, "a.json"));
    find_touch(&fs, dir, "a.json");
    assert_true(find_is_touched(&fs, dir, "a.json"));
    assert_false(find_is_touched(&fs, dir, "b.json"));
    for (int i = 0; i < FIND_TOUCHED_MAX; i++) {
        snprintf(name, sizeof name, "%d.json", i);
        find_touch(&fs, dir, name);
    }
    assert_true(find_is_touched(&fs, dir, "0.json"));
    assert_false(find_is_touched(&fs, dir, "a.json"));
    find_put(dir);
    finds_free(fs.finds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_leftmost_longest_operator_splits),
        cmocka_unit_test(a_value_is_json_or_a_string),
        cmocka_unit_test(percent_codes_are_decoded_first),
        cmocka_unit_test(names_that_tools_leave_are_no_queries),
        cmocka_unit_test(wrong_components_are_refused),
        cmocka_unit_test(components_add_up),
        cmocka_unit_test(a_query_has_a_size),
        cmocka_unit_test(numbers_tell_what_they_are_of),
        cmocka_unit_test(the_least_recently_used_directory_goes),
        cmocka_unit_test(a_forgotten_directory_gets_another_number),
        cmocka_unit_test(touched_names_are_known_until_others_push_them_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

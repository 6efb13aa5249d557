/* path_test.c - which values a dotted path reaches, through objects, arrays and indexes. */
#include <stdlib.h>

#include <nexadb/json.h>

#include "doc/path.h"
#include "tests/support/unit.h"

struct reached {
    struct nx_buf text; /* the values as JSON, a blank between; '-' for missing */
    unsigned stop_after;
    unsigned count;
};

static bool collect(void *arg, const struct nx_value *value)
{
    struct reached *r = arg;

    if (r->text.len)
        nx_buf_append_byte(&r->text, ' ');
    if (value->type == NX_TYPE_MISSING)
        nx_buf_append_byte(&r->text, '-');
    else
        nx_json_write_value(value, NX_JSON_RELAXED, &r->text);
    return ++r->count == r->stop_after;
}

static void parse(const char *text, struct nx_buf *out)
{
    assert_int_equal(nx_json_parse(text, strlen(text), NX_JSON_QUERY, 0, out, NULL, NULL), NX_OK);
}

/* A document, a path, what path_each reaches, what path_each_expanded reaches, the plain value. */
static const struct {
    const char *doc, *path, *each, *expanded, *plain;
} cases[] = {
    {"{'a':1}", "a", "1", "1", "1"},
    {"{'a':1}", "b", "-", "-", "-"},
    {"{'a':1}", "a.b", "-", "-", "-"},
    {"{'a':null}", "a.b", "-", "-", "-"},
    {"{'a':{'b':{'c':7}}}", "a.b.c", "7", "7", "7"},
    {"{'a':{'b':1}}", "a.c", "-", "-", "-"},
    {"{'a':[1,2]}", "a", "[1,2]", "1 2 [1,2]", "[1,2]"},
    {"{'a':[]}", "a", "[]", "[]", "[]"},
    {"{'a':[1,2]}", "a.b", "", "", "-"},
    {"{'a':[]}", "a.b", "", "", "-"},
    {"{'a':[{'b':1},{'c':2},3]}", "a.b", "1 -", "1 -", "-"},
    {"{'a':[{'b':[1,2]},{'b':3}]}", "a.b", "[1,2] 3", "1 2 [1,2] 3", "-"},
    {"{'a':[[{'b':1}]]}", "a.b", "", "", "-"},
    {"{'a':[5,7]}", "a.1", "7", "7", "7"},
    {"{'a':[5,7]}", "a.2", "", "", "-"},
    {"{'a':[5,7]}", "a.01", "", "", "-"},
    {"{'a':[[1,2],3]}", "a.0", "[1,2]", "[1,2]", "[1,2]"},
    {"{'a':[[1,2],3]}", "a.0.1", "2", "2", "2"},
    {"{'a':[5,{'1':4},3]}", "a.1", "4 {\"1\":4}", "4 {\"1\":4}", "{\"1\":4}"},
    {"{'a':[5,{'b':4},3]}", "a.1.b", "- 4", "- 4", "4"},
    {"{'a':[5,[{'b':4}],3]}", "a.1.b", "4", "4", "-"},
    {"{'a':{'0':{'b':1}}}", "a.0.b", "1", "1", "1"},
    {"{'a':[{'b':[{'c':1},{'c':2}]},{'b':{'c':3}}]}", "a.b.c", "1 2 3", "1 2 3", "-"},
};

static void quote(const char *text, struct nx_buf *out)
{
    nx_buf_append_str(out, text);
    for (size_t i = 0; i < out->len; i++)
        if (out->data[i] == '\'')
            out->data[i] = '"';
    nx_buf_append_byte(out, 0);
}

typedef bool (*each_fn)(const struct path *path, struct nx_slice doc, path_fn fn, void *arg);

static void assert_reaches(each_fn each, const struct path *path, struct nx_slice doc,
                           const char *expected)
{
    struct reached r = {0};

    assert_false(each(path, doc, collect, &r));
    nx_buf_append_byte(&r.text, 0);
    if (strcmp((char *)r.text.data, expected) != 0)
        fail_msg("%s: '%s', not '%s'", path->text, r.text.data, expected);
    nx_buf_fini(&r.text);
}

static void paths_reach_what_the_manual_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct reached r = {0};
        struct path path;
        struct nx_value plain;

        quote(cases[i].doc, &text);
        parse((char *)text.data, &doc);
        assert_int_equal(path_init(&path, cases[i].path, strlen(cases[i].path), NULL), NX_OK);
        assert_reaches(path_each, &path, nx_buf_slice(&doc), cases[i].each);
        assert_reaches(path_each_expanded, &path, nx_buf_slice(&doc), cases[i].expanded);
        plain = path_get_plain(&path, nx_buf_slice(&doc));
        collect(&r, &plain);
        nx_buf_append_byte(&r.text, 0);
        assert_string_equal((char *)r.text.data, cases[i].plain);
        nx_buf_fini(&r.text);
        path_fini(&path);
    }
}

static void a_walk_stops_when_it_is_told_to(void **state)
{
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct reached r = {.stop_after = 2};
    struct path path;

    (void)state;
    parse("{\"a\":[{\"b\":1},{\"b\":[2,3]},{\"b\":4}]}", &doc);
    assert_int_equal(path_init(&path, "a.b", 3, NULL), NX_OK);
    assert_true(path_each_expanded(&path, nx_buf_slice(&doc), collect, &r));
    assert_int_equal(r.count, 2);
    nx_buf_fini(&r.text);
    path_fini(&path);
}

static void bad_paths_are_refused(void **state)
{
    struct nx_buf deep NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct path path;
    struct nx_err err;

    (void)state;
    assert_int_equal(path_init(&path, "", 0, &err), NX_EQUERY);
    assert_int_equal(path_init(&path, ".a", 2, &err), NX_EQUERY);
    assert_int_equal(path_init(&path, "a.", 2, &err), NX_EQUERY);
    assert_int_equal(path_init(&path, "a..b", 4, &err), NX_EQUERY);
    assert_int_equal(path_init(&path, "a\0b", 3, &err), NX_EQUERY);
    for (int i = 0; i < PATH_MAX_PARTS; i++)
        nx_buf_append_str(&deep, "a.");
    assert_int_equal(path_init(&path, (char *)deep.data, deep.len - 1, &err), NX_OK);
    path_fini(&path);
    nx_buf_append_str(&deep, "a");
    assert_int_equal(path_init(&path, (char *)deep.data, deep.len, &err), NX_EQUERY);
    assert_null(path.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_reach_what_the_manual_says),
        cmocka_unit_test(a_walk_stops_when_it_is_told_to),
        cmocka_unit_test(bad_paths_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

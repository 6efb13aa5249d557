/* url_test.c - request targets: what stands before and after decoding, and what is refused. */
#include <string.h>

#include "daemon/url.h"
#include "tests/support/unit.h"

static void a_path_is_split_before_it_is_decoded(void **state)
{
    struct url url;

    (void)state;
    assert_int_equal(url_parse("/collections/users%2Farchive/a%20b", &url, NULL), NX_OK);
    assert_int_equal(url.segments, 3);
    assert_string_equal(url.segment[1].text, "users/archive");
    assert_string_equal(url.segment[2].text, "a b");
    url_fini(&url);
}

static void a_plus_is_a_space_in_parameters_only(void **state)
{
    struct url url;

    (void)state;
    assert_int_equal(url_parse("/a+b?q=%7B%22a%22%3A+1%7D&flag&e=", &url, NULL), NX_OK);
    assert_string_equal(url.segment[0].text, "a+b");
    assert_string_equal(url_param(&url, "q")->text, "{\"a\": 1}");
    assert_int_equal(url_param(&url, "flag")->len, 0);
    assert_int_equal(url_param(&url, "e")->len, 0);
    assert_null(url_param(&url, "none"));
    url_fini(&url);
}

static void one_slash_at_the_end_says_nothing(void **state)
{
    struct url url;

    (void)state;
    assert_int_equal(url_parse("/collections/users/", &url, NULL), NX_OK);
    assert_int_equal(url.segments, 2);
    url_fini(&url);
    assert_int_equal(url_parse("/collections//", &url, NULL), NX_OK);
    assert_int_equal(url.segments, 2);
    assert_int_equal(url.segment[1].len, 0);
    url_fini(&url);
    assert_int_equal(url_parse("/", &url, NULL), NX_OK);
    assert_int_equal(url.segments, 0);
    url_fini(&url);
}

static void an_absolute_target_loses_its_host(void **state)
{
    struct url url;

    (void)state;
    assert_int_equal(url_parse("http://host:1/status?x=1", &url, NULL), NX_OK);
    assert_int_equal(url.segments, 1);
    assert_string_equal(url.segment[0].text, "status");
    url_fini(&url);
}

static void wrong_escapes_and_floods_are_refused(void **state)
{
    static const char *const targets[] = {
        "/a%",
        "/a%4",
        "/a%zz",
        "/a%00b",
        "/?x=%00",
        "/?%=1",
        "/1/2/3/4/5/6/7/8/9",
        "/?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q&r&s&t&u&v&w&x&y&z&1&2&3&4&5&6&7&8",
    };
    struct url url;

    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct nx_err err = NX_ERR_INIT;

        assert_int_equal(url_parse(targets[i], &url, &err), NX_EINVAL);
        assert_true(strlen(err.message) > 0);
        assert_null(url.store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_split_before_it_is_decoded),
        cmocka_unit_test(a_plus_is_a_space_in_parameters_only),
        cmocka_unit_test(one_slash_at_the_end_says_nothing),
        cmocka_unit_test(an_absolute_target_loses_its_host),
        cmocka_unit_test(wrong_escapes_and_floods_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

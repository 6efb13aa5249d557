/* json_split_test.c - the parts of a JSON text, and where errors are said to be. */
#include <stdio.h>
#include <string.h>

#include "daemon/json_split.h"
#include "tests/support/unit.h"

/* "key=value@line:column " of each piece, or the error's place. */
static void describe(const char *text, char *out, size_t size)
{
    struct json_split split;
    struct json_piece piece;
    struct nx_err err = NX_ERR_INIT;
    size_t n = 0;
    enum nx_code rc = json_split_begin(&split, nx_slice_str(text), &err);

    *out = '\0';
    while (rc == NX_OK && (rc = json_split_next(&split, &piece, &err)) == NX_OK)
        n += (size_t)snprintf(out + n, size - n, "%.*s%s%.*s@%u:%u ", (int)piece.key.len,
                              piece.key.len ? (const char *)piece.key.data : "",
                              piece.key.len ? "=" : "", (int)piece.value.len,
                              (const char *)piece.value.data, piece.line, piece.column);
    if (rc != NX_DONE)
        snprintf(out + n, size - n, "error@%u:%u", err.line, err.column);
}

static void assert_splits(const char *text, const char *expected)
{
    char found[512];

    describe(text, found, sizeof found);
    assert_string_equal(found, expected);
}

static void members_of_an_object(void **state)
{
    (void)state;
    assert_splits("{}", "");
    assert_splits(" {\"a\": 1 , \"b\":[1, 2]} ", "a=1@1:8 b=[1, 2]@1:16 ");
    assert_splits("{\"a\":\n {\"x\":\n1},\n\"b\":true}\n", "a={\"x\":\n1}@2:2 b=true@4:5 ");
}

static void elements_of_an_array(void **state)
{
    (void)state;
    assert_splits("[]", "");
    assert_splits("[1,-2.5,\"a,b\",{\"c\":[]}]", "1@1:2 -2.5@1:4 \"a,b\"@1:9 {\"c\":[]}@1:15 ");
}

static void broken_texts_are_placed(void **state)
{
    (void)state;
    assert_splits("", "error@1:1");
    assert_splits("5", "error@1:1");
    assert_splits("[1,]", "1@1:2 error@1:4");
    assert_splits("[1 2]", "1@1:2 error@1:4");
    assert_splits("{\"a\" 1}", "error@1:6");
    assert_splits("{a:1}", "error@1:2");
    assert_splits("[1", "1@1:2 error@1:3");
    assert_splits("[1] x", "1@1:2 error@1:5");
    assert_splits("[\n{\"a\":}]", "error@2:6");
}

static void the_place_within_a_piece_becomes_one_in_the_whole(void **state)
{
    struct json_piece piece = {.line = 3, .column = 5};
    struct nx_err err = {.line = 1, .column = 2};

    (void)state;
    json_piece_place(&piece, &err);
    assert_int_equal(err.line, 3);
    assert_int_equal(err.column, 6);
    err = (struct nx_err){.line = 2, .column = 2};
    json_piece_place(&piece, &err);
    assert_int_equal(err.line, 4);
    assert_int_equal(err.column, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_of_an_object),
        cmocka_unit_test(elements_of_an_array),
        cmocka_unit_test(broken_texts_are_placed),
        cmocka_unit_test(the_place_within_a_piece_becomes_one_in_the_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

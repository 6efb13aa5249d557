/* Magic files: their table, their numbers, their texts; the errors ring; names of refused texts. */
#include <stdio.h>

#include "fs/errors.h"
#include "fs/magic.h"
#include "fs/magic_text.h"
#include "fs/rejected.h"
#include "tests/support/unit.h"

static void every_row_is_documented_and_has_a_number_of_its_own(void **state)
{
    const struct magic *magic, *found;

    (void)state;
    for (unsigned i = 0; (magic = magic_row(i)); i++) {
        nx_ino ino = magic_ino(magic_kind_of(magic), 12345);

        assert_true(magic->name[0] == '.');
        assert_non_null(magic->read_help);
        assert_true(magic->flags & (MAGIC_IN_ROOT | MAGIC_IN_COLLECTION));
        assert_true(magic->open || (magic->flags & MAGIC_IS_FOLDER));
        assert_true(magic_is(ino));
        assert_int_equal(magic_dir(ino), 12345);
        assert_int_equal(magic_of(ino, &found, NULL), NX_OK);
        assert_ptr_equal(found, magic);
    }
    assert_int_equal(magic_of(magic_ino(MAGIC_KINDS, 1), &found, NULL), NX_ENOTFOUND);
    assert_false(magic_is(NX_ROOT_INO));
}

static enum nx_scan_state state_of(enum magic_kind kind, const char *text)
{
    return magic_text_state(kind, nx_slice_str(text), NULL);
}

static void a_query_is_one_object_or_two(void **state)
{
    (void)state;
    assert_int_equal(state_of(MAGIC_QUERY, " \n"), NX_SCAN_EMPTY);
    assert_int_equal(state_of(MAGIC_QUERY, "{\"a\":"), NX_SCAN_PARTIAL);
    assert_int_equal(state_of(MAGIC_QUERY, "{\"a\":1}\n"), NX_SCAN_COMPLETE);
    assert_int_equal(state_of(MAGIC_QUERY, "{\"a\":1}\n{\"limit\""), NX_SCAN_PARTIAL);
    assert_int_equal(state_of(MAGIC_QUERY, "{\"a\":1} {\"limit\":1} "), NX_SCAN_COMPLETE);
    assert_int_equal(state_of(MAGIC_QUERY, "{} {} {}"), NX_SCAN_IMPOSSIBLE);
    assert_int_equal(state_of(MAGIC_QUERY, "{x"), NX_SCAN_IMPOSSIBLE);
    assert_int_equal(state_of(MAGIC_AGGREGATE, "[] []"), NX_SCAN_IMPOSSIBLE);
}

static void pipelines_that_write_are_known(void **state)
{
    (void)state;
    assert_true(magic_text_writes(nx_slice_str("[{\"$match\":{}},{\"$out\":\"x\"}]")));
    assert_true(magic_text_writes(nx_slice_str("[{\"$merge\":{\"into\":\"x\"}}]")));
    assert_false(magic_text_writes(nx_slice_str("[{\"$match\":{\"$out\":1}}]")));
    assert_false(magic_text_writes(nx_slice_str("{\"$out\":1}")));
}

static void unknown_fields_of_an_update_are_refused(void **state)
{
    struct nx_err err = NX_ERR_INIT;

    (void)state;
    assert_int_equal(
        magic_text_check_update(
            nx_slice_str("{\"filter\":{},\"update\":{\"$set\":{\"a\":1}},\"multi\":true}"), NULL),
        NX_OK);
    assert_int_equal(
        magic_text_check_update(nx_slice_str("{\"filter\":{},\"update\":{},\"mutli\":true}"), &err),
        NX_EQUERY);
    assert_non_null(strstr(err.message, "mutli"));
    assert_int_equal(magic_text_check_update(nx_slice_str("{\"update\":{}}"), NULL), NX_EQUERY);
    assert_int_equal(magic_text_check_update(
                         nx_slice_str("{\"filter\":{},\"update\":{\"$nope\":{\"a\":1}}}"), NULL),
                     NX_EOPERATOR);
}

static void an_error_line_shows_the_place_with_a_caret(void **state)
{
    struct errors *errors = errors_new(nx_io_posix());
    struct nx_err err = NX_ERR_INIT;
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    nx_fail(&err, NX_EJSON, "no comma");
    err.line = 2;
    err.column = 3;
    errors_add(errors, 9, "a \"b\".json", &err, nx_slice_str("{\"x\":1\n  y}\n"));
    assert_int_equal(errors_read(errors, 9, &out), NX_OK);
    nx_buf_append_byte(&out, 0);
    assert_non_null(
        strstr((char *)out.data, "\"file\":\"a \\\"b\\\".json\",\"line\":2,\"column\":3"));
    assert_non_null(strstr((char *)out.data, "\"caret\":\"  y}\\n  ^\""));
    errors_clear(errors, 9);
    nx_buf_clear(&out);
    errors_read(errors, 9, &out);
    assert_int_equal(out.len, 0);
    errors_read(errors, NX_ROOT_INO, &out); /* the root's own ring has it still */
    assert_true(out.len > 0);
    errors_free(errors);
}

static unsigned count_lines(struct errors *errors, nx_ino dir)
{
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    unsigned lines = 0;

    errors_read(errors, dir, &out);
    for (size_t i = 0; i < out.len; i++)
        lines += out.data[i] == '\n';
    return lines;
}

static void errors_are_bounded_in_number_and_in_directories(void **state)
{
    struct errors *errors = errors_new(nx_io_posix());
    struct nx_err err = NX_ERR_INIT;

    (void)state;
    nx_fail(&err, NX_EJSON, "x");
    for (unsigned i = 0; i < 3 * ERRORS_KEPT; i++)
        errors_add(errors, 5, "f", &err, NX_SLICE_NULL);
    assert_int_equal(count_lines(errors, 5), ERRORS_KEPT);
    for (nx_ino dir = 100; dir < 100 + 2 * ERRORS_DIRS; dir++)
        errors_add(errors, dir, "f", &err, NX_SLICE_NULL);
    assert_int_equal(count_lines(errors, 5), 0);
    assert_int_equal(count_lines(errors, 99 + 2 * ERRORS_DIRS), 1);
    assert_int_equal(count_lines(errors, NX_ROOT_INO), ERRORS_KEPT);
    errors_free(errors);
}

static void names_of_refused_texts_stay_within_255_bytes(void **state)
{
    char name[256], out[256];

    (void)state;
    rejected_name("a.json", 7, out);
    assert_string_equal(out, "a.json.7");
    assert_int_equal(rejected_number(out), 7);
    assert_int_equal(rejected_number("a.json"), 0);
    assert_int_equal(rejected_number("a.07"), 0);
    memset(name, 'x', 250);
    memcpy(name + 250, "\xe2\x82\xac..", 6);
    rejected_name(name, 12, out);
    assert_int_equal(strlen(out), 253); /* the character of 3 bytes at 250 goes as a whole */
    assert_int_equal(rejected_number(out), 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_documented_and_has_a_number_of_its_own),
        cmocka_unit_test(a_query_is_one_object_or_two),
        cmocka_unit_test(pipelines_that_write_are_known),
        cmocka_unit_test(unknown_fields_of_an_update_are_refused),
        cmocka_unit_test(an_error_line_shows_the_place_with_a_caret),
        cmocka_unit_test(errors_are_bounded_in_number_and_in_directories),
        cmocka_unit_test(names_of_refused_texts_stay_within_255_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

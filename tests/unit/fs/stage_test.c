/* The staged text of a document: what fails at the write, and what waits for the close. */
#include <stdlib.h>

#include "fs/stage.h"
#include "tests/support/unit.h"

static int fresh(void **state)
{
    struct stage *stage = calloc(1, sizeof *stage);

    stage_init(stage);
    stage_clear(stage);
    *state = stage;
    return 0;
}

static int done(void **state)
{
    stage_fini(*state);
    free(*state);
    return 0;
}

static enum nx_code put(struct stage *stage, const char *text, uint64_t offset)
{
    return stage_write(stage, text, strlen(text), offset, NULL);
}

static enum nx_code append(struct stage *stage, const char *text)
{
    return put(stage, text, stage->text.len);
}

static void assert_text(struct stage *stage, const char *text)
{
    assert_int_equal(stage->text.len, strlen(text));
    assert_memory_equal(stage->text.data, text, strlen(text));
}

static void a_text_is_incomplete_until_its_last_brace(void **state)
{
    struct stage *stage = *state;

    assert_int_equal(stage_judge(stage, NULL), STAGE_EMPTY);
    assert_int_equal(append(stage, " \n"), NX_OK);
    assert_int_equal(stage_judge(stage, NULL), STAGE_INCOMPLETE);
    assert_int_equal(append(stage, "{\"a\": [1, {\"b\""), NX_OK);
    assert_int_equal(stage_judge(stage, NULL), STAGE_INCOMPLETE);
    assert_int_equal(append(stage, ": 2}]}"), NX_OK);
    assert_int_equal(stage_judge(stage, NULL), STAGE_COMPLETE);
    assert_int_equal(append(stage, "\n"), NX_OK);
    assert_int_equal(stage_judge(stage, NULL), STAGE_COMPLETE);
}

static void the_write_that_makes_it_impossible_fails_and_says_where(void **state)
{
    struct stage *stage = *state;
    struct nx_err err = NX_ERR_INIT;

    assert_int_equal(append(stage, "{\"a\":1,\n"), NX_OK);
    assert_int_equal(stage_write(stage, "  b:2}", 6, stage->text.len, &err), NX_EJSON);
    assert_int_equal(err.line, 2);
    assert_int_equal(err.column, 3);
    assert_text(stage, "{\"a\":1,\n  b:2}"); /* nothing typed is lost */
    assert_int_equal(stage_judge(stage, NULL), STAGE_IMPOSSIBLE);
}

static void only_an_object_is_a_document(void **state)
{
    static const char *const others[] = {"[1]", "1", "\"x\"", "null", "  true", "\xef\xbb\xbf{}"};
    struct stage *stage = *state;

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        stage_clear(stage);
        assert_int_equal(append(stage, others[i]), NX_EJSON);
    }
}

static void text_after_the_end_is_impossible(void **state)
{
    struct stage *stage = *state;

    assert_int_equal(append(stage, "{}"), NX_OK);
    assert_int_equal(append(stage, "{}"), NX_EJSON);
}

static void new_text_over_an_old_tail_is_judged_as_a_whole(void **state)
{
    struct stage *stage = *state;
    static const char old[] = "{\"name\": \"somebody\"}";

    assert_int_equal(stage_load(stage, nx_slice_str(old), false, NULL), NX_OK);
    assert_false(stage->dirty);
    assert_int_equal(put(stage, "{}", 0), NX_OK); /* {}name": ... is not an error of this write */
    assert_int_equal(stage_judge(stage, NULL), STAGE_IMPOSSIBLE);
    assert_int_equal(stage_resize(stage, 2, NULL), NX_OK);
    assert_int_equal(stage_judge(stage, NULL), STAGE_COMPLETE);
    assert_text(stage, "{}");
}

static void out_of_order_writes_are_judged_at_the_end(void **state)
{
    struct stage *stage = *state;

    assert_int_equal(put(stage, "1}", 5), NX_OK);
    assert_int_equal(put(stage, "{\"a\":", 0), NX_OK);
    assert_int_equal(stage_judge(stage, NULL), STAGE_COMPLETE);
}

static void a_truncation_forgets_what_was_wrong(void **state)
{
    struct stage *stage = *state;

    assert_int_equal(append(stage, "{x"), NX_EJSON);
    assert_int_equal(stage_resize(stage, 0, NULL), NX_OK);
    assert_int_equal(append(stage, "{}"), NX_OK);
    assert_int_equal(stage_judge(stage, NULL), STAGE_COMPLETE);
}

static void sixteen_mebibytes_is_the_limit(void **state)
{
    struct stage *stage = *state;
    size_t chunk = 1 << 20;
    char *spaces = malloc(chunk);

    memset(spaces, ' ', chunk);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(stage_write(stage, spaces, chunk, stage->text.len, NULL), NX_OK);
    assert_int_equal(stage_write(stage, "{", 1, stage->text.len, NULL), NX_ETOOBIG);
    assert_int_equal(stage_write(stage, "}", 1, stage->text.len, NULL), NX_ETOOBIG);
    assert_int_equal(stage->text.len, NX_DOC_MAX_BYTES + 1); /* bounded */
    assert_int_equal(stage_write(stage, "}", 1, UINT64_MAX - 5, NULL), NX_ETOOBIG);
    assert_int_equal(stage_resize(stage, UINT64_MAX, NULL), NX_ETOOBIG);
    assert_int_equal(stage_judge(stage, NULL), STAGE_IMPOSSIBLE);
    free(spaces);
}

static void an_append_that_cannot_be_json_fails_at_its_write(void **state)
{
    struct stage *stage = *state;
    struct nx_err err = NX_ERR_INIT;

    assert_int_equal(stage_load(stage, nx_slice_str("{\"a\": 1}\n"), true, NULL), NX_OK);
    assert_int_equal(append(stage, " \n"), NX_OK);
    assert_int_equal(stage_judge(stage, NULL), STAGE_COMPLETE);
    assert_int_equal(stage_write(stage, "{}", 2, stage->text.len, &err), NX_EJSON);
    assert_int_equal(err.line, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_text_is_incomplete_until_its_last_brace, fresh, done),
        cmocka_unit_test_setup_teardown(the_write_that_makes_it_impossible_fails_and_says_where,
                                        fresh, done),
        cmocka_unit_test_setup_teardown(only_an_object_is_a_document, fresh, done),
        cmocka_unit_test_setup_teardown(text_after_the_end_is_impossible, fresh, done),
        cmocka_unit_test_setup_teardown(new_text_over_an_old_tail_is_judged_as_a_whole, fresh,
                                        done),
        cmocka_unit_test_setup_teardown(out_of_order_writes_are_judged_at_the_end, fresh, done),
        cmocka_unit_test_setup_teardown(a_truncation_forgets_what_was_wrong, fresh, done),
        cmocka_unit_test_setup_teardown(an_append_that_cannot_be_json_fails_at_its_write, fresh,
                                        done),
        cmocka_unit_test_setup_teardown(sixteen_mebibytes_is_the_limit, fresh, done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

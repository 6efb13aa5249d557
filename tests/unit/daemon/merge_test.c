/* merge_test.c - PUT's merge of top-level fields, and RFC 7396. */
#include <string.h>

#include <nexadb/json.h>

#include "daemon/merge.h"
#include "tests/support/unit.h"

typedef enum nx_code (*merge_fn)(struct nx_slice, struct nx_slice, struct nx_buf *,
                                 struct nx_err *);

static void parse(const char *text, struct nx_buf *out)
{
    bool is_array;

    assert_int_equal(nx_json_parse(text, strlen(text), NX_JSON_DOCUMENT, 0, out, &is_array, NULL),
                     NX_OK);
}

static void assert_merges(merge_fn fn, const char *base, const char *patch, const char *expected)
{
    struct nx_buf a NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf b NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf made NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    parse(base, &a);
    parse(patch, &b);
    assert_int_equal(fn(nx_buf_slice(&a), nx_buf_slice(&b), &made, NULL), NX_OK);
    assert_int_equal(nx_json_write(nx_buf_slice(&made), false, NX_JSON_EXACT, 0, NULL, &text),
                     NX_OK);
    assert_int_equal(nx_buf_append_byte(&text, 0), NX_OK);
    assert_string_equal((char *)text.data, expected);
}

static void put_replaces_top_level_fields_whole(void **state)
{
    (void)state;
    assert_merges(merge_fields, "{\"a\":1,\"b\":{\"x\":1}}", "{\"b\":{\"y\":2},\"c\":null}",
                  "{\"a\":1,\"b\":{\"y\":2},\"c\":null}");
}

static void a_patch_goes_down_and_null_removes(void **state)
{
    (void)state;
    assert_merges(merge_patch, "{\"a\":1,\"b\":{\"x\":1,\"z\":3}}",
                  "{\"a\":null,\"b\":{\"x\":null,\"y\":2},\"c\":{\"d\":null,\"e\":1}}",
                  "{\"b\":{\"z\":3,\"y\":2},\"c\":{\"e\":1}}");
}

static void a_patch_replaces_arrays_and_scalars_by_objects(void **state)
{
    (void)state;
    assert_merges(merge_patch, "{\"a\":[1,2],\"b\":1}", "{\"a\":[3],\"b\":{\"c\":1}}",
                  "{\"a\":[3],\"b\":{\"c\":1}}");
}

static void an_empty_patch_changes_nothing(void **state)
{
    (void)state;
    assert_merges(merge_patch, "{\"a\":1}", "{}", "{\"a\":1}");
    assert_merges(merge_fields, "{\"a\":1}", "{}", "{\"a\":1}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_replaces_top_level_fields_whole),
        cmocka_unit_test(a_patch_goes_down_and_null_removes),
        cmocka_unit_test(a_patch_replaces_arrays_and_scalars_by_objects),
        cmocka_unit_test(an_empty_patch_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

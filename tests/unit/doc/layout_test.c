/* layout_test.c - a text is reproduced byte for byte, or it is its own source. */
#include <stdlib.h>

#include <nexadb/json.h>

#include "doc/layout.h"
#include "random_doc.h"
#include "tests/support/unit.h"

static const struct {
    const char *text, *name;
} texts[] = {
    {"{}", "compact"},
    {"{}\n", "compact, newline"},
    {"{\"a\":1,\"b\":[1,2,{}]}", "compact"},
    {"{\"a\":1,\"b\":[1,2,{}]}\n", "compact, newline"},
    {"{\"a\": 1, \"b\": [1, 2, {}]}", "spaced"},
    {"{\"a\": 1, \"b\": [1, 2, {}]}\n", "spaced, newline"},
    {"{\n  \"a\": 1,\n  \"b\": [\n    1\n  ],\n  \"c\": []\n}", "indent 2"},
    {"{\n  \"a\": 1\n}\n", "indent 2, newline"},
    {"{\n    \"a\": {\n        \"b\": 1\n    }\n}", "indent 4"},
    {"{\n    \"a\": 1\n}\n", "indent 4, newline"},
    {"{\n\t\"a\": [\n\t\t1\n\t]\n}", "indent tab"},
    {"{\n\t\"a\": 1\n}\n", "indent tab, newline"},
    {"{\n \"a\": 1\n}", "indent 1"},
    {"{\n \"a\": 1\n}\n", "indent 1, newline"},
    {"{\"a\":{\"$oid\":\"0123456789abcdef01234567\"}}", "compact"},
    {"{\n  \"a\": {\n    \"$numberLong\": \"5\"\n  }\n}\n", "indent 2, newline"},
    {"{\"a\":1.5,\"b\":1.0,\"c\":1e-07,\"d\":1e+16}", "compact"},
    {"{\"a\":\"\xc3\xa9\\n\\\"\\u001f\"}", "compact"},
    {"{\"\\\"a\\\\\": 1}", "spaced"},
    {"{\"a\":1.50}", "source"},
    {"{\"a\":1e3}", "source"},
    {"{\"a\":1E-7}", "source"},
    {"{\"a\":-0}", "source"},
    {"{\"a\":\"\\u00e9\"}", "source"},
    {"{\"a\":\"\\/\"}", "source"},
    {"{\"a\":\"\\u001F\"}", "source"},
    {"{\"a\":{\"$oid\":\"0123456789ABCDEF01234567\"}}", "source"},
    {"{\"a\":{\"$numberInt\":\"5\"}}", "source"},
    {"{\"a\":18446744073709551616}", "source"},
    {"{\"a\" : 1}", "source"},
    {"{ \"a\": 1 }", "source"},
    {"{\"a\":1, \"b\":2}", "source"},
    {"{\"a\": 1,\"b\": 2}", "source"},
    {" {\"a\":1}", "source"},
    {"{\"a\":1}\n\n", "source"},
    {"{\"a\":1}\r\n", "source"},
    {"{\"a\":1} ", "source"},
    {"{\n   \"a\": 1\n}", "source"},
    {"{\r\n  \"a\": 1\r\n}", "source"},
    {"{\n}", "source"},
    {"{\n\n  \"a\": 1\n}", "source"},
};

static uint8_t detect(const char *text, size_t len, struct nx_buf *doc)
{
    nx_buf_clear(doc);
    assert_int_equal(nx_json_parse(text, len, NX_JSON_DOCUMENT, 0, doc, NULL, NULL), NX_OK);
    return layout_detect(nx_buf_slice(doc), text, len);
}

static void common_layouts_are_recognised_and_others_kept(void **state)
{
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t len = strlen(texts[i].text);
        uint8_t layout = detect(texts[i].text, len, &doc);

        if (strcmp(layout_name(layout), texts[i].name) != 0)
            fail_msg("%s: %s, not %s", texts[i].text, layout_name(layout), texts[i].name);
        if (layout == LAYOUT_SOURCE)
            continue;
        nx_buf_clear(&out);
        assert_int_equal(layout_render(layout, nx_buf_slice(&doc), &out), NX_OK);
        assert_int_equal(out.len, len);
        assert_memory_equal(out.data, texts[i].text, len);
    }
}

static void rendering_leaves_the_id_out_when_asked(void **state)
{
    static const char text[] = "{\"_id\":7,\"a\":{\"_id\":1}}";
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    uint8_t layout = detect(text, sizeof text - 1, &doc);

    (void)state;
    assert_int_equal(layout_render(layout | LAYOUT_NO_ID, nx_buf_slice(&doc), &out), NX_OK);
    nx_buf_append_byte(&out, 0);
    assert_string_equal((char *)out.data, "{\"a\":{\"_id\":1}}");
    nx_buf_clear(&out);
    assert_int_equal(layout_render(LAYOUT_DEFAULT, nx_buf_slice(&doc), &out), NX_OK);
    nx_buf_append_byte(&out, 0);
    assert_string_equal((char *)out.data, "{\n  \"a\": {\n    \"_id\": 1\n  }\n}\n");
}

static void unknown_codes_are_corruption(void **state)
{
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    assert_int_equal(layout_render(LAYOUT_SOURCE, nx_doc_empty, &out), NX_ECORRUPT);
    assert_int_equal(layout_render(0x7f, nx_doc_empty, &out), NX_ECORRUPT);
    assert_int_equal(layout_render(0x80, nx_doc_empty, &out), NX_ECORRUPT);
    assert_null(layout_name(0x7f));
    assert_int_equal(out.len, 0);
}

/* Every layout's own text is recognised; any text changed by a byte is reproduced or kept. */
static void texts_are_reproduced_or_kept(void **state)
{
    struct rng rng = rng_init();
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    for (int round = 0; round < 10000; round++) {
        uint8_t layout = (uint8_t)(2 + rng_below(&rng, 12)), found;

        nx_buf_clear(&doc);
        nx_buf_clear(&text);
        random_document(&rng, RANDOM_ALL, 3, &doc);
        assert_int_equal(layout_render(layout, nx_buf_slice(&doc), &text), NX_OK);
        nx_buf_clear(&out);
        assert_int_equal(
            nx_json_parse((char *)text.data, text.len, NX_JSON_DOCUMENT, 0, &out, NULL, NULL),
            NX_OK);
        found = layout_detect(nx_buf_slice(&out), (char *)text.data, text.len);
        if (found != layout && !nx_doc_is_empty(nx_buf_slice(&doc)))
            fail_msg("%.*s: %s", (int)text.len, text.data, layout_name(found));

        text.data[rng_below(&rng, (uint32_t)text.len)] =
            " \n\t0e.E+-\"/\\u,:{}[]"[rng_below(&rng, 19)];
        nx_buf_clear(&doc);
        if (nx_json_parse((char *)text.data, text.len, NX_JSON_DOCUMENT, 0, &doc, NULL, NULL) !=
            NX_OK)
            continue;
        found = layout_detect(nx_buf_slice(&doc), (char *)text.data, text.len);
        if (found == LAYOUT_SOURCE)
            continue;
        nx_buf_clear(&out);
        assert_int_equal(layout_render(found, nx_buf_slice(&doc), &out), NX_OK);
        assert_true(nx_slice_equal(nx_buf_slice(&out), nx_buf_slice(&text)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_layouts_are_recognised_and_others_kept),
        cmocka_unit_test(rendering_leaves_the_id_out_when_asked),
        cmocka_unit_test(unknown_codes_are_corruption),
        cmocka_unit_test(texts_are_reproduced_or_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

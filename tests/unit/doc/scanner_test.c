/* scanner_test.c - the incremental recogniser: same answer for any split, and as the reader. */
#include <stdlib.h>

#include <nexadb/json.h>

#include "random_doc.h"
#include "tests/support/unit.h"

static struct nx_json_scanner scan(const char *text, size_t len)
{
    struct nx_json_scanner s;

    nx_json_scanner_init(&s);
    nx_json_scanner_feed(&s, text, len, false);
    return s;
}

static const struct {
    const char *text;
    enum nx_scan_state result;
    uint32_t line, column; /* of the next byte, or of the one that is wrong */
} cases[] = {
    {"", NX_SCAN_EMPTY, 1, 1},
    {" \n\t", NX_SCAN_EMPTY, 2, 2},
    {"{", NX_SCAN_PARTIAL, 1, 2},
    {"{}", NX_SCAN_COMPLETE, 1, 3},
    {"{}\n", NX_SCAN_COMPLETE, 2, 1},
    {"{} x", NX_SCAN_IMPOSSIBLE, 1, 4},
    {"[]", NX_SCAN_COMPLETE, 1, 3},
    {"[1,]", NX_SCAN_IMPOSSIBLE, 1, 4},
    {"{\"a\":1,}", NX_SCAN_IMPOSSIBLE, 1, 8},
    {"{\"a\" 1}", NX_SCAN_IMPOSSIBLE, 1, 6},
    {"{\"a\":[1}", NX_SCAN_IMPOSSIBLE, 1, 8},
    {"{\"a\":{]", NX_SCAN_IMPOSSIBLE, 1, 7},
    {"bad", NX_SCAN_IMPOSSIBLE, 1, 1},
    {"tr", NX_SCAN_PARTIAL, 1, 3},
    {"true", NX_SCAN_COMPLETE, 1, 5},
    {"trux", NX_SCAN_IMPOSSIBLE, 1, 4},
    {"nulls", NX_SCAN_IMPOSSIBLE, 1, 5},
    {"-", NX_SCAN_PARTIAL, 1, 2},
    {"12", NX_SCAN_COMPLETE, 1, 3},
    {"1.", NX_SCAN_PARTIAL, 1, 3},
    {"1.5e+", NX_SCAN_PARTIAL, 1, 6},
    {"1.5e+7", NX_SCAN_COMPLETE, 1, 7},
    {"01", NX_SCAN_IMPOSSIBLE, 1, 2},
    {"1 2", NX_SCAN_IMPOSSIBLE, 1, 3},
    {"\"a", NX_SCAN_PARTIAL, 1, 3},
    {"\"a\\", NX_SCAN_PARTIAL, 1, 4},
    {"\"\\u00e9\\ud83d\\ude00\"", NX_SCAN_COMPLETE, 1, 21},
    {"\"\\ud83dx", NX_SCAN_IMPOSSIBLE, 1, 8},
    {"\"\\ude00", NX_SCAN_IMPOSSIBLE, 1, 7},
    {"\"\\q", NX_SCAN_IMPOSSIBLE, 1, 3},
    {"\"\n", NX_SCAN_IMPOSSIBLE, 1, 2},
    {"\"\xc3", NX_SCAN_PARTIAL, 1, 3},
    {"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", NX_SCAN_COMPLETE, 1, 12},
    {"\"\xc3(", NX_SCAN_IMPOSSIBLE, 1, 3},
    {"\"\xed\xa0", NX_SCAN_IMPOSSIBLE, 1, 3},
    {"\"\xc0\x80", NX_SCAN_IMPOSSIBLE, 1, 2},
    {"\"\xf4\x90", NX_SCAN_IMPOSSIBLE, 1, 3},
};

static void states_and_places_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct nx_json_scanner s = scan(cases[i].text, strlen(cases[i].text));

        if (s.result != cases[i].result || s.line != cases[i].line || s.column != cases[i].column)
            fail_msg("%s: %d at %u:%u", cases[i].text, s.result, s.line, s.column);
        assert_int_equal(s.reason != NULL, s.result == NX_SCAN_IMPOSSIBLE);
    }
}

static void a_stream_is_split_into_values(void **state)
{
    static const char stream[] = "{\"a\":1} {\"b\":[2]}\n12 \"x\"";
    static const size_t ends[] = {7, 17, 20, 24};
    size_t at = 0;

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct nx_json_scanner s;

        nx_json_scanner_init(&s);
        at += nx_json_scanner_feed(&s, stream + at, sizeof stream - 1 - at, true);
        assert_int_equal(s.result, NX_SCAN_COMPLETE);
        assert_int_equal(at, ends[i]);
        assert_int_equal(nx_json_scanner_feed(&s, "x", 1, true), 0);
        assert_int_equal(s.result, NX_SCAN_COMPLETE);
    }
}

static void nesting_is_bounded_as_in_the_reader(void **state)
{
    char text[NX_DOC_MAX_DEPTH + 8];
    struct nx_json_scanner s;

    (void)state;
    memset(text, '[', sizeof text);
    s = scan(text, NX_DOC_MAX_DEPTH + 3);
    assert_int_equal(s.result, NX_SCAN_PARTIAL);
    s = scan(text, sizeof text);
    assert_int_equal(s.result, NX_SCAN_IMPOSSIBLE);
    assert_int_equal(s.offset, NX_DOC_MAX_DEPTH + 3);
    assert_int_equal(nx_json_scanner_feed(&s, "]", 1, false), 0);
}

static void assert_split_is_the_same(struct rng *rng, const char *text, size_t len,
                                     const struct nx_json_scanner *whole)
{
    struct nx_json_scanner s;
    size_t at = 0;

    nx_json_scanner_init(&s);
    while (at < len) {
        size_t n = 1 + rng_below(rng, 7);

        n = n < len - at ? n : len - at;
        if (nx_json_scanner_feed(&s, text + at, n, false) < n)
            break;
        at += n;
    }
    assert_int_equal(s.result, whole->result);
    assert_int_equal(s.offset, whole->offset);
    assert_int_equal(s.line, whole->line);
    assert_int_equal(s.column, whole->column);
}

/* Complete for the scanner is what the reader does not call bad JSON, whatever it is split into. */
static void scanner_agrees_with_the_reader(void **state)
{
    static const char damage[] = "\"\\{}[]:,0-9.e \n\x01\xc3u";
    struct rng rng = rng_init();
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct nx_json_scanner s;
        enum nx_code rc;
        size_t cut;

        nx_buf_clear(&doc);
        nx_buf_clear(&text);
        random_value(&rng, RANDOM_ALL, 3, &doc);
        nx_json_write(nx_buf_slice(&doc), false, NX_JSON_EXACT, rng_below(&rng, 2), NULL, &text);
        if (round % 4)
            text.data[rng_below(&rng, (uint32_t)text.len)] =
                (uint8_t)damage[rng_below(&rng, sizeof damage - 1)];
        cut = round % 3 ? text.len : rng_below(&rng, (uint32_t)text.len);
        s = scan((char *)text.data, cut);
        assert_split_is_the_same(&rng, (char *)text.data, cut, &s);
        nx_buf_clear(&doc);
        rc = nx_json_parse_value((char *)text.data, cut, NX_JSON_DOCUMENT, &doc, NULL);
        if ((rc == NX_EJSON) == (s.result == NX_SCAN_COMPLETE) && rc != NX_EDOC)
            fail_msg("%.*s: reader %d, scanner %d", (int)cut, text.data, rc, s.result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_and_places_are_told),
        cmocka_unit_test(a_stream_is_split_into_values),
        cmocka_unit_test(nesting_is_bounded_as_in_the_reader),
        cmocka_unit_test(scanner_agrees_with_the_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

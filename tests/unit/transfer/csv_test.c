/* csv_test.c - RFC 4180 records, however the text is split. */
#include <string.h>

#include "tests/support/unit.h"
#include "transfer/csv.h"

/* Read `text` in pieces of `step` bytes; join cells with | and records with newlines; quoted ones
 * in <>. */
static enum nx_code read_all(const char *text, size_t step, struct nx_buf *out)
{
    struct csv_reader reader;
    size_t len = strlen(text), at = 0;
    enum nx_code rc = NX_OK;
    bool complete = false, ended = false;

    csv_reader_init(&reader);
    while (rc == NX_OK && !ended) {
        size_t used = 0, n = len - at < step ? len - at : step;

        if (at < len) {
            rc = csv_read(&reader, text + at, n, &used, &complete, NULL);
        } else {
            rc = csv_end(&reader, &complete, NULL);
            ended = true;
        }
        at += used;
        for (size_t i = 0; rc == NX_OK && complete && i < csv_count(&reader); i++) {
            bool quoted;
            struct nx_slice cell = csv_cell(&reader, i, &quoted);

            nx_buf_printf(out, quoted ? "%s<%.*s>" : "%s%.*s", i ? "|" : "", (int)cell.len,
                          (const char *)cell.data);
        }
        if (rc == NX_OK && complete)
            nx_buf_append_byte(out, '\n');
    }
    nx_buf_append_byte(out, 0);
    csv_reader_fini(&reader);
    return rc;
}

static void assert_reads(const char *text, const char *expected)
{
    for (size_t step = 1; step < 9; step++) {
        struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

        assert_int_equal(read_all(text, step, &out), NX_OK);
        assert_string_equal((char *)out.data, expected);
    }
}

static void cells_and_records_are_split_at_commas_and_lines(void **state)
{
    (void)state;
    assert_reads("a,b\r\n1,\n,2\n", "a|b\n1|\n|2\n");
    assert_reads("a", "a\n");
    assert_reads("", "");
    assert_reads("\n\na\n\n", "a\n");
}

static void quotes_keep_commas_lines_and_doubled_quotes(void **state)
{
    (void)state;
    assert_reads("\"a,b\",\"c\nd\"\n\"say \"\"hi\"\"\",\"\"\n", "<a,b>|<c\nd>\n<say \"hi\">|<>\n");
    assert_reads("x\"y,z\n", "x\"y|z\n");
}

static void broken_quotes_are_errors(void **state)
{
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    assert_int_equal(read_all("\"a\"b\n", 3, &out), NX_EINVAL);
    assert_int_equal(read_all("\"a\n", 3, &out), NX_EINVAL);
}

static void a_written_cell_is_quoted_only_where_it_must_be(void **state)
{
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    csv_write_cell(&out, nx_slice_str("plain text"), false);
    csv_write_cell(&out, nx_slice_str("a,\"b\""), false);
    csv_write_cell(&out, nx_slice_str("5"), true);
    nx_buf_append_byte(&out, 0);
    assert_string_equal((char *)out.data, "plain text\"a,\"\"b\"\"\"\"5\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_and_records_are_split_at_commas_and_lines),
        cmocka_unit_test(quotes_keep_commas_lines_and_doubled_quotes),
        cmocka_unit_test(broken_quotes_are_errors),
        cmocka_unit_test(a_written_cell_is_quoted_only_where_it_must_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

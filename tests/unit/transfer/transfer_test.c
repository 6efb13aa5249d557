/* transfer_test.c - what goes in comes out: formats, splits, bad documents, both directions. */
#include <string.h>

#include <nexadb/json.h>
#include <nexadb/transfer.h>

#include "tests/unit/store/store_fixture.h"

struct outcome {
    enum nx_code code;
    struct nx_err err;
    uint64_t inserted, replaced, rejected;
    uint32_t first_line; /* of the first error that was passed over */
};

static struct outcome import_in_steps(struct store_fixture *f, enum nx_import_format format,
                                      bool skip_bad, const char *text, size_t step)
{
    struct nx_import_options options = {
        .collection = f->users, .format = format, .skip_bad = skip_bad, .batch_documents = 3};
    struct nx_change change = {.durability = NX_BUFFERED};
    struct outcome got = {.err = NX_ERR_INIT};
    struct nx_import_result result;
    struct nx_import *import;
    size_t len = strlen(text);

    assert_int_equal(nx_import_open(f->db, &options, &change, &import, &got.err), NX_OK);
    for (size_t at = 0; at < len && got.code == NX_OK; at += step)
        got.code = nx_import_feed(import, text + at, len - at < step ? len - at : step, &got.err);
    if (got.code == NX_OK)
        got.code = nx_import_finish(import, &got.err);
    nx_import_get_result(import, &result);
    got.inserted = result.inserted;
    got.replaced = result.replaced;
    got.rejected = result.rejected;
    if (result.error_count)
        got.first_line = result.errors[0].line;
    nx_import_close(import);
    return got;
}

static struct outcome import(struct store_fixture *f, const char *text)
{
    return import_in_steps(f, NX_IMPORT_JSON, false, text, strlen(text) + 1);
}

static char *export(struct store_fixture *f, enum nx_export_format format)
{
    struct nx_buf out = NX_BUF_INIT;
    struct nx_export *export;
    enum nx_code rc;

    assert_int_equal(nx_export_open(f->db, NULL, f->users, format, NULL, NULL, &export, NULL),
                     NX_OK);
    while ((rc = nx_export_next(export, 1, &out, NULL)) == NX_OK)
        ;
    assert_int_equal(rc, NX_DONE);
    nx_export_close(export);
    nx_buf_append_byte(&out, 0);
    return (char *)out.data;
}

static void assert_exports(struct store_fixture *f, enum nx_export_format format, const char *text)
{
    char *got = export(f, format);

    assert_string_equal(got, text);
    free(got);
}

static void documents_are_cut_the_same_however_the_text_is_split(void **state)
{
    static const char *const texts[] = {
        "{\"_id\":1,\"a\":\"}\"}\n{\"_id\":2}\r\n\n {\"_id\":3}",
        "{\n  \"_id\": 1,\n  \"a\": \"}\"\n}\n{\n  \"_id\": 2\n}\n{\"_id\":3}\n",
        "{\"_id\":1,\"a\":\"}\"}{\"_id\":2} {\"_id\":3}",
        " [ {\"_id\":1,\"a\":\"}\"},\n{\"_id\":2}\n,{\"_id\":3} ] \n",
    };
    struct store_fixture *f = *state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (size_t step = 1; step < 12; step++) {
            struct outcome got = import_in_steps(f, NX_IMPORT_JSON, false, texts[i], step);

            assert_int_equal(got.code, NX_OK);
            assert_int_equal(got.inserted + got.replaced, 3);
            assert_exports(f, NX_EXPORT_NDJSON,
                           "{\"_id\":1,\"a\":\"}\"}\n{\"_id\":2}\n{\"_id\":3}\n");
        }
}

static void existing_ids_are_replaced_and_the_last_duplicate_wins(void **state)
{
    struct store_fixture *f = *state;
    struct outcome got = import(f, "{\"_id\":\"a\",\"n\":1}\n{\"_id\":\"b\"}\n");

    assert_int_equal(got.inserted, 2);
    got = import(f, "{\"_id\":\"a\",\"n\":2}\n{\"_id\":\"c\",\"n\":1}\n{\"_id\":\"c\",\"n\":2}\n");
    assert_int_equal(got.code, NX_OK);
    assert_exports(f, NX_EXPORT_NDJSON,
                   "{\"_id\":\"a\",\"n\":2}\n{\"_id\":\"b\"}\n{\"_id\":\"c\",\"n\":2}\n");
}

static void a_document_without_id_gets_one(void **state)
{
    struct store_fixture *f = *state;

    assert_int_equal(import(f, "{\"n\":1}\n{\"n\":1}\n").inserted, 2);
    assert_int_equal(count_of(f->db, f->users), 2);
}

static void a_bad_line_ends_a_strict_import_with_what_stood_before_it_in(void **state)
{
    static const char *const bad[] = {"{\"_id\":4,}",  "{\"_id\":4",        "[1]",         "5",
                                      "{\"_id\":[4]}", "{\"a\":1,\"a\":2}", "{\"_id\":4}]"};
    struct store_fixture *f = *state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct outcome got;

        nx_buf_printf(&text, "{\"_id\":1}\n{\"_id\":2}\n\n%s\n{\"_id\":5}\n", bad[i]);
        nx_buf_append_byte(&text, 0);
        got = import(f, (const char *)text.data);
        assert_int_not_equal(got.code, NX_OK);
        assert_true(got.err.line == 4 || got.err.line == 5); /* where it cannot go on */
        assert_int_equal(got.rejected, 1);
        assert_exports(f, NX_EXPORT_NDJSON, "{\"_id\":1}\n{\"_id\":2}\n");
    }
}

static void bad_lines_are_passed_over_and_listed_when_asked(void **state)
{
    struct store_fixture *f = *state;

    for (size_t step = 1; step < 20; step += 3) {
        struct outcome got = import_in_steps(
            f, NX_IMPORT_JSON, true,
            "{\"_id\":1}\n{oops}\n{\"_id\":2}\nnonsense {\"_id\":9}\n{\"_id\":[]}\n{\"_id\":3}\n",
            step);

        assert_int_equal(got.code, NX_OK);
        assert_int_equal(got.rejected, 3);
        assert_int_equal(got.first_line, 2);
        assert_exports(f, NX_EXPORT_NDJSON, "{\"_id\":1}\n{\"_id\":2}\n{\"_id\":3}\n");
    }
}

static void a_broken_array_is_refused_from_there_on(void **state)
{
    static const char *const texts[] = {"[{\"_id\":1} {\"_id\":2}]", "[{\"_id\":1},]",
                                        "[{\"_id\":1}", "[{\"_id\":1}] x", "[{\"_id\":1},{]"};
    struct store_fixture *f = *state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct outcome got = import(f, texts[i]);

        assert_int_equal(got.code, NX_EJSON);
        assert_exports(f, NX_EXPORT_NDJSON, "{\"_id\":1}\n");
    }
}

static void nothing_is_a_good_import(void **state)
{
    struct store_fixture *f = *state;

    assert_int_equal(import(f, "").code, NX_OK);
    assert_int_equal(import(f, " \n\n").code, NX_OK);
    assert_int_equal(import(f, "[]").code, NX_OK);
    assert_exports(f, NX_EXPORT_NDJSON, "");
    assert_exports(f, NX_EXPORT_JSON, "[]\n");
    assert_exports(f, NX_EXPORT_CSV, "");
}

static void types_survive_an_export_and_an_import(void **state)
{
    static const char *const text = "{\"_id\":1,\"l\":{\"$numberLong\":\"5\"},\"d\":5.0,\"t\":{\"$"
                                    "date\":\"2020-01-01T00:00:00Z\"}}";
    struct store_fixture *f = *state;
    char *first, *second;

    import(f, text);
    first = export(f, NX_EXPORT_JSON);
    assert_int_equal(import(f, first).replaced, 1);
    second = export(f, NX_EXPORT_JSON);
    assert_string_equal(first, second);
    assert_non_null(strstr(first, "{\"$numberLong\":\"5\"}"));
    free(first);
    free(second);
}

static void csv_goes_in_with_types_and_comes_out_the_same(void **state)
{
    static const char *const csv = "_id,name,n,flag\n"
                                   "1,\"Alice, A.\",2.5,true\n"
                                   "2,\"5\",,false\n"
                                   "3,\"say \"\"hi\"\"\",7,\n";
    struct store_fixture *f = *state;

    for (size_t step = 1; step < 30; step += 4) {
        assert_int_equal(import_in_steps(f, NX_IMPORT_CSV, false, csv, step).code, NX_OK);
        assert_exports(f, NX_EXPORT_NDJSON,
                       "{\"_id\":1,\"name\":\"Alice, A.\",\"n\":2.5,\"flag\":true}\n"
                       "{\"_id\":2,\"name\":\"5\",\"flag\":false}\n"
                       "{\"_id\":3,\"name\":\"say \\\"hi\\\"\",\"n\":7}\n");
        assert_exports(f, NX_EXPORT_CSV, csv);
    }
}

/* A source of two documents that are in no collection; fails instead of the `fail_at`-th. */
struct pair {
    struct nx_buf documents[2];
    unsigned at, rewinds, fail_at;
};

static enum nx_code rewind_pair(void *arg, struct nx_err *err)
{
    struct pair *pair = arg;

    (void)err;
    pair->at = 0;
    pair->rewinds++;
    return NX_OK;
}

static enum nx_code next_of_pair(void *arg, struct nx_slice *doc, struct nx_err *err)
{
    struct pair *pair = arg;

    if (pair->at == pair->fail_at)
        return nx_fail(err, NX_ETIMEDOUT, "no more");
    if (pair->at == 2)
        return NX_DONE;
    *doc = nx_buf_slice(&pair->documents[pair->at++]);
    return NX_OK;
}

static enum nx_code export_pair(struct pair *pair, enum nx_export_format format, const char *text)
{
    struct nx_export_source source = {rewind_pair, next_of_pair, pair};
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_export *export;
    enum nx_code rc;

    pair->rewinds = 0;
    assert_int_equal(nx_export_from(&source, format, &export, NULL), NX_OK);
    while ((rc = nx_export_next(export, 1, &out, NULL)) == NX_OK)
        ;
    nx_export_close(export);
    assert_int_equal(nx_buf_append_byte(&out, 0), NX_OK);
    assert_string_equal((char *)out.data, text);
    return rc;
}

static void documents_of_any_source_are_exported(void **state)
{
    struct pair pair = {.documents = {NX_BUF_INIT, NX_BUF_INIT}, .fail_at = 9};

    (void)state;
    nx_json_parse("{\"a\":1}", 7, NX_JSON_DOCUMENT, 0, &pair.documents[0], NULL, NULL);
    nx_json_parse("{\"b\":2}", 7, NX_JSON_DOCUMENT, 0, &pair.documents[1], NULL, NULL);
    assert_int_equal(export_pair(&pair, NX_EXPORT_NDJSON, "{\"a\":1}\n{\"b\":2}\n"), NX_DONE);
    assert_int_equal(pair.rewinds, 1);
    assert_int_equal(export_pair(&pair, NX_EXPORT_CSV, "a,b\n1,\n,2\n"), NX_DONE);
    assert_int_equal(pair.rewinds, 2);
    pair.fail_at = 1;
    assert_int_equal(export_pair(&pair, NX_EXPORT_NDJSON, "{\"a\":1}\n"), NX_ETIMEDOUT);
    assert_int_equal(export_pair(&pair, NX_EXPORT_CSV, ""), NX_ETIMEDOUT);
    nx_buf_fini(&pair.documents[0]);
    nx_buf_fini(&pair.documents[1]);
}

static void bad_csv_is_refused_with_its_line(void **state)
{
    struct store_fixture *f = *state;
    struct outcome got = import_in_steps(f, NX_IMPORT_CSV, false, "_id,a\n1,2\n2,3,4\n", 100);

    assert_int_equal(got.code, NX_EINVAL);
    assert_int_equal(got.err.line, 3);
    assert_int_equal(count_of(f->db, f->users), 1);
    assert_int_equal(import_in_steps(f, NX_IMPORT_CSV, false, "a,a\n1,2\n", 100).code, NX_EINVAL);
    assert_int_equal(import_in_steps(f, NX_IMPORT_CSV, false, "a,\n1,2\n", 100).code, NX_EINVAL);
    got = import_in_steps(f, NX_IMPORT_CSV, true, "_id,a\n5,\xff\n6,1\n", 100);
    assert_int_equal(got.rejected, 1);
    assert_int_equal(got.first_line, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)
    const struct CMUnitTest tests[] = {
        TEST(documents_are_cut_the_same_however_the_text_is_split),
        TEST(existing_ids_are_replaced_and_the_last_duplicate_wins),
        TEST(a_document_without_id_gets_one),
        TEST(a_bad_line_ends_a_strict_import_with_what_stood_before_it_in),
        TEST(bad_lines_are_passed_over_and_listed_when_asked),
        TEST(a_broken_array_is_refused_from_there_on),
        TEST(nothing_is_a_good_import),
        TEST(types_survive_an_export_and_an_import),
        TEST(csv_goes_in_with_types_and_comes_out_the_same),
        TEST(documents_of_any_source_are_exported),
        TEST(bad_csv_is_refused_with_its_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

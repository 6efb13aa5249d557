/* value_test.c - views, builder, checker: what is built is what is read, and nothing bad passes. */
#include <bson/bson.h>
#include <stdlib.h>

#include <nexadb/value.h>

#include "random_doc.h"
#include "tests/support/unit.h"

static void builder_and_iterator_agree(void **state)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_builder b;
    struct nx_slice doc;

    (void)state;
    nx_builder_init(&b, &buf);
    nx_builder_put_z(&b, "a", nx_int32(1));
    nx_builder_put_z(&b, "gone", NX_MISSING);
    nx_builder_begin_array(&b, "list", 4);
    nx_builder_put_z(&b, "ignored", nx_string_z("x"));
    nx_builder_push(&b, &NX_MISSING);
    nx_builder_begin_document(&b, NULL, 0);
    nx_builder_put_z(&b, "in", nx_bool(true));
    nx_builder_close(&b);
    nx_builder_close(&b);
    nx_builder_put_z(&b, "d.e", nx_double(2.5));
    assert_int_equal(nx_builder_end(&b, NULL), NX_OK);
    doc = nx_buf_slice(&buf);

    assert_int_equal(nx_doc_check(doc, NULL), NX_OK);
    assert_int_equal(nx_doc_count(doc), 3);
    assert_int_equal(nx_doc_get_z(doc, "a").i32, 1);
    assert_true(nx_doc_get_z(doc, "d.e").f64 == 2.5);
    assert_int_equal(nx_doc_get_z(doc, "gone").type, NX_TYPE_MISSING);
    struct nx_value list = nx_doc_get_z(doc, "list");
    assert_int_equal(list.type, NX_TYPE_ARRAY);
    assert_int_equal(nx_doc_get_z(nx_value_slice(&list), "1").type, NX_TYPE_NULL);
    struct nx_value inner = nx_doc_get_z(nx_value_slice(&list), "2");
    assert_true(nx_doc_get_z(nx_value_slice(&inner), "in").boolean);
}

static void empty_document_is_empty(void **state)
{
    (void)state;
    assert_true(nx_doc_is_empty(nx_doc_empty));
    assert_int_equal(nx_doc_count(nx_doc_empty), 0);
    assert_int_equal(nx_doc_check(nx_doc_empty, NULL), NX_OK);
}

static void builder_refuses_what_it_cannot_hold(void **state)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_builder b;
    struct nx_value odd = {.type = 0x42};

    (void)state;
    nx_builder_init(&b, &buf);
    nx_builder_put_z(&b, "a", odd);
    assert_int_equal(nx_builder_end(&b, NULL), NX_EDOC);
    nx_buf_clear(&buf);
    nx_builder_init(&b, &buf);
    for (int i = 0; i < 200; i++)
        nx_builder_begin_document(&b, "a", 1);
    assert_int_equal(nx_builder_end(&b, NULL), NX_ETOOBIG);
    nx_buf_clear(&buf);
    nx_builder_init(&b, &buf);
    nx_builder_close(&b);
    nx_builder_close(&b);
    assert_int_equal(nx_builder_end(&b, NULL), NX_EINTERNAL);
}

/* Documents that must be refused: the bytes, and a word of the reason. */
static const struct {
    const char *bytes;
    size_t len;
    const char *reason;
} bad_documents[] = {
    {"", 0, "length"},
    {"\5\0\0\0", 4, "length"},
    {"\5\0\0\0\1", 5, "end"},
    {"\6\0\0\0\0\0", 6, "key has no end"},
    {"\x08\0\0\0\x0a"
     "a\0",
     7, "length"},
    {"\x08\0\0\0\x0a"
     "ab\0",
     8, "no end"},
    {"\x08\0\0\0\x42"
     "a\0\0",
     8, "unknown type"},
    {"\x08\0\0\0\x00"
     "a\0\0",
     8, "unknown type"},
    {"\x09\0\0\0\x08"
     "a\0\2\0",
     9, "does not fit"},
    {"\x0a\0\0\0\x10"
     "a\0\1\0\0",
     10, "does not fit"},
    {"\x0e\0\0\0\x02"
     "a\0\0\0\0\0a\0",
     14, "does not fit"},
    {"\x0e\0\0\0\x02"
     "a\0\x03\0\0\0a\0",
     14, "does not fit"},
    {"\x0e\0\0\0\x02"
     "a\0\xff\xff\xff\xff"
     "a\0",
     14, "does not fit"},
    {"\x0e\0\0\0\x02"
     "a\0\x02\0\0\0\xff\0\0",
     14, "UTF-8"},
    {"\x08\0\0\0\x0a\xff\0\0", 8, "UTF-8"},
    {"\x0b\0\0\0\x0a"
     "a\0\x0a"
     "a\0\0",
     11, "twice"},
    {"\x10\0\0\0\x04"
     "a\0\x08\0\0\0\x0a"
     "1\0\0\0",
     16, "numbered"},
    {"\x10\0\0\0\x03"
     "a\0\x09\0\0\0\x0a"
     "1\0\0\0",
     16, "does not fit"},
    {"\x0c\0\0\0\x0b"
     "a\0a\0mi\0",
     13, "length"},
    {"\x0d\0\0\0\x0b"
     "a\0a\0mi\0\0",
     14, "length"},
    {"\x0d\0\0\0\x0b"
     "a\0a\0mi\0",
     13, "order"},
};

static void checker_refuses_damage_and_names_the_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_documents / sizeof *bad_documents; i++) {
        struct nx_err err = NX_ERR_INIT;
        uint8_t *copy = malloc(bad_documents[i].len ? bad_documents[i].len : 1);

        memcpy(copy, bad_documents[i].bytes, bad_documents[i].len);
        if (nx_doc_check(nx_slice(copy, bad_documents[i].len), &err) != NX_EDOC ||
            !strstr(err.message, bad_documents[i].reason))
            fail_msg("document %zu: '%s', not '%s'", i, err.message, bad_documents[i].reason);
        assert_non_null(strstr(err.message, "byte"));
        free(copy);
    }
}

static void nest(struct nx_buf *buf, unsigned levels)
{
    struct nx_builder b;

    nx_builder_init(&b, buf);
    for (unsigned i = 1; i < levels; i++)
        nx_builder_begin_document(&b, "a", 1);
    for (unsigned i = 1; i < levels; i++)
        nx_builder_close(&b);
    assert_int_equal(nx_builder_end(&b, NULL), NX_OK);
}

static void checker_bounds_nesting(void **state)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    nest(&buf, NX_DOC_MAX_DEPTH);
    assert_int_equal(nx_doc_check(nx_buf_slice(&buf), NULL), NX_OK);
    nx_buf_clear(&buf);
    nest(&buf, NX_DOC_MAX_DEPTH + 1);
    assert_int_equal(nx_doc_check(nx_buf_slice(&buf), NULL), NX_EDOC);
}

static void wide(struct nx_buf *buf, unsigned fields, bool repeat)
{
    struct nx_builder b;
    char key[16];

    nx_builder_init(&b, buf);
    for (unsigned i = 0; i < fields; i++) {
        snprintf(key, sizeof key, "key%u", repeat && i == fields - 1 ? i / 2 : i);
        nx_builder_put_z(&b, key, NX_NULL);
    }
    assert_int_equal(nx_builder_end(&b, NULL), NX_OK);
}

static void checker_finds_a_duplicate_among_any_number_of_keys(void **state)
{
    (void)state;
    for (unsigned n = 2; n < 20000; n = n * 3 / 2 + 1) {
        struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

        wide(&buf, n, false);
        assert_int_equal(nx_doc_check(nx_buf_slice(&buf), NULL), NX_OK);
        nx_buf_clear(&buf);
        wide(&buf, n, true);
        assert_int_equal(nx_doc_check(nx_buf_slice(&buf), NULL), NX_EDOC);
    }
}

static bool library_accepts(struct nx_slice doc)
{
    bson_t view;

    return bson_init_static(&view, doc.data, doc.len) &&
           bson_validate(&view, BSON_VALIDATE_UTF8 | BSON_VALIDATE_UTF8_ALLOW_NULL, NULL);
}

/* Ours is the stricter: whatever it lets through, libbson takes too. Whole documents pass both. */
static void checker_agrees_with_libbson(void **state)
{
    struct rng rng = rng_init();
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    unsigned accepted = 0;

    (void)state;
    for (int round = 0; round < 4000; round++) {
        nx_buf_clear(&buf);
        random_document(&rng, RANDOM_ALL, 3, &buf);
        assert_int_equal(nx_doc_check(nx_buf_slice(&buf), NULL), NX_OK);
        assert_true(library_accepts(nx_buf_slice(&buf)));
        for (int i = 0; i < 8; i++) {
            uint8_t *byte = &buf.data[rng_below(&rng, (uint32_t)buf.len)], old = *byte;

            *byte = (uint8_t)(rng_below(&rng, 2) ? rng_next(&rng) : old ^ 1u << rng_below(&rng, 8));
            if (nx_doc_check(nx_buf_slice(&buf), NULL) == NX_OK) {
                accepted++;
                assert_true(library_accepts(nx_buf_slice(&buf)));
            }
            *byte = old;
        }
    }
    assert_true(accepted > 100);
}

static void types_have_their_aliases(void **state)
{
    (void)state;
    assert_string_equal(nx_type_name(NX_TYPE_DOCUMENT), "object");
    assert_string_equal(nx_type_name(NX_TYPE_INT64), "long");
    assert_string_equal(nx_type_name(NX_TYPE_BINARY), "binData");
    assert_string_equal(nx_type_name(0x42), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builder_and_iterator_agree),
        cmocka_unit_test(empty_document_is_empty),
        cmocka_unit_test(builder_refuses_what_it_cannot_hold),
        cmocka_unit_test(checker_refuses_damage_and_names_the_byte),
        cmocka_unit_test(checker_bounds_nesting),
        cmocka_unit_test(checker_finds_a_duplicate_among_any_number_of_keys),
        cmocka_unit_test(checker_agrees_with_libbson),
        cmocka_unit_test(types_have_their_aliases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* keyenc_test.c - keys sort as values do, and values come back from their keys. */
#include <stdlib.h>

#include <nexadb/json.h>

#include "doc/keyenc.h"
#include "random_doc.h"
#include "tests/support/unit.h"

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

struct sample {
    struct nx_buf doc, key;
    struct nx_value value;
};

static void sample_make(struct sample *s, struct rng *rng)
{
    struct nx_doc_iter iter;

    *s = (struct sample){0};
    random_value(rng, RANDOM_ALL, 2, &s->doc);
    nx_doc_iter_init(&iter, nx_buf_slice(&s->doc));
    s->value = nx_doc_iter_next(&iter) ? iter.value : NX_MISSING;
    assert_int_equal(keyenc_append(&s->key, &s->value), NX_OK);
}

static void sample_free(struct sample *s)
{
    nx_buf_fini(&s->doc);
    nx_buf_fini(&s->key);
}

static void assert_decodes(const struct sample *s)
{
    struct nx_buf back NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf again NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_builder b;
    struct nx_value value;
    size_t used;

    assert_int_equal(keyenc_length(nx_buf_slice(&s->key)), s->key.len);
    nx_builder_init(&b, &back);
    assert_int_equal(keyenc_decode(nx_buf_slice(&s->key), &b, "v", 1, &used), NX_OK);
    assert_int_equal(nx_builder_end(&b, NULL), NX_OK);
    assert_int_equal(used, s->key.len);
    assert_int_equal(nx_doc_check(nx_buf_slice(&back), NULL), NX_OK);
    value = nx_doc_get_z(nx_buf_slice(&back), "v");
    assert_int_equal(nx_value_compare(&value, &s->value), 0);
    assert_int_equal(keyenc_append(&again, &value), NX_OK);
    assert_true(nx_slice_equal(nx_buf_slice(&again), nx_buf_slice(&s->key)));
}

static void keys_sort_as_values_and_decode(void **state)
{
    struct rng rng = rng_init();

    (void)state;
    for (int round = 0; round < 60000; round++) {
        struct sample a, b;
        int by_value, by_key;

        sample_make(&a, &rng);
        sample_make(&b, &rng);
        by_value = sign(nx_value_compare(&a.value, &b.value));
        by_key = sign(nx_slice_compare(nx_buf_slice(&a.key), nx_buf_slice(&b.key)));
        if (by_value != by_key)
            fail_msg("round %d: types %s and %s, values %d, keys %d", round,
                     nx_type_name(a.value.type), nx_type_name(b.value.type), by_value, by_key);
        assert_decodes(&a);
        sample_free(&a);
        sample_free(&b);
    }
}

static void keys_follow_each_other_and_descend(void **state)
{
    struct rng rng = rng_init();

    (void)state;
    for (int round = 0; round < 5000; round++) {
        struct nx_buf x NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct nx_buf y NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct sample a, b, c;
        int first, second;

        sample_make(&a, &rng);
        sample_make(&b, &rng);
        sample_make(&c, &rng);
        keyenc_append_descending(&x, &a.value);
        keyenc_append(&x, &c.value);
        keyenc_append_descending(&y, &b.value);
        keyenc_append(&y, &a.value);
        first = -sign(nx_value_compare(&a.value, &b.value));
        second = sign(nx_value_compare(&c.value, &a.value));
        assert_int_equal(sign(nx_slice_compare(nx_buf_slice(&x), nx_buf_slice(&y))),
                         first ? first : second);
        sample_free(&a);
        sample_free(&b);
        sample_free(&c);
    }
}

static void damaged_keys_are_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"", 0},
        {"\x01", 1},
        {"\x10", 1},
        {"\x10\x80\0\0\0\0\0\0\0\2", 10},               /* neither exact nor with digits */
        {"\x10\x80\0\0\0\0\0\0\0\1", 10},               /* digits cut off */
        {"\x10\x7f\xff\xff\xff\xff\xff\xff\xff\0", 10}, /* -0 */
        {"\x10\xff\xf8\0\0\0\0\0\0\0", 10},             /* another NaN */
        {"\x18"
         "abc",
         4},
        {"\x18"
         "abc\0",
         5},
        {"\x18"
         "abc\0\2",
         6},
        {"\x18\xff\0\1", 4}, /* not UTF-8 */
        {"\x20\x06"
         "a",
         3},
        {"\x28\x06", 2},
        {"\x30\xff\xff\xff\xff\0", 6},
        {"\x38"
         "12345678901",
         12},
        {"\x40\2", 2},
        {"\x48"
         "1234567",
         8},
        {"\x58"
         "a\0i",
         4},
        {"\x60\0\0\0\1x", 6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct nx_builder b;
        size_t used;

        nx_builder_init(&b, &out);
        if (keyenc_decode(nx_slice(bad[i].bytes, bad[i].len), &b, "", 0, &used) != NX_ECORRUPT)
            fail_msg("key %zu was accepted", i);
        assert_int_equal(used, 0);
    }
}

static void nesting_in_keys_is_bounded(void **state)
{
    uint8_t deep[5000];

    (void)state;
    memset(deep, 0x28, sizeof deep);
    assert_int_equal(keyenc_length(nx_slice(deep, sizeof deep)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_sort_as_values_and_decode),
        cmocka_unit_test(keys_follow_each_other_and_descend),
        cmocka_unit_test(damaged_keys_are_refused),
        cmocka_unit_test(nesting_in_keys_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* order_test.c - the comparison order over all types, exact over numbers, and the hash beside it.
 */
#include <bson/bson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <nexadb/value.h>

#include "doc/number.h"
#include "random_doc.h"
#include "tests/support/unit.h"

static uint8_t decimal_bytes[32][16];
static unsigned decimals_made;

static struct nx_value decimal(const char *text)
{
    bson_decimal128_t d;
    uint8_t *bytes = decimal_bytes[decimals_made++ % 32];

    assert_true(bson_decimal128_from_string(text, &d));
    memcpy(bytes, &d.low, 8);
    memcpy(bytes + 8, &d.high, 8);
    return (struct nx_value){.type = NX_TYPE_DECIMAL128, .len = 16, .data = bytes};
}

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

static void assert_order(struct nx_value a, struct nx_value b, int expected)
{
    if (sign(nx_value_compare(&a, &b)) != expected || sign(nx_value_compare(&b, &a)) != -expected)
        fail_msg("%s and %s: %d, not %d", nx_type_name(a.type), nx_type_name(b.type),
                 nx_value_compare(&a, &b), expected);
    if (expected == 0)
        assert_int_equal(nx_value_hash(&a, 7), nx_value_hash(&b, 7));
}

static void classes_are_ordered(void **state)
{
    static const uint8_t order[] = {
        NX_TYPE_MINKEY,   NX_TYPE_MISSING,   NX_TYPE_NULL,   NX_TYPE_INT32,    NX_TYPE_STRING,
        NX_TYPE_DOCUMENT, NX_TYPE_ARRAY,     NX_TYPE_BINARY, NX_TYPE_OBJECTID, NX_TYPE_BOOL,
        NX_TYPE_DATE,     NX_TYPE_TIMESTAMP, NX_TYPE_REGEX,  NX_TYPE_MAXKEY};

    (void)state;
    for (size_t i = 0; i + 1 < sizeof order; i++)
        assert_true(nx_type_order(order[i]) < nx_type_order(order[i + 1]));
}

static void numbers_compare_by_exact_value(void **state)
{
    (void)state;
    assert_order(nx_int32(5), nx_int64(5), 0);
    assert_order(nx_int32(5), nx_double(5), 0);
    assert_order(nx_double(-0.0), nx_int32(0), 0);
    assert_order(nx_double(-0.0), nx_double(0.0), 0);
    assert_order(nx_double(NAN), nx_double(-INFINITY), -1);
    assert_order(nx_double(NAN), decimal("NaN"), 0);
    assert_order(nx_double(-NAN), nx_double(NAN), 0);
    assert_order(nx_int64(9007199254740993), nx_double(9007199254740992.0), 1);
    assert_order(nx_int64(INT64_MAX), nx_double(0x1p63), -1);
    assert_order(nx_int64(INT64_MIN), nx_double(-0x1p63), 0);
    assert_order(nx_double(1.5), nx_int32(1), 1);
    assert_order(nx_double(-1.5), nx_int32(-1), -1);
    assert_order(nx_double(INFINITY), nx_int64(INT64_MAX), 1);
}

static void decimals_compare_by_exact_value(void **state)
{
    (void)state;
    assert_order(decimal("1.50"), nx_double(1.5), 0);
    assert_order(decimal("1E+2"), nx_int32(100), 0);
    assert_order(decimal("0.1"), nx_double(0.1), -1);
    assert_order(decimal("0.1000000000000000055511151231257827"), nx_double(0.1), -1);
    assert_order(decimal("0.1000000000000000055511151231257828"), nx_double(0.1), 1);
    assert_order(decimal("-0.1"), nx_double(-0.1), 1);
    assert_order(decimal("9223372036854775807"), nx_int64(INT64_MAX), 0);
    assert_order(decimal("9223372036854775807.5"), nx_int64(INT64_MAX), 1);
    assert_order(decimal("9223372036854775808"), nx_double(0x1p63), 0);
    assert_order(decimal("1E+400"), nx_double(1.7976931348623157e308), 1);
    assert_order(decimal("1E+6111"), nx_double(INFINITY), -1);
    assert_order(decimal("Infinity"), nx_double(INFINITY), 0);
    assert_order(decimal("1E-400"), nx_double(5e-324), -1);
    assert_order(decimal("1E-400"), nx_int32(0), 1);
    assert_order(decimal("-0"), nx_double(0), 0);
    assert_order(decimal("0E+100"), nx_int32(0), 0);
    assert_order(decimal("1.0"), decimal("1.00"), 0);
    assert_order(decimal("9999999999999999999999999999999999"), decimal("1E+34"), -1);
}

static struct nx_value object(const char *json)
{
    static bson_t *kept[16];
    static unsigned n;
    bson_t **slot = &kept[n++ % 16];

    if (*slot)
        bson_destroy(*slot);
    *slot = bson_new_from_json((const uint8_t *)json, -1, NULL);
    assert_non_null(*slot);
    return nx_doc_value(nx_slice(bson_get_data(*slot), (*slot)->len));
}

static void objects_compare_by_type_then_name_then_value(void **state)
{
    (void)state;
    assert_order(object("{\"a\":1}"), object("{\"a\":1.0}"), 0);
    assert_order(object("{\"b\":1}"), object("{\"a\":\"x\"}"), -1); /* number before string */
    assert_order(object("{\"a\":2}"), object("{\"b\":1}"), -1);
    assert_order(object("{\"a\":1}"), object("{\"a\":2}"), -1);
    assert_order(object("{\"a\":1}"), object("{\"a\":1,\"b\":0}"), -1);
    assert_order(object("{\"a\":1,\"b\":2}"), object("{\"b\":2,\"a\":1}"), -1);
    assert_order(object("{}"), object("{\"a\":null}"), -1);
}

static void binaries_compare_by_length_then_subtype(void **state)
{
    struct nx_value a = {
        .type = NX_TYPE_BINARY, .subtype = 9, .len = 1, .data = (const uint8_t *)"z"};
    struct nx_value b = {
        .type = NX_TYPE_BINARY, .subtype = 0, .len = 2, .data = (const uint8_t *)"aa"};
    struct nx_value c = {
        .type = NX_TYPE_BINARY, .subtype = 5, .len = 2, .data = (const uint8_t *)"aa"};

    (void)state;
    assert_order(a, b, -1);
    assert_order(b, c, -1);
}

static void texts_compare_bytewise(void **state)
{
    struct nx_value symbol = nx_string_z("b");
    struct nx_value re_a = {.type = NX_TYPE_REGEX, .len = 3, .data = (const uint8_t *)"a\0\0"};
    struct nx_value re_ai = {.type = NX_TYPE_REGEX, .len = 4, .data = (const uint8_t *)"a\0i"};
    struct nx_value re_ab = {.type = NX_TYPE_REGEX, .len = 4, .data = (const uint8_t *)"ab\0"};

    (void)state;
    symbol.type = NX_TYPE_SYMBOL;
    assert_order(nx_string_z("B"), nx_string_z("a"), -1);
    assert_order(nx_string_z("a"), nx_string_z("ab"), -1);
    assert_order(nx_string("a\0b", 3), nx_string_z("a"), 1);
    assert_order(nx_string_z("z"), nx_string_z("\xc3\xa9"), -1);
    assert_order(nx_string_z("b"), symbol, 0);
    assert_order(re_a, re_ai, -1);
    assert_order(re_ai, re_ab, -1);
}

static void order_is_total_and_the_hash_follows(void **state)
{
    struct rng rng = rng_init();

    (void)state;
    for (int round = 0; round < 60000; round++) {
        struct nx_buf bufs[3] = {NX_BUF_INIT, NX_BUF_INIT, NX_BUF_INIT};
        struct nx_value v[3];
        int ab, bc, ac;

        for (int i = 0; i < 3; i++) {
            struct nx_doc_iter iter;

            random_value(&rng, RANDOM_ALL, 2, &bufs[i]);
            nx_doc_iter_init(&iter, nx_buf_slice(&bufs[i]));
            v[i] = nx_doc_iter_next(&iter) ? iter.value : NX_MISSING;
        }
        ab = sign(nx_value_compare(&v[0], &v[1]));
        bc = sign(nx_value_compare(&v[1], &v[2]));
        ac = sign(nx_value_compare(&v[0], &v[2]));
        assert_int_equal(ab, -sign(nx_value_compare(&v[1], &v[0])));
        assert_int_equal(nx_value_compare(&v[0], &v[0]), 0);
        if (ab <= 0 && bc <= 0)
            assert_int_equal(ac, ab < 0 || bc < 0 ? -1 : 0);
        if (ab == 0)
            assert_int_equal(nx_value_hash(&v[0], 1), nx_value_hash(&v[1], 1));
        for (int i = 0; i < 3; i++)
            nx_buf_fini(&bufs[i]);
    }
}

static void conversions_are_exact_or_refused(void **state)
{
    struct nx_value v;
    int64_t i;

    (void)state;
    v = decimal("1.20E+2");
    assert_true(nx_value_to_int64(&v, &i) && i == 120);
    v = decimal("1.5");
    assert_false(nx_value_to_int64(&v, &i));
    assert_true(nx_value_to_double(&v) == 1.5);
    v = decimal("-9223372036854775808");
    assert_true(nx_value_to_int64(&v, &i) && i == INT64_MIN);
    v = decimal("9223372036854775808");
    assert_false(nx_value_to_int64(&v, &i));
    v = decimal("1E+6000");
    assert_true(isinf(nx_value_to_double(&v)));
    v = nx_double(0x1p63);
    assert_false(nx_value_to_int64(&v, &i));
    v = nx_double(NAN);
    assert_false(nx_value_to_int64(&v, &i));
    v = nx_string_z("1");
    assert_false(nx_value_to_int64(&v, &i));
    assert_true(nx_value_to_double(&v) == 0);
}

static void doubles_are_written_shortest_and_read_back(void **state)
{
    static const struct {
        double value;
        const char *text;
    } known[] = {{0, "0.0"},
                 {-0.0, "-0.0"},
                 {5, "5.0"},
                 {0.1, "0.1"},
                 {100.25, "100.25"},
                 {1e-4, "0.0001"},
                 {1e-5, "1e-05"},
                 {1e15, "1000000000000000.0"},
                 {1e16, "1e+16"},
                 {1.5e300, "1.5e+300"},
                 {5e-324, "5e-324"},
                 {2.2250738585072014e-308, "2.2250738585072014e-308"},
                 {1.7976931348623157e308, "1.7976931348623157e+308"},
                 {9007199254740992, "9007199254740992.0"},
                 {9e22, "9e+22"},
                 {1.0 / 3, "0.3333333333333333"},
                 {2e-7, "2e-07"}};
    struct rng rng = rng_init();
    char text[NUMBER_TEXT_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        text[number_write_double(known[i].value, text)] = '\0';
        assert_string_equal(text, known[i].text);
    }
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = rng_next(&rng);
        double v, back;
        size_t n;

        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        if (i % 2)
            v = (double)(float)rng_below(&rng, 1u << 31) / (double)(1 << (i % 40 % 30));
        n = number_write_double(v, text);
        assert_true(n <= NUMBER_TEXT_BYTES);
        back = number_parse_double(text, n);
        assert_memory_equal(&v, &back, sizeof v);
        text[n] = '\0';
        assert_true(strtod(text, NULL) == v);
    }
}

/* Digits without the zeros around them. */
static int digits_of(const char *text)
{
    int n = 0, zeros = 0;

    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (n == 0 && *text == '0'))
            continue;
        n++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return n - zeros;
}

static void no_shorter_text_reads_back(void **state)
{
    struct rng rng = rng_init();
    char text[NUMBER_TEXT_BYTES + 1], other[40];

    (void)state;
    for (int i = 0; i < 5000; i++) {
        uint64_t bits = rng_next(&rng);
        double v;
        int digits;

        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        text[number_write_double(v, text)] = '\0';
        digits = digits_of(text);
        if (digits < 2)
            continue;
        snprintf(other, sizeof other, "%.*e", digits - 2, v);
        assert_true(strtod(other, NULL) != v);
    }
}

/* Mantissas of all lengths and all exponents, against the C library. */
static void decimal_texts_become_the_nearest_double(void **state)
{
    struct rng rng = rng_init();

    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint64_t mantissa = rng_next(&rng) / 2 >> rng_below(&rng, 62);
        int exponent = i % 2 ? (int)rng_below(&rng, 700) - 360 : -(int)rng_below(&rng, 25);
        char text[64];
        int len = snprintf(text, sizeof text, "%llue%d", (unsigned long long)mantissa, exponent);
        double got = number_make_double(mantissa, exponent, text, (size_t)len);
        double expected = strtod(text, NULL);

        if (memcmp(&got, &expected, sizeof got) != 0)
            fail_msg("%s: %a, not %a", text, got, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_are_ordered),
        cmocka_unit_test(numbers_compare_by_exact_value),
        cmocka_unit_test(decimals_compare_by_exact_value),
        cmocka_unit_test(objects_compare_by_type_then_name_then_value),
        cmocka_unit_test(binaries_compare_by_length_then_subtype),
        cmocka_unit_test(texts_compare_bytewise),
        cmocka_unit_test(order_is_total_and_the_hash_follows),
        cmocka_unit_test(conversions_are_exact_or_refused),
        cmocka_unit_test(doubles_are_written_shortest_and_read_back),
        cmocka_unit_test(no_shorter_text_reads_back),
        cmocka_unit_test(decimal_texts_become_the_nearest_double),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

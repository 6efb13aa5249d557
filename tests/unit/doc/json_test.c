/* json_test.c - JSON to BSON and back: forms, numbers, errors with their place, round trips. */
#include <stdio.h>
#include <stdlib.h>

#include <nexadb/json.h>

#include "random_doc.h"
#include "tests/support/unit.h"

static struct nx_slice parse(struct nx_buf *buf, const char *text, enum nx_json_mode mode)
{
    struct nx_err err = NX_ERR_INIT;

    nx_buf_clear(buf);
    if (nx_json_parse(text, strlen(text), mode, 0, buf, NULL, &err) != NX_OK)
        fail_msg("%s: %s", text, err.message);
    assert_int_equal(nx_doc_check(nx_buf_slice(buf), NULL), NX_OK);
    return nx_buf_slice(buf);
}

static void assert_writes(struct nx_slice doc, enum nx_json_flavor flavor, const char *expected)
{
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    assert_int_equal(nx_json_write(doc, false, flavor, 0, NULL, &out), NX_OK);
    nx_buf_append_byte(&out, 0);
    assert_string_equal((char *)out.data, expected);
}

/* Text, what the exact flavor writes, what the canonical flavor writes (NULL: as the exact one). */
static const struct {
    const char *text, *exact, *canonical;
} forms[] = {
    {"{}", "{}", NULL},
    {" { \"a\" : [ ] , \"b\" : { } } ", "{\"a\":[],\"b\":{}}", NULL},
    {"{\"a\":[true,false,null]}", "{\"a\":[true,false,null]}", NULL},
    {"{\"a\":5}", "{\"a\":5}", "{\"a\":{\"$numberInt\":\"5\"}}"},
    {"{\"a\":-0}", "{\"a\":0}", "{\"a\":{\"$numberInt\":\"0\"}}"},
    {"{\"a\":5.0}", "{\"a\":5.0}", "{\"a\":{\"$numberDouble\":\"5.0\"}}"},
    {"{\"a\":-0.0}", "{\"a\":-0.0}", "{\"a\":{\"$numberDouble\":\"-0.0\"}}"},
    {"{\"a\":1e3}", "{\"a\":1000.0}", "{\"a\":{\"$numberDouble\":\"1000.0\"}}"},
    {"{\"a\":2147483648}", "{\"a\":2147483648}", "{\"a\":{\"$numberLong\":\"2147483648\"}}"},
    {"{\"a\":-9223372036854775808}", "{\"a\":-9223372036854775808}",
     "{\"a\":{\"$numberLong\":\"-9223372036854775808\"}}"},
    {"{\"a\":9223372036854775808}", "{\"a\":9.223372036854776e+18}",
     "{\"a\":{\"$numberDouble\":\"9.223372036854776e+18\"}}"},
    {"{\"a\":1e400}", "{\"a\":{\"$numberDouble\":\"Infinity\"}}", NULL},
    {"{\"a\":{\"$numberLong\":\"5\"}}", "{\"a\":{\"$numberLong\":\"5\"}}", NULL},
    {"{\"a\":{\"$numberInt\":\"-7\"}}", "{\"a\":-7}", "{\"a\":{\"$numberInt\":\"-7\"}}"},
    {"{\"a\":{\"$numberDouble\":\"NaN\"}}", "{\"a\":{\"$numberDouble\":\"NaN\"}}", NULL},
    {"{\"a\":{\"$numberDouble\":\"-Infinity\"}}", "{\"a\":{\"$numberDouble\":\"-Infinity\"}}",
     NULL},
    {"{\"a\":{\"$numberDouble\":\"1.2345678921232E+18\"}}", "{\"a\":1.2345678921232e+18}",
     "{\"a\":{\"$numberDouble\":\"1.2345678921232e+18\"}}"},
    {"{\"a\":{\"$numberDecimal\":\"1.50\"}}", "{\"a\":{\"$numberDecimal\":\"1.50\"}}", NULL},
    {"{\"a\":{\"$oid\":\"0123456789ABCDEF01234567\"}}",
     "{\"a\":{\"$oid\":\"0123456789abcdef01234567\"}}", NULL},
    {"{\"a\":{\"$date\":\"2020-02-29T12:34:56.789Z\"}}",
     "{\"a\":{\"$date\":\"2020-02-29T12:34:56.789Z\"}}",
     "{\"a\":{\"$date\":{\"$numberLong\":\"1582979696789\"}}}"},
    {"{\"a\":{\"$date\":\"1970-01-01T01:00:00+01:00\"}}",
     "{\"a\":{\"$date\":\"1970-01-01T00:00:00.000Z\"}}",
     "{\"a\":{\"$date\":{\"$numberLong\":\"0\"}}}"},
    {"{\"a\":{\"$date\":\"1969-12-31T23:59:59Z\"}}",
     "{\"a\":{\"$date\":{\"$numberLong\":\"-1000\"}}}", NULL},
    {"{\"a\":{\"$date\":{\"$numberLong\":\"253402300800000\"}}}",
     "{\"a\":{\"$date\":{\"$numberLong\":\"253402300800000\"}}}", NULL},
    {"{\"a\":{\"$date\":1582979696789}}", "{\"a\":{\"$date\":\"2020-02-29T12:34:56.789Z\"}}",
     "{\"a\":{\"$date\":{\"$numberLong\":\"1582979696789\"}}}"},
    {"{\"a\":{\"$timestamp\":{\"t\":4294967295,\"i\":1}}}",
     "{\"a\":{\"$timestamp\":{\"t\":4294967295,\"i\":1}}}", NULL},
    {"{\"a\":{\"$binary\":{\"base64\":\"AQID\",\"subType\":\"80\"}}}",
     "{\"a\":{\"$binary\":{\"base64\":\"AQID\",\"subType\":\"80\"}}}", NULL},
    {"{\"a\":{\"$binary\":\"//8=\",\"$type\":\"2\"}}",
     "{\"a\":{\"$binary\":{\"base64\":\"//8=\",\"subType\":\"02\"}}}", NULL},
    {"{\"a\":{\"$type\":\"00\",\"$binary\":\"\"}}",
     "{\"a\":{\"$binary\":{\"base64\":\"\",\"subType\":\"00\"}}}", NULL},
    {"{\"a\":{\"$uuid\":\"73ffd264-44b3-4c69-90e8-e7d1dfc035d4\"}}",
     "{\"a\":{\"$binary\":{\"base64\":\"c//SZESzTGmQ6OfR38A11A==\",\"subType\":\"04\"}}}", NULL},
    {"{\"a\":{\"$regularExpression\":{\"pattern\":\"a/b\",\"options\":\"mi\"}}}",
     "{\"a\":{\"$regularExpression\":{\"pattern\":\"a/b\",\"options\":\"im\"}}}", NULL},
    {"{\"a\":{\"$regex\":\"x\",\"$options\":\"\"}}",
     "{\"a\":{\"$regularExpression\":{\"pattern\":\"x\",\"options\":\"\"}}}", NULL},
    {"{\"a\":{\"$options\":\"i\",\"$regex\":\"x\"}}",
     "{\"a\":{\"$regularExpression\":{\"pattern\":\"x\",\"options\":\"i\"}}}", NULL},
    {"{\"a\":{\"$regex\":\"x\"}}", "{\"a\":{\"$regex\":\"x\"}}", NULL},
    {"{\"a\":{\"$regex\":{\"$regularExpression\":{\"pattern\":\"x\",\"options\":\"\"}},\"$"
     "options\":\"i\"}}",
     "{\"a\":{\"$regex\":{\"$regularExpression\":{\"pattern\":\"x\",\"options\":\"\"}},\"$"
     "options\":\"i\"}}",
     NULL},
    {"{\"a\":{\"$code\":\"f()\"}}", "{\"a\":{\"$code\":\"f()\"}}", NULL},
    {"{\"a\":{\"$scope\":{\"x\":true},\"$code\":\"f\"}}",
     "{\"a\":{\"$code\":\"f\",\"$scope\":{\"x\":true}}}", NULL},
    {"{\"a\":{\"$symbol\":\"s\"}}", "{\"a\":{\"$symbol\":\"s\"}}", NULL},
    {"{\"a\":{\"$dbPointer\":{\"$ref\":\"c\",\"$id\":{\"$oid\":\"0123456789abcdef01234567\"}}}}",
     "{\"a\":{\"$dbPointer\":{\"$ref\":\"c\",\"$id\":{\"$oid\":\"0123456789abcdef01234567\"}}}}",
     NULL},
    {"{\"a\":[{\"$minKey\":1},{\"$maxKey\":1},{\"$undefined\":true}]}",
     "{\"a\":[{\"$minKey\":1},{\"$maxKey\":1},{\"$undefined\":true}]}", NULL},
    {"{\"a\":{\"$ref\":\"c\",\"$id\":true}}", "{\"a\":{\"$ref\":\"c\",\"$id\":true}}", NULL},
    {"{\"a\":{\"$set\":{\"$gt\":true}}}", "{\"a\":{\"$set\":{\"$gt\":true}}}", NULL},
    {"{\"a\":\"\\u00e9\\ud83d\\ude00\\n\\/\\u0000\\u001f\"}",
     "{\"a\":\"\xc3\xa9\xf0\x9f\x98\x80\\n/\\u0000\\u001f\"}", NULL},
    {"{\"a\":\"\\\"\\\\\\b\\f\\r\\t\x7f\"}", "{\"a\":\"\\\"\\\\\\b\\f\\r\\t\x7f\"}", NULL},
};

static void forms_become_their_types_and_are_written_back(void **state)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct nx_slice doc = parse(&buf, forms[i].text, NX_JSON_DOCUMENT);

        assert_writes(doc, NX_JSON_EXACT, forms[i].exact);
        /* canonical text says {"t": ..., "i": ...} and 1 of markers with plain numbers too */
        assert_writes(doc, NX_JSON_CANONICAL,
                      forms[i].canonical ? forms[i].canonical : forms[i].exact);
    }
}

static void relaxed_writes_long_integers_plainly(void **state)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_slice doc =
        parse(&buf, "{\"a\":{\"$numberLong\":\"5\"},\"b\":5.0}", NX_JSON_DOCUMENT);

    (void)state;
    assert_writes(doc, NX_JSON_RELAXED, "{\"a\":5,\"b\":5.0}");
}

static void queries_keep_their_regex_operators(void **state)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_slice doc;

    (void)state;
    doc = parse(&buf, "{\"a\":{\"$regex\":\"x\",\"$options\":\"i\"}}", NX_JSON_QUERY);
    assert_writes(doc, NX_JSON_EXACT, "{\"a\":{\"$regex\":\"x\",\"$options\":\"i\"}}");
    doc = parse(&buf, "{\"a\":{\"$gt\":{\"$date\":\"2020-01-01T00:00:00Z\"}}}", NX_JSON_QUERY);
    assert_writes(doc, NX_JSON_EXACT, "{\"a\":{\"$gt\":{\"$date\":\"2020-01-01T00:00:00.000Z\"}}}");
}

/* A text, its code, line, column, and words of the message. */
static const struct {
    const char *text;
    enum nx_code code;
    uint32_t line, column;
    const char *words;
} errors[] = {
    {"", NX_EJSON, 1, 1, "empty"},
    {" \n ", NX_EJSON, 2, 2, "empty"},
    {"[]", NX_EDOC, 1, 1, "object is expected"},
    {"5", NX_EJSON, 1, 1, "object is expected"},
    {"{", NX_EJSON, 1, 2, "inside an object"},
    {"{\"a\"", NX_EJSON, 1, 5, "behind a key"},
    {"{\"a\":", NX_EJSON, 1, 6, "where a value is expected"},
    {"{\"a\":1", NX_EJSON, 1, 7, "inside an object"},
    {"{\"a\":1,}", NX_EJSON, 1, 8, "key in double quotes"},
    {"{\"a\":[1,]}", NX_EJSON, 1, 9, "value is expected"},
    {"{\"a\":[1 2]}", NX_EJSON, 1, 9, "',' or ']'"},
    {"{\"a\" 1}", NX_EJSON, 1, 6, "':' expected"},
    {"{a:1}", NX_EJSON, 1, 2, "key in double quotes"},
    {"{'a':1}", NX_EJSON, 1, 2, "key in double quotes"},
    {"{\"a\":1}\n\n x", NX_EJSON, 3, 2, "more text"},
    {"{\"a\":01}", NX_EJSON, 1, 7, "superfluous 0"},
    {"{\"a\":-}", NX_EJSON, 1, 7, "minus"},
    {"{\"a\":1.}", NX_EJSON, 1, 8, "behind its point"},
    {"{\"a\":1e}", NX_EJSON, 1, 8, "exponent"},
    {"{\"a\":.5}", NX_EJSON, 1, 6, "value is expected"},
    {"{\"a\":+5}", NX_EJSON, 1, 6, "value is expected"},
    {"{\"a\":NaN}", NX_EJSON, 1, 6, "value is expected"},
    {"{\"a\":tru}", NX_EJSON, 1, 6, "not true, false"},
    {"{\"a\":tru", NX_EJSON, 1, 9, "inside a word"},
    {"{\"a\":\"x", NX_EJSON, 1, 8, "inside a string"},
    {"{\"a\":\"x\ny\"}", NX_EJSON, 1, 8, "control character"},
    {"{\"a\":\"\\x\"}", NX_EJSON, 1, 7, "unknown escape"},
    {"{\"a\":\"\\u12g4\"}", NX_EJSON, 1, 11, "hexadecimal"},
    {"{\"a\":\"\\ud800\"}", NX_EJSON, 1, 7, "high surrogate"},
    {"{\"a\":\"\\udc00\"}", NX_EJSON, 1, 7, "low surrogate"},
    {"{\"a\":\"\xff\"}", NX_EJSON, 1, 7, "UTF-8"},
    {"{\"a\":\"\xed\xa0\x80\"}", NX_EJSON, 1, 7, "UTF-8"},
    {"{\"a\":\"\xc0\x80\"}", NX_EJSON, 1, 7, "UTF-8"},
    {"{\"a\":1,\n\"a\":2}", NX_EDOC, 2, 1, "stands twice"},
    {"{\"\\u0061\":1,\"a\":2}", NX_EDOC, 1, 13, "stands twice"},
    {"{\"a\\u0000\":1}", NX_EDOC, 1, 2, "NUL"},
    {"{\"a\":{\"$oid\":\"xyz\"}}", NX_EDOC, 1, 6, "$oid needs"},
    {"{\"a\":{\"$oid\":5}}", NX_EDOC, 1, 6, "$oid needs"},
    {"{\"a\":{\"$numberLong\":\"9223372036854775808\"}}", NX_EDOC, 1, 6, "$numberLong needs"},
    {"{\"a\":{\"$numberInt\":\"2147483648\"}}", NX_EDOC, 1, 6, "$numberInt needs"},
    {"{\"a\":{\"$numberDouble\":\"1x\"}}", NX_EDOC, 1, 6, "$numberDouble needs"},
    {"{\"a\":{\"$numberDecimal\":\"abc\"}}", NX_EDOC, 1, 6, "$numberDecimal needs"},
    {"{\"a\":{\"$date\":\"2021-02-29T00:00:00Z\"}}", NX_EDOC, 1, 6, "$date needs"},
    {"{\"a\":{\"$date\":\"2021-02-28\"}}", NX_EDOC, 1, 6, "$date needs"},
    {"{\"a\":{\"$binary\":{\"base64\":\"A\",\"subType\":\"00\"}}}", NX_EDOC, 1, 6, "$binary needs"},
    {"{\"a\":{\"$binary\":{\"base64\":\"AR==\",\"subType\":\"00\"}}}", NX_EDOC, 1, 6,
     "$binary needs"},
    {"{\"a\":{\"$oid\":\"0123456789abcdef01234567\",\"b\":1}}", NX_EDOC, 1, 6,
     "beside other fields"},
    {"{\"a\":{\"$regex\":\"x\",\"$options\":\"ii\"}}", NX_EDOC, 1, 6, "$regex needs"},
    {"{\"a\":{\"$timestamp\":{\"t\":-1,\"i\":1}}}", NX_EDOC, 1, 6, "$timestamp needs"},
    {"{\"a\":{\"$minKey\":2}}", NX_EDOC, 1, 6, "$minKey needs"},
    {"{\"$oid\":\"0123456789abcdef01234567\"}", NX_EDOC, 1, 1, "is a value, not a document"},
};

static void errors_name_their_place_and_reason(void **state)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    nx_buf_append(&buf, "kept", 4);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct nx_err err = NX_ERR_INIT;
        size_t len = strlen(errors[i].text);
        char *copy = malloc(len ? len : 1); /* exactly its bytes, for the sanitizer */
        enum nx_code rc;

        memcpy(copy, errors[i].text, len);
        rc = nx_json_parse(copy, len, NX_JSON_DOCUMENT, 0, &buf, NULL, &err);
        free(copy);
        if (rc != errors[i].code || err.line != errors[i].line || err.column != errors[i].column ||
            !strstr(err.message, errors[i].words))
            fail_msg("%s: code %d, %s (%u:%u)", errors[i].text, rc, err.message, err.line,
                     err.column);
        assert_int_equal(buf.len, 4);
        assert_int_equal(nx_json_parse(errors[i].text, len, NX_JSON_DOCUMENT, 0, &buf, NULL, NULL),
                         rc);
    }
}

static void any_value_can_be_read_alone(void **state)
{
    static const struct {
        const char *text;
        uint8_t type;
    } values[] = {{" 5 ", NX_TYPE_INT32},
                  {"\"x\"", NX_TYPE_STRING},
                  {"[1]", NX_TYPE_ARRAY},
                  {"null", NX_TYPE_NULL},
                  {"{\"$oid\":\"0123456789abcdef01234567\"}", NX_TYPE_OBJECTID},
                  {"{\"a\":1}", NX_TYPE_DOCUMENT},
                  {"{}", NX_TYPE_DOCUMENT}};
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        nx_buf_clear(&buf);
        assert_int_equal(nx_json_parse_value(values[i].text, strlen(values[i].text),
                                             NX_JSON_DOCUMENT, &buf, NULL),
                         NX_OK);
        assert_int_equal(nx_doc_get(nx_buf_slice(&buf), "", 0).type, values[i].type);
    }
    assert_int_equal(nx_json_parse_value("1 2", 3, NX_JSON_DOCUMENT, &buf, NULL), NX_EJSON);
    assert_int_equal(nx_json_parse_value("", 0, NX_JSON_DOCUMENT, &buf, NULL), NX_EJSON);
}

static void arrays_are_told_from_objects(void **state)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    bool is_array = false;

    (void)state;
    assert_int_equal(nx_json_parse("[1,[2],{}]", 10, NX_JSON_QUERY, 0, &buf, &is_array, NULL),
                     NX_OK);
    assert_true(is_array);
    assert_int_equal(nx_doc_count(nx_buf_slice(&buf)), 3);
    nx_buf_clear(&buf);
    assert_int_equal(nx_json_parse("{}", 2, NX_JSON_QUERY, 0, &buf, &is_array, NULL), NX_OK);
    assert_false(is_array);
}

static void long_arrays_are_numbered_in_order(void **state)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    nx_buf_append_str(&text, "{\"a\":[0");
    for (int i = 1; i < 12000; i++)
        nx_buf_printf(&text, ",%d", i);
    nx_buf_append_str(&text, "]}");
    assert_int_equal(
        nx_json_parse((char *)text.data, text.len, NX_JSON_DOCUMENT, 0, &buf, NULL, NULL), NX_OK);
    assert_int_equal(nx_doc_check(nx_buf_slice(&buf), NULL), NX_OK);
}

static void size_is_bounded(void **state)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;

    (void)state;
    assert_int_equal(
        nx_json_parse("{\"a\":\"0123456789\"}", 18, NX_JSON_DOCUMENT, 20, &buf, NULL, &err),
        NX_ETOOBIG);
    assert_non_null(strstr(err.message, "20 bytes"));
    nx_buf_append_str(&text, "{\"a\":[1");
    for (int i = 0; i < 200000; i++)
        nx_buf_append_str(&text, ",1");
    nx_buf_append_str(&text, "]}");
    assert_int_equal(
        nx_json_parse((char *)text.data, text.len, NX_JSON_DOCUMENT, 100000, &buf, NULL, NULL),
        NX_ETOOBIG);
    assert_true(buf.cap < 2000000);
}

static enum nx_code parse_nested(unsigned levels, const char *inside)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    enum nx_code rc;

    for (unsigned i = 0; i < levels; i++)
        nx_buf_append_str(&text, "{\"a\":");
    nx_buf_append_str(&text, inside);
    for (unsigned i = 0; i < levels; i++)
        nx_buf_append_str(&text, "}");
    rc = nx_json_parse((char *)text.data, text.len, NX_JSON_DOCUMENT, 0, &buf, NULL, NULL);
    if (rc == NX_OK)
        assert_int_equal(nx_doc_check(nx_buf_slice(&buf), NULL), NX_OK);
    return rc;
}

static void nesting_is_bounded_and_forms_do_not_count(void **state)
{
    (void)state;
    assert_int_equal(parse_nested(100, "1"), NX_OK);
    assert_int_equal(parse_nested(101, "1"), NX_EDOC);
    assert_int_equal(parse_nested(99, "[]"), NX_OK);
    assert_int_equal(parse_nested(100, "[]"), NX_EDOC);
    assert_int_equal(parse_nested(100000, "1"), NX_EDOC);
    assert_int_equal(parse_nested(100, "{\"$date\":{\"$numberLong\":\"5\"}}"), NX_OK);
    assert_int_equal(parse_nested(100, "{\"$binary\":{\"base64\":\"\",\"subType\":\"00\"}}"),
                     NX_OK);
    assert_int_equal(
        parse_nested(
            100,
            "{\"$dbPointer\":{\"$ref\":\"c\",\"$id\":{\"$oid\":\"0123456789abcdef01234567\"}}}"),
        NX_OK);
    assert_int_equal(parse_nested(99, "{\"$code\":\"\",\"$scope\":{}}"), NX_OK);
    assert_int_equal(parse_nested(100, "{\"$code\":\"\",\"$scope\":{}}"), NX_EDOC);
    assert_int_equal(parse_nested(98, "{\"$code\":\"\",\"$scope\":{\"a\":{}}}"), NX_OK);
    assert_int_equal(parse_nested(99, "{\"$code\":\"\",\"$scope\":{\"a\":{}}}"), NX_EDOC);
}

static void duplicates_are_found_among_any_number_of_keys(void **state)
{
    (void)state;
    for (unsigned n = 2; n < 5000; n = n * 3 / 2 + 1) {
        struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct nx_err err = NX_ERR_INIT;

        nx_buf_append_str(&text, "{");
        for (unsigned i = 0; i < n; i++)
            nx_buf_printf(&text, "\"k%u\":{\"x\":1},\n", i);
        nx_buf_append_str(&text, "\"other\":1}");
        assert_int_equal(
            nx_json_parse((char *)text.data, text.len, NX_JSON_DOCUMENT, 0, &buf, NULL, NULL),
            NX_OK);
        text.len -= 10;
        nx_buf_append_str(&text, "\"k0\":1}");
        assert_int_equal(
            nx_json_parse((char *)text.data, text.len, NX_JSON_DOCUMENT, 0, &buf, NULL, &err),
            NX_EDOC);
        assert_int_equal(err.line, n + 1);
        assert_int_equal(err.column, 1);
    }
}

static void indentation_is_like_other_programs(void **state)
{
    struct nx_buf buf NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_slice doc = parse(
        &buf, "{\"_id\":1,\"a\":[1,{}],\"b\":[],\"c\":{\"$oid\":\"0123456789abcdef01234567\"}}",
        NX_JSON_DOCUMENT);

    (void)state;
    assert_int_equal(nx_json_write(doc, false, NX_JSON_EXACT, 2, "_id", &out), NX_OK);
    nx_buf_append_byte(&out, 0);
    assert_string_equal((char *)out.data,
                        "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": [],\n  \"c\": {\n"
                        "    \"$oid\": \"0123456789abcdef01234567\"\n  }\n}");
}

static void strings_are_written_safely(void **state)
{
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    assert_int_equal(nx_json_write_string("a\xff\xc3\xa9\"\x1f", 6, &out), NX_OK);
    nx_buf_append_byte(&out, 0);
    assert_string_equal((char *)out.data, "\"a\xef\xbf\xbd\xc3\xa9\\\"\\u001f\"");
}

/* Two flavors promise the same types back. NaN's bits are the only ones that may differ. */
static void documents_survive_text(void **state)
{
    static const enum nx_json_flavor flavors[] = {NX_JSON_EXACT, NX_JSON_CANONICAL};
    struct rng rng = rng_init();
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf back NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    for (int round = 0; round < 10000; round++) {
        struct nx_err err = NX_ERR_INIT;
        struct nx_value a, b;

        nx_buf_clear(&doc);
        nx_buf_clear(&text);
        nx_buf_clear(&back);
        random_document(&rng, RANDOM_ALL, 3, &doc);
        assert_int_equal(nx_json_write(nx_buf_slice(&doc), false, flavors[round % 2],
                                       (unsigned)round / 2 % 3, NULL, &text),
                         NX_OK);
        if (nx_json_parse((char *)text.data, text.len, NX_JSON_DOCUMENT, 0, &back, NULL, &err) !=
            NX_OK)
            fail_msg("%.*s: %s", (int)text.len, text.data, err.message);
        a = nx_doc_value(nx_buf_slice(&doc));
        b = nx_doc_value(nx_buf_slice(&back));
        assert_int_equal(doc.len, back.len);
        if (nx_value_compare(&a, &b) != 0)
            fail_msg("%.*s", (int)text.len, text.data);
        if (!strstr((nx_buf_append_byte(&text, 0), (char *)text.data), "NaN"))
            assert_memory_equal(doc.data, back.data, doc.len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_become_their_types_and_are_written_back),
        cmocka_unit_test(relaxed_writes_long_integers_plainly),
        cmocka_unit_test(queries_keep_their_regex_operators),
        cmocka_unit_test(errors_name_their_place_and_reason),
        cmocka_unit_test(any_value_can_be_read_alone),
        cmocka_unit_test(arrays_are_told_from_objects),
        cmocka_unit_test(long_arrays_are_numbered_in_order),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(nesting_is_bounded_and_forms_do_not_count),
        cmocka_unit_test(duplicates_are_found_among_any_number_of_keys),
        cmocka_unit_test(indentation_is_like_other_programs),
        cmocka_unit_test(strings_are_written_safely),
        cmocka_unit_test(documents_survive_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* id_test.c - ids and their file names are a bijection; equal ids are one id. */
#include <stdlib.h>

#include <nexadb/id.h>
#include <nexadb/io.h>
#include <nexadb/json.h>

#include "random_doc.h"
#include "tests/support/unit.h"

static enum nx_code id_of(const char *json, struct nx_id *id, struct nx_err *err)
{
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value value;

    assert_int_equal(nx_json_parse_value(json, strlen(json), NX_JSON_DOCUMENT, &doc, NULL), NX_OK);
    value = nx_doc_get(nx_buf_slice(&doc), "", 0);
    return nx_id_from_value(&value, id, err);
}

static const struct {
    const char *json, *name;
} names[] = {
    {"\"alice\"", "alice.json"},
    {"\"\"", "%j%22%22.json"},
    {"\"42\"", "%342.json"},
    {"\"-7\"", "%2D7.json"},
    {"\"0\"", "%30.json"},
    {"\"-0\"", "-0.json"},
    {"\"007\"", "007.json"},
    {"\"9223372036854775808\"", "9223372036854775808.json"},
    {"\"9223372036854775807\"", "%39223372036854775807.json"},
    {"\"-9223372036854775808\"", "%2D9223372036854775808.json"},
    {"\".hidden\"", "%2Ehidden.json"},
    {"\".\"", "%2E.json"},
    {"\"a.b\"", "a.b.json"},
    {"\"a.json\"", "a.json.json"},
    {"\"a/b\"", "a%2Fb.json"},
    {"\"100%\"", "100%25.json"},
    {"\"%41\"", "%2541.json"},
    {"\"%o0123456789abcdef01234567\"", "%25o0123456789abcdef01234567.json"},
    {"\"\\u0000x\\n\\u007f\"", "%00x%0A%7F.json"},
    {"\"caf\\u00e9 \\ud83d\\ude00\"", "caf\xc3\xa9 \xf0\x9f\x98\x80.json"},
    {"42", "42.json"},
    {"-7", "-7.json"},
    {"0", "0.json"},
    {"9223372036854775807", "9223372036854775807.json"},
    {"42.0", "42.json"},
    {"-0.0", "0.json"},
    {"1.5", "%j%7B%22%24numberDouble%22%3A%221.5%22%7D.json"},
    {"{\"$numberDecimal\":\"4.2E+1\"}", "42.json"},
    {"{\"$numberDecimal\":\"0.1\"}", "%j%7B%22%24numberDecimal%22%3A%220.1%22%7D.json"},
    {"{\"$numberLong\":\"42\"}", "42.json"},
    {"{\"$oid\":\"0123456789ABCDEF01234567\"}", "%o0123456789abcdef01234567.json"},
    {"true", "%jtrue.json"},
    {"null", "%jnull.json"},
    {"{\"a\":1}", "%j%7B%22a%22%3A%7B%22%24numberInt%22%3A%221%22%7D%7D.json"},
    {"{\"$date\":{\"$numberLong\":\"5\"}}",
     "%j%7B%22%24date%22%3A%7B%22%24numberLong%22%3A%225%22%7D%7D.json"},
};

static void ids_have_their_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct nx_buf name NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct nx_id id, back;

        assert_int_equal(id_of(names[i].json, &id, NULL), NX_OK);
        assert_int_equal(nx_id_to_name(&id, &name), NX_OK);
        assert_string_equal((char *)name.data, names[i].name);
        assert_int_equal(name.len, strlen(names[i].name));
        assert_int_equal(nx_id_from_name(names[i].name, name.len, &back, NULL, NULL), NX_OK);
        assert_int_equal(back.len, id.len);
        assert_memory_equal(back.key, id.key, id.len);
    }
}

/* A name that is not canonical, and the right one (NULL: there is none). */
static const struct {
    const char *name, *canonical;
} wrong[] = {
    {"%41.json", "A.json"},
    {"100%.json", "100%25.json"},
    {"%.json", "%25.json"},
    {"%2.json", "%252.json"},
    {"a%2fb.json", "a%2Fb.json"},
    {"a\nb.json", "a%0Ab.json"},
    {"%j42.json", "42.json"},
    {"%j%22abc%22.json", "abc.json"},
    {"%j{\"a\":1}.json", "%j%7B%22a%22%3A%7B%22%24numberInt%22%3A%221%22%7D%7D.json"},
    {"%jxyz.json", "%25jxyz.json"},
    {"%o0123456789ABCDEF01234567.json", "%o0123456789abcdef01234567.json"},
    {"%o0123.json", "%25o0123.json"},
    {"%ff.json", NULL},
    {"\xff.json", NULL},
    {".json", NULL},
    {".a.json", NULL},
    {"a.txt", NULL},
    {"json", NULL},
    {"", NULL},
};

static void other_names_are_refused_with_the_right_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct nx_buf canonical NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct nx_err err = NX_ERR_INIT;
        struct nx_id id;

        assert_int_equal(
            nx_id_from_name(wrong[i].name, strlen(wrong[i].name), &id, &canonical, &err), NX_ENAME);
        nx_buf_append_byte(&canonical, 0);
        assert_string_equal((char *)canonical.data, wrong[i].canonical ? wrong[i].canonical : "");
        assert_true(err.message[0] != '\0');
    }
}

static void names_are_bounded(void **state)
{
    char name[NX_NAME_MAX + 2];
    struct nx_err err = NX_ERR_INIT;
    struct nx_id id;
    struct nx_value value;

    (void)state;
    memset(name, 'x', sizeof name);
    memcpy(name + NX_NAME_MAX - 5, ".json", 5);
    assert_int_equal(nx_id_from_name(name, NX_NAME_MAX, &id, NULL, NULL), NX_OK);
    memset(name, 'x', sizeof name);
    memcpy(name + NX_NAME_MAX - 4, ".json", 5);
    assert_int_equal(nx_id_from_name(name, NX_NAME_MAX + 1, &id, NULL, &err), NX_ENAMETOOLONG);
    value = nx_string(name, NX_NAME_MAX - 5);
    memset(name, 'x', sizeof name);
    assert_int_equal(nx_id_from_value(&value, &id, NULL), NX_OK);
    value.len++;
    assert_int_equal(nx_id_from_value(&value, &id, &err), NX_EID);
    assert_non_null(strstr(err.message, "256 bytes"));
    memset(name, '/', 84);
    value.len = 83;
    assert_int_equal(nx_id_from_value(&value, &id, NULL), NX_OK);
    value.len = 84;
    assert_int_equal(nx_id_from_value(&value, &id, NULL), NX_EID);
}

static void some_types_are_no_ids(void **state)
{
    struct nx_id id;
    struct nx_err err = NX_ERR_INIT;

    (void)state;
    assert_int_equal(id_of("[1]", &id, &err), NX_EID);
    assert_non_null(strstr(err.message, "array"));
    assert_int_equal(
        id_of("{\"$regularExpression\":{\"pattern\":\"a\",\"options\":\"\"}}", &id, NULL), NX_EID);
    assert_int_equal(id_of("{\"$undefined\":true}", &id, NULL), NX_EID);
    assert_int_equal(nx_id_from_value(&NX_MISSING, &id, NULL), NX_EID);
}

static void assert_bijection(const struct nx_value *value)
{
    struct nx_buf name NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    struct nx_id id, back, again;
    struct nx_value read;

    if (nx_id_from_value(value, &id, NULL) != NX_OK)
        return;
    assert_int_equal(nx_id_to_name(&id, &name), NX_OK);
    assert_true(name.len <= NX_NAME_MAX && nx_name_is_document((char *)name.data, name.len));
    assert_null(memchr(name.data, '/', name.len));
    assert_int_equal(strlen((char *)name.data), name.len);
    if (nx_id_from_name((char *)name.data, name.len, &back, NULL, &err) != NX_OK)
        fail_msg("%s", err.message);
    assert_true(back.len == id.len && memcmp(back.key, id.key, id.len) == 0);
    assert_int_equal(nx_id_to_document(&id, &doc), NX_OK);
    read = nx_doc_get_z(nx_buf_slice(&doc), "_id");
    assert_int_equal(nx_value_compare(&read, value), 0);
    assert_int_equal(nx_id_from_key(nx_slice(id.key, id.len), &again), NX_OK);
}

static void names_and_ids_are_a_bijection(void **state)
{
    static const char alphabet[] = "./%0123456789-+ojJabAF\"{}$ \n\x7f\xc3\xa9";
    struct rng rng = rng_init();

    (void)state;
    for (int round = 0; round < 30000; round++) {
        char text[16];
        uint8_t oid[12];
        struct nx_value value;
        uint32_t len = rng_below(&rng, sizeof text);

        for (uint32_t i = 0; i < len; i++)
            text[i] = alphabet[rng_below(&rng, sizeof alphabet)]; /* the NUL too */
        for (uint32_t i = 0; i < len; i++)
            if ((uint8_t)text[i] >= 0x80)
                text[i] = 'e';
        value = nx_string(text, len);
        assert_bijection(&value);
        value = nx_int64((int64_t)(rng_next(&rng) >> rng_below(&rng, 64)));
        assert_bijection(&value);
        for (int i = 0; i < 12; i++)
            oid[i] = (uint8_t)rng_next(&rng);
        value = (struct nx_value){.type = NX_TYPE_OBJECTID, .len = 12, .data = oid};
        assert_bijection(&value);
    }
    for (int round = 0; round < 10000; round++) {
        struct nx_buf doc NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct nx_doc_iter iter;

        random_value(&rng, RANDOM_ALL, 2, &doc);
        nx_doc_iter_init(&iter, nx_buf_slice(&doc));
        assert_true(nx_doc_iter_next(&iter));
        if (iter.value.type != NX_TYPE_SYMBOL)
            assert_bijection(&iter.value);
    }
}

/* Whatever a name is, it means one id whose name it is, or nothing. */
static void accepted_names_are_canonical(void **state)
{
    static const char alphabet[] = "./%0123456789-ojabAF\"{}:\xc3\xa9";
    struct rng rng = rng_init();
    unsigned accepted = 0;

    (void)state;
    for (int round = 0; round < 50000; round++) {
        struct nx_buf back NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct nx_id id;
        char name[24];
        uint32_t len = 1 + rng_below(&rng, 10);

        for (uint32_t i = 0; i < len; i++)
            name[i] = alphabet[rng_below(&rng, sizeof alphabet - 1)];
        memcpy(name + len, ".json", 5);
        if (nx_id_from_name(name, len + 5, &id, NULL, NULL) != NX_OK)
            continue;
        accepted++;
        assert_int_equal(nx_id_to_name(&id, &back), NX_OK);
        assert_int_equal(back.len, len + 5);
        assert_memory_equal(back.data, name, back.len);
    }
    assert_true(accepted > 1000);
}

static void damaged_keys_are_no_ids(void **state)
{
    struct nx_id id;

    (void)state;
    assert_int_equal(nx_id_from_key(nx_slice("", 0), &id), NX_ECORRUPT);
    assert_int_equal(nx_id_from_key(nx_slice("\x18"
                                             "ab",
                                             3),
                                    &id),
                     NX_ECORRUPT);
    assert_int_equal(nx_id_from_key(nx_slice("\x06\x06", 2), &id), NX_ECORRUPT);
}

static uint64_t fixed_time(struct nx_io *io)
{
    (void)io;
    return 0x12345678ULL * 1000000000u;
}

static void fixed_random(struct nx_io *io, void *out, size_t len)
{
    (void)io;
    memset(out, 0xab, len);
}

static void generated_ids_are_new_and_ascending(void **state)
{
    static const struct nx_io_ops ops = {
        .name = "fixed", .realtime_ns = fixed_time, .random = fixed_random};
    struct nx_io io = {&ops};
    struct nx_id first, next;
    struct nx_buf name NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    (void)state;
    nx_id_generate(&io, &first);
    assert_int_equal(nx_id_to_name(&first, &name), NX_OK);
    assert_int_equal(name.len, 24 + 5);
    assert_memory_equal(name.data, "12345678ababababab", 18);
    for (int i = 0; i < 1000; i++) {
        nx_id_generate(&io, &next);
        assert_int_equal(next.len, first.len);
        assert_true(memcmp(first.key, next.key, first.len) < 0);
        first = next;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_have_their_names),
        cmocka_unit_test(other_names_are_refused_with_the_right_one),
        cmocka_unit_test(names_are_bounded),
        cmocka_unit_test(some_types_are_no_ids),
        cmocka_unit_test(names_and_ids_are_a_bijection),
        cmocka_unit_test(accepted_names_are_canonical),
        cmocka_unit_test(damaged_keys_are_no_ids),
        cmocka_unit_test(generated_ids_are_new_and_ascending),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

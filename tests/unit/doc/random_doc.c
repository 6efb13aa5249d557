/* random_doc.c - values are drawn from small pools, so that equal and neighbouring ones meet often.
 */
#include "random_doc.h"

#include <bson/bson.h>
#include <math.h>
#include <stdlib.h>

struct rng rng_init(void)
{
    const char *seed = getenv("NEXADB_TEST_SEED");

    return (struct rng){seed ? strtoull(seed, NULL, 0) : 0x1234567890abcdefULL};
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t z = (rng->state += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

uint32_t rng_below(struct rng *rng, uint32_t n)
{
    return (uint32_t)((rng_next(rng) >> 32) * n >> 32);
}

static const char *const texts[] = {
    "",
    "a",
    "b",
    "ab",
    "a.b",
    "0",
    "1",
    "42",
    "-7",
    "$oid",
    "\xc3\xa9t\xc3\xa9",
    "\xf0\x9f\x98\x80",
    "quote\"back\\slash",
    "tab\tnew\nline\x01",
    "\x7f",
    "/",
    "%",
    "a longer text that passes sixteen bytes",
    "another long text with \xe2\x82\xac in it, and more",
};
static const char *const keys[] = {"a",  "b",        "c",   "name", "x.y",
                                   "$k", "\xc3\xa9", "_id", "0",    "10"};
static const double doubles[] = {0.0,
                                 -0.0,
                                 1.0,
                                 1.5,
                                 -1.5,
                                 0.1,
                                 42.0,
                                 1e-7,
                                 123456.789,
                                 1e16,
                                 1e22,
                                 1e23,
                                 5e-324,
                                 1.7976931348623157e308,
                                 9007199254740992.0,
                                 9007199254740994.0,
                                 9223372036854775808.0,
                                 -9223372036854775808.0,
                                 3.141592653589793,
                                 100.25};
static const int64_t ints[] = {0,
                               1,
                               -1,
                               2,
                               42,
                               INT32_MAX,
                               INT32_MIN,
                               2147483648LL,
                               9007199254740992LL,
                               9007199254740993LL,
                               INT64_MAX,
                               INT64_MIN,
                               INT64_MAX - 1,
                               1000000007LL};
static const char *const decimals[] = {"0",
                                       "-0",
                                       "1",
                                       "1.0",
                                       "1.5",
                                       "0.1",
                                       "42",
                                       "NaN",
                                       "Infinity",
                                       "-Infinity",
                                       "1E+6111",
                                       "1E-6176",
                                       "9007199254740993",
                                       "9007199254740992.5",
                                       "9223372036854775807",
                                       "9223372036854775808",
                                       "1E+400",
                                       "-1E+400",
                                       "-0.1",
                                       "1.7976931348623157E+308",
                                       "5E-324",
                                       "0.10000000000000000555"};

#define PICK(rng, list) (list)[rng_below((rng), sizeof(list) / sizeof *(list))]

static double random_double(struct rng *rng, enum random_types types)
{
    double d;
    uint64_t bits;

    switch (rng_below(rng, 4)) {
    case 0:
        bits = rng_next(rng);
        memcpy(&d, &bits, sizeof d);
        return isfinite(d) || types == RANDOM_ALL ? d : 0.5;
    case 1:
        return (double)rng_below(rng, 100000) / 100;
    case 2:
        if (types == RANDOM_ALL && rng_below(rng, 4) == 0)
            return rng_below(rng, 2) ? INFINITY : NAN;
        return (double)(float)((double)rng_below(rng, 1u << 30) / (1u << 29) - 1);
    default:
        return PICK(rng, doubles);
    }
}

static void put_decimal(struct rng *rng, struct nx_builder *b, const char *key)
{
    bson_decimal128_t parsed;
    uint8_t bytes[16];

    if (!bson_decimal128_from_string(PICK(rng, decimals), &parsed))
        abort();
    memcpy(bytes, &parsed.low, 8);
    memcpy(bytes + 8, &parsed.high, 8);
    nx_builder_put_z(b, key,
                     (struct nx_value){.type = NX_TYPE_DECIMAL128, .len = 16, .data = bytes});
}

static void put_bytes(struct rng *rng, struct nx_builder *b, const char *key, uint8_t type)
{
    uint8_t bytes[16];
    struct nx_value value = {.type = type, .len = 12, .data = bytes};

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)rng_below(rng, 3);
    if (type == NX_TYPE_BINARY) {
        static const uint8_t subtypes[] = {0, 2, 4, 5, 0x80};

        value.subtype = PICK(rng, subtypes);
        value.len = value.subtype == 4 ? 16 : rng_below(rng, 5);
    }
    nx_builder_put_z(b, key, value);
}

static void put_text(struct rng *rng, struct nx_builder *b, const char *key, uint8_t type)
{
    struct nx_value value = nx_string_z(PICK(rng, texts));

    value.type = type;
    nx_builder_put_z(b, key, value);
}

static void put_regex(struct rng *rng, struct nx_builder *b, const char *key)
{
    static const char *const regexes[] = {"a\0i", "b\0\0", "a\0\0", "ab\0im", "a/b\"\0x"};
    static const uint32_t lens[] = {4, 3, 3, 6, 7};
    uint32_t n = rng_below(rng, 5);

    nx_builder_put_z(b, key,
                     (struct nx_value){.type = NX_TYPE_REGEX,
                                       .len = lens[n],
                                       .data = (const uint8_t *)regexes[n]});
}

static void put_codewscope(struct nx_builder *b, const char *key)
{
    static const uint8_t bytes[] = {23, 0, 0,    0,   2, 0, 0, 0, 'f', 0, 13, 0,
                                    0,  0, 0x10, 'x', 0, 7, 0, 0, 0,   0, 0};
    uint8_t copy[sizeof bytes];

    memcpy(copy, bytes, sizeof bytes);
    copy[10] = 12;
    copy[0] = 22;
    nx_builder_put_z(b, key,
                     (struct nx_value){.type = NX_TYPE_CODEWSCOPE, .len = 22, .data = copy});
}

static void put_dbpointer(struct nx_builder *b, const char *key)
{
    static const uint8_t bytes[] = {2, 0, 0, 0, 'c', 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

    nx_builder_put_z(
        b, key, (struct nx_value){.type = NX_TYPE_DBPOINTER, .len = sizeof bytes, .data = bytes});
}

static void fill(struct rng *rng, struct nx_builder *b, enum random_types types, unsigned depth,
                 bool is_array);

static void put_nested(struct rng *rng, struct nx_builder *b, const char *key,
                       enum random_types types, unsigned depth, bool is_array)
{
    if (is_array)
        nx_builder_begin_array(b, key, strlen(key));
    else
        nx_builder_begin_document(b, key, strlen(key));
    fill(rng, b, types, depth, is_array);
    nx_builder_close(b);
}

static void put_plain(struct rng *rng, struct nx_builder *b, const char *key,
                      enum random_types types, unsigned depth)
{
    int64_t i = PICK(rng, ints);

    switch (rng_below(rng, depth ? 9 : 7)) {
    case 0:
        nx_builder_put_z(b, key, nx_double(random_double(rng, types)));
        return;
    case 1:
    case 2:
        put_text(rng, b, key, NX_TYPE_STRING);
        return;
    case 3:
        nx_builder_put_z(b, key, nx_bool(rng_below(rng, 2)));
        return;
    case 4:
        nx_builder_put_z(b, key, NX_NULL);
        return;
    case 5:
        nx_builder_put_z(b, key, nx_int(i));
        return;
    case 6:
        nx_builder_put_z(b, key, types == RANDOM_ALL ? nx_int64(i) : nx_int(-i / 3));
        return;
    case 7:
        put_nested(rng, b, key, types, depth - 1, true);
        return;
    default:
        put_nested(rng, b, key, types, depth - 1, false);
    }
}

static void put_special(struct rng *rng, struct nx_builder *b, const char *key)
{
    static const uint8_t simple[] = {NX_TYPE_UNDEFINED, NX_TYPE_MINKEY, NX_TYPE_MAXKEY};
    static const int64_t times[] = {
        0, -1, 1700000000123, 253402300799999, 253402300800000, INT64_MIN, INT64_MAX};
    int64_t time = PICK(rng, times);

    switch (rng_below(rng, 10)) {
    case 0:
        put_decimal(rng, b, key);
        return;
    case 1:
        put_bytes(rng, b, key, NX_TYPE_OBJECTID);
        return;
    case 2:
        put_bytes(rng, b, key, NX_TYPE_BINARY);
        return;
    case 3:
        put_text(rng, b, key, rng_below(rng, 2) ? NX_TYPE_SYMBOL : NX_TYPE_CODE);
        return;
    case 4:
        put_regex(rng, b, key);
        return;
    case 5:
        put_codewscope(b, key);
        return;
    case 6:
        put_dbpointer(b, key);
        return;
    case 7:
        nx_builder_put_z(b, key, (struct nx_value){.type = NX_TYPE_TIMESTAMP, .i64 = time});
        return;
    case 8:
        nx_builder_put_z(b, key, nx_date(time));
        return;
    default:
        nx_builder_put_z(b, key, (struct nx_value){.type = PICK(rng, simple)});
    }
}

static void put_random(struct rng *rng, struct nx_builder *b, const char *key,
                       enum random_types types, unsigned depth)
{
    if (types == RANDOM_ALL && rng_below(rng, 3) == 0)
        put_special(rng, b, key);
    else
        put_plain(rng, b, key, types, depth);
}

static void fill(struct rng *rng, struct nx_builder *b, enum random_types types, unsigned depth,
                 bool is_array)
{
    uint32_t used = 0, n = rng_below(rng, 6);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = rng_below(rng, sizeof keys / sizeof *keys);

        if (!is_array && used >> k & 1)
            continue;
        used |= 1u << k;
        put_random(rng, b, keys[k], types, depth);
    }
}

void random_document(struct rng *rng, enum random_types types, unsigned depth, struct nx_buf *out)
{
    struct nx_builder b;

    nx_builder_init(&b, out);
    fill(rng, &b, types, depth, false);
    if (nx_builder_end(&b, NULL) != NX_OK)
        abort();
}

void random_value(struct rng *rng, enum random_types types, unsigned depth, struct nx_buf *out)
{
    struct nx_builder b;

    nx_builder_init(&b, out);
    put_random(rng, &b, "", types, depth);
    if (nx_builder_end(&b, NULL) != NX_OK)
        abort();
}

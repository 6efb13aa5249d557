/*
 * order.c - MongoDB's comparison order over all BSON types, and a hash that agrees with it.
 *
 * Types fall into classes; classes have a fixed order, values of one class compare by the class's
 * own rule. All numeric types are one class, compared by exact value: no conversion to double, so
 * that the order is transitive and 2^53 and 2^53 + 1 differ.
 */
#include <math.h>
#include <xxhash.h>

#include <nexadb/value.h>

#include "base/bytes.h"
#include "doc/bson.h"
#include "doc/decimal.h"

typedef int (*compare_fn)(const struct nx_value *a, const struct nx_value *b);

/* The numbers are those of the server's own table, so that they may be compared with its sources.
 */
enum {
    CLASS_MINKEY = -1,
    CLASS_MISSING = 0,
    CLASS_NULL = 5,
    CLASS_NUMBER = 10,
    CLASS_STRING = 15,
    CLASS_OBJECT = 20,
    CLASS_ARRAY = 25,
    CLASS_BINARY = 30,
    CLASS_OBJECTID = 35,
    CLASS_BOOL = 40,
    CLASS_DATE = 45,
    CLASS_TIMESTAMP = 47,
    CLASS_REGEX = 50,
    CLASS_DBPOINTER = 55,
    CLASS_CODE = 60,
    CLASS_CODEWSCOPE = 65,
    CLASS_MAXKEY = 127,
};

static int compare_bytes(struct nx_slice a, struct nx_slice b)
{
    return nx_slice_compare(a, b);
}

static int compare_same(const struct nx_value *a, const struct nx_value *b)
{
    (void)a;
    (void)b;
    return 0;
}

static int compare_i64(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* --- numbers ---------------------------------------------------------------------------------- */

static int compare_doubles(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (isnan(b) != 0) - (isnan(a) != 0);
    return (a > b) - (a < b);
}

static int compare_int_double(int64_t a, double b)
{
    int64_t whole;

    if (isnan(b) || b < -0x1p63)
        return 1;
    if (b >= 0x1p63)
        return -1;
    whole = (int64_t)b;
    if (a != whole)
        return a < whole ? -1 : 1;
    return compare_doubles(0, b - (double)whole);
}

static bool is_int(const struct nx_value *v)
{
    return v->type == NX_TYPE_INT32 || v->type == NX_TYPE_INT64;
}

static int64_t int_of(const struct nx_value *v)
{
    return v->type == NX_TYPE_INT32 ? v->i32 : v->i64;
}

static void decimal_of(const struct nx_value *v, struct decimal *out)
{
    if (is_int(v))
        *out = decimal_from_int64(int_of(v));
    else
        decimal_read(v->data, out);
}

static int compare_with_decimal(const struct nx_value *a, const struct nx_value *b)
{
    struct decimal x, y;

    if (a->type == NX_TYPE_DOUBLE) {
        decimal_of(b, &y);
        return -decimal_compare_double(&y, a->f64);
    }
    decimal_of(a, &x);
    if (b->type == NX_TYPE_DOUBLE)
        return decimal_compare_double(&x, b->f64);
    decimal_of(b, &y);
    return decimal_compare(&x, &y);
}

static int compare_numbers(const struct nx_value *a, const struct nx_value *b)
{
    if (a->type == NX_TYPE_DECIMAL128 || b->type == NX_TYPE_DECIMAL128)
        return compare_with_decimal(a, b);
    if (is_int(a))
        return is_int(b) ? compare_i64(int_of(a), int_of(b))
                         : compare_int_double(int_of(a), b->f64);
    return is_int(b) ? -compare_int_double(int_of(b), a->f64) : compare_doubles(a->f64, b->f64);
}

/* --- the other classes ------------------------------------------------------------------------ */

static int compare_text(const struct nx_value *a, const struct nx_value *b)
{
    return compare_bytes(nx_value_slice(a), nx_value_slice(b));
}

/* A shorter document that begins a longer one comes first. */
static int compare_fields(struct nx_slice a, struct nx_slice b, bool with_names)
{
    struct nx_doc_iter x, y;

    nx_doc_iter_init(&x, a);
    nx_doc_iter_init(&y, b);
    for (;;) {
        bool more_x = nx_doc_iter_next(&x), more_y = nx_doc_iter_next(&y);
        int order;

        if (!more_x || !more_y)
            return (int)more_x - (int)more_y;
        order = nx_type_order(x.value.type) - nx_type_order(y.value.type);
        if (order == 0 && with_names)
            order = compare_bytes(nx_slice(x.key, x.key_len), nx_slice(y.key, y.key_len));
        if (order == 0)
            order = nx_value_compare(&x.value, &y.value);
        if (order != 0)
            return order;
    }
}

static int compare_documents(const struct nx_value *a, const struct nx_value *b)
{
    return compare_fields(nx_value_slice(a), nx_value_slice(b), true);
}

static int compare_arrays(const struct nx_value *a, const struct nx_value *b)
{
    return compare_fields(nx_value_slice(a), nx_value_slice(b), false);
}

static int compare_binaries(const struct nx_value *a, const struct nx_value *b)
{
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    if (a->subtype != b->subtype)
        return a->subtype < b->subtype ? -1 : 1;
    return compare_text(a, b);
}

static int compare_bools(const struct nx_value *a, const struct nx_value *b)
{
    return (int)a->boolean - (int)b->boolean;
}

static int compare_dates(const struct nx_value *a, const struct nx_value *b)
{
    return compare_i64(a->i64, b->i64);
}

static int compare_timestamps(const struct nx_value *a, const struct nx_value *b)
{
    uint64_t x = (uint64_t)a->i64, y = (uint64_t)b->i64;

    return (x > y) - (x < y);
}

/* Pattern, NUL, options: the NUL sorts a pattern before what it begins, then the options decide. */
static int compare_regexes(const struct nx_value *a, const struct nx_value *b)
{
    return compare_text(a, b);
}

static int compare_dbpointers(const struct nx_value *a, const struct nx_value *b)
{
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    return compare_text(a, b);
}

static int compare_codewscopes(const struct nx_value *a, const struct nx_value *b)
{
    struct nx_slice code_a, code_b, scope_a, scope_b;
    int order;

    bson_codewscope_parts(a, &code_a, &scope_a);
    bson_codewscope_parts(b, &code_b, &scope_b);
    order = compare_bytes(code_a, code_b);
    return order ? order : compare_fields(scope_a, scope_b, true);
}

/* --- the table -------------------------------------------------------------------------------- */

static const struct type_row {
    int order;
    compare_fn compare;
} rows[256] = {
    [NX_TYPE_MISSING] = {CLASS_MISSING, compare_same},
    [NX_TYPE_DOUBLE] = {CLASS_NUMBER, compare_numbers},
    [NX_TYPE_STRING] = {CLASS_STRING, compare_text},
    [NX_TYPE_DOCUMENT] = {CLASS_OBJECT, compare_documents},
    [NX_TYPE_ARRAY] = {CLASS_ARRAY, compare_arrays},
    [NX_TYPE_BINARY] = {CLASS_BINARY, compare_binaries},
    [NX_TYPE_UNDEFINED] = {CLASS_MISSING, compare_same},
    [NX_TYPE_OBJECTID] = {CLASS_OBJECTID, compare_text},
    [NX_TYPE_BOOL] = {CLASS_BOOL, compare_bools},
    [NX_TYPE_DATE] = {CLASS_DATE, compare_dates},
    [NX_TYPE_NULL] = {CLASS_NULL, compare_same},
    [NX_TYPE_REGEX] = {CLASS_REGEX, compare_regexes},
    [NX_TYPE_DBPOINTER] = {CLASS_DBPOINTER, compare_dbpointers},
    [NX_TYPE_CODE] = {CLASS_CODE, compare_text},
    [NX_TYPE_SYMBOL] = {CLASS_STRING, compare_text},
    [NX_TYPE_CODEWSCOPE] = {CLASS_CODEWSCOPE, compare_codewscopes},
    [NX_TYPE_INT32] = {CLASS_NUMBER, compare_numbers},
    [NX_TYPE_TIMESTAMP] = {CLASS_TIMESTAMP, compare_timestamps},
    [NX_TYPE_INT64] = {CLASS_NUMBER, compare_numbers},
    [NX_TYPE_DECIMAL128] = {CLASS_NUMBER, compare_numbers},
    [NX_TYPE_MAXKEY] = {CLASS_MAXKEY, compare_same},
    [NX_TYPE_MINKEY] = {CLASS_MINKEY, compare_same},
};

int nx_type_order(uint8_t type)
{
    return rows[type].order;
}

int nx_value_compare(const struct nx_value *a, const struct nx_value *b)
{
    const struct type_row *x = &rows[a->type], *y = &rows[b->type];

    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return x->compare ? x->compare(a, b) : 0;
}

/* --- hash ------------------------------------------------------------------------------------- */

/* A number's one form among equals: int64 if it is one, else double, else a normalized decimal. */
static uint64_t hash_number(const struct nx_value *value, uint64_t seed)
{
    uint8_t bytes[16];
    struct decimal decimal;
    double d = 0;
    int64_t whole;

    if (nx_value_to_int64(value, &whole))
        return XXH64(&whole, sizeof whole, seed);
    if (value->type == NX_TYPE_DECIMAL128) {
        decimal_read(value->data, &decimal);
        d = decimal_to_double(&decimal);
        if (decimal_compare_double(&decimal, d) != 0) {
            decimal_normalize(&decimal);
            decimal_write(&decimal, bytes);
            return XXH64(bytes, sizeof bytes, seed);
        }
    } else {
        d = value->f64;
    }
    if (isnan(d))
        d = (double)NAN;
    return XXH64(&d, sizeof d, seed + 1);
}

static uint64_t hash_fields(struct nx_slice doc, bool with_names, uint64_t seed)
{
    struct nx_doc_iter iter;

    nx_doc_iter_init(&iter, doc);
    while (nx_doc_iter_next(&iter)) {
        if (with_names)
            seed = XXH64(iter.key, iter.key_len, seed);
        seed = nx_value_hash(&iter.value, seed);
    }
    return seed;
}

static uint64_t hash_codewscope(const struct nx_value *value, uint64_t seed)
{
    struct nx_slice code, scope;

    bson_codewscope_parts(value, &code, &scope);
    return hash_fields(scope, true, XXH64(code.data, code.len, seed));
}

static uint64_t hash_bool(const struct nx_value *value, uint64_t seed)
{
    return XXH64(&value->boolean, sizeof value->boolean, seed);
}

uint64_t nx_value_hash(const struct nx_value *value, uint64_t seed)
{
    int order = nx_type_order(value->type);

    seed ^= (uint64_t)(order + 2) * 0x9e3779b97f4a7c15ULL;
    switch (order) {
    case CLASS_MINKEY:
    case CLASS_MISSING:
    case CLASS_NULL:
    case CLASS_MAXKEY:
        return XXH64(NULL, 0, seed);
    case CLASS_NUMBER:
        return hash_number(value, seed);
    case CLASS_OBJECT:
        return hash_fields(nx_value_slice(value), true, XXH64(NULL, 0, seed));
    case CLASS_ARRAY:
        return hash_fields(nx_value_slice(value), false, XXH64(NULL, 0, seed));
    case CLASS_BOOL:
        return hash_bool(value, seed);
    case CLASS_DATE:
    case CLASS_TIMESTAMP:
        return XXH64(&value->i64, sizeof value->i64, seed);
    case CLASS_CODEWSCOPE:
        return hash_codewscope(value, seed);
    default: /* text and bytes; a binary's subtype may collide */
        return XXH64(value->data, value->len, seed);
    }
}

/* type_set.c - the names of types, in one table. */
#include "query/type_set.h"

#include <string.h>

#define BSON_TYPE 1 /* row counts for $type and bsonType */
#define JSON_TYPE 2 /* row counts for JSON schema's type */

static const struct type_row {
    const char *name;
    unsigned forms;
    uint8_t types[4]; /* ends at MISSING */
} rows[] = {
    {"array", BSON_TYPE | JSON_TYPE, {NX_TYPE_ARRAY}},
    {"binData", BSON_TYPE, {NX_TYPE_BINARY}},
    {"bool", BSON_TYPE, {NX_TYPE_BOOL}},
    {"boolean", JSON_TYPE, {NX_TYPE_BOOL}},
    {"date", BSON_TYPE, {NX_TYPE_DATE}},
    {"dbPointer", BSON_TYPE, {NX_TYPE_DBPOINTER}},
    {"decimal", BSON_TYPE, {NX_TYPE_DECIMAL128}},
    {"double", BSON_TYPE, {NX_TYPE_DOUBLE}},
    {"int", BSON_TYPE, {NX_TYPE_INT32}},
    {"javascript", BSON_TYPE, {NX_TYPE_CODE}},
    {"javascriptWithScope", BSON_TYPE, {NX_TYPE_CODEWSCOPE}},
    {"long", BSON_TYPE, {NX_TYPE_INT64}},
    {"maxKey", BSON_TYPE, {NX_TYPE_MAXKEY}},
    {"minKey", BSON_TYPE, {NX_TYPE_MINKEY}},
    {"null", BSON_TYPE | JSON_TYPE, {NX_TYPE_NULL}},
    {"number",
     BSON_TYPE | JSON_TYPE,
     {NX_TYPE_DOUBLE, NX_TYPE_INT32, NX_TYPE_INT64, NX_TYPE_DECIMAL128}},
    {"object", BSON_TYPE | JSON_TYPE, {NX_TYPE_DOCUMENT}},
    {"objectId", BSON_TYPE, {NX_TYPE_OBJECTID}},
    {"regex", BSON_TYPE, {NX_TYPE_REGEX}},
    {"string", BSON_TYPE | JSON_TYPE, {NX_TYPE_STRING}},
    {"symbol", BSON_TYPE, {NX_TYPE_SYMBOL}},
    {"timestamp", BSON_TYPE, {NX_TYPE_TIMESTAMP}},
    {"undefined", BSON_TYPE, {NX_TYPE_UNDEFINED}},
};

static void add(uint64_t set[4], uint8_t type)
{
    set[type / 64] |= UINT64_C(1) << (type % 64);
}

static enum nx_code add_name(const char *what, const struct nx_value *name, unsigned form,
                             uint64_t set[4], struct nx_err *err)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!(rows[i].forms & form) || strlen(rows[i].name) != name->len ||
            memcmp(rows[i].name, name->data, name->len) != 0)
            continue;
        for (size_t t = 0; t < 4 && rows[i].types[t]; t++)
            add(set, rows[i].types[t]);
        return NX_OK;
    }
    return nx_fail(err, NX_EQUERY, "%s: '%.*s' is not the name of a type", what,
                   (int)(name->len < 60 ? name->len : 60), (const char *)name->data);
}

static enum nx_code add_number(const char *what, const struct nx_value *number, uint64_t set[4],
                               struct nx_err *err)
{
    int64_t code;

    if (!nx_value_to_int64(number, &code))
        return nx_fail(err, NX_EQUERY, "%s: the number of a type is a whole number", what);
    if (code != -1 && code != NX_TYPE_MAXKEY && (code < 1 || code > NX_TYPE_DECIMAL128))
        return nx_fail(err, NX_EQUERY, "%s: %lld is not the number of a type", what,
                       (long long)code);
    add(set, (uint8_t)code);
    return NX_OK;
}

static enum nx_code add_one(const char *what, const struct nx_value *spec, enum type_set_form form,
                            uint64_t set[4], struct nx_err *err)
{
    if (spec->type == NX_TYPE_STRING)
        return add_name(what, spec, form == TYPE_SET_JSON ? JSON_TYPE : BSON_TYPE, set, err);
    if (form == TYPE_SET_BSON && nx_is_number(spec))
        return add_number(what, spec, set, err);
    return nx_fail(err, NX_EQUERY, "%s needs the name of a type, not %s", what,
                   nx_type_name(spec->type));
}

enum nx_code type_set_parse(const char *what, const struct nx_value *spec, enum type_set_form form,
                            uint64_t set[4], struct nx_err *err)
{
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    memset(set, 0, 4 * sizeof *set);
    if (spec->type != NX_TYPE_ARRAY)
        return add_one(what, spec, form, set, err);
    if (nx_doc_is_empty(nx_value_slice(spec)))
        return nx_fail(err, NX_EQUERY, "%s needs at least one type", what);
    nx_doc_iter_init(&iter, nx_value_slice(spec));
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = add_one(what, &iter.value, form, set, err);
    return rc;
}

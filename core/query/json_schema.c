/*
 * json_schema.c - one row a keyword: how it is parsed, and how a value is checked against it.
 *
 * A schema is a list of rules. A rule says nothing about values of types it is not for: {minimum:
 * 3} accepts a string. Depth is bounded by the depth of the BSON it came from.
 */
#include "query/json_schema.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "query/regex.h"
#include "query/type_set.h"

struct keyword;

/* A named sub-schema: of a property, a pattern, a dependency; or of a list, without a name. */
struct member {
    struct nx_slice name;
    struct regex *regex;        /* of a pattern; owned */
    struct json_schema *schema; /* owned; NULL for a dependency on names */
    struct nx_value names;      /* of such a dependency: its array */
};

struct rule {
    const struct keyword *keyword;
    struct nx_value value;  /* the keyword's, borrowed from the specification */
    struct member *members; /* owned */
    uint32_t member_count;
    int64_t number;
    uint64_t types[4];
    bool flag; /* exclusive; uniqueItems; what additional... allows */
};

struct json_schema {
    struct rule *rules; /* owned */
    uint32_t rule_count;
};

struct check {
    const struct json_schema *schema; /* the rule's */
    enum nx_code failed;
    struct nx_err *err;
};

struct parse {
    struct nx_slice spec; /* the schema around the keyword */
    struct nx_err *err;
};

struct keyword {
    const char *name;
    enum nx_code (*parse)(struct parse *parse, const struct nx_value *value, struct rule *out);
    bool (*check)(const struct rule *rule, const struct nx_value *value, struct check *check);
};

static bool valid(const struct json_schema *schema, const struct nx_value *value,
                  struct check *check);

static enum nx_code wrong(struct parse *parse, const struct rule *rule, const char *wanted)
{
    return nx_fail(parse->err, NX_EQUERY, "$jsonSchema: '%s' needs %s, not %s", rule->keyword->name,
                   wanted, nx_type_name(rule->value.type));
}

/* --- sub-schemas ------------------------------------------------------------------------------ */

static enum nx_code add_member(struct parse *parse, struct rule *out, struct nx_slice name,
                               const struct nx_value *schema, struct member **member)
{
    struct member *members = realloc(out->members, (out->member_count + 1) * sizeof *members);

    *member = NULL;
    if (!members)
        return nx_fail_nomem(parse->err);
    out->members = members;
    *member = &members[out->member_count++];
    **member = (struct member){.name = name};
    if (!schema)
        return NX_OK;
    if (schema->type != NX_TYPE_DOCUMENT)
        return nx_fail(parse->err, NX_EQUERY, "$jsonSchema: '%s' needs schemas, not %s",
                       out->keyword->name, nx_type_name(schema->type));
    return json_schema_parse(nx_value_slice(schema), &(*member)->schema, parse->err);
}

static enum nx_code parse_schema(struct parse *parse, const struct nx_value *value,
                                 struct rule *out)
{
    struct member *member;

    if (value->type != NX_TYPE_DOCUMENT)
        return wrong(parse, out, "an object");
    return add_member(parse, out, NX_SLICE_NULL, value, &member);
}

static enum nx_code parse_schemas(struct parse *parse, const struct nx_value *value,
                                  struct rule *out)
{
    struct nx_doc_iter iter;
    struct member *member;
    enum nx_code rc = NX_OK;

    if (value->type != NX_TYPE_ARRAY || nx_doc_is_empty(nx_value_slice(value)))
        return wrong(parse, out, "a non-empty array of schemas");
    nx_doc_iter_init(&iter, nx_value_slice(value));
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = add_member(parse, out, NX_SLICE_NULL, &iter.value, &member);
    return rc;
}

static enum nx_code parse_properties(struct parse *parse, const struct nx_value *value,
                                     struct rule *out)
{
    struct nx_doc_iter iter;
    struct member *member;
    enum nx_code rc = NX_OK;

    if (value->type != NX_TYPE_DOCUMENT)
        return wrong(parse, out, "an object");
    nx_doc_iter_init(&iter, nx_value_slice(value));
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = add_member(parse, out, nx_slice(iter.key, iter.key_len), &iter.value, &member);
    return rc;
}

static enum nx_code parse_patterns(struct parse *parse, const struct nx_value *value,
                                   struct rule *out)
{
    enum nx_code rc = parse_properties(parse, value, out);

    for (uint32_t i = 0; rc == NX_OK && i < out->member_count; i++)
        rc = regex_new(out->members[i].name, NX_SLICE_NULL, &out->members[i].regex, parse->err);
    return rc;
}

static enum nx_code parse_name_list(struct parse *parse, const struct nx_value *value,
                                    struct rule *out)
{
    struct nx_doc_iter iter;

    if (value->type != NX_TYPE_ARRAY || nx_doc_is_empty(nx_value_slice(value)))
        return wrong(parse, out, "a non-empty array of names");
    nx_doc_iter_init(&iter, nx_value_slice(value));
    while (nx_doc_iter_next(&iter))
        if (iter.value.type != NX_TYPE_STRING)
            return nx_fail(parse->err, NX_EQUERY, "$jsonSchema: '%s' needs names, not %s",
                           out->keyword->name, nx_type_name(iter.value.type));
    return NX_OK;
}

static enum nx_code parse_dependencies(struct parse *parse, const struct nx_value *value,
                                       struct rule *out)
{
    struct nx_doc_iter iter;
    struct member *member;
    enum nx_code rc = NX_OK;

    if (value->type != NX_TYPE_DOCUMENT)
        return wrong(parse, out, "an object");
    nx_doc_iter_init(&iter, nx_value_slice(value));
    while (rc == NX_OK && nx_doc_iter_next(&iter)) {
        bool is_list = iter.value.type == NX_TYPE_ARRAY;

        if (is_list)
            rc = parse_name_list(parse, &iter.value, out);
        if (rc == NX_OK)
            rc = add_member(parse, out, nx_slice(iter.key, iter.key_len),
                            is_list ? NULL : &iter.value, &member);
        if (rc == NX_OK && is_list)
            member->names = iter.value;
    }
    return rc;
}

static enum nx_code parse_items(struct parse *parse, const struct nx_value *value, struct rule *out)
{
    return value->type == NX_TYPE_ARRAY ? parse_schemas(parse, value, out)
                                        : parse_schema(parse, value, out);
}

static enum nx_code parse_additional(struct parse *parse, const struct nx_value *value,
                                     struct rule *out)
{
    out->flag = value->type != NX_TYPE_BOOL || value->boolean;
    return value->type == NX_TYPE_BOOL ? NX_OK : parse_schema(parse, value, out);
}

static bool has_all(struct nx_slice doc, const struct nx_value *names)
{
    struct nx_doc_iter iter;

    nx_doc_iter_init(&iter, nx_value_slice(names));
    while (nx_doc_iter_next(&iter))
        if (nx_doc_get(doc, (const char *)iter.value.data, iter.value.len).type == NX_TYPE_MISSING)
            return false;
    return true;
}

static bool check_all_of(const struct rule *rule, const struct nx_value *value, struct check *check)
{
    for (uint32_t i = 0; i < rule->member_count; i++)
        if (!valid(rule->members[i].schema, value, check))
            return false;
    return true;
}

static uint32_t count_valid(const struct rule *rule, const struct nx_value *value,
                            struct check *check, uint32_t enough)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < rule->member_count && count < enough; i++)
        count += valid(rule->members[i].schema, value, check);
    return count;
}

static bool check_any_of(const struct rule *rule, const struct nx_value *value, struct check *check)
{
    return count_valid(rule, value, check, 1) == 1;
}

static bool check_one_of(const struct rule *rule, const struct nx_value *value, struct check *check)
{
    return count_valid(rule, value, check, 2) == 1;
}

static bool check_not(const struct rule *rule, const struct nx_value *value, struct check *check)
{
    return !valid(rule->members[0].schema, value, check);
}

static bool check_properties(const struct rule *rule, const struct nx_value *value,
                             struct check *check)
{
    if (value->type != NX_TYPE_DOCUMENT)
        return true;
    for (uint32_t i = 0; i < rule->member_count; i++) {
        const struct member *member = &rule->members[i];
        struct nx_value field =
            nx_doc_get(nx_value_slice(value), (const char *)member->name.data, member->name.len);

        if (field.type != NX_TYPE_MISSING && !valid(member->schema, &field, check))
            return false;
    }
    return true;
}

static bool pattern_matches(const struct member *member, const struct nx_doc_iter *iter,
                            struct check *check)
{
    bool found = false;

    if (check->failed == NX_OK)
        check->failed = regex_find(member->regex, nx_slice(iter->key, iter->key_len), 0, NULL, 0,
                                   &found, check->err);
    return found;
}

static bool check_patterns(const struct rule *rule, const struct nx_value *value,
                           struct check *check)
{
    struct nx_doc_iter iter;

    if (value->type != NX_TYPE_DOCUMENT)
        return true;
    nx_doc_iter_init(&iter, nx_value_slice(value));
    while (nx_doc_iter_next(&iter))
        for (uint32_t i = 0; i < rule->member_count; i++)
            if (pattern_matches(&rule->members[i], &iter, check) &&
                !valid(rule->members[i].schema, &iter.value, check))
                return false;
    return true;
}

static const struct rule *sibling(const struct check *check, const char *name);

static bool is_additional(const struct nx_doc_iter *iter, struct check *check)
{
    const struct rule *properties = sibling(check, "properties");
    const struct rule *patterns = sibling(check, "patternProperties");

    for (uint32_t i = 0; properties && i < properties->member_count; i++)
        if (nx_slice_equal(properties->members[i].name, nx_slice(iter->key, iter->key_len)))
            return false;
    for (uint32_t i = 0; patterns && i < patterns->member_count; i++)
        if (pattern_matches(&patterns->members[i], iter, check))
            return false;
    return true;
}

static bool check_additional_properties(const struct rule *rule, const struct nx_value *value,
                                        struct check *check)
{
    struct nx_doc_iter iter;

    if (value->type != NX_TYPE_DOCUMENT || (rule->flag && rule->member_count == 0))
        return true;
    nx_doc_iter_init(&iter, nx_value_slice(value));
    while (nx_doc_iter_next(&iter)) {
        if (!is_additional(&iter, check))
            continue;
        if (!rule->flag || !valid(rule->members[0].schema, &iter.value, check))
            return false;
    }
    return true;
}

static bool check_dependencies(const struct rule *rule, const struct nx_value *value,
                               struct check *check)
{
    struct nx_slice doc;

    if (value->type != NX_TYPE_DOCUMENT)
        return true;
    doc = nx_value_slice(value);
    for (uint32_t i = 0; i < rule->member_count; i++) {
        const struct member *member = &rule->members[i];

        if (nx_doc_get(doc, (const char *)member->name.data, member->name.len).type ==
            NX_TYPE_MISSING)
            continue;
        if (member->schema ? !valid(member->schema, value, check) : !has_all(doc, &member->names))
            return false;
    }
    return true;
}

static bool check_required(const struct rule *rule, const struct nx_value *value,
                           struct check *check)
{
    (void)check;
    return value->type != NX_TYPE_DOCUMENT || has_all(nx_value_slice(value), &rule->value);
}

static bool check_items(const struct rule *rule, const struct nx_value *value, struct check *check)
{
    bool by_position = rule->value.type == NX_TYPE_ARRAY;
    struct nx_doc_iter iter;
    uint32_t i = 0;

    if (value->type != NX_TYPE_ARRAY)
        return true;
    nx_doc_iter_init(&iter, nx_value_slice(value));
    for (; nx_doc_iter_next(&iter) && (!by_position || i < rule->member_count); i++)
        if (!valid(rule->members[by_position ? i : 0].schema, &iter.value, check))
            return false;
    return true;
}

static bool check_additional_items(const struct rule *rule, const struct nx_value *value,
                                   struct check *check)
{
    const struct rule *items = sibling(check, "items");
    struct nx_doc_iter iter;

    if (value->type != NX_TYPE_ARRAY || !items || items->value.type != NX_TYPE_ARRAY)
        return true;
    nx_doc_iter_init(&iter, nx_value_slice(value));
    for (uint32_t i = 0; nx_doc_iter_next(&iter); i++)
        if (i >= items->member_count &&
            (!rule->flag ||
             (rule->member_count && !valid(rule->members[0].schema, &iter.value, check))))
            return false;
    return true;
}

/* --- numbers, strings, sizes ------------------------------------------------------------------ */

static enum nx_code parse_count(struct parse *parse, const struct nx_value *value, struct rule *out)
{
    if (!nx_value_to_int64(value, &out->number) || out->number < 0)
        return wrong(parse, out, "a whole number of zero or more");
    return NX_OK;
}

static enum nx_code parse_bound(struct parse *parse, const struct nx_value *value, struct rule *out)
{
    const char *name =
        strcmp(out->keyword->name, "minimum") == 0 ? "exclusiveMinimum" : "exclusiveMaximum";
    struct nx_value exclusive = nx_doc_get_z(parse->spec, name);

    if (!nx_is_number(value))
        return wrong(parse, out, "a number");
    out->flag = exclusive.type == NX_TYPE_BOOL && exclusive.boolean;
    return NX_OK;
}

static enum nx_code parse_exclusive(struct parse *parse, const struct nx_value *value,
                                    struct rule *out)
{
    const char *bound = strcmp(out->keyword->name, "exclusiveMinimum") == 0 ? "minimum" : "maximum";

    if (value->type != NX_TYPE_BOOL)
        return wrong(parse, out, "true or false");
    if (nx_doc_get_z(parse->spec, bound).type == NX_TYPE_MISSING)
        return nx_fail(parse->err, NX_EQUERY, "$jsonSchema: '%s' needs a '%s' beside it",
                       out->keyword->name, bound);
    return NX_OK;
}

static enum nx_code parse_multiple(struct parse *parse, const struct nx_value *value,
                                   struct rule *out)
{
    if (!nx_is_number(value) || !(nx_value_to_double(value) > 0))
        return wrong(parse, out, "a number above zero");
    return NX_OK;
}

static enum nx_code parse_flag(struct parse *parse, const struct nx_value *value, struct rule *out)
{
    if (value->type != NX_TYPE_BOOL)
        return wrong(parse, out, "true or false");
    out->flag = value->boolean;
    return NX_OK;
}

static enum nx_code parse_text(struct parse *parse, const struct nx_value *value, struct rule *out)
{
    return value->type == NX_TYPE_STRING ? NX_OK : wrong(parse, out, "a string");
}

static enum nx_code parse_enum(struct parse *parse, const struct nx_value *value, struct rule *out)
{
    if (value->type != NX_TYPE_ARRAY || nx_doc_is_empty(nx_value_slice(value)))
        return wrong(parse, out, "a non-empty array of values");
    return NX_OK;
}

static enum nx_code parse_pattern(struct parse *parse, const struct nx_value *value,
                                  struct rule *out)
{
    struct member *member;
    enum nx_code rc;

    if (value->type != NX_TYPE_STRING)
        return wrong(parse, out, "a string");
    rc = add_member(parse, out, NX_SLICE_NULL, NULL, &member);
    return rc == NX_OK ? regex_new(nx_value_slice(value), NX_SLICE_NULL, &member->regex, parse->err)
                       : rc;
}

static enum nx_code parse_bson_type(struct parse *parse, const struct nx_value *value,
                                    struct rule *out)
{
    return type_set_parse("$jsonSchema: 'bsonType'", value, TYPE_SET_NAMES, out->types, parse->err);
}

static enum nx_code parse_json_type(struct parse *parse, const struct nx_value *value,
                                    struct rule *out)
{
    return type_set_parse("$jsonSchema: 'type'", value, TYPE_SET_JSON, out->types, parse->err);
}

static bool check_type(const struct rule *rule, const struct nx_value *value, struct check *check)
{
    (void)check;
    return type_set_has(rule->types, value->type);
}

static bool check_minimum(const struct rule *rule, const struct nx_value *value,
                          struct check *check)
{
    (void)check;
    if (!nx_is_number(value))
        return true;
    return nx_value_compare(value, &rule->value) >= (rule->flag ? 1 : 0) &&
           !isnan(nx_value_to_double(value));
}

static bool check_maximum(const struct rule *rule, const struct nx_value *value,
                          struct check *check)
{
    (void)check;
    if (!nx_is_number(value))
        return true;
    return nx_value_compare(value, &rule->value) <= (rule->flag ? -1 : 0) &&
           !isnan(nx_value_to_double(value));
}

static bool check_multiple(const struct rule *rule, const struct nx_value *value,
                           struct check *check)
{
    int64_t number, divisor;

    (void)check;
    if (!nx_is_number(value))
        return true;
    if (nx_value_to_int64(value, &number) && nx_value_to_int64(&rule->value, &divisor))
        return number % divisor == 0;
    return fmod(nx_value_to_double(value), nx_value_to_double(&rule->value)) == 0;
}

static int64_t code_points(const struct nx_value *text)
{
    int64_t count = 0;

    for (uint32_t i = 0; i < text->len; i++)
        count += (text->data[i] & 0xc0) != 0x80;
    return count;
}

static bool check_min_length(const struct rule *rule, const struct nx_value *value,
                             struct check *check)
{
    (void)check;
    return value->type != NX_TYPE_STRING || code_points(value) >= rule->number;
}

static bool check_max_length(const struct rule *rule, const struct nx_value *value,
                             struct check *check)
{
    (void)check;
    return value->type != NX_TYPE_STRING || code_points(value) <= rule->number;
}

static bool check_pattern(const struct rule *rule, const struct nx_value *value,
                          struct check *check)
{
    bool found = true;

    if (value->type == NX_TYPE_STRING && check->failed == NX_OK)
        check->failed = regex_find(rule->members[0].regex, nx_value_slice(value), 0, NULL, 0,
                                   &found, check->err);
    return found;
}

static int64_t size_of(const struct nx_value *value)
{
    return (int64_t)nx_doc_count(nx_value_slice(value));
}

static bool check_min_items(const struct rule *rule, const struct nx_value *value,
                            struct check *check)
{
    (void)check;
    return value->type != NX_TYPE_ARRAY || size_of(value) >= rule->number;
}

static bool check_max_items(const struct rule *rule, const struct nx_value *value,
                            struct check *check)
{
    (void)check;
    return value->type != NX_TYPE_ARRAY || size_of(value) <= rule->number;
}

static bool check_min_properties(const struct rule *rule, const struct nx_value *value,
                                 struct check *check)
{
    (void)check;
    return value->type != NX_TYPE_DOCUMENT || size_of(value) >= rule->number;
}

static bool check_max_properties(const struct rule *rule, const struct nx_value *value,
                                 struct check *check)
{
    (void)check;
    return value->type != NX_TYPE_DOCUMENT || size_of(value) <= rule->number;
}

static int compare_values(const void *a, const void *b)
{
    return nx_value_compare(a, b);
}

static bool check_unique(const struct rule *rule, const struct nx_value *value, struct check *check)
{
    struct nx_doc_iter iter;
    struct nx_value *values;
    size_t count = 0, i = 1;

    if (!rule->flag || value->type != NX_TYPE_ARRAY)
        return true;
    values = calloc((size_t)size_of(value) + 1, sizeof *values);
    if (!values) {
        check->failed = nx_fail_nomem(check->err);
        return false;
    }
    nx_doc_iter_init(&iter, nx_value_slice(value));
    while (nx_doc_iter_next(&iter))
        values[count++] = iter.value;
    qsort(values, count, sizeof *values, compare_values);
    while (i < count && nx_value_compare(&values[i - 1], &values[i]) != 0)
        i++;
    free(values);
    return i >= count;
}

static bool check_enum(const struct rule *rule, const struct nx_value *value, struct check *check)
{
    struct nx_doc_iter iter;

    (void)check;
    nx_doc_iter_init(&iter, nx_value_slice(&rule->value));
    while (nx_doc_iter_next(&iter))
        if (nx_value_compare(value, &iter.value) == 0)
            return true;
    return false;
}

static bool check_nothing(const struct rule *rule, const struct nx_value *value,
                          struct check *check)
{
    (void)rule;
    (void)value;
    (void)check;
    return true;
}

static const struct keyword keywords[] = {
    {"additionalItems", parse_additional, check_additional_items},
    {"additionalProperties", parse_additional, check_additional_properties},
    {"allOf", parse_schemas, check_all_of},
    {"anyOf", parse_schemas, check_any_of},
    {"bsonType", parse_bson_type, check_type},
    {"dependencies", parse_dependencies, check_dependencies},
    {"description", parse_text, check_nothing},
    {"enum", parse_enum, check_enum},
    {"exclusiveMaximum", parse_exclusive, check_nothing},
    {"exclusiveMinimum", parse_exclusive, check_nothing},
    {"items", parse_items, check_items},
    {"maxItems", parse_count, check_max_items},
    {"maxLength", parse_count, check_max_length},
    {"maxProperties", parse_count, check_max_properties},
    {"maximum", parse_bound, check_maximum},
    {"minItems", parse_count, check_min_items},
    {"minLength", parse_count, check_min_length},
    {"minProperties", parse_count, check_min_properties},
    {"minimum", parse_bound, check_minimum},
    {"multipleOf", parse_multiple, check_multiple},
    {"not", parse_schema, check_not},
    {"oneOf", parse_schemas, check_one_of},
    {"pattern", parse_pattern, check_pattern},
    {"patternProperties", parse_patterns, check_patterns},
    {"properties", parse_properties, check_properties},
    {"required", parse_name_list, check_required},
    {"title", parse_text, check_nothing},
    {"type", parse_json_type, check_type},
    {"uniqueItems", parse_flag, check_unique},
};

static const struct rule *sibling(const struct check *check, const char *name)
{
    for (uint32_t i = 0; i < check->schema->rule_count; i++)
        if (strcmp(check->schema->rules[i].keyword->name, name) == 0)
            return &check->schema->rules[i];
    return NULL;
}

static enum nx_code add_rule(struct json_schema *schema, struct parse *parse,
                             const struct nx_doc_iter *iter)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        struct rule *rule;

        if (strcmp(keywords[i].name, iter->key) != 0)
            continue;
        rule = &schema->rules[schema->rule_count++];
        rule->keyword = &keywords[i];
        rule->value = iter->value;
        return keywords[i].parse(parse, &iter->value, rule);
    }
    return nx_fail(parse->err, NX_EQUERY, "$jsonSchema: unknown keyword '%.60s'", iter->key);
}

enum nx_code json_schema_parse(struct nx_slice spec, struct json_schema **out, struct nx_err *err)
{
    struct parse parse = {spec, err};
    struct json_schema *schema;
    struct nx_doc_iter iter;
    enum nx_code rc = NX_OK;

    *out = NULL;
    schema = calloc(1, sizeof *schema);
    if (!schema)
        return nx_fail_nomem(err);
    schema->rules = calloc(nx_doc_count(spec) + 1, sizeof *schema->rules);
    if (!schema->rules)
        rc = nx_fail_nomem(err);
    nx_doc_iter_init(&iter, spec);
    while (rc == NX_OK && nx_doc_iter_next(&iter))
        rc = add_rule(schema, &parse, &iter);
    if (rc != NX_OK) {
        json_schema_free(schema);
        return rc;
    }
    *out = schema;
    return NX_OK;
}

static void free_rule(struct rule *rule)
{
    for (uint32_t i = 0; i < rule->member_count; i++) {
        regex_free(rule->members[i].regex);
        json_schema_free(rule->members[i].schema);
    }
    free(rule->members);
}

void json_schema_free(struct json_schema *schema)
{
    if (!schema)
        return;
    for (uint32_t i = 0; i < schema->rule_count; i++)
        free_rule(&schema->rules[i]);
    free(schema->rules);
    free(schema);
}

static bool valid(const struct json_schema *schema, const struct nx_value *value,
                  struct check *check)
{
    const struct json_schema *outer = check->schema;
    bool ok = true;

    for (uint32_t i = 0; ok && check->failed == NX_OK && i < schema->rule_count; i++) {
        check->schema = schema;
        ok = schema->rules[i].keyword->check(&schema->rules[i], value, check);
    }
    check->schema = outer;
    return ok && check->failed == NX_OK;
}

enum nx_code json_schema_check(const struct json_schema *schema, const struct nx_value *value,
                               bool *out, struct nx_err *err)
{
    struct check check = {schema, NX_OK, err};

    *out = valid(schema, value, &check);
    return check.failed;
}

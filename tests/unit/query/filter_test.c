/* filter_test.c - what filters match, what they refuse, and what they tell the planner. */
#include <stdio.h>
#include <string.h>

#include <nexadb/id.h>

#include "query/filter.h"
#include "query/filter_range.h"
#include "tests/unit/query/query_json.h"

struct match_case {
    const char *filter;
    const char *doc;
    bool matches;
};

static bool matches(const char *filter_json, const char *doc)
{
    struct filter *filter;
    struct nx_err err = NX_ERR_INIT;
    bool out;

    if (filter_parse(json(filter_json), NULL, &filter, &err) != NX_OK)
        fail_msg("%s: %s", filter_json, err.message);
    if (filter_match(filter, json(doc), NULL, &out, &err) != NX_OK)
        fail_msg("%s over %s: %s", filter_json, doc, err.message);
    filter_free(filter);
    return out;
}

static void check(const struct match_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (matches(cases[i].filter, cases[i].doc) != cases[i].matches)
            fail_msg("%s over %s is not %s", cases[i].filter, cases[i].doc,
                     cases[i].matches ? "true" : "false");
}
#define CHECK(cases) check(cases, sizeof(cases) / sizeof *(cases))

static void comparisons_stay_in_their_class_of_types(void **state)
{
    static const struct match_case cases[] = {
        {"{\"a\":{\"$gt\":5}}", "{\"a\":\"6\"}", false},
        {"{\"a\":{\"$lt\":\"b\"}}", "{\"a\":\"a\"}", true},
        {"{\"a\":{\"$gte\":null}}", "{}", true},
        {"{\"a\":{\"$lte\":null}}", "{\"a\":0}", false},
        {"{\"a\":{\"$gt\":{\"$minKey\":1}}}", "{\"a\":0}", true},
        {"{\"a\":{\"$lt\":{\"$maxKey\":1}}}", "{\"a\":{}}", true},
        {"{\"a\":{\"$lt\":{\"$minKey\":1}}}", "{\"a\":0}", false},
        {"{\"a\":2}", "{\"a\":{\"$numberDecimal\":\"2.0\"}}", true},
        {"{\"a\":{\"$gte\":{\"$numberDouble\":\"NaN\"}}}", "{\"a\":{\"$numberDouble\":\"NaN\"}}",
         true},
        {"{\"a\":{\"$lt\":1}}", "{\"a\":{\"$numberDouble\":\"NaN\"}}", false},
        {"{\"a\":{\"$in\":[{\"$numberDouble\":\"NaN\"}]}}", "{\"a\":{\"$numberDouble\":\"NaN\"}}",
         true},
    };
    (void)state;
    CHECK(cases);
}

static void negations_negate_the_whole_array_match(void **state)
{
    static const struct match_case cases[] = {
        {"{\"a\":{\"$ne\":1}}", "{\"a\":[1,2]}", false},
        {"{\"a\":{\"$nin\":[3,2]}}", "{\"a\":[1,2]}", false},
        {"{\"a\":{\"$not\":{\"$gt\":1}}}", "{\"a\":[0,2]}", false},
        {"{\"a\":{\"$not\":{\"$gt\":1}}}", "{}", true},
        {"{\"$nor\":[{\"a\":1},{\"b\":1}]}", "{\"a\":[2,1]}", false},
        {"{\"a\":{\"$not\":{\"$regex\":\"^x\"}}}", "{\"a\":5}", true},
    };
    (void)state;
    CHECK(cases);
}

static void paths_go_through_arrays_of_documents_only(void **state)
{
    static const struct match_case cases[] = {
        {"{\"a.b\":2}", "{\"a\":[{\"b\":1},{\"b\":2}]}", true},
        {"{\"a.b\":2}", "{\"a\":[[{\"b\":2}]]}", false},
        {"{\"a.b\":null}", "{\"a\":[1,2]}", false},
        {"{\"a.b\":null}", "{\"a\":1}", true},
        {"{\"a.0\":1}", "{\"a\":[[1]]}", false},
        {"{\"a.0\":[1]}", "{\"a\":[[1]]}", true},
        {"{\"a.0\":1}", "{\"a\":{\"0\":[1]}}", true},
        {"{\"a.b\":{\"$exists\":false}}", "{\"a\":[1]}", true},
    };
    (void)state;
    CHECK(cases);
}

static void element_conditions_hold_for_one_element(void **state)
{
    static const struct match_case cases[] = {
        {"{\"a\":{\"$elemMatch\":{\"$gt\":1,\"$lt\":3}}}", "{\"a\":[1,3]}", false},
        {"{\"a\":{\"$gt\":1,\"$lt\":3}}", "{\"a\":[0,4]}", true},
        {"{\"a\":{\"$elemMatch\":{\"$gt\":1}}}", "{\"a\":[[2]]}", false},
        {"{\"a\":{\"$elemMatch\":{\"$or\":[{\"b\":1},{\"c\":1}]}}}", "{\"a\":[{\"c\":1}]}", true},
        {"{\"a\":{\"$elemMatch\":{\"$not\":{\"$gt\":1}}}}", "{\"a\":[5,0]}", true},
        {"{\"a\":{\"$all\":[{\"$elemMatch\":{\"b\":1}},{\"$elemMatch\":{\"c\":1}}]}}",
         "{\"a\":[{\"b\":1},{\"c\":1}]}", true},
        {"{\"a\":{\"$all\":[]}}", "{\"a\":[]}", false},
        {"{\"a\":{\"$all\":[[1,2]]}}", "{\"a\":[1,2]}", true},
        {"{\"a\":{\"$size\":2}}", "{\"a\":[1,[2]]}", true},
    };
    (void)state;
    CHECK(cases);
}

static void kinds_bits_and_remainders(void **state)
{
    static const struct match_case cases[] = {
        {"{\"a\":{\"$type\":[\"null\",2]}}", "{\"a\":[\"x\"]}", true},
        {"{\"a\":{\"$type\":-1}}", "{\"a\":{\"$minKey\":1}}", true},
        {"{\"a\":{\"$type\":\"null\"}}", "{}", false},
        {"{\"a\":{\"$mod\":[-1,0]}}", "{\"a\":{\"$numberLong\":\"-9223372036854775808\"}}", true},
        {"{\"a\":{\"$mod\":[4,-3]}}", "{\"a\":-7.9}", true},
        {"{\"a\":{\"$mod\":[4,0]}}", "{\"a\":1e300}", false},
        {"{\"a\":{\"$bitsAllSet\":[200]}}", "{\"a\":-1}", true},
        {"{\"a\":{\"$bitsAllClear\":[200]}}", "{\"a\":1}", true},
        {"{\"a\":{\"$bitsAnySet\":{\"$binary\":{\"base64\":\"AQ==\",\"subType\":\"00\"}}}}",
         "{\"a\":{\"$binary\":{\"base64\":\"Aw==\",\"subType\":\"00\"}}}", true},
        {"{\"a\":{\"$bitsAllSet\":1}}", "{\"a\":1.5}", false},
        {"{\"a\":{\"$regex\":\"CAF\\u00c9\",\"$options\":\"i\"}}", "{\"a\":\"caf\\u00e9\"}", true},
        {"{\"a\":{\"$options\":\"s\",\"$regex\":\"a.b\"}}", "{\"a\":\"a\\nb\"}", true},
        {"{\"$expr\":{\"$gt\":[\"$a\",\"$b\"]}}", "{\"a\":2,\"b\":1}", true},
        {"{\"$comment\":\"why\",\"a\":{\"$comment\":\"not\"}}", "{}", true},
    };
    (void)state;
    CHECK(cases);
}

static void schemas_judge_what_is_there(void **state)
{
    static const struct match_case cases[] = {
        {"{\"$jsonSchema\":{\"properties\":{\"a\":{\"minimum\":3,\"exclusiveMinimum\":true}}}}",
         "{\"a\":3}", false},
        {"{\"$jsonSchema\":{\"properties\":{\"a\":{\"minimum\":3}}}}", "{\"a\":\"x\"}", true},
        {"{\"$jsonSchema\":{\"properties\":{\"a\":{\"items\":[{\"type\":\"string\"}],"
         "\"additionalItems\":false}}}}",
         "{\"a\":[\"x\",1]}", false},
        {"{\"$jsonSchema\":{\"dependencies\":{\"a\":{\"required\":[\"b\"]}}}}", "{\"a\":1}", false},
        {"{\"$jsonSchema\":{\"patternProperties\":{\"^x\":{}},\"additionalProperties\":"
         "{\"type\":\"number\"}}}",
         "{\"x1\":true,\"y\":2}", true},
        {"{\"$jsonSchema\":{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}}",
         "{\"a\":1,\"b\":1}", false},
        {"{\"$jsonSchema\":{\"properties\":{\"a\":{\"maxLength\":2}}}}",
         "{\"a\":\"\\u00e9\\u00e9\"}", true},
        {"{\"$jsonSchema\":{\"properties\":{\"a\":{\"uniqueItems\":true}}}}", "{\"a\":[1,1.0]}",
         false},
    };
    (void)state;
    CHECK(cases);
}

/* --- what is refused -------------------------------------------------------------------------- */

static void wrong_filters_are_refused_with_a_reason(void **state)
{
    static const struct {
        const char *filter;
        enum nx_code code;
        const char *reason;
    } cases[] = {
        {"{\"a\":{\"$foo\":1}}", NX_EOPERATOR, "'$foo'"},
        {"{\"$foo\":1}", NX_EOPERATOR, "'$foo'"},
        {"{\"a\":{\"$and\":[]}}", NX_EQUERY, "$and cannot stand under a field"},
        {"{\"$gt\":1}", NX_EQUERY, "only under a field"},
        {"{\"a\":{\"$gt\":1,\"b\":2}}", NX_EQUERY, "'b' stands among operators of 'a'"},
        {"{\"$or\":[]}", NX_EQUERY, "$or needs a non-empty array"},
        {"{\"$or\":[1]}", NX_EQUERY, "member 0 is int"},
        {"{\"a\":{\"$in\":5}}", NX_EQUERY, "$in needs an array, not int"},
        {"{\"a\":{\"$in\":[{\"$gt\":1}]}}", NX_EQUERY, "not operators"},
        {"{\"a\":{\"$not\":5}}", NX_EQUERY, "$not needs operators"},
        {"{\"a\":{\"$size\":-1}}", NX_EQUERY, "zero or more"},
        {"{\"a\":{\"$mod\":[0,1]}}", NX_EQUERY, "divisor is zero"},
        {"{\"a\":{\"$mod\":[1]}}", NX_EQUERY, "[divisor, remainder]"},
        {"{\"a\":{\"$type\":\"strng\"}}", NX_EQUERY, "'strng'"},
        {"{\"a\":{\"$type\":99}}", NX_EQUERY, "99 is not the number of a type"},
        {"{\"a\":{\"$bitsAllSet\":[-1]}}", NX_EQUERY, "bit position 0"},
        {"{\"a\":{\"$regex\":\"(\"}}", NX_EQUERY, "wrong at byte 1"},
        {"{\"a\":{\"$regex\":\"a\",\"$options\":\"q\"}}", NX_EQUERY, "option 'q'"},
        {"{\"a\":{\"$options\":\"i\"}}", NX_EQUERY, "$options needs a $regex"},
        {"{\"a\":{\"$gt\":{\"$regularExpression\":{\"pattern\":\"a\",\"options\":\"\"}}}}",
         NX_EQUERY, "regular expression"},
        {"{\"a\":{\"$elemMatch\":1}}", NX_EQUERY, "$elemMatch needs an object, not int"},
        {"{\"a\":{\"$elemMatch\":{\"$expr\":true}}}", NX_EQUERY, "inside $elemMatch"},
        {"{\"$text\":{\"$search\":\"x\"}}", NX_EOPERATOR, "needs a text index"},
        {"{\"$where\":\"1\"}", NX_EOPERATOR, "no JavaScript"},
        {"{\"$jsonSchema\":{\"minimun\":1}}", NX_EQUERY, "unknown keyword 'minimun'"},
        {"{\"$jsonSchema\":{\"properties\":{\"a\":{\"bsonType\":\"nosuch\"}}}}", NX_EQUERY,
         "'nosuch'"},
        {"{\"a..b\":1}", NX_EQUERY, "part"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct filter *filter;
        struct nx_err err = NX_ERR_INIT;
        enum nx_code rc = filter_parse(json(cases[i].filter), NULL, &filter, &err);

        if (rc != cases[i].code || !strstr(err.message, cases[i].reason))
            fail_msg("%s: %s: %s", cases[i].filter, nx_code_name(rc), err.message);
        assert_null(filter);
    }
}

static void a_hostile_pattern_gives_up(void **state)
{
    struct nx_err err = NX_ERR_INIT;
    bool out;
    enum nx_code rc = nx_query_matches(
        json("{\"a\":{\"$regex\":\"^(a+)+$\"}}"),
        json("{\"a\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"}"), &out, &err);

    (void)state;
    assert_int_equal(rc, NX_EQUERY);
    assert_non_null(strstr(err.message, "gave up"));
    assert_false(out);
}

/* --- the planner's view ----------------------------------------------------------------------- */

static void id_conditions_become_ranges_and_points(void **state)
{
    static const struct {
        const char *filter;
        bool never, lower, upper;
        uint32_t points;
    } cases[] = {
        {"{}", false, false, false, 0},
        {"{\"_id\":5}", false, true, true, 1},
        {"{\"_id\":{\"$in\":[3,1,3]}}", false, true, true, 2},
        {"{\"_id\":{\"$in\":[]}}", false, false, false, 0},
        {"{\"_id\":{\"$gt\":5}}", false, true, true, 0}, /* up to the end of numbers */
        {"{\"$and\":[{\"_id\":{\"$gte\":1}},{\"_id\":{\"$lt\":9}}]}", false, true, true, 0},
        {"{\"_id\":{\"$gt\":5,\"$lt\":3}}", true, true, true, 0},
        {"{\"$or\":[{\"_id\":1},{\"a\":1}]}", false, false, false, 0},
        {"{\"_id\":{\"$ne\":1}}", false, false, false, 0},
        {"{\"_id\":{\"$regex\":\"^a\"}}", false, false, false, 0},
        {"{\"_id.x\":1}", false, false, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct filter *filter;
        struct id_range range;

        assert_int_equal(filter_parse(json(cases[i].filter), NULL, &filter, NULL), NX_OK);
        filter_id_plan(filter, &range);
        if (range.never != cases[i].never || range.has_lower != cases[i].lower ||
            range.has_upper != cases[i].upper || range.point_count != cases[i].points)
            fail_msg("%s: never %d, lower %d, upper %d, points %u", cases[i].filter, range.never,
                     range.has_lower, range.has_upper, range.point_count);
        filter_free(filter);
    }
}

static void the_position_is_that_of_the_matching_element(void **state)
{
    static const struct {
        const char *filter, *doc;
        int index; /* -1: none */
    } cases[] = {
        {"{\"a\":{\"$gt\":1}}", "{\"a\":[1,2,3]}", 1},
        {"{\"a.b\":2}", "{\"a\":[{\"b\":1},{\"b\":2}]}", 1},
        {"{\"a\":{\"$elemMatch\":{\"b\":2}}}", "{\"a\":[{\"b\":1},{\"b\":[0,2]}]}", 1},
        {"{\"$or\":[{\"a\":9},{\"a\":3}]}", "{\"a\":[1,2,3]}", 2},
        {"{\"a\":{\"$size\":3}}", "{\"a\":[1,2,3]}", -1},
        {"{\"x\":1}", "{\"x\":1,\"a\":[1]}", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct filter *filter;
        uint32_t index;
        bool found;

        assert_int_equal(filter_parse(json(cases[i].filter), NULL, &filter, NULL), NX_OK);
        found = filter_array_index(filter, json(cases[i].doc), NULL, &index);
        if ((found ? (int)index : -1) != cases[i].index)
            fail_msg("%s over %s: %d", cases[i].filter, cases[i].doc, found ? (int)index : -1);
        filter_free(filter);
    }
}

#define T(test) cmocka_unit_test_teardown(test, json_forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(comparisons_stay_in_their_class_of_types),
        T(negations_negate_the_whole_array_match),
        T(paths_go_through_arrays_of_documents_only),
        T(element_conditions_hold_for_one_element),
        T(kinds_bits_and_remainders),
        T(schemas_judge_what_is_there),
        T(wrong_filters_are_refused_with_a_reason),
        T(a_hostile_pattern_gives_up),
        T(id_conditions_become_ranges_and_points),
        T(the_position_is_that_of_the_matching_element),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

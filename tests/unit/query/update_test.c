/* update_test.c - updates of one document: what they make, and what they refuse. */
#include <stdio.h>
#include <string.h>

#include <nexadb/io.h>

#include "query/expr.h"
#include "query/filter.h"
#include "query/update.h"
#include "tests/unit/query/query_json.h"

/* Apply; the new document as JSON, or "!code message". */
static const char *applied(const char *filter_json, const char *update_json,
                           const char *filters_json, const char *doc)
{
    static char failure[600];
    struct filter *filter = NULL;
    struct update *update = NULL;
    struct arena arena = ARENA_INIT;
    struct nx_value now = nx_date(1700000000123);
    struct expr_env env = {.root = json(doc), .arena = &arena, .now = &now, .io = nx_io_posix()};
    struct nx_buf out = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    const char *text;
    enum nx_code rc = filter_parse(json(filter_json ? filter_json : "{}"), NULL, &filter, &err);

    if (rc == NX_OK)
        rc = update_parse(json(update_json), update_json[0] == '[',
                          filters_json ? json(filters_json) : NX_SLICE_NULL, &update, &err);
    if (rc == NX_OK)
        rc = update_apply(update, json(doc), &(struct update_run){.filter = filter, .env = &env},
                          &out, &err);
    snprintf(failure, sizeof failure, "!%s %s", nx_code_name(rc), err.message);
    text = rc == NX_OK ? json_text(nx_buf_slice(&out)) : failure;
    nx_buf_fini(&out);
    arena_fini(&arena);
    update_free(update);
    filter_free(filter);
    return text;
}

struct update_case {
    const char *filter, *update, *array_filters, *doc, *expected;
};

static void check(const struct update_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *got =
            applied(cases[i].filter, cases[i].update, cases[i].array_filters, cases[i].doc);
        bool is_failure = cases[i].expected[0] == '!';

        if (is_failure ? (got[0] != '!' || !strstr(got, cases[i].expected + 1))
                       : strcmp(got, cases[i].expected) != 0)
            fail_msg("%s over %s:\n  expected %s\n  got      %s", cases[i].update, cases[i].doc,
                     cases[i].expected, got);
    }
}
#define CHECK(cases) check(cases, sizeof(cases) / sizeof *(cases))

static void fields_keep_their_places_and_new_ones_follow_by_name(void **state)
{
    static const struct update_case cases[] = {
        {NULL, "{\"$set\":{\"z\":1,\"b\":2,\"10\":1,\"9\":1}}", NULL, "{\"_id\":1,\"b\":0,\"a\":0}",
         "{\"_id\":1,\"b\":2,\"a\":0,\"9\":1,\"10\":1,\"z\":1}"},
        {NULL, "{\"$set\":{\"a.b.c\":1},\"$unset\":{\"x\":1}}", NULL, "{\"_id\":1,\"x\":0}",
         "{\"_id\":1,\"a\":{\"b\":{\"c\":1}}}"},
        {NULL, "{\"$unset\":{\"a.b\":1,\"q.r\":1}}", NULL, "{\"_id\":1,\"a\":1}",
         "{\"_id\":1,\"a\":1}"},
        {NULL, "{\"$set\":{\"a.3\":9}}", NULL, "{\"_id\":1,\"a\":[0]}",
         "{\"_id\":1,\"a\":[0,null,null,9]}"},
        {NULL, "{\"$rename\":{\"a\":\"n.m\",\"none\":\"x\"}}", NULL, "{\"_id\":1,\"a\":5}",
         "{\"_id\":1,\"n\":{\"m\":5}}"},
        {NULL, "{\"b\":1}", NULL, "{\"_id\":7,\"a\":1}", "{\"_id\":7,\"b\":1}"},
        {NULL, "{\"$currentDate\":{\"t\":true}}", NULL, "{\"_id\":1}",
         "{\"_id\":1,\"t\":{\"$date\":\"2023-11-14T22:13:20.123Z\"}}"},
        {NULL, "{\"$setOnInsert\":{\"a\":9,\"b\":9}}", NULL, "{\"_id\":1,\"a\":1}",
         "{\"_id\":1,\"a\":1}"},
    };
    (void)state;
    CHECK(cases);
}

static void arithmetic_widens_and_then_refuses(void **state)
{
    static const struct update_case cases[] = {
        {NULL, "{\"$inc\":{\"a\":1}}", NULL, "{\"_id\":1,\"a\":2147483647}",
         "{\"_id\":1,\"a\":2147483648}"},
        {NULL, "{\"$inc\":{\"a\":1}}", NULL,
         "{\"_id\":1,\"a\":{\"$numberLong\":\"9223372036854775807\"}}", "!does not fit 64 bits"},
        {NULL, "{\"$inc\":{\"a\":{\"$numberDecimal\":\"0.1\"}}}", NULL, "{\"_id\":1,\"a\":1}",
         "{\"_id\":1,\"a\":{\"$numberDecimal\":\"1.1\"}}"},
        {NULL, "{\"$mul\":{\"a\":3,\"new\":2}}", NULL, "{\"_id\":1,\"a\":2}",
         "{\"_id\":1,\"a\":6,\"new\":0}"},
        {NULL, "{\"$inc\":{\"a\":1}}", NULL, "{\"_id\":1,\"a\":null}",
         "!$inc of 'a' needs a number there, not null"},
        {NULL, "{\"$bit\":{\"a\":{\"xor\":6}}}", NULL, "{\"_id\":1,\"a\":3}",
         "{\"_id\":1,\"a\":5}"},
        {NULL, "{\"$min\":{\"a\":\"x\"},\"$max\":{\"b\":\"x\"}}", NULL,
         "{\"_id\":1,\"a\":5,\"b\":5}", "{\"_id\":1,\"a\":5,\"b\":\"x\"}"},
    };
    (void)state;
    CHECK(cases);
}

static void arrays_are_pushed_to_and_pulled_from(void **state)
{
    static const struct update_case cases[] = {
        {NULL, "{\"$push\":{\"a\":{\"$each\":[9,8],\"$position\":-1}}}", NULL,
         "{\"_id\":1,\"a\":[1,2]}", "{\"_id\":1,\"a\":[1,9,8,2]}"},
        {NULL, "{\"$push\":{\"a\":{\"$each\":[{\"k\":1}],\"$sort\":{\"k\":-1},\"$slice\":2}}}",
         NULL, "{\"_id\":1,\"a\":[{\"k\":0},{\"k\":3}]}",
         "{\"_id\":1,\"a\":[{\"k\":3},{\"k\":1}]}"},
        {NULL, "{\"$addToSet\":{\"a\":{\"$each\":[1.0,[1],[1]]}}}", NULL, "{\"_id\":1,\"a\":[1]}",
         "{\"_id\":1,\"a\":[1,[1]]}"},
        {NULL, "{\"$pull\":{\"a\":1}}", NULL, "{\"_id\":1,\"a\":[1,[1],1.0,2]}",
         "{\"_id\":1,\"a\":[[1],2]}"},
        {NULL, "{\"$pull\":{\"a\":{\"b\":{\"$gt\":1}}}}", NULL,
         "{\"_id\":1,\"a\":[{\"b\":1},{\"b\":2},3]}", "{\"_id\":1,\"a\":[{\"b\":1},3]}"},
        {NULL, "{\"$pop\":{\"a\":1,\"b\":-1}}", NULL, "{\"_id\":1,\"a\":[1,2],\"b\":[]}",
         "{\"_id\":1,\"a\":[1],\"b\":[]}"},
        {NULL,
         "{\"$push\":{\"a\":{\"$each\":[1],\"$slice\":{\"$numberLong\":"
         "\"-9223372036854775808\"}}}}",
         NULL, "{\"_id\":1,\"a\":[0]}", "{\"_id\":1,\"a\":[0,1]}"},
        {NULL, "{\"$push\":{\"a\":1}}", NULL, "{\"_id\":1,\"a\":5}",
         "!$push of 'a' needs an array there, not int"},
        {NULL, "{\"$push\":{\"a\":{\"$each\":[1],\"$zap\":1}}}", NULL, "{\"_id\":1}", "!'$zap'"},
    };
    (void)state;
    CHECK(cases);
}

static void positional_parts_select_elements(void **state)
{
    static const struct update_case cases[] = {
        {"{\"a\":{\"$gt\":1}}", "{\"$set\":{\"a.$\":0}}", NULL, "{\"_id\":1,\"a\":[1,2,3]}",
         "{\"_id\":1,\"a\":[1,0,3]}"},
        {NULL, "{\"$inc\":{\"a.$[].n\":1}}", NULL, "{\"_id\":1,\"a\":[{\"n\":1},{}]}",
         "{\"_id\":1,\"a\":[{\"n\":2},{\"n\":1}]}"},
        {NULL, "{\"$set\":{\"a.$[x].n\":0,\"a.0.m\":7}}", "[{\"x.n\":{\"$gt\":1}}]",
         "{\"_id\":1,\"a\":[{\"n\":2},{\"n\":1}]}",
         "{\"_id\":1,\"a\":[{\"n\":0,\"m\":7},{\"n\":1}]}"},
        {NULL, "{\"$set\":{\"a.$[x]\":0,\"a.0\":7}}", "[{\"x\":{\"$gt\":1}}]",
         "{\"_id\":1,\"a\":[2]}", "!change the same element"},
        {NULL, "{\"$set\":{\"a.$[]\":0}}", NULL, "{\"_id\":1}", "!selects elements of an array"},
        {"{\"b\":1}", "{\"$set\":{\"a.$\":0}}", NULL, "{\"_id\":1,\"a\":[1],\"b\":1}",
         "!found no condition on an array"},
        {NULL, "{\"$set\":{\"a.$.b.$\":0}}", NULL, "{\"_id\":1}", "!more than one positional"},
        {NULL, "{\"$set\":{\"$[]\":0}}", NULL, "{\"_id\":1}", "!cannot begin with"},
        {NULL, "{\"$set\":{\"a.$[y]\":0}}", NULL, "{\"_id\":1}", "!no array filter is named 'y'"},
        {NULL, "{\"$set\":{\"a\":0}}", "[{\"x\":1}]", "{\"_id\":1}", "!is not used"},
        {NULL, "{\"$set\":{\"a.$[x]\":0}}", "[{\"x\":1,\"y\":2}]", "{\"_id\":1}", "!names both"},
    };
    (void)state;
    CHECK(cases);
}

static void conflicts_and_nonsense_are_refused(void **state)
{
    static const struct update_case cases[] = {
        {NULL, "{\"$set\":{\"a\":1},\"$inc\":{\"a.b\":1}}", NULL, "{\"_id\":1}",
         "!invalid_update the update sets 'a.b' twice"},
        {NULL, "{\"$rename\":{\"a\":\"a.b\"}}", NULL, "{\"_id\":1}", "!twice, or a field and one"},
        {NULL, "{\"$rename\":{\"a.x\":\"b\"}}", NULL, "{\"_id\":1,\"a\":[{\"x\":1}]}", "!array"},
        {NULL, "{\"$zap\":{\"a\":1}}", NULL, "{\"_id\":1}", "!unknown_operator"},
        {NULL, "{\"$set\":{\"a\":1},\"b\":1}", NULL, "{\"_id\":1}", "!stands among operators"},
        {NULL, "{\"b\":1,\"$set\":{\"a\":1}}", NULL, "{\"_id\":1}", "!stands among fields"},
        {NULL, "{\"$set\":{\"_id\":2}}", NULL, "{\"_id\":1}", "!immutable field _id"},
        {NULL, "{\"$unset\":{\"_id\":1}}", NULL, "{\"_id\":1}", "!immutable field _id"},
        {NULL, "{\"$set\":{\"a.b\":1}}", NULL, "{\"_id\":1,\"a\":5}", "!cannot hold the field 'b'"},
        {NULL, "{\"$set\":{\"a.b\":1}}", NULL, "{\"_id\":1,\"a\":[1]}", "!which has no field 'b'"},
        {NULL, "{\"$set\":{\"a.5000000\":1}}", NULL, "{\"_id\":1,\"a\":[1]}", "!beyond its end"},
        {NULL, "[{\"$group\":{\"_id\":1}}]", NULL, "{\"_id\":1}", "!not a stage of an update"},
        {NULL, "[{\"$replaceWith\":5}]", NULL, "{\"_id\":1}", "!not an object"},
        {NULL, "[{\"$set\":{\"n\":{\"$add\":[\"$a\",1]}}},{\"$unset\":\"a\"}]", NULL,
         "{\"_id\":1,\"a\":2}", "{\"_id\":1,\"n\":3}"},
    };
    (void)state;
    CHECK(cases);
}

static void an_upsert_begins_with_the_equalities_of_its_filter(void **state)
{
    static const struct {
        const char *filter, *update, *expected;
    } cases[] = {
        {"{\"b\":2,\"_id\":5,\"c\":{\"$gt\":1},\"d.e\":{\"$eq\":3}}", "{\"$set\":{\"a\":1}}",
         "{\"_id\":5,\"b\":2,\"d\":{\"e\":3},\"a\":1}"},
        {"{\"_id\":5,\"b\":2}", "{\"x\":1}", "{\"_id\":5,\"x\":1}"},
        {"{\"$or\":[{\"a\":1},{\"a\":2}]}", "{\"$setOnInsert\":{\"_id\":1}}", "{\"_id\":1}"},
        {"{\"a\":[1]}", "{\"$push\":{\"a\":2}}", "{\"a\":[1,2]}"},
        {"{\"a\":{\"$in\":[7]},\"b\":{\"$in\":[7,8]}}", "{\"$set\":{\"c\":1}}",
         "{\"a\":7,\"c\":1}"},
        {"{\"_id\":5}", "{\"$set\":{\"_id\":6}}", NULL},
        {"{\"a\":1,\"a.b\":2}", "{\"$set\":{\"c\":6}}", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct filter *filter;
        struct update *update;
        struct arena arena = ARENA_INIT;
        struct nx_value now = nx_date(0);
        struct expr_env env = {.arena = &arena, .now = &now, .io = nx_io_posix()};
        struct nx_buf out = NX_BUF_INIT;
        enum nx_code rc;

        assert_int_equal(filter_parse(json(cases[i].filter), NULL, &filter, NULL), NX_OK);
        assert_int_equal(update_parse(json(cases[i].update), false, NX_SLICE_NULL, &update, NULL),
                         NX_OK);
        rc = update_upsert(update, filter, &env, &out, NULL);
        if (cases[i].expected)
            assert_string_equal(json_text(nx_buf_slice(&out)), cases[i].expected);
        else
            assert_int_equal(rc, NX_EUPDATE);
        nx_buf_fini(&out);
        arena_fini(&arena);
        update_free(update);
        filter_free(filter);
    }
}

#define T(test) cmocka_unit_test_teardown(test, json_forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(fields_keep_their_places_and_new_ones_follow_by_name),
        T(arithmetic_widens_and_then_refuses),
        T(arrays_are_pushed_to_and_pulled_from),
        T(positional_parts_select_elements),
        T(conflicts_and_nonsense_are_refused),
        T(an_upsert_begins_with_the_equalities_of_its_filter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

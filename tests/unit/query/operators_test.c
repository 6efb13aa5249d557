/*
 * operators_test.c - every operator of filters, projections and updates has its row in order, a
 * phrase of help, and a fixture in tests/golden/ops/<kind>-<name>.json that it passes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nexadb/io.h>

#include "query/filter_node.h"
#include "query/projection.h"
#include "query/update_node.h"
#include "tests/unit/query/golden_dir.h"
#include "tests/unit/query/query_json.h"

static const char *const kinds[] = {
    [NX_OPERATOR_FILTER] = "filter",
    [NX_OPERATOR_PROJECTION] = "projection",
    [NX_OPERATOR_UPDATE] = "update",
};

struct bench {
    struct arena arena;
    struct nx_value now;
    struct expr_env env;
};

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.arena = ARENA_INIT, .now = nx_date(1700000000000)};
    bench->env = (struct expr_env){.arena = &bench->arena, .now = &bench->now, .io = nx_io_posix()};
}

static struct nx_slice member(struct nx_slice doc, const char *name)
{
    struct nx_value value = nx_doc_get_z(doc, name);

    return value.type == NX_TYPE_DOCUMENT || value.type == NX_TYPE_ARRAY ? nx_value_slice(&value)
                                                                         : NX_SLICE_NULL;
}

/* --- one case of each kind: its result as text, or NULL when it was refused ------------------- */

static const char *filter_case(struct nx_slice fixture, struct nx_slice spec)
{
    struct filter *filter;
    struct nx_buf out = NX_BUF_INIT;
    struct nx_builder builder;
    struct nx_doc_iter docs;
    const char *text;

    if (filter_parse(member(spec, "filter"), NULL, &filter, NULL) != NX_OK)
        return NULL;
    nx_builder_init(&builder, &out);
    nx_builder_begin_array(&builder, "r", 1);
    nx_doc_iter_init(&docs, member(fixture, "docs"));
    while (nx_doc_iter_next(&docs)) {
        struct nx_value id = nx_doc_get(nx_value_slice(&docs.value), "_id", 3);
        bool matches;

        assert_int_equal(filter_match(filter, nx_value_slice(&docs.value), NULL, &matches, NULL),
                         NX_OK);
        if (matches)
            nx_builder_push(&builder, &id);
    }
    nx_builder_close(&builder);
    assert_int_equal(nx_builder_end(&builder, NULL), NX_OK);
    text = json_text(nx_buf_slice(&out));
    nx_buf_fini(&out);
    filter_free(filter);
    return text;
}

static const char *projection_case(struct nx_slice spec, struct bench *bench)
{
    struct filter *filter;
    struct projection *projection = NULL;
    struct nx_buf out = NX_BUF_INIT;
    const char *text = NULL;

    assert_int_equal(filter_parse(member(spec, "filter"), NULL, &filter, NULL), NX_OK);
    bench->env.root = member(spec, "doc");
    if (projection_parse(member(spec, "projection"), PROJECTION_FIND, NULL, filter, &projection,
                         NULL) == NX_OK &&
        projection_apply(projection, &bench->env, &out, NULL) == NX_OK)
        text = json_text(nx_buf_slice(&out));
    nx_buf_fini(&out);
    projection_free(projection);
    filter_free(filter);
    return text;
}

static const char *update_case(struct nx_slice spec, struct bench *bench)
{
    struct update *update;
    struct update_run run = {.env = &bench->env};
    struct nx_buf out = NX_BUF_INIT;
    const char *text = NULL;

    bench->env.root = member(spec, "doc");
    if (update_parse(member(spec, "update"), false, NX_SLICE_NULL, &update, NULL) == NX_OK &&
        update_apply(update, member(spec, "doc"), &run, &out, NULL) == NX_OK)
        text = json_text(nx_buf_slice(&out));
    nx_buf_fini(&out);
    update_free(update);
    return text;
}

static const char *expected_text(struct nx_slice spec)
{
    struct nx_value ids = nx_doc_get_z(spec, "ids");
    struct nx_buf out = NX_BUF_INIT;
    struct nx_builder builder;
    const char *text;

    if (ids.type != NX_TYPE_ARRAY)
        return json_text(member(spec, "result"));
    nx_builder_init(&builder, &out);
    nx_builder_put_z(&builder, "r", ids);
    assert_int_equal(nx_builder_end(&builder, NULL), NX_OK);
    text = json_text(nx_buf_slice(&out));
    nx_buf_fini(&out);
    return text;
}

static void run_fixture(enum nx_operator_kind kind, const char *path, struct nx_slice fixture)
{
    struct nx_doc_iter cases;
    struct bench bench;
    unsigned count = 0;

    nx_doc_iter_init(&cases, member(fixture, "cases"));
    for (; nx_doc_iter_next(&cases); count++) {
        struct nx_slice spec = nx_value_slice(&cases.value);
        bool fails = nx_doc_get_z(spec, "error").type != NX_TYPE_MISSING;
        const char *got;

        bench_init(&bench);
        if (kind == NX_OPERATOR_FILTER)
            got = filter_case(fixture, spec);
        else if (kind == NX_OPERATOR_PROJECTION)
            got = projection_case(spec, &bench);
        else
            got = update_case(spec, &bench);
        arena_fini(&bench.arena);
        if (fails ? got != NULL : (!got || strcmp(got, expected_text(spec)) != 0))
            fail_msg("%s, case %u: got %s", path, count, got ? got : "an error");
    }
    assert_true(count > 0);
}

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 65536);

    if (!file)
        fail_msg("there is no fixture %s", path);
    assert_non_null(text);
    assert_in_range(fread(text, 1, 65535, file), 1, 65534);
    fclose(file);
    return text;
}

static void check_operator(void *arg, const struct nx_operator *op)
{
    unsigned *count = arg;
    char path[500], *text;
    struct nx_slice fixture;
    struct nx_value name;

    assert_true(op->help && strlen(op->help) > 5);
    if (op->kind > NX_OPERATOR_UPDATE)
        return;
    snprintf(path, sizeof path, "%s/ops/%s-%s.json", GOLDEN_DIR, kinds[op->kind],
             op->name[1] ? op->name + 1 : "position");
    text = read_whole(path);
    fixture = json(text);
    free(text);
    name = nx_doc_get_z(fixture, "operator");
    assert_int_equal(name.type, NX_TYPE_STRING);
    assert_string_equal((const char *)name.data, op->name);
    run_fixture(op->kind, path, fixture);
    ++*count;
}

static void every_operator_passes_its_fixture(void **state)
{
    unsigned count = 0;

    (void)state;
    nx_query_each_operator(check_operator, &count);
    assert_int_equal(count, FIXTURES); /* and no fixture is without an operator */
}

static void rows_are_sorted_and_complete(void **state)
{
    static const struct filter_op *const filters[] = {
        filter_ops_compare, filter_ops_logical, filter_ops_element,
        filter_ops_array,   filter_ops_bits,    filter_ops_regex,
    };
    static const struct update_op *const updates[] = {update_ops_fields, update_ops_arrays};

    (void)state;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        for (const struct filter_op *op = filters[i]; op->name; op++) {
            assert_true(op->build ? !op->parse && !op->test : op->parse && op->test);
            if (op[1].name && op[1].place == op->place)
                assert_true(strcmp(op->name, op[1].name) < 0);
        }
    for (size_t i = 0; i < sizeof updates / sizeof *updates; i++)
        for (const struct update_op *op = updates[i]; op[1].name; op++)
            assert_true(strcmp(op->name, op[1].name) < 0);
}

#define T(test) cmocka_unit_test_teardown(test, json_forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_operator_passes_its_fixture),
        T(rows_are_sorted_and_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

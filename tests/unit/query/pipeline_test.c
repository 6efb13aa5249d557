/*
 * pipeline_test.c - every stage, expression and accumulator has its row in order, a phrase of help,
 * and a fixture in tests/golden/ops/<kind>-<name>.json whose pipelines give the results it says.
 * Fixtures bring their documents by $documents, so no database is needed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nexadb/io.h>

#include "query/acc.h"
#include "query/expr_op.h"
#include "query/pipeline.h"
#include "query/window.h"
#include "tests/unit/query/golden_dir.h"
#include "tests/unit/query/query_json.h"

static const char *const kinds[] = {
    [NX_OPERATOR_STAGE] = "stage",
    [NX_OPERATOR_EXPRESSION] = "expression",
    [NX_OPERATOR_ACCUMULATOR] = "accumulator",
};

/* Append {"results": [...]} to `out`. */
static enum nx_code run(struct nx_slice stages, uint64_t memory_bytes, struct nx_buf *out,
                        struct nx_err *err)
{
    const struct nx_limits limits = {.memory_bytes = memory_bytes};
    struct pipeline_context context;
    struct pipeline *pipeline = NULL;
    struct nx_builder builder;
    struct nx_slice doc;
    enum nx_code rc = pipeline_context_init(&context, NULL, NULL, &limits, nx_io_posix(), err);

    if (rc == NX_OK)
        rc = pipeline_parse(&context, stages, PLACE_TOP, &pipeline, err);
    if (rc == NX_OK)
        rc = pipeline_context_ready(&context, err);
    nx_builder_init(&builder, out);
    nx_builder_begin_array(&builder, "results", 7);
    if (rc == NX_OK) {
        pipeline_connect(pipeline, NULL);
        while ((rc = pipeline_next(pipeline, &doc, err)) == NX_OK) {
            struct nx_value item = nx_doc_value(doc);

            nx_builder_push(&builder, &item);
        }
    }
    nx_builder_close(&builder);
    assert_int_equal(nx_builder_end(&builder, NULL), NX_OK);
    pipeline_free(pipeline);
    pipeline_context_fini(&context);
    return rc == NX_DONE ? NX_OK : rc;
}

static void check_case(const char *path, struct nx_slice spec)
{
    struct nx_buf got NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf want NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value stages = nx_doc_get_z(spec, "pipeline");
    struct nx_value results = nx_doc_get_z(spec, "results"), a, b;
    struct nx_err err = NX_ERR_INIT;
    struct nx_builder builder;
    enum nx_code rc = run(nx_value_slice(&stages), 0, &got, &err);

    if (nx_doc_get_z(spec, "error").type != NX_TYPE_MISSING) {
        if (rc == NX_OK || err.message[0] == 0)
            fail_msg("%s: no error", path);
        return;
    }
    if (rc != NX_OK)
        fail_msg("%s: %s", path, err.message);
    nx_builder_init(&builder, &want);
    nx_builder_put_z(&builder, "results", results);
    assert_int_equal(nx_builder_end(&builder, NULL), NX_OK);
    a = nx_doc_value(nx_buf_slice(&got));
    b = nx_doc_value(nx_buf_slice(&want));
    if (nx_value_compare(&a, &b) != 0) /* by value: 2 is 2.0 */
        fail_msg("%s: %s, not %s", path, json_text(nx_buf_slice(&got)),
                 json_text(nx_buf_slice(&want)));
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
    struct nx_doc_iter cases;
    struct nx_value list;
    char path[500], *text;

    if (op->kind < NX_OPERATOR_STAGE)
        return;
    assert_true(op->help && strlen(op->help) > 4);
    snprintf(path, sizeof path, "%s/ops/%s-%s.json", GOLDEN_DIR, kinds[op->kind], op->name + 1);
    text = read_whole(path);
    list = nx_doc_get_z(json(text), "cases");
    free(text);
    assert_int_equal(list.type, NX_TYPE_ARRAY);
    assert_false(nx_doc_is_empty(nx_value_slice(&list)));
    nx_doc_iter_init(&cases, nx_value_slice(&list));
    while (nx_doc_iter_next(&cases))
        check_case(path, nx_value_slice(&cases.value));
    ++*count;
}

static void every_operator_passes_its_fixture(void **state)
{
    unsigned count = 0;

    (void)state;
    nx_query_each_operator(check_operator, &count);
    assert_int_equal(count, PIPELINE_FIXTURES); /* and no fixture is without an operator */
}

static void rows_are_sorted(void **state)
{
    (void)state;
    for (const struct expr_family *const *family = expr_families; *family; family++)
        for (size_t i = 1; i < (*family)->count; i++)
            assert_true(strcmp((*family)->ops[i - 1].name, (*family)->ops[i].name) < 0);
    for (const struct acc_family *const *family = acc_families; *family; family++)
        for (size_t i = 1; i < (*family)->count; i++)
            assert_true(strcmp((*family)->classes[i - 1].name, (*family)->classes[i].name) < 0);
    for (size_t i = 1; i < window_class_count; i++)
        assert_true(strcmp(window_classes[i - 1].name, window_classes[i].name) < 0);
}

static void expect_error(const char *stages, uint64_t memory_bytes, enum nx_code code)
{
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;

    assert_int_equal(run(json(stages), memory_bytes, &out, &err), code);
    assert_true(err.message[0] != 0);
}

static void refuses_stages_where_they_cannot_be(void **state)
{
    (void)state;
    expect_error("[{\"$nope\":{}}]", 0, NX_EOPERATOR);
    expect_error("[{\"$documents\":[]},{\"$documents\":[]}]", 0, NX_EQUERY);
    expect_error("[{\"$documents\":[]},{\"$facet\":{\"x\":[{\"$facet\":{\"y\":[]}}]}}]", 0,
                 NX_EQUERY);
    expect_error("[{\"$documents\":[]},{\"$out\":\"t\"},{\"$limit\":1}]", 0, NX_EQUERY);
    expect_error("[{\"$documents\":[]},{\"$unionWith\":\"x\"}]", 0, NX_EQUERY);
}

static void a_group_that_cannot_spill_says_that_its_memory_is_used_up(void **state)
{
    (void)state;
    expect_error("[{\"$documents\":{\"$map\":{\"input\":{\"$range\":[0,20000]},\"in\":{\"a\":"
                 "\"$$this\"}}}},{\"$group\":{\"_id\":\"$a\"}}]",
                 100000, NX_EBUDGET);
}

static void a_result_that_wraps_itself_is_refused(void **state)
{
    (void)state;
    expect_error("[{\"$documents\":[{\"_id\":1}]},{\"$project\":{\"r\":{\"$reduce\":{\"input\":{"
                 "\"$range\":[0,5000]},\"initialValue\":0,\"in\":[\"$$value\"]}}}}]",
                 0, NX_EEXPR);
}

#define T(test) cmocka_unit_test_teardown(test, json_forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_operator_passes_its_fixture),
        T(rows_are_sorted),
        T(refuses_stages_where_they_cannot_be),
        T(a_group_that_cannot_spill_says_that_its_memory_is_used_up),
        T(a_result_that_wraps_itself_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* expr_harness.h - evaluates expressions given as JSON and compares their results as JSON. */
#ifndef TESTS_UNIT_QUERY_EXPR_HARNESS_H
#define TESTS_UNIT_QUERY_EXPR_HARNESS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <nexadb/json.h>

#include "query/expr.h"
#include "tests/support/unit.h"

struct expr_case {
    const char *expr;
    const char *doc;
    const char *expected; /* relaxed JSON; "missing"; "!" and part of the message: an error */
};

static inline struct nx_value harness_value(const char *json, struct nx_buf *buf)
{
    struct nx_doc_iter iter;
    struct nx_err err = NX_ERR_INIT;

    nx_buf_clear(buf);
    if (nx_json_parse_value(json, strlen(json), NX_JSON_QUERY, buf, &err) != NX_OK)
        fail_msg("%s: %s", json, err.message);
    nx_doc_iter_init(&iter, nx_buf_slice(buf));
    assert_true(nx_doc_iter_next(&iter));
    return iter.value;
}

/* The result as text: JSON, "missing", or "!message". */
static inline void harness_eval(const char *expr_json, const char *doc_json, struct nx_buf *out)
{
    struct nx_buf expr_bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf doc_bytes NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_value spec = harness_value(expr_json, &expr_bytes);
    struct nx_value doc = harness_value(doc_json, &doc_bytes), result;
    struct nx_err err = NX_ERR_INIT;
    struct arena arena = ARENA_INIT;
    struct expr_env env = {.root = nx_value_slice(&doc),
                           .current = NX_MISSING,
                           .arena = &arena,
                           .metadata = NX_MISSING};
    struct expr *expr;
    enum nx_code rc = expr_parse(&spec, NULL, &expr, &err);

    nx_buf_clear(out);
    if (rc == NX_OK)
        rc = expr_eval(expr, &env, &result, &err);
    if (rc != NX_OK)
        nx_buf_printf(out, "!%s", err.message);
    else if (result.type == NX_TYPE_MISSING)
        nx_buf_append_str(out, "missing");
    else
        nx_json_write_value(&result, NX_JSON_RELAXED, out);
    nx_buf_append_byte(out, 0);
    expr_free(expr);
    arena_fini(&arena);
}

static inline void harness_check(const struct expr_case *cases, size_t count)
{
    struct nx_buf got NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    for (size_t i = 0; i < count; i++) {
        const char *text, *want = cases[i].expected;

        harness_eval(cases[i].expr, cases[i].doc, &got);
        text = (const char *)got.data;
        if (want[0] == '!' ? text[0] != '!' || !strstr(text, want + 1) : strcmp(text, want) != 0)
            fail_msg("%s over %s is %s, not %s", cases[i].expr, cases[i].doc, text, want);
    }
}
#define CHECK_CASES(cases) harness_check(cases, sizeof(cases) / sizeof *(cases))

#endif

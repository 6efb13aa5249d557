/* status_test.c - every error code has a status of its own kind. */
#include "daemon/status.h"
#include "tests/support/unit.h"

static void every_code_has_a_row(void **state)
{
    (void)state;
    for (enum nx_code code = 0; code < NX_CODE_COUNT; code++) {
        unsigned status = status_of(code);

        assert_true(status >= 200 && status < 600);
        if (code != NX_OK && code != NX_DONE)
            assert_true(status >= 400);
    }
}

static void what_the_caller_did_wrong_is_a_4xx(void **state)
{
    static const enum nx_code codes[] = {NX_EINVAL,  NX_EJSON,     NX_EDOC,      NX_EID,
                                         NX_ENAME,   NX_EQUERY,    NX_EOPERATOR, NX_EEXPR,
                                         NX_EUPDATE, NX_EDIMENSION};

    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        assert_int_equal(status_of(codes[i]), 400);
    assert_int_equal(status_of(NX_ENOTFOUND), 404);
    assert_int_equal(status_of(NX_EEXISTS), 409);
    assert_int_equal(status_of(NX_EPRECONDITION), 412);
    assert_int_equal(status_of(NX_ETOOBIG), 413);
}

static void an_unknown_code_is_an_internal_error(void **state)
{
    (void)state;
    assert_int_equal(status_of(NX_CODE_COUNT), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_row),
        cmocka_unit_test(what_the_caller_did_wrong_is_a_4xx),
        cmocka_unit_test(an_unknown_code_is_an_internal_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

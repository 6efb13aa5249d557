/* The table from nx_code to errno. */
#include <errno.h>

#include "fs/errno.h"
#include "tests/support/unit.h"

static void every_failure_has_an_errno(void **state)
{
    (void)state;
    assert_int_equal(fs_errno(NX_OK), 0);
    assert_int_equal(fs_errno(NX_DONE), 0);
    for (int code = NX_DONE + 1; code < NX_CODE_COUNT; code++)
        assert_true(fs_errno((enum nx_code)code) > 0);
    assert_int_equal(fs_errno(NX_CODE_COUNT), EIO);
}

static void what_was_typed_wrong_is_not_blamed_on_the_disk(void **state)
{
    static const enum nx_code typed[] = {NX_EJSON,  NX_EDOC,      NX_EID,   NX_ENAME,
                                         NX_EQUERY, NX_EOPERATOR, NX_EEXPR, NX_EUPDATE};

    (void)state;
    for (size_t i = 0; i < sizeof typed / sizeof typed[0]; i++) {
        assert_int_equal(fs_errno(typed[i]), EINVAL);
        assert_false(fs_errno_is_internal(typed[i]));
    }
    assert_int_equal(fs_errno(NX_ETOOBIG), EFBIG);
    assert_int_equal(fs_errno(NX_ECONFLICT), ESTALE);
    assert_int_equal(fs_errno(NX_ENODATA), ENODATA);
    assert_true(fs_errno_is_internal(NX_EIO));
    assert_true(fs_errno_is_internal(NX_ECORRUPT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failure_has_an_errno),
        cmocka_unit_test(what_was_typed_wrong_is_not_blamed_on_the_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

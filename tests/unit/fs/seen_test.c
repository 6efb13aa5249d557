/* seen_test.c - what the kernel was told of is never skipped; the rest nearly always is. */
#include <stdio.h>

#include "fs/seen.h"
#include "tests/support/unit.h"

#define COUNT 20000

static void test_what_was_marked_is_seen(void **state)
{
    struct seen *seen = seen_new();
    char name[32];

    (void)state;
    assert_non_null(seen);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "d%u.json", i);
        seen_mark_name(seen, i % 7 + 1, name);
        seen_mark_node(seen, UINT64_MAX - i);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "d%u.json", i);
        assert_true(seen_name(seen, i % 7 + 1, name));
        assert_true(seen_node(seen, UINT64_MAX - i));
    }
    seen_free(seen);
}

static void test_names_of_other_directories_are_not(void **state)
{
    struct seen *seen = seen_new();
    unsigned needless = 0;
    char name[32];

    (void)state;
    assert_non_null(seen);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "d%u.json", i);
        seen_mark_name(seen, 5, name);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "d%u.json", i);
        needless += seen_name(seen, 6, name);
        needless += seen_node(seen, i + 2);
    }
    assert_in_range(needless, 0, COUNT / 100);
    seen_free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_marked_is_seen),
        cmocka_unit_test(test_names_of_other_directories_are_not),
    };

    return cmocka_run_group_tests_name("seen", tests, NULL, NULL);
}

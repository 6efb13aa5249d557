/* The slots of last texts. */
#include "fs/slot.h"
#include "tests/support/unit.h"

static const struct slot_key mine = {.dir = 7, .file = 1, .uid = 1000, .session = 42};

static bool slot_is(struct slots *slots, struct slot_key key, const char *text)
{
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    return slots_get(slots, &key, &out, NULL, NULL) == NX_OK && out.len == strlen(text) &&
           memcmp(out.data, text, out.len) == 0;
}

static bool is_empty(struct slots *slots, struct slot_key key)
{
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    return slots_get(slots, &key, &out, NULL, NULL) == NX_ENODATA;
}

static void users_sessions_files_and_directories_are_apart(void **state)
{
    struct slots *slots = slots_new();
    struct slot_key other_dir = mine, other_file = mine, other_user = mine, other_session = mine;

    (void)state;
    other_dir.dir++;
    other_file.file++;
    other_user.uid++;
    other_session.session++;
    assert_true(is_empty(slots, mine));
    assert_int_equal(slots_set(slots, &mine, nx_slice_str("q1"), NULL), NX_OK);
    assert_true(slot_is(slots, mine, "q1"));
    assert_true(is_empty(slots, other_dir));
    assert_true(is_empty(slots, other_file));
    assert_true(is_empty(slots, other_user));
    assert_true(is_empty(slots, other_session));
    assert_int_equal(slots_set(slots, &mine, nx_slice_str("q2"), NULL), NX_OK);
    assert_true(slot_is(slots, mine, "q2"));
    slots_free(slots);
}

static void the_least_recently_used_slot_goes(void **state)
{
    struct slots *slots = slots_new();
    struct slot_key key = mine;

    (void)state;
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        key.session = (pid_t)i;
        assert_int_equal(slots_set(slots, &key, nx_slice_str("q"), NULL), NX_OK);
    }
    key.session = 0;
    assert_true(slot_is(slots, key, "q")); /* used now: the next to go is 1 */
    key.session = SLOTS_MAX;
    assert_int_equal(slots_set(slots, &key, nx_slice_str("q"), NULL), NX_OK);
    key.session = 0;
    assert_true(slot_is(slots, key, "q"));
    key.session = 1;
    assert_true(is_empty(slots, key));
    key.session = SLOTS_MAX;
    assert_true(slot_is(slots, key, "q"));
    slots_free(slots);
}

static void a_setting_is_claimed_once(void **state)
{
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct slots *slots = slots_new();
    uint64_t first, second;

    (void)state;
    slots_set(slots, &mine, nx_slice_str("q"), NULL);
    assert_int_equal(slots_get(slots, &mine, &out, &first, NULL), NX_OK);
    assert_true(slots_claim(slots, &mine, first));
    assert_false(slots_claim(slots, &mine, first));
    slots_set(slots, &mine, nx_slice_str("q"), NULL);
    assert_false(slots_claim(slots, &mine, first));
    assert_int_equal(slots_get(slots, &mine, &out, &second, NULL), NX_OK);
    assert_true(slots_claim(slots, &mine, second));
    slots_free(slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_sessions_files_and_directories_are_apart),
        cmocka_unit_test(the_least_recently_used_slot_goes),
        cmocka_unit_test(a_setting_is_claimed_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

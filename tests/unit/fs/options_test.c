/* The items of -o. */
#include "fs/fs.h"
#include "tests/support/unit.h"

static void options_set_what_they_name(void **state)
{
    struct fs_options options;

    (void)state;
    fs_options_init(&options);
    assert_int_equal(options.magic, FS_MAGIC_HIDDEN);
    assert_int_equal(options.inotify, 1000);
    assert_int_equal(fs_options_parse(&options, "inotify=off", NULL), NX_OK);
    assert_int_equal(options.inotify, 0);
    assert_int_equal(fs_options_parse(&options, "inotify=50", NULL), NX_OK);
    assert_int_equal(options.inotify, 50);
    assert_int_equal(fs_options_parse(&options, "inotify=on", NULL), NX_OK);
    assert_int_equal(options.inotify, 1000);
    assert_int_equal(fs_options_parse(&options, "ro", NULL), NX_OK);
    assert_int_equal(fs_options_parse(&options, "sync", NULL), NX_OK);
    assert_int_equal(fs_options_parse(&options, "noinotify", NULL), NX_OK);
    assert_int_equal(fs_options_parse(&options, "magic=visible", NULL), NX_OK);
    assert_int_equal(fs_options_parse(&options, "conflict=fail", NULL), NX_OK);
    assert_true(options.read_only && options.sync && options.conflict_fail);
    assert_int_equal(options.inotify, 0);
    assert_int_equal(options.magic, FS_MAGIC_VISIBLE);
    assert_int_equal(fs_options_parse(&options, "rw", NULL), NX_OK);
    assert_false(options.read_only);
}

static void wrong_options_are_named(void **state)
{
    static const char *const wrong[] = {"magic",           "magic=",    "magic=on",    "ro=1",
                                        "conflict",        "",          "nosuch",      "r",
                                        "magic=hiddenx",   "inotify=0", "inotify=-1",  "inotify=1x",
                                        "inotify=2000000", "inotify=",  "noinotify=on"};
    struct fs_options options;

    (void)state;
    fs_options_init(&options);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct nx_err err = NX_ERR_INIT;

        assert_int_equal(fs_options_parse(&options, wrong[i], &err), NX_EINVAL);
        assert_non_null(strstr(err.message, "mount option"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_set_what_they_name),
        cmocka_unit_test(wrong_options_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* readers_test.c - one version of a document at a time goes through the page cache. */
#include <pthread.h>

#include "fs/readers.h"
#include "tests/support/unit.h"

static void a_version_is_shared_and_another_is_refused(void **state)
{
    struct readers *readers = readers_new();

    (void)state;
    assert_non_null(readers);
    assert_false(readers_have_other(readers, 7, 1));
    assert_true(readers_enter(readers, 7, 1));
    assert_true(readers_enter(readers, 7, 1));
    assert_false(readers_enter(readers, 7, 2));
    assert_true(readers_have_other(readers, 7, 2));
    assert_false(readers_have_other(readers, 7, 1));
    assert_false(readers_have_other(readers, 8, 2));
    readers_leave(readers, 7);
    assert_false(readers_enter(readers, 7, 2)); /* the first version still has a handle */
    readers_leave(readers, 7);
    assert_false(readers_have_other(readers, 7, 2));
    assert_true(readers_enter(readers, 7, 2));
    readers_free(readers); /* with what is left */
}

static void nodes_of_one_bucket_are_kept_apart(void **state)
{
    enum { NODES = 20000 };
    struct readers *readers = readers_new();

    (void)state;
    for (nx_ino ino = 1; ino <= NODES; ino++)
        assert_true(readers_enter(readers, ino, ino));
    for (nx_ino ino = 1; ino <= NODES; ino += 2)
        readers_leave(readers, ino);
    for (nx_ino ino = 1; ino <= NODES; ino++)
        assert_int_equal(readers_have_other(readers, ino, 0), ino % 2 == 0);
    readers_free(readers);
}

static void *enter_and_leave(void *arg)
{
    struct readers *readers = arg;

    for (unsigned i = 0; i < 20000; i++) {
        if (readers_enter(readers, i % 5, i % 3)) {
            if (readers_have_other(readers, i % 5, i % 3))
                return arg;
            readers_leave(readers, i % 5);
        }
    }
    return NULL;
}

static void threads_never_share_a_node_with_another_version(void **state)
{
    struct readers *readers = readers_new();
    pthread_t threads[4];
    void *failed;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, enter_and_leave, readers), 0);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    for (nx_ino ino = 0; ino < 5; ino++)
        assert_false(readers_have_other(readers, ino, 99));
    readers_free(readers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_version_is_shared_and_another_is_refused),
        cmocka_unit_test(nodes_of_one_bucket_are_kept_apart),
        cmocka_unit_test(threads_never_share_a_node_with_another_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

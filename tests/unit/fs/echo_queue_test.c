/* What watchers are to hear, one item a name; and what /proc says of watches. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "fs/echo_queue.h"
#include "tests/support/unit.h"

static const struct watched everything = {.all = true}, nothing = {0};

static struct nx_event event(enum nx_event_type type, nx_ino ino, const char *name)
{
    return (struct nx_event){.type = type,
                             .parent = 7,
                             .ino = ino,
                             .name = name,
                             .to_name = "",
                             .kind = NX_KIND_DOCUMENT};
}

static void add(struct echo_queue *queue, enum nx_event_type type, nx_ino ino, const char *name)
{
    struct nx_event what = event(type, ino, name);

    echo_queue_add(queue, &what, true);
}

/* The next item: its name, what went, what is there, whether that is new. */
static void assert_next(struct echo_queue *queue, const char *name, nx_ino gone, nx_ino ino,
                        bool is_new)
{
    struct echo_item *item = echo_queue_take(queue, &everything, 0);

    assert_non_null(item);
    assert_string_equal(item->name, name);
    assert_int_equal(item->gone, gone);
    assert_int_equal(item->ino, ino);
    assert_int_equal(item->is_new, is_new);
    free(item);
}

static void changes_of_one_name_become_one_item(void **state)
{
    struct echo_queue queue = {0};

    (void)state;
    add(&queue, NX_EVENT_CREATE, 1, "made");
    add(&queue, NX_EVENT_UPDATE, 2, "changed");
    add(&queue, NX_EVENT_DELETE, 3, "gone");
    add(&queue, NX_EVENT_DELETE, 4, "replaced");
    add(&queue, NX_EVENT_UPDATE, 1, "made");
    add(&queue, NX_EVENT_UPDATE, 2, "changed");
    add(&queue, NX_EVENT_CREATE, 5, "replaced");
    add(&queue, NX_EVENT_CREATE, 6, "brief");
    add(&queue, NX_EVENT_DELETE, 6, "brief");
    add(&queue, NX_EVENT_UPDATE, 8, "late");
    add(&queue, NX_EVENT_DELETE, 8, "late");
    assert_next(&queue, "made", 0, 1, true);
    assert_next(&queue, "changed", 0, 2, false);
    assert_next(&queue, "gone", 3, 0, false);
    assert_next(&queue, "replaced", 4, 5, true);
    assert_next(&queue, "late", 8, 0, false);
    assert_null(echo_queue_take(&queue, &everything, 0));
}

static void a_move_stands_for_itself(void **state)
{
    struct nx_event move = event(NX_EVENT_RENAME, 1, "a");
    struct echo_queue queue = {0};
    struct echo_item *item;

    (void)state;
    move.to_parent = 9;
    move.to_name = "b";
    add(&queue, NX_EVENT_CREATE, 1, "a");
    echo_queue_add(&queue, &move, true);
    add(&queue, NX_EVENT_CREATE, 2, "a");
    assert_next(&queue, "a", 0, 2, true); /* the first is no more: the new one took its place */
    item = echo_queue_take(&queue, &everything, 0);
    assert_int_equal(item->to_dir, 9);
    assert_string_equal(item->to_name, "b");
    free(item);
    assert_null(echo_queue_take(&queue, &everything, 0));
}

static void a_full_queue_keeps_the_newest_or_drops_them(void **state)
{
    struct echo_queue queue = {0};
    char name[16];

    (void)state;
    for (unsigned i = 0; i < ECHO_QUEUE_MAX; i++) {
        snprintf(name, sizeof name, "n%u", i);
        add(&queue, NX_EVENT_CREATE, i + 1, name);
    }
    add(&queue, NX_EVENT_CREATE, 9999, "newest");
    assert_int_equal(queue.count, ECHO_QUEUE_MAX);
    assert_string_equal(queue.oldest->name, "n1");
    assert_string_equal(queue.newest->name, "newest");
    assert_null(echo_queue_add(
        &queue, &(struct nx_event){.type = NX_EVENT_CREATE, .parent = 7, .ino = 1, .name = "x"},
        false));
    assert_int_equal(queue.count, ECHO_QUEUE_MAX);
    echo_queue_fini(&queue);
    assert_int_equal(queue.count, 0);
}

static void what_nobody_watches_waits_for_the_next_look_and_goes(void **state)
{
    uint64_t nodes[] = {2};
    struct watched two = {.nodes = nodes, .count = 1};
    struct echo_queue queue = {0};
    struct echo_item *item;

    (void)state;
    add(&queue, NX_EVENT_UPDATE, 1, "old");
    add(&queue, NX_EVENT_UPDATE, 2, "watched");
    add(&queue, NX_EVENT_UPDATE, 3, "young");
    item = echo_queue_take(&queue, &two, 1);
    assert_string_equal(item->name, "watched");
    free(item);
    assert_null(echo_queue_take(&queue, &nothing, 1));
    assert_int_equal(queue.count, 1);
    assert_string_equal(queue.oldest->name, "young");
    assert_null(echo_queue_take(&queue, &nothing, 3));
    assert_int_equal(queue.count, 0);
}

static void watches_are_told_by_device_and_node(void **state)
{
    static const char text[] =
        "pos:\t0\nflags:\t00\nmnt_id:\t17\n"
        "inotify wd:3 ino:1f sdev:2c mask:fff ignored_mask:0 fhandle-bytes:8\n"
        "inotify wd:2 ino:aa sdev:2d mask:fff ignored_mask:0 fhandle-bytes:8\n"
        "inotify wd:1 ino:1 sdev:2c mask:800afce ignored_mask:0\n"
        "fanotify ino:5 sdev:2c mflags:0 mask:3b ignored_mask:0\n"
        "fanotify flags:10 event-flags:0\n";
    struct watched watched = {0};

    (void)state;
    watched_add_text(&watched, text, makedev(0, 0x2c));
    watched_sort(&watched);
    assert_int_equal(watched.count, 3);
    assert_true(watched_has(&watched, 1) && watched_has(&watched, 5) && watched_has(&watched, 31));
    assert_false(watched_has(&watched, 0xaa) || watched.all);
    watched_add_text(&watched, "fanotify sdev:2c mflags:0 mask:1 ignored_mask:0\n",
                     makedev(0, 0x2c));
    assert_true(watched_has(&watched, 0xaa)); /* a mark on the whole file system */
    watched_fini(&watched);
    assert_false(watched_any(&watched));
}

static void a_look_finds_a_watch_of_this_process(void **state)
{
    char dir[] = "/tmp/nexadb-watched-XXXXXX";
    int fd = inotify_init1(IN_CLOEXEC);
    struct watched watched = {0};
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(stat(dir, &st), 0);
    assert_true(inotify_add_watch(fd, dir, IN_CREATE) >= 0);
    watched_scan(&watched, st.st_dev, false);
    assert_true(watched_has(&watched, st.st_ino));
    close(fd);
    watched_scan(&watched, st.st_dev, false);
    assert_false(!watched.all && watched_has(&watched, st.st_ino));
    watched_fini(&watched);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_of_one_name_become_one_item),
        cmocka_unit_test(a_move_stands_for_itself),
        cmocka_unit_test(a_full_queue_keeps_the_newest_or_drops_them),
        cmocka_unit_test(what_nobody_watches_waits_for_the_next_look_and_goes),
        cmocka_unit_test(watches_are_told_by_device_and_node),
        cmocka_unit_test(a_look_finds_a_watch_of_this_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

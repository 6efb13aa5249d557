/* A mount in this process, and a door beside it that renames: REST has no such call. */
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/fs.h"
#include "tests/support/unit.h"

static struct nx_err test_err;
#define assert_ok(call) assert_int_equal((call), NX_OK)

struct fixture {
    char home[64], data[80], path[80];
    struct nx_db *db;
    struct fs *fs;
    struct nx_attr users;
    int inotify, watch;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct fs_options options;

    f = (struct fixture){.home = "/tmp/nexadb-echo-XXXXXX"};
    assert_non_null(mkdtemp(f.home));
    snprintf(f.data, sizeof f.data, "%s/data", f.home);
    snprintf(f.path, sizeof f.path, "%s/mnt", f.home);
    assert_int_equal(mkdir(f.path, 0700), 0);
    fs_options_init(&options);
    assert_ok(nx_db_open(f.data, NULL, &f.db, &test_err));
    assert_ok(fs_mount(f.db, f.path, &options, NULL, NULL, NULL, &f.fs, &test_err));
    assert_ok(nx_db_collection_make(f.db, "users", 5, NULL, &f.users, &test_err));
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[120];

    close(f->inotify);
    fs_unmount(f->fs);
    assert_ok(nx_db_close(f->db, &test_err));
    snprintf(command, sizeof command, "rm -r %s", f->home);
    return system(command);
}

static void put(struct fixture *f, const char *name)
{
    struct nx_put what = {.collection = f->users.ino, .text = nx_slice_str("{}")};
    struct nx_write *write;
    struct nx_id key;

    assert_ok(nx_id_from_name(name, strlen(name), &key, NULL, &test_err));
    what.id = &key;
    assert_ok(nx_write_new(f->db, &write, &test_err));
    assert_ok(nx_write_put(write, &what, NULL, &test_err));
    assert_ok(nx_write_commit(write, NULL, NULL, &test_err));
    nx_write_free(write);
}

static void rename_entry(struct fixture *f, nx_ino dir, const char *from, const char *to)
{
    assert_ok(
        nx_db_rename(f->db, dir, from, strlen(from), dir, to, strlen(to), 0, NULL, &test_err));
}

static void watch(struct fixture *f, const char *path)
{
    f->inotify = inotify_init1(IN_CLOEXEC);
    assert_true(inotify_add_watch(f->inotify, path, IN_MOVED_FROM | IN_MOVED_TO) >= 0);
}

/* The next move: "from" and "to" of one cookie. */
static void assert_moved(struct fixture *f, const char *from, const char *to)
{
    _Alignas(struct inotify_event) char bytes[4096];
    struct pollfd fd = {.fd = f->inotify, .events = POLLIN};
    const struct inotify_event *first = (const void *)bytes, *second;

    assert_int_equal(poll(&fd, 1, 20000), 1);
    usleep(1000); /* both are queued by one call */
    assert_true(read(f->inotify, bytes, sizeof bytes) > (ssize_t)(2 * sizeof *first));
    second = (const void *)(bytes + sizeof *first + first->len);
    assert_true(first->mask & IN_MOVED_FROM);
    assert_string_equal(first->name, from);
    assert_true(second->mask & IN_MOVED_TO);
    assert_string_equal(second->name, to);
    assert_int_equal(first->cookie, second->cookie);
}

static void a_document_renamed_by_another_door_is_moved(void **state)
{
    struct fixture *f = *state;
    char path[120];

    snprintf(path, sizeof path, "%s/users", f->path);
    put(f, "a.json");
    watch(f, path);
    rename_entry(f, f->users.ino, "a.json", "b.json");
    assert_moved(f, "a.json", "b.json");
    rename_entry(f, f->users.ino, "b.json", "b.txt"); /* another node */
    assert_moved(f, "b.json", "b.txt");
    snprintf(path, sizeof path, "%s/users/b.txt", f->path);
    assert_int_equal(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s/users/b.json", f->path);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_collection_renamed_by_another_door_is_moved(void **state)
{
    struct fixture *f = *state;
    char path[120];

    watch(f, f->path);
    put(f, "a.json");
    rename_entry(f, NX_ROOT_INO, "users", "people");
    assert_moved(f, "users", "people");
    snprintf(path, sizeof path, "%s/people/a.json", f->path);
    assert_int_equal(access(path, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_document_renamed_by_another_door_is_moved, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_collection_renamed_by_another_door_is_moved, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

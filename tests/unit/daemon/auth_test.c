/* auth_test.c - keys: made, found again, refused, kept over a restart, and never written in clear.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/auth.h"
#include "daemon/whole_file.h"
#include "tests/support/unit.h"

struct fixture {
    char dir[64];
    struct keyring *keyring;
};

static void path_of(const struct fixture *f, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", f->dir, name);
}

static void reopen(struct fixture *f)
{
    keyring_close(f->keyring);
    assert_int_equal(keyring_open(f->dir, &f->keyring, NULL), NX_OK);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    strcpy(f->dir, "/tmp/nexadb-auth-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    reopen(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[128];

    keyring_close(f->keyring);
    path_of(f, "api.key", path, sizeof path);
    unlink(path);
    path_of(f, "keys.json", path, sizeof path);
    unlink(path);
    rmdir(f->dir);
    free(f);
    return 0;
}

static void read_text(const struct fixture *f, const char *name, char *out, size_t size)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    char path[128];

    path_of(f, name, path, sizeof path);
    assert_int_equal(whole_file_read(path, &text, NULL), NX_OK);
    snprintf(out, size, "%.*s", (int)text.len, (char *)text.data);
}

static void add(struct fixture *f, const struct key_spec *spec, char *out, size_t size)
{
    struct nx_buf value NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    assert_int_equal(keyring_add(f->keyring, spec, &value, NULL), NX_OK);
    snprintf(out, size, "%.*s", (int)value.len, (char *)value.data);
}

static void the_first_start_makes_a_private_random_key(void **state)
{
    struct fixture *f = *state;
    struct identity who;
    char key[128], again[128], path[128];
    struct stat st;

    read_text(f, "api.key", key, sizeof key);
    path_of(f, "api.key", path, sizeof path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(strlen(key) > 40);
    key[strcspn(key, "\n")] = '\0';
    assert_true(keyring_check(f->keyring, key, 0, &who));
    assert_int_equal(who.role, ROLE_ADMIN);
    reopen(f);
    read_text(f, "api.key", again, sizeof again);
    assert_memory_equal(key, again, strlen(key));
}

static void a_wrong_key_is_refused(void **state)
{
    struct fixture *f = *state;
    char key[400];
    struct identity who;

    assert_false(keyring_check(f->keyring, "", 0, &who));
    assert_false(keyring_check(f->keyring, "nx_0000000000000000", 0, &who));
    memset(key, 'x', sizeof key);
    key[sizeof key - 1] = '\0';
    assert_false(keyring_check(f->keyring, key, 0, &who));
}

static void a_key_is_kept_hashed_with_its_role_and_prefix(void **state)
{
    struct fixture *f = *state;
    struct key_spec spec = {.name = "app", .role = ROLE_READ, .prefix = "app_"};
    char key[128], file[4096];
    struct identity who;

    add(f, &spec, key, sizeof key);
    read_text(f, "keys.json", file, sizeof file);
    assert_null(strstr(file, key));
    reopen(f);
    assert_true(keyring_check(f->keyring, key, 0, &who));
    assert_int_equal(who.role, ROLE_READ);
    assert_true(identity_covers(&who, "app_users", 9));
    assert_false(identity_covers(&who, "users", 5));
    assert_false(identity_covers(&who, "app", 3));
}

static void a_key_ends_when_it_expires(void **state)
{
    struct fixture *f = *state;
    struct key_spec spec = {.name = "short", .role = ROLE_WRITE, .expires_ms = 1000};
    struct identity who;
    char key[128];

    add(f, &spec, key, sizeof key);
    assert_true(keyring_check(f->keyring, key, 999, &who));
    assert_false(keyring_check(f->keyring, key, 1000, &who));
}

static void a_revoked_key_is_refused_and_others_stay(void **state)
{
    struct fixture *f = *state;
    struct key_spec one = {.name = "one", .role = ROLE_READ},
                    two = {.name = "two", .role = ROLE_READ};
    char first[128], second[128];
    struct identity who;

    add(f, &one, first, sizeof first);
    add(f, &two, second, sizeof second);
    assert_int_equal(keyring_revoke(f->keyring, "one", NULL), NX_OK);
    assert_int_equal(keyring_revoke(f->keyring, "one", NULL), NX_ENOTFOUND);
    reopen(f);
    assert_false(keyring_check(f->keyring, first, 0, &who));
    assert_true(keyring_check(f->keyring, second, 0, &who));
}

static void bad_specifications_are_refused(void **state)
{
    static const struct key_spec specs[] = {
        {.name = "", .role = ROLE_READ},
        {.name = "api.key", .role = ROLE_READ},
        {.name = "short", .role = ROLE_READ, .value = "tooshort"},
        {.name = "space", .role = ROLE_READ, .value = "a key with some spaces"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        struct nx_buf value NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

        assert_int_equal(keyring_add(f->keyring, &specs[i], &value, NULL), NX_EINVAL);
    }
}

static void a_name_is_used_once(void **state)
{
    struct fixture *f = *state;
    struct key_spec spec = {.name = "app", .role = ROLE_READ, .value = "0123456789abcdef"};
    struct nx_buf value NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    char key[128];

    add(f, &spec, key, sizeof key);
    assert_string_equal(key, "0123456789abcdef");
    assert_int_equal(keyring_add(f->keyring, &spec, &value, NULL), NX_EEXISTS);
}

static void a_damaged_file_of_keys_is_named(void **state)
{
    struct fixture *f = *state;
    struct keyring *keyring;
    struct nx_err err = NX_ERR_INIT;
    char path[128];

    path_of(f, "keys.json", path, sizeof path);
    assert_int_equal(whole_file_replace(path, nx_slice_str("{\"keys\":[{}]}"), NULL), NX_OK);
    assert_int_equal(keyring_open(f->dir, &keyring, &err), NX_ECORRUPT);
    assert_non_null(strstr(err.message, "keys.json"));
    assert_int_equal(whole_file_replace(path, nx_slice_str("nonsense"), NULL), NX_OK);
    assert_int_equal(keyring_open(f->dir, &keyring, &err), NX_ECORRUPT);
}

static void expiry_takes_dates_and_spans(void **state)
{
    int64_t at;

    (void)state;
    assert_int_equal(expiry_parse("90d", 1000, &at, NULL), NX_OK);
    assert_int_equal(at, 1000 + 90ll * 86400000);
    assert_int_equal(expiry_parse("30m", 0, &at, NULL), NX_OK);
    assert_int_equal(at, 1800000);
    assert_int_equal(expiry_parse("1970-01-02", 0, &at, NULL), NX_OK);
    assert_int_equal(at, 86400000);
    assert_int_equal(expiry_parse("1970-01-01T01:00:00Z", 0, &at, NULL), NX_OK);
    assert_int_equal(at, 3600000);
    assert_int_equal(expiry_parse("soon", 0, &at, NULL), NX_EINVAL);
    assert_int_equal(expiry_parse("-1d", 0, &at, NULL), NX_EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_first_start_makes_a_private_random_key),
        TEST(a_wrong_key_is_refused),
        TEST(a_key_is_kept_hashed_with_its_role_and_prefix),
        TEST(a_key_ends_when_it_expires),
        TEST(a_revoked_key_is_refused_and_others_stay),
        TEST(bad_specifications_are_refused),
        TEST(a_name_is_used_once),
        TEST(a_damaged_file_of_keys_is_named),
        TEST(expiry_takes_dates_and_spans),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

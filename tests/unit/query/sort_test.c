/* sort_test.c - sort keys, and the sorter in memory, by a heap and through runs. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "query/sort.h"
#include "query/sort_run.h"
#include "tests/unit/query/query_json.h"

static struct sort_spec *spec_of(const char *text)
{
    struct sort_spec *spec;
    struct nx_err err = NX_ERR_INIT;

    if (sort_spec_parse(json(text), &spec, &err) != NX_OK)
        fail_msg("%s: %s", text, err.message);
    return spec;
}

static void arrays_sort_by_their_least_or_greatest_element(void **state)
{
    static const struct {
        const char *sort, *lower, *upper;
    } cases[] = {
        {"{\"a\":1}", "{\"a\":[9,1]}", "{\"a\":2}"},
        {"{\"a\":-1}", "{\"a\":[9,1]}", "{\"a\":8}"},
        {"{\"a\":1}", "{\"a\":[]}", "{\"a\":null}"},
        {"{\"a\":1}", "{}", "{\"a\":{\"$numberDouble\":\"NaN\"}}"},
        {"{\"a.b\":1}", "{\"a\":[{\"b\":5},{\"c\":1}]}", "{\"a\":{\"b\":0}}"},
        {"{\"a.b\":1}", "{\"a\":[{\"b\":5},7]}", "{\"a\":{\"b\":0}}"},
        {"{\"a.0\":1}", "{\"a\":[1,0]}", "{\"a\":[2,0]}"},
        {"{\"a\":1}", "{\"a\":[[0,9]]}", "{\"a\":{\"$oid\":\"507f1f77bcf86cd799439011\"}}"},
        /* both fields through one array: the pair of one element decides, (1, 9) before (2, 0) */
        {"{\"a.x\":1,\"a.y\":1}", "{\"a\":[{\"x\":2,\"y\":0},{\"x\":1,\"y\":8}]}",
         "{\"a\":[{\"x\":1,\"y\":9}]}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sort_spec *spec = spec_of(cases[i].sort);

        if (sort_spec_compare(spec, json(cases[i].lower), json(cases[i].upper)) >= 0)
            fail_msg("%s: %s is not before %s", cases[i].sort, cases[i].lower, cases[i].upper);
        sort_spec_free(spec);
    }
}

static void parallel_arrays_have_no_order(void **state)
{
    struct sort_spec *spec = spec_of("{\"a\":1,\"b\":1}");
    struct nx_value keys[SORT_MAX_FIELDS];
    struct nx_err err = NX_ERR_INIT;

    (void)state;
    assert_int_equal(sort_spec_keys(spec, json("{\"a\":[1],\"b\":[2]}"), NX_SLICE_NULL, keys, &err),
                     NX_EQUERY);
    assert_non_null(strstr(err.message, "both hold arrays"));
    sort_spec_free(spec);
}

static void wrong_sorts_are_refused(void **state)
{
    static const char *const cases[] = {"{\"a\":0}", "{\"a\":2}", "{\"a\":\"x\"}", "{\"$a\":1}",
                                        "{\"a\":{\"$meta\":1}}"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sort_spec *spec;

        assert_int_equal(sort_spec_parse(json(cases[i]), &spec, NULL), NX_EQUERY);
        assert_null(spec);
    }
}

/* --- the sorter ------------------------------------------------------------------------------- */

struct fixture {
    char dir[40];
    struct budget budget;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    snprintf(f->dir, sizeof f->dir, "/tmp/nexadb-sort-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    json_forget(NULL);
    if (rmdir(f->dir) != 0) /* every run must be gone */
        return -1;
    free(f);
    return 0;
}

static int key_of(int i)
{
    return (int)(((unsigned)i * 7919u) % 500u);
}

static void put_int(struct nx_builder *b, const char *key, int value)
{
    nx_builder_put_z(b, key, nx_int32(value));
}

/* Add n documents {k: key_of(i), i: i} with padding, and check order, stability and number. */
static uint64_t sort_many(struct fixture *f, int n, uint64_t limit, uint64_t memory, size_t padding)
{
    struct nx_limits limits = {.memory_bytes = memory};
    struct sort_spec *spec = spec_of("{\"k\":1}");
    struct sorter *sorter;
    struct nx_err err = NX_ERR_INIT;
    struct nx_slice doc;
    struct nx_buf buf = NX_BUF_INIT;
    char *text = calloc(1, padding + 1);
    int count = 0, last_key = -1, last_i = -1;
    uint64_t runs;
    enum nx_code rc;

    budget_init(&f->budget, &limits, nx_io_posix());
    assert_int_equal(sorter_new(spec, limit, &f->budget, f->dir, &sorter, &err), NX_OK);
    memset(text, 'p', padding);
    for (int i = 0; i < n; i++) {
        struct nx_builder b;

        nx_buf_clear(&buf);
        nx_builder_init(&b, &buf);
        put_int(&b, "k", key_of(i));
        put_int(&b, "i", i);
        nx_builder_put_z(&b, "p", nx_string(text, padding));
        assert_int_equal(nx_builder_end(&b, NULL), NX_OK);
        if (sorter_add(sorter, nx_buf_slice(&buf), &err) != NX_OK)
            fail_msg("add %d: %s", i, err.message);
    }
    while ((rc = sorter_next(sorter, &doc, &err)) == NX_OK) {
        int key = nx_doc_get_z(doc, "k").i32, i = nx_doc_get_z(doc, "i").i32;

        assert_int_equal(key, key_of(i));
        assert_true(key > last_key || (key == last_key && i > last_i));
        last_key = key;
        last_i = i;
        count++;
    }
    assert_int_equal(rc, NX_DONE);
    assert_int_equal(count, limit && limit < (uint64_t)n ? (int)limit : n);
    runs = sorter_spilled_runs(sorter);
    sorter_free(sorter);
    assert_int_equal(f->budget.used_bytes, 0);
    sort_spec_free(spec);
    nx_buf_fini(&buf);
    free(text);
    return runs;
}

static void a_sort_in_memory_is_stable(void **state)
{
    assert_int_equal(sort_many(*state, 3000, 0, 0, 10), 0);
}

static void a_limit_keeps_only_the_first(void **state)
{
    assert_int_equal(sort_many(*state, 3000, 17, 20000, 10), 0);
    assert_int_equal(sort_many(*state, 10, 100, 0, 10), 0);
}

static void past_its_memory_a_sort_goes_through_runs(void **state)
{
    assert_in_range(sort_many(*state, 3000, 0, 100000, 100), 2, 16);
    assert_in_range(sort_many(*state, 3000, 0, 20000, 100), 17, 1000); /* merged on the way */
    assert_in_range(sort_many(*state, 3000, 900, 30000, 100), 2, 1000);
}

static void without_a_folder_the_limit_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct nx_limits limits = {.memory_bytes = 200};
    struct sort_spec *spec = spec_of("{\"k\":1}");
    struct sorter *sorter;
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc = NX_OK;

    budget_init(&f->budget, &limits, nx_io_posix());
    assert_int_equal(sorter_new(spec, 0, &f->budget, NULL, &sorter, &err), NX_OK);
    for (int i = 0; rc == NX_OK && i < 100; i++)
        rc = sorter_add(sorter, json("{\"k\":1}"), &err);
    assert_int_equal(rc, NX_EBUDGET);
    assert_non_null(strstr(err.message, "200 bytes"));
    sorter_free(sorter);
    sort_spec_free(spec);
}

/* The one run in the folder, for damage. */
static void run_path(const struct fixture *f, char *out, size_t len)
{
    DIR *dir = opendir(f->dir);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            snprintf(out, len, "%s/%s", f->dir, entry->d_name);
    closedir(dir);
}

static void a_damaged_run_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct nx_slice doc = json("{\"k\":\"some text that is long enough\"}");

    for (long at = 0; at < 24 + (long)doc.len; at++) {
        struct sort_item item = {7, doc, NX_SLICE_NULL};
        struct sort_run *run;
        char path[400] = "";
        FILE *file;
        int byte;

        assert_int_equal(sort_run_new(nx_io_posix(), f->dir, &run, NULL), NX_OK);
        assert_int_equal(sort_run_write(run, &item, NULL), NX_OK);
        assert_int_equal(sort_run_rewind(run, NULL), NX_OK);
        run_path(f, path, sizeof path);
        file = fopen(path, "r+b");
        assert_non_null(file);
        fseek(file, at, SEEK_SET);
        byte = fgetc(file);
        fseek(file, at, SEEK_SET);
        fputc(byte ^ 0x40, file);
        fclose(file);
        assert_int_equal(sort_run_read(run, &item, NULL), NX_ECORRUPT);
        sort_run_close(run);
    }
}

#define T(test) cmocka_unit_test_teardown(test, json_forget)
#define F(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(arrays_sort_by_their_least_or_greatest_element),
        T(parallel_arrays_have_no_order),
        T(wrong_sorts_are_refused),
        F(a_sort_in_memory_is_stable),
        F(a_limit_keeps_only_the_first),
        F(past_its_memory_a_sort_goes_through_runs),
        F(without_a_folder_the_limit_is_an_error),
        F(a_damaged_run_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

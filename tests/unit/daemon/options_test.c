/* options_test.c - the option table, and the readers that fill struct config from it. */
#include <stdlib.h>
#include <string.h>

#include "daemon/options.h"
#include "tests/support/unit.h"

#define ALL (~0u)

static char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static char *some_env(const char *name)
{
    return strcmp(name, "NEXADB_CACHE_BYTES") ? NULL : (char *)(uintptr_t) "2M";
}

static int setup(void **state)
{
    struct config *config = malloc(sizeof *config);

    assert_int_equal(options_defaults(config, NULL), NX_OK);
    *state = config;
    return 0;
}

static int teardown(void **state)
{
    config_fini(*state);
    free(*state);
    return 0;
}

static void rows_are_sorted_unique_and_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < option_count; i++) {
        const struct option_row *row = &option_table[i];

        assert_true(row->help && strlen(row->help) > 10);
        assert_true(row->groups != 0);
        assert_true((row->type == OPTION_FLAG) == (row->value_name == NULL));
        assert_true((row->type == OPTION_CHOICE) == (row->choices != NULL));
        if (i)
            assert_true(strcmp(option_table[i - 1].name, row->name) < 0);
    }
}

static void short_flags_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < option_count; i++)
        for (size_t j = i + 1; j < option_count; j++)
            assert_false(option_table[i].letter &&
                         option_table[i].letter == option_table[j].letter);
}

static void defaults_are_within_their_own_bounds(void **state)
{
    struct config *config = *state;

    assert_string_equal(config->http, "127.0.0.1:6969");
    assert_int_equal(config->cache_bytes, 64 << 20);
    assert_int_equal(config->durability, CONFIG_SYNC);
}

static void a_flag_wins_over_the_environment_which_wins_over_the_file(void **state)
{
    static const char file[] = "cache-bytes = 1M\nworkers = 3 # a few\nhttp = \"off\"\n";
    struct config *config = *state;
    char *args[] = {"--http=:0", "data"};
    int rest;

    assert_int_equal(options_from_text(config, file, strlen(file), "f", NULL), NX_OK);
    assert_int_equal(options_from_env(config, ALL, some_env, NULL), NX_OK);
    assert_int_equal(options_from_args(config, ALL, 2, args, &rest, NULL), NX_OK);
    assert_int_equal(config->workers, 3);
    assert_int_equal(config->cache_bytes, 2 << 20);
    assert_string_equal(config->http, ":0");
    assert_int_equal(rest, 1);
    assert_string_equal(args[0], "data");
}

static void flags_may_stand_between_arguments_and_end_at_two_dashes(void **state)
{
    char *args[] = {"a", "--workers", "5", "b", "-f", "--", "--http"};
    struct config *config = *state;
    int rest;

    assert_int_equal(options_from_args(config, ALL, 7, args, &rest, NULL), NX_OK);
    assert_int_equal(rest, 3);
    assert_string_equal(args[2], "--http");
    assert_int_equal(config->workers, 5);
    assert_true(config->foreground);
}

static void a_list_given_again_is_continued_and_replaces_the_files(void **state)
{
    static const char file[] = "options = xattr\n";
    char *args[] = {"-o", "ro", "-osync", "-fo", "magic=off"};
    struct config *config = *state;
    int rest;

    assert_int_equal(options_from_text(config, file, strlen(file), "f", NULL), NX_OK);
    assert_int_equal(options_from_args(config, ALL, 5, args, &rest, NULL), NX_OK);
    assert_string_equal(config->mount_options, "ro,sync,magic=off");
}

static void refusals_name_the_place_and_the_way_out(void **state)
{
    static const struct {
        char *arg;
        const char *message;
    } cases[] = {
        {"--nope", "unknown option --nope"},
        {"-z", "unknown option -z"},
        {"--workers=0", "--workers: 0 is not within 1 and 256"},
        {"--workers=many", "--workers: 'many' is not a whole number"},
        {"--cache-bytes=5X",
         "--cache-bytes: '5X' is not a size: write a number, or one with K, M or G"},
        {"--cache-bytes=99999999999999999999", "--cache-bytes: '99999999999999999999' is not a "
                                               "size: write a number, or one with K, M or G"},
        {"--durability=none", "--durability: 'none' is none of sync|buffered"},
        {"--explain=1", "--explain takes no value"},
        {"--http", "--http needs a value: --http WHERE"},
    };
    struct config *config = *state;
    int rest;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *args[] = {cases[i].arg};
        struct nx_err err = NX_ERR_INIT;

        assert_int_equal(options_from_args(config, ALL, 1, args, &rest, &err), NX_EINVAL);
        assert_string_equal(err.message, cases[i].message);
    }
}

static void a_wrong_line_of_a_file_is_named_by_its_number(void **state)
{
    static const char file[] = "# settings\n\nworkers = 4\ncolour = red\n";
    struct nx_err err = NX_ERR_INIT;

    assert_int_equal(options_from_text(*state, file, strlen(file), "my.conf", &err), NX_EINVAL);
    assert_string_equal(err.message, "my.conf:4: unknown setting 'colour'");
}

static void an_option_of_another_command_is_unknown(void **state)
{
    char *args[] = {"--pipeline"};
    int rest;

    assert_int_equal(options_from_args(*state, OPTIONS_SERVER, 1, args, &rest, NULL), NX_EINVAL);
    assert_null(option_find("filter", 6, OPTIONS_SERVER));
    assert_non_null(option_find("filter", 6, OPTIONS_VSEARCH));
}

static void a_printed_configuration_reads_back(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct config again;

    options_print_config(out, *state, ALL & ~OPTIONS_PROGRAM);
    fclose(out);
    assert_int_equal(options_defaults(&again, NULL), NX_OK);
    assert_int_equal(options_from_text(&again, text, len, "printed", NULL), NX_OK);
    assert_int_equal(options_from_env(&again, ALL, no_env, NULL), NX_OK);
    assert_string_equal(again.http, ((struct config *)*state)->http);
    config_fini(&again);
    free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(rows_are_sorted_unique_and_documented),
        TEST(short_flags_are_unique),
        TEST(defaults_are_within_their_own_bounds),
        TEST(a_flag_wins_over_the_environment_which_wins_over_the_file),
        TEST(flags_may_stand_between_arguments_and_end_at_two_dashes),
        TEST(a_list_given_again_is_continued_and_replaces_the_files),
        TEST(refusals_name_the_place_and_the_way_out),
        TEST(a_wrong_line_of_a_file_is_named_by_its_number),
        TEST(an_option_of_another_command_is_unknown),
        TEST(a_printed_configuration_reads_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

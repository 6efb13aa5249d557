/* router_test.c - the route table, and which row answers what. */
#include <string.h>

#include "daemon/request.h"
#include "daemon/routes.h"
#include "tests/support/unit.h"

static struct route_match match(enum method method, const char *target)
{
    struct route_match found;
    struct url url;

    assert_int_equal(url_parse(target, &url, NULL), NX_OK);
    router_match(&route_table, method, &url, &found);
    url_fini(&url);
    return found;
}

static void every_row_is_reachable_documented_and_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < route_table.count; i++) {
        const struct route *row = &route_table.rows[i];

        assert_non_null(row->run);
        assert_true(strlen(row->summary) > 5);
        assert_true((row->flags & ROUTE_STREAM) == 0 || row->feed);
        assert_true(row->field_count <= REQUEST_MAX_FIELDS);
        assert_ptr_equal(match(row->method, row->pattern).route, row);
    }
}

static void fields_have_a_name_and_a_meaning(void **state)
{
    (void)state;
    for (size_t i = 0; i < route_table.count; i++)
        for (size_t j = 0; j < route_table.rows[i].field_count; j++) {
            assert_true(strlen(route_table.rows[i].fields[j].name) > 0);
            assert_true(strlen(route_table.rows[i].fields[j].help) > 0);
        }
}

static void a_reserved_word_wins_over_an_id(void **state)
{
    struct route_match found = match(METHOD_GET, "/collections/c/query");

    (void)state;
    assert_null(found.route);
    assert_int_equal(found.allowed, 1u << METHOD_POST | 1u << METHOD_OPTIONS);
    assert_ptr_equal(match(METHOD_GET, "/collections/c/documents/query").route->run,
                     route_document_get);
    assert_ptr_equal(match(METHOD_GET, "/collections/c/queries").route->run, route_document_get);
}

static void head_is_answered_where_get_is(void **state)
{
    (void)state;
    assert_ptr_equal(match(METHOD_HEAD, "/status").route->run, route_status);
    assert_null(match(METHOD_HEAD, "/batch").route);
}

static void an_unknown_path_allows_nothing(void **state)
{
    (void)state;
    assert_int_equal(match(METHOD_GET, "/nowhere").allowed, 0);
    assert_int_equal(match(METHOD_GET, "/").allowed, 0);
    assert_int_equal(match(METHOD_GET, "/collections/a/b/c/d").allowed, 0);
}

static void parameters_are_given_in_order(void **state)
{
    struct route_match found;
    struct url url;

    (void)state;
    assert_int_equal(url_parse("/collections/a%2Fb/x%2Fy", &url, NULL), NX_OK);
    router_match(&route_table, METHOD_GET, &url, &found);
    assert_string_equal(found.param[0].text, "a/b");
    assert_string_equal(found.param[1].text, "x/y");
    url_fini(&url);
}

static void allow_lists_the_methods(void **state)
{
    char allow[96];

    (void)state;
    router_allow(match(METHOD_PUT, "/collections/c").allowed, allow, sizeof allow);
    assert_string_equal(allow, "GET, HEAD, POST, DELETE, OPTIONS");
}

static void what_changes_documents_needs_the_role_write(void **state)
{
    static const char *const readers[] = {"query", "aggregate", "count", "distinct", "search"};

    (void)state;
    for (size_t i = 0; i < route_table.count; i++) {
        const struct route *row = &route_table.rows[i];
        bool reads = row->method == METHOD_GET;

        for (size_t j = 0; j < sizeof readers / sizeof readers[0]; j++)
            reads |= !strcmp(strrchr(row->pattern, '/') + 1, readers[j]);
        assert_true(reads || row->role >= ROLE_WRITE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_reachable_documented_and_unique),
        cmocka_unit_test(fields_have_a_name_and_a_meaning),
        cmocka_unit_test(a_reserved_word_wins_over_an_id),
        cmocka_unit_test(head_is_answered_where_get_is),
        cmocka_unit_test(an_unknown_path_allows_nothing),
        cmocka_unit_test(parameters_are_given_in_order),
        cmocka_unit_test(allow_lists_the_methods),
        cmocka_unit_test(what_changes_documents_needs_the_role_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

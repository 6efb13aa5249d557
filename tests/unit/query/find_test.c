/* find_test.c - finds, counts, updates and deletes over a store: plans, paging, races, limits. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nexadb/query.h>

#include "tests/unit/query/query_json.h"
#include "tests/unit/store/store_fixture.h"

static const struct nx_change buffered = {.durability = NX_BUFFERED};

static void insert(struct store_fixture *f, const char *doc)
{
    struct nx_write *write;
    struct nx_write_result result;
    struct nx_err err = NX_ERR_INIT;
    struct nx_put put = {.collection = f->users, .mode = NX_PUT_INSERT, .bson = json(doc)};

    OK(nx_write_new(f->db, &write, &err));
    OK(nx_write_put(write, &put, NULL, &err));
    OK(nx_write_commit(write, &buffered, &result, &err));
    nx_write_free(write);
}

/* n documents {_id: i, g: i % 3, s: "name"} */
static void insert_many(struct store_fixture *f, int n)
{
    char doc[100];

    for (int i = 0; i < n; i++) {
        snprintf(doc, sizeof doc, "{\"_id\":%d,\"g\":%d,\"a\":[%d,%d]}", i, i % 3, i, n - i);
        insert(f, doc);
    }
}

static struct nx_slice part(const char *text)
{
    return text ? json(text) : NX_SLICE_NULL;
}

/* The _ids that a find gives, as "1 2 3"; its last position when `position` is given. */
static const char *ids(struct store_fixture *f, const struct nx_find *find,
                       const struct nx_limits *limits, struct nx_buf *position)
{
    static char text[4000];
    struct nx_cursor *cursor;
    struct nx_slice doc;
    struct nx_err err = NX_ERR_INIT;
    size_t len = 0;
    enum nx_code rc;

    text[0] = 0;
    OK(nx_query_find(f->db, NULL, f->users, find, limits, &cursor, &err));
    while ((rc = nx_cursor_next(cursor, &doc, &err)) == NX_OK) {
        struct nx_value id = nx_doc_get(doc, "_id", 3);

        len += (size_t)snprintf(text + len, sizeof text - len, "%s%g", len ? " " : "",
                                nx_value_to_double(&id));
        if (position) {
            nx_buf_clear(position);
            assert_int_equal(nx_cursor_position(cursor, position), NX_OK);
        }
    }
    if (rc != NX_DONE)
        snprintf(text, sizeof text, "!%s %s", nx_code_name(rc), err.message);
    assert_int_equal(nx_cursor_next(cursor, &doc, &err), rc); /* an end stays an end */
    nx_cursor_close(cursor);
    return text;
}

static const char *find_ids(struct store_fixture *f, const char *filter, const char *sort,
                            uint64_t skip, uint64_t limit)
{
    return ids(f, &(struct nx_find){part(filter), {0}, part(sort), skip, limit, false, {0}}, NULL,
               NULL);
}

static void finds_stream_in_id_order_either_way(void **state)
{
    struct store_fixture *f = *state;

    insert_many(f, 9);
    assert_string_equal(find_ids(f, NULL, NULL, 0, 0), "0 1 2 3 4 5 6 7 8");
    assert_string_equal(find_ids(f, "{\"g\":1}", "{\"_id\":-1}", 0, 0), "7 4 1");
    assert_string_equal(find_ids(f, "{\"g\":{\"$ne\":1}}", NULL, 2, 3), "3 5 6");
    assert_string_equal(find_ids(f, NULL, "{\"g\":-1,\"_id\":1}", 1, 4), "5 8 1 4");
    assert_string_equal(find_ids(f, NULL, "{\"a\":1}", 0, 3), "0 1 8"); /* 0, 1 and 1 */
    assert_string_equal(find_ids(f, NULL, NULL, 100, 0), "");
}

static const char *plan_of(struct store_fixture *f, const char *filter, const char *sort,
                           const char *member)
{
    struct nx_find find = {.filter = part(filter), .sort = part(sort), .explain = true};
    struct nx_cursor *cursor;
    struct nx_slice doc;
    struct nx_err err = NX_ERR_INIT;
    static char text[100];
    struct nx_value value;

    OK(nx_query_find(f->db, NULL, f->users, &find, NULL, &cursor, &err));
    OK(nx_cursor_next(cursor, &doc, &err));
    value = nx_doc_get_z(doc, member);
    if (value.type == NX_TYPE_STRING)
        snprintf(text, sizeof text, "%.*s", (int)value.len, (const char *)value.data);
    else
        snprintf(text, sizeof text, "%g", nx_value_to_double(&value));
    assert_int_equal(nx_cursor_next(cursor, &doc, &err), NX_DONE);
    nx_cursor_close(cursor);
    return text;
}

static void conditions_on_id_read_no_more_than_they_must(void **state)
{
    struct store_fixture *f = *state;

    insert_many(f, 100);
    insert(f, "{\"_id\":\"x\"}");
    assert_string_equal(plan_of(f, "{\"_id\":50}", NULL, "plan"), "id_points");
    assert_string_equal(plan_of(f, "{\"_id\":50}", NULL, "examined"), "1");
    assert_string_equal(plan_of(f, "{\"_id\":{\"$in\":[3,\"x\",777]}}", NULL, "examined"), "2");
    assert_string_equal(plan_of(f, "{\"_id\":{\"$gte\":90,\"$lt\":95}}", NULL, "plan"), "id_range");
    assert_string_equal(plan_of(f, "{\"_id\":{\"$gte\":90,\"$lt\":95}}", NULL, "examined"), "6");
    assert_string_equal(plan_of(f, "{\"_id\":{\"$gte\":90}}", NULL, "examined"), "10");
    assert_string_equal(plan_of(f, "{\"_id\":{\"$gt\":5,\"$lt\":1}}", NULL, "plan"), "nothing");
    assert_string_equal(plan_of(f, "{\"g\":1}", NULL, "plan"), "scan");
    assert_string_equal(plan_of(f, "{\"g\":1}", NULL, "examined"), "101");
    assert_string_equal(plan_of(f, NULL, "{\"_id\":-1}", "direction"), "backward");
    assert_string_equal(plan_of(f, NULL, "{\"g\":1}", "sort"), "memory");
    assert_string_equal(find_ids(f, "{\"_id\":{\"$in\":[3,1,2]}}", "{\"_id\":-1}", 0, 0), "3 2 1");
}

/* Read page after page by positions; the pages joined are the whole. */
static void assert_pages_join(struct store_fixture *f, const char *filter, const char *sort)
{
    char whole[4000], joined[4000] = "";
    struct nx_buf position = NX_BUF_INIT, last = NX_BUF_INIT;

    snprintf(whole, sizeof whole, "%s", find_ids(f, filter, sort, 1, 0));
    for (int page = 0; page < 20; page++) {
        struct nx_find find = {.filter = part(filter),
                               .sort = part(sort),
                               .skip = 1, /* ignored from the second page on */
                               .limit = 4,
                               .after = nx_buf_slice(&last)};
        const char *text = ids(f, &find, NULL, &position);

        if (!*text)
            break;
        if (*joined)
            strncat(joined, " ", sizeof joined - strlen(joined) - 1);
        strncat(joined, text, sizeof joined - strlen(joined) - 1);
        nx_buf_clear(&last);
        nx_buf_append(&last, position.data, position.len);
    }
    assert_string_equal(joined, whole);
    nx_buf_fini(&position);
    nx_buf_fini(&last);
}

static void pages_by_position_join_to_the_whole(void **state)
{
    struct store_fixture *f = *state;

    insert_many(f, 30);
    assert_pages_join(f, NULL, NULL);
    assert_pages_join(f, NULL, "{\"_id\":-1}");
    assert_pages_join(f, "{\"_id\":{\"$gte\":3,\"$lt\":25}}", NULL);
    assert_pages_join(f, "{\"_id\":{\"$in\":[9,3,7,1,5,11]}}", "{\"_id\":-1}");
    assert_pages_join(f, NULL, "{\"g\":1}");
    assert_pages_join(f, "{\"g\":{\"$lt\":2}}", "{\"g\":-1,\"a\":1}");
}

static void positions_of_others_are_refused(void **state)
{
    struct store_fixture *f = *state;
    struct nx_buf position = NX_BUF_INIT;
    struct nx_cursor *cursor;
    struct nx_err err = NX_ERR_INIT;
    struct nx_find find = {.sort = json("{\"g\":1}"), .limit = 1};

    insert_many(f, 3);
    ids(f, &find, NULL, &position);
    find.after = nx_buf_slice(&position);
    find.sort = json("{\"g\":-1}");
    FAILS(NX_EQUERY, nx_query_find(f->db, NULL, f->users, &find, NULL, &cursor, &err));
    assert_non_null(strstr(err.message, "another sort"));
    find.after = nx_slice_str("AAAA!!");
    FAILS(NX_EQUERY, nx_query_find(f->db, NULL, f->users, &find, NULL, &cursor, &err));
    find.after = nx_slice_str("AAAA");
    FAILS(NX_EQUERY, nx_query_find(f->db, NULL, f->users, &find, NULL, &cursor, &err));
    assert_null(cursor);
    nx_buf_fini(&position);
}

static bool every_second(void *arg, const struct nx_attr *attr)
{
    unsigned *asked = arg;

    assert_int_equal(attr->kind, NX_KIND_DOCUMENT);
    return ++*asked % 2 == 0;
}

static void limits_hide_cancel_and_bound(void **state)
{
    struct store_fixture *f = *state;
    atomic_bool canceled = true;
    uint64_t all, visible;
    unsigned asked = 0;
    struct nx_limits hide = {.visible = every_second, .arg = &asked},
                     stop = {.canceled = &canceled};
    struct nx_limits small = {.memory_bytes = 50}; /* not even one document */
    struct nx_find sorted = {.sort = json("{\"g\":1}")};
    struct nx_err err = NX_ERR_INIT;

    insert_many(f, 10);
    OK(nx_query_count(f->db, NULL, f->users, NX_SLICE_NULL, 0, 0, NULL, &all, &err));
    OK(nx_query_count(f->db, NULL, f->users, NX_SLICE_NULL, 0, 0, &hide, &visible, &err));
    assert_int_equal(all, 10);
    assert_int_equal(visible, 5);
    assert_non_null(strstr(ids(f, &(struct nx_find){0}, &stop, NULL), "!canceled"));
    assert_non_null(strstr(ids(f, &sorted, &small, NULL), "!memory_limit"));
    OK(nx_query_count(f->db, NULL, f->users, json("{\"g\":0}"), 1, 2, NULL, &all, &err));
    assert_int_equal(all, 2);
}

static const char *distinct(struct store_fixture *f, const char *field, const char *filter)
{
    struct nx_buf out = NX_BUF_INIT, text = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    static char copy[500];

    OK(nx_query_distinct(f->db, NULL, f->users, field, strlen(field), part(filter), NULL, &out,
                         &err));
    nx_json_write(nx_buf_slice(&out), true, NX_JSON_RELAXED, 0, NULL, &text);
    snprintf(copy, sizeof copy, "%.*s", (int)text.len, (char *)text.data);
    nx_buf_fini(&out);
    nx_buf_fini(&text);
    return copy;
}

static void distinct_values_come_in_order(void **state)
{
    struct store_fixture *f = *state;

    insert(f, "{\"_id\":1,\"t\":[\"b\",2,\"a\"],\"d\":[{\"k\":1},{\"k\":[2,3]}]}");
    insert(f, "{\"_id\":2,\"t\":\"b\",\"d\":{\"k\":2.0}}");
    insert(f, "{\"_id\":3,\"t\":null}");
    assert_string_equal(distinct(f, "t", NULL), "[null,2,\"a\",\"b\"]");
    assert_string_equal(distinct(f, "d.k", "{\"_id\":{\"$lt\":3}}"), "[1,2,3]");
    assert_string_equal(distinct(f, "none", NULL), "[]");
}

/* --- changes ---------------------------------------------------------------------------------- */

static struct nx_update_result update(struct store_fixture *f, const char *filter, const char *spec,
                                      bool multi, bool upsert)
{
    struct nx_update how = {
        .filter = part(filter), .update = json(spec), .multi = multi, .upsert = upsert};
    struct nx_update_result result;
    struct nx_err err = NX_ERR_INIT;

    OK(nx_query_update(f->db, f->users, &how, &buffered, NULL, &result, &err));
    return result;
}

static void updates_change_one_or_all_and_count_what_changed(void **state)
{
    struct store_fixture *f = *state;
    struct nx_update_result result;

    insert_many(f, 200);
    result = update(f, "{\"g\":1}", "{\"$set\":{\"x\":1}}", false, false);
    assert_int_equal(result.matched, 1);
    result = update(f, "{\"g\":1}", "{\"$set\":{\"x\":1}}", true, false);
    assert_int_equal(result.matched, 67);
    assert_int_equal(result.modified, 66);
    result = update(f, "{\"_id\":\"new\",\"k\":1}", "{\"$inc\":{\"n\":5}}", true, true);
    assert_true(result.upserted);
    assert_json(f->db, f->users, "new.json", "{\"_id\":\"new\",\"k\":1,\"n\":5}");
    result = update(f, "{\"k\":2}", "{\"$set\":{\"n\":1}}", false, true);
    assert_true(result.upserted);
    assert_int_equal(count_of(f->db, f->users), 202);
    store_verify(f->db);
}

static void an_upsert_onto_a_taken_id_is_a_duplicate(void **state)
{
    struct store_fixture *f = *state;
    struct nx_update how = {
        .filter = json("{\"zz\":1}"), .update = json("{\"$set\":{\"_id\":1}}"), .upsert = true};
    struct nx_update_result result;
    struct nx_err err = NX_ERR_INIT;

    insert_many(f, 3);
    FAILS(NX_EEXISTS, nx_query_update(f->db, f->users, &how, &buffered, NULL, &result, &err));
    assert_false(result.upserted);
}

static void deletes_remove_one_or_all(void **state)
{
    struct store_fixture *f = *state;
    uint64_t deleted;
    struct nx_err err = NX_ERR_INIT;

    insert_many(f, 150);
    OK(nx_query_delete(f->db, f->users, json("{\"g\":2}"), false, &buffered, NULL, &deleted, &err));
    assert_int_equal(deleted, 1);
    OK(nx_query_delete(f->db, f->users, json("{\"g\":2}"), true, &buffered, NULL, &deleted, &err));
    assert_int_equal(deleted, 49);
    assert_int_equal(count_of(f->db, f->users), 100);
    OK(nx_query_delete(f->db, f->users, json("{}"), true, &buffered, NULL, &deleted, &err));
    assert_int_equal(count_of(f->db, f->users), 0);
}

struct acknowledgement {
    unsigned calls;
};

static void acknowledge(void *arg, const struct nx_err *error)
{
    assert_null(error);
    ((struct acknowledgement *)arg)->calls++;
}

static void the_acknowledgement_comes_once_also_for_nothing(void **state)
{
    struct store_fixture *f = *state;
    struct acknowledgement ack = {0};
    struct nx_change change = {.durability = NX_BUFFERED, .done = acknowledge, .arg = &ack};
    struct nx_err err = NX_ERR_INIT;
    uint64_t deleted;

    insert_many(f, 150);
    OK(nx_query_delete(f->db, f->users, json("{\"g\":7}"), true, &change, NULL, &deleted, &err));
    assert_int_equal(ack.calls, 1);
    OK(nx_query_delete(f->db, f->users, json("{}"), true, &change, NULL, &deleted, &err));
    OK(nx_engine_sync(nx_db_engine(f->db), &err));
    assert_int_equal(ack.calls, 2);
}

#define THREADS 4
#define ROUNDS 50

static void *increment(void *arg)
{
    struct store_fixture *f = arg;
    struct nx_buf filter = NX_BUF_INIT, inc = NX_BUF_INIT;
    bool is_array;

    nx_json_parse("{\"g\":1}", 7, NX_JSON_QUERY, 0, &filter, &is_array, NULL);
    nx_json_parse("{\"$inc\":{\"n\":1}}", 16, NX_JSON_QUERY, 0, &inc, &is_array, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        struct nx_update how = {
            .filter = nx_buf_slice(&filter), .update = nx_buf_slice(&inc), .multi = i % 2 == 0};
        struct nx_update_result result;

        if (nx_query_update(f->db, f->users, &how, &buffered, NULL, &result, NULL) != NX_OK ||
            result.matched == 0)
            return arg;
    }
    nx_buf_fini(&filter);
    nx_buf_fini(&inc);
    return NULL;
}

static void no_increment_is_lost_between_threads(void **state)
{
    struct store_fixture *f = *state;
    pthread_t threads[THREADS];
    void *failed;

    insert(f, "{\"_id\":1,\"g\":1,\"n\":0}");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, increment, f), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_json(f->db, f->users, "1.json", "{\"_id\":1,\"g\":1,\"n\":200}");
}

static int teardown(void **state)
{
    json_forget(NULL);
    return store_teardown(state);
}

#define T(test) cmocka_unit_test_setup_teardown(test, store_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(finds_stream_in_id_order_either_way),
        T(conditions_on_id_read_no_more_than_they_must),
        T(pages_by_position_join_to_the_whole),
        T(positions_of_others_are_refused),
        T(limits_hide_cancel_and_bound),
        T(distinct_values_come_in_order),
        T(updates_change_one_or_all_and_count_what_changed),
        T(an_upsert_onto_a_taken_id_is_a_duplicate),
        T(deletes_remove_one_or_all),
        T(the_acknowledgement_comes_once_also_for_nothing),
        T(no_increment_is_lost_between_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The change feed: what it tells, in which order, from where, and for how long. */
#include <stdio.h>

#include <nexadb/feed.h>

#include "store/store.h"
#include "tests/unit/store/store_fixture.h"

/* "insert users a.json", "rename users people", "drop users" */
static void describe(const struct nx_feed_change *change, char *out, size_t size)
{
    struct nx_buf name NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    if (change->id.len > 0) {
        assert_int_equal(nx_id_to_name(&change->id, &name), NX_OK);
        assert_int_equal(nx_buf_append_byte(&name, 0), NX_OK);
    }
    snprintf(out, size, "%s %s%s%s", nx_feed_op_name(change->op), change->path,
             name.len || change->to ? " " : "",
             name.len     ? (char *)name.data
             : change->to ? change->to
                          : "");
}

static void assert_next(struct nx_feed *feed, const char *want)
{
    struct nx_feed_change change;
    struct nx_err err = NX_ERR_INIT;
    char got[300];

    OK(nx_feed_next(feed, &change, &err));
    describe(&change, got, sizeof got);
    assert_string_equal(got, want);
}

static void assert_no_more(struct nx_feed *feed)
{
    struct nx_feed_change change;
    struct nx_err err = NX_ERR_INIT;
    char got[300] = "";
    enum nx_code rc = nx_feed_next(feed, &change, &err);

    if (rc == NX_OK)
        describe(&change, got, sizeof got);
    assert_string_equal(got, "");
    assert_int_equal(rc, NX_DONE);
}

static struct nx_feed *open_feed(struct nx_db *db, nx_ino collection, const char *token)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_feed *feed;

    OK(nx_feed_open(db, collection, token, &feed, &err));
    return feed;
}

static void put(struct store_fixture *f, const char *name, const char *text)
{
    struct nx_err err = NX_ERR_INIT;

    OK(put_text(f->db, f->users, name, text, NX_PUT_UPSERT, &err));
}

static void changes_of_documents_are_told_in_order(void **state)
{
    struct store_fixture *f = *state;
    struct nx_feed *feed = open_feed(f->db, 0, NULL);
    struct nx_err err = NX_ERR_INIT;

    assert_no_more(feed);
    put(f, "a.json", "{}");
    put(f, "42.json", "{}");
    put(f, "a.json", "{\"b\":1}");
    OK(delete_document(f->db, f->users, "42.json", &err));
    FAILS(NX_ENOTFOUND, delete_document(f->db, f->users, "none.json", &err));
    OK(unlink_name(f->db, f->users, "a.json", &err));
    assert_next(feed, "insert users a.json");
    assert_next(feed, "insert users 42.json");
    assert_next(feed, "update users a.json");
    assert_next(feed, "delete users 42.json");
    assert_next(feed, "delete users a.json");
    assert_no_more(feed);
    nx_feed_close(feed);
}

static void plain_files_drafts_and_metadata_are_none_of_it(void **state)
{
    struct store_fixture *f = *state;
    struct nx_feed *feed = open_feed(f->db, 0, NULL);
    struct nx_attr mode = {.mode = 0600};
    struct nx_err err = NX_ERR_INIT;
    nx_ino draft = make_node(f->db, f->users, "d.json", NX_KIND_FILE);

    make_file(f->db, f->users, "notes.txt", "x");
    OK(nx_db_set_attr(f->db, draft, NX_SET_MODE, &mode, NULL, NULL, &err));
    make_node(f->db, NX_ROOT_INO, ".git", NX_KIND_DIRECTORY);
    OK(rename_name(f->db, f->users, "d.json", f->users, "e.json", 0, &err));
    OK(unlink_name(f->db, f->users, "e.json", &err));
    assert_no_more(feed);
    make_node(f->db, f->users, "f.json", NX_KIND_FILE);
    put(f, "f.json", "{}"); /* it becomes a document */
    assert_next(feed, "insert users f.json");
    assert_no_more(feed);
    nx_feed_close(feed);
}

static void renames_of_documents_are_what_they_do_to_ids(void **state)
{
    struct store_fixture *f = *state;
    struct nx_feed *feed;
    struct nx_err err = NX_ERR_INIT;
    nx_ino other = make_collection(f->db, "other");

    put(f, "a.json", "{\"a\":1}");
    put(f, "b.json", "{\"b\":1}");
    feed = open_feed(f->db, 0, NULL);
    OK(rename_name(f->db, f->users, "a.json", f->users, "c.json", 0, &err));
    OK(rename_name(f->db, f->users, "c.json", f->users, "b.json", 0, &err));
    OK(rename_name(f->db, f->users, "b.json", other, "b.json", 0, &err));
    make_file(f->db, other, "tmp", "{\"x\":1}");
    OK(rename_name(f->db, other, "tmp", other, "b.json", 0, &err));
    make_file(f->db, other, "tmp", "{\"x\":2}");
    OK(rename_name(f->db, other, "tmp", other, "new.json", 0, &err));
    OK(rename_name(f->db, other, "new.json", other, "b.json", NX_RENAME_EXCHANGE, &err));
    assert_next(feed, "delete users a.json");
    assert_next(feed, "insert users c.json");
    assert_next(feed, "delete users c.json");
    assert_next(feed, "update users b.json");
    assert_next(feed, "delete users b.json");
    assert_next(feed, "insert other b.json");
    assert_next(feed, "update other b.json");
    assert_next(feed, "insert other new.json");
    assert_next(feed, "update other new.json");
    assert_next(feed, "update other b.json");
    assert_no_more(feed);
    nx_feed_close(feed);
}

static void collections_have_the_names_they_had_then(void **state)
{
    struct store_fixture *f = *state;
    struct nx_feed *feed = open_feed(f->db, 0, NULL);
    struct nx_err err = NX_ERR_INIT;
    nx_ino archive = make_collection(f->db, "users/archive");

    OK(put_text(f->db, archive, "a.json", "{}", NX_PUT_INSERT, &err));
    OK(rename_name(f->db, NX_ROOT_INO, "users", NX_ROOT_INO, "people", 0, &err));
    OK(put_text(f->db, archive, "b.json", "{}", NX_PUT_INSERT, &err));
    OK(rename_name(f->db, f->users, "archive", NX_ROOT_INO, "old", 0, &err));
    OK(put_text(f->db, archive, "c.json", "{}", NX_PUT_INSERT, &err));
    OK(rename_name(f->db, NX_ROOT_INO, "old", f->users, "young", 0, &err));
    OK(nx_db_drop(f->db, f->users, NULL, &err));
    trash_settled(f->db);
    make_collection(f->db, "people");
    assert_next(feed, "create users/archive");
    assert_next(feed, "insert users/archive a.json");
    assert_next(feed, "rename users people");
    assert_next(feed, "insert people/archive b.json");
    assert_next(feed, "rename people/archive old");
    assert_next(feed, "insert old c.json");
    assert_next(feed, "rename old people/young");
    assert_next(feed, "drop people");
    assert_next(feed, "drop people/young");
    assert_next(feed, "create people");
    assert_no_more(feed);
    nx_feed_close(feed);
    f->users = 0;
}

static void a_directory_that_becomes_plain_is_dropped_and_may_come_back(void **state)
{
    struct store_fixture *f = *state;
    struct nx_feed *feed = open_feed(f->db, 0, NULL);
    struct nx_err err = NX_ERR_INIT;

    OK(rename_name(f->db, NX_ROOT_INO, "users", NX_ROOT_INO, ".users", 0, &err));
    OK(rename_name(f->db, NX_ROOT_INO, ".users", NX_ROOT_INO, "users", 0, &err));
    OK(nx_db_rmdir(f->db, NX_ROOT_INO, "users", 5, NULL, &err));
    assert_next(feed, "drop users");
    assert_next(feed, "create users");
    assert_next(feed, "drop users");
    assert_no_more(feed);
    nx_feed_close(feed);
}

static void one_collection_is_told_of_itself_only(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino other = make_collection(f->db, "other");
    struct nx_feed *feed = open_feed(f->db, f->users, NULL);

    OK(put_text(f->db, other, "x.json", "{}", NX_PUT_INSERT, &err));
    put(f, "a.json", "{}");
    OK(put_text(f->db, other, "y.json", "{}", NX_PUT_INSERT, &err));
    assert_next(feed, "insert users a.json");
    assert_no_more(feed);
    nx_feed_close(feed);
}

/* --- tokens ----------------------------------------------------------------------------------- */

static void a_token_goes_on_where_it_was_taken_even_after_a_restart(void **state)
{
    struct store_fixture *f = *state;
    struct nx_feed *feed = open_feed(f->db, 0, NULL);
    char now[NX_FEED_TOKEN_BYTES], token[NX_FEED_TOKEN_BYTES];
    struct nx_err err = NX_ERR_INIT;
    struct nx_write *write;

    nx_feed_token(feed, now);
    OK(nx_write_new(f->db, &write, &err));
    for (int i = 0; i < 3; i++) { /* in the middle of one batch */
        char name[] = "0.json";
        struct nx_put what = {.collection = f->users, .text = nx_slice_str("{}")};
        struct nx_id id;

        name[0] = (char)('0' + i);
        id = id_of(name);
        what.id = &id;
        OK(nx_write_put(write, &what, NULL, &err));
    }
    OK(nx_write_commit(write, NULL, NULL, &err));
    nx_write_free(write);
    assert_next(feed, "insert users 0.json");
    nx_feed_token(feed, token);
    nx_feed_rest(feed);
    assert_next(feed, "insert users 1.json");
    nx_feed_close(feed);
    store_reopen(f);
    feed = open_feed(f->db, 0, token);
    assert_next(feed, "insert users 1.json");
    assert_next(feed, "insert users 2.json");
    assert_no_more(feed);
    nx_feed_token(feed, token);
    nx_feed_close(feed);
    feed = open_feed(f->db, 0, now);
    assert_next(feed, "insert users 0.json");
    nx_feed_close(feed);
    put(f, "z.json", "{}");
    feed = open_feed(f->db, 0, token);
    assert_next(feed, "insert users z.json");
    assert_no_more(feed);
    nx_feed_close(feed);
}

static void the_oldest_token_reads_all_that_is_kept(void **state)
{
    struct store_fixture *f = *state;
    struct nx_feed *feed;

    put(f, "a.json", "{}");
    feed = open_feed(f->db, 0, "0");
    assert_next(feed, "create users");
    assert_next(feed, "insert users a.json");
    assert_no_more(feed);
    nx_feed_close(feed);
}

static void what_is_no_token_is_refused(void **state)
{
    static const char *const wrong[] = {"",
                                        "1",
                                        "00",
                                        "xyz",
                                        "00000000000000010000000",
                                        "0000000000000001000000000",
                                        "000000000000000100000G00",
                                        "000000000000000000000000",
                                        "ffffffffffffffff00000000"};
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_feed *feed;

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        FAILS(NX_EINVAL, nx_feed_open(f->db, 0, wrong[i], &feed, &err));
    FAILS(NX_ENODATA, nx_feed_open(f->db, 0, "000000000000000112345678", &feed, &err));
}

static void what_was_trimmed_is_refused_and_told(void **state)
{
    struct store_fixture *f = *state;
    struct nx_feed *before = open_feed(f->db, 0, "0"), *feed;
    char token[NX_FEED_TOKEN_BYTES];
    struct nx_feed_change change;
    struct nx_err err = NX_ERR_INIT;
    uint64_t start;

    assert_next(before, "create users");
    nx_feed_token(before, token);
    nx_feed_rest(before);
    for (int i = 0; i < 100; i++) {
        char name[16];

        snprintf(name, sizeof name, "%d.json", i);
        put(f, name, "{}");
    }
    OK(rename_name(f->db, NX_ROOT_INO, "users", NX_ROOT_INO, "people", 0, &err));
    OK(feed_trim(f->db, 100, UINT64_MAX / 4, &err));
    start = nx_feed_start(f->db);
    assert_true(start > 1 && start < nx_feed_end(f->db));
    FAILS(NX_ENODATA, nx_feed_next(before, &change, &err));
    FAILS(NX_ENODATA, nx_feed_open(f->db, 0, token, &feed, &err));
    store_reopen(f);
    assert_true(nx_feed_start(f->db) >= start);
    feed = open_feed(f->db, 0, "0");
    OK(nx_feed_next(feed, &change, &err));
    assert_string_equal(change.path, "users"); /* its former name is kept as long as this */
    nx_feed_close(feed);
    OK(feed_trim(f->db, 1, UINT64_MAX / 4, &err));
    feed = open_feed(f->db, 0, "0");
    assert_next(feed, "rename users people");
    assert_no_more(feed);
    nx_feed_close(feed);
    nx_feed_close(before);
    store_reopen(f); /* no position is given again */
    put(f, "new.json", "{}");
    feed = open_feed(f->db, 0, "0");
    assert_next(feed, "rename users people");
    assert_next(feed, "insert people new.json");
    FAILS(NX_ENODATA, nx_feed_open(f->db, 0, token, &before, &err));
    nx_feed_close(feed);
}

static void what_is_older_than_is_kept_goes(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_feed *feed;

    put(f, "old.json", "{}");
    store_tick(f, 10000000000);
    put(f, "young.json", "{}");
    OK(feed_trim(f->db, FEED_KEEP_BYTES, 5000, &err));
    feed = open_feed(f->db, 0, "0");
    assert_next(feed, "insert users young.json");
    assert_no_more(feed);
    nx_feed_close(feed);
}

/* --- held back -------------------------------------------------------------------------------- */

static void an_editors_backup_by_rename_is_one_update(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_feed *feed;

    put(f, "a.json", "{}");
    feed = open_feed(f->db, 0, NULL);
    OK(rename_name(f->db, f->users, "a.json", f->users, "a.json~", 0, &err));
    put(f, "other.json", "{}");
    assert_no_more(feed); /* it may come back: nothing behind it is told yet */
    put(f, "a.json", "{\"n\":1}");
    assert_next(feed, "insert users other.json");
    assert_next(feed, "update users a.json");
    assert_no_more(feed);
    make_file(f->db, f->users, "tmp", "{\"n\":2}");
    OK(rename_name(f->db, f->users, "a.json", f->users, "a.bak", 0, &err));
    OK(rename_name(f->db, f->users, "tmp", f->users, "a.json", 0, &err));
    assert_next(feed, "update users a.json");
    assert_no_more(feed);
    OK(rename_name(f->db, f->users, "a.json", f->users, "a.bak2", 0, &err));
    make_node(f->db, f->users, "a.json", NX_KIND_FILE); /* a draft: the mount's first step */
    assert_no_more(feed);
    put(f, "a.json", "{}");
    assert_next(feed, "update users a.json");
    assert_no_more(feed);
    OK(rename_name(f->db, f->users, "a.json", f->users, "a.bak3", 0, &err));
    make_node(f->db, f->users, "a.json", NX_KIND_FILE);
    make_file(f->db, f->users, "tmp", "{\"n\":3}");
    OK(rename_name(f->db, f->users, "tmp", f->users, "a.json", 0, &err));
    assert_next(feed, "update users a.json");
    assert_no_more(feed);
    nx_feed_close(feed);
}

static void a_document_that_stays_away_is_told_after_a_while(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_feed *feed;

    put(f, "a.json", "{}");
    feed = open_feed(f->db, 0, NULL);
    OK(rename_name(f->db, f->users, "a.json", f->users, "a.txt", 0, &err));
    assert_no_more(feed);
    assert_int_equal(count_of(f->db, f->users), 0); /* but it is gone */
    store_tick(f, 2100000000);
    assert_next(feed, "delete users a.json");
    put(f, "a.json", "{}");
    assert_next(feed, "insert users a.json");
    assert_no_more(feed);
    nx_feed_close(feed);
}

/* --- waiting ---------------------------------------------------------------------------------- */

struct heard {
    struct nx_mutex mu;
    struct nx_cond cond;
    unsigned count;
};

static void on_grown(void *arg)
{
    struct heard *heard = arg;

    nx_mutex_lock(&heard->mu);
    heard->count++;
    nx_cond_signal(&heard->cond);
    nx_mutex_unlock(&heard->mu);
}

static void whoever_waits_is_told_once(void **state)
{
    struct store_fixture *f = *state;
    struct heard heard = {.count = 0};
    struct nx_feed_waiter waiter = {.grown = on_grown, .arg = &heard};

    nx_mutex_init(&heard.mu, NX_RANK_LEAF);
    nx_cond_init(&heard.cond);
    waiter.end = nx_feed_end(f->db);
    nx_feed_wait(f->db, &waiter);
    put(f, "a.json", "{}");
    put(f, "b.json", "{}");
    nx_mutex_lock(&heard.mu);
    while (heard.count == 0)
        nx_cond_wait(&heard.cond, &heard.mu);
    nx_mutex_unlock(&heard.mu);
    assert_false(nx_feed_unwait(f->db, &waiter));
    assert_int_equal(heard.count, 1);
    waiter.end = nx_feed_end(f->db);
    nx_feed_wait(f->db, &waiter);
    assert_true(nx_feed_unwait(f->db, &waiter));
    put(f, "c.json", "{}");
    assert_int_equal(heard.count, 1);
    nx_cond_fini(&heard.cond);
    nx_mutex_fini(&heard.mu);
}

/* --- many at once ----------------------------------------------------------------------------- */

static void *write_many(void *arg)
{
    struct store_fixture *f = arg;
    struct nx_err err = NX_ERR_INIT;
    nx_ino own = make_collection(f->db, f->dir); /* a name of its own */

    for (int i = 0; i < 300; i++) {
        char name[16];

        snprintf(name, sizeof name, "%d.json", i);
        OK(put_text(f->db, own, name, "{}", NX_PUT_INSERT, &err));
    }
    return NULL;
}

static void a_reader_beside_writers_misses_nothing(void **state)
{
    struct store_fixture *f = *state, writers[4];
    struct nx_feed *feed = open_feed(f->db, 0, NULL);
    unsigned next[4] = {0}, done = 0;
    pthread_t threads[4];

    for (int i = 0; i < 4; i++) {
        writers[i] = (struct store_fixture){.db = f->db};
        snprintf(writers[i].dir, sizeof writers[i].dir, "w%d", i);
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    while (done < 4 * 301) {
        struct nx_feed_change change;
        struct nx_err err = NX_ERR_INIT;
        enum nx_code rc = nx_feed_next(feed, &change, &err);
        unsigned who;
        char want[16], got[300];

        if (rc == NX_DONE)
            continue;
        expect(NX_OK, rc, &err);
        describe(&change, got, sizeof got);
        who = (unsigned)(change.path[1] - '0');
        assert_true(who < 4);
        snprintf(want, sizeof want, "%u.json", next[who] - 1);
        assert_non_null(strstr(got, next[who] == 0 ? "create" : want));
        next[who]++;
        done++;
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_no_more(feed);
    nx_feed_close(feed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(changes_of_documents_are_told_in_order),
        BOTH(plain_files_drafts_and_metadata_are_none_of_it),
        BOTH(renames_of_documents_are_what_they_do_to_ids),
        BOTH(collections_have_the_names_they_had_then),
        BOTH(a_directory_that_becomes_plain_is_dropped_and_may_come_back),
        BOTH(one_collection_is_told_of_itself_only),
        BOTH(a_token_goes_on_where_it_was_taken_even_after_a_restart),
        BOTH(the_oldest_token_reads_all_that_is_kept),
        BOTH(what_is_no_token_is_refused),
        BOTH(what_was_trimmed_is_refused_and_told),
        cmocka_unit_test_setup_teardown(what_is_older_than_is_kept_goes, store_setup_sim,
                                        store_teardown),
        BOTH(an_editors_backup_by_rename_is_one_update),
        cmocka_unit_test_setup_teardown(a_document_that_stays_away_is_told_after_a_while,
                                        store_setup_sim, store_teardown),
        BOTH(whoever_waits_is_told_once),
        BOTH(a_reader_beside_writers_misses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

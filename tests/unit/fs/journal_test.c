/* The feed as a text: its length, its offsets, and what is no longer kept. */
#include <stdio.h>
#include <string.h>

#include "fs/journal.h"
#include "store/store.h"
#include "tests/unit/store/store_fixture.h"

static void put_many(struct store_fixture *f, unsigned from, unsigned count)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_write *write;

    OK(nx_write_new(f->db, &write, &err));
    for (unsigned i = from; i < from + count; i++) {
        struct nx_put put = {.collection = f->users, .text = nx_slice_str("{}")};
        struct nx_id id;
        char name[24];

        snprintf(name, sizeof name, "document-%u.json", i);
        id = id_of(name);
        put.id = &id;
        OK(nx_write_put(write, &put, NULL, &err));
    }
    OK(nx_write_commit(write, NULL, NULL, &err));
    nx_write_free(write);
}

static struct journal *journal_of(struct journals *journals, nx_ino collection)
{
    struct nx_err err = NX_ERR_INIT;
    struct journal *journal;

    OK(journal_get(journals, collection, &journal, &err));
    return journal;
}

static uint64_t size_of(struct journal *journal)
{
    struct nx_err err = NX_ERR_INIT;
    uint64_t size;

    OK(journal_size(journal, &size, &err));
    return size;
}

static void assert_read(struct journal_reader *reader, const struct nx_buf *all, uint64_t offset,
                        size_t size)
{
    struct nx_err err = NX_ERR_INIT;
    size_t want = offset >= all->len ? 0 : all->len - offset < size ? all->len - offset : size;
    struct nx_slice got;

    OK(journal_read(reader, offset, size, &got, &err));
    assert_int_equal(got.len, want);
    if (want)
        assert_memory_equal(got.data, all->data + offset, want);
}

static void any_offset_reads_the_same_bytes(void **state)
{
    struct store_fixture *f = *state;
    struct journals *journals = journals_new(f->db);
    struct journal *journal = journal_of(journals, f->users);
    struct journal_reader front = {.journal = journal}, back = {.journal = journal};
    struct nx_buf all NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    struct nx_slice piece;

    put_many(f, 0, 20000);
    for (;;) {
        OK(journal_read(&front, all.len, 4096, &piece, &err));
        if (piece.len == 0)
            break;
        assert_int_equal(nx_buf_append(&all, piece.data, piece.len), NX_OK);
    }
    assert_int_equal(size_of(journal), all.len);
    assert_true(all.len > 1000000);
    for (uint64_t offset = all.len + 5000; offset >= 9999; offset -= 9999)
        assert_read(&back, &all, offset, 12345);
    assert_read(&back, &all, 0, 10);
    put_many(f, 20000, 1);
    OK(journal_read(&front, all.len, 4096, &piece, &err));
    assert_int_equal(size_of(journal), all.len + piece.len);
    journal_reader_fini(&front);
    journal_reader_fini(&back);
    journal_put(journal);
    journals_free(journals);
}

static void what_was_trimmed_cannot_be_read(void **state)
{
    struct store_fixture *f = *state;
    struct journals *journals = journals_new(f->db);
    struct journal *journal;
    struct journal_reader reader = {0};
    struct nx_err err = NX_ERR_INIT;
    struct nx_slice piece;
    uint64_t size;

    for (unsigned i = 0; i < 40; i++)
        put_many(f, 1000 * i, 1000);
    journal = journal_of(journals, 0);
    reader.journal = journal;
    size = size_of(journal);
    OK(feed_trim(f->db, 100000, FEED_KEEP_MS, &err));
    FAILS(NX_ENODATA, journal_read(&reader, 0, 100, &piece, &err));
    FAILS(NX_ENODATA, journal_read(&reader, size / 2, 100, &piece, &err));
    OK(journal_read(&reader, size - 1000, 4096, &piece, &err));
    assert_int_equal(piece.len, 1000);
    assert_int_equal(size_of(journal), size);
    journal_reader_fini(&reader);
    journal_put(journal);
    journals_free(journals);
}

static void idle_journals_make_room_for_others(void **state)
{
    struct store_fixture *f = *state;
    struct journals *journals = journals_new(f->db);
    struct journal *kept = journal_of(journals, f->users);

    put_many(f, 0, 3);
    for (nx_ino dir = 1000; dir < 1600; dir++)
        journal_put(journal_of(journals, dir));
    assert_ptr_equal(journal_of(journals, f->users), kept);
    assert_true(size_of(kept) > 100);
    journal_put(kept);
    journal_put(kept);
    journals_free(journals);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_offset_reads_the_same_bytes, store_setup,
                                        store_teardown),
        cmocka_unit_test_setup_teardown(what_was_trimmed_cannot_be_read, store_setup,
                                        store_teardown),
        cmocka_unit_test_setup_teardown(idle_journals_make_room_for_others, store_setup,
                                        store_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

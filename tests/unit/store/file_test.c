/* The data of plain files: chunks, holes, the tail in the node; what becomes of it all when it is
 * changed in any order, and what a check and a repair say of damage. */
#include <stdio.h>
#include <string.h>

#include <nexadb/salvage.h>

#include "store/file.h"
#include "store_fixture.h"

#define LIMIT 300000u

/* --- one file and what it must hold ------------------------------------------------------------
 */

struct shadow {
    struct store_fixture *f;
    nx_ino ino;
    uint8_t *bytes, *found;
    size_t size;
    uint32_t seed;
};

static uint32_t pick(struct shadow *s, uint32_t limit)
{
    s->seed = s->seed * 1103515245u + 12345u;
    return (s->seed >> 8) % limit;
}

/* Often at the edges of chunks and at the end. */
static size_t pick_offset(struct shadow *s)
{
    switch (pick(s, 4)) {
    case 0:
        return s->size < LIMIT ? s->size : 0;
    case 1:
        return pick(s, LIMIT) / CHUNK_BYTES * CHUNK_BYTES;
    case 2:
        return s->size > 100 ? s->size - pick(s, 100) : 0;
    default:
        return pick(s, LIMIT);
    }
}

static size_t pick_len(struct shadow *s, size_t offset)
{
    static const uint32_t limits[] = {10, 500, 2100, 5000, 40000, 150000};
    size_t len = 1 + pick(s, limits[pick(s, 6)]), room = LIMIT - offset;

    return len < room ? len : room;
}

/* The bytes beyond the size are zeros, so that a longer file needs none set. */
static void write_some(struct shadow *s)
{
    struct nx_err err = NX_ERR_INIT;
    size_t at = pick_offset(s), len = pick_len(s, at);

    if (len == 0)
        return;
    memset(s->bytes + at, 1 + (int)pick(s, 250), len);
    s->size = at + len > s->size ? at + len : s->size;
    OK(nx_db_write(s->f->db, s->ino, at, s->bytes + at, len, NULL, NULL, &err));
}

static void truncate_some(struct shadow *s)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr = {.size = pick(s, 5) ? pick_offset(s) : s->size + pick(s, 3000)};

    attr.size = attr.size < LIMIT ? attr.size : LIMIT;
    if (attr.size < s->size)
        memset(s->bytes + attr.size, 0, s->size - attr.size);
    s->size = attr.size;
    OK(nx_db_set_attr(s->f->db, s->ino, NX_SET_SIZE, &attr, NULL, &attr, &err));
    assert_int_equal(attr.size, s->size);
}

static void allocate_some(struct shadow *s)
{
    struct nx_err err = NX_ERR_INIT;
    size_t at = pick_offset(s), len = pick_len(s, at);
    unsigned flags = pick(s, 4);

    if (len == 0)
        return;
    if (flags & NX_ALLOCATE_HOLE)
        memset(s->bytes + at, 0, len);
    if (!(flags & NX_ALLOCATE_KEEP_SIZE) && at + len > s->size)
        s->size = at + len;
    OK(nx_db_allocate(s->f->db, s->ino, flags, at, len, NULL, NULL, &err));
}

static void check_bytes(struct shadow *s)
{
    struct nx_err err = NX_ERR_INIT;
    size_t got, at = pick_offset(s), len = pick_len(s, at);

    assert_int_equal(stat_of(s->f->db, s->ino).size, s->size);
    OK(nx_db_read(s->f->db, NULL, s->ino, 0, s->found, LIMIT, &got, &err));
    assert_int_equal(got, s->size);
    assert_memory_equal(s->found, s->bytes, s->size);
    OK(nx_db_read(s->f->db, NULL, s->ino, at, s->found, len, &got, &err));
    assert_int_equal(got, at >= s->size ? 0 : len < s->size - at ? len : s->size - at);
    assert_memory_equal(s->found, s->bytes + at, got);
}

/* What lies between a hole and the next data is zeros. */
static void check_holes(struct shadow *s)
{
    struct nx_err err = NX_ERR_INIT;
    uint64_t at = 0, hole;

    while (at < s->size) {
        hole = at;
        OK(nx_db_seek(s->f->db, NULL, s->ino, true, &hole, &err));
        assert_in_range(hole, at, s->size);
        at = hole;
        if (hole == s->size || nx_db_seek(s->f->db, NULL, s->ino, false, &at, &err) == NX_DONE)
            at = s->size;
        for (uint64_t i = hole; i < at; i++)
            assert_int_equal(s->bytes[i], 0);
    }
    FAILS(NX_DONE, nx_db_seek(s->f->db, NULL, s->ino, true, &at, &err));
}

static void bytes_stay_what_they_were_made(void **state)
{
    static void (*const steps[])(struct shadow *) = {write_some, write_some, truncate_some,
                                                     allocate_some};
    struct store_fixture *f = *state;
    struct shadow s = {.f = f, .ino = make_node(f->db, f->users, "f", NX_KIND_FILE), .seed = 7};

    s.bytes = calloc(1, LIMIT);
    s.found = calloc(1, LIMIT);
    for (int n = 0; n < 1500; n++) {
        steps[pick(&s, 4)](&s);
        check_bytes(&s);
        check_holes(&s);
        if (n % 100 == 0)
            store_verify(f->db);
        if (n % 400 == 399)
            store_reopen(f);
    }
    free(s.bytes);
    free(s.found);
}

/* --- where the bytes stand ---------------------------------------------------------------------
 */

static uint64_t pieces_of(struct store_fixture *f, nx_ino ino)
{
    struct nx_err err = NX_ERR_INIT;
    uint64_t count;

    OK(file_count_chunks(f->db, NULL, ino, 0, UINT64_MAX / CHUNK_BYTES, &count, &err));
    return count;
}

static void small_steps_write_no_chunk(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino ino = make_node(f->db, f->users, "log", NX_KIND_FILE);
    static char text[TAIL_MAX_BYTES];

    for (uint64_t at = 0; at < TAIL_MAX_BYTES; at += 64)
        OK(nx_db_write(f->db, ino, at, text, 64, NULL, NULL, &err));
    assert_int_equal(pieces_of(f, ino), 0);
    OK(nx_db_write(f->db, ino, 5, "inside", 6, NULL, NULL, &err));
    assert_int_equal(pieces_of(f, ino), 0);
    OK(nx_db_write(f->db, ino, TAIL_MAX_BYTES, "more", 4, NULL, NULL, &err));
    assert_int_equal(pieces_of(f, ino), 1);
    assert_int_equal(stat_of(f->db, ino).size, TAIL_MAX_BYTES + 4);
    OK(nx_db_write(f->db, ino, TAIL_MAX_BYTES + 4, "again", 5, NULL, NULL, &err));
    assert_int_equal(stat_of(f->db, ino).stored, TAIL_MAX_BYTES + 9);
}

static void holes_take_no_space(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino ino = make_node(f->db, f->users, "sparse", NX_KIND_FILE);
    static char data[10 * CHUNK_BYTES];
    uint64_t at = 0;

    OK(nx_db_write(f->db, ino, UINT64_C(1) << 40, data, 3000, NULL, NULL, &err));
    assert_int_equal(pieces_of(f, ino), 1);
    assert_int_equal(stat_of(f->db, ino).stored, CHUNK_BYTES);
    OK(nx_db_seek(f->db, NULL, ino, false, &at, &err));
    assert_true(at == UINT64_C(1) << 40);
    OK(nx_db_write(f->db, ino, 0, data, sizeof data, NULL, NULL, &err));
    assert_int_equal(pieces_of(f, ino), 11);
    OK(nx_db_allocate(f->db, ino, NX_ALLOCATE_HOLE | NX_ALLOCATE_KEEP_SIZE, CHUNK_BYTES,
                      UINT64_C(1) << 39, NULL, NULL, &err));
    assert_int_equal(pieces_of(f, ino), 2);
    at = 0;
    OK(nx_db_seek(f->db, NULL, ino, true, &at, &err));
    assert_int_equal(at, CHUNK_BYTES);
    OK(nx_db_allocate(f->db, ino, NX_ALLOCATE_HOLE, 0, UINT64_C(1) << 41, NULL, NULL, &err));
    assert_int_equal(pieces_of(f, ino), 0);
    assert_true(stat_of(f->db, ino).size == UINT64_C(1) << 41);
    FAILS(NX_DONE, nx_db_seek(f->db, NULL, ino, false, &at, &err));
}

static void what_cannot_be_allocated_is_refused(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino file = make_file(f->db, f->users, "f", "text");
    nx_ino fifo = make_node(f->db, f->users, "p", NX_KIND_FIFO);
    uint64_t at = 0;

    FAILS(NX_EINVAL, nx_db_allocate(f->db, file, 0, 5, 0, NULL, NULL, &err));
    FAILS(NX_ETOOBIG, nx_db_allocate(f->db, file, 0, INT64_MAX, 5, NULL, NULL, &err));
    FAILS(NX_EINVAL, nx_db_allocate(f->db, fifo, 0, 0, 5, NULL, NULL, &err));
    FAILS(NX_EINVAL, nx_db_allocate(f->db, f->users, 0, 0, 5, NULL, NULL, &err));
    FAILS(NX_ENOTFOUND, nx_db_allocate(f->db, 999999, 0, 0, 5, NULL, NULL, &err));
    FAILS(NX_EINVAL, nx_db_seek(f->db, NULL, fifo, true, &at, &err));
    FAILS(NX_EISDIR, nx_db_seek(f->db, NULL, f->users, true, &at, &err));
}

static void a_new_name_gets_the_group_of_a_set_group_id_directory(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    struct nx_attr attr = {.mode = 02775, .gid = 77};

    OK(nx_db_set_attr(f->db, f->users, NX_SET_MODE | NX_SET_GID, &attr, NULL, NULL, &err));
    assert_int_equal(stat_of(f->db, make_node(f->db, f->users, "f", NX_KIND_FILE)).gid, 77);
    attr = stat_of(f->db, make_node(f->db, f->users, "d", NX_KIND_DIRECTORY));
    assert_int_equal(attr.gid, 77);
    assert_int_equal(attr.mode & 02000, 02000);
    make_node(f->db, f->users, "draft.json", NX_KIND_FILE);
    assert_int_equal(look(f->db, f->users, "draft.json").gid, 77);
}

/* --- damage -------------------------------------------------------------------------------------
 */

static void change_record(struct nx_db *db, const struct key *key, struct nx_slice value)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_batch *batch;

    OK(nx_batch_new(&batch));
    if (value.len)
        OK(nx_batch_put(batch, key_slice(key), value));
    else
        OK(nx_batch_delete(batch, key_slice(key)));
    OK(nx_engine_commit(nx_db_engine(db), batch, NX_SYNC, &err));
    nx_batch_free(batch);
}

static void assert_broken(struct nx_db *db, const char *invariant)
{
    struct nx_err err = NX_ERR_INIT;

    FAILS(NX_ECORRUPT, nx_db_verify(db, &err));
    assert_non_null(strstr(err.message, invariant));
}

static void ignore_line(void *arg, const char *line)
{
    (void)arg, (void)line;
}

/* Mend the fixture's database in place of what it is. */
static struct nx_repair_counts repair(struct store_fixture *f)
{
    struct nx_err err = NX_ERR_INIT;
    struct nx_repair_counts counts;
    struct nx_db_options options;
    char mended[96];

    nx_db_options_init(&options);
    snprintf(mended, sizeof mended, "%s-mended", f->dir);
    OK(nx_db_close(f->db, &err));
    OK(nx_db_repair(f->dir, mended, &options, ignore_line, NULL, &counts, &err));
    f->db = store_open(mended, NULL);
    store_verify(f->db);
    return counts;
}

static void drop_mended(struct store_fixture *f)
{
    struct nx_err err = NX_ERR_INIT;
    char command[128];

    OK(nx_db_close(f->db, &err));
    snprintf(command, sizeof command, "rm -r %s-mended", f->dir);
    assert_int_equal(system(command), 0);
    f->db = store_open(f->dir, NULL);
}

static void a_lost_piece_is_noticed_and_mended_to_zeros(void **state)
{
    struct store_fixture *f = *state;
    struct nx_err err = NX_ERR_INIT;
    nx_ino ino = make_node(f->db, f->users, "f", NX_KIND_FILE);
    static uint8_t data[3 * CHUNK_BYTES], found[3 * CHUNK_BYTES];
    size_t got;
    struct key key;

    memset(data, 'x', sizeof data);
    OK(nx_db_write(f->db, ino, 0, data, sizeof data, NULL, NULL, &err));
    store_verify(f->db);
    key_of_pair(&key, KEY_CHUNK, ino, 1);
    change_record(f->db, &key, NX_SLICE_NULL);
    assert_broken(f->db, "(I6)");
    assert_true(repair(f).losses > 0);
    OK(nx_db_read(f->db, NULL, ino, 0, found, sizeof found, &got, &err));
    memset(data + CHUNK_BYTES, 0, CHUNK_BYTES);
    assert_memory_equal(found, data, sizeof data);
    drop_mended(f);
    change_record(f->db, &key, nx_slice(data, CHUNK_BYTES)); /* whole for the teardown */
}

static void a_piece_within_the_tail_is_noticed(void **state)
{
    struct store_fixture *f = *state;
    nx_ino ino = make_file(f->db, f->users, "f", "all of it is tail");
    struct key key;

    key_of_pair(&key, KEY_CHUNK, ino, 0);
    change_record(f->db, &key, nx_slice_str("all"));
    assert_broken(f->db, "(I6)");
    assert_true(repair(f).losses > 0);
    drop_mended(f);
    change_record(f->db, &key, NX_SLICE_NULL);
}

static void attributes_without_a_node_or_order_are_noticed_and_dropped(void **state)
{
    struct store_fixture *f = *state;
    nx_ino ino = make_file(f->db, f->users, "f", "text");
    struct key key, lost;

    key_of(&key, KEY_XATTR, ino);
    change_record(f->db, &key, nx_slice_str("\1b\1v\1a\1v"));
    assert_broken(f->db, "(I10)");
    key_of(&lost, KEY_XATTR, 12345);
    change_record(f->db, &lost, nx_slice_str("\1a\1v"));
    assert_true(repair(f).losses >= 2);
    drop_mended(f);
    change_record(f->db, &key, NX_SLICE_NULL);
    assert_broken(f->db, "(I10)");
    change_record(f->db, &lost, NX_SLICE_NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(bytes_stay_what_they_were_made),
        BOTH(small_steps_write_no_chunk),
        BOTH(holes_take_no_space),
        BOTH(what_cannot_be_allocated_is_refused),
        BOTH(a_new_name_gets_the_group_of_a_set_group_id_directory),
        cmocka_unit_test_setup_teardown(a_lost_piece_is_noticed_and_mended_to_zeros, store_setup,
                                        store_teardown),
        cmocka_unit_test_setup_teardown(a_piece_within_the_tail_is_noticed, store_setup,
                                        store_teardown),
        cmocka_unit_test_setup_teardown(attributes_without_a_node_or_order_are_noticed_and_dropped,
                                        store_setup, store_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* table_test.c - table files: what was put is found, in both directions, and damage is noticed. */
#include <stdio.h>
#include <stdlib.h>

#include "storage/levels.h"
#include "storage/table.h"
#include "storage/table_inner.h"
#include "tests/support/unit.h"
#include "tests/unit/storage/memory_file.h"

struct fixture {
    struct memory_file file;
    struct cache *cache;
    struct table_writer *writer;
    struct table_props props;
    struct table *table;
};

static const struct table_options small_blocks = {
    .block_bytes = 256, .bloom_bits_per_key = 10, .compression = NX_COMPRESS_LZ4};

static uint64_t cache_bytes = 1 << 20; /* 0: every lookup looks into its block in the file */

static void begin(struct fixture *f, const struct table_options *options)
{
    memory_file_init(&f->file);
    f->table = NULL;
    f->cache = cache_new(cache_bytes);
    assert_non_null(f->cache);
    assert_int_equal(table_writer_new(&f->file.base, 7, options, &f->writer, NULL), NX_OK);
}

static void put_at(struct fixture *f, const char *key, const char *value, uint64_t sequence)
{
    struct entry entry = {nx_slice_str(key), nx_slice_str(value), sequence,
                          *value ? ENTRY_PUT : ENTRY_DELETE};

    assert_int_equal(table_writer_put(f->writer, &entry, NULL), NX_OK);
}

static void finish(struct fixture *f)
{
    struct nx_err err = NX_ERR_INIT;

    assert_int_equal(table_writer_finish(f->writer, &f->props, NULL), NX_OK);
    assert_int_equal(f->props.file_bytes, f->file.bytes.len);
    if (table_open(&f->file.base, 7, f->cache, &f->table, &err) != NX_OK)
        fail_msg("%s", err.message);
    if (table_verify(f->table, &err) != NX_OK)
        fail_msg("%s", err.message);
}

static void end(struct fixture *f)
{
    table_unref(f->table);
    table_writer_free(f->writer);
    cache_free(f->cache);
    memory_file_fini(&f->file);
}

static void assert_slice(struct nx_slice slice, const char *text)
{
    assert_int_equal(slice.len, strlen(text));
    assert_memory_equal(slice.data, text, slice.len);
}

/* The value of `key` as of `sequence`, or "-" for a deletion, NULL when absent. */
static const char *get_at(struct fixture *f, const char *key, uint64_t sequence)
{
    static char value[256];
    struct nx_slice k = nx_slice_str(key);
    struct table_hit hit;
    bool found;

    assert_int_equal(table_get(f->table, k, table_hash(k), sequence, &hit, &found, NULL), NX_OK);
    if (!found)
        return NULL;
    snprintf(value, sizeof value, "%.*s", (int)hit.entry.value.len, hit.entry.value.data);
    if (hit.entry.kind == ENTRY_DELETE)
        snprintf(value, sizeof value, "-");
    table_hit_release(&hit);
    return value;
}

/* --- lookups ---------------------------------------------------------------------------------- */

static void what_was_put_is_found(void **state)
{
    static const enum nx_compression methods[] = {NX_COMPRESS_NONE, NX_COMPRESS_LZ4,
                                                  NX_COMPRESS_LZ4, NX_COMPRESS_ZSTD};

    (void)state;
    for (size_t m = 0; m < 4; m++) {
        struct table_options options = small_blocks;
        struct fixture f;
        char key[32], value[64];

        options.compression = methods[m];
        options.dense = m == 2;
        begin(&f, &options);
        for (unsigned i = 0; i < 2000; i++) {
            snprintf(key, sizeof key, "user%06u", i * 2);
            snprintf(value, sizeof value, "value of %u", i);
            put_at(&f, key, value, i + 1);
        }
        finish(&f);
        assert_int_equal(f.props.entries, 2000);
        assert_int_equal(f.props.min_sequence, 1);
        assert_int_equal(f.props.max_sequence, 2000);
        assert_slice(f.props.smallest, "user000000");
        assert_slice(f.props.largest, "user003998");
        for (unsigned i = 0; i < 2000; i++) {
            snprintf(key, sizeof key, "user%06u", i * 2);
            snprintf(value, sizeof value, "value of %u", i);
            assert_string_equal(get_at(&f, key, SEQUENCE_MAX), value);
            snprintf(key, sizeof key, "user%06u", i * 2 + 1);
            assert_null(get_at(&f, key, SEQUENCE_MAX));
        }
        end(&f);
    }
}

static void a_lookup_of_an_absent_key_mostly_reads_nothing(void **state)
{
    struct fixture f;
    struct cache_stats stats;
    char key[32];

    (void)state;
    begin(&f, &small_blocks);
    for (unsigned i = 0; i < 4000; i++) {
        snprintf(key, sizeof key, "%08u", i * 2);
        put_at(&f, key, "x", 1);
    }
    finish(&f);
    for (unsigned i = 0; i < 4000; i++) {
        snprintf(key, sizeof key, "%08u", i * 2 + 1);
        assert_null(get_at(&f, key, SEQUENCE_MAX));
    }
    cache_get_stats(f.cache, &stats);
    assert_int_equal(stats.filter_checks, 4000);
    assert_true(stats.filter_useful > 3850); /* 10 bits: about 1% pass */
    end(&f);
}

/* Blocks a point read of each of `count` keys finds in the cache after a long scan of them all. */
static uint64_t hits_after_a_scan(unsigned count, size_t value_len)
{
    struct fixture f;
    struct cache_stats before, after;
    struct source *s;
    char key[32], value[1024];

    begin(&f, &small_blocks);
    memset(value, 'v', sizeof value);
    value[value_len] = 0;
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof key, "%08u", i);
        put_at(&f, key, value, 1);
    }
    finish(&f);
    assert_int_equal(table_source(f.table, SEQUENCE_MAX, CACHE_PASS, &s, NULL), NX_OK);
    for (s->ops->first(s); s->valid; s->ops->next(s)) {
    }
    source_close(s);
    cache_get_stats(f.cache, &before);
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof key, "%08u", i);
        assert_non_null(get_at(&f, key, SEQUENCE_MAX));
    }
    cache_get_stats(f.cache, &after);
    end(&f);
    return after.hits - before.hits;
}

static void a_scan_fills_an_empty_cache(void **state)
{
    (void)state;
    assert_int_equal(hits_after_a_scan(500, 1000), 500); /* half of the cache */
}

/* --- reading ---------------------------------------------------------------------------------- */

static void write_numbers(struct fixture *f, unsigned count)
{
    char key[16];

    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof key, "%08u", i);
        put_at(f, key, "a value of some length, to fill a block with", 1);
    }
}

/* Entries that a walk of the whole table shows. */
static unsigned walk(struct fixture *f, enum nx_code *failed, struct nx_err *err)
{
    struct source *s;
    unsigned shown = 0;

    assert_int_equal(table_source(f->table, SEQUENCE_MAX, CACHE_PASS, &s, err), NX_OK);
    for (s->ops->first(s); s->valid; s->ops->next(s))
        shown++;
    *failed = s->failed;
    source_close(s);
    return shown;
}

static void a_walk_reads_many_blocks_at_once(void **state)
{
    struct fixture f;
    enum nx_code failed;

    (void)state;
    cache_bytes = 0;
    begin(&f, &small_blocks);
    write_numbers(&f, 4000);
    finish(&f);
    f.file.reads = 0;
    assert_int_equal(walk(&f, &failed, NULL), 4000);
    assert_int_equal(failed, NX_OK);
    assert_true(f.table->block_count > 500);
    assert_true(f.file.reads < 20);
    end(&f);
    cache_bytes = 1 << 20;
}

static void a_walk_shows_all_that_comes_before_the_damage(void **state)
{
    struct nx_err err = NX_ERR_INIT;
    struct fixture f;
    enum nx_code failed;
    unsigned shown;

    (void)state;
    cache_bytes = 0;
    begin(&f, &small_blocks);
    write_numbers(&f, 1000);
    finish(&f);
    shown = 1000 / f.table->block_count; /* at least as many are in a block */
    f.file.bytes.len = (size_t)f.table->offsets[100] + 5;
    shown = walk(&f, &failed, &err) / shown;
    assert_int_equal(failed, NX_ECORRUPT);
    assert_true(shown >= 100 && shown < 140);
    assert_non_null(strstr(err.message, "the file ends inside it"));
    end(&f);
    cache_bytes = 1 << 20;
}

static void a_lookup_that_keeps_nothing_finds_the_same(void **state)
{
    struct fixture f;
    char key[16];

    (void)state;
    for (int with_cache = 0; with_cache < 2; with_cache++) {
        cache_bytes = with_cache ? 1 << 20 : 0;
        begin(&f, &small_blocks);
        write_numbers(&f, 1000);
        put_at(&f, "gone", "", 3);
        put_at(&f, "new", "newest", 90);
        put_at(&f, "new", "older", 20);
        finish(&f);
        f.file.reads = 0;
        for (unsigned i = 0; i < 1000; i++) {
            snprintf(key, sizeof key, "%08u", i);
            assert_non_null(get_at(&f, key, SEQUENCE_MAX));
        }
        assert_true(with_cache ? f.file.reads < 300 : f.file.reads == 1000);
        assert_string_equal(get_at(&f, "gone", 50), "-");
        assert_string_equal(get_at(&f, "new", 100), "newest");
        assert_string_equal(get_at(&f, "new", 50), "older");
        assert_null(get_at(&f, "new", 10));
        end(&f);
    }
}

static void a_lookup_says_what_is_wrong_with_a_block(void **state)
{
    struct nx_slice key = nx_slice_str("00000000");
    struct nx_err err = NX_ERR_INIT;
    struct table_hit hit;
    struct fixture f;
    bool found;

    (void)state;
    cache_bytes = 0;
    begin(&f, &small_blocks);
    write_numbers(&f, 1000);
    finish(&f);
    f.file.bytes.data[20] ^= 4;
    assert_int_equal(table_get(f.table, key, table_hash(key), 99, &hit, &found, &err), NX_ECORRUPT);
    assert_false(found);
    assert_non_null(strstr(err.message, "000007.table, block at 0"));
    end(&f);
    cache_bytes = 1 << 20;
}

static void versions_that_cross_blocks_are_found_by_their_sequence(void **state)
{
    struct fixture f;
    char value[64];

    (void)state;
    begin(&f, &small_blocks);
    put_at(&f, "a", "first", 5);
    for (unsigned v = 500; v > 0; v--) {
        snprintf(value, sizeof value, "%u", v * 10);
        put_at(&f, "hot", value, v * 10);
    }
    put_at(&f, "z", "", 7);
    finish(&f);
    for (unsigned v = 1; v <= 500; v++) {
        snprintf(value, sizeof value, "%u", v * 10);
        assert_string_equal(get_at(&f, "hot", v * 10), value);
        assert_string_equal(get_at(&f, "hot", v * 10 + 9), value);
    }
    assert_null(get_at(&f, "hot", 9));
    assert_null(get_at(&f, "a", 4));
    assert_string_equal(get_at(&f, "z", 7), "-");
    end(&f);
}

/* --- cursors ---------------------------------------------------------------------------------- */

#define KEYS 400

/* Key i has versions at sequences of its own; some begin late, some have very many. */
static unsigned versions_of(unsigned i)
{
    return i % 37 == 5 ? 60 : i % 5;
}

static void write_versions(struct fixture *f)
{
    char key[32], value[32];

    for (unsigned i = 0; i < KEYS; i++)
        for (unsigned v = versions_of(i); v > 0; v--) {
            snprintf(key, sizeof key, "k%04u", i);
            snprintf(value, sizeof value, "%u.%u", i, v);
            put_at(f, key, value, v * 100 + i % 100);
        }
}

static unsigned visible_version(unsigned i, uint64_t at)
{
    unsigned v = versions_of(i);

    while (v > 0 && v * 100 + i % 100 > at)
        v--;
    return v;
}

static void assert_stands_on(const struct source *s, int i, uint64_t at)
{
    char key[32];

    if (i < 0 || i >= KEYS) {
        assert_false(s->valid);
        return;
    }
    snprintf(key, sizeof key, "k%04d", i);
    assert_true(s->valid);
    assert_slice(s->entry.key, key);
    assert_int_equal(s->entry.sequence, visible_version((unsigned)i, at) * 100 + (unsigned)i % 100);
}

static int after(int i, uint64_t at)
{
    while (i < KEYS && !visible_version((unsigned)i, at))
        i++;
    return i;
}

static int before(int i, uint64_t at)
{
    while (i >= 0 && !visible_version((unsigned)i, at))
        i--;
    return i;
}

static void check_cursor(struct source *s, uint64_t at)
{
    char key[32];
    int i;

    for (s->ops->first(s), i = after(0, at); i < KEYS; i = after(i + 1, at), s->ops->next(s))
        assert_stands_on(s, i, at);
    assert_false(s->valid);
    for (s->ops->last(s), i = before(KEYS - 1, at); i >= 0; i = before(i - 1, at), s->ops->prev(s))
        assert_stands_on(s, i, at);
    assert_false(s->valid);
    for (i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "k%04d", i);
        s->ops->seek(s, nx_slice_str(key));
        assert_stands_on(s, after(i, at), at);
        if (s->valid) {
            s->ops->prev(s);
            assert_stands_on(s, before(i - 1, at), at);
        }
        s->ops->seek_for_prev(s, nx_slice_str(key));
        assert_stands_on(s, before(i, at), at);
        if (s->valid) {
            s->ops->next(s);
            assert_stands_on(s, after(i + 1, at), at);
        }
    }
    s->ops->seek(s, nx_slice_str("a"));
    assert_stands_on(s, after(0, at), at);
    s->ops->seek(s, nx_slice_str("z"));
    assert_false(s->valid);
    s->ops->seek_for_prev(s, nx_slice_str("a"));
    assert_false(s->valid);
    s->ops->seek_for_prev(s, nx_slice_str("z"));
    assert_stands_on(s, before(KEYS - 1, at), at);
}

static void a_cursor_shows_one_visible_version_a_key_both_ways(void **state)
{
    static const uint64_t sequences[] = {0, 100, 150, 230, 330, 2550, SEQUENCE_MAX};
    struct fixture f;

    (void)state;
    begin(&f, &small_blocks);
    write_versions(&f);
    finish(&f);
    for (size_t n = 0; n < sizeof sequences / sizeof sequences[0]; n++) {
        struct level level = {.tables = &f.table, .count = 1};
        struct source *s;

        assert_int_equal(table_source(f.table, sequences[n], CACHE_KEEP, &s, NULL), NX_OK);
        check_cursor(s, sequences[n]);
        source_close(s);
        assert_int_equal(level_source(&level, sequences[n], CACHE_PASS, &s, NULL), NX_OK);
        check_cursor(s, sequences[n]);
        source_close(s);
    }
    end(&f);
}

static void a_cursor_of_all_shows_every_version(void **state)
{
    struct fixture f;
    struct source *s;

    (void)state;
    begin(&f, &small_blocks);
    write_versions(&f);
    finish(&f);
    assert_int_equal(table_source(f.table, SEQUENCE_ALL, CACHE_SKIP, &s, NULL), NX_OK);
    s->ops->first(s);
    for (unsigned i = 0; i < KEYS; i++)
        for (unsigned v = versions_of(i); v > 0; v--, s->ops->next(s)) {
            assert_true(s->valid);
            assert_int_equal(s->entry.sequence, v * 100 + i % 100);
        }
    assert_false(s->valid);
    source_close(s);
    end(&f);
}

/* --- the writer ------------------------------------------------------------------------------- */

static void a_step_back_is_refused(void **state)
{
    struct entry back = {nx_slice_str("a"), NX_SLICE_NULL, 9, ENTRY_DELETE};
    struct entry same = {nx_slice_str("b"), NX_SLICE_NULL, 9, ENTRY_DELETE};
    struct fixture f;

    (void)state;
    begin(&f, &small_blocks);
    put_at(&f, "b", "v", 9);
    assert_int_equal(table_writer_put(f.writer, &back, NULL), NX_EINVAL);
    assert_int_equal(table_writer_put(f.writer, &same, NULL), NX_EINVAL);
    end(&f);
}

static void an_empty_table_is_refused_and_one_of_ranges_alone_is_not(void **state)
{
    struct range_tombstone range = {nx_slice_str("c"), nx_slice_str("f"), 8};
    struct fixture f;

    (void)state;
    begin(&f, &small_blocks);
    assert_int_equal(table_writer_finish(f.writer, &f.props, NULL), NX_EINVAL);
    end(&f);
    begin(&f, &small_blocks);
    assert_int_equal(table_writer_delete_range(f.writer, &range, NULL), NX_OK);
    finish(&f);
    assert_null(get_at(&f, "d", SEQUENCE_MAX));
    assert_int_equal(table_cover(f.table, nx_slice_str("d"), SEQUENCE_MAX), 8);
    assert_int_equal(table_cover(f.table, nx_slice_str("d"), 7), 0);
    assert_int_equal(table_cover(f.table, nx_slice_str("f"), SEQUENCE_MAX), 0);
    assert_true(table_may_hold(f.table, nx_slice_str("e")));
    assert_false(table_may_hold(f.table, nx_slice_str("f")));
    end(&f);
}

static void a_full_disk_is_reported_by_the_writer(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, &small_blocks);
    put_at(&f, "k", "v", 1);
    f.file.fail_write_in = 1;
    assert_int_equal(table_writer_finish(f.writer, &f.props, NULL), NX_ENOSPC);
    end(&f);
}

static void values_larger_than_blocks_and_blocks_larger_than_64_kib_work(void **state)
{
    struct table_options options = {.block_bytes = 200000, .compression = NX_COMPRESS_NONE};
    char *value = malloc(300001), key[16];
    struct fixture f;

    (void)state;
    begin(&f, &options);
    for (unsigned i = 0; i < 40; i++) {
        size_t len = i % 10 == 9 ? 300000 : 9000;

        memset(value, 'a' + (int)i % 26, len);
        value[len] = 0;
        snprintf(key, sizeof key, "%04u", i);
        put_at(&f, key, value, i);
    }
    finish(&f);
    for (unsigned i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "%04u", i);
        assert_int_equal(get_at(&f, key, SEQUENCE_MAX)[0], 'a' + (int)i % 26);
    }
    end(&f);
    free(value);
}

/* --- damage ----------------------------------------------------------------------------------- */

/* True when the damage was noticed, with a message that names the file. */
static bool is_noticed(struct fixture *f)
{
    struct nx_err err = NX_ERR_INIT;
    struct cache *cache = cache_new(0);
    struct table *table;
    enum nx_code rc = table_open(&f->file.base, 7, cache, &table, &err);

    if (rc == NX_OK) {
        rc = table_verify(table, &err);
        table_unref(table);
    }
    cache_free(cache);
    return (rc == NX_ECORRUPT || rc == NX_EVERSION) && strstr(err.message, "000007.table");
}

static void write_damage_sample(struct fixture *f)
{
    struct range_tombstone range = {nx_slice_str("k0100"), nx_slice_str("k0200"), 8};

    begin(f, &small_blocks);
    for (unsigned i = 0; i < 60; i++) {
        char key[32];

        snprintf(key, sizeof key, "k%04u", i * 3);
        put_at(f, key, "some value that repeats, some value that repeats", i);
    }
    assert_int_equal(table_writer_delete_range(f->writer, &range, NULL), NX_OK);
    finish(f);
}

static void damage_to_any_byte_is_noticed(void **state)
{
    struct fixture f;

    (void)state;
    write_damage_sample(&f);
    for (size_t at = 0; at < f.file.bytes.len; at++) {
        uint8_t bit = (uint8_t)(1u << at % 8);

        f.file.bytes.data[at] ^= bit;
        if (!is_noticed(&f))
            fail_msg("byte %zu of %zu", at, f.file.bytes.len);
        f.file.bytes.data[at] ^= bit;
    }
    assert_false(is_noticed(&f));
    end(&f);
}

static void a_file_cut_anywhere_is_noticed(void **state)
{
    struct fixture f;
    size_t whole;

    (void)state;
    write_damage_sample(&f);
    whole = f.file.bytes.len;
    for (size_t len = 0; len < whole; len++) {
        f.file.bytes.len = len;
        if (!is_noticed(&f))
            fail_msg("cut to %zu of %zu", len, whole);
    }
    end(&f);
}

static void a_damaged_block_is_never_returned_by_a_lookup_or_a_cursor(void **state)
{
    struct fixture f;
    struct nx_err err = NX_ERR_INIT;
    struct nx_slice key = nx_slice_str("k0000");
    struct table_hit hit;
    struct source *s;
    bool found;

    (void)state;
    write_damage_sample(&f);
    cache_drop(f.cache, f.table->slots, f.table->block_count);
    f.file.bytes.data[30] ^= 1; /* in the first data block */
    assert_int_equal(table_get(f.table, key, table_hash(key), 99, &hit, &found, &err), NX_ECORRUPT);
    assert_false(found);
    assert_non_null(strstr(err.message, "000007.table, block at 0"));
    assert_int_equal(table_source(f.table, 99, CACHE_KEEP, &s, &err), NX_OK);
    s->ops->first(s);
    assert_false(s->valid);
    assert_int_equal(s->failed, NX_ECORRUPT);
    source_close(s);
    end(&f);
}

/* Let two blocks of one length change their places. */
static void swap_two_blocks(struct fixture *f)
{
    const uint64_t *at = f->table->offsets;
    uint8_t first[4096];

    for (uint32_t i = 0; i < f->table->block_count; i++)
        for (uint32_t j = i + 1; j < f->table->block_count; j++) {
            size_t len = (size_t)(at[i + 1] - at[i]);

            if (at[j + 1] - at[j] != len || len > sizeof first)
                continue;
            memcpy(first, f->file.bytes.data + at[i], len);
            memcpy(f->file.bytes.data + at[i], f->file.bytes.data + at[j], len);
            memcpy(f->file.bytes.data + at[j], first, len);
            return;
        }
    fail_msg("no two blocks of one length");
}

static void a_sound_block_in_anothers_place_is_refused(void **state)
{
    struct table_options options = small_blocks;
    unsigned refused = 0;
    struct fixture f;
    char text[32];

    (void)state;
    options.compression = NX_COMPRESS_NONE;
    begin(&f, &options);
    for (unsigned i = 0; i < 900; i++) {
        snprintf(text, sizeof text, "k%04u", i);
        put_at(&f, text, "a value like every other one", 1);
    }
    finish(&f);
    swap_two_blocks(&f);
    cache_drop(f.cache, f.table->slots, f.table->block_count);
    for (unsigned i = 0; i < 900; i++) {
        struct nx_slice key = nx_slice_str(text);
        struct table_hit hit;
        enum nx_code rc;
        bool found;

        snprintf(text, sizeof text, "k%04u", i);
        rc = table_get(f.table, key, table_hash(key), 99, &hit, &found, NULL);
        refused += rc == NX_ECORRUPT;
        if (rc == NX_OK && !found)
            fail_msg("'%s' is said to be absent", text);
        if (rc == NX_OK)
            table_hit_release(&hit);
    }
    assert_true(refused > 0);
    end(&f);
}

static void a_table_under_another_number_is_refused(void **state)
{
    struct fixture f;
    struct table *table;

    (void)state;
    write_damage_sample(&f);
    assert_int_equal(table_open(&f.file.base, 8, f.cache, &table, NULL), NX_ECORRUPT);
    assert_null(table);
    end(&f);
}

static void a_name_gives_its_number_back(void **state)
{
    char name[TABLE_NAME_BYTES];
    uint64_t number;

    (void)state;
    table_name(42, name);
    assert_string_equal(name, "000042.table");
    assert_true(table_name_parse(name, &number));
    assert_int_equal(number, 42);
    assert_false(table_name_parse("42.table", &number));
    assert_false(table_name_parse("000042.tabl", &number));
    assert_false(table_name_parse(".table", &number));
    assert_false(table_name_parse("0000000000000000000000042.table", &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found),
        cmocka_unit_test(a_lookup_of_an_absent_key_mostly_reads_nothing),
        cmocka_unit_test(a_scan_fills_an_empty_cache),
        cmocka_unit_test(a_walk_reads_many_blocks_at_once),
        cmocka_unit_test(a_walk_shows_all_that_comes_before_the_damage),
        cmocka_unit_test(a_lookup_that_keeps_nothing_finds_the_same),
        cmocka_unit_test(a_lookup_says_what_is_wrong_with_a_block),
        cmocka_unit_test(versions_that_cross_blocks_are_found_by_their_sequence),
        cmocka_unit_test(a_cursor_shows_one_visible_version_a_key_both_ways),
        cmocka_unit_test(a_cursor_of_all_shows_every_version),
        cmocka_unit_test(a_step_back_is_refused),
        cmocka_unit_test(an_empty_table_is_refused_and_one_of_ranges_alone_is_not),
        cmocka_unit_test(a_full_disk_is_reported_by_the_writer),
        cmocka_unit_test(values_larger_than_blocks_and_blocks_larger_than_64_kib_work),
        cmocka_unit_test(damage_to_any_byte_is_noticed),
        cmocka_unit_test(a_file_cut_anywhere_is_noticed),
        cmocka_unit_test(a_damaged_block_is_never_returned_by_a_lookup_or_a_cursor),
        cmocka_unit_test(a_sound_block_in_anothers_place_is_refused),
        cmocka_unit_test(a_table_under_another_number_is_refused),
        cmocka_unit_test(a_name_gives_its_number_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

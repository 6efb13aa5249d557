/* memtable_test.c - the B+tree, version chains, cursors and deleted ranges of a memtable. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "storage/memtable.h"
#include "storage/range_tombstones.h"
#include "tests/support/unit.h"

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void put(struct memtable *m, const char *key, const char *value, uint64_t sequence)
{
    struct entry change = {nx_slice_str(key), nx_slice_str(value), sequence, ENTRY_PUT};

    assert_int_equal(memtable_apply(m, &change, NULL), NX_OK);
}

static void delete_range(struct memtable *m, const char *begin, const char *end, uint64_t sequence)
{
    struct range_tombstone range = {nx_slice_str(begin), nx_slice_str(end), sequence};

    assert_int_equal(memtable_delete_range(m, &range, NULL), NX_OK);
}

static void assert_slice(struct nx_slice slice, const char *text)
{
    assert_int_equal(slice.len, strlen(text));
    assert_memory_equal(slice.data, text, slice.len);
}

static void each_reader_sees_the_version_of_its_sequence(void **state)
{
    struct memtable *m = memtable_new(1 << 16);
    struct entry found;

    (void)state;
    put(m, "k", "one", 10);
    put(m, "k", "two", 20);
    assert_false(memtable_get(m, nx_slice_str("k"), 9, &found));
    assert_true(memtable_get(m, nx_slice_str("k"), 10, &found));
    assert_slice(found.value, "one");
    assert_true(memtable_get(m, nx_slice_str("k"), 19, &found));
    assert_slice(found.value, "one");
    assert_true(memtable_get(m, nx_slice_str("k"), 25, &found));
    assert_slice(found.value, "two");
    assert_int_equal(memtable_min_sequence(m), 10);
    assert_int_equal(memtable_max_sequence(m), 20);
    memtable_unref(m);
}

static void an_empty_memtable_has_nothing_in_any_direction(void **state)
{
    struct memtable *m = memtable_new(0);
    struct source *s;
    struct entry found;

    (void)state;
    assert_true(memtable_is_empty(m));
    assert_false(memtable_get(m, nx_slice_str("k"), SEQUENCE_MAX, &found));
    assert_int_equal(memtable_source(m, SEQUENCE_MAX, &s, NULL), NX_OK);
    s->ops->first(s);
    assert_false(s->valid);
    s->ops->last(s);
    assert_false(s->valid);
    s->ops->seek(s, nx_slice_str("a"));
    assert_false(s->valid);
    s->ops->seek_for_prev(s, nx_slice_str("a"));
    assert_false(s->valid);
    source_close(s);
    memtable_unref(m);
}

static void a_key_that_is_a_prefix_sorts_before_what_it_begins(void **state)
{
    static const char *const keys[] = {"a", "ab", "abc", "abcdefgh", "abcdefghi", "b"};
    struct memtable *m = memtable_new(0);
    struct entry zero = {nx_slice("a\0", 2), nx_slice_str("z"), 50, ENTRY_PUT};
    struct source *s;

    (void)state;
    for (size_t i = 6; i-- > 0;)
        put(m, keys[i], keys[i], i + 1);
    assert_int_equal(memtable_apply(m, &zero, NULL), NX_OK);
    assert_int_equal(memtable_source(m, SEQUENCE_MAX, &s, NULL), NX_OK);
    s->ops->first(s);
    assert_slice(s->entry.key, "a");
    s->ops->next(s);
    assert_int_equal(s->entry.key.len, 2);
    assert_slice(s->entry.value, "z");
    for (size_t i = 1; i < 6; i++) {
        s->ops->next(s);
        assert_true(s->valid);
        assert_slice(s->entry.key, keys[i]);
    }
    s->ops->next(s);
    assert_false(s->valid);
    source_close(s);
    memtable_unref(m);
}

/* --- against a sorted array ------------------------------------------------------------------- */

#define MODEL_KEYS 3000

struct model {
    char key[MODEL_KEYS][48];
    uint64_t sequence[MODEL_KEYS]; /* newest; 0: absent */
};

static int compare_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Keys of many shapes: long shared prefixes (past the inline prefix too), short ones, numbers. */
static void make_keys(struct model *model, uint64_t *seed)
{
    static const char *const shapes[] = {
        "%06u", "users/%u", "a-prefix-longer-than-thirty-two-bytes/%05u", "%x", "z%uzzzzzzzz"};

    for (unsigned i = 0; i < MODEL_KEYS; i++) {
        const char *shape = shapes[next_random(seed) % 5];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(model->key[i], sizeof model->key[i], shape, i);
#pragma GCC diagnostic pop
    }
    qsort(model->key, MODEL_KEYS, sizeof model->key[0], compare_text);
}

static void check_walks(struct memtable *m, const struct model *model, uint64_t at)
{
    struct source *s;

    assert_int_equal(memtable_source(m, at, &s, NULL), NX_OK);
    s->ops->first(s);
    for (int i = 0; i < MODEL_KEYS; i++) {
        if (!model->sequence[i])
            continue;
        assert_true(s->valid);
        assert_slice(s->entry.key, model->key[i]);
        assert_int_equal(s->entry.sequence, model->sequence[i]);
        s->ops->next(s);
    }
    assert_false(s->valid);
    s->ops->last(s);
    for (int i = MODEL_KEYS; i-- > 0;) {
        if (!model->sequence[i])
            continue;
        assert_true(s->valid);
        assert_slice(s->entry.key, model->key[i]);
        s->ops->prev(s);
    }
    assert_false(s->valid);
    source_close(s);
}

static void check_seeks(struct memtable *m, const struct model *model, uint64_t at, uint64_t *seed)
{
    struct source *s;

    assert_int_equal(memtable_source(m, at, &s, NULL), NX_OK);
    for (int n = 0; n < 500; n++) {
        int i = (int)(next_random(seed) % MODEL_KEYS), below = i, above = i;
        struct nx_slice key = nx_slice_str(model->key[i]);

        while (above < MODEL_KEYS && !model->sequence[above])
            above++;
        while (below >= 0 && !model->sequence[below])
            below--;
        s->ops->seek(s, key);
        assert_int_equal(s->valid, above < MODEL_KEYS);
        if (s->valid)
            assert_slice(s->entry.key, model->key[above]);
        s->ops->seek_for_prev(s, key);
        assert_int_equal(s->valid, below >= 0);
        if (s->valid)
            assert_slice(s->entry.key, model->key[below]);
    }
    source_close(s);
}

static void it_agrees_with_a_sorted_array(void **state)
{
    struct model *model = calloc(1, sizeof *model), *old = calloc(1, sizeof *old);
    struct memtable *m = memtable_new(1 << 20);
    uint64_t seed = 88172645463325252u, sequence = 0, old_at = 0;

    (void)state;
    make_keys(model, &seed);
    for (int round = 0; round < 20; round++) {
        for (int n = 0; n < 700; n++) {
            int i = (int)(next_random(&seed) % MODEL_KEYS);

            put(m, model->key[i], model->key[i], ++sequence);
            model->sequence[i] = sequence;
        }
        if (round == 5) {
            *old = *model;
            old_at = sequence;
        }
        check_seeks(m, model, sequence, &seed);
    }
    check_walks(m, model, sequence);
    check_walks(m, old, old_at);
    check_seeks(m, old, old_at, &seed);
    memtable_unref(m);
    free(model);
    free(old);
}

static void keys_in_order_and_in_reverse_are_all_there(void **state)
{
    (void)state;
    for (int down = 0; down < 2; down++) {
        struct memtable *m = memtable_new(1 << 24);
        struct source *s;
        char key[16];

        for (int i = 0; i < 20000; i++) {
            snprintf(key, sizeof key, "k%08d", down ? 19999 - i : i);
            put(m, key, "v", (uint64_t)i + 1);
        }
        assert_int_equal(memtable_source(m, SEQUENCE_MAX, &s, NULL), NX_OK);
        s->ops->first(s);
        for (int i = 0; i < 20000; i++) {
            snprintf(key, sizeof key, "k%08d", i);
            assert_true(s->valid);
            assert_slice(s->entry.key, key);
            s->ops->next(s);
        }
        assert_false(s->valid);
        source_close(s);
        memtable_unref(m);
    }
}

static void a_source_of_all_shows_every_version_newest_first(void **state)
{
    struct memtable *m = memtable_new(0);
    struct source *s;

    (void)state;
    for (uint64_t i = 1; i <= 9; i++)
        put(m, i % 3 == 0 ? "b" : "a", "v", i);
    assert_int_equal(memtable_source(m, SEQUENCE_ALL, &s, NULL), NX_OK);
    s->ops->first(s);
    for (uint64_t i = 9; i >= 1; i--)
        if (i % 3 != 0) {
            assert_slice(s->entry.key, "a");
            assert_int_equal(s->entry.sequence, i);
            s->ops->next(s);
        }
    assert_slice(s->entry.key, "b");
    assert_int_equal(s->entry.sequence, 9);
    source_close(s);
    memtable_unref(m);
}

/* --- ranges ----------------------------------------------------------------------------------- */

static void ranges_cover_by_key_and_sequence(void **state)
{
    struct memtable *m = memtable_new(0);

    (void)state;
    delete_range(m, "b", "f", 10);
    delete_range(m, "d", "h", 20);
    delete_range(m, "c", "c", 30);
    assert_int_equal(memtable_cover(m, nx_slice_str("a"), 99), 0);
    assert_int_equal(memtable_cover(m, nx_slice_str("b"), 99), 10);
    assert_int_equal(memtable_cover(m, nx_slice_str("d"), 99), 20);
    assert_int_equal(memtable_cover(m, nx_slice_str("d"), 19), 10);
    assert_int_equal(memtable_cover(m, nx_slice_str("g"), 19), 0);
    assert_int_equal(memtable_cover(m, nx_slice_str("h"), 99), 0);
    memtable_unref(m);
}

static void many_ranges_agree_with_a_list(void **state)
{
    enum { RANGES = 300 };
    struct range_tombstone list[RANGES];
    static char names[RANGES][2][8];
    struct memtable *m = memtable_new(0);
    uint64_t seed = 123456789;

    (void)state;
    for (int i = 0; i < RANGES; i++) {
        for (int e = 0; e < 2; e++)
            snprintf(names[i][e], sizeof names[i][e], "%03u",
                     (unsigned)(next_random(&seed) % 1000));
        list[i] = (struct range_tombstone){nx_slice_str(names[i][0]), nx_slice_str(names[i][1]),
                                           (uint64_t)i + 1};
        assert_int_equal(memtable_delete_range(m, &list[i], NULL), NX_OK);
    }
    for (int n = 0; n < 3000; n++) {
        uint64_t at = next_random(&seed) % (RANGES + 1), expect = 0;
        char key[8];

        snprintf(key, sizeof key, "%03u", (unsigned)(next_random(&seed) % 1000));
        for (int i = 0; i < RANGES && list[i].sequence <= at; i++)
            if (strcmp(names[i][0], key) <= 0 && strcmp(key, names[i][1]) < 0)
                expect = list[i].sequence;
        assert_int_equal(memtable_cover(m, nx_slice_str(key), at), expect);
    }
    memtable_unref(m);
}

/* --- one writer, many readers ----------------------------------------------------------------- */

#define SHARED_KEYS 4000

struct shared {
    struct memtable *memtable;
    _Atomic uint64_t published;
    _Atomic bool done;
};

/* Round r writes every key with the value r: so at a published sequence any two neighbours differ
 * by at most one round, and each key's sequence is known exactly. */
static void *read_along(void *arg)
{
    struct shared *shared = arg;
    uint64_t seed = 77 + (uintptr_t)&seed, mistakes = 0;

    while (!atomic_load(&shared->done)) {
        uint64_t at = atomic_load(&shared->published), i, expect;
        struct entry found;
        struct source *s;
        char key[16];

        i = next_random(&seed) % SHARED_KEYS;
        snprintf(key, sizeof key, "key%06u", (unsigned)(i * 7919 % SHARED_KEYS));
        expect = at > i ? (at - 1 - i) / SHARED_KEYS * SHARED_KEYS + i + 1 : 0;
        if (memtable_get(shared->memtable, nx_slice_str(key), at, &found) != (expect != 0))
            mistakes++;
        else if (expect && found.sequence != expect)
            mistakes++;
        if (memtable_source(shared->memtable, at, &s, NULL) != NX_OK)
            break;
        i = 0;
        for (s->ops->first(s); s->valid; s->ops->next(s))
            i++;
        mistakes += i != (at < SHARED_KEYS ? at : SHARED_KEYS);
        for (s->ops->last(s); s->valid; s->ops->prev(s))
            i--;
        mistakes += i != 0;
        source_close(s);
    }
    return (void *)(uintptr_t)mistakes;
}

static void readers_see_exactly_what_was_published_while_the_writer_goes_on(void **state)
{
    struct shared shared = {.memtable = memtable_new(1 << 20)};
    pthread_t reader[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&reader[i], NULL, read_along, &shared), 0);
    for (uint64_t n = 0; n < 8 * SHARED_KEYS; n++) {
        char key[16];

        snprintf(key, sizeof key, "key%06u", (unsigned)(n % SHARED_KEYS * 7919 % SHARED_KEYS));
        put(shared.memtable, key, key, n + 1);
        atomic_store(&shared.published, n + 1);
    }
    atomic_store(&shared.done, true);
    for (int i = 0; i < 2; i++) {
        void *mistakes;

        pthread_join(reader[i], &mistakes);
        assert_null(mistakes);
    }
    memtable_unref(shared.memtable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reader_sees_the_version_of_its_sequence),
        cmocka_unit_test(an_empty_memtable_has_nothing_in_any_direction),
        cmocka_unit_test(a_key_that_is_a_prefix_sorts_before_what_it_begins),
        cmocka_unit_test(it_agrees_with_a_sorted_array),
        cmocka_unit_test(keys_in_order_and_in_reverse_are_all_there),
        cmocka_unit_test(a_source_of_all_shows_every_version_newest_first),
        cmocka_unit_test(ranges_cover_by_key_and_sequence),
        cmocka_unit_test(many_ranges_agree_with_a_list),
        cmocka_unit_test(readers_see_exactly_what_was_published_while_the_writer_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

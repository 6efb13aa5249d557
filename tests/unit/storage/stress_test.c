/*
 * stress_test.c - writers, readers, snapshots and flushes at once. Each writer counts up in two
 * keys of one batch, so a reader must always find them equal, and never lower than it has seen.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/storage/engine_fixture.h"

enum { WRITERS = 3, READERS = 2, COMMITS = 400 };

struct stress {
    struct nx_engine *engine;
    atomic_int writers_left;
    atomic_int faults;
};

struct actor {
    struct stress *stress;
    int number;
    pthread_t thread;
};

static void *write_counts(void *arg)
{
    struct actor *self = arg;
    struct nx_batch *batch;
    char a[16], b[16], value[400];

    snprintf(a, sizeof a, "a%d", self->number);
    snprintf(b, sizeof b, "b%d", self->number);
    memset(value, '.', sizeof value);
    if (nx_batch_new(&batch) != NX_OK)
        return NULL;
    for (int n = 1; n <= COMMITS; n++) {
        snprintf(value, sizeof value, "%d", n);
        nx_batch_clear(batch);
        nx_batch_put(batch, nx_slice_str(a), nx_slice(value, sizeof value));
        nx_batch_delete(batch, nx_slice_str(b));
        nx_batch_put(batch, nx_slice_str(b), nx_slice(value, sizeof value));
        if (nx_engine_commit(self->stress->engine, batch, n % 50 ? NX_BUFFERED : NX_SYNC, NULL))
            atomic_fetch_add(&self->stress->faults, 1);
        if (n % 150 == 0 && nx_engine_flush(self->stress->engine, NULL))
            atomic_fetch_add(&self->stress->faults, 1);
    }
    nx_batch_free(batch);
    atomic_fetch_sub(&self->stress->writers_left, 1);
    return NULL;
}

static int read_count(struct nx_engine *engine, const struct nx_snapshot *snapshot, char letter,
                      int number, struct nx_buf *out)
{
    char key[16];

    snprintf(key, sizeof key, "%c%d", letter, number);
    if (nx_engine_get(engine, snapshot, nx_slice_str(key), out, NULL) != NX_OK)
        return 0;
    return atoi((char *)out->data);
}

static void *check_counts(void *arg)
{
    struct actor *self = arg;
    struct stress *stress = self->stress;
    struct nx_buf out = NX_BUF_INIT;
    int seen[WRITERS] = {0};

    while (atomic_load(&stress->writers_left) > 0) {
        struct nx_snapshot *snapshot = nx_snapshot_take(stress->engine);

        for (int w = 0; w < WRITERS; w++) {
            int a = read_count(stress->engine, snapshot, 'a', w, &out);
            int b = read_count(stress->engine, snapshot, 'b', w, &out);
            int now = read_count(stress->engine, NULL, 'a', w, &out);

            if (a != b || a < seen[w] || now < a)
                atomic_fetch_add(&stress->faults, 1);
            seen[w] = a;
        }
        nx_snapshot_release(snapshot);
    }
    nx_buf_fini(&out);
    return NULL;
}

static void readers_see_whole_batches_and_never_go_back(void **state)
{
    struct engine_fixture *f = *state;
    struct stress stress = {0};
    struct actor actors[WRITERS + READERS];

    engine_open(f);
    stress.engine = f->engine;
    atomic_store(&stress.writers_left, WRITERS);
    for (int i = 0; i < WRITERS + READERS; i++) {
        actors[i] = (struct actor){.stress = &stress, .number = i};
        assert_int_equal(pthread_create(&actors[i].thread, NULL,
                                        i < WRITERS ? write_counts : check_counts, &actors[i]),
                         0);
    }
    for (int i = 0; i < WRITERS + READERS; i++)
        pthread_join(actors[i].thread, NULL);
    assert_int_equal(atomic_load(&stress.faults), 0);
    engine_reopen(f);
    for (int w = 0; w < WRITERS; w++)
        assert_int_equal(read_count(f->engine, NULL, 'b', w, &f->value), COMMITS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {ON_ALL(readers_see_whole_batches_and_never_go_back)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

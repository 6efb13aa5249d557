/*
 * kill_test.c - kill -9 of a process that writes, with the ledger in another one.
 *
 * The writer is this program again, with a directory as its argument. It commits numbered batches
 * and tells each number, and how it was acknowledged, through a pipe. The parent kills it at a
 * moment of its own choice and opens the directory: the state must be the one behind some batch
 * that is not before the last that was told. A kill takes nothing that was acknowledged, so
 * buffered commits count as well as synced ones. One directory goes through all the kills of a run.
 *
 * NEXADB_TEST_SCALE multiplies the kills: 10 in CI, 100 in the full run.
 */
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/storage/engine_fixture.h"
#include "tests/unit/storage/test_scale.h"

enum { KILLS = 10, KEYS = 40, LEAST_ACKNOWLEDGED = 20 };

/* What batch n changes follows from n alone, so that the parent knows it without being told. */
static unsigned hash(unsigned n)
{
    return (n * 2654435761u) >> 8;
}

static int key_of(unsigned n)
{
    return (int)(hash(n) % KEYS);
}

static bool is_deletion(unsigned n)
{
    return n % 7 == 0;
}

static void name_key(int key, char out[16])
{
    snprintf(out, 16, "key%02d", key);
}

static size_t value_of(unsigned n, char out[3000])
{
    size_t len = 16 + hash(n) % 2900;

    memset(out, 'a' + (int)(n % 26), len);
    snprintf(out, 16, "%u", n);
    return len;
}

static void small_options(struct nx_engine_options *options)
{
    nx_engine_options_init(options);
    options->memtable_bytes = 64 << 10;
    options->wal_segment_bytes = 64 << 10;
    options->wal_ring_bytes = 16 << 10;
    options->table_bytes = 64 << 10;
    options->sync_interval_ms = 10;
}

/* --- the writer ------------------------------------------------------------------------------- */

static enum nx_code write_batch(struct nx_engine *engine, struct nx_batch *batch, unsigned n)
{
    char key[16], number[16], value[3000];

    nx_batch_clear(batch);
    name_key(key_of(n), key);
    snprintf(number, sizeof number, "%u", n);
    if (is_deletion(n))
        nx_batch_delete(batch, nx_slice_str(key));
    else
        nx_batch_put(batch, nx_slice_str(key), nx_slice(value, value_of(n, value)));
    nx_batch_put(batch, nx_slice_str("last"), nx_slice_str(number));
    return nx_engine_commit(engine, batch, n % 16 == 0 ? NX_SYNC : NX_BUFFERED, NULL);
}

static enum nx_code write_run(struct nx_engine *engine, unsigned n)
{
    char key[16], number[16], value[3000];
    struct nx_run *run;
    enum nx_code rc = nx_run_new(engine, &run, NULL);

    if (rc != NX_OK)
        return rc;
    name_key(key_of(n), key);
    snprintf(number, sizeof number, "%u", n);
    rc = nx_run_put(run, nx_slice_str(key), nx_slice(value, value_of(n, value)), NULL);
    if (rc == NX_OK)
        rc = nx_run_put(run, nx_slice_str("last"), nx_slice_str(number), NULL);
    if (rc == NX_OK)
        rc = nx_run_ingest(run, NULL);
    nx_run_free(run);
    return rc;
}

static unsigned last_batch(struct nx_engine *engine, struct nx_buf *value)
{
    if (nx_engine_get(engine, NULL, nx_slice_str("last"), value, NULL) != NX_OK)
        return 0;
    nx_buf_append_byte(value, 0);
    return (unsigned)strtoul((char *)value->data, NULL, 10);
}

/* Until it is killed. Any failure ends it, which the parent takes for one. */
static int write_for_ever(const char *dir)
{
    struct nx_buf value = NX_BUF_INIT;
    struct nx_engine_options options;
    struct nx_engine *engine;
    struct nx_batch *batch;
    unsigned n;

    small_options(&options);
    if (nx_engine_open(dir, &options, &engine, NULL) != NX_OK || nx_batch_new(&batch) != NX_OK)
        return 1;
    n = last_batch(engine, &value);
    for (;;) {
        bool is_run = ++n % 97 == 1 && !is_deletion(n);

        if ((is_run ? write_run(engine, n) : write_batch(engine, batch, n)) != NX_OK ||
            write(STDOUT_FILENO, &n, sizeof n) != sizeof n)
            return 1;
        if (n % 501 == 0 && nx_engine_compact(engine, NX_SLICE_NULL, NX_SLICE_NULL, NULL) != NX_OK)
            return 1;
    }
}

/* --- the parent ------------------------------------------------------------------------------- */

static pid_t start_writer(const char *dir, int *out)
{
    char *const arguments[] = {"kill_test", (char *)(uintptr_t)dir, NULL};
    extern char **environ;
    posix_spawn_file_actions_t actions;
    int ends[2];
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    *out = ends[0];
    return pid;
}

/* The last number that was told; the pipe's end is the writer's. */
static unsigned read_ledger(int pipe_end, pid_t pid, unsigned from, unsigned linger_ms)
{
    unsigned told = from, n;
    bool is_killed = false;

    while (read(pipe_end, &n, sizeof n) == sizeof n) {
        assert_int_equal(n, told + 1);
        told = n;
        if (told < from + LEAST_ACKNOWLEDGED || is_killed)
            continue;
        poll(NULL, 0, (int)linger_ms); /* it goes on until the pipe is full */
        assert_int_equal(kill(pid, SIGKILL), 0);
        is_killed = true;
    }
    close(pipe_end);
    return told;
}

static void check_key(struct nx_engine *engine, int key, unsigned by, struct nx_buf *found)
{
    char name[16], value[3000];
    enum nx_code rc;

    name_key(key, name);
    rc = nx_engine_get(engine, NULL, nx_slice_str(name), found, NULL);
    if (by == 0 || (is_deletion(by))) {
        assert_int_equal(rc, NX_ENOTFOUND);
        return;
    }
    assert_int_equal(rc, NX_OK);
    assert_int_equal(found->len, value_of(by, value));
    assert_memory_equal(found->data, value, found->len);
}

/* The state behind one batch; its number. */
static unsigned check_state(const char *dir)
{
    struct nx_buf value NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    unsigned by[KEYS] = {0}, last;
    struct nx_engine_options options;
    struct nx_engine *engine;

    small_options(&options);
    if (nx_engine_open(dir, &options, &engine, &err) != NX_OK)
        fail_msg("open: %s", err.message);
    last = last_batch(engine, &value);
    for (unsigned n = 1; n <= last; n++)
        by[key_of(n)] = n;
    for (int key = 0; key < KEYS; key++)
        check_key(engine, key, by[key], &value);
    assert_int_equal(nx_engine_close(engine, &err), NX_OK);
    return last;
}

static void kill_9_takes_nothing_that_was_acknowledged(void **state)
{
    struct engine_fixture *f = *state;
    unsigned last = 0, kills = (unsigned)test_count(KILLS);

    kills = kills ? kills : 1;
    for (unsigned i = 0; i < kills; i++) {
        int pipe_end, status;
        pid_t pid = start_writer(f->dir, &pipe_end);
        unsigned told = read_ledger(pipe_end, pid, last, hash(i) % 40);

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        last = check_state(f->dir);
        if (last < told || last > told + 1) /* one may have been on its way */
            fail_msg("kill %u: batch %u is the last, %u was acknowledged", i, last, told);
    }
    print_message("%u kills, %u batches\n", kills, last);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kill_9_takes_nothing_that_was_acknowledged,
                                        engine_set_up_posix, engine_tear_down),
    };

    if (argc == 2)
        return write_for_ever(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* engine_fixture.c - opening, killing and asking a small engine. */
#include "tests/unit/storage/engine_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct engine_fixture *fixture_new(void)
{
    struct engine_fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    nx_engine_options_init(&f->options);
    f->options.memtable_bytes = 64 << 10;
    f->options.wal_segment_bytes = 64 << 10;
    f->options.wal_ring_bytes = 16 << 10;
    f->options.table_bytes = 64 << 10;
    f->options.block_bytes = 1 << 10;
    f->options.cache_bytes = 256 << 10;
    f->options.sync_interval_ms = 60000; /* a test says itself when something is synced */
    assert_int_equal(nx_batch_new(&f->batch), NX_OK);
    return f;
}

int engine_set_up_posix(void **state)
{
    struct engine_fixture *f = fixture_new();

    strcpy(f->dir, "/tmp/nx-engine-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->io = nx_io_posix();
    f->options.io = f->io;
    *state = f;
    return 0;
}

int engine_set_up_sim(void **state)
{
    struct engine_fixture *f = fixture_new();

    strcpy(f->dir, "/db");
    f->sim = io_sim_new(1);
    f->io = io_sim_io(f->sim);
    f->options.io = f->io;
    *state = f;
    return 0;
}

static void add_fault(struct engine_fixture *f)
{
    f->fault = io_fault_new(io_sim_io(f->sim));
    io_fault_on_lost_sync(f->fault, io_sim_lose_dirty);
    f->io = io_fault_io(f->fault);
    f->options.io = f->io;
}

int engine_set_up_fault(void **state)
{
    engine_set_up_sim(state);
    add_fault(*state);
    return 0;
}

static void remove_one(void *arg, const char *name)
{
    unlink(engine_path(arg, name));
}

int engine_tear_down(void **state)
{
    struct engine_fixture *f = *state;

    nx_engine_close(f->engine, NULL);
    if (!f->sim) {
        f->io->ops->list(f->io, f->dir, remove_one, f, NULL);
        rmdir(f->dir);
    }
    io_fault_free(f->fault);
    io_sim_free(f->sim);
    nx_batch_free(f->batch);
    nx_buf_fini(&f->value);
    free(f);
    return 0;
}

enum nx_code engine_open_code(struct engine_fixture *f, struct nx_err *err)
{
    return nx_engine_open(f->dir, &f->options, &f->engine, err);
}

void engine_open(struct engine_fixture *f)
{
    struct nx_err err = NX_ERR_INIT;

    if (engine_open_code(f, &err) != NX_OK)
        fail_msg("open: %s", err.message);
}

void engine_close(struct engine_fixture *f)
{
    struct nx_err err = NX_ERR_INIT;

    if (nx_engine_close(f->engine, &err) != NX_OK)
        fail_msg("close: %s", err.message);
    f->engine = NULL;
}

void engine_reopen(struct engine_fixture *f)
{
    engine_close(f);
    engine_open(f);
}

/* The old engine still closes in peace, on the disk that nobody looks at any more. */
void engine_adopt(struct engine_fixture *f, struct io_sim *sim)
{
    assert_non_null(sim);
    nx_engine_close(f->engine, NULL);
    f->engine = NULL;
    if (f->fault) {
        io_fault_free(f->fault);
        io_sim_free(f->sim);
        f->sim = sim;
        add_fault(f);
        return;
    }
    io_sim_free(f->sim);
    f->sim = sim;
    f->io = io_sim_io(sim);
    f->options.io = f->io;
}

void engine_kill(struct engine_fixture *f)
{
    engine_adopt(f, io_sim_kill(f->sim));
}

void engine_power_loss(struct engine_fixture *f, uint64_t seed)
{
    engine_adopt(f, io_sim_crash(f->sim, seed));
}

static void commit(struct engine_fixture *f)
{
    struct nx_err err = NX_ERR_INIT;

    if (nx_engine_commit(f->engine, f->batch, NX_BUFFERED, &err) != NX_OK)
        fail_msg("commit: %s", err.message);
}

enum nx_code engine_put_code(struct engine_fixture *f, const char *key, const char *value,
                             enum nx_durability durability, struct nx_err *err)
{
    nx_batch_clear(f->batch);
    assert_int_equal(nx_batch_put(f->batch, nx_slice_str(key), nx_slice_str(value)), NX_OK);
    return nx_engine_commit(f->engine, f->batch, durability, err);
}

void engine_put(struct engine_fixture *f, const char *key, const char *value)
{
    nx_batch_clear(f->batch);
    assert_int_equal(nx_batch_put(f->batch, nx_slice_str(key), nx_slice_str(value)), NX_OK);
    commit(f);
}

void engine_delete(struct engine_fixture *f, const char *key)
{
    nx_batch_clear(f->batch);
    assert_int_equal(nx_batch_delete(f->batch, nx_slice_str(key)), NX_OK);
    commit(f);
}

void engine_delete_range(struct engine_fixture *f, const char *begin, const char *end)
{
    nx_batch_clear(f->batch);
    assert_int_equal(nx_batch_delete_range(f->batch, nx_slice_str(begin), nx_slice_str(end)),
                     NX_OK);
    commit(f);
}

void engine_flush(struct engine_fixture *f)
{
    struct nx_err err = NX_ERR_INIT;

    if (nx_engine_flush(f->engine, &err) != NX_OK)
        fail_msg("flush: %s", err.message);
}

void assert_value(struct engine_fixture *f, const struct nx_snapshot *snapshot, const char *key,
                  const char *value)
{
    struct nx_err err = NX_ERR_INIT;
    enum nx_code rc = nx_engine_get(f->engine, snapshot, nx_slice_str(key), &f->value, &err);

    if (rc != NX_OK && rc != NX_ENOTFOUND)
        fail_msg("get '%s': %s", key, err.message);
    if ((rc == NX_OK) != (value != NULL))
        fail_msg("'%s' is %s", key, rc == NX_OK ? "there" : "absent");
    if (value && (f->value.len != strlen(value) || memcmp(f->value.data, value, f->value.len)))
        fail_msg("'%s' is '%.*s' instead of '%s'", key, (int)f->value.len, (char *)f->value.data,
                 value);
}

static void append_key(struct nx_iter *iter, struct nx_buf *out, bool in_front)
{
    struct nx_slice key = nx_iter_key(iter);
    size_t old = out->len;

    assert_int_equal(nx_buf_append(out, key.data, key.len), NX_OK);
    assert_int_equal(nx_buf_append_byte(out, ' '), NX_OK);
    if (in_front) {
        memmove(out->data + key.len + 1, out->data, old);
        memcpy(out->data, key.data, key.len);
        out->data[key.len] = ' ';
    }
}

void assert_keys(struct engine_fixture *f, const struct nx_snapshot *snapshot, const char *expected)
{
    struct nx_buf forwards NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_buf backwards NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_range range = {.snapshot = snapshot};
    struct nx_iter *iter;

    assert_int_equal(nx_iter_open(f->engine, &range, &iter, NULL), NX_OK);
    for (bool ok = nx_iter_first(iter); ok; ok = nx_iter_next(iter))
        append_key(iter, &forwards, false);
    for (bool ok = nx_iter_last(iter); ok; ok = nx_iter_prev(iter))
        append_key(iter, &backwards, true);
    assert_int_equal(nx_iter_status(iter, NULL), NX_OK);
    nx_iter_close(iter);
    nx_buf_append_byte(&forwards, 0);
    nx_buf_append_byte(&backwards, 0);
    assert_string_equal((char *)forwards.data, expected);
    assert_string_equal((char *)backwards.data, expected);
}

const char *engine_path(struct engine_fixture *f, const char *name)
{
    snprintf(f->text, sizeof f->text, "%s/%s", f->dir, name);
    return f->text;
}

struct search {
    const char *suffix;
    char found[64];
};

static void match(void *arg, const char *name)
{
    struct search *search = arg;
    size_t len = strlen(name), tail = strlen(search->suffix);

    if (len >= tail && strcmp(name + len - tail, search->suffix) == 0 && len < 64)
        strcpy(search->found, name);
}

const char *engine_find_file(struct engine_fixture *f, const char *suffix)
{
    struct search search = {.suffix = suffix};

    assert_int_equal(f->io->ops->list(f->io, f->dir, match, &search, NULL), NX_OK);
    assert_true(search.found[0] != '\0');
    return engine_path(f, search.found);
}

/* wal_test.c - the log: what it gives back, and how it tells a torn tail from damage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io_fault.h"
#include "base/io_sim.h"
#include "storage/wal.h"
#include "tests/support/unit.h"

enum { SEGMENT_BYTES = 64 << 10, RING_BYTES = 16 << 10 };

static const uint8_t uuid[16] = "0123456789abcde";
static struct wal_options options;

struct fixture {
    struct io_sim *sim;
    struct io_fault *fault;
    struct nx_io *io;
    struct wal *wal;
    uint64_t sequence;
};

/* --- helpers ---------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->sim = io_sim_new(1);
    f->fault = io_fault_new(io_sim_io(f->sim));
    io_fault_on_lost_sync(f->fault, io_sim_lose_dirty);
    f->io = io_fault_io(f->fault);
    assert_int_equal(f->io->ops->mkdir(f->io, "/w", NULL), NX_OK);
    assert_int_equal(f->io->ops->sync_dir(f->io, "/", NULL), NX_OK);
    options = (struct wal_options){.segment_bytes = SEGMENT_BYTES};
    *state = f;
    return 0;
}

static int set_up_ring(void **state)
{
    set_up(state);
    options.ring_bytes = RING_BYTES;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    wal_abandon(f->wal);
    io_fault_free(f->fault);
    io_sim_free(f->sim);
    free(f);
    return 0;
}

static void start(struct fixture *f)
{
    struct wal_tail tail = WAL_TAIL_INIT;

    tail.closed = true;
    assert_int_equal(wal_open(f->io, "/w", uuid, &options, &tail, &f->wal, NULL), NX_OK);
}

static enum nx_code append_code(struct fixture *f, const char *text)
{
    struct nx_slice part = nx_slice_str(text);
    enum nx_code rc = wal_append(f->wal, f->sequence + 1, 1, &part, 1, RESERVE_NOBODY, NULL);

    f->sequence += rc == NX_OK;
    return rc;
}

static void append(struct fixture *f, const char *text)
{
    assert_int_equal(append_code(f, text), NX_OK);
}

static void sync_log(struct fixture *f)
{
    assert_int_equal(wal_sync(f->wal, NULL), NX_OK);
}

/* The program dies: what it wrote stays. */
static void die(struct fixture *f)
{
    wal_abandon(f->wal);
    f->wal = NULL;
}

static void power_loss(struct fixture *f, uint64_t seed)
{
    struct io_sim *next = io_sim_crash(f->sim, seed);

    die(f);
    io_fault_free(f->fault);
    io_sim_free(f->sim);
    f->sim = next;
    f->fault = io_fault_new(io_sim_io(next));
    io_fault_on_lost_sync(f->fault, io_sim_lose_dirty);
    f->io = io_fault_io(f->fault);
}

static enum nx_code collect(void *arg, const struct frame *frame, struct nx_slice payload,
                            struct nx_err *err)
{
    (void)frame;
    (void)err;
    nx_buf_append(arg, payload.data, payload.len);
    return nx_buf_append_byte(arg, ' ');
}

static enum nx_code replay(struct fixture *f, struct nx_buf *out, struct wal_tail *tail,
                           struct nx_err *err)
{
    nx_buf_clear(out);
    return wal_replay(f->io, "/w", uuid, 1, collect, out, tail, err);
}

static void assert_replays(struct fixture *f, const char *expected)
{
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    struct wal_tail tail;

    if (replay(f, &out, &tail, &err) != NX_OK)
        fail_msg("%s", err.message);
    nx_buf_append_byte(&out, 0);
    assert_string_equal((char *)out.data, expected);
    wal_tail_fini(&tail);
}

static void assert_damaged(struct fixture *f, const char *file, const char *offset)
{
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct nx_err err = NX_ERR_INIT;
    struct wal_tail tail;

    assert_int_equal(replay(f, &out, &tail, &err), NX_ECORRUPT);
    assert_non_null(strstr(err.message, file));
    assert_non_null(strstr(err.message, offset));
}

/* Go on behind what is there. */
static void resume(struct fixture *f)
{
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct wal_tail tail;

    assert_int_equal(replay(f, &out, &tail, NULL), NX_OK);
    f->sequence = tail.sequence;
    assert_int_equal(wal_open(f->io, "/w", uuid, &options, &tail, &f->wal, NULL), NX_OK);
    wal_tail_fini(&tail);
}

/* --- replay ----------------------------------------------------------------------------------- */

static void replay_gives_every_frame_in_order(void **state)
{
    struct fixture *f = *state;

    start(f);
    append(f, "a");
    append(f, "bb");
    append(f, "ccc");
    die(f);
    assert_replays(f, "a bb ccc ");
}

static void the_chain_goes_over_segments_and_opens(void **state)
{
    struct fixture *f = *state;
    char large[SEGMENT_BYTES / 2 + 1];
    struct wal_tail tail;
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    start(f);
    for (int i = 0; i < 5; i++)
        append(f, large);
    die(f);
    resume(f);
    append(f, "after");
    assert_int_equal(wal_close(f->wal, NULL), NX_OK);
    f->wal = NULL;
    assert_int_equal(replay(f, &out, &tail, NULL), NX_OK);
    assert_int_equal(out.len, 5 * sizeof large + 6);
    assert_true(tail.count >= 4);
    assert_int_equal(tail.sequence, 6);
    wal_tail_fini(&tail);
}

static void a_frame_larger_than_a_segment_gets_one_of_its_own(void **state)
{
    struct fixture *f = *state;
    size_t len = 3 * SEGMENT_BYTES;
    char *large = malloc(len + 1);
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct wal_tail tail;

    memset(large, 'y', len);
    large[len] = '\0';
    start(f);
    append(f, "a");
    append(f, large);
    append(f, "b");
    free(large);
    die(f);
    assert_int_equal(replay(f, &out, &tail, NULL), NX_OK);
    assert_int_equal(out.len, 2 + len + 1 + 2);
    wal_tail_fini(&tail);
}

static void a_closed_log_says_so(void **state)
{
    struct fixture *f = *state;
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct wal_tail tail;

    start(f);
    append(f, "a");
    assert_int_equal(wal_close(f->wal, NULL), NX_OK);
    f->wal = NULL;
    assert_int_equal(replay(f, &out, &tail, NULL), NX_OK);
    assert_true(tail.closed);
    assert_int_equal(wal_open(f->io, "/w", uuid, &options, &tail, &f->wal, NULL), NX_OK);
    assert_false(wal_needs_flush(f->wal));
    wal_tail_fini(&tail);
    append(f, "b");
    die(f);
    assert_int_equal(replay(f, &out, &tail, NULL), NX_OK);
    assert_false(tail.closed);
    assert_int_equal(wal_open(f->io, "/w", uuid, &options, &tail, &f->wal, NULL), NX_OK);
    assert_true(wal_needs_flush(f->wal)); /* what was only read back is not durable */
    wal_tail_fini(&tail);
}

/* --- torn or damaged -------------------------------------------------------------------------- */

static void a_torn_tail_is_dropped_and_the_log_goes_on(void **state)
{
    struct fixture *f = *state;

    start(f);
    append(f, "a");
    io_fault_add(f->fault,
                 &(struct io_fault_rule){.ops = IO_FAULT_WRITE, .action = IO_FAULT_SHORT});
    assert_int_equal(append_code(f, "torn"), NX_EIO);
    die(f);
    assert_replays(f, "a ");
    resume(f);
    append(f, "b");
    die(f);
    assert_replays(f, "a b ");
}

static void a_failed_append_goes_on_in_a_new_segment(void **state)
{
    struct fixture *f = *state;

    start(f);
    append(f, "a");
    io_fault_add(f->fault, &(struct io_fault_rule){.ops = IO_FAULT_WRITE});
    assert_int_equal(append_code(f, "refused"), NX_EIO);
    append(f, "b");
    die(f);
    assert_replays(f, "a b ");
    assert_int_equal(io_fault_hits(f->fault), 1);
}

static void damage_in_front_of_a_durable_frame_is_refused(void **state)
{
    struct fixture *f = *state;

    start(f);
    append(f, "first");
    sync_log(f);
    append(f, "second"); /* vouches for the first */
    die(f);
    assert_true(io_sim_flip(f->sim, "/w/000001.wal", WAL_HEADER_BYTES + FRAME_HEADER_BYTES + 1));
    assert_damaged(f, "000001.wal", "offset 4096");
}

static void damage_behind_the_durable_part_ends_the_log(void **state)
{
    struct fixture *f = *state;

    start(f);
    append(f, "first");
    sync_log(f);
    append(f, "second");
    append(f, "third"); /* vouches for the first only */
    die(f);
    assert_true(io_sim_flip(f->sim, "/w/000001.wal",
                            WAL_HEADER_BYTES + frame_bytes(5) + FRAME_HEADER_BYTES + 1));
    assert_replays(f, "first ");
}

static void a_close_mark_vouches_for_the_last_frame(void **state)
{
    struct fixture *f = *state;

    start(f);
    append(f, "last");
    assert_int_equal(wal_close(f->wal, NULL), NX_OK);
    f->wal = NULL;
    assert_true(io_sim_flip(f->sim, "/w/000001.wal", WAL_HEADER_BYTES + FRAME_HEADER_BYTES));
    assert_damaged(f, "000001.wal", "offset 4096");
}

static void damage_that_a_later_segment_vouches_for_is_refused(void **state)
{
    struct fixture *f = *state;
    char large[SEGMENT_BYTES - 8192];

    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    start(f);
    append(f, large);
    sync_log(f);
    append(f, large); /* in the second segment */
    die(f);
    assert_true(io_sim_flip(f->sim, "/w/000001.wal", 5000));
    assert_damaged(f, "000001.wal", "offset 4096");
}

static void one_copy_of_the_header_is_enough(void **state)
{
    struct fixture *f = *state;

    start(f);
    append(f, "a");
    sync_log(f);
    die(f);
    assert_true(io_sim_flip(f->sim, "/w/000001.wal", 40));
    assert_replays(f, "a ");
    assert_true(io_sim_flip(f->sim, "/w/000001.wal", 2048 + 40));
    assert_damaged(f, "000001.wal", "offset 0");
}

static void a_missing_first_segment_is_refused(void **state)
{
    struct fixture *f = *state;

    assert_damaged(f, "000001.wal", "missing");
}

static void a_segment_of_another_database_is_refused(void **state)
{
    struct fixture *f = *state;
    struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct wal_tail tail;
    uint8_t other[16] = "another";

    start(f);
    append(f, "a");
    die(f);
    assert_int_equal(wal_replay(f->io, "/w", other, 1, collect, &out, &tail, NULL), NX_ECORRUPT);
}

static void power_loss_keeps_a_prefix_with_all_that_was_synced(void **state)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct fixture *f;
        struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct nx_err err = NX_ERR_INIT;
        struct wal_tail tail;
        size_t synced = seed % 20;

        if (seed > 1)
            assert_int_equal(set_up(state), 0);
        f = *state;
        options.ring_bytes =
            seed % 2 ? 0 : 2 * RING_BYTES; /* or frames would be too large for it */
        start(f);
        sync_log(f); /* as an engine does before its manifest names the segment */
        for (size_t i = 0; i < 40; i++) {
            char text[3000];

            memset(text, (int)('a' + i % 26), sizeof text - 1);
            text[sizeof text - 1] = '\0';
            append(f, text);
            if (i + 1 == synced)
                sync_log(f);
            if (i % 4 == 0)
                wal_prepare(f->wal);
        }
        power_loss(f, seed);
        if (replay(f, &out, &tail, &err) != NX_OK)
            fail_msg("seed %llu: %s", (unsigned long long)seed, err.message);
        assert_int_equal(out.len % 3000, 0);
        assert_true(out.len / 3000 >= synced);
        for (size_t i = 0; i < out.len / 3000; i++)
            assert_int_equal(out.data[i * 3000 + 1], 'a' + i % 26);
        wal_tail_fini(&tail);
        if (seed < 200)
            tear_down(state);
    }
}

/* --- syncing ---------------------------------------------------------------------------------- */

static void nothing_is_durable_before_its_sync(void **state)
{
    struct fixture *f = *state;
    uint64_t before;

    start(f);
    before = wal_durable(f->wal);
    append(f, "a");
    assert_int_equal(wal_durable(f->wal), before);
    sync_log(f);
    assert_int_equal(wal_durable(f->wal), wal_end(f->wal));
}

static void a_lost_segment_is_never_synced_again(void **state)
{
    struct fixture *f = *state;
    uint64_t durable, syncs;

    start(f);
    append(f, "a");
    durable = wal_durable(f->wal);
    io_fault_add(f->fault, &(struct io_fault_rule){.ops = IO_FAULT_DATASYNC});
    assert_int_equal(wal_sync(f->wal, NULL), NX_EIO);
    assert_true(wal_needs_flush(f->wal));
    append(f, "b"); /* in a new segment */
    syncs = io_fault_calls(f->fault, IO_FAULT_DATASYNC);
    sync_log(f);
    assert_int_equal(io_fault_calls(f->fault, IO_FAULT_DATASYNC), syncs + 1);
    assert_int_equal(wal_durable(f->wal), durable);
    wal_remove_before(f->wal, wal_first_needed(f->wal, wal_end(f->wal)));
    assert_false(wal_needs_flush(f->wal));
    append(f, "c");
    sync_log(f);
    assert_int_equal(wal_durable(f->wal), wal_end(f->wal));
}

static void a_full_disk_fails_the_append_and_then_goes_on(void **state)
{
    struct fixture *f = *state;
    char large[SEGMENT_BYTES / 2];

    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    start(f);
    append(f, large);
    io_sim_set_space(f->sim, SEGMENT_BYTES + 100);
    assert_int_equal(append_code(f, large), NX_ENOSPC);
    append(f, "small"); /* still has room in the first segment */
    io_sim_set_space(f->sim, 0);
    append(f, large);
    die(f);
    {
        struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct wal_tail tail;

        assert_int_equal(replay(f, &out, &tail, NULL), NX_OK);
        assert_int_equal(out.len, 2 * sizeof large + 6);
        wal_tail_fini(&tail);
    }
}

static void old_segments_go(void **state)
{
    struct fixture *f = *state;
    char large[SEGMENT_BYTES - 8192];
    uint64_t position;

    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    start(f);
    for (int i = 0; i < 4; i++)
        append(f, large);
    position = wal_end(f->wal);
    assert_int_equal(wal_first_number(f->wal), 1);
    assert_int_equal(wal_first_needed(f->wal, 0), 1);
    assert_int_equal(wal_first_needed(f->wal, position), 1); /* no later header is on disk yet */
    sync_log(f);
    assert_int_equal(wal_first_needed(f->wal, position), 4);
    wal_remove_before(f->wal, 4);
    assert_int_equal(wal_first_number(f->wal), 4);
    assert_int_equal(f->io->ops->remove(f->io, "/w/000003.wal", NULL), NX_ENOTFOUND);
}

/* --- the ring --------------------------------------------------------------------------------- */

static void append_numbers(struct fixture *f, int from, int to, struct nx_buf *expected)
{
    for (int i = from; i < to; i++) {
        char text[400];

        snprintf(text, sizeof text, "%d-%0*d", i, 1 + i % 300, i);
        append(f, text);
        nx_buf_printf(expected, "%s ", text);
    }
}

static void assert_replays_buf(struct fixture *f, const struct nx_buf *expected)
{
    struct nx_buf text NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;

    nx_buf_append(&text, expected->data, expected->len);
    nx_buf_append_byte(&text, 0);
    assert_replays(f, (const char *)text.data);
}

/* What the ring file holds, read or written. */
static void ring_file(struct fixture *f, bool write, uint8_t *bytes)
{
    struct nx_file *file;
    size_t got;

    assert_int_equal(f->io->ops->open(f->io, "/w/RING", NX_OPEN_WRITE, &file, NULL), NX_OK);
    if (write)
        assert_int_equal(file->ops->pwrite(file, 0, bytes, RING_BYTES, NULL), NX_OK);
    else
        assert_int_equal(file->ops->pread(file, 0, bytes, RING_BYTES, &got, NULL), NX_OK);
    file->ops->close(file);
}

static void a_kill_loses_nothing_that_waits_in_the_ring(void **state)
{
    struct fixture *f = *state;
    uint64_t writes;

    start(f);
    writes = io_fault_calls(f->fault, IO_FAULT_WRITE);
    append(f, "a");
    append(f, "bb");
    append(f, "ccc");
    assert_int_equal(io_fault_calls(f->fault, IO_FAULT_WRITE), writes);
    die(f);
    assert_replays(f, "a bb ccc ");
}

static void nor_does_a_second_kill(void **state)
{
    struct nx_buf expected NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct fixture *f = *state;

    start(f);
    for (int round = 0; round < 4; round++) {
        append_numbers(f, 100 * round, 100 * round + 100, &expected);
        die(f);
        resume(f);
    }
    die(f);
    assert_replays_buf(f, &expected);
}

static void nor_one_at_any_lap_or_segment(void **state)
{
    struct nx_buf expected NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
    struct fixture *f = *state;

    start(f);
    for (int i = 0; i < 1000; i += 20) {
        struct io_sim *killed;

        append_numbers(f, i, i + 20, &expected);
        killed = io_sim_kill(f->sim);
        f->io = io_sim_io(killed);
        assert_replays_buf(f, &expected);
        f->io = io_fault_io(f->fault);
        io_sim_free(killed);
    }
}

static void a_sync_writes_out_what_waits(void **state)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct fixture *f;
        void *own;

        set_up_ring(&own);
        f = own;
        start(f);
        append(f, "a");
        append(f, "b");
        sync_log(f);
        power_loss(f, seed);
        assert_replays(f, "a b ");
        tear_down(&own);
    }
    (void)state;
}

static void a_torn_frame_in_the_ring_ends_the_log(void **state)
{
    struct fixture *f = *state;
    uint64_t end, before;

    start(f);
    append(f, "a");
    before = wal_end(f->wal);
    append(f, "last");
    end = wal_end(f->wal);
    die(f);
    for (uint64_t at = before; at < end - 4; at++) { /* the last 4 are padding */
        assert_true(io_sim_flip(f->sim, "/w/RING", at % RING_BYTES));
        assert_replays(f, "a ");
        assert_true(io_sim_flip(f->sim, "/w/RING", at % RING_BYTES));
    }
    assert_replays(f, "a last ");
}

static void an_old_ring_matches_nothing(void **state)
{
    struct fixture *f = *state;
    uint8_t old[RING_BYTES];

    start(f);
    append(f, "a");
    append(f, "b");
    die(f);
    ring_file(f, false, old);
    /* As a power loss would tear "b". */
    assert_true(io_sim_flip(f->sim, "/w/RING", WAL_HEADER_BYTES + FRAME_HEADER_BYTES + 8 + 10));
    resume(f);
    append(f, "c");
    die(f);
    assert_replays(f, "a c ");
    ring_file(f, true, old);
    assert_replays(f, "a "); /* "b" did not happen, and "c" was only in the ring */
}

static void garbage_in_the_ring_is_no_error(void **state)
{
    struct fixture *f = *state;
    uint8_t garbage[RING_BYTES];

    memset(garbage, 0x5a, sizeof garbage);
    start(f);
    append(f, "a");
    sync_log(f);
    append(f, "b");
    die(f);
    ring_file(f, true, garbage);
    assert_replays(f, "a ");
    assert_int_equal(f->io->ops->remove(f->io, "/w/RING", NULL), NX_OK);
    assert_replays(f, "a ");
}

static void the_ring_vouches_for_what_was_durable(void **state)
{
    struct fixture *f = *state;
    char large[5000];

    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    start(f);
    append(f, large); /* too large for the ring */
    sync_log(f);
    append(f, "b");
    die(f);
    assert_true(io_sim_flip(f->sim, "/w/000001.wal", WAL_HEADER_BYTES + 100));
    assert_damaged(f, "000001.wal", "offset 4096");
}

static void what_a_segment_refuses_stays_in_the_ring(void **state)
{
    struct fixture *f = *state;

    start(f);
    append(f, "a");
    append(f, "b");
    io_fault_add(f->fault, &(struct io_fault_rule){
                               .ops = IO_FAULT_WRITE, .glob = "*.wal", .action = IO_FAULT_SHORT});
    assert_int_equal(wal_sync(f->wal, NULL), NX_EIO);
    assert_true(wal_needs_flush(f->wal));
    append(f, "c"); /* in a new segment, and not over what waits */
    for (int i = 0; i < 300; i++)
        append(f, "d");
    assert_int_equal(wal_sync(f->wal, NULL), NX_OK);
    assert_true(wal_durable(f->wal) < wal_end(f->wal));
    {
        struct io_sim *killed = io_sim_kill(f->sim);
        struct nx_buf out NX_CLEANUP(nx_buf_fini) = NX_BUF_INIT;
        struct wal_tail tail;

        f->io = io_sim_io(killed);
        assert_int_equal(replay(f, &out, &tail, NULL), NX_OK);
        assert_int_equal(out.len, 2 * 303);
        wal_tail_fini(&tail);
        f->io = io_fault_io(f->fault);
        io_sim_free(killed);
    }
    /* The changes are in tables: the segment goes, and the ring is used again. */
    wal_remove_before(f->wal, wal_first_needed(f->wal, wal_end(f->wal)));
    assert_false(wal_needs_flush(f->wal));
    append(f, "e");
    append(f, "f");
    assert_int_equal(wal_sync(f->wal, NULL), NX_OK);
    assert_int_equal(wal_durable(f->wal), wal_end(f->wal));
}

static void without_locked_memory_every_frame_is_written(void **state)
{
    struct fixture *f = *state;
    uint64_t writes;

    io_fault_add(f->fault, &(struct io_fault_rule){.ops = IO_FAULT_MAP, .times = UINT64_MAX});
    start(f);
    writes = io_fault_calls(f->fault, IO_FAULT_WRITE);
    append(f, "a");
    append(f, "b");
    assert_int_equal(io_fault_calls(f->fault, IO_FAULT_WRITE), writes + 2);
    die(f);
    assert_replays(f, "a b ");
}

static void a_closed_log_has_no_ring(void **state)
{
    struct fixture *f = *state;
    struct nx_file *file;

    start(f);
    append(f, "a");
    assert_int_equal(wal_close(f->wal, NULL), NX_OK);
    f->wal = NULL;
    assert_int_equal(f->io->ops->open(f->io, "/w/RING", 0, &file, NULL), NX_ENOTFOUND);
    assert_replays(f, "a ");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

#define WITH_RING(test)                                                                            \
    {                                                                                              \
        "ring: " #test, test, set_up_ring, tear_down, NULL                                         \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(replay_gives_every_frame_in_order),
        TEST(the_chain_goes_over_segments_and_opens),
        TEST(a_frame_larger_than_a_segment_gets_one_of_its_own),
        TEST(a_closed_log_says_so),
        TEST(a_torn_tail_is_dropped_and_the_log_goes_on),
        TEST(a_failed_append_goes_on_in_a_new_segment),
        TEST(damage_in_front_of_a_durable_frame_is_refused),
        TEST(damage_behind_the_durable_part_ends_the_log),
        TEST(a_close_mark_vouches_for_the_last_frame),
        TEST(damage_that_a_later_segment_vouches_for_is_refused),
        TEST(one_copy_of_the_header_is_enough),
        TEST(a_missing_first_segment_is_refused),
        TEST(a_segment_of_another_database_is_refused),
        TEST(power_loss_keeps_a_prefix_with_all_that_was_synced),
        TEST(nothing_is_durable_before_its_sync),
        TEST(a_lost_segment_is_never_synced_again),
        TEST(a_full_disk_fails_the_append_and_then_goes_on),
        TEST(old_segments_go),
        WITH_RING(replay_gives_every_frame_in_order),
        WITH_RING(the_chain_goes_over_segments_and_opens),
        WITH_RING(a_frame_larger_than_a_segment_gets_one_of_its_own),
        WITH_RING(a_closed_log_says_so),
        WITH_RING(a_close_mark_vouches_for_the_last_frame),
        WITH_RING(nothing_is_durable_before_its_sync),
        WITH_RING(a_lost_segment_is_never_synced_again),
        WITH_RING(old_segments_go),
        WITH_RING(a_kill_loses_nothing_that_waits_in_the_ring),
        WITH_RING(nor_does_a_second_kill),
        WITH_RING(nor_one_at_any_lap_or_segment),
        WITH_RING(a_sync_writes_out_what_waits),
        WITH_RING(a_torn_frame_in_the_ring_ends_the_log),
        WITH_RING(an_old_ring_matches_nothing),
        WITH_RING(garbage_in_the_ring_is_no_error),
        WITH_RING(the_ring_vouches_for_what_was_durable),
        WITH_RING(what_a_segment_refuses_stays_in_the_ring),
        WITH_RING(without_locked_memory_every_frame_is_written),
        WITH_RING(a_closed_log_has_no_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

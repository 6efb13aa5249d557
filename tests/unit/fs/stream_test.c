/* Reads at offsets from a source that only goes forward. */
#include "fs/stream.h"
#include "tests/support/unit.h"

/* Gives `total` bytes, byte i being i % 251, `step` at a time; fails at `fail_at`. */
struct counter {
    size_t total, step, fail_at;
    size_t at;
    unsigned starts, stops;
    enum nx_code code;
};

static enum nx_code start(void *arg, struct nx_err *err)
{
    struct counter *counter = arg;

    (void)err;
    counter->at = 0;
    counter->starts++;
    return NX_OK;
}

static enum nx_code next(void *arg, size_t want, struct nx_buf *out, struct nx_err *err)
{
    struct counter *counter = arg;

    (void)want;
    for (size_t i = 0; i < counter->step; i++) {
        if (counter->at == counter->fail_at)
            return nx_fail(err, counter->code, "stopped at %zu", counter->at);
        if (counter->at == counter->total)
            return NX_DONE;
        nx_buf_append_byte(out, (uint8_t)(counter->at++ % 251));
    }
    return NX_OK;
}

static void stop(void *arg)
{
    struct counter *counter = arg;

    counter->stops++;
}

static const struct stream_source source = {start, next, stop};

static void assert_reads(struct stream *stream, uint64_t offset, size_t size, size_t expected)
{
    struct nx_slice got;

    assert_int_equal(stream_read(stream, offset, size, &got, NULL), NX_OK);
    assert_int_equal(got.len, expected);
    for (size_t i = 0; i < got.len; i++)
        assert_int_equal(got.data[i], (offset + i) % 251);
}

static void reads_in_order_give_every_byte_once(void **state)
{
    struct counter counter = {.total = 1000, .step = 7, .fail_at = SIZE_MAX};
    struct stream stream;

    (void)state;
    stream_init(&stream, &source, &counter, nx_io_posix());
    for (uint64_t at = 0; at < 1000; at += 100)
        assert_reads(&stream, at, 100, 100);
    assert_reads(&stream, 1000, 100, 0);
    assert_int_equal(counter.starts, 1);
    stream_fini(&stream);
    assert_int_equal(counter.stops, 1);
}

static void a_seek_back_begins_again_and_one_ahead_skips(void **state)
{
    struct counter counter = {.total = 5000, .step = 64, .fail_at = SIZE_MAX};
    struct stream stream;

    (void)state;
    stream_init(&stream, &source, &counter, nx_io_posix());
    assert_reads(&stream, 4000, 100, 100);
    assert_reads(&stream, 10, 100, 100);
    assert_int_equal(counter.starts, 2);
    assert_reads(&stream, 4990, 100, 10);
    assert_reads(&stream, 1 << 20, 100, 0);
    stream_fini(&stream);
}

static void memory_does_not_grow_with_the_result(void **state)
{
    struct counter counter = {.total = 8 << 20, .step = 4096, .fail_at = SIZE_MAX};
    struct stream stream;

    (void)state;
    stream_init(&stream, &source, &counter, nx_io_posix());
    assert_reads(&stream, (8 << 20) - 10, 100, 10);
    assert_true(stream.window.cap < 256 * 1024);
    stream_fini(&stream);
}

static void what_is_good_comes_before_the_error(void **state)
{
    struct counter counter = {.total = 100, .step = 10, .fail_at = 55, .code = NX_ETIMEDOUT};
    struct nx_err err = NX_ERR_INIT;
    struct stream stream;
    struct nx_slice got;

    (void)state;
    stream_init(&stream, &source, &counter, nx_io_posix());
    assert_reads(&stream, 0, 100, 55);
    assert_int_equal(stream_read(&stream, 55, 100, &got, &err), NX_ETIMEDOUT);
    assert_string_equal(err.message, "stopped at 55");
    assert_int_equal(stream_read(&stream, 55, 100, &got, &err), NX_ETIMEDOUT);
    stream_fini(&stream);
}

static void a_canceled_read_can_be_tried_again(void **state)
{
    struct counter counter = {.total = 100, .step = 10, .fail_at = 0, .code = NX_ECANCELED};
    struct stream stream;
    struct nx_slice got;

    (void)state;
    stream_init(&stream, &source, &counter, nx_io_posix());
    assert_int_equal(stream_read(&stream, 0, 10, &got, NULL), NX_ECANCELED);
    counter.fail_at = SIZE_MAX;
    assert_reads(&stream, 0, 100, 100);
    stream_fini(&stream);
}

static uint64_t now_ns = 1000;

static uint64_t stopped_clock(struct nx_io *io)
{
    (void)io;
    return now_ns;
}

static void time_between_reads_is_told_apart(void **state)
{
    struct counter counter = {.total = 1000, .step = 10, .fail_at = SIZE_MAX};
    struct nx_io_ops ops = *nx_io_posix()->ops;
    struct nx_io io = {&ops};
    struct stream stream;

    (void)state;
    ops.monotonic_ns = stopped_clock;
    stream_init(&stream, &source, &counter, &io);
    assert_reads(&stream, 0, 10, 10);
    now_ns += 500;
    assert_int_equal(stream.idle_ns, 0);
    assert_reads(&stream, 10, 10, 10);
    assert_int_equal(stream.idle_ns, 500);
    assert_reads(&stream, 0, 10, 10); /* it begins again */
    assert_int_equal(stream.idle_ns, 0);
    stream_fini(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_in_order_give_every_byte_once),
        cmocka_unit_test(a_seek_back_begins_again_and_one_ahead_skips),
        cmocka_unit_test(memory_does_not_grow_with_the_result),
        cmocka_unit_test(what_is_good_comes_before_the_error),
        cmocka_unit_test(a_canceled_read_can_be_tried_again),
        cmocka_unit_test(time_between_reads_is_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

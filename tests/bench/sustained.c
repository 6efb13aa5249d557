/*
 * sustained.c - many random inserts of documents of 460 bytes in a row: does the engine keep its
 * pace, and does it ever stop?
 *
 *     sustained DIR [RECORDS [THREADS]]        a new directory, left for the caller to remove
 *
 * Prints operations per second for each tenth, then percentiles and the longest single put.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nexadb/engine.h>

enum { TENTHS = 10, VALUE_BYTES = 460, POOL_BYTES = 1 << 20, BUCKETS = 64 * 16, THREADS_MAX = 64 };

struct run {
    struct nx_engine *engine;
    struct nx_io *io;
    uint64_t records, threads, start_ns;
    const uint8_t *pool;
    _Atomic uint64_t done, tenth_ns[TENTHS], histogram[BUCKETS], longest_ns;
    atomic_bool has_failed;
};

struct worker {
    struct run *run;
    uint64_t number;
    pthread_t thread;
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Sixteen buckets for each power of two. */
static unsigned bucket_of(uint64_t ns)
{
    unsigned top = ns < 16 ? 4 : 63 - (unsigned)__builtin_clzll(ns);

    return top * 16 + (unsigned)(ns >> (top - 4) & 15);
}

static uint64_t bucket_ns(unsigned bucket)
{
    return (uint64_t)(16 + bucket % 16) << (bucket / 16 - 4);
}

static void note(struct run *run, uint64_t ns, uint64_t end_ns)
{
    uint64_t done = atomic_fetch_add(&run->done, 1) + 1, longest = atomic_load(&run->longest_ns);

    atomic_fetch_add_explicit(&run->histogram[bucket_of(ns)], 1, memory_order_relaxed);
    while (ns > longest && !atomic_compare_exchange_weak(&run->longest_ns, &longest, ns))
        ;
    for (uint64_t tenth = 1; tenth <= TENTHS; tenth++)
        if (done == run->records * tenth / TENTHS)
            atomic_store(&run->tenth_ns[tenth - 1], end_ns - run->start_ns);
}

static enum nx_code put(struct run *run, struct nx_batch *batch, uint64_t i, struct nx_err *err)
{
    uint64_t random = mix(i + 1);
    char key[24];

    snprintf(key, sizeof key, "doc:%018llu", (unsigned long long)random % 1000000000000000000u);
    nx_batch_clear(batch);
    nx_batch_put(batch, nx_slice_str(key),
                 nx_slice(run->pool + random % (POOL_BYTES - VALUE_BYTES), VALUE_BYTES));
    return nx_engine_commit(run->engine, batch, NX_BUFFERED, err);
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct run *run = worker->run;
    struct nx_err err = NX_ERR_INIT;
    struct nx_batch *batch;
    enum nx_code rc = nx_batch_new(&batch);

    for (uint64_t i = worker->number; i < run->records && rc == NX_OK; i += run->threads) {
        uint64_t begin = run->io->ops->monotonic_ns(run->io), end;

        rc = put(run, batch, i, &err);
        end = run->io->ops->monotonic_ns(run->io);
        note(run, end - begin, end);
    }
    if (rc != NX_OK) {
        fprintf(stderr, "sustained: %s\n", err.message);
        atomic_store(&run->has_failed, true);
    }
    nx_batch_free(batch);
    return NULL;
}

/* Half of it repeats. */
static uint8_t *make_pool(void)
{
    uint8_t *pool = malloc(POOL_BYTES);

    for (size_t i = 0; pool && i < POOL_BYTES; i++)
        pool[i] =
            i / 32 % 2 ? "0123456789abcdef"[mix(i) % 16] : (uint8_t) "{\"name\":\"value\"}"[i % 16];
    return pool;
}

static double percentile_us(const struct run *run, double share)
{
    uint64_t wanted = (uint64_t)((double)run->records * share), seen = 0;

    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += run->histogram[i];
        if (seen > wanted)
            return (double)bucket_ns(i) / 1000;
    }
    return (double)run->longest_ns / 1000;
}

static void report(const struct run *run)
{
    uint64_t before = 0;
    struct nx_engine_stats stats;

    for (int i = 0; i < TENTHS; i++) {
        printf("tenth %2d %10.0f ops/s\n", i + 1,
               (double)(run->records / TENTHS) * 1e9 / (double)(run->tenth_ns[i] - before));
        before = run->tenth_ns[i];
    }
    nx_engine_get_stats(run->engine, &stats);
    printf("p50 %.2f  p99 %.2f  p99.9 %.1f  p99.99 %.1f  longest %.1f us\n",
           percentile_us(run, 0.5), percentile_us(run, 0.99), percentile_us(run, 0.999),
           percentile_us(run, 0.9999), (double)run->longest_ns / 1000);
    printf("stalled %.1f s of %.1f; %llu flushes, %llu compactions\n", (double)stats.stall_ns / 1e9,
           (double)before / 1e9, (unsigned long long)stats.flushes,
           (unsigned long long)stats.compactions);
}

int main(int argc, char **argv)
{
    struct run *run = calloc(1, sizeof *run);
    struct nx_engine_options options;
    struct worker workers[THREADS_MAX];
    struct nx_err err = NX_ERR_INIT;

    if (argc < 2 || !run) {
        fprintf(stderr, "usage: sustained DIR [RECORDS [THREADS]]\n");
        return 2;
    }
    nx_engine_options_init(&options);
    run->io = nx_io_posix();
    run->records = argc > 2 ? strtoull(argv[2], NULL, 10) : 10000000;
    run->threads = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    run->pool = make_pool();
    if (run->threads < 1 || run->threads > THREADS_MAX || run->records < TENTHS || !run->pool ||
        nx_engine_open(argv[1], &options, &run->engine, &err) != NX_OK) {
        fprintf(stderr, "sustained: %s\n", err.message);
        return 1;
    }
    run->start_ns = run->io->ops->monotonic_ns(run->io);
    for (uint64_t i = 0; i < run->threads; i++) {
        workers[i] = (struct worker){.run = run, .number = i};
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (uint64_t i = 0; i < run->threads; i++)
        pthread_join(workers[i].thread, NULL);
    if (!run->has_failed)
        report(run);
    return nx_engine_close(run->engine, NULL) != NX_OK || run->has_failed;
}

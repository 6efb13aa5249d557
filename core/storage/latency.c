/* latency.c - the histograms behind nx_engine_stats.latency. */
#include "storage/latency.h"

#include "storage/per_thread.h"

/* Below PARTS each value has its own bucket; above, the top bits after the first choose one. */
static unsigned bucket_of(uint64_t ns)
{
    unsigned power, index;

    if (ns < LATENCY_PARTS)
        return (unsigned)ns;
    power = 63u - (unsigned)__builtin_clzll(ns);
    index = (power - 2) * LATENCY_PARTS + ((ns >> (power - 3)) & (LATENCY_PARTS - 1));
    return index < LATENCY_BUCKETS ? index : LATENCY_BUCKETS - 1;
}

/* The first value past it. */
static uint64_t bucket_end(unsigned index)
{
    unsigned power = index / LATENCY_PARTS + 2;

    if (index < LATENCY_PARTS)
        return index + 1u;
    return (uint64_t)(LATENCY_PARTS + index % LATENCY_PARTS + 1) << (power - 3);
}

uint64_t latency_begin_sampled(struct nx_io *io)
{
    /* By chance: every 64th call would never see the gets of a thread that gets and puts by turns.
     */
    return one_in(LATENCY_SAMPLE) ? io->ops->monotonic_ns(io) : LATENCY_NONE;
}

void latency_add(struct latency *latency, uint64_t ns)
{
    uint64_t max = atomic_load_explicit(&latency->max_ns, memory_order_relaxed);

    atomic_fetch_add_explicit(&latency->bucket[bucket_of(ns)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&latency->sum_ns, ns, memory_order_relaxed);
    while (ns > max && !atomic_compare_exchange_weak_explicit(
                           &latency->max_ns, &max, ns, memory_order_relaxed, memory_order_relaxed))
        ;
}

void latency_end(struct latency *latency, struct nx_io *io, uint64_t begin_ns)
{
    if (begin_ns != LATENCY_NONE)
        latency_add(latency, io->ops->monotonic_ns(io) - begin_ns);
}

void latency_summarize(const struct latency *latency, struct nx_latency *out)
{
    uint64_t counts[LATENCY_BUCKETS], seen = 0;
    struct {
        unsigned of_1000;
        uint64_t *out;
    } wanted[] = {{500, &out->p50_ns}, {990, &out->p99_ns}, {999, &out->p999_ns}};
    size_t next = 0;

    *out =
        (struct nx_latency){.sum_ns = atomic_load_explicit(&latency->sum_ns, memory_order_relaxed),
                            .max_ns = atomic_load_explicit(&latency->max_ns, memory_order_relaxed)};
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        counts[i] = atomic_load_explicit(&latency->bucket[i], memory_order_relaxed);
        out->count += counts[i];
    }
    for (unsigned i = 0; i < LATENCY_BUCKETS && out->count; i++) {
        uint64_t end = bucket_end(i) < out->max_ns ? bucket_end(i) : out->max_ns;

        seen += counts[i];
        while (next < 3 && seen * 1000 >= out->count * wanted[next].of_1000)
            *wanted[next++].out = end;
    }
}

const char *nx_latency_name(enum nx_latency_kind kind)
{
    static const char *const names[NX_LATENCY_KINDS] = {
        [NX_LATENCY_GET] = "get",          [NX_LATENCY_COMMIT] = "commit",
        [NX_LATENCY_SYNC] = "commit_sync", [NX_LATENCY_SEEK] = "seek",
        [NX_LATENCY_FLUSH] = "flush",      [NX_LATENCY_COMPACTION] = "compaction"};

    return names[kind];
}

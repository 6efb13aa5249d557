/*
 * latency.h - how long things took: log-linear histograms, merged by adding.
 *
 * A bucket is an eighth of a power of two wide, so a quantile is told at most an eighth too high.
 * What takes under a microsecond or so is sampled, one in LATENCY_SAMPLE a thread: two looks at the
 * clock would cost a cached lookup a tenth, and then writers of one histogram hardly ever meet.
 *
 * Threads: any. A figure is read while others add: it may miss the newest.
 */
#ifndef STORAGE_LATENCY_H
#define STORAGE_LATENCY_H

#include <stdatomic.h>

#include <nexadb/engine.h>

#define LATENCY_SAMPLE 64
#define LATENCY_PARTS 8
#define LATENCY_BUCKETS (40 * LATENCY_PARTS) /* the last one: from 18 minutes on */

struct latency {
    _Atomic uint64_t bucket[LATENCY_BUCKETS]; /* relaxed: counts */
    _Atomic uint64_t sum_ns, max_ns;
};

#define LATENCY_NONE UINT64_MAX

/* The time now, or LATENCY_NONE when this call is not sampled. */
uint64_t latency_begin_sampled(struct nx_io *io);
/* Nothing for a begin of LATENCY_NONE. */
void latency_end(struct latency *latency, struct nx_io *io, uint64_t begin_ns);
void latency_add(struct latency *latency, uint64_t ns);
void latency_summarize(const struct latency *latency, struct nx_latency *out);

#endif

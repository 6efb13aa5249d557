/*
 * pace.c - limits from measured speeds.
 *
 * With the last free memtable in use, commits get three quarters of the speed of flushes: the flush
 * that is under way ends before that memtable is full. With more than TABLES_FREE tables in level 0
 * they get a share of the speed at which compaction empties it, or the tiers when these have no
 * room for more: twice that at first and less with each further table. Where the two are equal,
 * about TABLES_EVEN, level 0 stops growing; a burst has the distance for free.
 */
#include "storage/pace.h"

enum {
    TABLES_FREE = 16,
    TABLES_EVEN = 24,
    STEPS = TABLES_EVEN - TABLES_FREE, /* tables for each once the speed */
    LEAST_RATE = 1 << 20,
    WAIT_LEAST_NS = 1000000, /* shorter sleeps cost more than they take */
    WAIT_MOST_NS = 50000000
};

static uint64_t per_second(uint64_t bytes, uint64_t ns)
{
    double rate = (double)bytes * 1e9 / (double)(ns ? ns : 1);

    return rate < 1e15 ? (uint64_t)rate : (uint64_t)1e15;
}

/* The last few count: what a flush costs changes with what runs beside it. */
static void learn(uint64_t *rate, uint64_t seen)
{
    *rate = *rate ? (3 * *rate + seen) / 4 : seen;
}

void pace_flushed(struct pace *pace, uint64_t bytes, uint64_t table_bytes, uint64_t ns)
{
    if (bytes == 0 || table_bytes == 0)
        return;
    learn(&pace->flush_rate, per_second(bytes, ns));
    learn(&pace->table_permille, table_bytes * 1000 / bytes + 1);
}

static void learn_compaction(struct pace *pace, uint64_t *rate, uint64_t table_bytes, uint64_t ns)
{
    if (table_bytes && pace->table_permille)
        learn(rate, per_second(table_bytes * 1000 / pace->table_permille, ns));
}

void pace_compacted(struct pace *pace, uint64_t table_bytes, uint64_t ns)
{
    learn_compaction(pace, &pace->compact_rate, table_bytes, ns);
}

void pace_drained(struct pace *pace, uint64_t table_bytes, uint64_t ns)
{
    learn_compaction(pace, &pace->drain_rate, table_bytes, ns);
}

static uint64_t level0_limit(const struct pace *pace, size_t tables, bool tiers_are_full)
{
    uint64_t speed = pace->compact_rate ? pace->compact_rate : pace->flush_rate / 4;
    uint64_t over = tables - TABLES_FREE, share = 2 * STEPS > over ? 2 * STEPS - over : 0;

    if (tiers_are_full && pace->drain_rate)
        speed = pace->drain_rate;
    share = share > STEPS / 4 ? share : STEPS / 4; /* never less than a quarter */
    return speed * share / STEPS;
}

void pace_adjust(struct pace *pace, size_t memtables, size_t tables, bool tiers_are_full)
{
    uint64_t rate = 0, limit;

    if (memtables >= 2)
        rate = pace->flush_rate / 4 * 3;
    if (tables > TABLES_FREE) {
        limit = level0_limit(pace, tables, tiers_are_full);
        rate = rate && rate < limit ? rate : limit;
    }
    if (rate && rate < LEAST_RATE)
        rate = LEAST_RATE;
    /* Relaxed: a commit may see it a little later. */
    atomic_store_explicit(&pace->rate, rate, memory_order_relaxed);
}

uint64_t pace_charge(struct pace *pace, uint64_t bytes, uint64_t now_ns)
{
    uint64_t rate = atomic_load_explicit(&pace->rate, memory_order_relaxed);
    uint64_t paid = atomic_load_explicit(&pace->free_ns, memory_order_relaxed), next, wait;

    if (rate == 0)
        return 0;
    do
        next = (paid > now_ns ? paid : now_ns) + bytes * 1000000000u / rate;
    while (!atomic_compare_exchange_weak_explicit(&pace->free_ns, &paid, next, memory_order_relaxed,
                                                  memory_order_relaxed));
    wait = next - now_ns;
    wait = wait < WAIT_MOST_NS ? wait : WAIT_MOST_NS; /* the next pays the rest */
    return wait >= WAIT_LEAST_NS ? wait : 0;
}

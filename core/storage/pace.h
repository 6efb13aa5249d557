/*
 * pace.h - how fast commits may come when flush and compaction fall behind.
 *
 * Limits begin while there is still room and tighten as it goes, so that writers are slowed down to
 * what the disk and the other core can take rather than stopped for seconds.
 *
 * Threads: pace_charge from any; the rest under one lock of the caller's.
 */
#ifndef STORAGE_PACE_H
#define STORAGE_PACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pace {
    _Atomic uint64_t rate;    /* bytes of changes a second; 0: no limit */
    _Atomic uint64_t free_ns; /* when what was charged so far is paid, at that rate */
    uint64_t flush_rate;      /* bytes of memtables a second; 0: not known yet */
    uint64_t compact_rate;    /* the same, of those that compaction took from level 0 */
    uint64_t drain_rate;      /* and of those that it took from the tiers below, all in all */
    uint64_t table_permille;  /* a memtable's table, against the memtable */
};

/* A memtable of `bytes` became a table of `table_bytes` within `ns`. */
void pace_flushed(struct pace *pace, uint64_t bytes, uint64_t table_bytes, uint64_t ns);
/* `table_bytes` left level 0, or the tiers, within `ns`. */
void pace_compacted(struct pace *pace, uint64_t table_bytes, uint64_t ns);
void pace_drained(struct pace *pace, uint64_t table_bytes, uint64_t ns);
/* So many full memtables and tables of level 0 wait now, and those for the tiers or for room in
 * them. */
void pace_adjust(struct pace *pace, size_t memtables, size_t tables, bool tiers_are_full);
/* Count a commit; how long its thread should wait, 0 mostly. */
uint64_t pace_charge(struct pace *pace, uint64_t bytes, uint64_t now_ns);

#endif

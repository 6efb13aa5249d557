/*
 * mutation.h - one safety step left out on purpose, to prove that the tests notice.
 *
 * A test chooses a mutation for the whole process; none is active otherwise. Without NX_DEBUG, as
 * in a release, engine_mutated() is the constant false and nothing of this is in the library.
 * tests/unit/storage/mutations.sh runs them all and fails when the suite does not.
 */
#ifndef STORAGE_MUTATION_H
#define STORAGE_MUTATION_H

#include <stdbool.h>

enum engine_mutation {
    MUTATION_NONE,
    SKIP_TABLE_SYNC,       /* a table counts as written before its data is on disk */
    SKIP_TABLE_DIR_SYNC,   /* or before its name is */
    SKIP_SEGMENT_DIR_SYNC, /* a log segment is used before its name is on disk */
    SKIP_MANIFEST_SYNC,    /* an edit counts before it is on disk */
    SKIP_CHECKSUM,         /* a table's blocks are not checked */
    SKIP_FRAME_HASH,       /* nor are the log's frames: a torn group is applied */
    ACK_BEFORE_SYNC,       /* a sync commit is acknowledged when it is written */
    TRUST_FAILED_SYNC,     /* a file whose datasync failed is synced again */
    TRUST_REPLAY,          /* what was read back from the log is taken for durable */
    DROP_TOMBSTONE_EARLY,  /* compaction drops deletions that still hide something */
    FORGET_SNAPSHOTS,      /* compaction keeps no versions for them */
    REMOVE_LOG_FIRST,      /* the log is removed before the manifest says so */
    REMOVE_TABLES_FIRST,   /* and a compaction's inputs likewise */
    REUSE_SEQUENCE,        /* a commit gets the last one's sequence again */
    SHOW_HALF_A_BATCH,     /* a commit is visible before it is in the memtable */
    FORGET_NAMED,          /* compaction keeps no versions for snapshots with a name */
    NAME_BEFORE_SYNC,      /* a snapshot gets its name before the log up to it is on disk */
    ACK_BEFORE_STAGING,    /* a commit is acknowledged before its frame is in the ring */
    FORGET_STAGED,         /* the ring is used again before its frames are in the log */
    REUSE_FROZEN_RING,     /* and when the log has refused them */
    SKIP_RING_RESCUE,      /* or before what a replay found in it is */
    SKIP_RING_CHAIN,       /* a frame in the ring need not follow the log's last one */
    PLACELESS_CHECKSUM,    /* a block's checksum does not say where the block belongs */
    WRONG_FILTER,          /* a table's filter is made from other hashes than it is asked with */
    FORGET_RANGES,         /* a lookup does not ask a table's range tombstones */
    OLDEST_FIRST,          /* lookups go through level 0 from its oldest table */
    CLAIM_TOO_EARLY,       /* a frame vouches for more than is on disk */
    MARKER_FIRST,          /* a manifest's marker is made before the manifest is on disk */
    INGEST_BEFORE_SYNC,    /* a run is in the manifest before the log up to it is on disk */
    INGEST_UNDER_OLDER,    /* nobody looks whether older changes of its keys are in memory */
    FORGET_RUN_SEQUENCE,   /* its entries are older than every snapshot */
    MUTATION_COUNT
};

#ifdef NX_DEBUG
bool engine_mutated(enum engine_mutation which);
void engine_mutate(enum engine_mutation which);
#else
static inline bool engine_mutated(enum engine_mutation which)
{
    (void)which;
    return false;
}
#endif

#endif

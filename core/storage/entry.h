/*
 * entry.h - one version of one key, and one deleted range: what memtables and tables hold.
 *
 * Entries are ordered by key ascending (memcmp, a prefix first), then by sequence descending: the
 * newest version of a key comes first. Every change of a batch has a sequence of its own, so that
 * later changes of one batch win over earlier ones. Range tombstones are kept apart from entries
 * and hide every entry of an older sequence with begin <= key < end.
 */
#ifndef STORAGE_ENTRY_H
#define STORAGE_ENTRY_H

#include <stdint.h>

#include <nexadb/buf.h>

#define SEQUENCE_MAX ((UINT64_C(1) << 56) - 1)
/* Given to a source instead of a sequence: show every version of every key. */
#define SEQUENCE_ALL UINT64_MAX

#define KEY_MAX_BYTES 4096u
#define VALUE_MAX_BYTES (64u << 20)

enum entry_kind {
    ENTRY_DELETE = 0, /* no value */
    ENTRY_PUT = 1,
};

struct entry {
    struct nx_slice key;
    struct nx_slice value;
    uint64_t sequence; /* 0 to SEQUENCE_MAX */
    enum entry_kind kind;
};

struct range_tombstone {
    struct nx_slice begin;
    struct nx_slice end; /* exclusive, after begin */
    uint64_t sequence;
};

#endif

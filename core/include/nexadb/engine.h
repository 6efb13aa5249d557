/*
 * engine.h - the ordered key-value engine: an LSM tree with a write-ahead log.
 *
 * Keys are 1 to 4,096 bytes, values 0 to 64 MiB, ordered by memcmp. The engine never learns what
 * they mean. Usable on its own; the document database (db.h) is built on it.
 *
 * Threads:   an engine, and a snapshot, may be used by any number of threads; a batch or an
 *            iterator by one at a time.
 * Durability: a commit is visible to every later read as soon as it is applied, and is
 *            acknowledged by its level (enum nx_durability).
 * Errors:    NX_ECORRUPT for bytes that fail their checksum (never returned as data); NX_ENOSPC
 *            and NX_EIO leave the engine readable; after a failure in the background every commit
 *            returns that error until the engine has resumed.
 */
#ifndef NEXADB_ENGINE_H
#define NEXADB_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nexadb/attributes.h>
#include <nexadb/buf.h>
#include <nexadb/error.h>
#include <nexadb/io.h>

struct nx_engine;
struct nx_batch;
struct nx_snapshot;
struct nx_iter;

enum nx_durability {
    NX_BUFFERED, /* survives kill -9; power loss may take the last sync_interval_ms */
    NX_SYNC,     /* on stable storage before it is acknowledged (group commit) */
    NX_NONE,     /* for what can be made again: promises nothing but the order. Done as NX_BUFFERED,
                    which costs it no system call */
};

enum nx_compression { NX_COMPRESS_NONE, NX_COMPRESS_LZ4, NX_COMPRESS_ZSTD };

struct nx_engine_options {
    struct nx_io *io;            /* NULL: nx_io_posix() */
    bool create;                 /* make the directory and an empty database when absent */
    bool read_only;              /* no file is changed; commits fail with NX_EROFS */
    uint64_t memtable_bytes;     /* one memtable, 64 KiB to 4 GiB */
    uint64_t cache_bytes;        /* decompressed blocks, 0 to 1 TiB */
    uint64_t wal_segment_bytes;  /* 64 KiB to 1 GiB */
    uint64_t wal_ring_bytes;     /* locked memory for the log, 16 KiB to 64 MiB; 0: none, and every
                                    commit is a system call */
    uint32_t block_bytes;        /* uncompressed data block target, 256 B to 1 MiB */
    uint64_t table_bytes;        /* table file target, 64 KiB to 1 GiB */
    uint32_t bloom_bits_per_key; /* 0 to 32 */
    uint32_t level_fanout;       /* 2 to 20 */
    uint32_t sync_interval_ms;   /* bound on what power loss takes from NX_BUFFERED, 1 to 60,000 */
    enum nx_compression compression;
    enum nx_compression bottom_compression; /* of the last level, where nearly all data is. Zstd
                                               needs a third less disk there than lz4, and reads
                                               that miss the cache twice the time or more */
};

/* Memtable, segment and table are at most a 32nd of a small disk.
 * Sane defaults: 64 MiB memtable and cache, 64 MiB segments, 6 KiB blocks, 32 MiB tables, 10 bits,
 * fanout 10, 1,000 ms, lz4 everywhere, create. */
NX_API void nx_engine_options_init(struct nx_engine_options *options);

/*
 * Open, creating or recovering. One process per directory: NX_ELOCKED names the other's pid.
 * NX_ENOTFOUND when absent and not `create`; NX_EINVAL names an option out of its range;
 * NX_ECORRUPT names the file and offset; NX_EVERSION a format from another version.
 */
NX_API enum nx_code nx_engine_open(const char *dir, const struct nx_engine_options *options,
                                   struct nx_engine **out, struct nx_err *err);
/* Make everything durable, stop threads, close. Iterators and snapshots must be gone. Returns the
 * first error; the engine is freed all the same. */
NX_API enum nx_code nx_engine_close(struct nx_engine *engine, struct nx_err *err);

/*
 * Change an option of an open engine, by its name in struct nx_engine_options: memtable_bytes (up
 * to what it was at the open), cache_bytes, block_bytes, table_bytes, bloom_bits_per_key,
 * level_fanout, sync_interval_ms, compression, bottom_compression. It holds for what is written
 * from now on; a smaller cache at once. table_bytes, level_fanout and the compressions wait for a
 * compaction that is under way. NX_ENOTFOUND, NX_EINVAL; NX_EUNSUPPORTED for one that is fixed by
 * the open.
 */
NX_API enum nx_code nx_engine_set_option(struct nx_engine *engine, const char *name, uint64_t value,
                                         struct nx_err *err);
/* What is in force: a small disk may have made it less than was asked for. NX_ENOTFOUND. */
NX_API enum nx_code nx_engine_get_option(struct nx_engine *engine, const char *name, uint64_t *out,
                                         struct nx_err *err);
NX_API const char *nx_engine_option_name(size_t i); /* NULL behind the last */

/* --- writing ---------------------------------------------------------------------------------- */

/* A list of changes applied atomically, later ones winning. Bytes are copied. Reusable. */
NX_API enum nx_code nx_batch_new(struct nx_batch **out);
NX_API void nx_batch_free(struct nx_batch *batch);
NX_API void nx_batch_clear(struct nx_batch *batch);
NX_API enum nx_code nx_batch_put(struct nx_batch *batch, struct nx_slice key,
                                 struct nx_slice value);
NX_API enum nx_code nx_batch_delete(struct nx_batch *batch, struct nx_slice key);
/* Every key in [begin, end). */
NX_API enum nx_code nx_batch_delete_range(struct nx_batch *batch, struct nx_slice begin,
                                          struct nx_slice end);
/* Applied, it needs less space than before: on a full disk it may use the space that is set aside
 * for such batches. Until the next clear. */
NX_API void nx_batch_mark_reclaiming(struct nx_batch *batch);
NX_API size_t nx_batch_count(const struct nx_batch *batch);
NX_API size_t nx_batch_bytes(const struct nx_batch *batch);

/* Called once, on a thread of the engine or, when nothing had to be waited for, on the caller's
 * thread before nx_engine_submit returns. `error` is NULL on success and borrowed. It must not
 * block, nor commit. */
typedef void (*nx_commit_fn)(void *arg, const struct nx_err *error);

/* Commit and wait for the acknowledgement. The batch stays the caller's. */
NX_API enum nx_code nx_engine_commit(struct nx_engine *engine, const struct nx_batch *batch,
                                     enum nx_durability durability, struct nx_err *err);
/*
 * Commit without waiting for the disk: the batch is logged and applied (visible to reads when this
 * returns NX_OK), and `done` is called at the acknowledgement. On any other return nothing was
 * applied and `done` is never called. The batch may be cleared or freed once this has returned.
 * When the memtables are full it waits for room, unless `nowait`: then it returns NX_EBUSY, and
 * nx_engine_when_writable tells when to try again.
 */
NX_API enum nx_code nx_engine_submit(struct nx_engine *engine, const struct nx_batch *batch,
                                     enum nx_durability durability, bool nowait, nx_commit_fn done,
                                     void *arg, struct nx_err *err);
/* Call `done` once when a commit has room (at once if it has). */
NX_API void nx_engine_when_writable(struct nx_engine *engine, nx_commit_fn done, void *arg);
/* Call `done` once everything committed before this call is on stable storage. */
NX_API void nx_engine_sync_async(struct nx_engine *engine, nx_commit_fn done, void *arg);
NX_API enum nx_code nx_engine_sync(struct nx_engine *engine, struct nx_err *err);

/* --- bulk loading ----------------------------------------------------------------------------- */

struct nx_run;

/*
 * A sorted run: entries in ascending order that are written straight to tables, past the log and
 * the memtables. Nobody sees any of them before nx_run_ingest, and everybody all of them after it.
 * One thread at a time; any number of runs at once. To be freed before the engine is closed.
 * NX_EROFS.
 */
NX_API enum nx_code nx_run_new(struct nx_engine *engine, struct nx_run **out, struct nx_err *err);
/* NX_EINVAL for a key that is none, or not after the one before: then the run is as it was. After
 * any other failure every further call returns it. */
NX_API enum nx_code nx_run_put(struct nx_run *run, struct nx_slice key, struct nx_slice value,
                               struct nx_err *err);
/*
 * Commit the run as one, durable when this returns NX_OK: newer than what was committed before,
 * older than what comes after; snapshots that are there do not see it. Commits wait while the log
 * is synced and the manifest gets an edit, and for a flush first when one of the run's keys is in
 * memory. Waits itself for a compaction that is under way. After a failure nobody sees it, and it
 * may be tried again; as with any commit that failed, the next open may find it.
 */
NX_API enum nx_code nx_run_ingest(struct nx_run *run, struct nx_err *err);
/* NULL is fine. A run that was not ingested leaves nothing. */
NX_API void nx_run_free(struct nx_run *run);

/* --- reading ---------------------------------------------------------------------------------- */

/* A consistent picture of now. NULL on out of memory. Release it: it pins old versions. */
NX_API struct nx_snapshot *nx_snapshot_take(struct nx_engine *engine);
NX_API void nx_snapshot_release(struct nx_snapshot *snapshot);
NX_API uint64_t nx_snapshot_sequence(const struct nx_snapshot *snapshot);

/*
 * A snapshot with a name outlives the process: what it can see is kept until it is dropped. Making
 * one costs a sync of the log and an edit of the manifest, whatever the size of the database.
 * Names are 1 to NX_SNAPSHOT_NAME_MAX bytes of any value.
 */
enum { NX_SNAPSHOT_NAME_MAX = 255, NX_SNAPSHOTS_MAX = 1023 };
struct nx_snapshot_info {
    uint32_t number;   /* 1 to NX_SNAPSHOTS_MAX; of those that exist each has its own */
    uint64_t sequence; /* the last that it sees */
    int64_t time_ns;   /* when it was made, since 1970-01-01 UTC */
    size_t name_len;
    char name[NX_SNAPSHOT_NAME_MAX + 1]; /* with a NUL behind it */
};
/* NX_EEXISTS; NX_ENAME, NX_ENAMETOOLONG; NX_EBUSY when there are NX_SNAPSHOTS_MAX; NX_EROFS. */
NX_API enum nx_code nx_engine_snapshot_make(struct nx_engine *engine, const char *name,
                                            size_t name_len, struct nx_snapshot_info *out,
                                            struct nx_err *err);
/* Who has it open keeps what it sees until the release. NX_ENOTFOUND. */
NX_API enum nx_code nx_engine_snapshot_drop(struct nx_engine *engine, const char *name,
                                            size_t name_len, struct nx_err *err);
/* Keeps number, sequence and time. NX_ENOTFOUND, NX_EEXISTS. */
NX_API enum nx_code nx_engine_snapshot_rename(struct nx_engine *engine, const char *from,
                                              size_t from_len, const char *to, size_t to_len,
                                              struct nx_err *err);
NX_API enum nx_code nx_engine_snapshot_find(struct nx_engine *engine, const char *name,
                                            size_t name_len, struct nx_snapshot_info *out,
                                            struct nx_err *err);
/* The one with the next number above `after` (0: the first). NX_DONE. */
NX_API enum nx_code nx_engine_snapshot_next(struct nx_engine *engine, uint32_t after,
                                            struct nx_snapshot_info *out);
/* To read at; released as any other. `info` may be NULL. NX_ENOTFOUND. */
NX_API enum nx_code nx_engine_snapshot_open(struct nx_engine *engine, uint32_t number,
                                            struct nx_snapshot_info *info, struct nx_snapshot **out,
                                            struct nx_err *err);

/* Copy the value of `key` into `out` (cleared first). NX_ENOTFOUND when absent.
 * `snapshot` NULL: newest. */
NX_API enum nx_code nx_engine_get(struct nx_engine *engine, const struct nx_snapshot *snapshot,
                                  struct nx_slice key, struct nx_buf *out, struct nx_err *err);

struct nx_range {
    struct nx_slice lower;              /* first key, inclusive; empty: from the start */
    struct nx_slice upper;              /* end, exclusive; empty: to the end */
    const struct nx_snapshot *snapshot; /* NULL: a picture of now; else outlives the iterator */
    bool keep_cache;                    /* false: a long scan does not push hot blocks out */
};

/* Bounds are copied. The iterator stands nowhere until a seek. */
NX_API enum nx_code nx_iter_open(struct nx_engine *engine, const struct nx_range *range,
                                 struct nx_iter **out, struct nx_err *err);
NX_API void nx_iter_close(struct nx_iter *iter);
/* Each returns true when it stands on an entry; false at the end or on an error: nx_iter_status. */
NX_API bool nx_iter_first(struct nx_iter *iter);
NX_API bool nx_iter_last(struct nx_iter *iter);
NX_API bool nx_iter_seek(struct nx_iter *iter, struct nx_slice key);          /* first >= key */
NX_API bool nx_iter_seek_for_prev(struct nx_iter *iter, struct nx_slice key); /* last <= key */
NX_API bool nx_iter_next(struct nx_iter *iter);
NX_API bool nx_iter_prev(struct nx_iter *iter);
NX_API bool nx_iter_valid(const struct nx_iter *iter);
/* Borrowed until the next move. Only while valid. */
NX_API struct nx_slice nx_iter_key(const struct nx_iter *iter);
NX_API struct nx_slice nx_iter_value(const struct nx_iter *iter);
NX_API enum nx_code nx_iter_status(const struct nx_iter *iter, struct nx_err *err);

/* --- care ------------------------------------------------------------------------------------- */

/* Write the memtables to tables and wait. */
NX_API enum nx_code nx_engine_flush(struct nx_engine *engine, struct nx_err *err);
/* Flush and compact everything in [begin, end) to the bottom; empty slices: all. Waits. What it
 * writes there is compressed harder than usual, as what is likely to stay: reads do not notice. */
NX_API enum nx_code nx_engine_compact(struct nx_engine *engine, struct nx_slice begin,
                                      struct nx_slice end, struct nx_err *err);
/* After a deletion of [begin, end): let whole tables in it go soon, rather than with the next
 * compactions. Waits for a flush when there are any. */
NX_API enum nx_code nx_engine_reclaim(struct nx_engine *engine, struct nx_slice begin,
                                      struct nx_slice end, struct nx_err *err);
/*
 * A database in the new directory `dir`, on the same file system, that holds all that was committed
 * before this call: the tables are shared by hard links, so it costs a flush and their number, not
 * their size. NX_EEXISTS when `dir` is there; NX_EROFS.
 */
NX_API enum nx_code nx_engine_checkpoint(struct nx_engine *engine, const char *dir,
                                         struct nx_err *err);

#define NX_LEVELS 7

/* get, commit (up to visible) and seek are sampled: one in 64. */
enum nx_latency_kind {
    NX_LATENCY_GET,
    NX_LATENCY_COMMIT,
    NX_LATENCY_SYNC, /* of a commit that waits for the disk */
    NX_LATENCY_SEEK,
    NX_LATENCY_FLUSH,
    NX_LATENCY_COMPACTION,
    NX_LATENCY_KINDS
};
struct nx_latency {
    uint64_t count, sum_ns, p50_ns, p99_ns, p999_ns, max_ns;
};
NX_API const char *nx_latency_name(enum nx_latency_kind kind);

struct nx_engine_stats {
    uint64_t sequence;       /* last committed */
    uint64_t memtable_bytes; /* all memtables */
    uint64_t memtable_keys;
    uint64_t table_count;
    uint64_t table_entries; /* versions and tombstones included */
    uint64_t level_tables[NX_LEVELS];
    uint64_t level_bytes[NX_LEVELS];
    uint64_t wal_bytes;     /* live segments */
    uint64_t reserve_bytes; /* set aside for a full disk */
    uint64_t disk_bytes;    /* tables, log, reserve and manifest */
    uint64_t commits, commit_bytes, syncs, flushes, compactions;
    uint64_t flush_bytes, compaction_read_bytes, compaction_written_bytes;
    uint64_t runs, run_bytes; /* ingested, and what their tables took */
    uint64_t stall_ns;        /* time commits waited for room */
    uint64_t cache_hits, cache_misses, cache_bytes;
    uint64_t filter_checks, filter_useful;
    uint64_t snapshots; /* live, those with a name included */
    uint64_t named_snapshots;
    uint64_t stalls; /* times a commit waited for room */
    /* In thousandths. Bytes written to log and tables for one committed or ingested; bytes of
     * tables for one of the lowest level; places that a lookup may have to ask. */
    uint64_t write_amplification, space_amplification, read_amplification;
    struct nx_latency latency[NX_LATENCY_KINDS];
    enum nx_code background_error; /* NX_OK, or what commits now return */
};
NX_API void nx_engine_get_stats(struct nx_engine *engine, struct nx_engine_stats *out);

#endif

/*
 * reserve.h - disk space set aside, so that a full disk can be made less full.
 *
 * Removing things takes space first: a deletion is logged, memtables become tables, tables are
 * merged. The reserve is a file of allocated bytes that nobody reads. It grows with the log, byte
 * for byte up to its cap, so what has been logged can be flushed, and shrinks when little of the
 * log is left; who gives space back may take from it what that needs. Until it is whole again the
 * disk counts as full: changes that only need space are refused.
 *
 * Nothing depends on its presence: where it cannot be made, deletions meet the same errors as
 * writes.
 *
 * Threads: any, at any time. For the log, which may have none, NULL is fine.
 */
#ifndef STORAGE_RESERVE_H
#define STORAGE_RESERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nexadb/io.h>

struct reserve;

#define RESERVE_NAME "RESERVE"

/* Of what an earlier run left, if anything. NX_ENOMEM only. */
enum nx_code reserve_open(struct nx_io *io, const char *dir, uint64_t cap_bytes,
                          struct reserve **out, struct nx_err *err);
void reserve_close(struct reserve *reserve); /* the file stays; NULL is fine */

/* The log has `log_bytes`: have as much, up to the cap, and not much more. The disk may turn out to
 * be full. */
void reserve_follow(struct reserve *reserve, uint64_t log_bytes);
/* Who may have how much: each leaves something to those that need less and free more. */
enum reserve_user { RESERVE_NOBODY, RESERVE_LOG, RESERVE_COMPACTION, RESERVE_FLUSH };

/* Give `bytes`, or what `user` may have of them, to the caller, who was told that the disk is full:
 * from now on it counts as such. False when there was nothing to give. */
bool reserve_release(struct reserve *reserve, enum reserve_user user, uint64_t bytes);
/* The disk was full for somebody who may not have the reserve. */
void reserve_note_full(struct reserve *reserve);
/* True while the disk counts as full. */
bool reserve_is_short(const struct reserve *reserve);
/* Become whole if there is room for that and `spare_bytes` more. True when the disk does not count
 * as full (any more). */
bool reserve_restore(struct reserve *reserve, uint64_t spare_bytes);
uint64_t reserve_bytes(struct reserve *reserve);

#endif

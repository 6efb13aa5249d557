/*
 * slot.h - the last text that was written to a magic file, for each user and terminal session.
 *
 * It is what makes `echo QUERY > .query; cat .query` work, two processes, without one user's query
 * showing in another's.
 *
 * Threads: any. Memory: bounded, SLOTS_MAX slots, the least recently used goes.
 */
#ifndef FS_SLOT_H
#define FS_SLOT_H

#include <sys/types.h>

#include <nexadb/buf.h>
#include <nexadb/db.h>

#define SLOTS_MAX 1024

struct slot_key {
    nx_ino dir;
    unsigned file; /* enum magic_kind */
    uid_t uid;
    pid_t session;
};

struct slots;

struct slots *slots_new(void); /* NULL without memory */
void slots_free(struct slots *slots);
enum nx_code slots_set(struct slots *slots, const struct slot_key *key, struct nx_slice text,
                       struct nx_err *err);
void slots_clear(struct slots *slots, const struct slot_key *key);
/* Appends the text; NX_ENODATA when there is none. `number` (may be NULL) tells which setting it
 * is. */
enum nx_code slots_get(struct slots *slots, const struct slot_key *key, struct nx_buf *text,
                       uint64_t *number, struct nx_err *err);
/* True once for each setting: who runs a text that must run only once. */
bool slots_claim(struct slots *slots, const struct slot_key *key, uint64_t number);

#endif

/*
 * rejected.h - bytes that were refused as a document, kept as `.rejected/<name>.<n>`.
 *
 * They are plain files in a plain directory of the collection, so they are durable, can be edited,
 * and moved back onto the document's name. Bounded: the oldest go first.
 *
 * Threads: any. Waits for commits: never on a FUSE worker.
 */
#ifndef FS_REJECTED_H
#define FS_REJECTED_H

#include "fs/mount.h"

#define REJECTED_DIR ".rejected"
#define REJECTED_MAX_FILES 100
#define REJECTED_MAX_BYTES (64u << 20)

/* `*ino` 0: a new file, whose number it gets; else that file's bytes are replaced. */
enum nx_code rejected_save(struct fs *fs, nx_ino collection, const char *name, struct nx_slice text,
                           uint32_t uid, uint32_t gid, nx_ino *ino, struct nx_err *err);
/* The number in "<name>.<n>"; 0 when there is none. */
uint64_t rejected_number(const char *name);
/* "<name>.<n>", the name cut where the whole would pass 255 bytes (not inside a character). */
void rejected_name(const char *name, uint64_t number, char out[256]);

#endif

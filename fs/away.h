/*
 * away.h - documents that were renamed away a moment ago through the mount, for conflict=fail: who
 * then writes a document of that name has read the one that went (vim, emacs).
 *
 * Threads: any. Memory: the newest AWAY_MAX, for AWAY_NS.
 */
#ifndef FS_AWAY_H
#define FS_AWAY_H

#include <nexadb/db.h>
#include <nexadb/io.h>

#define AWAY_MAX 64
#define AWAY_NS 2000000000u /* as long as the store gives a number back */

struct aways;

struct aways *aways_new(struct nx_io *io); /* NULL without memory */
void aways_free(struct aways *aways);
void aways_add(struct aways *aways, nx_ino collection, const struct nx_id *id);
/* True once: whatever is there now is newer than what the caller knows. */
bool aways_take(struct aways *aways, nx_ino collection, const struct nx_id *id);

#endif

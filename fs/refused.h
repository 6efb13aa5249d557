/*
 * refused.h - a rename onto a document's name that was refused: why, and the bytes.
 *
 * sed -i and rsync remove their temporary file when the rename fails, so its text is kept first.
 */
#ifndef FS_REFUSED_H
#define FS_REFUSED_H

#include "fs/reply.h"

/* True for what is wrong with a text, or comes too late. */
bool refused_is_about_text(enum nx_code rc);
/*
 * Write the line of `.errors` and the file in `.rejected/`, on a query thread, then answer. Takes
 * `parked`. The answer does not wait for the notifier: the rename holds the directories that it
 * may have to lock.
 */
void refused_rename(struct parked *parked, nx_ino from_dir, const char *from, nx_ino dir,
                    const char *to, const struct nx_err *err);

#endif

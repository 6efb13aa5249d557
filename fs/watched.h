/*
 * watched.h - which nodes of the mount somebody watches, as /proc tells.
 *
 * FUSE does not say it. But each inotify or fanotify descriptor lists its watches in
 * /proc/PID/fdinfo, by device and node number: one pass over the descriptors of all processes
 * finds them.
 *
 * Threads: one at a time.
 */
#ifndef FS_WATCHED_H
#define FS_WATCHED_H

#include <stdbool.h>

#include <nexadb/db.h>

struct watched {
    uint64_t *nodes; /* owned, sorted */
    size_t count, cap;
    bool all; /* of a mark on the whole file system, or of what /proc does not show */
};

void watched_fini(struct watched *watched);
/*
 * Look again. `device` is the mount's st_dev. A process that may not be looked into counts as a
 * watcher of everything where `strangers` (processes of other users) can use the mount.
 */
void watched_scan(struct watched *watched, uint64_t device, bool strangers);
bool watched_has(const struct watched *watched, nx_ino ino);
static inline bool watched_any(const struct watched *watched)
{
    return watched->all || watched->count > 0;
}
/* For tests: take in the text of one fdinfo file. */
void watched_add_text(struct watched *watched, const char *text, uint64_t device);
void watched_sort(struct watched *watched);

#endif
